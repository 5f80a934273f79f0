#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/storaged/engine/engine_fixture.h"

namespace bedrock::engine {
namespace {

using Operation = MemoryFileSystem::Operation;
constexpr Version kNewest{std::uint64_t{1} << 50};

class EngineJobsTest : public testing::Test {
 protected:
  void SetUp() override { Restart(); }
  void Restart() {
    engine_.reset();
    world_.executor.Clear();
    options_.on_event = [this](std::string_view line) { events_.emplace_back(line); };
    engine_ = world_.Open(options_);
  }
  Status Apply(Commit commit) {
    const LogIndex next = engine_->applied().index.Next();
    if (next > model_.last()) model_.Append(std::move(commit));
    return ApplyCommit(*engine_, model_.commit(next), MarkAt(next));
  }
  Status Put(const std::string& key, std::string value) { return Apply({{key, std::move(value)}}); }
  void StartFlush() { engine_->StartFlush(ClientStateAt(engine_->applied().index)); }
  void Flush() {
    StartFlush();
    world_.executor.RunAll();
  }
  /// Many keys over many tables.
  void Fill(int commits, std::uint64_t seed = 1) {
    Random random(seed);
    for (int i = 0; i < commits; ++i) {
      const std::string key = "key" + std::to_string(random.Below(500));
      while (Put(key, std::string(40, 'v') + std::to_string(i)).IsBusy()) world_.executor.RunAll();
      if (engine_->WantsFlush()) StartFlush();
      if (i % 7 == 0) world_.executor.RunOne();
    }
    world_.executor.RunAll();
  }
  Status CompactAll() {
    Status outcome = Status::Busy("not yet");
    engine_->CompactRange({}, [&](Status status) { outcome = std::move(status); });
    world_.executor.RunAll();
    return outcome;
  }
  void ExpectEqual() { ExpectEqualAt(*engine_, model_, kNewest, Version(0)); }

