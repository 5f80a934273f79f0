#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/thread_annotations.h"
#include "common/base/typed_bool.h"
#include "storaged/engine/applied_cell.h"
#include "storaged/engine/compaction/merge_job.h"
#include "storaged/engine/compaction/picker.h"
#include "storaged/engine/engine.h"
#include "storaged/engine/gate.h"
#include "storaged/engine/manifest/manifest_log.h"
#include "storaged/engine/manifest/table_set.h"
#include "storaged/engine/memtable/memtable.h"
#include "storaged/engine/read/read_state.h"
#include "storaged/engine/read/reader_link.h"
#include "storaged/engine/recovery.h"
#include "storaged/engine/snapshot_registry.h"

namespace bedrock::engine {

/// The engine: puts memtables, tables and the MANIFEST together.
///
/// Three kinds of state, by who touches it:
/// - the owner's (Apply, StartFlush): the active memtable's inside;
/// - the background's: what only the running step touches. At most one step is posted or running,
///   and steps hand over to each other through mutex_;
/// - shared: guarded by mutex_, which is held for a few assignments and never over I/O.
///
/// The work of the background:
///
///            StartFlush                    Step…                SyncDirectory, edit
///   active ─────────────► waiting memtable ─────► tables written ─────────────────► live
///   level 0 full (PickCompaction) ──────────────► tables written ─────────────────► live, inputs
///                                                                                   removed later
/// A failed write goes back to the start of its row after a pause; a failed sync of MANIFEST,
/// CURRENT or the directory ends everything (kFailed).
class EngineImpl final : public Engine {
 public:
  EngineImpl(const Environment& environment, EngineOptions options,
             std::shared_ptr<BlockCache> cache, Recovered recovered);
  ~EngineImpl() override;

  Status Admit(std::string_view changes) override;
  Status ApplyAdmitted(std::string_view changes, AppliedMark mark) override;
  std::uint64_t WriteDelayUs(std::size_t bytes) override;
  bool WantsFlush() const override;
  void StartFlush(std::string client_state) override;
  void SetWatermark(Version watermark) override;
  void OnProgress(std::function<void()> callback) override;

  AppliedMark applied() const override { return applied_.Get(); }
  Version newest() const override { return Version(applied_.index().value()); }
  AppliedMark durable_applied() const override;
  std::string client_state() const override;
  Status Get(std::string_view key, const ReadSettings& settings, PinnedValue* value) const override;
  std::vector<Result<PinnedValue>> MultiGet(std::span<const std::string_view> keys,
                                            const ReadSettings& settings) const override;
  Result<Lookup> Get(std::string_view key, Version at) const override;
  Result<Version> NewestVersion(std::string_view key) const override;
  std::unique_ptr<Iterator> NewIterator(const ReadSettings& settings, Range bounds) const override;
  Snapshot GetSnapshot() const override;

  void Tick() override;
  void CompactRange(Range range, std::function<void(Status)> done) override;
  Status Checkpoint(const std::string& directory) override;
  std::uint64_t ApproximateSize(Range range) const override;
  EngineStats Stats() const override;
  Status Verify() const override;

 private:
  /// A frozen memtable that waits for its flush.
  struct Frozen {
    std::shared_ptr<const Memtable> memtable;
    AppliedMark mark;  ///< Everything up to here is in it or older.
    std::string client_state;
  };
  /// A flush or a compaction on its way.
  struct Work {
    enum class Stage { kIdle, kWriting, kCommitting };
    Stage stage = Stage::kIdle;
    std::unique_ptr<MergeJob> job;  ///< Null in a flush of nothing but a mark.
    Version watermark;              ///< That the outputs are made under.
    VersionEdit edit;               ///< Without the outputs until they are written.
  };
  /// Why one kind of work pauses.
  struct Pause {
    Status why;  ///< ok: it does not.
    std::uint64_t until_ms = 0;
    unsigned failures = 0;       ///< In a row.
    bool input_damaged = false;  ///< A table could not be read; pausing does not mend it.
  };
  enum class WorkKind { kFlush, kCompaction };
  /// Touched by the running step only.
  struct Background {
    ManifestState state;                       ///< What the MANIFEST holds.
    std::unique_ptr<ManifestWriter> manifest;  ///< Null: its tail is unknown, begin another one.
    FileNumber next_file;
    Work flush;
    Work compaction;
    std::vector<TableSet::Table> obsolete;  ///< Readers may still hold them.
  };

  // Reads.
  /// The version that a read of `state` at `at` is of. `newest` was loaded before the state was
  /// taken.
  Result<Version> VersionOf(const ReadState& state, std::optional<Version> at,
                            Version newest) const;
  /// What readers see from now on.
  void Publish(std::shared_ptr<const ReadState> state) REQUIRES(mutex_);

