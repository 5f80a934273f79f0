#pragma once

#include <cstdint>

#include "common/env/clock.h"

namespace bedrock {

/// The operating system's clocks: CLOCK_BOOTTIME and CLOCK_REALTIME. Any thread.
class PosixClock final : public Clock {
 public:
  std::uint64_t MonotonicMs() const override;
  std::uint64_t MonotonicUs() const override;
  std::uint64_t WallMs() const override;
};

}  // namespace bedrock
