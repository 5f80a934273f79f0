#include "storaged/engine/read/snapshot_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/env/random.h"
#include "tests/unit/storaged/engine/read/history.h"
#include "tests/unit/storaged/engine/read/vector_cursor.h"

namespace bedrock::engine {
namespace {

using Walk = SnapshotWalk<VectorCursor>;

std::unique_ptr<Walk> NewWalk(const Layers& layers, Version at, Range bounds = {},
                              const ValueResolver* resolver = nullptr) {
  auto walk = std::make_unique<Walk>(at, bounds, resolver);
  walk->sources().Reserve(layers.size());
  for (const Layer& layer : layers) walk->sources().Emplace(layer.points);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    auto tombstones = std::make_shared<FragmentedTombstones>(layers[i].tombstones);
    if (!tombstones->empty()) walk->AddTombstones(i, std::move(tombstones));
  }
  return walk;
}

std::size_t Steps(const Layers& layers) {
  std::size_t steps = 0;
  for (const Layer& layer : layers) steps += layer.points->steps;
  return steps;
}
std::size_t Seeks(const Layers& layers) {
  std::size_t seeks = 0;
  for (const Layer& layer : layers) seeks += layer.points->seeks;
  return seeks;
}
void ResetCounts(const Layers& layers) {
  for (const Layer& layer : layers) layer.points->steps = layer.points->seeks = 0;
}

// ---- Against a model

void ExpectSame(const Walk& walk, const ModelWalk& model) {
  ASSERT_TRUE(walk.status().ok()) << walk.status().ToString();
  ASSERT_EQ(walk.Valid(), model.Valid());
  if (!model.Valid()) return;
  const Shown& shown = model.shown[static_cast<std::size_t>(model.at)];
  ASSERT_EQ(walk.key(), shown.key);
  ASSERT_EQ(walk.value(), shown.value);
  ASSERT_EQ(walk.version(), shown.version);
}

TEST(SnapshotWalkTest, ShowsWhatTheModelShowsWhateverTheMoves) {
  Random random(1);
  const TestResolver resolver;
  for (int round = 0; round < 500; ++round) {
    const History history(random);
    for (int walks = 0; walks < 3; ++walks) {
      const Version at(random.Below(history.last().value() + 2));
      const std::string begin = random.Chance(1, 2) ? "" : RandomHistoryKey(random);
      const std::string end = random.Chance(1, 2) ? "" : RandomHistoryKey(random);
      const Range bounds{begin, end};
      const auto walk = NewWalk(history.layers(), at, bounds, &resolver);
      ModelWalk model{history.At(at, bounds)};
      ASSERT_FALSE(walk->Valid());
      for (int move = 0; move < 60; ++move) {
        RandomMove(random, *walk, model);
        ASSERT_NO_FATAL_FAILURE(ExpectSame(*walk, model)) << "round " << round;
      }
    }
  }
}

TEST(SnapshotWalkTest, WalksAllOfItBothWays) {
  Random random(2);
  const TestResolver resolver;
  for (int round = 0; round < 300; ++round) {
    const History history(random);
    const auto walk = NewWalk(history.layers(), history.last(), {}, &resolver);
    ModelWalk model{history.At(history.last(), {})};
    model.at = 0;
    for (walk->SeekToFirst(); walk->Valid(); walk->Next(), ++model.at) {
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*walk, model));
    }
    ASSERT_EQ(model.at, std::ssize(model.shown));
    for (walk->SeekToLast(), --model.at; walk->Valid(); walk->Prev(), --model.at) {
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*walk, model));
    }
    ASSERT_EQ(model.at, -1);
  }
}

TEST(SnapshotWalkTest, SeeksWhatItStandsOn) {
  Layers layers(2);
  for (const char* key :
       {"apple", "melon", "orange and a tail that needs more room than short keys"}) {
    layers[0].points->Add(key, Version(2), EntryKind::kPut, "");
    layers[1].points->Add(key, Version(1), EntryKind::kPut, "");
  }
  const auto walk = NewWalk(layers, Version(9));
  for (const bool forward : {true, false}) {
    for (const char* key : {"apple", "melon", "orange"}) {
      walk->Seek(key);
      const std::string at(walk->key());
      walk->Seek(walk->key());
      EXPECT_EQ(walk->key(), at);
      forward ? walk->Seek(walk->key()) : walk->SeekForPrev(walk->key());
      EXPECT_EQ(walk->key(), at);
      walk->Seek(walk->key().substr(0, 3));
      EXPECT_EQ(walk->key(), at);
    }
  }
}

