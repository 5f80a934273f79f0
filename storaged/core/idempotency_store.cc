#include "storaged/core/idempotency_store.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "storaged/core/keyspace.h"

namespace bedrock::storage {
namespace {

constexpr std::uint8_t kFormat = 1;

Status Damaged(std::string_view what) {
  return Status::Corruption("idempotency: " + std::string(what));
}

std::string RecordKey(std::string_view key) { return std::string(kIdempotencyPrefix).append(key); }

std::string AgeKey(std::uint64_t time_ms, std::string_view key) {
  std::string age(kIdempotencyAgePrefix);
  PutFixed(age, __builtin_bswap64(time_ms));
  return age.append(key);
}

/// The two halves of a key by age.
struct Age {
  std::uint64_t time_ms = 0;
  std::string_view key;
};

Result<Age> ParseAge(std::string_view age_key) {
  ByteReader reader(age_key.substr(kIdempotencyAgePrefix.size()));
  const auto time = reader.Fixed<std::uint64_t>();
  if (!time || reader.AtEnd()) return Damaged("a record by age without time or key");
  return Age{__builtin_bswap64(*time), reader.rest()};
}

Result<std::uint64_t> ParseSize(std::string_view value) {
  ByteReader reader(value);
  const auto bytes = reader.Varint();
  if (!bytes || !reader.AtEnd()) return Damaged("a record by age without a size");
  return *bytes;
}

}  // namespace

std::string EncodeIdempotencyRecord(const IdempotencyRecord& record) {
  CHECK(record.fingerprint.size() == proto::kFingerprintBytes);
  std::string out;
  PutFixed(out, kFormat);
  PutFixed(out, record.time_ms);
  out.append(record.fingerprint);
  out.append(proto::EncodeCommandResult(record.reply));
  return out;
}

Result<IdempotencyRecord> DecodeIdempotencyRecord(std::string_view encoded) {
  ByteReader reader(encoded);
  const auto format = reader.Fixed<std::uint8_t>();
  const auto time = reader.Fixed<std::uint64_t>();
  const auto fingerprint = reader.Take(proto::kFingerprintBytes);
  if (!fingerprint) return Damaged("a record ends inside its header");
  if (format != kFormat) return Damaged("a record of an unknown format");
  auto reply = proto::DecodeCommandResult(reader.rest());
  if (!reply.ok()) return reply.status().Prefixed("idempotency");
  return IdempotencyRecord{*time, std::string(*fingerprint), std::move(reply).value()};
}

Result<IdempotencyStore> IdempotencyStore::Open(const engine::Engine& engine) {
  IdempotencyStore store(engine);
  const auto walk = store.WalkByAge(kIdempotencyAgePrefix);
  for (walk->SeekToFirst(); walk->Valid(); walk->Next()) {
    RETURN_IF_ERROR(ParseAge(walk->key()).status());
    ASSIGN_OR_RETURN(const std::uint64_t bytes, ParseSize(walk->value()));
    if (store.state_.oldest.empty()) store.state_.oldest = walk->key();
    ++store.state_.totals.records;
    store.state_.totals.bytes += bytes;
  }
  RETURN_IF_ERROR(walk->status());
  return store;
}

std::unique_ptr<Iterator> IdempotencyStore::WalkByAge(std::string_view from) const {
  return engine_->NewIterator({}, {from, kIdempotencyAgeEnd});
}

Result<std::optional<IdempotencyRecord>> IdempotencyStore::Find(std::string_view key) const {
  const Version applied(engine_->applied().index.value());
  ASSIGN_OR_RETURN(const engine::Lookup found, engine_->Get(RecordKey(key), applied));
  if (!found.found) return std::optional<IdempotencyRecord>();
  ASSIGN_OR_RETURN(IdempotencyRecord record, DecodeIdempotencyRecord(found.value));
  return std::optional(std::move(record));
}

void IdempotencyStore::BeginEntry() {
  if (staged_ != state_) staged_ = state_;
  added_.clear();
}

void IdempotencyStore::Applied() {
  if (staged_ != state_) state_ = staged_;
}

bool IdempotencyStore::Add(std::string_view key, const IdempotencyRecord& record,
                           WriteBatch& batch) {
  const std::string record_key = RecordKey(key);
  const std::string age_key = AgeKey(record.time_ms, key);
  const std::string value = EncodeIdempotencyRecord(record);
  const std::uint64_t bytes = record_key.size() + value.size() + age_key.size();
  IdempotencyTotals& totals = staged_.totals;
  if (totals.records >= kIdempotencyRecordsMax || totals.bytes + bytes > kIdempotencyBytesMax) {
    return false;
  }
  ++totals.records;
  totals.bytes += bytes;
  std::string size;
  PutVarint(size, bytes);
  batch.Put(record_key, value);
  batch.Put(age_key, size);
  // At most as young as what is there, but of the same millisecond it may come first.
  if (staged_.oldest.empty() || age_key < staged_.oldest) staged_.oldest = age_key;
  added_ = age_key;
  return true;
}

bool IdempotencyStore::IsDue(std::uint64_t clock_ms) const {
  if (state_.oldest.empty()) return false;
  const auto oldest = ParseAge(state_.oldest);
  return oldest.ok() && clock_ms > oldest->time_ms + kIdempotencyKeptMs;
}

Status IdempotencyStore::EndEntry(std::uint64_t clock_ms, WriteBatch& batch) {
  return IsDue(clock_ms) ? DropDue(clock_ms, batch) : Status::Ok();
}

Status IdempotencyStore::DropDue(std::uint64_t clock_ms, WriteBatch& batch) {
  // Begins at the oldest, not at the first key of the kind: before it there is nothing but what was
  // dropped.
  const auto walk = WalkByAge(state_.oldest);
  std::size_t dropped = 0;
  for (walk->SeekToFirst(); walk->Valid(); walk->Next()) {
    ASSIGN_OR_RETURN(const Age age, ParseAge(walk->key()));
    if (dropped == kIdempotencyDropsPerEntryMax || clock_ms <= age.time_ms + kIdempotencyKeptMs) {
      staged_.oldest = walk->key();
      if (!added_.empty() && added_ < staged_.oldest) staged_.oldest = added_;
      return Status::Ok();
    }
    ASSIGN_OR_RETURN(const std::uint64_t bytes, ParseSize(walk->value()));
    ++dropped;
    --staged_.totals.records;
    staged_.totals.bytes -= bytes;
    batch.Delete(RecordKey(age.key));
    batch.Delete(walk->key());
  }
  RETURN_IF_ERROR(walk->status());
  staged_.oldest = added_;
  return Status::Ok();
}

}  // namespace bedrock::storage
