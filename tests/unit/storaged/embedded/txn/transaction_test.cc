#include "bedrock/transaction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../database_fixture.h"
#include "tests/support/map_iterator.h"

namespace bedrock::embedded {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using Mode = TransactionOptions::Mode;

std::string GetOr(Transaction& transaction, std::string_view key) {
  std::string value;
  const Status status = transaction.Get(key, &value);
  if (status.IsNotFound()) return "-";
  EXPECT_TRUE(status.ok()) << status.ToString();
  return value;
}

Content Walk(Iterator& it) {
  Content content;
  for (it.SeekToFirst(); it.Valid(); it.Next()) content.emplace(it.key(), it.value());
  EXPECT_TRUE(it.status().ok()) << it.status().ToString();
  return content;
}

/// What holds in both modes, on a machine in memory: a lock that somebody else has is timed_out at
/// once there.
class TransactionTest : public testing::TestWithParam<Mode> {
 protected:
  TransactionTest() { db_ = DB::Open("db", machine_.MakeOptions()).value(); }

  std::unique_ptr<Transaction> Begin() { return db_->BeginTransaction({.mode = GetParam()}); }
  void Put(std::string_view key, std::string_view value) {
    ASSERT_TRUE(db_->Put(key, value, {.sync = Sync::kNo}).ok());
  }
  std::string Get(std::string_view key) { return embedded::GetOr(*db_, key); }

