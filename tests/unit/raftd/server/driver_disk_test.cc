// A driver over disks that stall, fail, have no room or rot.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "common/base/units.h"
#include "common/env/memory_file_system.h"
#include "tests/unit/raftd/server/driver_rig.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(DriverTest, ALeaderWhoseSyncTakesAnElectionTimeoutStepsDownAndRecovers) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  on_sync_ = [this](int) { clock_.AdvanceMs(500); };
  Ask(1, {Propose(1, "slow")});
  Settle();
  EXPECT_EQ(driver(1).GetView().role, Role::kFollower);
  EXPECT_TRUE(driver(1).GetView().disk_stalled);
  EXPECT_THAT(Commands(1), ElementsAre("slow"));
  on_sync_ = nullptr;
  EXPECT_EQ(RunUntilLeader(), 1);
}

TEST_F(DriverTest, AThreadedWriterKeepsHeartbeatsGoingAndHeldMessagesBack) {
  StartCluster({.writer = Writer::kThread});
  const int leader = RunUntilLeader();
  const int follower = Other(leader);
  HoldDisk(leader, true);
  HoldDisk(follower, true);
  tracing_ = true;
  Ask(leader, {Propose(1, "a")});
  Run(200);
  const std::string l = "n" + std::to_string(leader);
  const std::string f = "n" + std::to_string(follower);
  EXPECT_GE(std::count(trace_.begin(), trace_.end(), l + " -> " + f + " heartbeat"), 3);
  EXPECT_EQ(std::count(trace_.begin(), trace_.end(), f + " -> " + l + " append reply"), 0);
  EXPECT_THAT(Commands(leader), IsEmpty()) << "one durable copy of three is no majority";
  HoldDisk(follower, false);
  Run(20);
  EXPECT_GE(std::count(trace_.begin(), trace_.end(), f + " -> " + l + " append reply"), 1);
  EXPECT_THAT(Commands(follower), ElementsAre("a")) << "two others hold it durably";
  EXPECT_THAT(Commands(leader), IsEmpty()) << "what is not durable here is not applied here";
  HoldDisk(leader, false);
  Run(20);
  EXPECT_THAT(Commands(leader), ElementsAre("a"));
}

TEST_F(DriverTest, AThreadedWritersDiskThatStallsCostsTheLeadership) {
  StartCluster({.writer = Writer::kThread});
  const int leader = RunUntilLeader();
  HoldDisk(leader, true);
  Ask(leader, {Propose(1, "a")});
  Run(490);
  EXPECT_EQ(driver(leader).GetView().role, Role::kLeader);
  Run(30);
  EXPECT_EQ(driver(leader).GetView().role, Role::kFollower);
  Run(3000);
  EXPECT_NE(Leader(), 0);
  EXPECT_NE(Leader(), leader);
  HoldDisk(leader, false);
  Run(3000);
  EXPECT_THAT(Commands(leader), ElementsAre("a"));
}

TEST_F(DriverTest, AFailedSyncEndsEverythingAndNothingLeavesAfterIt) {
  StartCluster({});
  const int leader = RunUntilLeader();
  on_sync_ = [&](int node) {
    if (node != leader) return;
    disks_[node].Inject({.operations = {MemoryFileSystem::Operation::kSync},
                         .path_suffix = "",
                         .nth = 1,
                         .forever = MemoryFileSystem::Forever::kYes});
    trace_.clear();
  };
  tracing_ = true;
  Ask(leader, {Propose(1, "a")});
  Settle();
  EXPECT_TRUE(fatal(leader).IsIOError()) << fatal(leader).ToString();
  EXPECT_TRUE(driver(leader).halted());
  Ask(leader, {Propose(2, "b")});
  Run(1000);
  const std::string l = "n" + std::to_string(leader) + " -> ";
  EXPECT_TRUE(std::none_of(trace_.begin(), trace_.end(),
                           [&](const std::string& line) { return line.starts_with(l); }));
}

// R75: no room for the log costs neither the process nor an acknowledged write.
class FullDiskTest : public DriverTest {
 protected:
  void SetUp() override { StartCluster({.segment_bytes = 64 * kKiB}); }
  /// A few commands of 20 KB, to whoever leads.
  void WriteSome(int count) {
    for (int i = 0; i < count; ++i) {
      if (Leader() != 0) {
        ++request_;
        Ask(Leader(), {ProposeLarge(request_)});
      }
      Run(50);
    }
  }
  void ExpectAllAgree() {
    Run(3000);
    RunUntilLeader();
    EXPECT_EQ(Commands(1), Commands(2));
    EXPECT_EQ(Commands(1), Commands(3));
    for (int node = 1; node <= 3; ++node) {
      EXPECT_TRUE(fatal(node).ok()) << fatal(node).ToString();
      EXPECT_EQ(driver(node).storage_health(), proto::ErrorCode::kOk);
      EXPECT_FALSE(driver(node).GetView().disk_stalled);
    }
  }

  std::uint64_t request_ = 0;
};

TEST_F(FullDiskTest, ALeaderHandsOverAndComesBackWithTheRoom) {
  const int leader = RunUntilLeader();
  LimitDisk(leader, 1000);
  const Term term = driver(leader).GetView().term;
  WriteSome(20);
  const int next = Leader();
  ASSERT_NE(next, 0);
  ASSERT_NE(next, leader);
  EXPECT_EQ(driver(next).GetView().term, term.Next()) << "one election, asked for";
  EXPECT_EQ(driver(leader).storage_health(), proto::ErrorCode::kStorageFull);
  EXPECT_THAT(Commands(next), SizeIs(Ge(18U)));
  EXPECT_LT(Commands(leader).size(), Commands(next).size()) << "what has no room is not applied";
  LimitDisk(leader, {});
  ExpectAllAgree();
}

