#include <gtest/gtest.h>

#include <cstdint>
#include <set>

#include "tests/sim/sim_cluster.h"

namespace bedrock::sim {
namespace {

/// Seeds of one shard; the shards are separate tests so that ctest can run them side by side.
constexpr std::uint64_t kSeedsPerShard = 100;

class SimSeedsTest : public testing::TestWithParam<std::uint64_t> {};

INSTANTIATE_TEST_SUITE_P(All, SimSeedsTest, testing::Range<std::uint64_t>(0, 4));

TEST_P(SimSeedsTest, EveryInvariantHolds) {
  for (std::uint64_t i = 1; i <= kSeedsPerShard; ++i) {
    const SimResult result = RunSeed(GetParam() * kSeedsPerShard + i, PrintTrace::kNo);
    ASSERT_TRUE(result.ok) << result.failure;
  }
}

TEST(SimTest, ASeedRunTwiceIsTheSame) {
  for (std::uint64_t seed = 1001; seed <= 1010; ++seed) {
    const SimResult one = RunSeed(seed, PrintTrace::kNo);
    const SimResult two = RunSeed(seed, PrintTrace::kNo);
    EXPECT_EQ(one.trace_hash, two.trace_hash) << "seed " << seed;
    EXPECT_EQ(one.stats.events, two.stats.events);
  }
}

TEST(SimTest, SeedsDiffer) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    hashes.insert(RunSeed(seed, PrintTrace::kNo).trace_hash);
  }
  EXPECT_EQ(hashes.size(), 5u);
}

/// A simulator whose faults never happen passes everything.
TEST(SimTest, EveryKindOfFaultHappensAndWorkGetsDone) {
  SimStats sum;
  for (std::uint64_t seed = 2001; seed <= 2080; ++seed) {
    const SimResult result = RunSeed(seed, PrintTrace::kNo);
    ASSERT_TRUE(result.ok) << result.failure;
    EXPECT_GT(result.stats.committed, 0u) << "seed " << seed;
    sum.Add(result.stats);
  }
  EXPECT_GT(sum.leaders, 100u);
  EXPECT_GT(sum.acknowledged, 1000u);
  EXPECT_GT(sum.reads_served, 500u);
  EXPECT_GT(sum.lease_reads, 200u);
  EXPECT_GT(sum.process_crashes, 20u);
  EXPECT_GT(sum.power_cuts, 20u);
  EXPECT_GT(sum.crash_points, 10u);
  EXPECT_GT(sum.torn_tails, 2u);
  EXPECT_GT(sum.failed_syncs, 5u);
  EXPECT_GT(sum.full_disks, 5u);
  EXPECT_GT(sum.low_spaces, 5u);
  EXPECT_GT(sum.pauses, 20u);
  EXPECT_GT(sum.stalls, 5u);
  EXPECT_GT(sum.cuts, 50u);
  EXPECT_GT(sum.fetches, 50u);
  EXPECT_GT(sum.compactions, 50u);
  EXPECT_GT(sum.reconfigurations, 50u);
  EXPECT_GT(sum.joints, 30u);
  EXPECT_GT(sum.transfers, 30u);
  EXPECT_GT(sum.late_wishes, 30u);
  EXPECT_GT(sum.hand_overs, 15u);
  EXPECT_GT(sum.snapshots, 30u);
  EXPECT_GT(sum.snapshots_broken, 5u);
  EXPECT_GT(sum.resets, 20u);
  EXPECT_GT(sum.wiped_machines, 5u);
  EXPECT_GT(sum.replaced, 1u);
  EXPECT_GT(sum.stuck_writes, 2u);
  EXPECT_GT(sum.rotted, 20u);
  EXPECT_GT(sum.scrub_finds, 2u);
  EXPECT_GT(sum.lost_tails, 10u);
  EXPECT_GT(sum.damaged_logs, 10u);
  EXPECT_GT(sum.lost_logs, 10u);
  EXPECT_GT(sum.ruined_logs, 0u);
}

/// Whatever clocks do, elections, commits and reads that a round confirmed are right.
TEST(SimTest, ClocksBeyondTheDriftBoundHarmNothingButLeases) {
  SimStats sum;
  for (std::uint64_t seed = 3001; seed <= 3060; ++seed) {
    SimOptions options = DrawOptions(seed);
    RunBeyondDrift(options);
    const SimResult result = SimCluster(options, PrintTrace::kNo).Run();
    ASSERT_TRUE(result.ok) << result.failure;
    sum.Add(result.stats);
  }
  EXPECT_GT(sum.lease_reads, 1000u);
  // Where clocks keep to the bound any of these would be a failure: so that one can be seen.
  EXPECT_GT(sum.void_leases, 0u);
  EXPECT_GT(sum.stale_leases, 0u);
}

TEST(SimTest, OptionsReachEverySizeOfCluster) {
  std::set<std::uint64_t> sizes;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    const SimOptions options = DrawOptions(seed);
    EXPECT_TRUE(raft::ValidateLimits(options.limits).ok()) << "seed " << seed;
    sizes.insert(options.members);
  }
  EXPECT_EQ(sizes, (std::set<std::uint64_t>{1, 2, 3, 4, 5, 6, 7}));
}

}  // namespace
}  // namespace bedrock::sim
