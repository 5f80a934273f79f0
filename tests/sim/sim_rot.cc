#include "tests/sim/sim_rot.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/record/record_reader.h"
#include "raftd/log/segment_format.h"
#include "raftd/log/segment_scanner.h"

namespace bedrock::sim {

namespace {

using raft::kPageBytes;
using OpenMode = FileSystem::OpenMode;

// What of each says something, as segment_format.h and membership_file.cc have it.
constexpr std::uint64_t kSlotBytes = 88;
constexpr std::uint64_t kHeaderBytes = 136;
constexpr std::uint64_t kMembersBytes = 40;

/// A disk in memory that nothing else fails: whatever is asked of it works.
void Must(const Status& status) { CHECK_MSG(status.ok(), status.ToString()); }

template <typename T>
T Must(Result<T> result) {
  Must(result.status());
  return std::move(result).value();
}

std::string ReadWhole(MemoryFileSystem& files, const std::string& path) {
  const auto file = Must(files.Open(path, OpenMode::kRead));
  std::string content(Must(file->Size()), '\0');
  content.resize(Must(file->ReadAt(0, content.size(), content.data())));
  return content;
}

std::string LogFolder(const std::string& directory) { return directory + "/log"; }

std::string PathOf(const std::string& directory, std::uint64_t number) {
  return LogFolder(directory) + "/" + raft::SegmentFileName(number, raft::kSegmentSuffix);
}

std::string VotePath(const std::string& directory) { return directory + "/vote"; }

/// Ascending.
std::vector<std::uint64_t> Segments(MemoryFileSystem& files, const std::string& directory) {
  std::vector<std::uint64_t> numbers;
  if (!Must(files.Exists(LogFolder(directory)))) return numbers;
  for (const std::string& name : Must(files.List(LogFolder(directory)))) {
    if (const auto number = raft::ParseSegmentFileName(name, raft::kSegmentSuffix)) {
      numbers.push_back(*number);
    }
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

/// A segment's batches that something proves, as far as their pages are in the file: what fills the
/// last one's page may be gone with the end that was lost (LoseTail).
std::vector<raft::Batch> ProvedBatches(const std::string& content, std::uint64_t number,
                                       bool closed) {
  const auto header = raft::DecodeSegmentHeader(std::string_view(content).substr(0, kPageBytes));
  if (!header.ok()) return {};
  std::vector<raft::Batch> batches =
      raft::ScanSegment(content, number, {header->prev_seq, header->chain}).batches;
  std::erase_if(batches, [&](const raft::Batch& batch) { return batch.end > content.size(); });
  if (closed) return batches;
  std::uint64_t proved = kPageBytes + header->reset_bytes;
  for (const raft::Batch& batch : batches) {
    if (batch.tail.synced.segment == number) proved = std::max(proved, batch.tail.synced.offset);
  }
  std::erase_if(batches, [proved](const raft::Batch& batch) { return batch.end > proved; });
  return batches;
}

template <typename Visit>
void ForEachRecord(const std::string& content, std::uint64_t number, const raft::Batch& batch,
                   const Visit& visit) {
  record::RecordReader reader(std::string_view(content).substr(batch.start, batch.tail.bytes),
                              batch.start, number);
  while (reader.Next() == record::Finding::kRecord) {
    visit(static_cast<raft::RecordType>(reader.record().type), reader.record());
  }
}

/// Whether it takes back entries that stand before it. Where that can't be read nobody knows that
/// they are gone.
bool HoldsCut(const std::string& content, std::uint64_t number, const raft::Batch& batch) {
  bool holds = false;
  ForEachRecord(content, number, batch, [&](raft::RecordType type, const record::Record&) {
    holds = holds || type == raft::RecordType::kCut;
  });
  return holds;
}

/// Does one of the things that happen to pages. `batch` lies whole in the file.
Rotted RotPage(MemoryFileSystem& files, const std::string& path, const raft::Batch& batch,
               const std::string& content, Random& random) {
  const std::uint64_t used =
      batch.tail.bytes + raft::kEntryRecordBytesMin;  // END's header at least
  const std::uint64_t pages = (batch.end - batch.start) / kPageBytes;
  const std::uint64_t page = batch.start + random.Below(pages) * kPageBytes;
  switch (random.Below(4)) {
    case 0: {
      const std::uint64_t offset = page + random.Below(kPageBytes);
      constexpr std::uint64_t kSector = MemoryFileSystem::kSectorBytes;
      const std::uint64_t sector = offset / kSector * kSector;
      Must(files.Overwrite(path, sector, std::string(kSector, '\0')));
      return {.offset = sector};
    }
    case 1: {
      const std::uint64_t begin = random.Below(kPageBytes);
      std::string garbage(random.Between(1, kPageBytes - begin), '\0');
      for (char& byte : garbage) byte = static_cast<char>(random.Below(256));
      Must(files.Overwrite(path, page + begin, garbage));
      return {.offset = page + begin};
    }
    case 2: {
      const std::uint64_t other = random.Below(content.size() / kPageBytes) * kPageBytes;
      Must(files.Overwrite(path, page, std::string_view(content).substr(other, kPageBytes)));
      return {.offset = page};
    }
    default: {
      const std::uint64_t byte = batch.start + random.Below(used);
      Must(files.FlipBit(path, 8 * byte + random.Below(8)));
      return {.offset = byte, .surely = true};
    }
  }
}

}  // namespace

std::optional<Rotted> RotBatch(MemoryFileSystem& files, const std::string& directory, RotIn where,
                               Random& random) {
  const std::vector<std::uint64_t> segments = Segments(files, directory);
  const bool all = where == RotIn::kAllSegments;
  const std::size_t count = segments.size() - (all || segments.empty() ? 0 : 1);
  if (count == 0) return std::nullopt;
  const std::uint64_t number = segments[random.Below(count)];
  const bool closed = number != segments.back();
  const std::string path = PathOf(directory, number);
  const std::string content = ReadWhole(files, path);
  std::vector<raft::Batch> batches = ProvedBatches(content, number, closed);
  if (batches.empty()) return std::nullopt;
  LogIndex last;
  for (const raft::Batch& batch : batches) last = std::max(last, batch.last_index);
  const auto keeps = [&](const auto& batch) { return !HoldsCut(content, number, batch); };
  const bool any = !std::all_of(batches.begin(), batches.end(), keeps);
  // Cuts are rare, and what hides one is the worst of all.
  if (any && random.Chance(1, 2)) std::erase_if(batches, keeps);
  Rotted rotted = RotPage(files, path, batches[random.Below(batches.size())], content, random);
  rotted.segment = number;
  rotted.closed = closed;
  rotted.last = last;
  return rotted;
}

bool IsVoteSlotLost(MemoryFileSystem& files, const std::string& directory) {
  const std::string content = ReadWhole(files, VotePath(directory));
  for (std::uint64_t i = 0; i < 2; ++i) {
    const std::string page = content.substr(std::min<std::size_t>(content.size(), i * kPageBytes));
    const auto slot = raft::DecodeVoteSlot(page);
    if (!slot || slot->seq % 2 != i) return true;
  }
  return false;
}

bool RotVoteSlot(MemoryFileSystem& files, const std::string& directory, Random& random) {
  if (IsVoteSlotLost(files, directory)) return false;
  const std::uint64_t byte = random.Below(2) * kPageBytes + random.Below(kSlotBytes);
  Must(files.FlipBit(VotePath(directory), 8 * byte + random.Below(8)));
  return true;
}

bool LoseTail(MemoryFileSystem& files, const std::string& directory, Random& random) {
  const std::vector<std::uint64_t> segments = Segments(files, directory);
  if (segments.empty()) return false;
  const std::string last = PathOf(directory, segments.back());
  const std::string content = ReadWhole(files, last);
  const auto header = raft::DecodeSegmentHeader(std::string_view(content).substr(0, kPageBytes));
  if (!header.ok()) return false;
  const raft::SegmentScan scan =
      raft::ScanSegment(content, segments.back(), {header->prev_seq, header->chain});
  const raft::Batch* newest = nullptr;
  for (const raft::Batch& batch : scan.batches) {
    if (HoldsCut(content, segments.back(), batch)) newest = &batch;
  }
  // With the segment of a reset all would be gone, or what the reset has made an end of come back.
  const bool may_go = segments.size() > 1 && !header->resets();
  if (may_go && random.Chance(1, 2)) {
    Must(files.Remove(last));
    Must(files.SyncDirectory(LogFolder(directory)));
    return true;
  }
  // Cuts are rare, and what they had taken back stands there again without them.
  const bool loses_cut = newest != nullptr && random.Chance(1, 2);
  const std::uint64_t begin = loses_cut ? newest->start : kPageBytes;
  const std::uint64_t end = loses_cut ? begin + newest->tail.bytes : scan.end;
  const auto file = Must(files.Open(last, OpenMode::kReadWrite));
  Must(file->Truncate(begin + random.Below(end - begin + 1)));
  Must(file->Sync());
  return true;
}

LogIndex CommittedByRecords(MemoryFileSystem& files, const std::string& directory) {
  LogIndex committed;
  bool first = true;
  for (const std::uint64_t number : Segments(files, directory)) {
    const std::string content = ReadWhole(files, PathOf(directory, number));
    const auto header = raft::DecodeSegmentHeader(std::string_view(content).substr(0, kPageBytes));
    if (!header.ok()) continue;
    committed = std::max({committed, header->mark, header->commit_hint});
    if (std::exchange(first, false) || header->resets()) {
      committed = std::max(committed, header->prev_index);
    }
    for (const raft::Batch& batch :
         raft::ScanSegment(content, number, {header->prev_seq, header->chain}).batches) {
      ForEachRecord(
          content, number, batch, [&](raft::RecordType type, const record::Record& record) {
            const bool tells = type == raft::RecordType::kMark || type == raft::RecordType::kHint;
            if (tells) committed = std::max(committed, LogIndex(record.ordinal));
          });
    }
  }
  return committed;
}

std::string RuinLog(MemoryFileSystem& files, const std::string& directory, Random& random) {
  const std::vector<std::uint64_t> segments = Segments(files, directory);
  if (segments.empty()) return {};
  const auto remove = [&](const std::string& path, const std::string& folder) {
    Must(files.Remove(path));
    Must(files.SyncDirectory(folder));
  };
  const auto flip = [&](const std::string& path, std::uint64_t begin, std::uint64_t bytes) {
    Must(files.FlipBit(path, 8 * (begin + random.Below(bytes)) + random.Below(8)));
  };
  switch (random.Below(5)) {
    case 0:
      flip(VotePath(directory), 0, kSlotBytes);
      flip(VotePath(directory), kPageBytes, kSlotBytes);
      return "both slots of the vote file";
    case 1:
      remove(VotePath(directory), directory);
      return "the vote file";
    case 2:
      for (const std::uint64_t number : segments) {
        remove(PathOf(directory, number), LogFolder(directory));
      }
      return "all segments";
    case 3:
      flip(directory + "/members", 0, kMembersBytes);
      return "who takes part";
    default:
      flip(PathOf(directory, segments.back()), 0, kHeaderBytes);
      return "the newest segment's header";
  }
}

}  // namespace bedrock::sim
