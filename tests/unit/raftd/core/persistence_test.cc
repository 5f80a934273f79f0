// Writes that take their time, and logs that lost something: rules R30..R37, R54, R68..R74
// (raftd/core/README.md).

#include <gtest/gtest.h>

#include <vector>

#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

using Terms = std::vector<std::uint64_t>;

Heartbeat Beat(std::uint64_t term, std::uint64_t commit) {
  return {Term(term), LogIndex(commit), 0, LogIndex()};
}

// R30
TEST(AsyncWriteTest, AnAcknowledgementWaitsForItsEntriesAndAllEarlierWrites) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  node.Receive(2, MakeAppend(1, 1, 1, {1}));
  node.Receive(2, MakeAppend(1, 1, 2, {}));
  ASSERT_EQ(node.writes.size(), 2U);
  ASSERT_EQ(node.held.size(), 3U);
  node.Sync(1);
  auto replies = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0].index, LogIndex(1));
  node.Sync(2);
  replies = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0].index, LogIndex(2));
}

// R31
TEST(AsyncWriteTest, ALeaderCountsItselfOnlyWhenItsOwnDiskIsDone) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.sync = false;
  node.Propose({"a"});
  node.Receive(2, Accepted(node.term(), 2));
  EXPECT_EQ(node.view().commit, LogIndex(1));
  node.Sync();
  EXPECT_EQ(node.view().commit, LogIndex(2));
}

// R31: and may commit what it does not hold durably itself.
TEST(AsyncWriteTest, ALeaderCommitsWithoutItsOwnDisk) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.sync = false;
  node.Propose({"a"});
  node.Receive(2, Accepted(node.term(), 2));
  node.Receive(3, Accepted(node.term(), 2));
  EXPECT_EQ(node.view().commit, LogIndex(2));
  EXPECT_EQ(node.view().durable_index, LogIndex(1));
}

TEST(AsyncWriteTest, ALeaderSendsWhileItsOwnDiskWrites) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.Take<AppendRequest>();
  node.sync = false;
  node.Propose({"a"});
  EXPECT_EQ(node.TakeTo<AppendRequest>(2).size(), 1U);
}

// R32: the entry at one index is of term 2, then 3, then another of term 2 would be ABA by term.
// The write of the first says nothing of the last.
TEST(AsyncWriteTest, AnEntryIsDurableOnlyWhenTheLastWriteOfItsIndexIsDone) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  node.Receive(3, MakeAppend(2, 0, 0, {2}));
  node.Receive(2, MakeAppend(3, 0, 0, {1}));
  ASSERT_EQ(node.writes.size(), 3U);
  EXPECT_EQ(TermsOf(node.raft), Terms({1}));
  node.Sync(1);
  EXPECT_EQ(node.view().durable_index, LogIndex(0));
  node.Sync(2);
  EXPECT_EQ(node.view().durable_index, LogIndex(0));
  node.Sync(3);
  EXPECT_EQ(node.view().durable_index, LogIndex(1));
}

// R33
TEST(AsyncWriteTest, ACutLowersTheDurableIndexAtOnce) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}));
  EXPECT_EQ(node.view().durable_index, LogIndex(3));
  node.sync = false;
  node.Receive(2, MakeAppend(1, 1, 3, {1}));  // In flight while the cut comes.
  node.Receive(3, MakeAppend(2, 1, 1, {2, 2, 2, 2}));
  EXPECT_EQ(node.view().durable_index, LogIndex(1));
  node.Sync(node.writes.at(1).seq.value());
  EXPECT_EQ(node.view().durable_index, LogIndex(1));
  node.Sync();
  EXPECT_EQ(node.view().durable_index, LogIndex(5));
}

// R34
TEST(AsyncWriteTest, WhatWasCommittedWhileTheDiskWroteIsAppliedWhenItIsDone) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1}, 2));
  EXPECT_TRUE(node.applied.empty());
  node.Sync();
  ASSERT_EQ(node.applied.size(), 1U);
  EXPECT_EQ(node.applied[0].last, LogIndex(2));
}

// R35
TEST(AsyncWriteTest, OnlyWhatIsCommittedAndDurableIsApplied) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.sync = false;
  node.Propose({"a"});
  node.Receive(2, Accepted(node.term(), 2));
  node.Receive(3, Accepted(node.term(), 2));
  ASSERT_EQ(node.view().commit, LogIndex(2));
  ASSERT_EQ(node.applied.size(), 1U);
  EXPECT_EQ(node.applied[0].last, LogIndex(1));
  node.Sync();
  EXPECT_EQ(node.applied.at(1).last, LogIndex(2));
}

