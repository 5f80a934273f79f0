#include "tests/torture/torture.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace bedrock::torture {
namespace {

// More, and other ones, by bedrock_torture. A case of the test runs a slice, so that slices run
// side by side.
constexpr std::uint64_t kSlices = 8;
constexpr std::uint64_t kTortureSeedsPerSlice = 40;
constexpr std::uint64_t kMetamorphicSeedsPerSlice = 6;

class TortureTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(TortureTest, EveryAnswerIsThatOfTheModelWhateverFails) {
  TortureStats sum;
  for (std::uint64_t i = 0; i < kTortureSeedsPerSlice; ++i) {
    const TortureResult result = Torture(1 + GetParam() * kTortureSeedsPerSlice + i);
    ASSERT_EQ(result.failure, "");
    sum.Add(result.stats);
  }
  // A torture that hurts nobody tests nothing.
  EXPECT_GT(sum.crashes, 0U);
  EXPECT_GT(sum.lost_commits, 0U);
  EXPECT_GT(sum.faults, 0U);
  EXPECT_GT(sum.compactions, 0U);
  EXPECT_GT(sum.checkpoints, 0U);
}

TEST_P(TortureTest, OptionsDoNotChangeAnswers) {
  const std::filesystem::path scratch = std::filesystem::path(testing::TempDir()) /
                                        ("bedrock_metamorphic_" + std::to_string(GetParam()));
  for (std::uint64_t i = 0; i < kMetamorphicSeedsPerSlice; ++i) {
    std::filesystem::remove_all(scratch);
    const TortureResult result =
        Metamorphic(1 + GetParam() * kMetamorphicSeedsPerSlice + i, scratch.string());
    ASSERT_EQ(result.failure, "");
  }
  std::filesystem::remove_all(scratch);
}

INSTANTIATE_TEST_SUITE_P(Slices, TortureTest, testing::Range<std::uint64_t>(0, kSlices));

}  // namespace
}  // namespace bedrock::torture
