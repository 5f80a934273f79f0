// Nodes that come back without their log, and first starts that look like it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/unit/raftd/server/driver_rig.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class WipedDiskTest : public MembersTest {
 protected:
  /// The node's folder is emptied while it is down.
  void Wipe(int node) {
    StopNode(node);
    disks_.erase(node);
    WipeStorage(node);
  }
  void WipeStorage(int node) {
    storage(node).applied.clear();
    storage(node).durable = 0;
    ++storage(node).boot;
  }
};

TEST_F(WipedDiskTest, IsRefusedUnderTheOldIdAndTheOthersGoOn) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a")});
  Run(100);
  const int wiped = Other(leader);
  Wipe(wiped);
  StartNode(wiped);
  Run(1000);
  EXPECT_THAT(refusal(wiped), HasSubstr("under a new id"));
  EXPECT_TRUE(driver(wiped).halted());
  EXPECT_EQ(driver(wiped).GetView().last_index, LogIndex()) << "nothing was taken in";
  Ask(leader, {Propose(2, "b")});
  Run(100);
  EXPECT_THAT(Commands(leader), ElementsAre("a", "b"));
}

TEST_F(WipedDiskTest, IsRefusedWithJoinToo) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int wiped = Other(leader);
  Wipe(wiped);
  StartJoiningNode(wiped, {leader});
  Run(1000);
  EXPECT_THAT(refusal(wiped), HasSubstr("under a new id"));
}

TEST_F(WipedDiskTest, OfALeaderIsRefusedWhoeverLeadsNow) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Wipe(leader);
  StartNode(leader);
  Run(3000);
  EXPECT_THAT(refusal(leader), HasSubstr("under a new id"));
  EXPECT_NE(Leader(), leader);
  EXPECT_NE(Leader(), 0);
}

TEST_F(WipedDiskTest, NeitherVotesNorAcknowledgesWhereNobodyCanTellWhetherItIsNew) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int wiped = Other(leader);
  const int third = Third(leader);
  StopNode(third);
  Ask(leader, {Propose(1, "a")});
  Run(100);
  ASSERT_THAT(Commands(leader), ElementsAre("a"));
  StopNode(leader);
  Wipe(wiped);
  // The one that is left has not got all that was committed; the wiped one's vote would lose it.
  StartNode(third);
  StartNode(wiped);
  Run(5000);
  EXPECT_EQ(Leader(), 0);
  StartNode(leader);
  Run(5000);
  EXPECT_THAT(refusal(wiped), HasSubstr("under a new id"));
  EXPECT_THAT(Commands(third), ElementsAre("a"));
}

TEST_F(WipedDiskTest, OfTheLogAloneIsToldByTheOwnStorage) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  Ask(1, {Propose(1, "a")});
  Run(100);
  StopNode(1);
  disks_.erase(1);
  StartNode(1);
  Run(3000);
  EXPECT_THAT(refusal(1), HasSubstr("storaged has applied"));
  EXPECT_EQ(Leader(), 0);
}

TEST_F(WipedDiskTest, TheNodeComesBackUnderANewId) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a")});
  const int wiped = Other(leader);
  Wipe(wiped);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kRemove, wiped)).error.ok());
  Run(1000);
  StartJoiningNode(4);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(1500);
  EXPECT_THAT(Voters(leader), SizeIs(3));
  EXPECT_THAT(Commands(4), ElementsAre("a"));
  StartNode(wiped);
  Run(1000);
  EXPECT_THAT(refusal(wiped), HasSubstr("removed"));
}

TEST_F(WipedDiskTest, AFirstStartMuchLaterThanTheOthersIsNone) {
  StartCluster({});
  StopNode(3);
  disks_.erase(3);
  RunUntilLeader();
  for (std::uint64_t i = 1; i <= 10; ++i) {
    Ask(Leader(), {Propose(i, "c" + std::to_string(i))});
    Run(500);
  }
  StartNode(3);
  Run(2000);
  EXPECT_EQ(refusal(3), "");
  EXPECT_THAT(Commands(3), SizeIs(10));
  // It counts.
  StopNode(Leader());
  Run(3000);
  EXPECT_NE(Leader(), 0);
}

TEST_F(WipedDiskTest, AFirstStartThatIsCutShortIsNone) {
  StartCluster({});
  StopNode(3);
  disks_.erase(3);
  RunUntilLeader();
  for (int i = 1; i < 60; ++i) {
    StartNode(3);
    Run(static_cast<std::uint64_t>(10 * i));
    EXPECT_EQ(refusal(3), "");
    StopNode(3);
    WipeStorage(3);
  }
}

TEST_F(WipedDiskTest, EveryLogIsNotedOnceAndRestartsChangeNothing) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const Membership noted = driver(leader).membership();
  EXPECT_THAT(noted.logs, SizeIs(3));
  for (int round = 0; round < 3; ++round) {
    for (int node = 1; node <= 3; ++node) StopNode(node);
    for (int node = 1; node <= 3; ++node) StartNode(node);
    EXPECT_EQ(driver(RunUntilLeader()).membership(), noted);
    Run(2000);
  }
  EXPECT_EQ(driver(Leader()).membership(), noted);
}

TEST_F(WipedDiskTest, ANodeThatWasRemovedWhileItWasAwayLearnsIt) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int gone = Other(leader);
  StopNode(gone);
  Run(600);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kRemove, gone)).error.ok());
  Run(1000);
  StartNode(gone);
  Run(5000);
  EXPECT_THAT(refusal(gone), HasSubstr("removed"));
}

}  // namespace
}  // namespace bedrock::raft
