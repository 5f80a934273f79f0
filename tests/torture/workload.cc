#include "tests/torture/workload.h"

#include <algorithm>
#include <cstdio>

namespace bedrock::torture {

namespace {

constexpr std::uint64_t kBatchChangesMax = 12;

std::string Decimal(std::uint64_t n) {
  char text[24];
  std::snprintf(text, sizeof(text), "%08llu", static_cast<unsigned long long>(n));
  return text;
}

}  // namespace

Workload::Workload(Random random) : random_(random) {
  constexpr std::uint64_t kKeyCounts[] = {3, 20, 200, 2000};
  constexpr std::uint64_t kValueSizes[] = {8, 100, 600, 6000};
  keys_ = kKeyCounts[random_.Below(4)];
  shape_ = static_cast<unsigned>(random_.Below(4));
  value_bytes_max_ = kValueSizes[random_.Below(4)];
}

std::string Workload::Key() {
  // Half of the time one of a few hot ones.
  const std::uint64_t n = random_.Chance(1, 2)
                              ? random_.Below(std::max<std::uint64_t>(keys_ / 10, 1))
                              : random_.Below(keys_);
  switch (shape_) {
    case 0:
      return Decimal(n);
    case 1:  // prefixes of each other
      return "p" + std::string(n % 40, 'a') + std::string(n / 40 % 3, '\xff') +
             (n % 7 == 0 ? std::string() : Decimal(n / 120));
    case 2: {  // binary, with zeroes and 0xff
      std::string key(1 + n % 9, '\0');
      for (std::size_t i = 0; i < key.size(); ++i) {
        key[i] = static_cast<char>(n * 0x9E37 >> i & 1 ? 0xff : n >> i & 1);
      }
      return key + static_cast<char>(n);
    }
    default:  // long ones, alike for long
      return std::string(200, 'k') + Decimal(n) + std::string(n % 50, 'z');
  }
}

std::string Workload::Value() {
  const std::uint64_t bytes =
      random_.Chance(1, 20)
          ? 0
          : random_.Below(random_.Chance(1, 8) ? value_bytes_max_ * 4 : value_bytes_max_);
  std::string value = std::to_string(++values_) + ":";
  if (bytes == 0) return random_.Chance(1, 2) ? "" : value;
  while (value.size() < bytes) {
    // Half compressible.
    value += Decimal(random_.Next() % 100'000'000);
    value += "--------";
  }
  return value;
}

std::pair<std::string, std::string> Workload::Bounds() {
  std::pair<std::string, std::string> bounds{Key(), Key()};
  if (random_.Chance(1, 8)) bounds.first.clear();
  if (random_.Chance(1, 8)) bounds.second.clear();
  if (!bounds.second.empty() && bounds.second < bounds.first && !random_.Chance(1, 10)) {
    std::swap(bounds.first, bounds.second);
  }
  return bounds;
}

Change Workload::NextChange() {
  const std::uint64_t dice = random_.Below(100);
  if (dice < 70) return {Change::Kind::kPut, Key(), Value()};
  if (dice < 95) return {Change::Kind::kDelete, Key(), ""};
  auto [begin, end] = Bounds();
  return {Change::Kind::kDeleteRange, std::move(begin), std::move(end)};
}

std::vector<Change> Workload::NextBatch() {
  std::vector<Change> batch;
  const std::uint64_t changes = random_.Chance(2, 3) ? 1 : 1 + random_.Below(kBatchChangesMax);
  for (std::uint64_t i = 0; i < changes; ++i) batch.push_back(NextChange());
  return batch;
}

Options Workload::DrawOptions(Random& random) {
  constexpr Compression kCompressions[] = {Compression::kNone, Compression::kLz4,
                                           Compression::kZstd};
  constexpr std::size_t kBlockBytes[] = {512, 1024, 4096, 65536};
  constexpr std::size_t kBlobBytes[] = {0, 64, 500, 8192};
  constexpr std::size_t kCacheBytes[] = {0, 16 << 10, 1 << 20};
  constexpr std::uint32_t kFilterBits[] = {0, 1, 10, 20};
  Options options;
  options.memory_budget = std::size_t{1} << 20;
  options.memtable_bytes = std::size_t{64} << 10 << random.Below(3);
  options.block_cache_bytes = kCacheBytes[random.Below(3)];
  options.block_bytes = kBlockBytes[random.Below(4)];
  if (random.Chance(3, 4)) options.compression = kCompressions[random.Below(3)];
  options.filter_bits_per_key = kFilterBits[random.Below(4)];
  options.blob_bytes_min = kBlobBytes[random.Below(4)];
  options.background_threads = 1 + random.Below(3);
  if (random.Chance(1, 3)) options.history = std::chrono::milliseconds(random.Below(20'000));
  return options;
}

}  // namespace bedrock::torture
