#include "storaged/engine/read/iterator.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/env/random.h"
#include "tests/unit/storaged/engine/read/history.h"
#include "tests/unit/storaged/engine/read/read_fixture.h"

namespace bedrock::engine {
namespace {

void ExpectSame(const Iterator& iterator, const ModelWalk& model) {
  ASSERT_TRUE(iterator.status().ok()) << iterator.status().ToString();
  ASSERT_EQ(iterator.Valid(), model.Valid());
  if (!model.Valid()) return;
  const Shown& shown = model.shown[static_cast<std::size_t>(model.at)];
  ASSERT_EQ(iterator.key(), shown.key);
  ASSERT_EQ(iterator.value(), shown.value);
  ASSERT_EQ(iterator.version(), shown.version);
}

class ReadIteratorTest : public ::testing::Test {
 protected:
  std::unique_ptr<Iterator> New(std::shared_ptr<const ReadState> state, Version at,
                                Range bounds = {}) {
    return NewIterator({.state = std::move(state),
                        .at = at,
                        .bounds = bounds,
                        .options = {},
                        .resolver = std::make_shared<TestResolver>(),
                        .link = link_});
  }

  std::vector<std::string> events_;
  std::shared_ptr<ReaderLink> link_ =
      std::make_shared<ReaderLink>([this](std::string_view line) { events_.emplace_back(line); });
};

TEST_F(ReadIteratorTest, ShowsWhatTheModelShowsOverMemtablesAndTables) {
  Random random(1);
  for (int round = 0; round < 150; ++round) {
    ReadStateMaker maker(random.Chance(1, 2) ? 0 : 1 << 20);
    const History history(random);
    const auto state = maker.Make(history.layers(), random);
    for (int walks = 0; walks < 4; ++walks) {
      const Version at(random.Below(history.last().value() + 2));
      const std::string begin = random.Chance(1, 2) ? "" : RandomHistoryKey(random);
      const std::string end = random.Chance(1, 2) ? "" : RandomHistoryKey(random);
      const auto iterator = New(state, at, {begin, end});
      ModelWalk model{history.At(at, {begin, end})};
      ASSERT_FALSE(iterator->Valid());
      for (int move = 0; move < 80; ++move) {
        RandomMove(random, *iterator, model);
        ASSERT_NO_FATAL_FAILURE(ExpectSame(*iterator, model)) << "round " << round;
      }
    }
  }
}

// Whatever read fails: what was shown before is right, and then nothing is, for ever.
TEST_F(ReadIteratorTest, NeverStepsOverWhatItCannotRead) {
  Random random(2);
  int failed = 0;
  for (int round = 0; round < 300; ++round) {
    ReadStateMaker maker(0);
    const History history(random);
    const auto state = maker.Make(history.layers(), random);
    const bool forward = random.Chance(1, 2);
    maker.disk().Inject({.operations = {MemoryFileSystem::Operation::kRead},
                         .path_suffix = ".sst",
                         .nth = 1 + random.Below(20)});
    const auto iterator = New(state, history.last());
    ModelWalk model{history.At(history.last(), {})};
    model.at = forward ? 0 : std::ssize(model.shown) - 1;
    forward ? iterator->SeekToFirst() : iterator->SeekToLast();
    while (iterator->Valid()) {
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*iterator, model));
      forward ? iterator->Next() : iterator->Prev();
      model.at += forward ? 1 : -1;
    }
    if (iterator->status().ok()) {
      ASSERT_FALSE(model.Valid());
      continue;
    }
    ++failed;
    EXPECT_TRUE(iterator->status().IsIOError());
    iterator->SeekToFirst();
    EXPECT_FALSE(iterator->Valid());
    EXPECT_TRUE(iterator->status().IsIOError());
  }
  EXPECT_GT(failed, 50);
}

TEST_F(ReadIteratorTest, CountsWhatPositioningReadsOfLevel0) {
  ReadStateMaker maker(0);
  Layer layer;
  for (char c = 'a'; c <= 'z'; ++c) {
    layer.points->Add(std::string(1, c), Version(1), EntryKind::kPut, "v");
  }
  auto tables = std::make_shared<TableSet>();
  tables->levels[0] = {maker.MakeTable(layer, "", "f"), maker.MakeTable(layer, "s", ""),
                       maker.MakeTable(layer, "", "")};
  const auto alone = std::make_shared<const ReadState>(ReadState::Memtables(), tables);
  auto over_others = std::make_shared<TableSet>(*tables);
  over_others->levels[3] = maker.MakeLevel(layer, {"f", "m", "s"});
  const auto state = std::make_shared<const ReadState>(ReadState::Memtables(), over_others);
  const auto counted = [&](const std::shared_ptr<const ReadState>& of, Range bounds) {
    const std::uint64_t before = link_->level0_reads();
    const auto iterator = New(of, Version(1), bounds);
    EXPECT_EQ(link_->level0_reads(), before) << "it was not positioned";
    iterator->Seek("b");
    const std::uint64_t seek = link_->level0_reads() - before;
    iterator->SeekToFirst();
    while (iterator->Valid()) iterator->Next();
    EXPECT_EQ(link_->level0_reads() - before, 2 * seek);
    iterator->SeekToLast();
    iterator->SeekForPrev("x");
    EXPECT_EQ(link_->level0_reads() - before, 4 * seek);
    return seek;
  };
  EXPECT_EQ(counted(state, {}), 3u);
  EXPECT_EQ(counted(state, {"", "f"}), 2u);
  // Merged with each other, they would be one.
  EXPECT_EQ(counted(alone, {}), 2u);
  EXPECT_EQ(counted(alone, {"g", "h"}), 0u);
}

