#include "raftd/server/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "common/base/units.h"
#include "common/env/random.h"
#include "proto/codec.h"
#include "raftd/core/quorum.h"
#include "tests/unit/raftd/server/driver_cluster.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class DriverTest : public DriverCluster {
 protected:
  /// The answer of this type with this request id; fails the test where there is none.
  template <typename T>
  T AnswerTo(const std::vector<proto::Packet>& answers, std::uint64_t request) {
    for (const proto::Packet& packet : answers) {
      if (packet.request != RequestId(request)) continue;
      if (const auto* answer = std::get_if<T>(&packet.message)) return *answer;
    }
    ADD_FAILURE() << "no such answer to request " << request;
    return {};
  }

  std::ptrdiff_t PositionOf(const std::string& line) {
    const auto found = std::find(trace_.begin(), trace_.end(), line);
    EXPECT_NE(found, trace_.end()) << line;
    return found - trace_.begin();
  }

  int Other(int node) { return node == 1 ? 2 : 1; }
};

TEST_F(DriverTest, AProposalIsAppliedEverywhereAndAnsweredByTheLeadersStorageAlone) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(7, "a"), Propose(8, "b")});
  Run(100);
  for (int node = 1; node <= 3; ++node) {
    EXPECT_THAT(Commands(node), ElementsAre("a", "b")) << "n" << node;
    if (node == leader) continue;
    EXPECT_THAT(storage(node).replies, IsEmpty());
  }
  EXPECT_THAT(storage(leader).replies, ElementsAre(proto::ReplyTo{kRouter, RequestId(7)},
                                                   proto::ReplyTo{kRouter, RequestId(8)}));
  EXPECT_THAT(TakeAnswers(), IsEmpty());
}

TEST_F(DriverTest, AppendsLeaveBeforeTheLeadersSyncAndAcksAfterTheFollowers) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int follower = Other(leader);
  tracing_ = true;
  Ask(leader, {Propose(1, "a")});
  Settle();
  const std::string l = "n" + std::to_string(leader);
  const std::string f = "n" + std::to_string(follower);
  EXPECT_LT(PositionOf(l + " -> " + f + " append"), PositionOf(l + " sync"));
  EXPECT_LT(PositionOf(f + " sync"), PositionOf(f + " -> " + l + " append reply"));
}

TEST_F(DriverTest, VoteRequestsWaitForTheVotersOwnSync) {
  StartCluster({});
  tracing_ = true;
  const int leader = RunUntilLeader();
  const std::string l = "n" + std::to_string(leader);
  const std::string to = " -> n" + std::to_string(Other(leader));
  // The first request is the pre-vote, which promises nothing; the real one comes after the sync.
  EXPECT_LT(PositionOf(l + to + " vote request"), PositionOf(l + " sync"));
  EXPECT_EQ(std::count(trace_.begin(), trace_.begin() + PositionOf(l + " sync"),
                       l + to + " vote request"),
            1);
  EXPECT_EQ(std::count(trace_.begin(), trace_.end(), l + to + " vote request"), 2);
}

TEST_F(DriverTest, AllProposalsOfATurnAreOneSyncANode) {
  StartCluster({});
  const int leader = RunUntilLeader();
  std::vector<proto::Packet> packets;
  for (std::uint64_t i = 1; i <= 500; ++i) packets.push_back(Propose(i, "command"));
  tracing_ = true;
  Ask(leader, std::move(packets));
  Settle();
  EXPECT_THAT(Commands(leader), SizeIs(500));
  for (int node = 1; node <= 3; ++node) {
    EXPECT_EQ(std::count(trace_.begin(), trace_.end(), "n" + std::to_string(node) + " sync"), 1);
  }
}

TEST_F(DriverTest, AFollowerRefusesWithTheLeadersName) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(Other(leader), {Propose(7, "a")});
  Settle();
  const auto refused = AnswerTo<proto::ProposeRefused>(TakeAnswers(), 7);
  EXPECT_EQ(refused.error.code, proto::ErrorCode::kNotLeader);
  EXPECT_EQ(refused.error.outcome, proto::Outcome::kNone);
  EXPECT_EQ(refused.leader, NodeId(static_cast<std::uint64_t>(leader)));
}

TEST_F(DriverTest, CommandsThatCannotBeAreRefused) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, ""), Propose(2, std::string(proto::kCommandBytesMax + 1, 'x'))});
  Settle();
  const auto answers = TakeAnswers();
  EXPECT_EQ(AnswerTo<proto::ProposeRefused>(answers, 1).error.code,
            proto::ErrorCode::kInvalidArgument);
  const auto large = AnswerTo<proto::ProposeRefused>(answers, 2).error;
  EXPECT_EQ(large.code, proto::ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(large.limit, proto::kCommandBytesMax);
  EXPECT_EQ(large.actual, proto::kCommandBytesMax + 1);
}

TEST_F(DriverTest, AProposalWhoseDeadlinePassedIsNotProposed) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "late", 20), Propose(2, "in time", 2000)});
  clock_.AdvanceMs(20);  // before the turn ends
  Settle();
  EXPECT_EQ(AnswerTo<proto::ProposeRefused>(TakeAnswers(), 1).error.code,
            proto::ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(Commands(leader), ElementsAre("in time"));
}

TEST_F(DriverTest, BeyondTheCoresBoundTheFirstOnesStillGetTheRoomThereIs) {
  Limits limits;
  limits.uncommitted_entries_max = 10;
  StartCluster({.limits = limits});
  const int leader = RunUntilLeader();
  std::vector<proto::Packet> packets;
  for (std::uint64_t i = 1; i <= 30; ++i) packets.push_back(Propose(i, std::to_string(i)));
  Ask(leader, std::move(packets));
  Settle();
  const auto commands = Commands(leader);
  const auto answers = TakeAnswers();
  EXPECT_GE(commands.size(), 5U);
  EXPECT_EQ(commands.size() + answers.size(), 30U);
  EXPECT_EQ(commands.front(), "1");
  for (const proto::Packet& packet : answers) {
    EXPECT_EQ(std::get<proto::ProposeRefused>(packet.message).error.code,
              proto::ErrorCode::kOverloaded);
  }
}

TEST_F(DriverTest, ProposalsOfADeposedLeaderAreRefusedOnceOthersEntriesAreCommitted) {
  StartCluster({});
  const int old_leader = RunUntilLeader();
  Isolate(old_leader);
  Ask(old_leader, {Propose(1, "lost"), Propose(2, "lost too")});
  Run(100);
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  const int new_leader = RunUntilLeader();
  ASSERT_NE(new_leader, old_leader);
  Ask(new_leader, {Propose(3, "kept")});
  Run(100);
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  Heal();
  Run(2000);
  const auto answers = TakeAnswers();
  for (const std::uint64_t request : {1U, 2U}) {
    const auto refused = AnswerTo<proto::ProposeRefused>(answers, request);
    EXPECT_EQ(refused.error.code, proto::ErrorCode::kNotLeader);
    EXPECT_EQ(refused.error.outcome, proto::Outcome::kNone);
  }
  for (int node = 1; node <= 3; ++node) EXPECT_THAT(Commands(node), ElementsAre("kept"));
}

