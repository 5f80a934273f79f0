#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "storaged/engine/wal/log.h"
#include "tests/unit/storaged/engine/wal/log_fixture.h"

namespace bedrock::engine::wal {
namespace {

using CrashMode = MemoryFileSystem::CrashMode;
using Operation = MemoryFileSystem::Operation;

/// A log and what it promised. The same seed does the same until the disk fails.
class LogCrashTest : public LogTest {
 protected:
  /// Random calls, until the disk fails. The flushes of the database are those of `flushed_`.
  void Run(std::uint64_t seed, int steps) {
    Random random(seed);
    for (int i = 0; i < steps && !fs().crashed(); ++i) Step(random);
  }

  void Step(Random& random) {
    switch (random.Below(12)) {
      case 0:
      case 1:
        if (log_->Sync(log_->position()).ok()) {
          synced_ = std::max(synced_, last_);
          cached_ = std::max(cached_, last_);
        } else {
          Shrink();
        }
        break;
      case 2:
        executor_.RunAll(1 + random.Below(3));
        break;
      case 3:
        // Flushes make commits durable elsewhere, those that are not synced, too.
        flushed_ = std::max(flushed_, random.Below(last_ + 1));
        if (random.Chance(1, 3)) flushed_ = last_;
        synced_ = std::max(synced_, flushed_);
        log_->ReleaseThrough(Version(flushed_));
        break;
      default:
        AppendOne(random);
    }
  }

  void AppendOne(Random& random) {
    const bool disk = random.Chance(1, 3);
    const std::size_t padding =
        static_cast<std::size_t>(random.Chance(1, 40) ? random.Below(50'000) : random.Below(1500));
    const std::string payload = PayloadOf(last_ + 1, padding, life_);
    const Status appended =
        log_->Append(Version(last_ + 1), payload, disk ? Durability::kDisk : Durability::kProcess);
    // What failed may be there after a crash all the same, as the newest commit.
    model_[last_ + 1] = payload;
    if (!appended.ok()) {
      Shrink();
      return;
    }
    ++last_;
    if (!disk) cached_ = last_;
  }

  /// A write failed: commits that only waited for a sync were undone.
  void Shrink() {
    const std::uint64_t last = log_->last_version().value();
    EXPECT_GE(last, cached_);
    EXPECT_LE(last, last_);
    last_ = last;
  }

  /// The log after a crash holds a prefix of what was appended, with all that was promised.
  void Check(CrashMode mode) {
    const Status opened = Open(Version(flushed_));
    ASSERT_TRUE(opened.ok()) << opened.ToString();
    const std::uint64_t last = log_->last_version().value();
    EXPECT_GE(last, synced_);
    if (mode == CrashMode::kProcessOnly) {
      EXPECT_GE(last, cached_);
    }
    for (const auto& [version, payload] : found_) {
      ASSERT_TRUE(model_.contains(version)) << version;
      EXPECT_EQ(payload, model_[version]);
    }
    // Open has made it durable.
    last_ = cached_ = synced_ = last;
    model_.erase(model_.upper_bound(last), model_.end());
    ++life_;
  }

  Commits model_;
  std::uint64_t life_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t cached_ = 0;   // survives the process
  std::uint64_t synced_ = 0;   // survives the machine
  std::uint64_t flushed_ = 0;  // durable elsewhere
};

constexpr CrashMode kModes[] = {CrashMode::kProcessOnly, CrashMode::kLoseUnsynced,
                                CrashMode::kKeepUnsynced, CrashMode::kRandom};

TEST_F(LogCrashTest, ManyLivesOfRandomCallsKeepWhatWasPromised) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    UseDisk(std::make_unique<MemoryFileSystem>());
    ASSERT_TRUE(fs().CreateDirectories("db").ok());
    model_.clear();
    last_ = cached_ = synced_ = flushed_ = life_ = 0;
    ASSERT_TRUE(Open().ok());
    Random random(seed * 977);
    for (std::uint64_t life = 0; life < 6; ++life) {
      Run(seed * 100 + life, 120);
      const CrashMode mode = kModes[random.Below(4)];
      Crash(mode, seed * 100 + life);
      Check(mode);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(LogCrashTest, ACrashAtEveryChangeOfTheDiskKeepsWhatWasPromised) {
  constexpr std::uint64_t kSeed = 7;
  constexpr int kSteps = 150;
  ASSERT_TRUE(Open().ok());
  Run(kSeed, kSteps);
  const std::uint64_t mutations = fs().mutations();
  ASSERT_GT(mutations, 100u);
  for (std::uint64_t at = 2; at <= mutations; ++at) {
    for (std::uint64_t draw = 0; draw < 6; ++draw) {
      SCOPED_TRACE(testing::Message() << "mutation " << at << " draw " << draw);
      UseDisk(std::make_unique<MemoryFileSystem>());
      ASSERT_TRUE(fs().CreateDirectories("db").ok());
      executor_.Clear();
      model_.clear();
      last_ = cached_ = synced_ = flushed_ = life_ = 0;
      ASSERT_TRUE(Open().ok());
      if (fs().mutations() >= at) continue;
      fs().CrashAtMutation(at);
      Run(kSeed, kSteps);
      const CrashMode mode = draw < 3 ? kModes[draw] : CrashMode::kRandom;
      Crash(mode, draw * 1000 + at);
      Check(mode);
      if (HasFatalFailure()) return;
      // And the next life, crashed in its recovery or soon after it, keeps it as well.
      fs().CrashAtMutation(fs().mutations() + 1 + draw);
      Run(kSeed + 1, 30);
      Crash(CrashMode::kRandom, at);
      Check(CrashMode::kRandom);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(LogCrashTest, AFailureOfAnyCallKeepsWhatWasPromised) {
  for (const StatusCode error : {StatusCode::kIoError, StatusCode::kNoSpace}) {
    for (const Operation operation :
         {Operation::kWrite, Operation::kSync, Operation::kOpen, Operation::kRename,
          Operation::kRemove, Operation::kSyncDirectory}) {
      for (std::uint64_t nth = 1; nth <= 40; ++nth) {
        SCOPED_TRACE(testing::Message() << static_cast<int>(operation) << " call " << nth);
        UseDisk(std::make_unique<MemoryFileSystem>());
        ASSERT_TRUE(fs().CreateDirectories("db").ok());
        executor_.Clear();
        model_.clear();
        last_ = cached_ = synced_ = flushed_ = life_ = 0;
        ASSERT_TRUE(Open().ok());
        fs().Inject({.operations = {operation}, .path_suffix = "", .nth = nth, .error = error});
        Run(nth, 100);
        const CrashMode mode = kModes[nth % 4];
        Crash(mode, nth);
        Check(mode);
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace bedrock::engine::wal
