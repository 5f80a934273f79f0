#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/table.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#include "common/base/check.h"
#include "tests/bench/bedrock_bench/store.h"

namespace bedrock::bench {
namespace {

rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

class RocksDbSession final : public Session {
 public:
  explicit RocksDbSession(rocksdb::DB* db) : db_(db), family_(db->DefaultColumnFamily()) {
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

 private:
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
    rocksdb::DB* db = nullptr;
    CheckOk(rocksdb::DB::Open(settings, options.directory, &db));
    db_.reset(db);
  }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<RocksDbSession>(db_.get());
  }
  void CompactAll() override {
    CheckOk(db_->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));
  }
  bool Busy() override {
    for (const std::string* property : {&rocksdb::DB::Properties::kNumRunningCompactions,
                                        &rocksdb::DB::Properties::kNumRunningFlushes,
                                        &rocksdb::DB::Properties::kCompactionPending,
                                        &rocksdb::DB::Properties::kMemTableFlushPending}) {
      std::uint64_t value = 0;
      CHECK(db_->GetIntProperty(*property, &value));
      if (value != 0) return true;
    }
    return false;
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
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
