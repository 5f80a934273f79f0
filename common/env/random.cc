#include "common/env/random.h"

#include <sys/random.h>

#include <bit>

#include "common/base/check.h"

namespace bedrock {

namespace {

std::uint64_t SplitMix64(std::uint64_t& state) {
  state += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::uint64_t seed) {
  for (std::uint64_t& word : state_) word = SplitMix64(seed);
}

std::uint64_t Random::Next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Random::Below(std::uint64_t bound) {
  CHECK(bound > 0);
  // Rejects the few values that would make the low remainders likelier.
  const std::uint64_t unfair = (0 - bound) % bound;
  std::uint64_t value = Next();
  while (value < unfair) value = Next();
  return value % bound;
}

std::uint64_t Random::Between(std::uint64_t low, std::uint64_t high) {
  CHECK(low <= high);
  const std::uint64_t span = high - low;
  return span == UINT64_MAX ? Next() : low + Below(span + 1);
}

bool Random::Chance(std::uint64_t numerator, std::uint64_t denominator) {
  return Below(denominator) < numerator;
}

Random Random::Fork(std::uint64_t name) const {
  std::uint64_t mix = name;
  return Random(state_[0] ^ std::rotl(state_[3], 17) ^ SplitMix64(mix));
}

std::uint64_t SystemEntropy() {
  std::uint64_t value = 0;
  const ssize_t n = getrandom(&value, sizeof(value), 0);
  CHECK(n == static_cast<ssize_t>(sizeof(value)));
  return value;
}

std::uint64_t NonZeroEntropy() {
  std::uint64_t number = 0;
  while (number == 0) number = SystemEntropy();
  return number;
}

}  // namespace bedrock
