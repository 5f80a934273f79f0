#include "storaged/engine/engine.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/unit/storaged/engine/engine_fixture.h"

namespace bedrock::engine {
namespace {

constexpr Version kNewest{std::uint64_t{1} << 50};

class EngineTest : public testing::Test {
 protected:
  void SetUp() override { Restart(); }
  void Restart() {
    engine_.reset();
    world_.executor.Clear();
    engine_ = world_.Open(options_);
  }
  LogIndex Apply(const Commit& commit) {
    const LogIndex next = engine_->applied().index.Next();
    const Status status = ApplyCommit(*engine_, commit, MarkAt(next));
    EXPECT_TRUE(status.ok()) << status.ToString();
    return next;
  }
  void Flush() {
    engine_->StartFlush("state");
    world_.executor.RunAll();
  }
  /// Flushes until level 0 was compacted.
  void Compact() {
    do {
      Apply({{"~filler", "x"}});
      Flush();
    } while (engine_->Stats().levels[0].files > 0);
  }
  std::size_t Files(std::size_t level) { return engine_->Stats().levels[level].files; }

  ManualWorld world_{7};
  EngineOptions options_ = SmallOptions();
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, ANewDatabaseIsEmpty) {
  EXPECT_EQ(engine_->applied(), AppliedMark{});
  EXPECT_EQ(engine_->durable_applied(), AppliedMark{});
  EXPECT_EQ(engine_->client_state(), "");
  const auto got = engine_->Get("k", kNewest);
  EXPECT_FALSE(got->found);
  EXPECT_EQ(got->version, Version());
  EXPECT_FALSE(engine_->WantsFlush());
}

TEST_F(EngineTest, OptionsThatMakeNoSenseAreRefused) {
  for (auto change :
       {+[](EngineOptions& o) { o.directory.clear(); },
        +[](EngineOptions& o) { o.memtables_max = 1; },
        +[](EngineOptions& o) { o.memtable_bytes = 0; },
        +[](EngineOptions& o) { o.block_bytes = 0; }, +[](EngineOptions& o) { o.table_bytes = 0; },
        +[](EngineOptions& o) { o.level0_files_trigger = 0; },
        +[](EngineOptions& o) { o.level0_files_stop = 1; },
        +[](EngineOptions& o) { o.unflushed_entries_max = 0; }}) {
    EngineOptions options = SmallOptions("/other");
    change(options);
    EXPECT_TRUE(Engine::Open(world_.environment(), options).status().IsInvalidArgument());
  }
}

TEST_F(EngineTest, TheLastMutationOfAKeyInACommitWins) {
  Apply({{"a", "1"}, {"b", std::nullopt}, {"a", std::nullopt}, {"b", "2"}, {"a", "3"}});
  EXPECT_EQ(engine_->Get("a", kNewest)->value, "3");
  EXPECT_EQ(engine_->Get("b", kNewest)->value, "2");
}

TEST_F(EngineTest, ARangeDeletedInACommitTakesWhatStoodBeforeItAndSparesWhatComesAfter) {
  Apply({{"a", "old"}, {"b", "old"}, {"c", "old"}, {"d", "old"}});
  Flush();
  Apply({{"b1", "new"}, {"b", std::nullopt, "d"}, {"c", "again"}});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(engine_->Get("a", kNewest)->value, "old");
    EXPECT_FALSE(engine_->Get("b", kNewest)->found);
    EXPECT_FALSE(engine_->Get("b1", kNewest)->found);
    EXPECT_EQ(engine_->Get("c", kNewest)->value, "again");
    EXPECT_EQ(engine_->Get("d", kNewest)->value, "old") << "the end is open";
    EXPECT_EQ(engine_->Get("b", Version(1))->value, "old");
    if (round == 0) Flush();
    if (round == 1) Compact();
  }
  Apply({{"b", std::nullopt, ""}});
  const auto walk = engine_->NewIterator({}, {});
  walk->SeekToFirst();
  EXPECT_EQ(walk->key(), "a");
  walk->Next();
  EXPECT_FALSE(walk->Valid());
}

TEST_F(EngineTest, BytesThatAreNoBatchAreRefusedWhole) {
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put("b", "2");
  const std::string_view whole = batch.encoded();
  for (std::size_t cut = 1; cut < whole.size(); ++cut) {
    if (cut == whole.size() / 2) continue;  // just the first change
    EXPECT_TRUE(engine_->Apply(whole.substr(0, cut), MarkAt(LogIndex(1))).IsCorruption()) << cut;
  }
  EXPECT_TRUE(engine_->Apply(std::string_view("\4\1k\1v"), MarkAt(LogIndex(1))).IsCorruption());
  EXPECT_EQ(engine_->applied(), AppliedMark{});
  EXPECT_FALSE(engine_->Get("a", kNewest)->found);
}

TEST_F(EngineTest, AValueThatWasReadOutlivesTheEngine) {
  Apply({{"k", "value"}});
  PinnedValue from_memory;
  ASSERT_TRUE(engine_->Get("k", {}, &from_memory).ok());
  Flush();
  PinnedValue from_table;
  ASSERT_TRUE(engine_->Get("k", {}, &from_table).ok());
  PinnedValue absent;
  EXPECT_TRUE(engine_->Get("none", {}, &absent).IsNotFound());
  engine_.reset();
  EXPECT_EQ(from_memory.value(), "value");
  EXPECT_EQ(from_table.value(), "value");
  EXPECT_EQ(from_table.version(), Version(1));
}

TEST_F(EngineTest, ManyKeysAreReadAtOneVersion) {
  Apply({{"a", "1"}, {"b", "2"}});
  Flush();
  Apply({{"b", "3"}, {"c", std::nullopt}});
  const std::string_view keys[] = {"b", "none", "a", "c"};
  const auto now = engine_->MultiGet(keys, {});
  ASSERT_EQ(now.size(), 4u);
  EXPECT_EQ(now[0]->value(), "3");
  EXPECT_TRUE(now[1].status().IsNotFound());
  EXPECT_EQ(now[2]->value(), "1");
  EXPECT_TRUE(now[3].status().IsNotFound());
  EXPECT_EQ(engine_->MultiGet(keys, {.at = Version(1)})[0]->value(), "2");
}

TEST_F(EngineTest, ASnapshotKeepsItsVersionBelowTheWatermark) {
  Apply({{"k", "1"}, {"gone", "x"}});
  auto pin = std::make_optional(engine_->GetSnapshot());
  EXPECT_EQ(pin->version(), Version(1));
  engine_->SetWatermark(Version(UINT64_MAX));
  Apply({{"k", "2"}, {"gone", std::nullopt}});
  Apply({{"k", "3"}});
  Compact();
  EXPECT_EQ(engine_->Stats().oldest_pin, Version(1));
  EXPECT_EQ(engine_->Get("k", Version(1))->value, "1");
  EXPECT_EQ(engine_->Get("gone", Version(1))->value, "x");
  const Snapshot copy = *pin;
  pin.reset();
  Compact();
  EXPECT_EQ(engine_->Get("k", Version(1))->value, "1") << "a copy holds it";
}

TEST_F(EngineTest, WhatNobodyPinsAnyMoreVanishes) {
  engine_->SetWatermark(Version(UINT64_MAX));
  {
    Apply({{"k", "1"}});
    const Snapshot pin = engine_->GetSnapshot();
    Apply({{"k", "2"}});
    Compact();
  }
  EXPECT_EQ(engine_->Stats().oldest_pin, Version());
  Compact();
  EXPECT_TRUE(engine_->Get("k", Version(1)).status().IsInvalidArgument());
  EXPECT_EQ(engine_->Get("k", kNewest)->value, "2");
}

TEST_F(EngineTest, ASnapshotMayOutliveTheEngine) {
  Apply({{"k", "1"}});
  const Snapshot pin = engine_->GetSnapshot();
  engine_.reset();
  EXPECT_EQ(pin.version(), Version(1));
}

TEST_F(EngineTest, AnyBytesAreKeysAndValues) {
  const std::string odd("\0\xff\r\n\0", 5);
  Apply({{"", "the empty key"}, {odd, odd}, {"empty value", ""}, {odd + odd, "longer"}});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(engine_->Get("", kNewest)->value, "the empty key");
    EXPECT_EQ(engine_->Get(odd, kNewest)->value, odd);
    EXPECT_TRUE(engine_->Get("empty value", kNewest)->found);
    EXPECT_EQ(engine_->Get(odd + odd, kNewest)->value, "longer");
    EXPECT_FALSE(engine_->Get(odd + "x", kNewest)->found);
    if (round == 0) Flush();
    if (round == 1) Compact();
  }
}

