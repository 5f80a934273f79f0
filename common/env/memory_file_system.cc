#include "common/env/memory_file_system.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/thread_annotations.h"

namespace bedrock {

namespace {

constexpr std::uint64_t kSectorBytes = MemoryFileSystem::kSectorBytes;

/// A write or a truncation that no Sync has made durable.
struct Change {
  enum class Kind : std::uint8_t { kWrite, kTruncate };

  Kind kind = Kind::kWrite;
  std::uint64_t offset = 0;  ///< kTruncate: the new size.
  std::string data;
  /// A Sync has failed with it: the kernel has forgotten that it is dirty.
  bool forgotten = false;

  std::uint64_t end() const { return offset + data.size(); }
};

void ApplyWrite(std::string& content, std::uint64_t offset, std::string_view data) {
  if (data.empty()) return;
  if (content.size() < offset + data.size()) content.resize(offset + data.size(), '\0');
  std::memcpy(content.data() + offset, data.data(), data.size());
}

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

/// A file or a folder. Both kinds have a durable and a current form.
struct Inode {
  using Entries = std::map<std::string, std::shared_ptr<Inode>, std::less<>>;

  bool is_directory = false;

  // Of files.
  std::string current;
  std::string durable;
  std::vector<Change> unsynced;  ///< durable + unsynced = current.
  std::uint64_t links = 0;       ///< Current names.

  // Of folders.
  Entries entries;
  Entries durable_entries;

  void SyncAll() {
    for (const Change& change : unsynced) ApplyChange(durable, change);
    unsynced.clear();
  }
  void Sync();
  /// What a write with sync does after the write: only the sectors of [offset, offset + n).
  void SyncRange(std::uint64_t offset, std::uint64_t n);
  void Crash(Random& random, MemoryFileSystem::CrashMode mode);

 private:
  std::set<std::uint64_t> RememberedSectors() const;
  void SyncSectors(const std::set<std::uint64_t>& sectors);
  void CrashSectors(Random& random);
};

using InodePtr = std::shared_ptr<Inode>;

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

/// One name in one folder, and what it means from now on (null: nothing).
struct EntryChange {
  InodePtr directory;
  std::string name;
  InodePtr target;
};

/// A change of the name space that no SyncDirectory has made durable: all of its entries or none.
/// The last entry's folder is the one whose SyncDirectory counts.
struct NameChange {
  std::vector<EntryChange> entries;
  InodePtr removed_directory;  ///< Of RemoveDirectory.

  void MakeDurable() const {
    for (const EntryChange& entry : entries) {
      if (entry.target == nullptr) {
        entry.directory->durable_entries.erase(entry.name);
      } else {
        entry.directory->durable_entries[entry.name] = entry.target;
      }
    }
  }
};

using NameKey = std::pair<const Inode*, std::string>;

/// The parts of a path; none where it holds "..".
std::optional<std::vector<std::string>> SplitPath(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    if (part == "..") return std::nullopt;
    if (!part.empty() && part != ".") parts.emplace_back(part);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

std::string At(std::string_view path, std::uint64_t offset) {
  return std::string(path) + " at offset " + std::to_string(offset);
}

}  // namespace

struct MemoryFileSystem::State {
  /// A name in a folder that exists; the name itself may be free.
  struct Place {
    InodePtr directory;
    std::string name;
    InodePtr inode;  ///< Null: the name is free.
  };

  enum class Verdict : std::uint8_t { kGo, kGoThenFail, kFail };

  /// What the call has to do: go on, do it and then fail, or fail.
  struct Admission {
    Verdict verdict = Verdict::kGo;
    Status error;
  };

  mutable Mutex mutex;
  InodePtr root GUARDED_BY(mutex) = NewDirectory();
  std::vector<NameChange> unsynced_names GUARDED_BY(mutex);
  std::vector<Fault> faults GUARDED_BY(mutex);
  std::set<std::string> locks GUARDED_BY(mutex);
  std::uint64_t generation GUARDED_BY(mutex) = 0;
  std::uint64_t mutations GUARDED_BY(mutex) = 0;
  std::uint64_t crash_at GUARDED_BY(mutex) = 0;  // 0: never
  bool crashed GUARDED_BY(mutex) = false;
  std::uint64_t capacity GUARDED_BY(mutex) = kUnlimited;
  std::uint64_t used GUARDED_BY(mutex) = 0;  // bytes of files that have a name

