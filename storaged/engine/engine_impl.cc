#include "storaged/engine/engine_impl.h"

#include <algorithm>
#include <map>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "storaged/engine/change_reader.h"
#include "storaged/engine/iterator/merging_iterator.h"
#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {

/// After a failure work pauses this long, doubled with each failure in a row up to the bound.
constexpr std::uint64_t kPauseMsMin = 100;
constexpr std::uint64_t kPauseMsMax = 10'000;
/// Failed writes in a row, none for want of space, before the disk counts as broken.
constexpr unsigned kOutputFailuresMax = 8;
/// A MANIFEST is begun anew when it is larger than this and than kManifestGrowthMax times what
/// began it.
constexpr std::uint64_t kManifestBytesMin = kMiB;
constexpr std::uint64_t kManifestGrowthMax = 4;

EntryKind EntryKindOf(ChangeReader::Kind kind) {
  return kind == ChangeReader::Kind::kPut ? EntryKind::kPut : EntryKind::kDelete;
}

AppliedMark ToMark(const VersionEdit::Applied& applied) { return {applied.index, applied.term}; }
Version AsVersion(LogIndex index) { return Version(index.value()); }

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Open(const Environment& environment,
                                             const EngineOptions& options) {
  if (options.directory.empty() || options.memtables_max < 2 || options.memtable_bytes == 0 ||
      options.block_bytes == 0 || options.table_bytes == 0 || options.level0_files_trigger == 0 ||
      options.level0_files_stop < options.level0_files_trigger ||
      options.unflushed_entries_max == 0) {
    return Status::InvalidArgument("engine options");
  }
  auto cache = std::make_shared<BlockCache>(options.block_cache_bytes);
  ASSIGN_OR_RETURN(Recovered recovered,
                   Recover(*environment.file_system, options.directory, cache));
  return std::unique_ptr<Engine>(
      std::make_unique<EngineImpl>(environment, options, std::move(cache), std::move(recovered)));
}

EngineImpl::EngineImpl(const Environment& environment, EngineOptions options,
                       std::shared_ptr<BlockCache> cache, Recovered recovered)
    : environment_(environment),
      options_(std::move(options)),
      cache_(std::move(cache)),
      lock_(std::move(recovered.lock)),
      applied_(ToMark(recovered.state.applied)),
      active_(std::make_shared<Memtable>()),
      read_cell_(
          std::make_shared<const ReadState>(ReadState::Memtables{active_}, recovered.tables)),
      reader_link_(std::make_shared<ReaderLink>(options_.on_event)) {
  background_.state = std::move(recovered.state);
  background_.manifest = std::move(recovered.manifest);
  background_.next_file = background_.state.next_file;
  MutexLock lock(mutex_);
  read_state_ = read_cell_.Get();
  frozen_mark_ = durable_ = applied_.Get();
  client_state_ = background_.state.client_state;
  watermark_ = background_.state.watermark;
  compaction_wanted_ = PickCompaction(*recovered.tables, options_.level0_files_trigger).has_value();
  manifest_missing_ = background_.manifest == nullptr;
  if (manifest_missing_) flush_pause_.why = Status::NoSpace("open: no space for a new MANIFEST");
  Schedule();
}

EngineImpl::~EngineImpl() {
  reader_link_->Close();
  gate_->Close();
  // What readers no longer hold goes now; the rest when the directory is opened again.
  CollectObsolete();
}

// ---- The owner's thread

std::size_t EngineImpl::MemtableBytes() const {
  std::size_t bytes = 0;
  for (const auto& memtable : read_state_->memtables()) bytes += memtable->bytes();
  return bytes;
}

