#include "storaged/engine/table/bloom_filter.h"

#include <algorithm>

#include "common/base/check.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::engine {

namespace {

constexpr std::size_t kLineBytes = 64;
constexpr unsigned kProbesMax = 7;

std::size_t LineOf(std::uint64_t hash, std::size_t lines) { return (hash >> 32) * lines >> 32; }
std::uint64_t ProbesOf(std::uint64_t hash) { return hash * 0x9E3779B97F4A7C15; }

}  // namespace

void BloomFilterBuilder::Add(std::string_view user_key) { hashes_.push_back(Hash64(user_key)); }

std::string BloomFilterBuilder::Finish() const {
  CHECK(!hashes_.empty() && bits_per_key_ > 0);
  const std::size_t bits = hashes_.size() * bits_per_key_;
  const std::size_t lines =
      std::min<std::size_t>((bits + kLineBytes * 8 - 1) / (kLineBytes * 8), UINT32_MAX);
  // Bits times ln 2 is best for a plain filter; lines fill unevenly, which favours one fewer.
  const unsigned probes = std::clamp(bits_per_key_ * 6 / 10, 1u, kProbesMax);
  std::string filter(lines * kLineBytes, '\0');
  for (const std::uint64_t hash : hashes_) {
    char* line = filter.data() + LineOf(hash, lines) * kLineBytes;
    std::uint64_t bits_left = ProbesOf(hash);
    for (unsigned i = 0; i < probes; ++i, bits_left >>= 9) {
      line[bits_left >> 3 & 63] =
          static_cast<char>(line[bits_left >> 3 & 63] | 1 << (bits_left & 7));
    }
  }
  filter += static_cast<char>(probes);
  return filter;
}

bool FilterMayContain(std::string_view filter, std::string_view user_key) {
  const std::size_t lines = filter.size() / kLineBytes;
  if (lines == 0 || filter.size() != lines * kLineBytes + 1) return true;
  const auto probes = static_cast<unsigned char>(filter.back());
  if (probes == 0 || probes > kProbesMax) return true;
  const std::uint64_t hash = Hash64(user_key);
  const char* line = filter.data() + LineOf(hash, lines) * kLineBytes;
  std::uint64_t bits_left = ProbesOf(hash);
  for (unsigned i = 0; i < probes; ++i, bits_left >>= 9) {
    if ((line[bits_left >> 3 & 63] >> (bits_left & 7) & 1) == 0) return false;
  }
  return true;
}

}  // namespace bedrock::engine
