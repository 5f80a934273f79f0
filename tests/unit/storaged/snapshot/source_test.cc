#include "storaged/snapshot/source.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "storaged/engine/table/hash.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

class SnapshotSourceTest : public ::testing::Test {
 protected:
  SnapshotSourceTest() {
    EXPECT_TRUE(files_.CreateDirectories("data").ok());
    Start();
  }
  void Start() {
    source_.reset();
    engine_.reset();
    executor_.Clear();
    folder_.emplace(DataFolder::Open(files_, "data/storage").value());
    engine::EngineOptions options;
    options.directory = folder_->engine();
    options.reserve_bytes = 0;
    engine_ = engine::Engine::Open(environment_, options).value();
    source_ = std::make_unique<SnapshotSource>(
        environment_, *folder_, SnapshotSource::Options{.bytes_per_second = kMiB, .seed = ++seed_},
        [] {});
    source_->Attach(*engine_);
  }
  void Apply(std::uint64_t entries) {
    for (std::uint64_t i = 0; i < entries; ++i) {
      const LogIndex index = engine_->applied().index.Next();
      WriteBatch batch;
      batch.Put("key " + std::to_string(index.value()), std::string(100, 'v'));
      ASSERT_TRUE(engine_->Apply(batch, {.index = index, .term = Term(1)}).ok());
    }
  }
  void Flush() {
    engine_->StartFlush("client state");
    executor_.RunAll();
  }
  std::vector<SnapshotSource::Answer> Settle() {
    std::vector<SnapshotSource::Answer> out;
    source_->Run(now_ms_, out);
    while (executor_.RunAll() > 0) source_->Run(now_ms_, out);
    return out;
  }
  SnapshotManifest Open(const std::string& from, std::uint64_t at_least, SnapshotId resume = {}) {
    source_->Open(from, RequestId(1), {LogIndex(at_least), resume}, now_ms_);
    const auto out = Settle();
    EXPECT_EQ(out.size(), 1u);
    EXPECT_EQ(out.at(0).to, from);
    return std::get<SnapshotManifest>(out.at(0).message);
  }
  /// Asks until it is made.
  SnapshotManifest Get(const std::string& from, std::uint64_t at_least, SnapshotId resume = {}) {
    SnapshotManifest manifest = Open(from, at_least, resume);
    for (int i = 0; i < 3 && !manifest.id && manifest.error.ok(); ++i) {
      manifest = Open(from, at_least, resume);
    }
    return manifest;
  }
  std::vector<proto::SnapshotChunk> Chunks() {
    std::vector<proto::SnapshotChunk> chunks;
    for (auto& answer : Settle()) {
      chunks.push_back(std::get<proto::SnapshotChunk>(std::move(answer.message)));
    }
    return chunks;
  }

  MemoryFileSystem files_;
  ManualClock clock_{1};
  ManualExecutor executor_;
  const Environment environment_{.file_system = &files_, .clock = &clock_, .executor = &executor_};
  std::uint64_t seed_ = 0;
  std::optional<DataFolder> folder_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<SnapshotSource> source_;
  std::uint64_t now_ms_ = 1'000'000;
};

TEST_F(SnapshotSourceTest, GivesTheFilesOfACheckpointByteForByte) {
  Apply(100);
  Flush();
  const SnapshotManifest manifest = Get("a", 100);
  ASSERT_TRUE(manifest.error.ok());
  EXPECT_EQ(manifest.index, LogIndex(100));
  EXPECT_EQ(manifest.term, Term(1));
  ASSERT_TRUE(CheckManifest(manifest).ok());
  for (std::uint32_t i = 0; i < manifest.files.size(); ++i) {
    std::string content;
    while (content.size() < manifest.files[i].size) {
      source_->Read("a", RequestId(2), {manifest.id, i, content.size(), 1000}, now_ms_);
      const auto chunks = Chunks();
      ASSERT_EQ(chunks.size(), 1u);
      ASSERT_TRUE(chunks[0].error.ok()) << chunks[0].error.detail;
      EXPECT_EQ(chunks[0].hash, HashOf(chunks[0]));
      content += chunks[0].data.view();
      now_ms_ += 10;
    }
    EXPECT_EQ(content.size(), manifest.files[i].size);
    EXPECT_EQ(engine::Hash64(content.substr(0, manifest.files[i].hashed)), manifest.files[i].hash);
  }
}

