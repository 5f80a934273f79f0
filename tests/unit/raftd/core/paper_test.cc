// The Raft paper (Ongaro and Ousterhout, extended version, 2014) as tests: figure 2 first, in its
// order, then sections 5.1 to 5.4. Each test's comment says in our words what the paper demands.

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

using Terms = std::vector<std::uint64_t>;

// ---- Figure 2: state

// Figure 2, persistent state: term and vote are on stable storage before an RPC is answered.
TEST(PaperFigure2, TermAndVoteAreDurableBeforeTheVoteLeaves) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.Receive(2, AskVote(1, 0, 0));
  ASSERT_EQ(node.writes.size(), 1U);
  EXPECT_EQ(node.writes[0].vote, (Vote{Term(1), NodeId(2)}));
  EXPECT_TRUE(node.Take<VoteReply>().empty());
  node.Sync();
  const auto replies = node.TakeTo<VoteReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_TRUE(replies[0].granted);
}

// Figure 2, persistent state: the log is on stable storage before an append is acknowledged.
TEST(PaperFigure2, EntriesAreDurableBeforeTheAcknowledgementLeaves) {
  LoneNode node = LoneNode::Fresh();
  node.sync = false;
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1}));
  EXPECT_TRUE(node.Take<AppendReply>().empty());
  node.Sync();
  const auto replies = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_TRUE(replies[0].accepted);
}

// Figure 2, persistent state: a first boot starts in term 0 with no vote and an empty log from 1.
TEST(PaperFigure2, AFirstBootStartsAtZero) {
  const View view = LoneNode::Fresh().view();
  EXPECT_EQ(view.term, Term(0));
  EXPECT_EQ(view.vote, NodeId());
  EXPECT_EQ(view.first_index, LogIndex(1));
  EXPECT_EQ(view.last_index, LogIndex(0));
}

// Figure 2, volatile state: commit and applied start at zero and only grow.
TEST(PaperFigure2, CommitStartsAtZeroAndNeverFalls) {
  LoneNode node = LoneNode::Fresh();
  EXPECT_EQ(node.view().commit, LogIndex(0));
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 3));
  EXPECT_EQ(node.view().commit, LogIndex(3));
  node.Receive(2, MakeAppend(1, 1, 3, {}, 1));
  EXPECT_EQ(node.view().commit, LogIndex(3));
}

// Figure 2, leader's state: at election every next index is the last of the log plus one and every
// match index is zero.
TEST(PaperFigure2, ANewLeaderAssumesFollowersAreUpToDateAndKnowsNothing) {
  LoneNode node(LogOfTerms({1, 1, 1}, 1));
  node.BecomeLeader();
  for (const MemberProgress& member : node.view().members) {
    EXPECT_EQ(member.match, LogIndex(0));
    EXPECT_EQ(member.next, LogIndex(4));
  }
}

// ---- Figure 2: AppendEntries, receiver

// 1: a request of an older term is refused, with the newer term.
TEST(PaperFigure2, AnAppendOfAnOlderTermIsRefused) {
  LoneNode node(LogOfTerms({1}, 3));
  node.Receive(2, MakeAppend(2, 1, 1, {2}));
  const auto replies = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_FALSE(replies[0].accepted);
  EXPECT_EQ(replies[0].term, Term(3));
  EXPECT_EQ(TermsOf(node.raft), Terms({1}));
}

// 2: a request is refused where the log has no entry at prev_index with prev_term.
TEST(PaperFigure2, AnAppendIsRefusedWhereTheEntryBeforeDoesNotMatch) {
  for (const auto& [prev_term, prev_index] :
       std::vector<std::pair<std::uint64_t, std::uint64_t>>{{2, 3}, {2, 2}, {1, 3}}) {
    LoneNode node(LogOfTerms({1, 1}, 2));
    node.Receive(2, MakeAppend(2, prev_term, prev_index, {2}));
    const auto replies = node.TakeTo<AppendReply>(2);
    ASSERT_EQ(replies.size(), 1U);
    EXPECT_FALSE(replies[0].accepted);
    EXPECT_EQ(TermsOf(node.raft), Terms({1, 1}));
  }
}