// R36
TEST(AsyncWriteTest, TheLastEntryIsTheSameForVotesCampaignsAndProbes) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1}));  // In memory only.
  node.Tick(Limits().election_ticks_min);
  node.Receive(3, AskPreVote(2, 1, 1));
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
  node.TickUntilCampaign();
  EXPECT_EQ(node.TakeTo<VoteRequest>(2).at(0), AskPreVote(2, 1, 2));
  node.Receive(3, MakeAppend(2, 2, 9, {}));
  EXPECT_EQ(node.TakeTo<AppendReply>(3).at(0).hint_index, LogIndex(2));
}

// R37: what the shell says is durable was given to it, in order.
TEST(AsyncWriteDeathTest, TheDiskCanNotBeDoneWithWhatItWasNotGiven) {
  LoneNode node = LoneNode::Fresh();
  EXPECT_DEATH(node.raft.Durable(WriteSeq(5)), "CHECK");
}

TEST(AsyncWriteTest, OneWriteCarriesVoteCutAndEntriesOfATurn) {
  LoneNode node(LogOfTerms({1, 1, 1}, 1));
  node.sync = false;
  node.raft.Receive(NodeId(2), MakeAppend(2, 1, 1, {2, 2}));
  node.raft.Receive(NodeId(2), MakeAppend(2, 2, 3, {2}));
  node.Run();
  ASSERT_EQ(node.writes.size(), 1U);
  EXPECT_EQ(node.writes[0].vote->term, Term(2));
  EXPECT_EQ(node.writes[0].cut_from, LogIndex(2));
  EXPECT_EQ(node.writes[0].entries.size(), 3U);
}

// What was cut before it ever left needs no cut on the disk.
TEST(AsyncWriteTest, EntriesThatNeverReachedTheDiskAreNotCutThere) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.raft.Receive(NodeId(2), MakeAppend(1, 0, 0, {1, 1}));
  node.raft.Receive(NodeId(3), MakeAppend(2, 0, 0, {2}));
  node.Run();
  ASSERT_EQ(node.writes.size(), 1U);
  EXPECT_EQ(node.writes[0].cut_from, std::nullopt);
  EXPECT_EQ(node.writes[0].entries.size(), 1U);
}

// ---- Logs that lost something

Recovered Damaged() {
  Recovered recovered = LogOfTerms({1, 1, 1, 2, 2, 2}, 2);
  recovered.health.damaged = IndexRange{LogIndex(3), LogIndex(4)};
  recovered.commit_hint = LogIndex(2);
  return recovered;
}

// R70: votes go by the true last entry, so that nothing acknowledged can be voted away.
TEST(DamagedLogTest, VotesWithItsTrueLastEntry) {
  LoneNode node(Damaged());
  node.Receive(2, AskVote(3, 2, 5));
  EXPECT_FALSE(node.TakeTo<VoteReply>(2).at(0).granted);
  node.Receive(2, AskVote(4, 2, 6));
  EXPECT_TRUE(node.TakeTo<VoteReply>(2).at(0).granted);
}

TEST(DamagedLogTest, RefusesAppendsAsIfItEndedBeforeTheDamage) {
  LoneNode node(Damaged());
  node.Receive(2, MakeAppend(2, 2, 6, {2}));
  EXPECT_EQ(node.TakeTo<AppendReply>(2).at(0), RefusedAt(Term(2), 6, 1, 2));
}

TEST(DamagedLogTest, KeepsVotingByItsOldLastEntryUntilItIsRefilled) {
  LoneNode node(Damaged());
  node.Receive(2, MakeAppend(2, 1, 2, {1}));
  EXPECT_TRUE(node.view().refilling);
  EXPECT_EQ(node.writes.back().cut_from, LogIndex(3));
  node.Tick(Limits().election_ticks_min);
  node.Receive(3, AskVote(3, 2, 5));
  EXPECT_FALSE(node.TakeTo<VoteReply>(3).at(0).granted);
  node.Receive(2, MakeAppend(3, 1, 3, {2, 2, 2}));
  EXPECT_FALSE(node.view().refilling);
  EXPECT_LE(node.TickUntilCampaign(), Limits().election_ticks_max);
}

// A shorter log of a later term is as good: what it lacks was never committed.
TEST(DamagedLogTest, IsWholeAgainWithALaterTermsLog) {
  LoneNode node(Damaged());
  node.Receive(2, MakeAppend(5, 1, 2, {5}));
  EXPECT_FALSE(node.view().refilling);
}

