// Changing the membership: rules R38, R39, R41 to R48 (raftd/core/README.md).

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"
#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"
#include "tests/unit/raftd/core/trace.h"

namespace bedrock::raft {
namespace {

constexpr Limits kLimits = {
    .heartbeat_ticks = 3, .election_ticks_min = 10, .election_ticks_max = 20};

std::vector<NodeId> Ids(std::initializer_list<std::uint64_t> values) {
  std::vector<NodeId> ids;
  for (const std::uint64_t value : values) ids.emplace_back(value);
  return ids;
}

Delta Add(std::uint64_t id, AutoPromote promote = AutoPromote::kYes) {
  return {.add = {{NodeId(id), promote, ""}}};
}
Delta Remove(std::initializer_list<std::uint64_t> ids) { return {.remove = Ids(ids)}; }

Entry MembershipEntry(std::uint64_t term, std::uint64_t index, const Membership& membership) {
  Entry entry = MakeEntry(term, index, "");
  entry.kind = EntryKind::kMembership;
  entry.payload = Bytes(EncodeMembership(membership));
  return entry;
}

/// A log that keeps all: a node without a snapshot is caught up by it.
ClusterOptions Options(std::size_t nodes = 3) {
  return {.nodes = nodes, .limits = kLimits, .compact = false};
}

/// Node 1 leads `voters`, all of which hold its whole log and have just been heard.
LoneNode MakeLeader(std::size_t voters = 3) {
  LoneNode node = LoneNode::Fresh(voters, kLimits);
  node.report_applied = false;  // nothing is compacted
  node.BecomeLeader();
  for (std::uint64_t peer = 2; peer <= voters; ++peer) node.AcknowledgeAll(peer);
  node.Take<AppendRequest>();
  return node;
}

/// Ticks and delivers until the cluster has nothing under way and `done`.
template <typename Done>
bool RunUntil(Cluster& cluster, const Done& done) {
  for (int i = 0; i < 400; ++i) {
    if (done()) return true;
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  return done();
}

std::string Members(Cluster& cluster, std::uint64_t id) {
  return Describe(cluster.at(id).membership());
}

// ---- Joining

TEST(ReconfigureTest, ANewNodeCatchesUpAndBecomesAVoterByItself) {
  Cluster cluster(Options());
  const std::uint64_t leader = cluster.Elect();
  for (int i = 0; i < 20; ++i) cluster.Propose(leader, "x");
  cluster.Stabilize();
  cluster.AddBlankNode(4);
  ASSERT_EQ(cluster.Reconfigure(leader, Add(4)), Reconfiguring::kStarted);
  ASSERT_TRUE(RunUntil(cluster, [&] { return Members(cluster, 4) == "{1 2 3 4}"; }));
  EXPECT_TRUE(RunUntil(cluster, [&] { return cluster.Applied(4) == cluster.Applied(leader); }));
  for (std::uint64_t id = 1; id <= 4; ++id) EXPECT_EQ(Members(cluster, id), "{1 2 3 4}");
}

TEST(ReconfigureTest, ALearnerThatIsToStayOneStaysOne) {
  Cluster cluster(Options());
  const std::uint64_t leader = cluster.Elect();
  cluster.AddBlankNode(4);
  ASSERT_EQ(cluster.Reconfigure(leader, Add(4, AutoPromote::kNo)), Reconfiguring::kStarted);
  cluster.TickAll(3ULL * kLimits.election_ticks_max);
  RunUntil(cluster, [&] { return cluster.Applied(4) == cluster.Applied(leader); });
  RunUntil(cluster, [] { return false; });
  EXPECT_EQ(Members(cluster, cluster.leader()), "{1 2 3} learners 4");
  ASSERT_EQ(cluster.Reconfigure(cluster.leader(), {.promote = Ids({4})}), Reconfiguring::kStarted);
  EXPECT_TRUE(RunUntil(cluster, [&] { return Members(cluster, 4) == "{1 2 3 4}"; }));
}

// R39
TEST(ReconfigureTest, AConfigurationCountsFromTheMomentItIsAppended) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure(Add(4)), Reconfiguring::kStarted);
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2 3} learners 4 promoting 4");
  EXPECT_EQ(node.view().membership_index, node.view().last_index);
  EXPECT_GT(node.view().membership_index, node.view().commit);
  EXPECT_FALSE(node.TakeTo<AppendRequest>(4).empty());
}

