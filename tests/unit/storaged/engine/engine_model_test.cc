#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>

#include "common/env/posix_file_system.h"
#include "tests/unit/storaged/engine/engine_fixture.h"

namespace bedrock::engine {
namespace {

/// Random operations against the model, on the disk it is given.
class Driver {
 public:
  Driver(FileSystem& disk, std::string directory, std::uint64_t seed)
      : random_(seed), executor_(Random(seed).Fork(1)), environment_{&disk, &clock_, &executor_} {
    options_ = SmallOptions(std::move(directory));
    options_.filter_bits_per_key = random_.Chance(1, 4) ? 0 : 10;
    if (random_.Chance(1, 2)) options_.compression = bedrock::Compression::kNone;
    options_.flush_jobs_max = random_.Between(1, 2);
    options_.compaction_jobs_max = random_.Between(1, 3);
    options_.level1_bytes = random_.Chance(1, 2) ? 16 * kKiB : 256 * kMiB;
    options_.level_multiplier = 4;
    options_.block_cache_bytes = random_.Chance(1, 4) ? 0 : 64 * kKiB;
    Reopen();
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) Step();
    executor_.RunAll();
    Compare();
    ASSERT_FALSE(compacting_) << "whoever asked for a compaction is told";
    ASSERT_TRUE(engine_->Verify().ok()) << engine_->Verify().ToString();
    EXPECT_TRUE(compacted_tables_seen_ && flushed_tables_seen_);
  }

 private:
  void Step() {
    const std::uint64_t dice = random_.Below(1000);
    if (dice < 600) {
      ApplyOne();
    } else if (dice < 800) {
      executor_.RunOne();
    } else if (dice < 880) {
      CheckOneKey();
    } else if (dice < 900) {
      const Version highest(watermark_.value() + random_.Below(40));
      watermark_ = std::max(watermark_, std::min(highest, Version(model_.last().value() + 5)));

      engine_->SetWatermark(watermark_);
    } else if (dice < 930) {
      engine_->StartFlush(ClientStateAt(engine_->applied().index));
    } else if (dice < 950) {
      HoldOrCheckIterator();
    } else if (dice < 955) {
      Compare();
    } else if (dice < 956) {
      CheckPin();
    } else if (dice < 957) {
      CheckCheckpoint();
    } else if (dice < 959) {
      CompactSome();
    } else if (dice < 961) {
      Reopen();
    } else if (dice < 970) {
      CheckRange();
    } else if (dice < 972) {
      SeekOften();
    }
    const EngineStats stats = engine_->Stats();
    flushed_tables_seen_ |= stats.levels[0].files > 0;
    compacted_tables_seen_ |= CompactedFiles(stats) > 0;
  }

  void ApplyOne() {
    const LogIndex next = engine_->applied().index.Next();
    if (next > model_.last()) model_.Append(RandomCommit(random_));
    const Status status = ApplyCommit(*engine_, model_.commit(next), MarkAt(next));
    if (status.IsBusy()) {
      executor_.RunAll();
      return;
    }
    ASSERT_TRUE(status.ok()) << status.ToString();
    if (engine_->WantsFlush()) engine_->StartFlush(ClientStateAt(next));
  }

  /// A version that may be read.
  Version RandomVersion() {
    return Version(random_.Between(std::min(watermark_.value(), engine_->applied().index.value()),
                                   engine_->applied().index.value() + 2));
  }

  void CheckOneKey() {
    const std::string key = RandomKey(random_);
    const Version at = RandomVersion();
    const Version seen = std::min(at, Version(engine_->applied().index.value()));
    const auto got = engine_->Get(key, at);
    ASSERT_TRUE(got.ok()) << got.status().ToString();
    const Model::Newest want = model_.Get(key, seen);
    ASSERT_EQ(got->found, want.value.has_value());
    if (want.value) {
      ASSERT_EQ(got->value, *want.value);
    }
  }

  void CheckRange() {
    std::string begin = RandomKey(random_);
    std::string end = RandomKey(random_);
    if (!end.empty() && end < begin) std::swap(begin, end);
    const Version at = RandomVersion();
    const auto live = model_.Live(std::min(at, Version(engine_->applied().index.value())));
    const auto walk = engine_->NewIterator({.at = at}, {begin, end});
    const std::string from = RandomKey(random_);
    walk->Seek(from);
    auto want = live.lower_bound(std::max(begin, from));
    for (; want != live.end() && (end.empty() || want->first < end); ++want) {
      ASSERT_TRUE(walk->Valid()) << walk->status().ToString();
      ASSERT_EQ(walk->key(), want->first);
      ASSERT_EQ(walk->value(), *want->second.value);
      walk->Next();
    }
    ASSERT_FALSE(walk->Valid());
  }

  /// So often that level 0 is worth a merge.
  void SeekOften() {
    const Version at(engine_->applied().index.value());
    const auto live = model_.Live(at);
    const auto walk = engine_->NewIterator({.at = at}, {});
    for (int i = 0; i < 1200; ++i) {
      const std::string from = RandomKey(random_);
      walk->Seek(from);
      const auto want = live.lower_bound(from);
      ASSERT_EQ(walk->Valid(), want != live.end());
      if (walk->Valid()) {
        ASSERT_EQ(walk->key(), want->first);
      }
      if (i % 100 == 0) executor_.RunOne();
    }
  }

