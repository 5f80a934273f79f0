// Elections: rules R1..R14, R42, R76, R77 and R85 (raftd/core/README.md), and ticks.

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

Heartbeat Beat(std::uint64_t term, std::uint64_t commit = 0) {
  return {Term(term), LogIndex(commit), 0, LogIndex()};
}

// R1
TEST(ElectionTest, AVoteSurvivesEveryChangeOfRoleWithinItsTerm) {
  LoneNode node = LoneNode::Fresh(5);
  node.BecomeCandidate();
  const std::uint64_t term = node.term().value();
  node.Receive(2, MakeAppend(term, 0, 0, {term}));
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.view().vote, NodeId(1));
  node.TickUntilCampaign();
  EXPECT_EQ(node.view().vote, NodeId(1));
  node.Receive(3, AskVote(term, term, 9));
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
}

// R1: the same, with a crash in between.
TEST(ElectionTest, AVoteSurvivesARestart) {
  Recovered recovered = LogOfTerms({}, 3);
  recovered.vote.candidate = NodeId(2);
  LoneNode node(recovered);
  node.Receive(3, AskVote(3, 9, 9));
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
  node.Receive(2, AskVote(3, 9, 9));
  EXPECT_TRUE(node.TakeTo<VoteReply>(2).at(0).granted);
}

// R15: an empty log that waits to be taken in votes for nobody.
TEST(ElectionTest, WhoKnowsOfNoVotersGivesNoVote) {
  LoneNode node(LogOfTerms({}, 0, 0));
  node.Receive(2, AskPreVote(1, 5, 5));
  EXPECT_FALSE(node.TakeTo<VoteReply>(2).at(0).granted);
  node.Receive(2, AskVote(1, 5, 5));
  EXPECT_FALSE(node.TakeTo<VoteReply>(2).at(0).granted);
  EXPECT_FALSE(node.view().vote);
}

// R1: doubled replies.
TEST(ElectionTest, AVoteThatComesTwiceCountsOnce) {
  LoneNode node = LoneNode::Fresh(5);
  node.BecomeCandidate();
  for (int i = 0; i < 5; ++i) node.Receive(2, VoteReply{PreVote::kNo, node.term(), true});
  EXPECT_EQ(node.view().role, Role::kCandidate);
}

TEST(ElectionTest, TheVotesOfStrangersDoNotCount) {
  LoneNode node = LoneNode::Fresh(3);
  node.BecomeCandidate();
  node.Receive(8, VoteReply{PreVote::kNo, node.term(), true});
  node.Receive(9, VoteReply{PreVote::kNo, Term(99), false});
  EXPECT_EQ(node.view().role, Role::kCandidate);
}

// R2: the own vote counts only when it is durable.
TEST(ElectionTest, TheOwnVoteCountsOnlyWhenItIsDurable) {
  LoneNode waiting(LogOfTerms({}, 0, 2));
  waiting.sync = false;
  waiting.TickUntilCampaign();
  waiting.Receive(2, VoteReply{PreVote::kYes, Term(1), true});
  waiting.Receive(2, VoteReply{PreVote::kNo, Term(1), true});
  EXPECT_EQ(waiting.view().role, Role::kCandidate);
  waiting.Sync();
  EXPECT_EQ(waiting.view().role, Role::kLeader);
}

// R85
TEST(ElectionTest, VotesAreAskedForOnlyWhenTheOwnTermAndVoteAreDurable) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.TickUntilCampaign();
  node.Take<VoteRequest>();
  node.Receive(2, VoteReply{PreVote::kYes, Term(1), true});
  EXPECT_EQ(node.view().role, Role::kCandidate);
  EXPECT_TRUE(node.Take<VoteRequest>().empty());
  ASSERT_FALSE(node.held.empty());
  EXPECT_EQ(node.writes.back().vote, (Vote{Term(1), NodeId(1)}));
  EXPECT_EQ(node.held.front().after, node.writes.back().seq);
  node.Sync();
  EXPECT_EQ(node.Take<VoteRequest>().size(), 2U);
}

// R85: the story behind it. What a candidate asked for before a crash can't elect it twice.
TEST(ElectionTest, ACandidateThatCrashesBeforeItsVoteIsDurableAskedNobody) {
  Cluster cluster({.nodes = 3, .sync_at_once = false});
  cluster.Campaign(1);
  cluster.Deliver(1, 0);
  cluster.Deliver(0, 1);
  ASSERT_EQ(cluster.view(1).role, Role::kCandidate);
  cluster.Drop(0, 0);
  cluster.Crash(1);
  EXPECT_EQ(cluster.Deliver(1, 0), 0U);
  cluster.Restart(1);
  EXPECT_EQ(cluster.view(1).term, Term(0));
}

