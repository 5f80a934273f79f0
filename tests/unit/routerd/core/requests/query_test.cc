#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "tests/unit/routerd/core/transaction_fixture.h"

// Reads at versions, queries, bounds on staleness, and one-shot commands.

namespace bedrock::router {
namespace {

using proto::Consistency;
using proto::ErrorCode;

class QueryTest : public TransactionTest {
 protected:
  void Query(std::uint64_t ticket, QueryRequest request,
             const std::vector<proto::Operation>& operations, std::uint64_t timeout_ms = 5000) {
    request.ticket = {Ticket::Front::kHttp, ticket};
    request.query.operations = operations;
    request.deadline_ms = now_ + timeout_ms;
    core_.Query(request, now_);
  }
  void Read(std::uint64_t ticket, ReadRequest request, std::uint64_t timeout_ms = 5000) {
    request.ticket = {Ticket::Front::kHttp, ticket};
    request.key = Bytes::Copy("k");
    request.deadline_ms = now_ + timeout_ms;
    core_.Read(std::move(request), now_);
  }
  void Write(std::uint64_t ticket, WriteRequest request) {
    request.ticket = {Ticket::Front::kHttp, ticket};
    request.deadline_ms = now_ + 5000;
    core_.Write(std::move(request), now_);
  }
  static ReadRequest StaleBy(std::uint64_t max_staleness_ms) {
    ReadRequest request;
    request.consistency = Consistency::kStale;
    request.max_staleness_ms = max_staleness_ms;
    return request;
  }
  /// This node's storaged is at index 100.
  void HaveApplied100() {
    proto::StorageStatus status;
    status.applied = LogIndex(100);
    Hear(kN1, Daemon::kStoraged, RequestId(), status);
  }
  void AnswerIndex(const Send& send, std::uint64_t index) {
    proto::ReadIndexAnswer answer;
    answer.index = LogIndex(index);
    Hear(send.node, Daemon::kRaftd, send.request, answer);
  }
  void FailQuery(const Send& send, ErrorCode code) {
    proto::QueryReply reply;
    reply.error.code = code;
    Hear(send.node, Daemon::kStoraged, send.request, reply);
  }
};

// ---- queries ----

TEST_F(QueryTest, ALinearizableQueryIsReadAtAReadIndex) {
  store_.Put("p1", "1");
  Query(5, {}, {ScanOf("p", "q")});
  const Send index = Poll().sends.at(0);
  EXPECT_TRUE(std::holds_alternative<proto::ReadIndexQuery>(index.message));
  AnswerIndex(index, 101);
  const Send query = Poll().sends.at(0);
  EXPECT_EQ(query.daemon, Daemon::kStoraged);
  EXPECT_EQ(std::get<proto::Query>(query.message).min_version, Version(101));
  EXPECT_EQ(std::get<proto::Query>(query.message).at, Version());
  Answer(query);
  const Completion done = ServeOne();
  EXPECT_EQ(ItemsOf(done), "p1=1");
  EXPECT_EQ(done.read_version, Version(101));
  EXPECT_FALSE(done.is_write);
  EXPECT_EQ(done.served_by, kN1);
}

TEST_F(QueryTest, AQueryAtAVersionNeedsNoIndex) {
  store_.Put("a", "old");
  store_.Put("a", "new");
  QueryRequest request;
  request.at = Version(101);
  Query(5, std::move(request), {GetOf("a")});
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_EQ(std::get<proto::Query>(effects.sends[0].message).at, Version(101));
  Answer(effects.sends[0]);
  EXPECT_EQ(ValueOf(ServeOne()), "old");
}

TEST_F(QueryTest, AnotherStoragedIsAskedWhereOneCannotAnswer) {
  QueryRequest request;
  request.consistency = Consistency::kStale;
  Query(5, std::move(request), {GetOf("a")});
  const Send first = Poll().sends.at(0);
  FailQuery(first, ErrorCode::kStorageUnavailable);
  const Send second = Poll().sends.at(0);
  EXPECT_NE(second.node, first.node);
  Answer(second);
  EXPECT_TRUE(ServeOne().error.ok());
}

TEST_F(QueryTest, ACompactedVersionIsTheAnswer) {
  QueryRequest request;
  request.at = Version(50);
  Query(5, std::move(request), {GetOf("a")});
  FailQuery(Poll().sends.at(0), ErrorCode::kVersionCompacted);
  EXPECT_EQ(ServeOne().error.code, ErrorCode::kVersionCompacted);
}

TEST_F(QueryTest, WhatIsNoQueryIsRefusedAtOnce) {
  proto::Operation drop;
  drop.kind = proto::Operation::Kind::kDropHistory;
  Query(5, {}, {drop});
  EXPECT_EQ(Poll().completions.at(0).error.code, ErrorCode::kInvalidArgument);
  Query(5, {}, {GetOf(std::string(proto::kKeyBytesMax + 1, 'k'))});
  EXPECT_EQ(Poll().completions.at(0).error.code, ErrorCode::kKeyTooLarge);
}

TEST_F(QueryTest, RepliesThatMayComeAreBoundedAndTheRestWaitsInLine) {
  QueryRequest stale;
  stale.consistency = Consistency::kStale;
  constexpr std::size_t kMany = 100;  // of 8 MiB each
  for (std::size_t i = 0; i < kMany; ++i) Query(10 + i, stale, {ScanOf("", "")});
  std::vector<Send> sends = Poll().sends;
  const std::size_t at_once = sends.size();
  EXPECT_GT(at_once, 20U);
  EXPECT_LE(at_once * proto::kScanBytesMax, ReadLedger::kReplyBytesInFlightMax);
  std::size_t done = 0;
  while (!sends.empty()) {
    Answer(sends.front());
    Effects effects = Poll();
    done += effects.completions.size();
    sends.erase(sends.begin());
    for (Send& send : effects.sends) sends.push_back(std::move(send));
    EXPECT_LE(sends.size(), at_once);
  }
  EXPECT_EQ(done, kMany);
}

TEST_F(QueryTest, AQueryThatWaitsInLineForTooLongEnds) {
  QueryRequest stale;
  stale.consistency = Consistency::kStale;
  for (std::size_t i = 0; i < 40; ++i) Query(10 + i, stale, {ScanOf("", "")}, 60'000);
  Poll();
  Query(99, stale, {ScanOf("", "")}, 200);
  const Effects effects = Pass(230);
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].ticket.id, 99U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kDeadlineExceeded);
}

// ---- reads at versions, and of bounded staleness ----

TEST_F(QueryTest, AReadAtAVersionNeedsNoIndex) {
  ReadRequest request;
  request.at = Version(42);
  request.min_version = Version(40);
  Read(5, std::move(request));
  const Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  const auto& get = std::get<proto::Get>(effects.sends[0].message);
  EXPECT_EQ(get.at, Version(42));
  EXPECT_EQ(get.min_version, Version(40));
}

TEST_F(QueryTest, ABoundIsKeptAtOnceWhereThisNodeIsKnownToBeInStep) {
  HaveApplied100();
  Get(1, Consistency::kLinearizable);
  const Send index = Poll().sends.at(0);
  AnswerIndex(index, 100);
  Poll();
  now_ += 300;
  ReadRequest request = StaleBy(400);
  Read(5, request);
  Effects effects = Poll();
  ASSERT_EQ(effects.sends.size(), 2U);  // and a question that keeps it known
  ASSERT_TRUE(std::holds_alternative<proto::Get>(effects.sends[0].message));
  EXPECT_EQ(std::get<proto::Get>(effects.sends[0].message).min_version, Version(100))
      << "whichever storaged answers must be as far";
  request.max_staleness_ms = 300;
  Read(6, request);
  effects = Poll();
  ASSERT_EQ(effects.sends.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<proto::ReadIndexQuery>(effects.sends[0].message))
      << "cut to milliseconds it is 300 ago, so it may be more: it asks once";
}

TEST_F(QueryTest, ABoundThatCannotBeKeptIsTooStale) {
  ReadRequest request = StaleBy(100);
  Read(5, request);
  const Send index = Poll().sends.at(0);
  proto::ReadIndexAnswer none;
  none.error.code = ErrorCode::kNoLeader;
  Hear(index.node, Daemon::kRaftd, index.request, none);
  EXPECT_EQ(ServeOne().error.code, ErrorCode::kTooStale);
  Pass(2000);  // no leader is known
  Read(6, request);
  EXPECT_EQ(Poll().completions.at(0).error.code, ErrorCode::kTooStale);
}

TEST_F(QueryTest, ABoundedReadDoesNotWaitLongForAStoragedThatLags) {
  ReadRequest request = StaleBy(100);
  Read(5, request, 30'000);
  AnswerIndex(Poll().sends.at(0), 500);
  const Effects effects = Pass(ReadLedger::kFreshenMs + 30);
  ASSERT_EQ(effects.completions.size(), 1U);
  EXPECT_EQ(effects.completions[0].error.code, ErrorCode::kTooStale);
}

// While reads with bounds come, a node that hears the leader need not ask for each.
TEST_F(QueryTest, ReadsWithABoundKeepThisNodeKnownToBeInStep) {
  HaveApplied100();
  ReadRequest request = StaleBy(600);
  Read(1, request, 300'000);
  AnswerIndex(Poll().sends.at(0), 100);
  Poll();
  for (std::uint64_t ticket = 2; ticket < 12; ++ticket) {
    for (int i = 0; i < 100; ++i) {
      for (const Send& send : Pass(10).sends) {
        if (send.daemon == Daemon::kRaftd) AnswerIndex(send, 100);
      }
    }
    Read(ticket, request);
    const Effects effects = Poll();
    ASSERT_FALSE(effects.sends.empty());
    EXPECT_TRUE(std::holds_alternative<proto::Get>(effects.sends.back().message)) << ticket;
  }
  // And when no more come it ends.
  Pass(ReadLedger::kBoundedRecentMs);
  for (const Send& send : Pass(5000).sends) EXPECT_NE(send.daemon, Daemon::kRaftd);
}

// A partitioned node: its raftd answers, but knows no index. It gives what its bound allows, and
// then refuses without asking anybody.
TEST_F(QueryTest, ANodeThatIsCutOffServesUntilTheBoundIsOverAndThenRefusesAtOnce) {
  HaveApplied100();
  ReadRequest request = StaleBy(700);
  Read(1, request);
  AnswerIndex(Poll().sends.at(0), 100);
  const std::uint64_t in_step_ms = now_;
  Poll();
  bool refused = false;
  for (std::uint64_t ticket = 2; now_ < in_step_ms + 1500; ++ticket) {
    for (const Send& send : Pass(50).sends) {
      proto::ReadIndexAnswer none;
      none.error.code = ErrorCode::kNoLeader;
      if (send.daemon == Daemon::kRaftd) Hear(send.node, Daemon::kRaftd, send.request, none);
    }
    Read(ticket, request, 30'000);
    const Effects effects = Poll();
    if (now_ < in_step_ms + request.max_staleness_ms) {
      EXPECT_TRUE(effects.completions.empty()) << now_ - in_step_ms;
    } else {
      ASSERT_FALSE(effects.completions.empty()) << now_ - in_step_ms;
      EXPECT_EQ(effects.completions.back().error.code, ErrorCode::kTooStale);
      refused = true;
    }
  }
  EXPECT_TRUE(refused);
}

// A router that was paused is told the time after it took the request in: what was known before the
// pause is as old as it is.
TEST_F(QueryTest, WhatWasKnownBeforeAPauseIsAsOldAsItIs) {
  HaveApplied100();
  Get(1, Consistency::kLinearizable);
  AnswerIndex(Poll().sends.at(0), 100);
  Poll();
  now_ += 10'000;
  ReadRequest request = StaleBy(9'999);
  Read(5, request);
  const Effects effects = Poll();
  for (const Send& send : effects.sends) {
    EXPECT_FALSE(std::holds_alternative<proto::Get>(send.message));
  }
}

// An index that was asked for before the pause and answered after it proves no more than that this
// node was in step when it was asked for.
TEST_F(QueryTest, AnAnswerThatCameLateIsAsOldAsItsQuestion) {
  HaveApplied100();
  Get(1, Consistency::kLinearizable);
  const Send index = Poll().sends.at(0);
  now_ += 400;
  AnswerIndex(index, 100);
  ReadRequest request = StaleBy(399);
  Read(5, request);
  bool asks_again = false;
  for (const Send& send : Poll().sends) {
    asks_again = asks_again || std::holds_alternative<proto::ReadIndexQuery>(send.message);
  }
  EXPECT_TRUE(asks_again);
}

TEST_F(QueryTest, AStaleReadWithoutABoundNeverAsksForAnIndex) {
  ReadRequest request;
  request.consistency = Consistency::kStale;
  Read(5, request);
  EXPECT_TRUE(std::holds_alternative<proto::Get>(Poll().sends.at(0).message));
}

// ---- one-shot ----

TEST_F(QueryTest, AOneShotThatWritesIsOneCommand) {
  store_.Put("a", "1");
  WriteRequest request;
  request.operations = {GetOf("a"), PutOf("b", "2")};
  request.otherwise.emplace();
  Write(5, request);
  const Completion done = ServeOne();
  EXPECT_TRUE(done.error.ok());
  EXPECT_TRUE(done.is_write);
  EXPECT_EQ(done.version, store_.newest());
  ASSERT_EQ(done.result.results.size(), 2U);
  EXPECT_EQ(done.result.results[0].value, "1");
  const proto::Command command = LastCommand();
  EXPECT_EQ(command.sequence, 1U);
  EXPECT_TRUE(command.otherwise.has_value());
}

TEST_F(QueryTest, AOneShotWithoutWritesIsAQueryAtAReadIndex) {
  store_.Put("a", "1");
  WriteRequest request;
  request.operations = {GetOf("a")};
  request.otherwise = std::vector<proto::Operation>{GetOf("b")};
  Write(5, request);
  const Completion done = ServeOne();
  EXPECT_TRUE(done.is_write) << "as what was asked for";
  EXPECT_EQ(done.version, store_.newest());
  EXPECT_EQ(done.read_version, store_.newest());
  EXPECT_EQ(ValueOf(done), "1");
  EXPECT_TRUE(commands_.empty());
  EXPECT_EQ(queries_.size(), 1U);
}

TEST_F(QueryTest, AWriteInTheOtherBranchMakesItACommand) {
  WriteRequest request;
  request.operations = {GetOf("a")};
  request.otherwise = std::vector<proto::Operation>{PutOf("b", "1")};
  Write(5, request);
  ServeOne();
  EXPECT_EQ(commands_.size(), 1U);
}

TEST_F(QueryTest, AnIdempotencyKeyMakesItACommandWithItsFingerprint) {
  std::vector<std::string> fingerprints;
  for (const char* key : {"key-1", "key-2", "key-1"}) {
    WriteRequest request;
    request.operations = {GetOf("a")};
    request.idempotency_key = key;
    Write(5, request);
    ServeOne();
    EXPECT_EQ(LastCommand().idempotency.key, key);
    fingerprints.emplace_back(LastCommand().idempotency.fingerprint);
  }
  EXPECT_EQ(fingerprints[0].size(), proto::kFingerprintBytes);
  EXPECT_EQ(fingerprints[0], fingerprints[1]) << "the same request";
  EXPECT_EQ(fingerprints[0], fingerprints[2]) << "whatever its sequence number";
}

TEST_F(QueryTest, WhatACommandCannotHoldIsRefusedBeforeItIsProposed) {
  WriteRequest request;
  request.operations.assign(proto::kOperationsMax + 1, PutOf("a", "1"));
  Write(5, request);
  const Effects effects = Poll();
  EXPECT_TRUE(effects.sends.empty());
  EXPECT_EQ(effects.completions.at(0).error.code, ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(effects.completions.at(0).error.limit, proto::kOperationsMax);
}

TEST_F(QueryTest, HistoryIsDroppedByACommand) {
  core_.CompactHistory({{Ticket::Front::kHttp, 5}, Version(77), now_ + 1000}, now_);
  const Completion done = ServeOne();
  EXPECT_TRUE(done.is_write);
  EXPECT_EQ(done.version, store_.newest());
  ASSERT_EQ(LastCommand().operations.size(), 1U);
  EXPECT_EQ(LastCommand().operations[0].kind, proto::Operation::Kind::kDropHistory);
  EXPECT_EQ(LastCommand().operations[0].version, Version(77));
}

class HistoryTest : public QueryTest {
 protected:
  /// A little more than the history, under this leader, with this applied.
  void PassHistory(NodeId leader, Term term, LogIndex applied) {
    proto::StorageStatus status;
    status.applied = applied;
    for (std::uint64_t ms = 0; ms < 620'000; ms += 1000) {
      Hear(leader, Daemon::kRaftd, RequestId(),
           StatusOf(leader, proto::Role::kLeader, leader, term));
      Hear(kN1, Daemon::kStoraged, RequestId(), status);
      now_ += 1000;
      EXPECT_TRUE(Serve().empty()) << "nobody asked";
    }
  }
};

TEST_F(HistoryTest, TheLeadersRouterProposesTheWatermark) {
  PassHistory(kN1, Term(1), LogIndex(5000));
  ASSERT_FALSE(commands_.empty());
  EXPECT_EQ(LastCommand().operations[0].kind, proto::Operation::Kind::kDropHistory);
  EXPECT_EQ(LastCommand().operations[0].version, Version(5000));
}

TEST_F(HistoryTest, OtherRoutersDoNot) {
  PassHistory(kN2, Term(2), LogIndex(5000));
  EXPECT_TRUE(commands_.empty());
}

}  // namespace
}  // namespace bedrock::router
