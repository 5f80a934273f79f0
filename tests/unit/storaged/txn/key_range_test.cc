#include "storaged/txn/key_range.h"

#include <gtest/gtest.h>

#include <string>

namespace bedrock::txn {
namespace {

TEST(KeyRangeTest, ARangeHoldsItsBeginAndNotItsEnd) {
  EXPECT_TRUE(IsWithin("b", "b", "c"));
  EXPECT_TRUE(IsWithin("b\xff", "b", "c"));
  EXPECT_FALSE(IsWithin("c", "b", "c"));
  EXPECT_FALSE(IsWithin("a", "b", ""));
  EXPECT_TRUE(IsWithin("z", "b", ""));
}

TEST(KeyRangeTest, RangesThatOnlyTouchDoNotOverlap) {
  EXPECT_FALSE(Overlap("a", "b", "b", "c"));
  EXPECT_TRUE(Overlap("a", "bb", "b", "c"));
  EXPECT_TRUE(Overlap("a", "", "x", "y"));
  EXPECT_FALSE(Overlap("a", "b", "b", ""));
}

TEST(KeyRangeTest, AnEmptyEndIsUnbounded) {
  EXPECT_FALSE(IsEmptyRange("a", ""));
  EXPECT_TRUE(IsEmptyRange("a", "a"));
  EXPECT_TRUE(IsEmptyRange("b", "a"));
  EXPECT_TRUE(EndsBefore("a", ""));
  EXPECT_FALSE(EndsBefore("", "a"));
  EXPECT_FALSE(EndsBefore("", ""));
  EXPECT_FALSE(EndsBefore("a", "a"));
}

TEST(KeyRangeTest, KeysArePrintedForPeople) {
  EXPECT_EQ(PrintedKey("plain key"), "'plain key'");
  EXPECT_EQ(PrintedKey(std::string("a\0\xff", 3)), "'a\\x00\\xff'");
  EXPECT_EQ(PrintedKey(std::string(100, 'k')), "'" + std::string(64, 'k') + "…'");
}

}  // namespace
}  // namespace bedrock::txn
