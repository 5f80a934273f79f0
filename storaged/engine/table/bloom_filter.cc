#include "storaged/engine/table/bloom_filter.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::engine {

namespace {

constexpr std::size_t kLineBytes = 64;
constexpr unsigned kProbesMax = 7;

std::size_t LineOf(std::uint64_t hash, std::size_t lines) { return (hash >> 32) * lines >> 32; }
std::uint64_t ProbesOf(std::uint64_t hash) { return hash * 0x9E3779B97F4A7C15; }

}  // namespace

KeyHash HashKey(std::string_view user_key) { return {Hash64(user_key)}; }

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

BloomFilter::BloomFilter(std::string_view bytes) {
  const std::size_t lines = bytes.size() / kLineBytes;
  if (lines == 0 || bytes.size() != lines * kLineBytes + 1) return;
  const auto probes = static_cast<unsigned char>(bytes.back());
  if (probes == 0 || probes > kProbesMax) return;
  static_assert(sizeof(Line) == kLineBytes);
  data_ = std::make_unique<Line[]>(lines);  // NOLINT
  std::memcpy(data_.get(), bytes.data(), lines * kLineBytes);
  lines_ = lines;
  probes_ = probes;
}

bool BloomFilter::MayContain(KeyHash hash) const {
  if (lines_ == 0) return true;
  const Line& line = data_[LineOf(hash.value, lines_)];
  std::uint64_t bits_left = ProbesOf(hash.value);
  for (unsigned i = 0; i < probes_; ++i, bits_left >>= 9) {
    if ((line.words[bits_left >> 6 & 7] >> (bits_left & 63) & 1) == 0) return false;
  }
  return true;
}

void BloomFilter::Prefetch(KeyHash hash) const {
  if (lines_ != 0) __builtin_prefetch(&data_[LineOf(hash.value, lines_)]);
}

}  // namespace bedrock::engine
