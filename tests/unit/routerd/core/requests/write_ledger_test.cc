#include "routerd/core/requests/write_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/unit/routerd/core/core_fixture.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;
using proto::Outcome;
using testing::ElementsAre;
using testing::IsEmpty;

class WriteLedgerTest : public CoreTest {
 protected:
  Send ProposeOne(std::uint64_t ticket, std::uint64_t timeout_ms = 5000) {
    Put(ticket, "k", timeout_ms);
    Effects effects = Poll();
    EXPECT_EQ(effects.sends.size(), 1U);
    return std::move(effects.sends.at(0));
  }
  void Unsend(const Send& send) { core_.OnUnsent(send.node, send.daemon, send.request, now_); }
};

TEST_F(WriteLedgerTest, GoesToTheLeadersRaftdAndEndsWithTheReply) {
  Elect(kN2, Term(1));
  const Send propose = ProposeOne(9);
  EXPECT_EQ(propose.node, kN2);
  EXPECT_EQ(propose.daemon, Daemon::kRaftd);
  EXPECT_EQ(propose.timeout_ms, 5000U);
  Commit(kN2, propose, Version(41));
  const Effects effects = Poll();
  ASSERT_EQ(effects.completions.size(), 1U);
  const Completion& done = effects.completions[0];
  EXPECT_TRUE(done.error.ok());
  EXPECT_TRUE(done.is_write);
  EXPECT_EQ(done.ticket.id, 9U);
  EXPECT_EQ(done.version, Version(41));
  EXPECT_EQ(done.served_by, kN2);
  EXPECT_EQ(done.leader, kN2);
  EXPECT_TRUE(core_.idle());
}

TEST_F(WriteLedgerTest, EachCommandHasItsOwnSequenceAndTheSessionsLowWater) {
  Elect(kN2, Term(1));
  const Send first = ProposeOne(1);
  const Send second = ProposeOne(2);
  EXPECT_EQ(CommandIn(first).session, SessionId(77));
  EXPECT_EQ(CommandIn(first).sequence, 1U);
  EXPECT_EQ(CommandIn(second).sequence, 2U);
  EXPECT_EQ(CommandIn(second).low_water, 1U);
  Commit(kN2, first, Version(5));
  EXPECT_EQ(CommandIn(ProposeOne(3)).low_water, 2U);
}

TEST_F(WriteLedgerTest, WaitsForALeader) {
  Put(1);
  EXPECT_TRUE(Pass(500).sends.empty());
  Elect(kN3, Term(2));
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.sends[0].node, kN3);
}

TEST_F(WriteLedgerTest, WithoutALeaderEndsAsNoLeaderWithNothingDone) {
  Put(1, "k", 300);
  EXPECT_TRUE(Pass(290).completions.empty());
  EXPECT_THAT(Pass(40).completions, ElementsAre(FailsWith(ErrorCode::kNoLeader, Outcome::kNone)));
}

TEST_F(WriteLedgerTest, WithoutALeaderBecauseDisksAreFullEndsAsThat) {
  Put(1, "k", 300);
  for (const NodeId node : {kN1, kN2}) {
    proto::RaftStatus full = StatusOf(node, proto::Role::kFollower, NodeId(), Term(1));
    full.storage_health = ErrorCode::kStorageFull;
    Hear(node, Daemon::kRaftd, RequestId(), full);
  }
  EXPECT_THAT(Pass(330).completions,
              ElementsAre(FailsWith(ErrorCode::kStorageFull, Outcome::kNone)));
}

TEST_F(WriteLedgerTest, ANewLeaderGetsTheSameCommandAgain) {
  Elect(kN2, Term(1));
  const Send first = ProposeOne(1);
  Elect(kN3, Term(2));
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  const Send& second = effects.sends[0];
  EXPECT_EQ(second.node, kN3);
  EXPECT_EQ(std::get<proto::Propose>(second.message).command,
            std::get<proto::Propose>(first.message).command);
  EXPECT_NE(second.request, first.request);
  EXPECT_EQ(core_.resends(), 1U);
}

