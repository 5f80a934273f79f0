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
/// moves the first one and, while it stays before the second, costs that one comparison; else a
/// binary search finds its new place. LSM sources differ much in size, so the first mostly stays,
/// and for the few tens of sources that there are a sorted list takes no more comparisons than a
/// tree and always knows the runner-up. Each source's key is kept with its first 8 bytes as a
/// number, so comparisons ask no source and mostly look at no key. Nothing is allocated once all
/// sources are in.
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
    order_.front()->source.Next();
    Settle<kForward>();
  }
  void Prev() {
    DCHECK(Valid());
    if (direction_ != kBackward) [[unlikely]] {
      Turn<kBackward>();
      if (!Valid()) return;
    }
    order_.front()->source.Prev();
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
    order_.front()->source.Seek(target);
    Settle<kForward>();
  }
  void SkipFrontToEnd() {
    DCHECK(Valid() && direction_ == kForward);
    Source& source = order_.front()->source;
    source.SeekToLast();
    if (source.Valid()) source.Next();
    Settle<kForward>();
  }
  void SkipFrontBackTo(InternalKeyView target) {
    DCHECK(Valid() && direction_ == kBackward);
    order_.front()->source.SeekForPrev(target);
    Settle<kBackward>();
  }

  /// REQUIRES: Valid().
  const InternalKeyView& key() const { return order_.front()->key; }
  std::string_view value() const { return order_.front()->source.value(); }
  /// The number of the source that has the entry.
  std::size_t front() const { return static_cast<std::size_t>(order_.front() - lanes_.data()); }
  const Source& front_source() const { return order_.front()->source; }

  const Status& status() const { return status_; }

 private:
  enum Direction : std::uint8_t { kForward, kBackward };

  struct Lane {
    template <typename... Arguments>
    explicit Lane(std::in_place_t /*tag*/, Arguments&&... arguments)
        : source(std::forward<Arguments>(arguments)...) {}

    /// REQUIRES: source.Valid().
    void Load() {
      key = source.key();
      head = KeyHead(key.user_key);
    }

    Source source;
    InternalKeyView key;     ///< source.key(), while it stands in the list.
    std::uint64_t head = 0;  ///< KeyHead of it.
  };

  template <Direction direction>
  static bool Before(const Lane& a, const Lane& b) {
    return direction == kForward ? IsBefore(a.key, a.head, b.key, b.head)
                                 : IsBefore(b.key, b.head, a.key, a.head);
  }

  void Fail(Status status) {
    status_ = std::move(status);
    order_.clear();
  }

  /// The place of `lane` in the sorted list between `first` and its end.
  template <Direction direction>
  std::size_t PlaceOf(const Lane& lane, std::size_t first) const {
    std::size_t last = order_.size();
    while (first < last) {
      const std::size_t middle = first + (last - first) / 2;
      if (Before<direction>(*order_[middle], lane)) {
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
    lane.Load();
    const std::size_t place = PlaceOf<direction>(lane, 0);
    order_.insert(order_.begin() + static_cast<std::ptrdiff_t>(place), &lane);
    return true;
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
    Lane& lane = *order_.front();
    if (!lane.source.Valid()) [[unlikely]] {
      DropFront();
      return;
    }
    if (order_.size() == 1) {
      lane.key = lane.source.key();
      return;
    }
    lane.Load();
    if (!Before<direction>(*order_[1], lane)) return;
    const auto place = static_cast<std::ptrdiff_t>(PlaceOf<direction>(lane, 2));
    std::move(order_.begin() + 1, order_.begin() + place, order_.begin());
    order_[static_cast<std::size_t>(place) - 1] = &lane;
  }

  void DropFront() {
    Status status = order_.front()->source.status();
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
      Source& source = order_.front()->source;
      direction == kForward ? source.Seek(target) : source.SeekForPrev(target);
      Settle<direction>();
    }
  }

  /// Makes the walk go the other way from the entry that it stands on: all other sources stand on
  /// their neighbour of it on the old side, so one step brings each to that on the new side.
  template <Direction direction>
  void Turn() {
    Lane& current = *order_.front();
    current.Load();
    direction_ = direction;
    order_.clear();
    order_.push_back(&current);
    for (Lane& lane : lanes_) {
      if (&lane == &current) continue;
      TurnSource<direction>(lane.source, current);
      if (!Join<direction>(lane)) return;
    }
    DCHECK(order_.front() == &current);
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
  std::vector<Lane*> order_;  ///< Those that have an entry; the first one's is the walk's.
  Direction direction_ = kForward;
  Status status_;
};

}  // namespace bedrock::engine