TEST_F(SnapshotSourceTest, OneCheckpointServesAllForWhomItIsNewEnough) {
  Apply(100);
  Flush();
  const SnapshotManifest first = Get("a", 50);
  EXPECT_EQ(Get("b", 100).id, first.id);
  Apply(100);
  Flush();
  EXPECT_EQ(Get("c", 100).id, first.id);
  const SnapshotManifest second = Get("d", 101);
  EXPECT_NE(second.id, first.id);
  EXPECT_EQ(second.index, LogIndex(200));
  // Who knows one gets just that.
  EXPECT_EQ(Get("e", 100, second.id).id, second.id);
  EXPECT_EQ(Get("e", 100, first.id).id, first.id);
  EXPECT_EQ(Get("e", 100, SnapshotId(5)).id, first.id);
}

TEST_F(SnapshotSourceTest, ThereAreOnlySoManyCheckpoints) {
  for (std::uint64_t i = 1; i <= kCheckpointsMax; ++i) {
    Apply(10);
    Flush();
    ASSERT_TRUE(Get("a" + std::to_string(i), 10 * i).id);
  }
  Apply(10);
  Flush();
  EXPECT_EQ(Get("late", 10 * (kCheckpointsMax + 1)).error.code, ErrorCode::kOverloaded);
  EXPECT_EQ(source_->kept(), kCheckpointsMax);
}

TEST_F(SnapshotSourceTest, ThereAreOnlySoManyReadersOfOne) {
  Apply(10);
  Flush();
  for (std::size_t i = 0; i < kSnapshotReadersMax; ++i) {
    ASSERT_TRUE(Get("reader " + std::to_string(i), 10).id);
  }
  EXPECT_EQ(Get("one more", 10).error.code, ErrorCode::kOverloaded);
  EXPECT_TRUE(Get("reader 3", 10).id);
}

TEST_F(SnapshotSourceTest, TheLastReaderToCloseTakesItAlong) {
  Apply(10);
  Flush();
  const SnapshotId id = Get("a", 10).id;
  Get("b", 10);
  source_->Close("a", {id});
  source_->Close("stranger", {id});
  EXPECT_EQ(source_->kept(), 1u);
  source_->Close("b", {id});
  EXPECT_EQ(source_->kept(), 0u);
  Settle();
  EXPECT_TRUE(files_.List("data/storage.checkpoints")->empty());
  source_->Read("a", RequestId(2), {id, 0, 0, 10}, now_ms_);
  EXPECT_EQ(Chunks().at(0).error.code, ErrorCode::kStorageUnavailable);
}

TEST_F(SnapshotSourceTest, AReaderOfALaterOneNeedsTheEarlierNoLonger) {
  for (std::uint64_t i = 1; i <= 2 * kCheckpointsMax; ++i) {
    Apply(10);
    Flush();
    EXPECT_EQ(Get("a", 10 * i).index, LogIndex(10 * i));
    EXPECT_EQ(source_->kept(), 1u);
  }
}

TEST_F(SnapshotSourceTest, OneThatNobodyReadsAnyMoreGoesAfterAWhile) {
  Apply(10);
  Flush();
  const SnapshotId id = Get("a", 10).id;
  now_ms_ += kSnapshotIdleMs - 1;
  source_->Read("a", RequestId(2), {id, 0, 0, 10}, now_ms_);
  EXPECT_EQ(Chunks().size(), 1u);
  ASSERT_TRUE(source_->NextWakeup());
  now_ms_ = *source_->NextWakeup() - 1;
  Settle();
  EXPECT_EQ(source_->kept(), 1u);
  ++now_ms_;
  Settle();
  EXPECT_EQ(source_->kept(), 0u);
  EXPECT_FALSE(source_->NextWakeup());
}

