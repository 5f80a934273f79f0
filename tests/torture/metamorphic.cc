#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bedrock/db.h"
#include "common/env/environment.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "tests/torture/model.h"
#include "tests/torture/torture.h"
#include "tests/torture/workload.h"

namespace bedrock::torture {

namespace {

constexpr std::size_t kOptionSets = 4;
constexpr std::size_t kSnapshotsMax = 3;

/// One thing a client does. Drawn once, done under every set of options.
struct Operation {
  enum class Kind : std::uint8_t {
    kWrite,
    kGet,
    kMultiGet,
    kScan,
    kScanBack,
    kSnapshot,
    kSnapshotScan,
    kFlush,
    kCompact,
    kReopen,
  };
  Kind kind = Kind::kWrite;
  std::vector<Change> changes;
  std::vector<std::string> keys;
  std::string begin;
  std::string end;
  std::uint64_t number = 0;
};

Operation Draw(Random& random, Workload& workload) {
  Operation operation;
  const std::uint64_t dice = random.Below(100);
  operation.number = random.Next();
  std::tie(operation.begin, operation.end) = workload.Bounds();
  if (dice < 60) {
    operation.kind = Operation::Kind::kWrite;
    operation.changes = workload.NextBatch();
  } else if (dice < 75) {
    operation.kind = dice < 70 ? Operation::Kind::kGet : Operation::Kind::kMultiGet;
    for (std::uint64_t i = 1 + random.Below(10); i > 0; --i)
      operation.keys.push_back(workload.Key());
  } else if (dice < 80) {
    operation.kind = Operation::Kind::kScan;
  } else if (dice < 85) {
    operation.kind = Operation::Kind::kScanBack;
  } else if (dice < 88) {
    operation.kind = Operation::Kind::kSnapshot;
  } else if (dice < 93) {
    operation.kind = Operation::Kind::kSnapshotScan;
  } else if (dice < 96) {
    operation.kind = Operation::Kind::kFlush;
  } else if (dice < 98) {
    operation.kind = Operation::Kind::kCompact;
  } else {
    operation.kind = Operation::Kind::kReopen;
  }
  return operation;
}

/// Plays operations on one database and writes down every answer.
class Player {
 public:
  Player(std::string directory, Options options)
      : directory_(std::move(directory)), options_(options) {
    Open();
  }

  std::string Play(const Operation& operation) {
    if (db_ == nullptr) return "not open: " + error_;
    switch (operation.kind) {
      case Operation::Kind::kWrite:
        return Answer(db_->Write(ToBatch(operation.changes), {Sync::kNo}));
      case Operation::Kind::kGet:
        return Get(operation.keys.front());
      case Operation::Kind::kMultiGet:
        return MultiGet(operation.keys);
      case Operation::Kind::kScan:
        return Scan({}, operation);
      case Operation::Kind::kScanBack:
        return ScanBack(operation);
      case Operation::Kind::kSnapshot:
        if (snapshots_.size() == kSnapshotsMax) snapshots_.erase(snapshots_.begin());
        snapshots_.push_back(db_->GetSnapshot());
        return std::to_string(snapshots_.back().version().value());
      case Operation::Kind::kSnapshotScan: {
        if (snapshots_.empty()) return "";
        ReadOptions options;
        options.snapshot = snapshots_[operation.number % snapshots_.size()];
        return Scan(options, operation);
      }
      case Operation::Kind::kFlush:
        return db_->Flush().ToString();
      case Operation::Kind::kCompact:
        return db_->CompactRange({operation.begin, operation.end}).ToString();
      case Operation::Kind::kReopen:
        snapshots_.clear();
        db_.reset();
        Open();
        return "";
    }
    return "";
  }

