#include <atomic>

#include "bedrock/db.h"
#include "tests/bench/bedrock_bench/store.h"

namespace bedrock::bench {
namespace {

class BedrockSession final : public Session {
 public:
  BedrockSession(DB* db, std::atomic<bool>* synced) : db_(db), synced_(synced) {}

  void Put(std::string_view key, std::string_view value, Durability durability) override {
    const WriteOptions options{.sync = durability == Durability::kDisk ? Sync::kYes : Sync::kNo};
    if (durability == Durability::kDisk) synced_->store(true, std::memory_order_relaxed);
    CheckOk(db_->Put(key, value, options).status());
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

 private:
  DB* db_;
  std::atomic<bool>* synced_;
  ReadOptions reads_;  // which check checksums by default
  WriteBatch batch_;
  PinnedValue value_;
};

/// Its files have the size it gives them: there is no option for that.
class BedrockStore final : public Store {
 public:
  explicit BedrockStore(const StoreOptions& options) {
    Options settings;
    settings.error_if_exists = true;
    if (options.settings == Settings::kEqual) {
      settings.memtable_bytes = kEqualMemtableBytes;
      settings.block_cache_bytes = kEqualCacheBytes;
      settings.filter_bits_per_key = kEqualFilterBits;
      settings.compression = Compression::kNone;
      settings.blob_bytes_min = kBlobBytesMin;
    }
    auto opened = DB::Open(options.directory, settings);
    CheckOk(opened.status());
    db_ = std::move(opened).value();
  }
  ~BedrockStore() override { CheckOk(db_->Close()); }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<BedrockSession>(db_.get(), &synced_);
  }
  void CompactAll() override { CheckOk(db_->CompactRange()); }
  bool Busy() override { return false; }  // seen by its CPU and writes, as LevelDB is
  /// The log is mapped but for commits that are synced; no database of the benchmark has both.
  std::uint64_t MappedWriteBytes() override { return synced_ ? 0 : db_->Stats().log_bytes; }

 private:
  std::atomic<bool> synced_ = false;
  std::unique_ptr<DB> db_;
};

}  // namespace

std::unique_ptr<Store> OpenBedrock(const StoreOptions& options) {
  return std::make_unique<BedrockStore>(options);
}

}  // namespace bedrock::bench
