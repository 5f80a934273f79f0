#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/table/block.h"
#include "storaged/engine/table/bloom_filter.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/search.h"
#include "storaged/engine/table/table_builder.h"
#include "storaged/engine/table/table_cursor.h"
#include "storaged/engine/table/table_format.h"
#include "storaged/engine/table/table_reader.h"
#include "tests/unit/storaged/engine/vector_iterator.h"

namespace bedrock::engine {
namespace {

std::vector<TestEntry> RandomEntries(Random& random, std::size_t n) {
  std::vector<TestEntry> entries;
  const std::string shared(random.Below(20), 'p');
  const std::uint64_t base = random.Chance(1, 2) ? 0 : std::uint64_t{1} << 54;
  for (std::size_t i = 0; i < n; ++i) {
    std::string key = shared + std::to_string(random.Below(n));
    if (random.Chance(1, 20)) key += std::string("\0\xff", 2);
    const EntryKind kind = random.Chance(1, 5) ? EntryKind::kDelete : EntryKind::kPut;
    const std::size_t size = random.Chance(1, 100) ? 70'000 : random.Below(50);
    entries.push_back({{key, Trailer(Version(base + i + 1), kind)},
                       kind == EntryKind::kPut ? std::string(size, 'v') + std::to_string(i) : ""});
  }
  SortEntries(entries);
  return entries;
}

std::size_t LowerBound(const std::vector<TestEntry>& entries, InternalKeyView target) {
  std::size_t at = 0;
  while (at < entries.size() && entries[at].key.view() < target) ++at;
  return at;
}

std::string BlockOf(const std::vector<TestEntry>& entries) {
  BlockBuilder builder;
  for (const TestEntry& entry : entries) builder.Add(entry.key.view(), entry.value);
  std::string contents;
  builder.Finish(contents);
  return contents;
}

std::string KeyOf(const Block& block, std::size_t i) {
  return std::string(block.prefix()) + std::string(block.KeyRest(i));
}

TEST(BlockTest, EntriesComeBackAndAreFound) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const auto entries = RandomEntries(random, 1 + random.Below(round % 10 == 0 ? 400 : 60));
    const auto memory = Block::Parse(BlockOf(entries));
    ASSERT_TRUE(memory.ok());
    const Block& block = Block::In(**memory);
    ASSERT_EQ(block.size(), entries.size());
    ASSERT_TRUE(block.KindsAreKnown());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      ASSERT_EQ(KeyOf(block, i), entries[i].key.user_key);
      ASSERT_LE(entries[i].key.user_key.size(), block.key_bytes_max());
      ASSERT_TRUE(block.HasKey(i, entries[i].key.user_key));
      ASSERT_FALSE(block.HasKey(i, entries[i].key.user_key + "x"));
      ASSERT_EQ(block.TrailerAt(i), entries[i].key.trailer);
      ASSERT_EQ(block.Value(i), entries[i].value);
    }
    for (int i = 0; i < 50; ++i) {
      std::string key = entries[random.Below(entries.size())].key.user_key;
      if (random.Chance(1, 3)) key += 'x';
      if (random.Chance(1, 3)) key.resize(random.Below(key.size() + 1));
      const InternalKeyView target{key, Trailer::SeekTo(Version(random.Below(70)))};
      ASSERT_EQ(block.LowerBound(target), LowerBound(entries, target));
    }
  }
}

TEST(BlockTest, WhatAllEntriesShareTakesNoRoom) {
  BlockBuilder builder;
  for (int i = 100; i < 134; ++i) {
    builder.Add({"user/0000000" + std::to_string(i), Trailer(Version(7), EntryKind::kPut)},
                std::string(100, 'v'));
  }
  std::string contents;
  builder.Finish(contents);
  EXPECT_EQ(contents.size(), 28u + 13 + 34 * (2 + 100)) << "header, prefix, rests and values";
}

TEST(BlockTest, UnknownKindsAreSeen) {
  for (const int kind : {0, 4, 254, 255}) {
    BlockBuilder builder;
    builder.Add({"a", Trailer(Version(1), static_cast<EntryKind>(kind))}, "");
    std::string contents;
    builder.Finish(contents);
    EXPECT_FALSE(Block::In(**Block::Parse(contents)).KindsAreKnown());
    builder.Add({"b", Trailer(Version(1), EntryKind::kPut)}, "");
    contents.clear();
    builder.Finish(contents);
    EXPECT_FALSE(Block::In(**Block::Parse(contents)).KindsAreKnown());
  }
}

