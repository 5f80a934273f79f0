#include "storaged/engine/memtable/memtable.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/env/random.h"
#include "tests/unit/storaged/engine/memtable/skip_list.h"

namespace bedrock::engine {
namespace {

struct InternalKeyLess {
  bool operator()(const InternalKey& a, const InternalKey& b) const { return a.view() < b.view(); }
};

/// A memtable, and the same entries in a map in internal key order.
class Pair {
 public:
  void Add(const std::string& key, std::uint64_t version, EntryKind kind,
           const std::string& value) {
    memtable_.Add({key, Trailer(Version(version), kind)}, value);
    // Put and delete of one version are one place.
    model_.erase({key, Trailer(Version(version), EntryKind::kPut)});
    model_.erase({key, Trailer(Version(version), EntryKind::kDelete)});
    model_[{key, Trailer(Version(version), kind)}] = value;
  }

  void CheckWalks() const {
    ASSERT_EQ(memtable_.entries(), model_.size());
    Memtable::Cursor cursor(memtable_);
    cursor.SeekToFirst();
    for (auto want = model_.begin(); want != model_.end(); ++want) {
      CheckAt(cursor, want);
      if (testing::Test::HasFatalFailure()) return;
      cursor.Next();
    }
    ASSERT_FALSE(cursor.Valid());
    cursor.SeekToLast();
    for (auto want = model_.end(); want != model_.begin();) {
      CheckAt(cursor, --want);
      if (testing::Test::HasFatalFailure()) return;
      cursor.Prev();
    }
    ASSERT_FALSE(cursor.Valid());
    ASSERT_TRUE(cursor.status().ok());
  }

  void CheckFind(const std::string& key, std::uint64_t at) const {
    const auto want = model_.lower_bound({key, Trailer::SeekTo(Version(at))});
    const auto got = memtable_.Find(key, Version(at));
    ASSERT_EQ(got.has_value(), want != model_.end() && want->first.user_key == key);
    if (!got.has_value()) return;
    ASSERT_EQ(got->trailer, want->first.trailer);
    ASSERT_EQ(got->value, want->second);
  }

  /// Seeks both ways, and walks a little to and fro.
  void CheckSeek(const InternalKey& target, Random& random) const {
    Memtable::Cursor cursor(memtable_);
    auto want = model_.lower_bound(target);
    cursor.Seek(target.view());
    CheckAt(cursor, want);
    Wander(cursor, want, random);
    want = model_.upper_bound(target);
    want = want == model_.begin() ? model_.end() : std::prev(want);
    cursor.SeekForPrev(target.view());
    CheckAt(cursor, want);
    Wander(cursor, want, random);
  }

  const auto& model() const { return model_; }
  const Memtable& memtable() const { return memtable_; }

 private:
  using Model = std::map<InternalKey, std::string, InternalKeyLess>;

  void Wander(Memtable::Cursor& cursor, Model::const_iterator want, Random& random) const {
    for (int i = 0; i < 8 && want != model_.end(); ++i) {
      if (random.Chance(1, 2)) {
        cursor.Next();
        ++want;
      } else {
        cursor.Prev();
        want = want == model_.begin() ? model_.end() : std::prev(want);
      }
      CheckAt(cursor, want);
    }
  }

  void CheckAt(const Memtable::Cursor& cursor, Model::const_iterator want) const {
    ASSERT_EQ(cursor.Valid(), want != model_.end());
    if (!cursor.Valid()) return;
    ASSERT_EQ(cursor.key(), want->first.view());
    ASSERT_EQ(cursor.value(), want->second);
  }

