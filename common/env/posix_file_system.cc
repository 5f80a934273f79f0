#include "common/env/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/base/status_macros.h"

namespace bedrock {

class MappingBudget {
 public:
  explicit MappingBudget(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// False: there is no room for so many.
  bool Take(std::uint64_t bytes) {
    std::uint64_t taken = taken_.load(std::memory_order_relaxed);
    do {
      if (bytes > bytes_max_ - taken) return false;
    } while (!taken_.compare_exchange_weak(taken, taken + bytes, std::memory_order_relaxed));
    return true;
  }
  void Give(std::uint64_t bytes) { taken_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::uint64_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  const std::uint64_t bytes_max_;
  std::atomic<std::uint64_t> taken_{0};
};

namespace {

constexpr mode_t kFileMode = 0644;
constexpr mode_t kDirectoryMode = 0755;

Status ErrorStatus(int error, std::string_view action, std::string_view path) {
  std::string message(action);
  message += ' ';
  message += path;
  message += ": ";
  message += std::generic_category().message(error);
  switch (error) {
    case ENOENT:
      return Status::NotFound(message);
    case ENOSPC:
    case EDQUOT:
      return Status::NoSpace(message);
    default:
      return Status::IoError(message);
  }
}

Status ErrorStatusAt(int error, std::string_view action, std::string_view path,
                     std::uint64_t offset) {
  return ErrorStatus(error, action, std::string(path) + " at offset " + std::to_string(offset));
}

/// Calls until it was not interrupted by a signal.
template <typename Call>
auto Uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    // Never repeated after EINTR: Linux has freed the number by then and another thread may own it.
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }

 private:
  int fd_;
};

Result<Descriptor> OpenDescriptor(const std::string& path, int flags) {
  Descriptor descriptor(
      Uninterrupted([&] { return open(path.c_str(), flags | O_CLOEXEC, kFileMode); }));
  if (descriptor.get() < 0) return ErrorStatus(errno, "open", path);
  return descriptor;
}

/// Offsets beyond what the system can count are an error, not a wrapped number.
Status CheckOffset(std::string_view action, std::string_view path, std::uint64_t offset,
                   std::uint64_t n) {
  constexpr std::uint64_t kOffsetMax = INT64_MAX;
  if (offset > kOffsetMax || n > kOffsetMax - offset) {
    return ErrorStatusAt(EFBIG, action, path, offset);
  }
  return Status::Ok();
}

class PosixMappedFile final : public MappedFile {
 public:
  PosixMappedFile(char* data, std::size_t size) : data_(data), size_(size) {}
  ~PosixMappedFile() override { munmap(data_, size_); }
  PosixMappedFile(const PosixMappedFile&) = delete;
  PosixMappedFile& operator=(const PosixMappedFile&) = delete;

  char* data() const override { return data_; }
  std::size_t size() const override { return size_; }
  void Populate(std::size_t offset, std::size_t n) const override {
#ifdef MADV_POPULATE_WRITE
    const std::size_t begin = offset / kPageBytes * kPageBytes;
    const std::size_t end = std::min(offset + n, size_);
    // Kernels before 5.14 don't know it: pages are then prepared as they are stored to.
    if (begin < end) madvise(data_ + begin, end - begin, MADV_POPULATE_WRITE);
#else
    (void)offset;
    (void)n;
#endif
  }
  void PreferHugePages() const override {
#ifdef MADV_HUGEPAGE
    (void)madvise(data_, size_, MADV_HUGEPAGE);
#endif
  }

 private:
  static constexpr std::size_t kPageBytes = 4096;

