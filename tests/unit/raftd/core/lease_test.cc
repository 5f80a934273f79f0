// Leader leases: rules R55..R60 (raftd/core/README.md).

#include "raftd/core/lease.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "raftd/core/log_view.h"
#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

constexpr Limits kLimits = {.heartbeat_ticks = 3,
                            .election_ticks_min = 10,
                            .election_ticks_max = 20,
                            .lease_reads = true,
                            .clock_drift_per_mille = 100,
                            .tick_ms = 10};
/// What a voter with these limits promises, and what a leader makes of it: 90 ms, of which clocks
/// that drift apart leave 81.
constexpr std::uint32_t kPromiseMs = 90;
constexpr std::uint64_t kLeaseTicks = 8;
constexpr std::uint64_t kTimeout = kLimits.election_ticks_min;

HeartbeatReply Promises(Term term, std::uint64_t round) { return {term, round, kPromiseMs}; }

/// Node 1 leads the others, which hold its whole log; no lease yet.
LoneNode MakeLeader(std::size_t voters = 3) { return LoneNode::Leading(voters, kLimits); }

/// Ticks until a heartbeat is sent; its round.
std::uint64_t NextRound(LoneNode& node) {
  node.Take<Heartbeat>();
  for (std::uint64_t i = 0; i < kLimits.heartbeat_ticks; ++i) {
    node.Tick();
    const auto beats = node.TakeTo<Heartbeat>(2);
    if (!beats.empty()) return beats.back().read_round;
  }
  ADD_FAILURE() << "no heartbeat";
  return 0;
}

/// As MakeLeader, and node 2 has promised at this tick.
LoneNode LeaderWithLease() {
  LoneNode node = MakeLeader();
  node.Receive(2, Promises(node.term(), NextRound(node)));
  return node;
}

/// The shell's word at the end of a turn.
void EndTurn(LoneNode& node) { node.Jump(0); }

/// Node 1 follows node 2 in term 1, heard just now.
LoneNode FollowerOfTwo(const Limits& limits = kLimits, Recovered recovered = LogOfTerms({}, 0)) {
  LoneNode node(std::move(recovered), limits);
  node.Tick(2 * kTimeout - 1);  // What an earlier life may have promised is over.
  node.Receive(2, MakeAppend(1, 0, 0, {1}, 1));
  return node;
}

/// Whether node 1 votes for `candidate` in `term`, and would.
bool Votes(LoneNode& node, std::uint64_t candidate, std::uint64_t term) {
  node.Take<VoteReply>();
  node.Receive(candidate, AskPreVote(term, 9, 9));
  node.Receive(candidate, AskVote(term, 9, 9));
  const auto replies = node.TakeTo<VoteReply>(candidate);
  EXPECT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies.at(0).granted, replies.at(1).granted) << "R8";
  return replies.at(1).granted;
}

// ---- The leader

TEST(LeaseTest, AReadUnderALeaseAsksNobody) {
  LoneNode node = LeaderWithLease();
  node.Read(7);
  EndTurn(node);
  ASSERT_EQ(node.reads_ready.size(), 1U);
  EXPECT_EQ(node.reads_ready[0].ticket, Ticket(7));
  EXPECT_EQ(node.reads_ready[0].index, node.view().commit);
  EXPECT_TRUE(node.reads_ready[0].leased);
  EXPECT_TRUE(node.Take<Heartbeat>().empty());
}

// R60: the index is taken, and then the clock is read.
TEST(LeaseTest, AReadWaitsForATimeThatWasReadAfterIt) {
  LoneNode node = LeaderWithLease();
  node.Read(7);
  EXPECT_TRUE(node.reads_ready.empty());
  node.tick = node.view().lease_until;  // The process was away meanwhile.
  EndTurn(node);
  EXPECT_TRUE(node.reads_ready.empty());
  const auto beats = node.TakeTo<Heartbeat>(3);
  ASSERT_FALSE(beats.empty());
  node.Receive(3, Promises(node.term(), beats.back().read_round));
  ASSERT_EQ(node.reads_ready.size(), 1U);
  EXPECT_FALSE(node.reads_ready[0].leased);
}

