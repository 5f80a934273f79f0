#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bedrock/db.h"
#include "common/env/random.h"
#include "database_fixture.h"

namespace bedrock::embedded {
namespace {

using CrashMode = MemoryFileSystem::CrashMode;
using Operation = MemoryFileSystem::Operation;

/// A database in memory that a seed writes to, and what it has to be after any crash: the state of
/// some version, none older than what was acknowledged.
class CrashRun {
 public:
  explicit CrashRun(std::uint64_t seed) : seed_(seed), random_(seed) { states_[0] = {}; }

  SimulatedMachine& machine() { return machine_; }

  /// Commits until `commits` have been acknowledged or one fails. Gives whether all were.
  bool Write(int commits) {
    auto opened = DB::Open("db", Options());
    if (!opened.ok()) return false;
    db_ = std::move(opened).value();
    for (int i = 0; i < commits; ++i) {
      if (!WriteOne(i)) return false;
    }
    return true;
  }

  /// The process ends, or the machine does; comes back, and looks at what is left.
  void CrashAndCheck(CrashMode mode) {
    const std::uint64_t required = mode == CrashMode::kProcessOnly ? acknowledged_ : durable_;
    db_.reset();
    machine_.Crash(seed_ * 31 + machine_.files.mutations(), mode);
    auto opened = DB::Open("db", Options());
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    db_ = std::move(opened).value();
    const std::uint64_t newest = db_->Stats().newest.value();
    ASSERT_GE(newest, required);
    ASSERT_LE(newest, states_.rbegin()->first);
    ASSERT_EQ(ReadAll(*db_), states_.at(newest)) << "version " << newest;
    states_.erase(states_.upper_bound(newest), states_.end());
    // Once it has been seen after a crash it stays.
    acknowledged_ = durable_ = newest;
  }

  bool WriteOne(int i) {
    WriteBatch batch;
    Content state = states_.rbegin()->second;
    const std::uint64_t changes = random_.Chance(1, 5) ? 4 : 1;
    for (std::uint64_t change = 0; change < changes; ++change) {
      const std::string key = std::to_string(random_.Below(20));
      if (random_.Chance(1, 10)) {
        batch.DeleteRange(key, key + "~");
        state.erase(state.lower_bound(key), state.lower_bound(key + "~"));
      } else if (random_.Chance(1, 6)) {
        batch.Delete(key);
        state.erase(key);
      } else {
        const std::string value = std::to_string(i) + std::string(random_.Below(4000), 'v');
        batch.Put(key, value);
        state[key] = value;
      }
    }
    // From now on it may be there, whatever the call says.
    const std::uint64_t version = states_.rbegin()->first + 1;
    states_[version] = std::move(state);
    const bool sync = random_.Chance(1, 4);
    const Result<Version> written = db_->Write(batch, {.sync = sync ? Sync::kYes : Sync::kNo});
    if (!written.ok()) return false;
    EXPECT_EQ(written->value(), version);
    acknowledged_ = version;
    if (sync) durable_ = version;
    if (random_.Chance(1, 40)) {
      if (!db_->Flush().ok()) return false;
      durable_ = acknowledged_;
    }
    for (std::uint64_t jobs = random_.Below(4); jobs > 0; --jobs) (void)machine_.executor.RunOne();
    return true;
  }

 private:
  bedrock::Options Options() {
    bedrock::Options options = machine_.MakeOptions();
    options.memtable_bytes = 64 << 10;
    return options;
  }

