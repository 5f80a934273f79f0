#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bedrock/status.h"
#include "common/base/units.h"
#include "common/config/flags.h"
#include "common/config/node_config.h"
#include "raftd/core/raft.h"

namespace bedrock::raft {

/// What a raftd is told. Times in milliseconds.
struct Options {
  config::NodeConfig node;
  /// Where peers, routers and the own node's processes come to. Empty: the own ipc endpoint, and
  /// the raft endpoint of the own --member. Where that is an address that others know this host by,
  /// name one to bind.
  std::vector<std::string> listen;

  /// A new node that waits until a cluster takes it in, instead of founding one with the --member
  /// nodes. Counts at its first start alone, as they do.
  bool join = false;

  /// The core's clock. Lower only with the election timeouts.
  std::uint64_t tick_ms = 10;
  /// How often a leader shows that it lives. Raise on links with a round trip above 20 ms.
  std::uint64_t heartbeat_ms = 50;
  /// Silence after which a follower stands for election, drawn anew each time from [min, max]. At
  /// least ten times the slowest usual fdatasync and the round trip; also how long a disk may keep
  /// a leader waiting before it steps down.
  std::uint64_t election_ms_min = 500;
  std::uint64_t election_ms_max = 1000;

  /// Confirms reads by the leader's clock while a quorum has promised to elect nobody else, which
  /// spares a round trip a read. On at every member, or the leader finds no quorum of promises and
  /// asks as ever. Off by default: reads are then right whatever clocks do.
  bool lease_reads = false;
  /// For leases: how much faster one member's clock may run than another's, in thousandths. NTP's
  /// daemons slew by up to 100.
  std::uint64_t clock_drift_per_mille = 100;

  std::uint64_t log_segment_bytes = 64 * kMiB;
  /// The log is dropped behind what every member holds; one that is away holds it up until the log
  /// has grown this large, and needs a snapshot after that. Raise where nodes are away for long and
  /// the state is large.
  std::uint64_t log_bytes_max = 1 * kGiB;
  /// How often segments that are not written any more are read and checked, 10 MiB/s; 0: never.
  std::uint64_t scrub_interval_ms = 24 * std::uint64_t{3'600'000};
  /// How often a leader has all replicas hash the next slice (512 KiB) of their state, so that one
  /// that differs is found and quarantined; 0: never. Nothing is done where nothing was written
  /// since all of the state was looked at. Lower it to find what is wrong sooner, at the price of
  /// some milliseconds of the replicas' time each.
  std::uint64_t check_interval_ms = 1000;
  /// "inline" or "thread". A thread of its own costs 10 to 20 % of throughput, and keeps heartbeats
  /// going where one fdatasync takes more than about 5 ms.
  std::string log_writer = "inline";
  /// Makes every sync of the log this much slower: shows on a fast disk how a slow one behaves.
  std::uint64_t sync_delay_ms = 0;

  /// What to bind. REQUIRES: node.Validate() is ok.
  std::vector<std::string> Endpoints() const;
  /// invalid_argument that names the flag.
  Status Validate() const;
  /// The core's limits. REQUIRES: Validate() is ok.
  Limits CoreLimits() const;
};

/// Declares all of raftd's flags over `options`, with their checks.
void AddFlags(config::FlagSet& flags, Options& options);

}  // namespace bedrock::raft
