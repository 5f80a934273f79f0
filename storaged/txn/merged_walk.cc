#include "storaged/txn/merged_walk.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "storaged/engine/read/iterator.h"
#include "storaged/txn/key_range.h"

namespace bedrock::txn {
namespace {

/// Two cursors, one over the committed state without what own writes hide, one over own puts: no
/// key stands in both, and the walk is on the one that comes first in its direction.
class MergedWalk final : public engine::CustomWalk {
 public:
  explicit MergedWalk(MergedWalkParts parts)
      : base_(std::move(parts.base)),
        writes_(std::move(parts.writes)),
        recorder_(std::move(parts.recorder)),
        begin_(parts.bounds.begin),
        end_(parts.bounds.end),
        own_(writes_->index().end()) {}

  bool Valid() const override { return valid_; }
  void SeekToFirst() override { Seek(begin_); }
  void SeekToLast() override {
    Position(Direction::kBackward);
    base_->SeekToLast();
    own_ = end_.empty() ? writes_->index().end() : writes_->index().lower_bound(end_);
    StepOwnBack();
    Settle();
    Record(valid_ ? Shown() : begin_, end_, Reach::kOpen);
  }
  void Seek(std::string_view key) override {
    const std::string from(std::max<std::string_view>(key, begin_));
    Position(Direction::kForward);
    if (!end_.empty() && from >= end_) return;
    SeekForward(from);
    Settle();
    Record(from, valid_ ? Shown() : end_, valid_ ? Reach::kClosed : Reach::kOpen);
  }
  void SeekForPrev(std::string_view key) override {
    if (!end_.empty() && key >= end_) return SeekToLast();
    const std::string from(key);
    Position(Direction::kBackward);
    if (from < begin_) return;
    base_->SeekForPrev(from);
    own_ = writes_->index().upper_bound(from);
    StepOwnBack();
    Settle();
    Record(valid_ ? Shown() : begin_, from, Reach::kClosed);
  }
  void Next() override {
    const std::string from(Shown());
    if (direction_ != Direction::kForward) {
      direction_ = Direction::kForward;
      SeekForward(from);  // neither stands on the other's key
      on_own_ = own_ != writes_->index().end() && own_->first == from;
    }
    if (on_own_) {
      ++own_;
    } else {
      base_->Next();
    }
    Settle();
    Record(from, valid_ ? Shown() : end_, valid_ ? Reach::kClosed : Reach::kOpen);
  }
  void Prev() override {
    const std::string from(Shown());
    if (direction_ != Direction::kBackward) {
      direction_ = Direction::kBackward;
      base_->SeekForPrev(from);
      own_ = writes_->index().upper_bound(from);
      StepOwnBack();
      on_own_ = own_ != writes_->index().end() && own_->first == from;
    }
    if (on_own_) {
      StepOwnBack();
    } else {
      base_->Prev();
    }
    Settle();
    Record(valid_ ? Shown() : begin_, from, Reach::kClosed);
  }

  std::string_view key() const override { return Shown(); }
  std::string_view value() const override {
    return on_own_ ? writes_->value(own_->second) : base_->value();
  }
  Version version() const override { return on_own_ ? Version() : base_->version(); }
  Status status() const override { return status_.ok() ? base_->status() : status_; }

 private:
  enum class Direction { kForward, kBackward };
  enum class Reach { kOpen, kClosed };  ///< Whether an end belongs to what was read.

  std::string_view Shown() const { return on_own_ ? std::string_view(own_->first) : base_->key(); }

  void Position(Direction direction) {
    valid_ = false;
    direction_ = direction;
  }
  void SeekForward(std::string_view from) {
    base_->Seek(from);
    own_ = writes_->index().lower_bound(from);
  }
  /// To the own write before; the end stands for none, on both sides.
  void StepOwnBack() {
    own_ = own_ == writes_->index().begin() ? writes_->index().end() : std::prev(own_);
  }

  /// Moves both on to what they may show, and chooses.
  void Settle() {
    if (direction_ == Direction::kForward) {
      SkipHiddenForward();
      while (HasOwn() && own_->second.deleted) ++own_;
    } else {
      SkipHiddenBackward();
      while (HasOwn() && own_->second.deleted) StepOwnBack();
    }
    // A broken base ends the walk: own writes alone would be a wrong answer.
    valid_ = status_.ok() && (base_->Valid() || (HasOwn() && base_->status().ok()));
    if (!valid_) return;
    if (!HasOwn() || !base_->Valid()) {
      on_own_ = HasOwn();
    } else {
      on_own_ = direction_ == Direction::kForward ? own_->first < base_->key()
                                                  : own_->first > base_->key();
    }
  }
  bool HasOwn() const {
    return own_ != writes_->index().end() && IsWithin(own_->first, begin_, end_);
  }

  void SkipHiddenForward() {
    std::string_view begin;
    std::string_view end;
    while (base_->Valid()) {
      if (writes_->IsInDeletedRange(base_->key(), &begin, &end)) {
        if (end.empty()) {
          base_->SeekToLast();
          if (base_->Valid()) base_->Next();
        } else {
          base_->Seek(end);
        }
      } else if (writes_->index().contains(base_->key())) {
        base_->Next();
      } else {
        return;
      }
    }
  }
  void SkipHiddenBackward() {
    std::string_view begin;
    std::string_view end;
    while (base_->Valid()) {
      if (writes_->IsInDeletedRange(base_->key(), &begin, &end)) {
        base_->SeekForPrev(begin);
        if (base_->Valid() && base_->key() == begin) base_->Prev();
      } else if (writes_->index().contains(base_->key())) {
        base_->Prev();
      } else {
        return;
      }
    }
  }

  /// Tells the recorder of [from, to), or of [from, to] where the end is closed.
  void Record(std::string_view from, std::string_view to, Reach reach) {
    if (recorder_ == nullptr || !status_.ok()) return;
    std::string end(to);
    if (reach == Reach::kClosed) end += '\0';  // the first key behind it
    status_ = recorder_->Record(from, end);
    if (!status_.ok()) valid_ = false;
  }

  const std::unique_ptr<Iterator> base_;
  const std::shared_ptr<const OwnWrites> writes_;
  const std::unique_ptr<WalkRecorder> recorder_;
  const std::string begin_;
  const std::string end_;

  OwnWrites::Index::const_iterator own_;
  Direction direction_ = Direction::kForward;
  bool valid_ = false;
  bool on_own_ = false;
  Status status_;
};

}  // namespace

std::unique_ptr<Iterator> NewMergedIterator(MergedWalkParts parts) {
  return engine::NewIterator(std::make_unique<MergedWalk>(std::move(parts)));
}

}  // namespace bedrock::txn
