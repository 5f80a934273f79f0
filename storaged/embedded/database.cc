#include "storaged/embedded/database.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/embedded/change.h"
#include "storaged/embedded/engine_settings.h"
#include "storaged/embedded/txn/ended_transaction.h"
#include "storaged/engine/read/iterator.h"

namespace bedrock::embedded {
namespace {

/// How often the background looks after what time brings about, at the least and at the most.
constexpr std::uint64_t kTickMsMin = 10;
constexpr std::uint64_t kTickMsMax = 1000;

/// Holds what tells this database's log from others': a number, not 0, in hexadecimal digits.
constexpr std::string_view kIdName = "IDENTITY";
constexpr std::size_t kIdBytesMax = 17;

/// How often Transact runs its body at most.
constexpr std::uint64_t kAttemptsMax = 100;

/// In microseconds. The first conflicts are mostly over when they are noticed; those that go on
/// need room.
std::uint64_t PauseBefore(std::uint64_t attempt) {
  constexpr std::uint64_t kFirstUs = 20;
  constexpr std::uint64_t kLastUs = 20'000;
  return std::min(kFirstUs << std::min<std::uint64_t>(attempt, 20), kLastUs);
}

Result<engine::ReadSettings> SettingsOf(const ReadOptions& options) {
  engine::ReadSettings settings;
  if (options.snapshot.has_value()) {
    if (options.at_version.has_value())
      return Status::InvalidArgument("a read is at a snapshot or at a version, not at both");
    settings.at = options.snapshot->version();
  } else {
    settings.at = options.at_version;
  }
  settings.fill_cache = engine::FillCache(options.fill_cache);
  settings.verify_checksums = engine::VerifyChecksums(options.verify_checksums);
  return settings;
}

}  // namespace

// ---- The handle

Database::Database(std::unique_ptr<LocalEnvironment> local, std::shared_ptr<Core> core)
    : local_(std::move(local)), core_(std::move(core)) {}

Database::~Database() { (void)core_->Close(); }

Result<Version> Database::CommitOne(const Change& change, WriteOptions options) {
  RETURN_IF_ERROR(core_->CheckOpen());
  RETURN_IF_ERROR(CheckChange(change));
  return core_->pipeline().CommitOne(change, options.sync);
}

Result<Version> Database::Put(std::string_view key, std::string_view value, WriteOptions options) {
  return CommitOne({Change::Kind::kPut, key, value}, options);
}

Result<Version> Database::Delete(std::string_view key, WriteOptions options) {
  return CommitOne({Change::Kind::kDelete, key, {}}, options);
}

Result<Version> Database::DeleteRange(std::string_view begin, std::string_view end,
                                      WriteOptions options) {
  if (!IsEmptyRange(begin, end))
    return CommitOne({Change::Kind::kDeleteRange, begin, end}, options);
  RETURN_IF_ERROR(core_->CheckOpen());
  return core_->engine().newest();
}

Result<Version> Database::Write(const WriteBatch& batch, WriteOptions options) {
  RETURN_IF_ERROR(core_->CheckOpen());
  if (batch.empty()) return core_->engine().newest();
  ASSIGN_OR_RETURN(const std::size_t user_bytes, CheckBatch(batch));
  return core_->pipeline().Commit(batch, user_bytes, options.sync);
}

Status Database::Get(std::string_view key, PinnedValue* value, const ReadOptions& options) {
  RETURN_IF_ERROR(core_->CheckOpen());
  RETURN_IF_ERROR(CheckKey(key));
  ASSIGN_OR_RETURN(const engine::ReadSettings settings, SettingsOf(options));
  return core_->engine().Get(key, settings, value);
}

std::vector<Result<PinnedValue>> Database::MultiGet(std::span<const std::string_view> keys,
                                                    const ReadOptions& options) {
  const auto all = [&](const Status& why) {
    std::vector<Result<PinnedValue>> answers;
    answers.reserve(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) answers.emplace_back(why);
    return answers;
  };
  if (const Status open = core_->CheckOpen(); !open.ok()) return all(open);
  const Result<engine::ReadSettings> settings = SettingsOf(options);
  if (!settings.ok()) return all(settings.status());
  std::vector<Result<PinnedValue>> answers = core_->engine().MultiGet(keys, *settings);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    // Not before the others are read: one bad key is no reason to give nothing.
    if (Status bad = CheckKey(keys[i]); !bad.ok()) answers[i] = std::move(bad);
  }
  return answers;
}

