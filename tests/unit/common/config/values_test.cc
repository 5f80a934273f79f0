#include "common/config/values.h"

#include <gtest/gtest.h>

#include "common/base/units.h"
#include "common/env/random.h"

namespace bedrock::config {
namespace {

TEST(ValuesTest, DurationsHaveUnitsOrAreMilliseconds) {
  EXPECT_EQ(*ParseDuration("250ms"), 250U);
  EXPECT_EQ(*ParseDuration("10s"), 10'000U);
  EXPECT_EQ(*ParseDuration("5m"), 300'000U);
  EXPECT_EQ(*ParseDuration("2h"), 7'200'000U);
  EXPECT_EQ(*ParseDuration("70"), 70U);
}

TEST(ValuesTest, WhatIsNoDurationIsRefused) {
  for (const char* text : {"", "s", "-1s", "1.5s", "10 s", "10sec", "99999999999999999999",
                           "18446744073709551615h", "0x10", "+1"}) {
    EXPECT_TRUE(ParseDuration(text).status().IsInvalidArgument()) << text;
  }
}

TEST(ValuesTest, ByteSizesHaveBinaryOrDecimalUnits) {
  EXPECT_EQ(*ParseByteSize("4096"), 4096U);
  EXPECT_EQ(*ParseByteSize("64MiB"), 64 * kMiB);
  EXPECT_EQ(*ParseByteSize("64M"), 64 * kMiB);
  EXPECT_EQ(*ParseByteSize("64MB"), 64'000'000U);
  EXPECT_EQ(*ParseByteSize("1KiB"), kKiB);
  EXPECT_EQ(*ParseByteSize("2GiB"), 2 * kGiB);
}

TEST(ValuesTest, WhatIsNoByteSizeIsRefused) {
  for (const char* text : {"", "MiB", "-1", "1.5MiB", "64Mi", "17000000000TiB", "1 MiB"}) {
    EXPECT_TRUE(ParseByteSize(text).status().IsInvalidArgument()) << text;
  }
}

TEST(ValuesTest, FormattedValuesParseBack) {
  Random random(1);
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t value = random.Below(1ULL << random.Between(1, 40)) << random.Below(20);
    ASSERT_EQ(*ParseByteSize(FormatByteSize(value)), value);
    const std::uint64_t duration_ms = value % 3'000'000'000;
    ASSERT_EQ(*ParseDuration(FormatDuration(duration_ms)), duration_ms);
  }
  EXPECT_EQ(FormatDuration(10'000), "10s");
  EXPECT_EQ(FormatByteSize(64 * kMiB), "64MiB");
}

TEST(ValuesTest, NumbersStayWithinTheirBounds) {
  EXPECT_EQ(*ParseNumber("3", 1, 3), 3U);
  EXPECT_TRUE(ParseNumber("0", 1, 3).status().IsInvalidArgument());
  EXPECT_TRUE(ParseNumber("4", 1, 3).status().IsInvalidArgument());
  EXPECT_TRUE(ParseNumber("3x", 1, 3).status().IsInvalidArgument());
}

}  // namespace
}  // namespace bedrock::config