  static InodePtr NewDirectory() {
    auto inode = std::make_shared<Inode>();
    inode->is_directory = true;
    return inode;
  }

  Admission Admit(Operation operation, std::string_view path, bool mutates) REQUIRES(mutex);
  Status MatchFault(Operation operation, std::string_view path) REQUIRES(mutex);
  Result<InodePtr> Find(std::string_view path) REQUIRES(mutex);
  Result<Place> FindPlace(std::string_view action, std::string_view path) REQUIRES(mutex);
  void Change(NameChange change) REQUIRES(mutex);
  void SyncNames(const InodePtr& directory) REQUIRES(mutex);
  void CrashNames(Random& random, CrashMode mode) REQUIRES(mutex);
  void CrashInodes(Random& random, CrashMode mode) REQUIRES(mutex);
  void Resize(Inode& inode, std::uint64_t size_old, std::uint64_t size_new) REQUIRES(mutex);
  Status Write(Inode& inode, std::string_view path, std::uint64_t offset, std::string_view data)
      REQUIRES(mutex);
  void Truncate(Inode& inode, std::uint64_t size) REQUIRES(mutex);
  Result<InodePtr> Create(const Place& place) REQUIRES(mutex);
};

MemoryFileSystem::State::Admission MemoryFileSystem::State::Admit(Operation operation,
                                                                  std::string_view path,
                                                                  bool mutates) {
  if (crashed) return {Verdict::kFail, Status::IoError(std::string(path) + ": machine crashed")};
  if (mutates) {
    ++mutations;
    if (mutations == crash_at) {
      crashed = true;
      return {Verdict::kGoThenFail, Status::IoError(std::string(path) + ": machine crashed")};
    }
  }
  Status fault = MatchFault(operation, path);
  if (!fault.ok()) return {Verdict::kFail, std::move(fault)};
  return {};
}

Status MemoryFileSystem::State::MatchFault(Operation operation, std::string_view path) {
  Status error;
  for (Fault& fault : faults) {
    const auto& kinds = fault.operations;
    if (std::find(kinds.begin(), kinds.end(), operation) == kinds.end()) continue;
    if (!path.ends_with(fault.path_suffix)) continue;
    if (fault.nth > 1) {
      --fault.nth;
      continue;
    }
    if (!fault.forever) fault.nth = 0;
    if (error.ok()) error = Status(fault.error, std::string(path) + ": injected fault");
  }
  std::erase_if(faults, [](const Fault& fault) { return fault.nth == 0; });
  return error;
}

Result<InodePtr> MemoryFileSystem::State::Find(std::string_view path) {
  const auto parts = SplitPath(path);
  if (!parts.has_value()) return Status::InvalidArgument(std::string(path) + ": holds ..");
  InodePtr inode = root;
  for (const std::string& part : *parts) {
    if (!inode->is_directory) return Status::IoError(std::string(path) + ": not a directory");
    const auto entry = inode->entries.find(part);
    if (entry == inode->entries.end()) {
      return Status::NotFound(std::string(path) + ": no such file or directory");
    }
    inode = entry->second;
  }
  return inode;
}

Result<MemoryFileSystem::State::Place> MemoryFileSystem::State::FindPlace(std::string_view action,
                                                                          std::string_view path) {
  const auto context = [&] { return std::string(action) + " " + std::string(path); };
  const auto parts = SplitPath(path);
  if (!parts.has_value() || parts->empty()) {
    return Status::InvalidArgument(context() + ": not a path of a file");
  }
  std::string parent;
  for (std::size_t i = 0; i + 1 < parts->size(); ++i) parent += "/" + (*parts)[i];
  auto directory = Find(parent);
  if (!directory.ok()) return std::move(directory).status().Prefixed(context());
  if (!(*directory)->is_directory) return Status::IoError(context() + ": not a directory");
  const auto entry = (*directory)->entries.find(parts->back());
  InodePtr inode = entry == (*directory)->entries.end() ? nullptr : entry->second;
  return Place{*directory, parts->back(), std::move(inode)};
}

/// Makes the change in the current name space and remembers that it is not durable.
void MemoryFileSystem::State::Change(NameChange change) {
  for (const EntryChange& entry : change.entries) {
    const auto old = entry.directory->entries.find(entry.name);
    if (old != entry.directory->entries.end()) {
      Inode& inode = *old->second;
      if (!inode.is_directory && --inode.links == 0) used -= inode.current.size();
      entry.directory->entries.erase(old);
    }
    if (entry.target == nullptr) continue;
    if (!entry.target->is_directory && entry.target->links++ == 0) {
      used += entry.target->current.size();
    }
    entry.directory->entries[entry.name] = entry.target;
  }
  unsynced_names.push_back(std::move(change));
}

/// Changes of this folder become durable, and earlier ones of other folders that touch the same
/// names: a rename brings along what made its source.
void MemoryFileSystem::State::SyncNames(const InodePtr& directory) {
  std::set<NameKey> needed;
  std::vector<bool> chosen(unsynced_names.size(), false);
  for (std::size_t i = unsynced_names.size(); i-- > 0;) {
    const auto& entries = unsynced_names[i].entries;
    chosen[i] = entries.back().directory == directory ||
                std::any_of(entries.begin(), entries.end(), [&](const EntryChange& entry) {
                  return needed.contains({entry.directory.get(), entry.name});
                });
    if (!chosen[i]) continue;
    for (const EntryChange& entry : entries) needed.insert({entry.directory.get(), entry.name});
  }
  std::vector<NameChange> left;
  for (std::size_t i = 0; i < unsynced_names.size(); ++i) {
    if (chosen[i]) {
      unsynced_names[i].MakeDurable();
    } else {
      left.push_back(std::move(unsynced_names[i]));
    }
  }
  unsynced_names = std::move(left);
}

void MemoryFileSystem::State::CrashNames(Random& random, CrashMode mode) {
  std::set<NameKey> lost_names;
  std::set<const Inode*> lost_in;
  // Whole crashes without or with everything happen as often as mixed ones.
  const std::uint64_t keep_of_4 = random.Below(5);
  for (const NameChange& change : unsynced_names) {
    bool kept = mode == CrashMode::kKeepUnsynced ||
                (mode == CrashMode::kRandom && random.Chance(keep_of_4, 4));
    for (const EntryChange& entry : change.entries) {
      if (lost_names.contains({entry.directory.get(), entry.name})) kept = false;
    }
    // A folder goes only when what was in it has gone.
    if (change.removed_directory != nullptr && lost_in.contains(change.removed_directory.get())) {
      kept = false;
    }
    if (kept) {
      change.MakeDurable();
      continue;
    }
    for (const EntryChange& entry : change.entries) {
      lost_names.insert({entry.directory.get(), entry.name});
      lost_in.insert(entry.directory.get());
    }
  }
  unsynced_names.clear();
}

/// Walks what is left in the order of names, so that the draws are the same on every run.
void MemoryFileSystem::State::CrashInodes(Random& random, CrashMode mode) {
  used = 0;
  std::set<const Inode*> seen;
  std::vector<InodePtr> open{root};
  while (!open.empty()) {
    const InodePtr inode = open.back();
    open.pop_back();
    inode->entries = inode->durable_entries;
    for (const auto& [name, child] : inode->entries) {
      if (child->is_directory) {
        if (seen.insert(child.get()).second) open.push_back(child);
        continue;
      }
      if (!seen.insert(child.get()).second) {
        ++child->links;
        continue;
      }
      child->links = 1;
      child->Crash(random, mode);
      used += child->current.size();
    }
  }
}

void MemoryFileSystem::State::Resize(Inode& inode, std::uint64_t size_old, std::uint64_t size_new) {
  if (inode.links > 0) used += size_new - size_old;
}

Status MemoryFileSystem::State::Write(Inode& inode, std::string_view path, std::uint64_t offset,
                                      std::string_view data) {
  if (offset > kUnlimited || data.size() > kUnlimited - offset) {
    return Status::IoError("write " + At(path, offset) + ": file too large");
  }
  const std::uint64_t free = capacity > used ? capacity - used : 0;
  const std::uint64_t size = inode.current.size();
  std::string_view fitting = data;
  if (offset + data.size() > size && offset + data.size() - size > free) {
    const std::uint64_t end = size + free;
    fitting = data.substr(0, end > offset ? end - offset : 0);
  }
  if (!fitting.empty()) {
    ApplyWrite(inode.current, offset, fitting);
    inode.unsynced.push_back({.kind = bedrock::Change::Kind::kWrite,
                              .offset = offset,
                              .data = std::string(fitting),
                              .forgotten = false});
    Resize(inode, size, inode.current.size());
  }
  if (fitting.size() == data.size()) return Status::Ok();
  return Status::NoSpace("write " + At(path, offset) + ": no space left on device");
}

void MemoryFileSystem::State::Truncate(Inode& inode, std::uint64_t size) {
  Resize(inode, inode.current.size(), size);
  inode.current.resize(size, '\0');
  inode.unsynced.push_back(
      {.kind = bedrock::Change::Kind::kTruncate, .offset = size, .data = {}, .forgotten = false});
}

Result<InodePtr> MemoryFileSystem::State::Create(const Place& place) {
  if (place.inode != nullptr) {
    if (!place.inode->current.empty()) Truncate(*place.inode, 0);
    return place.inode;
  }
  auto inode = std::make_shared<Inode>();
  Change({.entries = {{place.directory, place.name, inode}}, .removed_directory = nullptr});
  return inode;
}

class MemoryFileSystem::MemoryFile final : public File {
 public:
  MemoryFile(std::shared_ptr<State> state, std::string path, InodePtr inode, OpenMode mode)
      : state_(std::move(state)), path_(std::move(path)), inode_(std::move(inode)), mode_(mode) {
    const MutexLock lock(state_->mutex);
    generation_ = state_->generation;
  }

