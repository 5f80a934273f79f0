#include "storaged/engine/backpressure.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

Backpressure::Load Memory(std::uint64_t percent) {
  return {.memtable_bytes = percent, .memtable_bytes_max = 100};
}

TEST(BackpressureTest, NobodyWaitsUpToOneHalf) {
  Backpressure pressure;
  pressure.Flushed(100 * kMiB, 1'000'000);
  pressure.Update(Memory(50));
  EXPECT_FALSE(pressure.slow());
  EXPECT_EQ(pressure.Take(kMiB, 0), 0u);
}

TEST(BackpressureTest, TheRateFollowsTheDrainAndFallsWithThePressure) {
  Backpressure pressure;
  pressure.Flushed(100 * kMiB, 1'000'000);
  pressure.Update(Memory(75));
  EXPECT_NEAR(pressure.rate(), 100.0 * kMiB, kMiB);
  pressure.Update(Memory(100));
  EXPECT_NEAR(pressure.rate(), 50.0 * kMiB, kMiB);
  double last = 1e18;
  for (std::uint64_t percent = 51; percent <= 130; ++percent) {
    pressure.Update(Memory(percent));
    EXPECT_LE(pressure.rate(), last) << percent;
    last = pressure.rate();
  }
}

TEST(BackpressureTest, TheWorstInputCountsWithItsOwnDrain) {
  Backpressure pressure;
  pressure.Flushed(100 * kMiB, 1'000'000);
  pressure.Compacted(10 * kMiB, 1'000'000);
  pressure.Update({.memtable_bytes = 60,
                   .memtable_bytes_max = 100,
                   .level0_files = 18,
                   .level0_files_max = 24});
  EXPECT_NEAR(pressure.rate(), 10.0 * kMiB, kMiB);
  pressure.Update({.debt_bytes = 75, .debt_bytes_max = 100});
  EXPECT_NEAR(pressure.rate(), 10.0 * kMiB, kMiB);
}

TEST(BackpressureTest, WritersGetTheRateOverTime) {
  Backpressure pressure;
  pressure.Flushed(100 * kMiB, 1'000'000);
  pressure.Update(Memory(75));
  std::uint64_t now_us = 1'000;
  constexpr std::uint64_t kBytes = 4096;
  constexpr std::uint64_t kWrites = 25'600;  // 100 MiB: one second
  for (std::uint64_t i = 0; i < kWrites; ++i) now_us += pressure.Take(kBytes, now_us);
  EXPECT_NEAR(static_cast<double>(now_us), 1e6, 2e4);
}

TEST(BackpressureTest, ASlowWriterNeverWaits) {
  Backpressure pressure;
  pressure.Flushed(100 * kMiB, 1'000'000);
  pressure.Update(Memory(75));
  std::uint64_t now_us = 1'000'000;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(pressure.Take(4096, now_us), 0u);
    now_us += 100;  // 40 MiB a second
  }
}

TEST(BackpressureTest, NoWaitIsLongerThanItsBound) {
  Backpressure pressure;
  pressure.Update(Memory(100));
  EXPECT_LE(pressure.Take(std::uint64_t{4} << 30, 0), Backpressure::kDelayUsMax);
  EXPECT_LE(pressure.Take(1, 0), Backpressure::kDelayUsMax);
}

TEST(BackpressureTest, OneOddMeasureMovesTheRateALittle) {
  Backpressure pressure;
  for (int i = 0; i < 20; ++i) pressure.Flushed(100 * kMiB, 1'000'000);
  pressure.Flushed(kMiB, 1'000);  // 1000 MiB/s for a millisecond
  pressure.Update(Memory(75));
  EXPECT_NEAR(pressure.rate(), 100.0 * kMiB, 2.0 * kMiB);
}

/// A disk that drains at a rate of its own, and a writer that writes as fast as it may: what waits
/// settles between half the limit and the limit, and the writer gets what the disk takes.
TEST(BackpressureTest, WhatWaitsSettlesBelowTheLimit) {
  for (const double drain_mib : {5.0, 50.0, 400.0}) {
    Random random(static_cast<std::uint64_t>(drain_mib));
    Backpressure pressure;
    const double limit = 192.0 * kMiB;
    double waiting = 0;
    double written = 0;
    double highest = 0;
    std::uint64_t now_us = 0;
    constexpr std::uint64_t kBytes = 64 * 1024;
    const std::uint64_t end_us = 60'000'000;
    while (now_us < end_us) {
      const std::uint64_t wait_us = pressure.Take(kBytes, now_us) + 20;  // 3 GB/s at most
      now_us += wait_us;
      const double drained =
          std::min(waiting, drain_mib * kMiB * static_cast<double>(wait_us) / 1e6);
      waiting += kBytes - drained;
      if (now_us > end_us / 2) {
        written += kBytes;
        highest = std::max(highest, waiting);
      }
      pressure.Flushed(static_cast<std::uint64_t>(drain_mib * kMiB / 100), 10'000);
      pressure.Update({.memtable_bytes = static_cast<std::uint64_t>(waiting),
                       .memtable_bytes_max = static_cast<std::uint64_t>(limit)});
    }
    EXPECT_LT(highest, 0.9 * limit) << drain_mib;
    EXPECT_GT(waiting, 0.5 * limit) << drain_mib;
    EXPECT_NEAR(written / kMiB / 30, drain_mib, drain_mib / 10);
  }
}

}  // namespace
}  // namespace bedrock::engine
