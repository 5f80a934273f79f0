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
  /// matched the log up to here.
  LogIndex lost_up_to;

  bool done() const { return floor == LogPosition() && !lost_up_to; }
};

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
  LogIndex trim;  ///< Every member holds the log up to here durably, as the leader says now.
  Refill refill;
  bool disk_stalled = false;
  std::uint64_t now = 0;  ///< In ticks.
  ElectionTimer timer;

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
  /// May run for office (R11).
  bool Promotable() const { return MayStand() && refill.done() && !disk_stalled; }
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
  void ResetTimer() { timer.Reset(now, limits, random); }
};

}  // namespace bedrock::raft
