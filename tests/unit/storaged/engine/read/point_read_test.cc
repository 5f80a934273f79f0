#include "storaged/engine/read/point_read.h"

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

const TestResolver kResolver;

void ExpectValue(const Result<PinnedValue>& got, const History::Newest& expected) {
  ASSERT_EQ(got.ok(), expected.value.has_value()) << got.status().ToString();
  if (got.ok()) {
    ASSERT_EQ(got->value(), *expected.value);
    ASSERT_EQ(got->version(), expected.version);
  } else {
    ASSERT_TRUE(got.status().IsNotFound());
  }
}

Result<PinnedValue> ReadOne(const PointRead& read, std::string_view key) {
  PinnedValue value;
  Status status = ReadPoint(read, key, &value);
  if (!status.ok()) return status;
  return value;
}

TEST(PointReadTest, AnswersAsTheModel) {
  Random random(1);
  for (int round = 0; round < 150; ++round) {
    ReadStateMaker maker(random.Chance(1, 2) ? 0 : 1 << 20);
    const History history(random);
    const ReadStateCell cell(maker.Make(history.layers(), random));
    const ReadStateCell::Read state(cell);
    std::vector<std::string> keys = history.Keys();
    for (int i = 0; i < 10; ++i) keys.push_back(RandomHistoryKey(random));
    for (int versions = 0; versions < 4; ++versions) {
      const PointRead read{
          state, Version(random.Below(history.last().value() + 2)), {}, &kResolver};
      for (const std::string& key : keys) {
        const History::Newest expected = history.NewestOf(key, read.at);
        const auto newest = FindNewest(read, key);
        ASSERT_TRUE(newest.ok());
        ASSERT_EQ(newest->trailer.version(), expected.version) << "round " << round;
        ASSERT_EQ(newest->known(), expected.version > Version());
        ASSERT_EQ(newest->found(), expected.value.has_value());
        if (newest->found()) {
          const auto copy = CopyValue(read, *newest);
          ASSERT_TRUE(copy.ok());
          ASSERT_EQ(*copy, *expected.value);
        }
        ASSERT_NO_FATAL_FAILURE(ExpectValue(ReadOne(read, key), expected));
      }
    }
  }
}

TEST(PointReadTest, ReadsManyKeysAtOnceAsOneByOne) {
  Random random(2);
  for (int round = 0; round < 300; ++round) {
    ReadStateMaker maker(random.Chance(1, 2) ? 0 : 1 << 20);
    const History history(random);
    const ReadStateCell cell(maker.Make(history.layers(), random));
    const ReadStateCell::Read state(cell);
    const PointRead read{state, Version(random.Below(history.last().value() + 2)), {}, &kResolver};
    // In no order, some of them twice.
    std::vector<std::string> keys;
    for (std::size_t i = random.Below(40); i > 0; --i) {
      keys.push_back(random.Chance(1, 4) ? "hot" : RandomHistoryKey(random));
    }
    const auto values = ReadPoints(read, std::vector<std::string_view>(keys.begin(), keys.end()));
    ASSERT_EQ(values.size(), keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      ASSERT_NO_FATAL_FAILURE(ExpectValue(values[i], history.NewestOf(keys[i], read.at)));
    }
  }
}

TEST(PointReadTest, ADamagedTableFailsItsOwnKeysOnly) {
  ReadStateMaker maker(0);
  Layer layer;
  for (char c = 'a'; c <= 'z'; ++c) {
    layer.points->Add(std::string(1, c), Version(1), EntryKind::kPut, std::string(1, c));
  }
  auto tables = std::make_shared<TableSet>();
  tables->levels[1] = maker.MakeLevel(layer, {"m"});
  const ReadStateCell cell(std::make_shared<const ReadState>(ReadState::Memtables(), tables));
  const ReadStateCell::Read state(cell);
  const PointRead read{state, Version(9), {}, nullptr};
  maker.disk().Inject({.operations = {MemoryFileSystem::Operation::kRead},
                       .path_suffix = "000002.sst",
                       .forever = MemoryFileSystem::Forever::kYes});
  EXPECT_TRUE(ReadOne(read, "a").ok());
  EXPECT_TRUE(ReadOne(read, "m").status().IsIOError());
  const std::string_view keys[] = {"z", "b", "n", "c", "absent"};
  const auto values = ReadPoints(read, keys);
  EXPECT_TRUE(values[0].status().IsIOError());
  EXPECT_EQ(values[1]->value(), "b");
  EXPECT_TRUE(values[2].status().IsIOError());
  EXPECT_EQ(values[3]->value(), "c");
  EXPECT_TRUE(values[4].status().IsNotFound());
}