TEST(LostLogTest, NeitherVotesNorCampaignsUntilMatched) {
  Recovered recovered = LogOfTerms({1, 1}, 1);
  recovered.health.lost_up_to = LogIndex(4);
  recovered.health.lost_term = recovered.vote.term;
  LoneNode node(recovered);
  node.Receive(2, AskPreVote(2, 9, 9));
  EXPECT_FALSE(node.TakeTo<VoteReply>(2).at(0).granted);
  node.Receive(2, AskVote(2, 9, 9));
  EXPECT_FALSE(node.TakeTo<VoteReply>(2).at(0).granted);
  node.Receive(3, MakeAppend(2, 1, 2, {1}));
  EXPECT_TRUE(node.view().refilling);
  node.Receive(3, MakeAppend(2, 1, 3, {2}));
  EXPECT_FALSE(node.view().refilling);
  node.Tick(Limits().election_ticks_min);
  node.Receive(2, AskVote(3, 9, 9));
  EXPECT_TRUE(node.TakeTo<VoteReply>(2).at(0).granted);
}

// What was lost may have been in no other log: where the leader of a later term has a shorter one
// and nothing is written, nobody would ever be able to count on this voter again.
TEST(LostLogTest, AnEntryOfALaterTermEndsIt) {
  Recovered recovered = LogOfTerms({1, 1}, 1);
  recovered.vote.term = Term(2);
  recovered.health.lost_up_to = LogIndex(9);
  recovered.health.lost_term = recovered.vote.term;
  LoneNode node(recovered);
  node.Receive(2, MakeAppend(2, 1, 2, {2}));
  EXPECT_TRUE(node.view().refilling) << "entry 3 may have been one of those";
  node.Receive(3, MakeAppend(4, 2, 3, {2}));
  EXPECT_TRUE(node.view().refilling) << "the leader's term alone says nothing of what is here";
  node.Receive(3, MakeAppend(4, 2, 4, {4}));
  EXPECT_FALSE(node.view().refilling);
  node.Tick(Limits().election_ticks_min);
  node.Receive(3, AskVote(5, 9, 9));
  EXPECT_TRUE(node.TakeTo<VoteReply>(3).at(0).granted);
}

// R73
TEST(LostLogTest, ACommitHintAboveTheLastEntryProvesALoss) {
  Recovered recovered = LogOfTerms({1, 1}, 1);
  recovered.commit_hint = LogIndex(5);
  LoneNode node(recovered);
  EXPECT_TRUE(node.view().refilling);
  EXPECT_EQ(node.view().commit, LogIndex(2));
}

// R73
TEST(LostLogTest, AHeartbeatAboveTheLastEntryProvesALossAndIsSurvived) {
  LoneNode node(LogOfTerms({1, 1}, 1));
  for (int i = 0; i < 3; ++i) node.Receive(2, Beat(1, 7));
  EXPECT_TRUE(node.view().refilling);
  EXPECT_EQ(node.view().commit, LogIndex(0));
  const auto replies = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(replies.size(), 3U);
  EXPECT_EQ(replies[0], RefusedAt(Term(1), 7, 1, 2));
  node.Receive(2, MakeAppend(1, 1, 2, {1, 1, 1, 1, 1}, 7));
  EXPECT_FALSE(node.view().refilling);
}

// R18, R73: it leans on what this node acknowledged, and some of that is gone.
TEST(LostLogTest, AHeartbeatCommitsNothingBeforeTheLogIsRefilled) {
  Recovered recovered = LogOfTerms({1, 1, 1}, 2);
  recovered.health.lost_up_to = LogIndex(4);
  recovered.health.lost_term = recovered.vote.term;
  LoneNode node(recovered);
  node.Receive(2, Beat(2, 2));
  EXPECT_EQ(node.view().commit, LogIndex(0));
  const auto replies = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_EQ(replies[0], RefusedAt(Term(2), 2, 1, 2));
  node.Receive(2, MakeAppend(2, 1, 1, {2}, 2));
  EXPECT_EQ(node.view().commit, LogIndex(2));
  ASSERT_TRUE(node.view().refilling);
  // Of what an append has proved nothing is asked for again.
  node.Take<AppendReply>();
  node.Receive(2, Beat(2, 2));
  EXPECT_TRUE(node.Take<AppendReply>().empty());
}

