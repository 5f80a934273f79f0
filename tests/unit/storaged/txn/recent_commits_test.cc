#include "storaged/txn/recent_commits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::txn {
namespace {

TEST(RecentCommitsTest, KnowsWhatItWasToldAndNothingBefore) {
  RecentCommits recent(Version(10));
  recent.AddKey("a", Version(12));
  EXPECT_TRUE(recent.MayHaveChanged("a", Version(11)));
  EXPECT_FALSE(recent.MayHaveChanged("a", Version(12)));
  EXPECT_FALSE(recent.MayHaveChanged("b", Version(10)));
  EXPECT_TRUE(recent.MayHaveChanged("b", Version(9)));
  EXPECT_TRUE(recent.MayHaveChangedIn("a", "b", Version(11)));
  EXPECT_FALSE(recent.MayHaveChangedIn("a", "b", Version(12)));
  EXPECT_FALSE(recent.MayHaveChangedIn("b", "", Version(10)));
  EXPECT_TRUE(recent.MayHaveChangedIn("b", "", Version(9)));
}

TEST(RecentCommitsTest, ARangeTouchesKeysAndRanges) {
  RecentCommits recent(Version(10));
  recent.AddRange("b", "d", Version(11));
  EXPECT_TRUE(recent.MayHaveChanged("b", Version(10)));
  EXPECT_FALSE(recent.MayHaveChanged("d", Version(10)));
  EXPECT_TRUE(recent.MayHaveChangedIn("", "c", Version(10)));
  EXPECT_FALSE(recent.MayHaveChangedIn("", "b", Version(10)));
  EXPECT_FALSE(recent.MayHaveChangedIn("", "", Version(11)));
  recent.AddRange("x", "", Version(12));
  EXPECT_TRUE(recent.MayHaveChanged("zzz", Version(11)));
}

TEST(RecentCommitsTest, OfWhatWasSkippedNothingIsKnown) {
  RecentCommits recent(Version(10));
  recent.AddKey("a", Version(11));
  recent.SkipTo(Version(20));
  recent.AddKey("b", Version(21));
  EXPECT_TRUE(recent.MayHaveChanged("c", Version(19)));
  EXPECT_TRUE(recent.MayHaveChangedIn("c", "d", Version(19)));
  EXPECT_FALSE(recent.MayHaveChanged("a", Version(20)));
  EXPECT_FALSE(recent.MayHaveChangedIn("a", "b", Version(20)));
  EXPECT_TRUE(recent.MayHaveChanged("b", Version(20)));
}

TEST(RecentCommitsTest, LongKeysAreTakenForAllThatBeginLikeThem) {
  RecentCommits recent(Version(1));
  const std::string head(40, 'k');
  recent.AddKey(head + "5", Version(2));
  EXPECT_TRUE(recent.MayHaveChangedIn(head + "5", head + "6", Version(1)));
  EXPECT_TRUE(recent.MayHaveChangedIn(head, "", Version(1)));
  EXPECT_FALSE(recent.MayHaveChangedIn("", "kkk", Version(1)));
  EXPECT_FALSE(recent.MayHaveChangedIn("l", "", Version(1)));
}

TEST(RecentCommitsTest, WhatTheRingsLostIsNotKnown) {
  RecentCommits recent(Version(1));
  recent.AddKey("lost", Version(2));
  for (std::uint64_t i = 0; i < kRecentKeysMax; ++i) recent.AddKey("k", Version(3 + i));
  EXPECT_TRUE(recent.MayHaveChangedIn("lost", "lost!", Version(1)));
  EXPECT_FALSE(recent.MayHaveChangedIn("lost", "lost!", Version(2)));
  EXPECT_TRUE(recent.MayHaveChanged("lost", Version(1)));  // its slot still says so

  recent.AddRange("r", "s", Version(100'000));
  for (std::uint64_t i = 0; i < kRecentRangesMax; ++i) {
    recent.AddRange("t", "u", Version(100'001 + i));
  }
  EXPECT_TRUE(recent.MayHaveChanged("r", Version(99'999)));
  EXPECT_FALSE(recent.MayHaveChanged("r", Version(100'000)));
}

// It may say "perhaps" too often, never "no" wrongly; and it must say "no" often enough to be worth
// having.
TEST(RecentCommitsTest, NeverMissesAChange) {
  Random random(11);
  std::uint64_t noes = 0;
  for (int round = 0; round < 20; ++round) {
    RecentCommits recent(Version(100));
    struct Change {
      std::string begin, end;
      std::uint64_t version;
    };
    std::vector<Change> changes;
    const auto key = [&random] {
      std::string made(random.Chance(1, 4) ? 21 : 1, 'k');
      for (std::uint64_t i = random.Below(4); i > 0; --i) {
        made += static_cast<char>('a' + random.Below(3));
      }
      return made;
    };
    std::uint64_t version = 100;
    for (int step = 0; step < 2'000; ++step) {
      if (random.Chance(1, 3)) ++version;
      const std::string a = key();
      const std::string b = key();
      if (random.Chance(1, 40) && a < b) {
        recent.AddRange(a, b, Version(version));
        changes.push_back({a, b, version});
      } else if (random.Chance(1, 2)) {
        recent.AddKey(a, Version(version));
        changes.push_back({a, a + '\0', version});
      }
      const std::uint64_t since = version - random.Below(std::min<std::uint64_t>(version, 130));
      const auto changed = [&](const std::string& begin, const std::string& end) {
        return std::any_of(changes.begin(), changes.end(), [&](const Change& change) {
          return change.version > since && change.begin < end && begin < change.end;
        });
      };
      const bool of_key = recent.MayHaveChanged(a, Version(since));
      ASSERT_TRUE(of_key || !changed(a, a + '\0'));
      noes += of_key ? 0 : 1;
      if (a >= b) continue;
      const bool of_range = recent.MayHaveChangedIn(a, b, Version(since));
      ASSERT_TRUE(of_range || !changed(a, b));
      noes += of_range ? 0 : 1;
    }
  }
  EXPECT_GT(noes, 1'000u);
}

}  // namespace
}  // namespace bedrock::txn
