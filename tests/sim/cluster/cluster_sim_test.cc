#include "tests/sim/cluster/cluster_sim.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>

namespace bedrock::sim {
namespace {

/// Seeds of one shard; the shards are separate tests so that ctest can run them side by side.
constexpr std::uint64_t kSeedsPerShard = 50;

class ClusterSeedsTest : public testing::TestWithParam<std::uint64_t> {};

INSTANTIATE_TEST_SUITE_P(All, ClusterSeedsTest, testing::Range<std::uint64_t>(0, 10));

TEST_P(ClusterSeedsTest, EveryInvariantHolds) {
  std::uint64_t undecided = 0;
  for (std::uint64_t i = 1; i <= kSeedsPerShard; ++i) {
    const ClusterResult result =
        RunCluster(DrawScript(GetParam() * kSeedsPerShard + i), PrintTrace::kNo);
    ASSERT_TRUE(result.ok) << result.failure;
    undecided += result.stats.undecided;
  }
  EXPECT_LE(undecided, 1u) << "a history too hard to judge says nothing";
}

TEST(ClusterSimTest, ASeedRunTwiceIsTheSame) {
  for (std::uint64_t seed = 1001; seed <= 1008; ++seed) {
    const ClusterResult one = RunCluster(DrawScript(seed), PrintTrace::kNo);
    const ClusterResult two = RunCluster(DrawScript(seed), PrintTrace::kNo);
    EXPECT_EQ(one.trace_hash, two.trace_hash) << "seed " << seed;
    EXPECT_EQ(one.stats.events, two.stats.events);
  }
}

TEST(ClusterSimTest, AScriptThatWasSavedRunsAsItsSeed) {
  for (std::uint64_t seed = 1011; seed <= 1013; ++seed) {
    const ClusterScript script = DrawScript(seed);
    const auto read = ClusterScript::Parse(script.ToString());
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ(RunCluster(*read, PrintTrace::kNo).trace_hash,
              RunCluster(script, PrintTrace::kNo).trace_hash)
        << "seed " << seed;
  }
}

TEST(ClusterSimTest, SeedsDiffer) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    hashes.insert(RunCluster(DrawScript(seed), PrintTrace::kNo).trace_hash);
  }
  EXPECT_EQ(hashes.size(), 5u);
}

/// A simulator whose faults never happen passes everything.
TEST(ClusterSimTest, EveryKindOfFaultHappensAndWorkGetsDone) {
  ClusterStats sum;
  for (std::uint64_t seed = 2001; seed <= 2160; ++seed) {
    const ClusterResult result = RunCluster(DrawScript(seed), PrintTrace::kNo);
    ASSERT_TRUE(result.ok) << result.failure;
    sum.Add(result.stats);
  }
  EXPECT_GT(sum.leaders, 80u);
  EXPECT_GT(sum.entries, 4'000u);
  EXPECT_GT(sum.executed, 2'000u);
  EXPECT_GT(sum.reads, 500u);
  EXPECT_GT(sum.stale_reads, 100u);
  EXPECT_GT(sum.writes, 1'000u);
  EXPECT_GT(sum.resent, 300u);
  EXPECT_GT(sum.unknown, 20u);
  EXPECT_GT(sum.transactions, 200u);
  EXPECT_GT(sum.pessimistic, 50u);
  EXPECT_GT(sum.conflicts, 50u);
  EXPECT_GT(sum.kills, 30u);
  EXPECT_GT(sum.power_cuts, 30u);
  EXPECT_GT(sum.crash_points, 10u);
  EXPECT_GT(sum.failed_syncs, 5u);
  EXPECT_GT(sum.full_disks, 3u);
  EXPECT_GT(sum.stalls, 5u);
  EXPECT_GT(sum.pauses, 20u);
  EXPECT_GT(sum.cuts, 20u);
  EXPECT_GT(sum.transfers, 10u);
  EXPECT_GT(sum.joints, 1u);
  EXPECT_GT(sum.joined, 3u);
  EXPECT_GT(sum.replaced, 0u);
  EXPECT_GT(sum.returned, 0u);
  EXPECT_GT(sum.keys_reused, 0u);
  EXPECT_GT(sum.replies_dropped, 0u);
  EXPECT_LT(sum.forgetful, 5u) << "nothing is proved by what a cluster may have forgotten";
  EXPECT_GT(sum.restarts, 10u);
  EXPECT_GT(sum.rebuilt, 3u);
  EXPECT_GT(sum.rotten_bits, 0u);
  EXPECT_GT(sum.rot_found, 0u);
  EXPECT_GT(sum.checks, 500u);
  EXPECT_GT(sum.altered, 10u);
  EXPECT_GT(sum.altered_commands, 2u);
  EXPECT_GT(sum.alterations_found, 0u);
  EXPECT_GT(sum.fetches, 10u);
  EXPECT_GT(sum.fetches_broken, 0u);
  EXPECT_GT(sum.fetch_crashes, 0u);
  EXPECT_GT(sum.snapshots, 5u);
  EXPECT_GT(sum.flushes, 100u);
  EXPECT_GT(sum.recoveries, 30u);
  EXPECT_GT(sum.replayed, 3'000u);
}

}  // namespace
}  // namespace bedrock::sim