// 3: an entry that conflicts with a new one, by its term, goes, and all that follow it.
TEST(PaperFigure2, AConflictingEntryAndAllBehindItAreDeleted) {
  LoneNode node(LogOfTerms({1, 1, 2, 2}, 2));
  node.Receive(2, MakeAppend(3, 1, 1, {3}));
  EXPECT_EQ(TermsOf(node.raft), Terms({1, 3}));
  ASSERT_FALSE(node.writes.empty());
  EXPECT_EQ(node.writes.back().cut_from, LogIndex(2));
}

// 4: entries that are not in the log yet are appended; those that are stay.
TEST(PaperFigure2, OnlyEntriesThatAreMissingAreAppended) {
  LoneNode node(LogOfTerms({1, 1}, 1));
  node.Receive(2, MakeAppend(2, 1, 1, {1, 2}));
  EXPECT_EQ(TermsOf(node.raft), Terms({1, 1, 2}));
  ASSERT_EQ(node.writes.size(), 1U);
  EXPECT_EQ(node.writes[0].entries.size(), 1U);
  EXPECT_EQ(node.writes[0].cut_from, std::nullopt);
}

// 5: the commit index becomes the lower of the leader's and the last new entry's.
TEST(PaperFigure2, TheFollowersCommitIsTheLowerOfTheLeadersAndTheLastNewEntry) {
  struct Case {
    std::uint64_t leader_commit;
    std::uint64_t expected;
  };
  for (const Case& c : {Case{0, 0}, Case{1, 1}, Case{2, 2}, Case{9, 2}}) {
    LoneNode node = LoneNode::Fresh();
    node.Receive(2, MakeAppend(1, 0, 0, {1, 1}, c.leader_commit));
    EXPECT_EQ(node.view().commit, LogIndex(c.expected));
  }
}

// ---- Figure 2: RequestVote, receiver

// 1: a request of an older term is refused, with the newer term.
TEST(PaperFigure2, AVoteOfAnOlderTermIsRefused) {
  LoneNode node(LogOfTerms({}, 5));
  node.Receive(2, AskVote(4, 9, 9));
  const auto replies = node.TakeTo<VoteReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_FALSE(replies[0].granted);
  EXPECT_EQ(replies[0].term, Term(5));
}

// 2: granted if the node voted for nobody or for that candidate, and the candidate's log is at
// least as up to date.
TEST(PaperFigure2, TheVoteIsGrantedByPreviousVoteAndLog) {
  struct Case {
    std::uint64_t voted_for;
    std::uint64_t last_term;
    std::uint64_t last_index;
    bool granted;
  };
  for (const Case& c :
       {Case{0, 2, 2, true}, Case{2, 2, 2, true}, Case{3, 2, 2, false}, Case{0, 1, 9, false},
        Case{0, 2, 1, false}, Case{0, 3, 1, true}, Case{0, 2, 3, true}}) {
    Recovered recovered = LogOfTerms({1, 2}, 5);
    recovered.vote.candidate = NodeId(c.voted_for);
    LoneNode node(recovered);
    node.Receive(2, AskVote(5, c.last_term, c.last_index));
    const auto replies = node.TakeTo<VoteReply>(2);
    ASSERT_EQ(replies.size(), 1U);
    EXPECT_EQ(replies[0].granted, c.granted)
        << c.voted_for << " " << c.last_term << ":" << c.last_index;
  }
}

// ---- Figure 2: rules for servers

// All servers: what is committed and not applied is applied, in order.
TEST(PaperFigure2, CommittedEntriesAreAppliedInOrder) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 2));
  ASSERT_EQ(node.applied.size(), 1U);
  EXPECT_EQ(node.applied[0].first, LogIndex(1));
  EXPECT_EQ(node.applied[0].last, LogIndex(2));
  node.Receive(2, MakeAppend(1, 1, 3, {}, 3));
  ASSERT_EQ(node.applied.size(), 2U);
  EXPECT_EQ(node.applied[1].first, LogIndex(3));
}

