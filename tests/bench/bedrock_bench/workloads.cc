#include "tests/bench/bedrock_bench/workloads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <utility>

#include "common/base/check.h"
#include "tests/bench/bedrock_bench/histogram.h"
#include "tests/bench/bedrock_bench/process_figures.h"

namespace bedrock::bench {
namespace {

constexpr std::size_t kBatchPuts = 100;
constexpr std::size_t kMultiGetKeys = 32;
constexpr std::size_t kSeekNexts = 10;
constexpr std::size_t kWalkEntries = 64;
constexpr std::uint64_t kHotShare = 100;
constexpr std::uint64_t kScanEntriesMax = 100;
constexpr std::size_t kLargeValueBytes = std::size_t{64} << 10;

// Reading the clock twice costs about 50 ns: of quick operations only every fourth is timed.
constexpr unsigned kEach = 1;
constexpr unsigned kSampled = 4;

/// Times every `stride`-th of the operations it is given.
class Sampler {
 public:
  explicit Sampler(unsigned stride) : stride_(stride), left_(stride) {}

  template <typename Operation>
  void operator()(Operation&& operation) {
    if (--left_ > 0) {
      operation();
      return;
    }
    left_ = stride_;
    const std::uint64_t start = NowNs();
    operation();
    histogram_.Add(NowNs() - start);
  }
  const Histogram& histogram() const { return histogram_; }

 private:
  unsigned stride_;
  unsigned left_;
  Histogram histogram_;
};

/// What one thread of a workload has.
struct Worker {
  Worker(Store* store, const Scale& scale, std::uint64_t stream, unsigned stride)
      : session(store->NewSession()),
        random(Random(scale.seed).Fork(stream)),
        keys(scale.key_format),
        values(stream),
        sample(stride) {}

  std::unique_ptr<Session> session;
  Random random;
  KeyWriter keys;
  ValueSource values;
  Sampler sample;
  Tally tally;
  std::uint64_t user_bytes = 0;
  std::uint64_t aborts = 0;  ///< Attempts of transactions that others were in the way of.

  void Put(std::uint64_t id, std::size_t bytes, Durability durability = Durability::kProcess) {
    const std::string_view key = keys.Key(id);
    const std::string_view value = values.Next(bytes);
    sample([&] { session->Put(key, value, durability); });
    user_bytes += kKeyBytes + bytes;
  }
  void Get(std::uint64_t id) {
    const std::string_view key = keys.Key(id);
    sample([&] { session->Get(key, &tally); });
  }
  void Seek(std::uint64_t id, std::size_t nexts) {
    const std::string_view key = keys.Key(id);
    sample([&] { session->SeekAndRead(key, nexts, &tally); });
  }
};

/// Comes back once the engine does nothing any more: says so itself where it can, and neither uses
/// CPU nor writes for so many windows. Gives how long that took, without those windows.
double WaitUntilIdle(Store* store, int windows) {
  constexpr auto kWindow = std::chrono::milliseconds(50);
  constexpr std::uint64_t kIdleCpuNs = 2'000'000;
  constexpr std::uint64_t kLongestNs = 900'000'000'000;
  const std::uint64_t start = NowNs();
  std::uint64_t quiet_since = start;
  for (int quiet = 0; quiet < windows;) {
    const Usage before = Usage::Now();
    std::this_thread::sleep_for(kWindow);
    const Usage after = Usage::Now();
    if (store->Busy() || after.cpu_ns - before.cpu_ns > kIdleCpuNs ||
        after.write_bytes != before.write_bytes) {
      quiet = 0;
      quiet_since = after.now_ns;
    } else {
      ++quiet;
    }
    CHECK_MSG(after.now_ns - start < kLongestNs, "the engine does not come to rest");
  }
  return static_cast<double>(quiet_since - start) * 1e-9;
}

/// What a workload says about itself apart from its body.
struct Plan {
  std::uint64_t ops = 0;
  unsigned threads = 1;
  unsigned stride = kSampled;
  bool writes = false;  ///< Ends with a wait until the engine has come to rest.
};

/// One database and the workloads that run on it.
class Bench {
 public:
  Bench(Store* store, StoreOptions options, Scale scale)
      : store_(store), options_(std::move(options)), scale_(scale), next_id_(scale.keys) {}

