#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/env/random.h"

namespace bedrock::bench {

inline constexpr std::size_t kKeyBytes = 16;

/// How a number becomes a key; one for all engines within a run.
enum class KeyFormat : std::uint8_t {
  kText,    ///< 16 decimal digits, as LevelDB's db_bench has it.
  kBinary,  ///< 8 bytes big-endian and eight '0', as RocksDB's db_bench has it.
};

/// Writes keys into its own memory. A value; one thread.
class KeyWriter {
 public:
  explicit KeyWriter(KeyFormat format) : format_(format) {}
  /// A view until the next call. Keys are ordered as their ids. REQUIRES: id < 10^16.
  std::string_view Key(std::uint64_t id);
  /// A key just before that of `id`, which no id has.
  std::string_view MissingKey(std::uint64_t id);

 private:
  KeyFormat format_;
  std::array<char, kKeyBytes> key_{};
};

/// Values that compress to a half: slices of one pool, each from where the last one ended. A value;
/// one thread.
class ValueSource {
 public:
  explicit ValueSource(std::uint64_t seed);
  /// REQUIRES: bytes <= 1 MiB.
  std::string_view Next(std::size_t bytes);

 private:
  std::string pool_;
  std::size_t at_ = 0;
};

/// Uniform in (0, 1].
double UnitInterval(Random* random);

/// A permutation of 64-bit numbers (the finalizer of splitmix64): spreads neighbours far apart.
std::uint64_t Scramble(std::uint64_t number);
/// Scramble, within the ids that have a key.
std::uint64_t ScrambledId(std::uint64_t number);

/// Ranks from 0 to n - 1 by Zipf's law with exponent 0.99, as YCSB draws them (Gray et al., Quickly
/// Generating Billion-Record Synthetic Databases, 1994). A value.
class Zipfian {
 public:
  explicit Zipfian(std::uint64_t n);
  std::uint64_t Next(Random* random) const;

 private:
  double n_;
  double zeta_;
  double alpha_;
  double eta_;
};

/// Generalized Pareto distribution: F(x) = 1 - (1 + k (x - theta) / sigma)^(-1/k), theta being 0.
struct Pareto {
  double k;
  double sigma;
  std::uint64_t Next(Random* random, std::uint64_t low, std::uint64_t high) const;
};

/// Keys as the mixed workload of Cao et al. (Characterizing, Modeling, and Benchmarking RocksDB
/// Key-Value Workloads at Facebook, FAST 2020) draws them: key ranges of different hotness (a
/// two-term exponential), lying in random order, and a power law of keys within each. The
/// parameters are those of the preset "All random"/prefix_dist that RocksDB's db_bench documents.
class MixGraphKeys {
 public:
  explicit MixGraphKeys(std::uint64_t keys);
  std::uint64_t Next(Random* random) const;

 private:
  std::uint64_t range_keys_;
  std::vector<double> cumulative_;  // of the ranges' shares, in the order of the key space
};

}  // namespace bedrock::bench
