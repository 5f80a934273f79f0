// What the engine does alone, without Raft and network: one thread, 16-byte keys, 100-byte values.
//
//   engine_bench [--entries N] [--directory DIR]

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/env/posix_clock.h"
#include "common/env/posix_file_system.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"
#include "storaged/engine/engine.h"

namespace bedrock::engine {
namespace {

constexpr Version kNewest{std::uint64_t{1} << 50};

std::string KeyOf(std::uint64_t n) {
  char key[32];
  std::snprintf(key, sizeof(key), "%016llu", static_cast<unsigned long long>(n));
  return key;
}

class Bench {
 public:
  Bench(std::string directory, std::uint64_t entries) : entries_(entries) {
    options_.directory = std::move(directory);
    auto opened = Engine::Open({&disk_, &clock_, &executor_}, options_);
    CHECK_MSG(opened.ok(), opened.status().ToString());
    engine_ = std::move(opened).value();
    CHECK_MSG(!engine_->applied().index, "the directory holds a database already");
  }

  void Run() {
    Measure("apply, random keys", entries_, [this] { ApplyOne(); });
    Measure("get, hit, memtables and tables", entries_, [this] { GetOne(entries_); });
    Settle();
    Measure("get, hit, tables", entries_, [this] { GetOne(entries_); });
    Measure("get, miss", entries_, [this] {
      const auto got = engine_->Get("x" + KeyOf(random_.Below(entries_)), kNewest);
      CHECK(got.ok() && !got->found);
    });
    auto walk = engine_->NewIterator({.at = kNewest}, {});
    walk->SeekToFirst();
    Measure("next", Live(), [&] {
      CHECK(walk->Valid());
      walk->Next();
    });
    const EngineStats stats = engine_->Stats();
    std::printf("files: %zu on level 0, %zu on level 1, %.1f MB\n", stats.levels[0].files,
                stats.levels[1].files, static_cast<double>(stats.levels[1].bytes) / 1e6);
  }

 private:
  void ApplyOne() {
    const std::string key = KeyOf(random_.Below(entries_));
    const std::string value = key + std::string(84, 'v');
    const AppliedMark mark{engine_->applied().index.Next(), Term(1)};
    Status status;
    batch_.Clear();
    batch_.Put(key, value);
    while ((status = engine_->Apply(batch_, mark)).IsBusy()) {
      ++busy_;
    }
    CHECK_MSG(status.ok(), status.ToString());
    if (engine_->WantsFlush()) engine_->StartFlush("");
  }

  void GetOne(std::uint64_t bound) {
    const auto got = engine_->Get(KeyOf(random_.Below(bound)), kNewest);
    CHECK(got.ok());
    found_ += got->found ? 1 : 0;
  }

  /// Everything in tables, nothing left to compact.
  void Settle() {
    engine_->StartFlush("");
    while (engine_->durable_applied() != engine_->applied()) engine_->Tick();
    while (engine_->Stats().levels[0].files >= options_.level0_files_trigger) engine_->Tick();
  }

  std::uint64_t Live() {
    std::uint64_t live = 0;
    const auto walk = engine_->NewIterator({.at = kNewest}, {});
    for (walk->SeekToFirst(); walk->Valid(); walk->Next()) ++live;
    return live;
  }

  void Measure(const char* name, std::uint64_t times, const std::function<void()>& one) {
    const std::uint64_t begin_us = clock_.MonotonicUs();
    for (std::uint64_t i = 0; i < times; ++i) one();
    const auto us =
        static_cast<double>(std::max<std::uint64_t>(clock_.MonotonicUs() - begin_us, 1));
    const auto n = static_cast<double>(times);
    std::printf("%-32s %10.0f ops/s  %8.3f us/op\n", name, n / us * 1e6, us / n);
  }

  std::uint64_t entries_;
  WriteBatch batch_;
  EngineOptions options_;
  PosixFileSystem disk_;
  PosixClock clock_;
  ThreadExecutor executor_{1};
  Random random_{42};
  std::unique_ptr<Engine> engine_;
  std::uint64_t busy_ = 0;
  std::uint64_t found_ = 0;
};

}  // namespace
}  // namespace bedrock::engine

int main(int argc, char** argv) {
  std::uint64_t entries = 1'000'000;
  std::string directory = "engine_bench.data";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--entries") entries = std::strtoull(argv[i + 1], nullptr, 10);
    if (flag == "--directory") directory = argv[i + 1];
  }
  bedrock::engine::Bench(directory, std::max<std::uint64_t>(entries, 1)).Run();
  return 0;
}
