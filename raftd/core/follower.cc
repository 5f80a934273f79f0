#include "raftd/core/follower.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "raftd/core/membership.h"

namespace bedrock::raft {

bool IsWellFormed(const AppendRequest& request) {
  if ((request.prev_index == LogIndex()) != (request.prev_term == Term())) return false;
  LogIndex index = request.prev_index;
  Term term = request.prev_term;
  if (term > request.term) return false;
  for (const Entry& entry : request.entries) {
    if (entry.index != index.Next() || entry.term < term || entry.term > request.term) return false;
    if (entry.term == Term()) return false;
    if (entry.kind == EntryKind::kMembership && !DecodeMembership(entry.payload.view())) {
      return false;
    }
    index = entry.index;
    term = entry.term;
  }
  return true;
}

bool Follower::LeaderAlive(const Node& node) const {
  return leader_ && node.now - heard_at_ < node.limits.election_ticks_min;
}

bool Follower::HearLeader(Node& node, NodeId from) {
  if (leader_ && leader_ != from) return false;
  leader_ = from;
  heard_at_ = node.now;
  node.ResetTimer();
  node.elections_passed = 0;
  node.Promise(from);
  return true;
}

void Follower::OnAppend(Node& node, const AppendRequest& request) {
  if (!IsWellFormed(request)) return;
  node.trim = request.trim;
  // What is committed here is in every later leader's log, so a prefix below it matches unseen
  // (R22).
  const bool known =
      request.prev_index <= node.commit || node.log.Holds({request.prev_term, request.prev_index});
  if (!known) {
    Refuse(node, request);
    return;
  }
  if (node.disk_full) {
    // As if the message were lost, so that the leader waits at the end of its window; but what is
    // committed may be applied (R75).
    AdvanceCommit(node, request.commit, request.prev_index);
    return;
  }
  const LogIndex proved = Accept(node, request);
  Proved(node, proved);
  AdvanceCommit(node, request.commit, proved);
  Acknowledge(node, proved, request.read_round);
}

void Follower::Acknowledge(Node& node, LogIndex index, std::uint64_t read_round) const {
  node.out.Hold(node.writes.covering(), leader_,
                AppendReply{.term = node.term(),
                            .accepted = true,
                            .index = index,
                            .hint_index = {},
                            .hint_term = {},
                            .read_round = read_round,
                            .promise_ms = PromiseMs(node.limits)});
}

LogIndex Follower::Accept(Node& node, const AppendRequest& request) {
  for (const Entry& entry : request.entries) {
    if (entry.index <= node.log.prev_index()) continue;
    const std::optional<Term> held = node.log.TermAt(entry.index);
    if (held && *held == entry.term) continue;
    if (held) {
      CHECK_MSG(entry.index > node.commit, "a leader replaces a committed entry");
      node.CutFrom(entry.index);
    }
    node.Append(entry);
  }
  return std::max(request.prev_index + request.entries.size(), node.commit);
}

void Follower::Refuse(Node& node, const AppendRequest& request) const {
  // What would come could not be taken (R75).
  if (node.disk_full) return;
  const LogIndex bound = std::min(request.prev_index, node.log.last_index());
  // What is compacted was committed, so every leader holds it: the base is a hint as good as any.
  const LogPosition hint =
      node.log.LastAtMost(bound, request.prev_term)
          .value_or(LogPosition{*node.log.TermAt(node.log.prev_index()), node.log.prev_index()});
  node.out.Send(leader_, AppendReply{.term = node.term(),
                                     .accepted = false,
                                     .index = request.prev_index,
                                     .hint_index = hint.index,
                                     .hint_term = hint.term,
                                     .read_round = request.read_round,
                                     .promise_ms = PromiseMs(node.limits)});
}

void Follower::Proved(Node& node, LogIndex index) {
  node.refill.Found({node.log.TermAt(index).value_or(Term()), index});
  if (node.log.last() >= node.refill.floor) node.refill.floor = LogPosition();
}

void Follower::AdvanceCommit(Node& node, LogIndex leader_commit, LogIndex proved) const {
  node.commit = std::max(node.commit, std::min(leader_commit, proved));
}

void Follower::OnHeartbeat(Node& node, const Heartbeat& heartbeat) {
  node.trim = heartbeat.trim;
  // It carries at most what this follower acknowledged as durable (R18). A log that has lost its
  // end may hold what it had taken back before that: there only an append proves what is committed.
  const bool doubtful = node.refill.lost_up_to && heartbeat.commit > node.commit;
  if (doubtful || heartbeat.commit > node.log.last_index()) {
    // The log lost what was acknowledged (R73). Say so, as an answer to an append there would.
    if (heartbeat.commit > node.log.last_index()) {
      node.refill.Lose(heartbeat.commit, node.term());
    }
    Refuse(node, AppendRequest{.term = heartbeat.term,
                               .prev_index = heartbeat.commit,
                               .prev_term = heartbeat.term,
                               .commit = heartbeat.commit,
                               .read_round = heartbeat.read_round,
                               .trim = heartbeat.trim,
                               .entries = {}});
  } else {
    AdvanceCommit(node, heartbeat.commit, heartbeat.commit);
  }
  node.out.Send(leader_, HeartbeatReply{.term = node.term(),
                                        .read_round = heartbeat.read_round,
                                        .promise_ms = PromiseMs(node.limits)});
}

void Follower::OnSnapshotOffer(Node& node, const SnapshotOffer& offer) {
  if (offer.index <= node.commit) {
    // Nothing is missing: whatever the leader believes, this reconnects the logs (R61, R66).
    Acknowledge(node, node.commit, 0);
    return;
  }
  // The newest offer counts though it is lower: a leader before this one may have committed and
  // dropped more than this one can commit, and have in a snapshot, without our acknowledgement.
  node.snapshot.offered = offer.index;
  node.out.Send(leader_,
                SnapshotOfferReply{.term = node.term(), .installing = node.snapshot.installing});
}

void Follower::Read(Node& node, Ticket ticket) {
  if (!leader_ || !reads_.Add(ticket, node.limits.reads_pending_max)) {
    node.out.reads_failed.push_back(ticket);
  }
}

void Follower::OnReadIndexReply(Node& node, const ReadIndexReply& reply) {
  for (Ticket ticket : reads_.Answered(reply.number)) {
    if (reply.granted) {
      node.out.reads_ready.push_back({ticket, reply.index, reply.leased});
    } else {
      node.out.reads_failed.push_back(ticket);
    }
  }
}

void Follower::OnLinkReset(NodeId member) {
  if (member == leader_) reads_.RetryNow();
}

void Follower::Prepare(Node& node) {
  if (reads_.empty()) return;
  const std::uint64_t retry_ticks = 2 * std::uint64_t{node.limits.heartbeat_ticks};
  if (const auto number = reads_.Due(node.now, retry_ticks, node.random)) {
    node.out.Send(leader_, ReadIndexRequest{.term = node.term(), .number = *number});
  }
}

void Follower::FailReads(Node& node) {
  for (Ticket ticket : reads_.TakeAll()) node.out.reads_failed.push_back(ticket);
}

}  // namespace bedrock::raft