  const std::uint64_t seed_;
  Random random_;
  SimulatedMachine machine_;
  std::unique_ptr<DB> db_;
  std::map<std::uint64_t, Content> states_;  ///< By version.
  std::uint64_t acknowledged_ = 0;
  std::uint64_t durable_ = 0;
};

constexpr int kCommits = 150;

// Once through to learn how many changes of the disk there are, then a crash at many of them.
TEST(DurabilityTest, ACrashAnywhereLeavesAPrefixWithAllThatWasAcknowledged) {
  constexpr CrashMode kModes[] = {CrashMode::kProcessOnly, CrashMode::kLoseUnsynced,
                                  CrashMode::kKeepUnsynced, CrashMode::kRandom};
  for (std::uint64_t seed = 0; seed < 2; ++seed) {
    CrashRun whole(seed);
    ASSERT_TRUE(whole.Write(kCommits));
    const std::uint64_t mutations = whole.machine().files.mutations();
    ASSERT_GT(mutations, 100u);
    const std::uint64_t stride = mutations / 40 + 1;
    for (std::uint64_t at = 1 + seed; at < mutations; at += stride) {
      for (const CrashMode mode : kModes) {
        SCOPED_TRACE("seed " + std::to_string(seed) + " mutation " + std::to_string(at) + " mode " +
                     std::to_string(static_cast<int>(mode)));
        CrashRun run(seed);
        run.machine().files.CrashAtMutation(at);
        run.Write(kCommits);  // what only fails in the background may let it come through
        ASSERT_NO_FATAL_FAILURE(run.CrashAndCheck(mode));
        // It goes on from there, and a second crash holds as well.
        for (int i = 0; i < 10; ++i) ASSERT_TRUE(run.WriteOne(1000 + i));
        ASSERT_NO_FATAL_FAILURE(run.CrashAndCheck(CrashMode::kRandom));
      }
    }
  }
}

TEST(DurabilityTest, CrashAfterCrashOnOneDisk) {
  for (std::uint64_t seed = 100; seed < 110; ++seed) {
    CrashRun run(seed);
    Random random(seed);
    ASSERT_TRUE(run.Write(30));
    for (int crash = 0; crash < 12; ++crash) {
      SCOPED_TRACE("seed " + std::to_string(seed) + " crash " + std::to_string(crash));
      run.machine().files.CrashAtMutation(run.machine().files.mutations() + 1 + random.Below(200));
      for (int i = 0; i < 60; ++i) {
        if (!run.WriteOne(i)) break;
      }
      ASSERT_NO_FATAL_FAILURE(
          run.CrashAndCheck(random.Chance(1, 3) ? CrashMode::kProcessOnly : CrashMode::kRandom));
    }
  }
}

// ---- History

TEST(HistoryOfADatabaseTest, VersionsGoWhenTheirTimeIsOver) {
  SimulatedMachine machine;
  Options options = machine.MakeOptions();
  options.history = std::chrono::seconds(64);
  auto db = DB::Open("db", options).value();
  const auto pass = [&](std::uint64_t seconds) {
    for (std::uint64_t i = 0; i < seconds; ++i) {
      machine.clock.AdvanceMs(1000);
      machine.executor.AdvanceMs(1000);
      machine.executor.RunAll();
    }
  };
  const auto read_at = [&](Version version) {
    std::string value;
    ReadOptions at;
    at.at_version = version;
    const Status status = db->Get("a", &value, at);
    return status.ok() ? value : std::string(StatusCodeName(status.code()));
  };
  const Version first = db->Put("a", "1").value();
  pass(10);
  const Version second = db->Put("a", "2").value();
  pass(60);
  // The first one was overwritten 60 s ago.
  ASSERT_TRUE(db->CompactRange().ok());
  EXPECT_EQ(read_at(first), "1");
  EXPECT_EQ(read_at(second), "2");
  pass(10);
  ASSERT_TRUE(db->Put("b", "1").ok());  // so that there is something to flush
  ASSERT_TRUE(db->CompactRange().ok());
  EXPECT_EQ(read_at(first), "invalid_argument");
  EXPECT_EQ(read_at(second), "2");
  // A restart forgets no version that is still to be kept.
  ASSERT_TRUE(db->Put("a", "3").ok());
  db.reset();
  machine.executor.Clear();
  db = DB::Open("db", options).value();
  ASSERT_TRUE(db->CompactRange().ok());
  EXPECT_EQ(read_at(second), "2");
}

// ---- Errors of the disk

class DiskErrorTest : public testing::Test {
 protected:
  DiskErrorTest() { Open(); }

  void Open() {
    db_.reset();
    machine_.executor.Clear();
    auto opened = DB::Open("db", machine_.MakeOptions());
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    db_ = std::move(opened).value();
  }
  void CrashAndOpen(CrashMode mode) {
    db_.reset();
    machine_.Crash(1, mode);
    Open();
  }