  /// An iterator keeps showing the state it was made at, whatever is flushed and compacted since.
  void HoldOrCheckIterator() {
    if (held_ == nullptr) {
      held_at_ = Version(engine_->applied().index.value());
      held_ = engine_->NewIterator({.at = held_at_}, {});
      return;
    }
    held_->SeekToFirst();
    for (const auto& [key, want] : model_.Live(held_at_)) {
      ASSERT_TRUE(held_->Valid()) << held_->status().ToString();
      ASSERT_EQ(held_->key(), key);
      ASSERT_EQ(held_->value(), *want.value);
      held_->Next();
    }
    ASSERT_FALSE(held_->Valid());
    held_.reset();
  }

  /// A pinned version keeps its answers, however far the watermark goes and whatever is flushed and
  /// compacted since.
  void CheckPin() {
    if (!pin_) {
      pin_ = engine_->GetSnapshot();
      ASSERT_EQ(pin_->version(), engine_->newest());
      return;
    }
    ExpectEqualAt(*engine_, model_, pin_->version(), watermark_);
    pin_.reset();
  }

  /// What was durable is in the checkpoint, as a database of its own, whatever goes on here.
  void CheckCheckpoint() {
    const std::string directory = options_.directory + "-copy" + std::to_string(++checkpoints_);
    const AppliedMark mark = engine_->durable_applied();
    const Status made = engine_->Checkpoint(directory);
    ASSERT_TRUE(made.ok()) << made.ToString();
    ManualExecutor executor(random_.Fork(checkpoints_));
    EngineOptions options = options_;
    options.directory = directory;
    const auto copy =
        Engine::Open({environment_.file_system, environment_.clock, &executor}, options);
    ASSERT_TRUE(copy.ok()) << copy.status().ToString();
    ASSERT_EQ((*copy)->applied(), mark);
    ASSERT_EQ((*copy)->client_state(), ClientStateAt(mark.index));
    ExpectEqualAt(**copy, model_, Version(mark.index.value()), watermark_);
    executor.RunAll();
    ExpectEqualAt(**copy, model_, Version(mark.index.value()), watermark_);
  }

  void CompactSome() {
    if (compacting_) return;
    compacting_ = true;
    std::string begin = RandomKey(random_);
    std::string end = RandomKey(random_);
    if (!end.empty() && end < begin) std::swap(begin, end);
    engine_->CompactRange({begin, end}, [this](Status status) {
      ASSERT_TRUE(status.ok() || status.IsAborted()) << status.ToString();
      compacting_ = false;
    });
  }

  void Compare() {
    const Version low = std::min(watermark_, Version(engine_->applied().index.value()));
    ExpectEqualAt(*engine_, model_, low, watermark_);
    ExpectEqualAt(*engine_, model_, RandomVersion(), watermark_);
    ExpectEqualAt(*engine_, model_, kNewest, watermark_);
  }

  void Reopen() {
    held_.reset();
    pin_.reset();
    const LogIndex durable = engine_ == nullptr ? LogIndex() : engine_->durable_applied().index;
    engine_.reset();
    executor_.RunAll();  // what was posted comes too late and must do nothing
    auto engine = Engine::Open(environment_, options_);
    ASSERT_TRUE(engine.ok()) << engine.status().ToString();
    engine_ = std::move(engine).value();
    engine_->SetWatermark(watermark_);
    ASSERT_EQ(engine_->durable_applied(), durable ? MarkAt(durable) : AppliedMark{});
    ASSERT_EQ(engine_->applied(), engine_->durable_applied());
    ASSERT_EQ(engine_->client_state(), ClientStateAt(durable));
    ExpectEqualAt(*engine_, model_, kNewest, watermark_);
  }

  static constexpr Version kNewest{std::uint64_t{1} << 50};

  Random random_;
  ManualClock clock_;
  ManualExecutor executor_;
  Environment environment_;
  EngineOptions options_;
  Model model_;
  Version watermark_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Iterator> held_;
  Version held_at_;
  std::optional<Snapshot> pin_;
  std::uint64_t checkpoints_ = 0;
  bool compacting_ = false;
  bool flushed_tables_seen_ = false;
  bool compacted_tables_seen_ = false;
};

class EngineModelTest : public testing::TestWithParam<std::uint64_t> {};

TEST_P(EngineModelTest, AnswersLikeAMapOfVersionsInMemory) {
  MemoryFileSystem disk;
  Driver(disk, "/db", GetParam()).Run(4000);
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineModelTest, testing::Range<std::uint64_t>(1, 13));

TEST(EngineModelPosixTest, AnswersLikeAMapOfVersionsOnARealDisk) {
  std::string folder = testing::TempDir() + "bedrock_engine_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  PosixFileSystem disk;
  Driver(disk, folder + "/db", 99).Run(3000);
  std::filesystem::remove_all(folder);
}

TEST(EngineModelPosixTest, AnswersLikeAMapOfVersionsWithSomeFilesMapped) {
  std::string folder = testing::TempDir() + "bedrock_engine_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  PosixFileSystem disk(10'000);
  Driver(disk, folder + "/db", 98).Run(3000);
  EXPECT_EQ(disk.mapped_bytes(), 0u) << "nothing is open any more";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace bedrock::engine