// R55: from when the round was sent, not from when its answer came.
TEST(LeaseTest, ALeaseLastsThePromiseLessTheDriftFromWhenItsRoundWasSent) {
  LoneNode node = MakeLeader();
  const std::uint64_t round = NextRound(node);
  const std::uint64_t sent_at = node.tick;
  node.Tick(2);
  node.Receive(2, Promises(node.term(), round));
  EXPECT_EQ(node.view().lease_until, sent_at + kLeaseTicks);
  while (node.tick < sent_at + kLeaseTicks - 1) node.Tick();
  node.Read(1);
  EndTurn(node);
  EXPECT_EQ(node.reads_ready.size(), 1U);
  node.Tick();
  node.Read(2);
  EndTurn(node);
  EXPECT_EQ(node.reads_ready.size(), 1U);
}

TEST(LeaseTest, TheAnswerToAnAppendPromisesToo) {
  LoneNode node = MakeLeader();
  const std::uint64_t round = NextRound(node);
  const std::uint64_t sent_at = node.tick;
  AppendReply reply = Accepted(node.term(), node.view().last_index.value(), round);
  reply.promise_ms = kPromiseMs;
  node.Receive(3, reply);
  EXPECT_EQ(node.view().lease_until, sent_at + kLeaseTicks);
}

TEST(LeaseTest, HeartbeatsAloneKeepALease) {
  LoneNode node = LeaderWithLease();
  for (int i = 0; i < 20; ++i) {
    node.Receive(2, Promises(node.term(), NextRound(node)));
    EXPECT_GT(node.view().lease_until, node.tick);
  }
}

// A member whose lease reads are off, or whose timeouts are shorter, says so in every answer.
TEST(LeaseTest, APromiseIsWorthWhatTheVoterSays) {
  LoneNode node = MakeLeader();
  node.Receive(2, HeartbeatReply{node.term(), NextRound(node), 0});
  EXPECT_LE(node.view().lease_until, node.tick);
  node.Receive(2, HeartbeatReply{node.term(), NextRound(node), 44});
  EXPECT_EQ(node.view().lease_until, node.tick + 4);
}

TEST(LeaseTest, FiveVotersNeedTwoPromises) {
  LoneNode node = MakeLeader(5);
  const std::uint64_t round = NextRound(node);
  node.Receive(2, Promises(node.term(), round));
  node.Receive(2, Promises(node.term(), round));
  EXPECT_LE(node.view().lease_until, node.tick);
  node.Receive(5, Promises(node.term(), round));
  EXPECT_GT(node.view().lease_until, node.tick);
}

// R41
TEST(LeaseTest, AJointConfigurationNeedsThePromisesOfBothMajorities) {
  LoneNode node = MakeLeader(4);
  ASSERT_EQ(
      node.Reconfigure({.add = {}, .promote = {}, .demote = {NodeId(3), NodeId(4)}, .remove = {}}),
      Reconfiguring::kStarted);
  ASSERT_FALSE(node.raft.membership().outgoing.empty());
  const std::uint64_t round = NextRound(node);
  node.Receive(3, Promises(node.term(), round));
  node.Receive(4, Promises(node.term(), round));
  ASSERT_FALSE(node.raft.membership().outgoing.empty());
  EXPECT_LE(node.view().lease_until, node.tick);  // All but one of the four, but not {1, 2}.
  node.Receive(2, Promises(node.term(), round));
  EXPECT_GT(node.view().lease_until, node.tick);
}

// R50
TEST(LeaseTest, NoLeaseBeforeTheFirstCommitOfTheTerm) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.BecomeLeader();
  node.Receive(2, Promises(node.term(), NextRound(node)));
  EXPECT_EQ(node.view().lease_until, 0U);
  node.Read(1);
  EndTurn(node);
  EXPECT_TRUE(node.reads_ready.empty());
  node.AcknowledgeAll(2);
  EXPECT_GT(node.view().lease_until, node.tick);
  EndTurn(node);
  EXPECT_EQ(node.reads_ready.size(), 1U);
}

