#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bedrock {

/// Counts what many threads do often. Each counts near a place of its own, so none waits for
/// another; two that share a place and count at the same moment may lose one. Any thread.
class StripedCounter {
 public:
  /// Gives what this thread's place has counted now: for who does something once in so many.
  std::uint64_t Add(std::uint64_t n) {
    std::atomic<std::uint64_t>& stripe = stripes_[StripeOfThread()].count;
    const std::uint64_t counted = stripe.load(std::memory_order_relaxed) + n;
    stripe.store(counted, std::memory_order_relaxed);
    return counted;
  }
  /// About, while others count: it may even go back a little.
  std::uint64_t sum() const {
    std::uint64_t sum = 0;
    for (const Stripe& stripe : stripes_) sum += stripe.count.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  static constexpr std::size_t kStripeBits = 4;
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> count{0};
  };

  static std::size_t StripeOfThread() {
    thread_local char anchor;
    const auto address = reinterpret_cast<std::uintptr_t>(&anchor);
    return static_cast<std::size_t>((address >> 6) * 0x9E3779B97F4A7C15 >> (64 - kStripeBits));
  }

  std::array<Stripe, std::size_t{1} << kStripeBits> stripes_;
};

}  // namespace bedrock