// All servers: a message of a newer term makes any role a follower in that term.
TEST(PaperFigure2, ANewerTermMakesAnyRoleAFollower) {
  for (const int role : {0, 1, 2, 3}) {
    LoneNode node = LoneNode::Fresh();
    if (role == 1) node.TickUntilCampaign();
    if (role == 2) node.BecomeCandidate();
    if (role == 3) node.BecomeLeader();
    ASSERT_EQ(static_cast<int>(node.view().role), role);
    node.Receive(2, MakeAppend(9, 0, 0, {}));
    EXPECT_EQ(node.view().role, Role::kFollower);
    EXPECT_EQ(node.view().term, Term(9));
    EXPECT_EQ(node.view().leader, NodeId(2));
  }
}

// Followers: an election timeout without the leader and without granting a vote ends in a campaign.
TEST(PaperFigure2, ASilentLeaderLeadsToACampaign) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, MakeAppend(1, 0, 0, {}));
  const std::uint64_t ticks = node.TickUntilCampaign();
  EXPECT_GE(ticks, Limits().election_ticks_min);
  EXPECT_LE(ticks, Limits().election_ticks_max);
}

// Candidates: a campaign raises the term, votes for oneself, and asks all others.
TEST(PaperFigure2, ACampaignRaisesTheTermVotesForItselfAndAsksAll) {
  LoneNode node(LogOfTerms({1, 2}, 2, 5));
  node.BecomeCandidate();
  EXPECT_EQ(node.view().term, Term(3));
  EXPECT_EQ(node.view().vote, NodeId(1));
  std::set<std::uint64_t> asked;
  for (const auto& [to, request] : node.Take<VoteRequest>()) {
    if (request.pre_vote) continue;
    EXPECT_EQ(request, AskVote(3, 2, 2));
    asked.insert(to);
  }
  EXPECT_EQ(asked, (std::set<std::uint64_t>{2, 3, 4, 5}));
}

// Candidates: votes of a majority make a leader, in clusters of every size.
TEST(PaperFigure2, AMajorityOfVotesMakesALeader) {
  for (std::size_t voters = 2; voters <= 7; ++voters) {
    LoneNode node = LoneNode::Fresh(voters);
    node.BecomeCandidate();
    const std::size_t needed = voters / 2;  // With its own, a majority.
    for (std::uint64_t from = 2; from <= needed + 1; ++from) {
      EXPECT_EQ(node.view().role, Role::kCandidate);
      node.Receive(from, VoteReply{PreVote::kNo, node.term(), true});
    }
    EXPECT_EQ(node.view().role, Role::kLeader) << voters << " voters";
  }
}

// Candidates: an append of the new leader makes a follower.
TEST(PaperFigure2, ACandidateThatHearsTheNewLeaderFollowsIt) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeCandidate();
  node.Receive(3, MakeAppend(node.term().value(), 0, 0, {}));
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.view().leader, NodeId(3));
}

// Candidates: another election timeout starts another election.
TEST(PaperFigure2, AnElectionWithoutAWinnerIsFollowedByAnother) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeCandidate();
  const Term first = node.term();
  node.Tick(Limits().election_ticks_max);
  EXPECT_EQ(node.view().role, Role::kPreCandidate);
  node.Receive(2, VoteReply{PreVote::kYes, first.Next(), true});
  EXPECT_EQ(node.view().role, Role::kCandidate);
  EXPECT_EQ(node.term(), first.Next());
}

// Leaders: heartbeats go out upon election and then repeat, to keep others from campaigning.
TEST(PaperFigure2, ALeaderSpeaksAtOnceAndThenRegularly) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  EXPECT_EQ(node.Take<AppendRequest>().size(), 2U);
  node.Tick(Limits().heartbeat_ticks);
  EXPECT_EQ(node.Take<Heartbeat>().size(), 2U);
}

