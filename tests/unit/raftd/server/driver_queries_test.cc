// What routers ask a driver: indexes to read at, and its status.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

#include "tests/unit/raftd/server/driver_rig.h"

namespace bedrock::raft {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(DriverTest, ReadsOfATurnGetOneReadIndexThatCoversEveryWriteBefore) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a")});
  Run(100);
  const LogIndex written = driver(leader).GetView().commit;
  for (const int node : {leader, Other(leader)}) {
    Ask(node, {{.request = RequestId(5), .message = proto::ReadIndexQuery{}},
               {.request = RequestId(6), .message = proto::ReadIndexQuery{}}});
    Run(200);
    const auto answers = TakeAnswers();
    for (const std::uint64_t request : {5U, 6U}) {
      const auto answer = AnswerTo<proto::ReadIndexAnswer>(answers, request);
      EXPECT_TRUE(answer.error.ok()) << answer.error.detail;
      EXPECT_GE(answer.index, written);
    }
  }
}

// R60: each turn ends with the time being told, so a lease answers in the turn of the question.
TEST_F(DriverTest, UnderALeaseALeaderAnswersInTheSameTurnAndAsksNobody) {
  Settings settings;
  settings.limits.lease_reads = true;
  StartCluster(settings);
  const int leader = RunUntilLeader();
  Run(200);
  Isolate(leader);  // It may not ask anybody, nor need to.
  Ask(leader, {{.request = RequestId(5), .message = proto::ReadIndexQuery{}}});
  Settle();
  const auto answer = AnswerTo<proto::ReadIndexAnswer>(TakeAnswers(), 5);
  EXPECT_TRUE(answer.error.ok());
  EXPECT_TRUE(answer.leased);
  EXPECT_EQ(answer.index, driver(leader).GetView().commit);
  Run(settings.limits.election_ticks_min * kTickMs);
  Ask(leader, {{.request = RequestId(6), .message = proto::ReadIndexQuery{}}});
  Settle();
  EXPECT_THAT(TakeAnswers(), IsEmpty());
}

TEST_F(DriverTest, AReadThatNobodyCanConfirmFailsAndIsNotServed) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Isolate(leader);
  Ask(leader, {{.request = RequestId(5), .message = proto::ReadIndexQuery{}}});
  Run(100);
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  Run(3000);
  EXPECT_EQ(AnswerTo<proto::ReadIndexAnswer>(TakeAnswers(), 5).error.code,
            proto::ErrorCode::kNoLeader);
}

TEST_F(DriverTest, AStatusQueryIsAnsweredAndLaterChangesArePushed) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int node = Other(leader);
  Ask(node, {{.request = RequestId(5), .message = proto::RaftStatusQuery{}}});
  Settle();
  const auto status = AnswerTo<proto::RaftStatus>(TakeAnswers(), 5);
  EXPECT_EQ(status.node, IdOf(node));
  EXPECT_EQ(status.leader, IdOf(leader));
  EXPECT_EQ(status.storage_health, proto::ErrorCode::kOk);
  ASSERT_THAT(status.members, SizeIs(3));
  EXPECT_EQ(status.members[0].http, "h1:4");
  EXPECT_EQ(status.members[static_cast<std::size_t>(leader - 1)].role, proto::Role::kLeader);

  StopNode(leader);
  RunUntilLeader();
  const auto pushed = AnswerTo<proto::RaftStatus>(TakeAnswers(), 0);
  EXPECT_GE(pushed.term, status.term);
  Run(6000);
  TakeAnswers();
  StartNode(leader);
  StopNode(Leader());
  Run(3000);
  EXPECT_THAT(TakeAnswers(), IsEmpty()) << "a router that is silent for 5 s is told no more";
}

}  // namespace
}  // namespace bedrock::raft