// R39, on a follower; and a cut brings the one before back.
TEST(ReconfigureTest, ACutEntryTakesItsConfigurationAlong) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  Membership joined = Voters(3);
  joined.learners = Ids({4});
  AppendRequest append = MakeAppend(1, 0, 0, {1});
  append.entries.push_back(MembershipEntry(1, 2, joined));
  node.Receive(2, append);
  EXPECT_EQ(node.raft.membership(), joined);
  node.Receive(3, MakeAppend(2, 1, 1, {2}));
  EXPECT_EQ(node.raft.membership(), Voters(3));
  EXPECT_EQ(node.view().membership_index, LogIndex());
}

// R39, after a restart: the latest in the log, committed or not.
TEST(ReconfigureTest, ARestartTakesTheLatestInTheLogCommittedOrNot) {
  Cluster cluster(Options());
  const std::uint64_t leader = cluster.Elect();
  cluster.AddBlankNode(4);
  ASSERT_EQ(cluster.Reconfigure(leader, Add(4)), Reconfiguring::kStarted);
  cluster.Drop(0, 0);
  cluster.Crash(leader);
  cluster.Restart(leader);
  EXPECT_EQ(Members(cluster, leader), "{1 2 3} learners 4 promoting 4");
  EXPECT_GT(cluster.view(leader).membership_index, cluster.view(leader).commit);
}

TEST(ReconfigureTest, WhatTheLogNoLongerHoldsStillTellsTheMembership) {
  ClusterOptions options = Options();
  options.compact = true;
  Cluster cluster(options);
  const std::uint64_t leader = cluster.Elect();
  ASSERT_EQ(cluster.Reconfigure(leader, Remove({leader == 3 ? 2U : 3U})), Reconfiguring::kStarted);
  const std::string after = leader == 3 ? "{1 3} removed 2" : "{1 2} removed 3";
  ASSERT_TRUE(RunUntil(cluster, [&] { return Members(cluster, leader) == after; }));
  for (int i = 0; i < 5; ++i) {
    cluster.Propose(leader, "x");
    cluster.Stabilize();
  }
  RunUntil(cluster, [&] {
    return cluster.view(leader).first_index > cluster.view(leader).membership_index;
  });
  ASSERT_GT(cluster.view(leader).first_index, cluster.view(leader).membership_index);
  cluster.Crash(leader);
  cluster.Restart(leader);
  EXPECT_EQ(Members(cluster, leader), after);
}

// R47: the rounds. A learner that holds what the leader had when a round began has ended it; it is
// promoted when one took less than an election timeout, though it is never level with the leader.
TEST(ReconfigureTest, ALearnerIsPromotedAfterAQuickRoundThoughWritesNeverPause) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure(Add(4)), Reconfiguring::kStarted);
  node.AcknowledgeAll(2);
  node.Receive(4, HeartbeatReply{node.term(), 0});
  const LogIndex first_round = node.view().last_index;  // when it was taken in
  node.Propose({"a"});
  node.Tick();
  node.Propose({"b"});
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2 3} learners 4 promoting 4");
  node.Receive(4, Accepted(node.term(), first_round.value()));
  EXPECT_LT(first_round + 1, node.view().last_index) << "it lags";
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2 3 4 | 1 2 3}");
}

// R47
TEST(ReconfigureTest, ASlowRoundDoesNotPromote) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure(Add(4)), Reconfiguring::kStarted);
  node.AcknowledgeAll(2);
  const LogIndex target = node.view().last_index;
  for (std::uint32_t i = 0; i < kLimits.election_ticks_min + 2; ++i) {
    node.Tick();
    node.AcknowledgeAll(2);
    node.AcknowledgeAll(3);
  }
  node.Propose({"a"});
  node.Receive(4, Accepted(node.term(), target.value()));
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2 3} learners 4 promoting 4");
  // The next round is a quick one.
  node.AcknowledgeAll(4);
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2 3 4 | 1 2 3}");
}

TEST(ReconfigureTest, ALearnerThatFellSilentIsNotPromotedForItsPast) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure(Add(4, AutoPromote::kNo)), Reconfiguring::kStarted);
  for (const std::uint64_t peer : {2U, 3U, 4U}) node.AcknowledgeAll(peer);
  for (std::uint32_t i = 0; i < kLimits.election_ticks_min; ++i) {
    node.Tick();
    node.AcknowledgeAll(2);
    node.AcknowledgeAll(3);
  }
  ASSERT_EQ(node.Reconfigure({.promote = Ids({4})}), Reconfiguring::kStarted);
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2 3} learners 4 promoting 4");
}

