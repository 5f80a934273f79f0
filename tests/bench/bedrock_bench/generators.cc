#include "tests/bench/bedrock_bench/generators.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/base/check.h"

namespace bedrock::bench {
namespace {

constexpr std::uint64_t kIds = 10'000'000'000'000'000;
constexpr std::size_t kPoolBytes = std::size_t{1} << 20;
constexpr std::size_t kPieceBytes = 100;
constexpr double kZipfExponent = 0.99;

// The preset of the mixed workload.
constexpr std::size_t kRanges = 30;
constexpr double kRangeA = 14.18;
constexpr double kRangeB = -2.917;
constexpr double kRangeC = 0.0164;
constexpr double kRangeD = -0.08082;
constexpr double kKeyA = 0.002312;
constexpr double kKeyB = 0.3467;

}  // namespace

std::string_view KeyWriter::Key(std::uint64_t id) {
  if (format_ == KeyFormat::kText) {
    for (std::size_t i = kKeyBytes; i-- > 0; id /= 10) key_[i] = static_cast<char>('0' + id % 10);
  } else {
    for (std::size_t i = 8; i-- > 0; id >>= 8) key_[i] = static_cast<char>(id & 0xff);
    std::fill(key_.begin() + 8, key_.end(), '0');
  }
  return {key_.data(), key_.size()};
}

std::string_view KeyWriter::MissingKey(std::uint64_t id) {
  Key(id);
  key_.back() = '.';  // which is less than any digit
  return {key_.data(), key_.size()};
}

ValueSource::ValueSource(std::uint64_t seed) {
  Random random(seed);
  pool_.reserve(kPoolBytes + kPieceBytes);
  while (pool_.size() < kPoolBytes) {
    std::string half;
    for (std::size_t i = 0; i < kPieceBytes / 2; ++i) {
      half.push_back(static_cast<char>(' ' + random.Below(95)));
    }
    pool_ += half + half;
  }
}

std::string_view ValueSource::Next(std::size_t bytes) {
  CHECK(bytes <= pool_.size());
  if (at_ + bytes > pool_.size()) at_ = 0;
  const std::string_view value(pool_.data() + at_, bytes);
  at_ += bytes;
  return value;
}

double UnitInterval(Random* random) {
  return static_cast<double>((random->Next() >> 11) + 1) * 0x1p-53;
}

std::uint64_t Scramble(std::uint64_t number) {
  number += 0x9e3779b97f4a7c15;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

std::uint64_t ScrambledId(std::uint64_t number) { return Scramble(number) % kIds; }

Zipfian::Zipfian(std::uint64_t n) : n_(static_cast<double>(n)), zeta_(0) {
  for (std::uint64_t i = 1; i <= n; ++i) zeta_ += std::pow(static_cast<double>(i), -kZipfExponent);
  const double zeta_of_two = 1 + std::pow(2.0, -kZipfExponent);
  alpha_ = 1 / (1 - kZipfExponent);
  eta_ = (1 - std::pow(2 / n_, 1 - kZipfExponent)) / (1 - zeta_of_two / zeta_);
}

std::uint64_t Zipfian::Next(Random* random) const {
  const double u = UnitInterval(random);
  const double scaled = u * zeta_;
  if (scaled < 1) return 0;
  if (scaled < 1 + std::pow(0.5, kZipfExponent)) return 1;
  const double rank = n_ * std::pow(eta_ * u - eta_ + 1, alpha_);
  return static_cast<std::uint64_t>(std::min(rank, n_ - 1));
}

std::uint64_t Pareto::Next(Random* random, std::uint64_t low, std::uint64_t high) const {
  const double x = sigma * (std::pow(UnitInterval(random), -k) - 1) / k;
  return static_cast<std::uint64_t>(
      std::clamp(x, static_cast<double>(low), static_cast<double>(high)));
}

MixGraphKeys::MixGraphKeys(std::uint64_t keys)
    : range_keys_(std::max<std::uint64_t>(1, keys / kRanges)) {
  for (std::size_t i = 1; i <= kRanges; ++i) {
    const auto x = static_cast<double>(i);
    cumulative_.push_back(kRangeA * std::exp(kRangeB * x) + kRangeC * std::exp(kRangeD * x));
  }
  Random random(kRanges);
  for (std::size_t i = kRanges; i-- > 1;) {
    std::swap(cumulative_[i], cumulative_[random.Below(i + 1)]);
  }
  for (std::size_t i = 1; i < kRanges; ++i) cumulative_[i] += cumulative_[i - 1];
}

std::uint64_t MixGraphKeys::Next(Random* random) const {
  const double point = UnitInterval(random) * cumulative_.back();
  const auto range = static_cast<std::uint64_t>(
      std::lower_bound(cumulative_.begin(), cumulative_.end(), point) - cumulative_.begin());
  // The inverse of the power law's distribution function a x^b gives how hot a key it is; where in
  // the range it lies is another matter.
  const double rank = std::ceil(std::pow(UnitInterval(random) / kKeyA, 1 / kKeyB));
  return range * range_keys_ + Scramble(static_cast<std::uint64_t>(rank)) % range_keys_;
}

}  // namespace bedrock::bench