TEST(BlockTest, NoBytesMakeItReadOutside) {
  Random random(2);
  std::size_t parsed = 0;
  for (const std::size_t n : {1, 3, 20}) {
    const std::string good = BlockOf(RandomEntries(random, n));
    for (std::size_t at = 0; at < std::min<std::size_t>(good.size(), 2000); ++at) {
      std::string bad = good;
      bad[at] = static_cast<char>(random.Next());
      if (random.Chance(1, 4)) bad.resize(random.Below(bad.size()));
      const auto memory = Block::Parse(bad);
      if (!memory.ok()) continue;
      ++parsed;
      const Block& block = Block::In(**memory);  // under the address sanitizer this is the test
      std::vector<char> key(block.key_bytes_max() + Block::kCopyBytes);
      for (std::size_t i = 0; i < block.size(); ++i) {
        ASSERT_LE(block.CopyKeyRest(i, key.data()), block.key_bytes_max());
        ASSERT_EQ(std::string(block.Value(i)).size(), block.Value(i).size());
        (void)block.TrailerAt(i);
      }
      (void)block.LowerBound(SeekKey("pp1", Version(9)));
    }
  }
  EXPECT_GT(parsed, 0u);
}

TEST(SearchTest, CountsLikeTheStandardLibrary) {
  Random random(8);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t n = random.Below(round % 5 == 0 ? 1000 : 80);
    std::vector<std::int32_t> heads(n);
    for (auto& head : heads) head = static_cast<std::int32_t>(random.Below(100)) - 50;
    if (n > 0 && random.Chance(1, 4)) heads[0] = INT32_MAX;
    if (n > 1 && random.Chance(1, 4)) heads[1] = INT32_MIN;
    std::sort(heads.begin(), heads.end());
    std::vector<std::uint64_t> wide(heads.begin(), heads.end());
    std::sort(wide.begin(), wide.end());
    const std::int32_t head = random.Chance(1, 10) ? INT32_MAX
                              : random.Chance(1, 10)
                                  ? INT32_MIN
                                  : static_cast<std::int32_t>(random.Below(100)) - 50;
    const auto low = static_cast<std::size_t>(std::lower_bound(heads.begin(), heads.end(), head) -
                                              heads.begin());
    const auto high = static_cast<std::size_t>(std::upper_bound(heads.begin(), heads.end(), head) -
                                               heads.begin());
    heads.resize(n + kHeadsPadding, head);
    ASSERT_EQ(LowerBound32(heads.data(), n, head), low);
    ASSERT_EQ(UpperBound32(heads.data(), low, n, head), high);
    const auto wide_head = static_cast<std::uint64_t>(head);
    const auto wide_low = static_cast<std::size_t>(
        std::lower_bound(wide.begin(), wide.end(), wide_head) - wide.begin());
    ASSERT_EQ(LowerBound64(wide.data(), n, wide_head), wide_low);
    ASSERT_EQ(UpperBound64(wide.data(), wide_low, n, wide_head),
              static_cast<std::size_t>(std::upper_bound(wide.begin(), wide.end(), wide_head) -
                                       wide.begin()));
  }
}

TEST(SearchTest, HeadsSortAsKeysDo) {
  Random random(9);
  const auto key = [&] {
    std::string out;
    for (std::size_t n = random.Below(11); n > 0; --n) {
      out += "\0\1\x7f\x80\xff"[random.Below(5)];
    }
    return out;
  };
  for (int round = 0; round < 10'000; ++round) {
    std::string a = key();
    std::string b = key();
    if (a > b) std::swap(a, b);
    ASSERT_LE(Head32(a), Head32(b));
    ASSERT_LE(Head64(a), Head64(b));
    if (a.substr(0, 4) == b.substr(0, 4)) {
      ASSERT_EQ(Head32(a), Head32(b));
    }
  }
}

std::string FilterOf(std::uint32_t bits, int keys) {
  BloomFilterBuilder builder(bits);
  for (int i = 0; i < keys; ++i) builder.Add(HashKey("key" + std::to_string(i)));
  return builder.Finish();
}

