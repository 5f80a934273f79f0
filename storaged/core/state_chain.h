#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "proto/command.h"
#include "proto/raft_messages.h"
#include "storaged/engine/engine.h"

namespace bedrock::storage {

/// What hashing a slice of the keyspace gave.
struct StateSlice {
  std::uint64_t hash = 0;
  std::string next;  ///< The first key behind it; empty: it reaches to the end of the keyspace.

  friend bool operator==(const StateSlice&, const StateSlice&) = default;
};

/// Hashes the newest versions of the keys from check.from on, as the engine holds them now: XXH3-64
/// over, for each, [ key bytes u32 ][ value bytes u32 ][ version u64 ][ key ][ value ], then the
/// key that comes next. It ends before the first key by which check.bytes_max bytes (and
/// kSliceItemBytes a key) have been reached, so that what the largest value has comes on top.
/// Tombstones and old versions count for nothing: each replica drops them when it likes.
///
/// Errors are those of the engine's reads: corruption where bytes are damaged.
Result<StateSlice> HashSlice(const engine::Engine& engine, const proto::CheckState& check);
inline constexpr std::size_t kSliceItemBytes = 16;

/// A rolling hash of what a replica has executed and of what it holds, by which replicas are
/// compared: equal at an entry wherever the same entries led to the same effects, and where each
/// slice that was looked at since the pass began holds the same.
///
///   H(n) = XXH3-64 of [ H(n-1) ][ n ][ code of the result ][ XXH3-64 of the engine batch ]
///   at a check:  H(n) = XXH3-64 of [ H'(n) ][ n ][ 0 ][ StateSlice::hash ]     H' as above
///   where a pass begins (an empty CheckState::from):  H'(n) = XXH3-64 of [ 0 ][ n ][ 1 ][ 0 ],
///     and what is told of that check is XXH3-64 of [ H'(n) as above ][ n ][ 2 ][ H(n) ]
///
/// all as u64, little-endian. Beginning anew with each pass lets replicas in that could not go on:
/// one whose data are of a release without checks, or that could not read a slice. Until then
/// they know no hash, and say so: what isn't known is compared with nothing, and nobody is wrong
/// for it. A slice that is damaged, on the other hand, is a finding (StateCheck::kDamaged).
///
/// Part of the replica's state: encoded into each flush's client state (client_state.h), so that it
/// is as old as the data beside it, after a crash and in a snapshot.
///
///   [ format u8 = 1 ][ known u8 ][ H u64 ][ passes varint ][ next, length-prefixed ]
///   [ checks varint ] check …            check = [ index varint ][ kind u8 ][ hash u64 ],
///   ascending
///
/// A value; one thread.
class StateChain {
 public:
  /// An empty one knows nothing. corruption where the bytes are none.
  static Result<StateChain> Decode(std::string_view encoded);
  std::string Encode() const;

  /// Entry `index` was applied: its result's code, and what it wrote, as WriteBatch encodes it.
  /// Costs nothing where no hash is known.
  void Add(LogIndex index, proto::ErrorCode code, std::string_view changes);
  /// The entry that was added last held this check, and this is what the slice gave. Of the errors
  /// corruption is a finding; another one, which may pass, makes the hash unknown.
  void AddCheck(LogIndex index, const proto::CheckState& check, const Result<StateSlice>& slice);

  /// The newest at the end; at most raft::kStateChecksMax.
  const std::vector<raft::StateCheck>& checks() const { return checks_; }
  LogIndex checked() const { return checks_.empty() ? LogIndex() : checks_.back().index; }
  /// Where the next slice begins; empty: with a new pass.
  const std::string& next() const { return next_; }
  /// Passes that came to their end with a hash.
  std::uint64_t passes() const { return passes_; }
  /// Whether this is one of checks().
  bool Gave(const raft::StateCheck& check) const;

  friend bool operator==(const StateChain&, const StateChain&) = default;

 private:
  bool known_ = false;
  std::uint64_t hash_ = 0;  // 0 unless known_
  std::uint64_t passes_ = 0;
  std::string next_;
  std::vector<raft::StateCheck> checks_;
};

}  // namespace bedrock::storage
