#include <filesystem>

#include "common/base/status_macros.h"
#include "common/env/memory_file_system.h"
#include "common/env/posix_file_system.h"
#include "tests/unit/raftd/log/log_model.h"

namespace bedrock::raft {
namespace {

// Random submits, cuts, votes, syncs, idle proofs, compactions, reads and reopenings against a
// vector.
void RunModel(FileSystem& files, const std::string& directory, std::uint64_t seed, int steps) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  LogDriver driver(files, directory);
  ASSERT_TRUE(driver.Open().ok());
  for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
    const Status done = driver.Step(random);
    ASSERT_TRUE(done.ok()) << done.ToString();
    if (!random.Chance(1, 25)) continue;
    if (random.Chance(1, 2)) {
      ASSERT_TRUE(driver.Sync().ok());
    }
    driver.Close();
    const Status opened = driver.Open();
    ASSERT_TRUE(opened.ok()) << opened.ToString();
  }
}

TEST(RaftLogModelTest, BehavesLikeAVectorInMemory) {
  for (std::uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
    MemoryFileSystem files;
    RunModel(files, "raft", seed, 400);
  }
}

TEST(RaftLogModelTest, BehavesLikeAVectorOnThisMachinesDisk) {
  PosixFileSystem files;
  for (std::uint64_t seed = 1; seed <= 4 && !::testing::Test::HasFailure(); ++seed) {
    const std::string directory =
        ::testing::TempDir() + "raft_log_" + std::to_string(SystemEntropy());
    RunModel(files, directory, seed, 250);
    std::filesystem::remove_all(directory);
  }
}

// ---- Rot

/// One bad page leaves a log that starts, knows what stood before its first entry, and serves
/// nothing but what was written.
void CheckWithBadPage(MemoryFileSystem& files, const LogModel& model) {
  ManualClock clock;
  ManualExecutor executor;
  auto opened = RaftLog::Open({&files, &clock, &executor}, SmallOptions(), ThreeVoters());
  ASSERT_TRUE(opened.ok()) << opened.status().ToString();
  RaftLog& log = **opened;
  const Recovered& found = log.recovered();
  ASSERT_LE(found.last_index, model.last_index());
  if (found.prev_index) {
    EXPECT_EQ(found.prev_term, model.entries[found.prev_index.value() - 1].term);
  }
  for (LogIndex i = found.prev_index.Next(); i <= found.last_index; i = i.Next()) {
    const auto read = log.Read(i, i, 1);
    if (read.ok()) {
      ASSERT_EQ(read->front(), model.entries[i.value() - 1]);
    }
  }
}

TEST(RaftLogRotTest, OneBadPageOfAnySegmentLeavesALogThatKnowsWhereItBegins) {
  int bad_pages = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    MemoryFileSystem whole;
    LogDriver driver(whole, "raft");
    ASSERT_TRUE(driver.Open().ok());
    for (int i = 0; i < 150; ++i) ASSERT_TRUE(driver.Step(random).ok());
    ASSERT_TRUE(driver.Sync().ok());
    ASSERT_TRUE(driver.log().SyncIdle().ok());
    driver.Close();
    const auto names = whole.List("raft/log");
    for (const std::string& name : *names) {
      if (!name.ends_with(kSegmentSuffix)) continue;
      const std::string path = "raft/log/" + name;
      for (std::uint64_t page = kPageBytes; page < *whole.FileSize(path); page += kPageBytes) {
        SCOPED_TRACE("seed " + std::to_string(seed) + ", " + name + " at " + std::to_string(page));
        const auto files = whole.Clone();
        ASSERT_TRUE(files->FlipBit(path, 8 * page + random.Below(100)).ok());
        CheckWithBadPage(*files, driver.model());
        if (::testing::Test::HasFailure()) return;
        ++bad_pages;
      }
    }
  }
  EXPECT_GT(bad_pages, 500);
}

// ---- Power cuts

using CrashMode = MemoryFileSystem::CrashMode;

/// Runs the steps of `seed` until an error, which only the crash may give.
void RunUntilCrash(MemoryFileSystem& files, LogDriver& driver, std::uint64_t seed, int steps) {
  Random random(seed);
  Status done = driver.Open();
  for (int i = 0; done.ok() && i < steps && !::testing::Test::HasFailure(); ++i)
    done = driver.Step(random);
  ASSERT_TRUE(done.ok() || files.crashed()) << done.ToString();
  driver.Close();
}

