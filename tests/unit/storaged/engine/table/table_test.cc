// Tables as they are built, asked and walked.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storaged/engine/table/table_cursor.h"
#include "tests/unit/storaged/engine/table/table_fixture.h"

namespace bedrock::engine {
namespace {

class TableTest : public TableFixture {};

TEST_F(TableTest, AnswersLikeTheEntriesThatWentIn) {
  Random random(5);
  constexpr Compression kCompressions[] = {Compression::kNone, Compression::kLz4,
                                           Compression::kZstd};
  for (int round = 0; round < 60; ++round) {
    const auto entries = RandomEntries(random, 1 + random.Below(400));
    const TableMetadata metadata =
        Build(entries, {.block_bytes = 64 + random.Below(2000),
                        .filter_bits_per_key = random.Chance(1, 3) ? 0u : 10u,
                        .compression = kCompressions[random.Below(3)]});
    EXPECT_EQ(metadata.entries, entries.size());
    EXPECT_EQ(metadata.smallest, entries.front().key.user_key);
    EXPECT_EQ(metadata.largest, entries.back().key.user_key);
    EXPECT_EQ(metadata.size, *disk_.FileSize("/db/000005.sst"));
    const auto table = Open(metadata, random.Chance(1, 2) ? 0 : 1 << 20);
    ASSERT_TRUE(table->Verify().ok()) << table->Verify().ToString();
    TableCursor cursor(*table, random.Chance(1, 2) ? FillCache::kYes : FillCache::kNo);
    cursor.SeekToFirst();
    for (const TestEntry& entry : entries) {
      ASSERT_TRUE(cursor.Valid());
      ASSERT_EQ(cursor.key(), entry.key.view());
      ASSERT_EQ(cursor.value(), entry.value);
      cursor.Next();
    }
    ASSERT_FALSE(cursor.Valid());
    cursor.SeekToLast();
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      ASSERT_TRUE(cursor.Valid());
      ASSERT_EQ(cursor.key(), entry->key.view());
      ASSERT_EQ(cursor.value(), entry->value);
      cursor.Prev();
    }
    ASSERT_FALSE(cursor.Valid());
    ASSERT_TRUE(cursor.status().ok());
    for (int i = 0; i < 200; ++i) {
      const TestEntry& some = entries[random.Below(entries.size())];
      std::string key = some.key.user_key;
      if (random.Chance(1, 4)) key += "x";
      const Version at(some.key.trailer.version().value() + random.Below(3) - random.Below(2));
      const std::size_t want = LowerBound(entries, SeekKey(key, at));
      const bool there = want < entries.size() && entries[want].key.user_key == key;
      const auto got = table->Find(key, at);
      ASSERT_TRUE(got.ok());
      ASSERT_EQ(got->found, there);
      if (there) {
        ASSERT_EQ(got->trailer, entries[want].key.trailer);
        ASSERT_EQ(got->value, entries[want].value);
      }
      cursor.Seek(SeekKey(key, at));
      ASSERT_EQ(cursor.Valid(), want < entries.size());
      if (cursor.Valid()) {
        ASSERT_EQ(cursor.key(), entries[want].key.view());
      }
      // A target that is an entry is its own last one at or before.
      const InternalKeyView target = random.Chance(1, 2) ? some.key.view() : SeekKey(key, at);
      const std::size_t above = LowerBound(entries, target);
      const bool same = above < entries.size() && entries[above].key.view() == target;
      cursor.SeekForPrev(target);
      ASSERT_EQ(cursor.Valid(), same || above > 0);
      if (cursor.Valid()) {
        const TestEntry& before = entries[same ? above : above - 1];
        ASSERT_EQ(cursor.key(), before.key.view());
        ASSERT_EQ(cursor.value(), before.value);
      }
    }
  }
}

TEST_F(TableTest, AFilterSavesReads) {
  std::vector<TestEntry> entries;
  for (int i = 0; i < 1000; ++i) {
    entries.push_back({{std::to_string(i), Trailer(Version(1), EntryKind::kPut)}, "v"});
  }
  SortEntries(entries);
  const auto table = Open(Build(entries, {.block_bytes = 256}), 0);
  // From here on every read of the file fails.
  disk_.Inject({.operations = {MemoryFileSystem::Operation::kRead},
                .forever = MemoryFileSystem::Forever::kYes});
  int reads = 0;
  for (int i = 0; i < 1000; ++i) {
    reads += table->Find("absent" + std::to_string(i), Version(9)).ok() ? 0 : 1;
  }
  EXPECT_LT(reads, 40);
  EXPECT_TRUE(table->Find("7", Version(9)).status().IsIOError());
}

TEST_F(TableTest, CachedBlocksNeedNoFile) {
  std::vector<TestEntry> entries;
  for (int i = 0; i < 1000; ++i) {
    entries.push_back({{std::to_string(i), Trailer(Version(1), EntryKind::kPut)}, "v"});
  }
  SortEntries(entries);
  const auto table = Open(Build(entries, {.block_bytes = 256}));
  TableCursor compaction(*table, FillCache::kNo);
  for (compaction.SeekToFirst(); compaction.Valid(); compaction.Next()) {
  }
  EXPECT_TRUE(table->Find("7", Version(9)).ok());
  disk_.Inject({.operations = {MemoryFileSystem::Operation::kRead},
                .forever = MemoryFileSystem::Forever::kYes});
  EXPECT_EQ(table->Find("7", Version(9))->value, "v");
  EXPECT_FALSE(table->Find("500", Version(9)).ok()) << "a compaction fills no cache";
}

TEST_F(TableTest, AFullCacheTakesABlockThatIsReadAgain) {
  std::vector<TestEntry> entries;
  for (int i = 0; i < 40'000; ++i) {
    entries.push_back(
        {{std::to_string(i), Trailer(Version(1), EntryKind::kPut)}, std::string(20, 'v')});
  }
  SortEntries(entries);
  const auto cache = std::make_shared<BlockCache>(128 * 1024, 256);
  const auto metadata = Build(entries, {.block_bytes = 256});
  const auto table = TableReader::Open(disk_, "/db", metadata, cache);
  ASSERT_TRUE(table.ok());
  const auto is_kept = [&](const std::string& key) {
    const std::uint64_t hits = cache->hits();
    EXPECT_TRUE((*table)->Find(key, Version(9))->found);
    return cache->hits() > hits;
  };
  int at_once = 0;
  int at_second = 0;
  int never = 0;
  // Each in a block of its own.
  for (std::size_t i = 0; i < entries.size(); i += 30) {
    const std::string& key = entries[i].key.user_key;
    const bool full = !cache->HasRoomFor(256);
    EXPECT_FALSE(is_kept(key)) << "a block that was never read";
    if (!full) continue;
    (is_kept(key) ? at_once : is_kept(key) ? at_second : never)++;
  }
  EXPECT_GT(at_once, 0) << "one in some";
  EXPECT_GT(at_second, 2 * at_once);
  EXPECT_EQ(never, 0);
}

TEST_F(TableTest, ABuilderRemembersItsError) {
  auto builder = TableBuilder::Create(disk_, "/db", FileNumber(5), {});
  disk_.SetCapacity(100);
  Status status;
  for (int i = 0; i < 10'000 && status.ok(); ++i) {
    const std::string key = std::to_string(100'000 + i);
    status = (*builder)->Add({key, Trailer(Version(1), EntryKind::kPut)}, std::string(100, 'v'));
  }
  EXPECT_TRUE(status.IsNoSpace());
  disk_.SetCapacity(MemoryFileSystem::kUnlimited);
  EXPECT_TRUE((*builder)->Finish().status().IsNoSpace());
}

TEST_F(TableTest, SeeksStandRightAtEveryBoundary) {
  // Every target that can matter: before, on and behind each key, at each of its versions and
  // between them; blocks of one entry, of a few, and one of all.
  std::vector<TestEntry> entries;
  const std::vector<std::string> keys = {
      "",     std::string(1, '\0'),  "a", "ab", "abcd", "abcde", "b", std::string(300, 'b'),
      "\xff", "\xff\xff\xff\xff\xff"};
  for (const std::string& key : keys) {
    for (const std::uint64_t version : {2u, 5u, 6u}) {
      entries.push_back({{key, Trailer(Version(version), EntryKind::kPut)}, key + "v"});
    }
  }
  SortEntries(entries);
  for (const std::size_t block_bytes : {1u, 100u, 100'000u}) {
    const auto table = Open(Build(entries, {.block_bytes = block_bytes}));
    ASSERT_TRUE(table->Verify().ok());
    TableCursor cursor(*table);
    for (std::string key : keys) {
      for (const char* const tail : {"", "\x01", "a", "zz"}) {
        for (std::uint64_t version = 1; version <= 7; ++version) {
          const std::string target_key = key + tail;
          for (const Trailer trailer :
               {Trailer::SeekTo(Version(version)), Trailer(Version(version), EntryKind::kPut),
                Trailer::Last()}) {
            const InternalKeyView target{target_key, trailer};
            const std::size_t want = LowerBound(entries, target);
            cursor.Seek(target);
            ASSERT_EQ(cursor.Valid(), want < entries.size());
            if (cursor.Valid()) {
              ASSERT_EQ(cursor.key(), entries[want].key.view());
              cursor.Prev();
              ASSERT_EQ(cursor.Valid(), want > 0);
              if (cursor.Valid()) {
                ASSERT_EQ(cursor.key(), entries[want - 1].key.view());
                cursor.Next();
                ASSERT_EQ(cursor.key(), entries[want].key.view());
              }
            }
            const bool same = want < entries.size() && entries[want].key.view() == target;
            cursor.SeekForPrev(target);
            ASSERT_EQ(cursor.Valid(), same || want > 0);
            if (cursor.Valid()) {
              ASSERT_EQ(cursor.key(), entries[same ? want : want - 1].key.view());
            }
          }
        }
      }
    }
  }
}

TEST_F(TableTest, LongKeysComeBack) {
  std::vector<TestEntry> entries;
  Random random(11);
  for (int i = 0; i < 20; ++i) {
    std::string key(random.Below(kKeyBytesMax + 1), static_cast<char>('a' + i));
    entries.push_back({{key, Trailer(Version(1), EntryKind::kPut)}, std::to_string(i)});
  }
  SortEntries(entries);
  const auto table = Open(Build(entries, {}));
  TableCursor cursor(*table);
  cursor.SeekToFirst();
  for (const TestEntry& entry : entries) {
    ASSERT_EQ(cursor.key(), entry.key.view());
    ASSERT_EQ(table->Find(entry.key.user_key, Version(1))->value, entry.value);
    cursor.Next();
  }
}

TEST_F(TableTest, CountsWhatItHolds) {
  Random random(12);
  for (int round = 0; round < 20; ++round) {
    const auto entries = RandomEntries(random, 1 + random.Below(300));
    const TableMetadata metadata = Build(entries, {.block_bytes = 200});
    std::uint64_t tombstones = 0;
    std::uint64_t raw_bytes = 0;
    std::uint64_t garbage = 0;
    std::map<std::uint64_t, std::uint64_t> droppable;  // by the watermark that frees them
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const InternalKey& key = entries[i].key;
      const std::uint64_t bytes = key.user_key.size() + entries[i].value.size();
      raw_bytes += bytes;
      const bool tombstone = key.trailer.kind() == EntryKind::kDelete;
      if (tombstone) ++tombstones;
      const bool newest = i == 0 || entries[i - 1].key.user_key != key.user_key;
      if (!tombstone && newest) continue;
      garbage += bytes;
      droppable[(tombstone ? key : entries[i - 1].key).trailer.version().value()] += bytes;
    }
    EXPECT_EQ(metadata.entries, entries.size());
    EXPECT_EQ(metadata.tombstones, tombstones);
    EXPECT_EQ(metadata.raw_bytes, raw_bytes);
    std::uint64_t promised_all = 0;
    for (const auto& bucket : metadata.garbage) {
      promised_all += bucket.bytes;
      std::uint64_t true_bytes = 0;
      for (const auto& [when, bytes] : droppable) {
        if (when <= bucket.when.value()) true_bytes += bytes;
      }
      EXPECT_LE(promised_all, true_bytes) << "never too early";
      EXPECT_TRUE(droppable.contains(bucket.when.value()));
    }
    EXPECT_EQ(promised_all, garbage);
    EXPECT_EQ(metadata.garbage.size(),
              std::min(droppable.size(), TableProperties::kGarbageBucketsMax));
  }
}

TEST_F(TableTest, CountsBlocksThatAreMostlyTombstones) {
  std::vector<TestEntry> entries;
  for (int i = 0; i < 1000; ++i) {
    const bool tombstone = i >= 200 && i < 500;
    entries.push_back({{std::to_string(10'000 + i),
                        Trailer(Version(1), tombstone ? EntryKind::kDelete : EntryKind::kPut)},
                       tombstone ? "" : "v"});
  }
  const TableMetadata metadata = Build(entries, {.block_bytes = 1});
  EXPECT_EQ(metadata.data_blocks, 1000u);
  EXPECT_EQ(metadata.dense_blocks, 300u);
  const TableMetadata large = Build(entries, {.block_bytes = 100'000});
  EXPECT_EQ(large.data_blocks, 1u);
  EXPECT_EQ(large.dense_blocks, 0u);
}

TEST_F(TableTest, KeepsRangeTombstonesNextToPoints) {
  const FragmentedTombstones tombstones(
      {{"c", "m", Version(7)}, {"a", "d", Version(20)}, {"x", "y", Version(3)}});
  auto builder = TableBuilder::Create(disk_, "/db", FileNumber(5), {});
  EXPECT_TRUE((*builder)->Add({"k", Trailer(Version(5), EntryKind::kPut)}, "v").ok());
  (*builder)->AddRangeTombstones(tombstones);
  (*builder)->CountBlobReference(FileNumber(9), 10);
  (*builder)->CountBlobReference(FileNumber(3), 1);
  (*builder)->CountBlobReference(FileNumber(9), 5);
  const auto metadata = (*builder)->Finish();
  ASSERT_TRUE(metadata.ok());
  EXPECT_EQ(metadata->smallest, "a");
  EXPECT_EQ(metadata->largest, "y");
  EXPECT_EQ(metadata->largest_kind, UpperBound::Kind::kExcluded);
  EXPECT_EQ(metadata->version_min, Version(3));
  EXPECT_EQ(metadata->version_max, Version(20));
  EXPECT_EQ(metadata->range_tombstones, tombstones.version_count());
  EXPECT_EQ(metadata->blob_references,
            (std::vector<TableProperties::BlobReference>{{FileNumber(3), 1}, {FileNumber(9), 15}}));
  const auto table = Open(*metadata);
  ASSERT_TRUE(table->Verify().ok()) << table->Verify().ToString();
  EXPECT_EQ(table->Tombstones(), tombstones);
  EXPECT_EQ(table->Find("k", Version(9))->value, "v") << "points only";
}

TEST_F(TableTest, MayHoldRangeTombstonesOnly) {
  auto builder = TableBuilder::Create(disk_, "/db", FileNumber(5), {});
  (*builder)->AddRangeTombstones(FragmentedTombstones({{"c", "", Version(7)}}));
  const auto metadata = (*builder)->Finish();
  ASSERT_TRUE(metadata.ok());
  EXPECT_EQ(metadata->largest_kind, UpperBound::Kind::kUnbounded);
  const auto table = Open(*metadata);
  ASSERT_TRUE(table->Verify().ok()) << table->Verify().ToString();
  EXPECT_EQ(table->Tombstones().Covering("z", Version(9)), Version(7));
  EXPECT_FALSE(table->Find("k", Version(9))->found);
  TableCursor cursor(*table);
  cursor.SeekToFirst();
  EXPECT_FALSE(cursor.Valid());
  cursor.SeekToLast();
  EXPECT_FALSE(cursor.Valid());
  cursor.Seek(SeekKey("a", Version(1)));
  EXPECT_FALSE(cursor.Valid());
  cursor.SeekForPrev(SeekKey("z", Version(1)));
  EXPECT_FALSE(cursor.Valid());
  EXPECT_TRUE(cursor.status().ok());
}

TEST_F(TableTest, TellsHowManyBytesARangeTakes) {
  std::vector<TestEntry> entries;
  for (int i = 0; i < 1000; ++i) {
    entries.push_back({{std::to_string(10'000 + i), Trailer(Version(1), EntryKind::kPut)},
                       std::string(100, 'v')});
  }
  const TableMetadata metadata = Build(entries, {});
  const auto table = Open(metadata);
  EXPECT_EQ(table->ApproximateBytes("", ""), metadata.size);
  EXPECT_EQ(table->ApproximateBytes("2", ""), 0u);
  EXPECT_EQ(table->ApproximateBytes("", "1"), 0u);
  EXPECT_NEAR(static_cast<double>(table->ApproximateBytes("10250", "10750")),
              static_cast<double>(metadata.size) / 2, 5000);
  EXPECT_EQ(table->ApproximateBytes("10750", "10250"), 0u);
}

}  // namespace
}  // namespace bedrock::engine