Status EngineImpl::Admit(std::string_view /*changes*/) {
  MutexLock lock(mutex_);
  if (!failure_.ok()) return Status::IoError(failure_.message());
  Schedule();
  const bool active_full = active_->bytes() >= options_.memtable_bytes;
  if ((active_full && read_state_->memtables().size() >= options_.memtables_max) ||
      MemtableBytes() >= options_.memtables_max * options_.memtable_bytes) {
    return Status::Busy("memtables wait for their flush");
  }
  // Where a damaged table stops compactions, files pile up and reads get slower, but a single bad
  // table must not take the writes down.
  if (read_state_->tables()->levels[0].size() >= options_.level0_files_stop &&
      !compaction_pause_.input_damaged) {
    return Status::Busy("flushed tables wait for a compaction");
  }
  return {};
}

Status Engine::Apply(std::string_view changes, AppliedMark mark) {
  RETURN_IF_ERROR(CheckChanges(changes));
  RETURN_IF_ERROR(Admit(changes));
  return ApplyAdmitted(changes, mark);
}

Status EngineImpl::ApplyAdmitted(std::string_view changes, AppliedMark mark) {
  CHECK(mark.index == applied_.index().Next() && AsVersion(mark.index) <= kVersionMax);
  const Version version = AsVersion(mark.index);
  ChangeReader reader(changes);
  if (reader.Next()) {
    if (reader.at_end() && reader.kind() != ChangeReader::Kind::kDeleteRange) {
      active_->Add({reader.key(), Trailer(version, EntryKindOf(reader.kind()))}, reader.value());
    } else {
      RETURN_IF_ERROR(InsertMany(changes, version));
    }
  }
  applied_.Set(mark);
  return {};
}

Status EngineImpl::InsertMany(std::string_view changes, Version version) {
  // By key, the last one wins: the memtable takes a key once a version. A range becomes a tombstone
  // for each key that it meets.
  std::map<std::string, std::optional<std::string_view>, std::less<>> last;
  ChangeReader reader(changes);
  while (reader.Next()) {
    switch (reader.kind()) {
      case ChangeReader::Kind::kPut:
        last.insert_or_assign(std::string(reader.key()), reader.value());
        break;
      case ChangeReader::Kind::kDelete:
        last.insert_or_assign(std::string(reader.key()), std::nullopt);
        break;
      case ChangeReader::Kind::kDeleteRange: {
        const auto end = reader.value().empty() ? last.end() : last.lower_bound(reader.value());
        for (auto at = last.lower_bound(reader.key()); at != end; ++at) at->second.reset();
        const auto walk = NewIterator({}, {reader.key(), reader.value()});
        for (walk->SeekToFirst(); walk->Valid(); walk->Next()) {
          last.insert_or_assign(std::string(walk->key()), std::nullopt);
        }
        RETURN_IF_ERROR(walk->status());
        break;
      }
    }
  }
  for (const auto& [key, value] : last) {
    active_->Add({key, Trailer(version, value ? EntryKind::kPut : EntryKind::kDelete)},
                 value.value_or(std::string_view()));
  }
  return {};
}

std::uint64_t EngineImpl::WriteDelayUs(std::size_t /*bytes*/) { return 0; }

AppliedMark EngineImpl::durable_applied() const {
  MutexLock lock(mutex_);
  return durable_;
}

std::string EngineImpl::client_state() const {
  MutexLock lock(mutex_);
  return client_state_;
}

bool EngineImpl::WantsFlush() const {
  MutexLock lock(mutex_);
  if (read_state_->memtables().size() >= options_.memtables_max) return false;
  return read_state_->memtables().front()->bytes() >= options_.memtable_bytes ||
         applied_.index() - frozen_mark_.index >= options_.unflushed_entries_max;
}

void EngineImpl::StartFlush(std::string client_state) {
  MutexLock lock(mutex_);
  const AppliedMark applied = applied_.Get();
  if (applied != frozen_mark_ && read_state_->memtables().size() < options_.memtables_max) {
    frozen_.push_back({active_, applied, std::move(client_state)});
    frozen_mark_ = applied;
    active_ = std::make_shared<Memtable>();
    ReadState::Memtables memtables = read_state_->memtables();
    memtables.insert(memtables.begin(), active_);
    Publish(std::make_shared<const ReadState>(*read_state_, std::move(memtables)));
  }
  Schedule();
}

