#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "common/base/ids.h"
#include "raftd/core/log_view.h"
#include "raftd/core/raft.h"

namespace bedrock::raft {

/// How far the state machine is, and what it was handed: committed entries leave in pages, within a
/// window of bytes that it has not reported as applied.
///
/// Invariant: durable_applied <= applied <= handed.
class ApplyCursor {
 public:
  /// The state machine holds everything up to `applied`.
  explicit ApplyCursor(LogIndex applied) : handed_(applied), applied_(applied) {}

  LogIndex applied() const { return applied_; }
  LogIndex durable_applied() const { return durable_applied_; }
  /// The state machine lacks entries that this log has dropped, so that it can't go on.
  bool Stuck(const LogView& log) const { return handed_ < log.prev_index(); }

  void Report(LogIndex applied, LogIndex durable_applied);
  /// The state machine has everything up to `applied` and nothing of what else it was handed.
  void Restart(LogIndex applied, LogIndex durable_applied);
  /// The next page of what is at or below `ready`; none where nothing is, or the window is full.
  std::optional<ApplyRange> Next(const LogView& log, LogIndex ready, const Limits& limits);

 private:
  struct Page {
    LogIndex last;
    std::size_t bytes;
  };

  LogIndex handed_;
  LogIndex applied_;
  LogIndex durable_applied_;
  std::deque<Page> pages_;  ///< Handed out and not applied yet.
  std::size_t bytes_ = 0;   ///< Of pages_.
};

}  // namespace bedrock::raft