  Result<std::size_t> ReadAt(std::uint64_t offset, std::size_t n, char* out) const override {
    const MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(CheckAlive("read", offset));
    const auto admission = state_->Admit(Operation::kRead, path_, false);
    if (!admission.error.ok()) return admission.error.Prefixed("read " + At(path_, offset));
    const std::string& content = inode_->current;
    if (offset >= content.size()) return std::size_t{0};
    const std::size_t count = std::min<std::size_t>(n, content.size() - offset);
    // NOLINTNEXTLINE(bugprone-not-null-terminated-result): bytes, not a C string
    std::memcpy(out, content.data() + offset, count);
    return count;
  }

  Status WriteAt(std::uint64_t offset, std::string_view data) override {
    const MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(CheckWritable("write", offset));
    const auto admission = state_->Admit(Operation::kWrite, path_, true);
    const bool fails = admission.verdict == State::Verdict::kFail;
    // A failed write may have put any part of it there.
    if (fails && !state_->crashed) data = data.substr(0, data.size() / 2);
    if (fails && state_->crashed) data = {};
    Status written = state_->Write(*inode_, path_, offset, data);
    if (!admission.error.ok()) return admission.error.Prefixed("write " + At(path_, offset));
    return written;
  }

  Status Sync() override {
    const MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(CheckWritable("sync", 0));
    const auto admission = state_->Admit(Operation::kSync, path_, true);
    if (admission.verdict == State::Verdict::kGo) {
      inode_->Sync();
      return Status::Ok();
    }
    if (!state_->crashed) {
      for (bedrock::Change& change : inode_->unsynced) change.forgotten = true;
    }
    return admission.error.Prefixed("sync " + path_);
  }

