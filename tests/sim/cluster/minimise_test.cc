#include "tests/sim/cluster/minimise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace bedrock::sim {
namespace {

using Kind = NemesisAction::Kind;

ClusterResult Fails(const std::string& invariant) {
  ClusterResult result;
  result.invariant = invariant;
  result.failure = invariant;
  return result;
}

ClusterResult Passes() {
  ClusterResult result;
  result.ok = true;
  return result;
}

bool Has(const ClusterScript& script, Kind kind, std::uint64_t node) {
  return std::any_of(script.plan.begin(), script.plan.end(), [&](const NemesisAction& action) {
    return action.kind == kind && action.a == node;
  });
}

ClusterScript LongScript() {
  ClusterScript script;
  script.options.nodes = 5;
  script.options.loss = 100;
  script.options.duration_us = 4'000'000;
  for (std::uint64_t i = 0; i < 60; ++i) {
    script.plan.push_back({.at = i * 50'000, .kind = static_cast<Kind>(i % 14), .a = i % 5 + 1});
  }
  return script;
}

TEST(MinimiseTest, OnlyWhatIsNeededIsLeft) {
  const auto run = [](const ClusterScript& script) {
    const bool fails = Has(script, Kind::kKill, 4) && Has(script, Kind::kPause, 3) &&
                       script.options.nodes >= 3 && script.options.list_clients >= 1;
    return fails ? Fails("a promise") : Passes();
  };
  const Minimised least = Minimise(LongScript(), 1'000, run);
  EXPECT_EQ(least.result.invariant, "a promise");
  EXPECT_EQ(least.script.plan.size(), 2u);
  EXPECT_EQ(least.script.options.nodes, 3u);
  EXPECT_EQ(least.script.options.list_clients, 1u);
  EXPECT_EQ(least.script.options.register_clients, 0u);
  EXPECT_EQ(least.script.options.loss, 0u);
  EXPECT_LT(least.script.options.duration_us, 3'000'000u);
}

TEST(MinimiseTest, AnotherInvariantDoesNotCount) {
  const auto run = [](const ClusterScript& script) {
    return script.plan.size() == LongScript().plan.size() ? Fails("one") : Fails("another");
  };
  EXPECT_EQ(Minimise(LongScript(), 1'000, run).script.plan.size(), LongScript().plan.size());
}

TEST(MinimiseTest, RunsAreBounded) {
  std::uint64_t runs = 0;
  const auto run = [&runs](const ClusterScript&) {
    ++runs;
    return Fails("always");
  };
  EXPECT_LE(Minimise(LongScript(), 10, run).runs, 10u);
  EXPECT_LE(runs, 10u);
}

TEST(MinimiseTest, WhatNeedsNoNemesisLosesAllOfIt) {
  const auto run = [](const ClusterScript&) { return Fails("always"); };
  const Minimised least = Minimise(LongScript(), 1'000, run);
  EXPECT_TRUE(least.script.plan.empty());
  EXPECT_EQ(least.script.options.nodes, 1u);
}

}  // namespace
}  // namespace bedrock::sim
