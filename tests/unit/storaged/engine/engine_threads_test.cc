#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/env/posix_clock.h"
#include "common/env/thread_executor.h"
#include "tests/unit/storaged/engine/engine_fixture.h"

namespace bedrock::engine {
namespace {

constexpr int kKeys = 20;
constexpr std::uint64_t kCommits = 3000;

/// Every commit writes its index under all keys, so that a reader sees at once whether it got half
/// a commit or the state of another version.
Commit WholeCommit(std::uint64_t index) {
  Commit commit;
  for (int key = 0; key < kKeys; ++key) {
    commit.push_back({"key" + std::to_string(key), std::to_string(index)});
  }
  return commit;
}

std::vector<std::string_view> AllKeys() {
  static const Commit kCommit = WholeCommit(0);
  std::vector<std::string_view> keys;
  for (const auto& change : kCommit) keys.emplace_back(change.key);
  return keys;
}

void ReadUntil(const Engine& engine, const std::atomic<bool>& stop, std::uint64_t seed) {
  Random random(seed);
  std::uint64_t last = 0;
  while (!stop.load()) {
    const std::uint64_t at = engine.applied().index.value();
    ASSERT_GE(at, last);
    last = at;
    if (at == 0) continue;
    const auto got = engine.Get("key" + std::to_string(random.Below(kKeys)), Version(at));
    if (got.status().IsInvalidArgument()) continue;  // the watermark went past
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    ASSERT_EQ(got->value, std::to_string(at));
    const auto walk = engine.NewIterator({.at = Version(std::uint64_t{1} << 50)}, {"", ""});
    int keys = 0;
    Version version;
    for (walk->SeekToFirst(); walk->Valid(); walk->Next(), ++keys) {
      if (keys == 0) version = walk->version();
      ASSERT_EQ(walk->version(), version) << "a commit in part";
    }
    ASSERT_TRUE(walk->status().ok()) << walk->status().ToString();
    ASSERT_EQ(keys, kKeys);
    ASSERT_GE(version, Version(at));
    // The same backward, whatever was written meanwhile, with turns in between.
    walk->SeekToLast();
    for (; walk->Valid(); walk->Prev(), --keys) {
      ASSERT_EQ(walk->version(), version) << "not what it showed before";
      if (!random.Chance(1, 4) || keys == kKeys) continue;
      const std::string key(walk->key());
      walk->Next();
      ASSERT_TRUE(walk->Valid());
      walk->Prev();
      ASSERT_TRUE(walk->Valid());
      ASSERT_EQ(walk->key(), key);
    }
    ASSERT_TRUE(walk->status().ok()) << walk->status().ToString();
    ASSERT_EQ(keys, 0);
    const auto values = engine.MultiGet(AllKeys(), {});
    for (const Result<PinnedValue>& value : values) {
      ASSERT_TRUE(value.ok()) << value.status().ToString();
      ASSERT_EQ(value->version(), values.front()->version()) << "a commit in part";
    }
    (void)engine.Stats();
  }
}

/// A snapshot shows its own commit for as long as it lives.
void PinUntil(const Engine& engine, const std::atomic<bool>& stop) {
  while (!stop.load()) {
    const Snapshot pin = engine.GetSnapshot();
    if (!pin.version()) continue;
    for (int i = 0; i < 50; ++i) {
      PinnedValue value;
      const Status status =
          engine.Get("key" + std::to_string(i % kKeys), {.at = pin.version()}, &value);
      ASSERT_TRUE(status.ok()) << status.ToString();
      ASSERT_EQ(value.value(), std::to_string(pin.version().value()));
      std::this_thread::yield();
    }
  }
}

/// Checkpoints hold whole commits, and compactions of everything come to their end.
void CopyUntil(Engine& engine, FileSystem& disk, const std::atomic<bool>& stop) {
  PosixClock clock;
  ManualExecutor executor;
  for (int copy = 0; !stop.load(); ++copy) {
    std::atomic<bool> compacted{false};
    engine.CompactRange({}, [&](const Status& status) {
      ASSERT_TRUE(status.ok()) << status.ToString();
      compacted = true;
    });
    EngineOptions options = SmallOptions("/copy" + std::to_string(copy));
    const Status made = engine.Checkpoint(options.directory);
    ASSERT_TRUE(made.ok()) << made.ToString();
    const auto opened = Engine::Open({&disk, &clock, &executor}, options);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    const Version at = (*opened)->newest();
    for (int key = 0; key < kKeys && at; ++key) {
      const auto got = (*opened)->Get("key" + std::to_string(key), at);
      ASSERT_TRUE(got.ok());
      ASSERT_EQ(got->value, std::to_string(at.value()));
    }
    while (!compacted) std::this_thread::yield();
  }
}

TEST(EngineThreadsTest, ReadersSeeWholeCommitsWhileTheEngineWorks) {
  MemoryFileSystem disk;
  PosixClock clock;
  EngineOptions options = SmallOptions();
  options.memtable_bytes = 16 * kKiB;
  options.flush_jobs_max = 2;
  options.compaction_jobs_max = 2;
  options.level1_bytes = 64 * kKiB;
  std::atomic<std::uint64_t> progress{0};
  ThreadExecutor executor(3);
  auto opened = Engine::Open({&disk, &clock, &executor}, options);
  ASSERT_TRUE(opened.ok());
  Engine& engine = **opened;
  engine.OnProgress([&] {
    progress.fetch_add(1);
    (void)engine.durable_applied();
  });
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    readers.emplace_back([&, seed] { ReadUntil(engine, stop, seed); });
  }
  readers.emplace_back([&] { PinUntil(engine, stop); });
  readers.emplace_back([&] { CopyUntil(engine, disk, stop); });
  for (std::uint64_t index = 1; index <= kCommits; ++index) {
    Status status;
    while ((status = ApplyCommit(engine, WholeCommit(index), MarkAt(LogIndex(index)))).IsBusy()) {
      std::this_thread::yield();
    }
    ASSERT_TRUE(status.ok()) << status.ToString();
    if (engine.WantsFlush()) engine.StartFlush("");
    if (index % 50 == 0) {
      engine.SetWatermark(Version(index - 40));
      engine.Tick();
    }
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(progress.load(), 10u);
  EXPECT_GT(engine.durable_applied().index, LogIndex(0));
  EXPECT_TRUE(engine.Verify().ok());
  // Ends in the middle of whatever the background does.
}

}  // namespace
}  // namespace bedrock::engine
