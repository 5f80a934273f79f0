// Logs that were trimmed, and the snapshots that bring back who needs what is gone: rules R49,
// R61..R66, R74 and what a leader keeps its log for.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"
#include "tests/unit/raftd/core/trace.h"

namespace bedrock::raft {
namespace {

const Limits kLimits{.heartbeat_ticks = 3, .election_ticks_min = 10, .election_ticks_max = 20};

/// A log that begins behind entry `prev` of `prev_term`, with entries of these terms.
Recovered TrimmedLog(std::uint64_t prev, std::uint64_t prev_term,
                     std::initializer_list<std::uint64_t> terms, std::uint64_t term,
                     std::size_t voters = 3) {
  Recovered recovered;
  recovered.vote.term = Term(term);
  recovered.membership = Voters(voters);
  recovered.prev_index = recovered.last_index = LogIndex(prev);
  recovered.prev_term = Term(prev_term);
  for (const std::uint64_t t : terms) {
    recovered.last_index = recovered.last_index.Next();
    if (recovered.terms.empty() || recovered.terms.back().term != Term(t)) {
      recovered.terms.push_back({recovered.last_index, Term(t)});
    }
  }
  return recovered;
}

RestoredState At(std::uint64_t index, std::uint64_t term, MembershipChange membership = {}) {
  return {.index = LogIndex(index), .term = Term(term), .membership = std::move(membership)};
}

void Restore(LoneNode& node, const RestoredState& state) {
  node.raft.RestoredTo(state);
  node.Run();
}

/// A leader of three whose log begins behind entry 10 and to whom 2 answers.
LoneNode TrimmedLeader() {
  LoneNode node(TrimmedLog(10, 2, {2, 2}, 2), kLimits);
  node.report_applied = false;
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  return node;
}

void PutInSnapshot(LoneNode& leader, std::uint64_t follower) {
  for (int i = 0; i < 3; ++i) {
    for (const MemberProgress& member : leader.view().members) {
      if (member.id != NodeId(follower)) continue;
      if (member.state == ReplicationState::kSnapshot) return;
      leader.Receive(follower, RefusedAt(leader.term(), member.next.value() - 1, 1, 4));
    }
  }
}

const MemberProgress& Member(const View& view, std::uint64_t id) {
  return *std::find_if(view.members.begin(), view.members.end(),
                       [id](const auto& member) { return member.id == NodeId(id); });
}

// ---- The leader offers

TEST(SnapshotOfferTest, WhoNeedsWhatIsGoneIsOfferedASnapshotOnceAHeartbeat) {
  LoneNode node = TrimmedLeader();
  PutInSnapshot(node, 3);
  ASSERT_EQ(Member(node.view(), 3).state, ReplicationState::kSnapshot);
  node.Take<SnapshotOffer>();
  node.Tick(kLimits.heartbeat_ticks);
  const auto offers = node.Take<SnapshotOffer>();
  ASSERT_EQ(offers.size(), 1U);
  EXPECT_EQ(offers[0].to, 3U);
  EXPECT_EQ(offers[0].message, (SnapshotOffer{node.term(), LogIndex(10)}));
}

// R66
TEST(SnapshotOfferTest, OffersAndProbesGoOnHoweverManyAreLost) {
  LoneNode node = TrimmedLeader();
  PutInSnapshot(node, 3);
  for (int i = 0; i < 20; ++i) {
    node.Take<SnapshotOffer>();
    node.Take<AppendRequest>();
    node.Receive(2, HeartbeatReply{node.term(), 0});
    node.Receive(3, HeartbeatReply{node.term(), 0});
    node.Tick(kLimits.heartbeat_ticks);
    EXPECT_EQ(node.TakeTo<SnapshotOffer>(3).size(), 1U);
    node.Receive(3, HeartbeatReply{node.term(), 0});
    const auto probes = node.TakeTo<AppendRequest>(3);
    ASSERT_EQ(probes.size(), 1U) << i;
    EXPECT_EQ(probes[0].prev_index, LogIndex(10));
    EXPECT_TRUE(probes[0].entries.empty());
  }
}

// R66, R79
TEST(SnapshotOfferTest, AnyAckThatReconnectsEndsTheOffers) {
  for (const std::uint64_t index : {10U, 11U, 13U}) {
    LoneNode node = TrimmedLeader();
    PutInSnapshot(node, 3);
    node.Receive(3, Accepted(node.term(), index));
    const View view = node.view();
    EXPECT_EQ(Member(view, 3).state, ReplicationState::kStream);
    EXPECT_EQ(Member(view, 3).match, LogIndex(index));
    node.Take<SnapshotOffer>();
    node.Receive(2, HeartbeatReply{node.term(), 0});
    node.Tick(kLimits.heartbeat_ticks);
    EXPECT_TRUE(node.Take<SnapshotOffer>().empty());
  }
}

// R66: it says less than what is asked, or is older than the refusal.
TEST(SnapshotOfferTest, AnAckFromBelowTheLogDoesNotEndThem) {
  LoneNode node = TrimmedLeader();
  PutInSnapshot(node, 3);
  node.Receive(3, Accepted(node.term(), 9));
  EXPECT_EQ(Member(node.view(), 3).state, ReplicationState::kSnapshot);
}

TEST(SnapshotOfferTest, RepeatedRefusalsKeepWhatIsKnownOfTheSnapshotUnderWay) {
  LoneNode node = TrimmedLeader();
  PutInSnapshot(node, 3);
  node.Receive(3, SnapshotOfferReply{node.term(), LogIndex(11)});
  node.Receive(3, RefusedAt(node.term(), 10, 1, 4));
  EXPECT_EQ(Member(node.view(), 3).installing, LogIndex(11));
  EXPECT_EQ(Member(node.view(), 3).state, ReplicationState::kSnapshot);
}

TEST(SnapshotOfferTest, OffersOfAStaleTermAreAnsweredWithOurs) {
  LoneNode node(LogOfTerms({1}, 5), kLimits);
  node.Receive(2, SnapshotOffer{Term(4), LogIndex(9)});
  const auto replies = node.TakeTo<SnapshotOfferReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].term, Term(5));
  EXPECT_TRUE(node.wanted.empty());
}

