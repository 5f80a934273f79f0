#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/optimistic_transaction_db.h>
#include <rocksdb/utilities/transaction.h>
#include <rocksdb/utilities/transaction_db.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include "common/base/check.h"
#include "tests/bench/bedrock_bench/store.h"

namespace bedrock::bench {
namespace {

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

/// A database as it was opened: for pessimistic transactions, for optimistic ones, or for none.
struct OpenedRocksDb {
  std::unique_ptr<rocksdb::DB> db;  ///< The same object, where one of the others is set.
  rocksdb::TransactionDB* pessimistic = nullptr;
  rocksdb::OptimisticTransactionDB* optimistic = nullptr;

  OpenedRocksDb(const rocksdb::Options& options, const StoreOptions& wanted) {
    switch (wanted.transactions) {
      case Transactions::kNone: {
        rocksdb::DB* opened = nullptr;
        CheckOk(rocksdb::DB::Open(options, wanted.directory, &opened));
        db.reset(opened);
        break;
      }
      case Transactions::kPessimistic:
        CheckOk(rocksdb::TransactionDB::Open(options, rocksdb::TransactionDBOptions(),
                                             wanted.directory, &pessimistic));
        db.reset(pessimistic);
        break;
      case Transactions::kOptimistic:
        CheckOk(rocksdb::OptimisticTransactionDB::Open(options, wanted.directory, &optimistic));
        db.reset(optimistic);
        break;
    }
  }

  /// `previous` is used again, and may be null.
  std::unique_ptr<rocksdb::Transaction> Begin(
      const rocksdb::WriteOptions& writes, std::unique_ptr<rocksdb::Transaction> previous) const {
    if (optimistic != nullptr) {
      return std::unique_ptr<rocksdb::Transaction>(
          optimistic->BeginTransaction(writes, {}, previous.release()));
    }
    CHECK(pessimistic != nullptr);
    rocksdb::TransactionOptions options;
    options.deadlock_detect = true;
    options.lock_timeout = kLockTimeoutMs;
    return std::unique_ptr<rocksdb::Transaction>(
        pessimistic->BeginTransaction(writes, options, previous.release()));
  }
};

class RocksDbSession final : public Session {
 public:
  explicit RocksDbSession(const OpenedRocksDb& opened)
      : opened_(opened), db_(opened.db.get()), family_(db_->DefaultColumnFamily()) {
    durable_.sync = true;
  }

  /// As db_bench does: its counters of each thread cost a tenth where the library is a shared one.
  void BeginOnThisThread() override { rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable); }