  Status WriteAtAndSync(std::uint64_t offset, std::string_view data) override {
    RETURN_IF_ERROR(WriteAt(offset, data));
    const MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(CheckWritable("sync", offset));
    const auto admission = state_->Admit(Operation::kSync, path_, true);
    if (admission.verdict == State::Verdict::kGo) {
      inode_->SyncRange(offset, data.size());
      return Status::Ok();
    }
    if (!state_->crashed) {
      for (bedrock::Change& change : inode_->unsynced) change.forgotten = true;
    }
    return admission.error.Prefixed("sync " + path_);
  }

  Status Truncate(std::uint64_t size) override {
    const MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(CheckWritable("truncate", size));
    const auto admission = state_->Admit(Operation::kResize, path_, true);
    if (admission.verdict != State::Verdict::kFail) {
      const std::uint64_t free =
          state_->capacity > state_->used ? state_->capacity - state_->used : 0;
      if (size > inode_->current.size() && size - inode_->current.size() > free) {
        return Status::NoSpace("truncate " + At(path_, size) + ": no space left on device");
      }
      state_->Truncate(*inode_, size);
    }
    return admission.error.Prefixed("truncate " + At(path_, size));
  }

  Result<std::uint64_t> Size() const override {
    const MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(CheckAlive("size", 0));
    if (state_->crashed) return Status::IoError("size " + path_ + ": machine crashed");
    return static_cast<std::uint64_t>(inode_->current.size());
  }