// R46
TEST(ReconfigureTest, ANewVotersSilenceCountsOnlyFromItsPromotionOn) {
  Recovered recovered = LogOfTerms({}, 0, 2);
  recovered.membership.learners = Ids({3});
  LoneNode node(recovered, kLimits);
  node.report_applied = false;
  node.BecomeLeader();
  const auto tick_to_next_check = [&node](std::initializer_list<std::uint64_t> answering) {
    for (std::uint32_t i = 0; i < kLimits.election_ticks_min; ++i) {
      for (const std::uint64_t peer : answering) node.AcknowledgeAll(peer);
      node.Tick();
    }
  };
  tick_to_next_check({2, 3});
  // Right after the check, before 3 was heard again: it has to be half of the next quorum.
  ASSERT_EQ(node.Reconfigure({.promote = Ids({3}), .demote = Ids({2})}), Reconfiguring::kStarted);
  ASSERT_EQ(Describe(node.raft.membership()), "{1 3 | 1 2} learners 2");
  tick_to_next_check({2});
  EXPECT_EQ(node.view().role, Role::kLeader);
  tick_to_next_check({2});
  EXPECT_EQ(node.view().role, Role::kFollower);
}

TEST(ReconfigureTest, ANewNodeIsTakenInWhereTheLogsBeginningIsGone) {
  LoneNode node = LoneNode::Fresh(1, kLimits);
  node.Tick();
  node.Propose({"a"});
  ASSERT_GT(node.view().first_index, LogIndex(1));
  EXPECT_EQ(node.Reconfigure(Add(2)), Reconfiguring::kStarted);
  // It is not the beginning of the log that it is probed with, and it is offered a snapshot.
  node.Receive(2, RefusedAt(node.term(), node.view().last_index.value(), 0, 0));
  EXPECT_EQ(node.view().members.at(0).state, ReplicationState::kSnapshot);
}

// ---- One at a time

// R38
TEST(ReconfigureTest, NoChangeBeforeAnEntryOfTheOwnTermIsCommitted) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.BecomeLeader();
  EXPECT_EQ(node.Reconfigure(Add(4)), Reconfiguring::kBusy);
  node.AcknowledgeAll(2);
  EXPECT_EQ(node.Reconfigure(Add(4)), Reconfiguring::kStarted);
}

// R38
TEST(ReconfigureTest, NoChangeBeforeTheOneBeforeIsCommitted) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure(Add(4)), Reconfiguring::kStarted);
  EXPECT_EQ(node.Reconfigure(Add(5)), Reconfiguring::kBusy);
  node.AcknowledgeAll(2);
  EXPECT_EQ(node.Reconfigure(Add(5)), Reconfiguring::kStarted);
}

// R38: a change from the log of a leader before counts, too.
TEST(ReconfigureTest, AnInheritedChangeHasToBeCommittedFirst) {
  Recovered recovered = LogOfTerms({1, 1}, 1);
  Membership joined = Voters(3);
  joined.learners = Ids({4});
  recovered.membership_changes = {{LogIndex(2), joined}};
  LoneNode node(recovered, kLimits);
  node.report_applied = false;
  node.BecomeLeader();
  EXPECT_EQ(node.raft.membership(), joined);
  EXPECT_EQ(node.Reconfigure(Add(5)), Reconfiguring::kBusy);
  node.AcknowledgeAll(2);
  EXPECT_EQ(node.Reconfigure(Add(5)), Reconfiguring::kStarted);
}

TEST(ReconfigureTest, NoChangeWhileLeadershipMovesAndNoneIsLostByIt) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  EXPECT_EQ(node.Reconfigure(Add(4)), Reconfiguring::kMoving);
}

TEST(ReconfigureTest, OnlyALeaderChangesAnything) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  EXPECT_EQ(node.Reconfigure(Add(4)), Reconfiguring::kNotLeader);
}

// ---- Joint consensus

// R45: exactly once.
TEST(ReconfigureTest, TheJointConfigurationIsLeftOnceItIsCommitted) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure({.demote = Ids({3})}), Reconfiguring::kStarted);
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2 | 1 2 3} learners 3");
  const LogIndex joint = node.view().last_index;
  node.AcknowledgeAll(3);
  EXPECT_EQ(node.view().last_index, joint) << "of {1 2} only one holds it";
  node.AcknowledgeAll(2);
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2} learners 3");
  EXPECT_EQ(node.view().last_index, joint.Next());
  node.AcknowledgeAll(2);
  node.Tick();
  EXPECT_EQ(node.view().last_index, joint.Next());
}

