#include "storaged/embedded/history.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "common/env/random.h"

namespace bedrock::embedded {
namespace {

TEST(HistoryTest, NoHistoryKeepsNothing) {
  History history(0, 1000, Version(2), Version(5));
  history.Sample(2000, Version(9));
  EXPECT_EQ(history.Watermark(2000), Version(std::numeric_limits<std::uint64_t>::max()));
  EXPECT_EQ(history.samples(), 0u);
}

TEST(HistoryTest, WhatWasThereAtTheOpenCountsAsWrittenThen) {
  History history(1000, 5000, Version(3), Version(7));
  EXPECT_EQ(history.Watermark(5999), Version(3));
  EXPECT_EQ(history.Watermark(6000), Version(7));
  EXPECT_EQ(history.Watermark(50'000), Version(7));
}

TEST(HistoryTest, AVersionGoesWhenItsSuccessorIsOldEnough) {
  History history(1000, 0, Version(1), Version(1));
  history.Sample(100, Version(2));
  history.Sample(200, Version(3));
  EXPECT_EQ(history.Watermark(1099), Version(1));
  EXPECT_EQ(history.Watermark(1100), Version(2));
  EXPECT_EQ(history.Watermark(1199), Version(2));
  EXPECT_EQ(history.Watermark(1200), Version(3));
}

// Against the whole list of commits with their times: what could be read `kHistory` ago has to be
// readable; and what is kept longer is no more than two of the samples' distances old.
TEST(HistoryTest, NeverTooYoungAndAtMostALittleTooOld) {
  constexpr std::uint64_t kHistory = 10'000;
  constexpr std::uint64_t kSpacing = kHistory / History::kSamplesPerHistory;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    struct Commit {
      std::uint64_t ms;
      std::uint64_t version;
    };
    std::vector<Commit> commits = {{0, 1}};
    History history(kHistory, 0, Version(1), Version(1));
    std::uint64_t now = 0;
    const auto newest_at = [&](std::uint64_t ms) {
      std::uint64_t version = 0;
      for (const Commit& commit : commits) {
        if (commit.ms <= ms) version = commit.version;
      }
      return version;
    };
    for (int step = 0; step < 2000; ++step) {
      now += random.Below(50);
      if (random.Chance(2, 3)) commits.push_back({now, commits.back().version + 1});
      history.Sample(now, Version(commits.back().version));
      const std::uint64_t watermark = history.Watermark(now).value();
      if (now >= kHistory) {
        ASSERT_LE(watermark, newest_at(now - kHistory));
        const std::uint64_t slack = kHistory + 2 * kSpacing + 100;
        if (now >= slack) {
          ASSERT_GE(watermark, newest_at(now - slack));
        }
      }
      ASSERT_LE(history.samples(), History::kSamplesPerHistory + 3);
    }
  }
}

}  // namespace
}  // namespace bedrock::embedded
