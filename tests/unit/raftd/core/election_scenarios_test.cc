// Elections as stories and tables: the rows of tests/scenarios.md that no test of a single rule
// (election_test.cc) or of a sentence of the paper (paper_test.cc) tells.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

constexpr Limits kLimits = {
    .heartbeat_ticks = 3, .election_ticks_min = 10, .election_ticks_max = 20};

ClusterOptions Options(std::size_t nodes) { return {.nodes = nodes, .limits = kLimits}; }

void Isolate(Cluster& cluster, std::uint64_t a, std::uint64_t b) {
  cluster.Cut(a, b);
  cluster.Cut(b, a);
}

/// Ticks everybody and delivers for `ticks` ticks.
void RunFor(Cluster& cluster, std::uint64_t ticks) {
  for (std::uint64_t i = 0; i < ticks; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
}

// ---- Timeouts

TEST(TimeoutScenarios, ACandidatesWaitsAreSpreadOverTheWholeRangeAsAFollowersAre) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  std::set<std::uint64_t> waits;
  node.TickUntilCampaign();
  for (int round = 0; round < 400; ++round) {
    // The next round of a candidate that nobody answers begins with another request.
    node.Take<VoteRequest>();
    std::uint64_t ticks = 0;
    while (node.Take<VoteRequest>().empty()) {
      node.Tick();
      ASSERT_LE(++ticks, kLimits.election_ticks_max);
    }
    waits.insert(ticks);
  }
  EXPECT_EQ(*waits.begin(), kLimits.election_ticks_min);
  EXPECT_EQ(*waits.rbegin(), kLimits.election_ticks_max);
  EXPECT_EQ(waits.size(), kLimits.election_ticks_max - kLimits.election_ticks_min + 1U);
}

TEST(TimeoutScenarios, OfFiveFollowersOrCandidatesOneIsMostlyAloneToRun) {
  constexpr int kRounds = 300;
  for (const bool candidates : {false, true}) {
    int together = 0;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<std::uint64_t> waits;
      for (std::uint64_t id = 0; id < 5; ++id) {
        LoneNode node(LogOfTerms({}, 0, 5), Limits(),
                      static_cast<std::uint64_t>(round) * 5 + id + 1);
        std::uint64_t ticks = 0;
        if (candidates) {
          node.TickUntilCampaign();
          node.Take<VoteRequest>();
        }
        for (; node.Take<VoteRequest>().empty(); ++ticks) node.Tick();
        waits.push_back(ticks);
      }
      std::sort(waits.begin(), waits.end());
      together += waits[0] == waits[1] ? 1 : 0;
    }
    EXPECT_LT(together, kRounds * 3 / 10) << (candidates ? "candidates" : "followers");
  }
}

// ---- Counting votes

TEST(VoteTable, WhoHasAMajorityOfAnyClusterLeadsAndWhoCanHaveNoneGivesUp) {
  for (std::size_t voters = 2; voters <= 7; ++voters) {
    for (std::size_t granted = 0; granted < voters; ++granted) {
      for (std::size_t refused = 0; granted + refused < voters; ++refused) {
        SCOPED_TRACE(std::to_string(granted) + " for and " + std::to_string(refused) +
                     " against of " + std::to_string(voters));
        LoneNode node = LoneNode::Fresh(voters, kLimits);
        node.BecomeCandidate();
        for (std::size_t i = 0; i < granted + refused; ++i) {
          node.Receive(2 + i, VoteReply{PreVote::kNo, node.term(), i < granted});
        }
        const std::size_t majority = voters / 2 + 1;
        const Role expected = granted + 1 >= majority       ? Role::kLeader
                              : voters - refused < majority ? Role::kFollower
                                                            : Role::kCandidate;
        EXPECT_EQ(node.view().role, expected);
      }
    }
  }
}

