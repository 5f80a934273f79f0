#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "raftd/core/types.h"

namespace bedrock::raft {

/// Whether the disk keeps up (R77): it has stalled where a write has waited for longer than
/// `limit_ms`, or, as a writer that blocks its caller can only say afterwards, where one took that
/// long. It is well again when a later write was done in time.
///
/// A pure value; one thread. Times are any monotonic milliseconds.
class DiskWatch {
 public:
  explicit DiskWatch(std::uint64_t limit_ms) : limit_ms_(limit_ms) {}

  void Submitted(WriteSeq seq, std::uint64_t now_ms) { waiting_.emplace_back(seq, now_ms); }

  /// Writes up to `seq` are durable.
  void Durable(WriteSeq seq, std::uint64_t now_ms) {
    bool any = false;
    std::uint64_t longest_ms = 0;
    while (!waiting_.empty() && waiting_.front().first <= seq) {
      if (!any) longest_ms = now_ms - waiting_.front().second;
      any = true;
      waiting_.pop_front();
    }
    if (any) slow_ = longest_ms >= limit_ms_;
  }

  /// A write that proves nothing but that the disk works (RaftLog::SyncIdle) took this long.
  void Probed(std::uint64_t took_ms) { slow_ = took_ms >= limit_ms_; }

  /// The last write was slow: only one more can show that the disk is well.
  bool slow() const { return slow_; }
  bool Stalled(std::uint64_t now_ms) const {
    return slow_ || (!waiting_.empty() && now_ms - waiting_.front().second >= limit_ms_);
  }

 private:
  std::uint64_t limit_ms_;
  std::deque<std::pair<WriteSeq, std::uint64_t>> waiting_;  // with the time of submission
  bool slow_ = false;
};

}  // namespace bedrock::raft
