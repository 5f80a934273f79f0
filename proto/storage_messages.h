#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "proto/command.h"
#include "proto/errors.h"
#include "proto/raft_messages.h"

namespace bedrock::proto {

// ---- raftd and its storaged ----

/// Where the reply to a command goes: the routing id of the router that proposed it, and its
/// request.
struct ReplyTo {
  std::string router;  ///< Empty: nobody waits (the entry came from another node or another life).
  RequestId request;

  friend bool operator==(const ReplyTo&, const ReplyTo&) = default;
};

/// raftd to storaged: committed and locally durable entries, in order, contiguous from
/// `entries.front()`. Entries at or below storaged's applied index are skipped; a gap is answered
/// with ApplyProgress alone.
struct Apply {
  struct Item {
    raft::Entry entry;
    ReplyTo reply_to;

    friend bool operator==(const Item&, const Item&) = default;
  };
  std::vector<Item> items;  ///< Empty: asks for an ApplyProgress.

  friend bool operator==(const Apply&, const Apply&) = default;
};

/// How a replica's state was checked so far (CheckState), and whether it may be trusted.
struct StateReport {
  /// The newest at the end; at most raft::kStateChecksMax. Empty: none was applied yet.
  std::vector<raft::StateCheck> checks;
  Bytes next;  ///< Where the next slice begins; empty: the pass is complete, or none began.
  std::uint64_t passes = 0;  ///< So many times all of the state was hashed.
  LogIndex diverged_at;      ///< Quarantined for the check of this entry; 0: it is not.

  friend bool operator==(const StateReport&, const StateReport&) = default;
};

/// storaged to raftd: after every Apply, after every flush, and as the answer to an empty Apply.
struct ApplyProgress {
  LogIndex applied;                   ///< In memory.
  LogIndex durable_applied;           ///< In its files: the log below may go.
  ErrorCode health = ErrorCode::kOk;  ///< kStorageFull or kStorageUnavailable where it cannot take
                                      ///< writes; kDiverged where what it holds is wrong.
  // As of durable_applied, together: what a log may begin behind.
  Term applied_term;          ///< Of the entry at durable_applied.
  LogIndex membership_index;  ///< Of the newest membership entry up to there; 0: there was none.
  Bytes membership;           ///< That entry's payload.
  /// As of `applied`, where it is another than was told last, and as the answer to an empty Apply.
  std::optional<StateReport> state;

  friend bool operator==(const ApplyProgress&, const ApplyProgress&) = default;
};

/// raftd to its own storaged: by what a majority of the replicas holds, this one is wrong. It
/// serves no reads from now on, lends nobody its data, and says kDiverged, over restarts, too,
/// until a snapshot takes the place of its data. Repeated until ApplyProgress says so. Ignored
/// where this replica found something else at that check: then it is about other data.
struct Quarantine {
  raft::StateCheck check;

  friend bool operator==(const Quarantine&, const Quarantine&) = default;
};

/// raftd to its own storaged: fetch a snapshot from another storaged and become what it holds.
/// Repeated until `applied` has reached at_least: a fetch that goes on is left alone, one that
/// failed begins again where it was. Answered with FetchProgress.
struct FetchSnapshot {
  NodeId source;
  std::string endpoint;  ///< Of the source's storaged: "tcp://127.0.0.1:10500".
  LogIndex at_least;     ///< A snapshot of an earlier index is of no use.

  friend bool operator==(const FetchSnapshot&, const FetchSnapshot&) = default;
};

/// storaged to its raftd: as the answer to FetchSnapshot, and unasked when `installing` or `error`
/// changes. That a snapshot was installed is told by ApplyProgress.
struct FetchProgress {
  /// Why the last attempt ended, until another gets further: kTooStale, the source has not applied
  /// at_least; kWrongCluster; kStorageFull; kCorruption; kOverloaded, the source serves too many;
  /// kStorageUnavailable. The next FetchSnapshot tries again.
  Error error;
  LogIndex installing;  ///< Of the snapshot that is being fetched; 0: none, or not known yet.
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;

