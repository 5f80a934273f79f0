#include "common/codec/crc32c.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace bedrock {
namespace {

/// Bit by bit, straight from the polynomial: what the fast one must equal.
std::uint32_t NaiveCrc32c(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0u);
  }
  return ~crc;
}

TEST(Crc32cTest, KnownAnswers) {
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);    // RFC 3720, B.4
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43u);  // RFC 3720, B.4
}

TEST(Crc32cTest, EqualsTheDefinitionAtEveryLengthAndSplit) {
  std::string text;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(Crc32c(text), NaiveCrc32c(text)) << i;
    const std::string_view view = text;
    const std::size_t half = text.size() / 3;
    EXPECT_EQ(ExtendCrc32c(Crc32c(view.substr(0, half)), view.substr(half)), Crc32c(text)) << i;
    text.push_back(static_cast<char>(i * 37 + 11));
  }
}

}  // namespace
}  // namespace bedrock
