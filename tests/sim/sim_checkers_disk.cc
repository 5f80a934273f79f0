#include "tests/sim/sim_checkers.h"

#include <algorithm>

#include "tests/sim/sim_text.h"
#include "tests/sim/sim_trace.h"

namespace bedrock::sim {

using raft::Recovered;
using raft::Role;
using raft::WriteSeq;

namespace {

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

}  // namespace bedrock::sim