TEST_F(WriteLedgerTest, ReElectionOfTheSameNodeSendsAgain) {
  Elect(kN2, Term(1));
  ProposeOne(1);
  Elect(kN2, Term(2));
  EXPECT_EQ(Poll().sends.size(), 1U);
}

TEST_F(WriteLedgerTest, AReplyToAnOldAttemptCounts) {
  Elect(kN2, Term(1));
  const Send first = ProposeOne(1);
  Elect(kN3, Term(2));
  const Send second = Poll().sends.at(0);
  Commit(kN2, first, Version(8));
  EXPECT_EQ(Poll().completions.size(), 1U);
  Commit(kN3, second, Version(8));  // a duplicate
  EXPECT_TRUE(Poll().empty());
}

TEST_F(WriteLedgerTest, TheRefusersHintIsFollowedAtOnce) {
  Elect(kN2, Term(1));
  const Send first = ProposeOne(1);
  RefuseProposal(first, ErrorCode::kNotLeader, kN3, Term(2));
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.sends[0].node, kN3);
}

TEST_F(WriteLedgerTest, ALateRefusalOfAnOldAttemptChangesNothing) {
  Elect(kN2, Term(1));
  const Send first = ProposeOne(1);
  Elect(kN3, Term(2));
  Poll();
  RefuseProposal(first, ErrorCode::kNotLeader, NodeId(), Term(1));
  EXPECT_TRUE(Poll().empty());
  EXPECT_EQ(core_.writes_in_flight(), 1U);
}

TEST_F(WriteLedgerTest, ASilentLeaderIsAskedAgainAfterTheAttemptsTime) {
  Elect(kN2, Term(1));
  const Send first = ProposeOne(1);
  EXPECT_TRUE(Pass(990).sends.empty());
  const Effects effects = Pass(30);
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.sends[0].node, kN2);
  EXPECT_LE(effects.sends[0].timeout_ms, 4000U) << "what is left, not what there was";
  EXPECT_GT(effects.sends[0].timeout_ms, 3900U);
}

TEST_F(WriteLedgerTest, AnUnansweredWriteEndsWithItsOutcomeUnknown) {
  Elect(kN2, Term(1));
  ProposeOne(1, 300);
  EXPECT_THAT(Pass(320).completions,
              ElementsAre(FailsWith(ErrorCode::kDeadlineExceeded, Outcome::kUnknown)));
}

TEST_F(WriteLedgerTest, AWriteWhoseEveryAttemptWasRefusedEndsWithNothingDone) {
  Elect(kN2, Term(1));
  const Send first = ProposeOne(1, 300);
  RefuseProposal(first, ErrorCode::kNotLeader, NodeId(), Term(1));
  EXPECT_THAT(Pass(320).completions, ElementsAre(FailsWith(ErrorCode::kNoLeader, Outcome::kNone)));
}

TEST_F(WriteLedgerTest, OneOpenAttemptAmongRefusedOnesLeavesTheOutcomeUnknown) {
  Elect(kN2, Term(1));
  ProposeOne(1, 300);
  Elect(kN3, Term(2));
  const Send second = Poll().sends.at(0);
  RefuseProposal(second, ErrorCode::kOverloaded, NodeId(), Term(2));
  EXPECT_THAT(Pass(320).completions,
              ElementsAre(FailsWith(ErrorCode::kDeadlineExceeded, Outcome::kUnknown)));
}

TEST_F(WriteLedgerTest, ALateRefusalOfTheOpenAttemptSettlesTheOutcome) {
  Elect(kN2, Term(1));
  const Send first = ProposeOne(1, 300);
  Elect(kN3, Term(2));
  const Send second = Poll().sends.at(0);
  RefuseProposal(first, ErrorCode::kNotLeader, kN3, Term(2));
  RefuseProposal(second, ErrorCode::kStorageUnavailable, NodeId(), Term(2));
  EXPECT_THAT(Pass(30).sends, IsEmpty());
  const Effects third = Pass(60);
  ASSERT_EQ(third.sends.size(), 1U);
  Unsend(third.sends[0]);
  EXPECT_THAT(PassUntilOver([this](const Send& send) { Unsend(send); }).completions,
              ElementsAre(FailsWith(ErrorCode::kNoLeader, Outcome::kNone)));
}