// R59, and the first half of R58: before anybody is asked to stand.
TEST(LeaseTest, AHandOverEndsTheLeaseAndReadsAreConfirmedByRounds) {
  LoneNode node = LeaderWithLease();
  node.Propose({"a"});  // Node 3 lags, so it is not asked yet.
  ASSERT_EQ(node.Transfer(3), Transferring::kStarted);
  EXPECT_TRUE(node.Take<TimeoutNow>().empty());
  EXPECT_EQ(node.view().lease_until, 0U);
  node.Take<Heartbeat>();
  node.Read(1);
  EndTurn(node);
  EXPECT_TRUE(node.reads_ready.empty());
  const auto beats = node.TakeTo<Heartbeat>(2);
  ASSERT_EQ(beats.size(), 1U);
  node.Receive(2, Promises(node.term(), beats[0].read_round));
  ASSERT_EQ(node.reads_ready.size(), 1U);
  EXPECT_FALSE(node.reads_ready[0].leased);
}

/// Lets the hand-over run out while node 2 answers what it hears.
void GiveUp(LoneNode& node) {
  while (node.view().handing_over_to) {
    node.Tick();
    for (const Heartbeat& beat : node.TakeTo<Heartbeat>(2)) {
      node.Receive(2, Promises(node.term(), beat.read_round));
    }
  }
}

// R58: the wish may still be on its way, and wins votes where the empty entry is not known.
TEST(LeaseTest, AfterAHandOverInVainALeaseNeedsTheEntryThatVoidsIt) {
  LoneNode node = LeaderWithLease();
  ASSERT_EQ(node.Transfer(3), Transferring::kStarted);
  ASSERT_FALSE(node.Take<TimeoutNow>().empty());
  GiveUp(node);
  ASSERT_GT(node.view().last_index, node.view().commit);
  EXPECT_EQ(node.view().lease_until, 0U);
  node.AcknowledgeAll(2);
  node.Receive(2, Promises(node.term(), NextRound(node)));
  EXPECT_GT(node.view().lease_until, node.tick);
}

TEST(LeaseTest, AHandOverThatNobodyHeardOfVoidsNothing) {
  LoneNode node = LeaderWithLease();
  node.Propose({"a"});
  ASSERT_EQ(node.Transfer(3), Transferring::kStarted);
  GiveUp(node);
  EXPECT_GT(node.view().lease_until, node.tick);
}

TEST(LeaseTest, ALeapOfTimeDropsTheLeaseThoughItMightLast) {
  LoneNode node = LeaderWithLease();
  const std::uint64_t round = NextRound(node);
  ASSERT_GT(node.view().lease_until, node.tick + kTimeout / 2 - 2);
  node.Jump(kTimeout / 2 + 1);
  EXPECT_EQ(node.view().lease_until, 0U);
  node.Receive(2, Promises(node.term(), round));  // Sent before the leap.
  EXPECT_EQ(node.view().lease_until, 0U);
  node.Receive(2, Promises(node.term(), NextRound(node)));
  EXPECT_GT(node.view().lease_until, node.tick);
}

TEST(LeaseTest, ALeaderThatStepsDownHasNoLease) {
  LoneNode node = LeaderWithLease();
  node.Read(1);
  node.raft.DiskStalled(true);
  node.Run();
  EXPECT_EQ(node.view().lease_until, 0U);
  EndTurn(node);
  EXPECT_TRUE(node.reads_ready.empty());
  EXPECT_EQ(node.reads_failed, std::vector<Ticket>{Ticket(1)});
}

TEST(LeaseTest, AFollowersBatchIsAnsweredByTheLeadersLease) {
  LoneNode node = LeaderWithLease();
  node.Receive(3, ReadIndexRequest{node.term(), 77});
  EndTurn(node);
  const auto replies = node.TakeTo<ReadIndexReply>(3);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0], (ReadIndexReply{node.term(), 77, true, node.view().commit, true}));
}

