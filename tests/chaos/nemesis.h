#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>

#include "common/env/random.h"
#include "tests/process/test_cluster.h"

namespace bedrock::chaos {

/// Kills, pauses and starts again the processes of a cluster, at random, one disaster after the
/// other. One thread, which owns the cluster meanwhile.
class Nemesis {
 public:
  Nemesis(test::TestCluster& cluster, Random random) : cluster_(cluster), random_(random) {}

  /// Until `stop`; then everything runs again.
  void Run(const std::atomic<bool>& stop);
  /// "raftd killed 3 times, …".
  std::string Summary() const;

 private:
  void KillOne(const std::atomic<bool>& stop);
  void KillNode(const std::atomic<bool>& stop);
  void KillAll(const std::atomic<bool>& stop);
  void PauseOne(const std::atomic<bool>& stop);
  void StopOrderly(const std::atomic<bool>& stop);
  void StartWhatIsDown();
  void Wait(std::uint64_t ms_min, std::uint64_t ms_max, const std::atomic<bool>& stop);
  int ANode();
  test::Program AProgram();

  test::TestCluster& cluster_;
  Random random_;
  std::map<std::string, int> done_;
};

}  // namespace bedrock::chaos
