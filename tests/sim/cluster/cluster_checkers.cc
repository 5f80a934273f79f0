#include "tests/sim/cluster/cluster_checkers.h"

#include <algorithm>

#include "bedrock/iterator.h"
#include "tests/sim/cluster/cluster_trace.h"
#include "tests/sim/sim_text.h"

namespace bedrock::sim {

namespace {

SimOptions RaftOptions(const ClusterOptions& options) {
  SimOptions raft;
  raft.seed = options.seed;
  raft.members = options.nodes;
  raft.nodes = options.machines();
  raft.limits = options.RaftLimits();
  raft.log_bytes_max = options.log_bytes_max;
  raft.numbered_proposals = false;
  return raft;
}

}  // namespace

ClusterCheckers::ClusterCheckers(const ClusterOptions& options)
    : raft_(RaftOptions(options)), nodes_(options.machines()) {}

void ClusterCheckers::Fail(std::string_view invariant, const std::string& seen) {
  if (!failed()) failure_ = std::string(invariant) + ": " + seen;
}

void ClusterCheckers::FailIf(const std::string& wrong, std::string_view invariant, NodeId node) {
  if (!wrong.empty()) Fail(invariant, Text(Name(node), " ", wrong));
}

std::uint64_t ClusterCheckers::ChainAt(LogIndex index) const {
  return index ? effects_.at(index.value() - 1).chain : 0;
}

void ClusterCheckers::OnOpened(NodeId node, const engine::Engine& engine) {
  const LogIndex recovered = engine.applied().index;
  Node& state = at(node);
  if (recovered < state.durable && state.may_have_lost) {
    state.lost = std::max(state.lost, state.durable);
  } else if (recovered < state.durable) {
    Fail("what storaged had made durable survives",
         Text(Name(node), " had ", state.durable.value(), ", recovered ", recovered.value()));
    return;
  }
  if (recovered.value() > effects_.size()) {
    Fail("storaged recovers what was applied", Text(Name(node), " index ", recovered.value()));
    return;
  }
  state.applied = state.durable = recovered;
  checks_.OnRecovered(node, recovered);
  CompareContent(node, engine, "what storaged recovers is what the log says");
  const Version watermark = reference_.WatermarkAt(Version(recovered.value()));
  if (failed() || !watermark) return;
  CompareContent(node, engine, watermark, "storaged recovers all history from the watermark on");
}

void ClusterCheckers::CompareContent(NodeId node, const engine::Engine& engine,
                                     std::string_view invariant) {
  CompareContent(node, engine, Version(engine.applied().index.value()), invariant);
}

void ClusterCheckers::CompareContent(NodeId node, const engine::Engine& engine, Version version,
                                     std::string_view invariant) {
  const auto expected = reference_.Content(version);
  const auto walk = engine.NewIterator({.at = version}, {});
  const torture::Walked walked = torture::WalkAll(*walk, expected, torture::Direction::kForward);
  if (walked.status.IsCorruption() && at(node).rots) return;
  if (walked.status.ok() && at(node).altered) return;
  if (!walked.status.ok()) {
    // Also so that nobody complains of a status that was not looked at.
    Fail(invariant, Text(Name(node), " can't be read: ", walked.status.ToString()));
  } else if (!walked.complete) {
    Fail(invariant, Text(Name(node), " at ", version.value(), ": ", walked.wrong,
                         walked.wrong.empty() ? "entries are missing" : ""));
  }
}

bool ClusterCheckers::TakeNext(NodeId node, LogIndex index) {
  LogIndex& applied = at(node).applied;
  if (index != applied.Next()) {
    Fail("entries are applied in order, once",
         Text(Name(node), " applies ", index.value(), " after ", applied.value()));
    return false;
  }
  applied = index;
  return true;
}

void ClusterCheckers::OnApply(NodeId node, const raft::Entry& entry, std::string_view changes) {
  if (!TakeNext(node, entry.index)) return;
  const std::uint64_t entry_hash = HashMix(entry.term.value(), HashEntry(entry));
  const std::uint64_t changes_hash = HashFrame(changes);
  if (entry.index.value() > effects_.size()) {
    const std::uint64_t chain = HashMix(ChainAt(entry.index.Prev()), HashEntry(entry));
    effects_.push_back({entry_hash, changes_hash, chain});
    const std::string wrong = reference_.Execute(entry, changes);
    if (!wrong.empty()) Fail("storaged does what the log says", Text(Name(node), " ", wrong));
    FailIf(checks_.OnEntry(entry), "the slices of a pass follow on each other", node);
  } else {
    const Effect& first = effects_.at(entry.index.value() - 1);
    if (first.entry != entry_hash) {
      Fail("replicas apply the same entries", Text(Name(node), " index ", entry.index.value()));
    } else if (first.changes != changes_hash) {
      Fail("replicas do the same with an entry", Text(Name(node), " index ", entry.index.value()));
    }
  }
  if (!failed()) raft_.OnApplied(node, entry, ChainAt(entry.index));
}

bool ClusterCheckers::IsOtherThan(LogIndex index, std::string_view changes) const {
  return effects_.at(index.value() - 1).changes != HashFrame(changes);
}

void ClusterCheckers::OnOtherApply(NodeId node, const raft::Entry& entry) {
  if (!TakeNext(node, entry.index)) return;
  checks_.OnOtherEffect(node, entry.index);
  raft_.OnApplied(node, entry, ChainAt(entry.index));
}

void ClusterCheckers::OnDurable(NodeId node, LogIndex durable) {
  Node& state = at(node);
  if (durable < state.durable || durable > state.applied) {
    Fail("what is durable only grows, up to what is applied",
         Text(Name(node), " from ", state.durable.value(), " to ", durable.value(), " with ",
              state.applied.value(), " applied"));
  }
  state.durable = durable;
}

void ClusterCheckers::OnCheck(NodeId node, const raft::StateCheck& check) {
  const Node& state = at(node);
  FailIf(checks_.OnFound(node, check), "a check tells of whatever was done otherwise", node);
  if (check.kind == raft::StateCheck::Kind::kDamaged && !state.rots) {
    Fail("a check reads all of the state", Text(Name(node), " index ", check.index.value()));
  }
  if (check.kind == raft::StateCheck::Kind::kDamaged || state.altered) return;
  if (check.kind == raft::StateCheck::Kind::kUnknown && state.rotted) return;
  FailIf(checks_.OnRight(check), "a check gives the same on all replicas", node);
}

void ClusterCheckers::OnNextSlice(NodeId node, LogIndex check, std::string_view next) {
  if (at(node).altered || at(node).rotted) return;
  FailIf(checks_.OnNext(check, next), "the slices of a pass follow on each other", node);
}

void ClusterCheckers::OnDiffering(NodeId node, LogIndex index) {
  FailIf(checks_.OnDiffering(index), "replicas differ only where their checks did", node);
}

void ClusterCheckers::OnDifferenceOver(NodeId node, LogIndex differed, LogIndex agreed,
                                       const raft::Membership& members) {
  FailIf(checks_.OnOver(differed, agreed, members),
         "that replicas differ is said until a quorum agrees on what differed", node);
}

void ClusterCheckers::OnDifferenceHeld(NodeId node, LogIndex differing, LogIndex agreed,
                                       const raft::StateCheck& own) {
  FailIf(checks_.OnHeld(differing, agreed, own),
         "that replicas differ is said no longer than until a quorum agrees on all", node);
}

void ClusterCheckers::OnWiped(NodeId node) {
  Node& state = at(node);
  const LogIndex lost = std::max(state.lost, state.durable);
  state = {};
  state.lost = lost;
  checks_.OnRightAgain(node);
}

void ClusterCheckers::OnSnapshot(NodeId node, const engine::Engine& engine) {
  const engine::AppliedMark mark = engine.applied();
  Node& state = at(node);
  if (mark.index <= state.applied || engine.durable_applied() != mark ||
      mark.index.value() > effects_.size()) {
    Fail("a snapshot takes a node forward, and is on its disk",
         Text(Name(node), " from ", state.applied.value(), " to ", mark.index.value(), " with ",
              engine.durable_applied().index.value(), " on the disk"));
    return;
  }
  state.applied = state.durable = mark.index;
  CompareContent(node, engine, "a snapshot is what the log says");
  raft_.OnInstalled(
      node,
      {.applied = mark.index, .term = mark.term, .chain = ChainAt(mark.index), .membership = {}});
}

void ClusterCheckers::OnGet(NodeId node, const proto::Get& get, const proto::GetReply& reply) {
  const std::string wrong = reference_.CheckGet(get, reply);
  if (!wrong.empty()) Fail("a read gives what the version holds", Text(Name(node), ": ", wrong));
}

void ClusterCheckers::OnQuery(NodeId node, std::string_view command,
                              const proto::CommandResult& result, Version version) {
  const std::string wrong = reference_.CheckQuery(command, result, version);
  if (!wrong.empty()) Fail("a query gives what the version holds", Text(Name(node), ": ", wrong));
}

void ClusterCheckers::OnReply(NodeId node, const proto::CommandResult& result) {
  if (result.version.value() > effects_.size()) {
    Fail("a command is answered once it is applied",
         Text(Name(node), " version ", result.version.value()));
    return;
  }
  const std::string wrong = reference_.CheckReply(result);
  if (!wrong.empty())
    Fail("a command is answered as it was executed", Text(Name(node), ": ", wrong));
}

void ClusterCheckers::OnCommitted(std::string_view who, Version floor, Version version) {
  if (version <= floor) {
    Fail("what begins later is committed later",
         Text(who, " committed at ", version.value(), " though it began after ", floor.value()));
  }
  OnSettled(version);
}

void ClusterCheckers::OnRead(std::string_view who, Version floor, Version version) {
  if (version < floor) {
    Fail("a linearizable read sees whatever was settled before it began",
         Text(who, " read at ", version.value(), " though it began after ", floor.value()));
  }
  OnSettled(version);
}

void ClusterCheckers::OnServed(NodeId node, Version at, LogIndex applied) {
  const Version watermark = reference_.WatermarkAt(Version(applied.value()));
  if (at >= watermark) return;
  Fail("reads below the watermark are refused",
       Text(Name(node), " reads at ", at.value(), " below ", watermark.value()));
}

void ClusterCheckers::OnConverged(const std::vector<Replica>& replicas) {
  const Replica* first = nullptr;
  for (const Replica& replica : replicas) {
    CompareContent(replica.node, *replica.engine, "all replicas hold the same in the end");
    if (first == nullptr) {
      first = &replica;
      continue;
    }
    if (replica.engine->applied().index != first->engine->applied().index) {
      Fail("all replicas stand at the same version in the end",
           Text(Name(replica.node), " at ", replica.engine->applied().index.value(), ", ",
                Name(first->node), " at ", first->engine->applied().index.value()));
    } else if (replica.machine->sessions().Encode() != first->machine->sessions().Encode()) {
      Fail("all replicas hold the same session table in the end", Name(replica.node));
    }
  }
}

}  // namespace bedrock::sim