/// The log of the voter ends at 2:3 in each row.
TEST(VoteTable, AVoteGoesToLogsThatAreAtLeastAsNewAndNotPromisedElsewhere) {
  struct Row {
    std::uint64_t last_term, last_index, voted_for;
    bool granted;
  };
  for (const Row& row : std::vector<Row>{{0, 0, 0, false},
                                         {1, 1, 0, false},
                                         {1, 9, 0, false},
                                         {2, 2, 0, false},
                                         {2, 3, 0, true},
                                         {2, 4, 0, true},
                                         {3, 1, 0, true},
                                         {3, 9, 0, true},
                                         {2, 3, 2, true},
                                         {3, 9, 2, true},
                                         {2, 3, 3, false},
                                         {3, 9, 3, false},
                                         {1, 9, 2, false}}) {
    for (const PreVote pre_vote : {PreVote::kNo, PreVote::kYes}) {
      SCOPED_TRACE(std::to_string(row.last_term) + ":" + std::to_string(row.last_index) +
                   " voted for " + std::to_string(row.voted_for));
      Recovered recovered = LogOfTerms({1, 2, 2}, 3);
      recovered.vote.candidate = NodeId(row.voted_for);
      LoneNode node(recovered, kLimits);
      VoteRequest request = AskVote(3, row.last_term, row.last_index);
      request.pre_vote = pre_vote;
      node.Receive(2, request);
      EXPECT_EQ(node.TakeTo<VoteReply>(2).at(0).granted, row.granted);
    }
  }
}

TEST(VoteTable, EveryRoleVotesForALaterTermButALeaderThatHasItsQuorum) {
  for (const Role role : {Role::kFollower, Role::kPreCandidate, Role::kCandidate, Role::kLeader}) {
    LoneNode node = LoneNode::Fresh(3, kLimits);
    if (role == Role::kPreCandidate) node.TickUntilCampaign();
    if (role == Role::kCandidate) node.BecomeCandidate();
    if (role == Role::kLeader) node.BecomeLeader();
    ASSERT_EQ(node.view().role, role);
    const Term term = node.term();
    // A pre-vote first: it moves nobody.
    node.Receive(2, AskPreVote(9, 9, 9));
    EXPECT_EQ(node.TakeTo<VoteReply>(2).at(0).granted, role != Role::kLeader);
    EXPECT_EQ(node.view().role, role);
    EXPECT_EQ(node.term(), term);
    node.Receive(2, AskVote(9, 9, 9));
    EXPECT_EQ(node.TakeTo<VoteReply>(2).at(0).granted, role != Role::kLeader);
    EXPECT_EQ(node.view().role, role == Role::kLeader ? Role::kLeader : Role::kFollower);
    EXPECT_EQ(node.term(), role == Role::kLeader ? term : Term(9));
  }
}

TEST(VoteTable, AVoteRequestNamesTheLastEntryOfTheCandidatesLog) {
  struct Row {
    std::initializer_list<std::uint64_t> log;
    std::uint64_t last_term, last_index;
  };
  for (const Row& row : {Row{{}, 0, 0}, Row{{1}, 1, 1}, Row{{1, 1, 4}, 4, 3}}) {
    LoneNode node(LogOfTerms(row.log, 5), kLimits);
    node.BecomeCandidate();
    const auto asked = node.Take<VoteRequest>();
    ASSERT_EQ(asked.size(), 4U) << "a pre-vote and a vote, of two";
    for (const auto& [to, request] : asked) {
      EXPECT_EQ(request.term, Term(6));
      EXPECT_EQ(request.last_term, Term(row.last_term));
      EXPECT_EQ(request.last_index, LogIndex(row.last_index));
    }
  }
}

TEST(ElectionScenarios, VotesOfAnEarlierCandidacyThatComeLateDoNotCount) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.BecomeCandidate();
  const Term first = node.term();
  node.Tick(kLimits.election_ticks_max);
  ASSERT_EQ(node.view().role, Role::kPreCandidate);
  node.Receive(2, VoteReply{PreVote::kNo, first, true});
  EXPECT_EQ(node.view().role, Role::kPreCandidate);
  node.Receive(2, VoteReply{PreVote::kYes, first.Next(), true});
  ASSERT_EQ(node.view().role, Role::kCandidate);
  node.Receive(2, VoteReply{PreVote::kNo, first, true});
  EXPECT_EQ(node.view().role, Role::kCandidate);
}

TEST(ElectionScenarios, TheOwnVoteOfAnEarlierCandidacyDoesNotCountForTheNext) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.sync = false;
  node.TickUntilCampaign();
  node.Receive(2, VoteReply{PreVote::kYes, Term(1), true});
  ASSERT_EQ(node.view().role, Role::kCandidate);
  const std::uint64_t first_write = node.writes.back().seq.value();
  node.Tick(kLimits.election_ticks_max);
  node.Receive(2, VoteReply{PreVote::kYes, Term(2), true});
  ASSERT_EQ(node.view().role, Role::kCandidate);
  ASSERT_EQ(node.term(), Term(2));
  node.Receive(2, VoteReply{PreVote::kNo, Term(2), true});
  node.Sync(first_write);
  EXPECT_EQ(node.view().role, Role::kCandidate);
  node.Sync();
  EXPECT_EQ(node.view().role, Role::kLeader);
}