TEST(SnapshotOfferTest, AnAnswerOfANewerTermDeposesTheLeader) {
  LoneNode node = TrimmedLeader();
  node.Receive(3, SnapshotOfferReply{Term(9), LogIndex(0)});
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.term(), Term(9));
}

TEST(SnapshotOfferTest, LeadershipIsNotHandedToWhoWaitsForASnapshot) {
  LoneNode node = TrimmedLeader();
  PutInSnapshot(node, 3);
  EXPECT_EQ(node.Transfer(3), Transferring::kUnreachable);
}

// ---- The follower wants

TEST(SnapshotWantedTest, AFollowerAsksItsStorageForWhatItIsOffered) {
  LoneNode node(LogOfTerms({1, 1}, 1), kLimits);
  node.Receive(2, SnapshotOffer{Term(3), LogIndex(9)});
  ASSERT_EQ(node.wanted.size(), 1U);
  EXPECT_EQ(node.wanted[0], (SnapshotWanted{NodeId(2), LogIndex(9)}));
  EXPECT_EQ(node.TakeTo<SnapshotOfferReply>(2).at(0).installing, LogIndex(0));
  node.raft.SnapshotProgress(LogIndex(12));
  node.Run();
  node.Receive(2, SnapshotOffer{Term(3), LogIndex(9)});
  EXPECT_EQ(node.TakeTo<SnapshotOfferReply>(2).at(0).installing, LogIndex(12));
  EXPECT_EQ(node.wanted.size(), 1U);  // the wish has not changed
}

// R61
TEST(SnapshotWantedTest, AnOfferOfWhatIsCommittedHereIsAnsweredWithTheCommitIndex) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 3));
  node.Take<AppendReply>();
  node.Receive(2, SnapshotOffer{Term(1), LogIndex(2)});
  EXPECT_TRUE(node.wanted.empty());
  EXPECT_EQ(node.TakeTo<AppendReply>(2).at(0), Accepted(Term(1), 3));
  EXPECT_TRUE(node.Take<SnapshotOfferReply>().empty());
}

// R61, R30: "holds everything up to its commit index" is a promise.
TEST(SnapshotWantedTest, ThatAnswerWaitsForTheDisk) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.sync = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 3));
  node.Receive(2, SnapshotOffer{Term(1), LogIndex(2)});
  EXPECT_TRUE(node.Take<AppendReply>().empty());
  node.Sync();
  EXPECT_EQ(node.Take<AppendReply>().size(), 2U);
}

// R66
TEST(SnapshotWantedTest, AnAppendThatFitsMakesTheSnapshotUnnecessary) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}));
  node.Receive(2, SnapshotOffer{Term(1), LogIndex(2)});
  ASSERT_EQ(node.wanted.size(), 1U);
  node.Receive(2, MakeAppend(1, 1, 2, {}, 2));
  ASSERT_EQ(node.wanted.size(), 2U);
  EXPECT_EQ(node.wanted[1], SnapshotWanted());
}

