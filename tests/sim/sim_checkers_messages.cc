#include "tests/sim/sim_checkers.h"

#include <algorithm>
#include <variant>

#include "tests/sim/sim_text.h"
#include "tests/sim/sim_trace.h"

namespace bedrock::sim {

using raft::AppendReply;
using raft::AppendRequest;
using raft::Heartbeat;
using raft::Role;
using raft::View;
using raft::VoteReply;
using raft::VoteRequest;
using raft::WriteSeq;

void SimCheckers::CheckMessage(const View& view, const raft::Outgoing& outgoing, WriteSeq durable) {
  const NodeId node = view.id;
  const NodeState& state = at(node);
  if (const auto* reply = std::get_if<VoteReply>(&outgoing.message)) {
    if (!reply->pre_vote && reply->granted) {
      CheckVoteGiven(node, reply->term, outgoing.to, durable);
    }
  } else if (const auto* request = std::get_if<VoteRequest>(&outgoing.message)) {
    // One that has heard a leader since, in the same turn, has a longer log than it said.
    const bool stands = state.role == Role::kPreCandidate || state.role == Role::kCandidate;
    if (stands && (request->last_index != state.memory.last() ||
                   request->last_term != state.memory.TermAt(state.memory.last()))) {
      Fail("a candidate names its last entry", Name(node));
    }
    CheckMayStand(node);
    if (!request->pre_vote) CheckVoteGiven(node, request->term, node, durable);
    if (!request->pre_vote && !request->hand_over) CheckPreElected(node, request->term);
    if (request->hand_over) {
      if (request->pre_vote || !wished_.contains({node, request->term.Prev()})) {
        Fail("only whom the leader asked stands at its wish", Name(node));
      }
      stood_.insert({node, request->term});
    }
  } else if (const auto* append = std::get_if<AppendRequest>(&outgoing.message)) {
    OnLeader(node, append->term);
    CheckAppend(node, *append);
    CheckTrim(view, append->trim);
  } else if (const auto* heartbeat = std::get_if<Heartbeat>(&outgoing.message)) {
    OnLeader(node, heartbeat->term);
    CheckTrim(view, heartbeat->trim);
  } else if (const auto* accepted = std::get_if<AppendReply>(&outgoing.message)) {
    if (accepted->accepted) CheckAccepted(node, outgoing.to, *accepted, durable);
  } else if (const auto* wish = std::get_if<raft::TimeoutNow>(&outgoing.message)) {
    OnLeader(node, wish->term);
    CheckTimeoutNow(node, outgoing.to, *wish);
  }
}

/// Nobody raises the term that a quorum would not vote for (R13).
void SimCheckers::CheckPreElected(NodeId node, Term term) {
  const auto granted = [&](NodeId voter) {
    return voter == node || pre_votes_.contains({voter, node, term});
  };
  if (!IsQuorumOf(at(node).memory.Members(), granted)) {
    Fail("only whom a quorum would elect stands", Text(Name(node), " in term ", term.value()));
  }
}

/// Who is asked to stand holds all that the leader does, so that it can win, and nothing is lost.
void SimCheckers::CheckTimeoutNow(NodeId node, NodeId to, const raft::TimeoutNow& wish) {
  const LogModel& memory = at(node).memory;
  const bool moved_on = at(to).memory.vote.term > wish.term;
  // Deposed in the same turn, or done with waiting and at work again: then the wish is void (R58).
  const bool leads = at(node).role == Role::kLeader && at(node).term == wish.term;
  const LogIndex last = std::min(wish.last_index, memory.last());
  if (leads && (wish.last_index > memory.last() ||
                (!moved_on && !IsHurt(to) && at(to).disk.TermAt(last) != memory.TermAt(last)))) {
    Fail("a leader hands over to one that holds its whole log", Text(Name(node), " to ", Name(to)));
  }
  wished_.insert({to, wish.term});
}

/// The vote as it is once `durable` is, whatever is given to the log behind that.
std::optional<raft::Vote> SimCheckers::VoteOnceDurable(const NodeState& state, WriteSeq durable) {
  std::optional<raft::Vote> vote;
  if (state.disk.vote_seq <= durable) vote = state.disk.vote;
  for (const raft::Write& write : state.pending) {
    if (write.seq <= durable && write.vote) vote = write.vote;
  }
  return vote;
}

/// A vote for others or itself is about to leave: it must be durable by then.
void SimCheckers::CheckVoteGiven(NodeId node, Term term, NodeId candidate, WriteSeq durable) {
  const LogModel& memory = at(node).memory;
  // Where the vote had left before, it was durable then.
  const auto given = votes_.find({node, term});
  const bool again = given != votes_.end() && given->second == candidate;
  if (again && memory.vote.term > term) return;
  const std::optional<raft::Vote> vote = VoteOnceDurable(at(node), durable);
  // A later term, in the same turn, forbids as much: no other vote can be given in this one.
  if (!vote || (*vote != raft::Vote{term, candidate} && vote->term <= term)) {
    Fail("a vote is durable before it leaves",
         Text(Name(node), " votes for ", Name(candidate), " in term ", term.value(), " with write ",
              memory.vote_seq.value(), " and ", durable.value(), " durable"));
  }
}

/// A vote counts from when it leaves: one that a crash took with it may be given anew.
void SimCheckers::OnLeaves(NodeId node, const raft::Outgoing& outgoing) {
  Term term;
  NodeId candidate;
  if (const auto* reply = std::get_if<VoteReply>(&outgoing.message)) {
    if (!reply->granted) return;
    if (reply->pre_vote) {
      pre_votes_.insert({node, outgoing.to, reply->term});
      return;
    }
    term = reply->term;
    candidate = outgoing.to;
  } else if (const auto* request = std::get_if<VoteRequest>(&outgoing.message)) {
    if (request->pre_vote) return;
    term = request->term;
    candidate = node;
  } else {
    return;
  }
  const auto [given, fresh] = votes_.try_emplace({node, term}, candidate);
  if (!fresh && given->second != candidate) {
    Fail("one vote a node and term", Text(Name(node), " in term ", term.value(), " for ",
                                          Name(given->second), " and ", Name(candidate)));
  }
}

void SimCheckers::CheckAppend(NodeId node, const AppendRequest& append) {
  const LogModel& memory = at(node).memory;
  LogIndex index = append.prev_index;
  std::optional<Term> term = append.prev_term;
  bool same = memory.TermAt(index) == term;
  for (const raft::Entry& entry : append.entries) {
    index = index.Next();
    term = entry.term;
    const EntryMark* mark = memory.At(index);
    same = same && entry.index == index && mark != nullptr && mark->term == entry.term &&
           mark->hash == HashEntry(entry);
  }
  // Deposed in the same turn, it may have cut what it had said to send.
  same = same || at(node).role != Role::kLeader || at(node).term != append.term;
  if (!same) Fail("a leader sends its own log", Text(Name(node), " up to ", index.value()));
  // The view is looked at once the outputs are carried out, so the commit here may be newer.
  appended_[{append.term, index}] = *term;
}

/// Said before a reset, in the same turn: what that takes the place of is on the disk until then.
bool SimCheckers::WasDurable(const NodeState& state, LogIndex index, WriteSeq durable) const {
  if (index > state.memory.base) return false;
  LogModel then = state.disk;
  for (const raft::Write& write : state.pending) {
    if (write.seq <= durable) then.Apply(write, committed_marks_);
  }
  return then.TermAt(index) == state.memory.TermAt(index);
}

/// "My log is yours up to this index, durably": the entries' last writes must be done.
void SimCheckers::CheckAccepted(NodeId node, NodeId leader, const AppendReply& reply,
                                WriteSeq durable) {
  const NodeState& state = at(node);
  const EntryMark* mark = state.memory.At(reply.index);
  if (!IsLeaderOf(reply.term, leader)) {
    Fail("only the leader of the term is answered", Text(Name(node), " to ", Name(leader)));
    return;
  }
  if (!reply.index) return;
  // A newer leader, in the same turn, may have cut it: the old one can commit nothing by it.
  if (state.term > reply.term) return;
  if (mark == nullptr || (mark->seq > durable && !WasDurable(state, reply.index, durable))) {
    Fail("nothing is acknowledged before it is durable",
         Text(Name(node), " acknowledges ", reply.index.value(), " with ", durable.value(),
              " durable"));
    return;
  }
  const auto sent = appended_.find({reply.term, reply.index});
  const bool proved = sent != appended_.end() && sent->second == mark->term;
  const bool known =
      reply.index <= committed() && committed_[reply.index.value() - 1].term == mark->term;
  if (!proved && !known) {
    Fail("an acknowledgement names what the request proved",
         Text(Name(node), " index ", reply.index.value(), " term ", reply.term.value()));
  }
}

/// What leaders let go of is committed; and unless logs are trimmed by size, it is on every
/// member's disk, but for those that fetch a snapshot and what that brings.
void SimCheckers::CheckTrim(const View& view, LogIndex trim) {
  if (trim > committed()) Fail("only what is committed is trimmed", Text(trim.value()));
  if (capped_ || view.role != Role::kLeader) return;
  for (const raft::MemberProgress& member : view.members) {
    if (member.state == raft::ReplicationState::kSnapshot) continue;
    // What it has lost it held.
    if (IsHurt(member.id)) continue;
    // What was dropped before, under another leader or when it was no member, can't be kept.
    if (at(member.id).disk.last() < trim && trim > at(view.id).dropped) {
      Fail("only what every member holds is trimmed",
           Text("trim ", trim.value(), ", ", Name(member.id), " holds ",
                at(member.id).disk.last().value()));
    }
  }
}

void SimCheckers::OnReleased(NodeId node, const raft::HeldMessage& held) {
  if (held.after > at(node).reported) {
    Fail("no held message leaves early", Text(Name(node), " after ", held.after.value()));
  }
  OnLeaves(node, held.outgoing);
}

}  // namespace bedrock::sim
