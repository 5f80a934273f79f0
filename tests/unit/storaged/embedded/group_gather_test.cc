#include "storaged/embedded/group_gather.h"

#include <gtest/gtest.h>

namespace bedrock::embedded {
namespace {

TEST(GroupGatherTest, WhoWritesAloneWaitsForNobody) {
  GroupGather gather;
  EXPECT_EQ(gather.expected(), 1u);
  gather.NoteSync(4000);
  gather.NoteGroup(1, 0);
  EXPECT_EQ(gather.expected(), 1u);
}

TEST(GroupGatherTest, AsManyAreExpectedAsWereThereLastTime) {
  GroupGather gather;
  gather.NoteGroup(1, 15);
  EXPECT_EQ(gather.expected(), 16u);
  gather.NoteGroup(3, 0);
  EXPECT_EQ(gather.expected(), 3u);
}

TEST(GroupGatherTest, TheWaitIsAPartOfWhatASyncTakes) {
  GroupGather gather;
  EXPECT_EQ(gather.gap_us(), 0u) << "nothing is known yet";
  for (const std::uint64_t sync_us : {100u, 300u, 1000u, 4000u, 100'000u}) {
    for (int i = 0; i < 50; ++i) gather.NoteSync(sync_us);
    EXPECT_GT(gather.gap_us(), 0u) << sync_us;
    EXPECT_LE(gather.gap_us(), sync_us / 4) << sync_us;
    EXPECT_LE(gather.total_us(), sync_us / 2) << sync_us;
    EXPECT_LE(gather.gap_us(), gather.total_us()) << sync_us;
  }
  EXPECT_LE(gather.total_us(), 1000u) << "however slow the disk is";
}

TEST(GroupGatherTest, AQuickSyncIsNotWaitedFor) {
  GroupGather gather;
  for (int i = 0; i < 50; ++i) gather.NoteSync(20);
  EXPECT_EQ(gather.gap_us(), 0u);
}

TEST(GroupGatherTest, OneSlowSyncAmongQuickOnesSaysLittle) {
  GroupGather gather;
  for (int i = 0; i < 50; ++i) gather.NoteSync(20);
  gather.NoteSync(300);
  EXPECT_EQ(gather.gap_us(), 0u);
}

}  // namespace
}  // namespace bedrock::embedded