// R3
TEST(ElectionTest, ANewTermIsWrittenWithOrBeforeItsFirstEntry) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.Receive(2, MakeAppend(4, 0, 0, {4}));
  ASSERT_EQ(node.writes.size(), 1U);
  EXPECT_EQ(node.writes[0].vote, (Vote{Term(4), NodeId()}));
  EXPECT_EQ(node.writes[0].entries.size(), 1U);
  LoneNode leader = LoneNode::Fresh();
  leader.BecomeLeader();
  EXPECT_EQ(leader.writes.at(0).vote->term, Term(1));
  EXPECT_TRUE(leader.writes.at(0).entries.empty());
  EXPECT_EQ(leader.writes.at(1).entries.at(0).term, Term(1));
}

// R4
TEST(ElectionTest, TheUpToDateCheckDoesNotLookAtTheCommitIndex) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 1));
  node.Tick(Limits().election_ticks_min);
  // Index 2 is above all that is committed here, and yet below the last entry.
  node.Receive(3, AskVote(2, 1, 2));
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
}

// R5
TEST(ElectionTest, GrantingAVoteRestartsTheTimerAndRefusingOneDoesNot) {
  const std::uint64_t until = LoneNode::Fresh().TickUntilCampaign();
  LoneNode refusing(LogOfTerms({1}, 1));
  refusing.Tick(until - 1);
  refusing.Receive(2, AskVote(2, 0, 0));
  EXPECT_FALSE(refusing.TakeTo<VoteReply>(2).at(0).granted);
  refusing.Tick();
  EXPECT_EQ(refusing.view().role, Role::kPreCandidate);

  LoneNode granting(LogOfTerms({1}, 1));
  granting.Tick(until - 1);
  granting.Receive(2, AskVote(2, 1, 1));
  EXPECT_TRUE(granting.TakeTo<VoteReply>(2).at(0).granted);
  EXPECT_GE(granting.TickUntilCampaign(), Limits().election_ticks_min);
}

// R5: even an append that does not match comes from the leader.
TEST(ElectionTest, ARefusedAppendOfTheLeaderRestartsTheTimer) {
  LoneNode node = LoneNode::Fresh();
  const std::uint64_t until = LoneNode::Fresh().TickUntilCampaign();
  node.Tick(until - 1);
  node.Receive(2, MakeAppend(1, 1, 7, {1}));
  EXPECT_FALSE(node.TakeTo<AppendReply>(2).at(0).accepted);
  EXPECT_GE(node.TickUntilCampaign(), Limits().election_ticks_min);
}

// R5: an election that ends without a leader is no reason to wait longer.
TEST(ElectionTest, StandingRestartsTheTimerAndHearingOfALaterTermDoesNot) {
  Limits limits;
  limits.election_ticks_max = limits.election_ticks_min;
  LoneNode candidate = LoneNode::Fresh(3, limits);
  ASSERT_EQ(candidate.TickUntilCampaign(), limits.election_ticks_min);
  candidate.Tick(limits.election_ticks_min - 1);
  const VoteReply waved_through{.pre_vote = PreVote::kYes, .term = Term(1), .granted = true};
  candidate.Receive(2, waved_through);
  ASSERT_EQ(candidate.view().role, Role::kCandidate);
  candidate.Tick(limits.election_ticks_min - 1);
  EXPECT_EQ(candidate.view().role, Role::kCandidate);
  candidate.Receive(3, VoteReply{.pre_vote = PreVote::kNo, .term = Term(5), .granted = false});
  ASSERT_EQ(candidate.view().role, Role::kFollower);
  candidate.Tick();
  EXPECT_EQ(candidate.view().role, Role::kPreCandidate);
}

// R6
TEST(ElectionTest, APreVoteChangesNothingHere) {
  LoneNode node(LogOfTerms({1}, 2));
  const std::uint64_t until = LoneNode(LogOfTerms({1}, 2)).TickUntilCampaign();
  node.Tick(until - 1);
  node.Receive(2, AskPreVote(7, 1, 1));
  EXPECT_EQ(node.view().term, Term(2));
  EXPECT_EQ(node.view().vote, NodeId());
  EXPECT_TRUE(node.writes.empty());
  node.Tick();
  EXPECT_EQ(node.view().role, Role::kPreCandidate);
}

