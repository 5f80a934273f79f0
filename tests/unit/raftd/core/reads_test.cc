// Read indexes: rules R50..R54 (raftd/core/README.md).

#include <gtest/gtest.h>

#include <set>
#include <variant>
#include <vector>

#include "raftd/core/quorum.h"
#include "raftd/core/read_index.h"
#include "tests/unit/raftd/core/cluster_harness.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

HeartbeatReply Confirms(Term term, std::uint64_t round) { return {term, round}; }

/// A leader of three whose first entry is committed.
LoneNode CommittedLeader(const Limits& limits = {}) {
  LoneNode node = LoneNode::Fresh(3, limits);
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.Take<Heartbeat>();
  return node;
}

// R50
TEST(LeaderReadTest, AReadBeforeTheFirstCommitOfTheTermWaitsForIt) {
  LoneNode node(LogOfTerms({1}, 1));
  node.BecomeLeader();
  node.Read(7);
  EXPECT_TRUE(node.Take<Heartbeat>().empty());
  node.AcknowledgeAll(2);
  EXPECT_TRUE(node.reads_ready.empty());
  EXPECT_TRUE(node.reads_failed.empty());
  const auto beats = node.TakeTo<Heartbeat>(2);
  ASSERT_EQ(beats.size(), 1U);
  node.Receive(2, Confirms(node.term(), beats[0].read_round));
  ASSERT_EQ(node.reads_ready.size(), 1U);
  EXPECT_EQ(node.reads_ready[0].ticket, Ticket(7));
  EXPECT_EQ(node.reads_ready[0].index, LogIndex(2));
}

// R51
TEST(LeaderReadTest, AnAnswerConfirmsOnlyReadsThatCameBeforeItsRoundWasSent) {
  LoneNode node = CommittedLeader();
  node.Read(1);
  const std::uint64_t first = node.TakeTo<Heartbeat>(2).at(0).read_round;
  node.Read(2);  // While the first round is under way.
  EXPECT_TRUE(node.Take<Heartbeat>().empty());
  node.Receive(2, Confirms(node.term(), first));
  ASSERT_EQ(node.reads_ready.size(), 1U);
  EXPECT_EQ(node.reads_ready[0].ticket, Ticket(1));
  const auto beats = node.TakeTo<Heartbeat>(2);  // The next round starts at once.
  ASSERT_EQ(beats.size(), 1U);
  EXPECT_GT(beats[0].read_round, first);
  node.Receive(2, Confirms(node.term(), first));
  EXPECT_EQ(node.reads_ready.size(), 1U);
  node.Receive(2, Confirms(node.term(), beats[0].read_round));
  EXPECT_EQ(node.reads_ready.size(), 2U);
}

// R51: rounds count up, whatever numbers the callers use.
TEST(LeaderReadTest, TicketsMayRepeatAndNeverReachTheWire) {
  LoneNode node = CommittedLeader();
  for (const std::uint64_t ticket : {5U, 5U, 1U}) {
    node.Read(ticket);
    const auto beats = node.TakeTo<Heartbeat>(2);
    ASSERT_EQ(beats.size(), 1U);
    node.Receive(2, Confirms(node.term(), beats[0].read_round));
  }
  ASSERT_EQ(node.reads_ready.size(), 3U);
  EXPECT_EQ(node.reads_ready[2].ticket, Ticket(1));
}

TEST(LeaderReadTest, ManyReadsShareOneRound) {
  LoneNode node = CommittedLeader();
  for (std::uint64_t ticket = 1; ticket <= 100; ++ticket) node.raft.Read(Ticket(ticket));
  node.Run();
  const auto beats = node.TakeTo<Heartbeat>(2);
  ASSERT_EQ(beats.size(), 1U);
  node.Receive(2, Confirms(node.term(), beats[0].read_round));
  EXPECT_EQ(node.reads_ready.size(), 100U);
}

// A lost round is repeated with the next heartbeat.
TEST(LeaderReadTest, AReadBehindALostRoundIsConfirmedByTheNextHeartbeat) {
  LoneNode node = CommittedLeader();
  node.Read(1);
  node.Read(2);
  node.Take<Heartbeat>();
  node.Tick(Limits().heartbeat_ticks);
  const auto beats = node.TakeTo<Heartbeat>(3);
  ASSERT_EQ(beats.size(), 1U);
  node.Receive(3, Confirms(node.term(), beats[0].read_round));
  EXPECT_EQ(node.reads_ready.size(), 2U);
}