std::unique_ptr<Iterator> Database::NewIterator(const ReadOptions& options, Range bounds) {
  if (const Status open = core_->CheckOpen(); !open.ok()) return engine::NewFailedIterator(open);
  const Result<engine::ReadSettings> settings = SettingsOf(options);
  if (!settings.ok()) return engine::NewFailedIterator(settings.status());
  return core_->engine().NewIterator(*settings, bounds);
}

Snapshot Database::GetSnapshot() {
  if (!core_->CheckOpen().ok()) return {Version(), nullptr};
  return core_->engine().GetSnapshot();
}

Result<Version> Database::NewestVersion(std::string_view key) {
  RETURN_IF_ERROR(core_->CheckOpen());
  RETURN_IF_ERROR(CheckKey(key));
  return core_->engine().NewestVersion(key);
}

std::unique_ptr<Transaction> Database::BeginTransaction(const TransactionOptions& options) {
  if (Status open = core_->CheckOpen(); !open.ok()) return NewEndedTransaction(std::move(open));
  return std::make_unique<DatabaseTransaction>(core_, options);
}

Status Database::Transact(const std::function<Status(Transaction&)>& body,
                          const TransactionOptions& options) {
  Status status;
  for (std::uint64_t attempt = 0; attempt < kAttemptsMax; ++attempt) {
    if (attempt > 0) core_->waiter().Pause(PauseBefore(attempt));
    const auto transaction = BeginTransaction(options);
    status = body(*transaction);
    if (status.ok()) status = transaction->Commit();
    if (!status.IsConflict() && !status.IsDeadlock()) return status;
  }
  return status;
}

Status Database::Flush() {
  RETURN_IF_ERROR(core_->CheckOpen());
  return core_->Flush();
}

Status Database::CompactRange(Range range) {
  RETURN_IF_ERROR(core_->CheckOpen());
  return core_->CompactRange(range);
}

Status Database::Checkpoint(const std::string& directory) {
  RETURN_IF_ERROR(core_->CheckOpen());
  return core_->Checkpoint(directory);
}

Status Database::Verify() {
  RETURN_IF_ERROR(core_->CheckOpen());
  return core_->Verify();
}

EngineStats Database::Stats() {
  if (core_->CheckOpen().ok()) return core_->Stats();
  EngineStats stats;
  stats.state = EngineState::kFailed;
  stats.detail = "the database is closed";
  return stats;
}

std::uint64_t Database::ApproximateSize(Range range) {
  return core_->CheckOpen().ok() ? core_->engine().ApproximateSize(range) : 0;
}

Status Database::Close() { return core_->Close(); }

// ---- What it stands on

Core::Core(const Environment& environment, const std::string& directory, std::uint64_t seed)
    : environment_(environment),
      directory_(directory),
      seed_(seed),
      waiter_(*environment.executor),
      locks_(*environment.executor, *environment.clock),
      events_(std::make_shared<EventLog>(*environment.file_system, *environment.clock, directory)) {
}

Core::~Core() { (void)Close(); }

