#include "routerd/core/node_table.h"

#include <gtest/gtest.h>

#include "tests/unit/routerd/core/core_fixture.h"

namespace bedrock::router {
namespace {

class NodeTableTest : public testing::Test {
 protected:
  void HearAll(std::uint64_t now) {
    for (const NodeId node : {kN1, kN2, kN3}) {
      table_.OnRaftStatus(
          StatusOf(node, node == kN3 ? proto::Role::kLeader : proto::Role::kFollower, kN3, Term(4)),
          now);
      table_.OnStorageStatus(node, proto::StorageStatus(), now);
    }
  }
  CoreOptions options_ = ThreeNodes();
  NodeTable table_{options_};
};

TEST_F(NodeTableTest, ThisNodesOwnDaemonIsChosenFirst) {
  HearAll(1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId()), kN1);
  EXPECT_EQ(table_.Choose(Daemon::kRaftd, 1000, NodeId()), kN1);
}

TEST_F(NodeTableTest, TheLeadersComesNext) {
  HearAll(1000);
  table_.OnFailed(kN1, Daemon::kStoraged, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId()), kN3);
  EXPECT_EQ(table_.Choose(Daemon::kRaftd, 1000, NodeId()), kN1);
}

TEST_F(NodeTableTest, AFailureIsForgivenAfterAWhile) {
  HearAll(1000);
  table_.OnFailed(kN1, Daemon::kStoraged, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000 + options_.avoid_ms, NodeId()), kN1);
}

TEST_F(NodeTableTest, ASilentOrUnhealthyOneIsPassedOver) {
  HearAll(1000);
  proto::StorageStatus ill;
  ill.health = proto::ErrorCode::kStorageUnavailable;
  table_.OnStorageStatus(kN1, ill, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId()), kN3);
  const std::uint64_t later = 1001 + options_.silence_ms;
  table_.OnHeard(kN2, Daemon::kStoraged, later);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, later, NodeId()), kN2);
}

TEST_F(NodeTableTest, AStoragedThatNothingFeedsIsAskedOnlyForWhatItHas) {
  HearAll(1000);
  table_.OnFailed(kN1, Daemon::kRaftd, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId(), NeedsNews::kYes), kN3);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId(), NeedsNews::kNo), kN1);
  table_.OnFailed(kN2, Daemon::kStoraged, 1000);
  table_.OnFailed(kN3, Daemon::kStoraged, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId(), NeedsNews::kYes), kN1)
      << "one that lags is better than ones that fail";
}

TEST_F(NodeTableTest, AFullDiskStillReads) {
  HearAll(1000);
  proto::StorageStatus full;
  full.health = proto::ErrorCode::kStorageFull;
  table_.OnStorageStatus(kN1, full, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId()), kN1);
  EXPECT_TRUE(table_.View(1000).members[0].storage_up);
}

TEST_F(NodeTableTest, AnotherThanTheLastIsPreferredAmongEquals) {
  HearAll(1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, kN1), kN3);
}

TEST_F(NodeTableTest, TheOnlyOneIsChosenWhateverItsState) {
  options_.members = {{kN1, "", "", ""}};
  NodeTable alone(options_);
  alone.OnFailed(kN1, Daemon::kStoraged, 1000);
  EXPECT_EQ(alone.Choose(Daemon::kStoraged, 1000, kN1), kN1);
}

TEST_F(NodeTableTest, TheViewShowsUnreachableMembersWithTheirAddresses) {
  table_.OnRaftStatus(StatusOf(kN1, proto::Role::kFollower, kN3, Term(4)), 1000);
  const ClusterView view = table_.View(1000);
  ASSERT_EQ(view.members.size(), 3U);
  EXPECT_EQ(view.leader, kN3);
  EXPECT_EQ(view.term, Term(4));
  EXPECT_EQ(view.members[0].state, proto::Role::kFollower);
  EXPECT_EQ(view.members[1].state, proto::Role::kUnreachable);
  EXPECT_EQ(view.members[1].http, "h2:8080");
  EXPECT_FALSE(view.members[1].storage_up);
}

TEST_F(NodeTableTest, TheLeadersWordGivesMatchIndexes) {
  HearAll(1000);
  proto::RaftStatus leader = StatusOf(kN3, proto::Role::kLeader, kN3, Term(4));
  leader.commit = LogIndex(12);
  proto::MemberStatus follower;
  follower.id = kN2;
  follower.voter = false;
  follower.match_index = LogIndex(11);
  leader.members.push_back(follower);
  table_.OnRaftStatus(leader, 1000);
  const ClusterView view = table_.View(1000);
  EXPECT_EQ(view.commit_index, LogIndex(12));
  EXPECT_EQ(view.members[1].match_index, LogIndex(11));
  EXPECT_FALSE(view.members[1].voter);
  EXPECT_EQ(view.members[1].http, "h2:8080") << "an empty address must not hide the known one";
}

TEST_F(NodeTableTest, TheLeaderOfAnEarlierTermIsNotShownAsOne) {
  table_.OnRaftStatus(StatusOf(kN3, proto::Role::kLeader, kN3, Term(4)), 1000);
  EXPECT_EQ(table_.View(1000).members[2].state, proto::Role::kLeader);
  table_.OnRaftStatus(StatusOf(kN2, proto::Role::kLeader, kN2, Term(5)), 1001);
  const ClusterView view = table_.View(1001);
  EXPECT_EQ(view.leader, kN2);
  EXPECT_EQ(view.members[1].state, proto::Role::kLeader);
  EXPECT_EQ(view.members[2].state, proto::Role::kFollower);
}

TEST_F(NodeTableTest, AMemberThatTheFlagsDoNotNameIsShown) {
  proto::RaftStatus status = StatusOf(kN1, proto::Role::kFollower, kN3, Term(4));
  proto::MemberStatus joined;
  joined.id = NodeId(4);
  joined.http = "h4:8080";
  status.members.push_back(joined);
  table_.OnRaftStatus(status, 1000);
  const ClusterView view = table_.View(1000);
  ASSERT_EQ(view.members.size(), 4U);
  EXPECT_EQ(view.members[3].http, "h4:8080");
}

}  // namespace
}  // namespace bedrock::router
