#include "routerd/core/base/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "common/env/random.h"

namespace bedrock::router {
namespace {

std::vector<std::uint64_t> Advance(TimerWheel& wheel, std::uint64_t now) {
  std::vector<std::uint64_t> due;
  wheel.Advance(now, [&](std::uint64_t id) { due.push_back(id); });
  return due;
}

TEST(TimerWheelTest, FiresOnceAtItsTime) {
  TimerWheel wheel(10, 8);
  wheel.Schedule(1, 30);
  EXPECT_TRUE(Advance(wheel, 29).empty());
  EXPECT_EQ(Advance(wheel, 30), std::vector<std::uint64_t>{1});
  EXPECT_TRUE(Advance(wheel, 1000).empty());
}

TEST(TimerWheelTest, ATimerBeyondATurnWaitsForItsRound) {
  TimerWheel wheel(10, 8);
  wheel.Schedule(1, 30 + 3 * 80);
  EXPECT_TRUE(Advance(wheel, 30).empty());
  EXPECT_TRUE(Advance(wheel, 260).empty());
  EXPECT_EQ(Advance(wheel, 270), std::vector<std::uint64_t>{1});
}

TEST(TimerWheelTest, ATimerInThePastFiresAtTheNextTick) {
  TimerWheel wheel(10, 8);
  Advance(wheel, 500);
  wheel.Schedule(1, 100);
  EXPECT_EQ(Advance(wheel, 510), std::vector<std::uint64_t>{1});
}

TEST(TimerWheelTest, WhatATimerSchedulesFiresLater) {
  TimerWheel wheel(10, 8);
  wheel.Schedule(1, 10);
  wheel.Advance(10, [&](std::uint64_t) { wheel.Schedule(2, 10); });
  EXPECT_EQ(Advance(wheel, 20), std::vector<std::uint64_t>{2});
}

TEST(TimerWheelTest, AgreesWithASortedMapUnderRandomUse) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed);
    const std::uint64_t tick = random.Between(1, 20);
    TimerWheel wheel(tick, random.Between(1, 32));
    std::multimap<std::uint64_t, std::uint64_t> model;  // time → id
    std::uint64_t now = 0;
    std::uint64_t next_id = 1;
    for (int step = 0; step < 500; ++step) {
      for (std::uint64_t n = random.Below(4); n > 0; --n) {
        const std::uint64_t at = now + random.Below(2000);
        wheel.Schedule(next_id, at);
        model.emplace(at, next_id++);
      }
      now += random.Chance(1, 20) ? random.Below(5000) : random.Below(50);
      for (const std::uint64_t id : Advance(wheel, now)) {
        auto found = model.begin();
        while (found != model.end() && found->second != id) ++found;
        ASSERT_NE(found, model.end()) << "fired twice, seed " << seed;
        ASSERT_LE(found->first, now) << "fired early, seed " << seed;
        model.erase(found);
      }
      if (!model.empty()) {
        ASSERT_GT(model.begin()->first + 2 * tick, now) << "late, seed " << seed;
      }
      ASSERT_EQ(wheel.size(), model.size());
    }
  }
}

}  // namespace
}  // namespace bedrock::router
