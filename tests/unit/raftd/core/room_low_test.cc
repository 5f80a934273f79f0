// Little room for what is written, in the log or in the state machine: the first half of rule R75
// (raftd/core/README.md). What frees room is taken still.

#include <gtest/gtest.h>

#include <cstdint>

#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

constexpr Limits kLimits = {
    .heartbeat_ticks = 3, .election_ticks_min = 10, .election_ticks_max = 20};

/// Node 1 leads the two others, which hold its whole log.
LoneNode MakeLeader() {
  LoneNode node = LoneNode::Leading(3, kLimits);
  node.Take<AppendRequest>();
  return node;
}

TEST(RoomLowTest, ALeaderHandsOverAtOnceToOneThatHasRoom) {
  Cluster cluster({.nodes = 3, .limits = kLimits});
  const std::uint64_t old = cluster.Elect();
  cluster.RoomLow(old, true);
  cluster.Stabilize();
  const std::uint64_t next = cluster.leader();
  EXPECT_NE(next, old);
  EXPECT_EQ(cluster.view(next).role, Role::kLeader);
  EXPECT_FALSE(cluster.Propose(next, "a").refused);
  cluster.Stabilize();
  EXPECT_EQ(cluster.view(old).last_index, cluster.view(next).last_index) << "it follows as any";
  EXPECT_EQ(cluster.Applied(old), cluster.Applied(next));
}

TEST(RoomLowTest, ALeaderWhomNobodyRelievesTakesWhatFreesRoomAndServesReads) {
  LoneNode node = MakeLeader();
  node.RoomLow(true);
  EXPECT_EQ(node.Propose({"a"}, 0, FreesRoom::kYes).refused, Refused::kMoving);
  while (node.view().handing_over_to) node.TickAnswered();
  ASSERT_EQ(node.view().role, Role::kLeader);
  EXPECT_EQ(node.Propose({"a"}).refused, Refused::kDiskFull);
  const LogIndex last = node.view().last_index;
  EXPECT_FALSE(node.Propose({"a"}, 0, FreesRoom::kYes).refused);
  EXPECT_EQ(node.view().last_index, last.Next());
  node.AcknowledgeAll(2);
  EXPECT_EQ(node.view().commit, last.Next());
  node.Take<Heartbeat>();
  node.Read(7);
  const auto beats = node.TakeTo<Heartbeat>(2);
  ASSERT_FALSE(beats.empty());
  node.Receive(2, HeartbeatReply{node.term(), beats.back().read_round});
  EXPECT_EQ(node.reads_ready.size(), 1U);
  node.RoomLow(false);
  EXPECT_FALSE(node.Propose({"a"}).refused);
}

// The way out may be a new node whose disk has room.
TEST(RoomLowTest, MembersCanBeChanged) {
  LoneNode node = MakeLeader();
  node.RoomLow(true);
  while (node.view().handing_over_to) node.TickAnswered();
  EXPECT_EQ(node.Reconfigure({.add = {}, .promote = {}, .demote = {NodeId(3)}, .remove = {}}),
            Reconfiguring::kStarted);
}

TEST(RoomLowTest, WithoutAnyRoomNothingIsTakenThatFreesSome) {
  LoneNode node = MakeLeader();
  node.RoomLow(true);
  node.DiskFull(true);
  while (node.view().handing_over_to) node.TickAnswered();
  EXPECT_EQ(node.Propose({"a"}, 0, FreesRoom::kYes).refused, Refused::kDiskFull);
  node.DiskFull(false);
  EXPECT_FALSE(node.Propose({"a"}, 0, FreesRoom::kYes).refused);
}

TEST(RoomLowTest, AFollowerTakesAndAcknowledgesWhatComes) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.RoomLow(true);
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1}));
  const auto replies = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_TRUE(replies[0].accepted);
  EXPECT_EQ(replies[0].index, LogIndex(2));
}

TEST(RoomLowTest, WhoIsAskedToStandDoesNot) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  node.RoomLow(true);
  node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_EQ(node.view().role, Role::kFollower);
  node.RoomLow(false);
  node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_EQ(node.view().role, Role::kCandidate);
}

TEST(RoomLowTest, ANodeLetsSomeElectionsPassAndThenStands) {
  LoneNode hasty = LoneNode::Fresh(3, kLimits);
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.RoomLow(true);
  const std::uint64_t waited = node.TickUntilCampaign();
  EXPECT_LE(hasty.TickUntilCampaign(), kLimits.election_ticks_max);
  EXPECT_GT(waited, 3 * kLimits.election_ticks_min);
  EXPECT_LE(waited, 4 * kLimits.election_ticks_max);
}

TEST(RoomLowTest, WhereAllHaveLittleALostLeaderIsReplacedAndTheNewOneFreesRoom) {
  Cluster cluster({.nodes = 3, .limits = kLimits});
  const std::uint64_t old = cluster.Elect();
  for (const std::uint64_t id : cluster.ids()) cluster.RoomLow(id, true);
  cluster.Isolate(old);
  std::uint64_t next = 0;
  for (int i = 0; i < 200 && (next == 0 || next == old); ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
    next = cluster.leader();
  }
  ASSERT_NE(next, 0U);
  ASSERT_NE(next, old);
  const LogIndex before = cluster.view(next).commit;
  bool taken = false;
  for (std::uint64_t i = 0; i < 20 && !taken; ++i) {  // between its tries to hand over
    cluster.TickAll(kLimits.heartbeat_ticks);
    cluster.Stabilize();
    taken = !cluster.Propose(next, "d", FreesRoom::kYes).refused;
    cluster.Stabilize();
  }
  EXPECT_TRUE(taken);
  EXPECT_EQ(cluster.leader(), next);
  EXPECT_GT(cluster.view(next).commit, before);
}

// It may have been elected by one that has room, which only did not stand in time.
TEST(RoomLowTest, ANewLeaderHandsOverAsSoonAsSomebodyAnswers) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.BecomeLeader();
  node.RoomLow(true);
  EXPECT_EQ(node.view().handing_over_to, NodeId()) << "nobody has answered yet";
  node.AcknowledgeAll(3);
  EXPECT_EQ(node.view().handing_over_to, NodeId(3));
}

// Nobody else could lead.
TEST(RoomLowTest, ALoneVoterStandsAtOnceAndFreesRoom) {
  Raft node(NodeId(1), kLimits, LogOfTerms({1, 1}, 1, 1), 1);
  node.RoomLow(true);
  node.Tick(1);
  node.Poll();
  node.Durable(WriteSeq(1));
  node.Poll();
  EXPECT_EQ(node.GetView().role, Role::kLeader);
  const Bytes payload = Bytes::Copy("d");
  EXPECT_FALSE(node.Propose({&payload, 1}, 0, FreesRoom::kYes).refused);
}

}  // namespace
}  // namespace bedrock::raft