  friend bool operator==(const FetchProgress&, const FetchProgress&) = default;
};

// ---- storaged and another node's storaged: snapshots ----

/// Files of a snapshot: as many as a MANIFEST can name within one frame.
inline constexpr std::size_t kSnapshotFilesMax = 200'000;
inline constexpr std::size_t kSnapshotNameBytesMax = 64;
/// What one SnapshotRead gives at most.
inline constexpr std::uint32_t kSnapshotChunkBytesMax = 1 << 20;

/// A checkpoint that a storaged keeps for others while they read it. Random, unlike any other.
using SnapshotId = StrongId<struct SnapshotIdTag>;

/// Asks for a snapshot, or for one that the asker knows of.
struct SnapshotOpen {
  LogIndex at_least;  ///< Its index has to be this or a later one.
  SnapshotId resume;  ///< Rather this one where it is kept still; 0: any.

  friend bool operator==(const SnapshotOpen&, const SnapshotOpen&) = default;
};

struct SnapshotFile {
  std::string name;        ///< As in the engine's folder.
  std::uint64_t size = 0;  ///< In bytes.
  std::uint64_t hashed =
      0;  ///< `hash` is of so many bytes from the beginning; a footer guards the rest.
  std::uint64_t hash = 0;  ///< XXH3-64; of tables and blobs as computed when they were built.

  friend bool operator==(const SnapshotFile&, const SnapshotFile&) = default;
};

/// What a snapshot consists of. Id 0 without an error: it is being made, ask again.
struct SnapshotManifest {
  Error error;  ///< kTooStale, kOverloaded, kStorageUnavailable, as in FetchProgress.
  SnapshotId id;
  LogIndex index;  ///< The last entry that is in it, with its term.
  Term term;
  std::vector<SnapshotFile> files;  ///< At most kSnapshotFilesMax, by name, each once.

  friend bool operator==(const SnapshotManifest&, const SnapshotManifest&) = default;
};

/// Asks for a part of a file. How many of these are under way is the reader's bound on what the
/// source sends: one each, no more.
struct SnapshotRead {
  SnapshotId id;
  std::uint32_t file = 0;  ///< Its position in the manifest.
  std::uint64_t offset = 0;
  std::uint32_t bytes = 0;  ///< At most kSnapshotChunkBytesMax; less where the file ends.

  friend bool operator==(const SnapshotRead&, const SnapshotRead&) = default;
};

struct SnapshotChunk {
  Error error;  ///< kStorageUnavailable: this snapshot is kept no longer. kCorruption.
  SnapshotId id;
  std::uint32_t file = 0;
  std::uint64_t offset = 0;
  Bytes data;
  std::uint64_t hash = 0;  ///< XXH3-64 of data, seeded by where it belongs (storaged/snapshot).

  friend bool operator==(const SnapshotChunk&, const SnapshotChunk&) = default;
};

/// The reader needs this snapshot no longer. No answer; one who stays silent is forgotten, too.
struct SnapshotClose {
  SnapshotId id;

  friend bool operator==(const SnapshotClose&, const SnapshotClose&) = default;
};

// ---- routerd and any storaged ----

/// Reads a key at a version, once the node has applied `min_version`.
struct Get {
  Bytes key;
  Version min_version;  ///< 0: whatever is applied (a stale read).
  Version at;           ///< 0: the newest applied. Later than that: it is waited for.

  friend bool operator==(const Get&, const Get&) = default;
};

struct GetReply {
  Error error;  ///< kOk also where the key is absent. kVersionCompacted: `at` is not kept.
  bool found = false;
  Bytes value;
  Version version;       ///< Of the key; 0 where absent.
  Version read_version;  ///< The version that was read at.

