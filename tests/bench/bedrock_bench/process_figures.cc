#include "tests/bench/bedrock_bench/process_figures.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/base/check.h"

namespace bedrock::bench {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

std::uint64_t ClockNs(clockid_t clock) {
  timespec time{};
  CHECK(clock_gettime(clock, &time) == 0);
  return static_cast<std::uint64_t>(time.tv_sec) * kNsPerSecond +
         static_cast<std::uint64_t>(time.tv_nsec);
}

/// The number behind `name` in a file of "name: number" lines; 0 where there is none.
std::uint64_t NumberIn(const char* path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::uint64_t number = 0;
    if (word == name && file >> number) return number;
  }
  return 0;
}

}  // namespace

std::uint64_t NowNs() { return ClockNs(CLOCK_MONOTONIC); }
std::uint64_t ProcessCpuNs() { return ClockNs(CLOCK_PROCESS_CPUTIME_ID); }

Usage Usage::Now() {
  Usage usage{.now_ns = NowNs(),
              .cpu_ns = ProcessCpuNs(),
              .write_bytes = NumberIn("/proc/self/io", "wchar:")};
  std::ifstream stat("/proc/stat");
  std::string cpu;
  std::uint64_t user = 0, nice = 0, system = 0, idle = 0, io_wait = 0, irq = 0, soft = 0, steal = 0;
  stat >> cpu >> user >> nice >> system >> idle >> io_wait >> irq >> soft >> steal;
  const std::uint64_t ns_per_tick = kNsPerSecond / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK));
  usage.steal_ns = steal * ns_per_tick;
  usage.machine_cpu_ns = (user + nice + system + irq + soft) * ns_per_tick;
  return usage;
}

void ResetPeakRss() { std::ofstream("/proc/self/clear_refs") << 5; }

std::uint64_t PeakRssBytes() { return NumberIn("/proc/self/status", "VmHWM:") * 1024; }

DiskSpace SpaceOf(const std::string& directory) {
  DiskSpace space;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat file {};
    if (lstat(entry.path().c_str(), &file) != 0) continue;  // deleted meanwhile
    const std::uint64_t bytes = static_cast<std::uint64_t>(file.st_blocks) * 512;
    space.bytes += bytes;
    if (entry.path().extension() == ".log") space.log_bytes += bytes;
  }
  return space;
}

void RaisePriority() {
  setsid();
  std::ofstream("/proc/self/autogroup") << -20;
}

}  // namespace bedrock::bench
