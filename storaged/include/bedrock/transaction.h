#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bedrock/iterator.h"
#include "bedrock/options.h"
#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/version.h"

namespace bedrock {

enum class TransactionMode : std::uint8_t {
  /// Takes a lock at each access and waits where another transaction holds it.
  kPessimistic,
  /// Takes none; the commit is refused (conflict) where something that was read has changed.
  kOptimistic,
};

struct TransactionOptions {
  using Mode = TransactionMode;

  TransactionMode mode = TransactionMode::kPessimistic;
  /// Reads one state and refuses writes; never waits, never conflicts.
  bool read_only = false;
  /// How long one access waits for locks before it is timed_out.
  std::chrono::milliseconds lock_timeout{5000};
  /// Finds cycles of waiting transactions at once, and ends the youngest of them with deadlock.
  /// Without it they end by lock_timeout.
  bool deadlock_detection = true;
  /// Of the commit.
  WriteOptions write;
};

/// Reads and writes that happen at one moment, or not at all: strictly serializable with all other
/// transactions and with plain writes. Nothing of it is visible to others before Commit gives ok.
///
/// After conflict, deadlock, timed_out or aborted it is over: every later call gives that status,
/// and all is rolled back. One that is destroyed before Commit is rolled back. One thread at a
/// time. May outlive the database; calls then give aborted.
class Transaction {
 public:
  virtual ~Transaction() = default;
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// Sees this transaction's own writes. not_found: absent.
  virtual Status Get(std::string_view key, std::string* value) = 0;
  /// A read that says that a write of the key follows: takes the exclusive lock at once.
  virtual Status GetForUpdate(std::string_view key, std::string* value) = 0;
  virtual Status Put(std::string_view key, std::string_view value) = 0;
  virtual Status Delete(std::string_view key) = 0;
  /// All keys in [begin, end); an empty `end` is unbounded.
  virtual Status DeleteRange(std::string_view begin, std::string_view end) = 0;
  /// Walks `bounds`, own writes among the rest as they were when it was made. Ends before the
  /// transaction does.
  virtual std::unique_ptr<Iterator> NewIterator(Range bounds = {}) = 0;

  virtual void SetSavepoint() = 0;
  /// Undoes the writes since the last savepoint, and the savepoint. not_found: there is none.
  virtual Status RollbackToSavepoint() = 0;

  /// The version it was committed at; for one without writes the version it read. Ends the
  /// transaction, whatever it gives.
  virtual Result<Version> Commit() = 0;
  virtual void Rollback() = 0;

 protected:
  Transaction() = default;
};

}  // namespace bedrock