TEST(LeaseTest, WhereLeasesAreOffPromisesChangeNothing) {
  Limits off = kLimits;
  off.lease_reads = false;
  LoneNode node = LoneNode::Fresh(3, off);
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.Read(1);
  const auto beats = node.TakeTo<Heartbeat>(2);
  ASSERT_FALSE(beats.empty());
  node.Receive(2, Promises(node.term(), beats.back().read_round));
  ASSERT_EQ(node.reads_ready.size(), 1U);
  EXPECT_FALSE(node.reads_ready[0].leased);
  EXPECT_EQ(node.view().lease_until, 0U);
  node.Read(2);
  EndTurn(node);
  EXPECT_EQ(node.reads_ready.size(), 1U);
}

// ---- The voter

TEST(VoterPromiseTest, EveryAnswerToALeaderCarriesThePromise) {
  LoneNode node = FollowerOfTwo();
  node.Receive(2, Heartbeat{Term(1), LogIndex(1), 3, LogIndex()});
  node.Receive(2, MakeAppend(1, 1, 9, {}));  // Refused.
  const auto appends = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(appends.size(), 2U);
  for (const AppendReply& reply : appends) EXPECT_EQ(reply.promise_ms, kPromiseMs);
  EXPECT_EQ(node.TakeTo<HeartbeatReply>(2).at(0).promise_ms, kPromiseMs);
  // One of an older term has no claim.
  node.Receive(3, Heartbeat{Term(), LogIndex(), 0, LogIndex()});
  EXPECT_EQ(node.TakeTo<HeartbeatReply>(3).at(0).promise_ms, 0U);

  Limits off = kLimits;
  off.lease_reads = false;
  LoneNode other = FollowerOfTwo(off);
  other.Receive(2, Heartbeat{Term(1), LogIndex(1), 3, LogIndex()});
  EXPECT_EQ(other.TakeTo<HeartbeatReply>(2).at(0).promise_ms, 0U);
}

// R55: the tick in which it heard may be older than the hearing, so the next one counts.
TEST(VoterPromiseTest, APromiseRunsFromTheTickAfterTheLeaderWasHeard) {
  LoneNode node = FollowerOfTwo();
  node.Tick();
  const std::uint64_t counted_from = node.tick;
  while (node.tick < counted_from + kTimeout - 1) node.Tick();
  EXPECT_FALSE(Votes(node, 3, 2));
  node.Tick();
  EXPECT_TRUE(Votes(node, 3, 2));
}

TEST(VoterPromiseTest, AVoterThatWasAwayCountsFromItsReturn) {
  LoneNode node = FollowerOfTwo();
  // It comes back after a long pause, and hears the leader before it is told the time.
  node.Receive(2, Heartbeat{Term(1), LogIndex(1), 3, LogIndex()});
  node.Jump(100);
  EXPECT_FALSE(Votes(node, 3, 2));
  node.Tick(kTimeout - 1);
  EXPECT_FALSE(Votes(node, 3, 2));
}

// Its own candidacy is a vote, too.
TEST(VoterPromiseTest, AVoterThatWasAwayDoesNotStandBeforeThePromiseIsOver) {
  LoneNode node = FollowerOfTwo();
  node.Tick(kTimeout - 1);
  node.Receive(2, Heartbeat{Term(1), LogIndex(1), 3, LogIndex()});
  node.Jump(kTimeout / 2);  // A pause too short to count as a leap.
  const std::uint64_t back = node.tick;
  EXPECT_EQ(node.view().role, Role::kFollower);
  node.TickUntilCampaign();
  EXPECT_GE(node.tick, back + kTimeout);
}

// A higher term, heard of by the way, ends the role but not the promise.
TEST(VoterPromiseTest, APromiseOutlivesTheTerm) {
  LoneNode node = FollowerOfTwo();
  node.Receive(3, VoteReply{PreVote::kNo, Term(5), false});
  ASSERT_EQ(node.term(), Term(5));
  EXPECT_FALSE(Votes(node, 3, 6));
  EXPECT_EQ(node.term(), Term(5));
}

