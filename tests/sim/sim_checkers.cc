#include "tests/sim/sim_checkers.h"

#include <algorithm>

#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"
#include "tests/sim/sim_text.h"
#include "tests/sim/sim_trace.h"

namespace bedrock::sim {

using raft::Output;
using raft::Role;
using raft::View;
using raft::Write;
using raft::WriteSeq;

namespace {

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
