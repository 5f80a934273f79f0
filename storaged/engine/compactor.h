#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bedrock/options.h"
#include "common/base/thread_annotations.h"
#include "storaged/engine/compaction/level_shape.h"
#include "storaged/engine/compaction/merge_job.h"
#include "storaged/engine/compaction/picker.h"
#include "storaged/engine/job_context.h"
#include "storaged/engine/lane.h"

namespace bedrock::engine {

/// What shapes the tree, out of the engine's options.
CompactionOptions ShapeOptions(const EngineOptions& options);

/// Carries out what the picker plans, on several lanes at once. A plan is parted by key into merge
/// jobs that lanes take up as they are free; whoever ends the last part commits:
///
///   Pick ──► parts wait ──► written, each on one lane ──► committing ──► gone
///                              │ a part failed: all are dropped, after a pause another plan
///                              └─► no space in the MANIFEST: committed again
///
/// Plans that run at once share no input and write disjoint ranges of a level: the picker sees to
/// that. What it decides by is the state of its moment; a commit in between only adds level-0
/// tables or replaces tables of other plans, so an edit still fits when its turn comes.
///
/// Threads: Step of a lane by that lane; the rest any. Lock: mutex_, under which plans are picked
/// (no I/O).
class Compactor {
 public:
  Compactor(JobContext& context, std::size_t lanes);

  Lane::Next Step(std::size_t lane) EXCLUDES(mutex_);

  /// Compacts `range` to the bottom, then calls `done`; see Engine::CompactRange.
  void Request(Range range, Version newest, std::function<void(Status)> done) EXCLUDES(mutex_);
  /// The engine ends: who waits for a request is told so. No Step comes after it.
  void Abort() EXCLUDES(mutex_);

 private:
  using Done = std::function<void(Status)>;

  struct Job {
    CompactionPlan plan;
    VersionSet::Current base;
    SnapshotRegistry::Kept kept;
    std::uint64_t begun_us = 0;
    /// By key. A part is touched by the lane that took it until it has ended.
    std::vector<std::unique_ptr<MergeJob>> parts;
    std::size_t parts_taken = 0;  ///< Under mutex_.
    std::size_t parts_ended = 0;  ///< Under mutex_.
    Status failure;               ///< Under mutex_; of the first part that failed.
    bool input_failed = false;    ///< Under mutex_.
  };
  /// What a lane is at; touched by its steps alone.
  struct LaneWork {
    std::shared_ptr<Job> job;
    MergeJob* part = nullptr;    ///< Null: the job waits for its commit.
    bool commit_failed = false;  ///< For want of space: not again before the pause has ended.
  };
  struct ManualRequest {
    ManualCompaction what;
    Done done;
  };

  /// A part that nobody has taken, of what runs or of a new plan.
  Lane::Next TakeWork(LaneWork& work) EXCLUDES(mutex_);
  std::shared_ptr<Job> PickJob() REQUIRES(mutex_);
  Lane::Next BeginJob(LaneWork& work) EXCLUDES(mutex_);
  PickerInput InputOf(const VersionSet::Current& now, const std::vector<CompactionPlan>& running,
                      Version watermark) const REQUIRES(mutex_);
  bool HasRoomFor(const CompactionPlan& plan) const;
  std::vector<std::unique_ptr<MergeJob>> MakeParts(const Job& job);
  Lane::Next WritePart(LaneWork& work) EXCLUDES(mutex_);
  Lane::Next Commit(LaneWork& work) EXCLUDES(mutex_);
  static VersionEdit EditOf(const Job& job);
  /// What `work` has written is live.
  Lane::Next Finish(LaneWork& work) EXCLUDES(mutex_);
  void Count(const Job& job);

  /// All parts have ended, at least one of them badly.
  Lane::Next GiveUp(LaneWork& work) EXCLUDES(mutex_);
  Lane::Next PauseFor(const Status& why) EXCLUDES(mutex_);
  void SetFailure(Job& job, Status why) EXCLUDES(mutex_);
  void Forget(const std::shared_ptr<Job>& job) REQUIRES(mutex_);
  /// Takes out the requests that have come true, or that nothing more can be done for.
  std::vector<std::pair<Done, Status>> FinishedRequests() REQUIRES(mutex_);
  void FinishRequests() EXCLUDES(mutex_);
  void FailRequest(const Status& why) EXCLUDES(mutex_);

  JobContext& context_;
  const CompactionOptions shape_;
  std::vector<LaneWork> lanes_;

  Mutex mutex_;
  std::vector<std::shared_ptr<Job>> running_ GUARDED_BY(mutex_);
  std::deque<ManualRequest> requests_ GUARDED_BY(mutex_);
  std::array<std::string, kLevelsMax> cursors_ GUARDED_BY(mutex_);
  /// ReaderLink::level0_reads when level 0 was last brought down.
  std::uint64_t level0_reads_before_ GUARDED_BY(mutex_) = 0;
  Pause pause_ GUARDED_BY(mutex_);
};

}  // namespace bedrock::engine
