// What merging costs: tables of 16 B keys and 100 B values, keys spread evenly over the inputs,
// read from the page cache and written to the working folder's disk, synced once a table. Items are
// entries that go in. The filter alone is measured, too.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/env/posix_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/compaction/merge_job.h"

namespace bedrock::engine {
namespace {

constexpr std::uint64_t kEntries = 1'000'000;
constexpr std::size_t kValueBytes = 100;
constexpr std::uint64_t kTableBytes = std::uint64_t{16} << 20;
constexpr const char* kDirectory = "compaction_bench.tmp";

std::string KeyOf(std::uint64_t number) {
  char key[24];
  std::snprintf(key, sizeof(key), "%016llu", static_cast<unsigned long long>(number));
  return {key, 16};
}

/// Half of it compresses.
std::string RandomValue(Random& random) {
  std::string value(kValueBytes, 'v');
  for (std::size_t i = 0; i < kValueBytes / 2; ++i) value[i] = static_cast<char>(random.Next());
  return value;
}

class Folder {
 public:
  Folder() {
    std::filesystem::remove_all(kDirectory);
    CHECK(file_system_.CreateDirectories(kDirectory).ok());
  }
  ~Folder() { std::filesystem::remove_all(kDirectory); }

  MergeJob::Parameters Parameters(bedrock::Compression compression) {
    return {.file_system = &file_system_,
            .directory = kDirectory,
            .input = {},
            .retention = {Version(kEntries * 2), {}},
            .below = KeyRanges(),
            .range = {},
            .table = {.compression = compression},
            .table_bytes = kTableBytes,
            .next_number = [this] { return FileNumber(next_++); }};
  }

  /// So many runs, which part the keys between them by chance.
  std::vector<std::vector<TableSet::Table>> MakeRuns(std::size_t count,
                                                     bedrock::Compression compression) {
    Random random(1);
    std::vector<std::shared_ptr<Memtable>> memtables;
    for (std::size_t i = 0; i < count; ++i) memtables.push_back(std::make_shared<Memtable>());
    for (std::uint64_t n = 0; n < kEntries; ++n) {
      memtables[random.Below(count)]->Add({KeyOf(n), Trailer(Version(n + 1), EntryKind::kPut)},
                                          RandomValue(random));
    }
    std::vector<std::vector<TableSet::Table>> runs;
    for (auto& memtable : memtables) {
      auto parameters = Parameters(compression);
      parameters.input.memtable = std::move(memtable);
      MergeJob job(std::move(parameters));
      Run(job);
      runs.emplace_back();
      for (const TableMetadata& metadata : job.outputs()) {
        runs.back().push_back(
            TableReader::Open(file_system_, kDirectory, metadata, cache_).value());
      }
    }
    return runs;
  }

  static void Run(MergeJob& job) {
    MergeJob::Progress progress = MergeJob::Progress::kMore;
    while (progress == MergeJob::Progress::kMore) progress = job.Step();
    CHECK(progress == MergeJob::Progress::kDone);
  }

 private:
  PosixFileSystem file_system_;
  std::shared_ptr<BlockCache> cache_ = std::make_shared<BlockCache>(0);
  std::uint64_t next_ = 1;
};

void Merge(benchmark::State& state) {
  Folder folder;
  const auto compression = static_cast<bedrock::Compression>(state.range(1));
  const auto runs = folder.MakeRuns(static_cast<std::size_t>(state.range(0)), compression);
  std::uint64_t bytes = 0;
  for (auto _ : state) {
    auto parameters = folder.Parameters(compression);
    parameters.input.runs = runs;
    MergeJob job(std::move(parameters));
    Folder::Run(job);
    for (const TableMetadata& table : job.outputs()) bytes += table.size;
    state.PauseTiming();
    job.Abandon();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kEntries));
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(Merge)
    ->ArgNames({"inputs", "compression"})
    ->Args({1, 0})
    ->Args({4, 0})
    ->Args({8, 0})
    ->Args({4, 1})
    ->Unit(benchmark::kMillisecond);

void Flush(benchmark::State& state) {
  Folder folder;
  Random random(1);
  auto memtable = std::make_shared<Memtable>();
  const std::uint64_t entries = kEntries / 8;
  for (std::uint64_t n = 0; n < entries; ++n) {
    memtable->Add({KeyOf(random.Below(kEntries)), Trailer(Version(n + 1), EntryKind::kPut)},
                  RandomValue(random));
  }
  for (auto _ : state) {
    auto parameters = folder.Parameters(bedrock::Compression::kNone);
    parameters.input.memtable = memtable;
    parameters.table_bytes = UINT64_MAX;
    MergeJob job(std::move(parameters));
    Folder::Run(job);
    state.PauseTiming();
    job.Abandon();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(entries));
}
BENCHMARK(Flush)->Unit(benchmark::kMillisecond);

void Filter(benchmark::State& state) {
  std::vector<std::string> keys;
  for (std::uint64_t n = 0; n < 10'000; ++n) keys.push_back(KeyOf(n));
  Retention retention{Version(kEntries), {}};
  for (std::int64_t n = 0; n < state.range(0); ++n) {
    retention.pins.push_back(Version(static_cast<std::uint64_t>(n) * 1000));
  }
  std::shared_ptr<const FragmentedTombstones> tombstones;
  if (state.range(1) > 0) {
    std::vector<RangeTombstone> ranges;
    for (std::int64_t n = 0; n < state.range(1); ++n) {
      const auto begin = static_cast<std::uint64_t>(n) * 10;
      ranges.push_back({KeyOf(begin), KeyOf(begin + 5), Version(500)});
    }
    tombstones = std::make_shared<const FragmentedTombstones>(ranges);
  }
  std::optional<VersionFilter> filter;
  filter.emplace(retention, tombstones, KeyRanges::All());
  std::uint64_t kept = 0;
  std::size_t at = 0;
  for (auto _ : state) {
    kept += filter->Keep({keys[at], Trailer(Version(700), EntryKind::kPut)}) ? 1 : 0;
    if (++at < keys.size()) continue;
    at = 0;
    filter.emplace(retention, tombstones, KeyRanges::All());
  }
  benchmark::DoNotOptimize(kept);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Filter)->ArgNames({"pins", "ranges"})->Args({0, 0})->Args({10, 0})->Args({0, 1000});

}  // namespace
}  // namespace bedrock::engine

BENCHMARK_MAIN();
