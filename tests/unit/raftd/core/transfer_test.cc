// Leadership transfer: rules R11, R58 and R59 (raftd/core/README.md), and thesis 3.10.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

constexpr Limits kLimits = {
    .heartbeat_ticks = 3, .election_ticks_min = 10, .election_ticks_max = 20};

/// Node 1 leads 2 and 3, both of which hold its whole log.
LoneNode MakeLeader(std::size_t voters = 3) {
  LoneNode node = LoneNode::Leading(voters, kLimits);
  node.Take<AppendRequest>();
  return node;
}

/// Ticks while node 3 answers every heartbeat and append, so that the quorum stands.
void TickWithNode3(LoneNode& node, std::uint64_t ticks) {
  for (std::uint64_t i = 0; i < ticks; ++i) {
    node.Tick();
    node.Receive(3, HeartbeatReply{node.term(), 0});
    node.AcknowledgeAll(3);
  }
}

/// Node 1 follows node 2, which leads term 1 with one entry, heard just now.
LoneNode MakeFollower(std::size_t voters = 3) {
  LoneNode node = LoneNode::Fresh(voters, kLimits);
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  node.Take<AppendReply>();
  return node;
}

VoteRequest AskAtTheLeadersWish(std::uint64_t term, std::uint64_t last_term,
                                std::uint64_t last_index) {
  VoteRequest request = AskVote(term, last_term, last_index);
  request.hand_over = HandOver::kYes;
  return request;
}

TEST(TransferTest, TheTargetLeadsTheNextTermWithoutATickPassing) {
  Cluster cluster({.nodes = 3, .limits = kLimits});
  const std::uint64_t old = cluster.Elect();
  const std::uint64_t target = old == 3 ? 1 : 3;
  cluster.Propose(old, "a");
  const Term term = cluster.view(old).term;
  EXPECT_EQ(cluster.Transfer(old, target), Transferring::kStarted);
  cluster.Stabilize();
  EXPECT_EQ(cluster.leader(), target);
  EXPECT_EQ(cluster.view(target).term, term.Next());
  EXPECT_EQ(cluster.view(old).role, Role::kFollower);
  EXPECT_EQ(cluster.view(old).leader, NodeId(target));
  EXPECT_EQ(cluster.Applied(target), cluster.Applied(old));
}

TEST(TransferTest, WithoutATargetTheVoterThatIsFurthestTakesOver) {
  Cluster cluster({.nodes = 5, .limits = kLimits});
  const std::uint64_t old = cluster.Elect();
  const std::uint64_t best = old == 4 ? 5 : 4;
  for (std::uint64_t id = 1; id <= 5; ++id) {
    if (id != old && id != best) cluster.Cut(old, id);
  }
  cluster.Propose(old, "a");
  cluster.Deliver(old, best);
  cluster.Deliver(best, old);
  cluster.Heal();
  EXPECT_EQ(cluster.Transfer(old, 0), Transferring::kStarted);
  EXPECT_EQ(cluster.view(old).handing_over_to, NodeId(best));
  cluster.Stabilize();
  EXPECT_EQ(cluster.leader(), best);
}

// R59
TEST(TransferTest, ALeaderThatHandsOverTakesNoProposals) {
  LoneNode node = MakeLeader();
  const LogIndex last = node.view().last_index;
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  EXPECT_EQ(node.Propose({"a"}).refused, Refused::kMoving);
  EXPECT_EQ(node.view().last_index, last);
}

TEST(TransferTest, ATargetThatLagsIsBroughtUpBeforeItIsAskedToStand) {
  LoneNode node = MakeLeader();
  node.Propose({"a", "b"});
  node.AcknowledgeAll(3);
  node.Take<AppendRequest>();
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  node.Receive(2, Accepted(node.term(), node.view().last_index.value() - 1));
  EXPECT_TRUE(node.Take<TimeoutNow>().empty());
  node.AcknowledgeAll(2);
  const auto asked = node.Take<TimeoutNow>();
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].to, 2U);
  EXPECT_EQ(asked[0].message, (TimeoutNow{node.term(), node.view().last_index}));
}