  Result Run(std::string_view workload);

 private:
  using Body = std::function<void(Worker&, std::uint64_t ops)>;

  /// Runs `body` on as many threads as the plan says, each with its share of the operations.
  Result Measure(const Plan& plan, const Body& body);
  Plan Reads(std::uint64_t ops) const { return {.ops = ops, .threads = scale_.threads}; }
  Plan Writes(std::uint64_t ops) const { return {.ops = ops, .writes = true}; }
  /// With what was stored into mapped files.
  Usage UsageNow() const {
    Usage usage = Usage::Now();
    usage.write_bytes += store_->MappedWriteBytes();
    return usage;
  }
  /// Of 50 ms; little work leaves no long pauses in between.
  int IdleWindows() const { return scale_.keys < 100'000 ? 1 : 3; }
  std::uint64_t RandomId(Worker& worker) const { return worker.random.Below(scale_.keys); }

  Result FillSeq();
  Result FillBatch();
  Result FillRandom();
  Result FillSync(unsigned threads);
  Result ReadRandom();
  Result ReadMissing();
  Result ReadHot();
  Result MultiReadRandom();
  Result SeekRandom();
  Result ReadAll(Direction direction);
  /// A writer beside the readers: as fast as it can, or held to `writes_per_s`.
  Result ReadWhileWriting(std::uint64_t writes_per_s);
  Result DeleteRandom();
  Result DeleteSeq();
  Result SeekDeleted();
  Result Compact();
  struct TransactionMix {
    unsigned threads = 1;
    bool zipfian = false;
    Durability durability = Durability::kProcess;
  };
  /// "txn_MODE_DISTRIBUTION_THREADS", behind it "_sync" where commits are durable.
  static TransactionMix ParseTransactionMix(std::string_view workload);
  Result Transact(const TransactionMix& mix);
  Result YcsbLoad();
  /// `reads`, `updates`, `inserts`, `scans` in percent; the rest reads, changes and writes back.
  struct YcsbMix {
    std::uint64_t reads = 0;
    std::uint64_t updates = 0;
    std::uint64_t inserts = 0;
    std::uint64_t scans = 0;
    bool latest = false;
  };
  Result Ycsb(const YcsbMix& mix);
  Result MixGraph();

  Store* store_;
  StoreOptions options_;
  Scale scale_;
  std::uint64_t next_id_;  // of the next insert
  std::uint64_t stream_ = 0;
};

Result Bench::Measure(const Plan& plan, const Body& body) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (unsigned i = 0; i < plan.threads; ++i) {
    workers.push_back(std::make_unique<Worker>(store_, scale_, ++stream_, plan.stride));
  }
  ResetPeakRss();
  const Usage before = UsageNow();
  std::vector<std::thread> threads;
  for (auto& worker : workers) {
    threads.emplace_back([&] {
      worker->session->BeginOnThisThread();
      body(*worker, plan.ops / plan.threads);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const Usage after = Usage::Now();

  Result result;
  Histogram histogram;
  Tally tally;
  for (const auto& worker : workers) {
    histogram.Add(worker->sample.histogram());
    tally.Add(worker->tally);
    result.user_bytes += static_cast<double>(worker->user_bytes);
    result.aborts_per_op += static_cast<double>(worker->aborts);
  }
  const auto wall_ns = static_cast<double>(after.now_ns - before.now_ns);
  const auto cpu_ns = static_cast<double>(after.cpu_ns - before.cpu_ns);
  result.ops = plan.ops / plan.threads * plan.threads;
  result.seconds = wall_ns * 1e-9;
  result.ops_per_s = static_cast<double>(result.ops) / result.seconds;
  result.aborts_per_op /= static_cast<double>(std::max<std::uint64_t>(1, result.ops));
  result.p50_ns = static_cast<double>(histogram.Quantile(0.5));
  result.p99_ns = static_cast<double>(histogram.Quantile(0.99));
  result.p999_ns = static_cast<double>(histogram.Quantile(0.999));
  result.max_ns = static_cast<double>(histogram.max());
  result.entries = tally.entries;
  result.digest = tally.digest;
  result.comparable = plan.threads == 1;
  // The machine counts in ticks of 10 ms: of short workloads that says nothing.
  if (wall_ns > 0.3e9) {
    result.steal_cpus = static_cast<double>(after.steal_ns - before.steal_ns) / wall_ns;
    result.foreign_cpus =
        std::max(0.0, (static_cast<double>(after.machine_cpu_ns - before.machine_cpu_ns) - cpu_ns) /
                          wall_ns);
  }

  if (plan.writes) result.settle_seconds = WaitUntilIdle(store_, IdleWindows());
  const Usage settled = UsageNow();
  // What a write costs includes what the engine does for it later.
  result.cpu_us_per_op = static_cast<double>(settled.cpu_ns - before.cpu_ns) * 1e-3 /
                         static_cast<double>(std::max<std::uint64_t>(1, result.ops));
  result.write_bytes = static_cast<double>(settled.write_bytes - before.write_bytes);
  result.peak_rss_bytes = static_cast<double>(PeakRssBytes());
  const DiskSpace space = SpaceOf(options_.directory);
  result.space_bytes = static_cast<double>(space.bytes);
  result.log_bytes = static_cast<double>(space.log_bytes);
  return result;
}

Result Bench::FillSeq() {
  return Measure(Writes(scale_.keys), [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t id = 0; id < ops; ++id) worker.Put(id, scale_.value_bytes);
  });
}

Result Bench::FillBatch() {
  Plan plan = Writes(scale_.keys / kBatchPuts * kBatchPuts);
  plan.stride = kEach;
  return Measure(plan, [this](Worker& worker, std::uint64_t ops) {
    std::vector<KeyWriter> keys(kBatchPuts, worker.keys);
    std::vector<std::pair<std::string_view, std::string_view>> puts(kBatchPuts);
    for (std::uint64_t id = 0; id < ops;) {
      for (std::size_t i = 0; i < kBatchPuts; ++i, ++id) {
        puts[i] = {keys[i].Key(id), worker.values.Next(scale_.value_bytes)};
      }
      worker.sample([&] { worker.session->PutBatch(puts); });
    }
    worker.user_bytes += ops * (kKeyBytes + scale_.value_bytes);
  });
}

// Also overwrite: the second time keys are there already.
Result Bench::FillRandom() {
  return Measure(Writes(scale_.keys), [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) worker.Put(RandomId(worker), scale_.value_bytes);
  });
}

Result Bench::FillSync(unsigned threads) {
  Plan plan = Writes(std::max<std::uint64_t>(64, scale_.keys / (threads == 1 ? 1000 : 100)));
  plan.threads = threads;
  plan.stride = kEach;
  return Measure(plan, [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) {
      worker.Put(RandomId(worker), scale_.value_bytes, Durability::kDisk);
    }
  });
}

Result Bench::ReadRandom() {
  return Measure(Reads(scale_.reads), [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) worker.Get(RandomId(worker));
  });
}

Result Bench::ReadMissing() {
  return Measure(Reads(scale_.reads), [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) {
      const std::string_view key = worker.keys.MissingKey(RandomId(worker));
      worker.sample([&] { CHECK(!worker.session->Get(key, &worker.tally)); });
    }
  });
}