TEST_F(EngineTest, TooLargeKeysAndValuesAreRefusedWhole) {
  const AppliedMark mark = MarkAt(LogIndex(1));
  EXPECT_TRUE(ApplyCommit(*engine_, {{"a", "1"}, {std::string(70'000, 'k'), "v"}}, mark)
                  .IsInvalidArgument());
  EXPECT_FALSE(engine_->Get("a", kNewest)->found);
  EXPECT_EQ(engine_->applied(), AppliedMark{});
}

TEST_F(EngineTest, ALargeValueComesBack) {
  const std::string large(3'000'000, 'L');
  Apply({{"large", large}, {"small", "s"}});
  Flush();
  EXPECT_EQ(engine_->Get("large", kNewest)->value, large);
  Compact();
  EXPECT_EQ(engine_->Get("large", kNewest)->value, large);
  EXPECT_EQ(engine_->Get("small", kNewest)->value, "s");
}

TEST_F(EngineTest, EachVersionShowsItsOwnState) {
  Apply({{"k", "1"}});
  Apply({{"k", std::nullopt}});
  Apply({{"k", "3"}});
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(engine_->Get("k", Version(0))->version, Version(0));
    EXPECT_EQ(engine_->Get("k", Version(1))->value, "1");
    const auto deleted = engine_->Get("k", Version(2));
    EXPECT_FALSE(deleted->found);
    EXPECT_EQ(deleted->version, Version(2)) << "a tombstone tells its version";
    EXPECT_EQ(engine_->Get("k", Version(3))->value, "3");
    if (round == 0) Flush();
    if (round == 1) Compact();
  }
}

TEST_F(EngineTest, ManyVersionsOfOneKeySpanBlocks) {
  for (int i = 1; i <= 60; ++i) {
    Apply({{"k", std::string(30, 'v') + std::to_string(i)}});
    if (engine_->WantsFlush()) Flush();
  }
  Compact();
  for (std::uint64_t i = 1; i <= 60; ++i) {
    EXPECT_EQ(engine_->Get("k", Version(i))->value, std::string(30, 'v') + std::to_string(i));
    const auto walk = engine_->NewIterator({.at = Version(i)}, {"", ""});
    walk->SeekToFirst();
    ASSERT_TRUE(walk->Valid());
    EXPECT_EQ(walk->version(), Version(i));
    walk->Next();
    EXPECT_FALSE(walk->Valid());
  }
}

TEST_F(EngineTest, TheWatermarkLetsOldVersionsAndTombstonesVanish) {
  Apply({{"k", "1"}, {"dead", "x"}});
  Apply({{"k", "2"}, {"dead", std::nullopt}});
  const LogIndex last = Apply({{"k", "3"}});
  engine_->SetWatermark(Version(last.value()));
  Compact();
  EXPECT_EQ(engine_->Get("k", kNewest)->value, "3");
  EXPECT_EQ(engine_->Get("dead", kNewest)->version, Version(0)) << "forgotten altogether";
  EXPECT_TRUE(engine_->Get("k", Version(2)).status().IsInvalidArgument());
  const auto walk = engine_->NewIterator({.at = Version(2)}, {"", ""});
  walk->SeekToFirst();
  EXPECT_FALSE(walk->Valid());
  EXPECT_TRUE(walk->status().IsInvalidArgument());
  Restart();
  EXPECT_TRUE(engine_->Get("k", Version(2)).status().IsInvalidArgument()) << "it is remembered";
}

TEST_F(EngineTest, AWatermarkAheadOfWhatIsDurableDoesNotBlockTheReplay) {
  Apply({{"k", "1"}});
  engine_->SetWatermark(Version(100));
  Compact();
  const std::uint64_t durable = engine_->durable_applied().index.value();
  Restart();
  ASSERT_EQ(engine_->applied().index.value(), durable);
  EXPECT_EQ(engine_->Get("k", Version(durable))->value, "1");
}

TEST_F(EngineTest, TombstonesNeverLetOldValuesRiseAgain) {
  Apply({{"k", "old"}});
  Compact();  // the value is on level 1
  ASSERT_GT(CompactedFiles(engine_->Stats()), 0u);
  Apply({{"k", std::nullopt}});
  engine_->SetWatermark(Version(engine_->applied().index.value()));
  for (int round = 0; round < 3; ++round) {
    EXPECT_FALSE(engine_->Get("k", kNewest)->found);
    const auto walk = engine_->NewIterator({.at = kNewest}, {"k", "l"});
    walk->SeekToFirst();
    EXPECT_FALSE(walk->Valid());
    if (round == 0) Flush();
    if (round == 1) Compact();
    Restart();
    while (engine_->applied().index < LogIndex(2)) Apply({});
    if (round == 0) engine_->SetWatermark(Version(engine_->applied().index.value()));
  }
}

TEST_F(EngineTest, AnEntryWithoutMutationsMovesTheMarkToo) {
  Apply({});
  Apply({});
  EXPECT_EQ(engine_->applied(), MarkAt(LogIndex(2)));
  Flush();
  EXPECT_EQ(engine_->durable_applied(), MarkAt(LogIndex(2)));
  EXPECT_EQ(Files(0), 0u);
  Restart();
  EXPECT_EQ(engine_->applied(), MarkAt(LogIndex(2)));
  EXPECT_EQ(engine_->client_state(), "state");
}

TEST_F(EngineTest, ClientStateBelongsToItsFlush) {
  Apply({{"a", "1"}});
  engine_->StartFlush("one");
  Apply({{"b", "2"}});
  engine_->StartFlush("two");
  EXPECT_EQ(engine_->client_state(), "");
  while (engine_->durable_applied().index < LogIndex(1)) world_.executor.RunOne();
  EXPECT_EQ(engine_->client_state(), "one");
  Restart();
  EXPECT_EQ(engine_->applied().index, LogIndex(1));
  EXPECT_EQ(engine_->client_state(), "one");
  EXPECT_FALSE(engine_->Get("b", kNewest)->found);
}

TEST_F(EngineTest, AFlushOfNothingNewDoesNothing) {
  Apply({{"a", "1"}});
  Flush();
  engine_->StartFlush("other");
  EXPECT_EQ(world_.executor.waiting(), 0u);
  EXPECT_EQ(engine_->client_state(), "state");
}

TEST_F(EngineTest, OldUnflushedEntriesWantAFlush) {
  options_.unflushed_entries_max = 3;
  Restart();
  Apply({});
  Apply({});
  EXPECT_FALSE(engine_->WantsFlush());
  Apply({});
  EXPECT_TRUE(engine_->WantsFlush());
  Flush();
  EXPECT_FALSE(engine_->WantsFlush());
}

TEST_F(EngineTest, ApplyIsBusyWhileTooMuchWaitsAndGoesOnAfterwards) {
  Status status;
  std::uint64_t applied = 0;
  while ((status = ApplyCommit(*engine_, {{std::to_string(applied), std::string(500, 'v')}},
                               MarkAt(LogIndex(applied + 1))))
             .ok()) {
    ++applied;
    if (engine_->WantsFlush()) engine_->StartFlush("");
    ASSERT_LT(applied, 1000u);
  }
  EXPECT_TRUE(status.IsBusy());
  EXPECT_EQ(engine_->Stats().memtables, options_.memtables_max);
  EXPECT_EQ(engine_->applied().index.value(), applied);
  world_.executor.RunAll();
  Apply({{"more", "x"}});
}

TEST_F(EngineTest, AMemtableThatNobodyFlushesIsBounded) {
  Status status;
  std::uint64_t applied = 0;
  while ((status = ApplyCommit(*engine_, {{std::to_string(applied), std::string(500, 'v')}},
                               MarkAt(LogIndex(applied + 1))))
             .ok()) {
    ++applied;
    ASSERT_LT(applied, 1000u);
  }
  EXPECT_TRUE(status.IsBusy());
}

TEST_F(EngineTest, CompactionsBoundTheFilesOfARead) {
  for (int i = 0; i < 200; ++i) {
    Apply({{std::to_string(i * 37 % 100), std::string(100, 'v')}});
    if (i % 3 == 0) Flush();
    EXPECT_LT(Files(0), options_.level0_files_trigger);
  }
  EXPECT_GT(CompactedFiles(engine_->Stats()), 1u) << "cut at table_bytes";
}

TEST_F(EngineTest, SeeksThatLookIntoLevel0AgainAndAgainBringItDown) {
  for (int i = 0; i < 50; ++i) Apply({{std::to_string(i), std::string(40, 'v')}});
  Compact();
  for (int i = 0; i < 2; ++i) {
    Apply({{"7", "new"}, {"~", "end"}});
    Flush();
  }
  ASSERT_EQ(Files(0), 2u);
  const EngineStats before = engine_->Stats();
  const auto written = [&] {
    std::uint64_t bytes = 0;
    for (const auto& level : engine_->Stats().levels) bytes += level.written_bytes;
    return bytes;
  };
  const std::uint64_t written_before = written();
  // Lookups ask the filters, and one seek is no reason.
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(engine_->Get("7", kNewest)->found);
  engine_->NewIterator({}, {})->Seek("7");
  engine_->Tick();
  world_.executor.RunAll();
  EXPECT_EQ(Files(0), 2u);
  std::uint64_t seeks = 0;
  for (; Files(0) > 0; ++seeks) {
    ASSERT_LT(seeks, 5000u);
    const auto walk = engine_->NewIterator({}, {});
    walk->Seek("7");
    ASSERT_TRUE(walk->Valid());
    ASSERT_EQ(walk->value(), "new");
    walk->Next();
    world_.executor.RunAll();
  }
  EXPECT_EQ(engine_->Stats().compactions, before.compactions + 1);
  // They have read more than was written.
  EXPECT_GE(2 * seeks * options_.block_bytes, written() - written_before);
  const EngineStats merged = engine_->Stats();
  for (int i = 0; i < 5000; ++i) engine_->NewIterator({}, {})->Seek("7");
  world_.executor.RunAll();
  EXPECT_EQ(engine_->Stats().compactions, merged.compactions);
}

TEST_F(EngineTest, ReadersKeepTheirFilesAndTickRemovesThemLater) {
  Apply({{"k", "1"}});
  Flush();
  auto walk = engine_->NewIterator({.at = kNewest}, {});
  Compact();
  const std::size_t with_reader = world_.disk.List("/db")->size();
  walk->SeekToFirst();
  ASSERT_TRUE(walk->Valid());
  EXPECT_EQ(walk->value(), "1");
  engine_->Tick();
  world_.executor.RunAll();
  EXPECT_EQ(world_.disk.List("/db")->size(), with_reader);
  walk.reset();
  engine_->Tick();
  world_.executor.RunAll();
  EXPECT_EQ(world_.disk.List("/db")->size(), Files(0) + CompactedFiles(engine_->Stats()) + 3);
}

TEST_F(EngineTest, TheManifestIsRewrittenWhenItIsLarge) {
  const std::string state(300'000, 's');
  for (int i = 0; i < 40; ++i) {
    Apply({{"k", std::to_string(i)}});
    engine_->StartFlush(state + std::to_string(i));
    world_.executor.RunAll();
  }
  const auto names = world_.disk.List("/db");
  std::uint64_t manifests = 0;
  for (const std::string& name : *names) {
    if (!name.starts_with("MANIFEST")) continue;
    ++manifests;
    EXPECT_NE(name, "MANIFEST-000001");
    EXPECT_LT(*world_.disk.FileSize("/db/" + name), 4'000'000u);
  }
  EXPECT_EQ(manifests, 1u);
  Restart();
  EXPECT_EQ(engine_->applied().index, LogIndex(40));
  EXPECT_EQ(engine_->client_state(), state + "39");
  EXPECT_EQ(engine_->Get("k", kNewest)->value, "39");
}

TEST_F(EngineTest, AJobThatRunsAfterTheEnginesEndDoesNothing) {
  world_.executor.RunAll();
  Apply({{"k", "1"}});
  engine_->StartFlush("state");
  ASSERT_EQ(world_.executor.waiting(), 1u);
  engine_.reset();
  const std::uint64_t mutations = world_.disk.mutations();
  world_.executor.RunAll();
  EXPECT_EQ(world_.disk.mutations(), mutations);
}

TEST_F(EngineTest, StepsAreBounded) {
  options_.memtable_bytes = 8 * kMiB;
  Restart();
  for (int i = 0; i < 4; ++i) Apply({{std::to_string(i), std::string(1 * kMiB, 'v')}});
  engine_->StartFlush("");
  std::size_t steps = 0;
  while (world_.executor.RunOne()) ++steps;
  EXPECT_GE(steps, 4u);
  EXPECT_EQ(engine_->durable_applied(), engine_->applied());
}

}  // namespace
}  // namespace bedrock::engine
