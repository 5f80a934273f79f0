#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "tests/bench/bedrock_bench/tally.h"

namespace bedrock::bench {

/// Both tables are always published: a win in one of them alone proves little.
enum class Settings : std::uint8_t {
  /// The same memory, file sizes, filters and no compression for all, checksums checked on reads.
  kEqual,
  /// What a user gets who sets nothing.
  kDefaults,
};

enum class Durability : std::uint8_t {
  kProcess,  ///< The write survives the death of the process.
  kDisk,     ///< And that of the machine, when the call returns.
};

/// What a store is opened for: some engines open a database for one kind of transactions.
enum class Transactions : std::uint8_t {
  kNone,
  kPessimistic,  ///< Locks are taken as keys are read and written.
  kOptimistic,   ///< What was read is looked at again at the commit.
};

enum class Direction : std::uint8_t { kForward, kBackward };

// What equal settings are.
inline constexpr std::size_t kEqualCacheBytes = std::size_t{64} << 20;
inline constexpr std::size_t kEqualMemtableBytes = std::size_t{16} << 20;
inline constexpr std::size_t kEqualFileBytes = std::size_t{16} << 20;
inline constexpr int kEqualFilterBits = 10;
/// From which value size on engines that can keep values apart from the tables do so.
inline constexpr std::size_t kBlobBytesMin = std::size_t{8} << 10;

struct StoreOptions {
  std::string directory;
  Settings settings = Settings::kEqual;
  /// A way to run the engine: "" is its plain one; others are the engine's own.
  std::string variant;
  Transactions transactions = Transactions::kNone;
};

/// What a transaction does: reads a key, reads two others that it says it will write, and puts
/// these. All reads count for its isolation, which is serializable.
struct TransactionPlan {
  struct Update {
    std::string_view key;
    std::string_view value;
  };
  std::string_view read;
  std::array<Update, 2> updates;
  Durability durability = Durability::kProcess;
};

/// How long a pessimistic transaction waits for a lock. Cycles of waiting ones are found at once.
inline constexpr std::int64_t kLockTimeoutMs = 5000;

/// Walks all keys of a store in one direction. One thread.
class Walk {
 public:
  virtual ~Walk() = default;
  /// Before the first read: stands on the end from which `direction` leads away.
  virtual void Start(Direction direction) = 0;
  /// Reads up to `n` entries, each with key and value, and moves on. Gives how many there were.
  virtual std::size_t Read(std::size_t n, Direction direction, Tally* tally) = 0;
};

/// What one thread does with a store. Whatever costs something per call is a single virtual call
/// for every engine. An engine's error ends the program.
class Session {
 public:
  virtual ~Session() = default;
  /// Called first, on the thread that will use it.
  virtual void BeginOnThisThread() {}
  virtual void Put(std::string_view key, std::string_view value, Durability durability) = 0;
  virtual void Delete(std::string_view key) = 0;
  /// All in one commit.
  virtual void PutBatch(std::span<const std::pair<std::string_view, std::string_view>> puts) = 0;
  /// Whether the key is there; its value goes into the tally.
  virtual bool Get(std::string_view key, Tally* tally) = 0;
  virtual void MultiGet(std::span<const std::string_view> keys, Tally* tally) = 0;
  /// Makes an iterator, seeks, reads the entry and `nexts` more, destroys the iterator.
  virtual void SeekAndRead(std::string_view key, std::size_t nexts, Tally* tally) = 0;
  virtual std::unique_ptr<Walk> NewWalk() = 0;
  /// One attempt of a transaction. False: others were in its way, and nothing was done. REQUIRES:
  /// the store was opened for transactions.
  virtual bool TryTransact(const TransactionPlan& /*plan*/, Tally* /*tally*/) {
    CHECK_MSG(false, "not opened for transactions");
    return false;
  }
};

/// An open, at first empty database of some engine. Sessions and walks must be gone before it is
/// destroyed. Any thread.
class Store {
 public:
  virtual ~Store() = default;
  virtual std::unique_ptr<Session> NewSession() = 0;
  /// Rewrites everything into the last level; returns when that is done.
  virtual void CompactAll() = 0;
  /// Whether the engine says that it has work in the background. False where it can't say.
  virtual bool Busy() = 0;
  /// Bytes that it has stored into mapped files, which no system call counts.
  virtual std::uint64_t MappedWriteBytes() { return 0; }
};

/// One engine as the command line knows it.
struct Engine {
  std::string name;
  std::string version;  ///< And how it was built, where that is known.
  std::string variant;
  /// Whether it maps its tables into memory, which comes on top of its cache.
  bool maps_tables = false;
  /// Runs only where the variant makes a difference.
  bool large_values_only = false;
  bool in_defaults = true;  ///< Whether the variant has a place in the table of defaults.
  bool has_transactions = false;
  std::unique_ptr<Store> (*open)(const StoreOptions& options) = nullptr;
};

// Each in an object library of its own that only sees its engine's headers.
std::unique_ptr<Store> OpenBedrock(const StoreOptions& options);
std::unique_ptr<Store> OpenLevelDb(const StoreOptions& options);
std::unique_ptr<Store> OpenRocksDb(const StoreOptions& options);
std::string LevelDbVersion();
std::string RocksDbVersion();

/// Those this program was built with, Bedrock first.
std::vector<Engine> BuiltEngines();

/// An engine's error ends the program: a benchmark of failures is none.
template <typename EngineStatus>
void CheckOk(const EngineStatus& status) {
  CHECK_MSG(status.ok(), status.ToString());
}

/// Reads up to `n` entries with an engine's own iterator type, and gives how many there were: the
/// loop is the same for all, and no call in it is virtual but those of the engine itself.
template <typename EngineIterator>
std::size_t ReadEntries(EngineIterator* it, std::size_t n, Direction direction, Tally* tally) {
  const auto add = [&] {
    const auto key = it->key();
    const auto value = it->value();
    tally->AddEntry({key.data(), key.size()}, {value.data(), value.size()});
  };
  std::size_t read = 0;
  if (direction == Direction::kForward) {
    for (; read < n && it->Valid(); ++read, it->Next()) add();
  } else {
    for (; read < n && it->Valid(); ++read, it->Prev()) add();
  }
  if (read < n) CheckOk(it->status());
  return read;
}

/// A walk by an engine's own iterator type.
template <typename EngineIterator>
class WalkOver final : public Walk {
 public:
  explicit WalkOver(std::unique_ptr<EngineIterator> iterator) : iterator_(std::move(iterator)) {}

  void Start(Direction direction) override {
    direction == Direction::kForward ? iterator_->SeekToFirst() : iterator_->SeekToLast();
  }
  std::size_t Read(std::size_t n, Direction direction, Tally* tally) override {
    return ReadEntries(iterator_.get(), n, direction, tally);
  }

 private:
  std::unique_ptr<EngineIterator> iterator_;
};

template <typename EngineIterator>
std::unique_ptr<Walk> NewWalkOver(std::unique_ptr<EngineIterator> iterator) {
  return std::make_unique<WalkOver<EngineIterator>>(std::move(iterator));
}
/// As some engines give it, for the caller to delete.
template <typename EngineIterator>
std::unique_ptr<Walk> NewWalkOver(EngineIterator* iterator) {
  return NewWalkOver(std::unique_ptr<EngineIterator>(iterator));
}

}  // namespace bedrock::bench
