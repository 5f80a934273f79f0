#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace bedrock::engine {

// A blocked Bloom filter (Putze, Sanders, Singler, 2007): a key's probes all fall into one line of
// 64 bytes, so a lookup costs one cache miss. On disk: the lines, then one byte that says how many
// probes a key has (1 to 7).
//
// Of the key's Hash64 h, the upper half picks the line: (h >> 32) * lines >> 32. The probes are
// bits of that line, 9 bits each, lowest first, of h * 0x9E3779B97F4A7C15.

/// The Hash64 of a user key: computed once, asked of many filters.
struct KeyHash {
  std::uint64_t value = 0;
};
KeyHash HashKey(std::string_view user_key);

/// Collects keys' hashes and builds the filter.
class BloomFilterBuilder {
 public:
  /// REQUIRES: bits_per_key > 0.
  explicit BloomFilterBuilder(std::uint32_t bits_per_key) : bits_per_key_(bits_per_key) {}

  void Add(KeyHash hash) { hashes_.push_back(hash.value); }
  bool empty() const { return hashes_.empty(); }
  std::size_t EstimatedBytes() const { return hashes_.size() * bits_per_key_ / 8; }
  /// REQUIRES: something was added.
  std::string Finish() const;

 private:
  std::uint32_t bits_per_key_;
  std::deque<std::uint64_t> hashes_;  ///< Of a large table some MiB: not copied as they grow.
};

/// A filter to ask. One that makes no sense, as one without any bytes, lets everything pass.
/// Immutable: any thread.
class BloomFilter {
 public:
  BloomFilter() = default;
  /// As Finish gave it.
  explicit BloomFilter(std::string_view bytes);

  /// False only for keys that were never added.
  bool MayContain(KeyHash hash) const;
  /// Begins to fetch the line that MayContain looks at.
  void Prefetch(KeyHash hash) const;
  std::size_t bytes() const { return lines_ * sizeof(Line); }

 private:
  struct alignas(64) Line {
    std::uint64_t words[8];
  };
  std::unique_ptr<Line[]> data_;  // NOLINT: the number is known at run time only
  std::size_t lines_ = 0;
  unsigned probes_ = 0;
};

}  // namespace bedrock::engine
