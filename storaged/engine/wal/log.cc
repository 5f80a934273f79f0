#include "storaged/engine/wal/log.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace bedrock::engine::wal {
namespace {

constexpr std::uint64_t kNever = UINT64_MAX;
constexpr std::size_t kSparesMax = 16;
constexpr std::size_t kUndosMax = 1024;  // that whoever waits for a Sync may sleep through
constexpr std::uint64_t kRewriteBytes = 1 * kMiB;

}  // namespace

Status LogOptions::Validate() const {
  if (segment_bytes < kSegmentBytesMin || segment_bytes > kSegmentBytesMax ||
      segment_bytes % kSegmentHeaderBytes != 0) {
    return Status::InvalidArgument(
        "segment_bytes has to be a multiple of 4 KiB from 8 KiB to 1 GiB");
  }
  if (spares_max > kSparesMax) return Status::InvalidArgument("spares_max is at most 16");
  return Status::Ok();
}

Log::Log(const Environment& environment, LogOptions options)
    : environment_(environment), options_(std::move(options)) {}

Log::~Log() {
  if (pool_ != nullptr) pool_->Close();
}

Result<std::unique_ptr<Log>> Log::Open(const Environment& environment, LogOptions options,
                                       Version after, const Replay& replay) {
  RETURN_IF_ERROR(options.Validate());
  std::unique_ptr<Log> log(new Log(environment, std::move(options)));
  RETURN_IF_ERROR(log->Recover(after, replay).Prefixed("open the write-ahead log"));
  return log;
}

Status Log::Recover(Version after, const Replay& replay) {
  FileSystem& files = *environment_.file_system;
  const RecoveryOptions recovery{.directory = options_.directory,
                                 .database_id = options_.database_id,
                                 .salvage = options_.salvage == Salvage::kYes};
  ASSIGN_OR_RETURN(auto recovered, RecoverSegments(files, recovery, after, replay));
  for (const RecoveredSegment& segment : recovered.segments) RETURN_IF_ERROR(Adopt(segment));
  // Best effort: what is not needed now is not needed at the next open either.
  for (const std::string& name : recovered.obsolete)
    (void)files.Remove(JoinPath(options_.directory, name));
  if (!recovered.segments.empty()) RETURN_IF_ERROR(files.SyncDirectory(options_.directory));
  next_.store(recovered.last.value() + 1);
  durable_.store(recovered.last.value());
  opened_at_ = recovered.last;
  salvaged_ = std::move(recovered.salvaged);
  pool_ = std::make_shared<SegmentPool>(
      SegmentPool::Options{.environment = environment_,
                           .directory = options_.directory,
                           .segment_bytes = options_.segment_bytes,
                           .first_fill_bytes = options_.first_fill_bytes,
                           .spares_max = options_.spares_max,
                           .map = options_.mapping == UseMapping::kYes},
      recovered.number_max.Next());
  return Status::Ok();
}

/// Makes a segment durable as it was read. Nothing is appended to it any more.
Status Log::Adopt(const RecoveredSegment& recovered) {
  auto segment = std::make_shared<Segment>();
  segment->number = recovered.number;
  segment->path = JoinPath(options_.directory, SegmentName(recovered.number));
  segment->first = recovered.first;
  segment->last = recovered.last;
  segment->end = recovered.end;
  segment->name_durable = true;
  segment->durable.store(recovered.end);
  // What was read may come from a cache that a failed sync of the last life left behind, marked
  // clean: only what is written once more is synced for sure.
  ASSIGN_OR_RETURN(auto file,
                   environment_.file_system->Open(segment->path, FileSystem::OpenMode::kReadWrite));
  std::string part;
  for (std::uint64_t at = recovered.proved; at < recovered.end; at += part.size()) {
    part.resize(std::min(kRewriteBytes, recovered.end - at));
    ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(at, part.size(), part.data()));
    if (n != part.size()) return Status::IoError(segment->path + ": the file became shorter");
    RETURN_IF_ERROR(file->WriteAt(at, part));
  }
  RETURN_IF_ERROR(file->Sync());
  const MutexLock lock(mutex_);
  closed_.push_back(std::move(segment));
  return Status::Ok();
}

WalRecord Log::RecordOf(RecordType type, Version version, std::string_view payload) const {
  return {.type = type,
          .ordinal = OrdinalOf(version),
          .durable = active_->durable.load(std::memory_order_relaxed),
          .payload = payload};
}