  char* const data_;
  const std::size_t size_;
};

/// All of a file that does not change, mapped for reading.
class ReadMapping {
 public:
  /// Null: the budget has no room, or the file can't be mapped.
  static std::unique_ptr<const ReadMapping> Make(int fd, std::uint64_t size,
                                                 const std::shared_ptr<MappingBudget>& budget) {
    if (size == 0 || !budget->Take(size)) return nullptr;
    void* const data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
      budget->Give(size);
      return nullptr;
    }
    return std::make_unique<const ReadMapping>(static_cast<char*>(data), size, budget);
  }
  ReadMapping(char* data, std::uint64_t size, std::shared_ptr<MappingBudget> budget)
      : data_(data), size_(size), budget_(std::move(budget)) {}
  ~ReadMapping() {
    munmap(data_, size_);
    budget_->Give(size_);
  }
  ReadMapping(const ReadMapping&) = delete;
  ReadMapping& operator=(const ReadMapping&) = delete;

  std::size_t ReadAt(std::uint64_t offset, std::size_t n, char* out) const {
    if (offset >= size_) return 0;
    const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(n, size_ - offset));
    std::memcpy(out, data_ + offset, there);
    return there;
  }
  /// Lets go of whole pages, which are then the page cache's alone. REQUIRES: page-aligned `begin`.
  void Drop(std::uint64_t begin, std::uint64_t end) const {
    if (begin < size_) madvise(data_ + begin, std::min(end, size_) - begin, MADV_DONTNEED);
  }

 private:
  char* const data_;
  const std::uint64_t size_;
  const std::shared_ptr<MappingBudget> budget_;
};

