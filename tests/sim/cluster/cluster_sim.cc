#include "tests/sim/cluster/cluster_sim.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <sstream>
#include <utility>

#include "common/logging/log.h"
#include "proto/codec.h"
#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"

namespace bedrock::sim {

using CrashMode = MemoryFileSystem::CrashMode;
using Kind = NemesisAction::Kind;

namespace {

constexpr std::uint64_t kLastReaderNumber = 1'000;
/// An entry is committed and applied in a healed cluster, whatever its disks and delays.
constexpr TimeUs kCheckedUs = 5'000'000;
/// Several times what a router leaves between two watermarks.
constexpr TimeUs kRestUs = 8'000'000;

CrashMode ModeOf(std::uint64_t number) {
  const bool known = number <= static_cast<std::uint64_t>(CrashMode::kRandom) &&
                     number != static_cast<std::uint64_t>(CrashMode::kProcessOnly);
  return known ? static_cast<CrashMode>(number) : CrashMode::kRandom;
}

}  // namespace

ClusterSim::ClusterSim(ClusterScript script, PrintTrace print)
    : script_(std::move(script)),
      options_(script_.options),
      streams_(options_.seed),
      trace_(print),
      checkers_(options_),
      network_(options_, streams_.network, scheduler_, trace_),
      world_{options_, scheduler_, trace_, checkers_, stats_, network_} {
  for (std::uint64_t i = 1; i <= options_.machines(); ++i) {
    machines_.push_back(std::make_unique<SimMachine>(NodeId(i), world_, streams_.nodes.Fork(i)));
  }
  AddClients();
  operator_ = std::make_unique<SimOperator>(world_, machines_, streams_.nemesis.Fork(1),
                                            [this](NodeId node) {
                                              for (const auto& client : clients_)
                                                client->AddRouter(node);
                                            });
}

ClusterSim::~ClusterSim() = default;

void ClusterSim::AddClients() {
  const auto add = [this](std::uint64_t count, auto make) {
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t number = clients_.size() + 1;
      clients_.push_back(make(number, world_, histories_, streams_.clients.Fork(number)));
    }
  };
  add(options_.register_clients, NewRegisterClient);
  add(options_.list_clients, NewListClient);
  add(options_.counter_clients, NewCounterClient);
  add(options_.set_clients, NewSetClient);
  add(options_.archive_clients, NewArchiveClient);
}

ClusterResult ClusterSim::Run() {
  for (const auto& machine : machines_) {
    if (machine->plugged()) machine->Start();
  }
  for (const auto& client : clients_) client->Start();
  RunFaults();
  if (!failed()) RunHealed();
  const bool explains = !checkers_.reference().has_forgotten();
  if (!failed() && explains) {
    const std::string wrong = histories_.Judge(stats_.undecided);
    if (!wrong.empty()) checkers_.Fail("what clients saw can be explained", wrong);
  }
  stats_.events = scheduler_.events_run();
  stats_.leaders = checkers_.raft().leaders();
  stats_.joints = checkers_.raft().joints();
  stats_.entries = checkers_.applied_entries();
  stats_.executed = checkers_.reference().executed();
  stats_.replies_dropped = checkers_.reference().replies_dropped();
  stats_.forgetful = explains ? 0 : 1;
  ClusterResult result{.ok = !failed(),
                       .failure = {},
                       .invariant = {},
                       .trace_hash = trace_.hash(),
                       .stats = stats_};
  if (result.ok) return result;
  result.failure = Describe();
  result.invariant = checkers_.failure().substr(0, checkers_.failure().find(':'));
  return result;
}

std::string ClusterSim::Describe() const {
  std::ostringstream out;
  out << "seed " << options_.seed << " after " << scheduler_.now() << "us and "
      << scheduler_.events_run() << " events\n"
      << checkers_.failure() << "\nscript:\n"
      << script_.ToString() << "last events:\n"
      << trace_.Last();
  for (const auto& machine : machines_) {
    out << FormatNodeId(machine->id()) << ": ";
    if (const auto view = machine->raftd().view()) {
      out << "role " << static_cast<int>(view->role) << " term " << view->term.value() << " leader "
          << view->leader.value() << " first " << view->first_index.value() << " last "
          << view->last_index.value() << " commit " << view->commit.value() << " applied "
          << view->applied.value();
    } else {
      out << "raftd down";
    }
    out << "; storaged " << (machine->storaged().up() ? "applied " : "down, applied ")
        << machine->storaged().applied().value() << "; routerd "
        << (machine->routerd().up() ? (machine->routerd().idle() ? "idle" : "busy") : "down")
        << "\n";
  }
  for (const auto& client : clients_) {
    if (!client->idle()) out << "a client waits\n";
  }
  return out.str();
}

