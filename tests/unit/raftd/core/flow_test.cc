// Flow control: rules R78..R83 (raftd/core/README.md), the cache and what is fetched.

#include <gtest/gtest.h>

#include <string>

#include "raftd/core/progress.h"
#include "tests/unit/raftd/core/lone_node.h"

namespace bedrock::raft {
namespace {

/// A leader of two whose follower has acknowledged the first entry: it streams.
LoneNode Streaming(const Limits& limits, std::size_t voters = 2) {
  LoneNode node = LoneNode::Fresh(voters, limits);
  node.BecomeLeader();
  node.AcknowledgeAll(2);
  node.Take<AppendRequest>();
  return node;
}

MemberProgress Peer(const LoneNode& node) { return node.view().members.at(0); }

TEST(WindowTest, CountsMessagesAndBytesAndFreesInOrder) {
  Limits limits;
  limits.window_messages_max = 3;
  limits.window_bytes_max = 100;
  Window window;
  window.Add(LogIndex(2), 40);
  window.Add(LogIndex(4), 50);
  EXPECT_FALSE(window.Full(limits));
  window.Add(LogIndex(5), 10);
  EXPECT_TRUE(window.Full(limits));
  window.FreeUpTo(LogIndex(3));
  EXPECT_EQ(window.messages(), 2U);
  EXPECT_EQ(window.bytes(), 60U);
  EXPECT_FALSE(window.Full(limits));
  window.FreeUpTo(LogIndex(5));
  EXPECT_EQ(window.bytes(), 0U);
  window.Add(LogIndex(6), 1000);  // One message may cross the bound.
  EXPECT_TRUE(window.Full(limits));
}

TEST(FlowTest, AProbeIsAloneUntilItIsAnswered) {
  LoneNode node = LoneNode::Fresh(2);
  node.BecomeLeader();
  EXPECT_EQ(node.Take<AppendRequest>().size(), 1U);
  node.Propose({"a"});
  node.Propose({"b"});
  EXPECT_TRUE(node.Take<AppendRequest>().empty());
  EXPECT_EQ(Peer(node).state, ReplicationState::kProbe);
  node.Receive(2, Accepted(node.term(), 1));
  EXPECT_EQ(Peer(node).state, ReplicationState::kStream);
  const auto appends = node.Take<AppendRequest>();
  ASSERT_EQ(appends.size(), 1U);
  EXPECT_EQ(appends[0].message.entries.size(), 2U);
}

TEST(FlowTest, AStreamSendsAheadUpToTheWindowInMessages) {
  Limits limits;
  limits.window_messages_max = 3;
  LoneNode node = Streaming(limits);
  for (int i = 0; i < 10; ++i) node.Propose({"a"});
  EXPECT_EQ(node.Take<AppendRequest>().size(), 3U);
  EXPECT_EQ(Peer(node).window_messages, 3U);
  node.Receive(2, Accepted(node.term(), 2));
  const auto appends = node.Take<AppendRequest>();
  ASSERT_GE(appends.size(), 1U);
  EXPECT_EQ(appends[0].message.entries.size(), 7U);  // All that waited, in one.
}

// R83
TEST(FlowTest, WhatAStuckFollowerIsSentIsBoundedInBytes) {
  Limits limits;
  limits.window_bytes_max = 1000;
  limits.append_bytes_max = 200;
  LoneNode node = Streaming(limits);
  const std::string payload(100, 'x');
  for (int i = 0; i < 100; ++i) node.Propose({payload});
  for (int i = 0; i < 10; ++i) {
    node.Tick(limits.heartbeat_ticks);
    node.Receive(2, HeartbeatReply{node.term(), 0});
  }
  std::size_t bytes = 0;
  for (const auto& [to, append] : node.Take<AppendRequest>()) {
    for (const Entry& entry : append.entries) bytes += entry.payload.size();
  }
  EXPECT_EQ(bytes, 1000U);
}

// R83: a prober that answers heartbeats and not the probe is sent the entries once.
TEST(FlowTest, ARepeatedProbeCarriesNoEntries) {
  LoneNode node = LoneNode::Fresh(2);
  node.BecomeLeader();
  EXPECT_EQ(node.Take<AppendRequest>().at(0).message.entries.size(), 1U);
  for (int i = 0; i < 5; ++i) {
    node.Tick(Limits().heartbeat_ticks);
    node.Receive(2, HeartbeatReply{node.term(), 0});
    const auto appends = node.Take<AppendRequest>();
    ASSERT_EQ(appends.size(), 1U);
    EXPECT_TRUE(appends[0].message.entries.empty());
  }
}

TEST(FlowTest, AnAppendIsBoundedInBytesAndEntriesAndHoldsAtLeastOne) {
  Limits limits;
  limits.append_bytes_max = 10;
  limits.append_entries_max = 3;
  LoneNode node = Streaming(limits);
  node.Propose({"aaaa", "bbbb", "cccc", "d", "e", "f", "g", "a payload of more than ten bytes"});
  std::vector<std::size_t> sizes;
  for (const auto& [to, append] : node.Take<AppendRequest>()) {
    sizes.push_back(append.entries.size());
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{2, 3, 2, 1}));
}

// R78
TEST(FlowTest, AFullWindowStillSendsOneEmptyAppendAHeartbeat) {
  Limits limits;
  limits.window_messages_max = 1;
  LoneNode node = Streaming(limits);
  node.Propose({"a"});
  node.Propose({"b"});
  node.Take<AppendRequest>();
  for (int i = 0; i < 4; ++i) {
    node.Tick(limits.heartbeat_ticks);
    const auto appends = node.Take<AppendRequest>();
    ASSERT_EQ(appends.size(), 1U);
    EXPECT_TRUE(appends[0].message.entries.empty());
    EXPECT_EQ(appends[0].message.prev_index, LogIndex(2));
  }
}

// What R78 is for: without it a lost append would wedge the follower.
TEST(FlowTest, ALostAppendIsFoundOutByTheNextHeartbeat) {
  LoneNode node = Streaming({});
  node.Propose({"a"});
  node.Take<AppendRequest>();  // Lost.
  node.Tick(Limits().heartbeat_ticks);
  const auto empty = node.Take<AppendRequest>();
  ASSERT_EQ(empty.size(), 1U);
  node.Receive(2, RefusedAt(node.term(), empty[0].message.prev_index.value(), 1, 1));
  const auto again = node.Take<AppendRequest>();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].message.prev_index, LogIndex(1));
  EXPECT_EQ(again[0].message.entries.size(), 1U);
}

