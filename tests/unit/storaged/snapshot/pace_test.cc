#include "storaged/snapshot/pace.h"

#include <gtest/gtest.h>

#include "common/env/random.h"

namespace bedrock::storage {
namespace {

TEST(PaceTest, InTheLongRunNoMoreGoesThanItsRate) {
  constexpr std::uint64_t kRate = 1'000'000;
  constexpr std::uint64_t kChunk = 100'000;
  Random random(3);
  Pace pace(kRate);
  std::uint64_t now = 5'000;
  const std::uint64_t begun = now;
  std::uint64_t taken = 0;
  for (int i = 0; i < 1000; ++i) {
    while (pace.MayGo(now)) {
      pace.Take(kChunk);
      taken += kChunk;
    }
    const std::uint64_t allowed = (now - begun) * kRate / 1000 + kRate * Pace::kBurstMs / 1000;
    ASSERT_LE(taken, allowed + kChunk);
    // Who comes when he is told to finds that he may go.
    EXPECT_GT(pace.NextMs(), now);
    now = pace.NextMs();
    ASSERT_TRUE(pace.MayGo(now));
    if (random.Chance(1, 10)) now += random.Below(50);
  }
  EXPECT_GT(taken, (now - begun) * kRate / 1000 * 8 / 10);
}

TEST(PaceTest, CreditOfALongSilenceIsForgotten) {
  Pace pace(1'000'000);
  ASSERT_TRUE(pace.MayGo(1'000'000));
  pace.Take(1'000'000);
  EXPECT_FALSE(pace.MayGo(1'000'500));
  EXPECT_TRUE(pace.MayGo(1'001'001));
}

TEST(PaceTest, AnotherRateCountsFromThenOn) {
  Pace pace(1'000'000);
  ASSERT_TRUE(pace.MayGo(1'000));
  pace.Take(1'000'000);
  pace.SetRate(10'000'000, 1'500);
  EXPECT_FALSE(pace.MayGo(1'530));
  EXPECT_TRUE(pace.MayGo(1'560));
}

}  // namespace
}  // namespace bedrock::storage