TEST(LeaderReadTest, TheAnswerToAnAppendConfirmsToo) {
  LoneNode node = CommittedLeader();
  node.Read(1);
  node.Propose({"a"});
  const auto appends = node.TakeTo<AppendRequest>(2);
  node.Receive(2, Accepted(node.term(), 2, appends.back().read_round));
  EXPECT_EQ(node.reads_ready.size(), 1U);
}

// The index is what was committed when the read came, so that it need not wait for what came later.
TEST(LeaderReadTest, TheIndexIsTheCommitIndexOfWhenTheReadCame) {
  LoneNode node = CommittedLeader();
  node.Read(1);
  const std::uint64_t round = node.TakeTo<Heartbeat>(2).at(0).read_round;
  node.Propose({"a"});
  node.Receive(2, Accepted(node.term(), 2));
  ASSERT_EQ(node.view().commit, LogIndex(2));
  node.Receive(3, Confirms(node.term(), round));
  EXPECT_EQ(node.reads_ready.at(0).index, LogIndex(1));
}

TEST(LeaderReadTest, AConfirmationOfARoundThatNeverWasIsIgnored) {
  LoneNode node = CommittedLeader();
  node.Receive(2, Confirms(node.term(), 1000));
  node.Read(1);
  EXPECT_TRUE(node.reads_ready.empty());
}

TEST(LeaderReadTest, FiveNodesNeedTwoConfirmations) {
  LoneNode node = LoneNode::Fresh(5);
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.AcknowledgeAll(3);
  node.Read(1);
  const std::uint64_t round = node.TakeTo<Heartbeat>(2).at(0).read_round;
  node.Receive(2, Confirms(node.term(), round));
  node.Receive(2, Confirms(node.term(), round));
  EXPECT_TRUE(node.reads_ready.empty());
  node.Receive(5, Confirms(node.term(), round));
  EXPECT_EQ(node.reads_ready.size(), 1U);
}

// R52
TEST(LeaderReadTest, PendingReadsFailWhenTheLeaderIsDeposed) {
  LoneNode node = CommittedLeader();
  node.Read(1);
  node.Receive(2, ReadIndexRequest{node.term(), 77});
  node.Receive(3, Confirms(Term(9), 0));
  EXPECT_EQ(node.reads_failed, std::vector<Ticket>{Ticket(1)});
  const auto replies = node.TakeTo<ReadIndexReply>(2);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_FALSE(replies[0].granted);
}

// R53
TEST(LeaderReadTest, ALoneVoterAlsoWaitsForTheFirstCommitOfItsTerm) {
  LoneNode node(LogOfTerms({1, 1}, 1, 1));
  node.Read(1);
  ASSERT_EQ(node.reads_ready.size(), 1U);
  EXPECT_EQ(node.reads_ready[0].index, LogIndex(3));

  Raft raft(NodeId(1), Limits(), LogOfTerms({1, 1}, 1, 1), 1);
  raft.Tick(1);
  raft.Poll();
  raft.Durable(WriteSeq(1));  // The vote; the first entry's write is not done.
  raft.Poll();
  ASSERT_EQ(raft.GetView().role, Role::kLeader);
  raft.Read(Ticket(1));
  EXPECT_TRUE(raft.Poll().reads_ready.empty());
  raft.Durable(WriteSeq(2));
  EXPECT_EQ(raft.Poll().reads_ready.at(0).index, LogIndex(3));
}

// R53; found by the simulator of whole clusters: the tick began the round, nobody was there to
// answer it, and no later one was begun.
TEST(LeaderReadTest, ALoneVoterConfirmsAReadThatAHeartbeatsTickTookAlong) {
  Limits limits;
  Raft raft(NodeId(1), limits, LogOfTerms({1, 1}, 1, 1), 1);
  raft.Tick(1);
  for (std::uint64_t write = 1; write <= 2; ++write) {
    raft.Poll();
    raft.Durable(WriteSeq(write));
  }
  raft.Poll();
  ASSERT_EQ(raft.GetView().commit, LogIndex(3));
  raft.Read(Ticket(1));
  raft.Tick(1 + limits.heartbeat_ticks);
  EXPECT_EQ(raft.Poll().reads_ready.size(), 1U);
  raft.Read(Ticket(2));
  EXPECT_EQ(raft.Poll().reads_ready.size(), 1U);
}

