#pragma once

#include <cstdint>
#include <iterator>
#include <string>

#include "bedrock/iterator.h"
#include "common/env/random.h"

namespace bedrock::test {

/// The moves of bedrock::Iterator over an ordered map of strings: what an iterator has to agree
/// with. Keeps a reference to the map, which must not change. One thread.
template <typename Map>
class MapIterator {
 public:
  explicit MapIterator(const Map& map) : map_(map), at_(map.end()) {}

  bool Valid() const { return at_ != map_.end(); }
  // REQUIRES: Valid(), as Next and Prev.
  const std::string& key() const { return at_->first; }
  const std::string& value() const { return at_->second; }

  void SeekToFirst() { at_ = map_.begin(); }
  void SeekToLast() { MoveBefore(map_.end()); }
  void Seek(const std::string& target) { at_ = map_.lower_bound(target); }
  void SeekForPrev(const std::string& target) { MoveBefore(map_.upper_bound(target)); }
  void Next() { ++at_; }
  void Prev() { MoveBefore(at_); }

 private:
  using Position = typename Map::const_iterator;

  void MoveBefore(Position next) { at_ = next == map_.begin() ? map_.end() : std::prev(next); }

  const Map& map_;
  Position at_;
};

enum class Move : std::uint8_t { kSeek, kNext, kPrev };

/// Makes one move, drawn, of both; seeks go to `target`, steps come where there is a place to step
/// from, twice as often each as a kind of seek. Gives what it was.
template <typename Map>
Move MoveAlike(Random& random, const std::string& target, Iterator& it, MapIterator<Map>& model) {
  switch (random.Below(model.Valid() ? 8 : 4)) {
    case 0:
      it.SeekToFirst();
      model.SeekToFirst();
      return Move::kSeek;
    case 1:
      it.SeekToLast();
      model.SeekToLast();
      return Move::kSeek;
    case 2:
      it.Seek(target);
      model.Seek(target);
      return Move::kSeek;
    case 3:
      it.SeekForPrev(target);
      model.SeekForPrev(target);
      return Move::kSeek;
    case 4:
    case 5:
      it.Next();
      model.Next();
      return Move::kNext;
    default:
      it.Prev();
      model.Prev();
      return Move::kPrev;
  }
}

}  // namespace bedrock::test