  SimulatedMachine machine_;
  std::unique_ptr<DB> db_;
};

INSTANTIATE_TEST_SUITE_P(Modes, TransactionTest,
                         testing::Values(Mode::kPessimistic, Mode::kOptimistic),
                         [](const auto& mode) {
                           return mode.param == Mode::kPessimistic ? "Pessimistic" : "Optimistic";
                         });

TEST_P(TransactionTest, NothingIsVisibleBeforeTheCommitAndAllAfterIt) {
  auto transaction = Begin();
  ASSERT_TRUE(transaction->Put("a", "1").ok());
  ASSERT_TRUE(transaction->Put("b", "2").ok());
  EXPECT_EQ(Get("a"), "-");
  const Version version = transaction->Commit().value();
  EXPECT_THAT(ReadAll(*db_), ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_EQ(db_->NewestVersion("a").value(), version);
  EXPECT_EQ(db_->NewestVersion("b").value(), version);
}

TEST_P(TransactionTest, SeesItsOwnWrites) {
  Put("a", "1");
  Put("b", "1");
  Put("c", "1");
  auto transaction = Begin();
  ASSERT_TRUE(transaction->Put("a", "2").ok());
  ASSERT_TRUE(transaction->Delete("b").ok());
  EXPECT_EQ(GetOr(*transaction, "a"), "2");
  EXPECT_EQ(GetOr(*transaction, "b"), "-");
  ASSERT_TRUE(transaction->DeleteRange("a", "d").ok());
  EXPECT_EQ(GetOr(*transaction, "a"), "-");
  EXPECT_EQ(GetOr(*transaction, "c"), "-");
  ASSERT_TRUE(transaction->Put("b", "3").ok());
  EXPECT_EQ(GetOr(*transaction, "b"), "3");
  ASSERT_TRUE(transaction->Commit().ok());
  EXPECT_THAT(ReadAll(*db_), ElementsAre(Pair("b", "3")));
}

TEST_P(TransactionTest, OneThatIsRolledBackOrDestroyedLeavesNothing) {
  auto rolled_back = Begin();
  ASSERT_TRUE(rolled_back->Put("a", "1").ok());
  rolled_back->Rollback();
  EXPECT_TRUE(rolled_back->Put("a", "2").IsAborted());
  EXPECT_TRUE(rolled_back->Commit().status().IsAborted());
  {
    auto destroyed = Begin();
    ASSERT_TRUE(destroyed->Put("a", "1").ok());
  }
  EXPECT_THAT(ReadAll(*db_), IsEmpty());
  auto next = Begin();  // and no lock
  EXPECT_TRUE(next->Put("a", "3").ok());
  EXPECT_TRUE(next->Commit().ok());
}

TEST_P(TransactionTest, AfterItsCommitItIsOver) {
  auto transaction = Begin();
  ASSERT_TRUE(transaction->Put("a", "1").ok());
  ASSERT_TRUE(transaction->Commit().ok());
  std::string value;
  EXPECT_TRUE(transaction->Get("a", &value).IsAborted());
  EXPECT_TRUE(transaction->GetForUpdate("a", &value).IsAborted());
  EXPECT_TRUE(transaction->Put("a", "2").IsAborted());
  EXPECT_TRUE(transaction->Delete("a").IsAborted());
  EXPECT_TRUE(transaction->DeleteRange("a", "b").IsAborted());
  EXPECT_TRUE(transaction->Commit().status().IsAborted());
  EXPECT_TRUE(transaction->RollbackToSavepoint().IsAborted());
  const auto it = transaction->NewIterator();
  it->SeekToFirst();
  EXPECT_TRUE(it->status().IsAborted());
  transaction->SetSavepoint();
  transaction->Rollback();
  EXPECT_EQ(Get("a"), "1");
}

TEST_P(TransactionTest, APlainWriteToWhatWasReadIsAConflict) {
  Put("a", "1");
  auto transaction = Begin();
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  Put("a", "2");
  ASSERT_TRUE(transaction->Put("b", "x").ok());
  const Status committed = transaction->Commit();
  EXPECT_TRUE(committed.IsConflict()) << committed.ToString();
  EXPECT_THAT(std::string(committed.message()), testing::HasSubstr("'a'"));
  EXPECT_EQ(Get("b"), "-");
  EXPECT_TRUE(transaction->Put("b", "x").IsConflict());
}

TEST_P(TransactionTest, SoIsADeleteAndADeletedRange) {
  Put("a", "1");
  Put("b", "1");
  auto first = Begin();
  auto second = Begin();
  EXPECT_EQ(GetOr(*first, "a"), "1");
  EXPECT_EQ(GetOr(*second, "b"), "1");
  ASSERT_TRUE(db_->Delete("a", {.sync = Sync::kNo}).ok());
  ASSERT_TRUE(db_->DeleteRange("b", "c", {.sync = Sync::kNo}).ok());
  ASSERT_TRUE(first->Put("x", "1").ok());
  ASSERT_TRUE(second->Put("y", "1").ok());
  EXPECT_TRUE(first->Commit().status().IsConflict());
  EXPECT_TRUE(second->Commit().status().IsConflict());
}

TEST_P(TransactionTest, WhatAppearsWhereNothingWasReadIsAConflict) {
  auto transaction = Begin();
  EXPECT_EQ(GetOr(*transaction, "a"), "-");
  Put("a", "1");
  ASSERT_TRUE(transaction->Put("b", "x").ok());
  EXPECT_TRUE(transaction->Commit().status().IsConflict());
}

TEST_P(TransactionTest, OtherKeysAndBlindWritesAreNone) {
  Put("a", "1");
  auto transaction = Begin();
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  ASSERT_TRUE(transaction->Put("b", "mine").ok());
  Put("b", "theirs");
  Put("c", "theirs");
  EXPECT_TRUE(transaction->Commit().ok());
  EXPECT_EQ(Get("b"), "mine");
}

TEST_P(TransactionTest, WhatWasDeletedBetweenAndNeverThereIsNone) {
  auto transaction = Begin();
  EXPECT_EQ(GetOr(*transaction, "a"), "-");
  Put("a", "1");
  ASSERT_TRUE(db_->Delete("a", {.sync = Sync::kNo}).ok());
  ASSERT_TRUE(transaction->Put("b", "x").ok());
  EXPECT_TRUE(transaction->Commit().ok());
}

TEST_P(TransactionTest, ConflictsAreFoundInTablesAsInMemory) {
  Put("a", "1");
  Put("r1", "1");
  ASSERT_TRUE(db_->Flush().ok());
  auto by_key = Begin();
  auto by_range = Begin();
  EXPECT_EQ(GetOr(*by_key, "a"), "1");
  {
    const auto it = by_range->NewIterator({"r", "s"});
    EXPECT_THAT(Walk(*it), ElementsAre(Pair("r1", "1")));
  }
  Put("a", "2");
  ASSERT_TRUE(db_->Delete("r1", {.sync = Sync::kNo}).ok());
  ASSERT_TRUE(db_->Flush().ok());
  ASSERT_TRUE(by_key->Put("x", "1").ok());
  ASSERT_TRUE(by_range->Put("y", "1").ok());
  EXPECT_TRUE(by_key->Commit().status().IsConflict());
  EXPECT_TRUE(by_range->Commit().status().IsConflict());
}

TEST_P(TransactionTest, APhantomInARangeThatWasWalkedIsAConflict) {
  Put("b", "1");
  Put("d", "1");
  auto transaction = Begin();
  {
    const auto it = transaction->NewIterator({"a", "e"});
    EXPECT_EQ(Walk(*it).size(), 2u);
  }
  Put("c", "phantom");
  ASSERT_TRUE(transaction->Put("x", "1").ok());
  EXPECT_TRUE(transaction->Commit().status().IsConflict());
}

TEST_P(TransactionTest, ARangeCountsAsFarAsItWasReallyWalked) {
  for (const char* key : {"b", "d", "f"}) Put(key, "1");
  const auto commits_after = [&](const char* changed, auto walk) {
    auto transaction = Begin();
    {
      const auto it = transaction->NewIterator();
      walk(*it);
    }
    Put(changed, std::to_string(db_->Stats().newest.value()));
    EXPECT_TRUE(transaction->Put("zz", "1").ok());
    const Status status = transaction->Commit();
    EXPECT_TRUE(status.ok() || status.IsConflict()) << status.ToString();
    return status.ok();
  };
  const auto seek_c = [](Iterator& it) { it.Seek("c"); };  // to d
  EXPECT_TRUE(commits_after("b", seek_c));
  EXPECT_TRUE(commits_after("bb", seek_c));
  EXPECT_TRUE(commits_after("dd", seek_c));
  EXPECT_FALSE(commits_after("d", seek_c));
  EXPECT_FALSE(commits_after("cc", seek_c));
  const auto seek_for_prev_e = [](Iterator& it) { it.SeekForPrev("e"); };
  EXPECT_FALSE(commits_after("e", seek_for_prev_e));
  EXPECT_TRUE(commits_after("ee", seek_for_prev_e));
  const auto last = [](Iterator& it) {
    it.SeekToLast();
    it.Prev();
  };
  EXPECT_FALSE(commits_after("zzz", last));
  EXPECT_TRUE(commits_after("a", last));
  const auto nothing = [](Iterator& /*it*/) {};
  EXPECT_TRUE(commits_after("f", nothing));
  const auto two = [](Iterator& it) {
    it.SeekToFirst();
    it.Next();
  };
  EXPECT_FALSE(commits_after("0", two));
  EXPECT_TRUE(commits_after("zzzz", two));
}

TEST_P(TransactionTest, WriteSkewIsImpossible) {
  Put("a", "1");
  Put("b", "1");
  auto first = Begin();
  auto second = Begin();
  EXPECT_EQ(GetOr(*first, "a"), "1");
  EXPECT_EQ(GetOr(*second, "b"), "1");
  // Each takes away what the other one has read.
  Status one = first->Put("b", "0");
  Status two = second->Put("a", "0");
  if (one.ok()) one = first->Commit();
  if (two.ok()) two = second->Commit();
  EXPECT_FALSE(one.ok() && two.ok());
  EXPECT_FALSE(Get("a") == "0" && Get("b") == "0");
}

TEST_P(TransactionTest, ALostUpdateIsImpossible) {
  Put("counter", "1");
  auto first = Begin();
  auto second = Begin();
  const std::string seen = GetOr(*first, "counter");
  EXPECT_EQ(GetOr(*second, "counter"), seen);
  Status one = first->Put("counter", "2");
  if (one.ok()) one = first->Commit();
  Status two = second->Put("counter", "2");
  if (two.ok()) two = second->Commit();
  EXPECT_FALSE(one.ok() && two.ok());
}

// ---- Iterators

TEST_P(TransactionTest, AnIteratorShowsOwnWritesAmongTheRest) {
  for (const char* key : {"a", "c", "e", "g", "i"}) Put(key, "old");
  auto transaction = Begin();
  ASSERT_TRUE(transaction->Put("b", "new").ok());
  ASSERT_TRUE(transaction->Put("c", "new").ok());
  ASSERT_TRUE(transaction->Delete("e").ok());
  ASSERT_TRUE(transaction->DeleteRange("g", "z").ok());
  ASSERT_TRUE(transaction->Put("h", "new").ok());
  const Content expected = {{"a", "old"}, {"b", "new"}, {"c", "new"}, {"h", "new"}};
  const auto it = transaction->NewIterator();
  EXPECT_EQ(Walk(*it), expected);
  Content backward;
  for (it->SeekToLast(); it->Valid(); it->Prev()) backward.emplace(it->key(), it->value());
  EXPECT_EQ(backward, expected);
  it->Seek("c");
  EXPECT_EQ(it->version(), Version());
  it->SeekToFirst();
  EXPECT_NE(it->version(), Version());
  EXPECT_THAT(Walk(*transaction->NewIterator({"b", "c"})), ElementsAre(Pair("b", "new")));
}

TEST_P(TransactionTest, AnIteratorKeepsTheWritesOfWhenItWasMade) {
  Put("a", "1");
  auto transaction = Begin();
  ASSERT_TRUE(transaction->Put("b", "1").ok());
  const auto it = transaction->NewIterator();
  ASSERT_TRUE(transaction->Put("c", "1").ok());
  ASSERT_TRUE(transaction->Put("b", "2").ok());
  ASSERT_TRUE(transaction->Delete("a").ok());
  EXPECT_THAT(Walk(*it), ElementsAre(Pair("a", "1"), Pair("b", "1")));
  EXPECT_THAT(Walk(*transaction->NewIterator()), ElementsAre(Pair("b", "2"), Pair("c", "1")));
}

// Any walk over any writes, against a map.
TEST_P(TransactionTest, IteratorsAgreeWithAMap) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    ASSERT_TRUE(db_->DeleteRange("", "", {.sync = Sync::kNo}).ok());
    Content model;
    const auto key = [&] { return std::to_string(random.Below(30)); };
    for (int i = 0; i < 15; ++i) {
      const std::string k = key();
      Put(k, "old");
      model[k] = "old";
    }
    auto transaction = Begin();
    for (int i = 0; i < 12; ++i) {
      std::string k = key();
      std::string end = key();
      switch (random.Below(4)) {
        case 0:
          ASSERT_TRUE(transaction->Delete(k).ok());
          model.erase(k);
          break;
        case 1:
          if (end < k) std::swap(k, end);
          ASSERT_TRUE(transaction->DeleteRange(k, end).ok());
          model.erase(model.lower_bound(k), model.lower_bound(end));
          break;
        default:
          ASSERT_TRUE(transaction->Put(k, std::to_string(i)).ok());
          model[k] = std::to_string(i);
      }
    }
    std::string begin;
    std::string end;
    if (random.Chance(1, 2)) begin = key();
    if (random.Chance(1, 2)) end = key();
    if (!end.empty() && end < begin) std::swap(begin, end);
    model.erase(model.begin(), model.lower_bound(begin));
    if (!end.empty()) model.erase(model.lower_bound(end), model.end());
    const auto it = transaction->NewIterator({begin, end});
    test::MapIterator at(model);
    for (int step = 0; step < 60; ++step) {
      test::MoveAlike(random, key(), *it, at);
      ASSERT_EQ(it->Valid(), at.Valid()) << "seed " << seed << " step " << step;
      if (at.Valid()) {
        ASSERT_EQ(it->key(), at.key());
        ASSERT_EQ(it->value(), at.value());
      }
    }
    ASSERT_TRUE(it->status().ok());
    transaction->Rollback();
  }
}

