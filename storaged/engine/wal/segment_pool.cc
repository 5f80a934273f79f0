#include "storaged/engine/wal/segment_pool.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/wal/wal_format.h"

namespace bedrock::engine::wal {
namespace {

constexpr std::uint64_t PageAligned(std::uint64_t bytes) {
  return (bytes + kSegmentHeaderBytes - 1) / kSegmentHeaderBytes * kSegmentHeaderBytes;
}

}  // namespace

Result<std::shared_ptr<Segment>> SegmentPool::Take(std::uint64_t bytes_min) {
  FileSystem& files = *options_.environment.file_system;
  const FileNumber number = NewNumber();
  bool first = false;
  if (auto spare = TakeSpare(bytes_min, first)) {
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
  // Who has filled one file fills another.
  const std::uint64_t fill = first ? options_.first_fill_bytes : kFillBytes;
  segment->small_pages = bytes >= kHugePageBytes && fill < kHugePageBytes;
  const Status filled = FillTo(*segment, std::min(bytes, std::max(fill, bytes_min)));
  if (!filled.ok()) {
    (void)files.Remove(segment->path);  // best effort: a file without a header is no segment
    return filled;
  }
  return segment;
}

std::shared_ptr<Segment> SegmentPool::TakeSpare(std::uint64_t bytes_min, bool& first) {
  const MutexLock lock(mutex_);
  first = taken_ == 0;
  ++taken_;
  if (serves_syncs()) DropHugeSpares();
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

void SegmentPool::DropHugeSpares() {
  const auto huge = std::stable_partition(spares_.begin(), spares_.end(),
                                          [](const auto& spare) { return !spare->huge_pages; });
  std::move(huge, spares_.end(), std::back_inserter(condemned_));
  spares_.erase(huge, spares_.end());
  if (preparing_ != nullptr && preparing_->huge_pages) condemned_.push_back(std::move(preparing_));
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
  return segment;
}

void SegmentPool::Map(Segment& segment) {
  if (!options_.map) return;
  // Where there is no mapping, for whatever reason, there is the way by system calls.
  auto mapped = segment.file->Map(segment.bytes);
  if (!mapped.ok()) return;
  std::shared_ptr<MappedFile> map = std::move(mapped).value();
  const bool huge_pages = !serves_syncs() && segment.bytes >= kHugePageBytes;
  if (huge_pages) map->PreferHugePages();
  const MutexLock lock(mutex_);
  segment.map = std::move(map);
  segment.huge_pages = segment.huge_pages || huge_pages;
}

void SegmentPool::Unmap(Segment& segment) {
  const MutexLock lock(mutex_);
  if (segment.map == nullptr) return;
  unmapping_.push_back(std::move(segment.map));
  Post();
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
  RETURN_IF_ERROR(segment.filler->Allocate(from + n));
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
  const bool fit = !segment->sync_failed.load() &&
                   !(serves_syncs() ? segment->huge_pages : segment->small_pages);
  const bool keep = whole && fit && spares_.size() < options_.spares_max;
  (keep ? spares_ : condemned_).push_back(std::move(segment));
  WatchIdle();
  Post();
}

void SegmentPool::WatchIdle() {
  if (watching_ || closed_ || spares_.empty()) return;
  watching_ = true;
  options_.environment.executor->PostAfter(
      kIdleMs, Executor::Priority::kLow,
      [self = shared_from_this(), taken = taken_] { self->DropIdleSpares(taken); });
}

void SegmentPool::DropIdleSpares(std::uint64_t taken_before) {
  const MutexLock lock(mutex_);
  watching_ = false;
  if (taken_ != taken_before) return WatchIdle();
  if (serves_syncs()) return;
  std::move(spares_.begin(), spares_.end(), std::back_inserter(condemned_));
  spares_.clear();
  Post();
}

bool SegmentPool::HasWork() const {
  return growing_ != nullptr || preparing_ != nullptr || spare_wanted_ || !condemned_.empty() ||
         !unmapping_.empty();
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
  std::vector<std::shared_ptr<MappedFile>> unmapping;
  std::uint64_t target = 0;
  {
    const MutexLock lock(mutex_);
    unmapping.swap(unmapping_);
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
    WatchIdle();
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
  if (!serves_syncs()) Map(*spare);
  const MutexLock lock(mutex_);
  preparing_ = std::move(spare);
  return Status::Ok();
}

Status SegmentPool::FillInBackground(const std::shared_ptr<Segment>& segment,
                                     std::uint64_t target) {
  std::shared_ptr<MappedFile> map;
  {
    MutexLock lock(mutex_);
    while (filling_) lock.Wait(idle_);
    if (segment->filled.load(std::memory_order_acquire) >= target) return Status::Ok();
    filling_ = true;
    map = segment->map;
  }
  const std::uint64_t from = segment->filled.load(std::memory_order_relaxed);
  Status filled = FillPart(*segment, target);
  if (filled.ok() && map != nullptr) map->Populate(from, std::min(target - from, kFillBytes));
  map.reset();
  {
    const MutexLock lock(mutex_);
    filling_ = false;
    idle_.notify_all();
  }
  if (!filled.ok() || !serves_syncs()) return filled;
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