/// `end` first: who reads `next` and then `end` finds at least all records before `next`.
void Log::Advance(std::uint64_t end, Version next) {
  end_.store(end, std::memory_order_release);
  next_.store(next.value(), std::memory_order_release);
}

Status Log::Append(Version version, std::string_view payload, Durability durability) {
  const std::uint64_t at = end_.load(std::memory_order_relaxed);
  // limit_ is below kPayloadBytesMax or the segment was made for more: AppendSlow has checked.
  const bool direct =
      durability == Durability::kProcess && direct_.load(std::memory_order_acquire) &&
      version.value() == next_.load(std::memory_order_relaxed) &&
      payload.size() <= kPayloadBytesMax && at + RecordBytesMax(payload.size()) <= limit_;
  if (!direct) return AppendSlow(version, payload, durability);
  const std::size_t bytes = EncodeRecord(active_->map->data() + at, active_->number, at,
                                         RecordOf(RecordType::kCommit, version, payload));
  Advance(at + bytes, version.Next());
  return Status::Ok();
}

Status Log::AppendSlow(Version version, std::string_view payload, Durability durability) {
  if (payload.size() > kPayloadBytesMax) {
    return Status::InvalidArgument("a commit of " + std::to_string(payload.size()) +
                                   " bytes: at most " + std::to_string(kPayloadBytesMax) +
                                   " fit the write-ahead log; split it");
  }
  const std::uint64_t bytes_max = RecordBytesMax(payload.size());
  MutexLock lock(mutex_);
  while (true) {
    RETURN_IF_ERROR(CheckAppend(version));
    // What a running Sync writes has to be in the file before anything behind it counts.
    if (!flying_ || (durability == Durability::kDisk && !NeedsSegment(bytes_max))) break;
    lock.Wait(idle_);
  }
  RETURN_IF_ERROR(MakeRoom(bytes_max).Prefixed("append to the write-ahead log"));
  const bool store = durability == Durability::kProcess && staged_.bytes.empty();
  if (store && active_->map == nullptr) pool_->Map(*active_);
  if (store && active_->map != nullptr) {
    const std::uint64_t at = end_.load(std::memory_order_relaxed);
    const std::size_t bytes = EncodeRecord(active_->map->data() + at, active_->number, at,
                                           RecordOf(RecordType::kCommit, version, payload));
    Advance(at + bytes, version.Next());
  } else {
    Stage(version, payload);
    const bool write = durability == Durability::kProcess || staged_.bytes.size() > kStagedBytesMax;
    if (write && !flying_) RETURN_IF_ERROR(WriteStaged());
  }
  RefreshDirect();
  return Status::Ok();
}

Status Log::CheckAppend(Version version) const {
  RETURN_IF_ERROR(failure_);
  const std::uint64_t next = next_.load(std::memory_order_relaxed);
  if (version.value() == next) return Status::Ok();
  const std::string what = "append version " + std::to_string(version.value()) + " where " +
                           std::to_string(next) + " is the next";
  return Status::Aborted(undone_.ok() ? what : what + ": " + undone_.ToString());
}

bool Log::NeedsSegment(std::uint64_t bytes) const {
  // Little syncs of huge pages would write all of each.
  return active_ == nullptr || broken_ || (active_->huge_pages && pool_->serves_syncs()) ||
         end_.load(std::memory_order_relaxed) + bytes + kCloseBytes > active_->bytes;
}

Status Log::MakeRoom(std::uint64_t bytes) {
  if (NeedsSegment(bytes)) RETURN_IF_ERROR(BeginSegment(bytes));
  const std::uint64_t end = end_.load(std::memory_order_relaxed);
  const std::uint64_t needed = end + bytes + kCloseBytes;
  if (active_->filled.load(std::memory_order_acquire) < needed) {
    const std::uint64_t step = std::max(options_.first_fill_bytes, SegmentPool::kFillBytes);
    RETURN_IF_ERROR(
        pool_->FillTo(*active_, std::min(active_->bytes, std::max(needed, end + step))));
  }
  const std::uint64_t filled = active_->filled.load(std::memory_order_acquire);
  if (needed > mark_) {
    pool_->Prepare(active_);
    mark_ = filled < active_->bytes ? std::max(filled, needed) : kNever;
  }
  limit_ = std::min(filled - kCloseBytes, mark_);
  return Status::Ok();
}