// ---- Savepoints

TEST_P(TransactionTest, GoesBackToItsSavepoints) {
  auto transaction = Begin();
  EXPECT_TRUE(transaction->RollbackToSavepoint().IsNotFound());
  ASSERT_TRUE(transaction->Put("a", "1").ok());
  transaction->SetSavepoint();
  ASSERT_TRUE(transaction->Put("a", "2").ok());
  transaction->SetSavepoint();
  ASSERT_TRUE(transaction->DeleteRange("a", "b").ok());
  EXPECT_EQ(GetOr(*transaction, "a"), "-");
  ASSERT_TRUE(transaction->RollbackToSavepoint().ok());
  EXPECT_EQ(GetOr(*transaction, "a"), "2");
  ASSERT_TRUE(transaction->RollbackToSavepoint().ok());
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  EXPECT_TRUE(transaction->RollbackToSavepoint().IsNotFound());
  ASSERT_TRUE(transaction->Commit().ok());
  EXPECT_EQ(Get("a"), "1");
}

// ---- Read-only and bounds

TEST_P(TransactionTest, AReadOnlyOneReadsOneStateAndRefusesWrites) {
  Put("a", "1");
  auto transaction = db_->BeginTransaction({.mode = GetParam(), .read_only = true});
  auto writer = Begin();
  ASSERT_TRUE(writer->Put("a", "2").ok());  // its lock is in nobody's way
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  EXPECT_THAT(Walk(*transaction->NewIterator()), ElementsAre(Pair("a", "1")));
  std::string value;
  EXPECT_TRUE(transaction->Put("a", "3").IsInvalidArgument());
  EXPECT_TRUE(transaction->Delete("a").IsInvalidArgument());
  EXPECT_TRUE(transaction->DeleteRange("a", "b").IsInvalidArgument());
  EXPECT_TRUE(transaction->GetForUpdate("a", &value).IsInvalidArgument());
  EXPECT_EQ(transaction->Commit().value(), Version(1));
}

