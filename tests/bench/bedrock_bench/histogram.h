#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace bedrock::bench {

/// Counts durations in buckets of 1/32 of a power of two: what it answers is at most 3.2 % above
/// the truth. Adding costs an index and an increment. A value; one thread at a time.
class Histogram {
 public:
  void Add(std::uint64_t nanoseconds) {
    ++counts_[BucketOf(nanoseconds)];
    ++total_;
    max_ = std::max(max_, nanoseconds);
  }
  void Add(const Histogram& other) {
    for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
    max_ = std::max(max_, other.max_);
  }

  /// The duration that `share` (0 to 1) of all were not above; 0 where there are none.
  std::uint64_t Quantile(double share) const {
    if (total_ == 0) return 0;
    const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total_ - 1)) + 1;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen >= rank) return std::min(LargestOf(i), max_);
    }
    return max_;
  }
  std::uint64_t max() const { return max_; }
  std::uint64_t total() const { return total_; }

 private:
  static constexpr unsigned kSubBits = 5;
  static constexpr std::uint64_t kSubBuckets = std::uint64_t{1} << kSubBits;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) * kSubBuckets;

  // Below 32 a bucket a value; then for each power of two 32 buckets of equal width.
  static std::size_t BucketOf(std::uint64_t value) {
    if (value < kSubBuckets) return value;
    const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
    return (shift + 1) * kSubBuckets + ((value >> shift) - kSubBuckets);
  }
  static std::uint64_t LargestOf(std::size_t bucket) {
    if (bucket < kSubBuckets) return bucket;
    const std::size_t shift = bucket / kSubBuckets - 1;
    return ((bucket % kSubBuckets + kSubBuckets + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace bedrock::bench