TEST(TransferTest, TheWishIsRepeatedWithTheHeartbeatInCaseItWasLost) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  EXPECT_EQ(node.Take<TimeoutNow>().size(), 1U);
  node.Tick(kLimits.heartbeat_ticks);
  EXPECT_EQ(node.Take<TimeoutNow>().size(), 1U);
}

// R59: and the leader goes on.
TEST(TransferTest, ATransferIsGivenUpAfterAnElectionTimeoutAndTheLeaderLeadsOn) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  TickWithNode3(node, kLimits.election_ticks_min - 1);
  EXPECT_EQ(node.view().handing_over_to, NodeId(2));
  TickWithNode3(node, 1);
  EXPECT_EQ(node.view().handing_over_to, NodeId());
  EXPECT_EQ(node.view().role, Role::kLeader);
  EXPECT_FALSE(node.Propose({"a"}).refused);
  node.Take<TimeoutNow>();
  TickWithNode3(node, kLimits.heartbeat_ticks);
  EXPECT_TRUE(node.Take<TimeoutNow>().empty());
}

// R58
TEST(TransferTest, GivingUpAddsAnEntryThatVoidsTheWish) {
  LoneNode node = MakeLeader();
  const LogIndex last = node.view().last_index;
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  TickWithNode3(node, kLimits.election_ticks_min);
  EXPECT_EQ(node.view().last_index, last.Next());
  EXPECT_EQ(node.writes.back().entries.back().kind, EntryKind::kNoop);
}

TEST(TransferTest, GivingUpBeforeTheTargetWasAskedAddsNothing) {
  LoneNode node = MakeLeader();
  node.Propose({"a"});
  node.AcknowledgeAll(3);
  const LogIndex last = node.view().last_index;
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  TickWithNode3(node, kLimits.election_ticks_min);
  EXPECT_EQ(node.view().handing_over_to, NodeId());
  EXPECT_EQ(node.view().last_index, last);
}

TEST(TransferTest, WhoStepsDownAtThatMomentAddsNothing) {
  LoneNode node = MakeLeader();
  node.Tick(kLimits.election_ticks_min - 1);
  node.Receive(2, HeartbeatReply{node.term(), 0});
  node.Tick();
  const LogIndex last = node.view().last_index;
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  ASSERT_FALSE(node.Take<TimeoutNow>().empty());
  node.Tick(kLimits.election_ticks_min);
  EXPECT_EQ(node.view().role, Role::kFollower) << "no quorum answers";
  EXPECT_EQ(node.view().last_index, last);
}

// R58: whole story. The wish comes late, and costs nobody the leader.
TEST(TransferTest, AWishThatComesAfterItWasGivenUpIsVoid) {
  Cluster cluster({.nodes = 3, .limits = kLimits});
  const std::uint64_t old = cluster.Elect();
  const std::uint64_t target = old == 2 ? 3 : 2;
  const std::uint64_t third = 6 - old - target;
  cluster.Transfer(old, target);
  std::deque<Cluster::Packet> late;
  std::swap(late, cluster.packets());
  for (std::uint32_t i = 0; i < kLimits.election_ticks_min; ++i) {
    cluster.Tick(old, 1);
    cluster.Deliver(old, third);
    cluster.Deliver(third, old);
  }
  cluster.Drop(old, target);
  ASSERT_EQ(cluster.view(old).handing_over_to, NodeId());
  // The target has everything but the wish by now.
  cluster.Tick(old, kLimits.heartbeat_ticks);
  cluster.Drop(old, third);
  cluster.Stabilize();
  cluster.Tick(old, kLimits.heartbeat_ticks);
  cluster.Stabilize();
  ASSERT_EQ(cluster.view(target).last_index, cluster.view(old).last_index);
  const Term term = cluster.view(old).term;
  for (Cluster::Packet& packet : late) {
    if (packet.to == NodeId(target)) {
      cluster.Receive(old, target, std::move(packet.message));
    }
  }
  cluster.Stabilize();
  EXPECT_EQ(cluster.leader(), old);
  EXPECT_EQ(cluster.view(target).term, term);
}

