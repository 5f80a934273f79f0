// Commits are certified against what was committed since, which is known by an index of the last
// commits or by the engine: the answer must not depend on which of them knows it.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "../database_fixture.h"
#include "bedrock/transaction.h"

namespace bedrock::embedded {
namespace {

/// Whether a transaction that read "k", or walked over all from "k" to "l", is refused after
/// others have committed.
class CertificationTest : public testing::TestWithParam<bool> {
 protected:
  CertificationTest() {
    db_ = DB::Open("db", machine_.MakeOptions()).value();
    Put("k", "old");
  }

  bool walks() const { return GetParam(); }
  void Put(std::string_view key, std::string_view value) {
    ASSERT_TRUE(db_->Put(key, value, {.sync = Sync::kNo}).ok());
  }
  void PutOthers(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) Put("other" + std::to_string(i), "v");
  }
  /// So that the index is told of the commits that follow.
  void CommitATransaction() {
    auto transaction = Begin();
    ASSERT_TRUE(transaction->Put("elsewhere", "v").ok());
    ASSERT_TRUE(transaction->Commit().ok());
  }
  std::unique_ptr<Transaction> Begin() {
    return db_->BeginTransaction({.mode = TransactionMode::kOptimistic});
  }
  std::unique_ptr<Transaction> BeginAndRead() {
    auto transaction = Begin();
    if (walks()) {
      const auto it = transaction->NewIterator({"k", "l"});
      for (it->SeekToFirst(); it->Valid(); it->Next()) {
      }
      EXPECT_TRUE(it->status().ok());
    } else {
      std::string value;
      EXPECT_TRUE(transaction->Get("k", &value).ok());
    }
    return transaction;
  }
  static bool IsRefused(Transaction& transaction) {
    EXPECT_TRUE(transaction.Put("out", "v").ok());
    const Status status = transaction.Commit().status();
    EXPECT_TRUE(status.ok() || status.IsConflict()) << status.ToString();
    return !status.ok();
  }

  SimulatedMachine machine_;
  std::unique_ptr<DB> db_;
};

INSTANTIATE_TEST_SUITE_P(Reads, CertificationTest, testing::Bool(), [](const auto& walks) {
  return std::string(walks.param ? "Walk" : "Get");
});

/// Some of these many commits are told to the index, and some come after nobody has asked for long.
constexpr std::size_t kCounts[] = {0, 1, 998, 999, 1000, 1001, 1500};

TEST_P(CertificationTest, AChangeIsSeenWhereverItStandsAmongOthers) {
  for (const std::size_t before : kCounts) {
    for (const std::size_t after : {0u, 1001u}) {
      SCOPED_TRACE(std::to_string(before) + " commits before it, " + std::to_string(after) +
                   " after it");
      auto transaction = BeginAndRead();
      CommitATransaction();
      PutOthers(before);
      Put("k", "new");
      PutOthers(after);
      EXPECT_TRUE(IsRefused(*transaction));
    }
  }
}

TEST_P(CertificationTest, OtherKeysAreNoReasonToRefuse) {
  for (const std::size_t others : kCounts) {
    SCOPED_TRACE(others);
    auto transaction = BeginAndRead();
    CommitATransaction();
    PutOthers(others);
    EXPECT_FALSE(IsRefused(*transaction));
  }
}

TEST_P(CertificationTest, AChangeBeforeTheFirstTransactionWasCommittedIsSeen) {
  auto transaction = BeginAndRead();
  Put("k", "new");
  EXPECT_TRUE(IsRefused(*transaction));
}

TEST_P(CertificationTest, AChangeInALargeBatchIsSeenAndOthersAreNot) {
  for (const bool touches : {false, true}) {
    auto transaction = BeginAndRead();
    CommitATransaction();
    WriteBatch batch;
    for (int i = 0; i < 3000; ++i) batch.Put("batch" + std::to_string(i), "v");
    if (touches) batch.Put("k", "new");
    ASSERT_TRUE(db_->Write(batch, {.sync = Sync::kNo}).ok());
    EXPECT_EQ(IsRefused(*transaction), touches);
  }
}

TEST_P(CertificationTest, ADeletedRangeIsSeenWhereItReachesTheRead) {
  for (const bool touches : {false, true}) {
    auto transaction = BeginAndRead();
    CommitATransaction();
    const Range range = touches ? Range{"j", "kk"} : Range{"l", "m"};
    ASSERT_TRUE(db_->DeleteRange(range.begin, range.end, {.sync = Sync::kNo}).ok());
    EXPECT_EQ(IsRefused(*transaction), touches);
  }
}

}  // namespace
}  // namespace bedrock::embedded