TEST_F(DriverTest, ARestartedStorageIsFedFromItsDurableIndexWithTheReplyAddresses) {
  StartCluster({});
  const int leader = RunUntilLeader();
  for (std::uint64_t i = 1; i <= 20; ++i) {
    Ask(leader, {Propose(i, "c" + std::to_string(i))});
    Settle();
  }
  const auto before = Commands(leader);
  ASSERT_THAT(before, SizeIs(20));
  storage(leader).up = false;
  storage(leader).applied.resize(5);  // what was durable
  storage(leader).durable = 5;
  storage(leader).boot = 101;
  Run(300);
  EXPECT_EQ(driver(leader).GetView().role, Role::kLeader) << "a short absence costs no leadership";
  storage(leader).replies.clear();
  Ask(leader, {Propose(99, "while it was down")});
  storage(leader).up = true;
  Run(300);
  auto expected = before;
  expected.emplace_back("while it was down");
  EXPECT_EQ(Commands(leader), expected);
  EXPECT_EQ(storage(leader).replies.back(), (proto::ReplyTo{kRouter, RequestId(99)}));
}

TEST_F(DriverTest, WhatTheCoreNoLongerHoldsIsReadFromTheLog) {
  Limits limits;
  limits.cache_bytes_max = 1000;
  StartCluster({.limits = limits});
  const int leader = RunUntilLeader();
  std::vector<std::string> expected;
  for (std::uint64_t i = 1; i <= 200; ++i) {
    expected.push_back(std::to_string(i) + std::string(100, 'x'));
    Ask(leader, {Propose(i, expected.back())});
    Settle();
  }
  storage(leader).applied.clear();
  storage(leader).boot = 101;
  Run(1000);
  EXPECT_EQ(Commands(leader), expected);
}

TEST_F(DriverTest, ApplyFramesThatGotLostAreSentAgain) {
  StartCluster({});
  const int leader = RunUntilLeader();
  storage(leader).frames_to_lose = 1;
  Ask(leader, {Propose(1, "a")});
  Settle();
  EXPECT_THAT(Commands(leader), IsEmpty());
  Ask(leader, {Propose(2, "b")});
  Run(600);
  EXPECT_THAT(Commands(leader), ElementsAre("a", "b"));
  EXPECT_THAT(storage(leader).replies, SizeIs(2));
}

TEST_F(DriverTest, ALeaderWhoseStorageIsGoneStepsDownAndDoesNotStand) {
  StartCluster({});
  const int old_leader = RunUntilLeader();
  storage(old_leader).up = false;
  Run(5000);
  EXPECT_NE(Leader(), 0);
  EXPECT_NE(Leader(), old_leader);
  EXPECT_EQ(driver(old_leader).storage_health(), proto::ErrorCode::kStorageUnavailable);
  EXPECT_EQ(driver(old_leader).GetView().role, Role::kFollower);
  storage(old_leader).up = true;
  Run(500);
  EXPECT_EQ(driver(old_leader).storage_health(), proto::ErrorCode::kOk);
  EXPECT_FALSE(driver(old_leader).GetView().disk_stalled);
}

TEST_F(DriverTest, WithoutAnyStorageNobodyLeadsAndAFullDiskIsTheReasonGiven) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  storage(1).health = proto::ErrorCode::kStorageFull;
  Run(2000);
  EXPECT_EQ(Leader(), 0);
  Ask(1, {Propose(1, "a")});
  Settle();
  EXPECT_EQ(AnswerTo<proto::ProposeRefused>(TakeAnswers(), 1).error.code,
            proto::ErrorCode::kStorageFull);
  storage(1).health = proto::ErrorCode::kOk;
  Run(2000);
  EXPECT_EQ(Leader(), 1);
}

TEST_F(DriverTest, ALeaderWhoseSyncTakesAnElectionTimeoutStepsDownAndRecovers) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  on_sync_ = [this](int) { clock_.AdvanceMs(500); };
  Ask(1, {Propose(1, "slow")});
  Settle();
  EXPECT_EQ(driver(1).GetView().role, Role::kFollower);
  EXPECT_TRUE(driver(1).GetView().disk_stalled);
  EXPECT_THAT(Commands(1), ElementsAre("slow"));
  on_sync_ = nullptr;
  EXPECT_EQ(RunUntilLeader(), 1);
}

TEST_F(DriverTest, AThreadedWriterKeepsHeartbeatsGoingAndHeldMessagesBack) {
  StartCluster({.writer = Writer::kThread});
  const int leader = RunUntilLeader();
  const int follower = Other(leader);
  HoldDisk(leader, true);
  HoldDisk(follower, true);
  tracing_ = true;
  Ask(leader, {Propose(1, "a")});
  Run(200);
  const std::string l = "n" + std::to_string(leader);
  const std::string f = "n" + std::to_string(follower);
  EXPECT_GE(std::count(trace_.begin(), trace_.end(), l + " -> " + f + " heartbeat"), 3);
  EXPECT_EQ(std::count(trace_.begin(), trace_.end(), f + " -> " + l + " append reply"), 0);
  EXPECT_THAT(Commands(leader), IsEmpty()) << "one durable copy of three is no majority";
  HoldDisk(follower, false);
  Run(20);
  EXPECT_GE(std::count(trace_.begin(), trace_.end(), f + " -> " + l + " append reply"), 1);
  EXPECT_THAT(Commands(follower), ElementsAre("a")) << "two others hold it durably";
  EXPECT_THAT(Commands(leader), IsEmpty()) << "what is not durable here is not applied here";
  HoldDisk(leader, false);
  Run(20);
  EXPECT_THAT(Commands(leader), ElementsAre("a"));
}

TEST_F(DriverTest, AThreadedWritersDiskThatStallsCostsTheLeadership) {
  StartCluster({.writer = Writer::kThread});
  const int leader = RunUntilLeader();
  HoldDisk(leader, true);
  Ask(leader, {Propose(1, "a")});
  Run(490);
  EXPECT_EQ(driver(leader).GetView().role, Role::kLeader);
  Run(30);
  EXPECT_EQ(driver(leader).GetView().role, Role::kFollower);
  Run(3000);
  EXPECT_NE(Leader(), 0);
  EXPECT_NE(Leader(), leader);
  HoldDisk(leader, false);
  Run(3000);
  EXPECT_THAT(Commands(leader), ElementsAre("a"));
}

TEST_F(DriverTest, AFailedSyncEndsEverythingAndNothingLeavesAfterIt) {
  StartCluster({});
  const int leader = RunUntilLeader();
  on_sync_ = [&](int node) {
    if (node != leader) return;
    disks_[node].Inject({.operations = {MemoryFileSystem::Operation::kSync},
                         .path_suffix = "",
                         .nth = 1,
                         .forever = MemoryFileSystem::Forever::kYes});
    trace_.clear();
  };
  tracing_ = true;
  Ask(leader, {Propose(1, "a")});
  Settle();
  EXPECT_TRUE(fatal(leader).IsIOError()) << fatal(leader).ToString();
  EXPECT_TRUE(driver(leader).halted());
  Ask(leader, {Propose(2, "b")});
  Run(1000);
  const std::string l = "n" + std::to_string(leader) + " -> ";
  EXPECT_TRUE(std::none_of(trace_.begin(), trace_.end(),
                           [&](const std::string& line) { return line.starts_with(l); }));
}

TEST_F(DriverTest, ReadsOfATurnGetOneReadIndexThatCoversEveryWriteBefore) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a")});
  Run(100);
  const LogIndex written = driver(leader).GetView().commit;
  for (const int node : {leader, Other(leader)}) {
    Ask(node, {{.request = RequestId(5), .message = proto::ReadIndexQuery{}},
               {.request = RequestId(6), .message = proto::ReadIndexQuery{}}});
    Run(200);
    const auto answers = TakeAnswers();
    for (const std::uint64_t request : {5U, 6U}) {
      const auto answer = AnswerTo<proto::ReadIndexAnswer>(answers, request);
      EXPECT_TRUE(answer.error.ok()) << answer.error.detail;
      EXPECT_GE(answer.index, written);
    }
  }
}

