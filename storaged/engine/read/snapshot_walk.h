#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bedrock/options.h"
#include "bedrock/status.h"
#include "common/base/check.h"
#include "common/base/ids.h"
#include "storaged/engine/blob/value_resolver.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/keys/range_tombstones.h"
#include "storaged/engine/read/key_buffer.h"
#include "storaged/engine/read/key_compare.h"
#include "storaged/engine/read/merging_cursor.h"
#include "storaged/engine/read/tombstone_window.h"

namespace bedrock::engine {

/// A cursor that also says whether value() stays readable through the next Prev().
template <typename C>
concept WalkCursor = EntryCursor<C> && requires(const C fixed) {
  { fixed.ValueStays() } -> std::same_as<bool>;
};

/// Walks keys, in both directions, over the state at one version: of each key in the bounds the
/// newest entry at or below it, what is deleted left out. What stands behind bedrock::Iterator.
///
/// Forward, the merge stands on the entry that is shown, and its versions that are left are skipped
/// when the walk goes on. Backward, a key's oldest version comes first, so the merge stands before
/// all entries of the key that is shown, and key and value are kept from when it went by: the key
/// as a copy, the value where it lies unless the source can't keep it there.
///
/// Old versions and what range tombstones cover is stepped over, and where it gets long jumped over
/// by a seek. Bounds are looked at first: nothing outside of them is walked over. One thread at a
/// time.
template <WalkCursor Source>
class SnapshotWalk {
 public:
  /// `bounds` are copied; `resolver` is borrowed, and may be null where no entry is a kBlobPut.
  SnapshotWalk(Version at, Range bounds, const ValueResolver* resolver,
               VerifyChecksums verify = VerifyChecksums::kYes)
      : at_(at), begin_(bounds.begin), end_(bounds.end), resolver_(resolver), verify_(verify) {}

  /// Filled before the walk is positioned, newest source first: of a key all that a source has is
  /// above all that those behind it have.
  MergingCursor<Source>& sources() { return merge_; }
  /// In the order of their sources. REQUIRES: they are not empty.
  void AddTombstones(std::size_t source, std::shared_ptr<const FragmentedTombstones> tombstones) {
    DCHECK(windows_.empty() || windows_.back().source() <= source);
    windows_.emplace_back(source, std::move(tombstones), at_);
  }

  bool Valid() const { return valid_; }

  // `key` may be a view of key() or value().
  void SeekToFirst() { Seek(begin_); }
  void SeekToLast() {
    if (!Begin(Direction::kBackward)) return;
    if (end_.empty()) {
      merge_.SeekToLast();
    } else {
      merge_.SeekForPrev(BeforeAll(end_));
    }
    FindBackward();
  }
  void Seek(std::string_view key) {
    if (!Begin(Direction::kForward)) return;
    if (key < begin_) key = begin_;
    if (!IsBeforeEnd(key, end_)) return;
    target_.Assign(key);
    merge_.Seek(SeekKey(target_.view(), at_));
    FindForward();
  }
  void SeekForPrev(std::string_view key) {
    if (!Begin(Direction::kBackward)) return;
    if (key < begin_) return;
    if (!IsBeforeEnd(key, end_)) {
      SeekToLast();
      return;
    }
    target_.Assign(key);
    merge_.SeekForPrev(BehindAll(target_.view()));
    FindBackward();
  }

  /// REQUIRES: Valid().
  void Next() {
    DCHECK(valid_);
    if (direction_ == Direction::kForward) [[likely]] {
      key_.Assign(merge_.key().user_key);
      SkipKey();
    } else {
      direction_ = Direction::kForward;
      TurnForward();
    }
    FindForward();
  }
  void Prev() {
    DCHECK(valid_);
    if (direction_ == Direction::kForward) [[unlikely]] {
      direction_ = Direction::kBackward;
      TurnBackward();
    }
    FindBackward();
  }

  /// REQUIRES: Valid().
  std::string_view key() const {
    return direction_ == Direction::kForward ? merge_.key().user_key : key_.view();
  }
  std::string_view value() const { return value_; }
  Version version() const { return version_; }

