#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/table/block.h"
#include "storaged/engine/table/bloom_filter.h"
#include "storaged/engine/table/file_names.h"
#include "storaged/engine/table/garbage_histogram.h"
#include "storaged/engine/table/hash.h"
#include "storaged/engine/table/search.h"
#include "storaged/engine/table/table_builder.h"
#include "storaged/engine/table/table_cursor.h"
#include "storaged/engine/table/table_format.h"
#include "storaged/engine/table/table_reader.h"
#include "tests/unit/storaged/engine/test_entry.h"

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

TEST(HashTest, IsXxh3ForEver) {
  // As the reference implementation gives them, for bytes 0, 7, 14, …: no seed, and seed 99.
  struct Golden {
    std::size_t bytes;
    std::uint64_t plain;
    std::uint64_t seeded;
  };
  const Golden goldens[] = {
      {0, 0x2d06800538d394c2, 0xb32460eae9511fc4},
      {1, 0xc44bdff4074eecdb, 0x5daed7009ac3064f},
      {16, 0x9da23836adf2be1e, 0x99b62926032771fe},
      {240, 0x4917a75c0ef8eed7, 0x1d42a637464894a5},
      {241, 0x541b19226f0052e8, 0x162847d2a2be1fd8},
      {1000, 0x10ad30264426c830, 0x2101a5e4a2054734},
      {5000, 0x6abe8be5abcb2760, 0x9404f48116f103c6},
  };
  for (const Golden& golden : goldens) {
    std::string bytes;
    for (std::size_t i = 0; i < golden.bytes; ++i) bytes += static_cast<char>(i * 7);
    EXPECT_EQ(Hash64(bytes), golden.plain) << golden.bytes;
    EXPECT_EQ(Hash64(bytes, 99), golden.seeded) << golden.bytes;
    Random random(golden.bytes);
    StreamingHash64 pieces;
    for (std::string_view rest = bytes; !rest.empty();) {
      const std::size_t n = std::min(rest.size(), random.Below(700));
      pieces.Update(rest.substr(0, n));
      rest.remove_prefix(n);
    }
    EXPECT_EQ(pieces.Digest(), golden.plain) << golden.bytes;
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

TEST_F(TableTest, SeeksStandRightAtEveryBoundary) {
  // Every target that can matter: before, on and behind each key, at each of its versions and
  // between them; blocks of one entry, of a few, and one of all.
  std::vector<TestEntry> entries;
  const std::vector<std::string> keys = {
      "",     std::string(1, '\0'),  "a", "ab", "abcd", "abcde", "b", std::string(300, 'b'),
      "\xff", "\xff\xff\xff\xff\xff"};
  for (const std::string& key : keys) {
    for (const std::uint64_t version : {2, 5, 6}) {
      entries.push_back({{key, Trailer(Version(version), EntryKind::kPut)}, key + "v"});
    }
  }
  SortEntries(entries);
  for (const std::size_t block_bytes : {1, 100, 100'000}) {
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

/// What a table answers, as text; errors are "corruption".
std::string AnswersOf(const Result<std::shared_ptr<const TableReader>>& table) {
  const auto refused = [](const Status& status) {
    EXPECT_TRUE(status.IsCorruption()) << status.ToString();
    return std::string("corruption");
  };
  if (!table.ok()) return refused(table.status());
  std::string answers;
  for (const char* const key : {"k05", "k5", "k99"}) {
    const auto found = (*table)->Find(key, Version(100));
    if (!found.ok()) return refused(found.status());
    answers += std::string(found->value) + ";";
  }
  TableCursor cursor(**table);
  for (cursor.SeekToFirst(); cursor.Valid(); cursor.Next()) {
    answers += std::string(cursor.key().user_key) + "=" + std::string(cursor.value()) + ",";
  }
  if (!cursor.status().ok()) return refused(cursor.status());
  return answers + std::to_string((*table)->Tombstones().size());
}

TEST_F(TableTest, NoFlippedBitGivesAWrongAnswer) {
  for (const Compression compression :
       {Compression::kNone, Compression::kLz4, Compression::kZstd}) {
    auto builder = TableBuilder::Create(disk_, "/db", FileNumber(5),
                                        {.block_bytes = 300, .compression = compression});
    for (int i = 0; i < 40; ++i) {
      const std::string key = "k" + std::to_string(i / 10) + std::to_string(i % 10);
      ASSERT_TRUE(
          (*builder)
              ->Add({key, Trailer(Version(1 + i % 7), EntryKind::kPut)}, std::string(20, 'v') + key)
              .ok());
    }
    (*builder)->AddRangeTombstones(FragmentedTombstones({{"a", "b", Version(7)}}));
    const TableMetadata metadata = *(*builder)->Finish();
    const auto open = [&](MemoryFileSystem& disk) {
      return TableReader::Open(disk, "/db", metadata, std::make_shared<BlockCache>(1 << 20));
    };
    const std::string right = AnswersOf(open(disk_));
    ASSERT_NE(right, "corruption");
    Random random(13);
    std::size_t refused = 0;
    for (std::uint64_t byte = 0; byte < metadata.size; ++byte) {
      const auto disk = disk_.Clone();
      ASSERT_TRUE(disk->FlipBit("/db/000005.sst", byte * 8 + random.Below(8)).ok());
      const auto table = open(*disk);
      const std::string answers = AnswersOf(table);
      if (answers == "corruption") {
        ++refused;
      } else {
        ASSERT_EQ(answers, right) << byte;
      }
      if (table.ok()) {
        ASSERT_TRUE((*table)->Verify().IsCorruption()) << byte;
      }
    }
    EXPECT_EQ(refused, metadata.size) << "every byte is under some checksum that reading checks";
  }
}

TEST_F(TableTest, ShorterAndLongerFilesAreRefused) {
  const TableMetadata metadata = Build({{{"k", Trailer(Version(1), EntryKind::kPut)}, "v"}}, {});
  for (const std::uint64_t size : {metadata.size - 1, metadata.size + 1, std::uint64_t{0}}) {
    const auto disk = disk_.Clone();
    auto file = disk->Open("/db/000005.sst", FileSystem::OpenMode::kReadWrite);
    ASSERT_TRUE((*file)->Truncate(size).ok());
    EXPECT_TRUE(TableReader::Open(*disk, "/db", metadata, std::make_shared<BlockCache>(0))
                    .status()
                    .IsCorruption());
  }
  auto other = metadata;
  other.content_hash ^= 1;
  EXPECT_TRUE(TableReader::Open(disk_, "/db", other, std::make_shared<BlockCache>(0))
                  .status()
                  .IsCorruption());
}

TEST_F(TableTest, KindsOfALaterReleaseAreRefused) {
  const auto table =
      Open(Build({{{"k", Trailer(Version(1), static_cast<EntryKind>(4))}, "v"}}, {}));
  EXPECT_TRUE(table->Find("k", Version(1)).status().IsCorruption());
}

TEST_F(TableTest, ACursorNeverStepsOverWhatItCantRead) {
  std::vector<TestEntry> entries;
  for (int i = 0; i < 100; ++i) {
    entries.push_back({{std::to_string(100 + i), Trailer(Version(1), EntryKind::kPut)}, "v"});
  }
  const auto table = Open(Build(entries, {.block_bytes = 100}), 0);
  TableCursor cursor(*table);
  cursor.SeekToFirst();
  ASSERT_TRUE(cursor.Valid());
  disk_.Inject({.operations = {MemoryFileSystem::Operation::kRead}});
  int steps = 0;
  for (; cursor.Valid(); cursor.Next()) ++steps;
  EXPECT_LT(steps, 100);
  EXPECT_TRUE(cursor.status().IsIOError()) << "only the first read failed";
  cursor.SeekToFirst();
  EXPECT_FALSE(cursor.Valid()) << "for ever";
  EXPECT_TRUE(cursor.status().IsIOError());
}

TEST_F(TableTest, ChecksumsAreCheckedUnlessTurnedOff) {
  const std::string value(50, 'v');
  const TableMetadata metadata = Build({{{"k", Trailer(Version(1), EntryKind::kPut)}, value}}, {});
  const std::string contents = *ReadFile(disk_, "/db/000005.sst", 1 << 20);
  ASSERT_TRUE(disk_.FlipBit("/db/000005.sst", contents.find(value) * 8).ok());
  const auto table = Open(metadata, 0);
  EXPECT_TRUE(table->Find("k", Version(1)).status().IsCorruption());
  const TableReadOptions unchecked(FillCache::kNo, VerifyChecksums::kNo);
  const auto found = table->Find("k", HashKey("k"), Version(1), unchecked);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->value, "w" + std::string(49, 'v'));
}

/// Gives bytes with a bit turned over until they are dropped from "memory": a bad copy of a good
/// disk.
class BadMemory final : public FileSystem {
 public:
  explicit BadMemory(FileSystem& disk) : disk_(disk) {}

  bool bad = false;
  int drops = 0;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    auto file = disk_.Open(path, mode);
    if (!file.ok()) return file;
    return std::unique_ptr<File>(std::make_unique<BadFile>(*this, std::move(*file)));
  }
  Status CreateDirectories(const std::string& path) override {
    return disk_.CreateDirectories(path);
  }
  Result<std::vector<std::string>> List(const std::string& path) override {
    return disk_.List(path);
  }
  Status SyncDirectory(const std::string& path) override { return disk_.SyncDirectory(path); }
  Status Rename(const std::string& a, const std::string& b) override { return disk_.Rename(a, b); }
  Status Link(const std::string& a, const std::string& b) override { return disk_.Link(a, b); }
  Status Remove(const std::string& path) override { return disk_.Remove(path); }
  Status RemoveDirectory(const std::string& path) override { return disk_.RemoveDirectory(path); }
  Result<bool> Exists(const std::string& path) override { return disk_.Exists(path); }
  Result<std::uint64_t> FileSize(const std::string& path) override { return disk_.FileSize(path); }
  Result<std::uint64_t> FreeSpace(const std::string& path) override {
    return disk_.FreeSpace(path);
  }
  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    return disk_.Lock(path);
  }

 private:
  class BadFile final : public File {
   public:
    BadFile(BadMemory& memory, std::unique_ptr<File> file)
        : memory_(memory), file_(std::move(file)) {}
    Result<std::size_t> ReadAt(std::uint64_t offset, std::size_t n, char* out) const override {
      auto got = file_->ReadAt(offset, n, out);
      if (memory_.bad) out[n / 2] = static_cast<char>(out[n / 2] ^ 1);
      return got;
    }
    void DropCached(std::uint64_t, std::uint64_t) const override {
      memory_.bad = false;
      ++memory_.drops;
    }
    Status WriteAt(std::uint64_t offset, std::string_view data) override {
      return file_->WriteAt(offset, data);
    }
    Status Sync() override { return file_->Sync(); }
    Status Truncate(std::uint64_t size) override { return file_->Truncate(size); }
    Result<std::uint64_t> Size() const override { return file_->Size(); }

   private:
    BadMemory& memory_;
    std::unique_ptr<File> file_;
  };

  FileSystem& disk_;
};

TEST_F(TableTest, ABlockThatFailsItsCheckIsReadOnceMoreFromTheDevice) {
  const TableMetadata metadata = Build({{{"k", Trailer(Version(1), EntryKind::kPut)}, "v"}}, {});
  BadMemory memory(disk_);
  const auto table = TableReader::Open(memory, "/db", metadata, std::make_shared<BlockCache>(0));
  ASSERT_TRUE(table.ok());
  memory.bad = true;
  EXPECT_EQ((*table)->Find("k", Version(1))->value, "v");
  EXPECT_EQ(memory.drops, 1);
  EXPECT_EQ((*table)->Find("k", Version(1))->value, "v");
  EXPECT_EQ(memory.drops, 1) << "only what fails is read twice";
}

TEST(GarbageHistogramTest, KeepsTheBordersThatMatter) {
  GarbageHistogram histogram;
  histogram.Add(Version(1'000'000), 1);
  for (std::uint64_t i = 0; i < 1000; ++i) histogram.Add(Version(1 + i), 1000);
  const auto buckets = histogram.Finish();
  ASSERT_EQ(buckets.size(), TableProperties::kGarbageBucketsMax);
  EXPECT_EQ(buckets.back().when, Version(1'000'000));
  EXPECT_EQ(buckets.back().bytes, 1u) << "what is droppable soon is not put off to the far end";
}

}  // namespace
}  // namespace bedrock::engine