void ClusterSim::RunUntil(TimeUs deadline, const std::function<bool()>& done) {
  while (!failed() && scheduler_.now() < deadline && !done()) {
    if (!scheduler_.RunOne()) break;
  }
}

// ---- The first phase

void ClusterSim::RunFaults() {
  for (const NemesisAction& action : script_.plan) {
    scheduler_.After(action.at, [this, action] {
      if (!healed_ && !failed()) Carry(action);
    });
  }
  RunUntil(options_.duration_us, [] { return false; });
}

SimMachine& ClusterSim::Target(std::uint64_t node) {
  if (node >= 1 && node <= machines_.size()) return *machines_[node - 1];
  const SimMachine* leader = FindLeader(machines_);
  if (leader != nullptr) return *machines_[leader->id().value() - 1];
  return *machines_[streams_.nemesis.Below(machines_.size())];
}

void ClusterSim::SetLinks(std::uint64_t from_mask, std::uint64_t to_mask, bool cut) {
  for (std::uint64_t from = 0; from < machines_.size(); ++from) {
    for (std::uint64_t to = 0; to < machines_.size(); ++to) {
      const bool named = (from_mask >> from & 1) != 0 && (to_mask >> to & 1) != 0;
      if (from == to || !named) continue;
      if (cut) {
        network_.Cut(NodeId(from + 1), NodeId(to + 1));
      } else {
        network_.Heal(NodeId(from + 1), NodeId(to + 1));
      }
    }
  }
}

void ClusterSim::Carry(const NemesisAction& action) {
  trace_.Add(scheduler_.now(), ClusterTrace::Kind::kNemesis, {}, action.a, action.b, action.c);
  switch (action.kind) {
    case Kind::kCut:
      ++stats_.cuts;
      return SetLinks(action.a, action.b, true);
    case Kind::kHeal:
      return SetLinks(action.a, action.b, false);
    case Kind::kHealAll:
      return SetLinks(UINT64_MAX, UINT64_MAX, false);
    case Kind::kPowerCutAll:
      for (const auto& machine : machines_) machine->PowerCut(ModeOf(action.a), action.b);
      return;
    case Kind::kTransfer:
      return operator_->Transfer(NodeId(action.a));
    case Kind::kMembers:
      return operator_->Change(Target(action.a),
                               static_cast<proto::ChangeMembers::Kind>(1 + (action.b + 2) % 3));
    case Kind::kCrashFetch:
      for (const auto& machine : machines_) machine->storaged().ArmFetchCrash(action.a, action.b);
      return;
    case Kind::kJoin:
      return operator_->TakeIn();
    default:
      return CarryOut(action, Target(action.a));
  }
}

void ClusterSim::CarryOut(const NemesisAction& action, SimMachine& target) {
  switch (action.kind) {
    case Kind::kKill:
      return target.Kill(static_cast<Program>(action.b % kProgramsOfNode), action.c);
    case Kind::kPowerCut:
      return target.PowerCut(ModeOf(action.b), action.c);
    case Kind::kCrashPoint:
      return target.ArmCrashPoint(action.b % 2, action.c);
    case Kind::kPause:
      for (std::uint64_t program = 0; program < kProgramsOfNode; ++program) {
        if (action.b == program || action.b >= kAllPrograms) {
          target.Pause(static_cast<Program>(program), action.c);
        }
      }
      return;
    case Kind::kStall:
      return target.Stall(action.b % 2, action.c);
    case Kind::kFull:
      return target.Fill(action.b, action.c);
    case Kind::kFailSync:
      return target.FailSync(action.b % 2);
    case Kind::kWallClock:
      return target.JumpWallClock(action.b);
    case Kind::kReplace:
      return operator_->Replace(target);
    case Kind::kRestart:
      return target.RestartInOrder(action.b);
    case Kind::kRebuild:
      return operator_->Rebuild(target, action.b);
    case Kind::kRot:
      return operator_->LetRot(target, action.b, action.c);
    case Kind::kAlter:
      return operator_->Alter(target, static_cast<Alteration>(action.b));
    case Kind::kReset:
      return network_.Reset(target.id(), Target(action.b).id());
    default:
      return;
  }
}

// ---- The second phase

