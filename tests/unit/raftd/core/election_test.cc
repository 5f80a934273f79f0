#include <gtest/gtest.h>

#include "tests/unit/raftd/core/cluster_harness.h"

namespace bedrock::raft {
namespace {

TEST(Elections, AClusterElectsALeaderAndCommits) {
  Cluster cluster({.nodes = 3});
  const std::uint64_t leader = cluster.Elect();
  ASSERT_NE(leader, 0U);
  cluster.Propose(leader, "a");
  cluster.Stabilize();
  for (std::uint64_t id : cluster.ids()) EXPECT_EQ(cluster.Applied(id), "-a");
}

}  // namespace
}  // namespace bedrock::raft
