#include "routerd/core/requests/read_ledger.h"

#include <gtest/gtest.h>

#include "tests/unit/routerd/core/core_fixture.h"

namespace bedrock::router {
namespace {

using proto::Consistency;
using proto::ErrorCode;

class ReadLedgerTest : public CoreTest {
 protected:
  void AnswerIndex(const Send& query, LogIndex index) {
    proto::ReadIndexAnswer answer;
    answer.index = index;
    Hear(query.node, Daemon::kRaftd, query.request, answer);
  }
  void FailIndex(const Send& query, ErrorCode code) {
    proto::ReadIndexAnswer answer;
    answer.error.code = code;
    Hear(query.node, Daemon::kRaftd, query.request, answer);
  }
  void AnswerGet(const Send& get, const std::string& value, Version version) {
    proto::GetReply reply;
    reply.found = true;
    reply.value = Bytes::Copy(value);
    reply.version = version;
    reply.read_version = Version(version.value() + 1);
    Hear(get.node, Daemon::kStoraged, get.request, reply);
  }
  void FailGet(const Send& get, ErrorCode code) {
    proto::GetReply reply;
    reply.error.code = code;
    Hear(get.node, Daemon::kStoraged, get.request, reply);
  }
  static Version MinVersion(const Send& get) {
    return std::get<proto::Get>(get.message).min_version;
  }
};

TEST_F(ReadLedgerTest, AStaleReadAsksThisNodesStoragedOnly) {
  Elect(kN2, Term(1));
  Get(5, Consistency::kStale);
  Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.sends[0].node, kN1);
  EXPECT_EQ(effects.sends[0].daemon, Daemon::kStoraged);
  EXPECT_EQ(MinVersion(effects.sends[0]), Version());
  AnswerGet(effects.sends[0], "value", Version(7));
  effects = Poll();
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].ticket.id, 5U);
  EXPECT_TRUE(effects.completions[0].found);
  EXPECT_EQ(effects.completions[0].value.view(), "value");
  EXPECT_EQ(effects.completions[0].version, Version(7));
  EXPECT_EQ(effects.completions[0].read_version, Version(8));
  EXPECT_EQ(effects.completions[0].served_by, kN1);
}

TEST_F(ReadLedgerTest, ALinearizableReadFetchesAnIndexAndReadsAtIt) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kLinearizable);
  Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.sends[0].daemon, Daemon::kRaftd);
  EXPECT_EQ(effects.sends[0].node, kN1);
  AnswerIndex(effects.sends[0], LogIndex(33));
  effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.sends[0].daemon, Daemon::kStoraged);
  EXPECT_EQ(MinVersion(effects.sends[0]), Version(33));
}

TEST_F(ReadLedgerTest, TheClientsVersionCountsWhereItIsHigher) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kLinearizable, Version(50));
  AnswerIndex(Poll().sends.at(0), LogIndex(33));
  EXPECT_EQ(MinVersion(Poll().sends.at(0)), Version(50));
}

TEST_F(ReadLedgerTest, TheReadsOfATurnShareOneQuery) {
  Elect(kN2, Term(1));
  for (std::uint64_t ticket = 1; ticket <= 10; ++ticket) Get(ticket, Consistency::kLinearizable);
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  AnswerIndex(effects.sends[0], LogIndex(3));
  EXPECT_EQ(Poll().sends.size(), 10U);
}

TEST_F(ReadLedgerTest, AnIndexServesNoReadThatBeganAfterItsQuery) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kLinearizable);
  const Send first = Poll().sends.at(0);
  Get(2, Consistency::kLinearizable);
  AnswerIndex(first, LogIndex(3));
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 2U);  // the Get of read 1 and a query for read 2
  std::size_t queries = 0;
  for (const Send& send : effects.sends) queries += send.daemon == Daemon::kRaftd ? 1 : 0;
  EXPECT_EQ(queries, 1U);
}

TEST_F(ReadLedgerTest, WithoutAnAnswerAboutTheIndexOthersAreAsked) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kLinearizable);
  const Send first = Poll().sends.at(0);
  FailIndex(first, ErrorCode::kNoLeader);
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.sends[0].node, kN2) << "the leader's raftd comes next";
  AnswerIndex(first, LogIndex(2));  // late, of a query that was given up
  EXPECT_TRUE(Poll().empty());
  AnswerIndex(effects.sends[0], LogIndex(3));
  EXPECT_EQ(Poll().sends.size(), 1U);
}

TEST_F(ReadLedgerTest, ASilentRaftdIsGivenUp) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kLinearizable);
  Poll();
  EXPECT_TRUE(Pass(490).sends.empty());
  const Effects effects = Pass(30);
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.sends[0].node, kN2);
}

TEST_F(ReadLedgerTest, WhileNobodyLeadsQueriesBackOffAndANewLeaderEndsTheWait) {
  Get(1, Consistency::kLinearizable);
  Effects effects = Poll();
  std::size_t queries = 0;
  for (int step = 0; step < 200; ++step) {
    for (const Send& send : effects.sends) {
      ++queries;
      FailIndex(send, ErrorCode::kNoLeader);
    }
    effects = Pass(10);
  }
  EXPECT_GE(queries, 5U);
  EXPECT_LE(queries, 20U);
  for (const Send& send : effects.sends) FailIndex(send, ErrorCode::kNoLeader);
  Elect(kN3, Term(2));
  EXPECT_EQ(Poll().sends.size(), 1U);
}

