#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "bedrock/status.h"
#include "common/base/check.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/read/key_compare.h"

namespace bedrock::engine {

/// What walks entries, all versions and tombstones among them, in internal key order, in both
/// directions. key() and value() are views until it moves. After an error Valid() is false and
/// status() says why, for ever: a cursor never steps over what it can't read. Next and Prev need
/// Valid().
template <typename C>
concept EntryCursor = requires(C cursor, const C fixed, InternalKeyView target) {
  { fixed.Valid() } -> std::same_as<bool>;
  cursor.SeekToFirst();
  cursor.SeekToLast();
  cursor.Seek(target);         // the first entry at or after it
  cursor.SeekForPrev(target);  // the last entry at or before it
  cursor.Next();
  cursor.Prev();
  { fixed.key() } -> std::convertible_to<InternalKeyView>;
  { fixed.value() } -> std::convertible_to<std::string_view>;
  { fixed.status() } -> std::convertible_to<Status>;
};

/// One walk over all entries of several cursors, itself an EntryCursor. Internal keys are unique
/// over all of them, so there are no ties. An error of any ends the walk.
///
/// The sources that have an entry stand in a list sorted by it, in the order of the walk. A step
/// moves the first one and, while it stays before the second, costs that one comparison; else it
/// goes back step by step, and past kNear by a binary search. LSM sources differ much in size, so
/// it does not go far, and for the few tens of sources that there are a sorted list takes no more
/// comparisons than a tree and always knows the runner-up. The list itself has the first 16 bytes
/// of each key as numbers, so comparisons ask no source and mostly look at no key. Nothing is
/// allocated once all sources are in.
///
/// Sources that grow meanwhile (a memtable that is written to) are fine as long as what they gain
/// has versions above the one that the walk is for. One thread at a time.
template <EntryCursor Source>
class MergingCursor {
 public:
  MergingCursor() = default;
  MergingCursor(MergingCursor&&) noexcept = default;
  MergingCursor& operator=(MergingCursor&&) noexcept = default;

  /// For how many sources there will be.
  void Reserve(std::size_t sources) {
    lanes_.reserve(sources);
    order_.reserve(sources);
  }
  /// Adds a source, made of `arguments`; it is the sources()th. REQUIRES: not positioned yet.
  template <typename... Arguments>
  void Emplace(Arguments&&... arguments) {
    DCHECK(order_.empty());
    lanes_.emplace_back(std::in_place, std::forward<Arguments>(arguments)...);
  }
  std::size_t sources() const { return lanes_.size(); }
  Source& source(std::size_t i) { return lanes_[i].source; }
  const Source& source(std::size_t i) const { return lanes_[i].source; }

  bool Valid() const { return !order_.empty(); }

  void SeekToFirst() {
    Position<kForward>([](Source& source) { source.SeekToFirst(); });
  }
  void SeekToLast() {
    Position<kBackward>([](Source& source) { source.SeekToLast(); });
  }
  void Seek(InternalKeyView target) {
    PrepareSeek(target);
    Position<kForward>([&](Source& source) { source.Seek(target); });
  }
  void SeekForPrev(InternalKeyView target) {
    Position<kBackward>([&](Source& source) { source.SeekForPrev(target); });
  }

  void Next() {
    DCHECK(Valid());
    if (direction_ != kForward) [[unlikely]] {
      Turn<kForward>();
      if (!Valid()) return;
    }
    order_.front().lane->source.Next();
    Settle<kForward>();
  }
  void Prev() {
    DCHECK(Valid());
    if (direction_ != kBackward) [[unlikely]] {
      Turn<kBackward>();
      if (!Valid()) return;
    }
    order_.front().lane->source.Prev();
    Settle<kBackward>();
  }

  /// The first entry at or after `target`, from here on: as Seek, but sources that stand there
  /// already are left alone. REQUIRES: Valid(); the last move was not a backward one; `target` is
  /// no view of key(), which would move with it.
  void SkipTo(InternalKeyView target) {
    DCHECK(Valid() && direction_ == kForward);
    SkipWhile<kForward>(target);
  }
  /// The last entry at or before `target`, from here back. REQUIRES: as SkipTo, the other way.
  void SkipBackTo(InternalKeyView target) {
    DCHECK(Valid() && direction_ == kBackward);
    SkipWhile<kBackward>(target);
  }
  /// As SkipTo and SkipBackTo, but only the source that key() is of moves. For who knows that it
  /// has nothing to show in between. REQUIRES: as there.
  void SkipFrontTo(InternalKeyView target) {
    DCHECK(Valid() && direction_ == kForward);
    order_.front().lane->source.Seek(target);
    Settle<kForward>();
  }
  void SkipFrontToEnd() {
    DCHECK(Valid() && direction_ == kForward);
    Source& source = order_.front().lane->source;
    source.SeekToLast();
    if (source.Valid()) source.Next();
    Settle<kForward>();
  }
  void SkipFrontBackTo(InternalKeyView target) {
    DCHECK(Valid() && direction_ == kBackward);
    order_.front().lane->source.SeekForPrev(target);
    Settle<kBackward>();
  }

  /// REQUIRES: Valid().
  const InternalKeyView& key() const { return order_.front().lane->key; }
  std::string_view value() const { return order_.front().lane->source.value(); }
  /// The number of the source that has the entry.
  std::size_t front() const {
    return static_cast<std::size_t>(order_.front().lane - lanes_.data());
  }
  const Source& front_source() const { return order_.front().lane->source; }

  const Status& status() const { return status_; }

