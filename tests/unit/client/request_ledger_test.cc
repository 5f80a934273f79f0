#include "client/request_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "proto/command.h"

namespace bedrock::client {
namespace {

using proto::ErrorCode;
using proto::Outcome;
using ::testing::HasSubstr;

constexpr std::uint64_t kAttemptMs = 100;

WriteRequest Put(std::string key) { return {.key = std::move(key), .value = "v"}; }

proto::Error MakeError(ErrorCode code, Outcome outcome = Outcome::kNone) {
  proto::Error error;
  error.code = code;
  error.outcome = outcome;
  return error;
}

proto::Message WriteError(ErrorCode code, Outcome outcome = Outcome::kNone) {
  return proto::ClientWriteReply{MakeError(code, outcome), Version(), Version()};
}

proto::Message Written(std::uint64_t version) {
  return proto::ClientWriteReply{{}, Version(version), Version()};
}

class RequestLedgerTest : public ::testing::Test {
 protected:
  void Make(std::size_t routers) {
    ledger_.emplace(RequestLedger::Options{
        .session = SessionId(77), .routers = routers, .attempt_timeout_ms = kAttemptMs, .seed = 1});
  }
  /// The only transmission that waits.
  RequestLedger::Transmission Sent() {
    auto sends = ledger_->TakeSends();
    EXPECT_EQ(sends.size(), 1u);
    return sends.empty() ? RequestLedger::Transmission{} : sends[0];
  }
  /// The only completion that waits.
  Answer Done() {
    auto completions = ledger_->TakeCompletions();
    EXPECT_EQ(completions.size(), 1u);
    return completions.empty() ? Answer{} : completions[0].answer;
  }
  void ExpectNothing() {
    EXPECT_TRUE(ledger_->TakeSends().empty());
    EXPECT_TRUE(ledger_->TakeCompletions().empty());
  }
  static std::string CommandOf(const RequestLedger::Transmission& sent) {
    return std::string(std::get<proto::ClientWrite>(sent.message).command.view());
  }
  static proto::Command Decoded(const std::string& command) {
    return proto::DecodeCommand(command).value();
  }