TEST(TransferTest, TheTargetStandsWithoutAPreVoteAndSaysWhoseWishItIs) {
  LoneNode node = MakeFollower();
  node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_EQ(node.view().role, Role::kCandidate);
  EXPECT_EQ(node.term(), Term(2));
  const auto asked = node.Take<VoteRequest>();
  ASSERT_EQ(asked.size(), 2U);
  EXPECT_EQ(asked[0].message.pre_vote, PreVote::kNo);
  EXPECT_EQ(asked[0].message.hand_over, HandOver::kYes);
}

// R85 holds for it, too.
TEST(TransferTest, TheTargetAsksForVotesOnlyWhenItsOwnIsDurable) {
  LoneNode node = MakeFollower();
  node.sync = false;
  node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_TRUE(node.Take<VoteRequest>().empty());
  node.Sync();
  EXPECT_EQ(node.Take<VoteRequest>().size(), 2U);
}

TEST(TransferTest, ATargetThatIsNotElectedAsksAsAnyoneDoesTheNextTime) {
  LoneNode node = MakeFollower();
  node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  node.Take<VoteRequest>();
  node.Tick(kLimits.election_ticks_max);
  const auto asked = node.Take<VoteRequest>();
  ASSERT_FALSE(asked.empty());
  EXPECT_EQ(asked[0].message.pre_vote, PreVote::kYes);
  EXPECT_EQ(asked[0].message.hand_over, HandOver::kNo);
}

// R5: its candidacy has the time that any has, however long it had not heard the leader by then.
TEST(TransferTest, StandingAtALeadersWishRestartsTheTimer) {
  LoneNode node = MakeFollower();
  node.Tick(kLimits.election_ticks_min - 1);
  node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  node.Tick(kLimits.election_ticks_min - 1);
  EXPECT_EQ(node.view().role, Role::kCandidate);
}

// R58: the last index is part of the wish.
TEST(TransferTest, AWishForAnotherLogTermOrFromAnotherNodeIsVoid) {
  LoneNode node = MakeFollower();
  node.Receive(2, TimeoutNow{Term(1), LogIndex(2)});
  node.Receive(2, TimeoutNow{Term(1), LogIndex(0)});
  node.Receive(2, TimeoutNow{Term(2), LogIndex(1)});
  node.Receive(3, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.term(), Term(1));
  EXPECT_EQ(node.view().leader, NodeId(2));
}

// R11
TEST(TransferTest, WhoMayNotCampaignDoesNotStandAtTheLeadersWishEither) {
  Recovered learner = LogOfTerms({1}, 1);
  learner.membership = {.voters = {NodeId(2), NodeId(3)}, .outgoing = {}, .learners = {NodeId(1)}};
  Recovered damaged = LogOfTerms({1, 1}, 1);
  damaged.health.damaged = IndexRange{LogIndex(2), LogIndex(2)};
  Recovered lost = LogOfTerms({1}, 1);
  lost.health.lost_up_to = LogIndex(9);
  lost.health.lost_term = lost.vote.term;
  for (const Recovered& recovered : {learner, damaged, lost}) {
    LoneNode node(recovered, kLimits);
    node.Receive(2, Heartbeat{Term(1), LogIndex(), 0, LogIndex()});
    node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
    EXPECT_EQ(node.view().role, Role::kFollower);
  }
  LoneNode stalled = MakeFollower();
  stalled.raft.DiskStalled(true);
  stalled.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_EQ(stalled.view().role, Role::kFollower);
}

TEST(TransferTest, AVoterDoesNotProtectALeaderThatWantsToGo) {
  LoneNode node = MakeFollower();
  node.Receive(3, AskVote(2, 1, 1));
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
  node.Receive(3, AskAtTheLeadersWish(2, 1, 1));
  const auto reply = node.TakeTo<VoteReply>(3).at(0);
  EXPECT_TRUE(reply.granted);
  EXPECT_EQ(reply.term, Term(2));
}

