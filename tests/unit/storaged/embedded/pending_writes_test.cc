#include "storaged/embedded/pending_writes.h"

#include <gtest/gtest.h>

#include "bedrock/write_batch.h"

namespace bedrock::embedded {
namespace {

TEST(PendingWritesTest, KnowsTheKeysOfAllCommits) {
  WriteBatch first;
  first.Put("b", "1");
  WriteBatch second;
  second.Delete("d");
  PendingWrites pending;
  pending.Add(first.encoded());
  pending.Add(second.encoded());
  EXPECT_TRUE(pending.Touch("b"));
  EXPECT_TRUE(pending.Touch("d"));
  EXPECT_FALSE(pending.Touch("c"));
  EXPECT_TRUE(pending.TouchRange("a", "c"));
  EXPECT_TRUE(pending.TouchRange("b", "c"));
  EXPECT_FALSE(pending.TouchRange("a", "b"));
  EXPECT_FALSE(pending.TouchRange("c", "d"));
  EXPECT_TRUE(pending.TouchRange("c", ""));
  EXPECT_FALSE(pending.TouchRange("e", ""));
}

TEST(PendingWritesTest, ADeletedRangeTouchesAllKeysInIt) {
  WriteBatch batch;
  batch.DeleteRange("b", "d");
  PendingWrites pending;
  pending.Add(batch.encoded());
  EXPECT_FALSE(pending.Touch("a"));
  EXPECT_TRUE(pending.Touch("b"));
  EXPECT_TRUE(pending.Touch("c"));
  EXPECT_FALSE(pending.Touch("d"));
  EXPECT_TRUE(pending.TouchRange("a", "bb"));
  EXPECT_TRUE(pending.TouchRange("c", ""));
  EXPECT_FALSE(pending.TouchRange("a", "b"));
  EXPECT_FALSE(pending.TouchRange("d", ""));
}

TEST(PendingWritesTest, AnUnboundedDeleteReachesToTheEnd) {
  WriteBatch batch;
  batch.DeleteRange("m", "");
  PendingWrites pending;
  pending.Add(batch.encoded());
  EXPECT_TRUE(pending.Touch("z"));
  EXPECT_FALSE(pending.Touch("l"));
  EXPECT_TRUE(pending.TouchRange("x", "y"));
  EXPECT_FALSE(pending.TouchRange("a", "m"));
}

TEST(PendingWritesTest, AnEmptyRangeIsTouchedByNothing) {
  WriteBatch batch;
  batch.Put("b", "1");
  PendingWrites pending;
  pending.Add(batch.encoded());
  EXPECT_FALSE(pending.TouchRange("b", "b"));
  EXPECT_FALSE(pending.TouchRange("c", "a"));
}

TEST(PendingWritesTest, ClearForgets) {
  WriteBatch batch;
  batch.Put("b", "1");
  batch.DeleteRange("x", "");
  PendingWrites pending;
  pending.Add(batch.encoded());
  pending.Clear();
  EXPECT_FALSE(pending.Touch("b"));
  EXPECT_FALSE(pending.TouchRange("", ""));
}

}  // namespace
}  // namespace bedrock::embedded