Result Bench::ReadHot() {
  const std::uint64_t hot = std::max<std::uint64_t>(1, scale_.keys / kHotShare);
  return Measure(Reads(scale_.reads), [hot](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) worker.Get(worker.random.Below(hot));
  });
}

Result Bench::MultiReadRandom() {
  Plan plan = Reads(scale_.reads / kMultiGetKeys * kMultiGetKeys);
  plan.stride = kEach;
  return Measure(plan, [this](Worker& worker, std::uint64_t ops) {
    std::vector<KeyWriter> keys(kMultiGetKeys, worker.keys);
    std::vector<std::string_view> wanted(kMultiGetKeys);
    for (std::uint64_t i = 0; i < ops; i += kMultiGetKeys) {
      for (std::size_t j = 0; j < kMultiGetKeys; ++j) wanted[j] = keys[j].Key(RandomId(worker));
      worker.sample([&] { worker.session->MultiGet(wanted, &worker.tally); });
    }
  });
}

Result Bench::SeekRandom() {
  return Measure(Reads(scale_.reads / 2), [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) worker.Seek(RandomId(worker), kSeekNexts);
  });
}

// Each thread reads everything; how much that is the data say.
Result Bench::ReadAll(Direction direction) {
  Plan plan = Reads(scale_.threads);
  plan.stride = kEach;
  Result result = Measure(plan, [direction](Worker& worker, std::uint64_t /*ops*/) {
    const std::unique_ptr<Walk> walk = worker.session->NewWalk();
    walk->Start(direction);
    for (std::size_t read = kWalkEntries; read == kWalkEntries;) {
      worker.sample([&] { read = walk->Read(kWalkEntries, direction, &worker.tally); });
    }
  });
  result.cpu_us_per_op *= static_cast<double>(result.ops) / static_cast<double>(result.entries);
  result.ops = result.entries;
  result.ops_per_s = static_cast<double>(result.ops) / result.seconds;
  return result;
}