// Leaders: a command is appended first and answered when it is applied, not before.
TEST(PaperFigure2, ACommandIsAppliedOnlyWhenItIsCommitted) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  const Proposed proposed = node.Propose({"a"});
  EXPECT_EQ(proposed.first, LogIndex(2));
  EXPECT_TRUE(node.applied.empty());
  node.AcknowledgeAll(2);
  ASSERT_EQ(node.applied.size(), 1U);
  EXPECT_EQ(node.applied[0].last, LogIndex(2));
}

// Leaders: a follower is sent the entries from its next index on.
TEST(PaperFigure2, AFollowerIsSentWhatItLacks) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.Take<AppendRequest>();
  node.Propose({"a", "b"});
  const auto appends = node.TakeTo<AppendRequest>(2);
  ASSERT_EQ(appends.size(), 1U);
  EXPECT_EQ(appends[0].prev_index, LogIndex(1));
  EXPECT_EQ(appends[0].entries.size(), 2U);
}

// Leaders: success raises the follower's next and match index.
TEST(PaperFigure2, AnAcknowledgementRaisesNextAndMatch) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  EXPECT_EQ(node.view().members[0].match, LogIndex(1));
  EXPECT_EQ(node.view().members[0].next, LogIndex(2));
}

// Leaders: a refusal lowers next and tries again.
TEST(PaperFigure2, ARefusalLowersNextAndTriesAgain) {
  LoneNode node(LogOfTerms({1, 1, 1}, 1));
  node.BecomeLeader();
  node.Take<AppendRequest>();
  node.Receive(2, RefusedAt(node.term(), 3, 1, 1));
  const auto appends = node.TakeTo<AppendRequest>(2);
  EXPECT_EQ(node.view().members[0].next, LogIndex(2));
  EXPECT_EQ(node.fetches.size(), 1U);  // The entry is not in memory after a restart.
  EXPECT_TRUE(appends.empty());
}

// Leaders: the commit index is the highest that a majority holds, of the own term.
TEST(PaperFigure2, TheLeaderCommitsWhatAMajorityHolds) {
  LoneNode node = LoneNode::Fresh(5);
  node.BecomeLeader();
  node.Propose({"a", "b"});
  node.Receive(2, Accepted(node.term(), 3));
  EXPECT_EQ(node.view().commit, LogIndex(0));
  node.Receive(3, Accepted(node.term(), 2));
  EXPECT_EQ(node.view().commit, LogIndex(2));
  node.Receive(4, Accepted(node.term(), 3));
  EXPECT_EQ(node.view().commit, LogIndex(3));
}

// ---- 5.1

// Terms grow and are exchanged: the smaller one is raised to the larger, on disk first.
TEST(PaperSection51, TheLargerTermIsAdoptedAndWritten) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, AskVote(7, 0, 0));
  EXPECT_EQ(node.view().term, Term(7));
  EXPECT_EQ(node.writes.back().vote->term, Term(7));
}

// A candidate or leader that learns of a larger term steps down at once.
TEST(PaperSection51, ALargerTermInAnAnswerMakesALeaderStepDown) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.Receive(2, RefusedAt(Term(9), 0, 0, 0));
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.view().term, Term(9));
}

// ---- 5.2

// Servers begin as followers.
TEST(PaperSection52, AServerBeginsAsAFollower) {
  EXPECT_EQ(LoneNode::Fresh().view().role, Role::kFollower);
}

// A follower stays one as long as it hears a leader.
TEST(PaperSection52, HeartbeatsKeepAFollowerAFollower) {
  LoneNode node = LoneNode::Fresh();
  for (int i = 0; i < 30; ++i) {
    node.Receive(2, Heartbeat{Term(1), LogIndex(), 0, LogIndex()});
    node.Tick(Limits().election_ticks_min - 1);
    ASSERT_EQ(node.view().role, Role::kFollower);
  }
}

// A server votes for at most one candidate a term, first come first served.
TEST(PaperSection52, OnlyTheFirstCandidateOfATermGetsTheVote) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, AskVote(1, 0, 0));
  node.Receive(3, AskVote(1, 5, 5));
  const auto replies = node.Take<VoteReply>();
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_TRUE(replies[0].message.granted);
  EXPECT_FALSE(replies[1].message.granted);
  EXPECT_EQ(node.view().vote, NodeId(2));
}

