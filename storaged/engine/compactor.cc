#include "storaged/engine/compactor.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/check.h"

namespace bedrock::engine {

namespace {

/// Bytes of each blob file that live tables refer to. Without damaged ones: what can't be read
/// can't be written anew, so they stay.
std::vector<BlobFileUse> BlobUse(const ManifestState& state, const BlobSet& blobs) {
  std::vector<BlobFileUse> use;
  for (const auto& [number, live_bytes] : state.BlobLiveBytes()) {
    if (blobs.Find(number)->damaged()) continue;
    use.push_back({number, state.blobs.at(number).value_bytes, live_bytes});
  }
  return use;
}

const TableMetadata* FindTable(const ManifestState& state, const CompactionPlan::Input& input) {
  for (const TableMetadata& table : state.levels[input.level]) {
    if (table.number == input.number) return &table;
  }
  return nullptr;
}

}  // namespace

CompactionOptions ShapeOptions(const EngineOptions& options) {
  return {.memtable_bytes = options.memtable_bytes,
          .table_bytes = options.table_bytes,
          .level0_files_trigger = options.level0_files_trigger,
          .level0_files_stop = options.level0_files_stop,
          .level1_bytes = options.level1_bytes,
          .level_multiplier = options.level_multiplier,
          .compression = options.compression};
}

Compactor::Compactor(JobContext& context, std::size_t lanes)
    : context_(context), shape_(ShapeOptions(context.options)), lanes_(lanes) {}

Lane::Next Compactor::Step(std::size_t lane) {
  LaneWork& work = lanes_[lane];
  if (context_.errors.ended()) return Lane::Idle();
  if (work.job == nullptr) return TakeWork(work);
  return work.part != nullptr ? WritePart(work) : Commit(work);
}

// ---- Taking work

Lane::Next Compactor::TakeWork(LaneWork& work) {
  FinishRequests();
  bool nothing_left = false;
  {
    const MutexLock lock(mutex_);
    for (const auto& job : running_) {
      if (job->parts_taken == job->parts.size() || !job->failure.ok()) continue;
      work.job = job;
      work.part = job->parts[job->parts_taken++].get();
      return Lane::Again();
    }
    if (const std::uint64_t left_ms = pause_.LeftMs(context_.now_ms(), context_.room))
      return Lane::Later(left_ms);
    work.job = PickJob();
    if (work.job != nullptr) running_.push_back(work.job);
    nothing_left = running_.empty();
  }
  if (work.job == nullptr) {
    if (nothing_left) context_.Well(ErrorState::Job::kCompaction);
    return Lane::Idle();
  }
  return BeginJob(work);
}

Lane::Next Compactor::BeginJob(LaneWork& work) {
  if (!HasRoomFor(work.job->plan)) {
    SetFailure(*work.job, Status::NoSpace("compaction: no room for what it would write"));
  }
  if (work.job->plan.move) return Lane::Again();
  auto parts = MakeParts(*work.job);
  const bool several = parts.size() > 1;
  {
    const MutexLock lock(mutex_);
    work.job->parts = std::move(parts);
    work.job->parts_taken = 1;
    work.part = work.job->parts.front().get();
  }
  if (several) context_.wake_all();
  return Lane::Again();
}

PickerInput Compactor::InputOf(const VersionSet::Current& now,
                               const std::vector<CompactionPlan>& running,
                               Version watermark) const {
  PickerInput input;
  input.levels = &now.state->levels;
  input.options = shape_;
  input.watermark = watermark;
  if (const auto oldest = context_.snapshots.oldest()) input.oldest_pin = oldest->version;
  input.running = running;
  input.quarantined = &now.state->quarantined;
  input.manual = requests_.empty() ? nullptr : &requests_.front().what;
  input.cursors = &cursors_;
  const std::uint64_t reads = context_.readers.level0_reads();
  input.level0_read_bytes =
      (reads - std::min(level0_reads_before_, reads)) * context_.options.block_bytes;
  return input;
}

std::shared_ptr<Compactor::Job> Compactor::PickJob() {
  auto job = std::make_shared<Job>();
  job->base = context_.versions.current();
  job->kept = context_.Keep(Version(job->base.state->applied.index.value()));
  std::vector<CompactionPlan> running;
  for (const auto& other : running_) running.push_back(other->plan);
  const auto blobs = BlobUse(*job->base.state, *job->base.tables->blobs);
  PickerInput input = InputOf(job->base, running, job->kept.watermark);
  input.blobs = blobs;
  auto plan = Pick(input);
  if (!plan) return nullptr;
  job->plan = *std::move(plan);
  job->begun_us = context_.now_us();
  return job;
}

bool Compactor::HasRoomFor(const CompactionPlan& plan) const {
  if (plan.move || context_.errors.state() != EngineState::kNoSpace) return true;
  // What it writes is at most what it reads, and all of it stands beside its inputs for a while.
  const auto free = context_.environment.file_system->FreeSpace(context_.options.directory);
  return !free.ok() || *free >= plan.input_bytes;
}

std::vector<std::unique_ptr<MergeJob>> Compactor::MakeParts(const Job& job) {
  const CompactionPlan& plan = job.plan;
  const MergeInput input = InputsOf(*job.base.tables, plan);
  // Parts too small to be worth a lane are not made.
  const std::size_t parts_max = std::min<std::size_t>(
      lanes_.size(), 1 + static_cast<std::size_t>(plan.input_bytes / shape_.table_bytes));
  std::vector<std::unique_ptr<MergeJob>> parts;
  for (OwnedRange& range : SplitRanges(job.base.state->levels, plan, parts_max)) {
    parts.push_back(std::make_unique<MergeJob>(
        MergeJob::Parameters{.file_system = context_.environment.file_system,
                             .directory = context_.options.directory,
                             .input = input,
                             .retention = {job.kept.watermark, job.kept.pinned},
                             .below = plan.below,
                             .range = std::move(range),
                             .table = {.block_bytes = context_.options.block_bytes,
                                       .filter_bits_per_key = context_.options.filter_bits_per_key,
                                       .compression = plan.compression},
                             .table_bytes = plan.table_bytes,
                             .grandparents = plan.grandparents,
                             .blobs = {.bytes_min = context_.options.blob_bytes_min,
                                       .resolver = job.base.tables->blobs,
                                       .relocate_from = plan.relocate_from},
                             .next_number = [this] { return context_.versions.NewNumber(); }}));
  }
  return parts;
}

// ---- Doing it

Lane::Next Compactor::WritePart(LaneWork& work) {
  Job& job = *work.job;
  bool dropped = false;
  {
    const MutexLock lock(mutex_);
    dropped = !job.failure.ok();
  }
  const auto progress = dropped ? MergeJob::Progress::kOutputFailed : work.part->Step();
  if (progress == MergeJob::Progress::kMore) return Lane::Again();
  bool last = false;
  {
    const MutexLock lock(mutex_);
    if (progress != MergeJob::Progress::kDone && job.failure.ok()) {
      job.failure = work.part->status().Prefixed("compaction");
      job.input_failed = progress == MergeJob::Progress::kInputFailed;
    }
    // Parts that nobody has taken are not begun any more.
    if (!job.failure.ok()) {
      job.parts_ended += job.parts.size() - job.parts_taken;
      job.parts_taken = job.parts.size();
    }
    last = ++job.parts_ended == job.parts.size();
    dropped = !job.failure.ok();
  }
  work.part = nullptr;
  if (last && dropped) return GiveUp(work);
  if (!last) work = {};
  return Lane::Again();
}

Lane::Next Compactor::Commit(LaneWork& work) {
  Job& job = *work.job;
  if (work.commit_failed) {
    const MutexLock lock(mutex_);
    if (const std::uint64_t left_ms = pause_.LeftMs(context_.now_ms(), context_.room))
      return Lane::Later(left_ms);
  }
  if (!context_.versions.TakeTurn()) return Lane::Idle();
  const auto committed = context_.Commit(EditOf(job), [this](const VersionSet::Current& now) {
    context_.live.ReplaceTables(now.tables);
  });
  const Status why = committed.why.Prefixed("compaction");
  switch (committed.outcome) {
    case VersionSet::Outcome::kDone:
      return Finish(work);
    case VersionSet::Outcome::kNoSpace:
      work.commit_failed = true;
      return PauseFor(why);
    case VersionSet::Outcome::kRewrite:
      SetFailure(job, why);
      return GiveUp(work);
    case VersionSet::Outcome::kFinal:
      return context_.Fail(why);
  }
  return Lane::Idle();
}

VersionEdit Compactor::EditOf(const Job& job) {
  VersionEdit edit;
  edit.watermark = job.kept.watermark;
  for (const auto& input : job.plan.inputs) {
    edit.removed.push_back({input.level, input.number});
    if (job.plan.move) {
      edit.added.push_back({job.plan.output_level, *FindTable(*job.base.state, input)});
    }
  }
  for (const auto& part : job.parts) {
    for (const TableMetadata& table : part->outputs()) {
      edit.added.push_back({job.plan.output_level, table});
    }
    for (const BlobFile& blob : part->blob_outputs()) edit.added_blobs.push_back(blob);
  }
  return edit;
}

Lane::Next Compactor::Finish(LaneWork& work) {
  const Job& job = *work.job;
  Count(job);
  {
    const MutexLock lock(mutex_);
    Advance(job.base.state->levels, job.plan, cursors_);
    if (job.plan.inputs.front().level == 0) {
      level0_reads_before_ = context_.readers.level0_reads();
    }
    Forget(work.job);
    pause_.Reset();
  }
  work = {};
  context_.errors.Well(ErrorState::Job::kCompaction);
  FinishRequests();
  context_.notify();
  return Lane::Again();
}

void Compactor::Count(const Job& job) {
  JobCounters& counters = context_.counters;
  if (job.plan.move) {
    counters.moves += job.plan.inputs.size();
  } else {
    ++counters.compactions;
  }
  std::uint64_t level0_bytes = 0;
  for (const auto& input : job.plan.inputs) {
    const std::uint64_t bytes = FindTable(*job.base.state, input)->size;
    if (input.level == 0) level0_bytes += bytes;
    if (!job.plan.move) counters.read_bytes[input.level] += bytes;
  }
  for (const auto& part : job.parts) {
    for (const TableMetadata& table : part->outputs()) {
      counters.written_bytes[job.plan.output_level] += table.size;
    }
    for (const BlobFile& blob : part->blob_outputs()) {
      counters.written_bytes[job.plan.output_level] += blob.size;
    }
  }
  if (level0_bytes > 0) {
    context_.throttle.Compacted(level0_bytes, context_.now_us() - job.begun_us);
  }
}

// ---- What becomes of failed work

Lane::Next Compactor::GiveUp(LaneWork& work) {
  for (const auto& part : work.job->parts) part->Abandon();
  Status why;
  bool broken = false;
  {
    const MutexLock lock(mutex_);
    why = work.job->failure;
    // A full disk empties some day, and a table that can't be read is no reason to stop writing.
    broken =
        !why.IsNoSpace() && !work.job->input_failed && pause_.failures() + 1 >= kOutputFailuresMax;
    Forget(work.job);
  }
  const bool manual = work.job->plan.reason == CompactionPlan::Reason::kManual;
  work = {};
  if (manual) FailRequest(why);
  if (!broken) return PauseFor(why);
  context_.errors.EndWrites(why);
  context_.notify();
  return Lane::Idle();
}

Lane::Next Compactor::PauseFor(const Status& why) {
  std::uint64_t left_ms = 0;
  {
    const MutexLock lock(mutex_);
    pause_.Begin(context_.now_ms());
    left_ms = pause_.LeftMs(context_.now_ms(), context_.room);
  }
  context_.errors.Trouble(ErrorState::Job::kCompaction, why);
  context_.wake_all();
  context_.notify();
  return Lane::Later(left_ms);
}

void Compactor::SetFailure(Job& job, Status why) {
  const MutexLock lock(mutex_);
  job.failure = std::move(why);
}

void Compactor::Forget(const std::shared_ptr<Job>& job) { std::erase(running_, job); }

// ---- Requests

void Compactor::Request(Range range, Version newest, Done done) {
  {
    const MutexLock lock(mutex_);
    requests_.push_back({.what = {.begin = std::string(range.begin),
                                  .end = std::string(range.end),
                                  .newest = newest,
                                  .next_file = context_.versions.NewNumber()},
                         .done = std::move(done)});
  }
  context_.wake_all();
}

std::vector<std::pair<Compactor::Done, Status>> Compactor::FinishedRequests() {
  std::vector<std::pair<Done, Status>> finished;
  while (!requests_.empty()) {
    const auto now = context_.versions.current();
    std::vector<CompactionPlan> running;
    for (const auto& job : running_) running.push_back(job->plan);
    const auto kept = context_.Keep(Version(now.state->applied.index.value()));
    const PickerInput input = InputOf(now, running, kept.watermark);
    if (!running.empty() || (HasWork(input, requests_.front().what) && Pick(input))) break;
    // Nothing runs and nothing can be planned: what is left is not to be had.
    Status outcome = HasWork(input, requests_.front().what)
                         ? Status::Corruption("a damaged table is in the way")
                         : Status::Ok();
    finished.emplace_back(std::move(requests_.front().done), std::move(outcome));
    requests_.pop_front();
  }
  return finished;
}

void Compactor::FinishRequests() {
  std::vector<std::pair<Done, Status>> finished;
  {
    const MutexLock lock(mutex_);
    finished = FinishedRequests();
  }
  for (auto& [done, outcome] : finished) done(std::move(outcome));
}

void Compactor::FailRequest(const Status& why) {
  Done done;
  {
    const MutexLock lock(mutex_);
    if (requests_.empty()) return;
    done = std::move(requests_.front().done);
    requests_.pop_front();
  }
  done(why);
}

void Compactor::Abort() {
  std::deque<ManualRequest> requests;
  {
    const MutexLock lock(mutex_);
    requests.swap(requests_);
  }
  for (ManualRequest& request : requests) request.done(Status::Aborted("the engine was closed"));
}

}  // namespace bedrock::engine
