// Replication and commit: rules R16..R29 (raftd/core/README.md).

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "raftd/core/follower.h"
#include "raftd/core/progress.h"
#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

using Terms = std::vector<std::uint64_t>;

// R16
TEST(CommitTest, ALeadersFirstEntryIsANoOpAndCommitsWhatIsBeforeIt) {
  LoneNode node(LogOfTerms({1, 1}, 1));
  node.BecomeLeader();
  ASSERT_FALSE(node.writes.back().entries.empty());
  EXPECT_EQ(node.writes.back().entries[0].kind, EntryKind::kNoop);
  EXPECT_EQ(node.writes.back().entries[0].index, LogIndex(3));
  node.Receive(2, Accepted(node.term(), 2));
  EXPECT_EQ(node.view().commit, LogIndex(0));
  node.AcknowledgeAll(2);
  EXPECT_EQ(node.view().commit, LogIndex(3));
}

// R17
TEST(CommitTest, AFollowerCommitsOnlyWhatTheMessageProved) {
  LoneNode node(LogOfTerms({1, 1, 1, 1}, 1));  // Entries 3 and 4 are not the leader's.
  node.Receive(2, MakeAppend(2, 1, 2, {}, 4));
  EXPECT_EQ(node.view().commit, LogIndex(2));
  node.Receive(2, MakeAppend(2, 1, 1, {1}, 4));
  EXPECT_EQ(node.view().commit, LogIndex(2));
}

// R18
TEST(CommitTest, AHeartbeatCarriesNoMoreThanTheFollowerHolds) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.Propose({"a"});
  node.AcknowledgeAll(2);
  ASSERT_EQ(node.view().commit, LogIndex(2));
  node.Take<Heartbeat>();
  node.Tick(Limits().heartbeat_ticks);
  for (const auto& [to, heartbeat] : node.Take<Heartbeat>()) {
    EXPECT_EQ(heartbeat.commit, LogIndex(to == 2 ? 2 : 0));
  }
}

// R19
TEST(AppendTest, AnAcknowledgementNamesExactlyWhatTheMessageProved) {
  LoneNode node(LogOfTerms({1, 1, 1, 1}, 1));
  node.Receive(2, MakeAppend(1, 1, 1, {1}));
  EXPECT_EQ(node.TakeTo<AppendReply>(2).at(0).index, LogIndex(2));
  node.Receive(2, MakeAppend(1, 1, 3, {}));
  EXPECT_EQ(node.TakeTo<AppendReply>(2).at(0).index, LogIndex(3));
}

// R20
TEST(AppendTest, AStaleOrShorterMatchingAppendDeletesNothing) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1, 1}));
  const std::size_t writes = node.writes.size();
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  node.Receive(2, MakeAppend(1, 1, 2, {1}));
  node.Receive(2, MakeAppend(1, 1, 1, {}));
  EXPECT_EQ(TermsOf(node.raft), Terms({1, 1, 1, 1}));
  EXPECT_EQ(node.writes.size(), writes);
}

// R20
TEST(AppendTest, OnlyFromTheFirstDifferingTermOnIsCut) {
  LoneNode node(LogOfTerms({1, 1, 2, 2, 2}, 2));
  node.Receive(2, MakeAppend(4, 0, 0, {1, 1, 2, 3, 4}));
  EXPECT_EQ(TermsOf(node.raft), Terms({1, 1, 2, 3, 4}));
  EXPECT_EQ(node.writes.back().cut_from, LogIndex(4));
  EXPECT_EQ(node.writes.back().entries.size(), 2U);
}

// R21
TEST(AppendTest, EverythingBehindAConflictGoesInMemoryAndOnDisk) {
  Cluster cluster({.nodes = 3});
  cluster.Crash(1);
  cluster.disk(1).vote.term = Term(3);
  for (std::uint64_t i = 1; i <= 5; ++i) cluster.disk(1).entries.push_back(MakeEntry(1, i, "old"));
  cluster.Restart(1);
  cluster.Receive(2, 1, MakeAppend(3, 1, 1, {2}));
  EXPECT_EQ(cluster.view(1).last_index, LogIndex(2));
  EXPECT_EQ(cluster.disk(1).last_index(), LogIndex(2));
  EXPECT_EQ(cluster.disk(1).entries[1].term, Term(2));
}

