#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "proto/frame.h"

namespace bedrock::proto {

// Private to proto/: the one list of each struct's fields in their order on the wire, which writer
// and reader share, and the one table of the kinds' numbers. How a C++ type looks on the wire is
// said in wire.h. New fields go at the end.

/// A std::string that holds any bytes: bin instead of str. S is std::string or const std::string.
template <typename S>
struct Binary {
  explicit Binary(S& text_in) : text(text_in) {}
  S& text;
};

/// Entries whose indexes follow one another from prev_index + 1 and are not on the wire.
template <typename Index, typename Entries>
struct EntriesAfter {
  EntriesAfter(Index& prev_index_in, Entries& entries_in)
      : prev_index(prev_index_in), entries(entries_in) {}
  Index& prev_index;
  Entries& entries;
};

/// Fields that came after the first release of their struct: where all from here on are as if
/// absent, none is written; where they are missing they are as they were made.
/// T is a reference to a member, or one of the wrappers here.
template <typename T>
struct Later {
  explicit Later(T&& field_in) : field(std::forward<T>(field_in)) {}
  T field;
};
template <typename T>
Later(T&&) -> Later<T>;

/// A signed number as an unsigned one: 0, -1, 1, -2, … as 0, 1, 2, 3, …
template <typename T>
struct ZigZag {
  explicit ZigZag(T& number_in) : number(number_in) {}
  T& number;
};

/// A struct that is nil where it is as if absent.
template <typename T>
struct OrNil {
  explicit OrNil(T& field_in) : field(field_in) {}
  T& field;
};

/// An element that nothing uses yet: nil, and empty on reading.
struct Reserved {
  friend bool operator==(const Reserved&, const Reserved&) = default;
};

/// Stands for the command's format number.
struct FormatNumber {
  std::uint64_t number;
};

/// The oldest format that holds all that a command uses.
std::uint64_t FormatOf(const Command& command);

/// FieldList<T>::Visit(t, v) calls v(field, …) with all fields of t.
template <typename T>
struct FieldList;

#define BEDROCK_FIELDS(Type, ...)              \
  template <>                                  \
  struct FieldList<Type> {                     \
    template <typename M, typename Visitor>    \
    static void Visit(M& m, Visitor&& visit) { \
      visit(__VA_ARGS__);                      \
    }                                          \
  }
// For messages without fields, whose `m` would be unused.
#define BEDROCK_NO_FIELDS(Type)                    \
  template <>                                      \
  struct FieldList<Type> {                         \
    template <typename M, typename Visitor>        \
    static void Visit(M& /*m*/, Visitor&& visit) { \
      visit();                                     \
    }                                              \
  }

BEDROCK_FIELDS(Error, m.code, m.detail, m.outcome, m.limit, m.actual, Binary(m.key),
               Later(m.blocked_by), Later(m.blocked_by_ms));
BEDROCK_FIELDS(Condition, m.kind, m.key, m.version, Later(m.operand));
BEDROCK_FIELDS(Scan, m.items_max, m.bytes_max, m.reverse, m.form);
BEDROCK_FIELDS(Operation, m.kind, m.key, m.value, Later(ZigZag(m.delta)), Later(OrNil(m.scan)),
               Later(m.version));
BEDROCK_FIELDS(Read, m.kind, m.key, m.end, Later(m.at));
BEDROCK_FIELDS(Idempotency, m.key, m.fingerprint);
BEDROCK_FIELDS(Command, FormatNumber{FormatOf(m)}, m.session, m.sequence, m.low_water, m.conditions,
               m.operations, Later(m.read_version), Later(m.reads), Later(m.otherwise),
               Later(Reserved()), Later(OrNil(m.idempotency)));
BEDROCK_FIELDS(CheckState, FormatNumber{kCheckFormat}, m.from, m.bytes_max);
BEDROCK_FIELDS(Item, Binary(m.key), Binary(m.value), m.version);
BEDROCK_FIELDS(OperationResult, m.found, Binary(m.value), m.version, m.items, m.count, m.more,
               Binary(m.next));
BEDROCK_FIELDS(CommandResult, m.code, m.version, m.current, m.failed_condition,
               Later(m.ran_otherwise), Later(m.results), Later(Binary(m.key)),
               Later(m.failed_operation));

BEDROCK_FIELDS(Refusal, m.error);

BEDROCK_FIELDS(raft::Entry, m.kind, m.term, m.time_ms, m.payload);
BEDROCK_FIELDS(raft::VoteRequest, m.pre_vote, m.term, m.last_index, m.last_term,
               Later(m.hand_over));
BEDROCK_FIELDS(raft::VoteReply, m.pre_vote, m.term, m.granted);
BEDROCK_FIELDS(raft::AppendRequest, m.term, m.prev_index, m.prev_term, m.commit, m.read_round,
               m.trim, EntriesAfter(m.prev_index, m.entries));
BEDROCK_FIELDS(raft::AppendReply, m.term, m.accepted, m.index, m.hint_index, m.hint_term,
               m.read_round, Later(m.promise_ms));
BEDROCK_FIELDS(raft::Heartbeat, m.term, m.commit, m.read_round, m.trim);
BEDROCK_FIELDS(raft::HeartbeatReply, m.term, m.read_round, Later(m.promise_ms));
BEDROCK_FIELDS(raft::ReadIndexRequest, m.term, m.number);
BEDROCK_FIELDS(raft::ReadIndexReply, m.term, m.number, m.granted, m.index, Later(m.leased));
BEDROCK_FIELDS(raft::TimeoutNow, m.term, m.last_index);
BEDROCK_FIELDS(raft::SnapshotOffer, m.term, m.index);
BEDROCK_FIELDS(raft::SnapshotOfferReply, m.term, m.installing);
BEDROCK_FIELDS(raft::LogClaim, m.log);
BEDROCK_FIELDS(raft::LogVerdict, m.log, m.kind, m.empty);
BEDROCK_FIELDS(raft::StateCheck, m.index, m.kind, m.hash);
BEDROCK_FIELDS(raft::StateChecks, m.term, m.checks);
BEDROCK_FIELDS(raft::StateVerdict, m.term, m.kind, m.check);

BEDROCK_FIELDS(Apply::Item, m.entry.index, m.entry, Binary(m.reply_to.router), m.reply_to.request);
BEDROCK_FIELDS(Apply, m.items);
BEDROCK_FIELDS(ApplyProgress, m.applied, m.durable_applied, m.health, Later(m.applied_term),
               Later(m.membership_index), Later(m.membership), Later(m.state));
BEDROCK_FIELDS(StateReport, m.checks, m.next, m.passes, m.diverged_at);
BEDROCK_FIELDS(Quarantine, m.check);
BEDROCK_FIELDS(FetchSnapshot, m.source, m.endpoint, m.at_least);
BEDROCK_FIELDS(FetchProgress, m.error, m.installing, m.bytes_done, m.bytes_total);
BEDROCK_FIELDS(SnapshotOpen, m.at_least, m.resume);
BEDROCK_FIELDS(SnapshotFile, m.name, m.size, m.hashed, m.hash);
BEDROCK_FIELDS(SnapshotManifest, m.error, m.id, m.index, m.term, m.files);
BEDROCK_FIELDS(SnapshotRead, m.id, m.file, m.offset, m.bytes);
BEDROCK_FIELDS(SnapshotChunk, m.error, m.id, m.file, m.offset, m.data, m.hash);
BEDROCK_FIELDS(SnapshotClose, m.id);

BEDROCK_FIELDS(Propose, m.command);
BEDROCK_FIELDS(ProposeRefused, m.error, m.leader, m.term);
BEDROCK_NO_FIELDS(ReadIndexQuery);
BEDROCK_FIELDS(ReadIndexAnswer, m.error, m.index, Later(m.leased));
BEDROCK_NO_FIELDS(RaftStatusQuery);
BEDROCK_FIELDS(MemberStatus, m.id, m.voter, m.raft, m.storage, m.client, m.http, m.role,
               m.match_index, Later(m.installing));
BEDROCK_FIELDS(RaftStatus, m.node, m.role, m.leader, m.term, m.commit, m.applied, m.last_index,
               m.storage_health, m.software, m.members, Later(m.checks_agreed),
               Later(m.checks_differ));
BEDROCK_FIELDS(TransferLeadership, m.to);
BEDROCK_FIELDS(TransferLeadershipReply, m.error, m.leader, m.term);
BEDROCK_FIELDS(ChangeMembers, m.kind, m.node, m.promote, m.raft, m.storage, m.client, m.http);
BEDROCK_FIELDS(ChangeMembersReply, m.error, m.leader, m.index);

BEDROCK_FIELDS(Get, m.key, m.min_version, Later(m.at));
BEDROCK_FIELDS(GetReply, m.error, m.found, m.value, m.version, m.read_version);
BEDROCK_FIELDS(CommandReply, m.result);
BEDROCK_NO_FIELDS(StorageStatusQuery);
BEDROCK_FIELDS(StorageStatus, m.applied, m.durable_applied, m.health, m.detail, m.software,
               Later(m.history_from), Later(m.locks), Later(m.installing),
               Later(m.installing_bytes_done), Later(m.installing_bytes_total),
               Later(m.snapshots_kept), Later(m.checked), Later(m.check_passes),
               Later(m.diverged_at));
BEDROCK_FIELDS(Query, m.command, m.min_version, m.at);
BEDROCK_FIELDS(QueryReply, m.error, m.result, m.read_version);
BEDROCK_FIELDS(TransactionName, m.router, m.number);
BEDROCK_FIELDS(LockRange, m.key, m.end, m.is_range);
BEDROCK_FIELDS(Lock, m.transaction, m.begun_ms, m.hold_ms, m.term, m.mode, m.what, m.query);
BEDROCK_FIELDS(LockReply, m.error, m.result, m.read_version);
BEDROCK_FIELDS(Unlock, m.transaction);

BEDROCK_FIELDS(ClientGet, m.key, m.consistency, m.min_version, Later(m.at));
BEDROCK_FIELDS(ClientGetReply, m.error, m.value, m.version, m.read_version);
BEDROCK_FIELDS(ClientWrite, m.command);
BEDROCK_FIELDS(ClientWriteReply, m.error, m.version, m.current, Later(m.result));
BEDROCK_FIELDS(ClientQuery, m.command, m.consistency, m.min_version, m.at);
BEDROCK_FIELDS(ClientQueryReply, m.error, m.result, m.read_version);
BEDROCK_FIELDS(TransactionOptions, m.mode, m.read_only, m.timeout_ms, m.idle_timeout_ms,
               m.lock_timeout_ms);
BEDROCK_FIELDS(ClientTransaction, m.action, m.id, m.options, m.command, m.for_update);
BEDROCK_FIELDS(ClientTransactionReply, m.error, m.id, m.version, m.read_version, m.result);

#undef BEDROCK_FIELDS
#undef BEDROCK_NO_FIELDS

/// The kinds' numbers: sixteen a link, so that each has room. Numbers are never reused.
inline constexpr std::uint8_t kKindsMax = 128;

template <typename T>
inline constexpr std::uint8_t kKind = 0;
template <>
inline constexpr std::uint8_t kKind<Refusal> = 1;
// raftd and raftd
template <>
inline constexpr std::uint8_t kKind<raft::VoteRequest> = 16;
template <>
inline constexpr std::uint8_t kKind<raft::VoteReply> = 17;
template <>
inline constexpr std::uint8_t kKind<raft::AppendRequest> = 18;
template <>
inline constexpr std::uint8_t kKind<raft::AppendReply> = 19;
template <>
inline constexpr std::uint8_t kKind<raft::Heartbeat> = 20;
template <>
inline constexpr std::uint8_t kKind<raft::HeartbeatReply> = 21;
template <>
inline constexpr std::uint8_t kKind<raft::ReadIndexRequest> = 22;
template <>
inline constexpr std::uint8_t kKind<raft::ReadIndexReply> = 23;
template <>
inline constexpr std::uint8_t kKind<raft::TimeoutNow> = 24;
template <>
inline constexpr std::uint8_t kKind<raft::SnapshotOffer> = 25;
template <>
inline constexpr std::uint8_t kKind<raft::SnapshotOfferReply> = 26;
template <>
inline constexpr std::uint8_t kKind<raft::StateChecks> = 27;
template <>
inline constexpr std::uint8_t kKind<raft::StateVerdict> = 28;
template <>
inline constexpr std::uint8_t kKind<raft::LogClaim> = 30;
template <>
inline constexpr std::uint8_t kKind<raft::LogVerdict> = 31;
// raftd and its storaged
template <>
inline constexpr std::uint8_t kKind<Apply> = 32;
template <>
inline constexpr std::uint8_t kKind<ApplyProgress> = 33;
template <>
inline constexpr std::uint8_t kKind<FetchSnapshot> = 34;
template <>
inline constexpr std::uint8_t kKind<FetchProgress> = 35;
template <>
inline constexpr std::uint8_t kKind<Quarantine> = 44;
// storaged and another storaged
template <>
inline constexpr std::uint8_t kKind<SnapshotOpen> = 36;
template <>
inline constexpr std::uint8_t kKind<SnapshotManifest> = 37;
template <>
inline constexpr std::uint8_t kKind<SnapshotRead> = 38;
template <>
inline constexpr std::uint8_t kKind<SnapshotChunk> = 39;
template <>
inline constexpr std::uint8_t kKind<SnapshotClose> = 40;
// routerd and raftd
template <>
inline constexpr std::uint8_t kKind<Propose> = 48;
template <>
inline constexpr std::uint8_t kKind<ProposeRefused> = 49;
template <>
inline constexpr std::uint8_t kKind<ReadIndexQuery> = 50;
template <>
inline constexpr std::uint8_t kKind<ReadIndexAnswer> = 51;
template <>
inline constexpr std::uint8_t kKind<RaftStatusQuery> = 52;
template <>
inline constexpr std::uint8_t kKind<RaftStatus> = 53;
template <>
inline constexpr std::uint8_t kKind<TransferLeadership> = 54;
template <>
inline constexpr std::uint8_t kKind<TransferLeadershipReply> = 55;
template <>
inline constexpr std::uint8_t kKind<ChangeMembers> = 56;
template <>
inline constexpr std::uint8_t kKind<ChangeMembersReply> = 57;
// routerd and storaged
template <>
inline constexpr std::uint8_t kKind<Get> = 64;
template <>
inline constexpr std::uint8_t kKind<GetReply> = 65;
template <>
inline constexpr std::uint8_t kKind<CommandReply> = 66;
template <>
inline constexpr std::uint8_t kKind<StorageStatusQuery> = 67;
template <>
inline constexpr std::uint8_t kKind<StorageStatus> = 68;
template <>
inline constexpr std::uint8_t kKind<Query> = 69;
template <>
inline constexpr std::uint8_t kKind<QueryReply> = 70;
template <>
inline constexpr std::uint8_t kKind<Lock> = 71;
template <>
inline constexpr std::uint8_t kKind<LockReply> = 72;
template <>
inline constexpr std::uint8_t kKind<Unlock> = 73;
// clients and routerd
template <>
inline constexpr std::uint8_t kKind<ClientGet> = 80;
template <>
inline constexpr std::uint8_t kKind<ClientGetReply> = 81;
template <>
inline constexpr std::uint8_t kKind<ClientWrite> = 82;
template <>
inline constexpr std::uint8_t kKind<ClientWriteReply> = 83;
template <>
inline constexpr std::uint8_t kKind<ClientQuery> = 84;
template <>
inline constexpr std::uint8_t kKind<ClientQueryReply> = 85;
template <>
inline constexpr std::uint8_t kKind<ClientTransaction> = 86;
template <>
inline constexpr std::uint8_t kKind<ClientTransactionReply> = 87;

}  // namespace bedrock::proto