TEST_P(TransactionTest, ACommitWithoutWritesGivesTheVersionThatWasRead) {
  Put("a", "1");
  const Version version = db_->Stats().newest;
  auto transaction = Begin();
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  EXPECT_EQ(transaction->Commit().value(), version);
  EXPECT_EQ(db_->Stats().newest, version);
}

TEST_P(TransactionTest, InvalidKeysAreRefusedAndEndNothing) {
  auto transaction = Begin();
  const std::string longer((64 << 10) + 1, 'k');
  std::string value;
  EXPECT_TRUE(transaction->Put("", "v").IsInvalidArgument());
  EXPECT_TRUE(transaction->Put(longer, "v").IsInvalidArgument());
  EXPECT_TRUE(transaction->Delete("").IsInvalidArgument());
  EXPECT_TRUE(transaction->Get("", &value).IsInvalidArgument());
  EXPECT_TRUE(transaction->DeleteRange(longer, "").IsInvalidArgument());
  EXPECT_TRUE(transaction->DeleteRange("b", "a").ok());
  EXPECT_TRUE(transaction->Put("a", "1").ok());
  EXPECT_TRUE(transaction->Commit().ok());
}

TEST_P(TransactionTest, OutlivesItsDatabase) {
  Put("a", "1");
  auto transaction = Begin();
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  ASSERT_TRUE(transaction->Put("b", "1").ok());
  const auto it = transaction->NewIterator();
  db_.reset();
  std::string value;
  EXPECT_TRUE(transaction->Get("a", &value).IsAborted());
  EXPECT_TRUE(transaction->Commit().status().IsAborted());
  it->SeekToFirst();
  EXPECT_FALSE(it->Valid());
  EXPECT_TRUE(it->status().IsAborted());
}

