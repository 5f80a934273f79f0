#pragma once

#include <optional>

#include "common/base/ids.h"
#include "raftd/core/log_view.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

/// What has to reach the disk, gathered into one Write a Poll, strictly in order (R3). Hands out
/// the number of the write that will carry a change before the write is made, so that messages can
/// wait for it.
///
/// The vote goes first in a write, then the reset, the cut and the entries: a term is never on disk
/// after the first entry of it.
class WriteQueue {
 public:
  /// `disk_last`: the last index on disk, damaged entries included.
  explicit WriteQueue(LogIndex disk_last)
      : disk_last_(disk_last), first_unwritten_(disk_last.Next()) {}

  /// The write that carries whatever is asked for now.
  WriteSeq next() const { return next_; }
  /// The write after which everything asked for so far is durable; 0: nothing ever was.
  WriteSeq covering() const { return pending() ? next_ : WriteSeq(next_.value() - 1); }
  /// Everything up to here is durable.
  WriteSeq completed() const { return completed_; }

  void SetVote(const Vote& vote) { vote_ = vote; }
  /// The log has new content from `index` on.
  void LogChangedFrom(LogIndex index);
  /// The log is empty behind `reset`, whatever was asked for before.
  void Reset(LogReset reset);
  /// The write that is due, if any: taken once.
  std::optional<Write> Take(const LogView& log, LogIndex commit_hint);
  /// REQUIRES: completed <= seq, and seq was taken.
  void Complete(WriteSeq seq);

 private:
  bool pending() const { return vote_.has_value() || reset_.has_value() || log_changed_; }

  WriteSeq next_ = WriteSeq(1);
  WriteSeq completed_;
  std::optional<Vote> vote_;
  std::optional<LogReset> reset_;
  bool log_changed_ = false;
  LogIndex disk_last_;
  LogIndex first_unwritten_;
};

}  // namespace bedrock::raft