TEST_F(FullDiskTest, AFollowerAcknowledgesNothingMoreAndComesBackWithTheRoom) {
  const int leader = RunUntilLeader();
  const int full = Other(leader);
  LimitDisk(full, 1000);
  WriteSome(20);
  EXPECT_EQ(Leader(), leader);
  EXPECT_THAT(Commands(leader), SizeIs(20));
  EXPECT_LT(driver(full).GetView().durable_index, driver(leader).GetView().commit);
  // Nobody is elected by it or in its place.
  Run(5000);
  EXPECT_EQ(Leader(), leader);
  LimitDisk(full, {});
  ExpectAllAgree();
}

TEST_F(FullDiskTest, WhereAllAreFullRoutersAreToldAndAllComeBack) {
  RunUntilLeader();
  for (int node = 1; node <= 3; ++node) LimitDisk(node, 1000);
  WriteSome(30);
  Run(3000);
  const int leader = Leader();
  ASSERT_NE(leader, 0);
  TakeAnswers();
  for (int node = 1; node <= 3; ++node) {
    Ask(node, {Propose(static_cast<std::uint64_t>(1000 + node), "a")});
  }
  Run(2000);
  const auto answers = TakeAnswers();
  for (int node = 1; node <= 3; ++node) {
    const auto refused =
        AnswerTo<proto::ProposeRefused>(answers, static_cast<std::uint64_t>(1000 + node));
    EXPECT_EQ(refused.error.code,
              node == leader ? proto::ErrorCode::kStorageFull : proto::ErrorCode::kNotLeader);
    EXPECT_EQ(refused.leader, NodeId(static_cast<std::uint64_t>(leader)));
  }
  for (int node = 1; node <= 3; ++node) LimitDisk(node, {});
  ExpectAllAgree();
}

TEST_F(FullDiskTest, WithTheWriterOnAThreadItIsTheSame) {
  TearDownCluster();
  StartCluster({.writer = Writer::kThread, .segment_bytes = 64 * kKiB});
  const int leader = RunUntilLeader();
  LimitDisk(leader, 1000);
  WriteSome(20);
  EXPECT_NE(Leader(), leader);
  EXPECT_NE(Leader(), 0);
  LimitDisk(leader, {});
  ExpectAllAgree();
}

TEST_F(FullDiskTest, AStorageThatIsFullCostsNoElectionTimeout) {
  const int leader = RunUntilLeader();
  const Term term = driver(leader).GetView().term;
  storage(leader).health = proto::ErrorCode::kStorageFull;
  WriteSome(1);
  Run(300);  // less than the shortest election timeout
  EXPECT_NE(Leader(), 0);
  EXPECT_NE(Leader(), leader);
  EXPECT_EQ(driver(Leader()).GetView().term, term.Next());
}

class ScrubTest : public DriverTest {
 protected:
  void Start(int nodes) {
    StartCluster({.nodes = nodes, .scrub_ms = 2000, .segment_bytes = 64 * kKiB});
    const int leader = RunUntilLeader();
    for (std::uint64_t i = 1; i <= 20; ++i) {
      Ask(leader, {ProposeLarge(i)});
      Settle();
    }
  }
  void Rot(int node) {
    ASSERT_TRUE(disks_[node].FlipBit("raft/log/0000000000000003.seg", 8 * 8000).ok());
  }
};

TEST_F(ScrubTest, RotIsFoundWhileRunningAndRefilledAsAfterARestart) {
  Start(3);
  Run(5000);
  for (int node = 1; node <= 3; ++node) EXPECT_FALSE(damaged(node));
  const int rotten = Other(Leader());
  Rot(rotten);
  Run(5000);
  ASSERT_TRUE(damaged(rotten));
  EXPECT_FALSE(driver(rotten).halted()) << "it ends in order";
  StopNode(rotten);
  StartNode(rotten);
  EXPECT_TRUE(driver(rotten).GetView().refilling);
  Run(3000);
  EXPECT_FALSE(driver(rotten).GetView().refilling);
  EXPECT_EQ(driver(rotten).GetView().durable_index, driver(Leader()).GetView().commit);
  Run(20'000);
  EXPECT_FALSE(damaged(rotten)) << "once";
}

TEST_F(ScrubTest, ALeaderWhoseLogRotsHandsOverFirst) {
  Start(3);
  const int rotten = Leader();
  const Term term = driver(rotten).GetView().term;
  Rot(rotten);
  Run(5000);
  ASSERT_TRUE(damaged(rotten));
  driver(rotten).BeginStop();
  for (int i = 0; i < 100 && !driver(rotten).MayStop(); ++i) Run(kTickMs);
  StopNode(rotten);
  EXPECT_NE(Leader(), 0);
  EXPECT_EQ(driver(Leader()).GetView().term, term.Next());
}

TEST_F(ScrubTest, ALoneNodeGoesOnSinceNobodyCouldRefillIt) {
  Start(1);
  Rot(1);
  Run(5000);
  EXPECT_FALSE(damaged(1));
  EXPECT_EQ(Leader(), 1);
}

}  // namespace
}  // namespace bedrock::raft