// R22
TEST(AppendDeathTest, ACutAtOrBelowTheCommitIndexEndsTheProcess) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1}, 2));
  EXPECT_DEATH(node.Receive(3, MakeAppend(2, 1, 1, {2})), "committed");
}

// R22
TEST(AppendTest, AnAppendBelowTheCommitIndexIsAcknowledgedAndDeletesNothing) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, MakeAppend(1, 0, 0, {1, 1, 1}, 3));
  node.Take<AppendReply>();
  node.Receive(2, MakeAppend(1, 0, 0, {1}));
  const auto replies = node.TakeTo<AppendReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_TRUE(replies[0].accepted);
  EXPECT_EQ(replies[0].index, LogIndex(3));
  EXPECT_EQ(TermsOf(node.raft), Terms({1, 1, 1}));
}

// R22, R25: what was compacted counts as matched, and is never compared.
TEST(AppendTest, AnAppendThatBeginsInTheCompactedPartIsTakenFromItsEnd) {
  Recovered recovered = LogOfTerms({}, 2);
  recovered.prev_index = recovered.last_index = LogIndex(10);
  recovered.prev_term = Term(2);
  LoneNode node(recovered);
  EXPECT_EQ(node.view().first_index, LogIndex(11));
  node.Receive(2, MakeAppend(2, 1, 8, {2, 2, 2}));
  EXPECT_EQ(node.TakeTo<AppendReply>(2).at(0).index, LogIndex(11));
  EXPECT_EQ(node.view().last_index, LogIndex(11));
}

// R23
TEST(ProgressTest, MatchNeverFallsAndStaleRefusalsAreIgnored) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.Propose({"a", "b", "c"});
  node.Receive(2, Accepted(node.term(), 4));
  node.Receive(2, Accepted(node.term(), 2));
  node.Receive(2, RefusedAt(node.term(), 3, 1, 1));
  node.Receive(2, RefusedAt(node.term(), 9, 1, 1));
  const MemberProgress member = node.view().members[0];
  EXPECT_EQ(member.match, LogIndex(4));
  EXPECT_EQ(member.next, LogIndex(5));
  EXPECT_EQ(member.state, ReplicationState::kStream);
}

// R23
TEST(ProgressTest, WhileProbingOnlyTheAnswerToTheProbeCounts) {
  LoneNode node(LogOfTerms({1, 1, 1, 1}, 1));
  node.BecomeLeader();
  node.Receive(2, RefusedAt(node.term(), 3, 1, 1));
  EXPECT_EQ(node.view().members[0].next, LogIndex(5));
  node.Receive(2, RefusedAt(node.term(), 4, 1, 2));
  EXPECT_EQ(node.view().members[0].next, LogIndex(3));
}

// A follower that lost what it acknowledged says so, and is fed again though match stands.
TEST(ProgressTest, AFollowerThatRefusesWhatItHeldIsFedAgain) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.Propose({"a", "b", "c"});
  node.Receive(2, Accepted(node.term(), 4));
  node.Take<AppendRequest>();
  node.Receive(2, RefusedAt(node.term(), 4, 1, 2));
  const auto appends = node.TakeTo<AppendRequest>(2);
  ASSERT_EQ(appends.size(), 1U);
  EXPECT_EQ(appends[0].prev_index, LogIndex(2));
  EXPECT_EQ(appends[0].entries.size(), 2U);
  EXPECT_EQ(node.view().members[0].match, LogIndex(4));
}

