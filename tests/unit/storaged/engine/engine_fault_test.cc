#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/storaged/engine/engine_fixture.h"

namespace bedrock::engine {
namespace {

using Operation = MemoryFileSystem::Operation;
constexpr Version kNewest{std::uint64_t{1} << 50};

class EngineFaultTest : public testing::Test {
 protected:
  void SetUp() override { engine_ = world_.Open(options_); }

  /// Applies one put of `key` and remembers it.
  Status Put(const std::string& key, std::string value) {
    const LogIndex next = engine_->applied().index.Next();
    if (next > model_.last()) model_.Append({{key, std::move(value)}});
    return ApplyCommit(*engine_, model_.commit(next), MarkAt(next));
  }
  Status Delete(const std::string& key) {
    const LogIndex next = engine_->applied().index.Next();
    if (next > model_.last()) model_.Append({{key, std::nullopt}});
    return ApplyCommit(*engine_, model_.commit(next), MarkAt(next));
  }
  /// Compacts everything to the bottom.
  void Settle() {
    Status outcome = Status::Busy("not yet");
    engine_->CompactRange({}, [&](Status status) { outcome = std::move(status); });
    world_.executor.RunAll();
    EXPECT_TRUE(outcome.ok()) << outcome.ToString();
  }
  /// With room for two memtables and none on the disk, writes end some day.
  void WriteUntilTheDiskIsFull() {
    options_.memtables_max = 2;
    Restart();
    world_.disk.SetCapacity(1);
    int i = 0;
    while (Put("key" + std::to_string(i++), std::string(300, 'v')).ok()) {
      if (engine_->WantsFlush()) Flush();
      ASSERT_LT(i, 1000);
    }
  }
  void Flush() {
    engine_->StartFlush(ClientStateAt(engine_->applied().index));
    world_.executor.RunAll();
  }
  void Wait() {
    world_.clock.AdvanceMs(20'000);
    engine_->Tick();
    world_.executor.RunAll();
  }
  /// With the process's memory gone.
  void Restart() {
    engine_.reset();
    world_.executor.Clear();
    engine_ = world_.Open(options_);
  }
  void ExpectDurable(LogIndex index) { EXPECT_EQ(engine_->durable_applied().index, index); }
  std::size_t TablesOnDisk() {
    std::size_t tables = 0;
    const auto names = world_.disk.List("/db");
    for (const std::string& name : *names) tables += name.ends_with(".sst") ? 1 : 0;
    return tables;
  }

  ManualWorld world_{1};
  EngineOptions options_ = SmallOptions();
  Model model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineFaultTest, AFailedSyncOfTheManifestIsFinal) {
  ASSERT_TRUE(Put("a", "1").ok());
  Flush();
  int progress = 0;
  engine_->OnProgress([&] { ++progress; });
  ASSERT_TRUE(Put("b", "2").ok());
  world_.disk.Inject({.operations = {Operation::kSync}, .path_suffix = "MANIFEST-000001"});
  Flush();
  EXPECT_EQ(progress, 1);
  EXPECT_EQ(engine_->Stats().state, EngineState::kFailed);
  EXPECT_NE(engine_->Stats().detail.find("MANIFEST-000001"), std::string::npos);
  EXPECT_TRUE(Put("c", "3").IsIOError());
  Wait();  // no second try, though the disk is well again
  EXPECT_EQ(engine_->Stats().state, EngineState::kFailed);
  ExpectDurable(LogIndex(1));
  EXPECT_EQ(engine_->Get("b", kNewest)->value, "2") << "memory can still be read";
  EXPECT_EQ(TablesOnDisk(), 2u) << "the edit may be on disk, so its table stays";
  // Whether the edit survived is open; either way the state is whole.
  Random random(3);
  engine_.reset();
  world_.executor.Clear();
  world_.disk.Crash(random, MemoryFileSystem::CrashMode::kLoseUnsynced);
  engine_ = world_.Open(options_);
  ExpectDurable(LogIndex(1));
  ExpectEqualAt(*engine_, model_, Version(1), Version(0));
}

TEST_F(EngineFaultTest, AFailedSyncOfTheDirectoryIsFinal) {
  ASSERT_TRUE(Put("a", "1").ok());
  world_.disk.Inject({.operations = {Operation::kSyncDirectory}});
  Flush();
  EXPECT_EQ(engine_->Stats().state, EngineState::kFailed);
  ExpectDurable(LogIndex(0));
}

TEST_F(EngineFaultTest, AFailedWriteOfTheManifestIsFinal) {
  ASSERT_TRUE(Put("a", "1").ok());
  world_.disk.Inject({.operations = {Operation::kWrite}, .path_suffix = "MANIFEST-000001"});
  Flush();
  EXPECT_EQ(engine_->Stats().state, EngineState::kFailed);
  Restart();
  ExpectDurable(LogIndex(0));
  EXPECT_EQ(TablesOnDisk(), 0u);
}

TEST_F(EngineFaultTest, ATableThatCannotBeWrittenIsWrittenAnew) {
  for (const Operation operation :
       {Operation::kOpen, Operation::kWrite, Operation::kSync, Operation::kRead}) {
    ASSERT_TRUE(Put("key", std::to_string(static_cast<int>(operation))).ok());
    world_.disk.Inject({.operations = {operation}, .path_suffix = ".sst"});
    const AppliedMark before = engine_->durable_applied();
    Flush();
    EXPECT_EQ(engine_->durable_applied(), before);
    EXPECT_EQ(engine_->Stats().state, EngineState::kDegraded);
    EXPECT_NE(engine_->Stats().detail, "");
    EXPECT_TRUE(Put("other", "writes go on").ok());
    Wait();
    engine_->StartFlush(ClientStateAt(engine_->applied().index));
    world_.executor.RunAll();
    ExpectDurable(engine_->applied().index);
    EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
    EXPECT_EQ(engine_->Stats().detail, "");
  }
  Restart();
  ExpectEqualAt(*engine_, model_, kNewest, Version(0));
  EXPECT_EQ(TablesOnDisk(), engine_->Stats().levels[0].files + CompactedFiles(engine_->Stats()))
      << "failed outputs are gone";
}

TEST_F(EngineFaultTest, ADiskThatNeverWritesATableEndsTheWritesAndNotTheReads) {
  ASSERT_TRUE(Put("a", "1").ok());
  world_.disk.Inject({.operations = {Operation::kSync},
                      .path_suffix = ".sst",
                      .forever = MemoryFileSystem::Forever::kYes});
  Flush();
  for (int i = 0; i < 6; ++i) Wait();
  EXPECT_EQ(engine_->Stats().state, EngineState::kDegraded);
  EXPECT_TRUE(Put("b", "2").ok());
  Wait();
  EXPECT_EQ(engine_->Stats().state, EngineState::kReadOnly);
  EXPECT_TRUE(Put("c", "3").IsIOError());
  EXPECT_EQ(engine_->Get("a", kNewest)->value, "1");
  Wait();
  EXPECT_EQ(engine_->Stats().state, EngineState::kReadOnly) << "until it is opened again";
  model_ = {};
  world_.disk.ClearFaults();
  Restart();
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
}

TEST_F(EngineFaultTest, AFullDiskStopsFlushesUntilThereIsSpace) {
  ASSERT_TRUE(Put("a", "1").ok());
  Flush();
  world_.disk.SetCapacity(1);
  int i = 0;
  Status status;
  while ((status = Put("key" + std::to_string(i++), std::string(300, 'v'))).ok()) {
    if (engine_->WantsFlush()) Flush();
    ASSERT_LT(i, 1000);
  }
  EXPECT_TRUE(status.IsNoSpace());
  EXPECT_EQ(engine_->Stats().state, EngineState::kNoSpace);
  for (int j = 0; j < 20; ++j) Wait();  // however long it takes
  EXPECT_EQ(engine_->Stats().state, EngineState::kNoSpace);
  ExpectDurable(LogIndex(1));
  ExpectEqualAt(*engine_, model_, kNewest, Version(0));

  int progress = 0;
  engine_->OnProgress([&] { ++progress; });
  world_.disk.SetCapacity(MemoryFileSystem::kUnlimited);
  Wait();
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
  EXPECT_GT(progress, 0);
  EXPECT_TRUE(Put("again", "works").ok());
  Flush();
  ExpectDurable(engine_->applied().index);
  Restart();
  ExpectEqualAt(*engine_, model_, kNewest, Version(0));
}

TEST_F(EngineFaultTest, AFullDiskIsTriedAgainWithoutAnyCall) {
  WriteUntilTheDiskIsFull();
  world_.disk.SetCapacity(MemoryFileSystem::kUnlimited);
  world_.executor.RunAll();
  EXPECT_TRUE(Put("x", "").IsNoSpace()) << "its time has not come";
  world_.clock.AdvanceMs(20'000);
  world_.executor.AdvanceMs(20'000);
  world_.executor.RunAll();
  EXPECT_TRUE(Put("x", "").ok());
}

TEST_F(EngineFaultTest, AFullDiskIsTriedAgainAtOnceWhereSomebodyAsks) {
  WriteUntilTheDiskIsFull();
  engine_->RetryNow();
  world_.executor.RunAll();
  EXPECT_TRUE(Put("x", "").IsNoSpace()) << "it is full still";
  world_.disk.SetCapacity(MemoryFileSystem::kUnlimited);
  engine_->RetryNow();
  world_.executor.RunAll();
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
  EXPECT_TRUE(Put("x", "").ok());
}

TEST_F(EngineFaultTest, AManifestThatFindsTheDiskFullIsBegunAnew) {
  ASSERT_TRUE(Put("a", "1").ok());
  Flush();
  ASSERT_TRUE(Put("b", "2").ok());
  world_.disk.Inject({.operations = {Operation::kWrite},
                      .path_suffix = "MANIFEST-000001",
                      .error = StatusCode::kNoSpace});
  Flush();
  EXPECT_EQ(engine_->Stats().state, EngineState::kNoSpace);
  ExpectDurable(LogIndex(1));
  Wait();
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
  ExpectDurable(LogIndex(2));
  EXPECT_FALSE(*world_.disk.Exists("/db/MANIFEST-000001"));
  ASSERT_TRUE(Put("c", "3").ok());
  Flush();
  Random random(1);
  engine_.reset();
  world_.executor.Clear();
  world_.disk.Crash(random, MemoryFileSystem::CrashMode::kLoseUnsynced);
  engine_ = world_.Open(options_);
  ExpectDurable(LogIndex(3));
  ExpectEqualAt(*engine_, model_, kNewest, Version(0));
}

/// Whichever lane comes first, once there is room again.
TEST(EngineFaultOrderTest, AManifestThatOneJobHadNoSpaceForMayBeBegunByAnother) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    ManualWorld world(seed);
    const std::unique_ptr<Engine> engine = world.Open(SmallOptions());
    Model model;
    for (const std::string value : {"1", "2"}) {
      model.Append({{"key", value}});
      ASSERT_TRUE(ApplyCommit(*engine, model.commit(model.last()), MarkAt(model.last())).ok());
      engine->StartFlush(ClientStateAt(model.last()));
      world.executor.RunAll();
    }
    EngineState told = EngineState::kHealthy;
    engine->OnProgress([&] { told = engine->Stats().state; });
    world.disk.Inject({.operations = {Operation::kWrite},
                       .path_suffix = "MANIFEST-000001",
                       .error = StatusCode::kNoSpace});
    engine->CompactRange({}, [](const Status&) {});
    while (engine->Stats().state == EngineState::kHealthy) ASSERT_TRUE(world.executor.RunOne());
    world.disk.SetCapacity(1);
    world.executor.RunAll();
    world.disk.SetCapacity(MemoryFileSystem::kUnlimited);
    for (int i = 0; i < 3; ++i) {
      world.clock.AdvanceMs(20'000);
      engine->Tick();
      world.executor.RunAll();
    }
    EXPECT_EQ(engine->Stats().state, EngineState::kHealthy) << "seed " << seed;
    EXPECT_EQ(told, EngineState::kHealthy) << "seed " << seed;
  }
}

TEST_F(EngineFaultTest, AFullDiskIsOpenedForReadingAndHealsByItself) {
  ASSERT_TRUE(Put("a", "1").ok());
  Flush();
  world_.disk.SetCapacity(1);
  Restart();
  ASSERT_NE(engine_, nullptr);
  EXPECT_EQ(engine_->Stats().state, EngineState::kNoSpace);
  ExpectDurable(LogIndex(1));
  EXPECT_EQ(engine_->Get("a", kNewest)->value, "1");
  ASSERT_TRUE(Put("b", "2").ok());
  Flush();
  Wait();
  ExpectDurable(LogIndex(1));
  Restart();
  ASSERT_NE(engine_, nullptr) << "as often as it takes";
  ExpectDurable(LogIndex(1));
  world_.disk.SetCapacity(MemoryFileSystem::kUnlimited);
  Wait();
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy) << "without a flush";
  ASSERT_TRUE(Put("b", "2").ok());
  Flush();
  ExpectDurable(LogIndex(2));
  Restart();
  ExpectDurable(LogIndex(2));
  ExpectEqualAt(*engine_, model_, kNewest, Version(0));
  EXPECT_EQ(TablesOnDisk(), 2u);
}

TEST_F(EngineFaultTest, ADamagedTableFailsItsReadsOnlyAndStopsNoWrites) {
  options_.block_cache_bytes = 0;
  Restart();
  ASSERT_TRUE(Put("bad", "1").ok());
  Flush();
  const auto names = world_.disk.List("/db");
  std::string damaged;
  for (const std::string& name : *names) {
    if (name.ends_with(".sst")) damaged = name;
  }
  ASSERT_TRUE(Put("good", "2").ok());
  Flush();
  ASSERT_TRUE(world_.disk.FlipBit("/db/" + damaged, (32 + 20) * 8).ok());  // in its data block

  const auto got = engine_->Get("bad", kNewest);
  ASSERT_TRUE(got.status().IsCorruption());
  EXPECT_NE(got.status().message().find(damaged), std::string_view::npos);
  EXPECT_NE(got.status().message().find("offset 32"), std::string_view::npos);
  EXPECT_EQ(engine_->Get("good", kNewest)->value, "2");
  EXPECT_TRUE(engine_->Verify().IsCorruption());
  const auto walk = engine_->NewIterator({.at = kNewest}, {});
  walk->SeekToFirst();
  EXPECT_FALSE(walk->Valid());
  EXPECT_TRUE(walk->status().IsCorruption());

  // It is quarantined: kept, seen, and left as it is; everything else goes on.
  world_.executor.RunAll();
  EXPECT_EQ(engine_->Stats().state, EngineState::kDegraded);
  EXPECT_NE(engine_->Stats().detail.find(damaged), std::string::npos);
  EXPECT_EQ(engine_->Stats().quarantined_files, 1u);
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(Put("good" + std::to_string(i % 20), std::string(100, 'x')).ok()) << i;
    if (i % 2 == 0) Flush();
  }
  EXPECT_LT(engine_->Stats().levels[0].files, options_.level0_files_stop);
  EXPECT_TRUE(*world_.disk.Exists("/db/" + damaged));
  EXPECT_TRUE(engine_->Get("bad", kNewest).status().IsCorruption());
  Restart();
  EXPECT_EQ(engine_->Stats().state, EngineState::kDegraded) << "it is remembered";
  EXPECT_EQ(engine_->Stats().quarantined_files, 1u);
  EXPECT_TRUE(engine_->Get("bad", kNewest).status().IsCorruption());
  EXPECT_EQ(engine_->Get("good", kNewest)->value, "2");

