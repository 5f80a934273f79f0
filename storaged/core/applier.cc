#include "storaged/core/applier.h"

#include <utility>

namespace bedrock::storage {
namespace {

// What an entry takes in the Raft log beside its payload, roughly.
constexpr std::uint64_t kEntryOverheadBytes = 64;

bool WaitsForRoom(const Status& status) { return status.IsBusy() || status.IsNoSpace(); }

}  // namespace

void Applier::Accept(proto::Apply batch) {
  if (stopped_ || halted_) return;
  for (auto& item : batch.items) {
    const LogIndex expected =
        pending_.empty() ? machine_.applied().Next() : pending_.back().entry.index.Next();
    if (item.entry.index < expected) continue;
    if (item.entry.index > expected || pending_.size() >= kPendingEntriesMax) return;
    const std::size_t bytes = item.entry.payload.size();
    if (!pending_.empty() && pending_bytes_ + bytes > kPendingBytesMax) return;
    pending_bytes_ += bytes;
    pending_.push_back(std::move(item));
  }
}

void Applier::Run(std::uint64_t now_ms, std::vector<Reply>& replies) {
  // Also where nothing could be applied: the engine may be busy until its memtable is frozen, and
  // have had no room for it when it last became full.
  if (engine_.WantsFlush()) StartFlush();
  std::size_t bytes = 0;
  for (std::size_t n = 0; n < kEntriesPerRunMax && bytes < kBytesPerRunMax; ++n) {
    if (state() != State::kMore) break;
    bytes += pending_.front().entry.payload.size();
    if (!ApplyFront(replies)) break;
    CountUnflushed(pending_.front().entry, now_ms);
    pending_bytes_ -= pending_.front().entry.payload.size();
    pending_.pop_front();
    // Asked after each entry: a run may fill more than one memtable.
    if (engine_.WantsFlush()) StartFlush();
  }
  if (FlushIsDue(now_ms)) StartFlush();
}

bool Applier::ApplyFront(std::vector<Reply>& replies) {
  auto& item = pending_.front();
  auto result = machine_.Apply(item.entry);
  if (!result.ok()) {
    fault_ = std::move(result).status();
    halted_ = !WaitsForRoom(fault_);
    return false;
  }
  const bool answered = item.entry.kind == raft::EntryKind::kCommand;
  if (answered && !item.reply_to.router.empty()) {
    replies.push_back({.to = std::move(item.reply_to), .result = std::move(*result)});
  }
  return true;
}

void Applier::CountUnflushed(const raft::Entry& entry, std::uint64_t now_ms) {
  unflushed_bytes_ += entry.payload.size() + kEntryOverheadBytes;
  if (!unflushed_since_ms_) unflushed_since_ms_ = now_ms;
}

bool Applier::FlushIsDue(std::uint64_t now_ms) const {
  // One at a time: on a full disk these would pile up as ever more small memtables. With none
  // under way the engine has room for it.
  if (!unflushed_since_ms_ || engine_.durable_applied().index < flush_begun_at_) return false;
  return unflushed_bytes_ >= kUnflushedBytesMax || now_ms - *unflushed_since_ms_ >= kUnflushedMsMax;
}

void Applier::StartFlush() {
  machine_.StartFlush();
  flush_begun_at_ = machine_.applied();
  unflushed_bytes_ = 0;
  unflushed_since_ms_.reset();
}

void Applier::Unblock() {
  if (!halted_) fault_ = Status::Ok();
  if (stopped_) FlushRest();
}

void Applier::Stop() {
  if (stopped_) return;
  stopped_ = true;
  pending_.clear();
  pending_bytes_ = 0;
  FlushRest();
}

void Applier::FlushRest() {
  // Harmless where it is under way; asked again with each progress, since the engine takes no more
  // while too many memtables wait.
  if (engine_.durable_applied().index < machine_.applied()) StartFlush();
}

Applier::State Applier::state() const {
  if (halted_) return State::kHalted;
  if (!fault_.ok()) return State::kBlocked;
  return pending_.empty() ? State::kIdle : State::kMore;
}

}  // namespace bedrock::storage