class PosixFile final : public File {
 public:
  PosixFile(std::string path, Descriptor descriptor,
            std::unique_ptr<const ReadMapping> mapping = nullptr)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), mapping_(std::move(mapping)) {}

  Result<std::size_t> ReadAt(std::uint64_t offset, std::size_t n, char* out) const override {
    RETURN_IF_ERROR(CheckOffset("read", path_, offset, n));
    if (mapping_ != nullptr) return mapping_->ReadAt(offset, n, out);
    std::size_t done = 0;
    while (done < n) {
      const ssize_t got = Uninterrupted([&] {
        return pread(descriptor_.get(), out + done, n - done, static_cast<off_t>(offset + done));
      });
      if (got < 0) return ErrorStatusAt(errno, "read", path_, offset + done);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  Status WriteAt(std::uint64_t offset, std::string_view data) override {
    RETURN_IF_ERROR(CheckOffset("write", path_, offset, data.size()));
    while (!data.empty()) {
      const ssize_t put = Uninterrupted([&] {
        return pwrite(descriptor_.get(), data.data(), data.size(), static_cast<off_t>(offset));
      });
      if (put < 0) return ErrorStatusAt(errno, "write", path_, offset);
      data.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return Status::Ok();
  }

  Status Sync() override {
    // Repeated after EINTR only: after any other error the kernel has marked the pages clean and a
    // second call would claim success for data that is lost.
    if (Uninterrupted([&] { return fdatasync(descriptor_.get()); }) != 0) {
      return ErrorStatus(errno, "sync", path_);
    }
    return Status::Ok();
  }

  Status WriteAtAndSync(std::uint64_t offset, std::string_view data) override {
    RETURN_IF_ERROR(CheckOffset("write", path_, offset, data.size()));
    while (!data.empty()) {
      const iovec part{const_cast<char*>(data.data()), data.size()};
      const ssize_t put = Uninterrupted([&] {
        return pwritev2(descriptor_.get(), &part, 1, static_cast<off_t>(offset), RWF_DSYNC);
      });
      if (put < 0) {
        // Refused by this kernel or file system before anything was written.
        if (errno == EOPNOTSUPP || errno == ENOSYS) return File::WriteAtAndSync(offset, data);
        return ErrorStatusAt(errno, "write and sync", path_, offset);
      }
      data.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return Status::Ok();
  }

  Result<std::unique_ptr<MappedFile>> Map(std::size_t bytes) override {
    void* const data =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
    if (data == MAP_FAILED) {
      const int error = errno;
      // Files on some file systems can't be mapped for sharing.
      if (error == ENODEV) return File::Map(bytes);
      return ErrorStatus(error, "map", path_);
    }
    return std::unique_ptr<MappedFile>(
        std::make_unique<PosixMappedFile>(static_cast<char*>(data), bytes));
  }

  Status Allocate(std::uint64_t end) override {
    ASSIGN_OR_RETURN(const std::uint64_t size, Size());
    if (end <= size) return Status::Ok();
    RETURN_IF_ERROR(CheckOffset("allocate", path_, size, end - size));
    // Not posix_fallocate, which touches a byte of each block where the file system can't.
    const int failed = Uninterrupted([&] {
      return fallocate(descriptor_.get(), 0, static_cast<off_t>(size),
                       static_cast<off_t>(end - size));
    });
    if (failed == 0) return Status::Ok();
    if (errno == EOPNOTSUPP || errno == ENOSYS) return File::Allocate(end);
    return ErrorStatusAt(errno, "allocate", path_, end);
  }

  Status Truncate(std::uint64_t size) override {
    RETURN_IF_ERROR(CheckOffset("truncate", path_, size, 0));
    if (Uninterrupted([&] { return ftruncate(descriptor_.get(), static_cast<off_t>(size)); }) !=
        0) {
      return ErrorStatusAt(errno, "truncate", path_, size);
    }
    return Status::Ok();
  }

  void DropCached(std::uint64_t offset, std::uint64_t n) const override {
    // Only whole pages are dropped, and only clean ones.
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    const std::uint64_t begin = offset / page * page;
    const std::uint64_t end = (offset + n + page - 1) / page * page;
    // The page cache keeps what is mapped.
    if (mapping_ != nullptr) mapping_->Drop(begin, end);
    static_cast<void>(posix_fadvise(descriptor_.get(), static_cast<off_t>(begin),
                                    static_cast<off_t>(end - begin), POSIX_FADV_DONTNEED));
  }

  Result<std::uint64_t> Size() const override {
    struct stat info;
    if (fstat(descriptor_.get(), &info) != 0) return ErrorStatus(errno, "stat", path_);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  const std::string path_;
  const Descriptor descriptor_;
  const std::unique_ptr<const ReadMapping> mapping_;  ///< Null: pread.
};

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

 private:
  const Descriptor descriptor_;  // the lock goes when this is closed
};

int OpenFlags(FileSystem::OpenMode mode) {
  switch (mode) {
    case FileSystem::OpenMode::kRead:
    case FileSystem::OpenMode::kReadFinished:
      return O_RDONLY;
    case FileSystem::OpenMode::kReadWrite:
      return O_RDWR;
    case FileSystem::OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

/// Makes one folder. True where it was not there before.
Result<bool> MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), kDirectoryMode) == 0) return true;
  const int error = errno;
  struct stat info;
  if (error == EEXIST && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return false;
  return ErrorStatus(error, "mkdir", path);
}

/// Whoever holds the lock wrote its process id; best effort, for the message only.
std::string ReadHolder(const PosixFile& file) {
  char text[32];
  const auto n = file.ReadAt(0, sizeof(text), text);
  std::string holder(text, n.value_or(0));
  while (!holder.empty() && holder.back() == '\n') holder.pop_back();
  return holder.empty() ? "another process" : "process " + holder;
}

}  // namespace

PosixFileSystem::PosixFileSystem(std::uint64_t mapped_bytes_max)
    : mappings_(std::make_shared<MappingBudget>(mapped_bytes_max)) {}

std::uint64_t PosixFileSystem::mapped_bytes() const { return mappings_->taken(); }

Result<std::unique_ptr<File>> PosixFileSystem::Open(const std::string& path, OpenMode mode) {
  ASSIGN_OR_RETURN(auto descriptor, OpenDescriptor(path, OpenFlags(mode)));
  struct stat info;
  if (fstat(descriptor.get(), &info) != 0) return ErrorStatus(errno, "stat", path);
  // Linux opens folders for reading; a folder is no file here.
  if (S_ISDIR(info.st_mode)) return ErrorStatus(EISDIR, "open", path);
  std::unique_ptr<const ReadMapping> mapping;
  if (mode == OpenMode::kReadFinished) {
    mapping =
        ReadMapping::Make(descriptor.get(), static_cast<std::uint64_t>(info.st_size), mappings_);
  }
  return std::unique_ptr<File>(
      std::make_unique<PosixFile>(path, std::move(descriptor), std::move(mapping)));
}

Status PosixFileSystem::CreateDirectories(const std::string& path) {
  if (path.empty()) return ErrorStatus(ENOENT, "mkdir", path);
  std::size_t end = 0;
  while (end < path.size()) {
    end = path.find('/', end + 1);
    if (end == std::string::npos) end = path.size();
    const std::string part = path.substr(0, end);
    if (part.back() == '/') continue;
    ASSIGN_OR_RETURN(const bool made, MakeDirectory(part));
    if (made) RETURN_IF_ERROR(SyncDirectory(ParentPath(part)));
  }
  return Status::Ok();
}

Result<std::vector<std::string>> PosixFileSystem::List(const std::string& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(directory.c_str()), closedir);
  if (stream == nullptr) return ErrorStatus(errno, "list", directory);
  std::vector<std::string> names;
  while (true) {
    errno = 0;  // readdir tells its end from an error only by this
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return ErrorStatus(errno, "list", directory);
  std::sort(names.begin(), names.end());
  return names;
}

Status PosixFileSystem::SyncDirectory(const std::string& directory) {
  ASSIGN_OR_RETURN(const auto descriptor, OpenDescriptor(directory, O_RDONLY | O_DIRECTORY));
  if (Uninterrupted([&] { return fsync(descriptor.get()); }) != 0) {
    return ErrorStatus(errno, "sync directory", directory);
  }
  return Status::Ok();
}

Status PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) {
    return ErrorStatus(errno, "rename", from + " to " + to);
  }
  return Status::Ok();
}