// R24
TEST(WellFormedTest, AnAppendIsCheckedFromBothEnds) {
  EXPECT_TRUE(IsWellFormed(MakeAppend(3, 0, 0, {1, 1, 3})));
  EXPECT_TRUE(IsWellFormed(MakeAppend(3, 2, 5, {})));
  EXPECT_TRUE(IsWellFormed(MakeAppend(3, 2, 5, {2, 3})));
  EXPECT_FALSE(IsWellFormed(MakeAppend(3, 2, 5, {1})));     // Below the term before.
  EXPECT_FALSE(IsWellFormed(MakeAppend(3, 2, 5, {3, 2})));  // Terms that fall.
  EXPECT_FALSE(IsWellFormed(MakeAppend(3, 2, 5, {4})));     // Above the message's.
  EXPECT_FALSE(IsWellFormed(MakeAppend(3, 4, 5, {})));
  EXPECT_FALSE(IsWellFormed(MakeAppend(3, 0, 5, {3})));  // Term 0 only with index 0.
  EXPECT_FALSE(IsWellFormed(MakeAppend(3, 1, 0, {3})));
  EXPECT_FALSE(IsWellFormed(MakeAppend(3, 0, 0, {0})));
  AppendRequest gap = MakeAppend(3, 2, 5, {3, 3});
  gap.entries[1].index = LogIndex(8);
  EXPECT_FALSE(IsWellFormed(gap));
  gap.entries.erase(gap.entries.begin());
  EXPECT_FALSE(IsWellFormed(gap));
}

// R24
TEST(AppendTest, AnAppendThatNoLeaderCouldSendIsNotAnswered) {
  LoneNode node = LoneNode::Fresh();
  node.Receive(2, MakeAppend(3, 0, 0, {3, 2}));
  EXPECT_TRUE(node.Take<AppendReply>().empty());
  EXPECT_EQ(node.view().last_index, LogIndex(0));
}

// R25
TEST(AppendTest, AnAbsentEntryMatchesNothing) {
  LoneNode node = LoneNode::Fresh();
  EXPECT_EQ(node.raft.TermAt(LogIndex(1)), std::nullopt);
  EXPECT_EQ(node.raft.TermAt(LogIndex(0)), Term(0));
  node.Receive(2, MakeAppend(1, 1, 3, {}));
  EXPECT_FALSE(node.TakeTo<AppendReply>(2).at(0).accepted);
  Recovered recovered = LogOfTerms({}, 2);
  recovered.prev_index = recovered.last_index = LogIndex(10);
  recovered.prev_term = Term(2);
  LoneNode compacted(recovered);
  EXPECT_EQ(compacted.raft.TermAt(LogIndex(0)), std::nullopt);
  EXPECT_EQ(compacted.raft.TermAt(LogIndex(9)), std::nullopt);
  EXPECT_EQ(compacted.raft.TermAt(LogIndex(10)), Term(2));
}

// R26
TEST(ProposeTest, ADeposedLeaderTakesNothingUnderTheNewTerm) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.raft.Receive(NodeId(2), Heartbeat{Term(9), LogIndex(), 0, LogIndex()});
  const Bytes bytes = Bytes::Copy("a");
  EXPECT_EQ(node.raft.Propose({&bytes, 1}, 0).refused, Refused::kNotLeader);
  node.Run();
  EXPECT_EQ(TermsOf(node.raft), Terms({1}));
}

// R27
TEST(ProposeTest, SteppingDownRollsNothingBack) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.Propose({"a", "b"});
  node.Receive(2, Heartbeat{Term(9), LogIndex(), 0, LogIndex()});
  EXPECT_EQ(TermsOf(node.raft), Terms({1, 1, 1}));
  EXPECT_EQ(node.view().durable_index, LogIndex(3));
}

std::string Numbered(std::uint64_t n) { return "e" + std::to_string(n); }

