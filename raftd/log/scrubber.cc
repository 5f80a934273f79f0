#include "raftd/log/scrubber.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "common/base/status_macros.h"
#include "raftd/log/segment_format.h"
#include "raftd/log/segment_scanner.h"

namespace bedrock::raft {

Result<Scrubbed> Scrubber::Step(std::uint64_t first, std::uint64_t written, std::size_t bytes_max) {
  written_ = written;
  if (segment_ < first) {
    segment_ = first;
    file_.reset();
  }
  if (segment_ >= written_) {
    segment_ = 0;
    return Scrubbed{.done = true, .damage = {}};
  }
  if (known_.contains(segment_)) return Next();
  Result<Scrubbed> step = Scrubbed{};
  if (file_ == nullptr) {
    const std::uint64_t opening = segment_;
    const Status opened = Open();
    if (opened.IsCorruption()) return Damaged(opening, 0, false);
    if (!opened.ok()) step = opened;
  }
  if (step.ok()) step = Check(bytes_max);
  if (!step.ok()) {
    known_.insert(segment_);
    static_cast<void>(Next());
  }
  return step;
}

Scrubbed Scrubber::Next() {
  file_.reset();
  ++segment_;
  if (segment_ < written_) return {};
  segment_ = 0;
  return {.done = true, .damage = {}};
}

Scrubbed Scrubber::Damaged(std::uint64_t segment, std::uint64_t offset, bool recoverable) {
  known_.insert(segment);
  Scrubbed scrubbed = Next();
  scrubbed.damage = {.segment = segment, .offset = offset, .recoverable = recoverable};
  return scrubbed;
}

Result<std::string> Scrubber::ReadPage(std::uint64_t segment) {
  ASSIGN_OR_RETURN(auto file,
                   file_system_.Open(JoinPath(directory_, SegmentFileName(segment, kSegmentSuffix)),
                                     FileSystem::OpenMode::kRead));
  std::string page(kPageBytes, '\0');
  ASSIGN_OR_RETURN(const std::size_t n, file->ReadAt(0, page.size(), page.data()));
  page.resize(n);
  return page;
}

/// corruption where the segment's header is damaged. Where the next one's is, that one is told when
/// its turn comes; this one is read as far as batches go.
Status Scrubber::Open() {
  ASSIGN_OR_RETURN(const std::string page, ReadPage(segment_));
  ASSIGN_OR_RETURN(const SegmentHeader header, DecodeSegmentHeader(page));
  if (header.segment != segment_) return Status::Corruption("another segment's header");
  ASSIGN_OR_RETURN(
      file_, file_system_.Open(JoinPath(directory_, SegmentFileName(segment_, kSegmentSuffix)),
                               FileSystem::OpenMode::kRead));
  offset_ = kPageBytes;
  seq_ = header.prev_seq;
  ASSIGN_OR_RETURN(const std::string next_page, ReadPage(segment_ + 1));
  const Result<SegmentHeader> next = DecodeSegmentHeader(next_page);
  end_ = next.ok() ? std::clamp(next->prev_end, kPageBytes, header.bytes) : kPageBytes;
  return {};
}

Result<Scrubbed> Scrubber::Check(std::size_t bytes_max) {
  std::size_t window = std::max<std::size_t>(bytes_max, 2 * kPageBytes);
  std::uint64_t read = 0;
  while (offset_ < end_ && read < bytes_max) {
    std::string bytes(std::min<std::uint64_t>(window, end_ - offset_), '\0');
    ASSIGN_OR_RETURN(const std::size_t n, file_->ReadAt(offset_, bytes.size(), bytes.data()));
    bytes.resize(n);
    std::uint64_t at = 0;
    while (at < bytes.size()) {
      const std::optional<Batch> batch = ParseBatch(bytes, at, segment_);
      if (!batch || batch->tail.seq != seq_ + 1) break;
      seq_ = batch->tail.seq;
      at = batch->end;
    }
    read += at;
    if (at == 0) {
      // A batch may be larger than what was read of it.
      if (offset_ + window >= end_) return Damaged(segment_, offset_, true);
      window *= 2;
      continue;
    }
    offset_ += at;
    window = std::max<std::size_t>(bytes_max, 2 * kPageBytes);
  }
  return offset_ < end_ ? Scrubbed{} : Next();
}

}  // namespace bedrock::raft
