#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/env/random.h"
#include "proto/client_messages.h"
#include "proto/frame.h"
#include "raftd/core/types.h"
#include "tests/sim/cluster/cluster_world.h"
#include "tests/sim/cluster/frame_network.h"
#include "tests/sim/cluster/sim_machine.h"

namespace bedrock::sim {

/// All nodes, by id from 1: founders first, then those that wait to be taken in.
using SimMachines = std::vector<std::unique_ptr<SimMachine>>;

/// Who leads in the highest term, by what raftds say of themselves; null: nobody.
const SimMachine* FindLeader(const SimMachines& machines);

/// Whoever runs the cluster: takes nodes in, lets them go, replaces one whose disks have died,
/// restarts them in order and starts a storaged anew without its data, as scripts/cluster.sh does.
/// Asks any router, as a client would, again and again where it has to be done.
///
/// It also sees to it that no more is asked of the cluster than a quorum can heal. What would be
/// more is not done:
///
///   impaired     a node whose storaged has lost its data, whose disk rots or whose data are
///   altered: one at a time, of at
///                least three voters, until it has again what it had; and only while another one
///                holds all that any log has dropped
///   replaced     a node that is gone for ever: one at a time, until it is removed and another one
///                has taken its place; of at least three voters who all agree who they are
///
/// And neither in a run in which voters were demoted or removed, as nobody knows when that happens.
/// One thread.
class SimOperator final : public FrameReceiver {
 public:
  /// `on_plugged`: a node was started that was not there before.
  SimOperator(const ClusterWorld& world, const SimMachines& machines, Random random,
              std::function<void(NodeId)> on_plugged);

  // What it is asked for once, whatever comes of it.
  void Transfer(NodeId to);
  void Change(SimMachine& target, proto::ChangeMembers::Kind kind);

  // What it sees through, once it can be done; what can't be done within a second is not.
  /// The next node that waits.
  void TakeIn();
  void Replace(SimMachine& target);
  void Rebuild(SimMachine& target, TimeUs down_us);
  /// One bit of a disk turns over; `draw` says which.
  void LetRot(SimMachine& target, std::uint64_t disk, std::uint64_t draw);

  /// A value becomes another one on one replica, where replicas compare what they hold.
  void Alter(SimMachine& target, Alteration where);

  /// What was begun is done.
  bool idle() const { return steps_.empty(); }
  /// All that was lost was brought back.
  bool AllIsWell();
  /// From now on nothing is begun any more; but where the leader's status goes on saying that
  /// replicas differ and no majority can tell which one is wrong, the wrong one is rebuilt.
  void Calm();

  void OnParcel(const Parcel& /*parcel*/) override {}

 private:
  void Ask(const proto::Message& message);
  /// Now, or as soon as it is done.
  void Try(TimeUs until, std::function<bool()> job);
  bool TakeInNow();
  bool ReplaceNow(SimMachine& target);
  bool RebuildNow(SimMachine& target, TimeUs down_us);
  bool LetRotNow(SimMachine& target, std::uint64_t disk, std::uint64_t draw);
  void Begin(proto::ChangeMembers wish);
  /// A log that others took part with, so that they can tell it from another one.
  bool IsNoted(NodeId node) const;
  void GoOn();
  bool IsDone(const proto::ChangeMembers& wish) const;
  void PlugInNext();
  SimMachine* NextSpare() const;
  /// All members, but this one if there is one, are up and agree who they are.
  bool Calmly(const SimMachine* but) const;
  bool OthersHoldWhatLogsDropped(const SimMachine& but) const;
  void LookForDifferences();
  bool MayImpair(const SimMachine& target);

  const ClusterWorld world_;
  const SimMachines& machines_;
  Random random_;
  const std::function<void(NodeId)> on_plugged_;
  RequestId last_request_;
  std::deque<proto::ChangeMembers> steps_;  ///< What has to be done, in order.
  bool goes_on_ = false;
  bool demoted_ = false;  ///< Or removed, at somebody's wish.
  bool calm_ = false;
  SimMachine* impaired_ = nullptr;
  std::optional<TimeUs> differ_since_;  ///< What leaders' statuses say.
};

}  // namespace bedrock::sim
