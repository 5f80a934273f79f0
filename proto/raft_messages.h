#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"

namespace bedrock::raft {

// What raftds say to each other. Names and order follow the Raft paper (Ongaro and Ousterhout 2014)
// and thesis (Ongaro 2014). proto/README.md draws each on the wire.

enum class EntryKind : std::uint8_t {
  kNoop = 0,        ///< The first entry of a leader's term; empty payload.
  kCommand = 1,     ///< An encoded command, opaque to raftd.
  kMembership = 2,  ///< An encoded membership.
};

/// One entry of the replicated log.
struct Entry {
  LogIndex index;
  Term term;
  EntryKind kind = EntryKind::kCommand;
  /// The leader's stamp: wall-clock milliseconds, never lower than that of the entry before, but
  /// for what a leader adds itself behind a snapshot. Replicated time: the highest one so far.
  std::uint64_t time_ms = 0;
  Bytes payload;

  friend bool operator==(const Entry&, const Entry&) = default;
};

using PreVote = TypedBool<struct PreVoteTag>;
/// Whether the leader of the term before asked the sender to take over.
using HandOver = TypedBool<struct HandOverTag>;

/// Asks for a vote, or (pre-vote) whether one would be given. `term` is the term of the election: a
/// pre-vote names the term the sender would move to, without having moved.
struct VoteRequest {
  PreVote pre_vote = PreVote::kNo;
  Term term;
  LogIndex last_index;
  Term last_term;
  /// Voters then do not protect the leader they hear: it wants to go (thesis 3.10).
  HandOver hand_over = HandOver::kNo;

  friend bool operator==(const VoteRequest&, const VoteRequest&) = default;
};

/// A grant echoes the request's term; a refusal carries the voter's own term (R6).
struct VoteReply {
  PreVote pre_vote = PreVote::kNo;
  Term term;
  bool granted = false;

  friend bool operator==(const VoteReply&, const VoteReply&) = default;
};

/// Entries prev_index+1, prev_index+2, …; empty to probe, to pass on the commit index, or when the
/// window is full. Their indexes are implied and not on the wire.
struct AppendRequest {
  Term term;
  LogIndex prev_index;
  Term prev_term;
  LogIndex commit;
  /// The newest read-index round of this leader; echoed in the reply (R51).
  std::uint64_t read_round = 0;
  /// The log up to here is kept for nobody: each member holds it durably, or is not waited for. It
  /// may be dropped as far as it is durably applied.
  LogIndex trim;
  std::vector<Entry> entries;

  friend bool operator==(const AppendRequest&, const AppendRequest&) = default;
};

/// accepted: `index` is prev_index + the number of entries of the request, which are durable here
/// (R19, R30). refused: `index` is the request's prev_index; hint_index and hint_term name the last
/// entry of this log that could match (R28).
struct AppendReply {
  Term term;
  bool accepted = false;
  LogIndex index;
  LogIndex hint_index;
  Term hint_term;
  std::uint64_t read_round = 0;
  std::uint32_t promise_ms = 0;  ///< As in HeartbeatReply.

  friend bool operator==(const AppendReply&, const AppendReply&) = default;
};

/// Keeps followers from electing and confirms read rounds. `commit` is at most what this follower
/// is known to hold (R18).
struct Heartbeat {
  Term term;
  LogIndex commit;
  std::uint64_t read_round = 0;
  LogIndex trim;

  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

struct HeartbeatReply {
  Term term;
  std::uint64_t read_round = 0;
  /// From when it heard the round on, the sender votes for nobody else for so long by its own clock
  /// (R55). 0: it promises nothing.
  std::uint32_t promise_ms = 0;

  friend bool operator==(const HeartbeatReply&, const HeartbeatReply&) = default;
};

/// A follower asks the leader for a read index on behalf of a batch of its own readers. `number` is
/// drawn anew for each attempt.
struct ReadIndexRequest {
  Term term;
  std::uint64_t number = 0;

  friend bool operator==(const ReadIndexRequest&, const ReadIndexRequest&) = default;
};

/// granted: whoever has applied `index` may answer the readers of `number`.
struct ReadIndexReply {
  Term term;
  std::uint64_t number = 0;
  bool granted = false;
  LogIndex index;
  bool leased = false;  ///< The leader was sure by its lease, without asking anybody.