Status Log::BeginSegment(std::uint64_t bytes) {
  RETURN_IF_ERROR(WriteStaged());
  ASSIGN_OR_RETURN(auto segment, pool_->Take(kSegmentHeaderBytes + bytes + kCloseBytes));
  segment->first = Version(next_.load(std::memory_order_relaxed));
  const Status written = segment->file->WriteAt(0, EncodeSegmentHeader(HeaderOf(*segment)));
  if (!written.ok()) {
    segment->sync_failed.store(true);  // not to be used again
    pool_->Retire(std::move(segment));
    return written;
  }
  if (active_ != nullptr) CloseActive();
  active_ = std::move(segment);
  broken_ = false;
  end_.store(kSegmentHeaderBytes, std::memory_order_release);
  mark_ = active_->filled.load() == active_->bytes ? 0 : active_->filled.load() / 2;
  return Status::Ok();
}

SegmentHeader Log::HeaderOf(const Segment& segment) const {
  SegmentHeader header{.database_id = options_.database_id,
                       .number = segment.number,
                       .bytes = segment.bytes,
                       .first_version = segment.first};
  if (active_ != nullptr) {
    header.previous = active_->number;
    header.previous_end = end_.load(std::memory_order_relaxed);
    header.previous_durable = active_->durable.load(std::memory_order_relaxed);
  } else if (!closed_.empty()) {
    header.previous = closed_.back()->number;
    header.previous_end = header.previous_durable = closed_.back()->end;
  }
  return header;
}

void Log::CloseActive() {
  const std::uint64_t end = end_.load(std::memory_order_relaxed);
  if (!broken_) {
    std::string close;
    AppendRecord(close, active_->number, end, RecordOf(RecordType::kClose, last_version(), {}));
    // The next segment's header says the same: a CLOSE that fails is not missed.
    (void)active_->file->WriteAt(end, close);
  }
  pool_->Unmap(*active_);
  active_->last = last_version();
  active_->end = end;
  bytes_closed_ += end - kSegmentHeaderBytes;
  closed_.push_back(std::move(active_));
}

void Log::Stage(Version version, std::string_view payload) {
  const std::uint64_t end = end_.load(std::memory_order_relaxed);
  if (staged_.bytes.empty()) {
    staged_.at = end;
    staged_.first = version;
  }
  const std::size_t before = staged_.bytes.size();
  AppendRecord(staged_.bytes, active_->number, end,
               RecordOf(RecordType::kCommit, version, payload));
  Advance(end + staged_.bytes.size() - before, version.Next());
  direct_.store(false, std::memory_order_relaxed);
}

Status Log::WriteStaged() {
  if (staged_.bytes.empty()) return Status::Ok();
  const Status written = active_->file->WriteAt(staged_.at, staged_.bytes);
  if (!written.ok()) Undo(staged_, written);
  staged_.bytes.clear();
  return written;
}

/// `batch` was not written, so neither it nor what follows it is in the log.
void Log::Undo(const Batch& batch, const Status& why) {
  end_.store(batch.at, std::memory_order_release);
  next_.store(batch.first.value(), std::memory_order_release);
  staged_.bytes.clear();
  broken_ = true;
  undone_ = why;
  ++undos_;
  undone_firsts_.push_back(batch.first);
  if (undone_firsts_.size() > kUndosMax) undone_firsts_.pop_front();
  RefreshDirect();
}

void Log::RefreshDirect() {
  direct_.store(failure_.ok() && active_ != nullptr && !broken_ && active_->map != nullptr &&
                    staged_.bytes.empty() && !flying_,
                std::memory_order_release);
}

bool Log::WasUndone(Position position) const {
  const std::uint64_t since = undos_ - position.undos;
  if (since > undone_firsts_.size()) return true;  // can't be told any more
  return std::any_of(undone_firsts_.end() - static_cast<std::ptrdiff_t>(since),
                     undone_firsts_.end(),
                     [&](Version first) { return first <= position.version; });
}

Position Log::position() const {
  const MutexLock lock(mutex_);
  return {last_version(), undos_};
}

Status Log::Sync(Position through) {
  SyncWork work;
  {
    MutexLock lock(mutex_);
    while (syncing_) lock.Wait(idle_);
    RETURN_IF_ERROR(failure_);
    if (WasUndone(through)) return undone_;
    if (through.version <= durable_version()) return Status::Ok();
    if (through.version > last_version()) {
      return Status::Aborted("sync version " + std::to_string(through.version.value()) +
                             ": it was not appended");
    }
    TakeSyncWork(work);
  }
  pool_->ServeSyncs();
  Outcome outcome = Outcome::kDone;
  const Status done = RunSync(work, outcome);
  const MutexLock lock(mutex_);
  return FinishSync(work, done, outcome);
}

