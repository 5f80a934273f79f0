#pragma once

#include <cstdint>

namespace bedrock {

/// A seeded generator of 64-bit numbers: xoshiro256** (Blackman and Vigna, 2018), its state filled
/// from the seed by splitmix64. A value type; the same seed gives the same numbers on every
/// platform. Not for secrets.
class Random {
 public:
  explicit Random(std::uint64_t seed);

  std::uint64_t Next();
  /// Uniform in [0, bound). REQUIRES: bound > 0.
  std::uint64_t Below(std::uint64_t bound);
  /// Uniform in [low, high]. REQUIRES: low <= high.
  std::uint64_t Between(std::uint64_t low, std::uint64_t high);
  /// True with probability `numerator`/`denominator`. REQUIRES: denominator > 0.
  bool Chance(std::uint64_t numerator, std::uint64_t denominator);
  /// A generator of its own for the stream `name`: drawing from one does not shift another.
  Random Fork(std::uint64_t name) const;

 private:
  std::uint64_t state_[4];
};

/// A number nobody can predict, from the operating system (getrandom). For seeds, boot ids and
/// cluster ids.
std::uint64_t SystemEntropy();
/// The same, never 0, which in ids means none.
std::uint64_t NonZeroEntropy();

}  // namespace bedrock
