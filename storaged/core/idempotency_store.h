#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/iterator.h"
#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/write_batch.h"
#include "common/base/units.h"
#include "proto/command.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

inline constexpr std::uint64_t kIdempotencyRecordsMax = 1'000'000;
inline constexpr std::uint64_t kIdempotencyBytesMax = 256 * kMiB;
/// A reply is kept at least so long, by the session clock (session_table.h).
inline constexpr std::uint64_t kIdempotencyKeptMs = 600'000;
/// No entry drops more: as long as it is more than one, dropping keeps pace with adding.
inline constexpr std::size_t kIdempotencyDropsPerEntryMax = 4;

/// What is kept under an Idempotency-Key:
///
///   [ format u8 = 1 ][ time ms u64 ][ fingerprint 16 bytes ][ proto::EncodeCommandResult ]
struct IdempotencyRecord {
  std::uint64_t time_ms = 0;  ///< By the session clock.
  std::string fingerprint;
  proto::CommandResult reply;

  friend bool operator==(const IdempotencyRecord&, const IdempotencyRecord&) = default;
};

std::string EncodeIdempotencyRecord(const IdempotencyRecord& record);
/// corruption where the bytes are none.
Result<IdempotencyRecord> DecodeIdempotencyRecord(std::string_view encoded);

/// How much is kept.
struct IdempotencyTotals {
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;  ///< Keys and values of the records by key and by age.

  friend bool operator==(const IdempotencyTotals&, const IdempotencyTotals&) = default;
};

/// The replies to commands that came with a client's Idempotency-Key, as records of the replicated
/// keyspace (keyspace.h):
///
///   's' 'i' key       → IdempotencyRecord
///   's' 't' time key  → [ bytes of both records varint ]      the same by age
///
/// Each entry that is applied drops, in its own batch, at most kIdempotencyDropsPerEntryMax of
/// those that are older than kIdempotencyKeptMs, the oldest first. So all replicas hold the same
/// records; one that is there counts, however old. At the bounds nothing new is taken.
///
/// An entry's changes are made in a batch and become the store's with Applied(); without it, the
/// next BeginEntry forgets them. In memory there are only the totals, which are counted when it is
/// opened (a record of them would make every drop more than deletes, which a full disk refuses),
/// and which record is the oldest, so that an entry which drops nothing does not look.
///
/// One thread, the engine's owner thread. Borrows the engine.
class IdempotencyStore {
 public:
  static Result<IdempotencyStore> Open(const engine::Engine& engine);

  /// What is kept under the key. Errors are those of the engine's reads.
  Result<std::optional<IdempotencyRecord>> Find(std::string_view key) const;

  /// Begins with what the entries before have made.
  void BeginEntry();
  /// Puts the record into the batch. False at the bounds: then nothing.
  /// REQUIRES: Find(key) gave none; at most once an entry.
  bool Add(std::string_view key, const IdempotencyRecord& record, WriteBatch& batch);
  /// Puts into the batch what the time drops: deletes alone.
  Status EndEntry(std::uint64_t clock_ms, WriteBatch& batch);
  /// The batch was applied.
  void Applied();

  const IdempotencyTotals& totals() const { return state_.totals; }

 private:
  struct State {
    IdempotencyTotals totals;
    std::string oldest;  // the first record by age; empty: there is none

    friend bool operator==(const State&, const State&) = default;
  };

  explicit IdempotencyStore(const engine::Engine& engine) : engine_(&engine) {}

  bool IsDue(std::uint64_t clock_ms) const;
  Status DropDue(std::uint64_t clock_ms, WriteBatch& batch);
  std::unique_ptr<Iterator> WalkByAge(std::string_view from) const;

  const engine::Engine* engine_;
  State state_;        // as applied
  State staged_;       // with the entry that is being made
  std::string added_;  // the key by age that this entry adds; empty: none
};

}  // namespace bedrock::storage