// R6
TEST(ElectionTest, AGrantEchoesTheTermAskedForAndARefusalTellsTheOwn) {
  LoneNode node(LogOfTerms({1}, 2));
  node.Receive(2, AskPreVote(7, 1, 1));
  EXPECT_EQ(node.TakeTo<VoteReply>(2).at(0), (VoteReply{PreVote::kYes, Term(7), true}));
  node.Receive(2, AskPreVote(7, 0, 0));
  EXPECT_EQ(node.TakeTo<VoteReply>(2).at(0), (VoteReply{PreVote::kYes, Term(2), false}));
}

// R6
TEST(ElectionTest, ARefusalOfALaterTermIsAdopted) {
  LoneNode node = LoneNode::Fresh();
  node.TickUntilCampaign();
  node.Receive(2, VoteReply{PreVote::kYes, Term(5), false});
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.view().term, Term(5));
}

// R7: in both directions, though the terms are those expected.
TEST(ElectionTest, PreVotesAndVotesAreNeverMixed) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeCandidate();
  node.Receive(3, VoteReply{PreVote::kYes, node.term(), true});
  node.Receive(3, VoteReply{PreVote::kYes, node.term().Next(), true});
  EXPECT_EQ(node.view().role, Role::kCandidate);

  LoneNode sounding = LoneNode::Fresh();
  sounding.TickUntilCampaign();
  sounding.Receive(2, VoteReply{PreVote::kNo, sounding.term(), true});
  sounding.Receive(2, VoteReply{PreVote::kNo, sounding.term().Next(), true});
  EXPECT_NE(sounding.view().role, Role::kCandidate);
}

// R7
TEST(ElectionTest, APreCandidateForgetsItsLeaderAndOldVotes) {
  LoneNode node = LoneNode::Fresh(5);
  node.Receive(2, Beat(1));
  node.TickUntilCampaign();
  EXPECT_EQ(node.view().leader, NodeId());
  node.Receive(2, VoteReply{PreVote::kYes, Term(2), true});
  node.Tick(Limits().election_ticks_max);  // The next round.
  node.Receive(3, VoteReply{PreVote::kYes, Term(2), true});
  EXPECT_EQ(node.view().role, Role::kPreCandidate);
}

// R8
TEST(ElectionTest, APreVoteIsGrantedOnlyWhereTheVoteWouldBe) {
  LoneNode node(LogOfTerms({1, 2}, 4));
  node.Receive(2, AskPreVote(5, 2, 1));  // No leader is heard, but the log is too short.
  EXPECT_FALSE(node.TakeTo<VoteReply>(2).at(0).granted);
  node.Receive(2, AskPreVote(5, 2, 2));
  EXPECT_TRUE(node.TakeTo<VoteReply>(2).at(0).granted);
  node.Receive(2, AskVote(5, 2, 2));
  node.Receive(3, AskPreVote(5, 2, 2));  // The vote of term 5 is gone.
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
}

// R9
TEST(ElectionTest, APreVoteOfAnOldTermIsRefusedAloud) {
  LoneNode node(LogOfTerms({}, 9));
  node.Receive(2, AskPreVote(3, 9, 9));
  EXPECT_EQ(node.TakeTo<VoteReply>(2).at(0), (VoteReply{PreVote::kYes, Term(9), false}));
}

// R9: from every mix of terms and logs, a connected majority gets a leader.
TEST(ElectionTest, AMajorityAlwaysFindsALeader) {
  for (std::uint64_t mix = 0; mix < 64; ++mix) {
    Cluster cluster({.nodes = 3, .seed = mix + 1});
    for (std::uint64_t id : {1U, 2U, 3U}) {
      cluster.Crash(id);
      const std::uint64_t kind = mix >> (2 * (id - 1)) & 3;
      cluster.disk(id).vote = {Term(1 + 2 * kind), NodeId(kind == 2 ? id : 0)};
      for (std::uint64_t i = 1; i <= kind; ++i) {
        cluster.disk(id).entries.push_back(MakeEntry(kind, i, std::to_string(kind)));
      }
    }
    for (std::uint64_t id : {1U, 2U, 3U}) cluster.Restart(id);
    cluster.Isolate(mix % 3 + 1);
    ASSERT_NE(cluster.Elect(), 0U) << mix;
  }
}

