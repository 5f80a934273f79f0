#include "tests/sim/sim_cluster.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <sstream>
#include <utility>

#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"

namespace bedrock::sim {

using Kind = SimTrace::Kind;
using CrashMode = MemoryFileSystem::CrashMode;

namespace {

constexpr TimeUs kPauseUsMean = 300'000;
constexpr TimeUs kStallUsMean = 500'000;
constexpr TimeUs kFullUsMean = 500'000;
constexpr std::uint64_t kCrashPointCallsMax = 12;

}  // namespace

SimCluster::SimCluster(const SimOptions& options, PrintTrace print)
    : options_(options),
      streams_(options.seed),
      trace_(print),
      checkers_(options_),
      network_(options_, streams_.network, scheduler_, trace_,
               [this](NodeId from, NodeId to, const SimNetwork::MessagePtr& message) {
                 node(to).Receive(from, message);
               }),
      find_([this](NodeId id) { return &node(id); }),
      in_core_(options.nodes, true) {
  const SimWorld world{options_, scheduler_, trace_, checkers_, stats_, find_};
  for (std::uint64_t i = 1; i <= options_.nodes; ++i) {
    nodes_.push_back(
        std::make_unique<SimNode>(NodeId(i), world, network_, streams_.disk.Fork(100 + i)));
    const std::uint64_t skew = options_.clock_skew_per_mille;
    nodes_.back()->SetClock(streams_.clock.Between(1000 - skew, 1000 + skew));
  }
}

SimCluster::~SimCluster() = default;

SimResult SimCluster::Run() {
  for (const auto& each : nodes_) each->Start();
  ScheduleProposals();
  ScheduleReads();
  ScheduleNemesis();
  ScheduleChanges();
  RunFaults();
  if (!checkers_.failed()) RunHealed();
  stats_.events = scheduler_.events_run();
  stats_.leaders = checkers_.leaders();
  stats_.hand_overs = checkers_.hand_overs();
  stats_.joints = checkers_.joints();
  stats_.void_leases = checkers_.void_leases();
  stats_.committed = checkers_.committed().value();
  SimResult result{
      .ok = !checkers_.failed(), .failure = {}, .trace_hash = trace_.hash(), .stats = stats_};
  if (!result.ok) result.failure = Describe();
  return result;
}

std::string SimCluster::Describe() const {
  std::ostringstream out;
  out << "seed " << options_.seed << " after " << scheduler_.now() << "us and "
      << scheduler_.events_run() << " events\n"
      << checkers_.failure() << "\n"
      << options_.ToString() << "\nlast events:\n"
      << trace_.Last();
  for (const auto& each : nodes_) {
    out << FormatNodeId(each->id()) << ": ";
    const auto view = each->view();
    if (!view.has_value()) {
      out << "down\n";
      continue;
    }
    out << "role " << static_cast<int>(view->role) << " term " << view->term.value() << " last "
        << view->last_index.value() << " durable " << view->durable_index.value() << " commit "
        << view->commit.value() << " applied " << each->applied().value() << "\n";
  }
  return out.str();
}

bool SimCluster::RunUntil(TimeUs deadline, const std::function<bool()>& done) {
  while (!checkers_.failed() && scheduler_.now() < deadline) {
    if (done()) return true;
    if (!scheduler_.RunOne()) break;
  }
  return done();
}

void SimCluster::RunFaults() {
  RunUntil(options_.duration_us, [] { return false; });
}

void SimCluster::Heal() {
  trace_.Add(scheduler_.now(), Kind::kPhase, 0, 2);
  healed_ = true;
  std::vector<NodeId> order;
  for (const auto& each : nodes_) order.push_back(each->id());
  if (options_.majority_only) {
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[streams_.nemesis.Below(i)]);
    }
    // Whoever's log is hurt may not vote for long: it is healed by a majority of the others.
    const auto hurt = std::find_if(order.begin(), order.end(),
                                   [this](NodeId id) { return checkers_.IsHurt(id); });
    const std::size_t more = hurt == order.end() ? 0 : 1;
    if (more > 0) std::swap(*hurt, order.front());
    for (std::size_t i = order.size() / 2 + 1 + more; i < order.size(); ++i) {
      in_core_[order[i].value() - 1] = false;
    }
  }
  for (const NodeId from : order) {
    for (const NodeId to : order) network_.Heal(from, to);
  }
  for (const NodeId outsider : order) {
    if (!in_core_[outsider.value() - 1]) SendAway(outsider);
  }
  network_.Calm();
  for (const auto& each : nodes_) {
    each->Calm();
  }
}

