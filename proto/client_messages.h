#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "proto/command.h"
#include "proto/errors.h"

namespace bedrock::proto {

// ---- routerd and any raftd ----

/// Asks the leader's raftd to append an encoded command. Only refusals come back from raftd: the
/// reply to an accepted one is storaged's CommandReply under the same request id.
struct Propose {
  Bytes command;

  friend bool operator==(const Propose&, const Propose&) = default;
};

/// raftd refuses a Propose: kNotLeader (follow the hint; the entry was not appended, or it was
/// appended here, lost to another leader's, and will never commit: outcome none), kOverloaded,
/// kStorageFull, kDeadlineExceeded, kTransactionTooLarge.
struct ProposeRefused {
  Error error;
  NodeId leader;  ///< Who leads as far as this node knows; none: unknown.
  Term term;

  friend bool operator==(const ProposeRefused&, const ProposeRefused&) = default;
};

/// Asks any raftd for a read index: a storaged that has applied it shows every write acknowledged
/// before this was sent. One serves a whole batch of readers.
struct ReadIndexQuery {
  friend bool operator==(const ReadIndexQuery&, const ReadIndexQuery&) = default;
};

struct ReadIndexAnswer {
  Error error;  ///< kNoLeader: ask again.
  LogIndex index;
  bool leased = false;  ///< Confirmed by the leader's lease instead of a round of messages.

  friend bool operator==(const ReadIndexAnswer&, const ReadIndexAnswer&) = default;
};

enum class Role : std::uint8_t {
  kFollower = 0,
  kCandidate = 1,
  kLeader = 2,
  kLearner = 3,
  kUnreachable = 4
};

/// One member as a raftd knows it.
struct MemberStatus {
  NodeId id;
  bool voter = true;
  std::string raft;  ///< Endpoints, as in the flags; empty where unknown.
  std::string storage;
  std::string client;
  std::string http;
  Role role =
      Role::kUnreachable;  ///< As the sender sees it; a follower sees only itself and the leader.
  LogIndex match_index;    ///< 0 where the sender does not lead.
  /// It is being brought back by a snapshot, up to here or further; 0: it isn't. As match_index.
  LogIndex installing;

  friend bool operator==(const MemberStatus&, const MemberStatus&) = default;
};

struct RaftStatusQuery {
  friend bool operator==(const RaftStatusQuery&, const RaftStatusQuery&) = default;
};

/// The answer to a RaftStatusQuery; also sent, with request id 0, to every router that asked in the
/// last few seconds whenever role, term or leader change.
struct RaftStatus {
  NodeId node;
  Role role = Role::kFollower;
  NodeId leader;  ///< None: no leader known.
  Term term;
  LogIndex commit;
  LogIndex applied;
  LogIndex last_index;
  ErrorCode storage_health = ErrorCode::kStorageUnavailable;
  std::string software;
  std::vector<MemberStatus> members;
  // Of a leader: the newest checks of the state (StateCheck) on which a majority of the voters
  // agreed, and where replicas differed with no majority to say who is right; 0: none, or it does
  // not lead.
  LogIndex checks_agreed;
  LogIndex checks_differ;

  friend bool operator==(const RaftStatus&, const RaftStatus&) = default;
};

/// Asks the leader's raftd to hand leadership over, to one voter or to the one that is furthest.
/// The leader takes no proposals while it does; where it does not succeed within an election
/// timeout it leads on.
struct TransferLeadership {
  NodeId to;  ///< None: whoever is furthest.

  friend bool operator==(const TransferLeadership&, const TransferLeadership&) = default;
};

/// kOk: `leader` leads in `term`. kNotLeader: ask `leader`. kInvalidArgument: `to` is no voter.
/// kUnsafeMembershipChange: `to` does not answer or lags too far. kOverloaded: another transfer is
/// under way. kDeadlineExceeded: it did not take over in time, or another node did.
struct TransferLeadershipReply {
  Error error;
  NodeId leader;
  Term term;

  friend bool operator==(const TransferLeadershipReply&, const TransferLeadershipReply&) = default;
};

/// Asks the leader's raftd to change who takes part: one change at a time; others wait a second for
/// their turn.
struct ChangeMembers {
  enum class Kind : std::uint8_t {
    kAdd = 0,      ///< A new node, as a learner.
    kPromote = 1,  ///< A learner becomes a voter, once it has caught up.
    kDemote = 2,   ///< A voter becomes a learner; a learner is not promoted by itself any more.
    kRemove = 3,   ///< Its id is never used again.
  };
  Kind kind = Kind::kAdd;
  NodeId node;
  bool promote = true;  ///< kAdd: it becomes a voter by itself once it has caught up.
  std::string raft;     ///< kAdd: its endpoints, as in the flags.
  std::string storage;
  std::string client;
  std::string http;