TEST_F(WriteLedgerTest, AKnownLeaderThatCannotBeReachedIsNoLeader) {
  Elect(kN2, Term(1));
  Unsend(ProposeOne(1, 300));
  EXPECT_THAT(PassUntilOver([this](const Send& send) { Unsend(send); }).completions,
              ElementsAre(FailsWith(ErrorCode::kNoLeader, Outcome::kNone)));
}

TEST_F(WriteLedgerTest, ALeaderThatRefusedToTheEndGivesItsReason) {
  for (const ErrorCode code : {ErrorCode::kStorageUnavailable, ErrorCode::kShuttingDown}) {
    Elect(kN2, Term(1));
    const auto refuse = [&](const Send& send) { RefuseProposal(send, code, NodeId(), Term(1)); };
    refuse(ProposeOne(1, 300));
    EXPECT_THAT(PassUntilOver(refuse).completions, ElementsAre(FailsWith(code, Outcome::kNone)));
  }
}

TEST_F(WriteLedgerTest, RefusalsAboutTheRequestOrTheLoadEndIt) {
  Elect(kN2, Term(1));
  for (const ErrorCode code :
       {ErrorCode::kOverloaded, ErrorCode::kStorageFull, ErrorCode::kTransactionTooLarge}) {
    const Send propose = ProposeOne(1);
    RefuseProposal(propose, code, kN2, Term(1));
    EXPECT_THAT(Poll().completions, ElementsAre(FailsWith(code, Outcome::kNone)));
  }
}

TEST_F(WriteLedgerTest, WhatCouldNotLeaveIsSentAgainSoon) {
  Elect(kN2, Term(1));
  const Send first = ProposeOne(1);
  Unsend(first);
  EXPECT_EQ(Pass(60).sends.size(), 1U);
}

TEST_F(WriteLedgerTest, AFailedConditionTellsTheKeysVersion) {
  Elect(kN2, Term(1));
  const Send propose = ProposeOne(1);
  proto::CommandReply reply;
  reply.result.code = ErrorCode::kPreconditionFailed;
  reply.result.version = Version(9);
  reply.result.current = Version(4);
  Hear(kN2, Daemon::kStoraged, propose.request, reply);
  const Effects effects = Poll();
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(effects.completions[0].error.outcome, Outcome::kNone);
  EXPECT_EQ(effects.completions[0].version, Version(9));
  EXPECT_EQ(effects.completions[0].current, Version(4));
}

TEST_F(WriteLedgerTest, AForgottenReplyLeavesTheOutcomeUnknown) {
  Elect(kN2, Term(1));
  const Send propose = ProposeOne(1);
  proto::CommandReply reply;
  reply.result.code = ErrorCode::kStaleSequence;
  Hear(kN2, Daemon::kStoraged, propose.request, reply);
  EXPECT_EQ(Poll().completions.at(0).error.outcome, Outcome::kUnknown);
}

TEST_F(WriteLedgerTest, AFullSessionTableEndsTheOnlyAttemptWithNothingDone) {
  Elect(kN2, Term(1));
  const Send propose = ProposeOne(1);
  proto::CommandReply full;
  full.result.code = ErrorCode::kOverloaded;
  Hear(kN2, Daemon::kStoraged, propose.request, full);
  EXPECT_THAT(Poll().completions, ElementsAre(FailsWith(ErrorCode::kOverloaded, Outcome::kNone)));
}

TEST_F(WriteLedgerTest, AFullSessionTableSaysNothingOfAnotherOpenAttempt) {
  Elect(kN2, Term(1));
  ProposeOne(1, 300);
  Elect(kN3, Term(2));
  const Send second = Poll().sends.at(0);
  proto::CommandReply full;
  full.result.code = ErrorCode::kOverloaded;
  Hear(kN3, Daemon::kStoraged, second.request, full);
  EXPECT_TRUE(Poll().completions.empty());
  EXPECT_THAT(Pass(320).completions,
              ElementsAre(FailsWith(ErrorCode::kDeadlineExceeded, Outcome::kUnknown)));
}