void EngineImpl::OnProgress(std::function<void()> callback) {
  MutexLock lock(mutex_);
  on_progress_ = std::move(callback);
}

void EngineImpl::Tick() {
  read_cell_.Collect();
  MutexLock lock(mutex_);
  Schedule();
  if (obsolete_waiting_ && !step_posted_ && failure_.ok()) {
    PostStep(Executor::Priority::kLow);  // one look a tick, however long a reader holds on
  }
}

void EngineImpl::SetWatermark(Version watermark) {
  MutexLock lock(mutex_);
  watermark_ = std::max(watermark_, watermark);
}

EngineState EngineImpl::StateLocked() const {
  if (!failure_.ok()) return EngineState::kFailed;
  if (flush_pause_.why.IsNoSpace() || compaction_pause_.why.IsNoSpace()) {
    return EngineState::kNoSpace;
  }
  return EngineState::kHealthy;
}

// ---- Scheduling

bool EngineImpl::MayRun(WorkKind kind, std::uint64_t now_ms) const {
  if (!failure_.ok()) return false;
  if (kind == WorkKind::kFlush) {
    return (!frozen_.empty() || manifest_missing_) &&
           (flush_pause_.why.ok() || now_ms >= flush_pause_.until_ms);
  }
  return compaction_wanted_ && (compaction_pause_.why.ok() || now_ms >= compaction_pause_.until_ms);
}

void EngineImpl::Schedule() {
  if (step_posted_ || (frozen_.empty() && !compaction_wanted_ && !manifest_missing_)) return;
  const std::uint64_t now_ms = environment_.clock->MonotonicMs();
  const bool flush = MayRun(WorkKind::kFlush, now_ms);
  if (!flush && !MayRun(WorkKind::kCompaction, now_ms)) return;
  PostStep(flush ? Executor::Priority::kHigh : Executor::Priority::kLow);
}

void EngineImpl::PostStep(Executor::Priority priority) {
  step_posted_ = true;
  environment_.executor->Post(priority, [this, gate = gate_] {
    if (!gate->Enter()) return;
    RunStep();
    gate->Leave();
  });
}

std::optional<EngineImpl::WorkKind> EngineImpl::NextWork() {
  MutexLock lock(mutex_);
  const std::uint64_t now_ms = environment_.clock->MonotonicMs();
  if (MayRun(WorkKind::kFlush, now_ms)) return WorkKind::kFlush;
  if (MayRun(WorkKind::kCompaction, now_ms)) return WorkKind::kCompaction;
  return std::nullopt;
}

void EngineImpl::RunStep() {
  CollectObsolete();
  if (const auto kind = NextWork()) {
    if (*kind == WorkKind::kFlush) {
      StepFlush();
    } else {
      StepCompaction();
    }
  }
  MutexLock lock(mutex_);
  step_posted_ = false;
  Schedule();
}

// ---- Background

void EngineImpl::StepFlush() {
  bool manifest_missing = false;
  {
    MutexLock lock(mutex_);
    manifest_missing = manifest_missing_;
  }
  if (manifest_missing) {
    BeginMissingManifest();
    return;
  }
  Work& work = background_.flush;
  switch (work.stage) {
    case Work::Stage::kIdle:
      BeginFlush();
      return;
    case Work::Stage::kWriting:
      Write(WorkKind::kFlush, work);
      return;
    case Work::Stage::kCommitting:
      if (!Commit(WorkKind::kFlush, work)) return;
      work = {};
      NotifyProgress();
      return;
  }
}

void EngineImpl::StepCompaction() {
  Work& work = background_.compaction;
  switch (work.stage) {
    case Work::Stage::kIdle:
      BeginCompaction();
      return;
    case Work::Stage::kWriting:
      Write(WorkKind::kCompaction, work);
      return;
    case Work::Stage::kCommitting:
      if (!Commit(WorkKind::kCompaction, work)) return;
      work = {};
      CollectObsolete();
      NotifyProgress();
      return;
  }
}

