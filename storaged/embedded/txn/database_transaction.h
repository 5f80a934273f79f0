#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bedrock/snapshot.h"
#include "bedrock/transaction.h"
#include "storaged/embedded/commit_pipeline.h"
#include "storaged/embedded/txn/lock_table.h"
#include "storaged/embedded/txn/read_set.h"
#include "storaged/txn/own_writes.h"

namespace bedrock::embedded {

/// What transactions need of their database.
class TransactionHost {
 public:
  virtual ~TransactionHost() = default;
  /// ok, or aborted once the database is closed; the others may not be called then.
  virtual Status CheckOpen() const = 0;
  virtual engine::Engine& engine() = 0;
  virtual CommitPipeline& pipeline() = 0;
  /// Lives as long as the host.
  virtual LockTable& locks() = 0;
  /// Where a transaction notes what it reads, for its certification. Null: nothing is noted, and
  /// nothing certified (tests that show what happens then).
  virtual std::shared_ptr<ReadSet> NewReadSet() { return std::make_shared<ReadSet>(); }
};

/// A transaction of a database: reads with what they saw, writes in a batch, locks where it is
/// pessimistic. Its commit is certified whatever its mode: nothing that it read has changed, as the
/// last look before the batch gets its version says. That alone makes it serializable; locks make
/// conflicts with other pessimistic transactions rare, and plain writes know nothing of them.
///
/// Optimistic ones and read-only ones read the state that was the newest when they began;
/// pessimistic ones the newest one at each access, under its lock.
///
/// One thread at a time.
class DatabaseTransaction final : public Transaction {
 public:
  /// REQUIRES: the host is open.
  DatabaseTransaction(std::shared_ptr<TransactionHost> host, const TransactionOptions& options);
  ~DatabaseTransaction() override;

  Status Get(std::string_view key, std::string* value) override;
  Status GetForUpdate(std::string_view key, std::string* value) override;
  Status Put(std::string_view key, std::string_view value) override;
  Status Delete(std::string_view key) override;
  Status DeleteRange(std::string_view begin, std::string_view end) override;
  std::unique_ptr<Iterator> NewIterator(Range bounds) override;
  void SetSavepoint() override;
  Status RollbackToSavepoint() override;
  Result<Version> Commit() override;
  void Rollback() override;

 private:
  class ReadCertifier;
  class ReadRecorder;

  bool IsPessimistic() const { return locks_.has_value(); }
  /// ok while it goes on.
  Status CheckGoesOn();
  Status CheckWritable();
  Status LockKey(std::string_view key, LockMode mode);
  Status LockRange(std::string_view begin, std::string_view end, LockMode mode);
  LockTable::Patience patience() const;
  Status Read(std::string_view key, LockMode mode, std::string* value);
  Status ReadCommitted(std::string_view key, std::string* value);
  txn::OwnWrites& MutableWrites();
  Status CheckRoom(std::size_t bytes) const;
  Result<Version> CommitReads();
  Result<Version> CommitWrites();
  /// Ends it where `status` says that it is over; gives `status`.
  Status Noted(Status status);
  /// All is let go of; later calls give `why`.
  void End(Status why);

  const std::shared_ptr<TransactionHost> host_;
  const TransactionOptions options_;
  Snapshot begin_;                         ///< The newest state when it began.
  Status over_;                            ///< Not ok: it is over.
  std::optional<LockTable::Owner> locks_;  ///< Of a pessimistic one.
  std::shared_ptr<ReadSet> reads_;         ///< Null: nobody asks what was read.
  std::shared_ptr<txn::OwnWrites> writes_ = std::make_shared<txn::OwnWrites>();
  std::vector<std::size_t> savepoints_;  ///< batch().count() of then.
};

}  // namespace bedrock::embedded
