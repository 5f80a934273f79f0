#pragma once

#include <cstddef>

#include "common/env/environment.h"
#include "common/env/posix_clock.h"
#include "common/env/posix_file_system.h"
#include "common/env/thread_executor.h"

namespace bedrock::embedded {

/// This machine's files, clock and threads, for one database. Its destructor lets running jobs end.
class LocalEnvironment {
 public:
  /// `mapped_bytes_max` of files are mapped for reading, at most.
  LocalEnvironment(std::size_t threads, std::size_t mapped_bytes_max)
      : file_system_(mapped_bytes_max), executor_(threads) {}

  Environment environment() {
    return {.file_system = &file_system_, .clock = &clock_, .executor = &executor_};
  }

 private:
  PosixFileSystem file_system_;
  PosixClock clock_;
  ThreadExecutor executor_;
};

}  // namespace bedrock::embedded
