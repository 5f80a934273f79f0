// Replication, reads, transfer and membership as stories and tables: the rows of
// tests/scenarios.md that no test of a single rule tells.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "raftd/core/membership.h"
#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"
#include "tests/unit/raftd/core/trace.h"

namespace bedrock::raft {
namespace {

using Terms = std::vector<std::uint64_t>;

constexpr Limits kLimits = {
    .heartbeat_ticks = 3, .election_ticks_min = 10, .election_ticks_max = 20};

ClusterOptions Options(std::size_t nodes) {
  return {.nodes = nodes, .limits = kLimits, .compact = false};
}

void RunFor(Cluster& cluster, std::uint64_t ticks) {
  for (std::uint64_t i = 0; i < ticks; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
}

/// Node 1 leads `voters`, all of which hold its whole log.
LoneNode MakeLeader(std::size_t voters = 3) {
  LoneNode node = LoneNode::Leading(voters, kLimits);
  node.Take<AppendRequest>();
  node.Take<Heartbeat>();
  return node;
}

// ---- Commit and append

TEST(CommitTable, AnEntryIsCommittedWhenAMajorityOfAnyClusterHoldsIt) {
  for (std::size_t voters = 1; voters <= 7; ++voters) {
    for (std::size_t holders = 1; holders <= voters; ++holders) {
      LoneNode node = LoneNode::Fresh(voters, kLimits);
      if (voters > 1) node.BecomeLeader();
      for (std::uint64_t peer = 2; peer <= voters; ++peer) node.AcknowledgeAll(peer);
      const LogIndex before = node.view().commit;
      node.Propose({"a"});
      for (std::uint64_t peer = 2; peer <= holders; ++peer) node.AcknowledgeAll(peer);
      EXPECT_EQ(node.view().commit > before, holders > voters / 2) << holders << " of " << voters;
    }
  }
}

/// The follower's log is 1, 1, 2 (terms of entries 1 to 3), and its term 2.
TEST(AppendTable, WhatAFollowerDoesWithAnAppend) {
  struct Row {
    std::string name;
    std::uint64_t term, prev_term, prev_index;
    std::vector<std::uint64_t> entries;
    std::uint64_t commit;
    std::optional<std::uint64_t> accepted;  // the index it acknowledges
    Terms log;
    std::uint64_t commit_after;
  };
  for (const Row& row : std::vector<Row>{
           {"of an old term", 1, 1, 2, {1}, 2, std::nullopt, {1, 1, 2}, 0},
           {"behind a gap", 3, 3, 7, {3}, 3, std::nullopt, {1, 1, 2}, 0},
           {"where the entry before differs", 3, 2, 2, {2}, 3, std::nullopt, {1, 1, 2}, 0},
           {"that is empty and matches at the end", 3, 2, 3, {}, 3, 3, {1, 1, 2}, 3},
           {"that is empty and matches in the middle", 3, 1, 2, {}, 3, 2, {1, 1, 2}, 2},
           {"that adds", 3, 2, 3, {3, 3}, 4, 5, {1, 1, 2, 3, 3}, 4},
           {"that it has", 3, 1, 1, {1, 2}, 9, 3, {1, 1, 2}, 3},
           {"that it has in part", 3, 1, 2, {2, 3}, 9, 4, {1, 1, 2, 3}, 4},
           {"that replaces its last entry", 3, 1, 2, {3}, 1, 3, {1, 1, 3}, 1},
           {"that replaces everything", 3, 0, 0, {3}, 0, 1, {3}, 0},
           {"that replaces and is shorter", 3, 1, 1, {3}, 2, 2, {1, 3}, 2},
       }) {
    SCOPED_TRACE("an append " + row.name);
    LoneNode node(LogOfTerms({1, 1, 2}, 2), kLimits);
    AppendRequest request = MakeAppend(row.term, row.prev_term, row.prev_index, {}, row.commit);
    for (std::uint64_t term : row.entries) {
      request.entries.push_back(MakeEntry(term, row.prev_index + request.entries.size() + 1));
    }
    node.Receive(2, request);
    const AppendReply reply = node.TakeTo<AppendReply>(2).at(0);
    EXPECT_EQ(reply.accepted, row.accepted.has_value());
    if (row.accepted) {
      EXPECT_EQ(reply.index, LogIndex(*row.accepted));
    }
    EXPECT_EQ(TermsOf(node.raft), row.log);
    EXPECT_EQ(node.view().commit, LogIndex(row.commit_after));
  }
}

/// R28, by hand: the follower's log, the leader's, and where the leader's next append begins after
/// one refusal. Random logs are tried in BackOffTest.
TEST(RejectionTable, OneRefusalBringsTheLeaderToTheNearestPlaceThatCouldMatch) {
  struct Row {
    Terms leader, follower;
    std::uint64_t next;  // after the first refusal
  };
  for (const Row& row : std::vector<Row>{
           // The follower is short: its end is asked next.
           {{1, 1, 1, 4, 4}, {1, 1}, 3},
           {{1, 2, 3, 4, 5}, {1}, 2},
           {{4, 4, 4}, {}, 1},
           // A tail of its own, in terms the leader does not have: skipped at once.
           {{1, 3, 3, 3, 5, 5, 5, 5}, {1, 2, 2, 2, 2, 2, 2, 2}, 2},
           {{1, 1, 1, 1, 6, 6, 6, 6}, {1, 1, 1, 1, 4, 4, 4, 4}, 5},
           // A tail in the leader's terms, begun earlier: the leader's end of that term.
           {{1, 1, 1, 5, 5}, {1, 1, 1, 1, 1}, 4},
           {{2, 2, 5, 5, 5}, {2, 2, 4, 4, 4, 4}, 3},
           // It is longer than the leader.
           {{1, 3, 4}, {1, 2, 2, 2, 2}, 2},
       }) {
    Recovered ours = LogOfTerms({}, 7);
    Recovered theirs = LogOfTerms({}, 7);
    const auto fill = [](Recovered& recovered, const Terms& terms) {
      for (std::uint64_t term : terms) {
        recovered.last_index = recovered.last_index.Next();
        if (recovered.terms.empty() || recovered.terms.back().term != Term(term)) {
          recovered.terms.push_back({recovered.last_index, Term(term)});
        }
      }
    };
    fill(ours, row.leader);
    fill(theirs, row.follower);
    LoneNode leader(ours, kLimits);
    LoneNode follower(theirs, kLimits);
    leader.BecomeLeader();
    AppendRequest probe = leader.TakeTo<AppendRequest>(2).at(0);
    follower.Receive(2, probe);  // node 2 of its own cluster leads there
    const AppendReply reply = follower.TakeTo<AppendReply>(2).at(0);
    ASSERT_FALSE(reply.accepted);
    leader.Receive(2, reply);
    EXPECT_EQ(leader.view().members[0].next, LogIndex(row.next))
        << ::testing::PrintToString(row.leader) << " " << ::testing::PrintToString(row.follower);
  }
}

TEST(ReplicationScenarios, OnlyALeaderTakesProposals) {
  for (const Role role : {Role::kFollower, Role::kPreCandidate, Role::kCandidate}) {
    LoneNode node = LoneNode::Fresh(3, kLimits);
    if (role == Role::kPreCandidate) node.TickUntilCampaign();
    if (role == Role::kCandidate) node.BecomeCandidate();
    ASSERT_EQ(node.view().role, role);
    EXPECT_EQ(node.Propose({"a"}).refused, Refused::kNotLeader);
    EXPECT_EQ(node.view().last_index, LogIndex(0));
  }
}

TEST(ReplicationScenarios, AHeartbeatMovesTheCommitForwardAndNeverBack) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 1));
  EXPECT_EQ(node.view().commit, LogIndex(1));
  node.Receive(2, Heartbeat{Term(1), LogIndex(3), 0, LogIndex()});
  EXPECT_EQ(node.view().commit, LogIndex(3));
  node.Receive(2, Heartbeat{Term(1), LogIndex(2), 0, LogIndex()});
  EXPECT_EQ(node.view().commit, LogIndex(3));
}

