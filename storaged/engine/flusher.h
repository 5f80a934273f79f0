#pragma once

#include <cstdint>
#include <memory>

#include "storaged/engine/compaction/merge_job.h"
#include "storaged/engine/job_context.h"
#include "storaged/engine/lane.h"

namespace bedrock::engine {

/// Writes frozen memtables to level 0, oldest first, one at a time:
///
///   idle ──► writing, step by step ──► committing, in one edit with mark and client state ──► idle
///     ▲          │ output failed            │ no space: committed again
///     └─ pause ──┴──────────────────────────┘
///
/// Also begins the MANIFEST that there was no space for. One lane's: what it holds is touched by
/// its steps alone.
class Flusher {
 public:
  explicit Flusher(JobContext& context) : context_(context) {}

  Lane::Next Step();

 private:
  enum class Stage : std::uint8_t { kIdle, kWriting, kCommitting };

  void Begin(FrozenMemtable frozen);
  Lane::Next Write();
  Lane::Next Commit();
  Lane::Next BeginManifest();
  Lane::Next Done();
  /// Begins anew, after a pause.
  Lane::Next StartOver(const Status& why);
  Lane::Next PauseFor(const Status& why);
  Lane::Next Fail(const Status& why);

  JobContext& context_;
  Pause pause_;
  Stage stage_ = Stage::kIdle;
  std::unique_ptr<MergeJob> job_;  ///< Null in a flush of nothing but a mark.
  VersionEdit edit_;
  std::uint64_t bytes_ = 0;  ///< Of the memtable.
  std::uint64_t begun_us_ = 0;
};

}  // namespace bedrock::engine