TEST(SnapshotWantedTest, ItIsFetchedFromTheNewLeaderUnlessItIsUnderWay) {
  LoneNode node(LogOfTerms({1, 1}, 1), kLimits);
  node.Receive(2, SnapshotOffer{Term(3), LogIndex(9)});
  node.Receive(3, Heartbeat{Term(4), LogIndex(0), 0, LogIndex(0)});
  EXPECT_EQ(node.wanted.back(), (SnapshotWanted{NodeId(3), LogIndex(9)}));
  node.raft.SnapshotProgress(LogIndex(12));
  node.Run();
  node.Receive(2, Heartbeat{Term(5), LogIndex(0), 0, LogIndex(0)});
  EXPECT_EQ(node.wanted.back(), (SnapshotWanted{NodeId(3), LogIndex(9)}));
  node.raft.SnapshotProgress(LogIndex());
  node.Run();
  EXPECT_EQ(node.wanted.back(), (SnapshotWanted{NodeId(2), LogIndex(9)}));
}

// R66: the new leader can't apply more before this node is back, so it would wait for ever for a
// snapshot as new as the old leader's offer. Found by the simulator (seed 5758).
TEST(SnapshotWantedTest, ANewLeadersOfferCountsThoughTheOneBeforeOfferedMore) {
  LoneNode node(LogOfTerms({1, 1}, 1), kLimits);
  node.Receive(2, SnapshotOffer{Term(3), LogIndex(20)});
  node.Receive(3, SnapshotOffer{Term(4), LogIndex(9)});
  EXPECT_EQ(node.wanted.back(), (SnapshotWanted{NodeId(3), LogIndex(9)}));
  Restore(node, At(9, 2));
  EXPECT_EQ(node.wanted.back(), SnapshotWanted());
}

// R65
TEST(SnapshotWantedTest, WhoLacksWhatIsCommittedDoesNotCampaign) {
  LoneNode node(LogOfTerms({1, 1}, 1), kLimits);
  node.Receive(2, SnapshotOffer{Term(3), LogIndex(9)});
  node.sent.clear();
  node.Tick(10ULL * kLimits.election_ticks_max);
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_TRUE(node.Take<VoteRequest>().empty());
  node.Receive(3, SnapshotOffer{Term(3), LogIndex(9)});
  node.Receive(3, TimeoutNow{Term(3), LogIndex(2)});
  EXPECT_EQ(node.view().role, Role::kFollower);
  Restore(node, At(9, 2));
  EXPECT_GT(node.TickUntilCampaign(), 0U);
}

// R65: its log may be the only one that can win.
TEST(SnapshotWantedTest, AnOfferOfWhatTheLogMayHoldStopsNobodyFromCampaigning) {
  LoneNode node(LogOfTerms({1, 1, 1}, 1), kLimits);
  node.Receive(2, SnapshotOffer{Term(1), LogIndex(2)});
  ASSERT_EQ(node.wanted.size(), 1U);
  EXPECT_GT(node.TickUntilCampaign(), 0U);
}

// R65
TEST(SnapshotWantedTest, ACandidateThatIsOfferedOneOfItsTermFollows) {
  LoneNode node(LogOfTerms({1, 1}, 1), kLimits);
  node.BecomeCandidate();
  node.Receive(2, SnapshotOffer{node.term(), LogIndex(9)});
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.view().leader, NodeId(2));
}

// ---- What the state machine was restored to

// R62, first half.
TEST(RestoreTest, TheLogKeepsWhatFollowsWhereItHasTheVeryEntry) {
  LoneNode node(LogOfTerms({1, 1, 2, 2, 2}, 2), kLimits);
  Restore(node, At(3, 2));
  EXPECT_EQ(TermsOf(node.raft), (std::vector<std::uint64_t>{1, 1, 2, 2, 2}));
  EXPECT_EQ(node.view().commit, LogIndex(3));
  EXPECT_EQ(node.view().applied, LogIndex(3));
  EXPECT_TRUE(node.writes.empty());
}

