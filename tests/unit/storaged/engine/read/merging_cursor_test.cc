#include "storaged/engine/read/merging_cursor.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "tests/unit/storaged/engine/read/vector_cursor.h"

namespace bedrock::engine {
namespace {

using Parts = std::vector<std::shared_ptr<CursorEntries>>;

Parts MakeParts(std::size_t count) {
  Parts parts;
  for (std::size_t i = 0; i < count; ++i) parts.push_back(std::make_shared<CursorEntries>());
  return parts;
}

MergingCursor<VectorCursor> Merge(const Parts& parts) {
  MergingCursor<VectorCursor> merged;
  merged.Reserve(parts.size());
  for (const auto& part : parts) merged.Emplace(part);
  return merged;
}

/// Keys of lengths around a head's and two heads', with bytes above 127 and zeros, most of them
/// sharing a long prefix.
std::string RandomKey(Random& random) {
  static const std::vector<std::string> kPrefixes = {
      "", "k", "keykey0", "keykey00", "keykey00keykey0", "keykey00keykey00", "keykey00keykey00x"};
  std::string key = kPrefixes[random.Below(kPrefixes.size())];
  const std::size_t more = random.Below(3);
  for (std::size_t i = 0; i < more; ++i) key += std::string(1, "\0a\xff"[random.Below(3)]);
  return key;
}

/// Entries spread over parts, and all of them.
struct Spread {
  explicit Spread(Random& random) : parts(MakeParts(random.Below(random.Chance(1, 4) ? 24 : 7))) {
    const std::size_t entries = random.Below(parts.size() > 7 ? 200 : 60);
    for (std::uint64_t version = 1; version <= entries && !parts.empty(); ++version) {
      const std::string key = RandomKey(random);
      auto& part = parts[random.Chance(1, 2) ? parts.size() - 1 : random.Below(parts.size())];
      part->Add(key, Version(version), EntryKind::kPut, std::to_string(version));
      all->Add(key, Version(version), EntryKind::kPut, std::to_string(version));
    }
  }