TEST(ElectionScenarios, AVoteThatIsDurableAfterTheElectionWasLostMakesNoLeader) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.sync = false;
  node.TickUntilCampaign();
  node.Receive(2, VoteReply{PreVote::kYes, Term(1), true});
  node.Receive(2, VoteReply{PreVote::kNo, Term(1), true});
  ASSERT_EQ(node.view().role, Role::kCandidate) << "one vote, and its own is not durable";
  node.Receive(3, Heartbeat{Term(1), LogIndex(), 0, LogIndex()});
  node.Sync();
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.view().leader, NodeId(3));
}

// ---- Stories of whole clusters

TEST(ElectionScenarios, EveryNodeCanLeadInItsTurn) {
  Cluster cluster(Options(3));
  for (const std::uint64_t id : {1U, 2U, 3U, 1U}) {
    // Whoever led falls silent for as long as the others need to forget it.
    const std::uint64_t old = cluster.leader();
    if (old != 0) cluster.Crash(old);
    for (std::uint64_t other : cluster.ids()) {
      if (cluster.up(other)) cluster.Jump(other, kLimits.election_ticks_min / 2);
      if (cluster.up(other) && other != id) cluster.Jump(other, kLimits.election_ticks_min / 2);
    }
    cluster.Drop(0, 0);
    if (!cluster.up(id)) cluster.Restart(id);
    cluster.Campaign(id);
    cluster.Stabilize();
    ASSERT_EQ(cluster.leader(), id);
    if (old != 0 && !cluster.up(old)) cluster.Restart(old);
    cluster.Stabilize();
    EXPECT_EQ(cluster.leader(), id);
  }
}

TEST(ElectionScenarios, ALeaderReplacesEntriesOfALaterTermThatNoMajorityHolds) {
  // Node 3 was elected in term 2 by 4 and 5 and wrote an entry that it could send to nobody.
  Cluster cluster({.nodes = 5, .limits = kLimits, .compact = false});
  for (std::uint64_t id : cluster.ids()) cluster.Crash(id);
  for (std::uint64_t id : {1U, 2U}) {
    cluster.disk(id).vote = {Term(1), NodeId(1)};
    cluster.disk(id).entries = {MakeEntry(1, 1, "a")};
  }
  for (std::uint64_t id : {3U, 4U, 5U}) cluster.disk(id).vote = {Term(2), NodeId(3)};
  cluster.disk(3).entries = {MakeEntry(2, 1, "b")};
  for (std::uint64_t id : cluster.ids()) cluster.Restart(id);
  // Of the others only 1 can win: its log is longer than those of 4 and 5.
  cluster.Isolate(3);
  for (int attempt = 0; attempt < 5 && cluster.leader() != 1; ++attempt) {
    cluster.Campaign(1);
    cluster.Stabilize();
  }
  ASSERT_EQ(cluster.leader(), 1U);
  EXPECT_GT(cluster.view(1).term, Term(2));
  cluster.Heal();
  RunFor(cluster, 2ULL * kLimits.heartbeat_ticks);
  const std::uint64_t term = cluster.view(1).term.value();
  for (std::uint64_t id : cluster.ids()) {
    EXPECT_EQ(TermsOf(cluster.at(id)), (std::vector<std::uint64_t>{1, term})) << "n" << id;
  }
}

TEST(ElectionScenarios, OfTwoPreCandidatesOneWinsAndTheOtherDisturbsNobody) {
  Cluster cluster(Options(3));
  Isolate(cluster, 1, 3);
  cluster.Campaign(1);
  cluster.Campaign(3);
  cluster.Stabilize();
  // Both asked node 2; the first one won, and what the other asked for then is refused.
  ASSERT_EQ(cluster.leader(), 1U);
  const Term term = cluster.view(1).term;
  RunFor(cluster, 5ULL * kLimits.election_ticks_max);
  EXPECT_EQ(cluster.leader(), 1U);
  EXPECT_EQ(cluster.view(1).term, term);
  EXPECT_EQ(cluster.view(3).role, Role::kPreCandidate);
  cluster.Heal();
  RunFor(cluster, kLimits.election_ticks_max);
  EXPECT_EQ(cluster.view(3).leader, NodeId(1));
  EXPECT_EQ(cluster.view(1).term, term);
}