TEST(LeaderReadTest, TooManyReadsAreFailedAndNotKept) {
  Limits limits;
  limits.reads_pending_max = 2;
  LoneNode node = CommittedLeader(limits);
  for (const std::uint64_t ticket : {1U, 2U, 3U}) node.Read(ticket);
  EXPECT_EQ(node.reads_failed, std::vector<Ticket>{Ticket(3)});
}

/// A follower of node 2 in term 1.
LoneNode FollowerOfTwo(const Limits& limits = {}) {
  LoneNode node = LoneNode::Fresh(3, limits);
  node.Receive(2, MakeAppend(1, 0, 0, {1}, 1));
  return node;
}

TEST(FollowerReadTest, ReadersShareOneRequest) {
  LoneNode node = FollowerOfTwo();
  for (const std::uint64_t ticket : {1U, 2U, 3U}) node.raft.Read(Ticket(ticket));
  node.Run();
  const auto requests = node.TakeTo<ReadIndexRequest>(2);
  ASSERT_EQ(requests.size(), 1U);
  node.Receive(2, ReadIndexReply{Term(1), requests[0].number, true, LogIndex(1)});
  EXPECT_EQ(node.reads_ready.size(), 3U);
  EXPECT_EQ(node.reads_ready[2].index, LogIndex(1));
}

// A reader that comes after the request was sent waits for the next one: R51 from the other side.
TEST(FollowerReadTest, AReaderThatComesLaterIsNotAnsweredByAnEarlierRequest) {
  LoneNode node = FollowerOfTwo();
  node.Read(1);
  const std::uint64_t first = node.TakeTo<ReadIndexRequest>(2).at(0).number;
  node.Read(2);
  EXPECT_TRUE(node.Take<ReadIndexRequest>().empty());
  node.Receive(2, ReadIndexReply{Term(1), first, true, LogIndex(1)});
  ASSERT_EQ(node.reads_ready.size(), 1U);
  const auto next = node.TakeTo<ReadIndexRequest>(2);
  ASSERT_EQ(next.size(), 1U);
  EXPECT_NE(next[0].number, first);
}

TEST(FollowerReadTest, EachAttemptHasANewNumberAndAnyOfThemIsAnswerEnough) {
  LoneNode node = FollowerOfTwo();
  node.Read(1);
  std::set<std::uint64_t> numbers;
  std::uint64_t first = 0;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto requests = node.TakeTo<ReadIndexRequest>(2);
    ASSERT_EQ(requests.size(), 1U);
    if (attempt == 0) first = requests[0].number;
    numbers.insert(requests[0].number);
    node.Tick(2ULL * Limits().heartbeat_ticks);
  }
  EXPECT_EQ(numbers.size(), 4U);
  node.Receive(2, ReadIndexReply{Term(1), first, true, LogIndex(1)});
  EXPECT_EQ(node.reads_ready.size(), 1U);
  node.Receive(2, ReadIndexReply{Term(1), *numbers.rbegin(), true, LogIndex(1)});
  EXPECT_EQ(node.reads_ready.size(), 1U);
}

/// A follower that asked for reader 1 and, as no answer came, again for readers 1 and 2.
struct AskedTwice {
  LoneNode node;
  std::uint64_t first = 0;
  std::uint64_t second = 0;
};

AskedTwice AskTwice() {
  AskedTwice asked{.node = FollowerOfTwo()};
  asked.node.Read(1);
  asked.first = asked.node.TakeTo<ReadIndexRequest>(2).at(0).number;
  asked.node.Read(2);
  asked.node.Tick(2ULL * Limits().heartbeat_ticks);
  asked.second = asked.node.TakeTo<ReadIndexRequest>(2).at(0).number;
  return asked;
}

