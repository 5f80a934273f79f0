// A disk without room: rule R75 (raftd/core/README.md). The shell says so while elections' small
// writes still fit.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

constexpr Limits kLimits = {
    .heartbeat_ticks = 3, .election_ticks_min = 10, .election_ticks_max = 20};

/// Node 1 leads the others, all of which hold its whole log.
LoneNode MakeLeader(std::size_t voters = 3, const Limits& limits = kLimits) {
  LoneNode node = LoneNode::Leading(voters, limits);
  node.Take<AppendRequest>();
  return node;
}

TEST(DiskFullTest, ALeaderHandsOverAtOnceAndDoesNotStandUntilThereIsRoom) {
  Cluster cluster({.nodes = 3, .limits = kLimits});
  const std::uint64_t old = cluster.Elect();
  cluster.Propose(old, "a");
  cluster.DiskFull(old, true);
  cluster.Stabilize();
  const std::uint64_t next = cluster.leader();
  EXPECT_NE(next, old);
  EXPECT_EQ(cluster.view(next).role, Role::kLeader);
  EXPECT_TRUE(cluster.view(old).disk_full);
  cluster.Isolate(next);
  cluster.Tick(old, 10ULL * kLimits.election_ticks_max);
  EXPECT_EQ(cluster.view(old).role, Role::kFollower);
  cluster.DiskFull(old, false);
  cluster.Tick(old, 2ULL * kLimits.election_ticks_max);
  EXPECT_NE(cluster.view(old).role, Role::kFollower);
}

TEST(DiskFullTest, WhereOneDoesNotTakeOverTheNextIsAskedAndLessAndLessOften) {
  LoneNode node = MakeLeader();
  node.DiskFull(true);
  std::vector<std::uint64_t> asked;
  std::vector<std::uint64_t> at;
  for (std::uint64_t tick = 0; tick < 400; ++tick) {
    for (const auto& wish : node.Take<TimeoutNow>()) {
      if (!asked.empty() && asked.back() == wish.to) continue;
      asked.push_back(wish.to);
      at.push_back(tick);
    }
    node.TickAnswered();
  }
  ASSERT_GE(asked.size(), 4U);
  EXPECT_NE(asked[0], asked[1]);
  EXPECT_NE(asked[1], asked[2]);
  EXPECT_EQ(asked[0], asked[2]);
  EXPECT_GT(at[3] - at[2], at[2] - at[1]);
  EXPECT_EQ(node.view().role, Role::kLeader);
}

TEST(DiskFullTest, ALeaderWhomNobodyRelievesServesReadsAndTakesNoProposals) {
  LoneNode node = MakeLeader();
  node.DiskFull(true);
  while (node.view().handing_over_to) node.TickAnswered();
  ASSERT_EQ(node.view().role, Role::kLeader);
  const LogIndex last = node.view().last_index;
  EXPECT_EQ(node.Propose({"a"}).refused, Refused::kDiskFull);
  EXPECT_EQ(node.Reconfigure({.add = {}, .promote = {}, .demote = {NodeId(2)}, .remove = {}}),
            Reconfiguring::kBusy);
  EXPECT_EQ(node.view().last_index, last);
  node.Take<Heartbeat>();
  node.Read(7);
  const auto beats = node.TakeTo<Heartbeat>(2);
  ASSERT_FALSE(beats.empty());
  node.Receive(2, HeartbeatReply{node.term(), beats.back().read_round});
  ASSERT_EQ(node.reads_ready.size(), 1U);
  EXPECT_EQ(node.reads_ready[0].ticket, Ticket(7));
}

TEST(DiskFullTest, ALeaderThatHasRoomAgainTakesProposalsAndLeadsOn) {
  LoneNode node = MakeLeader();
  node.DiskFull(true);
  while (node.view().handing_over_to) node.TickAnswered();
  node.DiskFull(false);
  EXPECT_FALSE(node.Propose({"a"}).refused);
  node.Take<TimeoutNow>();
  for (int tick = 0; tick < 200; ++tick) node.TickAnswered();
  EXPECT_TRUE(node.Take<TimeoutNow>().empty());
}

