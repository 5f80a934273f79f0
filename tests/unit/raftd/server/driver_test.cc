// What becomes of proposals, in which order things leave and are synced, and random faults at every
// seam. By subject: driver_*_test.cc.

#include "raftd/server/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/env/random.h"
#include "tests/unit/raftd/server/driver_rig.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(DriverTest, AProposalIsAppliedEverywhereAndAnsweredByTheLeadersStorageAlone) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(7, "a"), Propose(8, "b")});
  Run(100);
  for (int node = 1; node <= 3; ++node) {
    EXPECT_THAT(Commands(node), ElementsAre("a", "b")) << "n" << node;
    if (node == leader) continue;
    EXPECT_THAT(storage(node).replies, IsEmpty());
  }
  EXPECT_THAT(storage(leader).replies, ElementsAre(proto::ReplyTo{kRouter, RequestId(7)},
                                                   proto::ReplyTo{kRouter, RequestId(8)}));
  EXPECT_THAT(TakeAnswers(), IsEmpty());
}

TEST_F(DriverTest, AppendsLeaveBeforeTheLeadersSyncAndAcksAfterTheFollowers) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int follower = Other(leader);
  tracing_ = true;
  Ask(leader, {Propose(1, "a")});
  Settle();
  const std::string l = "n" + std::to_string(leader);
  const std::string f = "n" + std::to_string(follower);
  EXPECT_LT(PositionOf(l + " -> " + f + " append"), PositionOf(l + " sync"));
  EXPECT_LT(PositionOf(f + " sync"), PositionOf(f + " -> " + l + " append reply"));
}

TEST_F(DriverTest, VoteRequestsWaitForTheVotersOwnSync) {
  StartCluster({});
  tracing_ = true;
  const int leader = RunUntilLeader();
  const std::string l = "n" + std::to_string(leader);
  const std::string to = " -> n" + std::to_string(Other(leader));
  // The first request is the pre-vote, which promises nothing; the real one comes after the sync.
  EXPECT_LT(PositionOf(l + to + " vote request"), PositionOf(l + " sync"));
  EXPECT_EQ(std::count(trace_.begin(), trace_.begin() + PositionOf(l + " sync"),
                       l + to + " vote request"),
            1);
  EXPECT_EQ(std::count(trace_.begin(), trace_.end(), l + to + " vote request"), 2);
}

TEST_F(DriverTest, AllProposalsOfATurnAreOneSyncANode) {
  StartCluster({});
  const int leader = RunUntilLeader();
  std::vector<proto::Packet> packets;
  for (std::uint64_t i = 1; i <= 500; ++i) packets.push_back(Propose(i, "command"));
  tracing_ = true;
  Ask(leader, std::move(packets));
  Settle();
  EXPECT_THAT(Commands(leader), SizeIs(500));
  for (int node = 1; node <= 3; ++node) {
    EXPECT_EQ(std::count(trace_.begin(), trace_.end(), "n" + std::to_string(node) + " sync"), 1);
  }
}

TEST_F(DriverTest, AFollowerRefusesWithTheLeadersName) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(Other(leader), {Propose(7, "a")});
  Settle();
  const auto refused = AnswerTo<proto::ProposeRefused>(TakeAnswers(), 7);
  EXPECT_EQ(refused.error.code, proto::ErrorCode::kNotLeader);
  EXPECT_EQ(refused.error.outcome, proto::Outcome::kNone);
  EXPECT_EQ(refused.leader, IdOf(leader));
}

TEST_F(DriverTest, CommandsThatCannotBeAreRefused) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, ""), Propose(2, std::string(proto::kCommandBytesMax + 1, 'x'))});
  Settle();
  const auto answers = TakeAnswers();
  EXPECT_EQ(AnswerTo<proto::ProposeRefused>(answers, 1).error.code,
            proto::ErrorCode::kInvalidArgument);
  const auto large = AnswerTo<proto::ProposeRefused>(answers, 2).error;
  EXPECT_EQ(large.code, proto::ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(large.limit, proto::kCommandBytesMax);
  EXPECT_EQ(large.actual, proto::kCommandBytesMax + 1);
}