// Who comes while an answer is awaited that got lost need not wait for it.
TEST(FollowerReadTest, ANewAttemptTakesAlongWhoeverCameMeanwhile) {
  auto [node, first, second] = AskTwice();
  node.Read(3);
  // The first request was sent before reader 2 came (R51).
  node.Receive(2, ReadIndexReply{Term(1), first, true, LogIndex(1)});
  ASSERT_EQ(node.reads_ready.size(), 1U);
  EXPECT_EQ(node.reads_ready[0].ticket, Ticket(1));
  node.Receive(2, ReadIndexReply{Term(1), second, true, LogIndex(1)});
  ASSERT_EQ(node.reads_ready.size(), 2U);
  EXPECT_EQ(node.reads_ready[1].ticket, Ticket(2));
  const auto third = node.TakeTo<ReadIndexRequest>(2);
  ASSERT_EQ(third.size(), 1U);
  node.Receive(2, ReadIndexReply{Term(1), third[0].number, true, LogIndex(1)});
  EXPECT_EQ(node.reads_ready.size(), 3U);
}

TEST(FollowerReadTest, ALateAnswerToANewerAttemptServesAllItAskedForOnce) {
  auto [node, first, second] = AskTwice();
  node.Receive(2, ReadIndexReply{Term(1), second, true, LogIndex(1)});
  EXPECT_EQ(node.reads_ready.size(), 2U);
  node.Receive(2, ReadIndexReply{Term(1), first, true, LogIndex(1)});
  EXPECT_EQ(node.reads_ready.size(), 2U);
  EXPECT_TRUE(node.Take<ReadIndexRequest>().empty());
}

// R54: the leader answers members, learners among them, and tells others at once.
TEST(FollowerReadTest, LearnersMayReadAndRemovedNodesMayNot) {
  Cluster cluster({.nodes = 3});
  const std::uint64_t leader = cluster.Elect();
  const std::uint64_t learner = leader % 3 + 1;
  const std::uint64_t removed = 6 - leader - learner;
  ASSERT_EQ(cluster.Reconfigure(
                leader, {.add = {}, .promote = {}, .demote = {NodeId(learner)}, .remove = {}}),
            Reconfiguring::kStarted);
  cluster.Stabilize();
  ASSERT_FALSE(IsVoter(cluster.at(learner).membership(), NodeId(learner)));
  cluster.Read(learner, 1);
  cluster.Stabilize();
  EXPECT_EQ(cluster.reads_ready(learner).size(), 1U);

  ASSERT_EQ(cluster.Reconfigure(
                leader, {.add = {}, .promote = {NodeId(learner)}, .demote = {}, .remove = {}}),
            Reconfiguring::kStarted);
  const Delta removal{.add = {}, .promote = {}, .demote = {}, .remove = {NodeId(removed)}};
  Reconfiguring begun = Reconfiguring::kBusy;  // Until the learner has caught up and votes again.
  for (int i = 0; i < 40 && begun != Reconfiguring::kStarted; ++i) {
    cluster.TickAll(Limits().heartbeat_ticks);
    cluster.Stabilize();
    if (IsVoter(cluster.at(leader).membership(), NodeId(learner))) {
      begun = cluster.Reconfigure(leader, removal);
    }
  }
  cluster.Cut(leader, removed);  // It does not learn of its end.
  ASSERT_EQ(begun, Reconfiguring::kStarted);
  for (int i = 0; i < 40 && IsMember(cluster.at(leader).membership(), NodeId(removed)); ++i) {
    cluster.TickAll(Limits().heartbeat_ticks);
    cluster.Stabilize();
  }
  ASSERT_FALSE(IsMember(cluster.at(leader).membership(), NodeId(removed)));
  cluster.Heal();
  cluster.Receive(removed, leader, ReadIndexRequest{cluster.view(leader).term, 5});
  ASSERT_FALSE(cluster.packets().empty());
  const auto* reply = std::get_if<ReadIndexReply>(&cluster.packets().back().message);
  ASSERT_NE(reply, nullptr);
  EXPECT_FALSE(reply->granted);
}