/// A log that is new says nothing until a leader has noted it (R15). Where the others die first,
/// nobody can tell it from one that was wiped, and no majority of the rest comes about.
bool ClusterSim::EverybodyIsNoted() const {
  return std::all_of(machines_.begin(), machines_.end(), [this](const auto& machine) {
    return !machine->plugged() ||
           static_cast<bool>(checkers_.raft().DurableLog(machine->id()).first);
  });
}

void ClusterSim::Heal() {
  trace_.Add(scheduler_.now(), ClusterTrace::Kind::kPhase, {}, 2);
  healed_ = true;
  SetLinks(UINT64_MAX, UINT64_MAX, false);
  if (options_.majority_only != 0 && EverybodyIsNoted() && operator_->AllIsWell()) SendSomeAway();
  operator_->Calm();
  network_.Calm();
  for (const auto& machine : machines_) machine->Calm();
  for (const auto& client : clients_) {
    client->UseRouters(Routers());
    client->Stop();
  }
}

std::vector<NodeId> ClusterSim::Routers() const {
  std::vector<NodeId> routers;
  for (const auto& machine : machines_) {
    if (machine->plugged() && !machine->away()) routers.push_back(machine->id());
  }
  return routers;
}

/// All but a majority. Who founds is a member then, and nobody else (nemesis_plan.cc).
void ClusterSim::SendSomeAway() {
  std::vector<std::size_t> order(options_.nodes);
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[streams_.nemesis.Below(i)]);
  }
  for (std::size_t i = order.size() / 2 + 1; i < order.size(); ++i) SendAway(*machines_[order[i]]);
}

/// For ever: gone, or deaf (so a leader that goes on leading would keep the others from electing
/// one that can commit), or dumb.
void ClusterSim::SendAway(SimMachine& outsider) {
  outsider.SendAway();
  const std::uint64_t fate = streams_.nemesis.Below(3);
  if (fate == 0) outsider.StopForEver();
  for (const auto& machine : machines_) {
    if (machine.get() == &outsider) continue;
    if (fate == 1) network_.Cut(machine->id(), outsider.id());
    if (fate == 2) network_.Cut(outsider.id(), machine->id());
  }
}