// A candidate ignores a leader of an older term and goes on.
TEST(PaperSection52, ACandidateIgnoresALeaderOfAnOlderTerm) {
  LoneNode node(LogOfTerms({}, 5));
  node.BecomeCandidate();
  node.Receive(2, MakeAppend(5, 0, 0, {}));
  EXPECT_EQ(node.view().role, Role::kCandidate);
}

// Timeouts are random, so that they rarely collide.
TEST(PaperSection52, ElectionTimeoutsAreSpreadOverTheWholeRange) {
  const Limits limits;
  std::set<std::uint64_t> timeouts;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    LoneNode node(LogOfTerms({}, 0), limits, seed);
    timeouts.insert(node.TickUntilCampaign());
  }
  EXPECT_EQ(timeouts.size(), limits.election_ticks_max - limits.election_ticks_min + 1);
  EXPECT_EQ(*timeouts.begin(), limits.election_ticks_min);
  EXPECT_EQ(*timeouts.rbegin(), limits.election_ticks_max);
}

// ---- 5.3

// Entries carry the leader's term and their place; a leader never changes its own log but by
// adding.
TEST(PaperSection53, ALeaderOnlyAppendsToItsLog) {
  LoneNode node(LogOfTerms({1, 1}, 1));
  node.BecomeLeader();
  node.Propose({"a"});
  EXPECT_EQ(TermsOf(node.raft), Terms({1, 1, 2, 2}));
  for (const Write& write : node.writes) EXPECT_EQ(write.cut_from, std::nullopt);
}

// Committing an entry commits all before it, those of earlier leaders included.
TEST(PaperSection53, CommittingAnEntryCommitsAllBeforeIt) {
  LoneNode node(LogOfTerms({1, 1}, 1));
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  EXPECT_EQ(node.view().commit, LogIndex(3));
  LogIndex applied;
  for (const ApplyRange& range : node.applied) {
    EXPECT_EQ(range.first, applied.Next());
    applied = range.last;
  }
  EXPECT_EQ(applied, LogIndex(3));
}

// Once a follower learns that an entry is committed, it applies it.
TEST(PaperSection53, FollowersLearnTheCommitIndexAndApply) {
  Cluster cluster({});
  const std::uint64_t leader = cluster.Elect();
  cluster.Propose(leader, "a");
  cluster.Stabilize();
  for (std::uint64_t id : cluster.ids()) EXPECT_EQ(cluster.Applied(id), "-a");
}

// A follower that missed appends is caught up, however long it was away.
TEST(PaperSection53, AFollowerThatWasAwayIsCaughtUp) {
  Cluster cluster({});
  const std::uint64_t leader = cluster.Elect();
  const std::uint64_t away = leader % 3 + 1;
  cluster.Crash(away);
  for (int i = 0; i < 20; ++i) cluster.Propose(leader, "a");
  cluster.Stabilize();
  cluster.Restart(away);
  cluster.Stabilize();
  EXPECT_EQ(cluster.Applied(away), cluster.Applied(leader));
}

// Figure 7: whatever a follower's log looks like, the leader makes it equal to its own.
TEST(PaperSection53, TheLeaderBringsEveryLogOfFigure7IntoLine) {
  const Terms leaders = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
  const std::vector<Terms> followers = {
      {1, 1, 1, 4, 4, 5, 5, 6, 6},
      {1, 1, 1, 4},
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7},
      {1, 1, 1, 4, 4, 4, 4},
      {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3},
  };
  for (const Terms& theirs : followers) {
    Cluster cluster({});
    const auto fill = [&](std::uint64_t id, const Terms& terms) {
      cluster.Crash(id);
      FakeDisk& disk = cluster.disk(id);
      disk.vote.term = Term(7);
      for (std::uint64_t term : terms) {
        disk.entries.push_back(MakeEntry(term, disk.entries.size() + 1, std::to_string(term)));
      }
    };
    fill(1, leaders);
    fill(2, theirs);
    fill(3, {});
    for (std::uint64_t id : {1U, 2U, 3U}) cluster.Restart(id);
    // Node 3 lacks everything and votes for node 1, which leads over node 2's objections.
    cluster.Cut(2, 1);
    cluster.Cut(2, 3);
    cluster.Cut(1, 2);
    ASSERT_EQ(cluster.Elect(), 1U);
    cluster.Heal();
    cluster.at(1).LinkReset(NodeId(2));
    cluster.Run(1);
    for (int i = 0; i < 20; ++i) {
      cluster.TickAll(1);
      cluster.Stabilize();
    }
    const std::uint64_t leader = cluster.Elect();
    ASSERT_NE(leader, 0U);
    EXPECT_EQ(TermsOf(cluster.at(2)), TermsOf(cluster.at(leader)));
  }
}

