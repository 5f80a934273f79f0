// A small disk for processes under test, without privileges: preloaded into a program (LD_PRELOAD),
// it stands before the few calls that take room on a disk and lets them fail with ENOSPC, as a full
// disk does, where the folder that the process runs in would hold more than the file
// "disk-quota" there says (a decimal number of bytes; no file: no limit). The file is read at each
// call, so a test fills the disk and makes room again while the program runs. The program's own
// code for full disks is what runs; nothing of it is replaced.
//
// What counts is the size of every file beneath the folder, log/ apart (the programs' own output).
// Bytes inside a file's size have their room already. Two processes that grow at the same moment
// may pass the limit by what one of them takes.

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace {

constexpr const char* kLimitFile = "disk-quota";
constexpr const char* kOutputFolder = "log";

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::optional<std::int64_t> Limit() {
  std::FILE* const file = std::fopen(kLimitFile, "re");
  if (file == nullptr) return std::nullopt;
  long long bytes = 0;
  const bool read = std::fscanf(file, "%lld", &bytes) == 1;
  static_cast<void>(std::fclose(file));
  return read ? std::optional<std::int64_t>(bytes) : std::nullopt;
}

using Seen = std::set<std::pair<dev_t, ino_t>>;

/// The bytes of the files beneath a folder, each counted once however many names it has. What
/// vanishes meanwhile counts nothing.
std::int64_t BytesBeneath(const std::string& folder, Seen& seen) {
  DIR* const listing = opendir(folder.c_str());
  if (listing == nullptr) return 0;
  std::int64_t sum = 0;
  while (const dirent* const entry = readdir(listing)) {
    const std::string name = entry->d_name;
    if (name == "." || name == ".." || (folder == "." && name == kOutputFolder)) continue;
    std::string path = folder;
    path.append("/").append(name);
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) sum += BytesBeneath(path, seen);
    if (S_ISREG(info.st_mode) && seen.insert({info.st_dev, info.st_ino}).second) {
      sum += info.st_size;
    }
  }
  closedir(listing);
  return sum;
}

/// The room that is left; none: there is no limit. Keeps errno.
std::optional<std::int64_t> Room() {
  const int error = errno;
  std::optional<std::int64_t> room = Limit();
  if (room) {
    Seen seen;
    room = std::max<std::int64_t>(0, *room - BytesBeneath(".", seen));
  }
  errno = error;
  return room;
}

/// How many of `count` bytes at `offset` fit; the file's size has its room already.
std::size_t Fitting(int fd, off_t offset, std::size_t count) {
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return count;
  const auto end = static_cast<std::int64_t>(offset) + static_cast<std::int64_t>(count);
  if (end <= info.st_size) return count;
  const std::optional<std::int64_t> room = Room();
  if (!room) return count;
  const std::int64_t last = std::min(end, info.st_size + *room);
  return last <= offset ? 0 : static_cast<std::size_t>(last - offset);
}

bool Grows(int fd, off_t end) {
  struct stat info;
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && end > info.st_size && [&] {
    const std::optional<std::int64_t> room = Room();
    return room && end - info.st_size > *room;
  }();
}

int NoSpace() {
  errno = ENOSPC;
  return -1;
}

}  // namespace

extern "C" {

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  static const auto next = Next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  const std::size_t fitting = Fitting(fd, offset, count);
  if (fitting == 0 && count > 0) return NoSpace();
  return next(fd, bytes, fitting, offset);
}

ssize_t pwritev2(int fd, const iovec* parts, int count, off_t offset, int flags) {
  static const auto next = Next<ssize_t(int, const iovec*, int, off_t, int)>("pwritev2");
  std::size_t bytes = 0;
  for (int i = 0; i < count; ++i) bytes += parts[i].iov_len;
  const std::size_t fitting = Fitting(fd, offset, bytes);
  if (fitting == bytes) return next(fd, parts, count, offset, flags);
  if (fitting == 0) return NoSpace();
  // A short write, as a disk that gets full in the middle of it gives.
  iovec first = parts[0];
  first.iov_len = std::min(first.iov_len, fitting);
  return next(fd, &first, 1, offset, flags);
}

int fallocate(int fd, int mode, off_t offset, off_t bytes) {
  static const auto next = Next<int(int, int, off_t, off_t)>("fallocate");
  return Grows(fd, offset + bytes) ? NoSpace() : next(fd, mode, offset, bytes);
}

int ftruncate(int fd, off_t bytes) noexcept {
  static const auto next = Next<int(int, off_t)>("ftruncate");
  return Grows(fd, bytes) ? NoSpace() : next(fd, bytes);
}

int statvfs(const char* path, struct statvfs* info) noexcept {
  static const auto next = Next<int(const char*, struct statvfs*)>("statvfs");
  const int result = next(path, info);
  if (result != 0) return result;
  if (const std::optional<std::int64_t> room = Room()) {
    const auto blocks = static_cast<fsblkcnt_t>(*room) / info->f_frsize;
    info->f_bavail = std::min(info->f_bavail, blocks);
    info->f_bfree = std::min(info->f_bfree, blocks);
  }
  return result;
}

ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  return pwrite(fd, bytes, count, offset);
}
ssize_t pwritev64v2(int fd, const iovec* parts, int count, off64_t offset, int flags) {
  return pwritev2(fd, parts, count, offset, flags);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t bytes) {
  return fallocate(fd, mode, offset, bytes);
}
int ftruncate64(int fd, off64_t bytes) noexcept { return ftruncate(fd, bytes); }

}  // extern "C"