  const Status& status() const { return status_.ok() ? merge_.status() : status_; }
  /// Ends the walk for ever.
  void Fail(Status status) {
    valid_ = false;
    if (status_.ok()) status_ = std::move(status);
  }

 private:
  enum class Direction : std::uint8_t { kForward, kBackward };

  /// What is skipped is stepped over up to this many entries, then jumped over: about what a seek
  /// costs in steps.
  static constexpr int kStepsMax = 8;

  static InternalKeyView BeforeAll(std::string_view key) {
    return {key, Trailer::SeekTo(kVersionMax)};
  }
  static InternalKeyView BehindAll(std::string_view key) { return {key, Trailer::Last()}; }

  /// Whether there may be a walk.
  bool Begin(Direction direction) {
    valid_ = false;
    direction_ = direction;
    return status().ok();
  }

  bool InBounds(std::string_view key) const {
    return direction_ == Direction::kForward ? end_.empty() || key < end_
                                             : begin_.empty() || key >= begin_;
  }

  // ---- Forward

  /// From an entry of key_ moves behind all versions of it.
  void SkipKey() {
    for (int steps = 0; steps < kStepsMax; ++steps) {
      merge_.Next();
      if (!merge_.Valid() || !SameKey(merge_.key().user_key, key_.view())) return;
    }
    merge_.SkipTo(BehindAll(key_.view()));
  }

  /// From a version of a key above at_ moves to the newest below, or behind all.
  void SkipNewer() {
    key_.Assign(merge_.key().user_key);
    for (int steps = 0; steps < kStepsMax; ++steps) {
      merge_.Next();
      if (!merge_.Valid() || merge_.key().version() <= at_ ||
          !SameKey(merge_.key().user_key, key_.view())) {
        return;
      }
    }
    merge_.SkipTo(SeekKey(key_.view(), at_));
  }

  /// Stands on the first visible entry from here on, if there is one. The current entry is the
  /// newest of its key that may be shown, or above at_.
  void FindForward() {
    valid_ = false;
    covered_ = 0;
    while (merge_.Valid()) {
      const InternalKeyView& entry = merge_.key();
      if (!InBounds(entry.user_key)) return;
      if (entry.version() > at_) {
        SkipNewer();
      } else if (!windows_.empty() && SkipCovered()) {
        continue;
      } else if (entry.kind() == EntryKind::kDelete) {
        key_.Assign(entry.user_key);
        SkipKey();
      } else {
        Show(entry.trailer, merge_.value());
        return;
      }
    }
  }

  /// From before the entries of key_, which is shown, moves behind them.
  void TurnForward() {
    if (!merge_.Valid()) {
      merge_.Seek(BehindAll(key_.view()));
      return;
    }
    for (int steps = 0; steps < kStepsMax; ++steps) {
      merge_.Next();
      if (!merge_.Valid() || merge_.key().user_key > key_.view()) return;
    }
    merge_.SkipTo(BehindAll(key_.view()));
  }

  // ---- Backward

  /// Moves before all versions of key_.
  void SkipKeyBackward() {
    for (int steps = 0; steps < kStepsMax; ++steps) {
      merge_.Prev();
      if (!merge_.Valid() || merge_.key().user_key < key_.view()) return;
    }
    merge_.SkipBackTo(BeforeAll(key_.view()));
  }

  void TurnBackward() {
    key_.Assign(merge_.key().user_key);
    SkipKeyBackward();
  }

  /// Stands on the last visible key from here back, if there is one. The current entry is the
  /// oldest of its key.
  void FindBackward() {
    valid_ = false;
    covered_ = 0;
    while (merge_.Valid()) {
      if (!InBounds(merge_.key().user_key)) return;
      if (!windows_.empty() && SkipCovered()) continue;
      key_.Assign(merge_.key().user_key);
      const Trailer newest = TakeNewest();
      if (!merge_.status().ok()) return;
      if (newest.packed() == 0 || newest.kind() == EntryKind::kDelete) continue;
      Show(newest, kept_);
      return;
    }
  }

