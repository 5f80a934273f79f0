#include "common/process/process.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "common/base/status_macros.h"
#include "common/logging/log.h"

namespace bedrock::process {

Status EnterDataDirectory(FileSystem& file_system, const std::string& directory) {
  RETURN_IF_ERROR(file_system.CreateDirectories(JoinPath(directory, "run")).Prefixed("--data"));
  RETURN_IF_ERROR(file_system.CreateDirectories(JoinPath(directory, "log")).Prefixed("--data"));
  if (::chdir(directory.c_str()) != 0) {
    return Status::IoError("--data: enter " + directory + ": " + std::strerror(errno));
  }
  return {};
}

Result<PidFile> PidFile::Write(FileSystem& file_system, std::string_view program) {
  const std::string stem = "run/" + std::string(program);
  ASSIGN_OR_RETURN(std::unique_ptr<FileLock> lock, file_system.Lock(stem + ".lock"));
  const std::string path = stem + ".pid";
  const Status written = ReplaceFile(file_system, path, std::to_string(::getpid()) + "\n");
  if (written.IsNoSpace()) {
    // It is for scripts alone, and what makes room may need this process. An earlier one's id is
    // worse than none.
    static_cast<void>(file_system.Remove(path));
    log::Warning("there is no room for the file with the process id", {{"error", written}});
  } else {
    RETURN_IF_ERROR(written);
  }
  return PidFile(file_system, path, std::move(lock));
}

PidFile::PidFile(FileSystem& file_system, std::string path, std::unique_ptr<FileLock> lock)
    : file_system_(&file_system), path_(std::move(path)), lock_(std::move(lock)) {}

PidFile::PidFile(PidFile&& other) noexcept
    : file_system_(std::exchange(other.file_system_, nullptr)),
      path_(std::move(other.path_)),
      lock_(std::move(other.lock_)) {}

PidFile::~PidFile() {
  // Where it stays, whoever reads it finds no such process.
  if (file_system_ != nullptr) static_cast<void>(file_system_->Remove(path_));
}

void SleepMs(std::uint64_t ms) {
  timespec left{.tv_sec = static_cast<std::time_t>(ms / 1000),
                .tv_nsec = static_cast<long>(ms % 1000 * 1'000'000)};
  while (::nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

}  // namespace bedrock::process
