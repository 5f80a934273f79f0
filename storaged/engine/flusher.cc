#include "storaged/engine/flusher.h"

#include <utility>

#include "storaged/engine/compaction/key_ranges.h"

namespace bedrock::engine {

Lane::Next Flusher::Step() {
  if (context_.errors.ended()) return Lane::Idle();
  if (const std::uint64_t left_ms = pause_.LeftMs(context_.now_ms(), context_.room)) {
    return Lane::Later(left_ms);
  }
  if (context_.versions.manifest_missing() && stage_ != Stage::kCommitting) return BeginManifest();
  switch (stage_) {
    case Stage::kIdle:
      if (!frozen_) frozen_ = context_.live.TakeFrozen();
      if (!frozen_) return Rest();
      Begin();
      return Lane::Again();
    case Stage::kWriting:
      return Write();
    case Stage::kCommitting:
      return Commit();
  }
  return Lane::Idle();
}

Lane::Next Flusher::BeginManifest() {
  if (!context_.versions.TakeTurn()) return Lane::Idle();
  const auto begun = context_.versions.BeginManifest();
  context_.versions.GiveTurn();
  context_.wake_all();
  if (begun.outcome == VersionSet::Outcome::kNoSpace) {
    return PauseFor(begun.why.Prefixed("begin a MANIFEST"));
  }
  if (begun.outcome != VersionSet::Outcome::kDone) {
    return context_.Fail(begun.why.Prefixed("begin a MANIFEST"));
  }
  return Done();
}

void Flusher::Begin() {
  SnapshotRegistry::Kept kept = context_.Keep(Version(frozen_->mark.index.value()));
  edit_ = {};
  edit_.watermark = kept.watermark;
  edit_.applied = {frozen_->mark.index, frozen_->mark.term};
  edit_.client_state = frozen_->client_state;
  begun_us_ = context_.now_us();
  stage_ = Stage::kCommitting;
  if (frozen_->memtable->empty()) return;
  stage_ = Stage::kWriting;
  job_ = std::make_unique<MergeJob>(
      MergeJob::Parameters{.file_system = context_.environment.file_system,
                           .directory = context_.options.directory,
                           .input = {frozen_->memtable, {}},
                           .retention = {kept.watermark, std::move(kept.pinned)},
                           .below = KeyRanges::All(),
                           .range = {},
                           .table = {.block_bytes = context_.options.block_bytes,
                                     .filter_bits_per_key = context_.options.filter_bits_per_key},
                           .blobs = {.bytes_min = context_.options.blob_bytes_min},
                           .next_number = [this] { return context_.versions.NewNumber(); }});
}

Lane::Next Flusher::Write() {
  switch (job_->Step()) {
    case MergeJob::Progress::kMore:
      break;
    case MergeJob::Progress::kDone:
      for (const TableMetadata& table : job_->outputs()) edit_.added.push_back({0, table});
      edit_.added_blobs = job_->blob_outputs();
      stage_ = Stage::kCommitting;
      break;
    case MergeJob::Progress::kInputFailed:  // memory does not fail
    case MergeJob::Progress::kOutputFailed:
      return StartOver(job_->status().Prefixed("flush"));
  }
  return Lane::Again();
}

Lane::Next Flusher::Commit() {
  // In order: who commits an older one wakes this lane.
  if (!context_.live.IsOldest(frozen_->mark) || !context_.versions.TakeTurn()) return Lane::Idle();
  const auto committed = context_.Commit(
      edit_, [this](const VersionSet::Current& now) { context_.live.ReplaceFlushed(now.tables); });
  const Status why = committed.why.Prefixed("flush");
  switch (committed.outcome) {
    case VersionSet::Outcome::kDone:
      return Finish();
    case VersionSet::Outcome::kNoSpace:
      return PauseFor(why);
    case VersionSet::Outcome::kRewrite:
      return StartOver(why);
    case VersionSet::Outcome::kFinal:
      return context_.Fail(why);
  }
  return Lane::Idle();
}

Lane::Next Flusher::Finish() {
  for (const auto& added : edit_.added) context_.counters.written_bytes[0] += added.table.size;
  for (const BlobFile& blob : edit_.added_blobs) context_.counters.written_bytes[0] += blob.size;
  ++context_.counters.flushes;
  context_.throttle.Flushed(frozen_->memtable->bytes(), begun_us_, context_.now_us());
  stage_ = Stage::kIdle;
  job_.reset();
  frozen_.reset();
  return Done();
}

/// Another lane may have begun the MANIFEST that this one had no space for.
Lane::Next Flusher::Rest() {
  pause_.Reset();
  context_.Well(job_name_);
  return Lane::Idle();
}

Lane::Next Flusher::Done() {
  pause_.Reset();
  context_.errors.Well(job_name_);
  context_.notify();
  return Lane::Again();
}

Lane::Next Flusher::StartOver(const Status& why) {
  const Status kept = why;  // it may be the job's own, which goes
  if (job_ != nullptr) job_->Abandon();
  job_.reset();
  stage_ = Stage::kIdle;
  if (!kept.IsNoSpace() && pause_.failures() + 1 >= kOutputFailuresMax) {
    context_.errors.EndWrites(kept);
    context_.notify();
    return Lane::Idle();
  }
  return PauseFor(kept);
}

Lane::Next Flusher::PauseFor(const Status& why) {
  pause_.Begin(context_.now_ms());
  context_.errors.Trouble(job_name_, why);
  context_.wake_all();  // for the reserve, where space is what is missing
  context_.notify();
  return Lane::Later(pause_.LeftMs(context_.now_ms(), context_.room));
}

}  // namespace bedrock::engine