// A memtable grows while it is walked; what it gains is above the walk's version.
TEST(SnapshotWalkTest, ShowsNothingOfWhatASourceGainsMeanwhile) {
  Random random(3);
  const TestResolver resolver;
  for (int round = 0; round < 100; ++round) {
    const History history(random);
    const auto walk = NewWalk(history.layers(), history.last(), {}, &resolver);
    ModelWalk model{history.At(history.last(), {})};
    Version next = history.last();
    for (int move = 0; move < 100; ++move) {
      RandomMove(random, *walk, model);
      ASSERT_NO_FATAL_FAILURE(ExpectSame(*walk, model)) << "round " << round;
      for (std::size_t i = random.Below(4); i > 0; --i) {
        next = next.Next();
        history.layers()[0].points->Add(RandomHistoryKey(random), next, EntryKind::kPut, "later");
      }
    }
  }
}

// ---- How far it walks

std::string Number(int i) { return std::to_string(100'000 + i); }

Layers Swath(EntryKind kind, int keys) {
  Layers layers(1);
  for (int i = 0; i < keys; ++i) layers[0].points->Add(Number(i), Version(1), kind, "");
  return layers;
}

TEST(SnapshotWalkTest, NeverWalksTombstonesOutsideOfItsBounds) {
  Layers layers = Swath(EntryKind::kDelete, 10'000);
  layers[0].points->Add("1", Version(2), EntryKind::kPut, "first");
  layers[0].points->Add("2", Version(2), EntryKind::kPut, "last");
  const std::string end = Number(0);
  const auto before = NewWalk(layers, Version(9), {"", end});
  before->SeekToFirst();
  ASSERT_TRUE(before->Valid());
  before->Next();
  EXPECT_FALSE(before->Valid());
  before->SeekForPrev("3");
  ASSERT_TRUE(before->Valid());
  EXPECT_EQ(before->key(), "1");
  const auto behind = NewWalk(layers, Version(9), {"2", ""});
  behind->SeekToLast();
  ASSERT_TRUE(behind->Valid());
  behind->Prev();
  EXPECT_FALSE(behind->Valid());
  EXPECT_LE(Steps(layers), 6u);
}

TEST(SnapshotWalkTest, JumpsOverOldVersionsBothWays) {
  Layers layers(2);
  for (const char* key : {"a", "c"}) {
    layers[0].points->Add(key, Version(20'000), EntryKind::kPut, "edge");
  }
  for (std::uint64_t v = 1; v <= 2000; ++v) {
    layers[v > 1000 ? 0 : 1].points->Add("b", Version(v), EntryKind::kPut, std::to_string(v));
  }
  for (const std::uint64_t at : {20'000u, 1500u, 1000u, 400u, 5u}) {
    const auto walk = NewWalk(layers, Version(at));
    const std::string expected = std::to_string(std::min<std::uint64_t>(at, 2000));
    ResetCounts(layers);
    walk->Seek("b");
    ASSERT_TRUE(walk->Valid());
    EXPECT_EQ(walk->value(), expected);
    walk->Next();
    EXPECT_EQ(walk->Valid(), at == 20'000);
    walk->SeekForPrev("bb");
    ASSERT_TRUE(walk->Valid());
    EXPECT_EQ(walk->value(), expected);
    walk->Prev();
    EXPECT_EQ(walk->Valid(), at == 20'000);
    walk->SeekToFirst();
    if (at == 20'000) walk->Next();
    EXPECT_EQ(walk->value(), expected);
    EXPECT_LE(Steps(layers), 60u) << at;
    EXPECT_LE(Seeks(layers), 30u) << at;
  }
}

TEST(SnapshotWalkTest, JumpsOverVersionsAboveItsOwnBothWays) {
  Layers layers(1);
  for (const char* key : {"a", "b", "c"}) {
    layers[0].points->Add(key, Version(1), EntryKind::kPut, key);
  }
  for (std::uint64_t v = 2; v <= 2000; ++v) {
    layers[0].points->Add("b", Version(v), EntryKind::kPut, "newer");
    layers[0].points->Add("bb", Version(v), EntryKind::kPut, "newer");
  }
  const auto walk = NewWalk(layers, Version(1));
  std::string seen;
  for (walk->SeekToFirst(); walk->Valid(); walk->Next()) seen += walk->value();
  for (walk->SeekToLast(); walk->Valid(); walk->Prev()) seen += walk->value();
  EXPECT_EQ(seen, "abccba");
  EXPECT_LE(Steps(layers), 80u);
  EXPECT_LE(Seeks(layers), 12u);
}

TEST(SnapshotWalkTest, JumpsOutOfRangeTombstonesBothWays) {
  Layers layers(3);
  layers[2].points = Swath(EntryKind::kPut, 10'000)[0].points;
  for (int i = 0; i < 10'000; i += 3) {
    layers[1].points->Add(Number(i), Version(2), EntryKind::kPut, "");
  }
  layers[1].points->Add("0", Version(2), EntryKind::kPut, "");
  layers[1].points->Add("9", Version(2), EntryKind::kPut, "");
  // Written after the range was deleted, and so to be seen.
  layers[0].points->Add(Number(5000), Version(4), EntryKind::kPut, "");
  for (const std::string& end : {Number(20'000), std::string("8"), std::string()}) {
    layers[0].tombstones = {{Number(0), end, Version(3)}};
    ResetCounts(layers);
    const auto walk = NewWalk(layers, Version(9));
    std::vector<std::string> seen;
    for (walk->SeekToFirst(); walk->Valid(); walk->Next()) seen.emplace_back(walk->key());
    for (walk->SeekToLast(); walk->Valid(); walk->Prev()) seen.emplace_back(walk->key());
    if (end.empty()) {
      EXPECT_EQ(seen, (std::vector<std::string>{"0", Number(5000), Number(5000), "0"}));
    } else {
      EXPECT_EQ(seen, (std::vector<std::string>{"0", Number(5000), "9", "9", Number(5000), "0"}));
    }
    EXPECT_LE(Steps(layers), 100u);
    EXPECT_LE(Seeks(layers), 20u);
  }
}

TEST(SnapshotWalkTest, StepsOnceAKeyBothWays) {
  Layers layers(3);
  for (int i = 0; i < 3000; ++i) {
    layers[static_cast<std::size_t>(i % 3)].points->Add(Number(i), Version(1), EntryKind::kPut, "");
  }
  const auto walk = NewWalk(layers, Version(1));
  walk->SeekToFirst();
  ResetCounts(layers);
  for (int i = 0; i < 2999; ++i) walk->Next();
  EXPECT_EQ(Steps(layers), 2999u);
  walk->SeekToLast();
  ResetCounts(layers);
  for (int i = 0; i < 2999; ++i) walk->Prev();
  EXPECT_LE(Steps(layers), 3000u);
  EXPECT_EQ(Seeks(layers), 0u);
}

// ---- Errors

TEST(SnapshotWalkTest, AnErrorOfASourceEndsTheWalkForEver) {
  for (std::size_t bad = 0; bad <= 20; ++bad) {
    for (const bool forward : {true, false}) {
      Layers layers = Swath(EntryKind::kPut, 20);
      layers[0].points->error_at = bad;
      const auto walk = NewWalk(layers, Version(1));
      std::size_t seen = 0;
      forward ? walk->SeekToFirst() : walk->SeekToLast();
      for (; walk->Valid(); forward ? walk->Next() : walk->Prev()) ++seen;
      // Number 20 is either end. Backward it is met one key earlier: the walk looks whether the key
      // goes on.
      const std::size_t behind = bad == 20 ? 20 : 19 - bad;
      EXPECT_EQ(seen, forward ? bad : behind - (behind > 0 ? 1 : 0));
      EXPECT_TRUE(walk->status().IsCorruption());
      walk->SeekToLast();
      EXPECT_FALSE(walk->Valid());
      walk->Seek(Number(0));
      EXPECT_FALSE(walk->Valid());
      EXPECT_TRUE(walk->status().IsCorruption());
    }
  }
}

TEST(SnapshotWalkTest, ABlobThatCannotBeReadEndsTheWalkForEver) {
  const TestResolver resolver;
  Layers layers(1);
  layers[0].points->Add("a", Version(1), EntryKind::kBlobPut, "ref 1");
  layers[0].points->Add("b", Version(2), EntryKind::kBlobPut, "lost");
  layers[0].points->Add("c", Version(3), EntryKind::kPut, "3");
  for (const bool forward : {true, false}) {
    const auto walk = NewWalk(layers, Version(3), {}, &resolver);
    forward ? walk->SeekToFirst() : walk->SeekToLast();
    ASSERT_TRUE(walk->Valid());
    EXPECT_EQ(walk->value(), forward ? "blob 1" : "3");
    forward ? walk->Next() : walk->Prev();
    EXPECT_FALSE(walk->Valid());
    EXPECT_TRUE(walk->status().IsCorruption());
    walk->SeekToFirst();
    EXPECT_FALSE(walk->Valid());
  }
}

TEST(SnapshotWalkTest, RefusesAnEntryOfAKindItDoesNotKnow) {
  Layers layers(1);
  layers[0].points->Add("a", Version(1), static_cast<EntryKind>(77), "");
  const auto walk = NewWalk(layers, Version(3));
  walk->SeekToFirst();
  EXPECT_FALSE(walk->Valid());
  EXPECT_TRUE(walk->status().IsCorruption());
}

}  // namespace
}  // namespace bedrock::engine