// R10
TEST(ElectionTest, ALeaderOfAnOldTermIsToldTheNewOne) {
  LoneNode node(LogOfTerms({}, 9));
  node.Receive(2, Beat(3));
  EXPECT_EQ(node.TakeTo<HeartbeatReply>(2).at(0).term, Term(9));
  node.Receive(2, MakeAppend(3, 0, 0, {3}));
  EXPECT_EQ(node.TakeTo<AppendReply>(2).at(0).term, Term(9));
}

// R10: a node whose term ran ahead is brought back in and costs an election, not its membership.
TEST(ElectionTest, ANodeWithALaterTermIsFreed) {
  Cluster cluster({.nodes = 3});
  const std::uint64_t leader = cluster.Elect();
  const std::uint64_t stuck = leader % 3 + 1;
  cluster.Crash(stuck);
  cluster.disk(stuck).vote = {Term(50), NodeId(stuck)};
  cluster.Restart(stuck);
  for (int i = 0; i < 300; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  const std::uint64_t now = cluster.Elect();
  ASSERT_NE(now, 0U);
  EXPECT_GE(cluster.view(now).term, Term(50));
  EXPECT_EQ(cluster.view(stuck).leader, NodeId(now));
}

// R11: whatever makes a node no candidate, the timer asks.
TEST(ElectionTest, OnlyAHealthyVoterCampaigns) {
  const auto never_campaigns = [](Recovered recovered, bool stalled) {
    LoneNode node(std::move(recovered));
    node.raft.DiskStalled(stalled);
    node.Tick(10ULL * Limits().election_ticks_max);
    return node.view().role == Role::kFollower && node.Take<VoteRequest>().empty();
  };
  EXPECT_FALSE(never_campaigns(LogOfTerms({1}, 1), false));
  EXPECT_TRUE(never_campaigns(LogOfTerms({1}, 1), true));
  Recovered learner = LogOfTerms({1}, 1);
  learner.membership.voters = {NodeId(2), NodeId(3)};
  learner.membership.learners = {NodeId(1)};
  EXPECT_TRUE(never_campaigns(learner, false));
  Recovered lost = LogOfTerms({1}, 1);
  lost.health.lost_up_to = LogIndex(4);
  lost.health.lost_term = lost.vote.term;
  EXPECT_TRUE(never_campaigns(lost, false));
  Recovered damaged = LogOfTerms({1, 1, 1}, 1);
  damaged.health.damaged = IndexRange{LogIndex(2), LogIndex(2)};
  EXPECT_TRUE(never_campaigns(damaged, false));
}

// R11: who can't run still notices that the leader is gone.
TEST(ElectionTest, ANodeThatMayNotCampaignForgetsASilentLeaderAndFailsItsReaders) {
  Recovered recovered = LogOfTerms({}, 0);
  recovered.membership.voters = {NodeId(2), NodeId(3)};
  recovered.membership.learners = {NodeId(1)};
  LoneNode node(recovered);
  node.Receive(2, Beat(1));
  node.Read(1);
  EXPECT_EQ(node.view().leader, NodeId(2));
  node.Tick(Limits().election_ticks_max);
  EXPECT_EQ(node.view().leader, NodeId());
  EXPECT_EQ(node.reads_failed, std::vector<Ticket>{Ticket(1)});
}

// R12
TEST(ElectionTest, TheLiveLeadersOwnPreVoteIsNotRefusedForItsOwnSake) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, Beat(1));
  node.Receive(3, AskPreVote(2, 0, 0));
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
  node.Receive(2, AskPreVote(2, 0, 0));
  EXPECT_TRUE(node.TakeTo<VoteReply>(2).at(0).granted);
}

// R13: {1, 2, 3} all see each other, 4 sees 2 only, 5 sees 3 only.
TEST(ElectionTest, APartlyConnectedClusterKeepsOneLeader) {
  Cluster cluster({.nodes = 5});
  const auto cut = [&](std::uint64_t a, std::uint64_t b) {
    cluster.Cut(a, b);
    cluster.Cut(b, a);
  };
  cut(4, 1), cut(4, 3), cut(4, 5), cut(5, 1), cut(5, 2);
  const std::uint64_t leader = cluster.Elect();
  ASSERT_LE(leader, 3U);
  ASSERT_NE(leader, 0U);
  const Term term = cluster.view(leader).term;
  for (int i = 0; i < 3000; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  EXPECT_EQ(cluster.leader(), leader);
  EXPECT_EQ(cluster.view(leader).term, term);
}

// R14
TEST(ElectionTest, NearALiveLeaderAVoteRequestDoesNotRaiseTheTerm) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, Beat(1));
  node.Receive(9, AskVote(50, 50, 50));
  EXPECT_EQ(node.view().term, Term(1));
  EXPECT_FALSE(node.TakeTo<VoteReply>(9).at(0).granted);
  // When the leader has been silent for the shortest election timeout, it may.
  node.Tick(Limits().election_ticks_min);
  node.Receive(3, AskVote(50, 50, 50));
  EXPECT_EQ(node.view().term, Term(50));
}

