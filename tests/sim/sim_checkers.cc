#include "tests/sim/sim_checkers.h"

#include <algorithm>
#include <sstream>
#include <variant>

#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"
#include "tests/sim/sim_trace.h"

namespace bedrock::sim {

using raft::AppendReply;
using raft::AppendRequest;
using raft::Heartbeat;
using raft::Output;
using raft::Recovered;
using raft::Role;
using raft::View;
using raft::VoteReply;
using raft::VoteRequest;
using raft::Write;
using raft::WriteSeq;

namespace {

/// Joins what it is given into one text.
template <typename... Parts>
std::string Text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

std::string Name(NodeId node) { return FormatNodeId(node); }

/// Any quorum of the one meets any quorum of the other; ids that went do not come back; who stops
/// to vote is a learner first, so that it hears of it (R48).
bool MayFollow(const raft::Membership& before, const raft::Membership& after) {
  if (before.voters.empty()) return true;  // all a new node ever knew
  const bool ids = std::includes(after.removed.begin(), after.removed.end(), before.removed.begin(),
                                 before.removed.end()) &&
                   std::none_of(before.removed.begin(), before.removed.end(), [&](NodeId id) {
                     const auto all = raft::AllMembers(after);
                     return std::find(all.begin(), all.end(), id) != all.end();
                   });
  if (!ids) return false;
  if (!before.outgoing.empty()) return after.outgoing.empty() && after.voters == before.voters;
  if (after.outgoing.empty()) return after.voters == before.voters;
  const auto stays = [&after](NodeId id) {
    return std::find(after.voters.begin(), after.voters.end(), id) != after.voters.end() ||
           std::find(after.learners.begin(), after.learners.end(), id) != after.learners.end();
  };
  return after.outgoing == before.voters &&
         std::all_of(after.outgoing.begin(), after.outgoing.end(), stays);
}

/// Whether a log that was opened is what `model` says. What damage has put in doubt may be
/// anything, but the log's end, which votes go by.
bool Fits(const LogModel& model, const Recovered& recovered) {
  const auto& damaged = recovered.health.damaged;
  if (recovered.prev_index < model.base || model.last() != recovered.last_index) return false;
  if (model.TermAt(recovered.prev_index) != recovered.prev_term) return false;
  std::size_t run = 0;
  for (LogIndex i = recovered.prev_index.Next(); i <= model.last(); i = i.Next()) {
    while (run + 1 < recovered.terms.size() && recovered.terms[run + 1].first <= i) ++run;
    if (run >= recovered.terms.size()) return false;
    const bool doubtful = damaged && damaged->first <= i && i <= damaged->last;
    if (doubtful && i < model.last()) continue;
    if (recovered.terms[run].term != model.At(i)->term) return false;
  }
  return true;
}

}  // namespace

bool IsVoterOf(const raft::Membership& members, NodeId node) {
  const auto in = [node](const std::vector<NodeId>& set) {
    return std::find(set.begin(), set.end(), node) != set.end();
  };
  return in(members.voters) || in(members.outgoing);
}

raft::Membership InitialMembership(const SimOptions& options, NodeId node) {
  raft::Membership membership;
  if (node.value() > options.members) return membership;  // it waits to be taken in
  for (std::uint64_t i = 1; i <= options.members; ++i) membership.voters.push_back(NodeId(i));
  return membership;
}

SimCheckers::SimCheckers(const SimOptions& options)
    : numbered_proposals_(options.numbered_proposals),
      nodes_(options.nodes),
      beyond_drift_(options.beyond_drift),
      capped_(options.log_bytes_max > 0) {
  for (std::uint64_t i = 1; i <= options.nodes; ++i) {
    const raft::Membership initial = InitialMembership(options, NodeId(i));
    at(NodeId(i)).memory.memberships = at(NodeId(i)).disk.memberships = {{LogIndex(), initial}};
  }
}

void SimCheckers::Fail(std::string_view invariant, const std::string& seen) {
  if (failure_.empty()) failure_ = std::string(invariant) + ": " + seen;
}

void SimCheckers::OnOutput(const View& view, const raft::Membership& members,
                           const Output& output) {
  const NodeId node = view.id;
  std::optional<raft::Membership> members_before;
  if (output.write.has_value()) {
    // A commit is decided by those that were in effect before what is appended with it.
    if (view.commit > at(node).commit) members_before = at(node).memory.Members();
    OnWrite(view, *output.write);
  }
  if (members != at(node).memory.Members()) {
    Fail("the configuration in effect is the latest in the log", Name(node));
  }
  OnView(view, members_before ? &*members_before : nullptr);
  const WriteSeq reported = at(node).reported;
  for (const raft::Outgoing& outgoing : output.now) {
    CheckMessage(view, outgoing, reported);
    OnLeaves(node, outgoing);
  }
  for (const raft::HeldMessage& held : output.held) {
    if (held.after > at(node).submitted) {
      Fail("a message waits for a write that was given",
           Text(Name(node), " waits for ", held.after.value()));
    }
    CheckMessage(view, held.outgoing, std::max(held.after, reported));
  }
  at(node).dropped = view.first_index.Prev();
}

void SimCheckers::OnWrite(const View& view, const Write& write) {
  const NodeId node = view.id;
  NodeState& state = at(node);
  if (write.seq <= state.submitted) {
    Fail("writes are numbered upwards", Text(Name(node), " seq ", write.seq.value()));
  }
  state.submitted = write.seq;
  if (write.vote.has_value()) {
    const raft::Vote& old = state.memory.vote;
    const bool changed =
        write.vote->term == old.term && old.candidate && write.vote->candidate != old.candidate;
    if (write.vote->term < old.term || changed) {
      Fail("a vote stands for its term",
           Text(Name(node), " moves from term ", old.term.value(), " to ", write.vote->term.value(),
                ", candidate ", Name(write.vote->candidate)));
    }
  }
  if (write.reset_to.has_value()) {
    CheckReset(node, *write.reset_to);
    if (failed()) return;
  }
  if (write.cut_from.has_value()) CheckCut(node, *write.cut_from);
  CheckEntries(node, write);
  CheckMemberships(view, write);
  state.memory.Apply(write, committed_marks_);
  state.pending.push_back(write);
  if (state.memory.vote.term < state.memory.TermAt(state.memory.last())) {
    Fail("no entry is newer than its node's term", Name(node));
  }
}

/// What was committed is never cut, nor what a node knows to be.
void SimCheckers::CheckCut(NodeId node, LogIndex cut) {
  const NodeState& state = at(node);
  const EntryMark* mark = state.memory.At(cut);
  const bool known =
      mark != nullptr && cut <= committed() && committed_[cut.value() - 1].term == mark->term;
  // What a leader refills replaces what the damage hides.
  const bool refills = state.memory.damaged && cut == state.memory.last().Next();
  if (cut <= state.commit || known || (mark == nullptr && !refills)) {
    Fail("a committed entry is never cut",
         Text(Name(node), " cuts from ", cut.value(), " with commit ", state.commit.value()));
  }
}

/// A log is given up only for what is committed and more than it knew to be, and not where it could
/// have kept what follows.
void SimCheckers::CheckReset(NodeId node, const raft::LogReset& reset) {
  const NodeState& state = at(node);
  const bool ahead = reset.index > state.commit && reset.index <= committed();
  if (!ahead || committed_[reset.index.value() - 1].term != reset.term) {
    Fail("a snapshot holds only committed entries, and more than the log",
         Text(Name(node), " is reset to ", reset.index.value(), " of term ", reset.term.value()));
    return;
  }
  if (state.memory.TermAt(reset.index) == reset.term) {
    Fail("a log that holds a snapshot's last entry keeps what follows", Name(node));
  }
  const auto above = std::upper_bound(
      committed_memberships_.begin(), committed_memberships_.end(), reset.index,
      [](LogIndex index, const raft::MembershipChange& change) { return index < change.index; });
  const bool none = above == committed_memberships_.begin();
  if (none ? static_cast<bool>(reset.membership.index) : *std::prev(above) != reset.membership) {
    Fail("a snapshot's configuration is the newest one it has applied",
         Text(Name(node), " index ", reset.membership.index.value()));
  }
}

void SimCheckers::OnInstalled(NodeId node, const MachineState& state) {
  const bool known = state.applied && state.applied <= committed();
  if (!known || committed_[state.applied.value() - 1].chain != state.chain ||
      committed_[state.applied.value() - 1].term != state.term) {
    Fail("a snapshot is the state of a committed prefix",
         Text(Name(node), " at ", state.applied.value()));
  }
}

/// Each configuration follows from the one before so that any quorum of the one meets any of the
/// other; and a leader begins one only when the one before, and an entry of its own, are committed.
void SimCheckers::CheckMemberships(const View& view, const Write& write) {
  const bool any = std::any_of(write.entries.begin(), write.entries.end(), [](const auto& entry) {
    return entry.kind == raft::EntryKind::kMembership;
  });
  if (!any) return;
  const LogModel& memory = at(view.id).memory;
  std::vector<raft::MembershipChange> known = memory.memberships;
  if (write.reset_to) known = {write.reset_to->membership};
  while (write.cut_from && known.size() > 1 && known.back().index >= *write.cut_from) {
    known.pop_back();
  }
  for (const raft::Entry& entry : write.entries) {
    if (entry.kind != raft::EntryKind::kMembership) continue;
    if (entry.index <= known.front().index) continue;  // a log that lost entries is given them anew
    const raft::MembershipChange before = known.back();
    known.push_back({entry.index, raft::DecodeCheckedMembership(entry.payload.view())});
    if (!MayFollow(before.membership, known.back().membership)) {
      Fail("a configuration follows from the one before",
           Text(Name(view.id), " index ", entry.index.value()));
    }
    const bool own = view.role == Role::kLeader && entry.term == view.term;
    if (own && (before.index > view.commit || memory.TermAt(view.commit) != view.term)) {
      Fail("one change at a time, and none before the leader's own entry is committed",
           Text(Name(view.id), " index ", entry.index.value()));
    }
  }
}

void SimCheckers::CheckMayStand(NodeId node) {
  const NodeState& state = at(node);
  const std::vector<raft::MembershipChange>& known = state.memory.memberships;
  bool may = IsVoterOf(known.back().membership, node);
  if (known.size() > 1 && known.back().index > state.commit) {
    may = may || IsVoterOf(known[known.size() - 2].membership, node);
  }
  if (!may) Fail("only voters stand for election", Name(node));
}

void SimCheckers::CheckEntries(NodeId node, const Write& write) {
  const LogModel& memory = at(node).memory;
  LogIndex prev = write.cut_from.has_value() ? write.cut_from->Prev() : memory.last();
  std::optional<Term> prev_term = memory.TermAt(prev);
  const EntryMark* prev_mark = memory.At(prev);
  std::uint64_t prev_time_ms = prev_mark == nullptr ? 0 : prev_mark->time_ms;
  if (write.reset_to.has_value()) {
    prev = write.reset_to->index;
    prev_term = write.reset_to->term;
    prev_time_ms = 0;
  }
  for (const raft::Entry& entry : write.entries) {
    // What a leader adds itself right behind a snapshot has no stamp to go by.
    const bool stamped = entry.kind == raft::EntryKind::kCommand;
    if (entry.time_ms < std::exchange(prev_time_ms, entry.time_ms) && stamped) {
      Fail("replicated time never goes back", Text(Name(node), " index ", entry.index.value()));
    }
    if (entry.index != prev.Next() || !prev_term.has_value() || entry.term < *prev_term) {
      Fail("logs have no gaps and their terms never decrease",
           Text(Name(node), " index ", entry.index.value(), " term ", entry.term.value()));
      return;
    }
    const Identity identity{HashEntry(entry), *prev_term};
    const auto [known, fresh] =
        entries_.try_emplace(HashMix(entry.term.value(), entry.index.value()), identity);
    if (!fresh &&
        (known->second.hash != identity.hash || known->second.prev_term != identity.prev_term)) {
      Fail("log matching: an index and a term name one entry and all before it",
           Text(Name(node), " index ", entry.index.value(), " term ", entry.term.value()));
    }
    prev = entry.index;
    prev_term = entry.term;
  }
}

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
  const auto leads = leaders_.find(reply.term);
  if (leads == leaders_.end() || leads->second != leader) {
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

/// The first sign that a node leads a term.
void SimCheckers::OnLeader(NodeId node, Term term) {
  const auto [leader, fresh] = leaders_.try_emplace(term, node);
  if (leader->second != node) {
    Fail("one leader a term",
         Text(Name(leader->second), " and ", Name(node), " in term ", term.value()));
  }
  if (!fresh) return;
  CheckLeases(node, term);
  hand_overs_ += stood_.contains({node, term}) ? 1 : 0;
  const NodeState& state = at(node);
  const auto voted = [&](NodeId voter) {
    if (voter == node) return state.disk.vote == raft::Vote{term, node};
    const auto vote = votes_.find({voter, term});
    return vote != votes_.end() && vote->second == node;
  };
  if (!IsQuorumOf(state.memory.Members(), voted)) {
    Fail("a leader has the durable votes of a quorum", Text(Name(node), " in term ", term.value()));
  }
  // A paused candidate may learn late that it won: what later terms committed is not its business.
  const auto later =
      std::partition_point(committed_.begin(), committed_.end(),
                           [term](const Committed& entry) { return entry.by < term; });
  if (later == committed_.begin()) return;
  const LogIndex index(static_cast<std::uint64_t>(later - committed_.begin()));
  const EntryMark* mark = state.memory.At(index);
  const Committed& known = committed_[index.value() - 1];
  if (mark == nullptr || mark->term != known.term || mark->hash != known.hash) {
    Fail("leader completeness: a leader holds every committed entry",
         Text(Name(node), " in term ", term.value(), " lacks ", index.value()));
  }
}

void SimCheckers::OnSynced(NodeId node, WriteSeq seq) {
  NodeState& state = at(node);
  if (seq > state.submitted) {
    Fail("a log syncs what it was given", Text(Name(node), " seq ", seq.value()));
  }
  while (!state.pending.empty() && state.pending.front().seq <= seq) {
    state.disk.Apply(state.pending.front(), committed_marks_);
    state.pending.pop_front();
  }
  HealIfWhole(state);
}

void SimCheckers::OnReported(NodeId node, WriteSeq seq) { at(node).reported = seq; }

std::pair<LogIndex, Term> SimCheckers::DurableLog(NodeId node) const {
  const NodeState& state = nodes_.at(node.value() - 1);
  return {state.disk.last(), state.memory.vote.term};
}

std::size_t SimCheckers::TermsOf(NodeId node) const {
  const std::vector<EntryMark>& marks = nodes_.at(node.value() - 1).memory.marks;
  std::size_t terms = 0;
  for (std::size_t i = 0; i < marks.size(); ++i) {
    if (i == 0 || marks[i].term != marks[i - 1].term) ++terms;
  }
  return terms;
}

void SimCheckers::OnReleased(NodeId node, const raft::HeldMessage& held) {
  if (held.after > at(node).reported) {
    Fail("no held message leaves early", Text(Name(node), " after ", held.after.value()));
  }
  OnLeaves(node, held.outgoing);
}

void SimCheckers::OnView(const View& view, const raft::Membership* members_before) {
  NodeState& state = at(view.id);
  if (view.term < state.term || view.commit < state.commit || view.applied < state.applied) {
    Fail("term, commit and applied never go back",
         Text(Name(view.id), " term ", view.term.value(), " commit ", view.commit.value(),
              " applied ", view.applied.value()));
  }
  if (view.term != state.memory.vote.term || view.last_index != state.memory.last()) {
    Fail("the core is what its writes say",
         Text(Name(view.id), " term ", view.term.value(), " last ", view.last_index.value()));
  }
  const EntryMark* durable = state.memory.At(view.durable_index);
  // What a snapshot stands for is durable by the state machine.
  const bool own = view.durable_index > state.memory.base;
  if (durable != nullptr && durable->seq > state.reported && own) {
    Fail("an entry is durable when the last write of its index is",
         Text(Name(view.id), " index ", view.durable_index.value()));
  }
  if (view.applied > view.commit && view.applied > committed()) {
    Fail("only committed entries are applied", Name(view.id));
  }
  // It may have led and been deposed within one turn.
  const bool led = view.role == Role::kLeader || state.role == Role::kLeader;
  state.term = view.term;
  state.applied = view.applied;
  state.role = view.role;
  if (view.role == Role::kLeader) OnLeader(view.id, view.term);
  if (view.commit > state.commit) {
    OnCommit(view, std::exchange(state.commit, view.commit), members_before, Led(led));
  }
  if (view.role == Role::kLeader) CheckMatches(view);
}

void SimCheckers::OnCommit(const View& view, LogIndex old_commit,
                           const raft::Membership* members_before, Led led) {
  const LogModel& memory = at(view.id).memory;
  const raft::Membership& members = members_before ? *members_before : memory.Members();
  if (view.commit > memory.last()) {
    Fail("a log holds what it commits", Name(view.id));
    return;
  }
  const bool leads = view.role == Role::kLeader;
  // What it did not commit itself but has in its state machine, it has from a snapshot.
  const bool restored = view.applied == view.commit && view.commit <= committed();
  if (leads && !restored) {
    const Term term = memory.At(view.commit)->term;
    if (term != view.term) {
      Fail("a leader commits by an entry of its own term",
           Text(Name(view.id), " commits ", view.commit.value(), " of term ", term.value(),
                " in term ", view.term.value()));
    }
    const auto holds = [&](NodeId v) {
      const NodeState& voter = at(v);
      if (voter.disk.TermAt(view.commit) == term) return true;
      const std::size_t place = view.commit.value() - 1;
      return voter.hurt && place < voter.hurt->vouched.size() &&
             voter.hurt->vouched[place].term == term;
    };
    if (!IsQuorumOf(members, holds)) {
      Fail("a committed entry is durable on a quorum",
           Text(Name(view.id), " commits ", view.commit.value()));
    }
  }
  for (LogIndex index = old_commit.Next(); index <= view.commit; index = index.Next()) {
    const EntryMark& mark = *memory.At(index);
    if (index <= committed()) {
      const Committed& known = committed_[index.value() - 1];
      if (known.term != mark.term || known.hash != mark.hash) {
        Fail("a committed entry never changes", Text(Name(view.id), " index ", index.value()));
      }
      continue;
    }
    if (!led) {
      Fail("only a leader commits first", Text(Name(view.id), " index ", index.value()));
    }
    const std::uint64_t chain = committed_.empty() ? 0 : committed_.back().chain;
    if (!committed_.empty() && committed_.back().by > view.term) {
      Fail("a deposed leader commits nothing new",
           Text(Name(view.id), " index ", index.value(), " term ", view.term.value()));
    }
    committed_.push_back({mark.term, mark.hash, HashMix(chain, mark.hash), view.term});
    committed_marks_.push_back(mark);
    const auto change = std::find_if(memory.memberships.rbegin(), memory.memberships.rend(),
                                     [index](const auto& c) { return c.index <= index; });
    if (change != memory.memberships.rend() && change->index == index) {
      committed_memberships_.push_back(*change);
    }
    if (mark.joint) joints_.insert(index);
    if (!numbered_proposals_ || mark.proposal == 0) continue;
    if (!committed_proposals_.insert(mark.proposal).second || refused_.contains(mark.proposal)) {
      Fail("a proposal is committed at most once, and never when it was refused",
           Text("proposal ", mark.proposal, " at ", index.value()));
    }
  }
}

void SimCheckers::CheckMatches(const View& view) {
  NodeState& state = at(view.id);
  if (state.match_term != view.term) {
    state.match.clear();
    state.match_term = view.term;
  }
  for (const raft::MemberProgress& member : view.members) {
    LogIndex& match = state.match[member.id];
    if (member.match == match) continue;
    if (member.match < match) {
      Fail("match never goes back in a term", Text(Name(view.id), " of ", Name(member.id)));
    }
    match = member.match;
    // One that has moved on to a later term may have cut what it truthfully acknowledged; nothing
    // can be committed by it any more (paper 5.4.3).
    if (at(member.id).memory.vote.term > view.term) continue;
    // Or acknowledged it, and lost it since.
    if (IsHurt(member.id)) continue;
    if (at(member.id).disk.TermAt(match) != state.memory.TermAt(match)) {
      Fail("a leader knows only of durable entries",
           Text(Name(view.id), " believes ", Name(member.id), " has ", match.value()));
    }
  }
}

void SimCheckers::OnOpened(NodeId node, const Recovered& recovered,
                           const std::vector<raft::Entry>& entries) {
  NodeState& state = at(node);
  LogModel model = state.disk;
  auto next = state.pending.begin();
  while (!Fits(model, recovered) && next != state.pending.end()) {
    model.Apply(*next++, committed_marks_);
  }
  const bool fits = Fits(model, recovered);
  if (!fits && state.hurt && recovered.health.lost_up_to) {
    model = state.disk;
    next = state.pending.begin();
    TakeBack(node, model, recovered, entries);
  } else if (!fits) {
    Fail("a crash leaves the log of some moment since the last sync",
         Text(Name(node), " synced ", state.disk.last().value(), ", submitted ",
              state.memory.last().value(), ", recovered ", recovered.last_index.value()));
    return;
  }
  // The vote has a file of its own and goes first: it may be newer than the log, never older.
  bool vote_fits = model.vote == recovered.vote;
  for (; !vote_fits && next != state.pending.end(); ++next) {
    if (next->vote.has_value()) vote_fits = *next->vote == recovered.vote;
  }
  if (!vote_fits) {
    Fail("a synced vote is never forgotten",
         Text(Name(node), " synced term ", state.disk.vote.term.value(), ", recovered ",
              recovered.vote.term.value(), " for ", Name(recovered.vote.candidate)));
  }
  CheckHealth(node, model, recovered);
  CheckEntriesRead(node, model, recovered, entries);
  if (recovered.commit_hint > committed()) {
    Fail("a commit hint is a lower bound", Text(Name(node), " ", recovered.commit_hint.value()));
  }
  model.vote = recovered.vote;
  TakeOpened(state, std::move(model), recovered);
  // What stands in damaged entries is not believed.
  const auto change =
      std::find_if(recovered.membership_changes.rbegin(), recovered.membership_changes.rend(),
                   [&](const auto& known) { return known.index <= state.memory.last(); });
  const raft::Membership& members =
      change == recovered.membership_changes.rend() ? recovered.membership : change->membership;
  if (members != state.memory.Members()) {
    Fail("a restart takes the latest configuration in the log", Name(node));
  }
}

/// A log that has lost its end is what it was at some moment of its life: what was cut since may be
/// back.
void SimCheckers::TakeBack(NodeId node, LogModel& model, const Recovered& recovered,
                           const std::vector<raft::Entry>& entries) {
  if (recovered.prev_index < model.base ||
      model.TermAt(recovered.prev_index) != recovered.prev_term) {
    Fail("a log that lost its end keeps its beginning", Name(node));
    return;
  }
  LogIndex last = recovered.prev_index;
  std::optional<Term> prev_term = recovered.prev_term;
  for (const raft::Entry& entry : entries) {
    if (entry.index != last.Next()) break;  // behind what is in doubt
    const EntryMark mark = MarkOf(entry, {});
    const auto known = entries_.find(HashMix(entry.term.value(), entry.index.value()));
    if (known == entries_.end() || known->second.hash != mark.hash ||
        known->second.prev_term != *prev_term) {
      Fail("a log that lost its end is what it was once",
           Text(Name(node), " index ", entry.index.value()));
      return;
    }
    if (model.TermAt(entry.index) != entry.term) {
      model.CutFrom(entry.index);
      model.Append(entry, {});
    }
    last = entry.index;
    prev_term = entry.term;
  }
  model.CutFrom(last.Next());
}

void SimCheckers::CheckEntriesRead(NodeId node, const LogModel& model, const Recovered& recovered,
                                   const std::vector<raft::Entry>& entries) {
  std::uint64_t expected = recovered.last_index - recovered.prev_index;
  for (const raft::Entry& entry : entries) {
    const EntryMark* mark = model.At(entry.index);
    if (mark == nullptr && recovered.health.lost_up_to) continue;
    if (mark == nullptr || mark->hash != HashEntry(entry) || mark->term != entry.term) {
      Fail("entries read back as they were written",
           Text(Name(node), " index ", entry.index.value()));
    }
  }
  if (const auto& damaged = recovered.health.damaged) {
    expected -= damaged->last - std::max(damaged->first.Prev(), recovered.prev_index);
  }
  if (entries.size() != expected) Fail("a log reads back whole", Name(node));
}

void SimCheckers::CheckHealth(NodeId node, const LogModel& model, const Recovered& recovered) {
  const raft::Health& health = recovered.health;
  if (!at(node).hurt && (health.damaged.has_value() || health.lost_up_to)) {
    Fail("a crash alone damages nothing", Name(node));
  }
  if (health.lost_up_to && health.lost_up_to <= recovered.last_index) {
    Fail("what is there is not lost", Text(Name(node), " up to ", health.lost_up_to.value()));
  }
  if (health.lost_up_to < model.lost_up_to) {
    Fail("what was lost stays lost until a leader has refilled it",
         Text(Name(node), " up to ", model.lost_up_to.value(), ", told ",
              health.lost_up_to.value()));
  }
  const Term gone = model.last() > recovered.last_index ? *model.TermAt(model.last()) : Term();
  const Term newest = model.lost_up_to ? std::max(gone, model.lost_term) : gone;
  if (health.lost_up_to && health.lost_term < newest) {
    Fail("what was lost is no newer than it is taken for",
         Text(Name(node), " term ", newest.value(), ", told ", health.lost_term.value()));
  }
}

void SimCheckers::TakeOpened(NodeState& state, LogModel model, const Recovered& recovered) {
  const raft::Health& health = recovered.health;
  model.vote_seq = {};
  for (EntryMark& mark : model.marks) mark.seq = {};
  if (state.hurt) {
    const bool lost = static_cast<bool>(health.lost_up_to);
    if (!std::exchange(state.hurt->found, true) && !lost) state.hurt->vouched = model.marks;
    state.hurt->last = std::max({state.hurt->last, state.disk.Last(), model.Last()});
  }
  // What is in doubt counts for where the log ends, and for nothing else.
  model.damaged.reset();
  LogModel used = model;
  if (health.damaged) used.CutFrom(std::max(health.damaged->first, recovered.prev_index.Next()));
  // Who takes part is known as of what was compacted, though the log itself may end before that.
  const auto base =
      std::find_if(committed_memberships_.begin(), committed_memberships_.end(),
                   [&](const auto& change) { return change.index == recovered.membership_index; });
  if (base != committed_memberships_.end() && base->index > used.last()) {
    used.memberships = {*base};
  }
  model.lost_up_to = used.lost_up_to = health.lost_up_to;
  model.lost_term = used.lost_term = health.lost_term;
  model.damaged = used.damaged = health.damaged;
  state.memory = std::move(used);
  state.disk = std::move(model);
  state.pending.clear();
  state.submitted = {};
  state.reported = {};
  HealIfWhole(state);
}

void SimCheckers::OnDiskHurt(NodeId node) {
  NodeState& state = at(node);
  state.hurt = Hurt{.found = false, .last = state.disk.Last()};
}

void SimCheckers::HealIfWhole(NodeState& state) {
  if (!state.hurt || !state.hurt->found) return;
  const LogModel& disk = state.disk;
  if (disk.damaged || disk.lost_up_to || disk.Last() < state.hurt->last) return;
  state.hurt.reset();
}

/// What is not committed may be taken back, so the configuration before counts as well.
std::span<const raft::MembershipChange> SimCheckers::MembersKnownTo(const NodeState& state) {
  const std::span<const raft::MembershipChange> known = state.memory.memberships;
  return known.last(std::min<std::size_t>(known.size(), 2));
}

bool SimCheckers::CanSpare(NodeId node) const {
  const auto spares = [node](const std::vector<NodeId>& set) {
    const bool votes = std::find(set.begin(), set.end(), node) != set.end();
    return set.size() >= (votes ? 3 : 2);
  };
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const NodeState& each) {
    if (each.hurt) return false;
    const auto known = MembersKnownTo(each);
    return std::all_of(known.begin(), known.end(), [&](const raft::MembershipChange& change) {
      const raft::Membership& members = change.membership;
      if (members.voters.empty()) return true;  // it waits to be taken in
      return spares(members.voters) && (members.outgoing.empty() || spares(members.outgoing));
    });
  });
}

