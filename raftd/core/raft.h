#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bedrock/status.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "common/base/units.h"
#include "proto/raft_messages.h"
#include "raftd/core/membership.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

/// Bounds and timeouts of a core. A tick is whatever its shell says; raftd's is 10 ms.
struct Limits {
  std::uint32_t heartbeat_ticks = 5;
  std::uint32_t election_ticks_min = 50;  ///< Timeouts are drawn uniformly from [min, max].
  std::uint32_t election_ticks_max = 100;
  std::size_t append_bytes_max =
      256 * kKiB;  ///< Payload bytes of one AppendRequest (one entry always fits).
  std::size_t append_entries_max = 4096;
  std::size_t window_messages_max = 64;  ///< AppendRequests in flight to one follower.
  std::size_t window_bytes_max = 8 * kMiB;
  std::size_t uncommitted_bytes_max = 64 * kMiB;  ///< Beyond it proposals get kBusy (R81).
  std::size_t uncommitted_entries_max = 1 << 16;
  std::size_t cache_bytes_max = 64 * kMiB;  ///< Entries kept in memory; older ones are fetched.
  std::size_t cache_entries_max = 1 << 17;  ///< The same, where they are small.
  std::size_t apply_bytes_max = 1 * kMiB;   ///< Payload bytes of one ApplyRange (R82).
  std::size_t apply_window_bytes_max = 8 * kMiB;  ///< Handed out and not reported applied.
  std::size_t reads_pending_max = 1 << 16;

  /// While it can be sure that nobody else leads, the leader confirms reads by its clock instead of
  /// a round of messages. Right only as long as members' clocks keep to the drift bound. Also makes
  /// this node promise, as a voter, what such a lease rests on; so a leader whose followers have it
  /// off has no lease, and no member need be told of the others' settings.
  bool lease_reads = false;
  /// For leases: how much faster than another member's a clock may run, in thousandths.
  std::uint32_t clock_drift_per_mille = 100;
  std::uint32_t tick_ms = 10;  ///< For leases: what a tick is. Promises travel in milliseconds.
};

/// Chosen by the shell for each read; handed back when it may be served or failed.
using Ticket = StrongId<struct TicketTag>;

enum class Role : std::uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

/// Whether a proposal makes room once it is applied: it does nothing but delete.
using FreesRoom = TypedBool<struct FreesRoomTag>;

/// Why a proposal was not taken. kMoving: leadership is being handed over, ask again when that is
/// over. kDiskFull: this node leads, has no room for it, and found nobody yet who would take over.
enum class Refused : std::uint8_t { kNotLeader, kBusy, kMoving, kDiskFull, kHalted };

/// What became of the wish to hand leadership over.
enum class Transferring : std::uint8_t {
  kStarted,  ///< Under way; View::handing_over_to says how long. To the leader itself: nothing to
             ///< do.
  kNotLeader,
  kNotVoter,
  kUnreachable,  ///< Not heard of for an election timeout, or it needs more than this log holds.
  kBusy,         ///< Leadership is being handed to another node.
};

/// Accepted: the entries stand at first .. first+count-1 of `term`, in memory, on their way. If
/// another leader's entry ever takes one of these indexes with another term, that proposal is lost
/// for good.
struct Proposed {
  std::optional<Refused> refused;
  LogIndex first;
  std::uint64_t count = 0;
  Term term;
};

struct Outgoing {
  NodeId to;
  Message message;
};

/// To be sent only when write `after` is durable (R30, R85).
struct HeldMessage {
  WriteSeq after;
  Outgoing outgoing;
};

/// Entries to hand to the state machine: committed and locally durable (R35). Those that the core
/// no longer has in memory are missing from the front of `entries` and the shell reads them from
/// the log.
struct ApplyRange {
  LogIndex first;
  LogIndex last;
  std::vector<Entry> entries;  ///< The whole range, or its tail, or nothing.
};

/// Entries the core needs for a lagging follower: the shell reads [first, last] (at most
/// `bytes_max` of payload, at least one entry) from the log and calls Fetched.
struct Fetch {
  NodeId follower;
  LogIndex first;
  LogIndex last;
  std::size_t bytes_max;
};

/// The state machine can't go on from any log that this node will get: it needs a snapshot of
/// another's that has applied `at_least` or more. `from`: whose; none: not known yet, wait.
struct SnapshotWanted {
  NodeId from;
  LogIndex at_least;

  friend bool operator==(const SnapshotWanted&, const SnapshotWanted&) = default;
};

/// What a state machine holds, durably: everything up to `index`, whose entry has `term`.
/// `membership`: the newest configuration at or below it (R49); index 0: there was none, so that
/// the one that the cluster began with holds.
struct RestoredState {
  LogIndex index;
  Term term;
  MembershipChange membership;
};