TEST(ElectionTest, ALeaderIsNotDeposedByAVoteRequest) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.Receive(3, AskVote(50, 50, 50));
  EXPECT_EQ(node.view().role, Role::kLeader);
}

// R42
TEST(ElectionTest, ALearnerAnswersVoteRequests) {
  Recovered recovered = LogOfTerms({1}, 1);
  recovered.membership.voters = {NodeId(2), NodeId(3)};
  recovered.membership.learners = {NodeId(1)};
  LoneNode node(recovered);
  node.Receive(2, AskVote(2, 1, 1));
  EXPECT_TRUE(node.TakeTo<VoteReply>(2).at(0).granted);
}

// R76
TEST(ElectionTest, TimeTheOwnDiskTookIsNoSilenceOfTheLeaders) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  node.Tick(Limits().election_ticks_min - 1);
  node.Sync();
  EXPECT_GE(node.TickUntilCampaign(), Limits().election_ticks_min);
}

// R77
TEST(ElectionTest, ALeaderWithAStalledDiskStepsDownAndDoesNotRunUntilItIsBack) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  const Term term = node.term();
  node.raft.DiskStalled(true);
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.term(), term);
  node.Tick(5ULL * Limits().election_ticks_max);
  EXPECT_EQ(node.view().role, Role::kFollower);
  node.raft.DiskStalled(false);
  EXPECT_LE(node.TickUntilCampaign(), Limits().election_ticks_max);
}

// R77: heartbeats do not wait for the disk.
TEST(ElectionTest, HeartbeatsGoOutWhileTheDiskIsBusy) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.sync = false;
  node.Propose({"a"});
  node.Take<Heartbeat>();
  node.Tick(Limits().heartbeat_ticks);
  EXPECT_EQ(node.Take<Heartbeat>().size(), 2U);
}

TEST(CheckQuorumTest, ALeaderThatHearsNoMajorityStepsDown) {
  LoneNode node = LoneNode::Fresh(5);
  node.BecomeLeader();
  for (int i = 0; i < 3; ++i) {
    node.Tick(Limits().election_ticks_min - 1);
    node.Receive(2, HeartbeatReply{node.term(), 0});
    node.Receive(3, HeartbeatReply{node.term(), 0});
    node.Tick(1);
    ASSERT_EQ(node.view().role, Role::kLeader);
  }
  node.Receive(2, HeartbeatReply{node.term(), 0});  // One of four: no majority.
  node.Tick(Limits().election_ticks_min);
  EXPECT_EQ(node.view().role, Role::kFollower);
}

/// Node 1 of {1, 2, 3} on the way from {1, 4, 5}, with learner 6.
Recovered Joint() {
  Recovered recovered = LogOfTerms({}, 0);
  recovered.membership.outgoing = {NodeId(1), NodeId(4), NodeId(5)};
  recovered.membership.learners = {NodeId(6)};
  return recovered;
}

// R41
TEST(JointMembershipTest, ElectionsCommitsAndTheQuorumCheckNeedBothMajorities) {
  LoneNode node(Joint());
  node.TickUntilCampaign();
  EXPECT_EQ(node.Take<VoteRequest>().size(), 4U);  // Every voter, no learner.
  for (const bool pre_vote : {true, false}) {
    const Role before = node.view().role;
    const auto grant = [&](std::uint64_t from) {
      node.Receive(from, VoteReply{PreVote(pre_vote), Term(1), true});
    };
    grant(2);
    grant(3);
    grant(6);
    EXPECT_EQ(node.view().role, before);
    grant(4);
    EXPECT_NE(node.view().role, before);
  }
  ASSERT_EQ(node.view().role, Role::kLeader);
  EXPECT_EQ(node.view().members.size(), 5U);
  for (std::uint64_t from : {2U, 3U, 6U}) node.AcknowledgeAll(from);
  EXPECT_EQ(node.view().commit, LogIndex(0));
  node.AcknowledgeAll(5);
  EXPECT_EQ(node.view().commit, LogIndex(1));
}

