#include "routerd/core/interactive/transaction_table.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/routerd/core/transaction_fixture.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;
using proto::Outcome;
using proto::TransactionMode;

using TransactionTableTest = TransactionTest;

proto::TransactionOptions ReadOnlyOptions() {
  proto::TransactionOptions options;
  options.read_only = true;
  return options;
}

std::vector<std::string> KeysOf(const std::vector<proto::Read>& reads) {
  std::vector<std::string> keys;
  for (const proto::Read& read : reads) {
    const bool range = read.kind == proto::Read::Kind::kRange;
    keys.push_back(std::string(read.key) + (range ? ".." + std::string(read.end) : ""));
  }
  return keys;
}

// ---- begin ----

TEST_F(TransactionTableTest, ABeginningGivesAnIdAndTheReadIndex) {
  store_.Put("a", "1");
  Transact(7, {});
  const Completion begun = ServeOne();
  EXPECT_TRUE(begun.error.ok());
  EXPECT_EQ(begun.ticket.id, 7U);
  EXPECT_EQ(begun.transaction, "n1-000000000000b007-1");
  EXPECT_EQ(begun.read_version, store_.newest());
  EXPECT_FALSE(begun.is_write);
  EXPECT_EQ(begun.served_by, NodeId(1));
  EXPECT_EQ(core_.Gauges(now_).transactions_open, 1U);
}

TEST_F(TransactionTableTest, ABeginningWithoutALeaderLeavesNothingOpen) {
  Pass(2000);  // nobody confirms the leader
  Transact(7, {}, 300);
  const Effects effects = Pass(330);
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kNoLeader);
  EXPECT_EQ(core_.Gauges(now_).transactions_open, 0U);
}

TEST_F(TransactionTableTest, TimeoutsBeyondTheirLimitsAreRefused) {
  for (int which = 0; which < 3; ++which) {
    proto::ClientTransaction step;
    if (which == 0) step.options.timeout_ms = 300'001;
    if (which == 1) step.options.idle_timeout_ms = 60'001;
    if (which == 2) step.options.lock_timeout_ms = 60'001;
    Transact(7, step);
    const Completion done = ServeOne();
    EXPECT_EQ(done.error.code, ErrorCode::kInvalidArgument);
    EXPECT_NE(done.error.limit, 0U);
  }
  EXPECT_EQ(core_.Gauges(now_).transactions_open, 0U);
}

class FewTransactionsTest : public TransactionTest {
 protected:
  static CoreOptions Few() {
    CoreOptions options = WithBoot();
    options.transactions_open_max = 2;
    options.transaction_bytes_max = 4096;
    return options;
  }
  FewTransactionsTest() : TransactionTest(Few()) {}
};

TEST_F(FewTransactionsTest, MoreThanMayBeOpenAreOverload) {
  Begin();
  Begin();
  Transact(7, {});
  EXPECT_EQ(ServeOne().error.code, ErrorCode::kOverloaded);
}

TEST_F(FewTransactionsTest, WhatAllOfThemHoldIsBounded) {
  const std::string id = Begin();
  const std::string value(3000, 'v');
  EXPECT_TRUE(Do(id, {PutOf("a", value)}).error.ok());
  EXPECT_EQ(Do(id, {PutOf("b", value)}).error.code, ErrorCode::kOverloaded);
  EXPECT_TRUE(Rollback(id).error.ok());
  EXPECT_TRUE(Do(Begin(), {PutOf("b", value)}).error.ok()) << "what has ended takes nothing";
}

// ---- reads and own writes ----

TEST_F(TransactionTableTest, ReadsAreOfTheSnapshotOfTheBeginning) {
  store_.Put("a", "old");
  const std::string id = Begin();
  store_.Put("a", "new");
  EXPECT_EQ(ValueOf(Do(id, {GetOf("a")})), "old");
}

TEST_F(TransactionTableTest, AGetOfAnOwnWriteAsksNobody) {
  const std::string id = Begin();
  Do(id, {PutOf("a", "mine"), DeleteOf("b")});
  Execute(5, id, {GetOf("a")});
  Effects effects = Poll();
  EXPECT_TRUE(effects.sends.empty());
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(ValueOf(effects.completions[0]), "mine");
  EXPECT_EQ(effects.completions[0].result.results[0].version, Version());
  EXPECT_EQ(ValueOf(Do(id, {GetOf("b")})), "-");
}

TEST_F(TransactionTableTest, AScanSeesOwnWrites) {
  for (const char* key : {"p1", "p2", "p3", "q"}) store_.Put(key, "s");
  const std::string id = Begin();
  Do(id, {PutOf("p2", "own"), DeleteOf("p3"), PutOf("p4", "own"), PutOf("z", "own")});
  const Completion done = Do(id, {ScanOf("p", "q")});
  EXPECT_EQ(ItemsOf(done), "p1=s p2=own p4=own");
  ASSERT_EQ(done.result.results.size(), 1U) << "the step's own results and no others";
  EXPECT_EQ(queries_.back().operations.size(), 4U) << "the own writes within the range alone";
}