TEST(BloomFilterTest, NeverMissesAndRarelyLies) {
  constexpr int kKeys = 50'000;
  const std::string bytes = FilterOf(10, kKeys);
  EXPECT_LE(bytes.size(), kKeys * 10 / 8 + 65u);
  const BloomFilter filter(bytes);
  int lies = 0;
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(filter.MayContain(HashKey("key" + std::to_string(i))));
    lies += filter.MayContain(HashKey("other" + std::to_string(i))) ? 1 : 0;
  }
  EXPECT_LT(lies, kKeys * 13 / 1000) << "about one in a hundred";
  EXPECT_GT(lies, 0);
}

TEST(BloomFilterTest, HoldsAtEverySizeAndWidth) {
  for (std::uint32_t bits = 1; bits <= 30; ++bits) {
    for (int keys : {1, 2, 51, 52, 1000}) {
      const BloomFilter filter(FilterOf(bits, keys));
      for (int i = 0; i < keys; ++i) {
        ASSERT_TRUE(filter.MayContain(HashKey("key" + std::to_string(i))));
      }
    }
  }
}

TEST(BloomFilterTest, NonsenseLetsEverythingPass) {
  const KeyHash hash = HashKey("k");
  EXPECT_TRUE(BloomFilter().MayContain(hash));
  EXPECT_TRUE(BloomFilter("").MayContain(hash));
  EXPECT_TRUE(BloomFilter(std::string(63, '\0')).MayContain(hash));
  EXPECT_TRUE(BloomFilter(std::string(64, '\0')).MayContain(hash));
  EXPECT_TRUE(BloomFilter(std::string(64, '\0') + '\x08').MayContain(hash));
  EXPECT_FALSE(BloomFilter(std::string(64, '\0') + '\x06').MayContain(hash));
}

