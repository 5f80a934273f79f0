#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/client_messages.h"
#include "proto/command.h"
#include "proto/errors.h"
#include "proto/frame.h"

namespace bedrock::router {

// The values that go in and out of routerd's pure core. Times are milliseconds of one monotonic
// clock; the core never reads it.

/// Who waits for a request's completion: a front, and that front's own number for the request. The
/// core hands it back untouched.
struct Ticket {
  enum class Front : std::uint8_t {
    kHttp = 0,
    kMessaging = 1,
    kCore = 2,  ///< The core itself, which needs it for something larger: never leaves it.
  };
  Front front = Front::kHttp;
  std::uint64_t id = 0;

  friend bool operator==(const Ticket&, const Ticket&) = default;
};

struct ReadRequest {
  Ticket ticket;
  Bytes key;
  proto::Consistency consistency = proto::Consistency::kLinearizable;
  Version min_version;  ///< 0: none asked for.
  Version at;           ///< 0: the newest. Else the consistency does not matter: it is fixed.
  /// Stale reads: kTooStale where this node was last known to be in step longer ago. 0: any.
  std::uint64_t max_staleness_ms = 0;
  std::uint64_t deadline_ms = 0;
};

/// Evaluates operations (and conditions) at one version and drops what they would have written:
/// scans, reads of several keys. The views are read during the call only.
struct QueryRequest {
  Ticket ticket;
  proto::Command query;  ///< As proto::CheckQuery wants it, session and sequence 0.
  proto::Consistency consistency = proto::Consistency::kLinearizable;
  Version min_version;                 ///< As in ReadRequest.
  Version at;                          ///< As in ReadRequest.
  std::uint64_t max_staleness_ms = 0;  ///< As in ReadRequest.
  std::uint64_t deadline_ms = 0;
};

/// What the router makes one command of, under its own session; without any write and without an
/// idempotency key it is evaluated at a read index instead. The views are read during the call
/// only.
struct WriteRequest {
  Ticket ticket;
  std::vector<proto::Condition> conditions;
  std::vector<proto::Operation> operations;
  /// None: a condition that does not hold is kPreconditionFailed.
  std::optional<std::vector<proto::Operation>> otherwise;
  std::string_view idempotency_key;  ///< Empty: none.
  std::uint64_t deadline_ms = 0;
};

/// A step of an interactive transaction, which may live in any router.
struct TransactionStep {
  Ticket ticket;
  proto::ClientTransaction step;
  bool passed_on = false;  ///< By another router: it is not passed on once more.
  std::uint64_t deadline_ms = 0;
};

/// Lets versions below `version` vanish.
struct CompactRequest {
  Ticket ticket;
  Version version;
  std::uint64_t deadline_ms = 0;
};

/// Changes who takes part, or who leads; `wish` as raftd takes it, with all endpoints of a new
/// node.
struct MembershipRequest {
  Ticket ticket;
  std::variant<proto::ChangeMembers, proto::TransferLeadership> wish;
  std::uint64_t deadline_ms = 0;
};

/// A command that a client encoded under a session of its own: passed on as it is.
struct ClientCommand {
  Ticket ticket;
  Bytes command;
  std::uint64_t deadline_ms = 0;
};

/// How a request ended; exactly one for each that was begun.
struct Completion {
  Ticket ticket;
  proto::Error error;  ///< kOk also for a read of an absent key.
  /// A WriteRequest, a ClientCommand, a CompactRequest, a MembershipRequest, or a kCommit.
  bool is_write = false;
  bool found = false;  ///< Reads: the key exists.
  Bytes value;
  /// Reads: of the key. Writes: of the commit, also of one that failed a condition; where nothing
  /// was to be written, the version that was read. Changes of the membership: of its entry.
  Version version;
  Version read_version;  ///< Reads, queries, steps: the version that was read at.
  Version current;       ///< kPreconditionFailed: the key's version; 0 where it is absent.
  NodeId served_by;      ///< Whose storaged answered, or whose router a step; none: nobody's.
  NodeId leader;         ///< Who led as far as was known; none: unknown.
  Term term;             ///< Transfers of leadership: the one that `leader` leads.
  /// Queries, writes, steps that execute: all that it gave.
  proto::CommandResult result;
  std::string transaction;  ///< Steps: its id.
};

enum class Daemon : std::uint8_t {
  kRaftd = 0,
  kStoraged = 1,
  kRouterd = 2,  ///< Of another node, at its client endpoint.
};

/// One message for one daemon.
struct Send {
  NodeId node;
  Daemon daemon = Daemon::kRaftd;
  RequestId request;
  std::uint32_t timeout_ms = 0;
  proto::Message message;
};

/// The link to a daemon opens, moves to another address, or closes. What is sent where no link is
/// open is unsent. This node's own daemons are reached as the shell knows, whatever the address.
struct LinkChange {
  NodeId node;
  Daemon daemon = Daemon::kRaftd;
  bool open = true;
  std::string address;  ///< Where it opens.