TEST_F(SnapshotSourceTest, AReadThatIsAskedForTwiceIsAnsweredOnce) {
  Apply(10);
  Flush();
  const SnapshotId id = Get("a", 10).id;
  for (int i = 0; i < 5; ++i) {
    source_->Read("a", RequestId(2), {id, 0, 0, 10}, now_ms_);
    source_->Read("b", RequestId(2), {id, 0, 0, 10}, now_ms_);
  }
  std::size_t answers = 0;
  for (int i = 0; i < 20; ++i) {
    answers += Chunks().size();
    now_ms_ += 10;
  }
  EXPECT_EQ(answers, 2u);
}

TEST_F(SnapshotSourceTest, WhatIsNoPartOfItIsRefused) {
  Apply(10);
  Flush();
  const SnapshotManifest manifest = Get("a", 10);
  const auto code = [&](const proto::SnapshotRead& read) {
    source_->Read("a", RequestId(2), read, now_ms_);
    now_ms_ += 1000;
    return Chunks().at(0).error.code;
  };
  const auto files = static_cast<std::uint32_t>(manifest.files.size());
  EXPECT_EQ(code({manifest.id, files, 0, 10}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({manifest.id, 0, manifest.files[0].size, 10}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({manifest.id, 0, ~0ULL, 10}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({manifest.id, 0, 0, 0}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({manifest.id, 0, 0, proto::kSnapshotChunkBytesMax + 1}),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(code({manifest.id, 0, 0, proto::kSnapshotChunkBytesMax}), ErrorCode::kOk);
}

TEST_F(SnapshotSourceTest, WhatIsOnlyInMemoryIsFlushedForIt) {
  Settle();
  Apply(10);
  SnapshotManifest manifest = Open("a", 10);
  EXPECT_TRUE(manifest.error.ok());
  EXPECT_FALSE(manifest.id);
  EXPECT_TRUE(source_->TakeFlushWanted(now_ms_));
  EXPECT_FALSE(source_->TakeFlushWanted(now_ms_ + 1));
  EXPECT_TRUE(source_->TakeFlushWanted(now_ms_ + kFlushAskMs));
  Flush();
  EXPECT_TRUE(Get("a", 10).id);
  EXPECT_FALSE(source_->TakeFlushWanted(now_ms_ + 5 * kFlushAskMs));
}

TEST_F(SnapshotSourceTest, AnEmptyEngineHasNoSnapshot) {
  EXPECT_EQ(Get("a", 0).error.code, ErrorCode::kTooStale);
}

TEST_F(SnapshotSourceTest, ACheckpointThatFailsIsSaidOnceAndTriedAgain) {
  Apply(10);
  Flush();
  Settle();
  files_.Inject({.operations = {MemoryFileSystem::Operation::kCreateDirectory}});
  EXPECT_EQ(Get("a", 10).error.code, ErrorCode::kStorageUnavailable);
  EXPECT_TRUE(Get("a", 10).id);
}

TEST_F(SnapshotSourceTest, ARestartKeepsWhatIsWholeAndRemovesTheRest) {
  Apply(10);
  Flush();
  const SnapshotManifest kept = Get("a", 10);
  Apply(10);
  Flush();
  const SnapshotManifest broken = Get("b", 20);
  ASSERT_TRUE(files_.Remove(folder_->CheckpointFolder(broken.id) + "/CURRENT").ok());
  Start();
  Settle();
  EXPECT_EQ(source_->kept(), 1u);
  EXPECT_EQ(files_.List("data/storage.checkpoints")->size(), 1u);
  EXPECT_EQ(Get("a", 10, kept.id), kept);
}

TEST_F(SnapshotSourceTest, NothingIsReadOfAnEngineThatWasDetached) {
  Apply(10);
  Flush();
  Settle();
  source_->Detach();
  engine_.reset();
  EXPECT_EQ(Get("a", 10).error.code, ErrorCode::kStorageUnavailable);
}

}  // namespace
}  // namespace bedrock::storage
