#include "tests/sim/cluster/cluster_options.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <sstream>

namespace bedrock::sim {

namespace {

enum Stream : std::uint64_t { kNetwork = 111, kNodes, kNemesis, kClients };

template <typename Options, typename Visit>
void ForEachField(Options& o, const Visit& visit) {
  visit("nodes", o.nodes);
  visit("spares", o.spares);
  visit("tick_ms", o.tick_ms);
  visit("heartbeat_ticks", o.heartbeat_ticks);
  visit("election_ticks_min", o.election_ticks_min);
  visit("election_ticks_max", o.election_ticks_max);
  visit("append_bytes_max", o.append_bytes_max);
  visit("append_entries_max", o.append_entries_max);
  visit("window_messages_max", o.window_messages_max);
  visit("window_bytes_max", o.window_bytes_max);
  visit("uncommitted_bytes_max", o.uncommitted_bytes_max);
  visit("uncommitted_entries_max", o.uncommitted_entries_max);
  visit("cache_bytes_max", o.cache_bytes_max);
  visit("apply_bytes_max", o.apply_bytes_max);
  visit("apply_window_bytes_max", o.apply_window_bytes_max);
  visit("segment_bytes", o.segment_bytes);
  visit("spare_segments", o.spare_segments);
  visit("log_on_thread", o.log_on_thread);
  visit("load_bytes_max", o.load_bytes_max);
  visit("scrub_ms", o.scrub_ms);
  visit("log_bytes_max", o.log_bytes_max);
  visit("check_ms", o.check_ms);
  visit("slice_bytes", o.slice_bytes);
  visit("probe_ms", o.probe_ms);
  visit("unresponsive_ms", o.unresponsive_ms);
  visit("memtable_bytes", o.memtable_bytes);
  visit("memtables_max", o.memtables_max);
  visit("block_bytes", o.block_bytes);
  visit("table_bytes", o.table_bytes);
  visit("level0_files_trigger", o.level0_files_trigger);
  visit("level0_files_stop", o.level0_files_stop);
  visit("level1_bytes", o.level1_bytes);
  visit("level_multiplier", o.level_multiplier);
  visit("block_cache_bytes", o.block_cache_bytes);
  visit("blob_bytes_min", o.blob_bytes_min);
  visit("unflushed_entries_max", o.unflushed_entries_max);
  visit("snapshot_bytes_per_second", o.snapshot_bytes_per_second);
  visit("write_attempt_ms", o.write_attempt_ms);
  visit("read_attempt_ms", o.read_attempt_ms);
  visit("retry_ms_min", o.retry_ms_min);
  visit("silence_ms", o.silence_ms);
  visit("avoid_ms", o.avoid_ms);
  visit("history_ms", o.history_ms);
  visit("commands_in_flight_max", o.commands_in_flight_max);
  visit("clock_skew_per_mille", o.clock_skew_per_mille);
  visit("wall_skew_ms", o.wall_skew_ms);
  visit("wall_rush", o.wall_rush);
  visit("turn_us_max", o.turn_us_max);
  visit("delay_us_min", o.delay_us_min);
  visit("delay_us_mean", o.delay_us_mean);
  visit("loss", o.loss);
  visit("duplication", o.duplication);
  visit("late", o.late);
  visit("late_us_max", o.late_us_max);
  visit("local_delay_us_max", o.local_delay_us_max);
  visit("sync_us_max", o.sync_us_max);
  visit("job_us_max", o.job_us_max);
  visit("register_clients", o.register_clients);
  visit("list_clients", o.list_clients);
  visit("counter_clients", o.counter_clients);
  visit("set_clients", o.set_clients);
  visit("archive_clients", o.archive_clients);
  visit("keys", o.keys);
  visit("think_us_mean", o.think_us_mean);
  visit("timeout_ms", o.timeout_ms);
  visit("value_bytes_max", o.value_bytes_max);
  visit("drop_history", o.drop_history);
  visit("odd_requests", o.odd_requests);
  visit("duration_us", o.duration_us);
  visit("majority_only", o.majority_only);
  visit("gone_return", o.gone_return);
  visit("alters", o.alters);
  visit("rests", o.rests);
  visit("sabotage", o.sabotage);
}

template <std::size_t kCount>
std::uint64_t OneOf(Random& random, const std::array<std::uint64_t, kCount>& values) {
  return values.at(static_cast<std::size_t>(random.Below(kCount)));
}

/// Absent in half of the runs.
std::uint64_t Maybe(Random& random, std::uint64_t most) {
  return random.Chance(1, 2) ? 0 : random.Between(1, most);
}

void DrawRaft(Random& random, ClusterOptions& o) {
  o.tick_ms = OneOf<2>(random, {5, 10});
  o.heartbeat_ticks = random.Between(1, 4);
  o.election_ticks_min = o.heartbeat_ticks * random.Between(4, 8);
  o.election_ticks_max = o.election_ticks_min * random.Between(15, 25) / 10;
  o.append_bytes_max = OneOf<4>(random, {1, 300, 4 << 10, 256 << 10});
  o.append_entries_max = OneOf<4>(random, {1, 3, 20, 4096});
  o.window_messages_max = OneOf<4>(random, {1, 2, 8, 64});
  o.window_bytes_max = std::max(o.append_bytes_max, OneOf<2>(random, {10 << 10, 8 << 20}));
  o.uncommitted_bytes_max = OneOf<3>(random, {2'000, 20 << 10, 64 << 20});
  o.uncommitted_entries_max = OneOf<3>(random, {8, 200, 1 << 16});
  o.cache_bytes_max = OneOf<4>(random, {1, 500, 10 << 10, 64 << 20});
  o.apply_bytes_max = OneOf<3>(random, {1, 500, 1 << 20});
  o.apply_window_bytes_max = OneOf<3>(random, {1, 2'000, 8 << 20});
  o.segment_bytes = OneOf<3>(random, {16 << 10, 64 << 10, 256 << 10});
  o.spare_segments = random.Below(3);
  o.log_on_thread = random.Chance(2, 3) ? 1 : 0;
  o.load_bytes_max = OneOf<3>(random, {1, 500, 1 << 20});
  o.scrub_ms = OneOf<3>(random, {0, 50, 1'000});
  o.probe_ms = OneOf<2>(random, {50, 200});
  o.unresponsive_ms = o.probe_ms * random.Between(2, 4);
}

void DrawStorage(Random& random, ClusterOptions& o) {
  o.memtable_bytes = OneOf<4>(random, {1 << 10, 4 << 10, 16 << 10, 256 << 10});
  o.memtables_max = random.Between(2, 4);
  o.block_bytes = OneOf<3>(random, {128, 512, 4 << 10});
  o.table_bytes = OneOf<3>(random, {1 << 10, 8 << 10, 64 << 10});
  o.level0_files_trigger = random.Between(1, 4);
  o.level0_files_stop = o.level0_files_trigger + random.Between(2, 12);
  o.level1_bytes = OneOf<3>(random, {2 << 10, 16 << 10, 256 << 10});
  o.level_multiplier = random.Between(2, 6);
  o.block_cache_bytes = OneOf<3>(random, {0, 8 << 10, 1 << 20});
  o.blob_bytes_min = OneOf<3>(random, {0, 32, 500});
  o.unflushed_entries_max = OneOf<4>(random, {3, 30, 200, 1'000'000});
}

void DrawRouter(Random& random, ClusterOptions& o) {
  o.write_attempt_ms = OneOf<3>(random, {30, 150, 600});
  o.read_attempt_ms = OneOf<3>(random, {30, 150, 600});
  o.retry_ms_min = OneOf<2>(random, {5, 20});
  o.silence_ms = OneOf<2>(random, {600, 1500});
  o.avoid_ms = OneOf<2>(random, {50, 500});
  o.history_ms = OneOf<4>(random, {0, 1, 300, 1'500});
  o.commands_in_flight_max = OneOf<3>(random, {1, 8, 4096});
}

/// Raft elects and keeps a leader where the time to broadcast, disks included, is well below the
/// election timeout (Ongaro and Ousterhout 2014, 5.6); beyond that one election follows the other
/// for ever, as it must. So no timeout is below twice the longest broadcast that there may be once
/// the network is healed (four times the mean one): a sync of whoever answers, and three turns of
/// loops. While it is not, delays are beyond any bound.
void BoundElections(ClusterOptions& o) {
  const TimeUs broadcast_us = o.sync_us_max + 3 * o.turn_us_max;
  const TimeUs tick_us = o.tick_ms * 1'000;
  const std::uint64_t least = (2 * broadcast_us + tick_us - 1) / tick_us;
  if (o.election_ticks_min >= least) return;
  o.election_ticks_max = o.election_ticks_max * least / o.election_ticks_min;
  o.election_ticks_min = least;
}

void DrawFaults(Random& random, ClusterOptions& o) {
  o.clock_skew_per_mille = OneOf<3>(random, {0, 10, 100});
  o.wall_skew_ms = OneOf<3>(random, {0, 50, 20'000});
  o.turn_us_max = OneOf<3>(random, {1, 50, 2'000});
  o.delay_us_mean = OneOf<4>(random, {200, 1'000, 5'000, 20'000});
  o.delay_us_min = random.Between(10, o.delay_us_mean);
  o.loss = Maybe(random, 150);
  o.duplication = Maybe(random, 150);
  o.late = Maybe(random, 30);
  o.local_delay_us_max = OneOf<3>(random, {10, 100, 3'000});
  o.sync_us_max = OneOf<4>(random, {10, 1'000, 5'000, 30'000});
  o.job_us_max = OneOf<3>(random, {100, 3'000, 50'000});
  BoundElections(o);
  o.late_us_max = 3 * o.election_ticks_max * o.tick_ms * 1'000;
}

void DrawClients(Random& random, ClusterOptions& o) {
  o.register_clients = random.Below(5);
  o.list_clients = random.Below(5);
  o.counter_clients = random.Below(4);
  o.set_clients = random.Below(4);
  if (o.register_clients + o.list_clients + o.counter_clients + o.set_clients == 0) {
    o.register_clients = 2;
  }
  o.keys = random.Between(1, 4);
  o.think_us_mean = OneOf<3>(random, {1'000, 8'000, 40'000});
  o.timeout_ms = OneOf<3>(random, {60, 400, 1'500});
  o.value_bytes_max = OneOf<3>(random, {8, 100, 1'500});
  o.drop_history = OneOf<3>(random, {0, 10, 60});
}

/// Logs that are short of room, so that who is away falls behind them, and nodes that are new.
void DrawSnapshots(Random random, ClusterOptions& o) {
  if (random.Chance(3, 4)) {
    o.segment_bytes = OneOf<3>(random, {16 << 10, 16 << 10, 64 << 10});
    o.log_bytes_max = OneOf<3>(random, {1, 2, 5}) * o.segment_bytes;
  }
  o.spares = OneOf<4>(random, {0, 0, 1, 2});
  o.archive_clients = random.Below(3);
  o.check_ms = OneOf<4>(random, {0, 40, 200, 1'000});
  o.snapshot_bytes_per_second = OneOf<3>(random, {100'000, 1 << 20, 64 << 20});
}

/// What few clients and few clusters do.
void DrawHabits(Random random, ClusterOptions& o) {
  o.odd_requests = random.Chance(1, 3) ? 1 : 0;
  o.gone_return = random.Chance(1, 2) ? 1 : 0;
  if (random.Chance(1, 8)) o.wall_rush = 500;
  // So that a pass over so little takes several checks.
  if (random.Chance(2, 3)) o.slice_bytes = OneOf<3>(random, {300, 1'500, 6'000});
  if (random.Chance(1, 4)) {
    o.alters = 1;
    o.archive_clients = random.Between(1, 2);
    o.check_ms = OneOf<2>(random, {40, 200});
  }
  o.rests = random.Chance(1, 4) ? 1 : 0;
}

}  // namespace

ClusterOptions DrawClusterOptions(std::uint64_t seed) {
  Random random = Random(seed).Fork(kClusterOptionsStream);
  ClusterOptions options;
  options.seed = seed;
  options.nodes = OneOf<8>(random, {1, 2, 3, 3, 3, 3, 4, 5});
  DrawRaft(random, options);
  DrawStorage(random, options);
  DrawRouter(random, options);
  DrawFaults(random, options);
  DrawClients(random, options);
  options.duration_us = random.Between(1'500, 4'000) * 1'000;
  options.majority_only = random.Chance(1, 3) ? 1 : 0;
  DrawSnapshots(Random(seed).Fork(kClusterSnapshotsStream), options);
  DrawHabits(Random(seed).Fork(kClusterHabitsStream), options);
  return options;
}

raft::Limits ClusterOptions::RaftLimits() const {
  raft::Limits limits;
  limits.heartbeat_ticks = static_cast<std::uint32_t>(heartbeat_ticks);
  limits.election_ticks_min = static_cast<std::uint32_t>(election_ticks_min);
  limits.election_ticks_max = static_cast<std::uint32_t>(election_ticks_max);
  limits.append_bytes_max = append_bytes_max;
  limits.append_entries_max = append_entries_max;
  limits.window_messages_max = window_messages_max;
  limits.window_bytes_max = window_bytes_max;
  limits.uncommitted_bytes_max = uncommitted_bytes_max;
  limits.uncommitted_entries_max = uncommitted_entries_max;
  limits.cache_bytes_max = cache_bytes_max;
  limits.apply_bytes_max = apply_bytes_max;
  limits.apply_window_bytes_max = apply_window_bytes_max;
  return limits;
}

engine::EngineOptions ClusterOptions::Engine() const {
  engine::EngineOptions engine;
  engine.directory = "storage";
  engine.memtable_bytes = memtable_bytes;
  engine.memtables_max = memtables_max;
  engine.block_bytes = block_bytes;
  engine.table_bytes = table_bytes;
  engine.level0_files_trigger = static_cast<std::uint32_t>(level0_files_trigger);
  engine.level0_files_stop = static_cast<std::uint32_t>(level0_files_stop);
  engine.level1_bytes = level1_bytes;
  engine.level_multiplier = static_cast<std::uint32_t>(level_multiplier);
  engine.block_cache_bytes = block_cache_bytes;
  engine.blob_bytes_min = blob_bytes_min;
  engine.unflushed_entries_max = unflushed_entries_max;
  engine.reserve_bytes = 0;
  return engine;
}

std::string ClusterOptions::ToString() const {
  std::ostringstream out;
  ForEachField(*this, [&out](const char* name, std::uint64_t value) {
    out << "option " << name << ' ' << value << '\n';
  });
  return out.str();
}

Status ClusterOptions::Set(const std::string& name, std::uint64_t value) {
  bool known = false;
  ForEachField(*this, [&](const char* field, std::uint64_t& place) {
    if (name != field) return;
    place = value;
    known = true;
  });
  return known ? Status::Ok() : Status::InvalidArgument("no such option: " + name);
}

ClusterStreams::ClusterStreams(std::uint64_t seed)
    : network(Random(seed).Fork(kNetwork)),
      nodes(Random(seed).Fork(kNodes)),
      nemesis(Random(seed).Fork(kNemesis)),
      clients(Random(seed).Fork(kClients)) {}

}  // namespace bedrock::sim