/// Opens what a crash left, and goes on for a while to see that the log still works.
void RecoverAndGoOn(MemoryFileSystem& files, LogDriver& driver, Random& random) {
  const bool again = random.Chance(1, 3);
  if (again) files.CrashAtMutation(files.mutations() + random.Between(1, 12));
  Status opened = driver.Open();
  if (!opened.ok()) {
    ASSERT_TRUE(files.crashed()) << opened.ToString();
  }
  if (again) {
    // A second power cut while recovering, or soon after.
    Status done = opened;
    for (int i = 0; done.ok() && i < 12 && !::testing::Test::HasFailure(); ++i)
      done = driver.Step(random);
    driver.Close();
    files.Crash(random, CrashMode::kRandom);
    opened = driver.Open();
  }
  ASSERT_TRUE(opened.ok()) << opened.ToString();
  for (int i = 0; i < 10 && !::testing::Test::HasFailure(); ++i) {
    const Status done = driver.Step(random);
    ASSERT_TRUE(done.ok()) << done.ToString();
  }
  ASSERT_TRUE(driver.Sync().ok());
  driver.Close();
  files.Crash(random, CrashMode::kLoseUnsynced);
  opened = driver.Open();
  ASSERT_TRUE(opened.ok()) << opened.ToString();
}

TEST(RaftLogCrashTest, AfterAPowerCutAtAnyOperationTheLogIsOneOfThePossibleStates) {
  constexpr int kSteps = 60;
  std::uint64_t crashes = 0;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    MemoryFileSystem whole;
    LogDriver undisturbed(whole, "raft");
    RunUntilCrash(whole, undisturbed, seed, kSteps);
    for (std::uint64_t at = 1; at <= whole.mutations(); ++at) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", power cut at operation " +
                   std::to_string(at));
      MemoryFileSystem files;
      files.CrashAtMutation(at);
      LogDriver driver(files, "raft");
      RunUntilCrash(files, driver, seed, kSteps);
      ASSERT_TRUE(files.crashed());
      Random random(seed * 100'000 + at);
      files.Crash(random, CrashMode::kRandom);
      RecoverAndGoOn(files, driver, random);
      if (::testing::Test::HasFailure()) return;
      ++crashes;
    }
  }
  EXPECT_GT(crashes, 1500U);
}

TEST(RaftLogCrashTest, EndingTheProcessAnywhereLosesNothingThatWasSynced) {
  for (std::uint64_t seed = 1; seed <= 40 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    MemoryFileSystem files;
    LogDriver driver(files, "raft");
    for (int life = 0; life < 12 && !::testing::Test::HasFailure(); ++life) {
      const Status opened = driver.Open();
      ASSERT_TRUE(opened.ok()) << opened.ToString();
      for (std::uint64_t i = random.Below(30); i > 0; --i) ASSERT_TRUE(driver.Step(random).ok());
      driver.Close();
      files.Crash(random, random.Chance(1, 2) ? CrashMode::kProcessOnly : CrashMode::kRandom);
    }
  }
}

// A sync that fails poisons the log; after the process came back it may have lost anything that was
// not acknowledged, and nothing else.
TEST(RaftLogCrashTest, AnyFailedCallLosesNothingThatWasSynced) {
  using Operation = MemoryFileSystem::Operation;
  for (std::uint64_t seed = 1; seed <= 150 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    MemoryFileSystem files;
    LogDriver driver(files, "raft");
    ASSERT_TRUE(driver.Open().ok());
    const Operation kinds[] = {Operation::kWrite, Operation::kSync, Operation::kRename,
                               Operation::kSyncDirectory, Operation::kOpen};
    files.Inject({.operations = {kinds[random.Below(5)]},
                  .path_suffix = "",
                  .nth = random.Between(1, 30),
                  .error = random.Chance(1, 3) ? StatusCode::kNoSpace : StatusCode::kIoError});
    Status done;
    for (int i = 0; done.ok() && i < 100; ++i) done = driver.Step(random);
    files.ClearFaults();
    driver.Close();
    files.Crash(random, random.Chance(1, 2) ? CrashMode::kProcessOnly : CrashMode::kRandom);
    const Status opened = driver.Open();
    ASSERT_TRUE(opened.ok()) << opened.ToString();
  }
}

}  // namespace
}  // namespace bedrock::raft
