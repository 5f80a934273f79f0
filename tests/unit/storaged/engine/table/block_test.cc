#include "storaged/engine/table/block.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "tests/unit/storaged/engine/table/table_fixture.h"

namespace bedrock::engine {
namespace {

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
  for (const std::size_t n : {1u, 3u, 20u}) {
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

}  // namespace
}  // namespace bedrock::engine
