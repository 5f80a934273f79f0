#include "storaged/core/state_chain.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::storage {
namespace {

constexpr std::uint8_t kFormat = 1;

/// What the third word of a link says; for entries it is a code of a result.
constexpr std::uint64_t kSlice = 0;
constexpr std::uint64_t kBegin = 1;
constexpr std::uint64_t kBoth = 2;

std::uint64_t Link(std::uint64_t before, LogIndex index, std::uint64_t what, std::uint64_t hash) {
  std::array<char, 4 * sizeof(std::uint64_t)> words;
  char* at = words.data();
  for (const std::uint64_t word : {before, index.value(), what, hash}) {
    StoreFixed(at, word);
    at += sizeof(word);
  }
  return engine::Hash64({words.data(), words.size()});
}

void UpdateWithItem(engine::StreamingHash64& hash, const Iterator& item) {
  std::array<char, 16> head;
  StoreFixed(head.data(), static_cast<std::uint32_t>(item.key().size()));
  StoreFixed(head.data() + 4, static_cast<std::uint32_t>(item.value().size()));
  StoreFixed(head.data() + 8, item.version().value());
  hash.Update({head.data(), head.size()});
  hash.Update(item.key());
  hash.Update(item.value());
}

Status Damaged(std::string_view what) {
  return Status::Corruption("chain of states: " + std::string(what));
}

}  // namespace

Result<StateSlice> HashSlice(const engine::Engine& engine, const proto::CheckState& check) {
  StateSlice slice;
  engine::StreamingHash64 hash;
  std::uint64_t bytes = 0;
  const auto walk =
      engine.NewIterator({.at = {}, .fill_cache = engine::FillCache::kNo}, {check.from, {}});
  for (walk->SeekToFirst(); walk->Valid(); walk->Next()) {
    if (bytes >= check.bytes_max) {
      slice.next = walk->key();
      break;
    }
    bytes += walk->key().size() + walk->value().size() + kSliceItemBytes;
    UpdateWithItem(hash, *walk);
  }
  RETURN_IF_ERROR(walk->status());
  hash.Update(slice.next);
  slice.hash = hash.Digest();
  return slice;
}

Result<StateChain> StateChain::Decode(std::string_view encoded) {
  StateChain chain;
  if (encoded.empty()) return chain;
  ByteReader reader(encoded);
  const auto format = reader.Fixed<std::uint8_t>();
  const auto known = reader.Fixed<std::uint8_t>();
  const auto hash = reader.Fixed<std::uint64_t>();
  const auto passes = reader.Varint();
  const auto next = reader.LengthPrefixed();
  const auto checks = reader.Varint();
  if (!checks) return Damaged("ends too early");
  if (format != kFormat) return Damaged("of an unknown format");
  if (*known > 1 || (*known == 0 && *hash != 0)) return Damaged("a hash that is not known");
  if (*checks > raft::kStateChecksMax) return Damaged("too many checks");
  if (next->size() > proto::kCheckFromBytesMax) return Damaged("too long a key");
  chain.known_ = *known == 1;
  chain.hash_ = *hash;
  chain.passes_ = *passes;
  chain.next_ = *next;
  for (std::uint64_t i = 0; i < *checks; ++i) {
    const auto index = reader.Varint();
    const auto kind = reader.Fixed<std::uint8_t>();
    const auto found = reader.Fixed<std::uint64_t>();
    if (!found) return Damaged("ends within a check");
    if (LogIndex(*index) <= chain.checked() ||
        *kind > static_cast<std::uint8_t>(raft::StateCheck::Kind::kDamaged)) {
      return Damaged("checks out of order");
    }
    chain.checks_.push_back({.index = LogIndex(*index),
                             .kind = static_cast<raft::StateCheck::Kind>(*kind),
                             .hash = *found});
  }
  if (!reader.AtEnd()) return Damaged("bytes after its end");
  return chain;
}

std::string StateChain::Encode() const {
  std::string out;
  PutFixed(out, kFormat);
  PutFixed(out, static_cast<std::uint8_t>(known_ ? 1 : 0));
  PutFixed(out, hash_);
  PutVarint(out, passes_);
  PutLengthPrefixed(out, next_);
  PutVarint(out, checks_.size());
  for (const raft::StateCheck& check : checks_) {
    PutVarint(out, check.index.value());
    PutFixed(out, static_cast<std::uint8_t>(check.kind));
    PutFixed(out, check.hash);
  }
  return out;
}

void StateChain::Add(LogIndex index, proto::ErrorCode code, std::string_view changes) {
  if (!known_) return;
  hash_ = Link(hash_, index, static_cast<std::uint64_t>(code), engine::Hash64(changes));
}

void StateChain::AddCheck(LogIndex index, const proto::CheckState& check,
                          const Result<StateSlice>& slice) {
  using Kind = raft::StateCheck::Kind;
  const bool begins = check.from.empty();
  const bool known_before = known_;
  const std::uint64_t before = hash_;
  raft::StateCheck found{.index = index, .kind = Kind::kUnknown, .hash = 0};
  if (begins) {
    known_ = true;
    hash_ = Link(0, index, kBegin, 0);
  }
  if (!slice.ok()) {
    if (slice.status().IsCorruption()) found.kind = Kind::kDamaged;
    known_ = false;
    hash_ = 0;
    next_.clear();  // where the slice ends nobody knows here
  } else {
    next_ = slice->next;
    if (known_) hash_ = Link(hash_, index, kSlice, slice->hash);
    // Also what was executed since the pass before has to be compared.
    if (known_ && known_before) {
      found.kind = Kind::kHash;
      found.hash = begins ? Link(before, index, kBoth, hash_) : hash_;
    }
    if (known_ && next_.empty()) ++passes_;
  }
  if (checks_.size() == raft::kStateChecksMax) checks_.erase(checks_.begin());
  checks_.push_back(found);
}

bool StateChain::Gave(const raft::StateCheck& check) const {
  return std::find(checks_.begin(), checks_.end(), check) != checks_.end();
}

}  // namespace bedrock::storage
