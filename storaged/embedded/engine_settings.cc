#include "storaged/embedded/engine_settings.h"

#include <algorithm>
#include <limits>

#include "common/env/huge_pages.h"

namespace bedrock::embedded {

engine::EngineOptions EngineSettings(const std::string& directory, const Options& options) {
  const std::size_t for_memtables = options.memory_budget / 4;
  const std::size_t for_work = options.memory_budget / 8;
  engine::EngineOptions settings;
  settings.directory = directory;
  settings.memtable_bytes = options.memtable_bytes.value_or(
      std::max<std::size_t>(for_memtables / kMemtablesMax, 64 * kKiB));
  settings.memtables_max = kMemtablesMax;
  // What is given back when the disk is full has to be enough for a flush: it frees the log of its
  // memtable, and with that there is room for the next one.
  settings.reserve_bytes = std::max(settings.reserve_bytes, settings.memtable_bytes);
  settings.block_cache_bytes =
      options.block_cache_bytes.value_or(options.memory_budget - for_memtables - for_work);
  // Fixed apart, it is for blocks alone.
  settings.tables_count_as_cache = !options.block_cache_bytes.has_value();
  settings.block_bytes = options.block_bytes;
  settings.compression = options.compression;
  settings.filter_bits_per_key = options.filter_bits_per_key;
  settings.blob_bytes_min = options.blob_bytes_min;
  settings.flush_jobs_max = std::min(options.background_threads, engine::kFlushJobsMax);
  // One thread's worth is left for the flush.
  settings.compaction_jobs_max = std::max<std::size_t>(options.background_threads, 2) - 1;
  // The log holds no more than the memtables do; there is nothing else that has to be bounded.
  settings.unflushed_entries_max = std::numeric_limits<std::uint64_t>::max();
  return settings;
}

std::uint64_t LogSegmentBytes(std::size_t memtable_bytes) {
  const std::uint64_t quarter = memtable_bytes / 4;
  const std::uint64_t unit = quarter >= kHugePageBytes ? kHugePageBytes : 4 * kKiB;
  return std::clamp<std::uint64_t>(quarter / unit * unit, 256 * kKiB, 64 * kMiB);
}

}  // namespace bedrock::embedded
