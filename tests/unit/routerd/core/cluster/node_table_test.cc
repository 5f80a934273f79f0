#include "routerd/core/cluster/node_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

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

TEST_F(NodeTableTest, AStoragedThatIsFarBehindIsAskedOnlyForWhatItHas) {
  HearAll(1000);
  proto::RaftStatus leader = StatusOf(kN3, proto::Role::kLeader, kN3, Term(4));
  leader.commit = LogIndex(options_.lag_entries_max + 11);
  table_.OnRaftStatus(leader, 1000);
  proto::StorageStatus storage;
  storage.applied = leader.commit;
  table_.OnStorageStatus(kN3, storage, 1000);
  storage.applied = LogIndex(10);
  table_.OnStorageStatus(kN1, storage, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId(), NeedsNews::kYes), kN3);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId(), NeedsNews::kNo), kN1);
  storage.applied = LogIndex(11);
  table_.OnStorageStatus(kN1, storage, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId(), NeedsNews::kYes), kN1);
}

TEST_F(NodeTableTest, AFullDiskStillReads) {
  HearAll(1000);
  proto::StorageStatus full;
  full.health = proto::ErrorCode::kStorageFull;
  table_.OnStorageStatus(kN1, full, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId()), kN1);
  EXPECT_TRUE(table_.View(1000).members[0].storage_up);
}

TEST_F(NodeTableTest, AReplicaThatDivergedIsPassedOverAndShown) {
  HearAll(1000);
  proto::StorageStatus wrong;
  wrong.health = proto::ErrorCode::kDiverged;
  wrong.diverged_at = LogIndex(17);
  wrong.check_passes = 3;
  table_.OnStorageStatus(kN1, wrong, 1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, NodeId()), kN3);
  const ClusterView view = table_.View(1000);
  EXPECT_FALSE(view.members[0].storage_up);
  EXPECT_EQ(view.members[0].diverged_at, LogIndex(17));
  EXPECT_FALSE(view.members[1].diverged_at);
  EXPECT_FALSE(view.replicas_differ_at);
  ASSERT_NE(table_.OwnStorage(), nullptr);
  EXPECT_EQ(table_.OwnStorage()->check_passes, 3U);
}

TEST_F(NodeTableTest, WhereReplicasDifferTheLeaderSaysSo) {
  HearAll(1000);
  proto::RaftStatus status = StatusOf(kN2, proto::Role::kFollower, kN3, Term(4));
  status.checks_differ = LogIndex(7);
  table_.OnRaftStatus(status, 1000);
  EXPECT_FALSE(table_.View(1000).replicas_differ_at);
  status = StatusOf(kN3, proto::Role::kLeader, kN3, Term(4));
  status.checks_differ = LogIndex(9);
  table_.OnRaftStatus(status, 1000);
  EXPECT_EQ(table_.View(1000).replicas_differ_at, LogIndex(9));
}

TEST_F(NodeTableTest, DisksAreFullWhereThoseOfAMajorityCannotTakeMore) {
  HearAll(1000);
  proto::RaftStatus full = StatusOf(kN1, proto::Role::kFollower, NodeId(), Term(4));
  full.storage_health = proto::ErrorCode::kStorageFull;
  EXPECT_FALSE(table_.DisksAreFull(1000));
  table_.OnRaftStatus(full, 1000);
  EXPECT_FALSE(table_.DisksAreFull(1000)) << "two of three are enough";
  full.node = kN2;
  table_.OnRaftStatus(full, 1000);
  EXPECT_TRUE(table_.DisksAreFull(1000));
  EXPECT_FALSE(table_.DisksAreFull(1001 + options_.silence_ms)) << "that was long ago";
  table_.OnRaftStatus(StatusOf(kN2, proto::Role::kFollower, NodeId(), Term(4)), 1000);
  EXPECT_FALSE(table_.DisksAreFull(1000)) << "there is room again";
}