Result Bench::ReadWhileWriting(std::uint64_t writes_per_s) {
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> written = 0;
  Worker writer(store_, scale_, ++stream_, kSampled);
  const Usage before = UsageNow();
  std::thread thread([&] {
    writer.session->BeginOnThisThread();
    const std::uint64_t start = NowNs();
    while (!stop.load(std::memory_order_relaxed)) {
      writer.Put(RandomId(writer), scale_.value_bytes);
      const std::uint64_t puts = written.fetch_add(1, std::memory_order_relaxed) + 1;
      // Held back a millisecond's worth of puts at a time: sleeps are no shorter.
      if (writes_per_s == 0 || puts % (writes_per_s / 1000) != 0) continue;
      const std::uint64_t due = start + puts * 1'000'000 / (writes_per_s / 1000);
      const std::uint64_t now = NowNs();
      if (now < due) std::this_thread::sleep_for(std::chrono::nanoseconds(due - now));
    }
  });
  Plan plan = Reads(scale_.reads);
  std::uint64_t written_before = 0;
  std::uint64_t written_after = 0;
  Result result = Measure(plan, [&](Worker& worker, std::uint64_t ops) {
    written_before = written.load(std::memory_order_relaxed);
    for (std::uint64_t i = 0; i < ops; ++i) worker.Get(RandomId(worker));
    written_after = written.load(std::memory_order_relaxed);
  });
  stop = true;
  thread.join();
  result.comparable = false;
  result.writer_ops_per_s = static_cast<double>(written_after - written_before) / result.seconds;
  result.user_bytes = static_cast<double>(written.load() * (kKeyBytes + scale_.value_bytes));
  result.settle_seconds = WaitUntilIdle(store_, IdleWindows());
  result.write_bytes = static_cast<double>(UsageNow().write_bytes - before.write_bytes);
  return result;
}

Result Bench::DeleteRandom() {
  return Measure(Writes(scale_.keys), [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) {
      const std::string_view key = worker.keys.Key(RandomId(worker));
      worker.sample([&] { worker.session->Delete(key); });
    }
    worker.user_bytes += ops * kKeyBytes;
  });
}

// The middle half of the keys, as a queue's consumer deletes them.
Result Bench::DeleteSeq() {
  return Measure(Writes(scale_.keys / 2), [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) {
      const std::string_view key = worker.keys.Key(scale_.keys / 4 + i);
      worker.sample([&] { worker.session->Delete(key); });
    }
    worker.user_bytes += ops * kKeyBytes;
  });
}

// Each seek lands in what was deleted and has to find the first key behind it.
Result Bench::SeekDeleted() {
  Plan plan = Reads(std::max<std::uint64_t>(10, scale_.keys / 5000));
  plan.stride = kEach;
  return Measure(plan, [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) {
      worker.Seek(scale_.keys / 4 + worker.random.Below(scale_.keys / 2), 0);
    }
    CHECK(worker.tally.entries == ops);
  });
}