  // Mended, it is released at the next opening, and goes the way of all tables.
  ASSERT_TRUE(world_.disk.FlipBit("/db/" + damaged, (32 + 20) * 8).ok());
  Restart();
  world_.executor.RunAll();
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
  EXPECT_EQ(engine_->Stats().quarantined_files, 0u);
  Settle();
  EXPECT_FALSE(*world_.disk.Exists("/db/" + damaged));
  EXPECT_EQ(engine_->Get("bad", kNewest)->value, "1");
  Restart();
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
}

TEST_F(EngineFaultTest, ADeleteOverAQuarantinedTableStaysADelete) {
  options_.block_cache_bytes = 0;
  Restart();
  ASSERT_TRUE(Put("k", "old").ok());
  ASSERT_TRUE(Put("l", "old").ok());
  Flush();
  Settle();
  std::string damaged;
  const auto names = world_.disk.List("/db");
  for (const std::string& name : *names) {
    if (name.ends_with(".sst")) damaged = name;
  }
  ASSERT_TRUE(world_.disk.FlipBit("/db/" + damaged, (32 + 20) * 8).ok());
  ASSERT_TRUE(engine_->Verify().IsCorruption());
  world_.executor.RunAll();
  ASSERT_EQ(engine_->Stats().quarantined_files, 1u);
  engine_->SetWatermark(Version(UINT64_MAX));
  ASSERT_TRUE(Delete("k").ok());
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(Put("z" + std::to_string(i), "v").ok());
    Flush();
    Wait();
  }
  EXPECT_FALSE(engine_->Get("k", kNewest)->found) << "nobody has to look at the damaged block";
  ASSERT_TRUE(world_.disk.FlipBit("/db/" + damaged, (32 + 20) * 8).ok());  // as if it were mended
  EXPECT_FALSE(engine_->Get("k", kNewest)->found);
  EXPECT_EQ(engine_->Get("l", kNewest)->value, "old");
}

/// A small database with tables on both levels, tombstones, and several edits in its MANIFEST.
class EngineDamageTest : public EngineFaultTest {
 protected:
  void SetUp() override {
    options_.memtable_bytes = 100'000;
    options_.table_bytes = 400;
    EngineFaultTest::SetUp();
    for (int flush = 0; flush < 5; ++flush) {
      for (int i = 0; i < 6; ++i) {
        const LogIndex next = engine_->applied().index.Next();
        Commit commit{{"key" + std::to_string(i * 7 % 10),
                       "value" + std::string(40, 'v') + std::to_string(flush)},
                      {"gone" + std::to_string(i), std::nullopt}};
        model_.Append(std::move(commit));
        ASSERT_TRUE(ApplyCommit(*engine_, model_.commit(next), MarkAt(next)).ok());
      }
      Flush();
    }
    const EngineStats stats = engine_->Stats();
    ASSERT_GT(stats.levels[0].files, 0u);
    ASSERT_GT(CompactedFiles(stats), 1u);
    last_ = engine_->applied();
    engine_.reset();
    // Opened once more, so that there is nothing left to tidy up, and edits behind the first.
    engine_ = world_.Open(options_);
    model_.Append({{"last", "one"}});
    ASSERT_TRUE(ApplyCommit(*engine_, model_.commit(model_.last()), MarkAt(model_.last())).ok());
    Flush();
    last_ = engine_->applied();
    ExpectDurable(last_.index);
    engine_.reset();
  }

