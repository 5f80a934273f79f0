#include "tests/sim/cluster/run_apart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "tests/sim/cluster/minimise.h"

namespace bedrock::sim {
namespace {

constexpr std::uint64_t kRunsMax = 120;

/// Short, with faults of many kinds, and among them what lets the sabotage show.
ClusterScript Sabotaged(Sabotage sabotage) {
  ClusterScript script;
  script.options.seed = 3;
  script.options.sabotage = static_cast<std::uint64_t>(sabotage);
  script.options.duration_us = 1'500'000;
  script.options.think_us_mean = 10'000;
  script.options.unflushed_entries_max = 3;
  script.options.loss = 30;
  script.options.late = 5;
  script.options.late_us_max = 100'000;
  using Kind = NemesisAction::Kind;
  script.plan = {
      {.at = 100'000, .kind = Kind::kPause, .a = 1, .b = 0, .c = 30'000},
      {.at = 200'000, .kind = Kind::kTransfer, .a = 0},
      {.at = 300'000, .kind = Kind::kStall, .a = 3, .b = 1, .c = 50'000},
      {.at = 400'000, .kind = Kind::kCut, .a = 1, .b = 6},
      {.at = 500'000, .kind = Kind::kHealAll},
      {.at = 900'000, .kind = Kind::kKill, .a = 2, .b = 1, .c = 20'000},
      {.at = 1'000'000, .kind = Kind::kWallClock, .a = 3, .b = 500},
      {.at = 1'100'000, .kind = Kind::kReset, .a = 1, .b = 2},
      {.at = 1'200'000, .kind = Kind::kPause, .a = 3, .b = 2, .c = 30'000},
  };
  return script;
}

TEST(RunApartTest, ARunIsTheSameAsInThisProcess) {
  const ClusterScript script = Sabotaged(Sabotage::kNone);
  const ClusterResult here = RunCluster(script, PrintTrace::kNo);
  const ClusterResult apart = RunApart(script);
  ASSERT_TRUE(here.ok) << here.failure;
  EXPECT_TRUE(apart.ok) << apart.failure;
  EXPECT_EQ(apart.trace_hash, here.trace_hash);
  EXPECT_EQ(apart.stats.ToString(), here.stats.ToString());
}

/// Minimises it and replays what is left from its text.
void ExpectSmallAndReplayable(Sabotage sabotage, const std::string& invariant) {
  const ClusterScript script = Sabotaged(sabotage);
  const Minimised least = Minimise(script, kRunsMax, RunApart);
  ASSERT_FALSE(least.result.ok);
  EXPECT_EQ(least.result.invariant.substr(0, invariant.size()), invariant) << least.result.failure;
  // A storaged has to come back; of the rest that was planned next to nothing matters.
  EXPECT_LE(least.script.plan.size(), 2u) << least.script.ToString();
  EXPECT_TRUE(std::any_of(
      least.script.plan.begin(), least.script.plan.end(),
      [](const NemesisAction& action) { return action.kind == NemesisAction::Kind::kKill; }));
  EXPECT_EQ(least.script.options.loss, 0u);
  EXPECT_LT(least.script.options.nodes, 3u);

  const auto saved = ClusterScript::Parse(least.script.ToString());
  ASSERT_TRUE(saved.ok()) << saved.status().ToString();
  const ClusterResult again = RunApart(*saved);
  EXPECT_FALSE(again.ok);
  EXPECT_EQ(again.invariant, least.result.invariant);
  EXPECT_EQ(again.trace_hash, least.result.trace_hash);
}

TEST(RunApartTest, ARunThatACheckEndsIsMadeSmallerAndReplayed) {
  ExpectSmallAndReplayable(Sabotage::kChecks, "CHECK at sim_storaged.cc:");
}

TEST(RunApartTest, ARunThatACheckerRejectsIsMadeSmallerAndReplayed) {
  ExpectSmallAndReplayable(Sabotage::kLosesChanges, "");
}

TEST(RunApartTest, WhatACheckPrintsAndWhereTheRunStoodIsKept) {
  const ClusterResult result = RunApart(Sabotaged(Sabotage::kChecks));
  ASSERT_FALSE(result.ok);
  EXPECT_NE(result.failure.find("CHECK failed"), std::string::npos) << result.failure;
  EXPECT_NE(result.failure.find("last events:"), std::string::npos);
}

}  // namespace
}  // namespace bedrock::sim
