#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/env/random.h"
#include "proto/raft_messages.h"
#include "raftd/core/apply_cursor.h"
#include "raftd/core/lease.h"
#include "raftd/core/log_view.h"
#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"
#include "raftd/core/raft.h"
#include "raftd/core/types.h"
#include "raftd/core/write_queue.h"

namespace bedrock::raft {

/// What leaves with the next Poll.
struct Outbox {
  std::vector<Outgoing> now;
  std::vector<HeldMessage> held;
  std::vector<Fetch> fetches;
  std::vector<ReadReady> reads_ready;
  std::vector<Ticket> reads_failed;

  void Send(NodeId to, Message message) { now.push_back({to, std::move(message)}); }
  /// To leave when `after` is durable.
  void Hold(WriteSeq after, NodeId to, Message message) {
    held.push_back({after, {to, std::move(message)}});
  }
};

/// What is wrong with this node's log, until a leader has put it right (raftd/log/README.md).
struct Refill {
  /// The true last entry of a damaged log, whose part from the damage on is not used any more.
  /// Votes go by it, so that nothing that was acknowledged can be voted away, and this node does
  /// not campaign before its log is that far again.
  LogPosition floor;
  /// Entries up to here were durable and are gone: neither vote nor campaign before a leader has
  /// matched the log up to here, or up to an entry of a later term than `lost_term`.
  LogIndex lost_up_to;
  /// None of them was newer. Of what this node has lost, a leader of a later term has what was
  /// committed, in front of its own entries; the rest may be gone for good.
  Term lost_term;

  bool done() const { return floor == LogPosition() && !lost_up_to; }
  /// Entries up to `up_to`, of terms up to `term`, are gone.
  void Lose(LogIndex up_to, Term term) {
    if (!up_to) return;
    lost_up_to = std::max(lost_up_to, up_to);
    lost_term = std::max(lost_term, term);
  }
  /// A leader has matched the log up to `entry`.
  void Found(const LogPosition& entry) {
    const bool later = entry.term > lost_term;
    if (entry.index < lost_up_to && !later) return;
    lost_up_to = LogIndex();
    lost_term = Term();
  }
  /// The log begins anew behind `state`, all of which is committed. More may have been acknowledged
  /// of what is lost (R74); but what is committed up to an entry of a later term holds all of that
  /// which was.
  void BeginBehind(const LogPosition& state) {
    if (state.term > lost_term) {
      lost_up_to = LogIndex();
      lost_term = Term();
    } else if (lost_up_to) {
      lost_up_to = std::max(lost_up_to, state.index.Next());
    }
  }
};

/// The wish for a snapshot of another node's state machine: because a leader offered one that would
/// bring this log back to its own, or because the own state machine lacks what this log has
/// dropped.
struct SnapshotWish {
  LogIndex offered;  ///< A leader's log begins behind it; 0, or at most commit: nothing is missing.
  NodeId from;       ///< Whose snapshot was asked for last.
  LogIndex installing;  ///< Where the one that is being fetched ends; 0: not known.
};

/// So many elections a node that could not do all that a leader should lets pass.
inline constexpr std::uint32_t kElectionsPassed = 3;

/// When this node runs for office unless it hears from a leader.
struct ElectionTimer {
  std::uint64_t deadline = 0;

  void Reset(std::uint64_t now, const Limits& limits, Random& random) {
    deadline = now + random.Between(limits.election_ticks_min, limits.election_ticks_max);
  }
};

/// The state that all roles share. Invariants: commit <= log.last_index; vote is what the disk
/// holds or is about to.
struct Node {
  Node(NodeId id, const Limits& bounds, const Recovered& recovered, std::uint64_t seed)
      : self(id),
        limits(bounds),
        random(seed),
        log(recovered,
            {.bytes_max = bounds.cache_bytes_max, .entries_max = bounds.cache_entries_max}),
        writes(recovered.last_index),
        apply(recovered.prev_index),
        vote(recovered.vote),
        commit(std::max(recovered.prev_index, std::min(recovered.commit_hint, log.last_index()))),
        memberships(recovered.membership, recovered.membership_index,
                    recovered.membership_changes) {
    // What stands in damaged entries is not believed.
    memberships.CutFrom(log.last_index().Next());
  }

