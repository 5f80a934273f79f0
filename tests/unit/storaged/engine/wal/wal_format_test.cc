#include "storaged/engine/wal/wal_format.h"

#include <gtest/gtest.h>

namespace bedrock::engine::wal {
namespace {

SegmentHeader Example() {
  return {.database_id = 7,
          .number = FileNumber(12),
          .bytes = 1 << 20,
          .first_version = Version(100),
          .previous = FileNumber(9),
          .previous_end = 8000,
          .previous_durable = 4096};
}

TEST(WalFormatTest, AHeaderIsReadBack) {
  const std::string page = EncodeSegmentHeader(Example());
  EXPECT_EQ(page.size(), kSegmentHeaderBytes);
  EXPECT_EQ(DecodeSegmentHeader(page).value(), Example());
}

TEST(WalFormatTest, NoBitOfAHeaderGoesUnchecked) {
  const std::string page = EncodeSegmentHeader(Example());
  for (std::size_t bit = 0; bit < 72 * 8; ++bit) {
    std::string damaged = page;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    EXPECT_TRUE(DecodeSegmentHeader(damaged).status().IsCorruption()) << bit;
  }
  EXPECT_TRUE(DecodeSegmentHeader(page.substr(0, 71)).status().IsCorruption());
}

TEST(WalFormatTest, NamesAreReadBackAndNothingElseIs) {
  EXPECT_EQ(SegmentName(FileNumber(42)), "000042.log");
  EXPECT_EQ(SegmentName(FileNumber(12345678), kSpareSuffix), "12345678.spare");
  EXPECT_EQ(ParseSegmentName("000042.log"), FileNumber(42));
  EXPECT_EQ(ParseSegmentName("12345678.spare", kSpareSuffix), FileNumber(12345678));
  for (const char* name : {"42.log", "000000.log", "000042.lo", "0000042.log", "00004x.log", ".log",
                           "-00042.log", "99999999999999999999.log", "000042.log.tmp"}) {
    EXPECT_FALSE(ParseSegmentName(name)) << name;
  }
}

}  // namespace
}  // namespace bedrock::engine::wal