 private:
  enum Direction : std::uint8_t { kForward, kBackward };

  struct Lane {
    template <typename... Arguments>
    explicit Lane(std::in_place_t /*tag*/, Arguments&&... arguments)
        : source(std::forward<Arguments>(arguments)...) {}

    Source source;
    InternalKeyView key;  ///< source.key(), while it stands in the list.
  };
  /// A source's place in the list.
  struct Place {
    KeyWords words;  ///< Of the lane's key; of the only one in the list anything.
    Lane* lane;
  };
  /// How far a source goes back step by step.
  static constexpr std::size_t kNear = 8;

  /// The place of a source that was moved. REQUIRES: lane.source.Valid().
  static Place Load(Lane& lane) {
    lane.key = lane.source.key();
    return {KeyWordsOf(lane.key.user_key), &lane};
  }

  template <Direction direction>
  static bool Before(const Place& a, const Place& b) {
    return direction == kForward ? IsBefore(a.lane->key, a.words, b.lane->key, b.words)
                                 : IsBefore(b.lane->key, b.words, a.lane->key, a.words);
  }

  void Fail(Status status) {
    status_ = std::move(status);
    order_.clear();
  }

  /// Where `place` belongs in the list from number `first` on.
  template <Direction direction>
  std::size_t FindPlace(const Place& place, std::size_t first) const {
    std::size_t last = order_.size();
    while (first < last) {
      const std::size_t middle = first + (last - first) / 2;
      if (Before<direction>(order_[middle], place)) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    return first;
  }

  /// Takes a source that was moved into the list. False where that ended the walk.
  template <Direction direction>
  bool Join(Lane& lane) {
    if (!lane.source.Valid()) {
      if (Status status = lane.source.status(); !status.ok()) {
        Fail(std::move(status));
        return false;
      }
      return true;
    }
    const Place place = Load(lane);
    order_.insert(order_.begin() + static_cast<std::ptrdiff_t>(FindPlace<direction>(place, 0)),
                  place);
    return true;
  }

  /// Lets the sources that can fetch what the seek will look at, all at the same time.
  void PrepareSeek(InternalKeyView target) {
    if constexpr (requires(Source source) {
                    source.PrepareSeek(target);
                    source.PrepareSeekMore();
                  }) {
      if (lanes_.size() < 2 || !status_.ok()) return;
      for (Lane& lane : lanes_) lane.source.PrepareSeek(target);
      for (Lane& lane : lanes_) lane.source.PrepareSeekMore();
    }
  }

  template <Direction direction, typename Move>
  void Position(const Move& move) {
    if (!status_.ok()) return;
    direction_ = direction;
    order_.clear();
    order_.reserve(lanes_.size());
    for (Lane& lane : lanes_) {
      move(lane.source);
      if (!Join<direction>(lane)) return;
    }
  }

  /// The first source was moved on: gives it its new place.
  template <Direction direction>
  void Settle() {
    Lane& lane = *order_.front().lane;
    if (!lane.source.Valid()) [[unlikely]] {
      DropFront();
      return;
    }
    if (order_.size() == 1) {
      lane.key = lane.source.key();
      return;
    }
    const Place place = Load(lane);
    const std::size_t near = std::min(order_.size(), kNear);
    std::size_t at = 1;
    for (; at < near; ++at) {
      if (!Before<direction>(order_[at], place)) break;
      order_[at - 1] = order_[at];
    }
    if (at == kNear && at < order_.size()) [[unlikely]] {
      const std::size_t end = FindPlace<direction>(place, at);
      for (; at < end; ++at) order_[at - 1] = order_[at];
    }
    order_[at - 1] = place;
  }

  void DropFront() {
    Status status = order_.front().lane->source.status();
    if (!status.ok()) {
      Fail(std::move(status));
      return;
    }
    order_.erase(order_.begin());
  }

  template <Direction direction>
  void SkipWhile(InternalKeyView target) {
    const auto short_of_target = [&](const InternalKeyView& at) {
      return direction == kForward ? at < target : at > target;
    };
    while (Valid() && short_of_target(key())) {
      Source& source = order_.front().lane->source;
      direction == kForward ? source.Seek(target) : source.SeekForPrev(target);
      Settle<direction>();
    }
  }

  /// Makes the walk go the other way from the entry that it stands on: all other sources stand on
  /// their neighbour of it on the old side, so one step brings each to that on the new side.
  template <Direction direction>
  void Turn() {
    Lane& current = *order_.front().lane;
    direction_ = direction;
    order_.clear();
    order_.push_back(Load(current));
    for (Lane& lane : lanes_) {
      if (&lane == &current) continue;
      TurnSource<direction>(lane.source, current);
      if (!Join<direction>(lane)) return;
    }
    DCHECK(order_.front().lane == &current);
  }

  template <Direction direction>
  static void TurnSource(Source& source, const Lane& current) {
    if (source.Valid()) {
      direction == kForward ? source.Next() : source.Prev();
    } else if (direction == kForward) {
      source.SeekToFirst();
    } else {
      source.SeekToLast();
    }
    if (!source.Valid()) return;
    // It stood further off where it was skipped on its own or has grown since.
    const InternalKeyView key = source.key();
    if (direction == kForward && key < current.key) source.Seek(current.key);
    if (direction == kBackward && key > current.key) source.SeekForPrev(current.key);
  }

  std::vector<Lane> lanes_;
  std::vector<Place> order_;  ///< Of those that have an entry; the first one's is the walk's.
  Direction direction_ = kForward;
  Status status_;
};

}  // namespace bedrock::engine
