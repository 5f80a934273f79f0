#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proto/frame.h"
#include "tests/sim/cluster/cluster_checkers.h"
#include "tests/sim/cluster/cluster_options.h"
#include "tests/sim/cluster/cluster_trace.h"
#include "tests/sim/cluster/cluster_world.h"
#include "tests/sim/cluster/frame_network.h"
#include "tests/sim/cluster/histories.h"
#include "tests/sim/cluster/nemesis_plan.h"
#include "tests/sim/cluster/sim_client.h"
#include "tests/sim/cluster/sim_machine.h"
#include "tests/sim/cluster/sim_operator.h"
#include "tests/sim/sim_scheduler.h"

namespace bedrock::sim {

/// How a run ended.
struct ClusterResult {
  bool ok = false;
  /// What was broken, with the script, the last events and where each process stands.
  std::string failure;
  /// The invariant alone: runs that fail by the same one fail alike.
  std::string invariant;
  std::uint64_t trace_hash = 0;  ///< The same for every run of the same script and code.
  ClusterStats stats;
};

/// A whole cluster in one thread, from one seed: three processes a node, made of their real cores,
/// clients, and a nemesis that carries out its plan. In two phases: first everything may break and
/// safety is checked after every event; then all is healed (or a majority, and the others stay away
/// for ever), every request has to be answered, a leader to be elected, and all replicas to hold
/// the same, within a bounded time. At the end the clients' histories are judged.
class ClusterSim {
 public:
  ClusterSim(ClusterScript script, PrintTrace print);
  ~ClusterSim();

  ClusterResult Run();
  std::string Describe() const;

 private:
  void AddClients();
  void RunUntil(TimeUs deadline, const std::function<bool()>& done);
  bool failed() const { return checkers_.failed(); }

  void RunFaults();
  void Carry(const NemesisAction& action);
  void CarryOut(const NemesisAction& action, SimMachine& target);
  void SetLinks(std::uint64_t from_mask, std::uint64_t to_mask, bool cut);

  bool EverybodyIsNoted() const;
  void Heal();
  void SendSomeAway();
  void SendAway(SimMachine& outsider);
  /// Of those who are not away.
  std::vector<NodeId> Routers() const;
  void RunHealed();
  TimeUs HealedBound() const;
  bool Answered() const;
  /// What keeps a healed cluster from having converged; empty: nothing.
  std::string WhatIsOpen() const;
  static std::string WhatIsOpen(const SimMachine& machine, const raft::View& goal,
                                const raft::Membership& members);
  void RunUntilConverged(std::string_view invariant);
  void RunUntilAtRest();
  void ReadAll();

  SimMachine& Target(std::uint64_t node);

  const ClusterScript script_;
  const ClusterOptions& options_;
  ClusterStreams streams_;
  SimScheduler scheduler_;
  ClusterTrace trace_;
  ClusterCheckers checkers_;
  ClusterStats stats_;
  FrameNetwork network_;
  const ClusterWorld world_;
  Histories histories_;
  SimMachines machines_;
  std::vector<std::unique_ptr<SimClient>> clients_;
  std::unique_ptr<SimOperator> operator_;
  bool healed_ = false;
};

/// A CHECK that fails in the run ends the process after Describe was printed.
ClusterResult RunCluster(const ClusterScript& script, PrintTrace print);
/// The script that a seed stands for.
ClusterScript DrawScript(std::uint64_t seed);

}  // namespace bedrock::sim
