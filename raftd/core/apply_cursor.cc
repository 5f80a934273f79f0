#include "raftd/core/apply_cursor.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace bedrock::raft {

void ApplyCursor::Report(LogIndex applied, LogIndex durable_applied) {
  applied_ = std::max(applied_, applied);
  durable_applied_ = std::max(durable_applied_, std::min(durable_applied, applied_));
  handed_ = std::max(handed_, applied_);
  while (!pages_.empty() && pages_.front().last <= applied_) {
    bytes_ -= pages_.front().bytes;
    pages_.pop_front();
  }
}

void ApplyCursor::Restart(LogIndex applied, LogIndex durable_applied) {
  CHECK(durable_applied <= applied);
  handed_ = applied_ = applied;
  durable_applied_ = durable_applied;
  pages_.clear();
  bytes_ = 0;
}

std::optional<ApplyRange> ApplyCursor::Next(const LogView& log, LogIndex ready,
                                            const Limits& limits) {
  if (ready <= handed_ || bytes_ >= limits.apply_window_bytes_max) return std::nullopt;
  // A state machine that lost what was compacted since can't be replayed from this log.
  if (Stuck(log)) return std::nullopt;
  ApplyRange range{.first = handed_.Next(), .last = {}, .entries = {}};
  // Of unknown size where it comes from the disk: then a page counts as a full one.
  std::size_t bytes = limits.apply_bytes_max;
  if (range.first < log.cache_first()) {
    range.last = std::min(
        {ready, log.cache_first().Prev(), handed_ + std::uint64_t{limits.append_entries_max}});
  } else {
    bytes = log.BytesAfter(handed_);
    range.entries =
        log.Slice(range.first, ready, limits.apply_bytes_max, limits.append_entries_max);
    range.last = range.entries.back().index;
    bytes -= log.BytesAfter(range.last);
  }
  pages_.push_back({range.last, bytes});
  bytes_ += bytes;
  handed_ = range.last;
  return range;
}

}  // namespace bedrock::raft
