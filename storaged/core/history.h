#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/write_batch.h"
#include "common/base/ids.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

/// Moves of the watermark whose flush is awaited; further ones are taken together with the last.
inline constexpr std::size_t kWatermarkMovesMax = 64;

/// From which version on there is history: the watermark. Replicated, so that every replica refuses
/// reads below it alike; kept as a record:
///
///   's' 'w' → [ version varint ]                         none: 0, nothing was dropped yet
///
/// The engine may drop only what no replay needs. A replay starts at what is durable, with the
/// watermark as it was there, and looks back as far as that: so the engine is told of a move once
/// the entry that made it is durable, and lags behind by up to a flush.
///
/// A value; one thread.
class History {
 public:
  /// As the engine has it.
  static Result<History> Open(const engine::Engine& engine);

  Version watermark() const { return watermark_; }
  /// Where the watermark is once the entry of version `own` has asked for `wanted`. It never goes
  /// down, nor above the entry.
  Version After(Version wanted, Version own) const;
  /// Puts the record into the batch of that entry.
  static void Write(Version watermark, WriteBatch& batch);
  /// The batch was applied.
  void Moved(Version watermark, LogIndex entry);

  /// What the engine may drop below, now that `durable` is; none: nothing new.
  std::optional<Version> TakeDurable(LogIndex durable);

 private:
  struct Move {
    LogIndex entry;
    Version watermark;
  };

  Version watermark_;
  std::deque<Move> moves_;  // not durable yet, ascending
};

/// The record. corruption where the bytes are none.
Result<Version> DecodeWatermark(std::string_view record);

}  // namespace bedrock::storage
