// Nodes that are taken in, promoted and removed while the cluster runs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "proto/codec.h"
#include "raftd/core/quorum.h"
#include "raftd/server/membership_desk.h"
#include "raftd/server/peers.h"
#include "tests/unit/raftd/server/driver_rig.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST_F(MembersTest, ANewNodeIsTakenInFedAndBecomesAVoterThoughNobodysFlagsNameIt) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a")});
  Run(50);
  StartJoiningNode(4);
  Run(1500);
  EXPECT_EQ(driver(4).GetView().term, Term()) << "it waits";
  const auto reply = Ask1(leader, Change(Kind::kAdd, 4));
  EXPECT_TRUE(reply.error.ok()) << reply.error.detail;
  EXPECT_GT(reply.index, LogIndex());
  Run(1000);
  for (int node = 1; node <= 4; ++node) EXPECT_THAT(Voters(node), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Commands(4), ElementsAre("a"));
  // It counts: with one of the old ones gone, three of four are a quorum.
  StopNode(Other(leader));
  Ask(leader, {Propose(2, "b")});
  Run(300);
  EXPECT_THAT(Commands(4), ElementsAre("a", "b"));
}

TEST_F(MembersTest, ANewNodeAnswersALeaderThatItsFlagsDoNotName) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StartJoiningNode(4, {Other(leader)});
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(1000);
  EXPECT_THAT(Voters(leader), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Voters(4), ElementsAre(1, 2, 3, 4));
}

TEST_F(MembersTest, AVoterThatWasAwayAnswersALeaderThatItHasNeverHeardOf) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  const int third = Third(leader);
  StopNode(away);
  StartJoiningNode(4);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(1000);
  Ask(leader, {{.request = RequestId(3), .message = proto::TransferLeadership{NodeId(4)}}});
  Run(1000);
  ASSERT_EQ(Leader(), 4);
  // Without them node 4 needs the one that knows nothing of it.
  StopNode(leader);
  Run(100);
  StartNode(away);
  Run(1000);
  EXPECT_THAT(Voters(away), ElementsAre(1, 2, 3, 4));
  ASSERT_EQ(Leader(), 4);
  EXPECT_TRUE(running(third));
  Ask(4, {Propose(1, "a")});
  Run(200);
  EXPECT_THAT(Commands(away), ElementsAre("a"));
}

TEST_F(MembersTest, ManyStrangersCostNoMoreThanABoundAndStopNoElection) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const Term term = driver(leader).GetView().term;
  const auto stranger = [&](int node, std::uint64_t id, const proto::Message& message) {
    proto::FrameWriter writer({.cluster = kCluster, .node = NodeId(id), .boot = BootId(id)});
    writer.Add(RequestId(), 0, message);
    driver(node).OnFrame("raftd/n" + std::to_string(id) + "/" + FormatHex(id),
                         Bytes(writer.Finish()));
  };
  for (std::uint64_t id = 10; id < 10 + 2 * Peers::kStrangersMax; ++id) {
    for (int node = 1; node <= 3; ++node) {
      stranger(node, id, VoteRequest{.pre_vote = PreVote::kYes, .term = Term(1000 + id)});
      stranger(node, id, VoteRequest{.term = Term(1000 + id)});
      stranger(node, id, AppendReply{.term = Term(1000 + id), .index = LogIndex(1)});
      stranger(node, id, HeartbeatReply{.term = Term(1000 + id)});
      stranger(node, id, VoteReply{.term = Term(1000 + id)});
    }
    Run(kTickMs);
  }
  EXPECT_EQ(driver(leader).GetView().term, term);
  EXPECT_EQ(Leader(), leader);
  // Their empty logs win nobody's vote, and asking does not keep anybody from standing.
  StopNode(leader);
  for (int i = 0; i < 300 && Leader() == 0; ++i) {
    for (int node = 1; node <= 3; ++node) {
      if (running(node)) {
        stranger(node, 99, VoteRequest{.pre_vote = PreVote::kYes, .term = Term(50)});
      }
    }
    Run(kTickMs);
  }
  EXPECT_NE(Leader(), 0);
}

TEST_F(MembersTest, ChangesThatComeTogetherAreMadeOneAfterTheOther) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StartJoiningNode(4);
  StartJoiningNode(5);
  Ask(leader, {{.request = RequestId(1), .message = Change(Kind::kAdd, 4)},
               {.request = RequestId(2), .message = Change(Kind::kAdd, 5)}});
  Run(1000);
  const auto answers = TakeAnswers();
  EXPECT_TRUE(AnswerTo<proto::ChangeMembersReply>(answers, 1).error.ok());
  EXPECT_TRUE(AnswerTo<proto::ChangeMembersReply>(answers, 2).error.ok());
  Run(1000);
  EXPECT_THAT(Voters(leader), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(MembersTest, TheStatusNamesWhoTakesPartWithEndpointsAndRoles) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StartJoiningNode(4);
  proto::ChangeMembers add = Change(Kind::kAdd, 4);
  add.promote = false;
  ASSERT_TRUE(Ask1(leader, add).error.ok());
  Run(200);
  const proto::RaftStatus status = StatusOf(leader);
  ASSERT_THAT(status.members, SizeIs(4));
  EXPECT_FALSE(status.members[3].voter);
  EXPECT_EQ(status.members[3].role, proto::Role::kLearner);
  EXPECT_EQ(status.members[3].http, "h4:4");
  EXPECT_EQ(status.members[3].match_index, status.last_index);
  EXPECT_TRUE(status.members[0].voter);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kPromote, 4)).error.ok());
  Run(200);
  EXPECT_TRUE(StatusOf(leader).members[3].voter);
}

