#include "common/codec/coding.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace bedrock {
namespace {

TEST(CodingTest, VarintsRoundTripAtEveryWidth) {
  std::string text;
  for (unsigned bit = 0; bit < 64; ++bit) {
    PutVarint(text, std::uint64_t{1} << bit);
    PutVarint(text, (std::uint64_t{1} << bit) - 1);
  }
  PutVarint(text, UINT64_MAX);
  ByteReader reader(text);
  for (unsigned bit = 0; bit < 64; ++bit) {
    EXPECT_EQ(reader.Varint(), std::uint64_t{1} << bit);
    EXPECT_EQ(reader.Varint(), (std::uint64_t{1} << bit) - 1);
  }
  EXPECT_EQ(reader.Varint(), UINT64_MAX);
  EXPECT_TRUE(reader.AtEnd());
}

TEST(CodingTest, RefusesTruncatedAndOverlongVarints) {
  EXPECT_EQ(ByteReader("").Varint(), std::nullopt);
  EXPECT_EQ(ByteReader("\x80").Varint(), std::nullopt);
  EXPECT_EQ(ByteReader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").Varint(), std::nullopt);
  EXPECT_EQ(ByteReader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").Varint(), std::nullopt);
}

TEST(CodingTest, FirstFailureSticks) {
  ByteReader reader("abc");
  EXPECT_EQ(reader.Fixed<std::uint32_t>(), std::nullopt);
  EXPECT_TRUE(reader.failed());
  EXPECT_EQ(reader.Take(1), std::nullopt);
  EXPECT_FALSE(reader.AtEnd());
}

TEST(CodingTest, LengthPrefixedChecksItsLength) {
  std::string text;
  PutLengthPrefixed(text, "value");
  PutFixed<std::uint16_t>(text, 0xBEEF);
  ByteReader reader(text);
  EXPECT_EQ(reader.LengthPrefixed(), "value");
  EXPECT_EQ(reader.Fixed<std::uint16_t>(), 0xBEEF);
  EXPECT_TRUE(reader.AtEnd());
  EXPECT_EQ(ByteReader("\x05"
                       "abcd")
                .LengthPrefixed(),
            std::nullopt);
}

}  // namespace
}  // namespace bedrock
