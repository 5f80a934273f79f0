#include "common/base/status_macros.h"
#include "storaged/engine/engine_impl.h"

namespace bedrock::engine {

EngineStats EngineImpl::Stats() const {
  EngineStats stats;
  if (const auto oldest = snapshots_->oldest()) {
    stats.oldest_pin = oldest->version;
    stats.oldest_pin_ms = environment_.clock->MonotonicMs() - oldest->since_ms;
  }
  stats.newest = newest();
  MutexLock lock(mutex_);
  stats.state = StateLocked();
  for (const Status* why : {&failure_, &flush_pause_.why, &compaction_pause_.why}) {
    if (stats.detail.empty() && !why->ok()) stats.detail = why->ToString();
  }
  for (const auto& level : read_state_->tables()->levels) {
    EngineStats::Level& shown = stats.levels.emplace_back();
    shown.files = level.size();
    for (const auto& table : level) shown.bytes += table->metadata().size;
  }
  stats.durable = Version(durable_.index.value());
  stats.watermark = read_state_->tables()->watermark;
  stats.memtable_bytes = MemtableBytes();
  stats.memtables = read_state_->memtables().size();
  return stats;
}

Status EngineImpl::Verify() const {
  std::shared_ptr<const TableSet> tables;
  {
    MutexLock lock(mutex_);
    tables = read_state_->tables();
  }
  for (const auto& level : tables->levels) {
    for (const auto& table : level) RETURN_IF_ERROR(table->Verify());
  }
  return {};
}

std::uint64_t EngineImpl::ApproximateSize(Range range) const {
  std::shared_ptr<const TableSet> tables;
  {
    MutexLock lock(mutex_);
    tables = read_state_->tables();
  }
  std::uint64_t bytes = 0;
  for (const auto& level : tables->levels) {
    for (const auto& table : level) {
      const TableMetadata& metadata = table->metadata();
      if (metadata.largest < range.begin) continue;
      if (!range.end.empty() && metadata.smallest >= range.end) continue;
      bytes += metadata.size;
    }
  }
  return bytes;
}

void EngineImpl::CompactRange(Range /*range*/, std::function<void(Status)> done) {
  done(Status::Unavailable("compactions of a range"));
}

Status EngineImpl::Checkpoint(const std::string& /*directory*/) {
  return Status::Unavailable("checkpoints");
}

}  // namespace bedrock::engine
