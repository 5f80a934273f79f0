#include "common/env/memory_inode.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace bedrock::memory_internal {

void ApplyWrite(std::string& content, std::uint64_t offset, std::string_view data) {
  if (data.empty()) return;
  if (content.size() < offset + data.size()) content.resize(offset + data.size(), '\0');
  std::memcpy(content.data() + offset, data.data(), data.size());
}

namespace {

constexpr std::uint64_t kSectorBytes = MemoryFileSystem::kSectorBytes;

void ApplyChange(std::string& content, const Change& change) {
  if (change.kind == Change::Kind::kTruncate) {
    content.resize(change.offset, '\0');
  } else {
    ApplyWrite(content, change.offset, change.data);
  }
}

void ZeroFrom(std::string& content, std::uint64_t offset) {
  if (offset < content.size()) {
    std::fill(content.begin() + static_cast<std::ptrdiff_t>(offset), content.end(), '\0');
  }
}

/// Calls `visit` with the number of each sector that a write touches; with none for a truncation.
template <typename Visit>
void ForEachSector(const Change& change, Visit visit) {
  if (change.data.empty()) return;
  for (std::uint64_t s = change.offset / kSectorBytes; s * kSectorBytes < change.end(); ++s) {
    visit(s);
  }
}

/// Takes out of the writes what a truncation to `size` cuts.
void CutWrites(std::vector<Change>& writes, std::uint64_t size) {
  std::erase_if(writes, [&](const Change& write) { return write.offset >= size; });
  for (Change& write : writes) {
    if (write.end() > size) write.data.resize(size - write.offset);
  }
}

}  // namespace

void Inode::SyncAll() {
  for (const Change& change : unsynced) ApplyChange(durable, change);
  unsynced.clear();
}

/// The sectors that a successful Sync writes: those with a change since the last failed one.
std::set<std::uint64_t> Inode::RememberedSectors() const {
  std::set<std::uint64_t> sectors;
  for (const Change& change : unsynced) {
    if (change.forgotten) continue;
    ForEachSector(change, [&](std::uint64_t sector) { sectors.insert(sector); });
  }
  return sectors;
}

void Inode::Sync() {
  const bool any_forgotten = std::any_of(unsynced.begin(), unsynced.end(),
                                         [](const Change& change) { return change.forgotten; });
  if (!any_forgotten) {
    SyncAll();
    return;
  }
  // After a failed Sync the kernel writes only sectors that were touched again since.
  SyncSectors(RememberedSectors());
  for (Change& change : unsynced) change.forgotten = true;
}

void Inode::SyncRange(std::uint64_t offset, std::uint64_t n) {
  std::set<std::uint64_t> sectors;
  for (std::uint64_t s = offset / kSectorBytes; s * kSectorBytes < offset + n; ++s) {
    sectors.insert(s);
  }
  SyncSectors(sectors);
}

/// Makes these sectors durable, each as it is in memory. Sizes are metadata and get there in any
/// case.
void Inode::SyncSectors(const std::set<std::uint64_t>& sectors) {
  std::vector<Change> left;
  for (Change& change : unsynced) {
    if (change.kind == Change::Kind::kTruncate) {
      durable.resize(change.offset, '\0');
      CutWrites(left, change.offset);
      continue;
    }
    if (durable.size() < change.end()) durable.resize(change.end(), '\0');
    for (std::uint64_t at = change.offset; at < change.end();) {
      const std::uint64_t sector = at / kSectorBytes;
      const std::uint64_t end = std::min(change.end(), (sector + 1) * kSectorBytes);
      Change piece{.kind = Change::Kind::kWrite,
                   .offset = at,
                   .data = change.data.substr(at - change.offset, end - at),
                   .forgotten = change.forgotten};
      if (sectors.contains(sector)) {
        ApplyChange(durable, piece);
      } else {
        left.push_back(std::move(piece));
      }
      at = end;
    }
  }
  unsynced = std::move(left);
}

void Inode::Crash(Random& random, MemoryFileSystem::CrashMode mode) {
  if (mode == MemoryFileSystem::CrashMode::kKeepUnsynced) {
    SyncAll();
  } else if (mode == MemoryFileSystem::CrashMode::kRandom && !unsynced.empty()) {
    // Torn most often: that is what recovery finds hardest.
    enum Fate : std::uint64_t { kLost, kKept, kCut, kTorn, kFates = kTorn + 3 };
    switch (random.Below(kFates)) {
      case kLost:
        break;
      case kKept:
        SyncAll();
        break;
      case kCut:
        unsynced.resize(static_cast<std::size_t>(random.Below(unsynced.size() + 1)));
        SyncAll();
        break;
      default:
        CrashSectors(random);
    }
  }
  unsynced.clear();
  current = durable;
}

/// The size and each sector come from some moment since the last Sync, every one from its own. Only
/// truncations hold sectors together: what a durable one cut reads as zeroes until it is written
/// again, and what was written behind one that never became durable is not there.
void Inode::CrashSectors(Random& random) {
  const std::size_t sizes_kept = static_cast<std::size_t>(random.Below(unsynced.size() + 1));
  std::uint64_t size = durable.size();
  std::uint64_t size_max = size;
  std::vector<std::size_t> truncations;
  std::map<std::uint64_t, std::vector<std::size_t>> touched;  // sector: its writes
  for (std::size_t i = 0; i < unsynced.size(); ++i) {
    const Change& change = unsynced[i];
    const bool truncates = change.kind == Change::Kind::kTruncate;
    size_max = std::max(size_max, change.end());
    if (i < sizes_kept) size = truncates ? change.offset : std::max(size, change.end());
    if (truncates) truncations.push_back(i);
    ForEachSector(change, [&](std::uint64_t sector) { touched[sector].push_back(i); });
  }
  durable.resize(size_max, '\0');
  std::string result = durable;
  for (const std::size_t t : truncations) {
    if (t < sizes_kept) ZeroFrom(result, unsynced[t].offset);
  }
  for (const auto& [sector, writes] : touched) {
    const std::size_t kept = static_cast<std::size_t>(random.Below(writes.size() + 1));
    const std::uint64_t begin = sector * kSectorBytes;
    std::string content = durable.substr(begin, kSectorBytes);
    auto truncation = truncations.begin();
    bool hidden = false;  // behind a truncation that never happened
    for (std::size_t rank = 0; rank <= writes.size() && !hidden; ++rank) {
      const std::size_t next = rank < writes.size() ? writes[rank] : unsynced.size();
      for (; truncation != truncations.end() && *truncation < next; ++truncation) {
        const std::uint64_t cut = unsynced[*truncation].offset;
        if (cut >= begin + kSectorBytes) continue;
        if (*truncation >= sizes_kept) hidden = true;
        if (!hidden) ZeroFrom(content, cut > begin ? cut - begin : 0);
      }
      if (hidden || rank >= kept || rank == writes.size()) continue;
      const Change& change = unsynced[next];
      const std::uint64_t from = std::max(begin, change.offset);
      const std::uint64_t to = std::min(begin + kSectorBytes, change.end());
      std::memcpy(content.data() + (from - begin), change.data.data() + (from - change.offset),
                  to - from);
    }
    std::memcpy(result.data() + begin, content.data(), content.size());
  }
  result.resize(size, '\0');
  durable = std::move(result);
}

}  // namespace bedrock::memory_internal
