// What a commit costs in the write-ahead log, in the working folder's disk: payloads of 130 bytes.
// Process: has to survive the process only, by the mapping or by pwrite. Disk: synced one by one.
// Overwrite*: the floor, a record over zeroes, made durable by fdatasync or in one call.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "common/base/check.h"
#include "common/env/posix_clock.h"
#include "common/env/posix_file_system.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"
#include "storaged/engine/wal/log.h"
#include "storaged/engine/wal/wal_record.h"

namespace bedrock::engine::wal {
namespace {

constexpr std::size_t kPayloadBytes = 130;
constexpr std::uint64_t kKept = 200'000;  // commits that no flush has made durable elsewhere

class Bench {
 public:
  explicit Bench(UseMapping mapping) {
    CHECK(files_.CreateDirectories(directory_).ok());
    LogOptions options;
    options.directory = directory_;
    options.mapping = mapping;
    auto log = Log::Open({&files_, &clock_, &executor_}, options, Version(),
                         [](Version, std::string_view) { return Status::Ok(); });
    CHECK(log.ok());
    log_ = std::move(log).value();
  }
  ~Bench() {
    log_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Append(Durability durability) {
    version_ = version_.Next();
    CHECK(log_->Append(version_, payload_, durability).ok());
    if (version_.value() % kKept == 0) log_->ReleaseThrough(Version(version_.value() - kKept));
  }
  void Sync() { CHECK(log_->Sync(log_->position()).ok()); }

 private:
  const std::string directory_ = "wal_bench." + std::to_string(SystemEntropy());
  const std::string payload_ = std::string(kPayloadBytes, 'p');
  PosixFileSystem files_;
  PosixClock clock_;
  ThreadExecutor executor_{1};
  std::unique_ptr<Log> log_;
  Version version_;
};

void BM_Process(benchmark::State& state, UseMapping mapping) {
  Bench bench(mapping);
  for (auto _ : state) bench.Append(Durability::kProcess);
  state.SetItemsProcessed(state.iterations());
}

void BM_Disk(benchmark::State& state) {
  Bench bench(UseMapping::kYes);
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i) bench.Append(Durability::kDisk);
    bench.Sync();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

template <typename Write>
void Overwrite(benchmark::State& state, Write write) {
  PosixFileSystem files;
  const std::string path = "wal_bench." + std::to_string(SystemEntropy());
  {
    auto file = files.Open(path, FileSystem::OpenMode::kCreate);
    constexpr std::uint64_t kFileBytes = 16 << 20;
    const std::string record(kRecordHeaderBytesMin + kPayloadBytes, 'r');
    CHECK(file.ok() && (*file)->WriteAt(0, std::string(kFileBytes, '\0')).ok());
    CHECK((*file)->Sync().ok());
    std::uint64_t at = 0;
    for (auto _ : state) {
      CHECK(write(**file, at, record).ok());
      at = at + 2 * record.size() < kFileBytes ? at + record.size() : 0;
    }
  }
  CHECK(files.Remove(path).ok());
}

void BM_OverwriteThenSync(benchmark::State& state) {
  Overwrite(state, [](File& file, std::uint64_t at, std::string_view record) {
    const Status written = file.WriteAt(at, record);
    return written.ok() ? file.Sync() : written;
  });
}

void BM_OverwriteWithSync(benchmark::State& state) {
  Overwrite(state, [](File& file, std::uint64_t at, std::string_view record) {
    return file.WriteAtAndSync(at, record);
  });
}

void BM_Encode(benchmark::State& state) {
  const std::string payload(static_cast<std::size_t>(state.range(0)), 'p');
  std::string out(RecordBytesMax(payload.size()), '\0');
  std::uint8_t ordinal = 0;
  for (auto _ : state) {
    EncodeRecord(out.data(), FileNumber(1), 0, {.ordinal = ++ordinal, .payload = payload});
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
}

BENCHMARK(BM_Encode)->Arg(130)->Arg(1000);
BENCHMARK_CAPTURE(BM_Process, Mapping, UseMapping::kYes)->UseRealTime();
BENCHMARK_CAPTURE(BM_Process, Pwrite, UseMapping::kNo)->UseRealTime();
BENCHMARK(BM_OverwriteThenSync)->UseRealTime();
BENCHMARK(BM_OverwriteWithSync)->UseRealTime();
BENCHMARK(BM_Disk)->Arg(1)->Arg(16)->UseRealTime();

}  // namespace
}  // namespace bedrock::engine::wal

BENCHMARK_MAIN();