// R12: whoever was promised may ask.
TEST(VoterPromiseTest, APromiseDoesNotBindAgainstWhomItWasMadeTo) {
  LoneNode node = FollowerOfTwo();
  EXPECT_TRUE(Votes(node, 2, 2));
}

// R57
TEST(VoterPromiseTest, AVoteIsAPromise) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.Tick(kTimeout);
  ASSERT_TRUE(Votes(node, 3, 2));
  EXPECT_FALSE(Votes(node, 2, 3));
  node.Tick(kTimeout);
  EXPECT_FALSE(Votes(node, 2, 3));
  EXPECT_TRUE(Votes(node, 3, 3));
}

// R56
TEST(VoterPromiseTest, ARestartedVoterVotesForNobodyForATimeout) {
  Raft unborn(NodeId(1), kLimits, LogOfTerms({1}, 1), 1);
  unborn.Receive(NodeId(3), AskPreVote(2, 9, 9));  // Before it is told any time.
  const Output early = unborn.Poll();
  ASSERT_EQ(early.now.size(), 1U);
  EXPECT_FALSE(std::get<VoteReply>(early.now[0].message).granted);

  LoneNode node(LogOfTerms({1}, 1), kLimits);
  node.Tick(kTimeout - 1);
  EXPECT_FALSE(Votes(node, 3, 2));
  EXPECT_EQ(node.term(), Term(1));
  node.Tick();
  EXPECT_TRUE(Votes(node, 3, 2));
}

// R56, where leases have been turned off since.
TEST(VoterPromiseTest, WhatAnEarlierLifePromisedIsKeptWhateverTheOptionSays) {
  Limits off = kLimits;
  off.lease_reads = false;
  Recovered recovered = LogOfTerms({1}, 1);
  LoneNode never(recovered, off);
  EXPECT_TRUE(Votes(never, 3, 2));
  recovered.promised_ticks = 2 * kTimeout;
  LoneNode node(recovered, off);
  node.Tick(kTimeout);
  EXPECT_FALSE(Votes(node, 3, 2));
  // Its own timer may have been due before.
  EXPECT_EQ(node.view().role, Role::kFollower);
  node.Tick(kTimeout);
  EXPECT_TRUE(node.view().role != Role::kFollower || Votes(node, 3, 2));
}

TEST(VoterPromiseTest, ALoneVoterWaitsForWhatItMayHavePromisedToo) {
  LoneNode node(LogOfTerms({1}, 1, 1), kLimits);
  EXPECT_EQ(node.view().role, Role::kFollower);
  node.Tick(kTimeout - 1);
  EXPECT_EQ(node.view().role, Role::kFollower);
  node.Tick();
  EXPECT_EQ(node.view().role, Role::kLeader);
  node.Read(1);
  EndTurn(node);
  EXPECT_EQ(node.reads_ready.size(), 1U);
}

/// Whether node 1 votes for `candidate`, which says that the leader of the term before sent it.
bool VotesAtTheLeadersWish(LoneNode& node, std::uint64_t candidate, Term term, LogPosition last) {
  node.Take<VoteReply>();
  VoteRequest request = AskVote(term.value(), last.term.value(), last.index.value());
  request.hand_over = HandOver::kYes;
  node.Receive(candidate, request);
  const auto votes = node.TakeTo<VoteReply>(candidate);
  EXPECT_EQ(votes.size(), 1U);
  return votes.at(0).granted;
}

/// As the target of a hand-over answers the old leader once it stands.
HeartbeatReply TellsOf(Term term) { return {term, 0, 0}; }

// The leader wants to go and has given its lease up.
TEST(VoterPromiseTest, APromiseYieldsToTheLeadersOwnWish) {
  LoneNode node = FollowerOfTwo();
  EXPECT_TRUE(VotesAtTheLeadersWish(node, 3, Term(2), {Term(1), LogIndex(1)}));
  LoneNode target = FollowerOfTwo();
  target.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_EQ(target.view().role, Role::kCandidate);
}

