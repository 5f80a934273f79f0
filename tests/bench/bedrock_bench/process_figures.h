#pragma once

#include <cstdint>
#include <string>

namespace bedrock::bench {

/// Nanoseconds of the monotonic clock.
std::uint64_t NowNs();
/// CPU that all threads of this process have used, user and system.
std::uint64_t ProcessCpuNs();

/// What this process and the machine have used so far.
struct Usage {
  std::uint64_t now_ns = 0;
  std::uint64_t cpu_ns = 0;
  /// Bytes that this process has handed to write(2) and its kin (/proc/self/io, wchar). Not
  /// write_bytes: that counts whole folios of the page cache, and with large folios a small write
  /// into a large one counts as hundreds of KiB that never reach the disk.
  std::uint64_t write_bytes = 0;
  std::uint64_t steal_ns = 0;        ///< Taken from this machine by its host, all CPUs.
  std::uint64_t machine_cpu_ns = 0;  ///< Used by anybody on this machine, all CPUs.

  static Usage Now();
};

/// Makes PeakRssBytes count anew from what is resident now.
void ResetPeakRss();
std::uint64_t PeakRssBytes();

struct DiskSpace {
  std::uint64_t bytes = 0;      ///< Blocks that the file system holds for the directory's files.
  std::uint64_t log_bytes = 0;  ///< Of those, of write-ahead logs (*.log).
};
DiskSpace SpaceOf(const std::string& directory);

/// Puts this process before all others of the machine where it may (a session of its own with the
/// highest priority of its scheduling group); does nothing where it may not.
void RaisePriority();

}  // namespace bedrock::bench
