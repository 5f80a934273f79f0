#include "storaged/engine/snapshot_iterator.h"

#include <optional>
#include <utility>

#include "common/base/check.h"

namespace bedrock {

class Iterator::Walk {
 public:
  Walk(std::unique_ptr<engine::InternalIterator> entries, engine::SnapshotRange range)
      : entries_(std::move(entries)), range_(std::move(range)) {}
  explicit Walk(Status status) : status_(std::move(status)) {}

  void Seek(Iterator& shown, std::string_view key) {
    shown.valid_ = false;
    if (entries_ == nullptr) return;
    const std::string_view from = key < range_.begin ? std::string_view(range_.begin) : key;
    entries_->Seek(engine::SeekKey(from, engine::kVersionMax));
    FindVisible(shown);
  }
  void Next(Iterator& shown) {
    DCHECK(shown.valid_);
    SkipKey();
    FindVisible(shown);
  }
  /// Stands on the last key below `bound`, or at it where `closed`; without one on the last.
  void SeekLast(Iterator& shown, const std::optional<std::string>& bound, bool closed) {
    std::optional<std::string> last;
    for (Seek(shown, {}); shown.valid_; Next(shown)) {
      if (bound && (shown.key_ > *bound || (shown.key_ == *bound && !closed))) break;
      last = shown.key_;
    }
    shown.valid_ = false;
    if (last && status().ok()) Seek(shown, *last);
  }
  Status status() const { return entries_ == nullptr ? status_ : entries_->status(); }

 private:
  /// Old versions of a key are stepped over one by one up to this many, then by a seek.
  static constexpr int kStepsMax = 8;

  bool InRange() const {
    return entries_->Valid() &&
           (range_.end.empty() || entries_->key().user_key < std::string_view(range_.end));
  }

  /// Moves behind all versions of the current key.
  void SkipKey() {
    skipped_ = entries_->key().user_key;
    for (int steps = 0; steps < kStepsMax; ++steps) {
      entries_->Next();
      if (!entries_->Valid() || entries_->key().user_key != skipped_) return;
    }
    entries_->Seek({skipped_, engine::Trailer::Last()});
  }

  /// Stands on the first visible entry from here on, if any. The current entry is the newest of its
  /// key.
  void FindVisible(Iterator& shown) {
    shown.valid_ = false;
    while (InRange()) {
      skipped_ = entries_->key().user_key;
      for (int steps = 0; entries_->Valid() && entries_->key().user_key == skipped_ &&
                          entries_->key().version() > range_.at;
           ++steps) {
        if (steps < kStepsMax) {
          entries_->Next();
        } else {
          entries_->Seek(engine::SeekKey(skipped_, range_.at));
        }
      }
      if (!entries_->Valid()) return;
      if (entries_->key().user_key != skipped_) continue;
      if (entries_->key().kind() == engine::EntryKind::kPut) {
        shown.key_ = entries_->key().user_key;
        shown.value_ = entries_->value();
        shown.version_ = entries_->key().version();
        shown.valid_ = true;
        return;
      }
      SkipKey();
    }
  }

  std::unique_ptr<engine::InternalIterator> entries_;
  engine::SnapshotRange range_;
  std::string skipped_;
  Status status_;
};

Iterator::Iterator(std::unique_ptr<Walk> walk) : walk_(std::move(walk)) {}
Iterator::~Iterator() = default;
void Iterator::SeekToFirst() { walk_->Seek(*this, {}); }
void Iterator::SeekToLast() { walk_->SeekLast(*this, std::nullopt, true); }
void Iterator::Seek(std::string_view key) { walk_->Seek(*this, key); }
void Iterator::SeekForPrev(std::string_view key) { walk_->SeekLast(*this, std::string(key), true); }
void Iterator::Next() { walk_->Next(*this); }
void Iterator::Prev() { walk_->SeekLast(*this, std::string(key_), false); }
Status Iterator::status() const { return walk_->status(); }

}  // namespace bedrock

namespace bedrock::engine {

std::unique_ptr<Iterator> NewSnapshotIterator(std::unique_ptr<InternalIterator> entries,
                                              SnapshotRange range) {
  return std::make_unique<Iterator>(
      std::make_unique<Iterator::Walk>(std::move(entries), std::move(range)));
}

std::unique_ptr<Iterator> NewFailedIterator(Status status) {
  return std::make_unique<Iterator>(std::make_unique<Iterator::Walk>(std::move(status)));
}

}  // namespace bedrock::engine