TEST(PointReadTest, AsksNoSourceBehindTheOneThatKnows) {
  ReadStateMaker maker(0);
  Layers layers(2);
  layers[1].points->Add("entry", Version(1), EntryKind::kPut, "old");
  layers[1].points->Add("deleted", Version(1), EntryKind::kPut, "old");
  layers[1].points->Add("range", Version(1), EntryKind::kPut, "old");
  layers[0].points->Add("entry", Version(2), EntryKind::kPut, "new");
  layers[0].points->Add("deleted", Version(2), EntryKind::kDelete, "");
  layers[0].tombstones = {{"r", "s", Version(2)}};
  auto tables = std::make_shared<TableSet>();
  tables->levels[0] = {maker.MakeTable(layers[1], "", "")};
  const ReadStateCell cell(std::make_shared<const ReadState>(
      ReadState::Memtables{ReadStateMaker::MakeMemtable(layers[0])}, tables));
  const ReadStateCell::Read state(cell);
  maker.disk().Inject({.operations = {MemoryFileSystem::Operation::kRead},
                       .path_suffix = ".sst",
                       .forever = MemoryFileSystem::Forever::kYes});
  const PointRead read{state, Version(9), {}, nullptr};
  EXPECT_EQ(ReadOne(read, "entry")->value(), "new");
  EXPECT_TRUE(ReadOne(read, "deleted").status().IsNotFound());
  EXPECT_TRUE(ReadOne(read, "range").status().IsNotFound());
  EXPECT_EQ(FindNewest(read, "range")->trailer.version(), Version(2));
  EXPECT_TRUE(ReadOne({state, Version(1), {}, nullptr}, "range").status().IsIOError());
}

TEST(PointReadTest, AValueOutlivesTheStateThatItWasReadFrom) {
  for (const std::size_t bytes : {10u, 5000u}) {
    for (const bool in_memory : {true, false}) {
      Layer layer;
      const std::string expected(bytes, 'v');
      layer.points->Add("a", Version(1), EntryKind::kPut, expected);
      PinnedValue value;
      {
        ReadStateMaker maker;
        ReadState::Memtables memtables;
        auto tables = std::make_shared<TableSet>();
        if (in_memory) {
          memtables = {ReadStateMaker::MakeMemtable(layer)};
        } else {
          tables->levels[2] = {maker.MakeTable(layer, "", "")};
        }
        const ReadStateCell cell(
            std::make_shared<const ReadState>(std::move(memtables), std::move(tables)));
        const ReadStateCell::Read state(cell);
        ASSERT_TRUE(ReadPoint({state, Version(1), {}, nullptr}, "a", &value).ok());
      }
      EXPECT_EQ(value.value(), expected);
      EXPECT_EQ(value.version(), Version(1));
    }
  }
}

TEST(PointReadTest, TellsABlobThatCannotBeRead) {
  Layer layer;
  layer.points->Add("a", Version(1), EntryKind::kBlobPut, "lost");
  const ReadStateCell cell(std::make_shared<const ReadState>(
      ReadState::Memtables{ReadStateMaker::MakeMemtable(layer)}, std::make_shared<TableSet>()));
  const ReadStateCell::Read state(cell);
  PinnedValue value;
  value.Pin("before", Version(7), nullptr, nullptr);
  EXPECT_TRUE(ReadPoint({state, Version(1), {}, &kResolver}, "a", &value).IsCorruption());
  EXPECT_EQ(value.value(), "") << "what it held before is gone";
  EXPECT_TRUE(ReadPoint({state, Version(1), {}, nullptr}, "a", &value).IsCorruption());
}

}  // namespace
}  // namespace bedrock::engine