  friend bool operator==(const GetReply&, const GetReply&) = default;
};

/// Evaluates a command at a version without executing it: operations see the writes of those
/// before them, and nothing of it stays. What reads several keys at once, scans, or reads a
/// transaction's own writes over a snapshot.
struct Query {
  Bytes command;        ///< An encoded Command that passes CheckQuery.
  Version min_version;  ///< As in Get.
  Version at;           ///< As in Get.

  friend bool operator==(const Query&, const Query&) = default;
};

struct QueryReply {
  Error error;           ///< kVersionCompacted as in GetReply; else what stops a read.
  CommandResult result;  ///< kOk: its own code, too, is as if the command had been executed.
  Version read_version;  ///< The version that was read at.

  friend bool operator==(const QueryReply&, const QueryReply&) = default;
};

// ---- routerd and the leader's storaged: locks of pessimistic transactions ----

/// An interactive transaction, for as long as the cluster lives: its router's life and a number.
struct TransactionName {
  BootId router;
  std::uint64_t number = 0;

  friend auto operator<=>(const TransactionName&, const TransactionName&) = default;
};

enum class LockMode : std::uint8_t { kShared = 0, kExclusive = 1 };

/// What a lock is on.
struct LockRange {
  Bytes key;
  Bytes end;  ///< is_range: [key, end); empty: unbounded.
  bool is_range = false;

  friend bool operator==(const LockRange&, const LockRange&) = default;
};

/// Takes a lock for a transaction, in its turn, then evaluates `query` on the newest applied state.
/// The request's timeout bounds the wait. A lock that is held already is given at once, so the
/// request may be repeated; each one keeps the transaction's locks for another `hold_ms`.
struct Lock {
  TransactionName transaction;
  std::uint64_t begun_ms = 0;  ///< By its router's clock: who began last is a deadlock's victim.
  std::uint64_t hold_ms = 0;   ///< Without a further request its locks expire after this.
  Term term;                   ///< Whose locks these are: those of earlier terms are gone.
  LockMode mode = LockMode::kShared;
  LockRange what;
  Bytes query;  ///< As Query::command; empty: none.

  friend bool operator==(const Lock&, const Lock&) = default;
};

struct LockReply {
  /// kOk: the lock is held. kDeadlock, kLockTimeout: with key, blocked_by and its age. kNotLeader:
  /// this storaged has seen a later term. kTransactionTooLarge: too many locks. kOverloaded.
  Error error;
  CommandResult result;  ///< As in QueryReply.
  Version read_version;

  friend bool operator==(const LockReply&, const LockReply&) = default;
};

/// Gives back all locks of a transaction, and ends its waiting. No answer.
struct Unlock {
  TransactionName transaction;

  friend bool operator==(const Unlock&, const Unlock&) = default;
};

/// storaged to the router that proposed a command, once it is applied.
struct CommandReply {
  CommandResult result;

  friend bool operator==(const CommandReply&, const CommandReply&) = default;
};

struct StorageStatusQuery {
  friend bool operator==(const StorageStatusQuery&, const StorageStatusQuery&) = default;
};

struct StorageStatus {
  LogIndex applied;
  LogIndex durable_applied;
  ErrorCode health = ErrorCode::kOk;
  std::string detail;  ///< Why it is not healthy.
  std::string software;
  Version history_from;     ///< The lowest version that reads may ask for.
  std::uint64_t locks = 0;  ///< Keys and ranges locked or waited for.
  LogIndex installing;      ///< Of the snapshot that is being fetched; 0: none.
  std::uint64_t installing_bytes_done = 0;
  std::uint64_t installing_bytes_total = 0;
  std::uint64_t snapshots_kept = 0;  ///< Checkpoints that others read.
  // As in StateReport.
  LogIndex checked;  ///< The newest check; 0: none was applied yet.
  std::uint64_t check_passes = 0;
  LogIndex diverged_at;

  friend bool operator==(const StorageStatus&, const StorageStatus&) = default;
};

}  // namespace bedrock::proto