  friend bool operator==(const ReadIndexReply&, const ReadIndexReply&) = default;
};

/// The leader hands over to a follower that holds its whole log: stand for election now, without a
/// pre-vote. Void unless the follower's log ends at `last_index` (R58): a leader that gave up
/// waiting has added an entry since.
struct TimeoutNow {
  Term term;
  LogIndex last_index;

  friend bool operator==(const TimeoutNow&, const TimeoutNow&) = default;
};

/// A raftd names its log and asks whether that may take part under its id (R15): as long as a log
/// is new, and later until the members have noted it. Between the shells; not one of the core's.
struct LogClaim {
  std::uint64_t log = 0;  ///< The random number that was drawn when it was made.

  friend bool operator==(const LogClaim&, const LogClaim&) = default;
};

/// What a raftd knows of a log that was claimed.
struct LogVerdict {
  enum class Kind : std::uint8_t {
    kOpen = 0,      ///< Nothing is noted: a leader will, once it hears the claim.
    kNoted = 1,     ///< A committed configuration names this log: it takes part.
    kOther = 2,     ///< It names another log: the one that had acknowledged entries is gone.
    kRemoved = 3,   ///< The node was removed; its id is not used again.
    kNoMember = 4,  ///< The node was not taken in yet.
  };
  std::uint64_t log = 0;  ///< The claim's.
  Kind kind = Kind::kOpen;
  bool empty = false;  ///< The answering node's own log holds nothing, either.

  friend bool operator==(const LogVerdict&, const LogVerdict&) = default;
};

/// What a replica found where it applied a check of the state (proto::CheckState).
struct StateCheck {
  enum class Kind : std::uint8_t {
    kUnknown = 0,  ///< Nothing to compare: this replica missed where the checks began.
    kHash = 1,
    kDamaged = 2,  ///< A part of the state can't be read here.
  };
  LogIndex index;  ///< Of the check's entry.
  Kind kind = Kind::kUnknown;
  std::uint64_t hash = 0;  ///< kHash: equal wherever the state and its history are.

  friend bool operator==(const StateCheck&, const StateCheck&) = default;
};

/// So many are remembered, told and compared at a time: the newest.
inline constexpr std::size_t kStateChecksMax = 8;

/// A raftd tells its leader what its replica's newest checks gave, until that has told it a
/// StateVerdict of the last of them. Between the shells; not one of the core's.
struct StateChecks {
  Term term;                       ///< The leader's.
  std::vector<StateCheck> checks;  ///< At most kStateChecksMax, ascending.

  friend bool operator==(const StateChecks&, const StateChecks&) = default;
};

/// What became of one of them.
struct StateVerdict {
  enum class Kind : std::uint8_t {
    kAgreed = 0,    ///< A majority of the voters has the same hash.
    kDiverged = 1,  ///< A majority has another one: this replica is wrong.
  };
  Term term;
  Kind kind = Kind::kAgreed;
  StateCheck check;  ///< As it was told.

  friend bool operator==(const StateVerdict&, const StateVerdict&) = default;
};

/// What the core takes and gives.
/// The follower needs entries that the leader's log no longer holds: a snapshot of a state machine
/// that has applied `index` or more would bring it back. Repeated once a heartbeat until an
/// AppendReply shows that it is back (R66); the snapshot itself travels between storageds.
struct SnapshotOffer {
  Term term;
  LogIndex index;

  friend bool operator==(const SnapshotOffer&, const SnapshotOffer&) = default;
};

/// `installing`: what the snapshot that is being fetched will bring the follower to, so that the
/// leader keeps its log from there on; 0: not known yet. A follower that needs none answers with an
/// AppendReply (R61).
struct SnapshotOfferReply {
  Term term;
  LogIndex installing;

  friend bool operator==(const SnapshotOfferReply&, const SnapshotOfferReply&) = default;
};

using Message =
    std::variant<VoteRequest, VoteReply, AppendRequest, AppendReply, Heartbeat, HeartbeatReply,
                 ReadIndexRequest, ReadIndexReply, TimeoutNow, SnapshotOffer, SnapshotOfferReply>;

}  // namespace bedrock::raft