// R62, second half: of another term, or beyond the end.
TEST(RestoreTest, OtherwiseAllOfItGoes) {
  for (const RestoredState& state : {At(3, 3), At(9, 3)}) {
    LoneNode node(LogOfTerms({1, 1, 2, 2, 2}, 3), kLimits);
    Restore(node, state);
    const View view = node.view();
    EXPECT_EQ(view.first_index, state.index.Next());
    EXPECT_EQ(view.last_index, state.index);
    EXPECT_EQ(view.commit, state.index);
    EXPECT_EQ(view.applied, state.index);
    EXPECT_EQ(node.raft.TermAt(state.index), Term(3));
    EXPECT_FALSE(node.raft.TermAt(state.index.Prev()));
    ASSERT_EQ(node.writes.size(), 1U);
    ASSERT_TRUE(node.writes[0].reset_to);
    EXPECT_EQ(*node.writes[0].reset_to,
              (LogReset{state.index, Term(3), {LogIndex(), Voters(3)}, LogIndex()}));
    EXPECT_TRUE(node.writes[0].entries.empty());
    EXPECT_FALSE(node.writes[0].cut_from);
  }
}

TEST(RestoreTest, AppendsGoOnBehindTheSnapshot) {
  LoneNode node(LogOfTerms({1, 1}, 3), kLimits);
  Restore(node, At(9, 3));
  node.Receive(2, MakeAppend(3, 3, 9, {3, 3}, 11));
  EXPECT_EQ(node.TakeTo<AppendReply>(2).at(0), Accepted(Term(3), 11));
  ASSERT_EQ(node.applied.size(), 1U);
  EXPECT_EQ(node.applied[0].first, LogIndex(10));
  EXPECT_EQ(node.writes.back().entries.size(), 2U);
  EXPECT_FALSE(node.writes.back().cut_from);
}

TEST(RestoreTest, WhatFollowsInOneGoIsOneWriteBehindTheReset) {
  LoneNode node(LogOfTerms({1, 1, 1}, 3), kLimits);
  node.raft.Receive(NodeId(2), MakeAppend(3, 1, 3, {1}));  // never to be written
  node.raft.RestoredTo(At(9, 3));
  node.raft.Receive(NodeId(2), MakeAppend(3, 3, 9, {3}));
  node.Run();
  ASSERT_EQ(node.writes.size(), 1U);
  EXPECT_EQ(node.writes[0].reset_to->index, LogIndex(9));
  ASSERT_EQ(node.writes[0].entries.size(), 1U);
  EXPECT_EQ(node.writes[0].entries[0].index, LogIndex(10));
}

// R61
TEST(RestoreTest, AtOrBelowCommitOnlyTheStateMachineMoves) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.report_applied = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 3));
  ASSERT_EQ(node.applied.back().last, LogIndex(3));
  const std::size_t writes = node.writes.size();
  Restore(node, At(2, 1));
  EXPECT_EQ(node.view().applied, LogIndex(2));
  EXPECT_EQ(node.view().last_index, LogIndex(3));
  EXPECT_EQ(node.writes.size(), writes);
  EXPECT_EQ(node.applied.back().first, LogIndex(3));
}

// R30, R33: of what was written before the reset, nothing counts for what comes behind it.
TEST(RestoreTest, AWriteFromBeforeTheResetMakesNothingBehindItDurable) {
  LoneNode node(LogOfTerms({1}, 3), kLimits);
  node.sync = false;
  node.Receive(2, MakeAppend(3, 1, 1, {1, 1}));
  Restore(node, At(3, 3));
  node.Receive(2, MakeAppend(3, 3, 3, {3}));
  ASSERT_EQ(node.writes.size(), 3U);
  node.Take<AppendReply>();
  node.Sync(1);
  EXPECT_EQ(node.view().durable_index, LogIndex(3));
  for (const auto& reply : node.Take<AppendReply>()) EXPECT_LE(reply.message.index, LogIndex(3));
  node.Sync(3);
  EXPECT_EQ(node.view().durable_index, LogIndex(4));
  EXPECT_EQ(node.TakeTo<AppendReply>(2).back(), Accepted(Term(3), 4));
}

TEST(RestoreTest, ASnapshotOfANewerTermMovesTheNodeToItWithoutAVote) {
  LoneNode node(LogOfTerms({1, 1}, 1), kLimits);
  Restore(node, At(9, 4));
  EXPECT_EQ(node.term(), Term(4));
  ASSERT_EQ(node.writes.size(), 1U);
  EXPECT_EQ(node.writes[0].vote, (Vote{Term(4), NodeId()}));
  EXPECT_TRUE(node.writes[0].reset_to);
}

TEST(RestoreTest, WhoStandsOrLeadsForALogThatGoesFollows) {
  LoneNode node(LogOfTerms({1, 1}, 1), kLimits);
  node.BecomeLeader();
  node.Read(7);
  Restore(node, At(9, 4));
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.reads_failed.size(), 1U);
}