  friend bool operator==(const ChangeMembers&, const ChangeMembers&) = default;
};

/// kOk: the first step is committed (or nothing had to be done); whoever leads takes the others.
/// kNotLeader: ask `leader`. kInvalidArgument: no such endpoints, or no voter would be left.
/// kMemberExists, kMemberNotFound. kUnsafeMembershipChange: another change is under way, or the
/// voters that answer would be no majority. kDeadlineExceeded, of unknown outcome: it was begun.
struct ChangeMembersReply {
  Error error;
  NodeId leader;
  LogIndex index;  ///< Of the entry that holds the configuration.

  friend bool operator==(const ChangeMembersReply&, const ChangeMembersReply&) = default;
};

// ---- clients and routerd ----

enum class Consistency : std::uint8_t { kLinearizable = 0, kStale = 1 };

struct ClientGet {
  Bytes key;
  Consistency consistency = Consistency::kLinearizable;
  Version min_version;
  Version at;  ///< 0: the newest.

  friend bool operator==(const ClientGet&, const ClientGet&) = default;
};

struct ClientGetReply {
  Error error;  ///< kKeyNotFound where the key is absent.
  Bytes value;
  Version version;
  Version read_version;

  friend bool operator==(const ClientGetReply&, const ClientGetReply&) = default;
};

/// A write. `command` is an encoded proto::Command whose session is the client's own, so that the
/// client may send it again through any router.
struct ClientWrite {
  Bytes command;

  friend bool operator==(const ClientWrite&, const ClientWrite&) = default;
};

struct ClientWriteReply {
  Error error;
  Version version;       ///< kOk: the commit's.
  Version current;       ///< kPreconditionFailed: the key's version.
  CommandResult result;  ///< All of it, where the command applied.

  friend bool operator==(const ClientWriteReply&, const ClientWriteReply&) = default;
};

/// Evaluates a command that writes nothing, or whose writes nobody is to see: gets and scans at one
/// version.
struct ClientQuery {
  Bytes command;  ///< As Query::command.
  Consistency consistency = Consistency::kLinearizable;
  Version min_version;
  Version at;

  friend bool operator==(const ClientQuery&, const ClientQuery&) = default;
};

struct ClientQueryReply {
  Error error;
  CommandResult result;
  Version read_version;

  friend bool operator==(const ClientQueryReply&, const ClientQueryReply&) = default;
};

enum class TransactionMode : std::uint8_t { kOptimistic = 0, kPessimistic = 1 };

/// How an interactive transaction is to be. 0: the server's default.
struct TransactionOptions {
  TransactionMode mode = TransactionMode::kOptimistic;
  bool read_only = false;
  std::uint32_t timeout_ms = 0;       ///< From its beginning to its end.
  std::uint32_t idle_timeout_ms = 0;  ///< Between two requests.
  std::uint32_t lock_timeout_ms = 0;  ///< For each lock.

  friend bool operator==(const TransactionOptions&, const TransactionOptions&) = default;
};

/// One step of an interactive transaction. Any router takes it and passes it on to the one that
/// holds the transaction (which the id names).
struct ClientTransaction {
  enum class Action : std::uint8_t { kBegin = 0, kExecute = 1, kCommit = 2, kRollback = 3 };
  Action action = Action::kBegin;
  std::string id;              ///< Empty for kBegin.
  TransactionOptions options;  ///< kBegin.
  /// kExecute: an encoded Command with nothing but operations; gets and scans see the transaction's
  /// own writes.
  Bytes command;
  bool for_update = false;  ///< kExecute: gets and scans lock as writes do.

  friend bool operator==(const ClientTransaction&, const ClientTransaction&) = default;
};

struct ClientTransactionReply {
  Error error;
  std::string id;
  Version version;  ///< kCommit: the commit's, or the version read at where nothing was written.
  Version read_version;  ///< kBegin, kExecute.
  CommandResult result;  ///< kExecute.

  friend bool operator==(const ClientTransactionReply&, const ClientTransactionReply&) = default;
};

}  // namespace bedrock::proto
