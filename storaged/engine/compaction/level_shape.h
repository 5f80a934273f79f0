#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "bedrock/options.h"
#include "storaged/engine/manifest/version_edit.h"

namespace bedrock::engine {

/// The tables of each level as ManifestState has them: level 0 from oldest to newest, the others by
/// key.
using Levels = std::vector<std::vector<TableMetadata>>;

/// What shapes the tree; EngineOptions has the same by the same names.
struct CompactionOptions {
  std::uint64_t memtable_bytes = std::uint64_t{64} << 20;
  std::uint64_t table_bytes = std::uint64_t{32} << 20;
  std::uint32_t level0_files_trigger = 4;
  std::uint32_t level0_files_stop = 24;
  std::uint64_t level1_bytes = std::uint64_t{256} << 20;
  std::uint32_t level_multiplier = 10;  ///< At least 2.
  std::optional<bedrock::Compression> compression;
};

/// Which levels are in use and how large each should be. Level 0 flows into `base`; the last level
/// is always kLevelsMax - 1 and holds most of the data, for the targets of the others follow from
/// its size. So a small database has no levels between, and each level above the last holds at most
/// a tenth of the one below it, but for the first, which may hold `level1_bytes` and a third:
///
///     last level's bytes     300 MiB       1 GiB            20 GiB            (64 MiB memtables)
///     level 4                                               256 MiB
///     level 5                             -                 2 GiB
///     level 6                300 MiB       1 GiB            20 GiB
///
/// A level of its own between level 0 and the last one pays only once the last is some times what
/// level 0 brings at once: before, merging into it directly writes less.
struct LevelShape {
  std::uint32_t base = kLevelsMax - 1;
  std::array<std::uint64_t, kLevelsMax> target_bytes = {};  ///< 0 on level 0 and above base.
  /// From here on tables are compressed where the option leaves it open: what is written anew soon
  /// (levels 0 and base) is not, unless it is much.
  std::uint32_t compressed_from = kLevelsMax;

  friend bool operator==(const LevelShape&, const LevelShape&) = default;
};

LevelShape ShapeOf(const Levels& levels, const CompactionOptions& options);

/// How tables of `level` are compressed.
bedrock::Compression CompressionOf(std::uint32_t level, const LevelShape& shape,
                                   const CompactionOptions& options);

std::uint64_t BytesOf(const std::vector<TableMetadata>& tables);

/// How many bytes compactions have to write until level 0 is below its trigger and each level
/// within its target, about; 0: the tree is in shape.
std::uint64_t CompactionDebt(const Levels& levels, const CompactionOptions& options);

}  // namespace bedrock::engine
