#include "storaged/engine/keys/key_range.h"

#include <gtest/gtest.h>

#include <vector>

namespace bedrock::engine {
namespace {

using Kind = UpperBound::Kind;

TEST(UpperBoundTest, ReachesWhatLiesBeforeIt) {
  EXPECT_TRUE((UpperBound{"k", Kind::kIncluded}.Reaches("k")));
  EXPECT_FALSE((UpperBound{"k", Kind::kExcluded}.Reaches("k")));
  EXPECT_TRUE((UpperBound{"k", Kind::kExcluded}.Reaches("a")));
  EXPECT_FALSE((UpperBound{"k", Kind::kIncluded}.Reaches("ka")));
  EXPECT_TRUE((UpperBound{"", Kind::kUnbounded}.Reaches("\xff")));
}

TEST(UpperBoundTest, OrdersEnds) {
  const std::vector<UpperBound> ascending = {{"a", Kind::kExcluded},
                                             {"a", Kind::kIncluded},
                                             {"b", Kind::kExcluded},
                                             {"", Kind::kUnbounded}};
  for (std::size_t i = 0; i < ascending.size(); ++i) {
    for (std::size_t j = 0; j < ascending.size(); ++j) {
      EXPECT_EQ(EndsBefore(ascending[i], ascending[j]), i < j);
    }
  }
}

TEST(KeyRangeTest, ContainsFromItsBeginToItsEnd) {
  const KeyRange range = HalfOpen("b", "d");
  EXPECT_FALSE(range.Contains("a"));
  EXPECT_TRUE(range.Contains("b"));
  EXPECT_TRUE(range.Contains("cz"));
  EXPECT_FALSE(range.Contains("d"));
  EXPECT_TRUE(HalfOpen("", "").Contains(""));
}

TEST(KeyRangeTest, OverlapsWhereAKeyIsInBoth) {
  const KeyRange range = HalfOpen("b", "d");
  EXPECT_FALSE(range.Overlaps(HalfOpen("a", "b")));
  EXPECT_TRUE(range.Overlaps({"a", {"b", Kind::kIncluded}}));
  EXPECT_TRUE(range.Overlaps(HalfOpen("c", "")));
  EXPECT_FALSE(range.Overlaps(HalfOpen("d", "")));
}

TEST(KeyRangeTest, HullIsOverBoth) {
  const KeyRange hull = KeyRange{"c", {"d", Kind::kIncluded}}.Hull(HalfOpen("a", "d"));
  EXPECT_EQ(hull.begin, "a");
  EXPECT_EQ(hull.end.kind, Kind::kIncluded);
  EXPECT_EQ(hull.Hull(HalfOpen("b", "")).end.kind, Kind::kUnbounded);
}

}  // namespace
}  // namespace bedrock::engine
