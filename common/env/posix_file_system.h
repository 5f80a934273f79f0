#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/env/file_system.h"

namespace bedrock {

/// The operating system's files: pread, pwrite, fdatasync, flock. Holds no state, so any thread may
/// use one, and files and locks may outlive it.
///
/// Descriptors are closed in child programs (O_CLOEXEC). Interrupted and short calls are carried
/// on. Errors: not_found for ENOENT, no_space for ENOSPC and EDQUOT, io_error for the rest.
class PosixFileSystem final : public FileSystem {
 public:
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
};

}  // namespace bedrock
