#pragma once

#include <functional>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/iterator.h"
#include "bedrock/options.h"
#include "bedrock/pinned_value.h"
#include "bedrock/result.h"
#include "bedrock/snapshot.h"
#include "bedrock/stats.h"
#include "bedrock/status.h"
#include "bedrock/transaction.h"
#include "bedrock/version.h"
#include "bedrock/write_batch.h"

namespace bedrock {

/// One key of a Scan; views until the range's iterator moves on.
struct Entry {
  std::string_view key;
  std::string_view value;
  Version version;
};

class ScanRange;

/// An ordered, transactional key-value store in one directory of this machine: the engine of the
/// Bedrock cluster as a library.
///
/// Keys are 1 to 65,536 bytes, values up to 128 MiB, both any bytes; keys are ordered bytewise.
/// Every commit has a version, a number that grows; every read is at one version.
///
/// Any thread may call anything at any time, but for Close and the destructor, which come once,
/// when no other call runs. One process opens a directory at a time.
///
/// Errors that any call may give: corruption (stored bytes fail their check: file and offset are
/// named, the rest of the database stays usable), io_error, no_space (the disk is full; clears by
/// itself), aborted (the database was closed). After a write whose error is io_error it is unknown
/// whether it was done until the database is opened again.
class DB {
 public:
  /// Opens and recovers the database in `directory`. unavailable: another process has it open.
  /// corruption: it must not be served; nothing was changed.
  static Result<std::unique_ptr<DB>> Open(const std::string& directory,
                                          const Options& options = {});
  virtual ~DB() = default;
  DB(const DB&) = delete;
  DB& operator=(const DB&) = delete;

  // ---- Writes. Each is one commit and gives its version; all are invalid_argument for an empty
  // key or sizes beyond the bounds. busy: flushes and compactions have fallen too far behind.

  virtual Result<Version> Put(std::string_view key, std::string_view value,
                              WriteOptions options = {}) = 0;
  virtual Result<Version> Delete(std::string_view key, WriteOptions options = {}) = 0;
  /// All keys in [begin, end) at once, at the cost of one write. An empty `end` is unbounded.
  virtual Result<Version> DeleteRange(std::string_view begin, std::string_view end,
                                      WriteOptions options = {}) = 0;
  /// All changes of the batch, or none. An empty batch commits nothing and gives the newest
  /// version.
  virtual Result<Version> Write(const WriteBatch& batch, WriteOptions options = {}) = 0;

  // ---- Reads

  /// not_found: `key` is absent.
  Status Get(std::string_view key, std::string* value, const ReadOptions& options = {});
  /// Without a copy.
  virtual Status Get(std::string_view key, PinnedValue* value, const ReadOptions& options = {}) = 0;
  /// All at one version; the answers stand in the order of `keys`. Cheaper than as many Gets.
  virtual std::vector<Result<PinnedValue>> MultiGet(std::span<const std::string_view> keys,
                                                    const ReadOptions& options = {}) = 0;
  /// Over keys within `bounds`, which are copied. Never null; errors are the iterator's.
  virtual std::unique_ptr<Iterator> NewIterator(const ReadOptions& options = {},
                                                Range bounds = {}) = 0;
  /// For range-based for. An error ends the loop early: ask status() of the range afterwards.
  ScanRange Scan(Range bounds = {}, const ReadOptions& options = {});

  /// The newest committed state, held.
  virtual Snapshot GetSnapshot() = 0;
  /// The version of the newest change of `key`, a delete included; 0 where none is known (never
  /// written, or deleted so long ago that nothing is left of it).
  virtual Result<Version> NewestVersion(std::string_view key) = 0;

  // ---- Transactions

  virtual std::unique_ptr<Transaction> BeginTransaction(const TransactionOptions& options = {}) = 0;
  /// Runs `body` in a transaction and commits it where it gives ok; begins again, up to 100 times
  /// with growing pauses, where the body or the commit ends in conflict or deadlock. Gives the last
  /// outcome. `body` must be fit to run more than once.
  virtual Status Transact(const std::function<Status(Transaction&)>& body,
                          const TransactionOptions& options = {}) = 0;

  // ---- Care

  /// Writes what is in memory to tables. Returns when that is durable.
  virtual Status Flush() = 0;
  /// Rewrites all tables that share keys with `range` down to the last level, so that what was
  /// overwritten or deleted gives its space back. Returns when it is done; other calls go on.
  virtual Status CompactRange(Range range = {}) = 0;
  /// Makes a copy of the database in `directory`, which must not exist: hard links where the file
  /// system is the same, copies elsewhere. The copy holds every commit that ended before the call,
  /// and opens as a database of its own. Writes go on meanwhile.
  virtual Status Checkpoint(const std::string& directory) = 0;
  /// Reads and checks every byte of every file.
  virtual Status Verify() = 0;
  virtual EngineStats Stats() = 0;
  /// Bytes that the files hold for keys of `range`, about; what is only in memory does not count.
  virtual std::uint64_t ApproximateSize(Range range) = 0;
  /// Ends the background work and closes the files; without a flush: what the log holds is found
  /// again by Open. Iterators, snapshots and transactions may live on; they answer aborted. Gives
  /// the error, if any, because of which something acknowledged without a sync might be lost. A
  /// second call does nothing.
  virtual Status Close() = 0;

 protected:
  DB() = default;
};

/// What Scan gives: one walk over the entries.
class ScanRange {
 public:
  class iterator {
   public:
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    explicit iterator(Iterator* walk) : walk_(walk) {}
    Entry operator*() const { return {walk_->key(), walk_->value(), walk_->version()}; }
    iterator& operator++() {
      walk_->Next();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t /*end*/) {
      return !at.walk_->Valid();
    }

   private:
    Iterator* walk_;
  };

  explicit ScanRange(std::unique_ptr<Iterator> walk) : walk_(std::move(walk)) {}
  /// Once: the range is walked, not stored.
  iterator begin() {
    walk_->SeekToFirst();
    return iterator(walk_.get());
  }
  std::default_sentinel_t end() const { return {}; }
  Status status() const { return walk_->status(); }

 private:
  std::unique_ptr<Iterator> walk_;
};

}  // namespace bedrock