MergeJob::Parameters EngineImpl::JobParameters(std::unique_ptr<InternalIterator> input,
                                               VersionFilter filter) {
  return {.file_system = environment_.file_system,
          .directory = options_.directory,
          .input = std::move(input),
          .filter = std::move(filter),
          .table = {.block_bytes = options_.block_bytes,
                    .filter_bits_per_key = options_.filter_bits_per_key},
          .next_number = [this] {
            const FileNumber number = background_.next_file;
            background_.next_file = number.Next();
            return number;
          }};
}

Version EngineImpl::KeptFrom(Version mark) const {
  const auto kept = snapshots_->Look([&]() REQUIRES(mutex_) { return std::min(watermark_, mark); });
  return kept.pinned.empty() ? kept.watermark : kept.pinned.front();
}

void EngineImpl::BeginMissingManifest() {
  // A compaction may have begun one meanwhile.
  const Status begun =
      background_.manifest == nullptr ? BeginManifest(background_.state) : Status();
  if (begun.IsNoSpace()) {
    PauseWork(WorkKind::kFlush, begun.Prefixed("open"), InputDamaged::kNo);
    return;
  }
  if (!begun.ok()) {
    Fail(begun.Prefixed("open"));
    return;
  }
  {
    MutexLock lock(mutex_);
    manifest_missing_ = false;
    flush_pause_ = {};
  }
  NotifyProgress();
}

void EngineImpl::BeginFlush() {
  Work& work = background_.flush;
  std::shared_ptr<const Memtable> memtable;
  {
    MutexLock lock(mutex_);
    const Frozen& oldest = frozen_.front();
    memtable = oldest.memtable;
    // A watermark above what is durable could hide versions that a replay still has to read.
    work.watermark = KeptFrom(AsVersion(oldest.mark.index));
    work.edit.applied = {oldest.mark.index, oldest.mark.term};
    work.edit.client_state = oldest.client_state;
  }
  work.stage = Work::Stage::kCommitting;
  if (memtable->empty()) return;
  work.stage = Work::Stage::kWriting;
  work.job = std::make_unique<MergeJob>(
      JobParameters(Memtable::NewIterator(std::move(memtable)),
                    VersionFilter({work.watermark, {}}, nullptr, KeyRanges::All())));
}

void EngineImpl::BeginCompaction() {
  Work& work = background_.compaction;
  std::shared_ptr<const TableSet> tables;
  {
    MutexLock lock(mutex_);
    tables = read_state_->tables();
    work.watermark = KeptFrom(AsVersion(durable_.index));
  }
  const auto inputs = PickCompaction(*tables, options_.level0_files_trigger);
  CHECK(inputs.has_value());
  std::vector<std::unique_ptr<InternalIterator>> sources;
  for (const auto& table : inputs->level0) {
    work.edit.removed.push_back({0, table->metadata().number});
    sources.push_back(TableReader::NewIterator(table, FillCache::kNo));
  }
  for (const auto& table : inputs->level1) {
    work.edit.removed.push_back({1, table->metadata().number});
  }
  if (!inputs->level1.empty()) {
    sources.push_back(NewLevelIterator(inputs->level1, FillCache::kNo));
  }
  // Level 1 is the last, and all of it that shares keys takes part: nothing older stands below.
  MergeJob::Parameters parameters =
      JobParameters(NewMergingIterator(std::move(sources)),
                    VersionFilter({work.watermark, {}}, nullptr, KeyRanges()));
  parameters.table_bytes = options_.table_bytes;
  if (options_.compression != bedrock::Compression::kNone) {
    parameters.table.compression = Compression::kLz4;
  }
  work.job = std::make_unique<MergeJob>(std::move(parameters));
  work.stage = Work::Stage::kWriting;
}