  /// Right, or an error that names the file.
  void ExpectRightOrError(MemoryFileSystem& disk, const std::string& name) {
    ManualExecutor executor;
    const auto opened = Engine::Open({&disk, &world_.clock, &executor}, options_);
    if (!opened.ok()) {
      ASSERT_TRUE(opened.status().IsCorruption()) << opened.status().ToString();
      ASSERT_NE(opened.status().message().find(name), std::string_view::npos)
          << opened.status().ToString();
      return;
    }
    const Engine& engine = **opened;
    ASSERT_EQ(engine.durable_applied(), last_);
    ASSERT_EQ(engine.client_state(), ClientStateAt(last_.index));
    bool all_right = true;
    for (const std::string& key : model_.Keys()) {
      const auto got = engine.Get(key, kNewest);
      const Model::Newest want = model_.Get(key, kNewest);
      if (!got.ok()) {
        all_right = false;
        ASSERT_TRUE(got.status().IsCorruption());
        ASSERT_NE(got.status().message().find(name), std::string_view::npos);
        continue;
      }
      ASSERT_EQ(got->found, want.value.has_value());
      if (want.value) {
        ASSERT_EQ(got->value, *want.value);
      }
    }
    const auto live = model_.Live(kNewest);
    const auto walk = engine.NewIterator({.at = kNewest}, {});
    auto want = live.begin();
    for (walk->SeekToFirst(); walk->Valid(); walk->Next(), ++want) {
      ASSERT_NE(want, live.end());
      ASSERT_EQ(walk->key(), want->first);
      ASSERT_EQ(walk->value(), *want->second.value);
    }
    ASSERT_TRUE(want == live.end() || walk->status().IsCorruption());
    if (name.ends_with(".sst") || name.ends_with(".blob")) {
      ASSERT_TRUE(engine.Verify().IsCorruption());
    } else {
      ASSERT_TRUE(all_right);
    }
  }