// R18, R73: what a cut had taken back stands there again, as long as the leader's log.
TEST(LostLogTest, AnIdleLeaderReplacesEntriesThatALostCutHadTakenBack) {
  Cluster cluster({.nodes = 3, .compact = false});
  const std::uint64_t first = cluster.Elect();
  const std::uint64_t leader = first % 3 + 1;
  cluster.Transfer(first, leader);
  cluster.Stabilize();
  ASSERT_EQ(cluster.leader(), leader);
  for (int i = 0; i < 5; ++i) cluster.Propose(leader, "a");
  cluster.Stabilize();
  const std::uint64_t victim = leader % 3 + 1;
  cluster.Crash(victim);
  FakeDisk& disk = cluster.disk(victim);
  ASSERT_EQ(disk.last_index(), LogIndex(7));
  for (std::uint64_t i = 2; i <= 7; ++i) disk.entries[i - 1] = MakeEntry(1, i, "taken back");
  disk.commit_hint = LogIndex(1);
  disk.health.lost_up_to = LogIndex(8);
  disk.health.lost_term = disk.vote.term;
  cluster.Restart(victim);
  for (std::uint32_t i = 0; i < 3 * Limits().heartbeat_ticks; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  EXPECT_EQ(cluster.leader(), leader);
  EXPECT_EQ(cluster.Applied(victim), cluster.Applied(leader));
  EXPECT_TRUE(cluster.view(victim).refilling);
  cluster.Propose(leader, "a");
  cluster.Stabilize();
  EXPECT_FALSE(cluster.view(victim).refilling);
}

// R73: the whole way round, without anybody telling the leader.
TEST(LostLogTest, AnIdleLeaderRefillsAFollowerThatLostItsTail) {
  Cluster cluster({.nodes = 3, .compact = false});
  const std::uint64_t leader = cluster.Elect();
  for (int i = 0; i < 5; ++i) cluster.Propose(leader, "a");
  cluster.Stabilize();
  const std::uint64_t victim = leader % 3 + 1;
  cluster.Crash(victim);
  FakeDisk& disk = cluster.disk(victim);
  disk.entries.resize(2);
  disk.commit_hint = LogIndex(2);
  cluster.Restart(victim);
  for (std::uint32_t i = 0; i < 3 * Limits().heartbeat_ticks; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  EXPECT_EQ(cluster.leader(), leader);
  EXPECT_EQ(cluster.view(victim).last_index, LogIndex(6));
  EXPECT_FALSE(cluster.view(victim).refilling);
}

// R54, R74
TEST(LostLogTest, AStateMachineAheadOfTheLogIsNeverFedFromBelow) {
  LoneNode node(LogOfTerms({1, 1}, 1));
  node.raft.ApplyFrom(LogIndex(4), LogIndex(4));
  node.Run();
  EXPECT_TRUE(node.view().refilling);
  node.Receive(2, MakeAppend(1, 1, 2, {1, 1, 1}, 5));
  EXPECT_FALSE(node.view().refilling);
  ASSERT_EQ(node.applied.size(), 1U);
  EXPECT_EQ(node.applied[0].first, LogIndex(5));
}

// ---- What is handed to the state machine

TEST(ApplyTest, ARestartedStateMachineIsFedAgainFromWhereItIs) {
  LoneNode node = LoneNode::Fresh();
  node.report_applied = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 3));
  ASSERT_EQ(node.applied.size(), 1U);
  node.raft.ApplyFrom(LogIndex(1), LogIndex(1));
  node.Run();
  ASSERT_EQ(node.applied.size(), 2U);
  EXPECT_EQ(node.applied[1].first, LogIndex(2));
  EXPECT_EQ(node.applied[1].last, LogIndex(3));
}

TEST(ApplyTest, WhatTheStateMachineHasAlreadyIsNotHandedOut) {
  LoneNode node = LoneNode::Fresh();
  node.raft.Applied(LogIndex(2), LogIndex(2));
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 3));
  ASSERT_EQ(node.applied.size(), 1U);
  EXPECT_EQ(node.applied[0].first, LogIndex(3));
}

// R82
TEST(ApplyTest, PagesChangeNeitherTheCommitNorTheAppliedIndex) {
  Limits limits;
  limits.apply_bytes_max = 2;
  limits.apply_window_bytes_max = 4;
  LoneNode node = LoneNode::Fresh(3, limits);
  node.report_applied = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1, 1, 1, 1, 1}, 7));
  EXPECT_EQ(node.view().commit, LogIndex(7));
  EXPECT_EQ(node.view().applied, LogIndex(0));
  ASSERT_EQ(node.applied.size(), 2U);  // Two pages fill the window.
  EXPECT_EQ(node.applied[0].last, LogIndex(2));
  EXPECT_EQ(node.applied[1].last, LogIndex(4));
  node.raft.Applied(LogIndex(2), LogIndex(0));
  node.Run();
  EXPECT_EQ(node.view().applied, LogIndex(2));
  ASSERT_EQ(node.applied.size(), 3U);
  EXPECT_EQ(node.applied[2].last, LogIndex(6));
}

TEST(ApplyTest, EntriesThatAreNotInMemoryAreLeftToTheLog) {
  Recovered recovered = LogOfTerms({1, 1, 1}, 1);
  recovered.commit_hint = LogIndex(3);
  LoneNode node(recovered);
  ASSERT_EQ(node.applied.size(), 1U);
  EXPECT_EQ(node.applied[0].first, LogIndex(1));
  EXPECT_EQ(node.applied[0].last, LogIndex(3));
  EXPECT_TRUE(node.applied[0].entries.empty());
}

}  // namespace
}  // namespace bedrock::raft