  Parts parts;
  std::shared_ptr<CursorEntries> all = std::make_shared<CursorEntries>();
};

void ExpectSame(const MergingCursor<VectorCursor>& merged, const VectorCursor& model) {
  ASSERT_TRUE(merged.status().ok());
  ASSERT_EQ(merged.Valid(), model.Valid());
  if (!model.Valid()) return;
  ASSERT_EQ(merged.key(), model.key());
  ASSERT_EQ(merged.value(), model.value());
}

TEST(MergingCursorTest, WalksAsOneSortedListWhateverTheMoves) {
  Random random(1);
  for (int round = 0; round < 400; ++round) {
    Spread spread(random);
    auto merged = Merge(spread.parts);
    VectorCursor model(spread.all);
    ExpectSame(merged, model);
    for (int move = 0; move < 200; ++move) {
      const InternalKey target{RandomKey(random), Trailer::SeekTo(Version(random.Below(62)))};
      const std::uint64_t what = random.Below(40);
      if (what == 0) {
        merged.SeekToFirst();
        model.SeekToFirst();
      } else if (what == 1) {
        merged.SeekToLast();
        model.SeekToLast();
      } else if (what == 2 || (!model.Valid() && what % 2 == 0)) {
        merged.Seek(target.view());
        model.Seek(target.view());
      } else if (what == 3 || !model.Valid()) {
        merged.SeekForPrev(target.view());
        model.SeekForPrev(target.view());
      } else if (what < 22) {
        merged.Next();
        model.Next();
      } else {
        merged.Prev();
        model.Prev();
      }
      ASSERT_NO_FATAL_FAILURE(ExpectSame(merged, model)) << "round " << round;
    }
  }
}

TEST(MergingCursorTest, SkipsToATargetInBothDirections) {
  Random random(2);
  for (int round = 0; round < 2000; ++round) {
    Spread spread(random);
    auto merged = Merge(spread.parts);
    VectorCursor model(spread.all);
    const InternalKey target{RandomKey(random), Trailer::SeekTo(Version(random.Below(62)))};
    const bool forward = random.Chance(1, 2);
    forward ? merged.SeekToFirst() : merged.SeekToLast();
    for (std::size_t steps = random.Below(20); steps > 0 && merged.Valid(); --steps) {
      forward ? merged.Next() : merged.Prev();
    }
    if (!merged.Valid()) continue;
    const InternalKey from{std::string(merged.key().user_key), merged.key().trailer};
    if (forward) {
      merged.SkipTo(target.view());
      model.Seek(std::max(from.view(), target.view()));
    } else {
      merged.SkipBackTo(target.view());
      model.SeekForPrev(std::min(from.view(), target.view()));
    }
    ASSERT_NO_FATAL_FAILURE(ExpectSame(merged, model));
    // It goes on both ways from there.
    if (!merged.Valid()) continue;
    merged.Prev();
    model.Prev();
    ASSERT_NO_FATAL_FAILURE(ExpectSame(merged, model));
  }
}

TEST(MergingCursorTest, SkippingLeavesSourcesAloneThatStandBehindTheTarget) {
  const Parts parts = MakeParts(2);
  for (char c = 'a'; c <= 'z'; ++c) {
    parts[0]->Add(std::string(1, c), Version(1), EntryKind::kPut, "");
  }
  parts[1]->Add("y", Version(2), EntryKind::kPut, "");
  auto merged = Merge(parts);
  merged.SeekToFirst();
  parts[0]->seeks = parts[1]->seeks = 0;
  merged.SkipTo({"m", Trailer::SeekTo(kVersionMax)});
  EXPECT_EQ(merged.key().user_key, "m");
  EXPECT_EQ(parts[0]->seeks, 1u);
  EXPECT_EQ(parts[1]->seeks, 0u);
  EXPECT_EQ(parts[0]->steps + parts[1]->steps, 0u);
}

TEST(MergingCursorTest, ASourceThatIsSkippedOnItsOwnIsBackWhenTheWalkTurns) {
  const Parts parts = MakeParts(2);
  for (const char* key : {"a", "c", "e", "g"}) {
    parts[0]->Add(key, Version(2), EntryKind::kPut, "");
    parts[1]->Add(key + std::string("1"), Version(1), EntryKind::kPut, "");
  }
  auto merged = Merge(parts);
  merged.Seek({"a1", Trailer::SeekTo(kVersionMax)});
  ASSERT_EQ(merged.front(), 1u);
  merged.SkipFrontTo({"g", Trailer::SeekTo(kVersionMax)});
  EXPECT_EQ(merged.key().user_key, "c");
  merged.Next();
  EXPECT_EQ(merged.key().user_key, "e");
  merged.Prev();  // its source stood at g1, and before e there is c1
  EXPECT_EQ(merged.key().user_key, "c1");
  merged.SkipFrontBackTo({"a", Trailer::SeekTo(kVersionMax)});
  EXPECT_EQ(merged.key().user_key, "c");
  merged.Next();
  EXPECT_EQ(merged.key().user_key, "c1");
}

TEST(MergingCursorTest, TurnsRightlyWhereASourceGrewInBetween) {
  for (const bool forward : {true, false}) {
    const Parts parts = MakeParts(2);
    for (const char* key : {"a", "m", "z"}) parts[0]->Add(key, Version(1), EntryKind::kPut, "");
    for (const char* key : {"b", "y"}) parts[1]->Add(key, Version(2), EntryKind::kPut, "");
    auto merged = Merge(parts);
    const InternalKeyView middle{"m", Trailer(Version(1), EntryKind::kPut)};
    forward ? merged.Seek(middle) : merged.SeekForPrev(middle);
    // Far more than the one step that the turn takes.
    for (const char* key : {"n", "o", "p", "j", "k", "l"}) {
      parts[1]->Add(key, Version(3), EntryKind::kPut, "");
    }
    forward ? merged.Prev() : merged.Next();
    EXPECT_EQ(merged.key().user_key, forward ? "l" : "n");
  }
}

TEST(MergingCursorTest, StepsWithinOneSourceTouchNoOther) {
  const Parts parts = MakeParts(3);
  for (int i = 0; i < 100; ++i) {
    parts[0]->Add(std::to_string(1000 + i), Version(1), EntryKind::kPut, "");
  }
  parts[1]->Add("5", Version(2), EntryKind::kPut, "");
  parts[2]->Add("6", Version(3), EntryKind::kPut, "");
  auto merged = Merge(parts);
  merged.SeekToFirst();
  for (int i = 0; i < 99; ++i) merged.Next();
  EXPECT_EQ(merged.key().user_key, "1099");
  EXPECT_EQ(parts[0]->steps, 99u);
  EXPECT_EQ(parts[1]->steps + parts[2]->steps, 0u);
}

TEST(MergingCursorTest, AnErrorOfOneSourceEndsTheWalkForEver) {
  for (const bool forward : {true, false}) {
    const Parts parts = MakeParts(2);
    for (const char* key : {"a", "c", "e"}) parts[0]->Add(key, Version(1), EntryKind::kPut, "");
    parts[1]->Add("b", Version(2), EntryKind::kPut, "");
    parts[1]->Add("d", Version(2), EntryKind::kPut, "");
    parts[1]->error_at = forward ? 1 : 0;
    auto merged = Merge(parts);
    forward ? merged.SeekToFirst() : merged.SeekToLast();
    int seen = 0;
    for (; merged.Valid(); forward ? merged.Next() : merged.Prev()) ++seen;
    EXPECT_EQ(seen, 2);
    EXPECT_TRUE(merged.status().IsCorruption());
    merged.SeekToFirst();
    EXPECT_FALSE(merged.Valid());
    merged.SeekForPrev({"a", Trailer::Last()});
    EXPECT_FALSE(merged.Valid());
    EXPECT_TRUE(merged.status().IsCorruption());
  }
}

TEST(MergingCursorTest, AnErrorInATurnEndsTheWalk) {
  const Parts parts = MakeParts(2);
  for (const char* key : {"a", "c"}) parts[0]->Add(key, Version(1), EntryKind::kPut, "");
  for (const char* key : {"b", "d"}) parts[1]->Add(key, Version(2), EntryKind::kPut, "");
  auto merged = Merge(parts);
  merged.Seek({"c", Trailer::SeekTo(kVersionMax)});
  parts[1]->error_at = 0;
  merged.Prev();
  EXPECT_FALSE(merged.Valid());
  EXPECT_TRUE(merged.status().IsCorruption());
}

TEST(MergingCursorTest, HasNothingWithoutSources) {
  MergingCursor<VectorCursor> merged;
  merged.SeekToFirst();
  EXPECT_FALSE(merged.Valid());
  merged.SeekForPrev({"a", Trailer::Last()});
  EXPECT_FALSE(merged.Valid());
  EXPECT_TRUE(merged.status().ok());
}

}  // namespace
}  // namespace bedrock::engine
