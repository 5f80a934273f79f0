#include "tests/sim/cluster/nemesis_plan.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>

#include "tests/sim/cluster/cluster_sim.h"

namespace bedrock::sim {
namespace {

TEST(NemesisPlanTest, AnActionIsReadBackAsItWasWritten) {
  std::set<NemesisAction::Kind> kinds;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    for (const NemesisAction& action : DrawPlan(DrawClusterOptions(seed))) {
      kinds.insert(action.kind);
      const auto read = ParseAction(action.ToString());
      ASSERT_TRUE(read.has_value()) << action.ToString();
      EXPECT_EQ(read->ToString(), action.ToString());
    }
  }
  EXPECT_EQ(kinds.size(), NemesisAction::kKinds);
}

TEST(NemesisPlanTest, PlansAreInOrderOfTimeAndEndWithTheFaults) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const ClusterOptions options = DrawClusterOptions(seed);
    TimeUs last = 0;
    for (const NemesisAction& action : DrawPlan(options)) {
      EXPECT_GE(action.at, last);
      EXPECT_LT(action.at, options.duration_us);
      last = action.at;
    }
  }
}

TEST(NemesisPlanTest, DrawnOptionsAreOnesThatProgramsTake) {
  std::set<std::uint64_t> sizes;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const ClusterOptions options = DrawClusterOptions(seed);
    EXPECT_TRUE(raft::ValidateLimits(options.RaftLimits()).ok()) << "seed " << seed;
    sizes.insert(options.nodes);
  }
  EXPECT_EQ(sizes, (std::set<std::uint64_t>{1, 2, 3, 4, 5}));
}

TEST(NemesisPlanTest, WhatIsNoActionIsRefused) {
  EXPECT_FALSE(ParseAction("").has_value());
  EXPECT_FALSE(ParseAction("action").has_value());
  EXPECT_FALSE(ParseAction("action 5 explode").has_value());
  EXPECT_FALSE(ParseAction("action 5 kill node").has_value());
  EXPECT_FALSE(ParseAction("action 5 kill nodes=2").has_value());
  EXPECT_FALSE(ParseAction("action 5 kill node=two").has_value());
}

TEST(ClusterScriptTest, AScriptIsReadBackAsItWasWritten) {
  const ClusterScript script = DrawScript(7);
  const auto read = ClusterScript::Parse(script.ToString());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->ToString(), script.ToString());
  EXPECT_EQ(read->options.seed, 7u);
}

TEST(ClusterScriptTest, WhatIsMissingHasItsDefault) {
  const auto read = ClusterScript::Parse(
      "bedrock cluster simulation 1\n# by hand\nseed 9\noption nodes 5\n"
      "action 100 kill node=1 program=2 down_us=5\n");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->options.nodes, 5u);
  EXPECT_EQ(read->options.tick_ms, ClusterOptions().tick_ms);
  ASSERT_EQ(read->plan.size(), 1u);
  EXPECT_EQ(read->plan[0].c, 5u);
}

TEST(ClusterScriptTest, WhatIsNoScriptIsRefused) {
  const std::string header = "bedrock cluster simulation 1\n";
  EXPECT_FALSE(ClusterScript::Parse("").ok());
  EXPECT_FALSE(ClusterScript::Parse("bedrock cluster simulation 2\n").ok());
  EXPECT_FALSE(ClusterScript::Parse(header + "option colour 3\n").ok());
  EXPECT_FALSE(ClusterScript::Parse(header + "option nodes\n").ok());
  EXPECT_FALSE(ClusterScript::Parse(header + "option nodes 0\n").ok());
  EXPECT_FALSE(ClusterScript::Parse(header + "option nodes 33\n").ok());
  EXPECT_FALSE(ClusterScript::Parse(header + "option heartbeat_ticks 0\n").ok());
  EXPECT_FALSE(ClusterScript::Parse(header + "nonsense\n").ok());
}

}  // namespace
}  // namespace bedrock::sim
