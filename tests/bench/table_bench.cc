#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/env/posix_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/table/table_builder.h"
#include "storaged/engine/table/table_cursor.h"
#include "storaged/engine/table/table_reader.h"

// Tables by themselves: building, point lookups and walks over keys of 16 bytes with values of 100,
// as the engine's benchmarks have them. The tables lie in the page cache, their blocks in a block
// cache that holds them all, unless the name says otherwise.

namespace bedrock::engine {
namespace {

constexpr std::size_t kValueBytes = 100;
constexpr std::uint64_t kEntriesATable = 16 * 1024 * 1024 / (16 + kValueBytes);

std::string Key(std::uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llu", static_cast<unsigned long long>(number));
  return {text, 16};
}

/// Values that compress to about half.
std::string SomeValues() {
  Random random(301);
  std::string values(1 << 20, '\0');
  for (std::size_t i = 0; i < values.size(); i += 100) {
    for (std::size_t j = i; j < std::min(i + 50, values.size()); ++j) {
      values[j] = values[std::min(j + 50, values.size() - 1)] =
          static_cast<char>(' ' + random.Below(95));
    }
  }
  return values;
}

/// Tables in a folder of their own, removed at the end.
class Tables {
 public:
  /// Table t of n has the numbers t, t + n, t + 2n, …, shuffled over versions.
  Tables(std::uint64_t tables, std::size_t cache_bytes, const TableOptions& options)
      : tables_(tables), cache_(std::make_shared<BlockCache>(cache_bytes, options.block_bytes)) {
    char name[] = "/tmp/table_bench_XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    directory_ = name;
    Random random(1);
    for (std::uint64_t t = 0; t < tables; ++t) {
      auto builder = *TableBuilder::Create(disk_, directory_, FileNumber(t + 1), options);
      for (std::uint64_t i = 0; i < kEntriesATable; ++i) {
        const Version version(1 + random.Below(1'000'000));
        CHECK(builder
                  ->Add({Key(i * tables + t), Trailer(version, EntryKind::kPut)},
                        std::string_view(values_).substr(i * 37 % 1'000'000, kValueBytes))
                  .ok());
      }
      readers_.push_back(*TableReader::Open(disk_, directory_, *builder->Finish(), cache_));
    }
  }
  ~Tables() { std::filesystem::remove_all(directory_); }

  std::uint64_t keys() const { return tables_ * kEntriesATable; }
  const TableReader& operator[](std::size_t t) const { return *readers_[t]; }
  std::size_t size() const { return readers_.size(); }
  const BlockCache& cache() const { return *cache_; }
  void Warm() {
    for (const auto& reader : readers_) {
      TableCursor cursor(*reader);
      for (cursor.SeekToFirst(); cursor.Valid(); cursor.Next()) {
      }
      CHECK(cursor.status().ok());
    }
  }

 private:
  PosixFileSystem disk_;
  std::uint64_t tables_;
  std::shared_ptr<BlockCache> cache_;
  std::string directory_;
  std::string values_ = SomeValues();
  std::vector<std::shared_ptr<const TableReader>> readers_;
};

/// Keys of `tables` at random, one after another, for ever; the last byte of each replaced by
/// `last`, where that is given: then they are in no table.
class KeysInTurn {
 public:
  explicit KeysInTurn(const Tables& tables, std::string_view last = {}) {
    Random random(7);
    for (int i = 0; i < 100'000; ++i) {
      std::string& key = keys_.emplace_back(Key(random.Below(tables.keys())));
      if (!last.empty()) key.back() = last.front();
    }
  }

  const std::string& Next() {
    const std::string& key = keys_[next_];
    if (++next_ == keys_.size()) next_ = 0;
    return key;
  }

 private:
  std::vector<std::string> keys_;
  std::size_t next_ = 0;
};

/// The time of each of the `n` things that an iteration does.
benchmark::Counter NanosecondsEach(const benchmark::State& state, std::uint64_t n) {
  return {static_cast<double>(state.iterations()) * static_cast<double>(n) / 1e9,
          benchmark::Counter::kIsRate | benchmark::Counter::kInvert};
}

void Build(benchmark::State& state) {
  const TableOptions options{.compression = static_cast<Compression>(state.range(0))};
  const std::string values = SomeValues();
  PosixFileSystem disk;
  char name[] = "/dev/shm/table_bench_XXXXXX";
  CHECK(mkdtemp(name) != nullptr);
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < kEntriesATable; ++i) keys.push_back(Key(i * 7));
  std::uint64_t size = 0;
  for (auto _ : state) {
    auto builder = *TableBuilder::Create(disk, name, FileNumber(1), options);
    for (std::uint64_t i = 0; i < kEntriesATable; ++i) {
      CHECK(builder
                ->Add({keys[i], Trailer(Version(1 + i * 7919 % 1'000'000), EntryKind::kPut)},
                      std::string_view(values).substr(i * 37 % 1'000'000, kValueBytes))
                .ok());
    }
    size = builder->Finish()->size;
  }
  std::filesystem::remove_all(name);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kEntriesATable) * 116);
  state.counters["bytes_an_entry"] = static_cast<double>(size) / kEntriesATable;
  state.counters["ns_an_entry"] = NanosecondsEach(state, kEntriesATable);
}
BENCHMARK(Build)->Arg(0)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond);

