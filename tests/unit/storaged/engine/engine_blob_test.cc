#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

#include "storaged/engine/engine.h"
#include "storaged/engine/keys/internal_key.h"
#include "tests/unit/storaged/engine/engine_fixture.h"

namespace bedrock::engine {
namespace {

constexpr Version kNewest = kVersionMax;

/// Values of 5,000 bytes in blob files, over memtables of 20 of them.
class EngineBlobTest : public testing::Test {
 protected:
  EngineBlobTest() {
    options_ = SmallOptions();
    options_.blob_bytes_min = 1000;
    options_.memtable_bytes = 100'000;
    engine_ = world_.Open(options_);
  }

  /// Puts key `i` once more.
  void Put(int i) {
    model_.Append({{"key" + std::to_string(i), std::string(5000, static_cast<char>('a' + i % 26)) +
                                                   std::to_string(model_.last().value())}});
    ApplyLast();
  }
  void ApplyLast() {
    ASSERT_TRUE(ApplyCommit(*engine_, model_.commit(model_.last()), MarkAt(model_.last())).ok());
    engine_->SetWatermark(Version(model_.last().value()));
  }
  void Flush() {
    engine_->StartFlush("");
    Work();
    ASSERT_EQ(engine_->durable_applied().index, model_.last());
  }
  void Work() {
    for (int i = 0; i < 50; ++i) {
      world_.executor.RunAll();
      world_.clock.AdvanceMs(100);
      engine_->Tick();
    }
  }
  void ExpectRight() { ExpectEqualAt(*engine_, model_, kNewest, Version(model_.last().value())); }
  std::size_t BlobFiles() {
    std::size_t files = 0;
    const auto names = world_.disk.List("/db").value();
    for (const std::string& name : names) files += name.ends_with(".blob") ? 1 : 0;
    return files;
  }

  ManualWorld world_{1};
  EngineOptions options_;
  Model model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineBlobTest, LargeValuesAreWrittenOnceHoweverOftenTheirKeysAreCompacted) {
  for (int i = 0; i < 300; ++i) {
    Put((i * 37) % 300);
    if (i % 20 == 19) Flush();
  }
  ExpectRight();
  const EngineStats stats = engine_->Stats();
  EXPECT_GT(stats.compactions, 0u);
  std::uint64_t written = 0;
  for (const auto& level : stats.levels) written += level.written_bytes;
  EXPECT_LT(written, 300u * 5000 * 11 / 10);
  EXPECT_EQ(stats.blob_files, BlobFiles());
  EXPECT_TRUE(engine_->Verify().ok());
}

TEST_F(EngineBlobTest, GarbageIsCollected) {
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 20; ++i) Put((round * 7 + i * 3) % 40);
    Flush();
  }
  Work();
  ExpectRight();
  const EngineStats stats = engine_->Stats();
  // 40 values of 5,000 bytes are live, of 600 that were written.
  EXPECT_LT(stats.blob_bytes, 3u * 40 * 5000);
  EXPECT_EQ(stats.blob_files, BlobFiles());
}

TEST_F(EngineBlobTest, AFileGoesWithTheLastThatRefersToIt) {
  for (int i = 0; i < 20; ++i) Put(i);
  Flush();
  EXPECT_EQ(BlobFiles(), 1u);
  model_.Append({{"", std::nullopt, ""}});
  ApplyLast();
  Flush();
  Status compacted = Status::Busy("not done");
  engine_->CompactRange({}, [&](Status done) { compacted = std::move(done); });
  Work();
  EXPECT_TRUE(compacted.ok()) << compacted.ToString();
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_EQ(engine_->Stats().blob_bytes, 0u);
  ExpectRight();
}

TEST_F(EngineBlobTest, APinnedValueOutlivesItsFile) {
  for (int i = 0; i < 20; ++i) Put(i);
  Flush();
  PinnedValue value;
  ASSERT_TRUE(engine_->Get("key3", {}, &value).ok());
  const auto walk = engine_->NewIterator({}, {});
  walk->SeekToFirst();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) Put(i);
    Flush();
  }
  engine_->CompactRange({}, [](Status) {});
  Work();
  EXPECT_EQ(value.value().substr(0, 5000), std::string(5000, 'd'));
  int keys = 0;
  for (; walk->Valid(); walk->Next()) ++keys;
  EXPECT_TRUE(walk->status().ok()) << walk->status().ToString();
  EXPECT_EQ(keys, 20);
}

TEST_F(EngineBlobTest, ADamagedValueFailsAloneAndCompactionsGoOn) {
  for (int i = 0; i < 20; ++i) Put(i);
  Flush();
  const auto names = world_.disk.List("/db").value();
  for (const std::string& name : names) {
    if (name.ends_with(".blob")) {
      ASSERT_TRUE(world_.disk.FlipBit("/db/" + name, 2000 * 8).ok());
    }
  }
  PinnedValue value;
  EXPECT_TRUE(engine_->Get("key0", {}, &value).IsCorruption());
  ASSERT_TRUE(engine_->Get("key1", {}, &value).ok());
  // Most of its file dies, which would have the rest written anew.
  for (int round = 0; round < 6; ++round) {
    for (int i = 2; i < 20; ++i) Put(i);
    Flush();
  }
  Work();
  EXPECT_TRUE(engine_->Get("key0", {}, &value).IsCorruption());
  EXPECT_TRUE(engine_->Get("key1", {}, &value).ok());
  EXPECT_EQ(engine_->Stats().state, EngineState::kDegraded);
  for (int i = 2; i < 20; ++i) {
    ASSERT_TRUE(engine_->Get("key" + std::to_string(i), {}, &value).ok());
  }
}

TEST_F(EngineBlobTest, ACheckpointHasItsBlobFiles) {
  for (int i = 0; i < 40; ++i) Put(i);
  Flush();
  ASSERT_TRUE(engine_->Checkpoint("/copy").ok());
  for (int i = 0; i < 40; ++i) Put(i);
  Flush();
  options_.directory = "/copy";
  const auto copy = world_.Open(options_);
  ASSERT_NE(copy, nullptr);
  EXPECT_TRUE(copy->Verify().ok());
  PinnedValue value;
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(copy->Get("key" + std::to_string(i), {}, &value).ok());
    EXPECT_EQ(value.version(), Version(static_cast<std::uint64_t>(i) + 1));
    EXPECT_EQ(value.value().size(), 5000 + std::to_string(i).size());
  }
}

}  // namespace
}  // namespace bedrock::engine