// The numbers of two lives differ, or an answer to the first would serve the second.
TEST(FollowerReadTest, NumbersOfAnEarlierLifeDoNotFit) {
  LoneNode first(LogOfTerms({}, 0), Limits(), 1);
  LoneNode second(LogOfTerms({}, 0), Limits(), 2);
  std::vector<std::uint64_t> numbers;
  for (LoneNode* node : {&first, &second}) {
    node->Receive(2, Heartbeat{Term(1), LogIndex(), 0, LogIndex()});
    node->Read(1);
    numbers.push_back(node->TakeTo<ReadIndexRequest>(2).at(0).number);
  }
  EXPECT_NE(numbers[0], numbers[1]);
  second.Receive(2, ReadIndexReply{Term(1), numbers[0], true, LogIndex()});
  EXPECT_TRUE(second.reads_ready.empty());
}

TEST(FollowerReadTest, ABrokenLinkAsksAgainAtOnce) {
  LoneNode node = FollowerOfTwo();
  node.Read(1);
  node.Take<ReadIndexRequest>();
  node.raft.LinkReset(NodeId(2));
  node.Run();
  EXPECT_EQ(node.Take<ReadIndexRequest>().size(), 1U);
}

// R52
TEST(FollowerReadTest, PendingReadsFailWithTheLeaderAndAtOnceWithoutOne) {
  LoneNode node = FollowerOfTwo();
  node.Read(1);
  node.Receive(3, Heartbeat{Term(2), LogIndex(), 0, LogIndex()});
  EXPECT_EQ(node.reads_failed, std::vector<Ticket>{Ticket(1)});
  LoneNode alone = LoneNode::Fresh();
  alone.Read(2);
  EXPECT_EQ(alone.reads_failed, std::vector<Ticket>{Ticket(2)});
  alone.TickUntilCampaign();
  alone.Read(3);
  EXPECT_EQ(alone.reads_failed.back(), Ticket(3));
}

TEST(FollowerReadTest, ARefusalFailsTheBatch) {
  LoneNode node = FollowerOfTwo();
  node.Read(1);
  const std::uint64_t number = node.TakeTo<ReadIndexRequest>(2).at(0).number;
  node.Receive(2, ReadIndexReply{Term(1), number, false, LogIndex()});
  EXPECT_EQ(node.reads_failed.size(), 1U);
}

TEST(FollowerReadTest, OnlyALeaderGrantsRequests) {
  LoneNode node = FollowerOfTwo();
  node.Receive(3, ReadIndexRequest{Term(1), 5});
  const auto replies = node.TakeTo<ReadIndexReply>(3);
  ASSERT_EQ(replies.size(), 1U);
  EXPECT_FALSE(replies[0].granted);
}

TEST(FollowerReadTest, AFollowersReadSeesWhatWasCommittedElsewhere) {
  Cluster cluster({.nodes = 3});
  const std::uint64_t leader = cluster.Elect();
  const std::uint64_t reader = leader % 3 + 1;
  cluster.Propose(leader, "a");
  cluster.Drop(leader, reader);
  cluster.Deliver(0, 0);
  cluster.Deliver(0, 0);
  const LogIndex committed = cluster.view(leader).commit;
  ASSERT_LT(cluster.view(reader).commit, committed);
  cluster.Read(reader, 1);
  cluster.Stabilize();
  ASSERT_EQ(cluster.reads_ready(reader).size(), 1U);
  EXPECT_GE(cluster.reads_ready(reader)[0].index, committed);
}

// A leader that was cut off and does not know of its successor must not answer.
TEST(LeaderReadTest, ADeposedLeaderThatDoesNotKnowItAnswersNoRead) {
  Cluster cluster({.nodes = 3});
  const std::uint64_t old_leader = cluster.Elect();
  cluster.Isolate(old_leader);
  cluster.Read(old_leader, 1);
  for (std::uint64_t id : cluster.ids()) {
    if (id != old_leader) cluster.Tick(id, 2ULL * Limits().election_ticks_max);
  }
  cluster.Stabilize();
  cluster.TickAll(2ULL * Limits().election_ticks_max);
  EXPECT_TRUE(cluster.reads_ready(old_leader).empty());
  EXPECT_EQ(cluster.reads_failed(old_leader).size(), 1U);
}

}  // namespace
}  // namespace bedrock::raft
