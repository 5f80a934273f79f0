#include "storaged/engine/wal/segment_pool.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/wal/wal_format.h"

namespace bedrock::engine::wal {
namespace {

const std::string& Zeroes() {
  static const std::string zeroes(SegmentPool::kFillBytes, '\0');
  return zeroes;
}

constexpr std::uint64_t PageAligned(std::uint64_t bytes) {
  return (bytes + kSegmentHeaderBytes - 1) / kSegmentHeaderBytes * kSegmentHeaderBytes;
}

}  // namespace

Result<std::shared_ptr<Segment>> SegmentPool::Take(std::uint64_t bytes_min) {
  FileSystem& files = *options_.environment.file_system;
  const FileNumber number = NewNumber();
  if (auto spare = TakeSpare(bytes_min)) {
    std::string path = JoinPath(options_.directory, SegmentName(number));
    const Status renamed = files.Rename(spare->path, path);
    if (!renamed.ok()) {
      Retire(std::move(spare));
      return renamed;
    }
    spare->number = number;
    spare->path = std::move(path);
    spare->last = Version();
    spare->end = 0;
    spare->name_durable = false;
    spare->durable.store(0, std::memory_order_relaxed);
    return spare;
  }
  const std::uint64_t bytes = std::max(options_.segment_bytes, PageAligned(bytes_min));
  ASSIGN_OR_RETURN(auto segment, Create(number, kLogSuffix, bytes));
  const Status filled =
      FillTo(*segment, std::min(bytes, std::max(options_.first_fill_bytes, bytes_min)));
  if (!filled.ok()) {
    (void)files.Remove(segment->path);  // best effort: a file without a header is no segment
    return filled;
  }
  return segment;
}

std::shared_ptr<Segment> SegmentPool::TakeSpare(std::uint64_t bytes_min) {
  const MutexLock lock(mutex_);
  for (auto spare = spares_.begin(); spare != spares_.end(); ++spare) {
    // A sync that began before it was retired may still hold it.
    if ((*spare)->bytes < bytes_min || spare->use_count() > 1) continue;
    auto taken = std::move(*spare);
    spares_.erase(spare);
    return taken;
  }
  if (preparing_ != nullptr && preparing_->bytes >= bytes_min &&
      preparing_->filled.load() >= std::max(bytes_min, options_.first_fill_bytes)) {
    return std::move(preparing_);  // as far as it is: it goes on growing as the log's
  }
  return nullptr;
}

Result<std::shared_ptr<Segment>> SegmentPool::Create(FileNumber number, std::string_view suffix,
                                                     std::uint64_t bytes) {
  FileSystem& files = *options_.environment.file_system;
  auto segment = std::make_shared<Segment>();
  segment->number = number;
  segment->path = JoinPath(options_.directory, SegmentName(number, suffix));
  segment->bytes = bytes;
  ASSIGN_OR_RETURN(segment->file, files.Open(segment->path, FileSystem::OpenMode::kCreate));
  ASSIGN_OR_RETURN(segment->filler, files.Open(segment->path, FileSystem::OpenMode::kReadWrite));
  if (options_.map) {
    // Where there is no mapping, for whatever reason, there is the way by system calls.
    auto map = segment->file->Map(bytes);
    if (map.ok()) segment->map = std::move(map).value();
  }
  return segment;
}

Status SegmentPool::FillTo(Segment& segment, std::uint64_t target) {
  while (segment.filled.load(std::memory_order_acquire) < target) {
    {
      MutexLock lock(mutex_);
      while (filling_) lock.Wait(idle_);
      if (segment.filled.load(std::memory_order_acquire) >= target) break;
      filling_ = true;
    }
    const Status filled = FillPart(segment, target);
    const MutexLock lock(mutex_);
    filling_ = false;
    idle_.notify_all();
    RETURN_IF_ERROR(filled);
  }
  return Status::Ok();
}

Status SegmentPool::FillPart(Segment& segment, std::uint64_t target) {
  const std::uint64_t from = segment.filled.load(std::memory_order_relaxed);
  const std::uint64_t n = std::min(target - from, kFillBytes);
  RETURN_IF_ERROR(segment.filler->WriteAt(from, std::string_view(Zeroes()).substr(0, n)));
  segment.filled.store(from + n, std::memory_order_release);
  return Status::Ok();
}

void SegmentPool::Prepare(std::shared_ptr<Segment> segment) {
  const MutexLock lock(mutex_);
  const std::uint64_t filled = segment->filled.load(std::memory_order_relaxed);
  if (filled < segment->bytes) {
    growth_target_ = std::min(segment->bytes, 2 * filled);
    growing_ = std::move(segment);
  } else if (spares_.empty() && preparing_ == nullptr && options_.spares_max > 0) {
    spare_wanted_ = true;
  }
  Post();
}

void SegmentPool::Retire(std::shared_ptr<Segment> segment) {
  const MutexLock lock(mutex_);
  if (growing_ == segment) growing_.reset();
  const bool whole = segment->bytes == options_.segment_bytes &&
                     segment->filled.load(std::memory_order_relaxed) == segment->bytes;
  const bool keep = whole && !segment->sync_failed.load() && spares_.size() < options_.spares_max;
  (keep ? spares_ : condemned_).push_back(std::move(segment));
  Post();
}

bool SegmentPool::HasWork() const {
  return growing_ != nullptr || preparing_ != nullptr || spare_wanted_ || !condemned_.empty();
}

void SegmentPool::Post() {
  if (posted_ || closed_ || !HasWork()) return;
  posted_ = true;
  options_.environment.executor->Post(Executor::Priority::kHigh,
                                      [self = shared_from_this()] { self->RunJob(); });
}

void SegmentPool::RunJob() {
  {
    const MutexLock lock(mutex_);
    if (closed_) return;
    running_ = true;
  }
  const Status done = RunStep();
  const MutexLock lock(mutex_);
  running_ = posted_ = false;
  if (!done.ok()) GiveUp();
  idle_.notify_all();
  Post();
}

Status SegmentPool::RunStep() {
  std::shared_ptr<Segment> growing;
  std::shared_ptr<Segment> preparing;
  std::shared_ptr<Segment> condemned;
  std::uint64_t target = 0;
  {
    const MutexLock lock(mutex_);
    if (growing_ != nullptr) {
      growing = growing_;
      target = growth_target_;
    } else if (!condemned_.empty()) {
      condemned = std::move(condemned_.back());
      condemned_.pop_back();
    } else {
      preparing = preparing_;
    }
  }
  if (growing != nullptr) {
    RETURN_IF_ERROR(FillInBackground(growing, target));
    const MutexLock lock(mutex_);
    if (growing_ == growing && growing->filled.load() >= growth_target_) growing_.reset();
    return Status::Ok();
  }
  if (condemned != nullptr) {
    return options_.environment.file_system->Remove(condemned->path);
  }
  if (preparing == nullptr) return PrepareSpare();
  RETURN_IF_ERROR(FillInBackground(preparing, preparing->bytes));
  const MutexLock lock(mutex_);
  if (preparing_ == preparing && preparing->filled.load() == preparing->bytes) {
    preparing->filler.reset();
    spares_.push_back(std::move(preparing_));
  }
  return Status::Ok();
}

Status SegmentPool::PrepareSpare() {
  {
    const MutexLock lock(mutex_);
    if (!spare_wanted_) return Status::Ok();
    spare_wanted_ = false;
  }
  ASSIGN_OR_RETURN(auto spare, Create(NewNumber(), kSpareSuffix, options_.segment_bytes));
  const MutexLock lock(mutex_);
  preparing_ = std::move(spare);
  return Status::Ok();
}

Status SegmentPool::FillInBackground(const std::shared_ptr<Segment>& segment,
                                     std::uint64_t target) {
  {
    MutexLock lock(mutex_);
    while (filling_) lock.Wait(idle_);
    if (segment->filled.load(std::memory_order_acquire) >= target) return Status::Ok();
    filling_ = true;
  }
  const std::uint64_t from = segment->filled.load(std::memory_order_relaxed);
  Status filled = FillPart(*segment, target);
  if (filled.ok() && segment->map != nullptr) segment->map->Populate(from, kFillBytes);
  {
    const MutexLock lock(mutex_);
    filling_ = false;
    idle_.notify_all();
  }
  if (!filled.ok() || !sync_fills_.load(std::memory_order_relaxed)) return filled;
  filled = segment->filler->Sync();
  if (!filled.ok()) segment->sync_failed.store(true);
  return filled;
}

void SegmentPool::GiveUp() {
  growing_.reset();
  spare_wanted_ = false;
  // Its bytes may be what is missing.
  if (preparing_ != nullptr) condemned_.push_back(std::move(preparing_));
}

void SegmentPool::Close() {
  MutexLock lock(mutex_);
  closed_ = true;
  while (running_) lock.Wait(idle_);
}

std::size_t SegmentPool::spares() {
  const MutexLock lock(mutex_);
  return spares_.size();
}

FileNumber SegmentPool::NewNumber() {
  const MutexLock lock(mutex_);
  const FileNumber number = next_number_;
  next_number_ = number.Next();
  return number;
}

}  // namespace bedrock::engine::wal