// R49
TEST(RestoreTest, TheSnapshotsConfigurationIsInEffectJointOrNot) {
  Membership joint = Voters(3);
  joint.outgoing = {NodeId(1), NodeId(2), NodeId(4)};
  joint.learners = {NodeId(4), NodeId(5)};
  LoneNode node(LogOfTerms({1}, 3), kLimits);
  Restore(node, At(9, 3, {LogIndex(7), joint}));
  EXPECT_EQ(node.raft.membership(), joint);
  EXPECT_EQ(node.view().membership_index, LogIndex(7));
  EXPECT_EQ(node.writes[0].reset_to->membership, (MembershipChange{LogIndex(7), joint}));
}

// R49
TEST(RestoreTest, AVoterMayComeBackAsALearner) {
  Membership now = Voters(3);
  now.voters = {NodeId(2), NodeId(3)};
  now.learners = {NodeId(1)};
  LoneNode node(LogOfTerms({1}, 3), kLimits);
  Restore(node, At(9, 3, {LogIndex(7), now}));
  node.Tick(10ULL * kLimits.election_ticks_max);
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_TRUE(node.Take<VoteRequest>().empty());
}

// R49
TEST(RestoreTest, WhoWasRemovedMeanwhileDoesNotCampaign) {
  Membership now;
  now.voters = {NodeId(2), NodeId(3)};
  now.removed = {NodeId(1)};
  LoneNode node(LogOfTerms({1}, 3), kLimits);
  Restore(node, At(9, 3, {LogIndex(7), now}));
  node.Tick(10ULL * kLimits.election_ticks_max);
  EXPECT_TRUE(node.Take<VoteRequest>().empty());
}

// R49, R39: what was appended and never committed is not in effect any more.
TEST(RestoreTest, AnUncommittedConfigurationGoesWithTheLog) {
  Recovered recovered = LogOfTerms({1, 1}, 3);
  Membership other = Voters(3);
  other.learners = {NodeId(4)};
  recovered.membership_changes = {{LogIndex(2), other}};
  LoneNode node(recovered, kLimits);
  ASSERT_EQ(node.raft.membership(), other);
  Restore(node, At(9, 3));
  EXPECT_EQ(node.raft.membership(), Voters(3));
}

TEST(RestoreTest, ANodeThatWaitsToBeTakenInLearnsWhoTakesPart) {
  LoneNode node{Recovered(), kLimits};
  node.Receive(2, SnapshotOffer{Term(3), LogIndex(9)});
  Membership now;
  now.voters = {NodeId(2)};
  now.learners = {NodeId(1)};
  Restore(node, At(9, 3, {LogIndex(7), now}));
  EXPECT_EQ(node.raft.membership(), now);
  EXPECT_EQ(node.wanted.back(), SnapshotWanted());
}

// R74
TEST(RestoreTest, WhatTheLogLostStaysLostUntilALeaderHasGoneBeyondTheSnapshot) {
  Recovered recovered = LogOfTerms({1, 1}, 3);
  recovered.health.lost_up_to = LogIndex(5);
  recovered.health.lost_term = recovered.vote.term;
  LoneNode node(recovered, kLimits);
  Restore(node, At(9, 3));
  EXPECT_EQ(node.writes[0].reset_to->lost_up_to, LogIndex(10));
  EXPECT_TRUE(node.view().refilling);
  node.Receive(3, AskVote(4, 3, 9));
  EXPECT_FALSE(node.Take<VoteReply>().at(0).message.granted);
  node.Receive(2, MakeAppend(4, 3, 9, {4}));
  EXPECT_FALSE(node.view().refilling);
}

TEST(RestoreTest, ASnapshotOfALaterTermHoldsWhatWasCommittedOfWhatWasLost) {
  Recovered recovered = LogOfTerms({1, 1}, 3);
  recovered.health.lost_up_to = LogIndex(20);
  recovered.health.lost_term = Term(2);
  LoneNode node(recovered, kLimits);
  Restore(node, At(9, 3));
  EXPECT_FALSE(node.writes[0].reset_to->lost_up_to);
  EXPECT_FALSE(node.view().refilling);
}

TEST(RestoreTest, ADamagedLogIsMadeGoodByASnapshotBehindItsTrueEnd) {
  Recovered recovered = LogOfTerms({1, 1, 1, 1}, 3);
  recovered.health.damaged = IndexRange{LogIndex(2), LogIndex(3)};
  LoneNode node(recovered, kLimits);
  ASSERT_TRUE(node.view().refilling);
  Restore(node, At(3, 1));
  EXPECT_TRUE(node.view().refilling);  // it once acknowledged entry 4
  Restore(node, At(9, 3));
  EXPECT_FALSE(node.view().refilling);
}