// R60: each turn ends with the time being told, so a lease answers in the turn of the question.
TEST_F(DriverTest, UnderALeaseALeaderAnswersInTheSameTurnAndAsksNobody) {
  Settings settings;
  settings.limits.lease_reads = true;
  StartCluster(settings);
  const int leader = RunUntilLeader();
  Run(200);
  Isolate(leader);  // It may not ask anybody, nor need to.
  Ask(leader, {{.request = RequestId(5), .message = proto::ReadIndexQuery{}}});
  Settle();
  const auto answer = AnswerTo<proto::ReadIndexAnswer>(TakeAnswers(), 5);
  EXPECT_TRUE(answer.error.ok());
  EXPECT_TRUE(answer.leased);
  EXPECT_EQ(answer.index, driver(leader).GetView().commit);
  Run(settings.limits.election_ticks_min * kTickMs);
  Ask(leader, {{.request = RequestId(6), .message = proto::ReadIndexQuery{}}});
  Settle();
  EXPECT_THAT(TakeAnswers(), IsEmpty());
}

TEST_F(DriverTest, AReadThatNobodyCanConfirmFailsAndIsNotServed) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Isolate(leader);
  Ask(leader, {{.request = RequestId(5), .message = proto::ReadIndexQuery{}}});
  Run(100);
  EXPECT_THAT(TakeAnswers(), IsEmpty());
  Run(3000);
  EXPECT_EQ(AnswerTo<proto::ReadIndexAnswer>(TakeAnswers(), 5).error.code,
            proto::ErrorCode::kNoLeader);
}

TEST_F(DriverTest, AStatusQueryIsAnsweredAndLaterChangesArePushed) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int node = Other(leader);
  Ask(node, {{.request = RequestId(5), .message = proto::RaftStatusQuery{}}});
  Settle();
  const auto status = AnswerTo<proto::RaftStatus>(TakeAnswers(), 5);
  EXPECT_EQ(status.node, NodeId(static_cast<std::uint64_t>(node)));
  EXPECT_EQ(status.leader, NodeId(static_cast<std::uint64_t>(leader)));
  EXPECT_EQ(status.storage_health, proto::ErrorCode::kOk);
  ASSERT_THAT(status.members, SizeIs(3));
  EXPECT_EQ(status.members[0].http, "h1:4");
  EXPECT_EQ(status.members[static_cast<std::size_t>(leader - 1)].role, proto::Role::kLeader);

  StopNode(leader);
  RunUntilLeader();
  const auto pushed = AnswerTo<proto::RaftStatus>(TakeAnswers(), 0);
  EXPECT_GE(pushed.term, status.term);
  Run(6000);
  TakeAnswers();
  StartNode(leader);
  StopNode(Leader());
  Run(3000);
  EXPECT_THAT(TakeAnswers(), IsEmpty()) << "a router that is silent for 5 s is told no more";
}

TEST_F(DriverTest, ATransferIsAnsweredOnceTheOtherNodeLeads) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId target(static_cast<std::uint64_t>(Other(leader)));
  const Term term = driver(leader).GetView().term;
  Ask(leader, {{.request = RequestId(5), .message = proto::TransferLeadership{target}}});
  Settle();
  const auto reply = AnswerTo<proto::TransferLeadershipReply>(TakeAnswers(), 5);
  EXPECT_TRUE(reply.error.ok()) << reply.error.detail;
  EXPECT_EQ(reply.leader, target);
  EXPECT_EQ(reply.term, term.Next());
  EXPECT_EQ(Leader(), Other(leader));
}

TEST_F(DriverTest, ATransferThatCannotBeIsRefusedWithTheReason) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId self(static_cast<std::uint64_t>(leader));
  Ask(Other(leader), {{.request = RequestId(5), .message = proto::TransferLeadership{}}});
  Ask(leader, {{.request = RequestId(6), .message = proto::TransferLeadership{NodeId(9)}},
               {.request = RequestId(7), .message = proto::TransferLeadership{self}}});
  Settle();
  const auto answers = TakeAnswers();
  const auto not_leader = AnswerTo<proto::TransferLeadershipReply>(answers, 5);
  EXPECT_EQ(not_leader.error.code, proto::ErrorCode::kNotLeader);
  EXPECT_EQ(not_leader.leader, self);
  EXPECT_EQ(AnswerTo<proto::TransferLeadershipReply>(answers, 6).error.code,
            proto::ErrorCode::kInvalidArgument);
  EXPECT_TRUE(AnswerTo<proto::TransferLeadershipReply>(answers, 7).error.ok());
  EXPECT_EQ(Leader(), leader);
}

TEST_F(DriverTest, ATransferToANodeThatJustDiedFailsAndTheLeaderGoesOn) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId target(static_cast<std::uint64_t>(Other(leader)));
  StopNode(Other(leader));
  Ask(leader, {{.request = RequestId(5), .message = proto::TransferLeadership{target}}});
  const NodeId third(6 - static_cast<std::uint64_t>(leader) - target.value());
  Ask(leader,
      {{.request = RequestId(6), .message = proto::TransferLeadership{third}}, Propose(7, "a")});
  Settle();
  EXPECT_EQ(AnswerTo<proto::TransferLeadershipReply>(TakeAnswers(), 6).error.code,
            proto::ErrorCode::kOverloaded);
  EXPECT_THAT(Commands(leader), IsEmpty());
  Run(600);
  const auto reply = AnswerTo<proto::TransferLeadershipReply>(TakeAnswers(), 5);
  EXPECT_EQ(reply.error.code, proto::ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(reply.leader, NodeId(static_cast<std::uint64_t>(leader)));
  // What came meanwhile waited and is no worse for it.
  EXPECT_THAT(Commands(leader), ElementsAre("a"));
  EXPECT_THAT(storage(leader).replies, ElementsAre(proto::ReplyTo{kRouter, RequestId(7)}));
}

TEST_F(DriverTest, ProposalsDuringATransferAreRefusedOnceTheNewLeadersNameIsKnown) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId target(static_cast<std::uint64_t>(Other(leader)));
  Ask(leader,
      {{.request = RequestId(5), .message = proto::TransferLeadership{target}}, Propose(7, "a")});
  Settle();
  const auto refused = AnswerTo<proto::ProposeRefused>(TakeAnswers(), 7);
  EXPECT_EQ(refused.error.code, proto::ErrorCode::kNotLeader);
  EXPECT_EQ(refused.error.outcome, proto::Outcome::kNone);
  EXPECT_EQ(refused.leader, target);
  EXPECT_THAT(Commands(leader), IsEmpty());
}

TEST_F(DriverTest, AProposalWhoseDeadlinePassesDuringATransferIsDropped) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const NodeId target(static_cast<std::uint64_t>(Other(leader)));
  StopNode(Other(leader));
  Ask(leader, {{.request = RequestId(5), .message = proto::TransferLeadership{target}}});
  Ask(leader, {Propose(7, "a", 100)});
  Run(600);
  EXPECT_EQ(AnswerTo<proto::ProposeRefused>(TakeAnswers(), 7).error.code,
            proto::ErrorCode::kDeadlineExceeded);
  EXPECT_THAT(Commands(leader), IsEmpty());
}

