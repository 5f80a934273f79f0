#include "tests/sim/cluster/sim_operator.h"

#include <algorithm>
#include <utility>

#include "proto/codec.h"
#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"

namespace bedrock::sim {

using Kind = proto::ChangeMembers::Kind;

namespace {

constexpr Address kOperator{NodeId(1'001), Program::kClient};
constexpr std::string_view kOperatorId = "operator";
constexpr TimeUs kAskUs = 150'000;  ///< Between two times that it asks for the same.
constexpr TimeUs kTryUs = 10'000;   ///< Between two looks whether something may be done.
constexpr TimeUs kPatienceUs = 1'000'000;
/// Between the return of a node with empty disks and its removal.
constexpr TimeUs kReturnedUsMean = 300'000;
constexpr std::uint32_t kTimeoutMs = 1'000;
constexpr TimeUs kLookUs = 500'000;  ///< Between two looks at what the leader's status says.
/// Between the first status by which replicas differ and somebody who does something about it.
constexpr TimeUs kDifferUs = 5'000'000;

bool Contains(const std::vector<NodeId>& set, NodeId node) {
  return std::find(set.begin(), set.end(), node) != set.end();
}

}  // namespace

const SimMachine* FindLeader(const SimMachines& machines) {
  const SimMachine* found = nullptr;
  for (const auto& machine : machines) {
    const auto view = machine->raftd().view();
    if (machine->away() || !view || view->role != raft::Role::kLeader) continue;
    if (found == nullptr || view->term > found->raftd().view()->term) found = machine.get();
  }
  return found;
}

SimOperator::SimOperator(const ClusterWorld& world, const SimMachines& machines, Random random,
                         std::function<void(NodeId)> on_plugged)
    : world_(world), machines_(machines), random_(random), on_plugged_(std::move(on_plugged)) {
  world_.network.Add(kOperator, this);
  world_.network.Attach(kOperator, std::string(kOperatorId));
}

void SimOperator::Ask(const proto::Message& message) {
  std::vector<NodeId> routers;
  for (const auto& machine : machines_) {
    if (!machine->away() && machine->routerd().up()) routers.push_back(machine->id());
  }
  if (routers.empty()) return;
  last_request_ = last_request_.Next();
  proto::FrameWriter writer({.cluster = kSimCluster});
  writer.Add(last_request_, kTimeoutMs, message);
  world_.network.Send({.from = kOperator,
                       .to = {routers[random_.Below(routers.size())], Program::kRouterd},
                       .door = Door::kListener,
                       .sender = std::string(kOperatorId),
                       .frame = Bytes(writer.Finish())});
}

void SimOperator::Transfer(NodeId to) {
  ++world_.stats.transfers;
  Ask(proto::TransferLeadership{to});
}

void SimOperator::Change(SimMachine& target, Kind kind) {
  if (calm_ || impaired_ != nullptr || !idle()) return;
  ++world_.stats.member_changes;
  proto::ChangeMembers message;
  message.kind = kind;
  message.node = target.id();
  if (kind != Kind::kPromote) demoted_ = true;
  if (kind == Kind::kRemove) target.AllowRemoval();
  Ask(message);
}

// ---- Nodes that come and go

SimMachine* SimOperator::NextSpare() const {
  const auto spare = std::find_if(machines_.begin(), machines_.end(), [](const auto& machine) {
    return !machine->plugged() && !machine->away();
  });
  return spare == machines_.end() ? nullptr : spare->get();
}

void SimOperator::Try(TimeUs until, std::function<bool()> job) {
  if (calm_ || world_.checkers.failed() || world_.scheduler.now() > until || job()) return;
  world_.scheduler.After(kTryUs, [this, until, job = std::move(job)] { Try(until, job); });
}

void SimOperator::TakeIn() {
  Try(world_.scheduler.now() + kPatienceUs, [this] { return TakeInNow(); });
}

bool SimOperator::TakeInNow() {
  if (!idle()) return false;
  PlugInNext();
  return true;
}

void SimOperator::PlugInNext() {
  SimMachine* spare = NextSpare();
  if (spare == nullptr) return;
  spare->PlugIn();
  on_plugged_(spare->id());
  const config::Member member = SimMember(spare->id());
  proto::ChangeMembers add;
  add.kind = Kind::kAdd;
  add.node = member.id;
  add.raft = member.raft;
  add.storage = member.storage;
  add.client = member.client;
  add.http = member.http;
  Begin(std::move(add));
}

void SimOperator::Replace(SimMachine& target) {
  Try(world_.scheduler.now() + kPatienceUs, [this, &target] { return ReplaceNow(target); });
}

bool SimOperator::ReplaceNow(SimMachine& target) {
  if (demoted_ || !target.plugged() || target.away()) return true;  // never
  if (!idle() || !AllIsWell() || !Calmly(&target)) return false;
  const raft::Membership& members = *FindLeader(machines_)->raftd().membership();
  const bool voter = raft::IsVoter(members, target.id());
  if (!raft::IsMember(members, target.id()) || (voter && members.voters.size() < 3)) return true;
  const bool returns = world_.options.gone_return != 0;
  // Before that nobody could tell its log from another one.
  if (returns && !IsNoted(target.id())) return false;
  proto::ChangeMembers remove;
  remove.kind = Kind::kRemove;
  remove.node = target.id();
  if (!returns) {
    target.StopForEver();
    Begin(std::move(remove));
    return true;
  }
  target.ReturnEmpty();
  steps_.push_back(std::move(remove));
  goes_on_ = true;
  world_.scheduler.After(DrawExponential(random_, kReturnedUsMean), [this] { GoOn(); });
  return true;
}

bool SimOperator::IsNoted(NodeId node) const {
  const std::vector<raft::MemberLog>& logs = FindLeader(machines_)->raftd().membership()->logs;
  return std::any_of(logs.begin(), logs.end(), [node](const auto& log) { return log.id == node; });
}

/// As many voters as a quorum needs are left then, whatever configuration anybody may still have in
/// his log.
bool SimOperator::Calmly(const SimMachine* but) const {
  const SimMachine* leader = FindLeader(machines_);
  if (leader == nullptr || leader == but) return false;
  const raft::Membership& members = *leader->raftd().membership();
  const raft::View view = *leader->raftd().view();
  if (!raft::IsSettled(members) || view.membership_index > view.commit) return false;
  const std::vector<NodeId> all = raft::AllMembers(members);
  return std::all_of(all.begin(), all.end(), [&](NodeId id) {
    const SimMachine& machine = *machines_[id.value() - 1];
    if (&machine == but) return true;
    const auto other = machine.raftd().view();
    return other && machine.raftd().life() == SimProcess::Life::kUp && other->term == view.term &&
           *machine.raftd().membership() == members && other->membership_index <= other->commit;
  });
}

void SimOperator::Begin(proto::ChangeMembers wish) {
  steps_.push_back(std::move(wish));
  if (!std::exchange(goes_on_, true)) GoOn();
}

void SimOperator::GoOn() {
  if (world_.checkers.failed()) return;
  if (!steps_.empty() && IsDone(steps_.front())) {
    const Kind kind = steps_.front().kind;
    steps_.pop_front();
    if (kind == Kind::kRemove) {
      ++world_.stats.replaced;
      PlugInNext();
    } else {
      ++world_.stats.joined;
    }
  }
  if (steps_.empty()) {
    goes_on_ = false;
    return;
  }
  Ask(steps_.front());
  world_.scheduler.After(kAskUs, [this] { GoOn(); });
}

/// As a leader says who knows it to be committed.
bool SimOperator::IsDone(const proto::ChangeMembers& wish) const {
  const SimMachine* leader = FindLeader(machines_);
  if (leader == nullptr) return false;
  const raft::Membership& members = *leader->raftd().membership();
  const raft::View view = *leader->raftd().view();
  if (view.membership_index > view.commit) return false;
  const bool removed = Contains(members.removed, wish.node);
  if (wish.kind == Kind::kRemove) return removed && !raft::IsMember(members, wish.node);
  // Or taken out again, or kept from voting, by somebody else.
  return removed || (raft::IsMember(members, wish.node) &&
                     !Contains(members.promoting, wish.node) && !raft::IsJoint(members));
}

// ---- Disks that lose what they had

/// No data are lost for good with those of this node's storaged.
bool SimOperator::OthersHoldWhatLogsDropped(const SimMachine& but) const {
  LogIndex dropped;
  LogIndex held;
  for (const auto& machine : machines_) {
    if (!machine->plugged() || machine->away()) continue;
    const auto view = machine->raftd().view();
    if (!view || machine->storaged().life() != SimProcess::Life::kUp) return false;
    dropped = std::max(dropped, view->first_index.Prev());
    if (machine.get() == &but) continue;
    held = std::max(held, world_.checkers.DurableOf(machine->id()));
  }
  return held >= dropped;
}

bool SimOperator::MayImpair(const SimMachine& target) {
  if (demoted_ || !idle() || !AllIsWell() || !target.plugged() || target.away()) return false;
  if (!Calmly(nullptr)) return false;
  const raft::Membership& members = *FindLeader(machines_)->raftd().membership();
  return raft::IsVoter(members, target.id()) && members.voters.size() >= 3 &&
         OthersHoldWhatLogsDropped(target);
}

bool SimOperator::AllIsWell() {
  if (impaired_ == nullptr) return true;
  const SimMachine& machine = *impaired_;
  const bool storage = !machine.storage_rots() && !machine.to_be_altered() &&
                       machine.storaged().up() && world_.checkers.HasWhatItLost(machine.id());
  if (storage) impaired_ = nullptr;
  return storage;
}

void SimOperator::Rebuild(SimMachine& target, TimeUs down_us) {
  Try(world_.scheduler.now() + kPatienceUs,
      [this, &target, down_us] { return RebuildNow(target, down_us); });
}

bool SimOperator::RebuildNow(SimMachine& target, TimeUs down_us) {
  if (!MayImpair(target)) return false;
  impaired_ = &target;
  target.RebuildStorage(down_us);
  return true;
}

void SimOperator::LetRot(SimMachine& target, std::uint64_t disk, std::uint64_t draw) {
  Try(world_.scheduler.now() + kPatienceUs,
      [this, &target, disk, draw] { return LetRotNow(target, disk, draw); });
}

bool SimOperator::LetRotNow(SimMachine& target, std::uint64_t disk, std::uint64_t draw) {
  if (disk != kStorageDisk || !MayImpair(target) || !target.LetRot(draw)) return false;
  impaired_ = &target;
  return true;
}

void SimOperator::Alter(SimMachine& target, Alteration where) {
  if (world_.options.check_ms == 0) return;  // nobody would notice
  Try(world_.scheduler.now() + kPatienceUs, [this, &target, where] {
    if (!target.storaged().comparable() || !MayImpair(target)) return false;
    impaired_ = &target;
    // A leader is mostly the first to apply: nobody could say what else it should have done.
    const bool leads = FindLeader(machines_) == &target;
    target.AlterNext(leads ? Alteration::kInEngine : where);
    return true;
  });
}

void SimOperator::Calm() {
  calm_ = true;
  LookForDifferences();
}

/// Which one is wrong nobody can tell from the replicas alone: who runs a cluster knows it from a
/// backup, or from what the data mean. Another voter holds whatever the wrong one loses, in its
/// engine or in its log, since a majority has all that is committed.
void SimOperator::LookForDifferences() {
  if (world_.checkers.failed()) return;
  const TimeUs now = world_.scheduler.now();
  const SimMachine* leader = FindLeader(machines_);
  if (leader == nullptr || !leader->raftd().differing()) {
    differ_since_.reset();
  } else if (!differ_since_) {
    differ_since_ = now;
  } else if (now - *differ_since_ >= kDifferUs && !AllIsWell() && impaired_->altered_at()) {
    ++world_.stats.differences_settled;
    impaired_->OnRotFound();
  }
  world_.scheduler.After(kLookUs, [this] { LookForDifferences(); });
}

}  // namespace bedrock::sim