  NodeId self;
  Limits limits;
  Random random;
  LogView log;
  WriteQueue writes;
  ApplyCursor apply;
  Outbox out;
  Vote vote;
  LogIndex commit;
  MembershipLog memberships;  ///< The configurations in the log.
  LogIndex trim;              ///< The log up to here is kept for nobody, as the leader says now.
  LogPressure pressure;
  Refill refill;
  SnapshotWish snapshot;
  bool disk_stalled = false;
  bool room_low = false;   ///< There is room for what frees room, and for little else.
  bool disk_full = false;  ///< What may be written is what elections need, and no new entries.
  std::uint32_t elections_passed = 0;  ///< In a row, by StandsBack.
  std::uint64_t now = 0;               ///< In ticks.
  ElectionTimer timer;
  VotePromise promise;

  Term term() const { return vote.term; }
  /// In effect (R39).
  const Membership& membership() const { return memberships.now(); }
  bool SoleVoter() const {
    return !IsJoint(membership()) && membership().voters.size() == 1 &&
           membership().voters.front() == self;
  }
  /// A voter; or one of the configuration before, while the newer one may not be committed: it may
  /// be the only one whose log is long enough to win (R44).
  bool MayStand() const {
    if (IsVoter(membership(), self)) return true;
    const Membership* before = memberships.before();
    return before != nullptr && memberships.index() > commit && IsVoter(*before, self);
  }
  /// The own state machine can't be fed from this log.
  bool MachineStuck() const { return apply.Stuck(log); }
  /// The log has not what is committed and compacted elsewhere.
  bool LogBehind() const { return snapshot.offered > commit; }
  /// The lowest applied index of a snapshot that would help; 0: none is needed.
  LogIndex SnapshotNeeded() const {
    return std::max(LogBehind() ? snapshot.offered : LogIndex(),
                    MachineStuck() ? log.prev_index() : LogIndex());
  }
  /// May run for office (R11). Who surely lacks committed entries does not (R65); a full disk
  /// leaves that to others, where there are any (R75).
  bool Promotable() const {
    return MayStand() && refill.done() && !disk_stalled && (!disk_full || SoleVoter()) &&
           !(LogBehind() && log.last_index() < snapshot.offered);
  }
  /// It could lead, but serve nothing, or take no more than deletes.
  bool Hesitates() const { return MachineStuck() || (room_low && !SoleVoter()); }
  /// Whoever hesitates leaves it to others to lead, but not for ever: it may be the only one whose
  /// log can win, or one of many without room. Asked once an election timeout.
  bool StandsBack() { return Hesitates() && elections_passed++ < kElectionsPassed; }
  /// The last entry as votes see it: one notion of it everywhere (R36), but for damage.
  LogPosition LastForVotes() const { return std::max(log.last(), refill.floor); }

  void SetVote(const Vote& new_vote) {
    vote = new_vote;
    writes.SetVote(vote);
  }
  /// REQUIRES: a membership entry's payload decodes.
  void Append(Entry entry) {
    if (entry.kind == EntryKind::kMembership) {
      memberships.Append(entry.index, DecodeCheckedMembership(entry.payload.view()));
    }
    writes.LogChangedFrom(entry.index);
    log.Append(std::move(entry), writes.next());
  }
  void CutFrom(LogIndex from) {
    memberships.CutFrom(from);
    log.CutFrom(from);
  }
  /// The log is empty behind what the state machine holds, all of which is committed.
  void ResetLog(const RestoredState& state);
  /// `to` leads, or got this node's vote: it can count on that for a while. None: nobody is exempt.
  void Promise(NodeId to) {
    if (limits.lease_reads) promise.Make(to);
  }
  void ResetTimer() { timer.Reset(now, limits, random); }
};

inline void Node::ResetLog(const RestoredState& state) {
  // What this node knows to be committed is as true as what a snapshot says; the newer one counts.
  MembershipChange base = memberships.UpTo(commit);
  if (state.membership.index > base.index) base = state.membership;
  // Of a damaged log the newest configuration may be known though its entry is not.
  base.index = std::min(base.index, state.index);
  log.Reset({state.term, state.index});
  memberships.Reset(base);
  refill.BeginBehind({state.term, state.index});
  if (log.last() >= refill.floor) refill.floor = LogPosition();
  writes.Reset({.index = state.index,
                .term = state.term,
                .membership = std::move(base),
                .lost_up_to = refill.lost_up_to,
                .lost_term = refill.lost_term});
}

}  // namespace bedrock::raft
