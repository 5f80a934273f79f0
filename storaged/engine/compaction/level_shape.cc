#include "storaged/engine/compaction/level_shape.h"

#include <algorithm>

namespace bedrock::engine {

namespace {

constexpr std::uint32_t kLastLevel = kLevelsMax - 1;
/// Level 0 flows into a level directly while that is at most so many times what it brings: with a
/// level between, each byte is written 2 + 2 sqrt(r) times in place of 1 + r, r being that ratio.
constexpr std::uint64_t kDirectRatioMax = 4;
/// The base level's target is at most this part of the next one's, so that what it holds twice
/// stays small beside the whole.
constexpr std::uint64_t kBaseShare = 3;

}  // namespace

std::uint64_t BytesOf(const std::vector<TableMetadata>& tables) {
  std::uint64_t bytes = 0;
  for (const TableMetadata& table : tables) bytes += table.size;
  return bytes;
}

LevelShape ShapeOf(const Levels& levels, const CompactionOptions& options) {
  LevelShape shape;
  std::uint64_t largest = 0;
  std::uint32_t first_used = kLastLevel;
  for (std::uint32_t level = kLastLevel; level > 0; --level) {
    if (levels[level].empty()) continue;
    largest = std::max(largest, BytesOf(levels[level]));
    first_used = level;
  }
  const std::uint64_t batch = options.memtable_bytes * options.level0_files_trigger;
  const std::uint64_t base_bytes = std::max(options.level1_bytes, batch);
  shape.target_bytes[kLastLevel] = std::max(largest, options.level1_bytes);
  while (shape.base > 1 && shape.target_bytes[shape.base] > kDirectRatioMax * batch) {
    const std::uint64_t below = shape.target_bytes[shape.base];
    // Above a target of base_bytes and a bit the next one would be too small to hold a batch.
    if (shape.base < kLastLevel && below <= base_bytes * 2) break;
    --shape.base;
    shape.target_bytes[shape.base] =
        std::max(below / options.level_multiplier, std::min(base_bytes, below / kBaseShare));
  }
  std::uint64_t last_raw_bytes = 0;
  for (const TableMetadata& table : levels[kLastLevel]) last_raw_bytes += table.raw_bytes;
  const bool much = shape.base == kLastLevel && last_raw_bytes > options.level1_bytes;
  shape.compressed_from = much ? kLastLevel : shape.base + 1;
  // What stands above the base (the database has shrunk) has to be merged through before level 0
  // may flow past it.
  while (shape.base > first_used) {
    --shape.base;
    shape.target_bytes[shape.base] = shape.target_bytes[shape.base + 1] / options.level_multiplier;
  }
  return shape;
}

bedrock::Compression CompressionOf(std::uint32_t level, const LevelShape& shape,
                                   const CompactionOptions& options) {
  if (level == 0) return bedrock::Compression::kNone;
  if (options.compression) return *options.compression;
  return level < shape.compressed_from ? bedrock::Compression::kNone : bedrock::Compression::kLz4;
}

std::uint64_t CompactionDebt(const Levels& levels, const CompactionOptions& options) {
  const LevelShape shape = ShapeOf(levels, options);
  std::uint64_t debt = 0;
  std::uint64_t arriving = 0;  // from the level above
  if (levels[0].size() >= options.level0_files_trigger) {
    arriving = BytesOf(levels[0]);
    debt += arriving + BytesOf(levels[shape.base]);
  }
  for (std::uint32_t level = shape.base; level < kLastLevel; ++level) {
    const std::uint64_t bytes = BytesOf(levels[level]) + arriving;
    arriving = bytes > shape.target_bytes[level] ? bytes - shape.target_bytes[level] : 0;
    if (arriving == 0) continue;
    // What leaves is merged with its share of the next level.
    const double share = static_cast<double>(arriving) / static_cast<double>(bytes);
    debt += arriving +
            static_cast<std::uint64_t>(share * static_cast<double>(BytesOf(levels[level + 1])));
  }
  return debt;
}

}  // namespace bedrock::engine