  ManualWorld world_{11};
  EngineOptions options_ = SmallOptions();
  std::vector<std::string> events_;
  Model model_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineJobsTest, CompactRangeBringsEverythingToTheBottom) {
  Fill(300);
  Flush();
  EXPECT_TRUE(CompactAll().ok());
  const auto levels = engine_->Stats().levels;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) EXPECT_EQ(levels[i].files, 0u) << i;
  EXPECT_GT(levels.back().files, 1u);
  ExpectEqual();
}

TEST_F(EngineJobsTest, CompactRangeLetsGoWhatNobodyReads) {
  engine_->SetWatermark(Version(UINT64_MAX));
  Fill(300);
  Flush();
  for (int i = 0; i < 500; ++i) {
    const Commit commit{{"key" + std::to_string(i), std::nullopt}};
    while (Apply(commit).IsBusy()) world_.executor.RunAll();
    if (engine_->WantsFlush()) StartFlush();
  }
  Flush();
  EXPECT_TRUE(CompactAll().ok());
  EXPECT_EQ(engine_->ApproximateSize({}), 0u);
  EXPECT_EQ(CompactedFiles(engine_->Stats()), 0u);
}

TEST_F(EngineJobsTest, CompactRangeOfNothingIsDoneAtOnce) { EXPECT_TRUE(CompactAll().ok()); }

TEST_F(EngineJobsTest, WhoeverWaitsForACompactionIsToldOfTheEnd) {
  Fill(100);
  Status outcome;
  engine_->CompactRange({}, [&](Status status) { outcome = std::move(status); });
  engine_.reset();
  EXPECT_TRUE(outcome.IsAborted());
}

TEST_F(EngineJobsTest, WhoeverWaitsForACompactionIsToldOfItsFailure) {
  Fill(100);
  Flush();
  world_.disk.Inject({.operations = {Operation::kWrite}, .path_suffix = ".sst"});
  EXPECT_TRUE(CompactAll().IsIOError());
  EXPECT_EQ(engine_->Stats().state, EngineState::kDegraded);
  world_.clock.AdvanceMs(1'000);
  EXPECT_TRUE(CompactAll().ok());
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
  ExpectEqual();
}

TEST_F(EngineJobsTest, ApproximateSizeFollowsTheRange) {
  Fill(400);
  Flush();
  ASSERT_TRUE(CompactAll().ok());
  const std::uint64_t all = engine_->ApproximateSize({});
  const std::uint64_t half = engine_->ApproximateSize({"", "key3"});
  EXPECT_GT(all, 10'000u);
  EXPECT_GT(half, all / 5);
  EXPECT_LT(half, all * 4 / 5);
  EXPECT_EQ(engine_->ApproximateSize({"x", ""}), 0u);
}

TEST_F(EngineJobsTest, AFlushGoesOnWhileCompactionsRun) {
  options_.level0_files_trigger = 2;
  Restart();
  Fill(200);
  // A compaction is on its way, step by step; a flush beside it comes to its end first: its lane
  // is urgent, and no compaction holds anything that it needs.
  ManualExecutor in_order;
  engine_.reset();
  world_.executor.Clear();
  auto opened = Engine::Open({&world_.disk, &world_.clock, &in_order}, options_);
  ASSERT_TRUE(opened.ok());
  bool compacted = false;
  (*opened)->CompactRange({}, [&](const Status& status) { compacted = status.ok(); });
  const LogIndex next = (*opened)->applied().index.Next();
  ASSERT_TRUE(ApplyCommit(**opened, {{"k", "v"}}, MarkAt(next)).ok());
  (*opened)->StartFlush("state");
  std::size_t steps = 0;
  while ((*opened)->durable_applied().index < next && in_order.RunOne()) ++steps;
  EXPECT_FALSE(compacted);
  EXPECT_LT(steps, 10u);
  in_order.RunAll();
  EXPECT_TRUE(compacted);
}

TEST_F(EngineJobsTest, FlushesSideBySideAreCommittedInOrder) {
  options_.flush_jobs_max = 2;
  options_.memtables_max = 4;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    engine_.reset();
    ManualWorld world(seed);
    Model model;
    auto engine = world.Open(options_);
    world.executor.RunAll();
    // The older one is the larger, so that it is often written last, and sometimes fails.
    if (seed % 3 == 0) world.disk.Inject({.operations = {Operation::kSync}, .path_suffix = ".sst"});
    for (const std::size_t bytes : {std::size_t{1500}, std::size_t{10}, std::size_t{700}}) {
      model.Append({{"key", std::string(bytes, 'v')}});
      ASSERT_TRUE(ApplyCommit(*engine, model.commit(model.last()), MarkAt(model.last())).ok());
      engine->StartFlush(ClientStateAt(model.last()));
    }
    LogIndex durable;
    for (int round = 0; round < 2; ++round) {
      while (world.executor.RunOne()) {
        const LogIndex now = engine->durable_applied().index;
        ASSERT_TRUE(now == durable || now == durable.Next());
        ASSERT_EQ(engine->client_state(), ClientStateAt(now));
        durable = now;
      }
      world.clock.AdvanceMs(20'000);
      engine->Tick();
    }
    ASSERT_EQ(durable, model.last());
    ExpectEqualAt(*engine, model, kNewest, Version(0));
  }
}

TEST_F(EngineJobsTest, StatsSayWhatWasDone) {
  Fill(400);
  Flush();
  ASSERT_TRUE(CompactAll().ok());
  const EngineStats stats = engine_->Stats();
  EXPECT_EQ(stats.newest, engine_->newest());
  EXPECT_EQ(stats.durable, engine_->newest());
  EXPECT_GT(stats.flushes, 3u);
  EXPECT_GT(stats.compactions + stats.moves, 0u);
  EXPECT_GT(stats.levels[0].written_bytes, 0u);
  EXPECT_GT(stats.levels.back().written_bytes + stats.moves, 0u);
  EXPECT_GT(stats.levels.back().bytes, 0u);
  EXPECT_GT(stats.table_memory_bytes, 0u);
  EXPECT_EQ(stats.memtables, 1u);
  EXPECT_EQ(stats.quarantined_files, 0u);
  const Snapshot pin = engine_->GetSnapshot();
  world_.clock.AdvanceMs(1234);
  EXPECT_EQ(engine_->Stats().oldest_pin, pin.version());
  EXPECT_EQ(engine_->Stats().oldest_pin_ms, 1234u);
}

// ---- Checkpoints

TEST_F(EngineJobsTest, ACheckpointIsADatabaseOfItsOwn) {
  Fill(200);
  Flush();
  const LogIndex durable = engine_->durable_applied().index;
  ASSERT_TRUE(Put("later", "1").ok());
  ASSERT_TRUE(engine_->Checkpoint("/copy").ok());
  Fill(200, 2);
  Flush();
  ASSERT_TRUE(CompactAll().ok());
  EngineOptions options = options_;
  options.directory = "/copy";
  ManualExecutor executor;
  const auto copy = Engine::Open({&world_.disk, &world_.clock, &executor}, options);
  ASSERT_TRUE(copy.ok()) << copy.status().ToString();
  EXPECT_EQ((*copy)->applied(), MarkAt(durable));
  EXPECT_EQ((*copy)->client_state(), ClientStateAt(durable));
  ExpectEqualAt(**copy, model_, Version(durable.value()), Version(0));
  EXPECT_TRUE((*copy)->Verify().ok());
  // It goes its own way, and the source does not notice.
  ASSERT_TRUE(ApplyCommit(**copy, {{"copy", "only"}}, MarkAt(durable.Next())).ok());
  (*copy)->StartFlush("copy");
  executor.RunAll();
  ExpectEqual();
}

TEST_F(EngineJobsTest, ACheckpointSurvivesThePowerCutAfterIt) {
  Fill(100);
  Flush();
  ASSERT_TRUE(engine_->Checkpoint("/copy").ok());
  const LogIndex durable = engine_->durable_applied().index;
  Random random(3);
  engine_.reset();
  world_.executor.Clear();
  world_.disk.Crash(random, MemoryFileSystem::CrashMode::kLoseUnsynced);
  options_.directory = "/copy";
  Restart();
  ASSERT_NE(engine_, nullptr);
  ExpectEqualAt(*engine_, model_, Version(durable.value()), Version(0));
}

TEST_F(EngineJobsTest, ACheckpointIsCopiedWhereLinksDoNotGo) {
  Fill(100);
  Flush();
  world_.disk.Inject(
      {.operations = {Operation::kLink}, .forever = MemoryFileSystem::Forever::kYes});
  ASSERT_TRUE(engine_->Checkpoint("/copy").ok());
  const LogIndex durable = engine_->durable_applied().index;
  options_.directory = "/copy";
  Restart();
  ExpectEqualAt(*engine_, model_, Version(durable.value()), Version(0));
  EXPECT_TRUE(engine_->Verify().ok());
}

TEST_F(EngineJobsTest, ACheckpointGoesNowhereWhereSomethingStands) {
  Fill(50);
  Flush();
  ASSERT_TRUE(engine_->Checkpoint("/copy").ok());
  EXPECT_TRUE(engine_->Checkpoint("/copy").IsInvalidArgument());
  EXPECT_TRUE(engine_->Checkpoint("/db").IsInvalidArgument());
}

TEST_F(EngineJobsTest, AFailedCheckpointLeavesNothingBehindAndHarmsNothing) {
  Fill(100);
  Flush();
  const std::uint64_t before = world_.disk.mutations();
  ASSERT_TRUE(engine_->Checkpoint("/whole").ok());
  const std::uint64_t calls = world_.disk.mutations() - before;
  ASSERT_GT(calls, 5u);
  for (std::uint64_t skip = 0; skip < calls; ++skip) {
    // The link of a table may fail: then it is copied.
    world_.disk.Inject({.operations = {Operation::kWrite, Operation::kSync, Operation::kRename,
                                       Operation::kSyncDirectory},
                        .nth = skip + 1});
    const std::string directory = "/copy" + std::to_string(skip);
    const Status made = engine_->Checkpoint(directory);
    world_.disk.ClearFaults();
    if (made.ok()) continue;
    EXPECT_FALSE(*world_.disk.Exists(directory + "/CURRENT"));
    const auto left = world_.disk.List(directory);
    EXPECT_TRUE(!left.ok() || left->empty()) << directory << " has " << left->front();
  }
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
  Flush();
  ExpectEqual();
}

// ---- The error table, row by row (design, 3.6); engine_fault_test.cc has those of the sticky
// syncs.

TEST_F(EngineJobsTest, EveryChangeOfTheStateIsTold) {
  ASSERT_TRUE(Put("a", "1").ok());
  world_.disk.Inject({.operations = {Operation::kWrite}, .path_suffix = ".sst"});
  Flush();
  world_.clock.AdvanceMs(1'000);
  engine_->Tick();
  world_.executor.RunAll();
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_NE(events_[0].find("degraded"), std::string::npos);
  EXPECT_EQ(events_[1], "engine is healthy, was degraded");
}

TEST_F(EngineJobsTest, APauseEndsByItself) {
  ASSERT_TRUE(Put("a", "1").ok());
  world_.disk.Inject({.operations = {Operation::kWrite}, .path_suffix = ".sst"});
  Flush();
  ASSERT_EQ(engine_->durable_applied().index, LogIndex(0));
  world_.clock.AdvanceMs(100);
  world_.executor.AdvanceMs(100);
  world_.executor.RunAll();
  EXPECT_EQ(engine_->durable_applied().index, LogIndex(1)) << "without a Tick";
}

TEST_F(EngineJobsTest, AFullDiskTakesDeletesUpToAReserveAndNoPuts) {
  Fill(50);
  Flush();
  world_.disk.SetCapacity(1);
  Status status;
  for (int i = 0; (status = Put("x" + std::to_string(i), std::string(300, 'v'))).ok(); ++i) {
    if (engine_->WantsFlush()) Flush();
    ASSERT_LT(i, 1000);
  }
  EXPECT_TRUE(status.IsNoSpace());
  EXPECT_EQ(engine_->Stats().state, EngineState::kNoSpace);
  model_ = {};  // the refused put is not a part of it; from here on by hand
  const auto apply = [&](const WriteBatch& batch) {
    return engine_->Apply(batch, MarkAt(engine_->applied().index.Next()));
  };
  WriteBatch deletes;
  deletes.Delete("key1");
  deletes.Delete("key2");
  EXPECT_TRUE(apply(deletes).ok());
  WriteBatch mixed;
  mixed.Delete("key3");
  mixed.Put("y", "1");
  EXPECT_TRUE(apply(mixed).IsNoSpace());
  int more = 0;
  while (apply(deletes).ok() && ++more < 10'000) {
  }
  EXPECT_GT(more, 0);
  EXPECT_LT(more, 10'000) << "the reserve has an end";
  EXPECT_TRUE(apply(deletes).IsNoSpace());
  EXPECT_FALSE(engine_->Get("key1", kNewest)->found);
  world_.disk.SetCapacity(MemoryFileSystem::kUnlimited);
  world_.clock.AdvanceMs(20'000);
  engine_->Tick();
  world_.executor.RunAll();
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
  EXPECT_TRUE(apply(mixed).ok());
}

TEST_F(EngineJobsTest, TheReserveIsGivenBackOnAFullDiskAndHadBackLater) {
  options_.reserve_bytes = 4 * kKiB;
  options_.memtable_bytes = 16 * kKiB;
  Restart();
  Fill(3000);
  Flush();
  ASSERT_TRUE(*world_.disk.Exists("/db/RESERVE"));
  EXPECT_EQ(*world_.disk.FileSize("/db/RESERVE"), 4 * kKiB);
  ASSERT_TRUE(Put("small", "but fits into the reserve").ok());
  world_.disk.SetCapacity(1);
  Flush();
  EXPECT_EQ(engine_->Stats().state, EngineState::kNoSpace);
  EXPECT_FALSE(*world_.disk.Exists("/db/RESERVE"));
  world_.disk.SetCapacity(MemoryFileSystem::kUnlimited);
  world_.clock.AdvanceMs(20'000);
  engine_->Tick();
  world_.executor.RunAll();
  EXPECT_EQ(engine_->durable_applied().index, engine_->applied().index);
  EXPECT_TRUE(*world_.disk.Exists("/db/RESERVE"));
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy);
  Restart();
  EXPECT_TRUE(*world_.disk.Exists("/db/RESERVE")) << "it stays over an opening";
}

TEST_F(EngineJobsTest, ASmallDatabaseKeepsNoReserve) {
  Fill(50);
  Flush();
  EXPECT_FALSE(*world_.disk.Exists("/db/RESERVE"));
}

TEST_F(EngineJobsTest, ACompactionThatHasNoRoomIsNotBegunOnAFullDisk) {
  Fill(300);
  Flush();
  const std::size_t files = engine_->Stats().levels[0].files;
  world_.disk.SetCapacity(1);
  ASSERT_TRUE(Put("x", "1").ok());
  Flush();
  ASSERT_EQ(engine_->Stats().state, EngineState::kNoSpace);
  const auto names = world_.disk.List("/db");
  EXPECT_TRUE(CompactAll().IsNoSpace());
  EXPECT_EQ(engine_->Stats().levels[0].files, files);
  EXPECT_EQ(*world_.disk.List("/db"), *names);
  world_.disk.SetCapacity(MemoryFileSystem::kUnlimited);
  world_.clock.AdvanceMs(20'000);
  engine_->Tick();
  world_.executor.RunAll();
  EXPECT_EQ(engine_->Stats().state, EngineState::kHealthy) << "though nobody asks for it again";
}

TEST_F(EngineJobsTest, ACompactionQuarantinesWhatItCannotRead) {
  options_.block_cache_bytes = 0;
  options_.level0_files_trigger = 100;
  options_.level0_files_stop = 100;
  Restart();
  Fill(200);
  Flush();
  const auto names = world_.disk.List("/db");
  const auto table = std::find_if(names->begin(), names->end(),
                                  [](const auto& name) { return name.ends_with(".sst"); });
  ASSERT_NE(table, names->end());
  ASSERT_TRUE(world_.disk.FlipBit("/db/" + *table, (32 + 30) * 8).ok());
  EXPECT_FALSE(CompactAll().ok());
  world_.clock.AdvanceMs(20'000);
  engine_->Tick();
  world_.executor.RunAll();
  const EngineStats stats = engine_->Stats();
  EXPECT_EQ(stats.quarantined_files, 1u);
  EXPECT_EQ(stats.state, EngineState::kDegraded);
  EXPECT_NE(stats.detail.find(*table), std::string::npos);
  EXPECT_TRUE(Put("more", "x").ok());
  Flush();
  EXPECT_TRUE(*world_.disk.Exists("/db/" + *table));
}

TEST_F(EngineJobsTest, AfterAnySingleErrorTheEngineIsInOneStateAndWhole) {
  using Code = StatusCode;
  for (const Operation operation :
       {Operation::kOpen, Operation::kWrite, Operation::kSync, Operation::kSyncDirectory,
        Operation::kRename, Operation::kRead}) {
    for (const Code error : {Code::kIoError, Code::kNoSpace}) {
      for (std::uint64_t skip = 0; skip < 40; skip += 3) {
        SCOPED_TRACE(std::to_string(static_cast<int>(operation)) + " " + std::to_string(skip));
        ManualWorld world(skip + 1);
        EngineOptions options = SmallOptions();
        options.flush_jobs_max = 1 + skip % 2;
        options.compaction_jobs_max = 2;
        auto engine = world.Open(options);
        world.disk.Inject({.operations = {operation}, .nth = skip + 1, .error = error});
        Model model;
        Random random(skip);
        for (int i = 0; i < 150; ++i) {
          const LogIndex next = engine->applied().index.Next();
          if (next > model.last()) model.Append(RandomCommit(random));
          const Status status = ApplyCommit(*engine, model.commit(next), MarkAt(next));
          if (engine->WantsFlush()) engine->StartFlush(ClientStateAt(next));
          const EngineState state = engine->Stats().state;
          if (state == EngineState::kFailed || state == EngineState::kReadOnly) {
            ASSERT_TRUE(
                engine->Apply(WriteBatch(), MarkAt(engine->applied().index.Next())).IsIOError());
            break;
          }
          if (!status.ok()) {
            world.clock.AdvanceMs(20'000);
            engine->Tick();
          }
          if (!status.ok() || random.Chance(1, 3)) world.executor.RunAll();
        }
        // Reads go on whatever happened, and what is durable is found again.
        const LogIndex durable = engine->durable_applied().index;
        ExpectEqualAt(*engine, model, kNewest, Version(0));
        engine.reset();
        world.executor.Clear();
        world.disk.ClearFaults();
        engine = world.Open(options);
        ASSERT_NE(engine, nullptr);
        ASSERT_GE(engine->applied().index, durable);
        ExpectEqualAt(*engine, model, Version(engine->applied().index.value()), Version(0));
      }
    }
  }
}

}  // namespace
}  // namespace bedrock::engine