// ---- A state machine that lacks what the own log has dropped

TEST(StuckMachineTest, ItsNodeWantsASnapshotFromTheLeader) {
  LoneNode node(TrimmedLog(10, 2, {2, 2}, 2), kLimits);
  node.raft.ApplyFrom(LogIndex(4), LogIndex(4));
  node.Run();
  EXPECT_EQ(node.wanted.back(), (SnapshotWanted{NodeId(), LogIndex(10)}));
  node.Receive(3, Heartbeat{Term(3), LogIndex(12), 0, LogIndex(0)});
  EXPECT_EQ(node.wanted.back(), (SnapshotWanted{NodeId(3), LogIndex(10)}));
  EXPECT_TRUE(node.applied.empty());
  Restore(node, At(11, 2));
  EXPECT_EQ(node.wanted.back(), SnapshotWanted());
  EXPECT_EQ(node.applied.back().first, LogIndex(12));
}

TEST(StuckMachineTest, ASnapshotThatIsStillTooOldChangesNothing) {
  LoneNode node(TrimmedLog(10, 2, {2, 2}, 2), kLimits);
  node.raft.ApplyFrom(LogIndex(4), LogIndex(4));
  Restore(node, At(8, 2));
  EXPECT_EQ(node.view().snapshot_wanted.at_least, LogIndex(10));
  EXPECT_EQ(node.view().applied, LogIndex(8));
}

// R65, and that nobody waits for ever for somebody else.
TEST(StuckMachineTest, ItsNodeLetsSomeElectionsPassBeforeItStands) {
  LoneNode node(TrimmedLog(10, 2, {2, 2}, 2), kLimits);
  node.raft.ApplyFrom(LogIndex(4), LogIndex(4));
  EXPECT_GT(node.TickUntilCampaign(), 3U * kLimits.election_ticks_min);
  // Where a leader was heard it begins anew.
  node.Receive(3, Heartbeat{Term(9), LogIndex(0), 0, LogIndex(0)});
  EXPECT_GT(node.TickUntilCampaign(), 3U * kLimits.election_ticks_min);
}

// R11
TEST(StuckMachineTest, ItsNodeDoesNotStandAtTheLeadersWish) {
  LoneNode node(TrimmedLog(10, 2, {2, 2}, 2), kLimits);
  node.raft.ApplyFrom(LogIndex(4), LogIndex(4));
  node.Receive(2, Heartbeat{Term(3), LogIndex(12), 0, LogIndex(0)});
  node.Receive(2, TimeoutNow{Term(3), LogIndex(12)});
  EXPECT_EQ(node.view().role, Role::kFollower);
}

TEST(StuckMachineTest, ALeaderHandsOverAndFetchesFromWhoAnswers) {
  LoneNode node = TrimmedLeader();
  node.raft.ApplyFrom(LogIndex(4), LogIndex(4));
  node.Run();
  EXPECT_EQ(node.wanted.back(), (SnapshotWanted{NodeId(2), LogIndex(10)}));
  EXPECT_EQ(node.view().handing_over_to, NodeId(2));
  EXPECT_EQ(node.TakeTo<TimeoutNow>(2).size(), 1U);
  EXPECT_EQ(node.Propose({"a"}).refused, Refused::kMoving);
}

TEST(StuckMachineTest, OneVoterAfterTheOtherIsAsked) {
  LoneNode node = TrimmedLeader();
  node.AcknowledgeAll(3);
  node.raft.ApplyFrom(LogIndex(4), LogIndex(4));
  node.Run();
  std::vector<NodeId> asked;
  for (std::uint32_t i = 0; i < 4 * kLimits.election_ticks_min; ++i) {
    const NodeId to = node.view().handing_over_to;
    if (to && (asked.empty() || asked.back() != to)) asked.push_back(to);
    node.AcknowledgeAll(2);
    node.AcknowledgeAll(3);
    node.Tick();
  }
  EXPECT_GE(asked.size(), 3U);
}

TEST(StuckMachineTest, WhereNobodyIsLeftToHandOverToItLeadsOn) {
  LoneNode node(TrimmedLog(10, 2, {2}, 2, 1), kLimits);
  node.report_applied = false;
  node.raft.ApplyFrom(LogIndex(4), LogIndex(4));
  node.TickUntilCampaign();
  node.Tick(5ULL * kLimits.election_ticks_max);
  EXPECT_EQ(node.view().role, Role::kLeader);
  EXPECT_FALSE(node.view().handing_over_to);
}