// R45: by the next leader, where the first one died.
TEST(ReconfigureTest, TheNextLeaderLeavesTheJointConfiguration) {
  Cluster cluster(Options(5));
  const std::uint64_t leader = cluster.Elect();
  std::vector<NodeId> others;
  for (std::uint64_t id = 1; id <= 5; ++id) {
    if (id != leader) others.emplace_back(id);
  }
  ASSERT_EQ(cluster.Reconfigure(leader, {.demote = {others[3]}}), Reconfiguring::kStarted);
  cluster.Deliver(leader, 0);
  cluster.Drop(0, leader);
  cluster.Crash(leader);
  ASSERT_TRUE(RunUntil(cluster, [&] {
    return cluster.leader() != 0 && !IsJoint(cluster.at(cluster.leader()).membership()) &&
           cluster.view(cluster.leader()).membership_index <= cluster.view(cluster.leader()).commit;
  }));
  const Membership& now = cluster.at(cluster.leader()).membership();
  EXPECT_EQ(now.voters.size(), 4U);
  EXPECT_EQ(now.learners, std::vector{others[3]});
}

// R45: full buffers do not keep it.
TEST(ReconfigureTest, LeavingTheJointConfigurationDoesNotWaitForRoomInTheLog) {
  Limits limits = kLimits;
  limits.uncommitted_entries_max = 2;
  LoneNode node(LogOfTerms({}, 0), limits);
  node.report_applied = false;
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  ASSERT_EQ(node.Reconfigure({.demote = Ids({3})}), Reconfiguring::kStarted);
  const std::uint64_t joint = node.view().last_index.value();
  node.Propose({"a"});
  EXPECT_EQ(node.Propose({"b"}).refused, Refused::kBusy);
  node.Receive(2, Accepted(node.term(), joint));
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2} learners 3");
}

// R45: an aborted transfer only postpones it.
TEST(ReconfigureTest, LeavingTheJointConfigurationOutlivesATransferThatFails) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure({.demote = Ids({3})}), Reconfiguring::kStarted);
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  node.AcknowledgeAll(2);
  EXPECT_TRUE(IsJoint(node.raft.membership()));
  for (std::uint32_t i = 0; i < kLimits.election_ticks_min; ++i) {
    node.Tick();
    node.AcknowledgeAll(2);
    node.AcknowledgeAll(3);
  }
  node.AcknowledgeAll(2);
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2} learners 3");
}

// R41: three in, three out. Neither old nor new ones alone decide.
TEST(ReconfigureTest, AWholeClusterIsReplacedInOneJointStep) {
  Cluster cluster(Options());
  const std::uint64_t leader = cluster.Elect();
  for (std::uint64_t id = 4; id <= 6; ++id) cluster.AddBlankNode(id);
  Delta add;
  for (std::uint64_t id = 4; id <= 6; ++id) add.add.push_back({NodeId(id), AutoPromote::kNo, ""});
  ASSERT_EQ(cluster.Reconfigure(leader, add), Reconfiguring::kStarted);
  ASSERT_TRUE(RunUntil(cluster, [&] {
    const auto members = cluster.view(leader).members;
    return std::all_of(members.begin(), members.end(),
                       [](const auto& m) { return m.id.value() < 4 || m.caught_up; });
  }));
  ASSERT_EQ(cluster.Reconfigure(leader, {.promote = Ids({4, 5, 6}), .remove = Ids({1, 2, 3})}),
            Reconfiguring::kStarted);
  EXPECT_EQ(Members(cluster, leader), "{4 5 6 | 1 2 3} learners 1 2 3 retiring 1 2 3");
  ASSERT_TRUE(RunUntil(cluster, [&] { return Members(cluster, 5) == "{4 5 6} removed 1 2 3"; }));
  EXPECT_GE(cluster.leader(), 4U);
  cluster.Propose(cluster.leader(), "z");
  cluster.Stabilize();
  EXPECT_EQ(cluster.Applied(4).back(), 'z');
}

// ---- Leaving

