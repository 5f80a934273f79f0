#include "storaged/txn/lock_span.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bedrock::txn {
namespace {

/// A span, and the same as a set of points: each letter is one, and the gap behind it.
struct Case {
  LockSpan span;
  std::uint32_t points;
};

std::vector<Case> AllCases() {
  static const std::vector<std::string> letters = {"a", "b", "c", "d", "e"};
  std::vector<Case> cases;
  const std::size_t n = letters.size();
  for (std::size_t i = 0; i < n; ++i) {
    cases.push_back({LockSpan::OfKey(letters[i]), 1u << (2 * i)});
    for (std::size_t j = i + 1; j <= n; ++j) {
      const std::uint32_t points = (1u << (2 * j)) - (1u << (2 * i));
      // Unbounded: also the gap behind all.
      if (j == n)
        cases.push_back({LockSpan::OfRange(letters[i], ""), points | 1u << (2 * n)});
      else
        cases.push_back({LockSpan::OfRange(letters[i], letters[j]), points});
    }
  }
  return cases;
}

TEST(LockSpanTest, AgreesWithSetsOfPoints) {
  for (const Case& a : AllCases()) {
    for (const Case& b : AllCases()) {
      const std::string both =
          NamedSpan(a.span).ToString() + " and " + NamedSpan(b.span).ToString();
      EXPECT_EQ(a.span.Overlaps(b.span), (a.points & b.points) != 0) << both;
      EXPECT_EQ(a.span.Covers(b.span), (a.points & b.points) == b.points) << both;
      const auto highest = [](std::uint32_t points) { return 31 - __builtin_clz(points); };
      EXPECT_EQ(a.span.EndsAfter(b.span), highest(a.points) > highest(b.points)) << both;
    }
  }
}

TEST(LockSpanTest, EndsBehindWhatItReaches) {
  EXPECT_TRUE(LockSpan::OfKey("b").EndsBehind("b"));
  EXPECT_FALSE(LockSpan::OfKey("b").EndsBehind("ba"));
  EXPECT_TRUE(LockSpan::OfRange("a", "c").EndsBehind("bz"));
  EXPECT_FALSE(LockSpan::OfRange("a", "c").EndsBehind("c"));
  EXPECT_TRUE(LockSpan::OfRange("a", "").EndsBehind("zzz"));
}

TEST(LockSpanTest, IsNamedForPeople) {
  EXPECT_EQ(NamedSpan(LockSpan::OfKey("k")).ToString(), "key 'k'");
  EXPECT_EQ(NamedSpan(LockSpan::OfRange("a", "b")).ToString(), "the keys from 'a' to before 'b'");
  EXPECT_EQ(NamedSpan(LockSpan::OfRange("a", "")).ToString(), "the keys from 'a' on");
}

}  // namespace
}  // namespace bedrock::txn
