#pragma once

#include <cstdint>

#include "common/env/clock.h"

namespace bedrock {

/// A clock that moves only when told, for tests and simulators. One thread.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(std::uint64_t monotonic_us = 0, std::uint64_t wall_ms = 0)
      : monotonic_us_(monotonic_us), wall_ms_(wall_ms) {}

  std::uint64_t MonotonicMs() const override { return monotonic_us_ / 1000; }
  std::uint64_t MonotonicUs() const override { return monotonic_us_; }
  std::uint64_t WallMs() const override { return wall_ms_; }

  /// Moves both clocks on.
  void AdvanceMs(std::uint64_t ms) {
    monotonic_us_ += ms * 1000;
    wall_ms_ += ms;
  }
  /// Moves the monotonic clock on; the wall clock stays.
  void AdvanceMonotonicUs(std::uint64_t us) { monotonic_us_ += us; }
  /// Sets the wall clock, either way.
  void SetWallMs(std::uint64_t ms) { wall_ms_ = ms; }

 private:
  std::uint64_t monotonic_us_;
  std::uint64_t wall_ms_;
};

}  // namespace bedrock