  AppliedMark last_;
};

TEST_F(EngineDamageTest, AnyFlippedBitGivesTheRightAnswerOrAnErrorThatNamesTheFile) {
  Random random(5);
  const auto names = world_.disk.List("/db");
  for (const std::string& name : *names) {
    const std::uint64_t size = *world_.disk.FileSize("/db/" + name);
    for (std::uint64_t at = 0; at < size; ++at) {
      const auto disk = world_.disk.Clone();
      const std::uint64_t bit = at * 8 + random.Below(8);
      ASSERT_TRUE(disk->FlipBit("/db/" + name, bit).ok());
      ExpectRightOrError(*disk, name);
      ASSERT_FALSE(HasFatalFailure()) << name << " bit " << bit;
    }
  }
}

TEST_F(EngineDamageTest, AnyCutFileGivesTheRightAnswerOrAnErrorThatNamesIt) {
  const auto names = world_.disk.List("/db");
  for (const std::string& name : *names) {
    // A MANIFEST that lost whole records at its end can't be told from an earlier one.
    if (name.starts_with("MANIFEST") || name == "LOCK") continue;
    const std::uint64_t size = *world_.disk.FileSize("/db/" + name);
    for (std::uint64_t left = 0; left < size; ++left) {
      const auto disk = world_.disk.Clone();
      auto file = disk->Open("/db/" + name, FileSystem::OpenMode::kReadWrite);
      ASSERT_TRUE((*file)->Truncate(left).ok());
      const auto opened = Engine::Open({disk.get(), &world_.clock, &world_.executor}, options_);
      ASSERT_TRUE(opened.status().IsCorruption()) << name << " cut to " << left;
      ASSERT_NE(opened.status().message().find(name), std::string_view::npos);
    }
  }
}

TEST_F(EngineDamageTest, AMissingFileIsCorruptionAndNeverANewDatabase) {
  const auto names = world_.disk.List("/db");
  for (const std::string& name : *names) {
    if (name == "LOCK") continue;
    const auto disk = world_.disk.Clone();
    ASSERT_TRUE(disk->Remove("/db/" + name).ok());
    const std::size_t files = disk->List("/db")->size();
    const auto opened = Engine::Open({disk.get(), &world_.clock, &world_.executor}, options_);
    ASSERT_TRUE(opened.status().IsCorruption()) << name;
    ASSERT_NE(opened.status().message().find(name), std::string_view::npos);
    EXPECT_EQ(disk->List("/db")->size(), files) << "nothing is touched";
  }
}

TEST_F(EngineDamageTest, TablesThatChangedPlacesAreFound) {
  std::vector<std::string> tables;
  const auto names = world_.disk.List("/db");
  for (const std::string& name : *names) {
    if (name.ends_with(".sst")) tables.push_back("/db/" + name);
  }
  ASSERT_GE(tables.size(), 2u);
  ASSERT_TRUE(world_.disk.Rename(tables[0], "/db/other").ok());
  ASSERT_TRUE(world_.disk.Rename(tables[1], tables[0]).ok());
  ASSERT_TRUE(world_.disk.Rename("/db/other", tables[1]).ok());
  EXPECT_TRUE(Engine::Open(world_.environment(), options_).status().IsCorruption());
}

TEST_F(EngineDamageTest, OnlyFilesOfTheEngineThatNothingNamesAreRemoved) {
  for (const char* name : {"000900.sst", "MANIFEST-000901", "CURRENT.tmp", "notes.txt", "1.sst"}) {
    ASSERT_TRUE(world_.disk.Open(JoinPath("/db", name), FileSystem::OpenMode::kCreate).ok());
  }
  engine_ = world_.Open(options_);
  EXPECT_FALSE(*world_.disk.Exists("/db/000900.sst"));
  EXPECT_FALSE(*world_.disk.Exists("/db/MANIFEST-000901"));
  EXPECT_FALSE(*world_.disk.Exists("/db/CURRENT.tmp"));
  EXPECT_TRUE(*world_.disk.Exists("/db/notes.txt"));
  EXPECT_TRUE(*world_.disk.Exists("/db/1.sst"));
  EXPECT_TRUE(*world_.disk.Exists("/db/MANIFEST-000902")) << "numbers are never given twice";
  ExpectEqualAt(*engine_, model_, kNewest, Version(0));
}

TEST_F(EngineDamageTest, ADirectoryIsOpenedOnce) {
  engine_ = world_.Open(options_);
  EXPECT_TRUE(Engine::Open(world_.environment(), options_).status().IsUnavailable());
  engine_.reset();
  EXPECT_TRUE(Engine::Open(world_.environment(), options_).ok());
}

}  // namespace
}  // namespace bedrock::engine