// R28: between logs of any shape, a probe a distinct term is enough, and each one helps.
TEST(BackOffTest, ProbesAreBoundedByTheNumberOfTerms) {
  Random random(3);
  for (int round = 0; round < 2000; ++round) {
    // Two logs that share a prefix: what is above it, each side made up of its own terms.
    std::vector<std::uint64_t> shared;
    std::uint64_t term = 1;
    const auto grow = [&](std::vector<std::uint64_t>& log, std::uint64_t parity) {
      const std::uint64_t count = random.Below(12);
      std::uint64_t t = log.empty() ? 1 : log.back();
      for (std::uint64_t i = 0; i < count; ++i) {
        // After the fork a term belongs to one of the two, as only one of them had its leader.
        if (random.Chance(1, 2) || (parity < 2 && t % 2 != parity)) ++t;
        if (parity < 2 && t % 2 != parity) ++t;
        log.push_back(t);
      }
      term = std::max(term, t);
    };
    grow(shared, 2);
    std::vector<std::uint64_t> ours = shared;
    std::vector<std::uint64_t> theirs = shared;
    grow(ours, 0);
    grow(theirs, 1);
    const auto recovered = [&](const std::vector<std::uint64_t>& terms) {
      Recovered r = LogOfTerms({}, term + 2);
      for (std::uint64_t t : terms) {
        r.last_index = r.last_index.Next();
        if (r.terms.empty() || r.terms.back().term != Term(t)) {
          r.terms.push_back({r.last_index, Term(t)});
        }
      }
      return r;
    };
    const LogView leader_log(recovered(ours), {.bytes_max = 1});
    LoneNode follower(recovered(theirs));
    Progress progress;
    progress.next = leader_log.last_index().Next();
    std::size_t probes = 0;
    for (;;) {
      ++probes;
      const LogIndex prev = progress.next.Prev();
      const Term leader_term = Term(term + 3);
      follower.Receive(2, AppendRequest{.term = leader_term,
                                        .prev_index = prev,
                                        .prev_term = *leader_log.TermAt(prev),
                                        .commit = {},
                                        .read_round = 0,
                                        .trim = {},
                                        .entries = {}});
      const AppendReply reply = follower.TakeTo<AppendReply>(2).at(0);
      if (reply.accepted) break;
      progress.Refused(reply.index, {reply.hint_term, reply.hint_index}, leader_log);
      ASSERT_LT(progress.next, prev.Next()) << "a probe that did not help";
    }
    const auto distinct = [&](const std::vector<std::uint64_t>& log) {
      return std::set<std::uint64_t>(log.begin() + static_cast<std::ptrdiff_t>(shared.size()),
                                     log.end())
          .size();
    };
    ASSERT_LE(probes, 2 + std::min(distinct(ours), distinct(theirs))) << Numbered(probes);
    ASSERT_GE(progress.next.value(), shared.size() + 1) << "went back too far";
  }
}

// R29
TEST(ProposeTest, NothingIsEverProposedTwice) {
  Cluster cluster({.nodes = 3});
  const std::uint64_t leader = cluster.Elect();
  cluster.Isolate(leader);
  cluster.Propose(leader, "lost");
  cluster.Drop(leader, 0);
  const std::uint64_t next = [&] {
    for (int i = 0; i < 400; ++i) {
      cluster.TickAll(1);
      cluster.Stabilize();
      if (cluster.leader() != leader && cluster.leader() != 0) break;
    }
    return cluster.leader();
  }();
  ASSERT_NE(next, leader);
  cluster.Propose(next, "a");
  cluster.Heal();
  for (int i = 0; i < 200; ++i) {
    cluster.TickAll(1);
    cluster.Stabilize();
  }
  for (std::uint64_t id : cluster.ids()) EXPECT_EQ(cluster.Applied(id), "--a");
}

TEST(ProposeTest, ABatchStandsInOrderUnderOneTermAndStamp) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  const Proposed proposed = node.Propose({"a", "b", "c"}, 500);
  EXPECT_FALSE(proposed.refused);
  EXPECT_EQ(proposed.first, LogIndex(2));
  EXPECT_EQ(proposed.count, 3U);
  EXPECT_EQ(proposed.term, node.term());
  const std::vector<Entry>& entries = node.writes.back().entries;
  ASSERT_EQ(entries.size(), 3U);
  for (const Entry& entry : entries) EXPECT_EQ(entry.time_ms, 500U);
  EXPECT_EQ(entries[2].payload.view(), "c");
}