  friend bool operator==(const LinkChange&, const LinkChange&) = default;
};

/// What the shell has to carry out, in order.
struct Effects {
  std::vector<LinkChange> links;
  std::vector<Send> sends;
  std::vector<Completion> completions;

  bool empty() const { return links.empty() && sends.empty() && completions.empty(); }
  void Clear() {
    links.clear();
    sends.clear();
    completions.clear();
  }
};

/// A member as the flags name it, or as the cluster's membership does. Endpoints as in the flags;
/// empty where unknown.
struct MemberSeed {
  NodeId id;
  std::string raft;
  std::string storage;
  std::string client;
  std::string http;

  friend bool operator==(const MemberSeed&, const MemberSeed&) = default;
};

/// Bounds and patience. The defaults suit a LAN; only tests change them.
struct CoreOptions {
  NodeId self;
  /// Whom to begin with: the raftds tell who takes part. One that takes part has to be among them.
  std::vector<MemberSeed> members;
  SessionId session;  ///< Random, drawn at start; never 0.
  BootId boot;        ///< As above; part of transactions' ids.
  /// What to add to the core's time for the wall clock's: among transactions of different routers
  /// who began last is a deadlock's victim.
  std::uint64_t wall_offset_ms = 0;
  std::uint64_t value_bytes_max = proto::kValueBytesDefault;

  std::size_t commands_in_flight_max = 4096;
  std::uint64_t command_bytes_in_flight_max = 16 * kMiB;
  std::size_t reads_in_flight_max = 16'384;
  /// Of queries that wait for their answers, encoded.
  std::uint64_t query_bytes_in_flight_max = 64 * kMiB;
  /// How far the newest own sequence number may run ahead of the oldest unanswered one: bounds the
  /// replies that the state machine keeps for this session.
  std::uint64_t sequence_window_max = 65'536;

  std::size_t transactions_open_max = 10'000;
  /// What all of them have read, written and asked for and not got yet, roughly.
  std::uint64_t transaction_bytes_max = 256 * kMiB;
  std::size_t transactions_ended_max = 65'536;  ///< Remembered.

  /// How long versions that newer ones cover are kept, at least. 0: nothing is ever dropped.
  std::uint64_t history_ms = 600'000;

  std::uint64_t write_attempt_ms = 1000;  ///< Doubles with each attempt, up to four times.
  std::uint64_t read_attempt_ms = 500;    ///< As above; for storaged's answer to a read.
  std::uint64_t index_attempt_ms = 500;   ///< For raftd's answer to a read index query.
  std::uint64_t retry_ms_min = 20;        ///< Doubles with each attempt, up to retry_ms_max.
  std::uint64_t retry_ms_max = 320;
  std::uint64_t silence_ms = 1500;  ///< A daemon unheard for so long is not the first choice.
  /// A storaged that is more entries behind what is committed catches up: others come first. Well
  /// above what a busy cluster commits between two statuses.
  std::uint64_t lag_entries_max = 50'000;
  std::uint64_t avoid_ms = 500;  ///< After a failure another node's daemon is preferred so long.
};

}  // namespace bedrock::router