TEST_F(ReadIteratorTest, TellsOncePerSoManyReadsOfLevel0UntilItIsClosed) {
  int told = 0;
  ReaderLink link({}, [&] { ++told; });
  for (std::uint64_t i = 0; i < 3 * ReaderLink::kLevel0ReadsEach / 2; ++i) link.CountLevel0Reads(2);
  EXPECT_EQ(told, 3);
  link.CountLevel0Reads(ReaderLink::kLevel0ReadsEach);
  EXPECT_EQ(told, 4);
  link.Close();
  link.CountLevel0Reads(ReaderLink::kLevel0ReadsEach);
  EXPECT_EQ(told, 4);
}

TEST_F(ReadIteratorTest, ReadsNoTableOutsideOfItsBounds) {
  ReadStateMaker maker(0);
  Layer layer;
  for (char c = 'a'; c <= 'z'; ++c) {
    layer.points->Add(std::string(1, c), Version(1), EntryKind::kPut, "v");
  }
  auto tables = std::make_shared<TableSet>();
  tables->levels[0] = {maker.MakeTable(layer, "", "f"), maker.MakeTable(layer, "s", "")};
  tables->levels[1] = maker.MakeLevel(layer, {"f", "m", "s"});
  const auto state = std::make_shared<const ReadState>(ReadState::Memtables(), tables);
  // Any read of another table than the two in the middle of level 1, which are 4 and 5.
  for (const char* number : {"1", "2", "3", "6"}) {
    maker.disk().Inject({.operations = {MemoryFileSystem::Operation::kRead},
                         .path_suffix = std::string("00000") + number + ".sst",
                         .forever = MemoryFileSystem::Forever::kYes});
  }
  const auto iterator = New(state, Version(9), {"f", "s"});
  std::string seen;
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) seen += iterator->key();
  for (iterator->SeekToLast(); iterator->Valid(); iterator->Prev()) seen += iterator->key();
  EXPECT_TRUE(iterator->status().ok()) << iterator->status().ToString();
  EXPECT_EQ(seen, "fghijklmnopqrrqponmlkjihgf");
}

TEST_F(ReadIteratorTest, KeepsWhatItReads) {
  ReadStateMaker maker;
  Random random(3);
  const History history(random);
  auto state = maker.Make(history.layers(), random);
  const auto iterator = New(std::exchange(state, nullptr), history.last());
  ModelWalk model{history.At(history.last(), {})};
  model.at = 0;
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next(), ++model.at) {
    ASSERT_NO_FATAL_FAILURE(ExpectSame(*iterator, model));
  }
  EXPECT_FALSE(model.Valid());
}

TEST_F(ReadIteratorTest, AnswersAbortedOnceTheDatabaseIsClosed) {
  ReadStateMaker maker;
  Random random(4);
  Layers layers(1);
  layers[0].points->Add("a", Version(1), EntryKind::kPut, "1");
  layers[0].points->Add("b", Version(1), EntryKind::kPut, "2");
  const auto iterator = New(maker.Make(layers, random), Version(1));
  iterator->SeekToFirst();
  ASSERT_TRUE(iterator->Valid());
  link_->Close();
  iterator->Next();
  EXPECT_FALSE(iterator->Valid());
  EXPECT_EQ(iterator->status().code(), StatusCode::kAborted);
  iterator->SeekToFirst();
  EXPECT_FALSE(iterator->Valid());
}

TEST_F(ReadIteratorTest, ReportsAnErrorThatNobodyLookedAt) {
  ReadStateMaker maker(0);
  Layer layer;
  layer.points->Add("a", Version(1), EntryKind::kPut, "1");
  auto tables = std::make_shared<TableSet>();
  tables->levels[0] = {maker.MakeTable(layer, "", "")};
  const auto state = std::make_shared<const ReadState>(ReadState::Memtables(), tables);
  maker.disk().Inject({.operations = {MemoryFileSystem::Operation::kRead},
                       .path_suffix = ".sst",
                       .forever = MemoryFileSystem::Forever::kYes});
  for (const bool look : {true, false}) {
    const auto iterator = New(state, Version(1));
    iterator->SeekToFirst();
    EXPECT_FALSE(iterator->Valid());
    EXPECT_TRUE(!look || iterator->status().IsIOError());
  }
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_NE(events_[0].find("000001.sst"), std::string::npos) << events_[0];
  {
    const auto iterator = New(state, Version(1));
    iterator->SeekToFirst();
    link_->Close();
  }
  EXPECT_EQ(events_.size(), 1u) << "a closed database is told nothing";
}

TEST_F(ReadIteratorTest, AFailedOneSaysWhyWhateverIsAsked) {
  const auto iterator = NewFailedIterator(Status::InvalidArgument("below the watermark"));
  iterator->SeekToLast();
  EXPECT_FALSE(iterator->Valid());
  iterator->Seek("a");
  EXPECT_FALSE(iterator->Valid());
  EXPECT_TRUE(iterator->status().IsInvalidArgument());
}

}  // namespace
}  // namespace bedrock::engine