TEST_F(DriverTest, ALeaderThatStopsHandsOverWithoutAnElectionTimeoutAndAnswersWhatItTookOn) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a"), Propose(2, "b")});
  driver(leader).EndTurn();
  driver(leader).BeginStop();
  EXPECT_FALSE(driver(leader).MayStop());
  Settle();
  EXPECT_TRUE(driver(leader).MayStop());
  EXPECT_THAT(storage(leader).replies, SizeIs(2));
  const int next = Leader();
  EXPECT_NE(next, leader);
  EXPECT_NE(next, 0);
  StopNode(leader);
  Ask(next, {Propose(3, "c")});
  Settle();
  EXPECT_THAT(Commands(next), ElementsAre("a", "b", "c"));
}

TEST_F(DriverTest, ALeaderThatStopsStaysUntilItsStorageHasAnsweredWhatItTookOn) {
  StartCluster({});
  const int leader = RunUntilLeader();
  storage(leader).frames_to_lose = 2;
  Ask(leader, {Propose(1, "a")});
  driver(leader).EndTurn();
  driver(leader).BeginStop();
  Settle();
  EXPECT_NE(Leader(), leader);
  EXPECT_NE(Leader(), 0);
  EXPECT_THAT(storage(leader).replies, IsEmpty());
  EXPECT_FALSE(driver(leader).MayStop());
  Run(600);
  EXPECT_THAT(storage(leader).replies, SizeIs(1));
  EXPECT_TRUE(driver(leader).MayStop());
}

TEST_F(DriverTest, AFollowerAndALoneNodeMayStopAtOnce) {
  StartCluster({});
  const int follower = Other(RunUntilLeader());
  driver(follower).BeginStop();
  EXPECT_TRUE(driver(follower).MayStop());
  TearDownCluster();
  StartCluster({.nodes = 1});
  RunUntilLeader();
  driver(1).BeginStop();
  EXPECT_TRUE(driver(1).MayStop());
}

TEST_F(DriverTest, AStopWaitsForNobodyLongerThanItsBound) {
  StartCluster({});
  const int leader = RunUntilLeader();
  for (int node = 1; node <= 3; ++node) {
    if (node != leader) StopNode(node);
  }
  Ask(leader, {Propose(1, "a")});
  driver(leader).EndTurn();
  driver(leader).BeginStop();
  EXPECT_FALSE(driver(leader).MayStop());
  Run(Driver::kStopMsMax);
  EXPECT_TRUE(driver(leader).MayStop());
}

class MembersTest : public DriverTest {
 protected:
  using Kind = proto::ChangeMembers::Kind;

  static proto::ChangeMembers Change(Kind kind, int node) {
    proto::ChangeMembers change{.kind = kind, .node = NodeId(static_cast<std::uint64_t>(node))};
    if (kind == Kind::kAdd) {
      const config::Member member = *config::ParseMember(MemberLine(node));
      change.raft = member.raft;
      change.storage = member.storage;
      change.client = member.client;
      change.http = member.http;
    }
    return change;
  }
  /// What the node answers, once it does.
  proto::ChangeMembersReply Ask1(int node, const proto::ChangeMembers& change) {
    Ask(node, {{.request = RequestId(77), .message = change}});
    Run(100);
    return AnswerTo<proto::ChangeMembersReply>(TakeAnswers(), 77);
  }
  std::vector<std::uint64_t> Voters(int node) {
    std::vector<std::uint64_t> ids;
    for (const NodeId id : driver(node).membership().voters) ids.push_back(id.value());
    return ids;
  }
  proto::RaftStatus StatusOf(int node) {
    Ask(node, {{.request = RequestId(5), .message = proto::RaftStatusQuery{}}});
    Settle();
    return AnswerTo<proto::RaftStatus>(TakeAnswers(), 5);
  }
};

TEST_F(MembersTest, ANewNodeIsTakenInFedAndBecomesAVoterThoughNobodysFlagsNameIt) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a")});
  Run(50);
  StartJoiningNode(4);
  Run(1500);
  EXPECT_EQ(driver(4).GetView().term, Term()) << "it waits";
  const auto reply = Ask1(leader, Change(Kind::kAdd, 4));
  EXPECT_TRUE(reply.error.ok()) << reply.error.detail;
  EXPECT_GT(reply.index, LogIndex());
  Run(1000);
  for (int node = 1; node <= 4; ++node) EXPECT_THAT(Voters(node), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Commands(4), ElementsAre("a"));
  // It counts: with one of the old ones gone, three of four are a quorum.
  StopNode(Other(leader));
  Ask(leader, {Propose(2, "b")});
  Run(300);
  EXPECT_THAT(Commands(4), ElementsAre("a", "b"));
}

TEST_F(MembersTest, ANewNodeAnswersALeaderThatItsFlagsDoNotName) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StartJoiningNode(4, {Other(leader)});
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(1000);
  EXPECT_THAT(Voters(leader), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Voters(4), ElementsAre(1, 2, 3, 4));
}

TEST_F(MembersTest, AVoterThatWasAwayAnswersALeaderThatItHasNeverHeardOf) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  const int third = 6 - leader - away;
  StopNode(away);
  StartJoiningNode(4);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(1000);
  Ask(leader, {{.request = RequestId(3), .message = proto::TransferLeadership{NodeId(4)}}});
  Run(1000);
  ASSERT_EQ(Leader(), 4);
  // Without them node 4 needs the one that knows nothing of it.
  StopNode(leader);
  Run(100);
  StartNode(away);
  Run(1000);
  EXPECT_THAT(Voters(away), ElementsAre(1, 2, 3, 4));
  ASSERT_EQ(Leader(), 4);
  EXPECT_TRUE(running(third));
  Ask(4, {Propose(1, "a")});
  Run(200);
  EXPECT_THAT(Commands(away), ElementsAre("a"));
}

TEST_F(MembersTest, ManyStrangersCostNoMoreThanABoundAndStopNoElection) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const Term term = driver(leader).GetView().term;
  const auto stranger = [&](int node, std::uint64_t id, const proto::Message& message) {
    proto::FrameWriter writer({.cluster = kCluster, .node = NodeId(id), .boot = BootId(id)});
    writer.Add(RequestId(), 0, message);
    driver(node).OnFrame("raftd/n" + std::to_string(id) + "/" + FormatHex(id),
                         Bytes(writer.Finish()));
  };
  for (std::uint64_t id = 10; id < 10 + 2 * Peers::kStrangersMax; ++id) {
    for (int node = 1; node <= 3; ++node) {
      stranger(node, id, VoteRequest{.pre_vote = PreVote::kYes, .term = Term(1000 + id)});
      stranger(node, id, VoteRequest{.term = Term(1000 + id)});
      stranger(node, id, AppendReply{.term = Term(1000 + id), .index = LogIndex(1)});
      stranger(node, id, HeartbeatReply{.term = Term(1000 + id)});
      stranger(node, id, VoteReply{.term = Term(1000 + id)});
    }
    Run(kTickMs);
  }
  EXPECT_EQ(driver(leader).GetView().term, term);
  EXPECT_EQ(Leader(), leader);
  // Their empty logs win nobody's vote, and asking does not keep anybody from standing.
  StopNode(leader);
  for (int i = 0; i < 300 && Leader() == 0; ++i) {
    for (int node = 1; node <= 3; ++node) {
      if (running(node)) {
        stranger(node, 99, VoteRequest{.pre_vote = PreVote::kYes, .term = Term(50)});
      }
    }
    Run(kTickMs);
  }
  EXPECT_NE(Leader(), 0);
}

