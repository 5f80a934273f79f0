#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/env/file_system.h"

namespace bedrock::process {

// How the three daemons end, beside 0 for an orderly stop and config::kExitUsage.
inline constexpr int kExitFailed = 1;         ///< Could not start; trying again may help.
inline constexpr int kExitDisk = 70;          ///< A write or sync failed: restart to recover.
inline constexpr int kExitMustNotStart = 78;  ///< Restarting can't help: an operator must look.

/// Makes `directory` with run/ and log/ inside and makes it the working directory: every path of a
/// node is relative to it from then on.
Status EnterDataDirectory(FileSystem& file_system, const std::string& directory);

/// Holds run/PROGRAM.lock, so that no second one starts on the same data, and keeps the process id
/// as a line of text in run/PROGRAM.pid, where the disk has room for it: a node starts on a full
/// one, too. Letting go removes the pid file.
class PidFile {
 public:
  /// In the working directory. unavailable where another process holds the lock.
  static Result<PidFile> Write(FileSystem& file_system, std::string_view program);
  ~PidFile();
  PidFile(PidFile&& other) noexcept;
  PidFile& operator=(PidFile&&) = delete;

 private:
  PidFile(FileSystem& file_system, std::string path, std::unique_ptr<FileLock> lock);

  FileSystem* file_system_;  // null: moved from
  std::string path_;
  std::unique_ptr<FileLock> lock_;
};

/// Blocks this thread.
void SleepMs(std::uint64_t ms);

}  // namespace bedrock::process
