#include "storaged/core/lock_service.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/env/random.h"
#include "proto/command.h"
#include "storaged/core/outgoing.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;
using proto::LockMode;

constexpr auto kShared = LockMode::kShared;
constexpr auto kExclusive = LockMode::kExclusive;

proto::TransactionName Name(std::uint64_t number) { return {BootId(0xb007), number}; }

proto::LockRange Key(std::string_view key) { return {Bytes::Copy(key), Bytes(), false}; }
proto::LockRange RangeOf(std::string_view begin, std::string_view end) {
  return {Bytes::Copy(begin), Bytes::Copy(end), true};
}

class LockServiceTest : public ::testing::Test {
 protected:
  LockServiceTest() : locks_(Term(5)) {}

  /// Asks for transaction `number`, which began at that millisecond.
  void Ask(std::uint64_t number, std::uint64_t request, proto::LockRange what,
           LockMode mode = kExclusive, std::uint64_t wait_ms = 1'000) {
    LockService::Request asked;
    asked.from = "router";
    asked.request = RequestId(request);
    asked.node = NodeId(3);
    asked.lock.transaction = Name(number);
    asked.lock.begun_ms = 1'700'000'000'000 + number;
    asked.lock.hold_ms = hold_ms_;
    asked.lock.term = term_;
    asked.lock.mode = mode;
    asked.lock.what = std::move(what);
    asked.lock.query = query_;
    asked.wait_ms = wait_ms;
    locks_.Lock(std::move(asked), now_ms_);
  }
  /// What every request was told since the last time, by request.
  std::map<std::uint64_t, LockService::Answer> Answers() {
    std::map<std::uint64_t, LockService::Answer> answers;
    while (locks_.has_answers()) {
      auto answer = locks_.TakeAnswer();
      EXPECT_EQ(answer.to, "router");
      const std::uint64_t request = answer.request.value();
      EXPECT_TRUE(answers.emplace(request, std::move(answer)).second) << "answered twice";
    }
    return answers;
  }
  bool GivenAtOnce(std::uint64_t number, proto::LockRange what, LockMode mode = kExclusive) {
    Ask(number, 999, std::move(what), mode);
    const auto answers = Answers();
    return answers.contains(999) && answers.at(999).error.ok();
  }
  void Pass(std::uint64_t ms) {
    now_ms_ += ms;
    locks_.Expire(now_ms_);
  }

  LockService locks_;
  std::uint64_t now_ms_ = 50'000;
  std::uint64_t hold_ms_ = 10'000;
  Term term_{5};
  Bytes query_;
};

TEST_F(LockServiceTest, AFreeLockIsGivenAtOnce) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  EXPECT_EQ(locks_.size(), 1u);
}

TEST_F(LockServiceTest, SharedGoTogetherAndExclusiveWaits) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a"), kShared));
  EXPECT_TRUE(GivenAtOnce(2, Key("a"), kShared));
  EXPECT_FALSE(GivenAtOnce(3, Key("a"), kExclusive));
  locks_.Unlock(Name(1), now_ms_);
  EXPECT_TRUE(Answers().empty());
  locks_.Unlock(Name(2), now_ms_);
  EXPECT_TRUE(Answers().at(999).error.ok());
}

TEST_F(LockServiceTest, ARangeKeepsPhantomsOut) {
  EXPECT_TRUE(GivenAtOnce(1, RangeOf("q/", "q0"), kShared));
  EXPECT_FALSE(GivenAtOnce(2, Key("q/new"), kExclusive));
  EXPECT_TRUE(GivenAtOnce(3, Key("r"), kExclusive));
}

TEST_F(LockServiceTest, WhatIsHeldIsGivenAgainAndAnUpgradeDoesNotWaitForItself) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a"), kShared));
  EXPECT_TRUE(GivenAtOnce(1, Key("a"), kShared));
  EXPECT_TRUE(GivenAtOnce(1, Key("a"), kExclusive));
  EXPECT_TRUE(GivenAtOnce(1, Key("a"), kShared));
  EXPECT_EQ(locks_.size(), 1u);
}

