#pragma once

#include <cstdint>
#include <string>

#include "bedrock/status.h"
#include "common/env/random.h"
#include "raftd/core/raft.h"
#include "storaged/engine/engine.h"
#include "tests/sim/sim_options.h"

namespace bedrock::sim {

/// Faults that a product must not have; each shows once a storaged has come back with data.
enum class Sabotage : std::uint64_t {
  kNone,
  kLosesChanges,  ///< It does not do what entries say.
  kChecks,        ///< A CHECK fails when it applies one.
};

/// What one run of a whole cluster is made of, but for what its nemesis does (nemesis_plan.h). All
/// of it is numbers, so that it can be drawn, written to a file, read back and made smaller.
/// Probabilities are in thousandths.
struct ClusterOptions {
  std::uint64_t seed = 0;
  std::uint64_t nodes = 3;   ///< That found the cluster.
  std::uint64_t spares = 0;  ///< That wait to be taken in.

  // raftd.
  std::uint64_t tick_ms = 10;
  std::uint64_t heartbeat_ticks = 2;
  std::uint64_t election_ticks_min = 10;
  std::uint64_t election_ticks_max = 20;
  std::uint64_t append_bytes_max = 256 << 10;
  std::uint64_t append_entries_max = 4096;
  std::uint64_t window_messages_max = 64;
  std::uint64_t window_bytes_max = 8 << 20;
  std::uint64_t uncommitted_bytes_max = 64 << 20;
  std::uint64_t uncommitted_entries_max = 1 << 16;
  std::uint64_t cache_bytes_max = 64 << 20;
  std::uint64_t apply_bytes_max = 1 << 20;
  std::uint64_t apply_window_bytes_max = 8 << 20;
  std::uint64_t segment_bytes = 64 << 10;
  std::uint64_t spare_segments = 1;
  std::uint64_t log_on_thread = 1;  ///< 0: each sync keeps the loop waiting.
  std::uint64_t load_bytes_max = 1 << 20;
  std::uint64_t scrub_ms = 0;
  std::uint64_t log_bytes_max = std::uint64_t{1} << 30;  ///< Of what is kept for who is away.
  std::uint64_t check_ms = 0;  ///< Between checks of the replicas' states; 0: there are none.
  std::uint64_t slice_bytes = 512 * 1024;  ///< Of the state, what one check looks at.
  std::uint64_t probe_ms = 100;
  std::uint64_t unresponsive_ms = 400;

  // storaged.
  std::uint64_t memtable_bytes = 16 << 10;
  std::uint64_t memtables_max = 3;
  std::uint64_t block_bytes = 512;
  std::uint64_t table_bytes = 16 << 10;
  std::uint64_t level0_files_trigger = 2;
  std::uint64_t level0_files_stop = 8;
  std::uint64_t level1_bytes = 32 << 10;
  std::uint64_t level_multiplier = 4;
  std::uint64_t block_cache_bytes = 64 << 10;
  std::uint64_t blob_bytes_min = 0;
  std::uint64_t unflushed_entries_max = 1'000'000;
  std::uint64_t snapshot_bytes_per_second = 64 << 20;

  // routerd.
  std::uint64_t write_attempt_ms = 200;
  std::uint64_t read_attempt_ms = 100;
  std::uint64_t retry_ms_min = 10;
  std::uint64_t silence_ms = 700;
  std::uint64_t avoid_ms = 200;
  std::uint64_t history_ms = 0;
  std::uint64_t commands_in_flight_max = 4096;

  // Time.
  std::uint64_t clock_skew_per_mille = 0;  ///< Each node's clock runs up to this fast or slow.
  std::uint64_t wall_skew_ms = 0;          ///< Wall clocks differ by up to this.
  std::uint64_t wall_rush = 0;  ///< And gain so many milliseconds each: what is kept grows old.
  TimeUs turn_us_max = 50;  ///< Between an input and the end of its turn: what comes is batched.

  // Network between nodes.
  TimeUs delay_us_min = 100;
  TimeUs delay_us_mean = 300;
  PerMille loss = 0;
  PerMille duplication = 0;
  PerMille late = 0;
  TimeUs late_us_max = 0;
  TimeUs local_delay_us_max = 30;  ///< Between the processes of a node, and to clients.

  // Disks.
  TimeUs sync_us_max = 2'000;
  TimeUs job_us_max = 3'000;  ///< Between two steps of background work.

  // Clients.
  std::uint64_t register_clients = 2;
  std::uint64_t list_clients = 2;
  std::uint64_t counter_clients = 1;
  std::uint64_t set_clients = 1;
  std::uint64_t archive_clients = 0;
  std::uint64_t keys = 4;  ///< Of each family.
  TimeUs think_us_mean = 20'000;
  std::uint64_t timeout_ms = 1'000;
  std::uint64_t value_bytes_max = 100;
  PerMille drop_history = 0;  ///< Chance that a client lets the past vanish instead.
  /// Clients also ask for what few ask for: the same Idempotency-Key with another request,
  /// conditions beside reads, transactions that add.
  std::uint64_t odd_requests = 0;

  TimeUs duration_us = 4'000'000;  ///< Of the phase with faults.
  /// In the second phase only a majority is healed; the others are gone, deaf or dumb for ever.
  std::uint64_t majority_only = 0;
  /// Nodes that are gone come back under their old id with empty disks, and must stay out.
  std::uint64_t gone_return = 0;
  /// Values are altered on one replica after the other, and whoever is quarantined stays so longer.
  std::uint64_t alters = 0;
  /// In the end the cluster is left alone, and has to come to rest.
  std::uint64_t rests = 0;
  /// What is broken on purpose, for tests of this simulator alone (Sabotage); never drawn.
  std::uint64_t sabotage = 0;

  std::uint64_t machines() const { return nodes + spares; }
  raft::Limits RaftLimits() const;
  engine::EngineOptions Engine() const;
  /// "name value" lines, as ParseOption takes them.
  std::string ToString() const;
  /// Sets the field of this name. invalid_argument where there is none.
  Status Set(const std::string& name, std::uint64_t value);
};

/// The options that `seed` stands for.
ClusterOptions DrawClusterOptions(std::uint64_t seed);

/// The sub-streams of a seed (sim_options.h). Those of nodes, processes and clients are forked from
/// these by number, so that one more client shifts nobody else's choices.
struct ClusterStreams {
  explicit ClusterStreams(std::uint64_t seed);

  Random network;
  Random nodes;
  Random nemesis;  ///< Of what the plan leaves open.
  Random clients;
};

/// Names of the sub-streams that are drawn from before a run begins.
inline constexpr std::uint64_t kClusterOptionsStream = 101;
inline constexpr std::uint64_t kClusterPlanStream = 102;
inline constexpr std::uint64_t kClusterSnapshotsStream = 103;
inline constexpr std::uint64_t kClusterHabitsStream = 104;

}  // namespace bedrock::sim