  std::optional<RequestLedger> ledger_;
};

TEST_F(RequestLedgerTest, AnAnsweredWriteGivesItsVersion) {
  Make(1);
  const RequestId call = ledger_->Begin(Put("k"), 0, 1000);
  const auto sent = Sent();
  EXPECT_EQ(sent.call, call);
  EXPECT_EQ(sent.timeout_ms, kAttemptMs);
  const std::string bytes = CommandOf(sent);
  const proto::Command command = Decoded(bytes);
  EXPECT_EQ(command.session, SessionId(77));
  EXPECT_EQ(command.sequence, 1u);
  EXPECT_EQ(command.low_water, 1u);
  ASSERT_EQ(command.operations.size(), 1u);
  EXPECT_EQ(command.operations[0].key, "k");
  ledger_->OnMessage(0, call, Written(9), 5);
  const Answer answer = Done();
  EXPECT_TRUE(answer.status.ok());
  EXPECT_EQ(answer.version, Version(9));
  EXPECT_FALSE(ledger_->NextWakeup().has_value());
}

TEST_F(RequestLedgerTest, ALostAnswerIsAskedForAtTheNextRouterWithTheSameBytes) {
  Make(2);
  const RequestId call = ledger_->Begin(Put("k"), 0, 1000);
  const auto first = Sent();
  ASSERT_EQ(ledger_->NextWakeup(), kAttemptMs);
  ledger_->OnTime(kAttemptMs - 1);
  ExpectNothing();
  ledger_->OnTime(kAttemptMs);
  const auto second = Sent();
  EXPECT_EQ(first.router, 0u);
  EXPECT_EQ(second.router, 1u);
  EXPECT_EQ(CommandOf(first), CommandOf(second));
  ledger_->OnMessage(1, call, Written(9), kAttemptMs + 1);
  EXPECT_TRUE(Done().status.ok());
}

TEST_F(RequestLedgerTest, TheFirstRoutersLateAnswerCounts) {
  Make(2);
  const RequestId call = ledger_->Begin(Put("k"), 0, 1000);
  Sent();
  ledger_->OnTime(kAttemptMs);
  Sent();
  ledger_->OnMessage(0, call, Written(9), kAttemptMs + 1);
  EXPECT_EQ(Done().version, Version(9));
  ledger_->OnMessage(1, call, Written(9), kAttemptMs + 2);
  ExpectNothing();
}

TEST_F(RequestLedgerTest, ALateRefusalOfAnEarlierAttemptChangesNothing) {
  Make(2);
  const RequestId call = ledger_->Begin(Put("k"), 0, 1000);
  Sent();
  ledger_->OnTime(kAttemptMs);
  Sent();
  ledger_->OnMessage(0, call, WriteError(ErrorCode::kNoLeader), kAttemptMs + 1);
  ledger_->OnMessage(0, call, WriteError(ErrorCode::kWrongCluster), kAttemptMs + 1);
  ExpectNothing();
  EXPECT_EQ(ledger_->NextWakeup(), 2 * kAttemptMs);
}

TEST_F(RequestLedgerTest, RetryableErrorsAreRetriedAfterAPauseThatGrows) {
  Make(1);
  const RequestId call = ledger_->Begin(Put("k"), 0, 100'000);
  const std::string bytes = CommandOf(Sent());
  std::uint64_t now = 0;
  std::uint64_t longest = 0;
  for (int i = 0; i < 12; ++i) {
    ledger_->OnMessage(0, call, WriteError(ErrorCode::kOverloaded), now);
    ExpectNothing();
    const std::uint64_t due = ledger_->NextWakeup().value();
    const std::uint64_t ceiling = std::min(kBackoffMsMin << i, kBackoffMsMax);
    EXPECT_GE(due - now, ceiling - ceiling / 2);
    EXPECT_LE(due - now, ceiling);
    longest = due - now;
    now = due;
    ledger_->OnTime(now);
    EXPECT_EQ(CommandOf(Sent()), bytes);
  }
  EXPECT_GE(longest, kBackoffMsMax / 2);
}

TEST_F(RequestLedgerTest, WithoutAConnectionEachOtherRouterIsTriedAtOnceThenItPauses) {
  Make(3);
  const RequestId call = ledger_->Begin(Put("k"), 0, 1000);
  for (std::size_t router = 0; router < 3; ++router) {
    EXPECT_EQ(Sent().router, router);
    ledger_->OnUnsent(router, call, 0);
  }
  ExpectNothing();
  const std::uint64_t due = ledger_->NextWakeup().value();
  EXPECT_GT(due, 0u);
  ledger_->OnTime(due);
  EXPECT_EQ(Sent().router, 0u);
}

TEST_F(RequestLedgerTest, NewCallsBeginWhereTheLastOnesGotThrough) {
  Make(2);
  const RequestId call = ledger_->Begin(ReadRequest{.key = "k"}, 0, 1000);
  Sent();
  ledger_->OnUnsent(0, call, 0);
  EXPECT_EQ(Sent().router, 1u);
  ledger_->Begin(ReadRequest{.key = "k"}, 0, 1000);
  EXPECT_EQ(Sent().router, 1u);
}

TEST_F(RequestLedgerTest, AnOverloadedRouterIsLeftByTheCallAndKeptByTheOthers) {
  Make(2);
  const RequestId call = ledger_->Begin(ReadRequest{.key = "k"}, 0, 1000);
  Sent();
  ledger_->OnMessage(0, call, proto::ClientGetReply{MakeError(ErrorCode::kOverloaded), {}, {}, {}},
                     0);
  ledger_->Begin(ReadRequest{.key = "k"}, 0, 1000);
  EXPECT_EQ(Sent().router, 0u);
}

TEST_F(RequestLedgerTest, AWriteThatTimesOutUnansweredHasAnUnknownOutcome) {
  Make(1);
  ledger_->Begin(Put("k"), 0, 150);
  Sent();
  ledger_->OnTime(kAttemptMs);
  EXPECT_EQ(Sent().timeout_ms, 50u);
  ledger_->OnTime(150);
  const Answer answer = Done();
  EXPECT_TRUE(answer.status.IsTimedOut());
  EXPECT_THAT(std::string(answer.status.message()), HasSubstr("unknown"));
  EXPECT_EQ(ledger_->call_count(), 0u);
}

TEST_F(RequestLedgerTest, AWriteThatOnlyMetRefusalsWasNotApplied) {
  Make(1);
  const RequestId call = ledger_->Begin(Put("k"), 0, 20);
  Sent();
  ledger_->OnMessage(0, call, WriteError(ErrorCode::kNoLeader), 1);
  ledger_->OnTime(ledger_->NextWakeup().value());
  Sent();
  ledger_->OnUnsent(0, call, 10);
  ledger_->OnTime(20);
  ledger_->TakeSends();
  const Answer answer = Done();
  EXPECT_TRUE(answer.status.IsTimedOut());
  EXPECT_THAT(std::string(answer.status.message()), HasSubstr("the write was not applied"));
}

TEST_F(RequestLedgerTest, ARefusalOfUnknownOutcomeStaysUnknown) {
  Make(1);
  const RequestId call = ledger_->Begin(Put("k"), 0, 2);
  Sent();
  ledger_->OnMessage(0, call, WriteError(ErrorCode::kDeadlineExceeded, Outcome::kUnknown), 1);
  ledger_->OnTime(2);
  const Status status = Done().status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("unknown"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("deadline_exceeded"));
}

TEST_F(RequestLedgerTest, AFinalErrorAfterALostAttemptSaysThatTheOutcomeIsUnknown) {
  Make(1);
  const RequestId call = ledger_->Begin(Put("k"), 0, 1000);
  Sent();
  ledger_->OnTime(kAttemptMs);
  Sent();
  ledger_->OnMessage(0, call, WriteError(ErrorCode::kStaleSequence), kAttemptMs);
  const Status status = Done().status;
  EXPECT_TRUE(status.IsAborted());
  EXPECT_THAT(std::string(status.message()), HasSubstr("unknown"));
}

TEST_F(RequestLedgerTest, AFailedConditionIsAConflictThatNamesTheVersion) {
  Make(1);
  WriteRequest write = Put("k");
  write.condition = proto::Condition::Kind::kVersionEquals;
  write.condition_version = Version(3);
  const RequestId call = ledger_->Begin(write, 0, 1000);
  const std::string bytes = CommandOf(Sent());
  EXPECT_EQ(
      Decoded(bytes).conditions,
      std::vector<proto::Condition>({{proto::Condition::Kind::kVersionEquals, "k", Version(3)}}));
  ledger_->OnMessage(
      0, call,
      proto::ClientWriteReply{MakeError(ErrorCode::kPreconditionFailed), Version(), Version(17)},
      1);
  const Status status = Done().status;
  EXPECT_TRUE(status.IsConflict());
  EXPECT_THAT(std::string(status.message()), HasSubstr("17"));
}

TEST_F(RequestLedgerTest, FullDisksAreReportedAtOnceWhereNothingIsInDoubt) {
  Make(1);
  const RequestId call = ledger_->Begin(Put("k"), 0, 1000);
  Sent();
  ledger_->OnMessage(0, call, WriteError(ErrorCode::kStorageFull), 1);
  EXPECT_TRUE(Done().status.IsNoSpace());
}

TEST_F(RequestLedgerTest, FullDisksAfterALostAttemptAreRetried) {
  Make(1);
  const RequestId call = ledger_->Begin(Put("k"), 0, 1000);
  Sent();
  ledger_->OnTime(kAttemptMs);
  Sent();
  ledger_->OnMessage(0, call, WriteError(ErrorCode::kStorageFull), kAttemptMs);
  ExpectNothing();
  EXPECT_EQ(ledger_->call_count(), 1u);
}

TEST_F(RequestLedgerTest, ReadsGiveValueAndVersionsOrNotFound) {
  Make(1);
  RequestId call = ledger_->Begin(
      ReadRequest{.key = "k", .consistency = proto::Consistency::kStale, .min_version = Version(4)},
      0, 1000);
  EXPECT_EQ(std::get<proto::ClientGet>(Sent().message),
            (proto::ClientGet{Bytes::Copy("k"), proto::Consistency::kStale, Version(4)}));
  ledger_->OnMessage(0, call, proto::ClientGetReply{{}, Bytes::Copy("v"), Version(5), Version(6)},
                     1);
  const Answer answer = Done();
  EXPECT_TRUE(answer.status.ok());
  EXPECT_EQ(answer.value.view(), "v");
  EXPECT_EQ(answer.version, Version(5));
  EXPECT_EQ(answer.read_version, Version(6));
  call = ledger_->Begin(ReadRequest{.key = "k"}, 0, 1000);
  Sent();
  ledger_->OnMessage(
      0, call, proto::ClientGetReply{MakeError(ErrorCode::kKeyNotFound), {}, {}, Version(6)}, 1);
  EXPECT_TRUE(Done().status.IsNotFound());
}

TEST_F(RequestLedgerTest, AnswersOfAnotherKindAreIgnored) {
  Make(1);
  const RequestId call = ledger_->Begin(Put("k"), 0, 1000);
  Sent();
  ledger_->OnMessage(0, call, proto::ClientGetReply{}, 1);
  ledger_->OnMessage(0, call, proto::UnknownKind{99}, 1);
  ledger_->OnMessage(0, RequestId(999), Written(1), 1);
  ExpectNothing();
}

TEST_F(RequestLedgerTest, BadKeysAreRefusedWithoutASend) {
  Make(1);
  ledger_->Begin(Put(""), 0, 1000);
  EXPECT_TRUE(Done().status.IsInvalidArgument());
  ledger_->Begin(ReadRequest{.key = std::string(proto::kKeyBytesMax + 1, 'k')}, 0, 1000);
  EXPECT_TRUE(Done().status.IsInvalidArgument());
  ExpectNothing();
}

TEST_F(RequestLedgerTest, LowWaterIsTheOldestWriteStillWanted) {
  Make(1);
  const RequestId first = ledger_->Begin(Put("a"), 0, 1000);
  const RequestId second = ledger_->Begin(Put("b"), 0, 1000);
  ledger_->TakeSends();
  ledger_->OnMessage(0, second, Written(2), 1);
  ledger_->Begin(Put("c"), 1, 1000);
  std::string bytes = CommandOf(Sent());
  EXPECT_EQ(Decoded(bytes).low_water, 1u);
  ledger_->OnMessage(0, first, Written(1), 1);
  ledger_->Begin(Put("d"), 1, 1000);
  bytes = CommandOf(Sent());
  EXPECT_EQ(Decoded(bytes).sequence, 4u);
  EXPECT_EQ(Decoded(bytes).low_water, 3u);
}

TEST_F(RequestLedgerTest, AWriteThatTimedOutHoldsNothingBack) {
  Make(1);
  ledger_->Begin(Put("a"), 0, 10);
  ledger_->TakeSends();
  ledger_->OnTime(10);
  Done();
  ledger_->Begin(Put("b"), 11, 1000);
  EXPECT_EQ(Decoded(std::string(CommandOf(Sent()))).low_water, 2u);
}

TEST_F(RequestLedgerTest, NoCommandIsFurtherAheadThanTheWindow) {
  Make(1);
  const RequestId oldest = ledger_->Begin(Put("a"), 0, 1000);
  for (std::uint64_t i = 1; i < kSequenceWindowMax; ++i) {
    const RequestId call = ledger_->Begin(Put("b"), 0, 1000);
    ledger_->OnMessage(0, call, Written(i), 0);
  }
  ledger_->TakeSends();
  ledger_->TakeCompletions();
  const RequestId held = ledger_->Begin(Put("c"), 0, 1000);
  ledger_->Begin(Put("d"), 0, 5);
  ExpectNothing();
  ledger_->OnTime(5);
  EXPECT_THAT(std::string(Done().status.message()), HasSubstr("the write was not applied"));
  ledger_->OnMessage(0, oldest, Written(1), 6);
  const auto sent = Sent();
  EXPECT_EQ(sent.call, held);
  EXPECT_EQ(Decoded(CommandOf(sent)).low_water, kSequenceWindowMax + 1);
}

TEST_F(RequestLedgerTest, CallsAreBounded) {
  Make(1);
  for (std::size_t i = 0; i < kCallsMax; ++i) ledger_->Begin(ReadRequest{.key = "k"}, 0, 1000);
  EXPECT_TRUE(ledger_->TakeCompletions().empty());
  ledger_->Begin(ReadRequest{.key = "k"}, 0, 1000);
  EXPECT_TRUE(Done().status.IsBusy());
}

TEST_F(RequestLedgerTest, ARouterThatRefusesAFrameRefusesAllThatItWasAsked) {
  Make(2);
  ledger_->Begin(ReadRequest{.key = "a"}, 0, 1000);
  ledger_->Begin(Put("b"), 0, 1000);
  ledger_->TakeSends();
  ledger_->OnRouterRefused(1, MakeError(ErrorCode::kWrongCluster), 1);
  ExpectNothing();
  ledger_->OnRouterRefused(0, MakeError(ErrorCode::kWrongCluster), 1);
  const auto completions = ledger_->TakeCompletions();
  ASSERT_EQ(completions.size(), 2u);
  for (const auto& completion : completions) {
    EXPECT_TRUE(completion.answer.status.IsInvalidArgument());
    EXPECT_THAT(std::string(completion.answer.status.message()), HasSubstr("wrong_cluster"));
  }
}

TEST_F(RequestLedgerTest, ARouterOfAnotherProtocolIsPassedOver) {
  Make(2);
  const RequestId call = ledger_->Begin(ReadRequest{.key = "a"}, 0, 1000);
  Sent();
  ledger_->OnRouterRefused(0, MakeError(ErrorCode::kUnsupportedProtocol), 1);
  ledger_->OnTime(ledger_->NextWakeup().value());
  EXPECT_EQ(Sent().router, 1u);
  ledger_->OnMessage(1, call, proto::ClientGetReply{}, 20);
  EXPECT_TRUE(Done().status.ok());
}

/// A cluster that executes commands once by session and sequence, behind routers that lose, delay
/// and refuse messages. In every other seed they mostly refuse.
class UnreliableCluster {
 public:
  UnreliableCluster(std::uint64_t seed, RequestLedger& ledger)
      : random_(seed), ledger_(ledger), refusals_of_20_(seed % 2 == 0 ? 5 : 17) {}

  void Send(const RequestLedger::Transmission& sent, std::uint64_t now) {
    if (random_.Chance(1, 6)) {
      ledger_.OnUnsent(sent.router, sent.call, now);
      return;
    }
    if (random_.Chance(1, 8)) return;  // lost on its way
    in_transit_.emplace(now + random_.Below(250), Arrival{sent});
  }
  std::optional<std::uint64_t> NextEvent() const {
    if (in_transit_.empty()) return std::nullopt;
    return in_transit_.begin()->first;
  }
  void Run(std::uint64_t now) {
    while (!in_transit_.empty() && in_transit_.begin()->first <= now) {
      const Arrival arrival = in_transit_.begin()->second;
      in_transit_.erase(in_transit_.begin());
      if (arrival.reply) {
        ledger_.OnMessage(arrival.sent.router, arrival.sent.call, *arrival.reply, now);
      } else {
        Answer(arrival.sent, now);
      }
    }
  }
  /// How often the command of this key was applied.
  int applied(const std::string& key) const {
    const auto found = applied_.find(key);
    return found == applied_.end() ? 0 : found->second;
  }

 private:
  struct Arrival {
    RequestLedger::Transmission sent;
    std::optional<proto::Message> reply = std::nullopt;
  };

  void Answer(const RequestLedger::Transmission& sent, std::uint64_t now) {
    proto::Message reply;
    if (random_.Chance(refusals_of_20_, 20)) {
      reply = WriteError(random_.Chance(1, 2) ? ErrorCode::kNoLeader : ErrorCode::kOverloaded);
    } else {
      reply = Execute(std::get<proto::ClientWrite>(sent.message).command);
      if (random_.Chance(1, 5)) return;  // the answer is lost
      if (random_.Chance(1, 8)) {
        reply = WriteError(ErrorCode::kDeadlineExceeded, Outcome::kUnknown);
      }
    }
    in_transit_.emplace(now + random_.Below(100), Arrival{sent, reply});
  }
  proto::Message Execute(const Bytes& bytes) {
    const proto::Command command = proto::DecodeCommand(bytes.view()).value();
    low_water_ = std::max(low_water_, command.low_water);
    if (command.sequence < low_water_) return WriteError(ErrorCode::kStaleSequence);
    const auto [reply, is_new] = replies_.emplace(command.sequence, version_ + 1);
    if (is_new) {
      ++version_;
      ++applied_[std::string(command.operations[0].key)];
    }
    return Written(reply->second);
  }

  Random random_;
  RequestLedger& ledger_;
  const std::uint64_t refusals_of_20_;
  std::multimap<std::uint64_t, Arrival> in_transit_;
  std::map<std::uint64_t, std::uint64_t> replies_;  // sequence to version
  std::uint64_t low_water_ = 0;
  std::uint64_t version_ = 0;
  std::map<std::string, int> applied_;
};

TEST(RequestLedgerProperty, EveryWriteIsAppliedAtMostOnceAndEveryAnswerIsTrue) {
  int succeeded = 0;
  int unknown = 0;
  int not_applied = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    Random random(seed);
    RequestLedger ledger({.session = SessionId(seed),
                          .routers = 1 + random.Below(3),
                          .attempt_timeout_ms = kAttemptMs,
                          .seed = seed});
    UnreliableCluster cluster(seed, ledger);
    std::map<RequestId, std::string> keys;
    std::map<RequestId, std::uint64_t> deadlines;
    std::map<std::string, Status> answers;
    std::uint64_t now = 0;
    int begun = 0;
    const auto settle = [&] {
      for (auto sends = ledger.TakeSends(); !sends.empty(); sends = ledger.TakeSends()) {
        for (const auto& sent : sends) cluster.Send(sent, now);
      }
      for (auto& completion : ledger.TakeCompletions()) {
        const auto [at, fresh] =
            answers.emplace(keys.at(completion.call), completion.answer.status);
        ASSERT_TRUE(fresh) << "a call ended twice";
        ASSERT_LE(now, deadlines.at(completion.call));
      }
    };
    while (true) {
      if (begun < 20 && random.Chance(1, 2)) {
        const std::string key = "k" + std::to_string(begun++);
        const std::uint64_t deadline = now + 1 + random.Below(1500);
        const RequestId call = ledger.Begin(Put(key), now, deadline);
        keys[call] = key;
        deadlines[call] = deadline;
      }
      settle();
      std::optional<std::uint64_t> next = ledger.NextWakeup();
      if (const auto event = cluster.NextEvent(); event && (!next || *event < *next)) next = event;
      if (!next && begun >= 20) break;
      now = std::max(now, next.value_or(now + 1));
      cluster.Run(now);
      settle();
      ledger.OnTime(now);
      settle();
    }
    ASSERT_EQ(answers.size(), 20u);
    EXPECT_EQ(ledger.call_count(), 0u);
    for (const auto& [key, status] : answers) {
      const std::string text(status.message());
      ASSERT_LE(cluster.applied(key), 1) << key;
      if (status.ok()) {
        ++succeeded;
        ASSERT_EQ(cluster.applied(key), 1) << key;
      } else if (text.find("the write was not applied") != std::string::npos) {
        ++not_applied;
        ASSERT_EQ(cluster.applied(key), 0) << key << " seed " << seed;
      } else {
        ++unknown;
        ASSERT_THAT(text, HasSubstr("unknown"));
      }
    }
  }
  // All three happen, or the test proves nothing.
  EXPECT_GT(succeeded, 1000);
  EXPECT_GT(unknown, 100);
  EXPECT_GT(not_applied, 20);
}

}  // namespace
}  // namespace bedrock::client
