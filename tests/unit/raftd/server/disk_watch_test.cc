#include "raftd/server/disk_watch.h"

#include <gtest/gtest.h>

namespace bedrock::raft {
namespace {

TEST(DiskWatchTest, AWriteThatWaitsTooLongIsAStall) {
  DiskWatch watch(500);
  watch.Submitted(WriteSeq(1), 1000);
  watch.Submitted(WriteSeq(2), 1400);
  EXPECT_FALSE(watch.Stalled(1499));
  EXPECT_TRUE(watch.Stalled(1500));
}

TEST(DiskWatchTest, AWriteThatWasSlowIsAStallUntilOneIsDoneInTime) {
  DiskWatch watch(500);
  watch.Submitted(WriteSeq(1), 1000);
  watch.Durable(WriteSeq(1), 1500);
  EXPECT_TRUE(watch.Stalled(1500));
  EXPECT_TRUE(watch.slow());
  watch.Submitted(WriteSeq(2), 1600);
  EXPECT_TRUE(watch.Stalled(1600));
  watch.Durable(WriteSeq(2), 1610);
  EXPECT_FALSE(watch.Stalled(1610));
}

TEST(DiskWatchTest, TheOldestWriteOfABatchCounts) {
  DiskWatch watch(500);
  watch.Submitted(WriteSeq(1), 1000);
  watch.Submitted(WriteSeq(2), 1499);
  watch.Durable(WriteSeq(2), 1500);
  EXPECT_TRUE(watch.Stalled(1500));
}

TEST(DiskWatchTest, AQuickProbeEndsAStallAndASlowOneDoesNot) {
  DiskWatch watch(500);
  watch.Submitted(WriteSeq(1), 0);
  watch.Durable(WriteSeq(1), 900);
  watch.Probed(500);
  EXPECT_TRUE(watch.Stalled(2000));
  watch.Probed(499);
  EXPECT_FALSE(watch.Stalled(2000));
}

TEST(DiskWatchTest, WithoutWritesNothingStalls) {
  DiskWatch watch(500);
  EXPECT_FALSE(watch.Stalled(1'000'000));
  watch.Durable(WriteSeq(), 1'000'000);
  EXPECT_FALSE(watch.Stalled(1'000'000));
}

}  // namespace
}  // namespace bedrock::raft