TEST(ElectionScenarios, ASplitVoteIsFollowedByATermThatHasAWinner) {
  Cluster cluster(Options(3));
  const std::uint64_t gone = cluster.Elect();
  cluster.Crash(gone);
  const std::uint64_t a = gone % 3 + 1;
  const std::uint64_t b = a % 3 + 1;
  // Both get the pre-vote of the other and then stand in the same term.
  for (const std::uint64_t id : {a, b}) {
    for (int half = 0; half < 2; ++half) cluster.Jump(id, kLimits.election_ticks_min / 2);
  }
  cluster.Campaign(a);
  cluster.Campaign(b);
  cluster.Deliver(a, b);
  cluster.Deliver(b, a);
  cluster.Deliver(a, b);
  ASSERT_EQ(cluster.view(a).role, Role::kCandidate);
  ASSERT_EQ(cluster.view(b).role, Role::kCandidate);
  ASSERT_EQ(cluster.view(a).term, cluster.view(b).term);
  const Term split = cluster.view(a).term;
  cluster.Stabilize();
  ASSERT_EQ(cluster.leader(), 0U) << "each voted for itself";
  ASSERT_NE(cluster.Elect(), 0U);
  EXPECT_GT(cluster.view(cluster.leader()).term, split);
}

TEST(ElectionScenarios, ANodeWhoseTermIsOldHelpsToElectOnceItIsBack) {
  Cluster cluster(Options(3));
  cluster.Elect();
  cluster.Isolate(3);
  RunFor(cluster, 30);
  const std::uint64_t first = cluster.leader();
  ASSERT_NE(first, 0U);
  // Terms go up without node 3.
  for (int round = 0; round < 3; ++round) {
    const std::uint64_t leads = cluster.leader();
    const std::uint64_t other = leads == 1 ? 2 : 1;
    cluster.Transfer(leads, other);
    cluster.Stabilize();
    ASSERT_EQ(cluster.leader(), other);
  }
  const Term late = cluster.view(cluster.leader()).term;
  ASSERT_LT(cluster.view(3).term, late);
  const std::uint64_t dies = cluster.leader();
  cluster.Heal();
  cluster.Crash(dies);
  ASSERT_NE(cluster.Elect(), 0U);
  EXPECT_NE(cluster.leader(), dies);
  EXPECT_GT(cluster.view(3).term, late);
}

TEST(ElectionScenarios, ASoundingIsRefusedUntilTheVotersOwnTimeoutIsOver) {
  Cluster cluster(Options(3));
  const std::uint64_t leader = cluster.Elect();
  RunFor(cluster, kLimits.heartbeat_ticks);
  const std::uint64_t early = leader % 3 + 1;
  const std::uint64_t voter = early % 3 + 1;
  cluster.Isolate(leader);
  cluster.Tick(voter, kLimits.election_ticks_min - 2);
  cluster.Campaign(early);
  cluster.Stabilize();
  EXPECT_EQ(cluster.view(early).role, Role::kPreCandidate);
  EXPECT_EQ(cluster.view(voter).leader, NodeId(leader));
  cluster.Tick(voter, 2);
  cluster.Tick(early, kLimits.election_ticks_max);
  cluster.Stabilize();
  EXPECT_EQ(cluster.view(early).role, Role::kLeader);
}

TEST(ElectionScenarios, ALeaderThatHasItsQuorumNeverRunsWhateverItIsAskedFor) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.BecomeLeader();
  const Term term = node.term();
  for (std::uint64_t i = 0; i < 10ULL * kLimits.election_ticks_max; ++i) {
    node.Tick();
    node.Receive(2, HeartbeatReply{node.term(), 0});
    node.Receive(2, TimeoutNow{term, node.view().last_index});
  }
  EXPECT_EQ(node.view().role, Role::kLeader);
  EXPECT_EQ(node.term(), term);
  node.Take<AppendRequest>();
  for (const auto& [to, request] : node.Take<VoteRequest>()) EXPECT_EQ(request.term, term);
}