// ---- What the log is kept for

/// A leader of three whose log holds 20 entries, applied and durable; 2 has them all.
LoneNode LongLeader() {
  Limits limits = kLimits;
  LoneNode node(LogOfTerms({}, 0), limits);
  node.BecomeLeader();
  for (int i = 0; i < 19; ++i) node.Propose({"x"});
  return node;
}

void Live(LoneNode& node, std::uint32_t ticks, std::initializer_list<std::uint64_t> answering) {
  for (std::uint32_t i = 0; i < ticks; ++i) {
    for (const std::uint64_t peer : answering) {
      node.Receive(peer, HeartbeatReply{node.term(), 0});
    }
    node.Tick();
  }
}

TEST(TrimTest, ADeadMembersNeedsAreKeptAsLongAsThereIsRoom) {
  LoneNode node = LongLeader();
  node.AcknowledgeAll(2);
  node.Receive(3, Accepted(node.term(), 5));
  Live(node, 3 * kLimits.election_ticks_max, {2});
  EXPECT_EQ(node.view().first_index, LogIndex(6));
  node.raft.SetLogPressure({LogIndex(9), LogIndex()});
  node.Run();
  EXPECT_EQ(node.view().first_index, LogIndex(10));
}

TEST(TrimTest, ALiveMembersNeedsAreKeptUpToTheFarBound) {
  LoneNode node = LongLeader();
  node.AcknowledgeAll(2);
  node.Receive(3, Accepted(node.term(), 5));
  Live(node, 3 * kLimits.election_ticks_max, {2, 3});
  node.raft.SetLogPressure({LogIndex(9), LogIndex()});
  node.Run();
  EXPECT_EQ(node.view().first_index, LogIndex(6));
  node.raft.SetLogPressure({LogIndex(9), LogIndex(7)});
  node.Run();
  EXPECT_EQ(node.view().first_index, LogIndex(8));
}

TEST(TrimTest, ANewLeaderGivesEverybodyTimeToAnswer) {
  LoneNode node = LongLeader();
  node.AcknowledgeAll(2);
  node.raft.SetLogPressure({LogIndex(9), LogIndex()});
  node.Run();
  EXPECT_EQ(node.view().first_index, LogIndex(1));
  Live(node, 2 * kLimits.election_ticks_max, {2});
  EXPECT_EQ(node.view().first_index, LogIndex(10));
}

TEST(TrimTest, NothingUncommittedIsTrimmedHoweverLargeTheLog) {
  LoneNode node = LongLeader();
  node.raft.SetLogPressure({LogIndex(20), LogIndex(20)});
  node.Run();
  EXPECT_EQ(node.view().first_index, LogIndex(1));
}

TEST(TrimTest, WhileALiveFollowerInstallsTheLogIsKeptFromThereOn) {
  LoneNode node = LongLeader();
  node.AcknowledgeAll(2);
  Live(node, 2 * kLimits.election_ticks_max, {2});
  node.raft.SetLogPressure({LogIndex(6), LogIndex()});
  node.Run();
  ASSERT_EQ(node.view().first_index, LogIndex(7));
  node.raft.SetLogPressure({});
  node.Receive(3, HeartbeatReply{node.term(), 0});
  PutInSnapshot(node, 3);
  ASSERT_EQ(Member(node.view(), 3).state, ReplicationState::kSnapshot);
  Live(node, kLimits.heartbeat_ticks, {2, 3});
  EXPECT_EQ(node.view().first_index, LogIndex(7));
  node.Receive(3, SnapshotOfferReply{node.term(), LogIndex(15)});
  EXPECT_EQ(node.view().first_index, LogIndex(16));
  Live(node, kLimits.heartbeat_ticks, {2, 3});
  EXPECT_EQ(node.view().first_index, LogIndex(16));
  node.Receive(3, Accepted(node.term(), 15));
  EXPECT_EQ(Member(node.view(), 3).state, ReplicationState::kStream);
}

TEST(TrimTest, NothingIsKeptForADeadMemberThatNeedsASnapshotAnyway) {
  LoneNode node = LongLeader();
  node.AcknowledgeAll(2);
  Live(node, 2 * kLimits.election_ticks_max, {2});
  node.raft.SetLogPressure({LogIndex(6), LogIndex()});
  node.Run();
  node.raft.SetLogPressure({});
  PutInSnapshot(node, 3);
  Live(node, 2 * kLimits.election_ticks_max, {2});
  EXPECT_EQ(node.view().first_index, node.view().last_index.Next());
}