/// For ever: gone, or deaf (so a leader that goes on leading would keep the others from electing
/// one that can commit), or dumb.
void SimCluster::SendAway(NodeId outsider) {
  const std::uint64_t fate = streams_.nemesis.Below(3);
  if (fate == 0) node(outsider).StopForEver();
  for (const auto& each : nodes_) {
    if (each->id() == outsider) continue;
    if (fate == 1) network_.Cut(each->id(), outsider);
    if (fate == 2) network_.Cut(outsider, each->id());
  }
}

const SimNode* SimCluster::FindLeader() const {
  const SimNode* found = nullptr;
  for (const auto& each : nodes_) {
    const auto view = each->view();
    if (!InCore(each->id()) || !view || view->role != raft::Role::kLeader) continue;
    if (found == nullptr || view->term > found->view()->term) found = each.get();
  }
  return found;
}

/// One leader that is a voter, no change of members under way, and every member's log ends where
/// the leader's does, committed and applied. Who was removed, or never taken in, is of no interest.
bool SimCluster::Converged() const {
  const SimNode* leader = FindLeader();
  if (leader == nullptr) return false;
  const raft::Membership& members = leader->membership();
  const raft::View goal = *leader->view();
  // Who is gone is promoted never.
  const bool promotes = std::any_of(members.promoting.begin(), members.promoting.end(),
                                    [this](NodeId id) { return InCore(id); });
  if (!raft::IsSettled(members) || promotes) return false;
  if (goal.handing_over_to) return false;               // it takes no proposals yet
  if (!IsVoterOf(members, leader->id())) return false;  // it leads what it left
  const std::vector<NodeId> all = raft::AllMembers(members);
  return std::all_of(all.begin(), all.end(), [&](NodeId id) {
    if (!InCore(id)) return true;
    const SimNode& member = *nodes_[id.value() - 1];
    const auto view = member.view();
    return view && member.life() == SimNode::Life::kUp && view->term == goal.term &&
           (view->role == raft::Role::kLeader) == (id == leader->id()) &&
           view->last_index == goal.last_index && view->commit == goal.last_index &&
           member.applied() == goal.last_index;
  });
}

NodeId SimCluster::CoreLeader() const { return FindLeader()->id(); }

/// Whoever was asked for a read and could be answered, was.
bool SimCluster::Answered() const {
  return std::none_of(nodes_.begin(), nodes_.end(), [this](const auto& each) {
    return InCore(each->id()) && checkers_.WaitsForRead(each->id());
  });
}

