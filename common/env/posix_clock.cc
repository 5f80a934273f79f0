#include "common/env/posix_clock.h"

#include <ctime>

#include "common/base/check.h"

namespace bedrock {

namespace {

constexpr std::uint64_t kUsPerSecond = 1'000'000;
constexpr std::uint64_t kNsPerUs = 1'000;
constexpr std::uint64_t kUsPerMs = 1'000;

std::uint64_t ReadUs(clockid_t id) {
  timespec time;
  CHECK(clock_gettime(id, &time) == 0);
  // A wall clock set before 1970 reads as 1970 rather than as the far future.
  if (time.tv_sec < 0) return 0;
  return static_cast<std::uint64_t>(time.tv_sec) * kUsPerSecond +
         static_cast<std::uint64_t>(time.tv_nsec) / kNsPerUs;
}

}  // namespace

std::uint64_t PosixClock::MonotonicMs() const { return ReadUs(CLOCK_BOOTTIME) / kUsPerMs; }
std::uint64_t PosixClock::MonotonicUs() const { return ReadUs(CLOCK_BOOTTIME); }
std::uint64_t PosixClock::WallMs() const { return ReadUs(CLOCK_REALTIME) / kUsPerMs; }

}  // namespace bedrock