TEST(TrimTest, AFollowerWhoseLogIsFarTooLargeTrimsByItself) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1, 1}, 3));
  node.raft.SetLogPressure({LogIndex(4), LogIndex()});
  node.Run();
  EXPECT_EQ(node.view().first_index, LogIndex(1));
  node.raft.SetLogPressure({LogIndex(4), LogIndex(4)});
  node.Run();
  EXPECT_EQ(node.view().first_index, LogIndex(4));  // the last one is not committed
}

/// What it streams to is behind the first entry now: it probes from there on, and nothing that is
/// gone is ever read.
TEST(TrimTest, AFollowerWhoseEntriesWereTrimmedIsProbedAtTheFirst) {
  LoneNode node = LongLeader();
  node.AcknowledgeAll(2);
  node.Receive(3, Accepted(node.term(), 5));
  Live(node, 2 * kLimits.election_ticks_max, {2});
  node.raft.SetLogPressure({LogIndex(15), LogIndex()});
  node.Run();
  node.raft.LinkReset(NodeId(3));
  node.Run();
  ASSERT_EQ(node.view().first_index, LogIndex(16));
  node.Take<AppendRequest>();
  Live(node, 1, {2, 3});
  for (const AppendRequest& probe : node.TakeTo<AppendRequest>(3)) {
    EXPECT_GE(probe.prev_index, LogIndex(15));
  }
  EXPECT_EQ(Member(node.view(), 3).state, ReplicationState::kProbe);
  node.Receive(3, RefusedAt(node.term(), 15, 1, 5));
  EXPECT_EQ(Member(node.view(), 3).state, ReplicationState::kSnapshot);
}

// ---- All together

TEST(SnapshotTest, ANewNodeIsTakenInWhereTheLogWasCompacted) {
  ClusterOptions options;
  options.limits = kLimits;
  Cluster cluster(options);
  ASSERT_NE(cluster.Elect(), 0U);
  const std::uint64_t leader = cluster.leader();
  for (int i = 0; i < 10; ++i) cluster.Propose(leader, "x");
  cluster.Stabilize();
  cluster.TickAll(5);
  cluster.Stabilize();
  ASSERT_GT(cluster.view(leader).first_index, LogIndex(10));
  cluster.AddBlankNode(4);
  Delta delta;
  delta.add.push_back({NodeId(4), AutoPromote::kYes, ""});
  ASSERT_EQ(cluster.Reconfigure(leader, delta), Reconfiguring::kStarted);
  std::size_t installed = 0;
  for (int i = 0; i < 100; ++i) {
    cluster.Stabilize();
    cluster.TickAll(1);
    installed += cluster.InstallWanted();
  }
  EXPECT_EQ(installed, 1U);
  EXPECT_EQ(Describe(cluster.at(4).membership()), "{1 2 3 4}");
  EXPECT_EQ(cluster.Applied(4), cluster.Applied(leader));
}

// R63: the state machine has it, the log had no time to.
TEST(SnapshotTest, ACrashBetweenTheInstallAndTheResetIsMadeGoodAtTheNextStart) {
  ClusterOptions options;
  options.limits = kLimits;
  Cluster cluster(options);
  cluster.Campaign(1);
  cluster.Stabilize();
  cluster.Isolate(3);
  for (int i = 0; i < 10; ++i) cluster.Propose(1, "x");
  cluster.Stabilize();
  cluster.Pressure(1, 8, 8);
  cluster.Heal();
  cluster.TickAll(9);
  cluster.Stabilize();
  cluster.TickAll(6);
  cluster.Stabilize();
  ASSERT_TRUE(cluster.view(3).snapshot_wanted.at_least);
  ASSERT_TRUE(cluster.Install(3, 1, Cluster::Tell::kAfterRestart));
  cluster.Crash(3);
  cluster.Restart(3);
  EXPECT_EQ(cluster.view(3).applied, LogIndex(11));
  EXPECT_EQ(cluster.view(3).last_index, LogIndex(11));
  EXPECT_FALSE(cluster.view(3).refilling);
  cluster.TickAll(6);
  cluster.Stabilize();
  cluster.Propose(1, "y");
  cluster.Stabilize();
  EXPECT_EQ(cluster.Applied(3), cluster.Applied(1));
}

}  // namespace
}  // namespace bedrock::raft