Status Core::Recover(const Options& options) {
  engine::EngineOptions settings = EngineSettings(directory_, options);
  const std::uint64_t segment_bytes = LogSegmentBytes(settings.memtable_bytes);
  RETURN_IF_ERROR(PrepareDirectory(options));
  RETURN_IF_ERROR(OpenEngine(std::move(settings)));
  events_->Open();
  engine_->OnProgress([this] { OnProgress(); });
  const Version in_tables(engine_->durable_applied().index.value());
  RETURN_IF_ERROR(OpenLog(segment_bytes));
  events_->Write("opened at version " + std::to_string(engine_->newest().value()) + ": " +
                 std::to_string(in_tables.value()) + " stood in tables, " +
                 std::to_string(recovered_commits_) + " commits came from the log");
  StartPipeline(options.history);
  return {};
}

Status Core::OpenLog(std::uint64_t segment_bytes) {
  ASSIGN_OR_RETURN(id_, ReadOrMakeId());
  const engine::wal::LogOptions settings{
      .directory = directory_, .database_id = id_, .segment_bytes = segment_bytes};
  const Version in_tables(engine_->durable_applied().index.value());
  ASSIGN_OR_RETURN(log_, engine::wal::Log::Open(environment_, settings, in_tables,
                                                [this](Version version, std::string_view changes) {
                                                  return Replay(version, changes);
                                                }));
  return {};
}

Result<std::uint64_t> Core::ReadOrMakeId() {
  const std::string path = JoinPath(directory_, kIdName);
  const Result<std::string> text = ReadFile(*environment_.file_system, path, kIdBytesMax);
  if (text.ok()) {
    std::uint64_t id = 0;
    const char* const end = text->data() + text->size();
    const auto parsed = std::from_chars(text->data(), end, id, 16);
    if (parsed.ec != std::errc() || std::string_view(parsed.ptr, end) != "\n" || id == 0)
      return Status::Corruption(path + " holds no id");
    return id;
  }
  if (!text.status().IsNotFound()) return text.status();
  // The log, if there is one, then says that it is another's: no data get lost by this.
  char digits[16];
  const auto written = std::to_chars(digits, digits + sizeof(digits), seed_, 16);
  RETURN_IF_ERROR(
      ReplaceFile(*environment_.file_system, path, std::string(digits, written.ptr) + "\n"));
  return seed_;
}

void Core::StartPipeline(std::chrono::milliseconds history) {
  const auto history_ms = static_cast<std::uint64_t>(history.count());
  pipeline_ = std::make_unique<CommitPipeline>(
      CommitPipeline::Parts{.engine = *engine_,
                            .log = *log_,
                            .waiter = waiter_,
                            .clock = *environment_.clock,
                            .on_failure =
                                [events = events_](const Status& why) {
                                  events->Write("no more commits: " + why.ToString());
                                }},
      History(history_ms, environment_.clock->MonotonicMs(), engine_->Stats().watermark,
              engine_->newest()));
  ready_.store(true, std::memory_order_release);
  pipeline_->Maintain();
  tick_ms_ = history_ms == 0
                 ? kTickMsMax
                 : std::clamp(history_ms / History::kSamplesPerHistory, kTickMsMin, kTickMsMax);
  ScheduleTick();
}

Status Core::OpenEngine(engine::EngineOptions settings) {
  settings.on_event = [events = events_](std::string_view line) { events->Write(line); };
  ASSIGN_OR_RETURN(engine_, engine::Engine::Open(environment_, settings));
  return {};
}

Status Core::PrepareDirectory(const Options& options) {
  FileSystem& files = *environment_.file_system;
  ASSIGN_OR_RETURN(const bool exists, files.Exists(JoinPath(directory_, "CURRENT")));
  if (!exists && !options.create_if_missing)
    return Status::NotFound(directory_ + " holds no database, and none is to be made");
  if (exists && options.error_if_exists)
    return Status::InvalidArgument(directory_ + " holds a database already");
  return exists ? Status() : MakeDirectory();
}