TEST(ProposeTest, StampsNeverGoBack) {
  Recovered recovered = LogOfTerms({1}, 1);
  recovered.last_time_ms = 900;
  LoneNode node(recovered);
  node.BecomeLeader();
  EXPECT_EQ(node.writes.back().entries[0].time_ms, 900U);
  node.Propose({"a"}, 500);
  EXPECT_EQ(node.writes.back().entries[0].time_ms, 900U);
  node.Propose({"b"}, 1000);
  EXPECT_EQ(node.writes.back().entries[0].time_ms, 1000U);
}

TEST(ProposeTest, PayloadsAreSharedAndNotCopied) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.Take<AppendRequest>();
  const Bytes payload = Bytes::Copy("payload");
  node.raft.Propose({&payload, 1}, 0);
  node.Run();
  EXPECT_EQ(node.writes.back().entries[0].payload.data(), payload.data());
  EXPECT_EQ(node.TakeTo<AppendRequest>(2).at(0).entries[0].payload.data(), payload.data());
}

// All that came between two polls goes in one write and one message.
TEST(ProposeTest, ManySmallProposalsShareOneWriteAndOneAppend) {
  LoneNode node = LoneNode::Fresh();
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.Take<AppendRequest>();
  const std::size_t writes = node.writes.size();
  const Bytes payload = Bytes::Copy("p");
  for (int i = 0; i < 1000; ++i) node.raft.Propose({&payload, 1}, 0);
  node.Run();
  EXPECT_EQ(node.writes.size(), writes + 1);
  EXPECT_EQ(node.TakeTo<AppendRequest>(2).size(), 1U);
}

TEST(TrimTest, TheLogIsDroppedUpToWhatAllHoldAndTheStateMachineHasOnDisk) {
  LoneNode node = LoneNode::Fresh();
  node.report_applied = false;
  node.BecomeLeader();
  node.Propose({"a", "b", "c"});
  node.Receive(2, Accepted(node.term(), 4));
  node.raft.Applied(LogIndex(4), LogIndex(3));
  node.Run();
  EXPECT_EQ(node.compacted, LogIndex(0));  // Node 3 holds nothing yet.
  node.Receive(3, Accepted(node.term(), 2));
  EXPECT_EQ(node.compacted, LogIndex(2));
  node.Receive(3, Accepted(node.term(), 4));
  EXPECT_EQ(node.compacted, LogIndex(3));
  EXPECT_EQ(node.view().first_index, LogIndex(4));
}

TEST(TrimTest, AFollowerTrimsAsTheLeaderSaysAndItsStateMachineAllows) {
  LoneNode node = LoneNode::Fresh();
  node.report_applied = false;
  AppendRequest request = MakeAppend(1, 0, 0, {1, 1, 1}, 3);
  request.trim = LogIndex(2);
  node.Receive(2, request);
  EXPECT_EQ(node.compacted, LogIndex(0));
  node.raft.Applied(LogIndex(3), LogIndex(1));
  node.Run();
  EXPECT_EQ(node.compacted, LogIndex(1));
  node.raft.Applied(LogIndex(3), LogIndex(3));
  node.Run();
  EXPECT_EQ(node.compacted, LogIndex(2));
}

TEST(BehindTest, AFollowerThatNeedsWhatIsGoneIsOfferedASnapshotAndRecoversWithoutIt) {
  Recovered recovered = LogOfTerms({}, 2);
  recovered.prev_index = recovered.last_index = LogIndex(10);
  recovered.prev_term = Term(2);
  LoneNode node(recovered);
  node.BecomeLeader();
  node.Receive(2, RefusedAt(node.term(), 10, 1, 4));
  EXPECT_EQ(node.view().members[0].state, ReplicationState::kSnapshot);
  node.Take<AppendRequest>();
  node.Tick(Limits().heartbeat_ticks);
  node.Receive(2, HeartbeatReply{node.term(), 0});
  const auto asked = node.TakeTo<AppendRequest>(2);
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].prev_index, LogIndex(10));
  EXPECT_TRUE(asked[0].entries.empty());
  node.Receive(2, Accepted(node.term(), 10));
  EXPECT_EQ(node.view().members[0].state, ReplicationState::kStream);
  EXPECT_EQ(node.TakeTo<AppendRequest>(2).at(0).entries.size(), 1U);
}

}  // namespace
}  // namespace bedrock::raft