TEST_F(ReadLedgerTest, WithoutALeaderTheReadEndsAsNoLeader) {
  Get(1, Consistency::kLinearizable, Version(), 200);
  Poll();
  const Effects effects = Pass(220);
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kNoLeader);
}

TEST_F(ReadLedgerTest, AnotherStoragedIsAskedWhereThisOneCannotAnswer) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kStale);
  const Send first = Poll().sends.at(0);
  FailGet(first, ErrorCode::kStorageUnavailable);
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(effects.sends[0].node, kN2);
  AnswerGet(effects.sends[0], "v", Version(1));
  EXPECT_EQ(Poll().completions.at(0).served_by, kN2);
}

TEST_F(ReadLedgerTest, AnotherStoragedIsAskedWhereThisOneIsNotConnected) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kStale);
  const Send first = Poll().sends.at(0);
  core_.OnUnsent(first.node, first.daemon, first.request, now_);
  EXPECT_EQ(Poll().sends.at(0).node, kN2);
}

TEST_F(ReadLedgerTest, ALinearizableReadDoesNotWaitForAStoragedWhoseRaftdIsGone) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kLinearizable);
  const Send query = Poll().sends.at(0);
  ASSERT_EQ(query.node, kN1);
  core_.OnUnsent(kN1, Daemon::kRaftd, query.request, now_);
  const Send again = Poll().sends.at(0);
  ASSERT_EQ(again.node, kN2);
  proto::ReadIndexAnswer answer;
  answer.index = LogIndex(7);
  Hear(kN2, Daemon::kRaftd, again.request, answer);
  EXPECT_EQ(Poll().sends.at(0).node, kN2) << "this node's storaged gets no entry";
  Get(2, Consistency::kStale);
  EXPECT_EQ(Poll().sends.at(0).node, kN1) << "this node's state was asked for";
}

TEST_F(ReadLedgerTest, ASilentStoragedIsGivenUp) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kStale);
  Poll();
  EXPECT_TRUE(Pass(490).sends.empty());
  EXPECT_EQ(Pass(30).sends.at(0).node, kN2);
}

TEST_F(ReadLedgerTest, ALateAnswerOfAnEarlierAttemptCounts) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kStale);
  const Send first = Poll().sends.at(0);
  const Send second = Pass(520).sends.at(0);
  AnswerGet(first, "v", Version(1));
  EXPECT_EQ(Poll().completions.size(), 1U);
  AnswerGet(second, "v", Version(1));
  EXPECT_TRUE(Poll().empty());
}

TEST_F(ReadLedgerTest, WaitingForAClientsFutureVersionBlamesNobody) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kStale, Version(1000), 3000);
  const Send first = Poll().sends.at(0);
  FailGet(first, ErrorCode::kDeadlineExceeded);
  Poll();
  Get(2, Consistency::kStale);
  EXPECT_EQ(Poll().sends.at(0).node, kN1) << "other reads still use this node's storaged";
  const Effects effects = Pass(3010);
  std::size_t of_first = 0;
  for (const Completion& done : effects.completions) {
    if (done.ticket.id != 1) continue;
    ++of_first;
    EXPECT_EQ(done.error.code, ErrorCode::kDeadlineExceeded);
  }
  EXPECT_EQ(of_first, 1U);
}

TEST_F(ReadLedgerTest, DamageEverywhereIsToldAndDamageHereIsReadElsewhere) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kStale);
  for (int node = 0; node < 3; ++node) {
    const Effects effects = Poll();
    ASSERT_EQ(effects.sends.size(), 1U);
    EXPECT_TRUE(effects.completions.empty());
    FailGet(effects.sends[0], ErrorCode::kCorruption);
  }
  EXPECT_EQ(Poll().completions.at(0).error.code, ErrorCode::kCorruption);
}

TEST_F(ReadLedgerTest, AnErrorAboutTheRequestEndsItAtOnce) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kStale);
  FailGet(Poll().sends.at(0), ErrorCode::kKeyTooLarge);
  EXPECT_EQ(Poll().completions.at(0).error.code, ErrorCode::kKeyTooLarge);
}

TEST_F(ReadLedgerTest, WhenNoStoragedIsThereItEndsWithThatReason) {
  Elect(kN2, Term(1));
  Get(1, Consistency::kStale, Version(), 1000);
  Effects effects = Poll();
  for (int step = 0; step < 120 && effects.completions.empty(); ++step) {
    for (const Send& send : effects.sends) {
      core_.OnUnsent(send.node, send.daemon, send.request, now_);
    }
    effects = Pass(10);
  }
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kStorageUnavailable);
}

class SmallReadLedgerTest : public CoreTest {
 protected:
  static CoreOptions Small() {
    CoreOptions options = ThreeNodes();
    options.reads_in_flight_max = 2;
    return options;
  }
  SmallReadLedgerTest() : CoreTest(Small()) {}
};

TEST_F(SmallReadLedgerTest, TooManyReadsAreRefused) {
  for (std::uint64_t ticket = 1; ticket <= 3; ++ticket) Get(ticket, Consistency::kStale);
  const Effects effects = Poll();
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].ticket.id, 3U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kOverloaded);
}

TEST_F(ReadLedgerTest, EveryDaemonIsAskedForItsStatusFourTimesASecond) {
  const std::size_t before = status_queries_;
  Pass(1000);
  EXPECT_EQ(status_queries_ - before, 4U * 6U);
}

}  // namespace
}  // namespace bedrock::router
