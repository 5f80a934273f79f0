#pragma once

#include <cstdint>
#include <string>

#include "common/env/random.h"
#include "raftd/core/raft.h"

namespace bedrock::sim {

/// Microseconds of simulated time.
using TimeUs = std::uint64_t;

/// A chance in a thousand.
using PerMille = std::uint64_t;

/// What one run is made of, all of it drawn from the seed ("swarm testing", Groce et al. 2012: a
/// run without some kinds of faults reaches states that a run with all of them never does).
struct SimOptions {
  std::uint64_t seed = 0;

  std::uint64_t members = 3;  ///< At the beginning: nodes 1 to `members`, 1 to 7, odd and even.
  std::uint64_t nodes = 3;    ///< With those that wait to be taken in.
  raft::Limits limits;
  std::uint64_t segment_bytes = 0;
  std::uint32_t spare_segments = 1;

  TimeUs tick_us = 10'000;
  std::uint64_t clock_skew_per_mille = 0;  ///< Each node's clock runs up to this fast or slow.
  /// Chance that a life of a node has lease reads on: nodes need not agree about it.
  PerMille lease_reads = 0;
  /// Clocks run further apart than leases are made for: then lease reads may be stale, and nothing
  /// else may go wrong.
  bool beyond_drift = false;

  // Network.
  TimeUs delay_us_min = 100;
  TimeUs delay_us_mean = 500;  ///< Of the exponential part.
  PerMille loss = 0;
  PerMille duplication = 0;
  PerMille late = 0;  ///< Chance to be held up for up to `late_us_max`.
  TimeUs late_us_max = 0;

  // Disk.
  TimeUs sync_us_max = 2'000;
  TimeUs scrub_us = 0;         ///< Between steps of the log's scrub; 0: none.
  TimeUs report_us_max = 500;  ///< Between the disk's sync and the core hearing of it.

  // State machine.
  TimeUs apply_us_max = 1'000;
  PerMille flush = 200;             ///< Chance that applying is followed by making it durable.
  TimeUs snapshot_us_max = 10'000;  ///< Until the next piece of a snapshot is there.
  std::uint64_t snapshot_pieces_max = 4;  ///< It can be interrupted between any two.
  /// The log is kept so large for members that don't answer, and twice as large for any. 0: as
  /// large as it takes.
  std::uint64_t log_bytes_max = 0;

  // Clients.
  TimeUs proposal_us_mean = 20'000;
  std::uint64_t proposal_entries_max = 4;
  std::uint64_t payload_bytes_max = 100;
  TimeUs read_us_mean = 50'000;

  // Nemesis: mean time between its actions, and the weight of each.
  TimeUs nemesis_us_mean = 500'000;
  std::uint64_t weight_partition = 0;
  std::uint64_t weight_one_way = 0;
  std::uint64_t weight_isolate = 0;  ///< Whoever leads is cut off.
  std::uint64_t weight_heal = 1;
  std::uint64_t weight_crash = 0;
  std::uint64_t weight_crash_all = 0;
  std::uint64_t weight_crash_point = 0;
  std::uint64_t weight_pause = 0;
  std::uint64_t weight_stall = 0;
  std::uint64_t weight_full_disk = 0;
  std::uint64_t weight_failed_sync = 0;
  std::uint64_t weight_link_reset = 0;
  std::uint64_t weight_transfer = 0;
  std::uint64_t weight_late_wish = 0;     ///< One to stand comes as its leader gives up waiting.
  std::uint64_t weight_wipe_machine = 0;  ///< A state machine that loses everything.
  std::uint64_t weight_replace = 0;  ///< A node that loses everything, for ever: it is replaced.
  std::uint64_t weight_low_space = 0;
  std::uint64_t weight_rot = 0;        ///< Bytes of a log, or of a vote, that change by themselves.
  std::uint64_t weight_lost_tail = 0;  ///< The end of a log is gone.
  TimeUs reconfigure_us_mean =
      0;  ///< Between changes of the membership that are asked for; 0: none.

  TimeUs down_us_mean = 500'000;
  TimeUs duration_us = 10'000'000;  ///< Of the phase with faults.
  /// In the second phase only a majority is healed; the others are gone, or speak and hear nothing,
  /// or hear and cannot speak, for ever.
  bool majority_only = false;
  /// Payloads begin with a number of their own each: none is committed twice.
  bool numbered_proposals = true;

  std::string ToString() const;
};

/// Lets clocks run further apart than leases are made for (SimOptions::beyond_drift).
void RunBeyondDrift(SimOptions& options);

/// The options that `seed` stands for.
SimOptions DrawOptions(std::uint64_t seed);

/// The sub-streams of a seed: drawing from one does not shift another, so a change in, say, the
/// workload leaves the network's choices alone.
struct SimStreams {
  explicit SimStreams(std::uint64_t seed);

  Random network;
  Random disk;
  Random clock;
  Random nemesis;
  Random members;
  Random workload;
  Random core;
  Random state_machine;
};

/// An exponentially distributed time with this mean, at most 20 times the mean.
TimeUs DrawExponential(Random& random, TimeUs mean);

}  // namespace bedrock::sim
