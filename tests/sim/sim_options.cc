#include "tests/sim/sim_options.h"

#include <algorithm>
#include <array>
#include <bit>
#include <sstream>

namespace bedrock::sim {

namespace {

// Names of the sub-streams; they are part of what a seed means, so they never change.
enum Stream : std::uint64_t {
  kOptions = 1,
  kNetwork,
  kDisk,
  kClock,
  kNemesis,
  kWorkload,
  kCore,
  kStateMachine,
  kMembers,
};

template <std::size_t kCount>
std::uint64_t OneOf(Random& random, const std::array<std::uint64_t, kCount>& values) {
  return values.at(static_cast<std::size_t>(random.Below(kCount)));
}

/// Absent in half of the runs.
std::uint64_t Maybe(Random& random, std::uint64_t most) {
  return random.Chance(1, 2) ? 0 : random.Between(1, most);
}

raft::Limits DrawLimits(Random& random) {
  raft::Limits limits;
  limits.heartbeat_ticks = static_cast<std::uint32_t>(random.Between(1, 4));
  limits.election_ticks_min =
      limits.heartbeat_ticks * static_cast<std::uint32_t>(random.Between(4, 10));
  limits.election_ticks_max =
      limits.election_ticks_min * static_cast<std::uint32_t>(random.Between(15, 25)) / 10;
  limits.append_bytes_max = OneOf<4>(random, {1, 200, 4 * kKiB, 256 * kKiB});
  limits.append_entries_max = OneOf<4>(random, {1, 3, 20, 4096});
  limits.window_messages_max = OneOf<4>(random, {1, 2, 8, 64});
  limits.window_bytes_max = OneOf<3>(random, {limits.append_bytes_max, 10 * kKiB, 8 * kMiB});
  limits.window_bytes_max = std::max(limits.window_bytes_max, limits.append_bytes_max);
  limits.uncommitted_bytes_max = OneOf<3>(random, {500, 20 * kKiB, 64 * kMiB});
  limits.uncommitted_entries_max = OneOf<3>(random, {8, 200, 1 << 16});
  limits.cache_bytes_max = OneOf<4>(random, {1, 300, 10 * kKiB, 64 * kMiB});
  limits.apply_bytes_max = OneOf<3>(random, {1, 300, 1 * kMiB});
  limits.apply_window_bytes_max = OneOf<3>(random, {1, 1'000, 8 * kMiB});
  limits.reads_pending_max = OneOf<3>(random, {1, 16, 1 << 16});
  return limits;
}

void DrawFaults(Random& random, SimOptions& options) {
  options.delay_us_mean = OneOf<4>(random, {200, 1'000, 5'000, 30'000});
  options.delay_us_min = random.Between(10, options.delay_us_mean);
  options.loss = Maybe(random, 300);
  options.duplication = Maybe(random, 300);
  options.late = Maybe(random, 30);
  // Beyond an election timeout: answers then reach a leader of the past.
  options.late_us_max = 3 * options.limits.election_ticks_max * options.tick_us;
  options.sync_us_max = OneOf<4>(random, {10, 1'000, 5'000, 50'000});
  options.report_us_max = OneOf<3>(random, {1, 500, 20'000});
  options.clock_skew_per_mille = OneOf<3>(random, {0, 10, 100});
  options.nemesis_us_mean = OneOf<3>(random, {50'000, 300'000, 1'000'000});
  options.down_us_mean = OneOf<3>(random, {20'000, 300'000, 2'000'000});
  options.weight_partition = Maybe(random, 10);
  options.weight_one_way = Maybe(random, 10);
  options.weight_heal = random.Between(1, 20);
  options.weight_crash = Maybe(random, 10);
  options.weight_crash_all = Maybe(random, 2);
  options.weight_crash_point = Maybe(random, 10);
  options.weight_pause = Maybe(random, 5);
  options.weight_stall = Maybe(random, 3);
  options.weight_full_disk = Maybe(random, 2);
  options.weight_failed_sync = Maybe(random, 3);
  options.weight_link_reset = Maybe(random, 5);
  options.weight_transfer = Maybe(random, 10);
}

/// Leases come to their ends just when others may stand: slow clocks lead beside fast ones, as far
/// apart as leases are made for, leaders are cut off, and whoever may stand does so soon, on a fast
/// network and disks that leave hardly any time between.
void RunAtDriftBound(SimOptions& options) {
  options.lease_reads = 1'000;
  options.clock_skew_per_mille = 300;
  raft::Limits& limits = options.limits;
  limits.election_ticks_min = std::max(limits.election_ticks_min, 8 * limits.heartbeat_ticks);
  limits.election_ticks_max = limits.election_ticks_min + limits.election_ticks_min / 4;
  options.delay_us_mean = 200;
  options.delay_us_min = 10;
  options.sync_us_max = 1'000;
  options.report_us_max = 500;
  options.weight_transfer = 40;
  options.weight_isolate = 20;
  options.weight_heal = 30;
  options.nemesis_us_mean = 200'000;
}

/// Leaders hand over just when they give that up, and then hear nothing of it, while they are asked
/// for reads.
void RunWithLateWishes(SimOptions& options) {
  options.lease_reads = 1'000;
  raft::Limits& limits = options.limits;
  limits.election_ticks_min = std::max(limits.election_ticks_min, 8 * limits.heartbeat_ticks);
  limits.election_ticks_max = 2 * limits.election_ticks_min;
  options.delay_us_mean = 1'000;
  options.delay_us_min = 100;
  options.weight_late_wish = 40;
  options.weight_heal = 40;
  options.nemesis_us_mean = 100'000;
  options.read_us_mean = 5'000;
}

void DrawLeases(Random& random, SimOptions& options) {
  options.lease_reads = OneOf<3>(random, {1'000, 1'000, 600});
  const std::uint64_t kind = random.Below(6);
  if (kind == 0) {
    RunBeyondDrift(options);
    return;
  }
  if (kind == 1) RunAtDriftBound(options);
  if (kind == 2) RunWithLateWishes(options);
  // The fastest clock beside the slowest, rounded up.
  const std::uint64_t skew = options.clock_skew_per_mille;
  options.limits.clock_drift_per_mille =
      static_cast<std::uint32_t>((2'000 * skew + 999 - skew) / (1'000 - skew));
}

}  // namespace

void RunBeyondDrift(SimOptions& options) {
  options.lease_reads = 1'000;
  options.beyond_drift = true;
  options.limits.clock_drift_per_mille = 0;
  options.clock_skew_per_mille = 600;
  // A leader with a slow clock is heard by followers with fast ones all the same.
  raft::Limits& limits = options.limits;
  limits.election_ticks_min = 8 * limits.heartbeat_ticks;
  limits.election_ticks_max = 2 * limits.election_ticks_min;
  // Who has a fast clock stands first; so that slow ones lead, too, leadership is moved about. Then
  // leaders are cut off for longer than the others take to elect one, and asked for reads
  // meanwhile.
  options.weight_transfer = 40;
  options.weight_isolate = 20;
  options.weight_heal = 30;
  options.nemesis_us_mean = 300'000;
  options.read_us_mean = 5'000;
}

SimOptions DrawOptions(std::uint64_t seed) {
  Random random = Random(seed).Fork(kOptions);
  SimOptions options;
  options.seed = seed;
  // Three and five most of all: that is what people run.
  options.members = options.nodes = OneOf<10>(random, {1, 2, 3, 3, 3, 4, 5, 5, 6, 7});
  options.limits = DrawLimits(random);
  options.segment_bytes = OneOf<3>(random, {16 * kKiB, 64 * kKiB, 256 * kKiB});
  options.spare_segments = static_cast<std::uint32_t>(random.Below(3));
  DrawFaults(random, options);
  options.apply_us_max = OneOf<3>(random, {10, 1'000, 100'000});
  options.flush = OneOf<3>(random, {1'000, 200, 20});
  options.proposal_us_mean = OneOf<3>(random, {3'000, 10'000, 50'000});
  options.proposal_entries_max = OneOf<3>(random, {1, 4, 20});
  options.payload_bytes_max = OneOf<3>(random, {8, 100, 2'000});
  options.read_us_mean = OneOf<3>(random, {10'000, 50'000, 500'000});
  options.duration_us = random.Between(4, 12) * 1'000'000;
  options.majority_only = random.Chance(1, 3);
  if (random.Chance(1, 2)) {
    // Who is healed in the end has to be a majority of whatever the members are then.
    options.majority_only = false;
    options.reconfigure_us_mean = OneOf<3>(random, {20'000, 150'000, 600'000});
    options.nodes += random.Between(1, 4);
    options.weight_replace = Maybe(random, 10);
  } else if (!options.majority_only && options.members > 1) {
    options.weight_wipe_machine = Maybe(random, 5);
  }
  options.log_bytes_max = OneOf<4>(random, {0, 2, 5, 20}) * options.segment_bytes;
  options.snapshot_us_max = OneOf<3>(random, {1'000, 30'000, 500'000});
  options.snapshot_pieces_max = random.Between(1, 6);
  options.weight_low_space = Maybe(random, 4);
  options.weight_isolate = Maybe(random, 5);
  if (random.Chance(1, 2)) DrawLeases(random, options);
  options.weight_rot = Maybe(random, 10);
  options.weight_lost_tail = Maybe(random, 5);
  options.scrub_us = OneOf<3>(random, {0, 20'000, 300'000});
  return options;
}

std::string SimOptions::ToString() const {
  std::ostringstream out;
  out << "members=" << members << " nodes=" << nodes << " heartbeat=" << limits.heartbeat_ticks
      << " election=[" << limits.election_ticks_min << "," << limits.election_ticks_max
      << "] append=" << limits.append_entries_max << "/" << limits.append_bytes_max
      << "B window=" << limits.window_messages_max << "/" << limits.window_bytes_max
      << "B uncommitted=" << limits.uncommitted_entries_max << "/" << limits.uncommitted_bytes_max
      << "B cache=" << limits.cache_bytes_max << "B apply=" << limits.apply_bytes_max
      << "B reads=" << limits.reads_pending_max << " segment=" << segment_bytes
      << "B spares=" << spare_segments << " skew=" << clock_skew_per_mille
      << " delay=" << delay_us_min << "+" << delay_us_mean << "us loss=" << loss
      << " duplication=" << duplication << " late=" << late << " sync=" << sync_us_max
      << "us report=" << report_us_max << "us nemesis=" << nemesis_us_mean
      << "us down=" << down_us_mean << "us weights: partition=" << weight_partition
      << " one-way=" << weight_one_way << " isolate=" << weight_isolate << " heal=" << weight_heal
      << " crash=" << weight_crash << " all=" << weight_crash_all << " point=" << weight_crash_point
      << " pause=" << weight_pause << " stall=" << weight_stall << " full=" << weight_full_disk
      << " sync-error=" << weight_failed_sync << " reset=" << weight_link_reset
      << " transfer=" << weight_transfer << " late-wish=" << weight_late_wish
      << " reconfigure=" << reconfigure_us_mean << " low-space=" << weight_low_space
      << " leases=" << lease_reads << " drift=" << limits.clock_drift_per_mille
      << " beyond-drift=" << beyond_drift << " rot=" << weight_rot
      << " lost-tail=" << weight_lost_tail << " scrub=" << scrub_us
      << "us wipe-machine=" << weight_wipe_machine << " replace=" << weight_replace
      << " log-max=" << log_bytes_max << "B snapshot=" << snapshot_us_max << "us*"
      << snapshot_pieces_max << " duration=" << duration_us / 1'000'000
      << "s majority-only=" << majority_only;
  return out.str();
}

SimStreams::SimStreams(std::uint64_t seed)
    : network(Random(seed).Fork(kNetwork)),
      disk(Random(seed).Fork(kDisk)),
      clock(Random(seed).Fork(kClock)),
      nemesis(Random(seed).Fork(kNemesis)),
      members(Random(seed).Fork(kMembers)),
      workload(Random(seed).Fork(kWorkload)),
      core(Random(seed).Fork(kCore)),
      state_machine(Random(seed).Fork(kStateMachine)) {}

TimeUs DrawExponential(Random& random, TimeUs mean) {
  // Halves of the mean by the number of leading zeroes, in integers: floating point differs between
  // compilers and a seed must not. P(k halvings) = 2^-k is the geometric form of e^-x.
  constexpr TimeUs kFactorMax = 20;
  const std::uint64_t bits = random.Next();
  const std::uint64_t zeroes = static_cast<std::uint64_t>(std::countl_zero(bits | 1));
  // ln 2 = 0.693: each halving is worth that much of the mean, and a uniform part fills the steps.
  const TimeUs value = zeroes * mean * 693 / 1000 + random.Below(mean * 693 / 1000 + 1);
  return std::min(value, kFactorMax * mean);
}

}  // namespace bedrock::sim