TEST_F(LockServiceTest, AWaitEndsAtItsDeadlineAndNamesWhoIsInTheWay) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  Pass(300);
  Ask(2, 7, Key("a"));
  EXPECT_EQ(locks_.NextDeadline(), now_ms_ + 1'000);
  Pass(999);
  EXPECT_TRUE(Answers().empty());
  Pass(1);
  const auto answers = Answers();
  const proto::Error& error = answers.at(7).error;
  EXPECT_EQ(error.code, ErrorCode::kLockTimeout);
  EXPECT_EQ(error.key, "a");
  EXPECT_EQ(error.blocked_by, "n3-000000000000b007-1");
  EXPECT_EQ(error.blocked_by_ms, 1'300u);
  EXPECT_EQ(locks_.owners(), 1u);
}

TEST_F(LockServiceTest, AskingAgainKeepsThePlaceAndTheFirstDeadline) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  Ask(2, 7, Key("a"));
  Pass(500);
  Ask(3, 8, Key("a"));
  Ask(2, 9, Key("a"));
  locks_.Unlock(Name(1), now_ms_);
  auto answers = Answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_TRUE(answers.at(9).error.ok());
  Ask(4, 10, Key("a"));
  Pass(500);
  Ask(4, 11, Key("a"));
  Pass(500);
  answers = Answers();
  EXPECT_EQ(answers.at(8).error.code, ErrorCode::kLockTimeout);
  EXPECT_EQ(answers.at(11).error.code, ErrorCode::kLockTimeout);
}

TEST_F(LockServiceTest, AskingForSomethingElseGivesUpTheFirst) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  Ask(2, 7, Key("a"));
  Ask(2, 8, Key("b"));
  const auto answers = Answers();
  EXPECT_EQ(answers.at(7).error.code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(answers.at(8).error.ok());
  locks_.Unlock(Name(1), now_ms_);
  EXPECT_TRUE(GivenAtOnce(3, Key("a")));
}

TEST_F(LockServiceTest, TheYoungestOfADeadlockIsItsVictim) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  EXPECT_TRUE(GivenAtOnce(2, Key("b")));
  Ask(2, 7, Key("a"));
  Ask(1, 8, Key("b"));
  auto answers = Answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers.at(7).error.code, ErrorCode::kDeadlock);
  EXPECT_EQ(answers.at(7).error.key, "a");
  EXPECT_EQ(answers.at(7).error.blocked_by, "n3-000000000000b007-1");
  locks_.Unlock(Name(2), now_ms_);
  EXPECT_TRUE(Answers().at(8).error.ok());
}

TEST_F(LockServiceTest, WhoAsksLastMayBeTheVictimItself) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  EXPECT_TRUE(GivenAtOnce(2, Key("b")));
  Ask(1, 7, Key("b"));
  Ask(2, 8, Key("a"));
  const auto answers = Answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers.at(8).error.code, ErrorCode::kDeadlock);
}

TEST_F(LockServiceTest, TransactionsOfOneMillisecondAreStillInOrder) {
  for (std::uint64_t i = 0; i < 3; ++i) {
    LockService::Request asked;
    asked.from = "router";
    asked.request = RequestId(i);
    asked.lock.transaction = Name(i);
    asked.lock.begun_ms = UINT64_MAX;
    asked.lock.term = term_;
    asked.lock.what = Key(std::to_string(i));
    locks_.Lock(std::move(asked), now_ms_);
  }
  EXPECT_EQ(Answers().size(), 3u);
  EXPECT_EQ(locks_.owners(), 3u);
}