TEST(DiskFullTest, AFullFollowerTakesNoEntriesAndAnswersNoAppends) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  node.Take<AppendReply>();
  const std::size_t writes = node.writes.size();
  node.DiskFull(true);
  node.Receive(2, MakeAppend(1, 1, 1, {1, 1}));  // New ones,
  node.Receive(2, MakeAppend(1, 0, 0, {1}));     // held ones,
  node.Receive(2, MakeAppend(1, 1, 9, {}));      // and a probe that does not fit.
  EXPECT_TRUE(node.Take<AppendReply>().empty());
  EXPECT_EQ(node.view().last_index, LogIndex(1));
  EXPECT_EQ(node.writes.size(), writes);
}

TEST(DiskFullTest, AFullFollowerAnswersHeartbeatsVotesAndAppliesWhatIsCommitted) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  node.DiskFull(true);
  node.Receive(2, MakeAppend(1, 1, 1, {1}, 2));  // It holds but the first of the two.
  EXPECT_EQ(node.view().commit, LogIndex(1));
  EXPECT_EQ(node.view().applied, LogIndex(1));
  node.Receive(2, Heartbeat{Term(1), LogIndex(1), 5, LogIndex()});
  const auto beats = node.TakeTo<HeartbeatReply>(2);
  ASSERT_EQ(beats.size(), 1U);
  EXPECT_EQ(beats[0].read_round, 5U);
  node.Tick(kLimits.election_ticks_min);
  node.Receive(3, AskVote(2, 1, 1));
  const auto votes = node.TakeTo<VoteReply>(3);
  ASSERT_EQ(votes.size(), 1U);
  EXPECT_TRUE(votes[0].granted);
}

// R83: nothing is sent over and over to a node that takes nothing.
TEST(DiskFullTest, AFullFollowerIsSentAWindowAndNoMore) {
  Limits limits = kLimits;
  limits.window_messages_max = 2;
  limits.append_entries_max = 1;
  LoneNode node = MakeLeader(3, limits);
  std::size_t entries = 0;
  for (int i = 0; i < 100; ++i) {
    node.Propose({"a"});
    node.AcknowledgeAll(3);
    node.Receive(2, HeartbeatReply{node.term(), 0});  // Node 2 is full.
    node.Tick();
    for (const AppendRequest& append : node.TakeTo<AppendRequest>(2)) {
      entries += append.entries.size();
    }
  }
  EXPECT_LE(entries, 2U);
  EXPECT_EQ(node.view().role, Role::kLeader);
}

TEST(DiskFullTest, AFollowerCatchesUpOnceThereIsRoom) {
  Cluster cluster({.nodes = 3, .limits = kLimits});
  const std::uint64_t leader = cluster.Elect();
  const std::uint64_t full = leader % 3 + 1;
  cluster.DiskFull(full, true);
  for (int i = 0; i < 20; ++i) cluster.Propose(leader, "a");
  cluster.Stabilize();
  cluster.TickAll(5ULL * kLimits.heartbeat_ticks);
  cluster.Stabilize();
  ASSERT_LT(cluster.view(full).last_index, cluster.view(leader).commit);
  cluster.DiskFull(full, false);
  for (int i = 0; i < 4; ++i) {
    cluster.TickAll(kLimits.heartbeat_ticks);
    cluster.Stabilize();
  }
  EXPECT_EQ(cluster.Applied(full), cluster.Applied(leader));
  EXPECT_EQ(cluster.view(leader).role, Role::kLeader);
}

