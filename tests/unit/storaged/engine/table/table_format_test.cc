#include "storaged/engine/table/table_format.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

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

}  // namespace
}  // namespace bedrock::engine