// An operation is a key of the database; its duration is that of the whole compaction.
Result Bench::Compact() {
  Plan plan{.ops = 1, .stride = kEach, .writes = true};
  Result result = Measure(plan, [this](Worker& worker, std::uint64_t /*ops*/) {
    worker.sample([this] { store_->CompactAll(); });
  });
  result.cpu_us_per_op /= static_cast<double>(scale_.keys);
  result.ops = scale_.keys;
  result.ops_per_s = static_cast<double>(result.ops) / result.seconds;
  return result;
}

Bench::TransactionMix Bench::ParseTransactionMix(std::string_view workload) {
  constexpr std::string_view kSync = "_sync";
  TransactionMix mix;
  if (workload.ends_with(kSync)) {
    mix.durability = Durability::kDisk;
    workload.remove_suffix(kSync.size());
  }
  mix.zipfian = workload.find("_zipfian_") != workload.npos;
  mix.threads =
      static_cast<unsigned>(std::stoul(std::string(workload.substr(workload.rfind('_') + 1))));
  return mix;
}

// An operation is a transaction that was committed, however often it had to be tried: at once again
// with the same keys, its duration is that of all attempts.
Result Bench::Transact(const TransactionMix& mix) {
  const Zipfian zipfian(scale_.keys);
  Plan plan{.threads = mix.threads, .writes = true};
  plan.ops = mix.durability == Durability::kDisk
                 ? std::max<std::uint64_t>(16, scale_.keys / 1000) * mix.threads
                 : scale_.reads / 4;
  if (mix.durability == Durability::kDisk) plan.stride = kEach;
  return Measure(plan, [&](Worker& worker, std::uint64_t ops) {
    std::array<KeyWriter, 3> keys{worker.keys, worker.keys, worker.keys};
    std::array<std::uint64_t, 3> ids{};
    const auto draw = [&] {
      return mix.zipfian ? Scramble(zipfian.Next(&worker.random)) % scale_.keys : RandomId(worker);
    };
    for (std::uint64_t i = 0; i < ops; ++i) {
      ids[0] = draw();
      do ids[1] = draw();
      while (ids[1] == ids[0]);
      do ids[2] = draw();
      while (ids[2] == ids[0] || ids[2] == ids[1]);
      const auto update = [&](std::size_t at) -> TransactionPlan::Update {
        return {keys[at].Key(ids[at]), worker.values.Next(scale_.value_bytes)};
      };
      const TransactionPlan transaction{.read = keys[0].Key(ids[0]),
                                        .updates = {update(1), update(2)},
                                        .durability = mix.durability};
      worker.sample([&] {
        while (!worker.session->TryTransact(transaction, &worker.tally)) ++worker.aborts;
      });
    }
    worker.user_bytes += ops * 2 * (kKeyBytes + scale_.value_bytes);
  });
}

Result Bench::YcsbLoad() {
  return Measure(Writes(scale_.keys), [this](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) worker.Put(ScrambledId(i), scale_.value_bytes);
  });
}

Result Bench::Ycsb(const YcsbMix& mix) {
  const Zipfian zipfian(scale_.keys);
  Plan plan{.ops = mix.scans > 0 ? scale_.reads / 4 : scale_.reads, .writes = true};
  return Measure(plan, [&](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) {
      const std::uint64_t rank = zipfian.Next(&worker.random);
      const std::uint64_t id =
          ScrambledId(mix.latest ? next_id_ - 1 - rank : Scramble(rank) % scale_.keys);
      const std::uint64_t choice = worker.random.Below(100);
      if (choice < mix.reads) {
        worker.Get(id);
      } else if (choice < mix.reads + mix.updates) {
        worker.Put(id, scale_.value_bytes);
      } else if (choice < mix.reads + mix.updates + mix.inserts) {
        worker.Put(ScrambledId(next_id_++), scale_.value_bytes);
      } else if (choice < mix.reads + mix.updates + mix.inserts + mix.scans) {
        worker.Seek(id, worker.random.Below(kScanEntriesMax));
      } else {
        const std::string_view key = worker.keys.Key(id);
        const std::string_view value = worker.values.Next(scale_.value_bytes);
        worker.sample([&] {
          worker.session->Get(key, &worker.tally);
          worker.session->Put(key, value, Durability::kProcess);
        });
        worker.user_bytes += kKeyBytes + value.size();
      }
    }
  });
}