TEST_F(NodeTableTest, AnotherThanTheLastIsPreferredAmongEquals) {
  HearAll(1000);
  EXPECT_EQ(table_.Choose(Daemon::kStoraged, 1000, kN1), kN3);
}

TEST_F(NodeTableTest, TheOnlyOneIsChosenWhateverItsState) {
  options_.members = {{kN1, "", "", "", ""}};
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

class FollowingTest : public NodeTableTest {
 protected:
  static constexpr NodeId kN4{4};

  static proto::MemberStatus Row(NodeId node) {
    const std::string host = "h" + std::to_string(node.value());
    proto::MemberStatus row;
    row.id = node;
    row.raft = "tcp://" + host + ":9000";
    row.storage = "tcp://" + host + ":10500";
    row.client = "tcp://" + host + ":7000";
    row.http = host + ":8080";
    return row;
  }
  void Tell(NodeId node, proto::Role role, NodeId leader, Term term,
            const std::vector<NodeId>& members, std::uint64_t now) {
    proto::RaftStatus status = StatusOf(node, role, leader, term);
    for (const NodeId member : members) status.members.push_back(Row(member));
    table_.OnRaftStatus(status, now);
  }
  void Lead(NodeId node, Term term, const std::vector<NodeId>& members, std::uint64_t now) {
    Tell(node, proto::Role::kLeader, node, term, members, now);
  }
  void Follow(NodeId node, NodeId leader, Term term, const std::vector<NodeId>& members,
              std::uint64_t now) {
    Tell(node, proto::Role::kFollower, leader, term, members, now);
  }
  std::vector<NodeId> Nodes() const {
    std::vector<NodeId> ids;
    for (const MemberSeed& member : table_.Members()) ids.push_back(member.id);
    return ids;
  }
  using Ids = std::vector<NodeId>;
};

TEST_F(FollowingTest, ALeadersWordAddsAndDrops) {
  const std::uint64_t before = table_.generation();
  Lead(kN1, Term(4), {kN1, kN3, kN4}, 1000);
  EXPECT_EQ(Nodes(), (Ids{kN1, kN3, kN4}));
  EXPECT_GT(table_.generation(), before);
  EXPECT_EQ(table_.Members()[2].storage, "tcp://h4:10500");
  EXPECT_TRUE(table_.Contains(kN4));
  EXPECT_FALSE(table_.Contains(kN2));
  EXPECT_EQ(table_.View(1000).members.size(), 3U);
  const std::uint64_t after = table_.generation();
  Lead(kN1, Term(4), {kN1, kN3, kN4}, 1001);
  EXPECT_EQ(table_.generation(), after) << "nothing new";
}

TEST_F(FollowingTest, AFollowerThatLagsBringsNobodyBack) {
  Lead(kN1, Term(4), {kN1, kN2}, 1000);
  Follow(kN2, kN1, Term(4), {kN1, kN2, kN3}, 1001);
  EXPECT_EQ(Nodes(), (Ids{kN1, kN2}));
  EXPECT_EQ(table_.View(1001).members.size(), 2U);
}

TEST_F(FollowingTest, AFollowerTellsOfNewNodesWhereNoLeaderDoes) {
  Follow(kN2, kN4, Term(4), {kN2, kN3, kN4}, 1000);
  EXPECT_EQ(Nodes(), (Ids{kN1, kN2, kN3, kN4})) << "it adds and never drops";
  Lead(kN4, Term(4), {kN2, kN3, kN4}, 1010);
  EXPECT_EQ(Nodes(), (Ids{kN2, kN3, kN4})) << "this node itself has left";
}

TEST_F(FollowingTest, AFollowerOfALaterLeaderOrOfASilentOneTellsOfNewNodes) {
  Lead(kN1, Term(4), {kN1, kN2, kN3}, 1000);
  Follow(kN2, kN4, Term(5), {kN1, kN2, kN3, kN4}, 1001);
  EXPECT_TRUE(table_.Contains(kN4));
  Lead(kN1, Term(6), {kN1, kN2, kN3}, 1002);
  EXPECT_FALSE(table_.Contains(kN4));
  const std::uint64_t later = 1003 + options_.silence_ms;
  Follow(kN2, kN4, Term(6), {kN1, kN2, kN3, kN4}, later);
  EXPECT_TRUE(table_.Contains(kN4));
}

TEST_F(FollowingTest, ADeposedLeadersWordIsOldNews) {
  Lead(kN2, Term(5), {kN1, kN2}, 1000);
  Lead(kN1, Term(4), {kN1, kN2, kN3, kN4}, 1001);
  EXPECT_EQ(Nodes(), (Ids{kN1, kN2}));
}

TEST_F(FollowingTest, WhatTheFlagsSayOfANodesEndpointsCounts) {
  proto::RaftStatus status = StatusOf(kN1, proto::Role::kLeader, kN1, Term(4));
  status.members = {Row(kN1), Row(kN2)};
  status.members[1].raft = "tcp://elsewhere:9000";
  table_.OnRaftStatus(status, 1000);
  EXPECT_EQ(table_.Members()[1].raft, "tcp://h2:9000");
  status.members.push_back(Row(kN4));
  table_.OnRaftStatus(status, 1000);
  status.members[2].raft = "tcp://elsewhere:9000";
  const std::uint64_t before = table_.generation();
  table_.OnRaftStatus(status, 1000);
  EXPECT_EQ(table_.Members()[2].raft, "tcp://elsewhere:9000");
  EXPECT_GT(table_.generation(), before);
}

TEST_F(FollowingTest, AStatusThatLeavesOutItsLeaderTellsNothing) {
  Lead(kN1, Term(4), {kN2}, 1000);
  EXPECT_EQ(Nodes(), (Ids{kN1, kN2, kN3}));
}

TEST_F(FollowingTest, NodesAreBounded) {
  Ids many = {kN1};
  for (std::uint64_t id = 10; id < 10 + 2 * NodeTable::kNodesMax; ++id) many.emplace_back(id);
  Lead(kN1, Term(4), many, 1000);
  EXPECT_EQ(table_.size(), NodeTable::kNodesMax);
}

TEST_F(FollowingTest, ALearnerIsShownAsOneWhateverItCallsItself) {
  proto::RaftStatus status = StatusOf(kN1, proto::Role::kLeader, kN1, Term(4));
  status.members = {Row(kN1), Row(kN2)};
  status.members[1].voter = false;
  table_.OnRaftStatus(status, 1000);
  Follow(kN2, kN1, Term(4), {kN1, kN2}, 1000);
  const ClusterView view = table_.View(1000);
  EXPECT_FALSE(view.members[1].voter);
  EXPECT_EQ(view.members[1].state, proto::Role::kLearner);
  EXPECT_EQ(table_.View(1001 + options_.silence_ms).members[1].state, proto::Role::kUnreachable);
}

TEST_F(FollowingTest, TheLeadersStatusIsItsOwnOfItsTerm) {
  Lead(kN1, Term(4), {kN1, kN2}, 1000);
  ASSERT_NE(table_.LeaderStatus(1000), nullptr);
  EXPECT_EQ(table_.LeaderStatus(1000)->members.size(), 2U);
  table_.OnLeaderNamed(kN1, kN2, Term(5), 1001);
  EXPECT_EQ(table_.leader(1001).node, kN2);
  EXPECT_EQ(table_.LeaderStatus(1001), nullptr) << "it has not said a word yet";
  Lead(kN2, Term(5), {kN1, kN2}, 1002);
  EXPECT_NE(table_.LeaderStatus(1002), nullptr);
  EXPECT_EQ(table_.LeaderStatus(1003 + options_.silence_ms), nullptr);
}

}  // namespace
}  // namespace bedrock::router
