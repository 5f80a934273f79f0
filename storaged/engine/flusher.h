#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "storaged/engine/compaction/merge_job.h"
#include "storaged/engine/job_context.h"
#include "storaged/engine/lane.h"

namespace bedrock::engine {

/// Writes frozen memtables to level 0. Several flushers may do so side by side; what they wrote is
/// committed in the order of the memtables:
///
///   idle ──► writing, step by step ──► committing, in one edit with mark and client state ──► idle
///     ▲          │ output failed            │ an older one is not committed yet: waits for it
///     └─ pause ──┴────────────────────────── │ no space: committed again
///
/// Also begins the MANIFEST that there was no space for. One lane's: what it holds is touched by
/// its steps alone.
class Flusher {
 public:
  Flusher(JobContext& context, ErrorState::Job name) : context_(context), job_name_(name) {}

  Lane::Next Step();

 private:
  enum class Stage : std::uint8_t { kIdle, kWriting, kCommitting };

  void Begin();
  Lane::Next Write();
  Lane::Next Commit();
  /// The memtable is in a live table.
  Lane::Next Finish();
  Lane::Next BeginManifest();
  Lane::Next Rest();
  Lane::Next Done();
  /// Begins anew, after a pause.
  Lane::Next StartOver(const Status& why);
  Lane::Next PauseFor(const Status& why);

  JobContext& context_;
  const ErrorState::Job job_name_;
  Pause pause_;
  std::optional<FrozenMemtable> frozen_;  ///< Taken, until it is committed.
  Stage stage_ = Stage::kIdle;
  std::unique_ptr<MergeJob> job_;  ///< Null in a flush of nothing but a mark.
  VersionEdit edit_;
  std::uint64_t begun_us_ = 0;
};

}  // namespace bedrock::engine