  // The owner's thread.
  Status InsertMany(std::string_view changes, Version version);
  std::size_t MemtableBytes() const REQUIRES(mutex_);

  // Scheduling.
  void Schedule() REQUIRES(mutex_);
  void PostStep(Executor::Priority priority) REQUIRES(mutex_);
  bool MayRun(WorkKind kind, std::uint64_t now_ms) const REQUIRES(mutex_);
  void RunStep() EXCLUDES(mutex_);
  /// What the next step does; nothing where all is done or pauses.
  std::optional<WorkKind> NextWork() EXCLUDES(mutex_);

  // Steps: background only. Each begins, goes on with, or commits one piece of work.
  void StepFlush() EXCLUDES(mutex_);
  void StepCompaction() EXCLUDES(mutex_);
  void BeginFlush() EXCLUDES(mutex_);
  /// The watermark of a job that begins now and has versions up to `mark` in hand.
  Version KeptFrom(Version mark) const REQUIRES(mutex_);
  /// Begins the MANIFEST that there was no space for when the directory was opened.
  void BeginMissingManifest() EXCLUDES(mutex_);
  void BeginCompaction() EXCLUDES(mutex_);
  void Write(WorkKind kind, Work& work) EXCLUDES(mutex_);
  /// Makes the outputs and what the edit says durable and live, all at once. Where it fails it has
  /// put the work where it has to go on.
  bool Commit(WorkKind kind, Work& work) EXCLUDES(mutex_);
  MergeJob::Parameters JobParameters(std::unique_ptr<InternalIterator> input, VersionFilter filter);
  /// The opened tables of `state`: those that are live already, and the rest from the directory.
  Result<std::shared_ptr<const TableSet>> OpenTables(const ManifestState& state) EXCLUDES(mutex_);
  Status WriteEdit(const VersionEdit& edit, const ManifestState& after);
  Status BeginManifest(ManifestState state);
  /// Swaps in what readers see from now on; a flushed memtable leaves in the same stroke.
  void Install(WorkKind kind, const std::shared_ptr<const TableSet>& tables) EXCLUDES(mutex_);
  void CollectObsolete() EXCLUDES(mutex_);

  // What becomes of failed work.
  using InputDamaged = TypedBool<struct InputDamagedTag>;
  void StartOver(WorkKind kind, Work& work, const Status& why, InputDamaged input_damaged)
      EXCLUDES(mutex_);
  void PauseWork(WorkKind kind, const Status& why, InputDamaged input_damaged) EXCLUDES(mutex_);
  void Fail(const Status& why) EXCLUDES(mutex_);
  EngineState StateLocked() const REQUIRES(mutex_);
  void NotifyProgress() EXCLUDES(mutex_);

  Pause& PauseOf(WorkKind kind) REQUIRES(mutex_) {
    return kind == WorkKind::kFlush ? flush_pause_ : compaction_pause_;
  }

  const Environment environment_;
  const EngineOptions options_;
  const std::shared_ptr<BlockCache> cache_;
  const std::unique_ptr<FileLock> lock_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();

  const std::shared_ptr<SnapshotRegistry> snapshots_ = std::make_shared<SnapshotRegistry>();
  AppliedCell applied_;  ///< Set by the owner.

  /// The owner's; readers reach it through read_state_.
  std::shared_ptr<Memtable> active_;
  Background background_;

  /// How readers get at read_state_, without the mutex.
  ReadStateCell read_cell_;
  const std::shared_ptr<ReaderLink> reader_link_;

  mutable Mutex mutex_;
  std::shared_ptr<const ReadState> read_state_ GUARDED_BY(mutex_);  ///< As published.
  std::deque<Frozen> frozen_ GUARDED_BY(mutex_);                    ///< Oldest first.
  AppliedMark frozen_mark_ GUARDED_BY(mutex_);  ///< applied_ at the last StartFlush.
  AppliedMark durable_ GUARDED_BY(mutex_);
  std::string client_state_ GUARDED_BY(mutex_);
  Version watermark_ GUARDED_BY(mutex_);
  bool manifest_missing_ GUARDED_BY(mutex_) = false;  ///< Since the open.
  bool compaction_wanted_ GUARDED_BY(mutex_) = false;
  bool obsolete_waiting_ GUARDED_BY(mutex_) = false;
  bool step_posted_ GUARDED_BY(mutex_) = false;
  Pause flush_pause_ GUARDED_BY(mutex_);
  Pause compaction_pause_ GUARDED_BY(mutex_);
  Status failure_ GUARDED_BY(mutex_);  ///< Not ok: kFailed.
  std::function<void()> on_progress_ GUARDED_BY(mutex_);
};

}  // namespace bedrock::engine