TEST(SealedBlockTest, RoundTripsAndChecksEverything) {
  Random random(3);
  for (const Compression compression :
       {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    std::string contents(500, 'c');
    for (int i = 0; i < 100; ++i) contents += static_cast<char>(random.Next());
    std::string stored = "before";
    const std::size_t bytes =
        SealBlock(contents, compression, BlockSeed(FileNumber(7), 4096), stored);
    stored.erase(0, 6);
    EXPECT_EQ(stored.size(), bytes + kBlockTrailerBytes);
    EXPECT_EQ(stored.size() < contents.size(), compression != Compression::kNone);
    EXPECT_EQ(OpenSealedBlock(stored, FileNumber(7), 4096).value(), contents);
    EXPECT_TRUE(OpenSealedBlock(stored, FileNumber(8), 4096).status().IsCorruption());
    EXPECT_TRUE(OpenSealedBlock(stored, FileNumber(7), 4104).status().IsCorruption());
    for (std::size_t at = 0; at < stored.size(); ++at) {
      std::string bad = stored;
      bad[at] = static_cast<char>(bad[at] ^ (1 << random.Below(8)));
      ASSERT_TRUE(OpenSealedBlock(bad, FileNumber(7), 4096).status().IsCorruption()) << at;
      ASSERT_TRUE(
          OpenSealedBlock(stored.substr(0, at), FileNumber(7), 4096).status().IsCorruption());
    }
  }
}

TEST(SealedBlockTest, WhatDoesNotCompressIsStoredAsItIs) {
  Random random(4);
  std::string noise;
  for (int i = 0; i < 1000; ++i) noise += static_cast<char>(random.Next());
  for (const Compression compression : {Compression::kLz4, Compression::kZstd}) {
    std::string stored;
    EXPECT_EQ(SealBlock(noise, compression, 0, stored), noise.size());
    EXPECT_EQ(stored.size(), noise.size() + kBlockTrailerBytes);
  }
}

TableProperties SomeProperties() {
  TableProperties properties;
  properties.entries = 5;
  properties.data_blocks = 2;
  properties.version_max = Version(77);
  properties.smallest = std::string("\0a", 2);
  properties.largest = "b";
  properties.blob_references = {{FileNumber(3), 1}, {FileNumber(4), 100'000}};
  properties.garbage = {{Version(5), 6}, {Version(77), 1}};
  return properties;
}

std::string Encoded(const TableProperties& properties) {
  std::string out;
  properties.EncodeTo(out);
  return out;
}

TEST(TablePropertiesTest, UnknownTagsAreSkipped) {
  const auto decoded = TableProperties::Decode(Encoded(SomeProperties()) + "\x63\x01x");
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, SomeProperties());
  EXPECT_TRUE(TableProperties::Decode("\x01").status().IsCorruption());
}

TEST(TablePropertiesTest, WhatContradictsItselfIsCorruption) {
  const std::vector<void (*)(TableProperties&)> spoils = {
      [](TableProperties& p) { p.entries = 0; },
      [](TableProperties& p) { p.tombstones = 6; },
      [](TableProperties& p) { p.data_blocks = 6; },
      [](TableProperties& p) { p.dense_blocks = 3; },
      [](TableProperties& p) { p.version_min = Version(78); },
      [](TableProperties& p) { p.version_max = Version(kVersionMax.value() + 1); },
      [](TableProperties& p) { p.largest = ""; },
      [](TableProperties& p) { p.blob_references[1].file = FileNumber(3); },
      [](TableProperties& p) { p.garbage[1].when = Version(4); },
      [](TableProperties& p) {
        for (std::uint64_t i = 0; i < TableProperties::kGarbageBucketsMax; ++i) {
          p.garbage.push_back({Version(78 + i), 1});
        }
      }};
  for (const auto& spoil : spoils) {
    TableProperties properties = SomeProperties();
    spoil(properties);
    EXPECT_TRUE(TableProperties::Decode(Encoded(properties)).status().IsCorruption());
  }
}

TEST(TablePropertiesTest, BoundsCoverRangeTombstones) {
  TableProperties properties = SomeProperties();
  properties.smallest = "d";
  properties.largest = "h";
  EXPECT_TRUE(properties.range().Contains("h"));
  EXPECT_FALSE(properties.range().Contains("h0"));
  properties.CoverTombstones(FragmentedTombstones({{"b", "k", Version(90)}}));
  EXPECT_EQ(properties.range_tombstones, 1u);
  EXPECT_EQ(properties.version_max, Version(90));
  EXPECT_FALSE(properties.range().Contains("a"));
  EXPECT_TRUE(properties.range().Contains("b"));
  EXPECT_TRUE(properties.range().Contains("jzz"));
  EXPECT_FALSE(properties.range().Contains("k"));
  properties.CoverTombstones(FragmentedTombstones({{"x", "", Version(2)}}));
  EXPECT_TRUE(properties.range().Contains("\xff\xff"));
  EXPECT_EQ(properties.largest, "");
  const auto decoded = TableProperties::Decode(Encoded(properties));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, properties);
}

TEST(FileNamesTest, OnlyExactNamesParse) {
  for (const std::uint64_t n : {1ull, 999'999ull, 1'000'000ull, 123'456'789'012ull}) {
    EXPECT_EQ(ParseName(TableName(FileNumber(n)))->number, FileNumber(n));
    EXPECT_EQ(ParseName(ManifestName(FileNumber(n)))->kind, ParsedName::Kind::kManifest);
  }
  EXPECT_EQ(TableName(FileNumber(42)), "000042.sst");
  EXPECT_EQ(ManifestName(FileNumber(42)), "MANIFEST-000042");
  for (const char* name : {"", "CURRENT", "LOCK", "42.sst", "0000042.sst", "000000.sst",
                           "00004a.sst", "000042.sst.tmp", "MANIFEST-", "MANIFEST-42", "-00042.sst",
                           "99999999999999999999.sst", "notes.txt"}) {
    EXPECT_FALSE(ParseName(name).has_value()) << name;
  }
}

class TableTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk_.CreateDirectories("/db").ok()); }

  TableMetadata Build(const std::vector<TestEntry>& entries, const TableOptions& options) {
    auto builder = TableBuilder::Create(disk_, "/db", FileNumber(5), options);
    EXPECT_TRUE(builder.ok());
    for (const TestEntry& entry : entries) {
      EXPECT_TRUE((*builder)->Add(entry.key.view(), entry.value).ok());
    }
    auto metadata = (*builder)->Finish();
    EXPECT_TRUE(metadata.ok()) << metadata.status().ToString();
    return *metadata;
  }
  std::shared_ptr<const TableReader> Open(const TableMetadata& metadata,
                                          std::size_t cache_bytes = 1 << 20) {
    auto reader =
        TableReader::Open(disk_, "/db", metadata, std::make_shared<BlockCache>(cache_bytes));
    EXPECT_TRUE(reader.ok()) << reader.status().ToString();
    return *reader;
  }

  MemoryFileSystem disk_;
};

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

}  // namespace
}  // namespace bedrock::engine
