#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/options.h"
#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/version.h"
#include "bedrock/write_batch.h"
#include "common/base/spinning_mutex.h"
#include "common/base/thread_annotations.h"
#include "common/base/units.h"
#include "common/env/clock.h"
#include "common/env/waiter.h"
#include "storaged/embedded/change.h"
#include "storaged/embedded/group_gather.h"
#include "storaged/embedded/history.h"
#include "storaged/embedded/pending_writes.h"
#include "storaged/engine/engine.h"
#include "storaged/engine/wal/log.h"
#include "storaged/txn/recent_commits.h"

namespace bedrock::embedded {

/// Looks, when its commit's turn has come, whether it may still be made.
class Certifier {
 public:
  virtual ~Certifier() = default;
  /// What there is to look at.
  struct Commits {
    /// Will be made before this one, whatever is answered, and can't be seen yet.
    const PendingWrites& pending;
    /// Of those that the engine shows, which are all others before this one.
    const txn::RecentCommits& recent;
  };
  /// ok, or why the commit is refused. Called by the owner of the engine, the only call at that
  /// time; nobody commits meanwhile. It may read, and calls nothing of the pipeline.
  virtual Status Certify(const Commits& commits) = 0;
};

/// The one way of changes into the database: gives each commit its version, writes it to the log,
/// applies it to the engine. Commits become visible in the order of their versions, and one that
/// was asked for with Sync::kYes, and all after it, only when it is durable.
///
///   writer ──► alone, kNo: append, apply under the lock ─────────────────────────────► returns
///        └───► otherwise: queue ──► leads, or is led:
///                append all of the group ─► one sync ─► apply all ─► wake each ─► next one leads
///
/// Writers that arrive while a group is synced make up the next one (group commit, as LevelDB's
/// writers queue), with those that the last group's end sends back (GroupGather). Nobody is woken
/// but by its own outcome or to lead.
///
/// Whoever holds mutex_ with leading_ false, or has set leading_, is the owner thread of the engine
/// and the log: nobody else calls what those allow one thread only.
///
/// Any thread may call any function. Engine, log, waiter and clock are borrowed.
class CommitPipeline {
 public:
  struct Parts {
    engine::Engine& engine;
    engine::wal::Log& log;
    Waiter& waiter;  ///< Is notified when the engine has moved on.
    const Clock& clock;
    /// Is told of a failure, once.
    std::function<void(const Status&)> on_failure;
  };
  /// What a commit costs at most before it is refused (busy): how long it waits for room.
  static constexpr std::uint64_t kStallUsMax = 30'000'000;
  /// One sync covers at most so much, so that the first writer's wait is bounded.
  static constexpr std::size_t kGroupBytesMax = 4 * kMiB;
  static constexpr std::size_t kGroupWritersMax = 256;

  struct Counters {
    std::uint64_t commits = 0;
    std::uint64_t user_bytes = 0;
    std::uint64_t delayed_writes = 0;
    std::uint64_t delay_us = 0;
  };

  /// `history` says how long old versions stay.
  CommitPipeline(const Parts& parts, History history);

  /// Commits one change. REQUIRES: it is valid (CheckKey, CheckValue).
  Result<Version> CommitOne(const Change& change, Sync sync) EXCLUDES(mutex_);
  /// Commits a batch, of so many bytes of keys and values. REQUIRES: it is valid, and not empty.
  /// With a `certifier`: what that refuses with is given back, and nothing was done.
  Result<Version> Commit(const WriteBatch& batch, std::size_t user_bytes, Sync sync,
                         Certifier* certifier = nullptr) EXCLUDES(mutex_);

  /// Starts the flush of what is in memory, if anything is. Call it again until that is durable:
  /// it does nothing while too many memtables wait.
  Status StartFlush() EXCLUDES(mutex_);
  /// Runs `task` as the owner, between two commits. An error: it did not run.
  Status RunAsOwner(const std::function<void()>& task) EXCLUDES(mutex_);
  /// What has to be done now and then: moves the watermark, gives log segments free, lets the
  /// engine try again what failed. Where a leader is at work, the leader does it.
  void Maintain() EXCLUDES(mutex_);

  /// Refuses every later commit (aborted), then makes the log durable. Gives the error, if any,
  /// because of which commits might be lost. REQUIRES: no other call runs.
  Status Close() EXCLUDES(mutex_);

