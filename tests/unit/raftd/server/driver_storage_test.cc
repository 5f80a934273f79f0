// A driver and the storaged beside it: what that is fed, and what its absence costs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/unit/raftd/server/driver_rig.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(DriverTest, ARestartedStorageIsFedFromItsDurableIndexWithTheReplyAddresses) {
  StartCluster({});
  const int leader = RunUntilLeader();
  for (std::uint64_t i = 1; i <= 20; ++i) {
    Ask(leader, {Propose(i, "c" + std::to_string(i))});
    Settle();
  }
  const auto before = Commands(leader);
  ASSERT_THAT(before, SizeIs(20));
  storage(leader).up = false;
  storage(leader).applied.resize(5);  // what was durable
  storage(leader).durable = 5;
  storage(leader).boot = 101;
  Run(300);
  EXPECT_EQ(driver(leader).GetView().role, Role::kLeader) << "a short absence costs no leadership";
  storage(leader).replies.clear();
  Ask(leader, {Propose(99, "while it was down")});
  storage(leader).up = true;
  Run(300);
  auto expected = before;
  expected.emplace_back("while it was down");
  EXPECT_EQ(Commands(leader), expected);
  EXPECT_EQ(storage(leader).replies.back(), (proto::ReplyTo{kRouter, RequestId(99)}));
}

TEST_F(DriverTest, WhatTheCoreNoLongerHoldsIsReadFromTheLog) {
  Limits limits;
  limits.cache_bytes_max = 1000;
  StartCluster({.limits = limits});
  const int leader = RunUntilLeader();
  std::vector<std::string> expected;
  for (std::uint64_t i = 1; i <= 200; ++i) {
    expected.push_back(std::to_string(i) + std::string(100, 'x'));
    Ask(leader, {Propose(i, expected.back())});
    Settle();
  }
  storage(leader).applied.clear();
  storage(leader).boot = 101;
  Run(1000);
  EXPECT_EQ(Commands(leader), expected);
}

TEST_F(DriverTest, ApplyFramesThatGotLostAreSentAgain) {
  StartCluster({});
  const int leader = RunUntilLeader();
  storage(leader).frames_to_lose = 1;
  Ask(leader, {Propose(1, "a")});
  Settle();
  EXPECT_THAT(Commands(leader), IsEmpty());
  Ask(leader, {Propose(2, "b")});
  Run(600);
  EXPECT_THAT(Commands(leader), ElementsAre("a", "b"));
  EXPECT_THAT(storage(leader).replies, SizeIs(2));
}

TEST_F(DriverTest, ALeaderWhoseStorageIsGoneStepsDownAndDoesNotStand) {
  StartCluster({});
  const int old_leader = RunUntilLeader();
  storage(old_leader).up = false;
  Run(5000);
  EXPECT_NE(Leader(), 0);
  EXPECT_NE(Leader(), old_leader);
  EXPECT_EQ(driver(old_leader).storage_health(), proto::ErrorCode::kStorageUnavailable);
  EXPECT_EQ(driver(old_leader).GetView().role, Role::kFollower);
  storage(old_leader).up = true;
  Run(500);
  EXPECT_EQ(driver(old_leader).storage_health(), proto::ErrorCode::kOk);
  EXPECT_FALSE(driver(old_leader).GetView().disk_stalled);
}

TEST_F(DriverTest, ALoneNodeWhoseStorageIsFullLeadsOnAndSaysWhyItTakesNothing) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  storage(1).health = proto::ErrorCode::kStorageFull;
  Run(2000);
  EXPECT_EQ(Leader(), 1);
  Ask(1, {Propose(1, "a")});
  Settle();
  EXPECT_EQ(AnswerTo<proto::ProposeRefused>(TakeAnswers(), 1).error.code,
            proto::ErrorCode::kStorageFull);
  storage(1).health = proto::ErrorCode::kOk;
  Run(2000);
  EXPECT_EQ(Leader(), 1);
}

TEST_F(DriverTest, ANodeWhoseLogIsBehindItsStorageWaitsForTheLeader) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int node = Other(leader);
  Isolate(node);
  Ask(leader, {Propose(1, "a"), Propose(2, "b")});
  Run(100);
  // What its storaged holds stood in its log once.
  storage(node).applied = storage(leader).applied;
  storage(node).boot = 101;
  Run(3000);
  EXPECT_LT(driver(node).GetView().last_index, driver(Leader()).GetView().last_index);
  EXPECT_TRUE(driver(node).GetView().refilling);
  Heal();
  Run(3000);
  EXPECT_EQ(driver(node).GetView().last_index, driver(Leader()).GetView().last_index);
  EXPECT_FALSE(driver(node).GetView().refilling);
  EXPECT_THAT(Commands(node), ElementsAre("a", "b"));
}

TEST_F(DriverTest, TheLogIsCompactedBehindWhatEveryStorageHoldsDurably) {
  StartCluster({});
  const int leader = RunUntilLeader();
  for (std::uint64_t i = 1; i <= 50; ++i) {
    Ask(leader, {Propose(i, std::string(40'000, 'x'))});
    Settle();
  }
  for (int node = 1; node <= 3; ++node) storage(node).durable = 40;
  Ask(leader, {Propose(51, "y")});
  Run(1000);
  for (int node = 1; node <= 3; ++node) {
    EXPECT_EQ(driver(node).GetView().first_index, LogIndex(41)) << "n" << node;
  }
}

}  // namespace
}  // namespace bedrock::raft
