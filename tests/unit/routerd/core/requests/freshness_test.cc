#include "routerd/core/requests/freshness.h"

#include <gtest/gtest.h>

namespace bedrock::router {
namespace {

TEST(FreshnessTest, NothingIsKnownAtFirst) { EXPECT_FALSE(Freshness().in_step().has_value()); }

TEST(FreshnessTest, AnIndexThatIsAppliedWasInStepWhenItWasAskedFor) {
  Freshness freshness;
  freshness.OnApplied(Version(10));
  freshness.OnIndex(500, Version(9));
  ASSERT_TRUE(freshness.in_step().has_value());
  EXPECT_EQ(freshness.in_step()->at_ms, 500U);
  EXPECT_EQ(freshness.in_step()->index, Version(9));
}

TEST(FreshnessTest, AnIndexAheadCountsOnceItIsReached) {
  Freshness freshness;
  freshness.OnApplied(Version(10));
  freshness.OnIndex(500, Version(12));
  freshness.OnIndex(600, Version(15));
  EXPECT_FALSE(freshness.in_step().has_value());
  freshness.OnApplied(Version(13));
  EXPECT_EQ(freshness.in_step()->at_ms, 500U);
  freshness.OnApplied(Version(15));
  EXPECT_EQ(freshness.in_step()->at_ms, 600U);
}

TEST(FreshnessTest, ItNeverGoesBack) {
  Freshness freshness;
  freshness.OnApplied(Version(10));
  freshness.OnIndex(600, Version(10));
  freshness.OnIndex(500, Version(9));
  EXPECT_EQ(freshness.in_step()->at_ms, 600U);
}

TEST(FreshnessTest, AStoragedThatBeginsAnewHasToReachTheIndexAgain) {
  Freshness freshness;
  freshness.OnApplied(Version(20));
  freshness.OnApplied(Version(5));
  freshness.OnIndex(700, Version(10));
  EXPECT_FALSE(freshness.in_step().has_value());
  freshness.OnApplied(Version(10));
  EXPECT_EQ(freshness.in_step()->at_ms, 700U);
}

TEST(FreshnessTest, WhatWaitsIsBounded) {
  Freshness freshness;
  for (std::uint64_t i = 0; i < 10'000; ++i) freshness.OnIndex(i, Version(100 + i));
  freshness.OnApplied(Version(100'000));
  EXPECT_EQ(freshness.in_step()->at_ms, Freshness::kPendingMax - 1);
}

}  // namespace
}  // namespace bedrock::router
