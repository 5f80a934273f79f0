#pragma once

#include <cstdint>

namespace bedrock {

/// Where the time comes from. Cores never see one: they are told the time. Any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  /// Milliseconds since some start of this machine's life; never goes back, and goes on while the
  /// machine sleeps (CLOCK_BOOTTIME). For deadlines, timers and leases.
  virtual std::uint64_t MonotonicMs() const = 0;
  /// The same clock in microseconds. For measuring.
  virtual std::uint64_t MonotonicUs() const = 0;
  /// Milliseconds since 1970 as this machine believes; may jump either way. Only for stamping
  /// entries and for people.
  virtual std::uint64_t WallMs() const = 0;
};

}  // namespace bedrock