TEST(ReplicationScenarios, AnAnswerToAHeartbeatFromOneThatLagsIsFollowedByWhatItLacks) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.BecomeLeader();
  ASSERT_EQ(node.TakeTo<AppendRequest>(2).size(), 1U);  // the probe; it is lost
  node.Propose({"a"});
  node.Tick(kLimits.heartbeat_ticks);
  node.Receive(2, HeartbeatReply{node.term(), 0});
  const auto again = node.TakeTo<AppendRequest>(2);
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].prev_index, LogIndex(0));
  node.Receive(2, RefusedAt(node.term(), 0, 0, 0));  // nonsense: the beginning always matches
  node.Receive(2, Accepted(node.term(), 0));
  const auto appends = node.TakeTo<AppendRequest>(2);
  ASSERT_EQ(appends.size(), 1U);
  EXPECT_EQ(appends[0].entries.size(), 2U);
}

TEST(ReplicationScenarios, ABrokenLinkIsProbedFromWhatIsKnownToBeHeld) {
  LoneNode node = MakeLeader();
  node.Propose({"a", "b"});
  node.Take<AppendRequest>();  // in flight, and lost with the link
  ASSERT_EQ(node.view().members[0].next, node.view().last_index.Next());
  node.raft.LinkReset(NodeId(2));
  node.Run();
  EXPECT_EQ(node.view().members[0].state, ReplicationState::kProbe);
  const auto appends = node.TakeTo<AppendRequest>(2);
  ASSERT_EQ(appends.size(), 1U);
  EXPECT_EQ(appends[0].prev_index, node.view().members[0].match);
  EXPECT_EQ(appends[0].entries.size(), 2U);
}

