#include <leveldb/cache.h>
#include <leveldb/db.h>
#include <leveldb/env.h>
#include <leveldb/filter_policy.h>
#include <leveldb/write_batch.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/bench/bedrock_bench/store.h"

namespace bedrock::bench {
namespace {

leveldb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

/// Tables read by pread(2) into the memory that the engine gives, as LevelDB itself reads where it
/// has run out of maps. Any thread.
class UnmappedFile final : public leveldb::RandomAccessFile {
 public:
  UnmappedFile(std::string name, int descriptor)
      : name_(std::move(name)), descriptor_(descriptor) {}
  ~UnmappedFile() override { ::close(descriptor_); }

  leveldb::Status Read(std::uint64_t offset, std::size_t n, leveldb::Slice* result,
                       char* scratch) const override {
    const ssize_t got = ::pread(descriptor_, scratch, n, static_cast<off_t>(offset));
    *result = leveldb::Slice(scratch, got < 0 ? 0 : static_cast<std::size_t>(got));
    if (got >= 0) return leveldb::Status::OK();
    return leveldb::Status::IOError(name_, std::strerror(errno));
  }

 private:
  std::string name_;
  int descriptor_;
};

/// LevelDB maps up to 1000 tables into its memory, whatever its cache; this keeps it from that, so
/// that its memory is the one it was given.
class UnmappedEnv final : public leveldb::EnvWrapper {
 public:
  UnmappedEnv() : EnvWrapper(leveldb::Env::Default()) {}

  leveldb::Status NewRandomAccessFile(const std::string& name,
                                      leveldb::RandomAccessFile** file) override {
    const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return leveldb::Status::IOError(name, std::strerror(errno));
    *file = new UnmappedFile(name, descriptor);  // LevelDB owns it from here on
    return leveldb::Status::OK();
  }
};

class LevelDbSession final : public Session {
 public:
  LevelDbSession(leveldb::DB* db, const leveldb::ReadOptions& reads) : db_(db), reads_(reads) {
    durable_.sync = true;
  }

  void Put(std::string_view key, std::string_view value, Durability durability) override {
    CheckOk(db_->Put(durability == Durability::kDisk ? durable_ : writes_, ToSlice(key),
                     ToSlice(value)));
  }
  void Delete(std::string_view key) override { CheckOk(db_->Delete(writes_, ToSlice(key))); }
  void PutBatch(std::span<const std::pair<std::string_view, std::string_view>> puts) override {
    batch_.Clear();
    for (const auto& [key, value] : puts) batch_.Put(ToSlice(key), ToSlice(value));
    CheckOk(db_->Write(writes_, &batch_));
  }
  bool Get(std::string_view key, Tally* tally) override {
    const leveldb::Status status = db_->Get(reads_, ToSlice(key), &value_);
    if (status.IsNotFound()) return false;
    CheckOk(status);
    tally->AddValue(value_);
    return true;
  }
  /// LevelDB has none: a Get each.
  void MultiGet(std::span<const std::string_view> keys, Tally* tally) override {
    for (const std::string_view key : keys) Get(key, tally);
  }
  void SeekAndRead(std::string_view key, std::size_t nexts, Tally* tally) override {
    const std::unique_ptr<leveldb::Iterator> iterator(db_->NewIterator(reads_));
    iterator->Seek(ToSlice(key));
    ReadEntries(iterator.get(), nexts + 1, Direction::kForward, tally);
  }
  std::unique_ptr<Walk> NewWalk() override { return NewWalkOver(db_->NewIterator(reads_)); }

 private:
  leveldb::DB* db_;
  leveldb::ReadOptions reads_;
  leveldb::WriteOptions writes_;
  leveldb::WriteOptions durable_;
  leveldb::WriteBatch batch_;
  std::string value_;
};

/// Variants: "pread" reads its tables without memory maps.
class LevelDbStore final : public Store {
 public:
  explicit LevelDbStore(const StoreOptions& options) {
    leveldb::Options settings;
    settings.create_if_missing = true;
    settings.error_if_exists = true;
    if (options.settings == Settings::kEqual) {
      cache_.reset(leveldb::NewLRUCache(kEqualCacheBytes));
      filter_.reset(leveldb::NewBloomFilterPolicy(kEqualFilterBits));
      settings.block_cache = cache_.get();
      settings.filter_policy = filter_.get();
      settings.write_buffer_size = kEqualMemtableBytes;
      settings.max_file_size = kEqualFileBytes;
      settings.compression = leveldb::kNoCompression;
      reads_.verify_checksums = true;
    }
    if (options.variant == "pread") settings.env = &unmapped_;
    leveldb::DB* db = nullptr;
    CheckOk(leveldb::DB::Open(settings, options.directory, &db));
    db_.reset(db);
  }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<LevelDbSession>(db_.get(), reads_);
  }
  void CompactAll() override { db_->CompactRange(nullptr, nullptr); }
  bool Busy() override { return false; }  // it can't say

 private:
  std::unique_ptr<leveldb::Cache> cache_;
  std::unique_ptr<const leveldb::FilterPolicy> filter_;
  leveldb::ReadOptions reads_;
  UnmappedEnv unmapped_;
  std::unique_ptr<leveldb::DB> db_;
};

}  // namespace

std::unique_ptr<Store> OpenLevelDb(const StoreOptions& options) {
  return std::make_unique<LevelDbStore>(options);
}

std::string LevelDbVersion() {
  return std::to_string(leveldb::kMajorVersion) + "." + std::to_string(leveldb::kMinorVersion) +
         " (" BEDROCK_BENCH_ORIGIN ")";
}

}  // namespace bedrock::bench