Status Core::MakeDirectory() {
  FileSystem& files = *environment_.file_system;
  RETURN_IF_ERROR(files.CreateDirectories(directory_));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(directory_));
  for (const std::string& name : names) {
    // The engine looks after its own kinds.
    if (engine::wal::ParseSegmentName(name).has_value())
      return Status::Corruption("CURRENT is missing, but " + name + " is there");
  }
  // A process that died while it made the directories may have left names that are not durable
  // yet. As far as this one may read the folders above: those it may not, others have made.
  std::string path = directory_;
  for (std::string parent = ParentPath(path); parent != path; parent = ParentPath(path)) {
    (void)files.SyncDirectory(parent);
    path = std::move(parent);
  }
  return {};
}

Status Core::Replay(Version version, std::string_view changes) {
  ++recovered_commits_;
  RETURN_IF_ERROR(engine::CheckChanges(changes));
  RETURN_IF_ERROR(engine_->ApplyAdmitted(changes, {LogIndex(version.value()), Term()}));
  if (!engine_->WantsFlush()) return {};
  // Memory stays bounded: the next commit waits until there is room for one more memtable.
  engine_->StartFlush({});
  Status admitted;
  std::optional<std::uint64_t> seen;
  const bool room = waiter_.Wait(
      [&] {
        const std::uint64_t progress = progress_.load();
        if (seen != progress) admitted = engine_->Admit(changes);
        seen = progress;
        return !admitted.IsBusy();
      },
      Waiter::kForever);
  return room ? Status() : admitted;
}

void Core::ScheduleTick() {
  environment_.executor->PostAfter(tick_ms_, Executor::Priority::kHigh, [this, gate = gate_] {
    if (!gate->Enter()) return;
    Tick();
    ScheduleTick();
    gate->Leave();
  });
}

void Core::Tick() {
  engine_->Tick();
  pipeline_->Maintain();
  ReportProgress();
}

void Core::OnProgress() {
  progress_.fetch_add(1);
  // The engine's last steps may end while it is being closed.
  if (ready_.load(std::memory_order_acquire) && gate_->Enter()) {
    pipeline_->Maintain();
    ReportProgress();
    gate_->Leave();
  }
  waiter_.Notify();
}

void Core::ReportProgress() {
  const std::uint64_t progress = progress_.load();
  if (reported_progress_.exchange(progress) == progress) return;
  const EngineStats stats = engine_->Stats();
  const MutexLock lock(report_mutex_);
  if (stats.durable > reported_durable_) {
    reported_durable_ = stats.durable;
    events_->Write("flushed: tables hold everything up to version " +
                   std::to_string(stats.durable.value()));
  }
  if (stats.compactions > reported_compactions_) {
    reported_compactions_ = stats.compactions;
    std::string line = "compacted: files on the levels are now";
    for (const EngineStats::Level& level : stats.levels) line += " " + std::to_string(level.files);
    events_->Write(line);
  }
  if (stats.state != reported_state_) {
    reported_state_ = stats.state;
    events_->Write("the state is " + std::string(EngineStateName(stats.state)) +
                   (stats.detail.empty() ? "" : ": " + stats.detail));
  }
}

Status Core::CheckOpen() const {
  if (!closed_.load(std::memory_order_acquire)) [[likely]]
    return {};
  return Status::Aborted("the database is closed");
}

Status Core::Close() {
  if (closed_.exchange(true, std::memory_order_acq_rel)) return {};
  locks_.Close();
  gate_->Close();
  Status status;
  if (pipeline_ != nullptr) status = pipeline_->Close();
  // The engine first: its jobs call the pipeline.
  engine_.reset();
  pipeline_.reset();
  log_.reset();
  if (!status.ok())
    events_->Write("closed with an error: " + status.ToString());
  else
    events_->Write("closed");
  events_->Close();
  return status;
}

// ---- Care