TEST(ReplicationScenarios, WhatArrivesInAnyOrderAndTwiceEndsAsOneLog) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed);
    ClusterOptions options = Options(3);
    options.limits.append_entries_max = 2;
    options.limits.window_messages_max = 8;
    Cluster cluster(options);
    const std::uint64_t leader = cluster.Elect();
    for (int i = 0; i < 30; ++i) {
      cluster.Propose(leader, std::to_string(i % 10));
      auto& packets = cluster.packets();
      for (int n = 0; n < 4 && !packets.empty(); ++n) {
        const std::size_t at = random.Below(packets.size());
        const Cluster::Packet packet = packets[at];
        if (!random.Chance(1, 4)) packets.erase(packets.begin() + static_cast<long>(at));
        cluster.Receive(packet.from.value(), packet.to.value(), packet.message);
      }
    }
    RunFor(cluster, 3ULL * kLimits.heartbeat_ticks);
    ASSERT_EQ(cluster.leader(), leader) << "seed " << seed;
    for (std::uint64_t id : cluster.ids()) {
      ASSERT_EQ(cluster.Applied(id), cluster.Applied(leader)) << "seed " << seed << " n" << id;
    }
    ASSERT_EQ(cluster.view(leader).commit, cluster.view(leader).last_index) << "seed " << seed;
  }
}

TEST(ReplicationScenarios, ALeadersOwnWriteThatIsDoneAfterItWasDeposedCommitsNothing) {
  LoneNode node = MakeLeader();
  node.sync = false;
  node.Propose({"a"});
  const LogIndex commit = node.view().commit;
  node.Receive(3, MakeAppend(9, node.term().value(), commit.value(), {9}));
  EXPECT_EQ(node.view().role, Role::kFollower);
  node.Sync();
  EXPECT_EQ(node.view().commit, commit);
  EXPECT_EQ(node.view().durable_index, node.view().last_index);
  EXPECT_EQ(node.raft.TermAt(node.view().last_index), Term(9));
}

TEST(ReplicationScenarios, ARestartedNodeAppliesWhatItRemembersAsCommittedWithoutALeader) {
  Recovered recovered = LogOfTerms({1, 1, 1}, 1);
  recovered.commit_hint = LogIndex(2);
  LoneNode node(recovered, kLimits);
  ASSERT_FALSE(node.applied.empty());
  EXPECT_EQ(node.applied.back().last, LogIndex(2));
  EXPECT_EQ(node.view().commit, LogIndex(2));
}

TEST(ReplicationScenarios, APartitionedLeadersLogIsBoundedAndEndsWithThePartition) {
  ClusterOptions options = Options(3);
  options.limits.uncommitted_entries_max = 10;
  Cluster cluster(options);
  const std::uint64_t leader = cluster.Elect();
  cluster.Isolate(leader);
  int refused = 0;
  for (int i = 0; i < 100; ++i) refused += cluster.Propose(leader, "x").refused ? 1 : 0;
  EXPECT_EQ(refused, 90);
  cluster.Heal();
  RunFor(cluster, 2ULL * kLimits.heartbeat_ticks);
  ASSERT_EQ(cluster.leader(), leader);
  EXPECT_EQ(cluster.view(leader).uncommitted_bytes, 0U);
  EXPECT_FALSE(cluster.Propose(leader, "y").refused);
}

TEST(ReplicationScenarios, ALearnerIsSentHeartbeatsAndCommitsAsAnyone) {
  Recovered recovered = LogOfTerms({}, 0, 2);
  recovered.membership.learners = {NodeId(3)};
  LoneNode node(recovered, kLimits);
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.AcknowledgeAll(3);
  node.Take<Heartbeat>();
  node.Tick(kLimits.heartbeat_ticks);
  const auto beats = node.TakeTo<Heartbeat>(3);
  ASSERT_EQ(beats.size(), 1U);
  EXPECT_EQ(beats[0].commit, node.view().commit);
}

// ---- Reads