TEST_F(TransactionTableTest, OperationsOfAStepSeeThoseBeforeThem) {
  store_.Put("a", "1");
  const std::string id = Begin();
  const Completion done = Do(id, {GetOf("a"), PutOf("a", "2"), GetOf("a"), AddOf("a", 5)});
  ASSERT_EQ(done.result.results.size(), 4U);
  EXPECT_EQ(done.result.results[0].value, "1");
  EXPECT_EQ(done.result.results[2].value, "2");
  EXPECT_EQ(done.result.results[3].value, "7");
  EXPECT_EQ(ValueOf(Do(id, {GetOf("a")})), "7");
}

TEST_F(TransactionTableTest, ARangeDeleteIsCountedAndCoversLaterReads) {
  for (const char* key : {"p1", "p2", "q"}) store_.Put(key, "s");
  const std::string id = Begin();
  Do(id, {PutOf("p3", "own")});
  EXPECT_EQ(Do(id, {DeleteRangeOf("p", "q")}).result.results[0].count, 3U);
  EXPECT_EQ(ValueOf(Do(id, {GetOf("p1")})), "-");
  EXPECT_EQ(ItemsOf(Do(id, {ScanOf("", "")})), "q=s");
  EXPECT_TRUE(Commit(id).error.ok());
  EXPECT_EQ(store_.Now().size(), 1U);
}

TEST_F(TransactionTableTest, AFailedStepLeavesNoTrace) {
  store_.Put("n", "not a number");
  const std::string id = Begin();
  Do(id, {PutOf("a", "1")});
  const Completion failed = Do(id, {PutOf("b", "2"), AddOf("n", 1)});
  EXPECT_EQ(failed.error.code, ErrorCode::kInvalidArgument);
  EXPECT_NE(failed.error.detail.find("operation 2"), std::string::npos) << failed.error.detail;
  EXPECT_EQ(failed.error.key, "n");
  EXPECT_EQ(ValueOf(Do(id, {GetOf("b")})), "-");
  EXPECT_TRUE(Commit(id).error.ok());
  EXPECT_EQ(store_.Now().count("b"), 0U);
  EXPECT_EQ(store_.Now().count("a"), 1U);
}

TEST_F(TransactionTableTest, AStepIsOperationsAndNothingElse) {
  const std::string id = Begin();
  proto::Command command;
  command.operations = {PutOf("a", "1")};
  command.conditions.push_back({proto::Condition::Kind::kAbsent, "a", Version(), {}});
  proto::ClientTransaction step;
  step.action = Action::kExecute;
  step.id = id;
  step.command = Bytes(proto::EncodeCommand(command));
  Transact(2, step);
  EXPECT_EQ(ServeOne().error.code, ErrorCode::kInvalidArgument);
  step.command = Bytes::Copy("no command");
  Transact(2, step);
  EXPECT_EQ(ServeOne().error.code, ErrorCode::kInvalidArgument);
}