Status Core::Flush() {
  const std::uint64_t target = engine_->newest().value();
  // What failed before may work now, and the caller wants to know.
  engine_->RetryNow();
  std::optional<std::uint64_t> seen;
  Status why;
  const bool done = waiter_.Wait(
      [&] {
        if (engine_->durable_applied().index.value() >= target) return true;
        // Once more only after something moved: each call wakes what pauses.
        const std::uint64_t progress = progress_.load();
        if (seen != progress) why = pipeline_->StartFlush();
        seen = progress;
        if (why.ok()) why = WhyNoFlush();
        return !why.ok();
      },
      Waiter::kForever);
  if (done) return why;
  return Status::Unavailable("the flush waits: " + engine_->health().detail);
}

Status Core::WhyNoFlush() {
  const engine::EngineHealth health = engine_->health();
  switch (health.state) {
    case EngineState::kHealthy:
    case EngineState::kDegraded:
      return {};
    case EngineState::kNoSpace:
      return Status::NoSpace(health.detail);
    case EngineState::kReadOnly:
    case EngineState::kFailed:
      break;
  }
  return Status::IoError(health.detail);
}

Status Core::CompactRange(Range range) {
  RETURN_IF_ERROR(Flush());
  // Shared: the engine may answer when nobody waits any more.
  struct Answer {
    Mutex mutex;
    std::optional<Status> status GUARDED_BY(mutex);
  };
  const auto answer = std::make_shared<Answer>();
  engine_->CompactRange(range, [this, answer](Status status) {
    {
      const MutexLock lock(answer->mutex);
      answer->status = std::move(status);
    }
    waiter_.Notify();
  });
  std::optional<Status> status;
  (void)waiter_.Wait(
      [&] {
        const MutexLock lock(answer->mutex);
        status = answer->status;
        return status.has_value();
      },
      Waiter::kForever);
  return status.value_or(Status::Unavailable("the compaction waits: " + engine_->health().detail));
}

Status Core::Checkpoint(const std::string& directory) {
  // What ended before this call is in tables then, so the copy needs no log.
  RETURN_IF_ERROR(Flush());
  RETURN_IF_ERROR(engine_->Checkpoint(directory));
  events_->Write("made a checkpoint in " + directory);
  return {};
}

Status Core::Verify() {
  RETURN_IF_ERROR(engine_->Verify());
  Version through;
  RETURN_IF_ERROR(pipeline_->RunAsOwner([&] { through = log_->last_version(); }));
  if (ReadLog(through).ok()) return {};
  // Perhaps only because a file was given free and written anew meanwhile: once more, with commits
  // held back.
  Status read;
  RETURN_IF_ERROR(pipeline_->RunAsOwner([&] { read = ReadLog(log_->last_version()); }));
  return read;
}

Status Core::ReadLog(Version through) {
  const Version in_tables(engine_->durable_applied().index.value());
  if (through <= in_tables) return {};
  Version last;
  const auto read = engine::wal::RecoverSegments(
      *environment_.file_system, {.directory = directory_, .database_id = id_}, in_tables,
      [&](Version version, std::string_view changes) {
        if (version > through) return Status::Aborted("enough");
        last = version;
        return engine::CheckChanges(changes);
      });
  if (last == through) return {};
  if (!read.ok()) return read.status();
  return Status::Corruption("the log ends at version " + std::to_string(last.value()) +
                            " instead of " + std::to_string(through.value()));
}

EngineStats Core::Stats() {
  EngineStats stats = engine_->Stats();
  const CommitPipeline::Counters counters = pipeline_->counters();
  stats.commits = counters.commits;
  stats.user_bytes = counters.user_bytes;
  stats.delayed_writes = counters.delayed_writes;
  stats.delay_us = counters.delay_us;
  const engine::wal::LogStats log = log_->stats();
  stats.log_bytes = log.bytes;
  stats.log_syncs = log.syncs;
  if (const Status failure = pipeline_->failure(); !failure.ok()) {
    stats.state = EngineState::kFailed;
    stats.detail = failure.ToString();
  }
  return stats;
}

}  // namespace bedrock::embedded