TEST_F(MembersTest, ChangesThatComeTogetherAreMadeOneAfterTheOther) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StartJoiningNode(4);
  StartJoiningNode(5);
  Ask(leader, {{.request = RequestId(1), .message = Change(Kind::kAdd, 4)},
               {.request = RequestId(2), .message = Change(Kind::kAdd, 5)}});
  Run(1000);
  const auto answers = TakeAnswers();
  EXPECT_TRUE(AnswerTo<proto::ChangeMembersReply>(answers, 1).error.ok());
  EXPECT_TRUE(AnswerTo<proto::ChangeMembersReply>(answers, 2).error.ok());
  Run(1000);
  EXPECT_THAT(Voters(leader), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(MembersTest, TheStatusNamesWhoTakesPartWithEndpointsAndRoles) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StartJoiningNode(4);
  proto::ChangeMembers add = Change(Kind::kAdd, 4);
  add.promote = false;
  ASSERT_TRUE(Ask1(leader, add).error.ok());
  Run(200);
  const proto::RaftStatus status = StatusOf(leader);
  ASSERT_THAT(status.members, SizeIs(4));
  EXPECT_FALSE(status.members[3].voter);
  EXPECT_EQ(status.members[3].role, proto::Role::kLearner);
  EXPECT_EQ(status.members[3].http, "h4:4");
  EXPECT_EQ(status.members[3].match_index, status.last_index);
  EXPECT_TRUE(status.members[0].voter);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kPromote, 4)).error.ok());
  Run(200);
  EXPECT_TRUE(StatusOf(leader).members[3].voter);
}

TEST_F(MembersTest, ChangesOfMembersArePushedToRouters) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StatusOf(leader);
  StartJoiningNode(4);
  Ask(leader, {{.request = RequestId(6), .message = Change(Kind::kAdd, 4)}});
  Run(100);
  const auto pushed = AnswerTo<proto::RaftStatus>(TakeAnswers(), 0);
  EXPECT_THAT(pushed.members, SizeIs(4));
}

TEST_F(MembersTest, ARemovedNodeIsLetGoAndNotHeardAnyMore) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int gone = Other(leader);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kRemove, gone)).error.ok());
  Run(500);
  EXPECT_THAT(Voters(leader), SizeIs(2));
  EXPECT_THAT(StatusOf(leader).members, SizeIs(2));
  EXPECT_FALSE(IsVoter(driver(gone).membership(), NodeId(static_cast<std::uint64_t>(gone))))
      << "it knows";
  const Term term = driver(leader).GetView().term;
  StopNode(leader);
  Run(3000);
  StartNode(leader);
  Run(3000);
  EXPECT_GT(driver(leader).GetView().term, term);
  EXPECT_NE(Leader(), gone);
  const auto again = Ask1(Leader(), Change(Kind::kAdd, gone));
  EXPECT_EQ(again.error.code, proto::ErrorCode::kMemberExists);
}

TEST_F(MembersTest, ALeaderCanBeRemovedAndAnotherServesWithoutAnElectionTimeout) {
  StartCluster({});
  const int leader = RunUntilLeader();
  ASSERT_TRUE(Ask1(leader, Change(Kind::kRemove, leader)).error.ok());
  const int next = Leader();
  ASSERT_NE(next, 0);
  EXPECT_NE(next, leader);
  Ask(next, {Propose(9, "z")});
  Run(100);
  EXPECT_THAT(Commands(next), ElementsAre("z"));
}

TEST_F(MembersTest, WhoTakesPartSurvivesARestartWhateverTheFlagsSay) {
  StartCluster({});
  const int leader = RunUntilLeader();
  StartJoiningNode(4);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(1000);
  for (int node = 1; node <= 4; ++node) StopNode(node);
  for (int node = 1; node <= 4; ++node) StartNode(node);
  const int again = RunUntilLeader();
  EXPECT_THAT(Voters(again), ElementsAre(1, 2, 3, 4));
  Ask(again, {Propose(1, "a")});
  Run(200);
  EXPECT_THAT(Commands(4), ElementsAre("a"));
}

TEST_F(MembersTest, WhatCannotBeIsRefusedWithTheReason) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const auto refused = [&](int node, const proto::ChangeMembers& change) {
    return Ask1(node, change).error.code;
  };
  EXPECT_EQ(refused(Other(leader), Change(Kind::kAdd, 4)), proto::ErrorCode::kNotLeader);
  EXPECT_EQ(refused(leader, Change(Kind::kAdd, 2)), proto::ErrorCode::kMemberExists);
  EXPECT_EQ(refused(leader, Change(Kind::kPromote, 9)), proto::ErrorCode::kMemberNotFound);
  EXPECT_EQ(refused(leader, Change(Kind::kPromote, 2)), proto::ErrorCode::kOk) << "it is one";
  proto::ChangeMembers no_endpoint = Change(Kind::kAdd, 4);
  no_endpoint.raft = "nowhere";
  EXPECT_EQ(refused(leader, no_endpoint), proto::ErrorCode::kInvalidArgument);
  proto::ChangeMembers two_in_one = Change(Kind::kAdd, 4);
  two_in_one.storage += ",http=h4:5";
  EXPECT_EQ(refused(leader, two_in_one), proto::ErrorCode::kInvalidArgument);
  proto::ChangeMembers taken = Change(Kind::kAdd, 4);
  taken.raft = Change(Kind::kAdd, 1).raft;
  EXPECT_EQ(refused(leader, taken), proto::ErrorCode::kInvalidArgument);
  StopNode(Other(leader));
  Run(400);  // silent for longer than an election timeout soon
  const int third = 6 - leader - Other(leader);
  Run(200);
  EXPECT_EQ(refused(leader, Change(Kind::kRemove, third)),
            proto::ErrorCode::kUnsafeMembershipChange);
}

TEST_F(MembersTest, AChangeThatCannotBeCommittedIsAnsweredAsUnknown) {
  StartCluster({});
  const int leader = RunUntilLeader();
  for (int node = 1; node <= 3; ++node) {
    if (node != leader) StopNode(node);
  }
  Ask(leader, {{.request = RequestId(6), .message = Change(Kind::kAdd, 4)}});
  Run(MembershipDesk::kPatienceMs + 100);
  const auto reply = AnswerTo<proto::ChangeMembersReply>(TakeAnswers(), 6);
  EXPECT_EQ(reply.error.code, proto::ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(reply.error.outcome, proto::Outcome::kUnknown);
}

TEST_F(DriverTest, FramesOfAnotherClusterVersionOrGroupAreRefused) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  const auto refusal = [&](const proto::FrameHeader& header) {
    AskWithHeader(1, header, {Propose(1, "a")});
    Settle();
    return AnswerTo<proto::Refusal>(TakeAnswers(), 0).error.code;
  };
  EXPECT_EQ(refusal({.cluster = ClusterId(5)}), proto::ErrorCode::kWrongCluster);
  EXPECT_EQ(refusal({.cluster = ClusterId()}), proto::ErrorCode::kWrongCluster);
  EXPECT_EQ(refusal({.protocol = 2, .cluster = kCluster}), proto::ErrorCode::kUnsupportedProtocol);
  EXPECT_EQ(refusal({.cluster = kCluster, .group = GroupId(3)}),
            proto::ErrorCode::kInvalidArgument);
  EXPECT_THAT(Commands(1), IsEmpty());
}

