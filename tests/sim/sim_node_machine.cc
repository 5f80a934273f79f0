// What a simulated node's state machine does: it applies, dies, is wiped, and fetches snapshots of
// others.

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "raftd/core/membership.h"
#include "tests/sim/sim_node.h"

namespace bedrock::sim {

using Kind = SimTrace::Kind;

TimeUs SimNode::DrawApply() {
  // Once healed a state machine keeps up; how slow it may be is no question of liveness.
  const TimeUs latency = machine_random_.Below(world_.options.apply_us_max + 1);
  return calm_ ? 0 : latency;
}

void SimNode::Apply() {
  apply_scheduled_ = false;
  if (to_apply_.empty()) return;
  const raft::ApplyRange range = std::move(to_apply_.front());
  to_apply_.pop_front();
  const LogIndex in_memory = range.entries.empty() ? range.last.Next() : range.entries[0].index;
  auto read = ReadAll(range.first, in_memory.Prev());
  if (!Survives(read.status(), "read to apply")) return;
  for (const raft::Entry& entry : *read) ApplyEntry(entry);
  for (const raft::Entry& entry : range.entries) ApplyEntry(entry);
  if (machine_.now.applied != range.last) {
    world_.checkers.Fail("a range to apply is whole", FormatNodeId(id_));
    return;
  }
  const bool flush = machine_random_.Chance(world_.options.flush, 1000) || calm_;
  if (flush) machine_.durable = machine_.now;
  if (machine_.now.applied >= wiped_at_) wiped_at_ = {};
  Trace(Kind::kApply, range.first.value(), range.last.value(), machine_.durable.applied.value());
  raft_->Applied(machine_.now.applied, machine_.durable.applied);
  if (!to_apply_.empty() && !std::exchange(apply_scheduled_, true)) {
    Later(DrawApply(), [this] { Apply(); });
  }
  Drain();
}

void SimNode::ApplyEntry(const raft::Entry& entry) {
  if (entry.index != machine_.now.applied.Next()) {
    world_.checkers.Fail("entries are applied in order, once", FormatNodeId(id_));
    return;
  }
  machine_.now.applied = entry.index;
  machine_.now.term = entry.term;
  machine_.now.chain = HashMix(machine_.now.chain, HashEntry(entry));
  if (entry.kind == raft::EntryKind::kMembership) {
    machine_.now.membership = {entry.index, raft::DecodeCheckedMembership(entry.payload.view())};
  }
  world_.checkers.OnApplied(id_, entry, machine_.now.chain);
  const auto proposed = proposed_.find(entry.index);
  if (proposed == proposed_.end()) return;
  if (proposed->second == entry.term) ++world_.stats.acknowledged;
  proposed_.erase(proposed);
}

void SimNode::RestartStateMachine() {
  Run(incarnation_, Source::kProcess, [this] {
    machine_.now = machine_.durable;
    Trace(Kind::kCrash, UINT64_MAX, 1);
    world_.checkers.OnStateMachineLost(id_, machine_.now.applied);
    TellMachine();
    Drain();
  });
}

void SimNode::WipeStateMachine() {
  // From here on nobody may count on it, though a process that is paused loses it only later.
  wiped_at_ = std::max(wiped_at_, machine_.now.applied);
  Run(incarnation_, Source::kProcess, [this] {
    if (calm_) {
      wiped_at_ = {};
      return;
    }
    ++world_.stats.wiped_machines;
    machine_ = {};
    Trace(Kind::kWipe, 0);
    world_.checkers.OnStateMachineLost(id_, LogIndex());
    TellMachine();
    BreakOff();
    Drain();
  });
}

void SimNode::TellMachine() {
  to_apply_.clear();
  handed_ = machine_.now.applied;
  const bool fresh = std::exchange(installed_, false);
  const MachineState& durable = machine_.durable;
  const std::optional<Term> term = raft_->TermAt(durable.applied);
  const LogIndex last = raft_->GetView().last_index;
  if (fresh || durable.applied > last || (term && *term != durable.term)) {
    Trace(Kind::kRestored, durable.applied.value(), 1);
    rules_->OnRestored(*raft_, {durable.term, durable.applied});
    raft_->RestoredTo({durable.applied, durable.term, durable.membership});
    if (fresh) return;
  }
  // What it has applied and not on disk stood in the log, and in no snapshot.
  rules_->OnApplyFrom(*raft_, machine_.now.applied);
  raft_->ApplyFrom(machine_.now.applied, durable.applied);
}

// ---- Snapshots, as storaged fetches them: piece by piece, from a source that may die or be cut
// off at any time, into a place beside the state machine; then it becomes the state machine at
// once.

void SimNode::OnWish(const raft::SnapshotWanted& wish) {
  wish_ = wish;
  if (!wish_.at_least) {
    fetching_.reset();
  } else {
    FetchLater();
  }
}

void SimNode::FetchLater() {
  if (!std::exchange(fetch_scheduled_, true)) Later(DrawPiece(), [this] { FetchSnapshot(); });
}

TimeUs SimNode::DrawPiece() {
  const TimeUs us = 1 + machine_random_.Below(world_.options.snapshot_us_max);
  return calm_ ? 1'000 : us;
}

void SimNode::FetchSnapshot() {
  fetch_scheduled_ = false;
  if (!wish_.at_least) return;
  if (installed_) {
    // What the core wants may be another one again when it knows of this one.
  } else if (!fetching_ && wish_.at_least <= machine_.now.applied) {
    // What is applied already is not fetched. It is flushed some time, and then takes the place of
    // what the log has lost.
    machine_.durable = machine_.now;
    TellMachine();
    Drain();
  } else if (!fetching_) {
    OpenSnapshot();
  } else if (fetching_->state.applied < wish_.at_least) {
    BreakOff();
  } else {
    const SimNode& source = *world_.find(fetching_->from);
    if (!Reaches(source) || source.incarnation_ != fetching_->incarnation) {
      BreakOff();
    } else if (--fetching_->pieces_left == 0) {
      Install();
    }
  }
  if (raft_ != nullptr && wish_.at_least) FetchLater();
}

bool SimNode::Reaches(const SimNode& source) const {
  return source.life_ == Life::kUp && !network_.IsCut(id_, source.id_) &&
         !network_.IsCut(source.id_, id_);
}

MachineState SimNode::Checkpoint() {
  machine_.durable = machine_.now;
  return machine_.durable;
}

void SimNode::OpenSnapshot() {
  if (!wish_.from) return;
  SimNode& source = *world_.find(wish_.from);
  if (!Reaches(source) || source.applied() < wish_.at_least) return;
  fetching_ = {.from = source.id_,
               .incarnation = source.incarnation_,
               .state = source.Checkpoint(),
               .pieces_left = machine_random_.Between(1, world_.options.snapshot_pieces_max)};
  Trace(Kind::kOpenSnapshot, source.id_.value(), fetching_->state.applied.value());
  raft_->SnapshotProgress(fetching_->state.applied);
  Drain();
}

void SimNode::BreakOff() {
  if (!fetching_) return;
  ++world_.stats.snapshots_broken;
  fetching_.reset();
  raft_->SnapshotProgress(LogIndex());
  Drain();
}

void SimNode::Install() {
  const MachineState state = std::exchange(fetching_, std::nullopt)->state;
  if (state.applied <= machine_.now.applied) return;
  machine_.now = machine_.durable = state;
  if (state.applied >= wiped_at_) wiped_at_ = {};
  to_apply_.clear();
  installed_ = true;
  ++world_.stats.snapshots;
  Trace(Kind::kInstall, state.applied.value());
  world_.checkers.OnInstalled(id_, state);
  Later(machine_random_.Below(world_.options.report_us_max + 1), [this] {
    if (!installed_) return;  // told at a restart
    const LogIndex before = raft_->GetView().first_index;
    TellMachine();
    if (raft_->GetView().first_index == before) ++world_.stats.kept_suffixes;
    Drain();
  });
}

}  // namespace bedrock::sim