  /// Goes by all versions of key_, oldest first. The newest at or below at_, its value in kept_;
  /// Last() where there is none.
  Trailer TakeNewest() {
    Trailer newest = Trailer::Last();
    for (int steps = 0; steps < kStepsMax; ++steps) {
      const InternalKeyView& entry = merge_.key();
      if (entry.version() > at_) {
        // Which moves sources by more than the one step that the value is good for.
        if (newest.packed() != 0) Keep();
        SkipKeyBackward();
        return newest;
      }
      newest = entry.trailer;
      kept_ = merge_.value();
      if (!merge_.front_source().ValueStays()) Keep();
      merge_.Prev();
      if (!merge_.Valid() || !SameKey(merge_.key().user_key, key_.view())) return newest;
    }
    return JumpToNewest();
  }

  /// As TakeNewest, for a key of many versions.
  Trailer JumpToNewest() {
    merge_.Seek(SeekKey(key_.view(), at_));
    // The entry that a backward step just came by is there, or one that is newer.
    if (!merge_.Valid()) return Trailer::Last();
    const Trailer newest = merge_.key().trailer;
    kept_ = merge_.value();
    Keep();
    merge_.SeekForPrev(BeforeAll(key_.view()));
    return newest;
  }

  void Keep() {
    if (kept_.data() == copy_.data()) return;
    copy_.assign(kept_);
    kept_ = copy_;
  }

  // ---- Both

  /// Where a range tombstone hides the current entry: moves off it. The source alone may jump out
  /// of the range: where it is older than the tombstone's, all that it has there is hidden.
  bool SkipCovered() {
    const InternalKeyView& entry = merge_.key();
    const std::size_t front = merge_.front();
    const TombstoneWindow* covering = nullptr;
    for (TombstoneWindow& window : windows_) {
      if (window.source() > front) break;
      if (window.MoveTo(entry.user_key) > entry.version()) {
        covering = &window;
        break;
      }
    }
    if (covering == nullptr) return false;
    if (++covered_ > kStepsMax && covering->source() < front) {
      JumpOutOf(*covering);
    } else {
      direction_ == Direction::kForward ? merge_.Next() : merge_.Prev();
    }
    return true;
  }

  void JumpOutOf(const TombstoneWindow& window) {
    if (direction_ == Direction::kBackward) {
      merge_.SkipFrontBackTo(BeforeAll(window.begin()));
      return;
    }
    const std::string_view end = EndsBefore(window.end(), end_) ? window.end() : end_;
    if (end.empty()) {
      merge_.SkipFrontToEnd();
    } else {
      merge_.SkipFrontTo(BeforeAll(end));
    }
  }

  /// What `value` is a view of lasts until the walk moves.
  void Show(Trailer trailer, std::string_view value) {
    if (trailer.kind() == EntryKind::kPut) [[likely]] {
      value_ = value;
    } else if (trailer.kind() == EntryKind::kBlobPut && resolver_ != nullptr) {
      auto read = resolver_->Read(value, verify_);
      if (!read.ok()) {
        Fail(std::move(read).status());
        return;
      }
      resolved_ = std::move(read->pin);
      value_ = read->value;
    } else {
      Fail(Status::Corruption("entry of an unknown kind"));
      return;
    }
    version_ = trailer.version();
    valid_ = true;
  }

  const Version at_;
  const std::string begin_;
  const std::string end_;
  const ValueResolver* const resolver_;
  const VerifyChecksums verify_;
  MergingCursor<Source> merge_;
  std::vector<TombstoneWindow> windows_;
  bool valid_ = false;
  Direction direction_ = Direction::kForward;
  int covered_ = 0;  ///< Entries under range tombstones since the last that was shown.
  std::string_view value_;
  Version version_;
  KeyBuffer target_;       ///< Of a seek, which may come as a view of what the walk stands on.
  KeyBuffer key_;          ///< Backward: of what is shown. Else: what is being skipped.
  std::string_view kept_;  ///< Backward: the value of the newest version so far.
  std::string copy_;       ///< Of kept_, where the source can't keep it.
  BlockPin resolved_;      ///< A blob's bytes.
  Status status_;
};

}  // namespace bedrock::engine