TEST_F(DriverTest, WhatIsNoFrameAndWhatRaftdDoesNotServeIsRefused) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  driver(1).OnFrame(kRouter, Bytes::Copy("nonsense"));
  Ask(1, {{.request = RequestId(9), .message = proto::Get{}}});
  Settle();
  const auto answers = TakeAnswers();
  EXPECT_EQ(AnswerTo<proto::Refusal>(answers, 0).error.code, proto::ErrorCode::kInvalidArgument);
  EXPECT_EQ(AnswerTo<proto::Refusal>(answers, 9).error.code, proto::ErrorCode::kInvalidArgument);
}

TEST_F(DriverTest, RaftMessagesOfStrangersAndImpostorsAreIgnored) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const Term term = driver(leader).GetView().term;
  const VoteRequest request{
      .term = Term(1000), .last_index = LogIndex(1000), .last_term = Term(999)};
  // A router that calls itself node 2, and a raftd that is no member.
  AskWithHeader(leader, {.cluster = kCluster, .node = NodeId(2)}, {{.message = request}});
  proto::FrameWriter writer({.cluster = kCluster, .node = NodeId(9)});
  writer.Add(RequestId(), 0, request);
  driver(leader).OnFrame("raftd/n9/1", Bytes(writer.Finish()));
  Run(100);
  EXPECT_EQ(driver(leader).GetView().term, term);
  EXPECT_EQ(driver(leader).GetView().role, Role::kLeader);
}

TEST_F(DriverTest, ARefusalIsNeverAnsweredByARefusal) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  Ask(1, {{.request = RequestId(3), .message = proto::Refusal{}}});
  Settle();
  EXPECT_THAT(TakeAnswers(), IsEmpty());
}

TEST_F(DriverTest, ANodeWhoseLogIsBehindItsStorageWaitsForTheLeader) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int node = Other(leader);
  Isolate(node);
  Ask(leader, {Propose(1, "a"), Propose(2, "b")});
  Run(100);
  // What its storaged holds stood in its log once.
  storage(node).applied = storage(leader).applied;
  storage(node).boot = 101;
  Run(3000);
  EXPECT_LT(driver(node).GetView().last_index, driver(Leader()).GetView().last_index);
  EXPECT_TRUE(driver(node).GetView().refilling);
  Heal();
  Run(3000);
  EXPECT_EQ(driver(node).GetView().last_index, driver(Leader()).GetView().last_index);
  EXPECT_FALSE(driver(node).GetView().refilling);
  EXPECT_THAT(Commands(node), ElementsAre("a", "b"));
}

class WipedDiskTest : public MembersTest {
 protected:
  /// The node's folder is emptied while it is down.
  void Wipe(int node) {
    StopNode(node);
    disks_.erase(node);
    WipeStorage(node);
  }
  void WipeStorage(int node) {
    storage(node).applied.clear();
    storage(node).durable = 0;
    ++storage(node).boot;
  }
};

TEST_F(WipedDiskTest, IsRefusedUnderTheOldIdAndTheOthersGoOn) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a")});
  Run(100);
  const int wiped = Other(leader);
  Wipe(wiped);
  StartNode(wiped);
  Run(1000);
  EXPECT_THAT(refusal(wiped), HasSubstr("under a new id"));
  EXPECT_TRUE(driver(wiped).halted());
  EXPECT_EQ(driver(wiped).GetView().last_index, LogIndex()) << "nothing was taken in";
  Ask(leader, {Propose(2, "b")});
  Run(100);
  EXPECT_THAT(Commands(leader), ElementsAre("a", "b"));
}

TEST_F(WipedDiskTest, IsRefusedWithJoinToo) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int wiped = Other(leader);
  Wipe(wiped);
  StartJoiningNode(wiped, {leader});
  Run(1000);
  EXPECT_THAT(refusal(wiped), HasSubstr("under a new id"));
}

TEST_F(WipedDiskTest, OfALeaderIsRefusedWhoeverLeadsNow) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Wipe(leader);
  StartNode(leader);
  Run(3000);
  EXPECT_THAT(refusal(leader), HasSubstr("under a new id"));
  EXPECT_NE(Leader(), leader);
  EXPECT_NE(Leader(), 0);
}

TEST_F(WipedDiskTest, NeitherVotesNorAcknowledgesWhereNobodyCanTellWhetherItIsNew) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int wiped = Other(leader);
  const int third = 6 - leader - wiped;
  StopNode(third);
  Ask(leader, {Propose(1, "a")});
  Run(100);
  ASSERT_THAT(Commands(leader), ElementsAre("a"));
  StopNode(leader);
  Wipe(wiped);
  // The one that is left has not got all that was committed; the wiped one's vote would lose it.
  StartNode(third);
  StartNode(wiped);
  Run(5000);
  EXPECT_EQ(Leader(), 0);
  StartNode(leader);
  Run(5000);
  EXPECT_THAT(refusal(wiped), HasSubstr("under a new id"));
  EXPECT_THAT(Commands(third), ElementsAre("a"));
}

TEST_F(WipedDiskTest, OfTheLogAloneIsToldByTheOwnStorage) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  Ask(1, {Propose(1, "a")});
  Run(100);
  StopNode(1);
  disks_.erase(1);
  StartNode(1);
  Run(3000);
  EXPECT_THAT(refusal(1), HasSubstr("storaged has applied"));
  EXPECT_EQ(Leader(), 0);
}

TEST_F(WipedDiskTest, TheNodeComesBackUnderANewId) {
  StartCluster({});
  const int leader = RunUntilLeader();
  Ask(leader, {Propose(1, "a")});
  const int wiped = Other(leader);
  Wipe(wiped);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kRemove, wiped)).error.ok());
  Run(1000);
  StartJoiningNode(4);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(1500);
  EXPECT_THAT(Voters(leader), SizeIs(3));
  EXPECT_THAT(Commands(4), ElementsAre("a"));
  StartNode(wiped);
  Run(1000);
  EXPECT_THAT(refusal(wiped), HasSubstr("removed"));
}

TEST_F(WipedDiskTest, AFirstStartMuchLaterThanTheOthersIsNone) {
  StartCluster({});
  StopNode(3);
  disks_.erase(3);
  RunUntilLeader();
  for (std::uint64_t i = 1; i <= 10; ++i) {
    Ask(Leader(), {Propose(i, "c" + std::to_string(i))});
    Run(500);
  }
  StartNode(3);
  Run(2000);
  EXPECT_EQ(refusal(3), "");
  EXPECT_THAT(Commands(3), SizeIs(10));
  // It counts.
  StopNode(Leader());
  Run(3000);
  EXPECT_NE(Leader(), 0);
}

TEST_F(WipedDiskTest, AFirstStartThatIsCutShortIsNone) {
  StartCluster({});
  StopNode(3);
  disks_.erase(3);
  RunUntilLeader();
  for (int i = 1; i < 60; ++i) {
    StartNode(3);
    Run(static_cast<std::uint64_t>(10 * i));
    EXPECT_EQ(refusal(3), "");
    StopNode(3);
    WipeStorage(3);
  }
}

TEST_F(WipedDiskTest, EveryLogIsNotedOnceAndRestartsChangeNothing) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const Membership noted = driver(leader).membership();
  EXPECT_THAT(noted.logs, SizeIs(3));
  for (int round = 0; round < 3; ++round) {
    for (int node = 1; node <= 3; ++node) StopNode(node);
    for (int node = 1; node <= 3; ++node) StartNode(node);
    EXPECT_EQ(driver(RunUntilLeader()).membership(), noted);
    Run(2000);
  }
  EXPECT_EQ(driver(Leader()).membership(), noted);
}

