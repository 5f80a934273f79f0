#include "raftd/core/write_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/check.h"

namespace bedrock::raft {

void WriteQueue::LogChangedFrom(LogIndex index) {
  first_unwritten_ = log_changed_ ? std::min(first_unwritten_, index) : index;
  log_changed_ = true;
}

void WriteQueue::Reset(LogReset reset) {
  disk_last_ = reset.index;
  first_unwritten_ = reset.index.Next();
  log_changed_ = false;
  reset_ = std::move(reset);
}

std::optional<Write> WriteQueue::Take(const LogView& log, LogIndex commit_hint) {
  if (!pending()) return std::nullopt;
  Write write{.seq = next_,
              .vote = vote_,
              .reset_to = std::move(reset_),
              .cut_from = {},
              .entries = {},
              .commit_hint = commit_hint};
  if (log_changed_) {
    constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max() / 2;
    write.entries = log.Slice(first_unwritten_, log.last_index(), kAll, kAll);
    if (first_unwritten_ <= disk_last_) write.cut_from = first_unwritten_;
    disk_last_ = log.last_index();
  }
  reset_.reset();
  vote_.reset();
  log_changed_ = false;
  next_ = next_.Next();
  return write;
}

void WriteQueue::Complete(WriteSeq seq) {
  CHECK(completed_ <= seq && seq < next_);
  completed_ = seq;
}

}  // namespace bedrock::raft