TEST_F(LockServiceTest, LocksExpireUnlessTheyAreAskedForAgain) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  Ask(2, 7, Key("a"), kExclusive, 60'000);
  Pass(9'000);
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  Pass(9'999);
  EXPECT_TRUE(Answers().empty());
  Pass(1);
  EXPECT_TRUE(Answers().at(7).error.ok());
  EXPECT_EQ(locks_.owners(), 1u);
}

TEST_F(LockServiceTest, HoldingTimeDoesNotRunWhileItWaits) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  hold_ms_ = 100;
  EXPECT_TRUE(GivenAtOnce(2, Key("b")));
  Ask(2, 7, Key("a"), kExclusive, 5'000);
  Pass(4'000);
  EXPECT_FALSE(GivenAtOnce(3, Key("b")));
  locks_.Unlock(Name(1), now_ms_);
  EXPECT_TRUE(Answers().at(7).error.ok());
  Pass(99);
  EXPECT_TRUE(Answers().empty());
  Pass(1);
  EXPECT_TRUE(Answers().at(999).error.ok());
}

TEST_F(LockServiceTest, ALaterTermDropsAllLocks) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  Ask(2, 7, Key("a"));
  term_ = Term(6);
  EXPECT_TRUE(GivenAtOnce(3, Key("b")));
  EXPECT_EQ(locks_.owners(), 1u);
  EXPECT_TRUE(GivenAtOnce(4, Key("a")));
}

TEST_F(LockServiceTest, WaitsAreToldThatTheirTermIsOver) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  Ask(2, 7, Key("a"));
  locks_.Advance(Term(6));
  EXPECT_EQ(Answers().at(7).error.code, ErrorCode::kNotLeader);
  EXPECT_EQ(locks_.size(), 0u);
  EXPECT_EQ(locks_.NextDeadline(), std::nullopt);
}

TEST_F(LockServiceTest, AnAnswerThatWasNotTakenInItsTermIsNoLock) {
  Ask(1, 7, Key("a"));
  locks_.Advance(Term(6));
  EXPECT_EQ(Answers().at(7).error.code, ErrorCode::kNotLeader);
}

TEST_F(LockServiceTest, AnEarlierTermIsNotServed) {
  term_ = Term(4);
  Ask(1, 7, Key("a"));
  EXPECT_EQ(Answers().at(7).error.code, ErrorCode::kNotLeader);
  EXPECT_EQ(locks_.owners(), 0u);
}

TEST_F(LockServiceTest, UnlockEndsAWait) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  Ask(2, 7, Key("a"));
  locks_.Unlock(Name(2), now_ms_);
  EXPECT_FALSE(Answers().at(7).error.ok());
  locks_.Unlock(Name(1), now_ms_);
  EXPECT_TRUE(Answers().empty());
  EXPECT_EQ(locks_.size(), 0u);
  EXPECT_EQ(locks_.owners(), 0u);
  locks_.Unlock(Name(1), now_ms_);  // unknown: nothing
}

TEST_F(LockServiceTest, WhatIsNoKeyOrRangeIsRefused) {
  const std::string long_key(proto::kKeyBytesMax + 1, 'k');
  Ask(1, 1, Key(""));
  Ask(1, 2, {Bytes::Copy("a"), Bytes::Copy("b"), false});
  Ask(1, 3, RangeOf("b", "b"));
  Ask(1, 4, Key(long_key));
  Ask(1, 5, RangeOf("a", long_key));
  const auto answers = Answers();
  for (const std::uint64_t i : {1u, 2u, 3u}) {
    EXPECT_EQ(answers.at(i).error.code, ErrorCode::kInvalidArgument) << i;
  }
  for (const std::uint64_t i : {4u, 5u}) {
    EXPECT_EQ(answers.at(i).error.code, ErrorCode::kKeyTooLarge) << i;
  }
  EXPECT_EQ(locks_.owners(), 0u);
}