bool SimCheckers::IsHeldByOthers(NodeId node) const {
  const raft::LogPosition last = nodes_.at(node.value() - 1).disk.Last();
  const auto holds = [&](const NodeState& each) {
    return each.disk.TermAt(last.index) == last.term;
  };
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const NodeState& each) {
    const auto known = MembersKnownTo(each);
    return std::all_of(known.begin(), known.end(), [&](const raft::MembershipChange& change) {
      for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const NodeId voter(i + 1);
        const bool votes = voter != node && IsVoterOf(change.membership, voter);
        if (votes && !holds(nodes_[i])) return false;
      }
      return true;
    });
  });
}

void SimCheckers::OnStopped(NodeId node) {
  NodeState& state = at(node);
  // The promises of the next life are checked against the disk; what only memory knew may be gone.
  state.role = Role::kFollower;
  state.term = {};
  state.commit = {};
  state.applied = {};
  state.match.clear();
  state.lease_until = 0;
  for (auto read = reads_.begin(); read != reads_.end();) {
    read = read->second.node == node ? reads_.erase(read) : std::next(read);
  }
}

void SimCheckers::OnApplied(NodeId node, const raft::Entry& entry, std::uint64_t chain) {
  if (entry.index > committed()) {
    Fail("only committed entries are applied", Text(Name(node), " index ", entry.index.value()));
    return;
  }
  const Committed& known = committed_[entry.index.value() - 1];
  if (known.term != entry.term || known.hash != HashEntry(entry) || known.chain != chain) {
    Fail("state machines apply the same prefix", Text(Name(node), " index ", entry.index.value()));
  }
  const EntryMark* mark = at(node).disk.At(entry.index);
  if (mark == nullptr || mark->term != entry.term) {
    Fail("only locally durable entries are applied",
         Text(Name(node), " index ", entry.index.value()));
  }
}