TEST_F(WipedDiskTest, ANodeThatWasRemovedWhileItWasAwayLearnsIt) {
  StartCluster({});
  const int leader = RunUntilLeader();
  const int gone = Other(leader);
  StopNode(gone);
  Run(600);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kRemove, gone)).error.ok());
  Run(1000);
  StartNode(gone);
  Run(5000);
  EXPECT_THAT(refusal(gone), HasSubstr("removed"));
}

TEST_F(DriverTest, TheLogIsCompactedBehindWhatEveryStorageHoldsDurably) {
  StartCluster({});
  const int leader = RunUntilLeader();
  for (std::uint64_t i = 1; i <= 50; ++i) {
    Ask(leader, {Propose(i, std::string(40'000, 'x'))});
    Settle();
  }
  for (int node = 1; node <= 3; ++node) storage(node).durable = 40;
  Ask(leader, {Propose(51, "y")});
  Run(1000);
  for (int node = 1; node <= 3; ++node) {
    EXPECT_EQ(driver(node).GetView().first_index, LogIndex(41)) << "n" << node;
  }
}

class SnapshotTest : public MembersTest {
 protected:
  void SetUp() override { StartCluster({.log_bytes_max = 128 * kKiB, .segment_bytes = 64 * kKiB}); }
  /// Commands of 20 KB, which every storage that is up makes durable.
  void WriteSome(int count) {
    for (int i = 0; i < count; ++i) {
      ++request_;
      Ask(Leader(), {Propose(request_, std::to_string(request_) + std::string(20'000, 'x'))});
      Run(100);
      for (int node = 1; node <= 4; ++node) {
        if (running(node) && storage(node).up) storage(node).durable = storage(node).last();
      }
    }
    Run(1000);
  }
  void ExpectAgree(int a, int b) {
    Run(3000);
    EXPECT_EQ(Commands(a), Commands(b));
    EXPECT_EQ(driver(a).GetView().commit, driver(b).GetView().commit);
    EXPECT_EQ(driver(a).membership(), driver(b).membership());
  }

  std::uint64_t request_ = 0;
};

TEST_F(SnapshotTest, AFollowerThatWasAwayForTooLongIsBroughtBackByTheLeadersSnapshot) {
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  WriteSome(3);
  StopNode(away);
  WriteSome(30);
  ASSERT_GT(driver(leader).GetView().first_index, LogIndex(5)) << "the cap holds for the dead";
  StartNode(away);
  ExpectAgree(leader, away);
  EXPECT_GE(storage(away).snapshots, 1U);
  EXPECT_EQ(storage(away).asked_for.front(), "tcp://h" + std::to_string(leader) + ":2");
  // It goes on from there over a restart.
  const std::uint64_t snapshots = storage(away).snapshots;
  StopNode(away);
  StartNode(away);
  WriteSome(2);
  ExpectAgree(leader, away);
  EXPECT_EQ(storage(away).snapshots, snapshots);
}

TEST_F(SnapshotTest, ANewNodeIsTakenInThoughTheLogDoesNotBeginAtItsBeginningAnyMore) {
  const int leader = RunUntilLeader();
  WriteSome(20);
  ASSERT_GT(driver(leader).GetView().first_index, LogIndex(1));
  StartJoiningNode(4);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(2000);
  ExpectAgree(leader, 4);
  EXPECT_THAT(Voters(4), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(storage(4).snapshots, 1U);
  StopNode(4);
  StartNode(4);
  WriteSome(2);
  ExpectAgree(leader, 4);
}

TEST_F(SnapshotTest, WhileItLastsTheStatusShowsWhoInstallsOne) {
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  StopNode(away);
  WriteSome(30);
  storage(away).hold_snapshots = true;
  StartNode(away);
  Run(2000);
  const auto installing = [&](int node) {
    return StatusOf(node).members[static_cast<std::size_t>(away - 1)].installing;
  };
  EXPECT_EQ(installing(leader), driver(leader).GetView().last_index);
  EXPECT_EQ(installing(away), driver(leader).GetView().last_index);
  EXPECT_GE(storage(away).asked_for.size(), 3U) << "again and again";
  storage(away).hold_snapshots = false;
  ExpectAgree(leader, away);
  EXPECT_EQ(installing(leader), LogIndex());
  EXPECT_EQ(installing(away), LogIndex());
}

TEST_F(SnapshotTest, WithoutItsSourceAnotherNodesSnapshotDoes) {
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  StopNode(away);
  WriteSome(30);
  storage(away).hold_snapshots = true;
  StartNode(away);
  Run(1000);
  ASSERT_FALSE(storage(away).asked_for.empty());
  StopNode(leader);
  storage(leader).up = false;
  Run(1000);
  storage(away).hold_snapshots = false;
  Run(5000);
  StartNode(leader);
  storage(leader).up = true;
  RunUntilLeader();
  ExpectAgree(leader, away);
}

TEST_F(SnapshotTest, AStorageThatLostItsFilesIsBroughtBackThoughItsLogIsWhole) {
  const int leader = RunUntilLeader();
  const int victim = Other(leader);
  WriteSome(20);
  ASSERT_GT(driver(victim).GetView().first_index, LogIndex(1));
  storage(victim).applied.clear();
  storage(victim).durable = 0;
  ++storage(victim).boot;
  ExpectAgree(leader, victim);
  EXPECT_EQ(storage(victim).snapshots, 1U);
  EXPECT_EQ(driver(victim).storage_health(), proto::ErrorCode::kOk);
}

TEST_F(SnapshotTest, ACrashBetweenTheSnapshotAndTheLogsResetChangesNothing) {
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  WriteSome(3);
  StopNode(away);
  WriteSome(30);
  // As if it had died when its storaged had just become the snapshot.
  storage(away).applied = storage(leader).applied;
  storage(away).durable = storage(away).last();
  ++storage(away).boot;
  StartNode(away);
  ExpectAgree(leader, away);
  EXPECT_EQ(storage(away).snapshots, 0U);
  EXPECT_FALSE(driver(away).GetView().refilling);
}

TEST_F(SnapshotTest, AMemberThatIsAwayHoldsTheLogUpOnlyToTheCap) {
  const int leader = RunUntilLeader();
  const LogIndex held = driver(Other(leader)).GetView().last_index;
  StopNode(Other(leader));
  WriteSome(2);
  EXPECT_LE(driver(leader).GetView().first_index, held.Next()) << "there is room for it";
  WriteSome(30);
  EXPECT_GT(driver(leader).GetView().first_index, held + 10);
}

// R75: no room for the log costs neither the process nor an acknowledged write.
class FullDiskTest : public DriverTest {
 protected:
  void SetUp() override { StartCluster({.segment_bytes = 64 * kKiB}); }
  /// A few commands of 20 KB, to whoever leads.
  void WriteSome(int count) {
    for (int i = 0; i < count; ++i) {
      if (Leader() != 0) {
        ++request_;
        Ask(Leader(), {Propose(request_, std::to_string(request_) + std::string(20'000, 'x'))});
      }
      Run(50);
    }
  }
  void ExpectAllAgree() {
    Run(3000);
    RunUntilLeader();
    EXPECT_EQ(Commands(1), Commands(2));
    EXPECT_EQ(Commands(1), Commands(3));
    for (int node = 1; node <= 3; ++node) {
      EXPECT_TRUE(fatal(node).ok()) << fatal(node).ToString();
      EXPECT_EQ(driver(node).storage_health(), proto::ErrorCode::kOk);
      EXPECT_FALSE(driver(node).GetView().disk_stalled);
    }
  }

  std::uint64_t request_ = 0;
};

TEST_F(FullDiskTest, ALeaderHandsOverAndComesBackWithTheRoom) {
  const int leader = RunUntilLeader();
  LimitDisk(leader, 1000);
  const Term term = driver(leader).GetView().term;
  WriteSome(20);
  const int next = Leader();
  ASSERT_NE(next, 0);
  ASSERT_NE(next, leader);
  EXPECT_EQ(driver(next).GetView().term, term.Next()) << "one election, asked for";
  EXPECT_EQ(driver(leader).storage_health(), proto::ErrorCode::kStorageFull);
  EXPECT_THAT(Commands(next), SizeIs(::testing::Ge(18U)));
  EXPECT_LT(Commands(leader).size(), Commands(next).size()) << "what has no room is not applied";
  LimitDisk(leader, {});
  ExpectAllAgree();
}

TEST_F(FullDiskTest, AFollowerAcknowledgesNothingMoreAndComesBackWithTheRoom) {
  const int leader = RunUntilLeader();
  const int full = Other(leader);
  LimitDisk(full, 1000);
  WriteSome(20);
  EXPECT_EQ(Leader(), leader);
  EXPECT_THAT(Commands(leader), SizeIs(20));
  EXPECT_LT(driver(full).GetView().durable_index, driver(leader).GetView().commit);
  // Nobody is elected by it or in its place.
  Run(5000);
  EXPECT_EQ(Leader(), leader);
  LimitDisk(full, {});
  ExpectAllAgree();
}

TEST_F(FullDiskTest, WhereAllAreFullRoutersAreToldAndAllComeBack) {
  RunUntilLeader();
  for (int node = 1; node <= 3; ++node) LimitDisk(node, 1000);
  WriteSome(30);
  Run(3000);
  TakeAnswers();
  for (int node = 1; node <= 3; ++node) {
    Ask(node, {Propose(static_cast<std::uint64_t>(1000 + node), "a")});
  }
  Run(2000);
  const auto answers = TakeAnswers();
  for (std::uint64_t request = 1001; request <= 1003; ++request) {
    EXPECT_EQ(AnswerTo<proto::ProposeRefused>(answers, request).error.code,
              proto::ErrorCode::kStorageFull);
  }
  for (int node = 1; node <= 3; ++node) LimitDisk(node, {});
  ExpectAllAgree();
}

TEST_F(FullDiskTest, WithTheWriterOnAThreadItIsTheSame) {
  TearDownCluster();
  StartCluster({.writer = Writer::kThread, .segment_bytes = 64 * kKiB});
  const int leader = RunUntilLeader();
  LimitDisk(leader, 1000);
  WriteSome(20);
  EXPECT_NE(Leader(), leader);
  EXPECT_NE(Leader(), 0);
  LimitDisk(leader, {});
  ExpectAllAgree();
}

TEST_F(FullDiskTest, AStorageThatIsFullCostsNoElectionTimeout) {
  const int leader = RunUntilLeader();
  const Term term = driver(leader).GetView().term;
  storage(leader).health = proto::ErrorCode::kStorageFull;
  WriteSome(1);
  Run(300);  // less than the shortest election timeout
  EXPECT_NE(Leader(), 0);
  EXPECT_NE(Leader(), leader);
  EXPECT_EQ(driver(Leader()).GetView().term, term.Next());
}

class ScrubTest : public DriverTest {
 protected:
  void Start(int nodes) {
    StartCluster({.nodes = nodes, .scrub_ms = 2000, .segment_bytes = 64 * kKiB});
    const int leader = RunUntilLeader();
    for (std::uint64_t i = 1; i <= 20; ++i) {
      Ask(leader, {Propose(i, std::to_string(i) + std::string(20'000, 'x'))});
      Settle();
    }
  }
  void Rot(int node) {
    ASSERT_TRUE(disks_[node].FlipBit("raft/log/0000000000000003.seg", 8 * 8000).ok());
  }
};

TEST_F(ScrubTest, RotIsFoundWhileRunningAndRefilledAsAfterARestart) {
  Start(3);
  Run(5000);
  for (int node = 1; node <= 3; ++node) EXPECT_FALSE(damaged(node));
  const int rotten = Other(Leader());
  Rot(rotten);
  Run(5000);
  ASSERT_TRUE(damaged(rotten));
  EXPECT_FALSE(driver(rotten).halted()) << "it ends in order";
  StopNode(rotten);
  StartNode(rotten);
  EXPECT_TRUE(driver(rotten).GetView().refilling);
  Run(3000);
  EXPECT_FALSE(driver(rotten).GetView().refilling);
  EXPECT_EQ(driver(rotten).GetView().durable_index, driver(Leader()).GetView().commit);
  Run(20'000);
  EXPECT_FALSE(damaged(rotten)) << "once";
}

TEST_F(ScrubTest, ALeaderWhoseLogRotsHandsOverFirst) {
  Start(3);
  const int rotten = Leader();
  const Term term = driver(rotten).GetView().term;
  Rot(rotten);
  Run(5000);
  ASSERT_TRUE(damaged(rotten));
  driver(rotten).BeginStop();
  for (int i = 0; i < 100 && !driver(rotten).MayStop(); ++i) Run(kTickMs);
  StopNode(rotten);
  EXPECT_NE(Leader(), 0);
  EXPECT_EQ(driver(Leader()).GetView().term, term.Next());
}

TEST_F(ScrubTest, ALoneNodeGoesOnSinceNobodyCouldRefillIt) {
  Start(1);
  Rot(1);
  Run(5000);
  EXPECT_FALSE(damaged(1));
  EXPECT_EQ(Leader(), 1);
}

/// Random faults at every seam of the shell; the simulator goes deeper below it. What was answered
/// (a reply reached the router) stays, in the same order, everywhere.
TEST_F(DriverTest, StoragesAgreeWhateverDiesAndComesBack) {
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    Random random(seed);
    Limits limits;
    limits.cache_bytes_max = random.Chance(1, 2) ? 200 : 1 << 20;
    limits.apply_bytes_max = 300;
    TearDownCluster();
    StartCluster(
        {.writer = random.Chance(1, 2) ? Writer::kInline : Writer::kThread, .limits = limits});
    std::uint64_t request = 0;
    for (int step = 0; step < 150; ++step) {
      const int node = static_cast<int>(random.Between(1, 3));
      switch (random.Below(12)) {
        case 0:
          if (running(node)) StopNode(node);
          break;
        case 1:
          storage(node).up = false;
          storage(node).applied.resize(
              std::min<std::size_t>(storage(node).durable, storage(node).last()));
          ++storage(node).boot;
          break;
        case 2:
          storage(node).frames_to_lose = random.Below(3);
          break;
        case 3:
          Isolate(node);
          break;
        case 4:
          storage(node).durable = storage(node).last();
          break;
        default:
          Heal();
          for (int i = 1; i <= 3; ++i) {
            storage(i).up = true;
            if (!running(i)) StartNode(i);
          }
      }
      for (int i = 1; i <= 3; ++i) {
        ++request;
        if (running(i)) Ask(i, {Propose(request, "c" + std::to_string(request))});
      }
      Run(10 * random.Between(1, 30));
    }
    Heal();
    for (int i = 1; i <= 3; ++i) {
      storage(i).up = true;
      storage(i).frames_to_lose = 0;
      if (!running(i)) StartNode(i);
    }
    Run(3000);
    RunUntilLeader();
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    ASSERT_EQ(Commands(1), Commands(2)) << "seed " << seed;
    ASSERT_EQ(Commands(1), Commands(3)) << "seed " << seed;
    ASSERT_FALSE(Commands(1).empty()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace bedrock::raft