Result Bench::MixGraph() {
  constexpr Pareto kValueBytes{.k = 0.2615, .sigma = 25.45};
  constexpr Pareto kScanEntries{.k = 2.517, .sigma = 14.236};
  constexpr std::uint64_t kValueBytesMin = 10;
  constexpr std::uint64_t kValueBytesMax = 1024;
  constexpr std::uint64_t kMixScanEntriesMax = 10'000;
  const MixGraphKeys mix(scale_.keys);
  Plan plan{.ops = scale_.reads, .writes = true};
  return Measure(plan, [&](Worker& worker, std::uint64_t ops) {
    for (std::uint64_t i = 0; i < ops; ++i) {
      const std::uint64_t id = mix.Next(&worker.random);
      const std::uint64_t choice = worker.random.Below(100);
      if (choice < 85) {
        worker.Get(id);
      } else if (choice < 99) {
        worker.Put(id, kValueBytes.Next(&worker.random, kValueBytesMin, kValueBytesMax));
      } else {
        worker.Seek(id, kScanEntries.Next(&worker.random, 0, kMixScanEntriesMax));
      }
    }
  });
}

Result Bench::Run(std::string_view workload) {
  // The same workload after something else, or with other values, bears a suffix.
  const std::string_view name = workload.substr(0, workload.find('_'));
  if (workload == "ycsb_load") return YcsbLoad();
  if (name == "ycsb") {
    switch (workload.back()) {
      case 'a':
        return Ycsb({.reads = 50, .updates = 50});
      case 'b':
        return Ycsb({.reads = 95, .updates = 5});
      case 'c':
        return Ycsb({.reads = 100});
      case 'd':
        return Ycsb({.reads = 95, .inserts = 5, .latest = true});
      case 'e':
        return Ycsb({.inserts = 5, .scans = 95});
      case 'f':
        return Ycsb({.reads = 50});
      default:
        break;
    }
  }
  if (name == "fillseq" || workload == "load_seq") return FillSeq();
  if (name == "fillbatch") return FillBatch();
  if (name == "fillrandom" || name == "overwrite" || workload == "load_random") return FillRandom();
  if (name == "fillsync") return FillSync(1);
  if (name == "fillsync16") return FillSync(16);
  if (name == "readrandom") return ReadRandom();
  if (name == "readmissing") return ReadMissing();
  if (name == "readhot") return ReadHot();
  if (name == "multireadrandom") return MultiReadRandom();
  if (name == "seekrandom") return SeekRandom();
  if (name == "readseq") return ReadAll(Direction::kForward);
  if (name == "readreverse") return ReadAll(Direction::kBackward);
  if (workload == "readwhilewriting_100k") return ReadWhileWriting(100'000);
  if (name == "readwhilewriting") return ReadWhileWriting(0);
  if (name == "deleterandom") return DeleteRandom();
  if (name == "deleteseq") return DeleteSeq();
  if (name == "seekdeleted") return SeekDeleted();
  if (name == "compact") return Compact();
  if (name == "mixgraph") return MixGraph();
  if (name == "txn") return Transact(ParseTransactionMix(workload));
  CHECK_MSG(false, std::string(workload));
  return {};
}

/// Whether later workloads of a set need what this one leaves.
bool IsLoad(std::string_view workload) {
  return workload.starts_with("fill") || workload.starts_with("load") ||
         workload.starts_with("overwrite") || workload == "ycsb_load" || workload == "deleteseq" ||
         workload == "compact";
}

/// Transactions of one mode on a database of their own; `suffix` is "_sync" where commits are
/// durable, else empty.
WorkloadSet TransactionSet(const std::string& mode, Transactions transactions,
                           const std::string& suffix) {
  WorkloadSet set{.name = "txn_" + mode + suffix, .workloads = {"load_seq"}};
  set.transactions = transactions;
  // One thread first: what comes behind several differs from run to run.
  for (const char* const threads : {"1", "4", "16"}) {
    for (const char* const distribution : {"uniform", "zipfian"}) {
      set.workloads.push_back("txn_" + mode + "_" + distribution + "_" + threads + suffix);
    }
  }
  return set;
}

}  // namespace

