#pragma once

#include "tests/sim/cluster/cluster_sim.h"

namespace bedrock::sim {

/// A run that takes longer is ended.
inline constexpr unsigned kRunSecondsMax = 120;

/// Runs a script in a process of its own, so that a CHECK that fails there, or whatever else ends
/// it, is an outcome like any other: the invariant is then "CHECK at raft_log.cc:123" or "ended by
/// signal 11", and the failure is what was printed. REQUIRES: one thread.
ClusterResult RunApart(const ClusterScript& script);

}  // namespace bedrock::sim