TEST(ReadScenarios, AReadIsConfirmedByAMajorityThoughANodeIsCutOff) {
  Cluster cluster(Options(3));
  const std::uint64_t leader = cluster.Elect();
  cluster.Isolate(leader % 3 + 1);
  cluster.Read(leader, 7);
  cluster.Stabilize();
  ASSERT_EQ(cluster.reads_ready(leader).size(), 1U);
  EXPECT_EQ(cluster.reads_ready(leader)[0].index, cluster.view(leader).commit);
}

TEST(ReadScenarios, AReadOfALeaderThatIsCutOffIsNeverConfirmed) {
  Cluster cluster(Options(3));
  const std::uint64_t old = cluster.Elect();
  cluster.Isolate(old);
  cluster.Read(old, 7);
  RunFor(cluster, 4ULL * kLimits.election_ticks_max);
  ASSERT_NE(cluster.leader(), old);
  cluster.Propose(cluster.leader(), "a");
  cluster.Heal();
  RunFor(cluster, kLimits.election_ticks_max);
  EXPECT_TRUE(cluster.reads_ready(old).empty());
  EXPECT_EQ(cluster.reads_failed(old), std::vector{Ticket(7)});
}

TEST(ReadScenarios, ALearnerReadsThroughTheLeader) {
  ClusterOptions options = Options(4);
  options.membership = Voters(3);
  options.membership->learners = {NodeId(4)};
  Cluster cluster(options);
  const std::uint64_t leader = cluster.Elect();
  cluster.Propose(leader, "a");
  cluster.Stabilize();
  cluster.Read(4, 1);
  cluster.Stabilize();
  ASSERT_EQ(cluster.reads_ready(4).size(), 1U);
  EXPECT_EQ(cluster.reads_ready(4)[0].index, cluster.view(leader).commit);
}

TEST(ReadScenarios, AnswersOfALearnerConfirmNoRead) {
  Recovered recovered = LogOfTerms({}, 0, 3);
  recovered.membership.learners = {NodeId(4), NodeId(5)};
  LoneNode node(recovered, kLimits);
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.Take<Heartbeat>();
  node.Read(1);
  const std::uint64_t round = node.TakeTo<Heartbeat>(4).at(0).read_round;
  node.Receive(4, HeartbeatReply{node.term(), round});
  node.Receive(5, HeartbeatReply{node.term(), round});
  EXPECT_TRUE(node.reads_ready.empty());
  node.Receive(3, HeartbeatReply{node.term(), round});
  EXPECT_EQ(node.reads_ready.size(), 1U);
}

// ---- Transfer

TEST(TransferScenarios, LeadershipGoesThereAndBack) {
  Cluster cluster(Options(3));
  const std::uint64_t first = cluster.Elect();
  const std::uint64_t second = first % 3 + 1;
  const Term term = cluster.view(first).term;
  ASSERT_EQ(cluster.Transfer(first, second), Transferring::kStarted);
  cluster.Stabilize();
  ASSERT_EQ(cluster.leader(), second);
  RunFor(cluster, kLimits.heartbeat_ticks);
  ASSERT_EQ(cluster.Transfer(second, first), Transferring::kStarted);
  cluster.Stabilize();
  EXPECT_EQ(cluster.leader(), first);
  EXPECT_EQ(cluster.view(first).term, term.Next().Next());
}

TEST(TransferScenarios, ALaterTermEndsATransfer) {
  LoneNode node = MakeLeader();
  ASSERT_EQ(node.Transfer(2), Transferring::kStarted);
  node.Receive(3, Heartbeat{Term(9), LogIndex(), 0, LogIndex()});
  EXPECT_EQ(node.view().role, Role::kFollower);
  EXPECT_EQ(node.view().handing_over_to, NodeId());
  node.Take<TimeoutNow>();
  node.Tick(kLimits.heartbeat_ticks);
  EXPECT_TRUE(node.Take<TimeoutNow>().empty());
}

TEST(TransferScenarios, AWishThatComesTwiceIsOneCandidacy) {
  LoneNode node = LoneNode::Fresh(3, kLimits);
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  ASSERT_EQ(node.term(), Term(2));
  node.Take<VoteRequest>();
  node.Receive(2, TimeoutNow{Term(1), LogIndex(1)});
  EXPECT_EQ(node.term(), Term(2));
  EXPECT_TRUE(node.Take<VoteRequest>().empty());
}