// R79
TEST(FlowTest, TheWindowIsEmptyAfterEveryChangeOfState) {
  LoneNode node = Streaming({});
  node.Propose({"a"});
  node.Propose({"b"});
  ASSERT_EQ(Peer(node).window_messages, 2U);
  node.raft.LinkReset(NodeId(2));
  EXPECT_EQ(Peer(node).state, ReplicationState::kProbe);
  EXPECT_EQ(Peer(node).window_messages, 0U);
  EXPECT_EQ(Peer(node).window_bytes, 0U);
  node.Run();
  node.Receive(2, Accepted(node.term(), 3));
  EXPECT_EQ(Peer(node).state, ReplicationState::kStream);
  EXPECT_EQ(Peer(node).window_messages, 0U);
}

// R80
TEST(FlowTest, ACaughtUpFollowerInProbeStreamsAgainAfterAHeartbeat) {
  LoneNode node = Streaming({});
  node.raft.LinkReset(NodeId(2));
  node.Run();
  node.Take<AppendRequest>();  // Lost.
  node.Tick(Limits().heartbeat_ticks);
  node.Receive(2, HeartbeatReply{node.term(), 0});
  ASSERT_EQ(node.Take<AppendRequest>().size(), 1U);
  node.Receive(2, Accepted(node.term(), 1));
  EXPECT_EQ(Peer(node).state, ReplicationState::kStream);
}

// R81
TEST(FlowTest, UncommittedBytesAreBoundedAndFallToZero) {
  Limits limits;
  limits.uncommitted_bytes_max = 10;
  LoneNode node = Streaming(limits, 3);
  EXPECT_FALSE(node.Propose({"12345", "12345"}).refused);
  EXPECT_EQ(node.view().uncommitted_bytes, 10U);
  EXPECT_EQ(node.Propose({"x"}).refused, Refused::kBusy);
  EXPECT_EQ(node.view().last_index, LogIndex(3));
  node.AcknowledgeAll(2);
  EXPECT_EQ(node.view().uncommitted_bytes, 0U);
  EXPECT_FALSE(node.Propose({"x"}).refused);
}

// R81
TEST(FlowTest, AnOversizeProposalPassesWhenNothingIsUncommitted) {
  Limits limits;
  limits.uncommitted_bytes_max = 10;
  LoneNode node = Streaming(limits, 3);
  EXPECT_FALSE(node.Propose({"more than ten bytes"}).refused);
  EXPECT_EQ(node.Propose({""}).refused, Refused::kBusy);
}

TEST(FlowTest, UncommittedEntriesAreBounded) {
  Limits limits;
  limits.uncommitted_entries_max = 3;
  LoneNode node = Streaming(limits, 3);
  EXPECT_FALSE(node.Propose({"", "", ""}).refused);
  EXPECT_EQ(node.Propose({""}).refused, Refused::kBusy);
  node.AcknowledgeAll(2);
  EXPECT_FALSE(node.Propose({"", ""}).refused);
}