  SimulatedMachine machine_;
  std::unique_ptr<DB> db_;
};

TEST_F(DiskErrorTest, AFailedSyncOfTheLogEndsAllCommitsUntilTheNextOpen) {
  ASSERT_TRUE(db_->Put("a", "1").ok());
  machine_.files.Inject({.operations = {Operation::kSync}, .path_suffix = ".log"});
  const Status failed = db_->Put("b", "1");
  EXPECT_TRUE(failed.IsIOError()) << failed.ToString();
  EXPECT_EQ(GetOr(*db_, "a"), "1");
  EXPECT_EQ(GetOr(*db_, "b"), "-");
  EXPECT_TRUE(db_->Put("c", "1").status().IsIOError());
  EXPECT_TRUE(db_->Put("c", "1", {.sync = Sync::kNo}).status().IsIOError());
  EXPECT_TRUE(db_->Flush().IsIOError());
  EXPECT_EQ(db_->Stats().state, EngineState::kFailed);
  EXPECT_FALSE(db_->Stats().detail.empty());
  EXPECT_TRUE(db_->Close().IsIOError());
  CrashAndOpen(CrashMode::kLoseUnsynced);
  EXPECT_EQ(db_->Stats().state, EngineState::kHealthy);
  EXPECT_EQ(GetOr(*db_, "a"), "1");
  EXPECT_TRUE(db_->Put("c", "1").ok());
}

TEST_F(DiskErrorTest, AFailedWriteOfTheLogFailsItsCommitOnly) {
  ASSERT_TRUE(db_->Put("a", "1").ok());
  machine_.files.Inject({.operations = {Operation::kWrite}, .path_suffix = ".log"});
  EXPECT_TRUE(db_->Put("b", "1", {.sync = Sync::kNo}).status().IsIOError());
  EXPECT_EQ(GetOr(*db_, "b"), "-");
  const Status again = db_->Put("c", "1", {.sync = Sync::kNo});
  EXPECT_TRUE(again.ok()) << again.ToString();
  ASSERT_TRUE(db_->Put("d", "1").ok());
  EXPECT_EQ(db_->Stats().state, EngineState::kHealthy);
  const Content expected = {{"a", "1"}, {"c", "1"}, {"d", "1"}};
  EXPECT_EQ(ReadAll(*db_), expected);
  CrashAndOpen(CrashMode::kLoseUnsynced);
  EXPECT_EQ(ReadAll(*db_), expected);
}

TEST_F(DiskErrorTest, AFullDiskRefusesWritesAndClearsByItself) {
  const std::string value(100'000, 'v');
  Content written;
  machine_.files.SetCapacity(3 << 20);
  Status status;
  for (int i = 0; i < 100'000 && status.ok(); ++i) {
    status = db_->Put(std::to_string(i), value, {.sync = Sync::kNo});
    if (status.ok()) written.emplace(std::to_string(i), value);
    (void)machine_.executor.RunOne();
  }
  EXPECT_TRUE(status.IsNoSpace()) << status.ToString();
  EXPECT_TRUE(ReadAll(*db_) == written);
  machine_.files.SetCapacity(MemoryFileSystem::kUnlimited);
  machine_.clock.AdvanceMs(60'000);
  machine_.executor.AdvanceMs(60'000);
  machine_.executor.RunAll(10'000);
  status = db_->Put("late", "1");
  EXPECT_TRUE(status.ok()) << status.ToString();
  written.emplace("late", "1");
  CrashAndOpen(CrashMode::kLoseUnsynced);
  EXPECT_TRUE(ReadAll(*db_) == written);
}

TEST_F(DiskErrorTest, ADatabaseOpensOnAFullDiskAndLetsDeletesThrough) {
  Content written;
  for (int i = 0; i < 50; ++i) {
    const std::string key = std::to_string(i);
    ASSERT_TRUE(db_->Put(key, std::string(1000, 'v'), {.sync = Sync::kNo}).ok());
    written.emplace(key, std::string(1000, 'v'));
  }
  ASSERT_TRUE(db_->Put("last", "1").ok());
  written.emplace("last", "1");
  machine_.files.SetCapacity(0);
  CrashAndOpen(CrashMode::kLoseUnsynced);
  EXPECT_TRUE(ReadAll(*db_) == written);
}

TEST_F(DiskErrorTest, AWriterThatNothingMakesRoomForIsTold) {
  db_.reset();
  machine_.executor.Clear();
  Options options = machine_.MakeOptions();
  options.memtable_bytes = 64 << 10;
  db_ = DB::Open("db", options).value();
  Content written;
  machine_.files.Inject({.operations = {Operation::kWrite},
                         .path_suffix = ".sst",
                         .forever = MemoryFileSystem::Forever::kYes});
  Status status;
  for (int i = 0; i < 10'000 && status.ok(); ++i) {
    const std::string key = std::to_string(i);
    status = db_->Put(key, std::string(1000, 'v'), {.sync = Sync::kNo});
    if (status.ok()) written.emplace(key, std::string(1000, 'v'));
  }
  EXPECT_TRUE(status.IsBusy() || status.IsIOError()) << status.ToString();
  EXPECT_GT(written.size(), 100u);
  EXPECT_TRUE(ReadAll(*db_) == written);
  machine_.files.ClearFaults();
  CrashAndOpen(CrashMode::kProcessOnly);
  EXPECT_TRUE(ReadAll(*db_) == written);
  EXPECT_TRUE(db_->Put("late", "1").ok());
}

TEST_F(DiskErrorTest, ADamagedLogIsNotOpened) {
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(db_->Put(std::to_string(i), "value").ok());
  db_.reset();
  machine_.executor.Clear();
  const std::vector<std::string> names = machine_.files.List("db").value();
  for (const std::string& name : names) {
    if (!name.ends_with(".log")) continue;
    ASSERT_TRUE(machine_.files.FlipBit("db/" + name, (4096 + 60) * 8).ok());
  }
  const Status opened = DB::Open("db", machine_.MakeOptions()).status();
  EXPECT_TRUE(opened.IsCorruption()) << opened.ToString();
}

TEST_F(DiskErrorTest, AMissingIdentityIsNoReasonToLoseTheLog) {
  ASSERT_TRUE(db_->Put("a", "1").ok());
  db_.reset();
  ASSERT_TRUE(machine_.files.Remove("db/IDENTITY").ok());
  machine_.clock.AdvanceMs(1);
  EXPECT_TRUE(DB::Open("db", machine_.MakeOptions()).status().IsCorruption());
}

}  // namespace
}  // namespace bedrock::embedded
