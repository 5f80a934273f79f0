#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/sim/sim_checkers.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_options.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/sim/sim_trace.h"

namespace bedrock::sim {

/// How a run ended.
struct SimResult {
  bool ok = false;
  /// The broken invariant, the options and the last events.
  std::string failure;
  std::uint64_t trace_hash = 0;  ///< The same for every run of the same seed and code.
  SimStats stats;
};

/// A whole cluster in one thread, from one seed, in two phases. First everything may break and
/// safety is checked after every event. Then what was broken is healed (or a majority of it, and
/// the others stay away for ever) and the cluster has to elect a leader, converge and serve within
/// a bounded time: random healing alone would hide that it hangs.
class SimCluster {
 public:
  SimCluster(const SimOptions& options, PrintTrace print);
  ~SimCluster();

  SimResult Run();
  /// The seed, what failed, the options, the last events and where each node stands.
  std::string Describe() const;

 private:
  void RunFaults();
  void RunHealed();
  void RunTransfer();
  TimeUs HealedBound() const;
  bool RunUntil(TimeUs deadline, const std::function<bool()>& done);
  void Heal();
  void SendAway(NodeId outsider);
  bool Converged() const;
  /// Of the highest term among those that are healed; null: none.
  const SimNode* FindLeader() const;
  /// REQUIRES: Converged().
  NodeId CoreLeader() const;
  bool Answered() const;

  // Clients.
  void ScheduleProposals();
  void ScheduleReads();
  void Propose();
  void Read();
  NodeId AnyNode(Random& random) const { return NodeId(1 + random.Below(options_.nodes)); }
  NodeId ProposalTarget();
  /// A node that believes it leads; any where none does.
  NodeId Leader(Random& random) const;

  // Nemesis.
  void ScheduleNemesis();
  void Disturb();
  void PartitionNodes();
  void CutOneLink();
  void IsolateLeader();
  void HealSome();
  void TransferLeadership();
  void DelayWish();
  void ScheduleChanges();
  void ChangeMembers();
  raft::Delta DrawDelta(const raft::Membership& now);
  void CrashOne(NodeId node);
  void WipeMachine(NodeId target);
  bool AllWhole() const;
  void HurtOne(const std::function<bool(NodeId)>& hurt);
  void RotOne();
  void LoseOneTail(TimeUs down);
  void StartReplacing(NodeId target);
  void GoOnReplacing();
  void CrashAll();

  SimNode& node(NodeId id) { return *nodes_.at(id.value() - 1); }
  bool Calmly(NodeId but) const;
  /// It was healed in the second phase, or will be.
  bool InCore(NodeId id) const {
    return in_core_[id.value() - 1] && !nodes_[id.value() - 1]->gone();
  }

  const SimOptions options_;
  SimStreams streams_;
  SimScheduler scheduler_;
  SimTrace trace_;
  SimCheckers checkers_;
  SimStats stats_;
  SimNetwork network_;
  const std::function<SimNode*(NodeId)> find_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  NodeId replaced_;  ///< Its disk is gone for ever and it is still a member; none: there is none.
  std::vector<bool> in_core_;  ///< Healed in the second phase.
  bool healed_ = false;
  std::uint64_t proposals_ = 0;
  std::uint64_t tickets_ = 0;
};

/// Runs one seed. A CHECK that fails in it ends the process after Describe was printed.
SimResult RunSeed(std::uint64_t seed, PrintTrace print);

}  // namespace bedrock::sim