TEST_F(LockServiceTest, ATransactionHasAMostOfLocks) {
  for (std::uint64_t i = 0; i < kLocksPerTransactionMax; ++i) {
    Ask(1, i, Key(std::to_string(i)));
    locks_.TakeAnswer();
  }
  Ask(1, 7, Key("one more"));
  const auto answers = Answers();
  EXPECT_EQ(answers.at(7).error.code, ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(answers.at(7).error.limit, kLocksPerTransactionMax);
  EXPECT_TRUE(GivenAtOnce(1, Key("0")));
}

TEST_F(LockServiceTest, BytesOfKeysAndQueriesAreBoundedAndFreed) {
  query_ = Bytes(std::string(8 * kMiB, 'q'));
  std::uint64_t taken = 0;
  EXPECT_TRUE(GivenAtOnce(100'000, Key("a")));
  for (;; ++taken) {
    ASSERT_LE(taken, kLockBytesMax / query_.size());
    Ask(taken, taken, Key("a"), kExclusive, 60'000);
    if (locks_.has_answers()) break;
  }
  EXPECT_EQ(locks_.TakeAnswer().error.code, ErrorCode::kOverloaded);
  EXPECT_GE(taken, kLockBytesMax / query_.size() - 1);
  for (std::uint64_t i = 0; i < taken; ++i) locks_.Unlock(Name(i), now_ms_);
  Answers();
  Ask(1, 7, Key("a"));
  EXPECT_FALSE(locks_.has_answers());  // it waits
}

TEST_F(LockServiceTest, StoppingAnswersAllAndServesNobody) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  Ask(2, 7, Key("a"));
  locks_.Stop(MakeError(ErrorCode::kShuttingDown, "stopping"));
  EXPECT_EQ(Answers().at(7).error.code, ErrorCode::kShuttingDown);
  Ask(3, 8, Key("b"));
  EXPECT_EQ(Answers().at(8).error.code, ErrorCode::kShuttingDown);
  EXPECT_EQ(locks_.size(), 0u);
}

TEST_F(LockServiceTest, TheQueryComesWithTheLock) {
  EXPECT_TRUE(GivenAtOnce(1, Key("a")));
  query_ = Bytes(std::string("query"));
  Ask(2, 7, Key("a"));
  Ask(3, 8, Key("b"));
  EXPECT_EQ(Answers().at(8).query.view(), "query");
  locks_.Unlock(Name(1), now_ms_);
  EXPECT_EQ(Answers().at(7).query.view(), "query");
}

// Whatever comes in whatever order: nobody has what excludes another, every request is answered
// once at most, and at last everything is given back.
TEST_F(LockServiceTest, KeepsItsPromisesUnderAnything) {
  Random random(17);
  std::set<std::uint64_t> asked;
  std::map<std::uint64_t, std::uint64_t> transaction_of, key_of;    // by request
  std::map<std::uint64_t, std::map<std::uint64_t, LockMode>> held;  // key: transaction, mode
  std::map<std::uint64_t, LockMode> mode_of;
  std::uint64_t granted = 0;
  std::uint64_t deadlocks = 0;
  const auto forget = [&](std::uint64_t transaction) {
    for (auto& [key, holders] : held) holders.erase(transaction);
  };
  const auto take = [&] {
    for (const auto& [request, answer] : Answers()) {
      ASSERT_EQ(asked.erase(request), 1u);
      deadlocks += answer.error.code == ErrorCode::kDeadlock ? 1 : 0;
      if (!answer.error.ok()) continue;
      ++granted;
      auto& holders = held[key_of[request]];
      auto& mode = holders[transaction_of[request]];
      if (mode_of[request] == kExclusive) mode = kExclusive;
      for (const auto& [other, other_mode] : holders) {
        if (other == transaction_of[request]) continue;
        ASSERT_EQ(other_mode, kShared);
        ASSERT_EQ(mode, kShared);
      }
    }
  };
  hold_ms_ = kLockHoldMsMax;
  for (std::uint64_t request = 1; request < 20'000; ++request) {
    const std::uint64_t transaction = random.Below(12);
    if (random.Chance(1, 6)) {
      forget(transaction);
      locks_.Unlock(Name(transaction), now_ms_);
    } else {
      const std::uint64_t key = random.Below(5);
      transaction_of[request] = transaction;
      key_of[request] = key;
      mode_of[request] = random.Chance(1, 2) ? kShared : kExclusive;
      asked.insert(request);
      Ask(transaction, request, Key("key" + std::to_string(key)), mode_of[request],
          1 + random.Below(100));
    }
    take();
    if (HasFatalFailure()) return;
    if (random.Chance(1, 5)) Pass(random.Below(50));
    take();
    if (random.Chance(1, 1'000)) {
      held.clear();
      term_ = term_.Next();
      locks_.Advance(term_);
      take();
    }
  }
  EXPECT_GT(granted, 2'000u);
  EXPECT_GT(deadlocks, 20u);
  for (std::uint64_t i = 0; i < 12; ++i) locks_.Unlock(Name(i), now_ms_);
  EXPECT_EQ(locks_.size(), 0u);
  EXPECT_EQ(locks_.owners(), 0u);
  EXPECT_EQ(locks_.NextDeadline(), std::nullopt);
}

}  // namespace
}  // namespace bedrock::storage