// R43
TEST(ReconfigureTest, ALeaderOutsideTheNewConfigurationDoesNotCountItself) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure(Remove({1})), Reconfiguring::kStarted);
  node.AcknowledgeAll(2);
  EXPECT_TRUE(IsJoint(node.raft.membership())) << "of {2 3} only one holds it";
  node.AcknowledgeAll(3);
  ASSERT_EQ(Describe(node.raft.membership()), "{2 3} learners 1 retiring 1");
  const LogIndex last = node.view().last_index;
  node.AcknowledgeAll(2);
  EXPECT_LT(node.view().commit, last) << "the leader and one of two are no majority of {2 3}";
  EXPECT_EQ(node.view().role, Role::kLeader) << "it goes on until that is committed";
  node.AcknowledgeAll(3);
  EXPECT_EQ(node.view().commit, last);
}

// R43: it hands over rather than make them wait for an election.
TEST(ReconfigureTest, ALeaderThatLeftHandsOverAndStepsDown) {
  Cluster cluster(Options());
  const std::uint64_t leader = cluster.Elect();
  ASSERT_EQ(cluster.Reconfigure(leader, Remove({leader})), Reconfiguring::kStarted);
  cluster.Stabilize();
  const std::uint64_t next = cluster.leader();
  EXPECT_NE(next, leader) << "not one tick has passed";
  EXPECT_NE(next, 0U);
  EXPECT_NE(cluster.view(leader).role, Role::kLeader);
  ASSERT_TRUE(
      RunUntil(cluster, [&] { return !IsMember(cluster.at(next).membership(), NodeId(leader)); }));
  EXPECT_EQ(cluster.at(next).membership().removed, std::vector{NodeId(leader)});
}

// R43: nobody left to hand over to in time.
TEST(ReconfigureTest, ALeaderThatLeftStepsDownThoughNobodyTakesOver) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure({.demote = Ids({1})}), Reconfiguring::kStarted);
  for (int step = 0; step < 2; ++step) {
    node.AcknowledgeAll(2);
    node.AcknowledgeAll(3);
  }
  ASSERT_EQ(node.Take<TimeoutNow>().size(), 1U);
  EXPECT_EQ(node.view().role, Role::kLeader);
  for (std::uint32_t i = 0; i < kLimits.election_ticks_min; ++i) {
    node.Tick();
    node.Receive(2, HeartbeatReply{node.term(), 0});
    node.Receive(3, HeartbeatReply{node.term(), 0});
  }
  EXPECT_EQ(node.view().role, Role::kFollower);
}

// R44
TEST(ReconfigureTest, WhoIsNoVoterAnyMoreDoesNotCampaign) {
  Recovered recovered = LogOfTerms({1, 1, 1}, 1);
  Membership left = Voters(3);
  left.voters = Ids({2, 3});
  recovered.membership_changes = {{LogIndex(2), left}};
  recovered.commit_hint = LogIndex(2);
  LoneNode node(recovered, kLimits);
  node.Tick(5ULL * kLimits.election_ticks_max);
  EXPECT_EQ(node.view().role, Role::kFollower);
}

// R44: and who may be the only one whose log can win does, though the newer one leaves it out.
TEST(ReconfigureTest, AVoterOfTheOldConfigurationMayCampaignWhileTheNewOneIsNotCommitted) {
  Recovered recovered = LogOfTerms({1, 1, 1}, 1, 2);
  Membership joint;
  joint.voters = Ids({2});
  joint.outgoing = Ids({1, 2});
  Membership left;
  left.voters = Ids({2});
  recovered.membership_changes = {{LogIndex(2), joint}, {LogIndex(3), left}};
  recovered.commit_hint = LogIndex(2);
  LoneNode node(recovered, kLimits);
  node.TickUntilCampaign();
  EXPECT_EQ(node.view().role, Role::kPreCandidate);
  node.Receive(2, VoteReply{PreVote::kYes, Term(2), true});
  node.Receive(2, VoteReply{PreVote::kNo, Term(2), true});
  EXPECT_EQ(node.view().role, Role::kLeader);
  node.AcknowledgeAll(2);
  EXPECT_NE(node.view().handing_over_to, NodeId()) << "and goes once that is committed";
}

// R42: it may have been promoted without knowing.
TEST(ReconfigureTest, ALearnerAndAStrangerAnswerVoteRequests) {
  Recovered recovered = LogOfTerms({1}, 1);
  recovered.membership.voters = Ids({2, 3});
  recovered.membership.learners = Ids({1});
  LoneNode learner(recovered, kLimits);
  learner.Receive(2, AskVote(2, 1, 1));
  EXPECT_TRUE(learner.TakeTo<VoteReply>(2).at(0).granted);
  recovered.membership = {};
  LoneNode blank(recovered, kLimits);
  blank.Receive(2, AskVote(2, 1, 1));
  EXPECT_TRUE(blank.TakeTo<VoteReply>(2).at(0).granted);
}