// Appending is idempotent: the same request twice changes nothing the second time.
TEST(PaperSection53, ARepeatedAppendChangesNothing) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1}));
  const std::size_t writes = node.writes.size();
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1}));
  EXPECT_EQ(node.writes.size(), writes);
  const auto replies = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(replies.size(), 2U);
  EXPECT_EQ(replies[0], replies[1]);
}

// ---- 5.4

// 5.4.1: a candidate whose log lacks what a majority holds can't win.
TEST(PaperSection54, ACandidateWithoutAllCommittedEntriesCanNotWin) {
  Cluster cluster({});
  const std::uint64_t leader = cluster.Elect();
  const std::uint64_t behind = leader % 3 + 1;
  cluster.Isolate(behind);
  cluster.Propose(leader, "a");
  cluster.Stabilize();
  cluster.Heal();
  cluster.Crash(leader);
  cluster.Campaign(behind);
  cluster.TickAll(Limits().election_ticks_max);
  cluster.Stabilize();
  EXPECT_NE(cluster.Elect(), behind);
  EXPECT_NE(cluster.leader(), 0U);
}

// 5.4.1: the log with the later last term is more up to date; of equal terms the longer one.
TEST(PaperSection54, TheLaterTermWinsOverTheLongerLog) {
  LoneNode node(LogOfTerms({1, 1, 1, 1}, 2));
  node.Receive(2, AskVote(3, 2, 1));
  EXPECT_TRUE(node.TakeTo<VoteReply>(2).at(0).granted);
}

// 5.4.2, figure 8: an entry of an earlier term on a majority is not committed by counting; one of
// the own term above it commits it.
TEST(PaperSection54, EntriesOfEarlierTermsAreCommittedOnlyThroughTheOwnTerm) {
  LoneNode node(LogOfTerms({1, 2}, 2));
  node.BecomeLeader();
  node.Receive(2, Accepted(node.term(), 2));
  node.Receive(3, Accepted(node.term(), 2));
  EXPECT_EQ(node.view().commit, LogIndex(0));
  node.Receive(2, Accepted(node.term(), 3));
  EXPECT_EQ(node.view().commit, LogIndex(3));
}

// 5.5: RPCs are retried for ever; a crashed follower that comes back completes them.
TEST(PaperSection55, RequestsToACrashedFollowerAreRetriedUntilItIsBack) {
  Cluster cluster({});
  const std::uint64_t leader = cluster.Elect();
  const std::uint64_t away = leader % 3 + 1;
  cluster.Crash(away);
  cluster.Propose(leader, "a");
  cluster.Stabilize();
  for (int i = 0; i < 200; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  cluster.Restart(away);
  cluster.Stabilize();
  EXPECT_EQ(cluster.Applied(away), "-a");
}

// 5.6: within the timing requirement the cluster keeps one leader for as long as it likes.
TEST(PaperSection56, AHealthyClusterKeepsItsLeader) {
  Cluster cluster({.nodes = 5});
  const std::uint64_t leader = cluster.Elect();
  const Term term = cluster.view(leader).term;
  for (int i = 0; i < 2000; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  EXPECT_EQ(cluster.leader(), leader);
  EXPECT_EQ(cluster.view(leader).term, term);
}

}  // namespace
}  // namespace bedrock::raft
