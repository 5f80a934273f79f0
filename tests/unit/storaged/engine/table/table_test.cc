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
#include "storaged/engine/table/table_builder.h"
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

TEST(BlockTest, EntriesComeBackAndAreFound) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    const auto entries = RandomEntries(random, 1 + random.Below(60));
    BlockBuilder builder;
    for (const TestEntry& entry : entries) builder.Add(entry.key.view(), entry.value);
    const auto block = Block::Parse(builder.Finish());
    ASSERT_TRUE(block.ok());
    ASSERT_EQ((*block)->size(), entries.size());
    BlockCursor cursor;
    cursor.Reset(*block, 0);
    for (const TestEntry& entry : entries) {
      ASSERT_TRUE(cursor.Valid());
      ASSERT_EQ(cursor.key(), entry.key.view());
      ASSERT_EQ(cursor.value(), entry.value);
      cursor.Next();
    }
    ASSERT_FALSE(cursor.Valid());
    for (int i = 0; i < 50; ++i) {
      std::string key = entries[random.Below(entries.size())].key.user_key;
      if (random.Chance(1, 3)) key += 'x';
      if (random.Chance(1, 3)) key.resize(random.Below(key.size() + 1));
      const InternalKeyView target{key, Trailer::SeekTo(Version(random.Below(70)))};
      ASSERT_EQ((*block)->LowerBound(target), LowerBound(entries, target));
    }
  }
}

TEST(BlockTest, NoBytesMakeItReadOutside) {
  Random random(2);
  const auto entries = RandomEntries(random, 20);
  BlockBuilder builder;
  for (const TestEntry& entry : entries) builder.Add(entry.key.view(), entry.value);
  const std::string good = builder.Finish();
  std::size_t parsed = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(random.Next());
    if (random.Chance(1, 4)) bad.resize(random.Below(bad.size()));
    const auto block = Block::Parse(bad);
    if (!block.ok()) continue;
    ++parsed;
    BlockCursor cursor;  // under the address sanitizer this is the test
    for (cursor.Reset(*block, 0); cursor.Valid(); cursor.Next()) (void)cursor.value();
    (void)(*block)->LowerBound(SeekKey("pp1", Version(9)));
  }
  EXPECT_GT(parsed, 0u);
}

TEST(BloomFilterTest, NeverMissesAndRarelyLies) {
  BloomFilterBuilder builder(10);
  constexpr int kKeys = 50'000;
  for (int i = 0; i < kKeys; ++i) builder.Add("key" + std::to_string(i));
  const std::string filter = builder.Finish();
  EXPECT_LE(filter.size(), kKeys * 10 / 8 + 65u);
  int lies = 0;
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(FilterMayContain(filter, "key" + std::to_string(i)));
    lies += FilterMayContain(filter, "other" + std::to_string(i)) ? 1 : 0;
  }
  EXPECT_LT(lies, kKeys * 13 / 1000) << "about one in a hundred";
  EXPECT_GT(lies, 0);
}

TEST(BloomFilterTest, HoldsAtEverySizeAndWidth) {
  for (std::uint32_t bits = 1; bits <= 30; ++bits) {
    for (int keys : {1, 2, 51, 52, 1000}) {
      BloomFilterBuilder builder(bits);
      for (int i = 0; i < keys; ++i) builder.Add(std::to_string(i));
      const std::string filter = builder.Finish();
      for (int i = 0; i < keys; ++i) ASSERT_TRUE(FilterMayContain(filter, std::to_string(i)));
    }
  }
}

TEST(BloomFilterTest, NonsenseLetsEverythingPass) {
  EXPECT_TRUE(FilterMayContain("", "k"));
  EXPECT_TRUE(FilterMayContain(std::string(63, '\0'), "k"));
  EXPECT_TRUE(FilterMayContain(std::string(64, '\0'), "k"));
  EXPECT_TRUE(FilterMayContain(std::string(64, '\0') + '\x08', "k"));
  EXPECT_FALSE(FilterMayContain(std::string(64, '\0') + '\x06', "k"));
}

TEST(SealedBlockTest, RoundTripsAndChecksEverything) {
  Random random(3);
  for (const Compression compression : {Compression::kNone, Compression::kLz4}) {
    std::string contents(500, 'c');
    for (int i = 0; i < 100; ++i) contents += static_cast<char>(random.Next());
    const std::string stored = SealBlock(contents, compression, FileNumber(7), 4096);
    EXPECT_EQ(stored.size() < contents.size(), compression == Compression::kLz4);
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
  const std::string stored = SealBlock(noise, Compression::kLz4, FileNumber(1), 0);
  EXPECT_EQ(stored.size(), noise.size() + kBlockTrailerBytes);
}

TEST(TablePropertiesTest, UnknownTagsAreSkipped) {
  TableProperties properties;
  properties.entries = 5;
  properties.version_max = Version(77);
  properties.smallest = std::string("\0a", 2);
  const auto decoded = TableProperties::Decode(properties.Encode() + "\x63\x01x");
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, properties);
  EXPECT_TRUE(TableProperties::Decode("\x01").status().IsCorruption());
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
        TableReader::Open(disk_, "/db", metadata, std::make_shared<DataBlockCache>(cache_bytes));
    EXPECT_TRUE(reader.ok()) << reader.status().ToString();
    return *reader;
  }

  MemoryFileSystem disk_;
};

TEST_F(TableTest, AnswersLikeTheEntriesThatWentIn) {
  Random random(5);
  for (int round = 0; round < 40; ++round) {
    const auto entries = RandomEntries(random, 1 + random.Below(400));
    const TableMetadata metadata = Build(
        entries, {.block_bytes = 64 + random.Below(2000),
                  .filter_bits_per_key = random.Chance(1, 3) ? 0u : 10u,
                  .compression = random.Chance(1, 2) ? Compression::kLz4 : Compression::kNone});
    EXPECT_EQ(metadata.entries, entries.size());
    EXPECT_EQ(metadata.smallest, entries.front().key.user_key);
    EXPECT_EQ(metadata.largest, entries.back().key.user_key);
    EXPECT_EQ(metadata.size, *disk_.FileSize("/db/000005.sst"));
    const auto table = Open(metadata, random.Chance(1, 2) ? 0 : 1 << 20);
    ASSERT_TRUE(table->Verify().ok()) << table->Verify().ToString();
    const auto walk = TableReader::NewIterator(table, FillCache::kYes);
    walk->SeekToFirst();
    for (const TestEntry& entry : entries) {
      ASSERT_TRUE(walk->Valid());
      ASSERT_EQ(walk->key(), entry.key.view());
      ASSERT_EQ(walk->value(), entry.value);
      walk->Next();
    }
    ASSERT_FALSE(walk->Valid());
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
      walk->Seek(SeekKey(key, at));
      ASSERT_EQ(walk->Valid(), want < entries.size());
      if (walk->Valid()) {
        ASSERT_EQ(walk->key(), entries[want].key.view());
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
  const auto compaction = TableReader::NewIterator(table, FillCache::kNo);
  for (compaction->SeekToFirst(); compaction->Valid(); compaction->Next()) {
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