// ---- Transact

TEST_P(TransactionTest, TransactRunsAgainOnConflict) {
  Put("counter", "0");
  int runs = 0;
  const Status status = db_->Transact(
      [&](Transaction& t) {
        ++runs;
        std::string value;
        if (Status s = t.Get("counter", &value); !s.ok()) return s;
        if (runs <= 3) Put("counter", std::to_string(runs * 10));  // somebody else
        return t.Put("counter", value + "+");
      },
      {.mode = GetParam()});
  EXPECT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(runs, 4);
  EXPECT_EQ(Get("counter"), "30+");
}

TEST_P(TransactionTest, TransactGivesUpInTheEnd) {
  int runs = 0;
  const Status status = db_->Transact(
      [&](Transaction& /*t*/) {
        ++runs;
        return Status::Conflict("never");
      },
      {.mode = GetParam()});
  EXPECT_TRUE(status.IsConflict());
  EXPECT_EQ(runs, 100);
}

TEST_P(TransactionTest, TransactPassesOtherErrorsOnAndCommitsNothing) {
  int runs = 0;
  const Status status = db_->Transact(
      [&](Transaction& t) {
        ++runs;
        EXPECT_TRUE(t.Put("a", "1").ok());
        return Status::InvalidArgument("mine");
      },
      {.mode = GetParam()});
  EXPECT_TRUE(status.IsInvalidArgument());
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(Get("a"), "-");
}