/// Which part of the log takes more room than it should. Entries up to `over` are beyond the bound
/// up to which it is kept for members that do not answer; those up to `far_over` beyond the one up
/// to which it is kept for anyone. 0: none are. far_over <= over.
struct LogPressure {
  LogIndex over;
  LogIndex far_over;

  friend bool operator==(const LogPressure&, const LogPressure&) = default;
};

/// The read may be served by whoever has applied `index`.
struct ReadReady {
  Ticket ticket;
  LogIndex index;
  bool leased = false;  ///< Confirmed by the leader's lease.
};

/// Everything that has to happen outside, in this order: hand `write` to the log, send `now`
/// (before the log syncs), and the rest. Carried out once each.
struct Output {
  std::optional<Write> write;
  std::vector<Outgoing> now;
  std::vector<HeldMessage> held;
  std::optional<ApplyRange> apply;
  std::vector<ReadReady> reads_ready;
  std::vector<Ticket>
      reads_failed;  ///< Ask again: the leadership changed or no leader is known (R52).
  std::vector<Fetch> fetches;
  /// Everything at or below may be dropped from the log: no member is waited for with it and the
  /// local state machine has it durably applied. Given when it has moved, ever higher; else 0.
  LogIndex compact_up_to;
  /// The wish for a snapshot, when it has changed; at_least 0: none is needed any more.
  std::optional<SnapshotWanted> snapshot_wanted;
  bool status_changed = false;      ///< Role, term or leader moved: tell whoever follows View.
  bool membership_changed = false;  ///< Raft::membership() is another one.
  bool empty() const;
};

/// How a leader feeds a follower.
enum class ReplicationState : std::uint8_t {
  kProbe,     ///< Looks for the last entry both logs share.
  kStream,    ///< Sends ahead of the answers.
  kSnapshot,  ///< The follower needs entries that this log no longer holds: it is offered a
              ///< snapshot.
};

/// How far one member has come, as the leader sees it.
struct MemberProgress {
  NodeId id;
  ReplicationState state = ReplicationState::kProbe;
  LogIndex match;
  LogIndex next;
  bool recently_active = false;
  bool caught_up = false;  ///< A learner that could be a voter.
  /// kSnapshot: where the snapshot that it fetches ends; 0: not known.
  LogIndex installing;
  std::size_t window_messages = 0;
  std::size_t window_bytes = 0;
};

/// For status pages, invariants and tests; never an input to decisions outside.
struct View {
  NodeId id;
  Role role = Role::kFollower;
  Term term;
  NodeId vote;
  NodeId leader;
  LogIndex first_index;  ///< The first entry held.
  LogIndex last_index;
  LogIndex durable_index;
  LogIndex commit;
  LogIndex applied;
  LogIndex
      membership_index;  ///< Of the entry that holds the configuration in effect; 0: none does.
  std::size_t uncommitted_bytes = 0;
  /// Part of the log was lost or damaged and is not refilled yet: this node does not campaign.
  bool refilling = false;
  bool disk_stalled = false;
  bool room_low = false;
  bool disk_full = false;
  /// The tick before which nobody else leads, as this leader knows from its followers' promises; 0:
  /// it has no lease.
  std::uint64_t lease_until = 0;
  SnapshotWanted snapshot_wanted;       ///< at_least 0: none is.
  NodeId handing_over_to;               ///< None: no transfer of leadership is under way.
  std::vector<MemberProgress> members;  ///< Filled while leading; of all members but this one.
};

/// Raft as a pure value: no clock, socket, file, thread or random of its own, so that a simulator
/// drives it. The shell calls the inputs in any order, then Poll until it gives nothing, and
/// carries out what it says. The same inputs and seed give the same outputs, byte for byte (R84).
///
/// One thread. Never blocks; does not throw. Algorithm: Ongaro and Ousterhout, "In Search of an
/// Understandable Consensus Algorithm" (2014); Ongaro's thesis (2014) for pre-vote, check-quorum
/// and read index. The rules R1..R85 that the comments name stand in raftd/core/README.md.
class Raft {
 public:
  /// `seed` feeds the election timeouts. REQUIRES: limits are valid (ValidateLimits).
  Raft(NodeId self, const Limits& limits, const Recovered& recovered, std::uint64_t seed);
  ~Raft();
  Raft(Raft&&) noexcept;
  Raft& operator=(Raft&&) noexcept;