// R40: a configuration counts from its append on, so nobody waits with standing until one is
// applied, and who stands asks those that it names.
TEST(ElectionScenarios, AConfigurationThatIsNotAppliedYetKeepsNobodyFromStanding) {
  Recovered recovered = LogOfTerms({1, 1}, 1);
  Membership four = Voters(4);
  recovered.membership_changes = {{LogIndex(2), four}};
  recovered.commit_hint = LogIndex(2);
  LoneNode node(recovered, kLimits);
  node.report_applied = false;
  node.TickUntilCampaign();
  std::set<std::uint64_t> asked;
  for (const auto& [to, request] : node.Take<VoteRequest>()) asked.insert(to);
  EXPECT_EQ(asked, (std::set<std::uint64_t>{2, 3, 4}));
}

TEST(ElectionScenarios, ALearnerWithALaterTermCostsOneElectionAndNoMore) {
  ClusterOptions options = Options(4);
  Membership membership = Voters(3);
  membership.learners = {NodeId(4)};
  options.membership = membership;
  Cluster cluster(options);
  cluster.Crash(4);
  ASSERT_NE(cluster.Elect(), 0U);
  cluster.disk(4).vote = {Term(50), NodeId()};
  cluster.Restart(4);
  RunFor(cluster, 3ULL * kLimits.election_ticks_max);
  const std::uint64_t leader = cluster.Elect();
  ASSERT_NE(leader, 0U);
  ASSERT_LE(leader, 3U);
  const Term term = cluster.view(leader).term;
  EXPECT_GE(term, Term(50));
  RunFor(cluster, 10ULL * kLimits.election_ticks_max);
  EXPECT_EQ(cluster.leader(), leader);
  EXPECT_EQ(cluster.view(leader).term, term);
  EXPECT_EQ(cluster.view(4).leader, NodeId(leader));
}

// ---- Networks that are cut one way

TEST(OneWayScenarios, ALeaderThatHearsNobodyIsReplacedAndTheNewTermLasts) {
  for (const bool can_send : {true, false}) {
    SCOPED_TRACE(can_send ? "it can send and not hear" : "it can hear and not send");
    Cluster cluster(Options(3));
    const std::uint64_t old = cluster.Elect();
    for (std::uint64_t other : cluster.ids()) {
      if (other == old) continue;
      if (can_send) cluster.Cut(other, old);
      if (!can_send) cluster.Cut(old, other);
    }
    RunFor(cluster, 6ULL * kLimits.election_ticks_max);
    const std::uint64_t leader = cluster.leader();
    ASSERT_NE(leader, 0U);
    EXPECT_NE(leader, old);
    EXPECT_NE(cluster.view(old).role, Role::kLeader);
    const Term term = cluster.view(leader).term;
    RunFor(cluster, 20ULL * kLimits.election_ticks_max);
    EXPECT_EQ(cluster.leader(), leader);
    EXPECT_EQ(cluster.view(leader).term, term);
    EXPECT_FALSE(cluster.Propose(leader, "a").refused);
    cluster.Stabilize();
    EXPECT_EQ(cluster.view(leader).commit, cluster.view(leader).last_index);
    cluster.Heal();
    RunFor(cluster, 2ULL * kLimits.election_ticks_max);
    EXPECT_EQ(cluster.Applied(old), cluster.Applied(leader));
  }
}

TEST(OneWayScenarios, AFollowerThatIsCutOffOneWayNeitherDeposesNorMovesTheTerm) {
  for (const bool can_send : {true, false}) {
    SCOPED_TRACE(can_send ? "it can send and not hear" : "it can hear and not send");
    Cluster cluster(Options(3));
    const std::uint64_t leader = cluster.Elect();
    const std::uint64_t half = leader % 3 + 1;
    const Term term = cluster.view(leader).term;
    for (std::uint64_t other : cluster.ids()) {
      if (other == half) continue;
      if (can_send) cluster.Cut(other, half);
      if (!can_send) cluster.Cut(half, other);
    }
    RunFor(cluster, 20ULL * kLimits.election_ticks_max);
    EXPECT_EQ(cluster.leader(), leader);
    EXPECT_EQ(cluster.view(leader).term, term);
    EXPECT_EQ(cluster.view(half).term, term);
    cluster.Heal();
    RunFor(cluster, kLimits.election_ticks_max);
    EXPECT_EQ(cluster.view(leader).term, term);
    EXPECT_EQ(cluster.view(half).leader, NodeId(leader));
  }
}

}  // namespace
}  // namespace bedrock::raft