/// An election takes a few timeouts, even where votes split; catching up takes a round trip an
/// entry where the windows are tiny.
TimeUs SimCluster::HealedBound() const {
  const TimeUs timeout = options_.limits.election_ticks_max * options_.tick_us * 2;
  std::uint64_t entries = 1'000;
  for (const auto& each : nodes_) {
    const auto view = each->view();
    if (view.has_value()) entries = std::max(entries, view->last_index.value() + 1'000);
  }
  return scheduler_.now() + 30 * timeout +
         entries * (options_.sync_us_max + options_.report_us_max + 5'000);
}

void SimCluster::RunHealed() {
  Heal();
  if (!RunUntil(HealedBound(), [&] { return Converged(); })) {
    checkers_.Fail("a healed majority elects a leader and converges", "it did not");
    return;
  }
  const LogIndex before = checkers_.committed();
  for (const NodeId id : raft::AllMembers(FindLeader()->membership())) {
    if (!InCore(id)) continue;
    SimNode* each = &node(id);
    each->Propose({++proposals_}, 8);
    each->Read(raft::Ticket(++tickets_));
  }
  const auto served = [&] { return Converged() && Answered() && checkers_.committed() > before; };
  if (!RunUntil(HealedBound(), served)) {
    checkers_.Fail("a healed majority serves writes and reads", "it did not");
    return;
  }
  RunTransfer();
}

/// Leadership moves where it is asked to, or stays and works. Where disks are fast beside the
/// timeouts and nobody outside interferes, it moves.
void SimCluster::RunTransfer() {
  const NodeId leader = CoreLeader();
  const NodeId target = AnyNode(streams_.nemesis);
  const std::vector<NodeId>& voters = FindLeader()->membership().voters;
  const bool is_voter = std::find(voters.begin(), voters.end(), target) != voters.end();
  if (!InCore(target) || !is_voter) return;
  // Where the leader's log ends before what the target once lost, that may not stand yet (R73).
  const bool whole = !node(target).view()->refilling;
  const std::uint64_t life = node(target).incarnation();
  node(leader).Transfer(target);
  if (!RunUntil(HealedBound(), [&] { return Converged(); })) {
    checkers_.Fail("a cluster converges after a transfer of leadership", "it did not");
    return;
  }
  const TimeUs election = options_.limits.election_ticks_min * options_.tick_us;
  const bool must_move =
      whole && node(target).incarnation() == life && !options_.majority_only &&
      4 * (options_.sync_us_max + options_.report_us_max + SimNetwork::kCalmDelayUs) < election;
  if (must_move && CoreLeader() != target) {
    checkers_.Fail("leadership moves where it is asked to",
                   FormatNodeId(leader) + " to " + FormatNodeId(target));
    return;
  }
  const LogIndex before = checkers_.committed();
  node(CoreLeader()).Propose({++proposals_}, 8);
  if (!RunUntil(HealedBound(), [&] { return Converged() && checkers_.committed() > before; })) {
    checkers_.Fail("a cluster serves after a transfer of leadership", "it did not");
  }
}

void SimCluster::ScheduleProposals() {
  scheduler_.After(DrawExponential(streams_.workload, options_.proposal_us_mean), [this] {
    if (healed_) return;
    Propose();
    ScheduleProposals();
  });
}

/// Mostly a node that believes it leads, so that something gets done; sometimes any.
NodeId SimCluster::ProposalTarget() {
  if (streams_.workload.Chance(1, 10)) return AnyNode(streams_.workload);
  return Leader(streams_.workload);
}

NodeId SimCluster::Leader(Random& random) const {
  std::vector<NodeId> leaders;
  for (const auto& each : nodes_) {
    const auto view = each->view();
    if (view.has_value() && view->role == raft::Role::kLeader) leaders.push_back(each->id());
  }
  if (leaders.empty()) return AnyNode(random);
  return leaders[random.Below(leaders.size())];
}

void SimCluster::Propose() {
  std::vector<std::uint64_t> proposals(streams_.workload.Between(1, options_.proposal_entries_max));
  for (std::uint64_t& proposal : proposals) proposal = ++proposals_;
  const std::uint64_t bytes = streams_.workload.Below(options_.payload_bytes_max + 1);
  node(ProposalTarget()).Propose(proposals, bytes);
}

void SimCluster::ScheduleReads() {
  scheduler_.After(DrawExponential(streams_.workload, options_.read_us_mean), [this] {
    if (healed_) return;
    Read();
    ScheduleReads();
  });
}

void SimCluster::Read() { node(AnyNode(streams_.workload)).Read(raft::Ticket(++tickets_)); }

void SimCluster::ScheduleNemesis() {
  scheduler_.After(DrawExponential(streams_.nemesis, options_.nemesis_us_mean), [this] {
    if (healed_) return;
    Disturb();
    ScheduleNemesis();
  });
}

void SimCluster::Disturb() {
  Random& random = streams_.nemesis;
  const NodeId target = AnyNode(random);
  const NodeId other = AnyNode(random);
  const TimeUs pause = DrawExponential(random, kPauseUsMean);
  const TimeUs stall = DrawExponential(random, kStallUsMean);
  const TimeUs full = DrawExponential(random, kFullUsMean);
  const TimeUs low = DrawExponential(random, kFullUsMean);
  const std::uint64_t calls = random.Between(1, kCrashPointCallsMax);
  const std::uint64_t calls_in_sync = random.Between(1, 2);  // the write, and the sync after it
  const std::vector<std::pair<std::uint64_t, std::function<void()>>> actions = {
      {options_.weight_partition, [this] { PartitionNodes(); }},
      {options_.weight_one_way, [this] { CutOneLink(); }},
      {options_.weight_isolate, [this] { IsolateLeader(); }},
      {options_.weight_heal, [this] { HealSome(); }},
      {options_.weight_crash, [&] { CrashOne(target); }},
      {options_.weight_crash_all, [this] { CrashAll(); }},
      {options_.weight_crash_point, [&] { node(target).ArmCrashPoint(calls); }},
      {options_.weight_crash_point, [&] { node(target).ArmCrashInSync(calls_in_sync); }},
      {options_.weight_pause, [&] { node(target).Pause(pause); }},
      {options_.weight_stall, [&] { node(target).StallDisk(stall); }},
      {options_.weight_full_disk, [&] { node(target).FillDisk(full); }},
      {options_.weight_failed_sync, [&] { node(target).FailNextSync(); }},
      {options_.weight_link_reset, [&] { node(target).LinkReset(other); }},
      {options_.weight_transfer, [this] { TransferLeadership(); }},
      {options_.weight_late_wish, [this] { DelayWish(); }},
      {options_.weight_wipe_machine, [&] { WipeMachine(target); }},
      {options_.weight_replace, [&] { StartReplacing(target); }},
      {options_.weight_low_space, [&] { node(target).RunLowOnSpace(low); }},
      {options_.weight_rot, [this] { RotOne(); }},
      {options_.weight_lost_tail, [&] { LoseOneTail(stall); }},
  };
  std::uint64_t total = 0;
  for (const auto& [weight, action] : actions) total += weight;
  std::uint64_t drawn = random.Below(total);
  for (const auto& [weight, action] : actions) {
    if (drawn < weight) {
      action();
      return;
    }
    drawn -= weight;
  }
}

/// Two sides, drawn node by node, or one node alone, that hear nothing of each other.
void SimCluster::PartitionNodes() {
  ++stats_.cuts;
  Random& random = streams_.nemesis;
  std::vector<bool> side(options_.nodes, false);
  if (random.Chance(1, 2)) {
    side[random.Below(options_.nodes)] = true;
  } else {
    for (std::size_t i = 0; i < side.size(); ++i) side[i] = random.Chance(1, 2);
  }
  for (std::uint64_t from = 1; from <= options_.nodes; ++from) {
    for (std::uint64_t to = 1; to <= options_.nodes; ++to) {
      if (side[from - 1] != side[to - 1]) network_.Cut(NodeId(from), NodeId(to));
    }
  }
}

/// One direction of one link, or everything that a node sends or everything that it hears.
void SimCluster::CutOneLink() {
  ++stats_.cuts;
  Random& random = streams_.nemesis;
  const NodeId target = AnyNode(random);
  const NodeId other = AnyNode(random);
  const std::uint64_t shape = random.Below(3);
  for (const auto& each : nodes_) {
    const NodeId peer = each->id();
    if (peer == target || (shape == 0 && peer != other)) continue;
    if (shape == 2) {
      network_.Cut(peer, target);
    } else {
      network_.Cut(target, peer);
    }
  }
}

void SimCluster::IsolateLeader() {
  ++stats_.cuts;
  const NodeId leader = Leader(streams_.nemesis);
  for (const auto& each : nodes_) {
    if (each->id() == leader) continue;
    network_.Cut(each->id(), leader);
    network_.Cut(leader, each->id());
  }
}

/// All links, or each with an even chance, so that they come back in any order.
void SimCluster::HealSome() {
  Random& random = streams_.nemesis;
  const bool all = random.Chance(1, 2);
  for (std::uint64_t from = 1; from <= options_.nodes; ++from) {
    for (std::uint64_t to = 1; to <= options_.nodes; ++to) {
      if (random.Chance(1, 2) || all) network_.Heal(NodeId(from), NodeId(to));
    }
  }
}

/// Mostly to a node by name, sometimes to whoever is furthest.
void SimCluster::TransferLeadership() {
  Random& random = streams_.nemesis;
  const NodeId leader = Leader(random);
  const NodeId target = random.Chance(1, 4) ? NodeId() : AnyNode(random);
  node(leader).Transfer(target);
}

/// Whoever is to lead hears of it about when the leader gives up waiting for it, and from then on
/// the leader hears of nothing: it may go on for a while, beside its successor.
void SimCluster::DelayWish() {
  Random& random = streams_.nemesis;
  const NodeId leader = Leader(random);
  const NodeId target = AnyNode(random);
  const TimeUs timeout = options_.limits.election_ticks_min * options_.tick_us;
  const TimeUs early = random.Below(timeout / 2);
  if (target == leader) return;
  ++stats_.late_wishes;
  node(leader).Transfer(target);
  network_.Cut(leader, target);
  scheduler_.After(timeout - early, [this, leader, target] {
    if (healed_) return;
    network_.Heal(leader, target);
    for (const auto& each : nodes_) {
      if (each->id() != leader) network_.Cut(each->id(), leader);
    }
  });
}

void SimCluster::ScheduleChanges() {
  if (options_.reconfigure_us_mean == 0) return;
  scheduler_.After(DrawExponential(streams_.members, options_.reconfigure_us_mean), [this] {
    if (healed_) return;
    if (replaced_) {
      GoOnReplacing();
    } else if (AllWhole()) {
      ChangeMembers();
    }
    ScheduleChanges();
  });
}

void SimCluster::ChangeMembers() {
  const NodeId leader = Leader(streams_.members);
  if (!node(leader).view()) return;
  node(leader).Reconfigure(DrawDelta(node(leader).membership()));
}

/// One change or several at once, mostly such that they may be, sometimes any.
raft::Delta SimCluster::DrawDelta(const raft::Membership& now) {
  Random& random = streams_.members;
  const auto one_of = [&](const std::vector<NodeId>& some) {
    return some.empty() || random.Chance(1, 6) ? AnyNode(random) : some[random.Below(some.size())];
  };
  std::vector<NodeId> strangers;
  for (const auto& each : nodes_) {
    const bool known = raft::IsMember(now, each->id()) ||
                       std::binary_search(now.removed.begin(), now.removed.end(), each->id());
    if (!known) strangers.push_back(each->id());
  }
  raft::Delta delta;
  do {
    const std::uint64_t kind = random.Below(10);
    if (kind < 3) {
      delta.add.push_back({one_of(strangers), raft::AutoPromote(random.Chance(3, 4)), ""});
    } else if (kind < 6) {
      delta.promote.push_back(one_of(now.learners));
    } else if (kind < 9) {
      delta.demote.push_back(one_of(now.voters));
    } else {
      delta.remove.push_back(one_of(raft::AllMembers(now)));
    }
  } while (random.Chance(1, 3));
  return delta;
}

void SimCluster::CrashOne(NodeId target) {
  Random& random = streams_.nemesis;
  const TimeUs down = DrawExponential(random, options_.down_us_mean);
  switch (random.Below(6)) {
    case 0:
      node(target).Crash(CrashMode::kProcessOnly, SimNode::LoseStateMachine::kNo, down);
      return;
    case 1:
      node(target).Crash(CrashMode::kProcessOnly, SimNode::LoseStateMachine::kYes, down);
      return;
    case 2:
      node(target).RestartStateMachine();
      return;
    case 3:
      node(target).Crash(CrashMode::kLoseUnsynced, SimNode::LoseStateMachine::kYes, down);
      return;
    default:
      node(target).Crash(CrashMode::kRandom, SimNode::LoseStateMachine::kYes, down);
  }
}

/// A state machine loses all it had. One at a time, and only while another has all that any log has
/// dropped: what nobody has is gone.
void SimCluster::WipeMachine(NodeId target) {
  if (!AllWhole()) return;
  LogIndex dropped;
  LogIndex held;
  for (const auto& each : nodes_) {
    if (each->wiped()) return;
    const auto view = each->view();
    if (!view) return;
    dropped = std::max(dropped, view->first_index.Prev());
    if (each->id() != target) held = std::max(held, each->durable_applied());
  }
  if (held >= dropped) node(target).WipeStateMachine();
}

/// Nobody's log lacks anything.
bool SimCluster::AllWhole() const {
  return std::none_of(nodes_.begin(), nodes_.end(),
                      [this](const auto& each) { return checkers_.IsHurt(each->id()); });
}

/// The first node that the others can spare and that `hurt` finds something to hurt of.
void SimCluster::HurtOne(const std::function<bool(NodeId)>& hurt) {
  const bool wiped =
      std::any_of(nodes_.begin(), nodes_.end(), [](const auto& each) { return each->wiped(); });
  if (replaced_ || wiped) return;
  const std::uint64_t first = streams_.nemesis.Below(options_.nodes);
  for (std::uint64_t i = 0; i < options_.nodes; ++i) {
    const NodeId target(1 + (first + i) % options_.nodes);
    if (checkers_.CanSpare(target) && hurt(target)) return;
  }
}

/// Bytes of somebody's log rot. One log at a time until a leader has refilled it, and only where
/// the others need nobody to elect one: more rot than that no quorum can heal.
void SimCluster::RotOne() {
  HurtOne([this](NodeId target) { return node(target).RotLog(); });
}

/// The same for the end of a log. How much was lost with it nobody may know, so all others have to
/// hold what was acknowledged there.
void SimCluster::LoseOneTail(TimeUs down) {
  HurtOne([this, down](NodeId target) {
    return checkers_.IsHeldByOthers(target) && node(target).LoseLogTail(down);
  });
}

/// All nodes but this one are up and agree who takes part, and that is no matter of dispute.
bool SimCluster::Calmly(NodeId but) const {
  const SimNode* leader = FindLeader();
  if (leader == nullptr || leader->id() == but) return false;
  const raft::Membership& members = leader->membership();
  const raft::View view = *leader->view();
  if (!raft::IsSettled(members) || view.membership_index > view.commit) return false;
  const std::vector<NodeId> all = raft::AllMembers(members);
  return std::all_of(all.begin(), all.end(), [&](NodeId id) {
    if (id == but) return true;
    const auto other = nodes_[id.value() - 1]->view();
    return other && nodes_[id.value() - 1]->life() == SimNode::Life::kUp &&
           other->term == view.term && nodes_[id.value() - 1]->membership() == members &&
           other->membership_index <= other->commit;
  });
}

/// A node's disk is gone for ever. As many voters as a quorum needs are left, whatever
/// configuration anybody may still have in his log; and it must be removed before the next one may
/// go.
void SimCluster::StartReplacing(NodeId target) {
  if (replaced_ || node(target).gone() || !Calmly(target) || !AllWhole()) return;
  const raft::Membership& members = FindLeader()->membership();
  const bool voter = std::binary_search(members.voters.begin(), members.voters.end(), target);
  if (!raft::IsMember(members, target) || (voter && members.voters.size() < 3)) return;
  trace_.Add(scheduler_.now(), Kind::kWipe, target.value(), 1);
  replaced_ = target;
  if (streams_.nemesis.Chance(1, 2)) {
    node(target).StopForEver();
  } else {
    node(target).RuinAndStopForEver();
  }
  in_core_[target.value() - 1] = false;
}

/// The operator removes it, and adds a fresh one where there is one, until that is done.
void SimCluster::GoOnReplacing() {
  const NodeId leader = Leader(streams_.members);
  if (!node(leader).view()) return;
  const raft::Membership& members = node(leader).membership();
  const raft::View view = *node(leader).view();
  if (!raft::IsMember(members, replaced_)) {
    if (view.role != raft::Role::kLeader || view.membership_index > view.commit ||
        !std::binary_search(members.removed.begin(), members.removed.end(), replaced_)) {
      return;
    }
    replaced_ = NodeId();
    ++stats_.replaced;
    return;
  }
  raft::Delta delta{.add = {}, .promote = {}, .demote = {}, .remove = {replaced_}};
  for (const auto& each : nodes_) {
    const bool known =
        raft::IsMember(members, each->id()) || each->gone() ||
        std::binary_search(members.removed.begin(), members.removed.end(), each->id());
    if (known) continue;
    delta.add.push_back({each->id(), raft::AutoPromote::kYes, ""});
    break;
  }
  node(leader).Reconfigure(delta);
}

/// A power cut in the whole room.
void SimCluster::CrashAll() {
  for (const auto& each : nodes_) {
    each->Crash(CrashMode::kRandom, SimNode::LoseStateMachine::kYes,
                DrawExponential(streams_.nemesis, options_.down_us_mean));
  }
}

namespace {

/// The run that a failing CHECK interrupts; a signal handler can be reached by nothing else.
const SimCluster* interrupted_run = nullptr;

/// A CHECK in the core or the log is a find like any other: says which seed and how it came to it.
/// Not async-signal-safe in general; abort() raises the signal in this thread, outside the heap.
extern "C" void DescribeAbort(int /*signal*/) {
  if (interrupted_run == nullptr) return;
  const std::string text = std::exchange(interrupted_run, nullptr)->Describe();
  std::fprintf(stderr, "%s", text.c_str());
}

}  // namespace

SimResult RunSeed(std::uint64_t seed, PrintTrace print) {
  SimCluster cluster(DrawOptions(seed), print);
  interrupted_run = &cluster;
  const auto old_handler = std::signal(SIGABRT, DescribeAbort);
  SimResult result = cluster.Run();
  std::signal(SIGABRT, old_handler);
  interrupted_run = nullptr;
  return result;
}

}  // namespace bedrock::sim
