#include "storaged/engine/snapshot_iterator.h"

#include <utility>

#include "common/base/check.h"

namespace bedrock::engine {

namespace {

class SnapshotIterator final : public Iterator {
 public:
  SnapshotIterator(std::unique_ptr<InternalIterator> entries, SnapshotRange range)
      : entries_(std::move(entries)), range_(std::move(range)) {}

  bool Valid() const override { return valid_; }
  void SeekToFirst() override { Seek(range_.begin); }
  void Seek(std::string_view key) override {
    const std::string_view from = key < range_.begin ? std::string_view(range_.begin) : key;
    entries_->Seek(SeekKey(from, kVersionMax));
    FindVisible();
  }
  void Next() override {
    DCHECK(valid_);
    SkipKey();
    FindVisible();
  }
  std::string_view key() const override { return entries_->key().user_key; }
  std::string_view value() const override { return entries_->value(); }
  Version version() const override { return entries_->key().version(); }
  Status status() const override { return entries_->status(); }

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
    entries_->Seek({skipped_, Trailer::Last()});
  }

  /// Stands on the first visible entry from here on, if any. The current entry is the newest of its
  /// key.
  void FindVisible() {
    valid_ = false;
    while (InRange()) {
      skipped_ = entries_->key().user_key;
      for (int steps = 0; entries_->Valid() && entries_->key().user_key == skipped_ &&
                          entries_->key().version() > range_.at;
           ++steps) {
        if (steps < kStepsMax) {
          entries_->Next();
        } else {
          entries_->Seek(SeekKey(skipped_, range_.at));
        }
      }
      if (!entries_->Valid()) return;
      if (entries_->key().user_key != skipped_) continue;
      if (entries_->key().kind() == EntryKind::kPut) {
        valid_ = true;
        return;
      }
      SkipKey();
    }
  }

  std::unique_ptr<InternalIterator> entries_;
  SnapshotRange range_;
  std::string skipped_;
  bool valid_ = false;
};

class FailedIterator final : public Iterator {
 public:
  explicit FailedIterator(Status status) : status_(std::move(status)) {}
  bool Valid() const override { return false; }
  void SeekToFirst() override {}
  void Seek(std::string_view /*key*/) override {}
  void Next() override {}
  std::string_view key() const override { return {}; }
  std::string_view value() const override { return {}; }
  Version version() const override { return {}; }
  Status status() const override { return status_; }

 private:
  Status status_;
};

}  // namespace

std::unique_ptr<Iterator> NewSnapshotIterator(std::unique_ptr<InternalIterator> entries,
                                              SnapshotRange range) {
  return std::make_unique<SnapshotIterator>(std::move(entries), std::move(range));
}

std::unique_ptr<Iterator> NewFailedIterator(Status status) {
  return std::make_unique<FailedIterator>(std::move(status));
}

}  // namespace bedrock::engine