TEST(FlowTest, ABatchIsTakenWholeOrNotAtAll) {
  Limits limits;
  limits.uncommitted_bytes_max = 10;
  LoneNode node = Streaming(limits, 3);
  node.Propose({"12345"});
  EXPECT_EQ(node.Propose({"123", "456"}).refused, Refused::kBusy);
  EXPECT_EQ(node.view().uncommitted_bytes, 5U);
}

TEST(FlowTest, WhenTheCommitMovesAndNothingElseIsSentFollowersAreToldOnce) {
  LoneNode node = Streaming({}, 3);
  node.AcknowledgeAll(3);
  node.Propose({"a"});
  node.Take<AppendRequest>();
  node.AcknowledgeAll(2);
  const auto appends = node.Take<AppendRequest>();
  ASSERT_EQ(appends.size(), 2U);
  for (const auto& [to, append] : appends) {
    EXPECT_TRUE(append.entries.empty());
    EXPECT_EQ(append.commit, LogIndex(2));
  }
  node.AcknowledgeAll(3);
  EXPECT_TRUE(node.Take<AppendRequest>().empty());
}

TEST(FlowTest, ACommitThatMovesWhileEntriesWaitRidesOnThem) {
  LoneNode node = Streaming({}, 2);
  node.Propose({"a"});
  node.Take<AppendRequest>();
  const Bytes payload = Bytes::Copy("b");
  node.raft.Propose({&payload, 1}, 0);
  node.raft.Receive(NodeId(2), Accepted(node.term(), 2));
  node.Run();
  const auto appends = node.Take<AppendRequest>();
  ASSERT_EQ(appends.size(), 1U);
  EXPECT_EQ(appends[0].message.entries.size(), 1U);
  EXPECT_EQ(appends[0].message.commit, LogIndex(2));
}

// ---- What is no longer in memory

TEST(FetchTest, EntriesThatLeftTheCacheAreFetchedAndSent) {
  Limits limits;
  limits.cache_bytes_max = 4;
  limits.append_entries_max = 3;
  LoneNode node = Streaming(limits, 3);
  for (const char* payload : {"aa", "bb", "cc", "dd", "ee"}) {
    node.Propose({payload});
    node.AcknowledgeAll(2);
  }
  node.Take<AppendRequest>();
  node.Receive(3, RefusedAt(node.term(), 0, 0, 0));
  node.Receive(3, Accepted(node.term(), 1));  // The first probe's; 2 to 6 are missing.
  ASSERT_EQ(node.fetches.size(), 1U);
  EXPECT_EQ(node.fetches[0].follower, NodeId(3));
  EXPECT_EQ(node.fetches[0].first, LogIndex(2));
  EXPECT_EQ(node.fetches[0].last, LogIndex(4));
  node.raft.Fetched(NodeId(3), {MakeEntry(1, 2, "aa"), MakeEntry(1, 3, "bb")});
  node.Run();
  const auto appends = node.TakeTo<AppendRequest>(3);
  ASSERT_EQ(appends.size(), 1U);
  EXPECT_EQ(appends[0].entries.size(), 2U);
  ASSERT_EQ(node.fetches.size(), 2U);
  EXPECT_EQ(node.fetches[1].first, LogIndex(4));
}

TEST(FetchTest, AnswersThatNobodyWaitsForAreIgnored) {
  Limits limits;
  limits.cache_bytes_max = 1;
  LoneNode node = Streaming(limits, 3);
  for (const char* payload : {"aa", "bb", "cc"}) {
    node.Propose({payload});
    node.AcknowledgeAll(2);
  }
  node.Take<AppendRequest>();
  node.raft.Fetched(NodeId(3), {MakeEntry(1, 2, "aa")});  // Not asked for.
  node.Run();
  EXPECT_TRUE(node.TakeTo<AppendRequest>(3).empty());
  node.Receive(3, Accepted(node.term(), 1));
  ASSERT_EQ(node.fetches.size(), 1U);
  node.raft.Fetched(NodeId(3), {MakeEntry(7, 2, "zz")});  // Not our log.
  node.Run();
  EXPECT_TRUE(node.TakeTo<AppendRequest>(3).empty());
  EXPECT_EQ(node.fetches.size(), 2U);  // It asks again.
}

TEST(FetchTest, OnlyOneFetchAFollowerIsUnderWay) {
  LoneNode node(LogOfTerms({1, 1, 1, 1}, 1));
  node.BecomeLeader();
  node.Receive(2, RefusedAt(node.term(), 4, 1, 1));
  for (int i = 0; i < 5; ++i) {
    node.Tick(Limits().heartbeat_ticks);
    node.Receive(2, HeartbeatReply{node.term(), 0});
  }
  EXPECT_EQ(node.fetches.size(), 1U);
}

}  // namespace
}  // namespace bedrock::raft
