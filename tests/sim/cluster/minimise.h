#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/sim/cluster/cluster_sim.h"
#include "tests/sim/cluster/nemesis_plan.h"

namespace bedrock::sim {

/// What is left of a script that fails, and how it fails.
struct Minimised {
  ClusterScript script;
  ClusterResult result;
  std::uint64_t runs = 0;
};

/// Runs a script; a stand-in in tests.
using RunScript = std::function<ClusterResult(const ClusterScript&)>;

/// Makes a failing script smaller, step by step, as long as it breaks the same invariant: leaves
/// out whole kinds of faults, then clients, nodes and time, then single actions of the plan by
/// delta debugging (Zeller and Hildebrandt 2002). Another invariant is another failure and does not
/// count. At most `runs_max` runs.
///
/// REQUIRES: the script fails.
Minimised Minimise(const ClusterScript& script, std::uint64_t runs_max, const RunScript& run);

}  // namespace bedrock::sim