void EngineImpl::Write(WorkKind kind, Work& work) {
  switch (work.job->Step()) {
    case MergeJob::Progress::kMore:
      return;
    case MergeJob::Progress::kDone: {
      const std::uint32_t level = kind == WorkKind::kFlush ? 0 : 1;
      for (const TableMetadata& table : work.job->outputs())
        work.edit.added.push_back({level, table});
      work.stage = Work::Stage::kCommitting;
      return;
    }
    case MergeJob::Progress::kInputFailed:
      StartOver(kind, work, work.job->status(), InputDamaged::kYes);
      return;
    case MergeJob::Progress::kOutputFailed:
      StartOver(kind, work, work.job->status(), InputDamaged::kNo);
      return;
  }
}

bool EngineImpl::Commit(WorkKind kind, Work& work) {
  const std::string context = kind == WorkKind::kFlush ? "flush" : "compaction";
  if (!work.edit.added.empty()) {
    // The edit may become durable before we learn of it, so the names have to be durable first.
    const Status synced = environment_.file_system->SyncDirectory(options_.directory);
    if (!synced.ok()) {
      Fail(synced.Prefixed(context));
      return false;
    }
  }
  ManifestState after = background_.state;
  work.edit.next_file = background_.next_file;
  work.edit.watermark = std::max(after.watermark, work.watermark);
  const Status fits = after.Apply(work.edit);
  CHECK_MSG(fits.ok(), fits.ToString());
  auto tables = OpenTables(after);
  if (!tables.ok()) {
    StartOver(kind, work, tables.status(), InputDamaged::kNo);
    return false;
  }
  const Status written = WriteEdit(work.edit, after);
  if (written.IsNoSpace()) {
    // The outputs stay: the edit may be on disk already.
    PauseWork(kind, written.Prefixed(context), InputDamaged::kNo);
    return false;
  }
  if (!written.ok()) {
    Fail(written.Prefixed(context));
    return false;
  }
  background_.state = std::move(after);
  Install(kind, std::move(tables).value());
  return true;
}

Result<std::shared_ptr<const TableSet>> EngineImpl::OpenTables(const ManifestState& state) {
  std::shared_ptr<const TableSet> current;
  {
    MutexLock lock(mutex_);
    current = read_state_->tables();
  }
  std::map<FileNumber, TableSet::Table> opened;
  for (const auto& level : current->levels) {
    for (const auto& table : level) opened.emplace(table->metadata().number, table);
  }
  auto tables = std::make_shared<TableSet>();
  for (std::size_t level = 0; level < kLevelsMax; ++level) {
    for (const TableMetadata& metadata : state.levels[level]) {
      TableSet::Table& table = opened[metadata.number];
      if (table == nullptr) {
        ASSIGN_OR_RETURN(table, TableReader::Open(*environment_.file_system, options_.directory,
                                                  metadata, cache_));
      }
      tables->levels[level].push_back(table);
    }
  }
  tables->watermark = state.watermark;
  tables->quarantined = state.quarantined;
  return std::shared_ptr<const TableSet>(std::move(tables));
}

Status EngineImpl::WriteEdit(const VersionEdit& edit, const ManifestState& after) {
  auto& manifest = background_.manifest;
  if (manifest == nullptr ||
      manifest->bytes() >
          std::max(kManifestBytesMin, kManifestGrowthMax * manifest->first_edit_bytes())) {
    return BeginManifest(after);
  }
  Status appended = manifest->Append(edit);
  if (!appended.ok()) manifest.reset();
  return appended;
}

Status EngineImpl::BeginManifest(ManifestState state) {
  const FileNumber number = background_.next_file;
  background_.next_file = number.Next();
  state.next_file = background_.next_file;
  FileSystem& file_system = *environment_.file_system;
  auto created = ManifestWriter::Create(file_system, options_.directory, number, state);
  if (!created.ok()) {
    // With any other error CURRENT may name it already.
    if (created.status().IsNoSpace()) {
      (void)file_system.Remove(JoinPath(options_.directory, ManifestName(number)));
    }
    return created.status();
  }
  background_.manifest = std::move(created).value();
  // Nothing names the earlier ones any more.
  const auto names = file_system.List(options_.directory);
  if (!names.ok()) return {};
  for (const std::string& name : *names) {
    const auto parsed = ParseName(name);
    if (parsed && parsed->kind == ParsedName::Kind::kManifest && parsed->number < number) {
      (void)file_system.Remove(JoinPath(options_.directory, name));
    }
  }
  return {};
}

