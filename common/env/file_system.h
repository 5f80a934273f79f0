#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"

namespace bedrock {

/// A file's bytes in memory, shared with the file: what is stored there is in the file at once, as
/// if written, and survives the death of the process; File::Sync makes it durable. Stays valid when
/// the File that made it is gone.
///
/// Only bytes below the file's size may be touched: others, and bytes that the disk fails to give,
/// end the process with SIGBUS. What the file grows by later can be touched, up to size().
class MappedFile {
 public:
  virtual ~MappedFile() = default;

  virtual char* data() const = 0;
  virtual std::size_t size() const = 0;
  /// Prepares pages for being stored to, so that the first store to each costs less. A hint. Any
  /// thread. REQUIRES: the range lies below the file's size.
  virtual void Populate(std::size_t offset, std::size_t n) const = 0;
  /// Asks for huge pages (kHugePageBytes) from here on, where the file holds whole ones. For bytes
  /// that are filled from end to end: a store makes all of its page dirty, and a sync then writes
  /// all of that. A hint, which by default is not taken. Any thread.
  virtual void PreferHugePages() const {}
};

/// An open file. Reads and writes name their offset, so there is no position to share; a file may
/// be read from any thread, and written, synced and resized by one thread at a time. Closing
/// happens in the destructor and syncs nothing.
///
/// Errors: no_space for ENOSPC and EDQUOT, io_error for the rest, each with the path and the
/// offset. After a failed Sync the state of the unsynced bytes is unknown and a later success
/// proves nothing (fsyncgate): callers stop using the file.
class File {
 public:
  virtual ~File() = default;

  /// Reads up to n bytes from `offset` into `out`. Gives how many: fewer than n only at the end of
  /// the file.
  virtual Result<std::size_t> ReadAt(std::uint64_t offset, std::size_t n, char* out) const = 0;
  /// Writes all of `data` at `offset`, growing the file where needed. After an error any part of it
  /// may have been written.
  virtual Status WriteAt(std::uint64_t offset, std::string_view data) = 0;
  /// Makes what was written durable, and the size where it is needed to read it back (fdatasync).
  virtual Status Sync() = 0;
  /// WriteAt, and makes these bytes durable (with the size where it is needed to read them back);
  /// of what was written before, only what shares sectors with them need be. Cheaper than WriteAt
  /// and Sync where all else is durable. An error but no_space is that of a failed Sync.
  virtual Status WriteAtAndSync(std::uint64_t offset, std::string_view data) {
    Status written = WriteAt(offset, data);
    return written.ok() ? Sync() : written;
  }
  /// The first `bytes` of the file in memory; may be more than the file holds so far. A capability
  /// that not every file has: unavailable where there is none. REQUIRES: bytes > 0; opened for
  /// writing.
  virtual Result<std::unique_ptr<MappedFile>> Map(std::size_t bytes) {
    return Status::Unavailable("map " + std::to_string(bytes) +
                               " bytes: not a file that can be mapped");
  }
  /// Asks the system to forget its copies of these bytes in memory, so that the next read of them
  /// comes from the device. A hint, which by default is not taken.
  virtual void DropCached(std::uint64_t offset, std::uint64_t n) const {
    static_cast<void>(offset);
    static_cast<void>(n);
  }
  /// Makes the file at least `end` bytes large, and takes the room for all bytes from its size up
  /// to there, so that writing them later finds room. They read as zeroes. Not durable by itself.
  /// By default, and where the file system knows no such call, zeroes are written.
  virtual Status Allocate(std::uint64_t end);
  virtual Status Truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> Size() const = 0;
};

/// Holds a lock file while it lives.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

/// The door to disks. Paths are plain strings with '/' between parts. Any thread.
///
/// Creating, renaming, linking and removing become durable only by SyncDirectory of the folder that
/// changed.
class FileSystem {
 public:
  enum class OpenMode : std::uint8_t {
    kRead,  ///< Must exist; not_found otherwise.
    /// As kRead, for a file that is whole and that nobody changes any more: a file system may read
    /// it through a mapping.
    kReadFinished,
    kReadWrite,  ///< Must exist.
    kCreate,     ///< Makes an empty file; whatever stood there is emptied.
  };

  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  /// With every missing parent; fine where it exists. The parents of what was made are synced.
  virtual Status CreateDirectories(const std::string& path) = 0;
  /// The names in a folder, without "." and "..", sorted.
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;
  virtual Status SyncDirectory(const std::string& directory) = 0;
  /// Replaces `to` where it exists, in one step.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  /// A second name for the same file (hard link); fails where `to` exists.
  virtual Status Link(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;
  virtual Status RemoveDirectory(const std::string& path) = 0;  ///< Must be empty.
  virtual Result<bool> Exists(const std::string& path) = 0;
  virtual Result<std::uint64_t> FileSize(const std::string& path) = 0;
  /// Bytes that an ordinary user could still write on the disk that holds `path`.
  virtual Result<std::uint64_t> FreeSpace(const std::string& path) = 0;
  /// Takes the lock file, which is made where missing; unavailable where another process holds it.
  virtual Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

/// Reads a whole file. corruption where it is larger than `size_max`.
Result<std::string> ReadFile(FileSystem& file_system, const std::string& path,
                             std::uint64_t size_max);
/// Puts `content` at `path` so that after any crash the old content or the new stands there, whole:
/// writes `path`.tmp, syncs it, renames it, syncs the folder.
Status ReplaceFile(FileSystem& file_system, const std::string& path, std::string_view content);
/// "a/b" + "c" = "a/b/c".
std::string JoinPath(std::string_view directory, std::string_view name);
/// The folder of a path: "a" of "a/b", "." of "b".
std::string ParentPath(std::string_view path);

}  // namespace bedrock