TEST_F(DriverTest, AProposalWhoseDeadlinePassedIsNotProposed) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "late", 20), Propose(2, "in time", 2000)});
  clock_.AdvanceMs(20);  // before the turn ends
  Settle();
  EXPECT_EQ(AnswerTo<proto::ProposeRefused>(TakeAnswers(), 1).error.code,
            proto::ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(Commands(leader), ElementsAre("in time"));
}

TEST_F(DriverTest, BeyondTheCoresBoundTheFirstOnesStillGetTheRoomThereIs) {
  Limits limits;
  limits.uncommitted_entries_max = 10;
  StartCluster({.limits = limits});
  const int leader = RunUntilLeader();
  std::vector<proto::Packet> packets;
  for (std::uint64_t i = 1; i <= 30; ++i) packets.push_back(Propose(i, std::to_string(i)));
  Ask(leader, std::move(packets));
  Settle();
  const auto commands = Commands(leader);
  const auto answers = TakeAnswers();
  EXPECT_GE(commands.size(), 5U);
  EXPECT_EQ(commands.size() + answers.size(), 30U);
  EXPECT_EQ(commands.front(), "1");
  for (const proto::Packet& packet : answers) {
    EXPECT_EQ(std::get<proto::ProposeRefused>(packet.message).error.code,
              proto::ErrorCode::kOverloaded);
  }
}

TEST_F(DriverTest, ProposalsOfADeposedLeaderAreRefusedOnceOthersEntriesAreCommitted) {
  StartCluster({});
  const int old_leader = RunUntilLeader();
  Isolate(old_leader);
  Ask(old_leader, {Propose(1, "lost"), Propose(2, "lost too")});
  Run(100);
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  const int new_leader = RunUntilLeader();
  ASSERT_NE(new_leader, old_leader);
  Ask(new_leader, {Propose(3, "kept")});
  Run(100);
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  Heal();
  Run(2000);
  const auto answers = TakeAnswers();
  for (const std::uint64_t request : {1U, 2U}) {
    const auto refused = AnswerTo<proto::ProposeRefused>(answers, request);
    EXPECT_EQ(refused.error.code, proto::ErrorCode::kNotLeader);
    EXPECT_EQ(refused.error.outcome, proto::Outcome::kNone);
  }
  for (int node = 1; node <= 3; ++node) EXPECT_THAT(Commands(node), ElementsAre("kept"));
}

/// Random faults at every seam of the shell; the simulator goes deeper below it. What was answered
/// (a reply reached the router) stays, in the same order, everywhere.
TEST_F(DriverTest, StoragesAgreeWhateverDiesAndComesBack) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    Random random(seed);
    Limits limits;
    limits.cache_bytes_max = random.Chance(1, 2) ? 200 : 1 << 20;
    limits.apply_bytes_max = 300;
    TearDownCluster();
    StartCluster(
        {.writer = random.Chance(1, 2) ? Writer::kInline : Writer::kThread, .limits = limits});
    std::uint64_t request = 0;
    for (int step = 0; step < 150; ++step) {
      const int node = static_cast<int>(random.Between(1, 3));
      switch (random.Below(12)) {
        case 0:
          if (running(node)) StopNode(node);
          break;
        case 1:
          storage(node).up = false;
          storage(node).applied.resize(
              std::min<std::size_t>(storage(node).durable, storage(node).last()));
          ++storage(node).boot;
          break;
        case 2:
          storage(node).frames_to_lose = random.Below(3);
          break;
        case 3:
          Isolate(node);
          break;
        case 4:
          storage(node).durable = storage(node).last();
          break;
        default:
          Heal();
          for (int i = 1; i <= 3; ++i) {
            storage(i).up = true;
            if (!running(i)) StartNode(i);
          }
      }
      for (int i = 1; i <= 3; ++i) {
        ++request;
        if (running(i)) Ask(i, {Propose(request, "c" + std::to_string(request))});
      }
      Run(10 * random.Between(1, 30));
    }
    Heal();
    for (int i = 1; i <= 3; ++i) {
      storage(i).up = true;
      storage(i).frames_to_lose = 0;
      if (!running(i)) StartNode(i);
    }
    Run(3000);
    RunUntilLeader();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    ASSERT_EQ(Commands(1), Commands(2)) << "seed " << seed;
    ASSERT_EQ(Commands(1), Commands(3)) << "seed " << seed;
    ASSERT_FALSE(Commands(1).empty()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace bedrock::raft