  /// ok, or why nothing can be committed any more until the database is opened again.
  Status failure() const EXCLUDES(mutex_);
  Counters counters() const;
  /// How many wait for a leader.
  std::size_t waiting() const EXCLUDES(mutex_);

 private:
  /// A commit on its way, on its caller's stack; one with a task asks for that instead.
  struct Writer {
    std::string_view changes;
    std::size_t user_bytes;
    Sync sync;
    Certifier* certifier = nullptr;
    const std::function<void()>* task = nullptr;

    Version version;
    Status status;
    Writer* next = nullptr;

    enum class Turn { kWaits, kLeads, kDone };
    Mutex mutex;
    std::condition_variable woken;
    Turn turn GUARDED_BY(mutex) = Turn::kWaits;

    void Wake(Turn to) EXCLUDES(mutex);
    Turn Sleep() EXCLUDES(mutex);
  };
  using Group = std::vector<Writer*>;

  /// Who writes without transactions pays next to nothing for their index.
  static constexpr std::size_t kRecordedMax = 1000;
  /// A larger commit is not told key by key.
  static constexpr std::size_t kRecordedChangesMax = 1000;

  /// The fast way, for a commit that waits for nothing: nullopt where it takes a leader. `changes`
  /// are made under the lock, by `encode`; `certifier` may be null.
  template <typename Encode>
  std::optional<Result<Version>> TryCommitAlone(const Encode& encode, std::size_t user_bytes,
                                                Certifier* certifier) EXCLUDES(mutex_);
  Result<Version> CommitInGroup(Writer& writer) EXCLUDES(mutex_);
  /// Waits in the queue. kLeads: the writer has come to its front, out of it, and leads.
  Writer::Turn Queue(Writer& writer) EXCLUDES(mutex_);
  void Lead(Writer& self) EXCLUDES(mutex_);
  /// Lets those come that were here a moment ago, and are likely to be back.
  void Gather() EXCLUDES(mutex_);
  /// `self` and those that wait behind it, as far as a group goes.
  void TakeGroup(Writer& self) EXCLUDES(mutex_);
  /// Wakes whom the group's end concerns. REQUIRES: the caller leads; it does not any more then.
  void EndLead(Writer& self) EXCLUDES(mutex_);

  // What the owner does.
  void CommitGroup();
  void WaitForRoom();
  Status Prepare(Writer& writer);
  Status Admit(std::string_view changes);
  void AppendGroup();
  void UndoBehind(Version last, const Status& why);
  void SyncGroup() EXCLUDES(mutex_);
  void ApplyGroup() EXCLUDES(mutex_);
  Status Apply(Version version, std::string_view changes);
  Status Certify(Certifier& certifier);
  void BeginRecording();
  void Record(Version version, std::string_view changes);
  void CountCommit(std::size_t user_bytes);
  void FlushIfWanted();
  void StartFlushAsOwner();
  void MaintainAsOwner();
  void MaintainIfDue();
  Status WhyClosed() const REQUIRES(mutex_);
  void Fail(const Status& why) EXCLUDES(mutex_);

  Parts parts_;

  // The owner's (above).
  History history_;
  WriteBatch scratch_;
  Group group_;
  GroupGather gather_;
  PendingWrites pending_;
  /// None until somebody asks; while nobody has asked for kRecordedMax commits it is not told.
  std::optional<txn::RecentCommits> recent_;
  std::size_t recorded_ = kRecordedMax;  ///< Commits since somebody asked.

  mutable SpinningMutex mutex_;
  bool leading_ GUARDED_BY(mutex_) = false;
  Writer* queue_first_ GUARDED_BY(mutex_) = nullptr;
  Writer* queue_last_ GUARDED_BY(mutex_) = nullptr;
  std::size_t queued_ GUARDED_BY(mutex_) = 0;
  bool gathering_ GUARDED_BY(mutex_) = false;  ///< The leader wants to know who comes.
  bool closed_ GUARDED_BY(mutex_) = false;
  Status failure_ GUARDED_BY(mutex_);

  std::atomic<bool> maintenance_due_ = false;
  std::atomic<std::uint64_t> commits_ = 0;
  std::atomic<std::uint64_t> user_bytes_ = 0;
  std::atomic<std::uint64_t> delayed_writes_ = 0;
  std::atomic<std::uint64_t> delay_us_ = 0;
};

}  // namespace bedrock::embedded