  void Put(std::string_view key, std::string_view value, Durability durability) override {
    CheckOk(db_->Put(durability == Durability::kDisk ? durable_ : writes_, family_, ToSlice(key),
                     ToSlice(value)));
  }
  void Delete(std::string_view key) override {
    CheckOk(db_->Delete(writes_, family_, ToSlice(key)));
  }
  void PutBatch(std::span<const std::pair<std::string_view, std::string_view>> puts) override {
    batch_.Clear();
    for (const auto& [key, value] : puts) CheckOk(batch_.Put(ToSlice(key), ToSlice(value)));
    CheckOk(db_->Write(writes_, &batch_));
  }
  bool Get(std::string_view key, Tally* tally) override {
    value_.Reset();
    const rocksdb::Status status = db_->Get(reads_, family_, ToSlice(key), &value_);
    if (status.IsNotFound()) return false;
    CheckOk(status);
    tally->AddValue({value_.data(), value_.size()});
    return true;
  }
  void MultiGet(std::span<const std::string_view> keys, Tally* tally) override {
    keys_.clear();
    for (const std::string_view key : keys) keys_.push_back(ToSlice(key));
    values_.resize(keys.size());
    statuses_.resize(keys.size());
    db_->MultiGet(reads_, family_, keys.size(), keys_.data(), values_.data(), statuses_.data());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (statuses_[i].IsNotFound()) continue;
      CheckOk(statuses_[i]);
      tally->AddValue({values_[i].data(), values_[i].size()});
      values_[i].Reset();
    }
  }
  void SeekAndRead(std::string_view key, std::size_t nexts, Tally* tally) override {
    const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(reads_, family_));
    iterator->Seek(ToSlice(key));
    ReadEntries(iterator.get(), nexts + 1, Direction::kForward, tally);
  }
  std::unique_ptr<Walk> NewWalk() override { return NewWalkOver(db_->NewIterator(reads_)); }
  bool TryTransact(const TransactionPlan& plan, Tally* tally) override {
    transaction_ = opened_.Begin(plan.durability == Durability::kDisk ? durable_ : writes_,
                                 std::move(transaction_));
    const bool done = TryTransactOnce(plan);
    if (!done) {
      CheckOk(transaction_->Rollback());
      return false;
    }
    for (const rocksdb::PinnableSlice& value : values_)
      tally->AddValue({value.data(), value.size()});
    return true;
  }

 private:
  static bool Goes(const rocksdb::Status& status) {
    if (status.IsBusy() || status.IsTimedOut() || status.IsTryAgain()) return false;
    CheckOk(status);
    return true;
  }
  /// A read that counts for the isolation: a plain Get of a transaction does not.
  bool Read(std::string_view key, bool exclusive, rocksdb::PinnableSlice* value) {
    value->Reset();
    return Goes(transaction_->GetForUpdate(reads_, family_, ToSlice(key), value, exclusive));
  }
  bool TryTransactOnce(const TransactionPlan& plan) {
    values_.resize(plan.updates.size() + 1);
    for (std::size_t i = 0; i < plan.updates.size(); ++i) {
      if (!Read(plan.updates[i].key, true, &values_[i])) return false;
    }
    if (!Read(plan.read, false, &values_.back())) return false;
    for (const auto& [key, value] : plan.updates) {
      if (!Goes(transaction_->Put(family_, ToSlice(key), ToSlice(value)))) return false;
    }
    return Goes(transaction_->Commit());
  }

  const OpenedRocksDb& opened_;
  std::unique_ptr<rocksdb::Transaction> transaction_;  ///< The last one, for its memory.
  rocksdb::DB* db_;
  rocksdb::ColumnFamilyHandle* family_;
  rocksdb::ReadOptions reads_;  // which check checksums by default
  rocksdb::WriteOptions writes_;
  rocksdb::WriteOptions durable_;
  rocksdb::WriteBatch batch_;
  rocksdb::PinnableSlice value_;
  std::vector<rocksdb::Slice> keys_;
  std::vector<rocksdb::PinnableSlice> values_;
  std::vector<rocksdb::Status> statuses_;
};

rocksdb::Options EqualOptions() {
  rocksdb::Options options;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kEqualCacheBytes);
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kEqualFilterBits));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = kEqualMemtableBytes;
  options.target_file_size_base = kEqualFileBytes;
  options.compression = rocksdb::kNoCompression;
  return options;
}

/// Variants: "mmap" reads files through memory maps, "blob" keeps large values in blob files.
class RocksDbStore final : public Store {
 public:
  explicit RocksDbStore(const StoreOptions& options) {
    rocksdb::Options settings =
        options.settings == Settings::kEqual ? EqualOptions() : rocksdb::Options();
    settings.create_if_missing = true;
    settings.error_if_exists = true;
    settings.allow_mmap_reads = options.variant == "mmap";
    if (options.variant == "blob") {
      settings.enable_blob_files = true;
      settings.min_blob_size = kBlobBytesMin;
      settings.enable_blob_garbage_collection = true;
    }
    opened_ = std::make_unique<OpenedRocksDb>(settings, options);
  }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<RocksDbSession>(*opened_);
  }
  void CompactAll() override {
    CheckOk(opened_->db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
  }
  bool Busy() override {
    for (const std::string* property : {&rocksdb::DB::Properties::kNumRunningCompactions,
                                        &rocksdb::DB::Properties::kNumRunningFlushes,
                                        &rocksdb::DB::Properties::kCompactionPending,
                                        &rocksdb::DB::Properties::kMemTableFlushPending}) {
      std::uint64_t value = 0;
      CHECK(opened_->db->GetIntProperty(*property, &value));
      if (value != 0) return true;
    }
    return false;
  }

 private:
  std::unique_ptr<OpenedRocksDb> opened_;
};

}  // namespace

std::unique_ptr<Store> OpenRocksDb(const StoreOptions& options) {
  return std::make_unique<RocksDbStore>(options);
}

std::string RocksDbVersion() {
  return std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
         std::to_string(ROCKSDB_PATCH) + " (" BEDROCK_BENCH_ORIGIN ")";
}

}  // namespace bedrock::bench