TEST(TransferTest, TheLeaderItselfVotesForTheOneItSent) {
  LoneNode node = MakeLeader();
  const std::uint64_t term = node.term().value();
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  node.Receive(2, AskAtTheLeadersWish(term + 1, term, node.view().last_index.value()));
  EXPECT_TRUE(node.TakeTo<VoteReply>(2).at(0).granted);
  EXPECT_EQ(node.view().role, Role::kFollower);
}

// R14
TEST(TransferTest, AWishForATermThatIsNotTheNextDisturbsNobody) {
  LoneNode node = MakeFollower();
  node.Receive(3, AskAtTheLeadersWish(3, 1, 1));
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
  EXPECT_EQ(node.term(), Term(1));
}

// R14
TEST(TransferTest, AStrangerCannotRaiseTheTermByClaimingALeadersWish) {
  LoneNode node = MakeFollower();
  node.Receive(9, AskAtTheLeadersWish(2, 9, 9));
  EXPECT_FALSE(node.TakeTo<VoteReply>(9).at(0).granted);
  EXPECT_EQ(node.term(), Term(1));
}

TEST(TransferTest, AVoteAtTheLeadersWishStillLooksAtTheLog) {
  LoneNode node = MakeFollower();
  node.Receive(3, AskAtTheLeadersWish(2, 1, 0));
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
}

TEST(TransferTest, TargetsThatCannotTakeOverAreRefusedAtOnce) {
  LoneNode follower = MakeFollower();
  EXPECT_EQ(follower.Transfer(3), Transferring::kNotLeader);
  LoneNode node = MakeLeader();
  EXPECT_EQ(node.Transfer(9), Transferring::kNotVoter);
  TickWithNode3(node, kLimits.election_ticks_min);
  EXPECT_EQ(node.Transfer(2), Transferring::kUnreachable);
  EXPECT_EQ(node.Transfer(3), Transferring::kStarted);
  EXPECT_EQ(node.Transfer(3), Transferring::kStarted);
  EXPECT_EQ(node.Transfer(2), Transferring::kBusy);
  EXPECT_EQ(node.Transfer(0), Transferring::kStarted) << "joins the one under way";
  EXPECT_EQ(node.view().handing_over_to, NodeId(3));
}

TEST(TransferTest, HandingOverToOneselfOrWithNobodyThereDoesNothing) {
  LoneNode node = MakeLeader();
  EXPECT_EQ(node.Transfer(1), Transferring::kStarted);
  EXPECT_EQ(node.view().handing_over_to, NodeId());
  EXPECT_FALSE(node.Propose({"a"}).refused);
  LoneNode alone = LoneNode::Fresh(1, kLimits);
  alone.Tick();
  ASSERT_EQ(alone.view().role, Role::kLeader);
  EXPECT_EQ(alone.Transfer(0), Transferring::kUnreachable);
}

TEST(TransferTest, ALearnerIsNoTarget) {
  Recovered recovered = LogOfTerms({}, 0, 2);
  recovered.membership.learners = {NodeId(3)};
  LoneNode node(recovered, kLimits);
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.AcknowledgeAll(3);
  EXPECT_EQ(node.Transfer(3), Transferring::kNotVoter);
  ASSERT_EQ(node.Transfer(0), Transferring::kStarted);
  EXPECT_EQ(node.view().handing_over_to, NodeId(2));
}

// R59's other half is about leases: a read that a quorum confirms is as good as ever.
TEST(TransferTest, ReadsThatAQuorumConfirmsAreServedUntilTheLeaderStepsDown) {
  LoneNode node = MakeLeader();
  const std::uint64_t term = node.term().value();
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  node.Read(1);
  const auto beats = node.TakeTo<Heartbeat>(3);
  ASSERT_FALSE(beats.empty());
  node.Receive(3, HeartbeatReply{node.term(), beats.back().read_round});
  ASSERT_EQ(node.reads_ready.size(), 1U);
  node.Read(2);
  node.Receive(2, AskAtTheLeadersWish(term + 1, term, node.view().last_index.value()));
  EXPECT_EQ(node.reads_failed, std::vector{Ticket(2)});
}

}  // namespace
}  // namespace bedrock::raft