TEST_F(MembersTest, ChangesOfMembersArePushedToRouters) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StatusOf(leader);
  StartJoiningNode(4);
  Ask(leader, {{.request = RequestId(6), .message = Change(Kind::kAdd, 4)}});
  Run(100);
  const auto pushed = AnswerTo<proto::RaftStatus>(TakeAnswers(), 0);
  EXPECT_THAT(pushed.members, SizeIs(4));
}

TEST_F(MembersTest, ARemovedNodeIsLetGoAndNotHeardAnyMore) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int gone = Other(leader);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kRemove, gone)).error.ok());
  Run(500);
  EXPECT_THAT(Voters(leader), SizeIs(2));
  EXPECT_THAT(StatusOf(leader).members, SizeIs(2));
  EXPECT_FALSE(IsVoter(driver(gone).membership(), IdOf(gone))) << "it knows";
  const Term term = driver(leader).GetView().term;
  StopNode(leader);
  Run(3000);
  StartNode(leader);
  Run(3000);
  EXPECT_GT(driver(leader).GetView().term, term);
  EXPECT_NE(Leader(), gone);
  const auto again = Ask1(Leader(), Change(Kind::kAdd, gone));
  EXPECT_EQ(again.error.code, proto::ErrorCode::kMemberExists);
}

TEST_F(MembersTest, ALeaderCanBeRemovedAndAnotherServesWithoutAnElectionTimeout) {
  StartCluster({});
  const int leader = RunUntilLeader();
  ASSERT_TRUE(Ask1(leader, Change(Kind::kRemove, leader)).error.ok());
  const int next = Leader();
  ASSERT_NE(next, 0);
  EXPECT_NE(next, leader);
  Ask(next, {Propose(9, "z")});
  Run(100);
  EXPECT_THAT(Commands(next), ElementsAre("z"));
}

TEST_F(MembersTest, WhoTakesPartSurvivesARestartWhateverTheFlagsSay) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StartJoiningNode(4);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(1000);
  for (int node = 1; node <= 4; ++node) StopNode(node);
  for (int node = 1; node <= 4; ++node) StartNode(node);
  const int again = RunUntilLeader();
  EXPECT_THAT(Voters(again), ElementsAre(1, 2, 3, 4));
  Ask(again, {Propose(1, "a")});
  Run(200);
  EXPECT_THAT(Commands(4), ElementsAre("a"));
}

TEST_F(MembersTest, WhatCannotBeIsRefusedWithTheReason) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const auto refused = [&](int node, const proto::ChangeMembers& change) {
    return Ask1(node, change).error.code;
  };
  EXPECT_EQ(refused(Other(leader), Change(Kind::kAdd, 4)), proto::ErrorCode::kNotLeader);
  EXPECT_EQ(refused(leader, Change(Kind::kAdd, 2)), proto::ErrorCode::kMemberExists);
  EXPECT_EQ(refused(leader, Change(Kind::kPromote, 9)), proto::ErrorCode::kMemberNotFound);
  EXPECT_EQ(refused(leader, Change(Kind::kPromote, 2)), proto::ErrorCode::kOk) << "it is one";
  proto::ChangeMembers no_endpoint = Change(Kind::kAdd, 4);
  no_endpoint.raft = "nowhere";
  EXPECT_EQ(refused(leader, no_endpoint), proto::ErrorCode::kInvalidArgument);
  proto::ChangeMembers two_in_one = Change(Kind::kAdd, 4);
  two_in_one.storage += ",http=h4:5";
  EXPECT_EQ(refused(leader, two_in_one), proto::ErrorCode::kInvalidArgument);
  proto::ChangeMembers taken = Change(Kind::kAdd, 4);
  taken.raft = Change(Kind::kAdd, 1).raft;
  EXPECT_EQ(refused(leader, taken), proto::ErrorCode::kInvalidArgument);
  StopNode(Other(leader));
  Run(400);  // silent for longer than an election timeout soon
  const int third = Third(leader);
  Run(200);
  EXPECT_EQ(refused(leader, Change(Kind::kRemove, third)),
            proto::ErrorCode::kUnsafeMembershipChange);
}

TEST_F(MembersTest, AChangeThatCannotBeCommittedIsAnsweredAsUnknown) {
  StartCluster({});
  const int leader = RunUntilLeader();
  for (int node = 1; node <= 3; ++node) {
    if (node != leader) StopNode(node);
  }
  Ask(leader, {{.request = RequestId(6), .message = Change(Kind::kAdd, 4)}});
  Run(MembershipDesk::kPatienceMs + 100);
  const auto reply = AnswerTo<proto::ChangeMembersReply>(TakeAnswers(), 6);
  EXPECT_EQ(reply.error.code, proto::ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(reply.error.outcome, proto::Outcome::kUnknown);
}

}  // namespace
}  // namespace bedrock::raft