/// One table has the key; the lookup is there at once.
void FindHit(benchmark::State& state) {
  Tables tables(static_cast<std::uint64_t>(state.range(0)), std::size_t{1} << 30, {});
  tables.Warm();
  KeysInTurn keys(tables);
  for (auto _ : state) {
    const std::string& key = keys.Next();
    const std::size_t t = static_cast<std::size_t>(key.back() - '0') % tables.size();
    const auto found = tables[t].Find(key, HashKey(key), kVersionMax);
    benchmark::DoNotOptimize(found->value.data());
  }
}
BENCHMARK(FindHit)->Arg(1)->Arg(10);

/// Tables are asked one after another until one has the key, as level 0 does it.
void FindInAnyTable(benchmark::State& state) {
  Tables tables(static_cast<std::uint64_t>(state.range(0)), std::size_t{1} << 30, {});
  tables.Warm();
  KeysInTurn keys(tables);
  for (auto _ : state) {
    const std::string& key = keys.Next();
    const KeyHash hash = HashKey(key);
    bool done = false;
    for (std::size_t t = 0; t < tables.size() && !done; ++t) {
      const auto found = tables[t].Find(key, hash, kVersionMax);
      done = found->found;
      benchmark::DoNotOptimize(found->value.data());
    }
    CHECK(done);
  }
}
BENCHMARK(FindInAnyTable)->Arg(1)->Arg(7);

/// Nothing in the block cache: every lookup reads the file.
void FindUncached(benchmark::State& state) {
  Tables tables(7, 0, {.compression = static_cast<Compression>(state.range(0))});
  const TableReadOptions options(
      FillCache::kNo, state.range(1) != 0 ? VerifyChecksums::kYes : VerifyChecksums::kNo);
  Random random(7);
  for (auto _ : state) {
    const std::uint64_t number = random.Below(tables.keys());
    const std::string key = Key(number);
    const auto found = tables[number % 7].Find(key, HashKey(key), kVersionMax, options);
    CHECK(found->found);
  }
}
BENCHMARK(FindUncached)->Args({0, 1})->Args({0, 0})->Args({1, 1})->Args({2, 1});

/// The key is nowhere: every table's filter says so, or lies.
void FindMiss(benchmark::State& state) {
  const auto n = static_cast<std::uint64_t>(state.range(0));
  Tables tables(n, std::size_t{1} << 30, {});
  tables.Warm();
  KeysInTurn keys(tables, ".");
  for (auto _ : state) {
    const std::string& key = keys.Next();
    const KeyHash hash = HashKey(key);
    for (std::size_t t = 0; t < tables.size(); ++t) {
      benchmark::DoNotOptimize(tables[t].Find(key, hash, kVersionMax)->found);
    }
  }
  state.counters["ns_a_table"] = NanosecondsEach(state, n);
}
BENCHMARK(FindMiss)->Arg(1)->Arg(7);

/// Moves on by `step`, from where `start` puts the cursor, for ever.
template <typename Start, typename Step>
void Walk(benchmark::State& state, TableCursor& cursor, Start start, Step step) {
  std::size_t sum = 0;
  for (auto _ : state) {
    if (!cursor.Valid()) start(cursor);
    sum += cursor.key().user_key.size() + cursor.value().size();
    benchmark::DoNotOptimize(cursor.key().user_key.data());
    step(cursor);
  }
  benchmark::DoNotOptimize(sum);
}

enum class Where { kCache, kFile };

void Next(benchmark::State& state) {
  const bool cached = state.range(0) == static_cast<int>(Where::kCache);
  Tables tables(1, cached ? std::size_t{1} << 30 : 0, {});
  if (cached) tables.Warm();
  TableCursor cursor(tables[0], cached ? FillCache::kYes : FillCache::kNo);
  Walk(
      state, cursor, [](TableCursor& at) { at.SeekToFirst(); }, [](TableCursor& at) { at.Next(); });
}
BENCHMARK(Next)->Arg(0)->Arg(1);

void Prev(benchmark::State& state) {
  Tables tables(1, std::size_t{1} << 30, {});
  tables.Warm();
  TableCursor cursor(tables[0]);
  Walk(
      state, cursor, [](TableCursor& at) { at.SeekToLast(); }, [](TableCursor& at) { at.Prev(); });
}
BENCHMARK(Prev);

void Seek(benchmark::State& state) {
  Tables tables(1, std::size_t{1} << 30, {});
  tables.Warm();
  TableCursor cursor(tables[0]);
  KeysInTurn keys(tables);
  for (auto _ : state) {
    cursor.Seek(SeekKey(keys.Next(), kVersionMax));
    benchmark::DoNotOptimize(cursor.value().data());
  }
}
BENCHMARK(Seek);

}  // namespace
}  // namespace bedrock::engine

BENCHMARK_MAIN();