void EngineImpl::Install(WorkKind kind, const std::shared_ptr<const TableSet>& tables) {
  std::shared_ptr<const ReadState> before;  // let go after the mutex: it may free a memtable
  Frozen flushed;
  {
    MutexLock lock(mutex_);
    before = read_state_;
    ReadState::Memtables memtables = read_state_->memtables();
    if (kind == WorkKind::kFlush) {
      flushed = std::move(frozen_.front());
      frozen_.pop_front();
      memtables.pop_back();
      durable_ = flushed.mark;
      client_state_ = std::move(flushed.client_state);
    }
    Publish(std::make_shared<const ReadState>(std::move(memtables), tables));
    PauseOf(kind) = {};
    compaction_wanted_ = PickCompaction(*tables, options_.level0_files_trigger).has_value();
  }
  if (kind != WorkKind::kCompaction) return;
  std::map<FileNumber, TableSet::Table> gone;
  for (const auto& level : before->tables()->levels) {
    for (const auto& table : level) gone.emplace(table->metadata().number, table);
  }
  for (const auto& level : tables->levels) {
    for (const auto& table : level) gone.erase(table->metadata().number);
  }
  for (auto& [number, table] : gone) background_.obsolete.push_back(std::move(table));
}

void EngineImpl::CollectObsolete() {
  read_cell_.Collect();
  {
    MutexLock lock(mutex_);
    // While an edit's fate is unknown nothing is removed.
    if (!failure_.ok() || background_.manifest == nullptr) return;
  }
  // Only this list can make a table's count grow again, so one is the last.
  std::erase_if(background_.obsolete, [this](TableSet::Table& table) {
    if (table.use_count() > 1) return false;
    const std::string name = TableName(table->metadata().number);
    table.reset();
    (void)environment_.file_system->Remove(JoinPath(options_.directory, name));
    return true;
  });
  MutexLock lock(mutex_);
  obsolete_waiting_ = !background_.obsolete.empty();
}

// ---- What becomes of failed work

void EngineImpl::StartOver(WorkKind kind, Work& work, const Status& why,
                           InputDamaged input_damaged) {
  // From here on not `why`: it may be the job's own, which goes.
  const Status context = why.Prefixed(kind == WorkKind::kFlush ? "flush" : "compaction");
  if (work.job != nullptr) work.job->Abandon();
  work = {};
  unsigned failures = 0;
  {
    MutexLock lock(mutex_);
    failures = PauseOf(kind).failures + 1;
  }
  // A full disk empties some day, and a table that can't be read is no reason to stop writing.
  if (!context.IsNoSpace() && !input_damaged && failures >= kOutputFailuresMax) {
    Fail(context);
  } else {
    PauseWork(kind, context, input_damaged);
  }
}

void EngineImpl::PauseWork(WorkKind kind, const Status& why, InputDamaged input_damaged) {
  {
    MutexLock lock(mutex_);
    Pause& pause = PauseOf(kind);
    const std::uint64_t ms = kPauseMsMin << std::min(pause.failures, 16u);
    pause.why = why;
    pause.until_ms = environment_.clock->MonotonicMs() + std::min(ms, kPauseMsMax);
    pause.input_damaged = static_cast<bool>(input_damaged);
    ++pause.failures;
  }
  NotifyProgress();
}

void EngineImpl::Fail(const Status& why) {
  {
    MutexLock lock(mutex_);
    if (failure_.ok()) failure_ = why;
  }
  NotifyProgress();
}

void EngineImpl::NotifyProgress() {
  std::function<void()> callback;
  {
    MutexLock lock(mutex_);
    callback = on_progress_;
  }
  if (callback) callback();
}

}  // namespace bedrock::engine