void SimCheckers::OnStateMachineLost(NodeId node, LogIndex applied) {
  at(node).applied = std::min(at(node).applied, applied);
}

void SimCheckers::OnRead(NodeId node, raft::Ticket ticket) { reads_[ticket] = {node, committed()}; }

bool SimCheckers::OnReadReady(const raft::ReadReady& ready) {
  const auto read = reads_.find(ready.ticket);
  if (read == reads_.end()) {
    Fail("a read is answered once", Text("ticket ", ready.ticket.value()));
    return false;
  }
  const bool stale = ready.index < read->second.index_min;
  const bool allowed = stale && ready.leased && beyond_drift_;
  if ((stale && !allowed) || ready.index > committed()) {
    Fail("a read sees everything committed before it began",
         Text(Name(read->second.node), " ticket ", ready.ticket.value(), " reads at ",
              ready.index.value(), ", began at ", read->second.index_min.value(),
              ready.leased ? ", by a lease" : ""));
  }
  reads_.erase(read);
  return allowed;
}

void SimCheckers::OnLease(const View& view, TimeUs until_us, TimeUs now) {
  now_ = now;
  at(view.id).lease_term = view.term;
  at(view.id).lease_until = until_us;
  if (until_us <= now || beyond_drift_ || leaders_.empty()) return;
  const auto& [term, leader] = *leaders_.rbegin();
  if (term > view.term) {
    Fail("no lease comes back once somebody else was elected",
         Text(Name(view.id), " in term ", view.term.value(), ", ", Name(leader), " in term ",
              term.value()));
  }
}

void SimCheckers::CheckLeases(NodeId leader, Term term) {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const NodeState& other = nodes_[i];
    if (NodeId(i + 1) == leader || other.lease_term >= term || other.lease_until <= now_) continue;
    ++void_leases_;
    if (beyond_drift_) continue;
    Fail("nobody is elected while another leader's lease lasts",
         Text(Name(leader), " in term ", term.value(), ", ", Name(NodeId(i + 1)), " until ",
              other.lease_until, "us"));
  }
}

bool SimCheckers::WaitsForRead(NodeId node) const {
  return std::any_of(reads_.begin(), reads_.end(),
                     [node](const auto& read) { return read.second.node == node; });
}

void SimCheckers::OnReadFailed(raft::Ticket ticket) {
  if (reads_.erase(ticket) == 0) {
    Fail("a read is answered once", Text("ticket ", ticket.value()));
  }
}

}  // namespace bedrock::sim