  /// Time has come to `now`, in ticks since any start: the clock rounded down to ticks, read after
  /// all inputs given before. That clock goes on while the machine sleeps. A jump is seen as one.
  /// With lease_reads the reads of a turn are confirmed by the next call, which thus should end the
  /// turn; the same tick may be told twice.
  void Tick(std::uint64_t now);
  void Receive(NodeId from, Message message);
  /// Appends one entry a payload, in order, where this node leads: all of them or none. `time_ms`
  /// is the wall clock; the stamp is the highest of it and the last entry's. `frees_room`: each of
  /// them does.
  Proposed Propose(std::span<const Bytes> payloads, std::uint64_t time_ms,
                   FreesRoom frees_room = FreesRoom::kNo);
  /// Hands leadership to `to`, or where none is named to the voter that is furthest (or to whom it
  /// is being handed already): takes no
  /// proposals until it has stepped down or an election timeout has passed, brings the target up to
  /// its last entry and asks it to stand at once (thesis 3.10). Where that fails it leads on.
  Transferring Transfer(NodeId to);
  /// Changes who takes part, where this node leads: one change at a time, carried through by
  /// whoever leads until it is over. kStarted is no promise that it will be committed; View tells.
  Reconfiguring Reconfigure(const Delta& delta);
  /// Asks for a read index. Exactly one of reads_ready and reads_failed answers, unless the node
  /// halts.
  void Read(Ticket ticket);
  /// Writes up to `seq` are durable, vote and all. REQUIRES: not lower than before, not above the
  /// last given.
  void Durable(WriteSeq seq);
  /// The state machine holds everything up to `applied` in memory and up to `durable_applied` on
  /// disk. Neither ever goes back but by ApplyFrom. What it reports as applied is not handed out.
  void Applied(LogIndex applied, LogIndex durable_applied);
  /// The state machine was (re)started, or what it was handed got lost on the way: it holds
  /// everything up to `applied`, up to `durable_applied` on disk, and nothing more. Ranges are
  /// handed out from there again. A core starts as if told the index before the first entry. An
  /// `applied` above the log's last index proves that the log lost entries (R74): the node then
  /// waits for a leader to refill it and hands out nothing until it is past that. (Where what the
  /// state machine holds is known, RestoredTo is for that.) One below the entry before
  /// View::first_index needs what is compacted: nothing is handed out and a snapshot is wanted.
  /// REQUIRES: durable_applied <= applied.
  void ApplyFrom(LogIndex applied, LogIndex durable_applied);
  /// The state machine (re)started with this and nothing more: ApplyFrom for one that installed a
  /// snapshot, or that is ahead of the log or at odds with it for whatever reason (R74). What the
  /// log holds behind it stays where it has that very entry or more is known to be committed; else
  /// all of the log goes (R61, R62). To be called when a snapshot was installed and whenever the
  /// state machine reports a durable index that is above the log's last one or has another term
  /// than the log's entry there. What was handed out to be applied and wasn't is void. REQUIRES:
  /// 0 < index, membership.index <= index; it is committed, as everything that is applied.
  void RestoredTo(const RestoredState& state);
  /// The snapshot that is wanted is being fetched and will bring the state machine to `installing`;
  /// 0: it isn't known yet, or nothing comes any more, so that another source may be chosen.
  void SnapshotProgress(LogIndex installing);
  /// How much too large the log is; told again whenever that has changed.
  void SetLogPressure(const LogPressure& pressure);
  /// Answers a Fetch. Late and doubtful answers are ignored.
  void Fetched(NodeId follower, std::vector<Entry> entries);
  /// The link to a member broke or came back: what was in flight may be lost. A member that
  /// restarted counts as that.
  void LinkReset(NodeId member);
  /// The shell's disk has had a write waiting for an election timeout (R77) or came back. A stalled
  /// leader steps down; a stalled node does not campaign.
  void DiskStalled(bool stalled);
  /// Room for what is written gets scarce, in the log or in the state machine, or is back (R75).
  /// While it is, a leader hands leadership to one voter after the other, and where nobody takes it
  /// leads on, for reads and for proposals that free room. Such a node lets others stand first; a
  /// follower takes what comes.
  void RoomLow(bool low);
  /// Room for the log runs out, or is back. To be said while a few small writes (a vote, a leader's
  /// empty entry) still fit. As RoomLow, but a full leader takes no proposals at all, a full node
  /// does not campaign, but for a lone voter, and a full follower takes no entries and answers no
  /// appends.
  void DiskFull(bool full);

  Output Poll();

  View GetView() const;
  /// The term of the entry at `index`; none where it is unknown: compacted or absent (R25).
  std::optional<Term> TermAt(LogIndex index) const;
  const Membership& membership() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// ok, or invalid_argument that names the field.
Status ValidateLimits(const Limits& limits);

}  // namespace bedrock::raft