// What the target answers to a heartbeat may be here before its request for votes.
TEST(VoterPromiseTest, APromiseYieldsToTheWishWhereTheTermWasHeardOfBefore) {
  LoneNode node = FollowerOfTwo();
  node.Receive(3, TellsOf(Term(2)));
  ASSERT_EQ(node.term(), Term(2));
  EXPECT_FALSE(Votes(node, 3, 2));
  EXPECT_TRUE(VotesAtTheLeadersWish(node, 3, Term(2), {Term(1), LogIndex(1)}));
}

// The whole of it: the leader was sent itself, against a promise to the leader before it.
TEST(VoterPromiseTest, ALeaderThatWasToldOfTheTermVotesForWhomItSent) {
  LoneNode node = FollowerOfTwo();
  node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  node.Receive(2, VoteReply{PreVote::kNo, Term(2), true});
  ASSERT_EQ(node.view().role, Role::kLeader);
  node.AcknowledgeAll(3);
  ASSERT_EQ(node.Transfer(3), Transferring::kStarted);
  ASSERT_FALSE(node.Take<TimeoutNow>().empty());
  const LogPosition last{Term(2), node.view().last_index};
  node.Receive(3, TellsOf(Term(3)));
  ASSERT_EQ(node.view().role, Role::kFollower);
  EXPECT_TRUE(VotesAtTheLeadersWish(node, 3, Term(3), last));
}

// R58: it leads on, with a lease, and the wish comes to something only now.
TEST(VoterPromiseTest, AWishThatWasGivenUpWinsNoVoteOfWhoHoldsTheEntryThatVoidsIt) {
  for (const bool told_before : {false, true}) {
    LoneNode node = LeaderWithLease();
    const LogPosition last{node.term(), node.view().last_index};
    const Term next = node.term().Next();
    ASSERT_EQ(node.Transfer(3), Transferring::kStarted);
    GiveUp(node);
    node.AcknowledgeAll(2);
    node.Receive(2, Promises(node.term(), NextRound(node)));
    ASSERT_GT(node.view().lease_until, node.tick);
    if (told_before) node.Receive(3, TellsOf(next));
    EXPECT_FALSE(VotesAtTheLeadersWish(node, 3, next, last));
    // The lease went with the role, before anybody could be elected.
    EXPECT_EQ(node.view().lease_until, 0U);
  }
  // And its follower, which may be part of that lease.
  for (const bool told_before : {false, true}) {
    LoneNode node = FollowerOfTwo();
    node.Receive(2, MakeAppend(1, 1, 1, {1}, 2));
    if (told_before) node.Receive(3, TellsOf(Term(2)));
    EXPECT_FALSE(VotesAtTheLeadersWish(node, 3, Term(2), {Term(1), LogIndex(1)}));
  }
}

// R14
TEST(VoterPromiseTest, APromiseDoesNotYieldToAWishForAnotherTerm) {
  LoneNode node = FollowerOfTwo();
  node.Receive(3, TellsOf(Term(2)));
  EXPECT_FALSE(VotesAtTheLeadersWish(node, 3, Term(4), {Term(9), LogIndex(9)}));
  EXPECT_FALSE(VotesAtTheLeadersWish(node, 3, Term(1), {Term(9), LogIndex(9)}));
  EXPECT_EQ(node.term(), Term(2));
}

// One vote a term, whoever asks how.
TEST(VoterPromiseTest, AWishWinsNoVoteInATermThatHasALeaderOrAnotherCandidate) {
  LoneNode led = FollowerOfTwo();
  EXPECT_FALSE(VotesAtTheLeadersWish(led, 3, Term(1), {Term(9), LogIndex(9)}));
  EXPECT_EQ(led.view().leader, NodeId(2));
  LoneNode voted = FollowerOfTwo();
  ASSERT_TRUE(Votes(voted, 2, 2));
  EXPECT_FALSE(VotesAtTheLeadersWish(voted, 3, Term(2), {Term(9), LogIndex(9)}));
}

