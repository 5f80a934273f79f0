#include "tests/bench/bedrock_bench/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "common/env/random.h"

namespace bedrock::bench {
namespace {

TEST(HistogramTest, QuantilesAreAtMostAThirtySecondAboveTheTruth) {
  Random random(7);
  Histogram histogram;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 10'000; ++i) {
    values.push_back(random.Next() >> random.Between(4, 63));
    histogram.Add(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double share : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const std::uint64_t truth = values[static_cast<std::size_t>(share * 9'999)];
    EXPECT_GE(histogram.Quantile(share), truth) << share;
    EXPECT_LE(histogram.Quantile(share), truth + truth / 32) << share;
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(HistogramTest, TakesTheSmallestAndTheLargestDuration) {
  Histogram histogram;
  histogram.Add(0);
  EXPECT_EQ(histogram.Quantile(1), 0u);
  histogram.Add(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(histogram.Quantile(1), std::numeric_limits<std::uint64_t>::max());
}

TEST(HistogramTest, IsZeroWhereNothingWasCounted) { EXPECT_EQ(Histogram().Quantile(0.5), 0u); }

TEST(HistogramTest, AddsUp) {
  Histogram a;
  Histogram b;
  for (std::uint64_t i = 1; i <= 10; ++i) (i <= 5 ? a : b).Add(i);
  a.Add(b);
  EXPECT_EQ(a.total(), 10u);
  EXPECT_EQ(a.Quantile(1), 10u);
  EXPECT_EQ(a.Quantile(0.5), 5u);
}

}  // namespace
}  // namespace bedrock::bench
