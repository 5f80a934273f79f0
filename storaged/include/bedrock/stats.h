#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/version.h"

namespace bedrock {

/// In which condition the engine is. It is in exactly one.
enum class EngineState : std::uint8_t {
  kHealthy,
  /// Works, but something is wrong that an operator should know of: a quarantined table, a flush or
  /// compaction that had to be begun again.
  kDegraded,
  /// The disk is full: writes that need room are refused with no_space, deletes and reads go on.
  /// Clears by itself.
  kNoSpace,
  /// Tables can't be written any more: writes are refused, reads go on. Opening again is needed.
  kReadOnly,
  /// A sync, the log or the MANIFEST failed: nothing more is made durable. Opening again is needed.
  kFailed,
};

/// "healthy", "degraded", "no_space", "read_only", "failed".
std::string_view EngineStateName(EngineState state);

/// What goes on inside, at a moment. Counters count since the database was opened.
struct EngineStats {
  EngineState state = EngineState::kHealthy;
  std::string detail;  ///< Why it is not healthy; empty where it is.

  Version newest;                   ///< The last committed version.
  Version durable;                  ///< Everything up to here is in tables.
  Version watermark;                ///< Versions below it that are not pinned may have vanished.
  Version oldest_pin;               ///< The oldest version that a snapshot holds; 0: none.
  std::uint64_t oldest_pin_ms = 0;  ///< How long it has been held.

  struct Level {
    std::size_t files = 0;
    std::uint64_t bytes = 0;
    std::uint64_t target_bytes = 0;   ///< 0 where the level has none (level 0).
    std::uint64_t written_bytes = 0;  ///< By flushes and compactions into it.
    std::uint64_t read_bytes = 0;     ///< By compactions out of it.
  };
  std::vector<Level> levels;
  std::size_t blob_files = 0;
  std::uint64_t blob_bytes = 0;
  std::uint64_t blob_live_bytes = 0;  ///< Of those, what tables refer to.
  std::size_t quarantined_files = 0;

  std::size_t memtables = 0;
  std::size_t memtable_bytes = 0;
  std::size_t block_cache_bytes = 0;
  std::size_t table_memory_bytes = 0;  ///< Indexes and filters of open tables.
  std::uint64_t compaction_debt_bytes =
      0;  ///< What has to be rewritten until the levels are in shape.

  std::uint64_t commits = 0;
  std::uint64_t user_bytes = 0;  ///< Keys and values that were written.
  std::uint64_t log_bytes = 0;   ///< Written to the write-ahead log.
  std::uint64_t log_syncs = 0;
  std::uint64_t flushes = 0;
  std::uint64_t compactions = 0;
  std::uint64_t moves = 0;  ///< Tables that went down a level without being rewritten.
  std::uint64_t delayed_writes = 0;
  std::uint64_t delay_us = 0;
  std::uint64_t gets = 0;
  std::uint64_t filter_skips = 0;  ///< Tables that a filter spared a lookup.
  std::uint64_t block_cache_hits = 0;
  std::uint64_t block_cache_misses = 0;

  /// In the text format of Prometheus, each name beginning with "bedrock_".
  std::string ToPrometheus() const;
};

}  // namespace bedrock