// ---- What is different

using PessimisticTest = TransactionTest;
INSTANTIATE_TEST_SUITE_P(Modes, PessimisticTest, testing::Values(Mode::kPessimistic));

TEST_P(PessimisticTest, ReadsSeeTheNewestCommittedState) {
  auto transaction = Begin();
  Put("a", "1");
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  EXPECT_TRUE(transaction->Commit().ok());
}

TEST_P(PessimisticTest, LocksKeepOthersOutUntilTheEnd) {
  auto first = Begin();
  auto second = Begin();
  std::string value;
  EXPECT_TRUE(first->GetForUpdate("a", &value).IsNotFound());
  EXPECT_TRUE(second->Get("a", &value).IsTimedOut());
  EXPECT_TRUE(second->Get("b", &value).IsTimedOut());  // it is over
  auto third = Begin();
  EXPECT_TRUE(third->Get("b", &value).IsNotFound());
  first->Rollback();
  EXPECT_TRUE(third->Get("a", &value).IsNotFound());
}

TEST_P(PessimisticTest, ScansLockPhantomsOut) {
  auto first = Begin();
  { EXPECT_THAT(Walk(*first->NewIterator({"a", "m"})), IsEmpty()); }
  auto second = Begin();
  EXPECT_TRUE(second->Put("m", "1").ok());
  EXPECT_TRUE(second->Put("b", "1").IsTimedOut());
  auto third = Begin();
  EXPECT_THAT(Walk(*third->NewIterator({"a", "m"})), IsEmpty());
  EXPECT_TRUE(Begin()->DeleteRange("l", "").IsTimedOut());
}

TEST_P(PessimisticTest, AReadThatIsNotRepeatableIsAConflictAtOnce) {
  Put("a", "1");
  auto transaction = Begin();
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  Put("a", "2");  // plain writes know no locks
  std::string value;
  EXPECT_TRUE(transaction->Get("a", &value).IsConflict());
}

using OptimisticTest = TransactionTest;
INSTANTIATE_TEST_SUITE_P(Modes, OptimisticTest, testing::Values(Mode::kOptimistic));

TEST_P(OptimisticTest, ReadsSeeTheStateOfTheBegin) {
  Put("a", "1");
  auto transaction = Begin();
  Put("a", "2");
  Put("b", "2");
  EXPECT_EQ(GetOr(*transaction, "a"), "1");
  EXPECT_THAT(Walk(*transaction->NewIterator()), ElementsAre(Pair("a", "1")));
  EXPECT_EQ(transaction->Commit().value(), Version(1));
}

// ---- With threads

class TransactionThreadsTest : public testing::TestWithParam<Mode> {
 protected:
  TransactionThreadsTest() { db_ = DB::Open(folder_.Path("db")).value(); }

  TransactionOptions options() const { return {.mode = GetParam(), .write = {.sync = Sync::kNo}}; }

  TemporaryFolder folder_;
  std::unique_ptr<DB> db_;
};

INSTANTIATE_TEST_SUITE_P(Modes, TransactionThreadsTest,
                         testing::Values(Mode::kPessimistic, Mode::kOptimistic),
                         [](const auto& mode) {
                           return mode.param == Mode::kPessimistic ? "Pessimistic" : "Optimistic";
                         });

