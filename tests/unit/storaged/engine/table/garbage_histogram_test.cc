#include "storaged/engine/table/garbage_histogram.h"

#include <gtest/gtest.h>

namespace bedrock::engine {
namespace {

TEST(GarbageHistogramTest, KeepsTheBordersThatMatter) {
  GarbageHistogram histogram;
  histogram.Add(Version(1'000'000), 1);
  for (std::uint64_t i = 0; i < 1000; ++i) histogram.Add(Version(1 + i), 1000);
  const auto buckets = histogram.Finish();
  ASSERT_EQ(buckets.size(), TableProperties::kGarbageBucketsMax);
  EXPECT_EQ(buckets.back().when, Version(1'000'000));
  EXPECT_EQ(buckets.back().bytes, 1u) << "what is droppable soon is not put off to the far end";
}

}  // namespace
}  // namespace bedrock::engine
