#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bedrock::engine {

// A blocked Bloom filter (Putze, Sanders, Singler, 2007): a key's probes all fall into one line of
// 64 bytes, so a lookup costs one cache miss. On disk: the lines, then one byte that says how many
// probes a key has (1 to 7).
//
// Of the key's Hash64 h, the upper half picks the line: (h >> 32) * lines >> 32. The probes are
// bits of that line, 9 bits each, lowest first, of h * 0x9E3779B97F4A7C15.

/// Collects keys' hashes and builds the filter.
class BloomFilterBuilder {
 public:
  /// REQUIRES: bits_per_key > 0.
  explicit BloomFilterBuilder(std::uint32_t bits_per_key) : bits_per_key_(bits_per_key) {}

  void Add(std::string_view user_key);
  /// REQUIRES: something was added.
  std::string Finish() const;

 private:
  std::uint32_t bits_per_key_;
  std::vector<std::uint64_t> hashes_;
};

/// False only for keys that were never added. A filter that makes no sense lets everything pass.
bool FilterMayContain(std::string_view filter, std::string_view user_key);

}  // namespace bedrock::engine