const std::vector<WorkloadSet>& WorkloadSets() {
  static const std::vector<WorkloadSet> sets = {
      {.name = "fillseq", .workloads = {"fillseq"}},
      {.name = "fillbatch", .workloads = {"fillbatch"}},
      {.name = "fillsync", .workloads = {"fillsync", "fillsync16"}},
      {.name = "random",
       .workloads = {"fillrandom", "readrandom", "readmissing", "readhot", "multireadrandom",
                     "seekrandom", "readseq", "readreverse", "overwrite", "compact",
                     "readrandom_compacted", "readseq_compacted", "seekrandom_compacted"}},
      {.name = "readwhilewriting",
       .workloads = {"load_random", "readwhilewriting_100k", "readwhilewriting"}},
      {.name = "deleterandom", .workloads = {"load_random", "deleterandom"}},
      {.name = "deleteseq", .workloads = {"load_seq", "deleteseq", "seekdeleted"}},
      {.name = "ycsb",
       .workloads = {"ycsb_load", "ycsb_a", "ycsb_b", "ycsb_c", "ycsb_f", "ycsb_d", "ycsb_e"}},
      {.name = "mixgraph", .workloads = {"load_random", "mixgraph"}},
      {.name = "values_1k",
       .workloads = {"fillrandom_1k", "readrandom_1k", "readmissing_1k", "seekrandom_1k",
                     "readseq_1k", "overwrite_1k"}},
      {.name = "values_64k",
       .workloads = {"fillrandom_64k", "readrandom_64k", "seekrandom_64k", "readseq_64k",
                     "overwrite_64k"},
       .large_values = true},
      TransactionSet("pessimistic", Transactions::kPessimistic, ""),
      TransactionSet("pessimistic", Transactions::kPessimistic, "_sync"),
      TransactionSet("optimistic", Transactions::kOptimistic, ""),
      TransactionSet("optimistic", Transactions::kOptimistic, "_sync"),
  };
  return sets;
}

void RunSet(const WorkloadSet& set, const std::vector<std::string>& wanted, const Engine& engine,
            const StoreOptions& options, const Scale& scale,
            const std::function<void(const Result&)>& report) {
  Scale own = scale;
  if (set.name == "values_1k") {
    own.value_bytes = 1024;
    own.keys = std::max<std::uint64_t>(200, scale.keys / 5);
    own.reads = std::max<std::uint64_t>(200, scale.reads / 5);
  } else if (set.large_values) {
    own.value_bytes = kLargeValueBytes;
    own.keys = std::max<std::uint64_t>(40, scale.keys / 250);
    own.reads = std::max<std::uint64_t>(200, scale.reads / 20);
  }
  const auto is_wanted = [&](const std::string& workload) {
    return std::find(wanted.begin(), wanted.end(), workload) != wanted.end();
  };
  std::size_t last = 0;
  for (std::size_t i = 0; i < set.workloads.size(); ++i) {
    if (is_wanted(set.workloads[i])) last = i + 1;
  }
  StoreOptions own_options = options;
  own_options.transactions = set.transactions;
  const std::unique_ptr<Store> store = engine.open(own_options);
  Bench bench(store.get(), options, own);
  for (std::size_t i = 0; i < last; ++i) {
    const std::string& workload = set.workloads[i];
    if (!is_wanted(workload) && !IsLoad(workload)) continue;
    Result result = bench.Run(workload);
    if (!is_wanted(workload)) continue;  // a load on the way
    result.settings = options.settings == Settings::kEqual ? "equal" : "defaults";
    result.engine = engine.name;
    result.workload = workload;
    report(result);
  }
}

}  // namespace bedrock::bench
