#include <utility>

#include "storaged/engine/checkpoint.h"
#include "storaged/engine/compaction/level_shape.h"
#include "storaged/engine/engine_impl.h"

namespace bedrock::engine {

EngineStats EngineImpl::Stats() const {
  EngineStats stats;
  EngineHealth health = errors_.health();
  stats.state = health.state;
  stats.detail = std::move(health.detail);
  const auto state = live_.cell().Get();
  const VersionSet::Current now = versions_.current();
  const LevelShape shape = ShapeOf(now.state->levels, ShapeOptions(options_));

  stats.newest = newest();
  stats.durable = Version(live_.durable().index.value());
  stats.watermark = state->tables()->watermark;
  if (const auto oldest = snapshots_->oldest()) {
    stats.oldest_pin = oldest->version;
    stats.oldest_pin_ms = environment_.clock->MonotonicMs() - oldest->since_ms;
  }
  for (std::size_t i = 0; i < kLevelsMax; ++i) {
    EngineStats::Level& level = stats.levels.emplace_back();
    level.files = now.state->levels[i].size();
    level.bytes = BytesOf(now.state->levels[i]);
    level.target_bytes = shape.target_bytes[i];
    level.written_bytes = counters_.written_bytes[i];
    level.read_bytes = counters_.read_bytes[i];
  }
  for (const auto& [number, blob] : now.state->blobs) stats.blob_bytes += blob.size;
  for (const auto& [number, bytes] : now.state->BlobLiveBytes()) stats.blob_live_bytes += bytes;
  stats.blob_files = now.state->blobs.size();
  stats.quarantined_files = now.state->quarantined.size();
  for (const auto& level : state->tables()->levels) {
    for (const auto& table : level) stats.table_memory_bytes += table->memory_bytes();
  }
  stats.memtables = state->memtables().size();
  for (const auto& memtable : state->memtables()) stats.memtable_bytes += memtable->bytes();
  stats.compaction_debt_bytes = CompactionDebt(now.state->levels, ShapeOptions(options_));
  stats.flushes = counters_.flushes;
  stats.compactions = counters_.compactions;
  stats.moves = counters_.moves;
  const WriteThrottle::Counts delays = throttle_.counts();
  stats.gets = gets_.sum();
  stats.filter_skips = cache_->filter_skips().sum();
  stats.block_cache_bytes = cache_->bytes();
  stats.block_cache_hits = cache_->hits();
  stats.block_cache_misses = cache_->misses();
  stats.delayed_writes = delays.delayed;
  stats.delay_us = delays.delay_us;
  return stats;
}

Status EngineImpl::Verify() const {
  const auto tables = versions_.current().tables;
  Status first;
  for (const auto& level : tables->levels) {
    for (const auto& table : level) {
      Status status = Noticed(table->Verify());
      if (first.ok()) first = std::move(status);
    }
  }
  for (const BlobSet::Blob& blob : tables->blobs->blobs()) {
    Status status = blob->Verify();
    if (first.ok()) first = std::move(status);
  }
  return first;
}

std::uint64_t EngineImpl::ApproximateSize(Range range) const {
  const auto tables = versions_.current().tables;
  std::uint64_t bytes = 0;
  for (const auto& level : tables->levels) {
    for (const auto& table : level) {
      if (!table->metadata().range().Overlaps(HalfOpen(range.begin, range.end))) continue;
      const std::uint64_t inside = table->ApproximateBytes(range.begin, range.end);
      bytes += inside;
      // Of the blobs as large a part as of the table.
      for (const auto& reference : table->metadata().blob_references) {
        bytes += static_cast<std::uint64_t>(static_cast<double>(reference.bytes) *
                                            static_cast<double>(inside) /
                                            static_cast<double>(table->metadata().size));
      }
    }
  }
  return bytes;
}

void EngineImpl::CompactRange(Range range, std::function<void(Status)> done) {
  compactor_.Request(range, newest(), std::move(done));
}

Status EngineImpl::Checkpoint(const std::string& directory) {
  // In this order: what is current once files are held stays.
  const VersionSet::FileHold hold(versions_);
  const VersionSet::Current now = versions_.current();
  return MakeCheckpoint(*environment_.file_system, options_.directory, directory, *now.state);
}

}  // namespace bedrock::engine
