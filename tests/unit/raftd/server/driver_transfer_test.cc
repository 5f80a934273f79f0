// Leadership that is handed over: by request, and where a node stops.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/raftd/server/driver_rig.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(DriverTest, ATransferIsAnsweredOnceTheOtherNodeLeads) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId target = IdOf(Other(leader));
  const Term term = driver(leader).GetView().term;
  Ask(leader, {{.request = RequestId(5), .message = proto::TransferLeadership{target}}});
  Settle();
  const auto reply = AnswerTo<proto::TransferLeadershipReply>(TakeAnswers(), 5);
  EXPECT_TRUE(reply.error.ok()) << reply.error.detail;
  EXPECT_EQ(reply.leader, target);
  EXPECT_EQ(reply.term, term.Next());
  EXPECT_EQ(Leader(), Other(leader));
}

TEST_F(DriverTest, ATransferThatCannotBeIsRefusedWithTheReason) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId self = IdOf(leader);
  Ask(Other(leader), {{.request = RequestId(5), .message = proto::TransferLeadership{}}});
  Ask(leader, {{.request = RequestId(6), .message = proto::TransferLeadership{NodeId(9)}},
               {.request = RequestId(7), .message = proto::TransferLeadership{self}}});
  Settle();
  const auto answers = TakeAnswers();
  const auto not_leader = AnswerTo<proto::TransferLeadershipReply>(answers, 5);
  EXPECT_EQ(not_leader.error.code, proto::ErrorCode::kNotLeader);
  EXPECT_EQ(not_leader.leader, self);
  EXPECT_EQ(AnswerTo<proto::TransferLeadershipReply>(answers, 6).error.code,
            proto::ErrorCode::kInvalidArgument);
  EXPECT_TRUE(AnswerTo<proto::TransferLeadershipReply>(answers, 7).error.ok());
  EXPECT_EQ(Leader(), leader);
}

TEST_F(DriverTest, ATransferToANodeThatJustDiedFailsAndTheLeaderGoesOn) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId target = IdOf(Other(leader));
  StopNode(Other(leader));
  Ask(leader, {{.request = RequestId(5), .message = proto::TransferLeadership{target}}});
  const NodeId third = IdOf(Third(leader));
  Ask(leader,
      {{.request = RequestId(6), .message = proto::TransferLeadership{third}}, Propose(7, "a")});
  Settle();
  EXPECT_EQ(AnswerTo<proto::TransferLeadershipReply>(TakeAnswers(), 6).error.code,
            proto::ErrorCode::kOverloaded);
  EXPECT_THAT(Commands(leader), IsEmpty());
  Run(600);
  const auto reply = AnswerTo<proto::TransferLeadershipReply>(TakeAnswers(), 5);
  EXPECT_EQ(reply.error.code, proto::ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(reply.leader, IdOf(leader));
  // What came meanwhile waited and is no worse for it.
  EXPECT_THAT(Commands(leader), ElementsAre("a"));
  EXPECT_THAT(storage(leader).replies, ElementsAre(proto::ReplyTo{kRouter, RequestId(7)}));
}

TEST_F(DriverTest, ProposalsDuringATransferAreRefusedOnceTheNewLeadersNameIsKnown) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId target = IdOf(Other(leader));
  Ask(leader,
      {{.request = RequestId(5), .message = proto::TransferLeadership{target}}, Propose(7, "a")});
  Settle();
  const auto refused = AnswerTo<proto::ProposeRefused>(TakeAnswers(), 7);
  EXPECT_EQ(refused.error.code, proto::ErrorCode::kNotLeader);
  EXPECT_EQ(refused.error.outcome, proto::Outcome::kNone);
  EXPECT_EQ(refused.leader, target);
  EXPECT_THAT(Commands(leader), IsEmpty());
}

TEST_F(DriverTest, AProposalWhoseDeadlinePassesDuringATransferIsDropped) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId target = IdOf(Other(leader));
  StopNode(Other(leader));
  Ask(leader, {{.request = RequestId(5), .message = proto::TransferLeadership{target}}});
  Ask(leader, {Propose(7, "a", 100)});
  Run(600);
  EXPECT_EQ(AnswerTo<proto::ProposeRefused>(TakeAnswers(), 7).error.code,
            proto::ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(Commands(leader), IsEmpty());
}

TEST_F(DriverTest, ALeaderThatStopsHandsOverWithoutAnElectionTimeoutAndAnswersWhatItTookOn) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a"), Propose(2, "b")});
  driver(leader).EndTurn();
  driver(leader).BeginStop();
  EXPECT_FALSE(driver(leader).MayStop());
  Settle();
  EXPECT_TRUE(driver(leader).MayStop());
  EXPECT_THAT(storage(leader).replies, SizeIs(2));
  const int next = Leader();
  EXPECT_NE(next, leader);
  EXPECT_NE(next, 0);
  StopNode(leader);
  Ask(next, {Propose(3, "c")});
  Settle();
  EXPECT_THAT(Commands(next), ElementsAre("a", "b", "c"));
}

TEST_F(DriverTest, ALeaderThatStopsStaysUntilItsStorageHasAnsweredWhatItTookOn) {
  StartCluster({});
  const int leader = RunUntilLeader();
  storage(leader).frames_to_lose = 2;
  Ask(leader, {Propose(1, "a")});
  driver(leader).EndTurn();
  driver(leader).BeginStop();
  Settle();
  EXPECT_NE(Leader(), leader);
  EXPECT_NE(Leader(), 0);
  EXPECT_THAT(storage(leader).replies, IsEmpty());
  EXPECT_FALSE(driver(leader).MayStop());
  Run(600);
  EXPECT_THAT(storage(leader).replies, SizeIs(1));
  EXPECT_TRUE(driver(leader).MayStop());
}

TEST_F(DriverTest, AFollowerAndALoneNodeMayStopAtOnce) {
  StartCluster({});
  const int follower = Other(RunUntilLeader());
  driver(follower).BeginStop();
  EXPECT_TRUE(driver(follower).MayStop());
  TearDownCluster();
  StartCluster({.nodes = 1});
  RunUntilLeader();
  driver(1).BeginStop();
  EXPECT_TRUE(driver(1).MayStop());
}

TEST_F(DriverTest, AStopWaitsForNobodyLongerThanItsBound) {
  StartCluster({});
  const int leader = RunUntilLeader();
  for (int node = 1; node <= 3; ++node) {
    if (node != leader) StopNode(node);
  }
  Ask(leader, {Propose(1, "a")});
  driver(leader).EndTurn();
  driver(leader).BeginStop();
  EXPECT_FALSE(driver(leader).MayStop());
  Run(Driver::kStopMsMax);
  EXPECT_TRUE(driver(leader).MayStop());
}

}  // namespace
}  // namespace bedrock::raft
