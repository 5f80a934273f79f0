#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "common/env/environment.h"
#include "storaged/engine/engine.h"
#include "storaged/engine/error_state.h"
#include "storaged/engine/lane.h"
#include "storaged/engine/live_state.h"
#include "storaged/engine/read/reader_link.h"
#include "storaged/engine/snapshot_registry.h"
#include "storaged/engine/version_set.h"
#include "storaged/engine/write_throttle.h"

namespace bedrock::engine {

/// Counts since the open. Any thread.
struct JobCounters {
  std::atomic<std::uint64_t> flushes{0};
  std::atomic<std::uint64_t> compactions{0};
  std::atomic<std::uint64_t> moves{0};
  std::array<std::atomic<std::uint64_t>, kLevelsMax> written_bytes{};
  std::array<std::atomic<std::uint64_t>, kLevelsMax> read_bytes{};
};

/// What the jobs of the background work on and with. Borrows all of it.
struct JobContext {
  const Environment& environment;
  const EngineOptions& options;
  VersionSet& versions;
  LiveState& live;
  ErrorState& errors;
  SnapshotRegistry& snapshots;
  WriteThrottle& throttle;
  JobCounters& counters;
  const ReaderLink& readers;
  const std::atomic<std::uint64_t>& watermark;  ///< As it was set; may be above all there is.
  /// Wakes every lane: a commit has ended.
  std::function<void()> wake_all;
  /// Tells the embedder.
  std::function<void()> notify;

  /// Raised when space was given back: who pauses for want of it need not wait any longer.
  std::atomic<std::uint64_t> room{0};

  std::uint64_t now_ms() const { return environment.clock->MonotonicMs(); }
  std::uint64_t now_us() const { return environment.clock->MonotonicUs(); }
  /// What a job that begins now, with versions up to `mark` in hand, has to keep. A watermark above
  /// what becomes durable could hide versions that a replay still has to read.
  SnapshotRegistry::Kept Keep(Version mark) const {
    return snapshots.Look([&] { return std::min(Version(watermark.load()), mark); });
  }
  /// Commits as VersionSet does, gives the turn back, and wakes who waited for it. REQUIRES: the
  /// turn.
  VersionSet::Result Commit(VersionEdit edit,
                            const std::function<void(const VersionSet::Current&)>& install) const {
    VersionSet::Result committed = versions.Commit(std::move(edit), install);
    versions.GiveTurn();
    wake_all();
    return committed;
  }
  /// Nothing is left of what `job` failed at: it was done, by whomever, or is not wanted any more.
  void Well(ErrorState::Job job) const {
    if (errors.Well(job)) notify();
  }
  /// Nothing can be made durable any more.
  Lane::Next Fail(const Status& why) const {
    errors.Fail(why);
    notify();
    return Lane::Idle();
  }
};

/// The pause of a job that failed: doubled with each failure in a row. One thread at a time.
class Pause {
 public:
  void Begin(std::uint64_t now_ms) {
    until_ms_ = now_ms + std::min(kMsMin << std::min(failures_, 16u), kMsMax);
    ++failures_;
  }
  void Reset() {
    until_ms_ = 0;
    failures_ = 0;
  }
  /// 0: it is over, or `room` has been raised since it was last asked for.
  std::uint64_t LeftMs(std::uint64_t now_ms, std::uint64_t room) {
    if (room != std::exchange(room_, room)) until_ms_ = 0;
    return until_ms_ > now_ms ? until_ms_ - now_ms : 0;
  }
  unsigned failures() const { return failures_; }

 private:
  static constexpr std::uint64_t kMsMin = 100;
  static constexpr std::uint64_t kMsMax = 10'000;

  std::uint64_t until_ms_ = 0;
  unsigned failures_ = 0;
  std::uint64_t room_ = 0;
};

/// Failed writes of outputs in a row, none for want of space, after which tables count as
/// unwritable.
inline constexpr unsigned kOutputFailuresMax = 8;

}  // namespace bedrock::engine