Status PosixFileSystem::Link(const std::string& from, const std::string& to) {
  if (link(from.c_str(), to.c_str()) != 0) return ErrorStatus(errno, "link", from + " to " + to);
  return Status::Ok();
}

Status PosixFileSystem::Remove(const std::string& path) {
  if (unlink(path.c_str()) != 0) return ErrorStatus(errno, "remove", path);
  return Status::Ok();
}

Status PosixFileSystem::RemoveDirectory(const std::string& path) {
  if (rmdir(path.c_str()) != 0) return ErrorStatus(errno, "remove directory", path);
  return Status::Ok();
}

Result<bool> PosixFileSystem::Exists(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return ErrorStatus(errno, "stat", path);
}

Result<std::uint64_t> PosixFileSystem::FileSize(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrorStatus(errno, "stat", path);
  if (S_ISDIR(info.st_mode)) return ErrorStatus(EISDIR, "size", path);
  return static_cast<std::uint64_t>(info.st_size);
}

Result<std::uint64_t> PosixFileSystem::FreeSpace(const std::string& path) {
  struct statvfs info;
  if (Uninterrupted([&] { return statvfs(path.c_str(), &info); }) != 0) {
    return ErrorStatus(errno, "statvfs", path);
  }
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::Lock(const std::string& path) {
  ASSIGN_OR_RETURN(auto descriptor, OpenDescriptor(path, O_RDWR | O_CREAT));
  if (Uninterrupted([&] { return flock(descriptor.get(), LOCK_EX | LOCK_NB); }) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) return ErrorStatus(error, "lock", path);
    return Status::Unavailable("lock " + path + ": held by " +
                               ReadHolder(PosixFile(path, std::move(descriptor))));
  }
  if (ftruncate(descriptor.get(), 0) != 0) return ErrorStatus(errno, "truncate", path);
  const std::string holder = std::to_string(getpid()) + "\n";
  const ssize_t put =
      Uninterrupted([&] { return pwrite(descriptor.get(), holder.data(), holder.size(), 0); });
  // The lock stands without the id; a full disk must not keep a node from starting to clean up.
  if (put < 0 && errno != ENOSPC && errno != EDQUOT) return ErrorStatus(errno, "write", path);
  return std::unique_ptr<FileLock>(std::make_unique<PosixFileLock>(std::move(descriptor)));
}

}  // namespace bedrock