TEST_F(WriteLedgerTest, TooLargeIsToldBeforeAnythingIsSent) {
  Elect(kN2, Term(1));
  Put(1, std::string(proto::kKeyBytesMax + 1, 'k'));
  const Effects effects = Poll();
  EXPECT_TRUE(effects.sends.empty());
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kKeyTooLarge);
  EXPECT_EQ(CommandIn(ProposeOne(2)).sequence, 1U) << "a refused command uses up no number";
}

TEST_F(WriteLedgerTest, AClientsOwnCommandPassesUnchanged) {
  Elect(kN2, Term(1));
  proto::Command command;
  command.session = SessionId(500);
  command.sequence = 12;
  command.low_water = 12;
  command.operations.push_back({proto::Operation::Kind::kPut, "k", "v"});
  ClientCommand request;
  request.ticket = {Ticket::Front::kMessaging, 3};
  request.command = Bytes(proto::EncodeCommand(command));
  request.deadline_ms = now_ + 1000;
  core_.Write(request, now_);
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(std::get<proto::Propose>(effects.sends[0].message).command, request.command);
  Commit(kN2, effects.sends[0], Version(3));
  EXPECT_EQ(Poll().completions.at(0).ticket, request.ticket);
}

TEST_F(WriteLedgerTest, AClientsCommandIsCheckedFirst) {
  Elect(kN2, Term(1));
  proto::Command own_session;
  own_session.session = SessionId(77);
  own_session.sequence = 1;
  own_session.operations.push_back({proto::Operation::Kind::kPut, "k", "v"});
  proto::Command no_sequence = own_session;
  no_sequence.session = SessionId(500);
  no_sequence.sequence = 0;
  proto::Command empty_key = own_session;
  empty_key.session = SessionId(500);
  empty_key.operations[0].key = "";
  for (const std::string& bytes :
       {std::string("no command"), proto::EncodeCommand(own_session),
        proto::EncodeCommand(no_sequence), proto::EncodeCommand(empty_key)}) {
    ClientCommand request;
    request.command = Bytes::Copy(bytes);
    request.deadline_ms = now_ + 1000;
    core_.Write(request, now_);
    const Effects effects = Poll();
    EXPECT_TRUE(effects.sends.empty());
    EXPECT_THAT(effects.completions,
                ElementsAre(FailsWith(ErrorCode::kInvalidArgument, Outcome::kNone)));
  }
}

class SmallWriteLedgerTest : public CoreTest {
 protected:
  static CoreOptions Small() {
    CoreOptions options = ThreeNodes();
    options.commands_in_flight_max = 4;
    options.command_bytes_in_flight_max = 1000;
    options.sequence_window_max = 8;
    return options;
  }
  SmallWriteLedgerTest() : CoreTest(Small()) {}
};

TEST_F(SmallWriteLedgerTest, TooManyWritesAreRefused) {
  Elect(kN2, Term(1));
  for (std::uint64_t ticket = 1; ticket <= 5; ++ticket) Put(ticket);
  const Effects effects = Poll();
  EXPECT_EQ(effects.sends.size(), 4U);
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].ticket.id, 5U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kOverloaded);
  EXPECT_EQ(effects.completions[0].error.outcome, Outcome::kNone);
  Commit(kN2, effects.sends[0], Version(1));
  Put(6);
  EXPECT_EQ(Poll().sends.size(), 1U);
}

TEST_F(SmallWriteLedgerTest, TooManyBytesAreRefused) {
  Elect(kN2, Term(1));
  Put(1, std::string(600, 'a'));
  Put(2, std::string(600, 'b'));
  const Effects effects = Poll();
  EXPECT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.completions.at(0).error.code, ErrorCode::kOverloaded);
}

TEST_F(SmallWriteLedgerTest, OneOldUnansweredWriteBoundsTheSequenceWindow) {
  Elect(kN2, Term(1));
  Put(1);
  Poll();
  for (std::uint64_t ticket = 2; ticket <= 8; ++ticket) {
    Put(ticket);
    Commit(kN2, Poll().sends.at(0), Version(ticket));
    Poll();
  }
  Put(9);
  EXPECT_EQ(Poll().completions.at(0).error.code, ErrorCode::kOverloaded);
}

}  // namespace
}  // namespace bedrock::router