// R57: the vote is for one term. A late candidate may hold by the next one what it lacked, while a
// lease that was regained rests on the promise.
TEST(VoterPromiseTest, AVoteAtTheLeadersWishKeepsWhatWasPromisedToOthers) {
  for (const bool told_before : {false, true}) {
    LoneNode node = FollowerOfTwo();
    if (told_before) node.Receive(3, TellsOf(Term(2)));
    ASSERT_TRUE(VotesAtTheLeadersWish(node, 3, Term(2), {Term(1), LogIndex(1)}));
    EXPECT_FALSE(Votes(node, 3, 3));
    EXPECT_FALSE(Votes(node, 2, 3));
    node.Receive(3, MakeAppend(2, 1, 1, {2}));
    EXPECT_TRUE(Votes(node, 3, 3)) << "it leads";
  }
}

// R56: whatever that was.
TEST(VoterPromiseTest, AVoteAtTheLeadersWishKeepsWhatAnEarlierLifePromised) {
  LoneNode node(LogOfTerms({1}, 2), kLimits);
  EXPECT_TRUE(VotesAtTheLeadersWish(node, 3, Term(2), {Term(1), LogIndex(1)}));
  EXPECT_FALSE(Votes(node, 3, 3));
}

// ---- Together

TEST(LeaseTest, WhoeverIsElectedFindsTheOldLeadersLeaseOver) {
  Cluster cluster({.nodes = 3, .limits = kLimits});
  const std::uint64_t old = cluster.Elect();
  for (int i = 0; i < 3; ++i) {
    cluster.TickAll(kLimits.heartbeat_ticks);
    cluster.Stabilize();
  }
  ASSERT_GT(cluster.view(old).lease_until, 0U);
  cluster.Isolate(old);
  std::uint64_t ticks = 0;
  for (; cluster.leader() == old; ++ticks) {
    ASSERT_LT(ticks, 100U);
    cluster.TickAll(1);
    cluster.Read(old, ticks + 1);
    for (std::uint64_t id : cluster.ids()) {
      if (id == old || cluster.view(id).role != Role::kLeader) continue;
      EXPECT_EQ(cluster.view(old).lease_until, 0U);
    }
    cluster.Stabilize();
  }
  EXPECT_GE(ticks, kLeaseTicks);
}

TEST(LeaseTest, LimitsMustLeaveRoomForALeaseBetweenHeartbeats) {
  EXPECT_TRUE(ValidateLimits(kLimits).ok());
  Limits tight = kLimits;
  tight.election_ticks_min = 2 * tight.heartbeat_ticks;
  EXPECT_TRUE(ValidateLimits(tight).ok());
  tight.clock_drift_per_mille = 1000;
  EXPECT_FALSE(ValidateLimits(tight).ok());
  tight.lease_reads = false;
  EXPECT_TRUE(ValidateLimits(tight).ok());
  Limits no_tick = kLimits;
  no_tick.tick_ms = 0;
  EXPECT_FALSE(ValidateLimits(no_tick).ok());
}

TEST(RoundTimesTest, KnowsTheTickOfEachRoundAndForgetsTheOldest) {
  RoundTimes times;
  EXPECT_EQ(times.TickOf(0), std::nullopt);
  times.Sent(3, 50);
  times.Sent(4, 50);
  times.Sent(5, 52);
  EXPECT_EQ(times.TickOf(2), std::nullopt);
  EXPECT_EQ(times.TickOf(3), 50U);
  EXPECT_EQ(times.TickOf(4), 50U);
  EXPECT_EQ(times.TickOf(5), 52U);
  for (std::uint64_t i = 1; i < RoundTimes::kTicksMax; ++i) times.Sent(5 + i, 52 + i);
  EXPECT_EQ(times.TickOf(4), std::nullopt);
  EXPECT_EQ(times.TickOf(5), 52U);
}

}  // namespace
}  // namespace bedrock::raft