/// An election takes a few timeouts, even where votes split; catching up takes a round trip an
/// entry where the windows are tiny, and a client may ask some routers in turn.
TimeUs ClusterSim::HealedBound() const {
  const TimeUs election = options_.election_ticks_max * options_.tick_ms * 1'000 * 2;
  const TimeUs entry =
      options_.sync_us_max + 2 * options_.turn_us_max + 2 * options_.local_delay_us_max + 5'000;
  const TimeUs patience = 20 * options_.timeout_ms * 1'000;
  return scheduler_.now() + 30 * election + (checkers_.applied_entries() + 1'000) * entry +
         patience + 60'000'000;
}

bool ClusterSim::Answered() const {
  return std::all_of(clients_.begin(), clients_.end(),
                     [](const auto& client) { return client->idle(); });
}

/// One leader, no change of members under way, and every member's log and storaged end where its
/// do. Who was removed is of no interest, but its router serves on.
std::string ClusterSim::WhatIsOpen() const {
  const SimMachine* leader = FindLeader(machines_);
  if (leader == nullptr) return "nobody leads";
  if (!operator_->idle()) return "the operator is at work";
  const raft::View goal = *leader->raftd().view();
  const raft::Membership& members = *leader->raftd().membership();
  if (goal.commit != goal.last_index) return "not all is committed";
  if (goal.handing_over_to) return "leadership moves";
  // It is rebuilt by now, or nobody ever was wrong.
  if (leader->raftd().differing()) return "the leader says that replicas differ";
  if (!raft::IsSettled(members) || !members.promoting.empty()) return "members change";
  for (const auto& machine : machines_) {
    const std::string open = WhatIsOpen(*machine, goal, members);
    if (!open.empty()) return FormatNodeId(machine->id()) + " " + open;
  }
  return {};
}

std::string ClusterSim::WhatIsOpen(const SimMachine& machine, const raft::View& goal,
                                   const raft::Membership& members) {
  if (machine.away()) return {};
  if (!machine.routerd().idle()) return "has requests in its router";
  if (!raft::IsMember(members, machine.id())) return {};
  const auto view = machine.raftd().view();
  const auto up = [](const auto& process) { return process.life() == SimProcess::Life::kUp; };
  if (!view || !up(machine.raftd()) || !up(machine.storaged()) || !up(machine.routerd()))
    return "is not up";
  if (machine.storage_rots()) return "holds what nobody has found to be wrong";
  if (machine.storaged().full()) return "says that its disk is full, and it is not";
  const bool level = view->term == goal.term && view->last_index == goal.last_index &&
                     view->commit == goal.last_index &&
                     machine.storaged().applied() == goal.last_index;
  return level ? std::string() : "is behind";
}

void ClusterSim::RunUntilConverged(std::string_view invariant) {
  RunUntil(HealedBound(), [this] { return WhatIsOpen().empty(); });
  if (failed()) return;
  if (const std::string open = WhatIsOpen(); !open.empty()) checkers_.Fail(invariant, open);
}

void ClusterSim::RunHealed() {
  Heal();
  RunUntil(HealedBound(), [this] { return Answered(); });
  if (!failed() && !Answered()) {
    return checkers_.Fail("a healed majority answers every request", "it did not");
  }
  RunUntilConverged("a healed majority elects a leader and converges");
  if (!failed()) ReadAll();
  // Reading may have moved on the log (what nobody waits for any more, a watermark).
  RunUntilConverged("a healed majority stays converged");
  if (!failed() && options_.rests != 0 && options_.check_ms != 0) {
    RunUntilAtRest();
    RunUntilConverged("a healed majority stays converged");
  }
  if (failed()) return;
  std::vector<ClusterCheckers::Replica> replicas;
  for (const auto& machine : machines_) {
    const bool counts = !machine->away() &&
                        raft::IsMember(*FindLeader(machines_)->raftd().membership(), machine->id());
    if (counts) replicas.push_back(*machine->storaged().replica());
  }
  checkers_.OnConverged(replicas);
}

/// All that was written is looked at by the replicas' checks, and then nothing brings on anything
/// any more: a leader begins a pass where it has begun none, another one where its replica had
/// nothing to compare in that, and one for a write that nobody waits for any more. Routers propose
/// a watermark once a second at most.
void ClusterSim::RunUntilAtRest() {
  const CheckWatch& checks = checkers_.checks();
  while (!failed() && !checks.LookedAtAll()) {
    const std::uint64_t entries = checkers_.applied_entries();
    RunUntil(scheduler_.now() + 4 * options_.check_ms * 1'000 + kCheckedUs,
             [&] { return checkers_.applied_entries() > entries || checks.LookedAtAll(); });
    if (checkers_.applied_entries() == entries && !checks.LookedAtAll()) {
      checkers_.Fail("whatever was written is looked at by a check", "no check comes");
    }
  }
  const std::uint64_t passes = checks.passes();
  const std::uint64_t causes = checkers_.raft().leaders() + checks.writes();
  RunUntil(scheduler_.now() + kRestUs, [] { return false; });
  const std::uint64_t due = 2 * (1 + checkers_.raft().leaders() + checks.writes() - causes);
  if (!failed() && checks.passes() > passes + due) {
    checkers_.Fail("an idle cluster comes to rest",
                   std::to_string(checks.passes() - passes) + " passes");
  }
}

void ClusterSim::ReadAll() {
  clients_.push_back(NewLastReader(kLastReaderNumber, world_, histories_,
                                   streams_.clients.Fork(kLastReaderNumber)));
  SimClient& reader = *clients_.back();
  reader.UseRouters(Routers());
  bool begun = false;
  reader.Start();
  RunUntil(HealedBound(), [&] {
    begun = begun || !reader.idle();
    return begun && reader.idle();
  });
  if (!failed() && !(begun && reader.idle())) {
    checkers_.Fail("a healed majority serves reads", "it did not");
  }
}

// ---- Runs

namespace {

/// The run that a failing CHECK interrupts; a signal handler can be reached by nothing else.
const ClusterSim* interrupted_run = nullptr;

/// Not async-signal-safe in general; abort() raises the signal in this thread, outside the heap.
extern "C" void DescribeClusterAbort(int /*signal*/) {
  if (interrupted_run == nullptr) return;
  const std::string text = std::exchange(interrupted_run, nullptr)->Describe();
  std::fprintf(stderr, "%s", text.c_str());
}

}  // namespace

ClusterScript DrawScript(std::uint64_t seed) {
  ClusterScript script;
  script.options = DrawClusterOptions(seed);
  script.plan = DrawPlan(script.options);
  return script;
}

ClusterResult RunCluster(const ClusterScript& script, PrintTrace print) {
  log::InitLogging("sim", NodeId(), log::Level::kOff);
  ClusterSim cluster(script, print);
  interrupted_run = &cluster;
  const auto old_handler = std::signal(SIGABRT, DescribeClusterAbort);
  ClusterResult result = cluster.Run();
  std::signal(SIGABRT, old_handler);
  interrupted_run = nullptr;
  return result;
}

}  // namespace bedrock::sim