TEST_F(TransactionTableTest, TooManyWritesAreRefusedAndThoseBeforeThemStay) {
  const std::string id = Begin();
  std::vector<std::string> keys;
  keys.reserve(kTransactionWritesMax);
  for (std::size_t i = 0; i < kTransactionWritesMax; ++i) keys.push_back("k" + std::to_string(i));
  std::vector<proto::Operation> puts;
  puts.reserve(keys.size());
  for (const std::string& key : keys) puts.push_back(PutOf(key, "v"));
  EXPECT_TRUE(Do(id, puts).error.ok());
  const Completion refused = Do(id, {PutOf("one more", "v")});
  EXPECT_EQ(refused.error.code, ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(refused.error.limit, kTransactionWritesMax);
  EXPECT_TRUE(Do(id, {PutOf("k7", "again")}).error.ok()) << "the same keys take no more";
  EXPECT_TRUE(Commit(id).error.ok());
  EXPECT_EQ(store_.Now().at("k7").value, "again");
  EXPECT_EQ(store_.Now().size(), kTransactionWritesMax);
}

// ---- commit ----

TEST_F(TransactionTableTest, ACommitIsOneCommandOfWhatWasReadAndWritten) {
  store_.Put("a", "1");
  const std::string id = Begin();
  const Version begun = store_.newest();
  Do(id, {GetOf("a")});
  Do(id, {PutOf("b", "2"), DeleteOf("c"), PutOf("b", "3")});
  const Completion done = Commit(id);
  EXPECT_TRUE(done.error.ok());
  EXPECT_TRUE(done.is_write);
  EXPECT_EQ(done.version, store_.newest());
  const proto::Command command = LastCommand();
  EXPECT_EQ(command.session, SessionId(77));
  EXPECT_EQ(command.read_version, begun);
  EXPECT_EQ(KeysOf(command.reads), std::vector<std::string>{"a"});
  EXPECT_EQ(command.reads[0].at, Version()) << "the command's read_version";
  EXPECT_EQ(command.operations.size(), 2U) << "each key once";
  EXPECT_FALSE(command.otherwise.has_value());
  EXPECT_EQ(core_.Gauges(now_).transactions_open, 0U);
}

TEST_F(TransactionTableTest, AChangeOfWhatWasReadIsAConflict) {
  store_.Put("a", "1");
  const std::string id = Begin();
  Do(id, {GetOf("a"), PutOf("b", "2")});
  store_.Put("a", "2");
  const Completion done = Commit(id);
  EXPECT_EQ(done.error.code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(done.error.key, "a");
  EXPECT_EQ(done.error.outcome, Outcome::kNone);
  EXPECT_EQ(store_.Now().count("b"), 0U);
  EXPECT_EQ(Do(id, {GetOf("a")}).error.code, ErrorCode::kTransactionNotFound);
}

TEST_F(TransactionTableTest, ABlindWriteConflictsWithNothing) {
  const std::string id = Begin();
  Do(id, {PutOf("a", "mine")});
  store_.Put("a", "other");
  EXPECT_TRUE(Commit(id).error.ok());
  EXPECT_EQ(store_.Now().at("a").value, "mine");
}

TEST_F(TransactionTableTest, APhantomInAScannedRangeIsAConflict) {
  const std::string id = Begin();
  Do(id, {ScanOf("p", "q"), PutOf("b", "2")});
  store_.Put("p5", "phantom");
  EXPECT_EQ(Commit(id).error.code, ErrorCode::kTransactionConflict);
}

TEST_F(TransactionTableTest, ALimitedScanIsCertifiedAsFarAsItWent) {
  for (const char* key : {"p1", "p2", "p3", "p4"}) store_.Put(key, "s");
  const std::string id = Begin();
  Do(id, {ScanOf("p", "q", 2), PutOf("b", "2")});
  store_.Put("p4", "changed");
  EXPECT_TRUE(Commit(id).error.ok()) << "p3 and what is behind it was not read";
  EXPECT_EQ(KeysOf(LastCommand().reads), std::vector<std::string>{"p..p3"});
}

TEST_F(TransactionTableTest, AReverseScanIsCertifiedFromItsEnd) {
  for (const char* key : {"p1", "p2", "p3", "p4"}) store_.Put(key, "s");
  const std::string id = Begin();
  EXPECT_EQ(ItemsOf(Do(id, {ScanOf("p", "q", 2, true)})), "p4=s p3=s");
  Do(id, {PutOf("b", "2")});
  store_.Put("p1", "changed");
  EXPECT_TRUE(Commit(id).error.ok());
  EXPECT_EQ(KeysOf(LastCommand().reads), std::vector<std::string>{"p3..q"});
}

TEST_F(TransactionTableTest, PagesOfOneScanAreOneRead) {
  for (const char* key : {"p1", "p2", "p3", "p4"}) store_.Put(key, "s");
  const std::string id = Begin();
  Do(id, {ScanOf("p", "q", 2)});
  Do(id, {ScanOf("p3", "q", 2), PutOf("b", "1")});
  Commit(id);
  EXPECT_EQ(KeysOf(LastCommand().reads), std::vector<std::string>{"p..q"});
}

TEST_F(TransactionTableTest, WhatItHasWrittenItselfIsNotARead) {
  const std::string id = Begin();
  Do(id, {PutOf("p5", "own")});
  Do(id, {GetOf("p5"), ScanOf("p", "q")});
  store_.Put("p5", "other's");
  EXPECT_TRUE(Commit(id).error.ok()) << "no read could have seen the other value";
  EXPECT_EQ(KeysOf(LastCommand().reads),
            (std::vector<std::string>{"p..p5", std::string("p5\0..q", 6)}));
}

TEST_F(TransactionTableTest, WithoutWritesThereIsNoCommand) {
  store_.Put("a", "1");
  const std::string id = Begin();
  const Version begun = store_.newest();
  Do(id, {GetOf("a")});
  store_.Put("a", "2");
  const Completion done = Commit(id);
  EXPECT_TRUE(done.error.ok()) << "it saw one snapshot";
  EXPECT_EQ(done.version, begun);
  EXPECT_TRUE(commands_.empty());
}

TEST_F(TransactionTableTest, AReadOnlyTransactionRefusesWrites) {
  const std::string id = Begin(ReadOnlyOptions());
  EXPECT_EQ(Do(id, {PutOf("a", "1")}).error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Do(id, {AddOf("a", 1)}).error.code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(Do(id, {GetOf("a")}).error.ok());
  EXPECT_TRUE(Commit(id).error.ok());
}

TEST_F(TransactionTableTest, ARepeatedCommitGetsTheSameAnswer) {
  const std::string id = Begin();
  Do(id, {PutOf("a", "1")});
  const Version version = Commit(id).version;
  store_.Put("x", "y");
  const Completion again = Commit(id);
  EXPECT_TRUE(again.error.ok());
  EXPECT_EQ(again.version, version);
  EXPECT_EQ(commands_.size(), 1U);
  EXPECT_EQ(Rollback(id).error.code, ErrorCode::kTransactionNotFound) << "it has committed";
  Pass(EndedTransactions::kKeepMs + 100);
  EXPECT_EQ(Commit(id).error.code, ErrorCode::kTransactionNotFound);
}

TEST_F(TransactionTableTest, ARepeatedCommitOfARefusedOneIsRefusedAlike) {
  const std::string id = Begin();
  Do(id, {GetOf("a"), PutOf("b", "1")});
  store_.Put("a", "1");
  EXPECT_EQ(Commit(id).error.code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(Commit(id).error.code, ErrorCode::kTransactionConflict);
  EXPECT_TRUE(Rollback(id).error.ok()) << "nothing of it is left, as asked";
}

TEST_F(TransactionTableTest, ARollbackLeavesNothing) {
  const std::string id = Begin();
  Do(id, {PutOf("a", "1")});
  EXPECT_TRUE(Rollback(id).error.ok());
  EXPECT_TRUE(Rollback(id).error.ok()) << "sent again";
  EXPECT_EQ(Commit(id).error.code, ErrorCode::kTransactionNotFound);
  EXPECT_EQ(Do(id, {GetOf("a")}).error.code, ErrorCode::kTransactionNotFound);
  EXPECT_TRUE(commands_.empty());
}

TEST_F(TransactionTableTest, ACommitWithoutAnswerIsUnknownAndItsRepeatLearnsHowItEnded) {
  const std::string id = Begin();
  Do(id, {PutOf("a", "1")});
  End(3, id, Action::kCommit, 300);
  const Send propose = Poll().sends.at(0);
  const Effects late = Pass(330);
  ASSERT_EQ(late.completions.size(), 1U);
  EXPECT_EQ(late.completions[0].error.code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(late.completions[0].error.outcome, Outcome::kUnknown);
  End(5, id, Action::kCommit);
  EXPECT_TRUE(Poll().completions.empty()) << "it waits for the one in flight";
  Answer(propose);
  const Completion known = ServeOne();
  EXPECT_EQ(known.ticket.id, 5U);
  EXPECT_TRUE(known.error.ok());
  EXPECT_EQ(known.version, store_.newest());
  EXPECT_EQ(commands_.size(), 1U);
}

TEST_F(TransactionTableTest, WhileACommitIsUnknownNothingElseIsDone) {
  const std::string id = Begin();
  Do(id, {PutOf("a", "1")});
  End(3, id, Action::kCommit, 300);
  Poll();
  Pass(330);
  End(5, id, Action::kRollback, 200);
  const Effects late = Pass(230);
  ASSERT_EQ(late.completions.size(), 1U);
  EXPECT_EQ(late.completions[0].error.outcome, Outcome::kUnknown);
}

TEST_F(TransactionTableTest, ACommitThatWasNeverProposedLeavesTheTransactionOpen) {
  const std::string id = Begin();
  Do(id, {PutOf("a", "1")});
  Pass(1600);  // nobody confirms the leader any more
  End(3, id, Action::kCommit, 300);
  const Effects late = Pass(330);
  ASSERT_EQ(late.completions.size(), 1U);
  EXPECT_EQ(late.completions[0].error.code, ErrorCode::kNoLeader);
  EXPECT_EQ(late.completions[0].error.outcome, Outcome::kNone);
  Elect(kN2, Term(2));
  EXPECT_TRUE(Commit(id).error.ok());
  EXPECT_EQ(store_.Now().at("a").value, "1");
}

TEST_F(TransactionTableTest, ACommitGoesToANewLeaderUnderTheSameSequence) {
  const std::string id = Begin();
  Do(id, {PutOf("a", "1")});
  End(3, id, Action::kCommit);
  const Send first = Poll().sends.at(0);
  Elect(kN2, Term(2));
  const Send second = Poll().sends.at(0);
  EXPECT_EQ(second.node, kN2);
  EXPECT_EQ(CommandIn(second).sequence, CommandIn(first).sequence);
  Answer(first);
  Answer(second);
  const Completion done = ServeOne();
  EXPECT_TRUE(done.error.ok());
  EXPECT_EQ(done.version, Version(101)) << "executed once";
}

// ---- order ----

TEST_F(TransactionTableTest, StepsRunOneAfterTheOtherInTheirOrder) {
  store_.Put("a", "1");
  const std::string id = Begin();
  Execute(10, id, {GetOf("a")});
  Execute(11, id, {PutOf("a", "2")});
  Execute(12, id, {GetOf("a")});
  End(13, id, Action::kCommit);
  const Effects first = Poll();
  EXPECT_EQ(first.sends.size(), 1U) << "the second waits for the first";
  EXPECT_TRUE(first.completions.empty());
  Answer(first.sends[0]);
  const std::vector<Completion> done = Serve();
  ASSERT_EQ(done.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(done[i].ticket.id, 10 + i);
  EXPECT_EQ(ValueOf(done[0]), "1");
  EXPECT_EQ(ValueOf(done[2]), "2");
  EXPECT_TRUE(done[3].error.ok());
}

TEST_F(TransactionTableTest, WaitingStepsAreBounded) {
  const std::string id = Begin();
  Execute(10, id, {GetOf("a")});
  for (std::size_t i = 0; i < TransactionTable::kStepsMax; ++i) Execute(11, id, {GetOf("b")});
  EXPECT_TRUE(Poll().completions.empty());
  Execute(12, id, {GetOf("c")});
  EXPECT_EQ(Poll().completions.at(0).error.code, ErrorCode::kOverloaded);
}

TEST_F(TransactionTableTest, AStepThatWaitsTooLongIsNotDone) {
  const std::string id = Begin();
  Execute(10, id, {GetOf("a")});
  Execute(11, id, {PutOf("b", "1")}, false, 100);
  const Send query = Poll().sends.at(0);
  const Effects late = Pass(130);
  ASSERT_EQ(late.completions.size(), 1U);
  EXPECT_EQ(late.completions[0].ticket.id, 11U);
  EXPECT_EQ(late.completions[0].error.code, ErrorCode::kDeadlineExceeded);
  Answer(query);
  Serve();
  EXPECT_EQ(ValueOf(Do(id, {GetOf("b")})), "-");
}

TEST_F(TransactionTableTest, AReadThatGetsNoAnswerFailsAndTheTransactionGoesOn) {
  const std::string id = Begin();
  Execute(10, id, {GetOf("a"), PutOf("b", "1")}, false, 100);
  const Effects late = Pass(130);
  ASSERT_EQ(late.completions.size(), 1U);
  EXPECT_EQ(late.completions[0].error.code, ErrorCode::kDeadlineExceeded);
  EXPECT_EQ(ValueOf(Do(id, {GetOf("b")})), "-") << "all or nothing";
  EXPECT_TRUE(Commit(id).error.ok());
}

// ---- time ----

TEST_F(TransactionTableTest, AnIdleTransactionExpires) {
  const std::string id = Begin();
  Do(id, {PutOf("a", "1")});
  Pass(9'900);
  EXPECT_EQ(core_.Gauges(now_).transactions_open, 1U);
  Pass(200);
  EXPECT_EQ(core_.Gauges(now_).transactions_open, 0U);
  Elect(kN1, Term(1));
  for (const Action action : {Action::kCommit, Action::kRollback}) {
    End(3, id, action);
    EXPECT_EQ(ServeOne().error.code, ErrorCode::kTransactionExpired);
  }
  EXPECT_EQ(Do(id, {GetOf("a")}).error.code, ErrorCode::kTransactionExpired);
  Pass(EndedTransactions::kKeepMs);
  EXPECT_EQ(Do(id, {GetOf("a")}).error.code, ErrorCode::kTransactionNotFound);
}

TEST_F(TransactionTableTest, EachStepBeginsTheIdleTimeAnew) {
  proto::TransactionOptions options;
  options.idle_timeout_ms = 500;
  const std::string id = Begin(options);
  for (int i = 0; i < 5; ++i) {
    Pass(400);
    EXPECT_TRUE(Do(id, {PutOf("a", "1")}).error.ok());
  }
  Pass(600);
  EXPECT_EQ(Do(id, {PutOf("a", "1")}).error.code, ErrorCode::kTransactionExpired);
}

TEST_F(TransactionTableTest, ATransactionEndsAtItsTimeoutWhateverItDoes) {
  proto::TransactionOptions options;
  options.timeout_ms = 1000;
  const std::string id = Begin(options);
  Pass(900);
  Elect(kN1, Term(1));
  Execute(5, id, {GetOf("a")});
  Poll();
  const Effects ended = Pass(150);
  ASSERT_EQ(ended.completions.size(), 1U);
  EXPECT_EQ(ended.completions[0].error.code, ErrorCode::kTransactionExpired);
  EXPECT_TRUE(Serve().empty()) << "the query's late end is nobody's";
}

TEST_F(TransactionTableTest, ACommitUnderWayIsNotEndedByTime) {
  proto::TransactionOptions options;
  options.timeout_ms = 1000;
  const std::string id = Begin(options);
  Do(id, {PutOf("a", "1")});
  End(3, id, Action::kCommit, 4000);
  const Send propose = Poll().sends.at(0);
  EXPECT_TRUE(Pass(2000).completions.empty());
  Answer(propose);
  EXPECT_TRUE(ServeOne().error.ok());
}

TEST_F(TransactionTableTest, AShutdownEndsWhatIsOpenButNotCommits) {
  const std::string open = Begin();
  const std::string committing = Begin();
  Do(committing, {PutOf("a", "1")});
  End(3, committing, Action::kCommit);
  const Send propose = Poll().sends.at(0);
  Execute(5, open, {GetOf("a")});
  Poll();
  core_.Shutdown(now_);
  Effects effects = Poll();
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].ticket.id, 5U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kShuttingDown);
  Transact(6, {});
  EXPECT_EQ(Poll().completions.at(0).error.code, ErrorCode::kShuttingDown);
  Answer(propose);
  EXPECT_TRUE(ServeOne().error.ok());
  EXPECT_EQ(Commit(open).error.code, ErrorCode::kShuttingDown);
}

// ---- pessimistic ----

TEST_F(TransactionTableTest, APessimisticReadLocksAndReadsTheNewestState) {
  const std::string id = BeginPessimistic();
  store_.Put("a", "new");
  const Completion done = Do(id, {GetOf("a")});
  EXPECT_EQ(ValueOf(done), "new");
  EXPECT_EQ(done.read_version, store_.newest());
  ASSERT_EQ(locks_.size(), 1U);
  EXPECT_EQ(locks_[0].mode, proto::LockMode::kShared);
  EXPECT_EQ(locks_[0].what.key.view(), "a");
  EXPECT_FALSE(locks_[0].what.is_range);
  EXPECT_EQ(locks_[0].term, Term(1));
  EXPECT_EQ(locks_[0].transaction.router, kBoot);
  EXPECT_EQ(locks_[0].hold_ms, LockTaker::kHoldMs);
}

TEST_F(TransactionTableTest, WritesAndForUpdateLockExclusively) {
  const std::string id = BeginPessimistic();
  Do(id, {GetOf("a")}, true);
  Do(id, {PutOf("b", "1")});
  Do(id, {ScanOf("p", "q")});
  Do(id, {DeleteRangeOf("r", "s")});
  ASSERT_EQ(locks_.size(), 4U);
  EXPECT_EQ(locks_[0].mode, proto::LockMode::kExclusive);
  EXPECT_EQ(locks_[1].mode, proto::LockMode::kExclusive);
  EXPECT_EQ(locks_[2].mode, proto::LockMode::kShared);
  EXPECT_TRUE(locks_[2].what.is_range);
  EXPECT_EQ(locks_[2].what.end.view(), "q");
  EXPECT_EQ(locks_[3].mode, proto::LockMode::kExclusive);
}

TEST_F(TransactionTableTest, ALockThatIsHeldIsNotAskedForAgain) {
  const std::string id = BeginPessimistic();
  Do(id, {PutOf("a", "1")});
  Do(id, {PutOf("a", "2")});
  Do(id, {GetOf("a")});
  EXPECT_EQ(locks_.size(), 1U);
}

TEST_F(TransactionTableTest, AStepOfSeveralKeysReadsUnderAllItsLocks) {
  store_.Put("a", "1");
  const std::string id = BeginPessimistic();
  const Completion done = Do(id, {GetOf("a"), GetOf("b"), PutOf("c", "3")});
  ASSERT_EQ(locks_.size(), 3U);
  EXPECT_TRUE(locks_[0].query.empty());
  EXPECT_TRUE(locks_[1].query.empty());
  EXPECT_FALSE(locks_[2].query.empty());
  EXPECT_EQ(done.result.results.size(), 3U);
  EXPECT_EQ(done.result.results[0].value, "1");
}

TEST_F(TransactionTableTest, EachReadIsCertifiedAtItsOwnVersion) {
  const std::string id = BeginPessimistic();
  const Version begun = store_.newest();
  Do(id, {GetOf("a")});
  store_.Put("x", "1");
  Do(id, {GetOf("b"), PutOf("c", "1")});
  EXPECT_TRUE(Commit(id).error.ok());
  const proto::Command command = LastCommand();
  ASSERT_EQ(command.reads.size(), 2U);
  EXPECT_EQ(command.read_version, begun);
  EXPECT_EQ(command.reads[0].at, Version()) << "read at the version of the beginning";
  EXPECT_EQ(command.reads[1].at, Version(begun.value() + 1));
}

TEST_F(TransactionTableTest, LocksAreGivenBackAtTheEnd) {
  std::string id = BeginPessimistic();
  Do(id, {PutOf("a", "1")});
  Commit(id);
  EXPECT_EQ(unlocks_, 1U);
  id = BeginPessimistic();
  Do(id, {PutOf("a", "1")});
  Rollback(id);
  EXPECT_EQ(unlocks_, 2U);
  id = BeginPessimistic();
  EXPECT_TRUE(Rollback(id).error.ok());
  EXPECT_EQ(unlocks_, 2U) << "it never asked for any";
}

TEST_F(TransactionTableTest, ALockTimeoutFailsTheStepAndTheTransactionGoesOn) {
  const std::string id = BeginPessimistic();
  Execute(5, id, {PutOf("a", "1")});
  const Send lock = Poll().sends.at(0);
  EXPECT_EQ(lock.timeout_ms, 1000U);
  proto::LockReply refused;
  refused.error.code = ErrorCode::kLockTimeout;
  refused.error.blocked_by = "n2-00000000000000ff-9";
  refused.error.blocked_by_ms = 1500;
  Hear(lock.node, Daemon::kStoraged, lock.request, refused);
  const Completion done = ServeOne();
  EXPECT_EQ(done.error.code, ErrorCode::kLockTimeout);
  EXPECT_EQ(done.error.key, "a");
  EXPECT_EQ(done.error.blocked_by, "n2-00000000000000ff-9");
  EXPECT_EQ(done.error.blocked_by_ms, 1500U);
  EXPECT_NE(done.error.detail.find("1000 ms"), std::string::npos);
  EXPECT_EQ(ValueOf(Do(id, {GetOf("a")})), "-") << "the put did not happen";
  EXPECT_TRUE(Do(id, {PutOf("a", "2")}).error.ok());
  EXPECT_TRUE(Commit(id).error.ok());
}

TEST_F(TransactionTableTest, ADeadlocksVictimIsGone) {
  const std::string id = BeginPessimistic();
  Do(id, {PutOf("b", "1")});
  Execute(5, id, {PutOf("a", "1")});
  const Send lock = Poll().sends.at(0);
  proto::LockReply refused;
  refused.error.code = ErrorCode::kDeadlock;
  refused.error.blocked_by = "n2-00000000000000ff-3";
  Hear(lock.node, Daemon::kStoraged, lock.request, refused);
  const Completion done = ServeOne();
  EXPECT_EQ(done.error.code, ErrorCode::kDeadlock);
  EXPECT_EQ(done.error.blocked_by, "n2-00000000000000ff-3");
  EXPECT_EQ(unlocks_, 1U);
  EXPECT_EQ(Commit(id).error.code, ErrorCode::kDeadlock);
  EXPECT_TRUE(Rollback(id).error.ok());
}

TEST_F(TransactionTableTest, UnderAnotherLeaderAStepTakesItsLocksAnew) {
  const std::string id = BeginPessimistic();
  Execute(5, id, {PutOf("a", "1"), PutOf("b", "1")});
  const Send first = Poll().sends.at(0);
  Answer(first);
  const Send second = Poll().sends.at(0);
  EXPECT_EQ(std::get<proto::Lock>(second.message).what.key.view(), "b");
  Elect(kN2, Term(2));
  const Send again = Poll().sends.at(0);
  EXPECT_EQ(again.node, kN2);
  EXPECT_EQ(std::get<proto::Lock>(again.message).term, Term(2));
  EXPECT_EQ(std::get<proto::Lock>(again.message).what.key.view(), "a");
  Answer(second);  // the old leader's answer is worth nothing now
  EXPECT_TRUE(Poll().empty());
  Answer(again);
  EXPECT_TRUE(ServeOne().error.ok());
  EXPECT_TRUE(Commit(id).error.ok());
}

TEST_F(TransactionTableTest, LostLocksEndInAConflictAndNotInALostUpdate) {
  store_.Put("a", "1");
  const std::string id = BeginPessimistic();
  Do(id, {GetOf("a")}, true);
  Elect(kN2, Term(2));       // the locks are gone with the old leader
  store_.Put("a", "other");  // somebody else had the lock since
  Do(id, {PutOf("a", "mine")});
  EXPECT_EQ(Commit(id).error.code, ErrorCode::kTransactionConflict);
  EXPECT_EQ(store_.Now().at("a").value, "other");
}

TEST_F(TransactionTableTest, ALockWithoutAnswerIsAskedForAgain) {
  const std::string id = BeginPessimistic();
  Execute(5, id, {GetOf("a")});
  const Send first = Poll().sends.at(0);
  EXPECT_TRUE(Pass(1400).sends.empty()) << "not while its time-out may be on the way";
  Elect(kN1, Term(1));
  const Effects later = Pass(130);
  ASSERT_EQ(later.sends.size(), 1U);
  EXPECT_NE(later.sends[0].request, first.request);
  Answer(first);  // late, and as good
  EXPECT_TRUE(ServeOne().error.ok());
}

TEST_F(TransactionTableTest, AStoragedThatDoesNotLeadIsAskedAgainUntilTheDeadline) {
  const std::string id = BeginPessimistic();
  Execute(5, id, {GetOf("a")}, false, 400);
  Send lock = Poll().sends.at(0);
  std::vector<Completion> done;
  std::size_t asked = 1;
  for (int i = 0; i < 50 && done.empty(); ++i) {
    proto::LockReply refused;
    refused.error.code = ErrorCode::kNotLeader;
    refused.error.detail = "a later term is known here";
    Hear(lock.node, Daemon::kStoraged, lock.request, refused);
    Effects effects = Pass(10);
    for (Completion& completion : effects.completions) done.push_back(std::move(completion));
    asked += effects.sends.size();
    if (!effects.sends.empty()) lock = effects.sends[0];
  }
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].error.code, ErrorCode::kNoLeader);
  EXPECT_GT(asked, 2U);
  EXPECT_LT(asked, 20U) << "with pauses that grow";
}

/// A get of "a" is answered as of `behind`, where there was no such key: it is asked for again.
class StoragedBehindTest : public TransactionTableTest {
 protected:
  void ExpectReadAgain(const std::string& id, Version behind) {
    Execute(5, id, {GetOf("a")});
    const Send lock = Poll().sends.at(0);
    proto::LockReply reply;
    reply.read_version = behind;
    reply.result.results.emplace_back();
    Hear(lock.node, Daemon::kStoraged, lock.request, reply);
    EXPECT_TRUE(Poll().completions.empty());
    const Effects again = Pass(100);
    ASSERT_GE(again.sends.size(), 1U);
    Answer(again.sends.back());
    EXPECT_EQ(ValueOf(ServeOne()), "1");
  }
};

TEST_F(StoragedBehindTest, AStoragedBehindTheBeginningIsNotReadFrom) {
  store_.Put("a", "1");
  const std::string id = BeginPessimistic();
  ExpectReadAgain(id, Version(store_.newest().value() - 1));
}

/// Its storaged was restarted, and is still on its way back to where it had been.
TEST_F(StoragedBehindTest, AStoragedBehindWhatWasReadIsNotReadFrom) {
  const std::string id = BeginPessimistic();
  const Version begun = store_.newest();
  store_.Put("a", "1");
  EXPECT_EQ(ValueOf(Do(id, {GetOf("a")})), "1");
  ExpectReadAgain(id, begun);
}

TEST_F(TransactionTableTest, LocksOfAQuietTransactionAreKeptAlive) {
  const std::string id = BeginPessimistic();
  Do(id, {PutOf("a", "1")});
  std::size_t refreshed = 0;
  for (const Send& send : Pass(9'000).sends) {
    const auto* lock = std::get_if<proto::Lock>(&send.message);
    ASSERT_NE(lock, nullptr);
    EXPECT_EQ(lock->what.key.view(), "a");
    EXPECT_EQ(lock->mode, proto::LockMode::kExclusive);
    EXPECT_TRUE(lock->query.empty());
    Answer(send);
    ++refreshed;
  }
  EXPECT_GE(refreshed, 2U);
  EXPECT_TRUE(Poll().completions.empty());
}

TEST_F(TransactionTableTest, ReadsAtDifferentVersionsAreCertifiedEvenWithoutWrites) {
  const std::string id = BeginPessimistic();
  Do(id, {GetOf("a")});
  store_.Put("x", "1");
  Do(id, {GetOf("b")});
  EXPECT_TRUE(Commit(id).error.ok());
  ASSERT_EQ(commands_.size(), 1U) << "its locks may have been lost between the two";
  EXPECT_TRUE(LastCommand().operations.empty());
  EXPECT_EQ(LastCommand().reads.size(), 2U);
}

TEST_F(TransactionTableTest, ReadsAtOneVersionNeedNoCommand) {
  const std::string id = BeginPessimistic();
  Do(id, {GetOf("a"), GetOf("b")});
  const Completion done = Commit(id);
  EXPECT_TRUE(done.error.ok());
  EXPECT_EQ(done.version, store_.newest());
  EXPECT_TRUE(commands_.empty());
}

TEST_F(TransactionTableTest, AReadOnlyPessimisticTransactionTakesNoLocks) {
  proto::TransactionOptions options = ReadOnlyOptions();
  options.mode = TransactionMode::kPessimistic;
  const std::string id = Begin(options);
  Do(id, {GetOf("a")});
  EXPECT_TRUE(locks_.empty());
}

TEST_F(TransactionTableTest, AWaitForALockIsCounted) {
  const std::string id = BeginPessimistic();
  Execute(5, id, {GetOf("a")});
  Poll();
  EXPECT_EQ(core_.Gauges(now_).locks_waited_for, 1U);
}

// ---- whose they are ----

TEST_F(TransactionTableTest, IdsOfNobodyAreNotFound) {
  Begin();
  for (const char* id : {"", "n1", "n1-000000000000b007-2", "n1-000000000000b007-01",
                         "n1-000000000000b008-1", "n9-000000000000b007-1", "x-y-z"}) {
    End(3, id, Action::kCommit);
    const Effects effects = Poll();
    EXPECT_TRUE(effects.sends.empty()) << id;
    ASSERT_EQ(effects.completions.size(), 1U) << id;
    EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kTransactionNotFound) << id;
  }
}

}  // namespace
}  // namespace bedrock::router
