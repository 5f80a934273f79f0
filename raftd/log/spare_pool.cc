#include "raftd/log/spare_pool.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "common/base/units.h"
#include "raftd/log/segment_format.h"

namespace bedrock::raft {
namespace {

constexpr std::uint64_t kFillBytes = 1 * kMiB;  // of one write while a file is zero-filled
constexpr std::uint64_t kRetryAfterMs = 1000;   // after a task failed
constexpr std::size_t kRecycledSparesMax = 2;   // kept beyond Options::spares

}  // namespace

Status SparePool::Load(const std::vector<std::string>& names) {
  FileSystem& files = *options_.environment.file_system;
  const std::size_t ready_max = options_.spares + kRecycledSparesMax;
  MutexLock lock(mutex_);
  for (const std::string& name : names) {
    const auto spare = ParseSegmentFileName(name, kSpareSuffix);
    const auto unfinished = ParseSegmentFileName(name, kTemporarySuffix);
    if (!spare && !unfinished) continue;
    const std::string path = JoinPath(options_.directory, name);
    next_name_ = std::max(next_name_, spare.value_or(0) + 1);
    bool keep = false;
    if (spare && ready_.size() < ready_max) {
      ASSIGN_OR_RETURN(const std::uint64_t bytes, files.FileSize(path));
      keep = bytes == options_.segment_bytes;
    }
    if (keep) {
      ready_.push_back(path);
    } else {
      RETURN_IF_ERROR(files.Remove(path));
    }
  }
  return Status::Ok();
}

void SparePool::TopUp() {
  {
    MutexLock lock(mutex_);
    if (posted_ || closed_ || !HasWork()) return;
    if (failed_at_ms_) {
      if (options_.environment.clock->MonotonicMs() - *failed_at_ms_ < kRetryAfterMs) return;
      failed_at_ms_.reset();
    }
    posted_ = true;
  }
  options_.environment.executor->Post(Executor::Priority::kLow,
                                      [self = shared_from_this()] { self->RunJob(); });
}

bool SparePool::HasWork() { return !retired_.empty() || ready_.size() < options_.spares; }

std::optional<SparePool::Task> SparePool::NextTask() {
  // Retiring first: it may yield the spare.
  if (!retired_.empty()) {
    return [this, retired = retired_.front()] { return RetireOne(retired); };
  }
  if (ready_.size() < options_.spares) return [this] { return PrepareOne(); };
  return std::nullopt;
}

void SparePool::RunJob() {
  std::optional<Task> task;
  {
    MutexLock lock(mutex_);
    if (!closed_) task = NextTask();
    if (!task) {
      posted_ = false;
      return;
    }
    running_ = true;
  }
  const Status done = (*task)();
  {
    MutexLock lock(mutex_);
    running_ = posted_ = false;
    failed_ = !done.ok();
    if (!done.ok()) failed_at_ms_ = options_.environment.clock->MonotonicMs();
    idle_.notify_all();
  }
  if (done.ok()) TopUp();
}

Status SparePool::PrepareOne() {
  ASSIGN_OR_RETURN(auto path, Fill(options_.segment_bytes, [this] { return closed(); }));
  MutexLock lock(mutex_);
  ready_.push_back(std::move(path));
  return Status::Ok();
}

Status SparePool::RetireOne(const Retired& retired) {
  FileSystem& files = *options_.environment.file_system;
  bool keep = false;
  {
    MutexLock lock(mutex_);
    keep = retired.bytes == options_.segment_bytes &&
           ready_.size() < options_.spares + kRecycledSparesMax;
  }
  const std::string spare = JoinPath(options_.directory, NewName() + std::string(kSpareSuffix));
  // It may have gone in an attempt whose folder sync failed.
  ASSIGN_OR_RETURN(const bool exists, files.Exists(retired.path));
  if (exists)
    RETURN_IF_ERROR(keep ? files.Rename(retired.path, spare) : files.Remove(retired.path));
  // The next one may go only when this one is gone for good: the log must never show a gap.
  RETURN_IF_ERROR(files.SyncDirectory(options_.directory));
  MutexLock lock(mutex_);
  retired_.pop_front();
  if (exists && keep) ready_.push_back(spare);
  return Status::Ok();
}

Result<std::string> SparePool::Fill(std::uint64_t bytes, const std::function<bool()>& stop) {
  FileSystem& files = *options_.environment.file_system;
  ASSIGN_OR_RETURN(const std::uint64_t free, files.FreeSpace(options_.directory));
  if (free < bytes) {
    return Status::NoSpace("a segment of " + std::to_string(bytes) + " bytes in " +
                           options_.directory + ": " + std::to_string(free) + " are free");
  }
  const std::string stem = JoinPath(options_.directory, NewName());
  const std::string temporary = stem + std::string(kTemporarySuffix);
  const auto fill = [&]() -> Status {
    ASSIGN_OR_RETURN(auto file, files.Open(temporary, FileSystem::OpenMode::kCreate));
    const std::string zeroes(std::min(bytes, kFillBytes), '\0');
    for (std::uint64_t at = 0; at < bytes; at += zeroes.size()) {
      if (stop()) return Status::Aborted("the log is being closed");
      const std::string_view part = std::string_view(zeroes).substr(0, bytes - at);
      RETURN_IF_ERROR(file->WriteAt(at, part));
    }
    return file->Sync();
  };
  std::string spare = stem + std::string(kSpareSuffix);
  Status filled = fill();
  if (filled.ok()) filled = files.Rename(temporary, spare);
  if (!filled.ok()) {
    // Best effort: what stays is removed at the next open.
    (void)files.Remove(temporary);
    return filled;
  }
  RETURN_IF_ERROR(files.SyncDirectory(options_.directory));
  return spare;
}

std::optional<std::string> SparePool::Take() {
  MutexLock lock(mutex_);
  if (ready_.empty()) return std::nullopt;
  std::string path = std::move(ready_.back());
  ready_.pop_back();
  return path;
}

bool SparePool::Lacking() {
  TopUp();
  MutexLock lock(mutex_);
  return ready_.empty() && failed_;
}

void SparePool::GiveBack(std::string path) {
  MutexLock lock(mutex_);
  ready_.push_back(std::move(path));
}

Result<std::string> SparePool::Make(std::uint64_t bytes) {
  return Fill(bytes, [] { return false; });
}

void SparePool::Retire(std::string path, std::uint64_t bytes) {
  {
    MutexLock lock(mutex_);
    retired_.push_back({std::move(path), bytes});
  }
  TopUp();
}

void SparePool::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  while (running_) lock.Wait(idle_);
}

std::uint64_t SparePool::SizeOnDisk() {
  MutexLock lock(mutex_);
  std::uint64_t bytes = ready_.size() * options_.segment_bytes;
  for (const Retired& retired : retired_) bytes += retired.bytes;
  return bytes;
}

std::string SparePool::NewName() {
  MutexLock lock(mutex_);
  return SegmentFileName(next_name_++, "");
}

bool SparePool::closed() {
  MutexLock lock(mutex_);
  return closed_;
}

}  // namespace bedrock::raft
