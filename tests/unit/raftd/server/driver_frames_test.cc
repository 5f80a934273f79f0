// Frames and messages that a driver does not serve.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/codec.h"
#include "tests/unit/raftd/server/driver_rig.h"

namespace bedrock::raft {
namespace {

using ::testing::IsEmpty;

TEST_F(DriverTest, FramesOfAnotherClusterVersionOrGroupAreRefused) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  const auto refusal = [&](const proto::FrameHeader& header) {
    AskWithHeader(1, header, {Propose(1, "a")});
    Settle();
    return AnswerTo<proto::Refusal>(TakeAnswers(), 0).error.code;
  };
  EXPECT_EQ(refusal({.cluster = ClusterId(5)}), proto::ErrorCode::kWrongCluster);
  EXPECT_EQ(refusal({.cluster = ClusterId()}), proto::ErrorCode::kWrongCluster);
  EXPECT_EQ(refusal({.protocol = 2, .cluster = kCluster}), proto::ErrorCode::kUnsupportedProtocol);
  EXPECT_EQ(refusal({.cluster = kCluster, .group = GroupId(3)}),
            proto::ErrorCode::kInvalidArgument);
  EXPECT_THAT(Commands(1), IsEmpty());
}

TEST_F(DriverTest, WhatIsNoFrameAndWhatRaftdDoesNotServeIsRefused) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  driver(1).OnFrame(kRouter, Bytes::Copy("nonsense"));
  Ask(1, {{.request = RequestId(9), .message = proto::Get{}}});
  Settle();
  const auto answers = TakeAnswers();
  EXPECT_EQ(AnswerTo<proto::Refusal>(answers, 0).error.code, proto::ErrorCode::kInvalidArgument);
  EXPECT_EQ(AnswerTo<proto::Refusal>(answers, 9).error.code, proto::ErrorCode::kInvalidArgument);
}

TEST_F(DriverTest, RaftMessagesOfStrangersAndImpostorsAreIgnored) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const Term term = driver(leader).GetView().term;
  const VoteRequest request{
      .term = Term(1000), .last_index = LogIndex(1000), .last_term = Term(999)};
  // A router that calls itself node 2, and a raftd that is no member.
  AskWithHeader(leader, {.cluster = kCluster, .node = NodeId(2)}, {{.message = request}});
  proto::FrameWriter writer({.cluster = kCluster, .node = NodeId(9)});
  writer.Add(RequestId(), 0, request);
  driver(leader).OnFrame("raftd/n9/1", Bytes(writer.Finish()));
  Run(100);
  EXPECT_EQ(driver(leader).GetView().term, term);
  EXPECT_EQ(driver(leader).GetView().role, Role::kLeader);
}

TEST_F(DriverTest, ARefusalIsNeverAnsweredByARefusal) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  Ask(1, {{.request = RequestId(3), .message = proto::Refusal{}}});
  Settle();
  EXPECT_THAT(TakeAnswers(), IsEmpty());
}

}  // namespace
}  // namespace bedrock::raft
