#include "storaged/core/history.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "storaged/core/keyspace.h"

namespace bedrock::storage {

Result<Version> DecodeWatermark(std::string_view record) {
  ByteReader reader(record);
  const auto version = reader.Varint();
  if (!version || !reader.AtEnd()) return Status::Corruption("watermark: no version");
  return Version(*version);
}

Result<History> History::Open(const engine::Engine& engine) {
  History history;
  const LogIndex applied = engine.applied().index;
  ASSIGN_OR_RETURN(const engine::Lookup found, engine.Get(kWatermarkKey, Version(applied.value())));
  if (!found.found) return history;
  ASSIGN_OR_RETURN(history.watermark_, DecodeWatermark(found.value));
  history.moves_.push_back({applied, history.watermark_});
  return history;
}

Version History::After(Version wanted, Version own) const {
  return std::max(watermark_, std::min(wanted, own));
}

void History::Write(Version watermark, WriteBatch& batch) {
  std::string record;
  PutVarint(record, watermark.value());
  batch.Put(kWatermarkKey, record);
}

void History::Moved(Version watermark, LogIndex entry) {
  watermark_ = watermark;
  if (moves_.size() == kWatermarkMovesMax) moves_.pop_back();
  moves_.push_back({entry, watermark});
}

std::optional<Version> History::TakeDurable(LogIndex durable) {
  std::optional<Version> reached;
  while (!moves_.empty() && moves_.front().entry <= durable) {
    reached = moves_.front().watermark;
    moves_.pop_front();
  }
  return reached;
}

}  // namespace bedrock::storage
