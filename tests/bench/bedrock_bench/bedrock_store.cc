#include <atomic>
#include <chrono>

#include "bedrock/db.h"
#include "bedrock/transaction.h"
#include "tests/bench/bedrock_bench/store.h"

namespace bedrock::bench {
namespace {

/// From where on a database's commits were synced, as bytes of its log. Any thread.
class SyncedFrom {
 public:
  void Note(DB* db) {
    if (noted_.load(std::memory_order_relaxed) || noted_.exchange(true)) return;
    log_bytes_ = db->Stats().log_bytes;
  }
  /// The log is mapped until commits are synced.
  std::uint64_t MappedBytes(DB* db) const {
    return noted_ ? log_bytes_.load() : db->Stats().log_bytes;
  }

 private:
  std::atomic<bool> noted_ = false;
  std::atomic<std::uint64_t> log_bytes_ = 0;
};

class BedrockSession final : public Session {
 public:
  BedrockSession(DB* db, SyncedFrom* synced, Transactions transactions) : db_(db), synced_(synced) {
    transactions_.mode = transactions == Transactions::kOptimistic ? TransactionMode::kOptimistic
                                                                   : TransactionMode::kPessimistic;
    transactions_.lock_timeout = std::chrono::milliseconds(kLockTimeoutMs);
  }

  void Put(std::string_view key, std::string_view value, Durability durability) override {
    CheckOk(db_->Put(key, value, {.sync = SyncFor(durability)}).status());
  }
  void Delete(std::string_view key) override {
    CheckOk(db_->Delete(key, {.sync = Sync::kNo}).status());
  }
  void PutBatch(std::span<const std::pair<std::string_view, std::string_view>> puts) override {
    batch_.Clear();
    for (const auto& [key, value] : puts) batch_.Put(key, value);
    CheckOk(db_->Write(batch_, {.sync = Sync::kNo}).status());
  }
  bool Get(std::string_view key, Tally* tally) override {
    const Status status = db_->Get(key, &value_, reads_);
    if (status.code() == StatusCode::kNotFound) return false;
    CheckOk(status);
    tally->AddValue(value_.value());
    return true;
  }
  void MultiGet(std::span<const std::string_view> keys, Tally* tally) override {
    for (const Result<PinnedValue>& value : db_->MultiGet(keys, reads_)) {
      if (!value.ok() && value.status().code() == StatusCode::kNotFound) continue;
      CheckOk(value.status());
      tally->AddValue(value->value());
    }
  }
  void SeekAndRead(std::string_view key, std::size_t nexts, Tally* tally) override {
    const std::unique_ptr<Iterator> iterator = db_->NewIterator(reads_);
    iterator->Seek(key);
    ReadEntries(iterator.get(), nexts + 1, Direction::kForward, tally);
  }
  std::unique_ptr<Walk> NewWalk() override { return NewWalkOver(db_->NewIterator()); }
  bool TryTransact(const TransactionPlan& plan, Tally* tally) override {
    transactions_.write.sync = SyncFor(plan.durability);
    const auto transaction = db_->BeginTransaction(transactions_);
    for (std::size_t i = 0; i < plan.updates.size(); ++i) {
      if (!Goes(transaction->GetForUpdate(plan.updates[i].key, &updated_[i]))) return false;
    }
    if (!Goes(transaction->Get(plan.read, &read_))) return false;
    for (const auto& [key, value] : plan.updates) {
      if (!Goes(transaction->Put(key, value))) return false;
    }
    if (!Goes(transaction->Commit().status())) return false;
    for (const std::string& value : updated_) tally->AddValue(value);
    tally->AddValue(read_);
    return true;
  }

 private:
  Sync SyncFor(Durability durability) {
    if (durability == Durability::kProcess) return Sync::kNo;
    synced_->Note(db_);
    return Sync::kYes;
  }
  static bool Goes(const Status& status) {
    if (status.IsConflict() || status.IsDeadlock() || status.IsTimedOut()) return false;
    CheckOk(status);
    return true;
  }

  DB* db_;
  SyncedFrom* synced_;
  TransactionOptions transactions_;
  std::array<std::string, 2> updated_;
  std::string read_;
  ReadOptions reads_;  // which check checksums by default
  WriteBatch batch_;
  PinnedValue value_;
};

/// All files of the databases that are measured.
constexpr std::size_t kMappedBytesMax = std::size_t{16} << 30;

/// Its files have the size it gives them: there is no option for that. Variants: "mmap" reads files
/// through memory maps.
class BedrockStore final : public Store {
 public:
  explicit BedrockStore(const StoreOptions& options) : transactions_(options.transactions) {
    Options settings;
    settings.error_if_exists = true;
    if (options.settings == Settings::kEqual) {
      settings.memtable_bytes = kEqualMemtableBytes;
      settings.block_cache_bytes = kEqualCacheBytes;
      settings.filter_bits_per_key = kEqualFilterBits;
      settings.compression = Compression::kNone;
      settings.blob_bytes_min = kBlobBytesMin;
    }
    if (options.variant == "mmap") settings.mapped_bytes_max = kMappedBytesMax;
    auto opened = DB::Open(options.directory, settings);
    CheckOk(opened.status());
    db_ = std::move(opened).value();
  }
  ~BedrockStore() override { CheckOk(db_->Close()); }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<BedrockSession>(db_.get(), &synced_, transactions_);
  }
  void CompactAll() override { CheckOk(db_->CompactRange()); }
  bool Busy() override { return false; }  // seen by its CPU and writes, as LevelDB is
  std::uint64_t MappedWriteBytes() override { return synced_.MappedBytes(db_.get()); }

 private:
  const Transactions transactions_;
  SyncedFrom synced_;
  std::unique_ptr<DB> db_;
};

}  // namespace

std::unique_ptr<Store> OpenBedrock(const StoreOptions& options) {
  return std::make_unique<BedrockStore>(options);
}

}  // namespace bedrock::bench