 private:
  Status CheckAlive(std::string_view action, std::uint64_t offset) const REQUIRES(state_->mutex) {
    if (generation_ == state_->generation) return Status::Ok();
    return Status::IoError(std::string(action) + " " + At(path_, offset) +
                           ": opened before the crash");
  }
  Status CheckWritable(std::string_view action, std::uint64_t offset) const
      REQUIRES(state_->mutex) {
    RETURN_IF_ERROR(CheckAlive(action, offset));
    if (mode_ != OpenMode::kRead || action == "sync") return Status::Ok();
    return Status::IoError(std::string(action) + " " + At(path_, offset) +
                           ": opened for reading only");
  }

  const std::shared_ptr<State> state_;
  const std::string path_;
  const InodePtr inode_;
  const OpenMode mode_;
  std::uint64_t generation_ = 0;
};

class MemoryFileSystem::MemoryLock final : public FileLock {
 public:
  MemoryLock(std::shared_ptr<State> state, std::string key, std::uint64_t generation)
      : state_(std::move(state)), key_(std::move(key)), generation_(generation) {}
  ~MemoryLock() override {
    const MutexLock lock(state_->mutex);
    if (generation_ == state_->generation) state_->locks.erase(key_);
  }

 private:
  const std::shared_ptr<State> state_;
  const std::string key_;
  const std::uint64_t generation_;
};

MemoryFileSystem::MemoryFileSystem() : state_(std::make_shared<State>()) {}
MemoryFileSystem::MemoryFileSystem(std::shared_ptr<State> state) : state_(std::move(state)) {}
MemoryFileSystem::~MemoryFileSystem() = default;

Result<std::unique_ptr<File>> MemoryFileSystem::Open(const std::string& path, OpenMode mode) {
  InodePtr inode;
  {
    const MutexLock lock(state_->mutex);
    const bool creates = mode == OpenMode::kCreate;
    const auto admission = state_->Admit(Operation::kOpen, path, creates);
    if (admission.verdict == State::Verdict::kFail) return admission.error.Prefixed("open");
    ASSIGN_OR_RETURN(const auto place, state_->FindPlace("open", path));
    inode = place.inode;
    if (inode != nullptr && inode->is_directory) {
      return Status::IoError("open " + path + ": is a directory");
    }
    if (creates) {
      ASSIGN_OR_RETURN(inode, state_->Create(place));
    } else if (inode == nullptr) {
      return Status::NotFound("open " + path + ": no such file or directory");
    }
    if (!admission.error.ok()) return admission.error.Prefixed("open");
  }
  return std::unique_ptr<File>(std::make_unique<MemoryFile>(state_, path, std::move(inode), mode));
}

Status MemoryFileSystem::CreateDirectories(const std::string& path) {
  const MutexLock lock(state_->mutex);
  const auto parts = SplitPath(path);
  if (!parts.has_value()) return Status::InvalidArgument("mkdir " + path + ": holds ..");
  if (path.empty()) return Status::NotFound("mkdir: empty path");
  InodePtr directory = state_->root;
  for (const std::string& part : *parts) {
    const auto entry = directory->entries.find(part);
    if (entry != directory->entries.end()) {
      directory = entry->second;
      if (!directory->is_directory) return Status::IoError("mkdir " + path + ": not a directory");
      continue;
    }
    const auto made = state_->Admit(Operation::kCreateDirectory, path, true);
    if (made.verdict == State::Verdict::kFail) return made.error.Prefixed("mkdir");
    InodePtr child = State::NewDirectory();
    state_->Change({.entries = {{directory, part, child}}, .removed_directory = nullptr});
    if (!made.error.ok()) return made.error.Prefixed("mkdir");
    const auto synced = state_->Admit(Operation::kSyncDirectory, path, true);
    if (!synced.error.ok()) return synced.error.Prefixed("mkdir");
    state_->SyncNames(directory);
    directory = std::move(child);
  }
  if (state_->crashed) return Status::IoError("mkdir " + path + ": machine crashed");
  return Status::Ok();
}

Result<std::vector<std::string>> MemoryFileSystem::List(const std::string& directory) {
  const MutexLock lock(state_->mutex);
  const auto admission = state_->Admit(Operation::kList, directory, false);
  if (!admission.error.ok()) return admission.error.Prefixed("list");
  auto inode = state_->Find(directory);
  if (!inode.ok()) return std::move(inode).status().Prefixed("list");
  if (!(*inode)->is_directory) return Status::IoError("list " + directory + ": not a directory");
  std::vector<std::string> names;
  for (const auto& [name, child] : (*inode)->entries) names.push_back(name);
  return names;
}

Status MemoryFileSystem::SyncDirectory(const std::string& directory) {
  const MutexLock lock(state_->mutex);
  const auto admission = state_->Admit(Operation::kSyncDirectory, directory, true);
  if (!admission.error.ok()) return admission.error.Prefixed("sync directory");
  auto inode = state_->Find(directory);
  if (!inode.ok()) return std::move(inode).status().Prefixed("sync directory");
  if (!(*inode)->is_directory) {
    return Status::IoError("sync directory " + directory + ": not a directory");
  }
  state_->SyncNames(*inode);
  return Status::Ok();
}

Status MemoryFileSystem::Rename(const std::string& from, const std::string& to) {
  const MutexLock lock(state_->mutex);
  const auto admission = state_->Admit(Operation::kRename, to, true);
  if (admission.verdict == State::Verdict::kFail) return admission.error.Prefixed("rename");
  ASSIGN_OR_RETURN(const auto source, state_->FindPlace("rename", from));
  ASSIGN_OR_RETURN(const auto target, state_->FindPlace("rename", to));
  if (source.inode == nullptr) {
    return Status::NotFound("rename " + from + ": no such file or directory");
  }
  if (target.inode != nullptr && target.inode != source.inode) {
    if (source.inode->is_directory != target.inode->is_directory ||
        (target.inode->is_directory && !target.inode->entries.empty())) {
      return Status::IoError("rename " + from + " to " + to + ": the target is in the way");
    }
  }
  // Two names of one file: POSIX leaves both.
  if (target.inode != source.inode) {
    state_->Change({.entries = {{source.directory, source.name, nullptr},
                                {target.directory, target.name, source.inode}},
                    .removed_directory = nullptr});
  }
  return admission.error.Prefixed("rename");
}

Status MemoryFileSystem::Link(const std::string& from, const std::string& to) {
  const MutexLock lock(state_->mutex);
  const auto admission = state_->Admit(Operation::kLink, to, true);
  if (admission.verdict == State::Verdict::kFail) return admission.error.Prefixed("link");
  ASSIGN_OR_RETURN(const auto source, state_->FindPlace("link", from));
  ASSIGN_OR_RETURN(const auto target, state_->FindPlace("link", to));
  if (source.inode == nullptr) {
    return Status::NotFound("link " + from + ": no such file or directory");
  }
  if (source.inode->is_directory) return Status::IoError("link " + from + ": is a directory");
  if (target.inode != nullptr) return Status::IoError("link " + to + ": exists");
  state_->Change(
      {.entries = {{target.directory, target.name, source.inode}}, .removed_directory = nullptr});
  return admission.error.Prefixed("link");
}

Status MemoryFileSystem::Remove(const std::string& path) {
  const MutexLock lock(state_->mutex);
  const auto admission = state_->Admit(Operation::kRemove, path, true);
  if (admission.verdict == State::Verdict::kFail) return admission.error.Prefixed("remove");
  ASSIGN_OR_RETURN(const auto place, state_->FindPlace("remove", path));
  if (place.inode == nullptr) {
    return Status::NotFound("remove " + path + ": no such file or directory");
  }
  if (place.inode->is_directory) return Status::IoError("remove " + path + ": is a directory");
  state_->Change(
      {.entries = {{place.directory, place.name, nullptr}}, .removed_directory = nullptr});
  return admission.error.Prefixed("remove");
}

Status MemoryFileSystem::RemoveDirectory(const std::string& path) {
  const MutexLock lock(state_->mutex);
  const auto admission = state_->Admit(Operation::kRemoveDirectory, path, true);
  if (admission.verdict == State::Verdict::kFail) {
    return admission.error.Prefixed("remove directory");
  }
  ASSIGN_OR_RETURN(const auto place, state_->FindPlace("remove directory", path));
  if (place.inode == nullptr) {
    return Status::NotFound("remove directory " + path + ": no such file or directory");
  }
  if (!place.inode->is_directory) {
    return Status::IoError("remove directory " + path + ": not a directory");
  }
  if (!place.inode->entries.empty()) {
    return Status::IoError("remove directory " + path + ": not empty");
  }
  state_->Change(
      {.entries = {{place.directory, place.name, nullptr}}, .removed_directory = place.inode});
  return admission.error.Prefixed("remove directory");
}

Result<bool> MemoryFileSystem::Exists(const std::string& path) {
  const MutexLock lock(state_->mutex);
  if (state_->crashed) return Status::IoError("stat " + path + ": machine crashed");
  auto inode = state_->Find(path);
  if (inode.ok()) return true;
  if (inode.status().IsNotFound()) return false;
  return std::move(inode).status().Prefixed("stat");
}

Result<std::uint64_t> MemoryFileSystem::FileSize(const std::string& path) {
  const MutexLock lock(state_->mutex);
  if (state_->crashed) return Status::IoError("stat " + path + ": machine crashed");
  auto inode = state_->Find(path);
  if (!inode.ok()) return std::move(inode).status().Prefixed("stat");
  if ((*inode)->is_directory) return Status::IoError("size " + path + ": is a directory");
  return static_cast<std::uint64_t>((*inode)->current.size());
}

Result<std::uint64_t> MemoryFileSystem::FreeSpace(const std::string& path) {
  const MutexLock lock(state_->mutex);
  if (state_->crashed) return Status::IoError("statvfs " + path + ": machine crashed");
  auto inode = state_->Find(path);
  if (!inode.ok()) return std::move(inode).status().Prefixed("statvfs");
  return state_->capacity > state_->used ? state_->capacity - state_->used : 0;
}

Result<std::unique_ptr<FileLock>> MemoryFileSystem::Lock(const std::string& path) {
  const MutexLock lock(state_->mutex);
  ASSIGN_OR_RETURN(const auto place, state_->FindPlace("lock", path));
  const auto admission = state_->Admit(Operation::kLock, path, place.inode == nullptr);
  if (admission.verdict == State::Verdict::kFail) return admission.error.Prefixed("lock");
  if (place.inode != nullptr && place.inode->is_directory) {
    return Status::IoError("lock " + path + ": is a directory");
  }
  if (place.inode == nullptr) RETURN_IF_ERROR(state_->Create(place).status());
  if (!admission.error.ok()) return admission.error.Prefixed("lock");
  const auto parts = SplitPath(path);
  std::string key;
  for (const std::string& part : *parts) key += "/" + part;
  if (!state_->locks.insert(key).second) {
    return Status::Unavailable("lock " + path + ": held by another process");
  }
  return std::unique_ptr<FileLock>(
      std::make_unique<MemoryLock>(state_, std::move(key), state_->generation));
}

void MemoryFileSystem::Crash(Random& random, CrashMode mode) {
  const MutexLock lock(state_->mutex);
  ++state_->generation;
  state_->locks.clear();
  state_->faults.clear();
  state_->crash_at = 0;
  state_->crashed = false;
  if (mode == CrashMode::kProcessOnly) return;
  state_->CrashNames(random, mode);
  state_->CrashInodes(random, mode);
}

void MemoryFileSystem::Inject(Fault fault) {
  CHECK(fault.nth > 0);
  CHECK(fault.error != StatusCode::kOk);
  const MutexLock lock(state_->mutex);
  state_->faults.push_back(std::move(fault));
}

void MemoryFileSystem::ClearFaults() {
  const MutexLock lock(state_->mutex);
  state_->faults.clear();
}

std::uint64_t MemoryFileSystem::mutations() const {
  const MutexLock lock(state_->mutex);
  return state_->mutations;
}

void MemoryFileSystem::CrashAtMutation(std::uint64_t mutation) {
  const MutexLock lock(state_->mutex);
  CHECK(mutation > state_->mutations);
  state_->crash_at = mutation;
}

bool MemoryFileSystem::crashed() const {
  const MutexLock lock(state_->mutex);
  return state_->crashed;
}

void MemoryFileSystem::SetCapacity(std::uint64_t bytes) {
  const MutexLock lock(state_->mutex);
  state_->capacity = bytes;
}

Status MemoryFileSystem::FlipBit(const std::string& path, std::uint64_t bit) {
  const MutexLock lock(state_->mutex);
  ASSIGN_OR_RETURN(const InodePtr inode, state_->Find(path));
  const std::uint64_t byte = bit / 8;
  if (inode->is_directory || byte >= inode->current.size()) {
    return Status::InvalidArgument("flip a bit of " + At(path, byte) + ": behind the end");
  }
  const auto flip = [&](std::string& content) {
    if (byte < content.size()) {
      content[byte] =
          static_cast<char>(static_cast<unsigned char>(content[byte]) ^ (1U << bit % 8));
    }
  };
  flip(inode->current);
  flip(inode->durable);
  return Status::Ok();
}

Status MemoryFileSystem::Overwrite(const std::string& path, std::uint64_t offset,
                                   std::string_view data) {
  const MutexLock lock(state_->mutex);
  ASSIGN_OR_RETURN(const InodePtr inode, state_->Find(path));
  const std::uint64_t size = inode->current.size();
  if (inode->is_directory || offset > size || data.size() > size - offset) {
    return Status::InvalidArgument("overwrite " + At(path, offset) + ": behind the end");
  }
  ApplyWrite(inode->current, offset, data);
  if (offset < inode->durable.size()) {
    ApplyWrite(inode->durable, offset, data.substr(0, inode->durable.size() - offset));
  }
  return Status::Ok();
}

std::unique_ptr<MemoryFileSystem> MemoryFileSystem::Clone() const {
  auto copy = std::make_shared<State>();
  std::unordered_map<const Inode*, InodePtr> copies;
  std::vector<std::pair<const Inode*, Inode*>> open;
  const auto copy_of = [&](const InodePtr& inode) -> InodePtr {
    if (inode == nullptr) return nullptr;
    InodePtr& made = copies[inode.get()];
    if (made == nullptr) {
      made = std::make_shared<Inode>(*inode);
      open.emplace_back(inode.get(), made.get());
    }
    return made;
  };
  const MutexLock lock(state_->mutex);
  const MutexLock copy_lock(copy->mutex);
  copy->root = copy_of(state_->root);
  copy->unsynced_names = state_->unsynced_names;
  for (NameChange& change : copy->unsynced_names) {
    change.removed_directory = copy_of(change.removed_directory);
    for (EntryChange& entry : change.entries) {
      entry.directory = copy_of(entry.directory);
      entry.target = copy_of(entry.target);
    }
  }
  while (!open.empty()) {
    Inode* made = open.back().second;
    open.pop_back();
    for (auto& [name, child] : made->entries) child = copy_of(child);
    for (auto& [name, child] : made->durable_entries) child = copy_of(child);
  }
  copy->mutations = state_->mutations;
  copy->capacity = state_->capacity;
  copy->used = state_->used;
  return std::unique_ptr<MemoryFileSystem>(new MemoryFileSystem(std::move(copy)));
}

}  // namespace bedrock
