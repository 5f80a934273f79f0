#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/storage_messages.h"
#include "storaged/core/state_machine.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

/// Entries that wait for the engine. What does not fit is dropped: raftd sends it again from the
/// applied index that it is told.
inline constexpr std::size_t kPendingEntriesMax = 65'536;
inline constexpr std::size_t kPendingBytesMax = 64 * kMiB;  ///< Of their payloads.
/// One Run applies no more, so that reads and answers are not kept waiting.
inline constexpr std::size_t kEntriesPerRunMax = 4'096;
inline constexpr std::size_t kBytesPerRunMax = 4 * kMiB;
/// What is applied but not durable is flushed beyond these, also where the memtable has room: the
/// Raft log can't be trimmed above it, and a restart replays it.
inline constexpr std::uint64_t kUnflushedBytesMax = 64 * kMiB;
inline constexpr std::uint64_t kUnflushedMsMax = 600'000;

/// Takes batches of committed entries from raftd, applies them in order, and starts flushes.
///
///              Accept                    Run
///   kIdle ───────────────► kMore ─────────────────► kIdle, or kMore at the bounds of one run
///                            │  ▲
///          the engine is busy│  │Unblock: the engine has made progress, or time has passed
///                            ▼  │
///                         kBlocked
///   Any other error of the engine: kHalted, for good; the entry is not applied, nor any after it.
///
/// Time comes in as milliseconds of a monotonic clock. One thread, the engine's owner thread.
/// Borrows state machine and engine.
class Applier {
 public:
  enum class State : std::uint8_t { kIdle, kMore, kBlocked, kHalted };
  /// A result and who waits for it; `to.router` is never empty.
  struct Reply {
    proto::ReplyTo to;
    proto::CommandResult result;
  };

  Applier(engine::Engine& engine, StateMachine& machine) : engine_(engine), machine_(machine) {}

  /// Takes the entries that follow what is applied and pending: those before are skipped, those
  /// after a gap and those beyond the bounds dropped.
  void Accept(proto::Apply batch);
  /// Applies what is pending and appends the replies, then starts a flush where one is due.
  void Run(std::uint64_t now_ms, std::vector<Reply>& replies);
  /// The engine may take more: tries again with the next Run.
  void Unblock();
  /// Starts to make durable what is applied, though nothing else asks for it yet.
  void Flush() { StartFlush(); }
  /// Forgets what is pending and takes no more; flushes what is applied and not durable yet.
  void Stop();

  State state() const;
  /// kBlocked, kHalted: why.
  const Status& fault() const { return fault_; }
  std::size_t pending() const { return pending_.size(); }

 private:
  bool ApplyFront(std::vector<Reply>& replies);
  void CountUnflushed(const raft::Entry& entry, std::uint64_t now_ms);
  bool FlushIsDue(std::uint64_t now_ms) const;
  void StartFlush();
  void FlushRest();

  engine::Engine& engine_;
  StateMachine& machine_;
  std::deque<proto::Apply::Item> pending_;  // contiguous, the first is applied().Next()
  std::size_t pending_bytes_ = 0;
  Status fault_;
  bool halted_ = false;
  bool stopped_ = false;
  // Since the last flush began.
  std::uint64_t unflushed_bytes_ = 0;
  std::optional<std::uint64_t> unflushed_since_ms_;
  LogIndex flush_begun_at_;
};

}  // namespace bedrock::storage