// Money moves between accounts, by transactions and, one account at a time, by nobody else. Every
// sum that anybody sees is the same.
TEST_P(TransactionThreadsTest, MoneyIsNeitherMadeNorLost) {
  constexpr int kAccounts = 8;
  constexpr int kThreads = 4;
  constexpr int kTransfers = 150;
  const auto name = [](std::uint64_t i) { return "account" + std::to_string(i); };
  for (std::uint64_t i = 0; i < kAccounts; ++i)
    ASSERT_TRUE(db_->Put(name(i), "100", {.sync = Sync::kNo}).ok());
  const auto sum = [](Iterator& it) {
    int total = 0;
    for (it.SeekToFirst(); it.Valid(); it.Next()) total += std::stoi(std::string(it.value()));
    return total;
  };
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Random random(t);
      for (int i = 0; i < kTransfers; ++i) {
        const std::string from = name(random.Below(kAccounts));
        const std::string to = name(random.Below(kAccounts));
        if (from == to) continue;
        const int amount = static_cast<int>(random.Below(20));
        Status status = db_->Transact(
            [&](Transaction& transaction) {
              std::string a;
              std::string b;
              if (Status s = transaction.Get(from, &a); !s.ok()) return s;
              if (Status s = transaction.GetForUpdate(to, &b); !s.ok()) return s;
              if (Status s = transaction.Put(from, std::to_string(std::stoi(a) - amount)); !s.ok())
                return s;
              return transaction.Put(to, std::to_string(std::stoi(b) + amount));
            },
            options());
        ASSERT_TRUE(status.ok() || status.IsConflict() || status.IsDeadlock()) << status.ToString();
        if (i % 10 == 0) {
          ASSERT_EQ(sum(*db_->NewIterator()), kAccounts * 100);
          int seen = -1;
          status = db_->Transact(
              [&](Transaction& transaction) {
                seen = sum(*transaction.NewIterator());
                return Status::Ok();
              },
              options());
          if (status.ok()) {
            ASSERT_EQ(seen, kAccounts * 100);
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum(*db_->NewIterator()), kAccounts * 100);
}

TEST_P(TransactionThreadsTest, EachIncrementCounts) {
  constexpr int kThreads = 4;
  constexpr int kIncrements = 100;
  ASSERT_TRUE(db_->Put("counter", "0").ok());
  std::atomic<int> committed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      TransactionOptions own = options();
      own.write.sync = t % 2 == 0 ? Sync::kYes : Sync::kNo;
      for (int i = 0; i < kIncrements; ++i) {
        const Status status = db_->Transact(
            [&](Transaction& transaction) {
              std::string value;
              if (Status s = transaction.GetForUpdate("counter", &value); !s.ok()) return s;
              return transaction.Put("counter", std::to_string(std::stoi(value) + 1));
            },
            own);
        if (status.ok()) ++committed;
        ASSERT_TRUE(status.ok() || status.IsConflict()) << status.ToString();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(embedded::GetOr(*db_, "counter"), std::to_string(committed));
  EXPECT_GT(committed, 0);
}

TEST(PessimisticThreadsTest, OneWaitsForTheOtherAndGoesOn) {
  TemporaryFolder folder;
  const auto db = DB::Open(folder.Path("db")).value();
  auto first = db->BeginTransaction();
  ASSERT_TRUE(first->Put("a", "1").ok());
  auto second = std::async(std::launch::async, [&] {
    auto transaction = db->BeginTransaction();
    std::string value;
    EXPECT_TRUE(transaction->Get("a", &value).ok());
    EXPECT_TRUE(transaction->Commit().ok());
    return value;
  });
  ASSERT_TRUE(first->Commit().ok());
  EXPECT_EQ(second.get(), "1");
}

TEST(PessimisticThreadsTest, ADeadlockEndsTheYoungerOne) {
  TemporaryFolder folder;
  const auto db = DB::Open(folder.Path("db")).value();
  auto older = db->BeginTransaction();
  auto younger = db->BeginTransaction();
  ASSERT_TRUE(older->Put("a", "1").ok());
  ASSERT_TRUE(younger->Put("b", "2").ok());
  auto waiting = std::async(std::launch::async, [&] { return younger->Put("a", "2"); });
  EXPECT_TRUE(older->Put("b", "1").ok());
  EXPECT_TRUE(waiting.get().IsDeadlock());
  EXPECT_TRUE(younger->Commit().status().IsDeadlock());
  EXPECT_TRUE(older->Commit().ok());
  EXPECT_THAT(ReadAll(*db), ElementsAre(Pair("a", "1"), Pair("b", "1")));
}

TEST(PessimisticThreadsTest, ALockTimesOut) {
  TemporaryFolder folder;
  const auto db = DB::Open(folder.Path("db")).value();
  auto holder = db->BeginTransaction();
  ASSERT_TRUE(holder->Put("a", "1").ok());
  auto other = db->BeginTransaction({.lock_timeout = std::chrono::milliseconds(10)});
  EXPECT_TRUE(other->Put("a", "2").IsTimedOut());
}

}  // namespace
}  // namespace bedrock::embedded
