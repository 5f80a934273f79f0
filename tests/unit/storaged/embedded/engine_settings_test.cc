#include "storaged/embedded/engine_settings.h"

#include <gtest/gtest.h>

#include <initializer_list>

#include "common/base/units.h"
#include "common/env/huge_pages.h"

namespace bedrock::embedded {
namespace {

TEST(EngineSettingsTest, TheReserveHoldsAFlushOfAnyMemtable) {
  for (const std::size_t bytes : {64 * kKiB, 16 * kMiB, 64 * kMiB, 1024 * kMiB}) {
    Options options;
    options.memtable_bytes = bytes;
    const auto settings = EngineSettings("db", options);
    EXPECT_EQ(settings.memtable_bytes, bytes);
    EXPECT_GE(settings.reserve_bytes, bytes);
  }
}

TEST(EngineSettingsTest, MemtablesAndCacheLeaveAnEighthOfTheBudgetForWork) {
  for (const std::size_t budget : {1 * kMiB, 256 * kMiB, 4096 * kMiB}) {
    Options options;
    options.memory_budget = budget;
    const auto settings = EngineSettings("db", options);
    EXPECT_EQ(settings.memtable_bytes * settings.memtables_max, budget / 4);
    EXPECT_EQ(settings.block_cache_bytes, budget - budget / 4 - budget / 8);
    EXPECT_TRUE(settings.tables_count_as_cache);
  }
}

TEST(EngineSettingsTest, WhatIsFixedApartIsNotOfTheBudget) {
  Options options;
  options.memtable_bytes = 1 * kMiB;
  options.block_cache_bytes = 3 * kMiB;
  const auto settings = EngineSettings("db", options);
  EXPECT_EQ(settings.memtable_bytes, 1 * kMiB);
  EXPECT_EQ(settings.block_cache_bytes, 3 * kMiB);
  EXPECT_FALSE(settings.tables_count_as_cache);
}

TEST(EngineSettingsTest, AFileOfTheLogIsAQuarterOfAMemtableWithinBounds) {
  EXPECT_EQ(LogSegmentBytes(64 * kKiB), 256 * kKiB);
  EXPECT_EQ(LogSegmentBytes(4 * kMiB), 1 * kMiB);
  EXPECT_EQ(LogSegmentBytes(16 * kMiB), 4 * kMiB);
  EXPECT_EQ(LogSegmentBytes(4096 * kMiB), 64 * kMiB);
}

/// A file of the log that is mapped by huge pages has no rest that small ones have to serve.
TEST(EngineSettingsTest, ALargeFileOfTheLogIsOfWholeHugePages) {
  for (std::size_t memtable = 8 * kMiB; memtable < 300 * kMiB; memtable += 1234567)
    EXPECT_EQ(LogSegmentBytes(memtable) % kHugePageBytes, 0u) << memtable;
}

}  // namespace
}  // namespace bedrock::embedded