TEST(ReconfigureTest, ANodeThatKnowsOfNobodyNeverCampaigns) {
  Recovered recovered;
  LoneNode node(recovered, kLimits);
  node.Tick(10ULL * kLimits.election_ticks_max);
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.term(), Term());
}

// R14
TEST(ReconfigureTest, ARemovedNodesVoteRequestsDisturbNobody) {
  Cluster cluster(Options());
  const std::uint64_t leader = cluster.Elect();
  const std::uint64_t gone = leader == 3 ? 2 : 3;
  const std::uint64_t other = 6 - leader - gone;
  cluster.Isolate(gone);
  // While it is silent only for a moment, it is removed; it hears nothing of it.
  ASSERT_EQ(cluster.Reconfigure(leader, Remove({gone})), Reconfiguring::kStarted);
  ASSERT_TRUE(
      RunUntil(cluster, [&] { return !IsMember(cluster.at(leader).membership(), NodeId(gone)); }));
  cluster.Drop(0, 0);
  cluster.Heal();
  const Term term = cluster.view(leader).term;
  RunUntil(cluster, [] { return false; });
  EXPECT_EQ(cluster.view(leader).term, term);
  EXPECT_EQ(cluster.view(leader).role, Role::kLeader);
  EXPECT_EQ(cluster.view(other).leader, NodeId(leader));
  EXPECT_NE(cluster.view(gone).role, Role::kLeader);
}

// R48: who retires is told before it is dropped, and not waited for where it does not answer.
TEST(ReconfigureTest, WhoRetiresLearnsOfItBeforeItIsDropped) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure(Remove({3})), Reconfiguring::kStarted);
  node.AcknowledgeAll(2);
  node.AcknowledgeAll(2);
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2} learners 3 retiring 3");
  node.AcknowledgeAll(3);
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2} removed 3");
  EXPECT_EQ(node.view().members.size(), 1U);
}

TEST(ReconfigureTest, WhoRetiresAndDoesNotAnswerIsDroppedAllTheSame) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure(Remove({3})), Reconfiguring::kStarted);
  node.AcknowledgeAll(2);
  node.AcknowledgeAll(2);
  for (std::uint32_t i = 0; i <= kLimits.election_ticks_min; ++i) {
    node.Tick();
    node.AcknowledgeAll(2);
  }
  EXPECT_EQ(Describe(node.raft.membership()), "{1 2} removed 3");
}

// ---- Guards

TEST(ReconfigureTest, AChangeThatLeavesNoQuorumOfLiveVotersIsRefused) {
  LoneNode node = MakeLeader();
  for (std::uint32_t i = 0; i < kLimits.election_ticks_min; ++i) {
    node.Tick();
    node.AcknowledgeAll(2);
  }
  EXPECT_EQ(node.Reconfigure(Remove({2})), Reconfiguring::kLosesQuorum) << "3 is silent";
  EXPECT_EQ(node.Reconfigure({.demote = Ids({2})}), Reconfiguring::kLosesQuorum);
  EXPECT_EQ(node.Reconfigure(Remove({3})), Reconfiguring::kStarted);
}

TEST(ReconfigureTest, TheLastVoterStays) {
  LoneNode node = LoneNode::Fresh(1, kLimits);
  node.Tick();
  EXPECT_EQ(node.Reconfigure(Remove({1})), Reconfiguring::kInvalid);
  EXPECT_EQ(node.Reconfigure({.demote = Ids({1})}), Reconfiguring::kInvalid);
}

TEST(ReconfigureTest, ATransferToOneThatIsDemotedIsGivenUpByTheChangeOfLeaderAlone) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Reconfigure({.demote = Ids({3})}), Reconfiguring::kStarted);
  EXPECT_EQ(node.Transfer(3), Transferring::kNotVoter) << "in the old configuration only";
}

// R24: what no correct leader could send is not taken.
TEST(ReconfigureTest, AnEntryWhoseConfigurationCannotBeReadIsNotTaken) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  AppendRequest append = MakeAppend(1, 0, 0, {1});
  append.entries[0].kind = EntryKind::kMembership;
  node.Receive(2, append);
  EXPECT_TRUE(node.Take<AppendReply>().empty());
  EXPECT_EQ(node.view().last_index, LogIndex());
}

}  // namespace
}  // namespace bedrock::raft