// R41
TEST(JointMembershipTest, TheQuorumCheckNeedsBothMajorities) {
  LoneNode node(Joint());
  node.BecomeLeader();
  const auto answer_for_a_timeout = [&node](std::initializer_list<std::uint64_t> voters) {
    for (const std::uint64_t from : voters) node.Receive(from, HeartbeatReply{node.term(), 0});
    node.Tick(Limits().election_ticks_min);
  };
  answer_for_a_timeout({2, 4});
  EXPECT_EQ(node.view().role, Role::kLeader);
  answer_for_a_timeout({4, 5, 6});
  EXPECT_EQ(node.view().role, Role::kFollower);
}

TEST(LearnerTest, IsFedAndDoesNotCount) {
  Recovered recovered = LogOfTerms({}, 0);
  recovered.membership.voters = {NodeId(1), NodeId(2)};
  recovered.membership.learners = {NodeId(3)};
  LoneNode node(recovered);
  node.BecomeLeader();
  EXPECT_EQ(node.TakeTo<AppendRequest>(3).size(), 1U);
  node.AcknowledgeAll(3);
  EXPECT_EQ(node.view().commit, LogIndex(0));
  node.AcknowledgeAll(2);
  EXPECT_EQ(node.view().commit, LogIndex(1));
}

TEST(CheckQuorumTest, AnIsolatedLeaderStepsDownWithinTwoElectionTimeouts) {
  Cluster cluster({.nodes = 3});
  const std::uint64_t leader = cluster.Elect();
  cluster.Isolate(leader);
  for (std::uint32_t i = 0; i < 2 * Limits().election_ticks_min; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  EXPECT_NE(cluster.view(leader).role, Role::kLeader);
}

// A pause: the messages that came meanwhile are heard before anything is concluded from the
// silence.
TEST(TicksTest, AJumpPostponesACandidacyByOneTimeout) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, Beat(1));
  node.Jump(10'000);
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_GE(node.TickUntilCampaign(), Limits().election_ticks_min);
}

TEST(TicksTest, AJumpOfALeaderPostponesTheCheckOfTheQuorumOnce) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.Jump(10'000);
  EXPECT_EQ(node.view().role, Role::kLeader);
  node.Jump(10'000);
  EXPECT_EQ(node.view().role, Role::kFollower);
}

TEST(TicksTest, TimeThatStandsStillOrGoesBackIsIgnored) {
  LoneNode node = LoneNode::Fresh();
  node.Tick(10);
  node.raft.Tick(node.tick - 9);
  node.raft.Tick(node.tick);
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_LE(node.TickUntilCampaign(), Limits().election_ticks_max);
}

TEST(SingleVoterTest, LeadsAtTheFirstTick) {
  LoneNode node = LoneNode::Fresh(1);
  EXPECT_EQ(node.view().role, Role::kLeader);
  EXPECT_EQ(node.view().commit, LogIndex(1));
}

TEST(PollTest, GivesNothingWhereNothingIsToDo) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  EXPECT_TRUE(node.raft.Poll().empty());
}

TEST(PollTest, TellsOfEveryChangeOfRoleTermAndLeader) {
  Raft raft(NodeId(1), Limits(), LogOfTerms({}, 0), 1);
  EXPECT_FALSE(raft.Poll().status_changed);
  raft.Receive(NodeId(2), Beat(1));
  EXPECT_TRUE(raft.Poll().status_changed);
  raft.Receive(NodeId(2), Beat(1));
  EXPECT_FALSE(raft.Poll().status_changed);
  raft.Receive(NodeId(3), Beat(2));
  EXPECT_TRUE(raft.Poll().status_changed);
}

TEST(LimitsTest, TheDefaultsAreValidAndEachBrokenFieldIsNamed) {
  EXPECT_TRUE(ValidateLimits(Limits()).ok());
  const auto message = [](auto field, auto value) {
    Limits limits;
    limits.*field = value;
    return std::string(ValidateLimits(limits).message());
  };
  EXPECT_NE(message(&Limits::heartbeat_ticks, 0U).find("heartbeat_ticks"), std::string::npos);
  EXPECT_NE(message(&Limits::election_ticks_min, 9U).find("election_ticks_min"), std::string::npos);
  EXPECT_NE(message(&Limits::election_ticks_max, 49U).find("election_ticks_max"),
            std::string::npos);
  EXPECT_NE(message(&Limits::window_messages_max, std::size_t{0}).find("window_messages_max"),
            std::string::npos);
}

}  // namespace
}  // namespace bedrock::raft