void Log::TakeSyncWork(SyncWork& work) {
  work.through = last_version();
  work.end = end_.load(std::memory_order_acquire);
  work.active = active_;
  std::swap(work.batch, staged_);
  for (const auto& segment : closed_) {
    const bool durable = segment->durable.load(std::memory_order_relaxed) >= segment->end;
    if (!durable || !segment->name_durable) work.closed.push_back(segment);
    work.names = work.names || !segment->name_durable;
  }
  work.names = work.names || (active_ != nullptr && !active_->name_durable);
  syncing_ = true;
  flying_ = !work.batch.bytes.empty();
  ++syncs_;
  RefreshDirect();
}

Status Log::RunSync(const SyncWork& work, Outcome& outcome) {
  outcome = Outcome::kSyncFailed;
  const auto sync = [](Segment& segment) {
    Status synced = segment.file->Sync();
    if (synced.ok() && segment.sync_failed.load())
      return Status::IoError("sync " + segment.path + ": a sync of its zeroes failed");
    return synced;
  };
  // In order: a segment that is durable says that those before it are.
  for (const auto& segment : work.closed) RETURN_IF_ERROR(sync(*segment));
  if (work.active != nullptr) {
    Segment& active = *work.active;
    const std::string& batch = work.batch.bytes;
    if (!batch.empty() && active.durable.load() == work.batch.at && !active.sync_failed.load()) {
      Status done = active.file->WriteAtAndSync(work.batch.at, batch);
      if (done.IsNoSpace()) outcome = Outcome::kWriteFailed;
      RETURN_IF_ERROR(done);
    } else {
      if (!batch.empty()) {
        Status written = active.file->WriteAt(work.batch.at, batch);
        if (!written.ok()) outcome = Outcome::kWriteFailed;
        RETURN_IF_ERROR(written);
      }
      RETURN_IF_ERROR(sync(active));
    }
  }
  if (work.names) RETURN_IF_ERROR(environment_.file_system->SyncDirectory(options_.directory));
  outcome = Outcome::kDone;
  return Status::Ok();
}

Status Log::FinishSync(SyncWork& work, const Status& done, Outcome outcome) {
  syncing_ = flying_ = false;
  switch (outcome) {
    case Outcome::kDone:
      for (const auto& segment : work.closed) {
        segment->durable.store(segment->end);
        segment->name_durable = true;
      }
      if (work.active != nullptr) {
        work.active->durable.store(work.end);
        work.active->name_durable = true;
      }
      durable_.store(work.through.value(), std::memory_order_release);
      break;
    case Outcome::kWriteFailed:
      Undo(work.batch, done);
      break;
    case Outcome::kSyncFailed:
      failure_ = done.Prefixed("the write-ahead log failed");
      break;
  }
  if (staged_.bytes.empty()) {  // the buffer is used again
    std::swap(staged_.bytes, work.batch.bytes);
    staged_.bytes.clear();
  }
  // Here, under the mutex: who retires them looks whether somebody holds them.
  work.closed.clear();
  work.active.reset();
  RefreshDirect();
  idle_.notify_all();
  return outcome == Outcome::kSyncFailed ? failure_ : done;
}

void Log::ReleaseThrough(Version version) {
  const MutexLock lock(mutex_);
  while (!closed_.empty() && closed_.front()->last <= version) {
    pool_->Retire(std::move(closed_.front()));
    closed_.pop_front();
  }
  if (closed_.empty() && last_version() <= version) ReleaseActive();
}

/// Nothing in the log is needed: a database at rest keeps no file of it. Where somebody syncs the
/// file stays, as it is written already.
void Log::ReleaseActive() {
  const std::uint64_t end = end_.load(std::memory_order_relaxed);
  const bool written = active_ != nullptr && end > kSegmentHeaderBytes;
  if (!written || !staged_.bytes.empty() || flying_ || pool_->serves_syncs()) return;
  bytes_closed_ += end - kSegmentHeaderBytes;
  pool_->Unmap(*active_);
  pool_->Retire(std::move(active_));
  active_.reset();
  RefreshDirect();
}

LogStats Log::stats() const {
  const MutexLock lock(mutex_);
  const std::uint64_t in_active =
      active_ == nullptr ? 0 : end_.load(std::memory_order_relaxed) - kSegmentHeaderBytes;
  return {.appends = last_version() - opened_at_,
          .bytes = bytes_closed_ + in_active,
          .syncs = syncs_,
          .segments = closed_.size() + (active_ == nullptr ? 0 : 1),
          .spares = pool_->spares()};
}

}  // namespace bedrock::engine::wal
