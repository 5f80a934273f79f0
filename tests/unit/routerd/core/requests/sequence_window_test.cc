#include "routerd/core/requests/sequence_window.h"

#include <gtest/gtest.h>

#include <set>

#include "common/env/random.h"

namespace bedrock::router {
namespace {

TEST(SequenceWindowTest, NumbersFromOne) {
  SequenceWindow window;
  EXPECT_EQ(window.low_water(), 1U);
  EXPECT_EQ(window.Take(), 1U);
  EXPECT_EQ(window.Take(), 2U);
}

TEST(SequenceWindowTest, LowWaterIsTheOldestUnfinished) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    SequenceWindow window;
    std::set<std::uint64_t> unfinished;
    std::uint64_t newest = 0;
    for (int step = 0; step < 1000; ++step) {
      if (unfinished.empty() || random.Chance(1, 2)) {
        newest = window.Take();
        unfinished.insert(newest);
      } else {
        auto chosen = unfinished.begin();
        std::advance(chosen, random.Below(unfinished.size()));
        window.Finish(*chosen);
        unfinished.erase(chosen);
      }
      ASSERT_EQ(window.low_water(), unfinished.empty() ? newest + 1 : *unfinished.begin());
      ASSERT_EQ(window.span(), newest + 1 - window.low_water());
    }
  }
}

TEST(SequenceWindowDeathTest, ANumberFinishesOnce) {
  SequenceWindow window;
  window.Take();
  window.Finish(1);
  EXPECT_DEATH(window.Finish(1), "CHECK");
}

}  // namespace
}  // namespace bedrock::router
