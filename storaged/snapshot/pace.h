#pragma once

#include <algorithm>
#include <cstdint>

namespace bedrock::storage {

/// Bytes per second, as a bucket of credit: whoever finds it above zero may go, however much he
/// takes, and the others wait until it is paid. Credit that nobody used is kept for kBurstMs.
///
/// A value; times are milliseconds of a monotonic clock.
class Pace {
 public:
  static constexpr std::uint64_t kBurstMs = 20;

  explicit Pace(std::uint64_t bytes_per_second) : rate_(bytes_per_second) {}

  /// From now on. REQUIRES: bytes_per_second > 0.
  void SetRate(std::uint64_t bytes_per_second, std::uint64_t now_ms) {
    Refill(now_ms);
    rate_ = bytes_per_second;
  }
  std::uint64_t rate() const { return rate_; }

  bool MayGo(std::uint64_t now_ms) {
    Refill(now_ms);
    return credit_ > 0;
  }
  void Take(std::uint64_t bytes) { credit_ -= static_cast<double>(bytes); }
  /// When MayGo is true again; now, where it is.
  std::uint64_t NextMs() const {
    if (credit_ > 0) return at_ms_;
    return at_ms_ + 1 + static_cast<std::uint64_t>(-credit_ * 1000 / static_cast<double>(rate_));
  }

 private:
  void Refill(std::uint64_t now_ms) {
    if (now_ms <= at_ms_) return;
    const double gained = static_cast<double>(now_ms - at_ms_) * static_cast<double>(rate_) / 1000;
    const double burst = static_cast<double>(kBurstMs) * static_cast<double>(rate_) / 1000;
    credit_ = std::min(credit_ + gained, std::max(burst, 1.0));
    at_ms_ = now_ms;
  }

  std::uint64_t rate_;
  double credit_ = 1;  // in bytes; below zero: what was taken in advance
  std::uint64_t at_ms_ = 0;
};

}  // namespace bedrock::storage
