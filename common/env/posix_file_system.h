#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/env/file_system.h"

namespace bedrock {

/// How many bytes of files are mapped for reading.
class MappingBudget;

/// The operating system's files: pread, pwrite, fdatasync, flock. Any thread may use one, and files
/// and locks may outlive it.
///
/// Finished files are read through mappings where it is told so: a read of a block that the system
/// has in memory then costs a copy and no system call. ReadAt copies out of the mapping and nothing
/// else ever looks into it, so what was checked cannot change under its reader. The price: pages
/// that were read count as the process's memory (resident, shared, clean; the system takes them
/// back when it needs them), and what would be an io_error, a device that fails to give a page, or
/// a file that somebody cuts short, ends the process with SIGBUS. Files that the bound has no room
/// for, or that can't be mapped, are read as all others. Meant for files that fit the page cache:
/// what is not there comes page by page, by faults.
///
/// Descriptors are closed in child programs (O_CLOEXEC). Interrupted and short calls are carried
/// on. Errors: not_found for ENOENT, no_space for ENOSPC and EDQUOT, io_error for the rest.
class PosixFileSystem final : public FileSystem {
 public:
  /// Maps at most so many bytes of files for reading, all together; 0: none.
  explicit PosixFileSystem(std::uint64_t mapped_bytes_max = 0);

  /// Of the files that are open now.
  std::uint64_t mapped_bytes() const;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status CreateDirectories(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Status SyncDirectory(const std::string& directory) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Link(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status RemoveDirectory(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override;
  Result<std::uint64_t> FileSize(const std::string& path) override;
  Result<std::uint64_t> FreeSpace(const std::string& path) override;
  /// An flock, so it goes with the process however that ends. The holder's process id stands in the
  /// file, for people and for the message of whoever is refused. The file stays when the lock goes:
  /// removing it would let two processes hold locks of the same name.
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

 private:
  /// Shared with the files that are mapped.
  const std::shared_ptr<MappingBudget> mappings_;
};

}  // namespace bedrock