  Memtable memtable_;
  Model model_;
};

/// Few keys with many versions each, some of them beginning others.
std::string DrawKey(Random& random) {
  std::string key(random.Below(12), static_cast<char>(random.Chance(1, 2) ? 'a' : 255));
  if (random.Chance(2, 3)) key += std::to_string(random.Below(40));
  if (random.Chance(1, 10)) key += '\0';
  return key;
}

TEST(MemtableTest, AnswersLikeASortedMap) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    Random random(seed);
    Pair pair;
    const bool rising = seed % 2 == 0;
    for (std::uint64_t i = 1; i <= 3000; ++i) {
      const std::uint64_t version =
          rising ? std::max<std::uint64_t>(1, i / 3) : random.Between(1, 100);
      const bool put = random.Chance(2, 3);
      pair.Add(DrawKey(random), version, put ? EntryKind::kPut : EntryKind::kDelete,
               put ? std::string(random.Below(100), static_cast<char>('a' + i % 26)) : "");
    }
    pair.CheckWalks();
    for (int i = 0; i < 5000; ++i) {
      const std::string key = DrawKey(random);
      const std::uint64_t at = random.Below(1100);
      pair.CheckFind(key, at);
      pair.CheckSeek({key, Trailer::SeekTo(Version(at))}, random);
      pair.CheckSeek({key, Trailer::Last()}, random);
      if (HasFatalFailure()) return;
    }
    for (const auto& [key, value] : pair.model()) {
      pair.CheckFind(key.user_key, key.trailer.version().value());
      pair.CheckSeek(key, random);
      pair.CheckSeek({key.user_key, Trailer::FromPacked(key.trailer.packed() + 1)}, random);
      pair.CheckSeek({key.user_key, Trailer::FromPacked(key.trailer.packed() - 1)}, random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(MemtableTest, AnswersLikeTheSkipListItReplaced) {
  Random random(11);
  Memtable memtable;
  SkipList list;
  for (std::uint64_t version = 1; version <= 5000; ++version) {
    const std::string key = DrawKey(random);
    const InternalKeyView internal{key, Trailer(Version(version), EntryKind::kPut)};
    const std::string value = std::to_string(version);
    memtable.Add(internal, value);
    list.Add(internal, value);
  }
  Memtable::Cursor cursor(memtable);
  SkipList::Cursor model(list);
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = DrawKey(random);
    const Version at(random.Between(1, 5001));
    const auto got = memtable.Find(key, at);
    const auto want = list.Find(key, at);
    ASSERT_EQ(got.has_value(), want.has_value());
    if (got.has_value()) {
      ASSERT_EQ(got->trailer, want->trailer);
      ASSERT_EQ(got->value, want->value);
    }
    const auto choice = random.Below(10);
    if (choice == 0) {
      cursor.Seek(SeekKey(key, at));
      model.Seek(SeekKey(key, at));
    } else if (choice == 1) {
      cursor.SeekForPrev(SeekKey(key, at));
      model.SeekForPrev(SeekKey(key, at));
    } else if (!model.Valid()) {
      random.Chance(1, 2) ? (cursor.SeekToFirst(), model.SeekToFirst())
                          : (cursor.SeekToLast(), model.SeekToLast());
    } else if (choice < 6) {
      cursor.Next();
      model.Next();
    } else {
      cursor.Prev();
      model.Prev();
    }
    ASSERT_EQ(cursor.Valid(), model.Valid());
    if (!model.Valid()) continue;
    ASSERT_EQ(cursor.key(), model.key());
    ASSERT_EQ(cursor.value(), model.value());
  }
}

TEST(MemtableTest, AnEmptyOneHasNothing) {
  const Memtable memtable;
  EXPECT_TRUE(memtable.empty());
  EXPECT_EQ(memtable.bytes(), 0u);
  EXPECT_FALSE(memtable.Find("", kVersionMax).has_value());
  EXPECT_EQ(memtable.CoveringTombstone("", kVersionMax), Version());
  EXPECT_TRUE(memtable.Tombstones()->empty());
  Memtable::Cursor cursor(memtable);
  cursor.SeekToFirst();
  EXPECT_FALSE(cursor.Valid());
  cursor.SeekToLast();
  EXPECT_FALSE(cursor.Valid());
  cursor.Seek(SeekKey("key", kVersionMax));
  EXPECT_FALSE(cursor.Valid());
  cursor.SeekForPrev(SeekKey("key", kVersionMax));
  EXPECT_FALSE(cursor.Valid());
}

TEST(MemtableTest, TheLastAddOfAVersionWins) {
  Memtable memtable;
  memtable.Add({"key", Trailer(Version(1), EntryKind::kPut)}, "older");
  memtable.Add({"key", Trailer(Version(2), EntryKind::kPut)}, "first");
  memtable.Add({"key", Trailer(Version(2), EntryKind::kDelete)}, "");
  EXPECT_EQ(memtable.Find("key", Version(2))->trailer.kind(), EntryKind::kDelete);
  memtable.Add({"key", Trailer(Version(2), EntryKind::kPut)}, "last");
  EXPECT_EQ(memtable.Find("key", Version(2))->value, "last");
  EXPECT_EQ(memtable.Find("key", Version(1))->value, "older");
  EXPECT_EQ(memtable.entries(), 2u);
}

TEST(MemtableTest, CountsItsBytes) {
  Memtable memtable;
  EXPECT_TRUE(memtable.empty());
  memtable.Add({"key", Trailer(Version(1), EntryKind::kPut)}, std::string(10'000, 'v'));
  EXPECT_GE(memtable.bytes(), 10'000u);
  EXPECT_LE(memtable.bytes(), 10'100u);
  memtable.Add({"other", Trailer(Version(2), EntryKind::kPut)}, std::string(10'000, 'v'));
  EXPECT_LE(memtable.bytes(), 20'200u);
  const std::size_t before = memtable.bytes();
  memtable.AddRangeTombstone("a", "b", Version(3));
  EXPECT_GT(memtable.bytes(), before);
}

TEST(MemtableTest, KeepsRangeTombstonesBesideThePoints) {
  Memtable memtable;
  memtable.Add({"b", Trailer(Version(1), EntryKind::kPut)}, "value");
  memtable.AddRangeTombstone("a", "c", Version(2));
  memtable.AddRangeTombstone("b", "", Version(4));
  memtable.AddRangeTombstone("c", "c", Version(5));  // empty
  EXPECT_EQ(memtable.entries(), 3u);
  EXPECT_TRUE(memtable.Find("b", Version(9)).has_value());
  EXPECT_EQ(memtable.CoveringTombstone("b", Version(1)), Version());
  EXPECT_EQ(memtable.CoveringTombstone("b", Version(3)), Version(2));
  EXPECT_EQ(memtable.CoveringTombstone("b", Version(9)), Version(4));
  EXPECT_EQ(memtable.CoveringTombstone("z", Version(9)), Version(4));
  EXPECT_EQ(*memtable.Tombstones(), FragmentedTombstones(std::vector<RangeTombstone>{
                                        {"a", "c", Version(2)}, {"b", "", Version(4)}}));
}

TEST(MemtableTest, OneOfOnlyRangeTombstonesIsNotEmpty) {
  Memtable memtable;
  memtable.AddRangeTombstone("a", "b", Version(1));
  EXPECT_FALSE(memtable.empty());
}

TEST(MemtableTest, ACursorMovesWithItsPlace) {
  Memtable memtable;
  // Deeper than what a cursor keeps inside itself.
  for (std::uint64_t i = 1; i <= 60; ++i) {
    memtable.Add({std::string(i, 'a'), Trailer(Version(i), EntryKind::kPut)}, "");
  }
  Memtable::Cursor cursor(memtable);
  cursor.Seek(SeekKey(std::string(40, 'a'), kVersionMax));
  Memtable::Cursor moved(std::move(cursor));
  for (std::uint64_t i = 40; i >= 1; --i) {
    ASSERT_TRUE(moved.Valid());
    ASSERT_EQ(moved.key().user_key.size(), i);
    moved.Prev();
  }
  ASSERT_FALSE(moved.Valid());
}

TEST(MemtableDeathTest, RefusesWhatItsEntriesCanNotHold) {
  Memtable memtable;
  const std::string key(kKeyBytesMax + 1, 'k');
  EXPECT_DEATH(memtable.Add({key, Trailer(Version(1), EntryKind::kPut)}, ""), "CHECK failed");
}

}  // namespace
}  // namespace bedrock::engine
