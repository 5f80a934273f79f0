#include "routerd/core/interactive/forward_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "tests/unit/routerd/core/transaction_fixture.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;
using proto::Outcome;
using testing::ElementsAre;

constexpr const char* kOnN2 = "n2-00000000000000aa-7";

class ForwardLedgerTest : public TransactionTest {
 protected:
  void Reply(const Send& forwarded, proto::ClientTransactionReply reply) {
    Hear(forwarded.node, Daemon::kRouterd, forwarded.request, std::move(reply));
  }
  static proto::ClientTransactionReply TooBusy() {
    proto::ClientTransactionReply refused;
    refused.error.code = ErrorCode::kOverloaded;
    return refused;
  }
  /// A commit was passed on twice, and one copy refused; gives the other, which may commit yet.
  Send CommitTwiceAndRefuseTheFirst() {
    End(5, kOnN2, Action::kCommit, 3000);
    const Send first = Poll().sends.at(0);
    Send second = Pass(1030).sends.at(0);
    Reply(first, TooBusy());
    EXPECT_TRUE(Poll().completions.empty()) << "the second one may commit yet";
    return second;
  }
};

TEST_F(ForwardLedgerTest, AStepGoesToTheRouterThatItsIdNamesAndComesBack) {
  Execute(5, kOnN2, {GetOf("a")}, true, 700);
  const Effects asked = Poll();
  ASSERT_EQ(asked.sends.size(), 1U);
  const Send& sent = asked.sends[0];
  EXPECT_EQ(sent.node, kN2);
  EXPECT_EQ(sent.daemon, Daemon::kRouterd);
  EXPECT_EQ(sent.timeout_ms, 700U);
  const auto& step = std::get<proto::ClientTransaction>(sent.message);
  EXPECT_EQ(step.id, kOnN2);
  EXPECT_TRUE(step.for_update);
  proto::ClientTransactionReply reply;
  reply.id = kOnN2;
  reply.read_version = Version(40);
  reply.result.results.emplace_back();
  reply.result.results.back().value = "there";
  Reply(sent, reply);
  const Completion done = ServeOne();
  EXPECT_EQ(done.ticket.id, 5U);
  EXPECT_TRUE(done.error.ok());
  EXPECT_EQ(done.transaction, kOnN2);
  EXPECT_EQ(done.read_version, Version(40));
  EXPECT_EQ(done.result.results.at(0).value, "there");
  EXPECT_TRUE(core_.idle());
}

TEST_F(ForwardLedgerTest, ACommitThatWasSentTwiceIsNotOverWithARefusalThatLeavesItOpen) {
  const Send second = CommitTwiceAndRefuseTheFirst();
  proto::ClientTransactionReply committed;
  committed.version = Version(41);
  Reply(second, committed);
  const Completion done = ServeOne();
  EXPECT_TRUE(done.error.ok());
  EXPECT_EQ(done.version, Version(41));
}

TEST_F(ForwardLedgerTest, ACommitWhoseEveryCopyWasRefusedHasNotHappened) {
  Reply(CommitTwiceAndRefuseTheFirst(), TooBusy());
  const Completion done = ServeOne();
  EXPECT_EQ(done.error.code, ErrorCode::kOverloaded);
  EXPECT_EQ(done.error.outcome, Outcome::kNone);
}

TEST_F(ForwardLedgerTest, ErrorsArePassedBack) {
  End(5, kOnN2, Action::kCommit);
  proto::ClientTransactionReply reply;
  reply.error.code = ErrorCode::kTransactionConflict;
  reply.error.key = "k";
  Reply(Poll().sends.at(0), reply);
  const Completion done = ServeOne();
  EXPECT_TRUE(done.is_write);
  EXPECT_EQ(done.error.code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(done.error.key, "k");
}

TEST_F(ForwardLedgerTest, WhatWasPassedOnIsNotPassedOnAgain) {
  TransactionStep step;
  step.ticket = {Ticket::Front::kMessaging, 5};
  step.step.action = Action::kRollback;
  step.step.id = kOnN2;
  step.passed_on = true;
  step.deadline_ms = now_ + 1000;
  core_.Transact(step, now_);
  const Effects effects = Poll();
  EXPECT_TRUE(effects.sends.empty());
  EXPECT_EQ(effects.completions.at(0).error.code, ErrorCode::kTransactionNotFound);
}

TEST_F(ForwardLedgerTest, AStepThatExecutesIsSentOnce) {
  Execute(5, kOnN2, {AddOf("n", 1)}, false, 3000);
  EXPECT_EQ(Poll().sends.size(), 1U);
  const Effects later = Pass(3030);
  EXPECT_TRUE(later.sends.empty()) << "it might be done twice";
  EXPECT_THAT(later.completions,
              ElementsAre(FailsWith(ErrorCode::kDeadlineExceeded, Outcome::kUnknown)));
}

TEST_F(ForwardLedgerTest, ACommitIsAskedAgain) {
  End(5, kOnN2, Action::kCommit, 3000);
  const Send first = Poll().sends.at(0);
  const Effects later = Pass(1030);
  ASSERT_EQ(later.sends.size(), 1U);
  EXPECT_NE(later.sends[0].request, first.request);
  proto::ClientTransactionReply reply;
  reply.version = Version(50);
  Reply(first, reply);  // late, and as good
  EXPECT_EQ(ServeOne().version, Version(50));
  Reply(later.sends[0], reply);
  EXPECT_TRUE(Poll().empty()) << "once";
}

TEST_F(ForwardLedgerTest, WhatCouldNotBeSentIsTriedAgainAndLeavesNothing) {
  Execute(5, kOnN2, {AddOf("n", 1)}, false, 1000);
  const Ending ending = PassUntilOver(
      [this](const Send& send) { core_.OnUnsent(send.node, send.daemon, send.request, now_); });
  EXPECT_GT(ending.sends, 3U);
  EXPECT_LT(ending.sends, 20U);
  EXPECT_THAT(ending.completions,
              ElementsAre(FailsWith(ErrorCode::kDeadlineExceeded, Outcome::kNone)));
}

TEST_F(ForwardLedgerTest, ARefusalEndsTheStep) {
  Execute(5, kOnN2, {GetOf("a")});
  const Send sent = Poll().sends.at(0);
  proto::Refusal refusal;
  refusal.error.code = ErrorCode::kUnsupportedProtocol;
  Hear(sent.node, Daemon::kRouterd, sent.request, refusal);
  EXPECT_EQ(ServeOne().error.code, ErrorCode::kUnsupportedProtocol);
}

TEST_F(ForwardLedgerTest, AnotherNodesAnswerIsIgnored) {
  Execute(5, kOnN2, {GetOf("a")});
  Send sent = Poll().sends.at(0);
  sent.node = kN3;
  Reply(sent, {});
  EXPECT_TRUE(Poll().empty());
}

TEST_F(ForwardLedgerTest, StepsInFlightAreBounded) {
  for (std::size_t i = 0; i < ForwardLedger::kForwardsMax; ++i) Execute(5, kOnN2, {GetOf("a")});
  Poll();
  Execute(6, kOnN2, {GetOf("a")});
  const Effects effects = Poll();
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kOverloaded);
}

}  // namespace
}  // namespace bedrock::router
