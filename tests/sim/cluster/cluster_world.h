#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/config/node_config.h"
#include "tests/sim/cluster/cluster_checkers.h"
#include "tests/sim/cluster/cluster_options.h"
#include "tests/sim/cluster/cluster_trace.h"
#include "tests/sim/cluster/frame_network.h"
#include "tests/sim/sim_scheduler.h"

namespace bedrock::sim {

/// What happened in a run, for tests that the simulator really does what it says.
struct ClusterStats {
  std::uint64_t events = 0;
  std::uint64_t leaders = 0;
  std::uint64_t entries = 0;   ///< Applied, each counted once.
  std::uint64_t executed = 0;  ///< Commands.
  std::uint64_t reads = 0;     ///< Answered to clients.
  std::uint64_t stale_reads = 0;
  std::uint64_t writes = 0;        ///< Acknowledged to clients.
  std::uint64_t resent = 0;        ///< Writes sent again under their id.
  std::uint64_t unknown = 0;       ///< Writes whose fate no client knows.
  std::uint64_t transactions = 0;  ///< Interactive ones that were committed.
  std::uint64_t pessimistic = 0;   ///< Of those.
  std::uint64_t conflicts = 0;
  std::uint64_t kills = 0;
  std::uint64_t power_cuts = 0;
  std::uint64_t crash_points = 0;
  std::uint64_t failed_syncs = 0;
  std::uint64_t full_disks = 0;
  std::uint64_t stalls = 0;
  std::uint64_t pauses = 0;
  std::uint64_t cuts = 0;
  std::uint64_t transfers = 0;
  std::uint64_t member_changes = 0;    ///< Asked for.
  std::uint64_t joints = 0;            ///< Joint configurations that were committed.
  std::uint64_t joined = 0;            ///< Nodes that were taken in.
  std::uint64_t replaced = 0;          ///< Nodes that were gone and were removed.
  std::uint64_t returned = 0;          ///< Of those: came back with empty disks first.
  std::uint64_t restarts = 0;          ///< In order, to their end.
  std::uint64_t rebuilt = 0;           ///< Storageds that began anew without their data.
  std::uint64_t rotten_bits = 0;       ///< On disks that are in use.
  std::uint64_t checks = 0;            ///< Of the state, on each replica.
  std::uint64_t altered = 0;           ///< Values that became others on one replica.
  std::uint64_t altered_commands = 0;  ///< Those of them that it executed.
  std::uint64_t alterations_found = 0;
  std::uint64_t differences_told = 0;     ///< By a leader, since no majority could tell.
  std::uint64_t differences_settled = 0;  ///< By the operator, likewise.
  std::uint64_t wrong_answers = 0;        ///< Of who was altered and not found: nobody sees them.
  std::uint64_t rot_found = 0;            ///< By whom it concerned, before the second phase.
  std::uint64_t flushes = 0;
  std::uint64_t fetches = 0;          ///< Snapshots that were begun to be fetched, each life anew.
  std::uint64_t fetches_broken = 0;   ///< By the end of the process that fetched.
  std::uint64_t fetch_crashes = 0;    ///< Of those: by a crash that was meant for it.
  std::uint64_t snapshots = 0;        ///< That took the place of a node's own state.
  std::uint64_t recoveries = 0;       ///< Engines that were opened and held something.
  std::uint64_t replayed = 0;         ///< Entries that a replica applied again.
  std::uint64_t keys_reused = 0;      ///< Idempotency-Keys that came with another request.
  std::uint64_t replies_dropped = 0;  ///< Their replies, once old.
  std::uint64_t forgetful = 0;        ///< Runs in which a command came again later than that.
  std::uint64_t undecided = 0;        ///< Histories that were too hard to judge.

  void Add(const ClusterStats& other);
  std::string ToString() const;
  /// Takes back what ToString gives; what is unknown or missing counts as 0.
  static ClusterStats Parse(const std::string& text);
};

/// What all parts of a run share. Borrowed.
struct ClusterWorld {
  const ClusterOptions& options;
  SimScheduler& scheduler;
  ClusterTrace& trace;
  ClusterCheckers& checkers;
  ClusterStats& stats;
  FrameNetwork& network;
};

inline constexpr ClusterId kSimCluster{77};

/// A node as flags and configurations describe it.
config::Member SimMember(NodeId node);
/// Those who found the cluster, and this node.
std::vector<config::Member> SimFlagMembers(const ClusterOptions& options, NodeId self);

}  // namespace bedrock::sim