TEST(TransferScenarios, ALeaderThatDiesInTheMiddleOfATransferIsReplacedAllTheSame) {
  for (const bool wish_arrives : {true, false}) {
    Cluster cluster(Options(3));
    const std::uint64_t old = cluster.Elect();
    const std::uint64_t target = old % 3 + 1;
    ASSERT_EQ(cluster.Transfer(old, target), Transferring::kStarted);
    if (wish_arrives) cluster.Deliver(old, target);
    cluster.Drop(old, 0);
    cluster.Crash(old);
    ASSERT_NE(cluster.Elect(), 0U);
    EXPECT_NE(cluster.leader(), old);
    if (wish_arrives) {
      EXPECT_EQ(cluster.leader(), target);
    }
  }
}

TEST(TransferScenarios, OfSevenNodesOneTakesOverAndTheOthersFollow) {
  Cluster cluster(Options(7));
  const std::uint64_t old = cluster.Elect();
  ASSERT_EQ(cluster.Transfer(old, 0), Transferring::kStarted);
  cluster.Stabilize();
  const std::uint64_t leader = cluster.leader();
  EXPECT_NE(leader, old);
  for (std::uint64_t id : cluster.ids()) EXPECT_EQ(cluster.view(id).leader, NodeId(leader));
}

TEST(TransferScenarios, WhoWasToTakeOverAndLosesItsDiskDoesNot) {
  Cluster cluster(Options(3));
  const std::uint64_t old = cluster.Elect();
  const std::uint64_t target = old % 3 + 1;
  cluster.DiskStalled(target, true);
  ASSERT_EQ(cluster.Transfer(old, target), Transferring::kStarted);
  cluster.Stabilize();
  EXPECT_EQ(cluster.leader(), old);
  RunFor(cluster, 2ULL * kLimits.election_ticks_min);
  EXPECT_EQ(cluster.leader(), old);
  EXPECT_EQ(cluster.view(old).handing_over_to, NodeId());
  EXPECT_FALSE(cluster.Propose(old, "a").refused);
}

// ---- Membership

TEST(MembershipScenarios, EntriesThatWaitedForARemovedNodeAreCommittedByTheSmallerQuorum) {
  Cluster cluster(Options(4));
  const std::uint64_t leader = cluster.Elect();
  // Two of four are gone: nothing can be committed, and a change that leaves them out is what helps
  // only as long as the old majority still agrees to it.
  const std::uint64_t slow = leader % 4 + 1;
  cluster.Isolate(slow);
  ASSERT_EQ(cluster.Reconfigure(leader, {.remove = {NodeId(slow)}}), Reconfiguring::kStarted);
  cluster.Propose(leader, "a");
  RunFor(cluster, 4ULL * kLimits.election_ticks_max);
  ASSERT_EQ(cluster.leader(), leader);
  EXPECT_EQ(cluster.at(leader).membership().voters.size(), 3U);
  // Of the three that are left two are enough.
  const std::uint64_t second = slow % 4 + 1 == leader ? leader % 4 + 1 : slow % 4 + 1;
  ASSERT_NE(second, leader);
  cluster.Crash(second);
  cluster.Propose(leader, "b");
  cluster.Stabilize();
  EXPECT_EQ(cluster.view(leader).commit, cluster.view(leader).last_index);
  EXPECT_NE(cluster.Applied(leader).find('b'), std::string::npos);
}

TEST(MembershipScenarios, TwoNodesComeAndTwoGoInOneStepUnderWrites) {
  Cluster cluster(Options(3));
  const std::uint64_t leader = cluster.Elect();
  for (const std::uint64_t id : {4U, 5U}) {
    cluster.AddBlankNode(id);
    ASSERT_EQ(cluster.Reconfigure(leader, {.add = {{NodeId(id), AutoPromote::kNo, ""}}}),
              Reconfiguring::kStarted);
    RunFor(cluster, kLimits.heartbeat_ticks);
  }
  std::vector<NodeId> leaving;
  for (std::uint64_t id = 1; id <= 3; ++id) {
    if (id != leader) leaving.emplace_back(id);
  }
  ASSERT_EQ(cluster.Reconfigure(leader, {.promote = {NodeId(4), NodeId(5)}, .remove = leaving}),
            Reconfiguring::kStarted);
  std::string sent;
  for (int i = 0; i < 60; ++i) {
    if (!cluster.Propose(leader, "x").refused) sent += "x";
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  const Membership& now = cluster.at(leader).membership();
  EXPECT_EQ(now.voters, (std::vector<NodeId>{NodeId(leader), NodeId(4), NodeId(5)}));
  EXPECT_TRUE(now.outgoing.empty());
  EXPECT_TRUE(now.learners.empty());
  const std::string applied = cluster.Applied(4);
  EXPECT_EQ(std::count(applied.begin(), applied.end(), 'x'), static_cast<long>(sent.size()));
}

}  // namespace
}  // namespace bedrock::raft
