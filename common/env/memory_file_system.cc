#include "common/env/memory_file_system.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/base/thread_annotations.h"
#include "common/env/memory_inode.h"
#include "common/env/memory_tree.h"

namespace bedrock {

using memory_internal::ApplyWrite;
using memory_internal::Change;
using memory_internal::Inode;
using memory_internal::InodePtr;
using memory_internal::MemoryTree;

namespace {

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
  MemoryTree tree GUARDED_BY(mutex);
  std::vector<Fault> faults GUARDED_BY(mutex);
  std::set<std::string> locks GUARDED_BY(mutex);
  std::uint64_t generation GUARDED_BY(mutex) = 0;
  std::uint64_t mutations GUARDED_BY(mutex) = 0;
  std::uint64_t crash_at GUARDED_BY(mutex) = 0;  // 0: never
  bool crashed GUARDED_BY(mutex) = false;
  std::uint64_t capacity GUARDED_BY(mutex) = kUnlimited;

  Admission Admit(Operation operation, std::string_view path, bool mutates) REQUIRES(mutex);
  Status MatchFault(Operation operation, std::string_view path) REQUIRES(mutex);
  Result<InodePtr> Find(std::string_view path) REQUIRES(mutex);
  Result<Place> FindPlace(std::string_view action, std::string_view path) REQUIRES(mutex);
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
  InodePtr inode = tree.root;
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

void MemoryFileSystem::State::Resize(Inode& inode, std::uint64_t size_old, std::uint64_t size_new) {
  if (inode.links > 0) tree.used += size_new - size_old;
}

Status MemoryFileSystem::State::Write(Inode& inode, std::string_view path, std::uint64_t offset,
                                      std::string_view data) {
  if (offset > kUnlimited || data.size() > kUnlimited - offset) {
    return Status::IoError("write " + At(path, offset) + ": file too large");
  }
  const std::uint64_t free = capacity > tree.used ? capacity - tree.used : 0;
  const std::uint64_t size = inode.current.size();
  std::string_view fitting = data;
  if (offset + data.size() > size && offset + data.size() - size > free) {
    const std::uint64_t end = size + free;
    fitting = data.substr(0, end > offset ? end - offset : 0);
  }
  if (!fitting.empty()) {
    ApplyWrite(inode.current, offset, fitting);
    inode.unsynced.push_back({.kind = Change::Kind::kWrite,
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
      {.kind = Change::Kind::kTruncate, .offset = size, .data = {}, .forgotten = false});
}

Result<InodePtr> MemoryFileSystem::State::Create(const Place& place) {
  if (place.inode != nullptr) {
    if (!place.inode->current.empty()) Truncate(*place.inode, 0);
    return place.inode;
  }
  auto inode = std::make_shared<Inode>();
  tree.Apply({.entries = {{place.directory, place.name, inode}}, .removed_directory = nullptr});
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
      for (Change& change : inode_->unsynced) change.forgotten = true;
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
      for (Change& change : inode_->unsynced) change.forgotten = true;
    }
    return admission.error.Prefixed("sync " + path_);
  }

  Status Truncate(std::uint64_t size) override {
    const MutexLock lock(state_->mutex);
    RETURN_IF_ERROR(CheckWritable("truncate", size));
    const auto admission = state_->Admit(Operation::kResize, path_, true);
    if (admission.verdict != State::Verdict::kFail) {
      const std::uint64_t free =
          state_->capacity > state_->tree.used ? state_->capacity - state_->tree.used : 0;
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
    const bool writable = mode_ != OpenMode::kRead && mode_ != OpenMode::kReadFinished;
    if (writable || action == "sync") return Status::Ok();
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
  InodePtr directory = state_->tree.root;
  for (const std::string& part : *parts) {
    const auto entry = directory->entries.find(part);
    if (entry != directory->entries.end()) {
      directory = entry->second;
      if (!directory->is_directory) return Status::IoError("mkdir " + path + ": not a directory");
      continue;
    }
    const auto made = state_->Admit(Operation::kCreateDirectory, path, true);
    if (made.verdict == State::Verdict::kFail) return made.error.Prefixed("mkdir");
    InodePtr child = MemoryTree::NewDirectory();
    state_->tree.Apply({.entries = {{directory, part, child}}, .removed_directory = nullptr});
    if (!made.error.ok()) return made.error.Prefixed("mkdir");
    const auto synced = state_->Admit(Operation::kSyncDirectory, path, true);
    if (!synced.error.ok()) return synced.error.Prefixed("mkdir");
    state_->tree.SyncDirectory(directory);
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
  state_->tree.SyncDirectory(*inode);
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
    state_->tree.Apply({.entries = {{source.directory, source.name, nullptr},
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
  state_->tree.Apply(
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
  state_->tree.Apply(
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
  state_->tree.Apply(
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
  return state_->capacity > state_->tree.used ? state_->capacity - state_->tree.used : 0;
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
  state_->tree.Crash(random, mode);
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
  const MutexLock lock(state_->mutex);
  const MutexLock copy_lock(copy->mutex);
  copy->tree = state_->tree.Clone();
  copy->mutations = state_->mutations;
  copy->capacity = state_->capacity;
  return std::unique_ptr<MemoryFileSystem>(new MemoryFileSystem(std::move(copy)));
}

}  // namespace bedrock