TEST(DiskFullTest, NothingIsCommittedWhereAMajorityIsFullAndAllOfItAfterwards) {
  Cluster cluster({.nodes = 3, .limits = kLimits});
  const std::uint64_t leader = cluster.Elect();
  std::vector<std::uint64_t> full;
  for (std::uint64_t id : cluster.ids()) {
    if (id != leader) full.push_back(id);
  }
  for (std::uint64_t id : full) cluster.DiskFull(id, true);
  const LogIndex before = cluster.view(leader).commit;
  cluster.Propose(leader, "a");
  cluster.Stabilize();
  EXPECT_EQ(cluster.view(leader).commit, before);
  for (std::uint64_t id : full) cluster.DiskFull(id, false);
  for (int i = 0; i < 4; ++i) {
    cluster.TickAll(kLimits.heartbeat_ticks);
    cluster.Stabilize();
  }
  EXPECT_EQ(cluster.view(leader).commit, before.Next());
}

TEST(DiskFullTest, ACandidateWhoseDiskFillsUpGivesUpAndATargetDoesNotStand) {
  LoneNode candidate = LoneNode::Fresh(3, kLimits);
  candidate.BecomeCandidate();
  candidate.DiskFull(true);
  EXPECT_EQ(candidate.view().role, Role::kFollower);

  LoneNode target = LoneNode::Fresh(3, kLimits);
  target.Receive(2, MakeAppend(1, 0, 0, {1}));
  target.DiskFull(true);
  target.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_EQ(target.view().role, Role::kFollower);
  target.DiskFull(false);
  target.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_EQ(target.view().role, Role::kCandidate);
}

// Nobody else could, and reads need a leader.
TEST(DiskFullTest, ALoneVoterLeadsForReadsAlone) {
  LoneNode node(LogOfTerms({1, 1}, 1, 1));
  node.DiskFull(true);
  EXPECT_EQ(node.view().role, Role::kLeader);
  EXPECT_EQ(node.Propose({"a"}).refused, Refused::kDiskFull);
  node.Read(1);
  EXPECT_EQ(node.reads_ready.size(), 1U);

  Raft restarted(NodeId(1), kLimits, LogOfTerms({1, 1}, 1, 1), 1);
  restarted.DiskFull(true);
  restarted.Tick(1);
  restarted.Poll();
  restarted.Durable(WriteSeq(1));
  restarted.Poll();
  EXPECT_EQ(restarted.GetView().role, Role::kLeader);
}

// bedrock_sim --seed 1001605, as of when the rule was written: giving up to hand over added an
// entry that nothing needed, in the moment in which it stepped down.
TEST(DiskFullTest, ALeaderThatLeftStepsDownWithoutOneMoreEntry) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure({.add = {}, .promote = {}, .demote = {NodeId(1)}, .remove = {}}),
            Reconfiguring::kStarted);
  for (int step = 0; step < 2; ++step) {
    for (const std::uint64_t peer : {2U, 3U}) node.AcknowledgeAll(peer);
  }
  ASSERT_FALSE(node.Take<TimeoutNow>().empty());
  node.DiskFull(true);
  const LogIndex last = node.view().last_index;
  for (std::uint32_t tick = 0; tick < kLimits.election_ticks_min; ++tick) node.TickAnswered();
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.view().last_index, last);
}

// A change of members that is under way waits for room, or for another leader.
TEST(DiskFullTest, AJointConfigurationIsLeftOnceThereIsRoom) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure({.add = {}, .promote = {}, .demote = {NodeId(3)}, .remove = {}}),
            Reconfiguring::kStarted);
  ASSERT_FALSE(node.raft.membership().outgoing.empty());
  node.DiskFull(true);
  while (node.view().handing_over_to) node.TickAnswered();
  node.TickAnswered();
  EXPECT_FALSE(node.raft.membership().outgoing.empty());
  node.DiskFull(false);
  EXPECT_TRUE(node.raft.membership().outgoing.empty());
}

}  // namespace
}  // namespace bedrock::raft