 private:
  void Open() {
    auto opened = DB::Open(directory_, options_);
    if (opened.ok()) {
      db_ = std::move(opened).value();
    } else {
      error_ = opened.status().ToString();
    }
  }
  static std::string Answer(const Result<Version>& version) {
    return version.ok() ? std::to_string(version->value()) : version.status().ToString();
  }
  static std::string Answer(const Status& status, const PinnedValue& value) {
    if (!status.ok()) return std::string(StatusCodeName(status.code()));
    return std::to_string(value.version().value()) + "=" + std::string(value.value());
  }
  std::string Get(const std::string& key) {
    PinnedValue value;
    const Status status = db_->Get(key, &value);
    return Answer(status, value);
  }
  std::string MultiGet(const std::vector<std::string>& keys) {
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    std::string all;
    static const PinnedValue kNothing;
    for (const auto& answer : db_->MultiGet(views)) {
      all += Answer(answer.status(), answer.ok() ? *answer : kNothing) + "\n";
    }
    return all;
  }
  static void Show(const Iterator& walk, std::string& all) {
    all.append(walk.key()).append("@").append(std::to_string(walk.version().value()));
    all.append("=").append(walk.value()).append("\n");
  }
  std::string Scan(const ReadOptions& options, const Operation& operation) {
    auto walk = db_->NewIterator(options, {operation.begin, operation.end});
    std::string all;
    for (walk->SeekToFirst(); walk->Valid(); walk->Next()) Show(*walk, all);
    return all + walk->status().ToString();
  }
  std::string ScanBack(const Operation& operation) {
    auto walk = db_->NewIterator({}, {operation.begin, operation.end});
    std::string all;
    for (walk->SeekToLast(); walk->Valid(); walk->Prev()) Show(*walk, all);
    return all + walk->status().ToString();
  }

  std::string directory_;
  Options options_;
  std::unique_ptr<DB> db_;
  std::string error_;
  std::vector<Snapshot> snapshots_;
};

}  // namespace

TortureResult Metamorphic(std::uint64_t seed, const std::string& scratch) {
  Random random(Random(seed).Fork(11));
  Workload workload(Random(seed).Fork(12));
  TortureResult result;
  // What one thread and a seed drive, and one player on real files with real threads.
  MemoryFileSystem file_systems[kOptionSets];
  ManualClock clock;
  std::vector<std::unique_ptr<ManualExecutor>> executors;
  std::vector<Environment> environments(kOptionSets);
  std::vector<std::unique_ptr<Player>> players;
  for (std::size_t i = 0; i < kOptionSets; ++i) {
    executors.push_back(std::make_unique<ManualExecutor>(Random(seed).Fork(20 + i)));
    environments[i] = {
        .file_system = &file_systems[i], .clock = &clock, .executor = executors[i].get()};
    Options options = Workload::DrawOptions(random);
    options.env = &environments[i];
    players.push_back(std::make_unique<Player>("/data", options));
  }
  players.push_back(std::make_unique<Player>(scratch, Workload::DrawOptions(random)));

  const std::uint64_t operations = random.Between(50, 600);
  for (std::uint64_t i = 0; i < operations; ++i) {
    const Operation operation = Draw(random, workload);
    ++(operation.kind == Operation::Kind::kWrite ? result.stats.commits : result.stats.reads);
    std::string first;
    for (std::size_t p = 0; p < players.size(); ++p) {
      if (p < kOptionSets && random.Chance(1, 2)) executors[p]->RunAll(random.Below(8));
      const std::string answer = players[p]->Play(operation);
      if (p == 0) {
        first = answer;
      } else if (answer != first) {
        result.failure = "seed " + std::to_string(seed) + ": operation " + std::to_string(i) +
                         " of kind " + std::to_string(static_cast<int>(operation.kind)) +
                         " was answered differently under the options of player " +
                         std::to_string(p) + ":\n" + first.substr(0, 400) + "\n--- and ---\n" +
                         answer.substr(0, 400) + "\n";
        return result;
      }
    }
  }
  return result;
}

}  // namespace bedrock::torture
