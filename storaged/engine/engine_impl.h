#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/striped_counter.h"
#include "common/base/thread_annotations.h"
#include "storaged/engine/applied_cell.h"
#include "storaged/engine/caretaker.h"
#include "storaged/engine/compactor.h"
#include "storaged/engine/engine.h"
#include "storaged/engine/flusher.h"
#include "storaged/engine/gate.h"
#include "storaged/engine/job_context.h"
#include "storaged/engine/lane.h"
#include "storaged/engine/read/reader_link.h"
#include "storaged/engine/recovery.h"

namespace bedrock::engine {

/// The engine: puts memtables, tables, the MANIFEST and the background together.
///
///   owner ── Apply ──► active memtable ── StartFlush ──► frozen ──┐
///                                                                 ▼
///   lanes    flushers, flush_jobs_max         write level 0, commit in order (high priority)
///            compactors, compaction_jobs_max  merge parts of plans, commit
///            caretaker                        quarantine, reserve of space
///                                                                 │
///   readers ◄── LiveState: memtables and tables, swapped as one ◄─┘
///
/// Who touches what:
/// - the owner: the active memtable's inside, applied_;
/// - each lane: its own work. Lanes meet in VersionSet, where one at a time has the turn to commit,
///   and wake each other after every commit;
/// - shared: LiveState, VersionSet, ErrorState, SnapshotRegistry, Compactor and WriteThrottle have
///   a mutex each, held for assignments and never over I/O, and none is taken while another is held
///   but: Compactor's, then VersionSet's or SnapshotRegistry's.
class EngineImpl final : public Engine {
 public:
  EngineImpl(const Environment& environment, EngineOptions options,
             std::shared_ptr<BlockCache> cache, Recovered recovered);
  ~EngineImpl() override;

  Status Admit(std::string_view changes) override;
  Status ApplyAdmitted(std::string_view changes, AppliedMark mark) override;
  bool writes_slowed() const override { return throttle_.slow(); }
  std::uint64_t WriteDelayUs(std::size_t bytes) override;
  bool WantsFlush() const override;
  void StartFlush(std::string client_state) override;
  void SetWatermark(Version watermark) override;
  void OnProgress(std::function<void()> callback) override;

  AppliedMark applied() const override { return applied_.Get(); }
  Version newest() const override { return Version(applied_.index().value()); }
  AppliedMark durable_applied() const override { return live_.durable(); }
  std::string client_state() const override { return live_.client_state(); }
  Status Get(std::string_view key, const ReadSettings& settings, PinnedValue* value) const override;
  std::vector<Result<PinnedValue>> MultiGet(std::span<const std::string_view> keys,
                                            const ReadSettings& settings) const override;
  Result<Lookup> Get(std::string_view key, Version at) const override;
  Result<Version> NewestVersion(std::string_view key) const override;
  Result<bool> ChangedSince(Range range, Version since) const override;
  Result<bool> ChangedBetween(Range range, Version after, Version until) const override;
  std::unique_ptr<Iterator> NewIterator(const ReadSettings& settings, Range bounds) const override;
  Snapshot GetSnapshot() const override;

  void Tick() override { WakeAll(); }
  void RetryNow() override;
  void CompactRange(Range range, std::function<void(Status)> done) override;
  Status Checkpoint(const std::string& directory) override;
  std::uint64_t ApproximateSize(Range range) const override;
  EngineHealth health() const override { return errors_.health(); }
  EngineStats Stats() const override;
  Status Verify() const override;

 private:
  // Reads.
  /// The version that a read of `state` at `at` is of. `newest` was loaded before the state was
  /// taken.
  Result<Version> VersionOf(const ReadState& state, std::optional<Version> at,
                            Version newest) const;
  /// Passes `status` on; a damaged table among the causes is looked after.
  Status Noticed(Status status) const;

  // The owner's thread.
  /// Why there is no room, where there may be none.
  Status Refuse(std::string_view changes);
  void ApplyWithRanges(std::string_view changes, Version version);
  std::size_t MemtableBytes() const { return live_.active().bytes() + live_.frozen_bytes(); }
  bool MemtablesFull() const;

  // Between the lanes.
  void WakeAll() const;
  /// After whatever changes what waits for the background.
  void UpdateLoad();
  void NotifyProgress() EXCLUDES(progress_mutex_);

  const Environment environment_;
  const EngineOptions options_;
  const std::shared_ptr<BlockCache> cache_;
  mutable StripedCounter gets_;
  const std::unique_ptr<FileLock> lock_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  const std::shared_ptr<ReaderLink> reader_link_;
  const std::shared_ptr<SnapshotRegistry> snapshots_ = std::make_shared<SnapshotRegistry>();

  AppliedCell applied_;    ///< Set by the owner.
  LogIndex frozen_index_;  ///< The owner's: applied() at the last StartFlush.
  std::atomic<std::uint64_t> watermark_;
  /// Level 0 is at its bound: nothing is applied before a compaction has brought it down.
  std::atomic<bool> level0_full_{false};

  ErrorState errors_;
  VersionSet versions_;
  LiveState live_;
  WriteThrottle throttle_;
  JobCounters counters_;
  JobContext context_;

  std::vector<std::unique_ptr<Flusher>> flushers_;
  Compactor compactor_;
  Caretaker caretaker_;
  // Woken from anywhere, const calls among it.
  mutable std::vector<std::unique_ptr<Lane>> flush_lanes_;
  mutable std::vector<std::unique_ptr<Lane>> compaction_lanes_;
  mutable Lane care_lane_;

  Mutex progress_mutex_;
  std::function<void()> on_progress_ GUARDED_BY(progress_mutex_);
};

}  // namespace bedrock::engine
