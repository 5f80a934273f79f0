#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/record/record_format.h"
#include "common/record/record_reader.h"

namespace bedrock::record {
namespace {

constexpr std::uint64_t kStream = 7;

std::string ThreeRecords(std::uint64_t stream = kStream) {
  std::string out;
  AppendRecord(
      out, {.type = 1, .flags = 2, .stream = stream, .ordinal = 10, .aux = 3, .payload = "first"});
  AppendRecord(out, {.type = 2, .stream = stream, .ordinal = 11, .payload = ""});
  AppendRecord(out,
               {.type = 1, .stream = stream, .ordinal = 12, .payload = std::string(1000, 'x')});
  return out;
}

TEST(RecordTest, RoundTrip) {
  const std::string input = ThreeRecords();
  RecordReader reader(input, 0, kStream);
  ASSERT_EQ(reader.Next(), Finding::kRecord);
  EXPECT_EQ(reader.record().type, 1);
  EXPECT_EQ(reader.record().flags, 2);
  EXPECT_EQ(reader.record().ordinal, 10u);
  EXPECT_EQ(reader.record().aux, 3u);
  EXPECT_EQ(reader.record().payload, "first");
  EXPECT_EQ(reader.offset(), EncodedSize(5));
  ASSERT_EQ(reader.Next(), Finding::kRecord);
  EXPECT_EQ(reader.record().payload, "");
  ASSERT_EQ(reader.Next(), Finding::kRecord);
  EXPECT_EQ(reader.record().payload.size(), 1000u);
  EXPECT_EQ(reader.Next(), Finding::kEnd);
}

TEST(RecordTest, ZeroesBehindTheLastRecordAreToldApart) {
  std::string input = ThreeRecords();
  input.resize(input.size() + 4096, '\0');
  RecordReader reader(input, 0, kStream);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(reader.Next(), Finding::kRecord);
  EXPECT_EQ(reader.Next(), Finding::kZeroes);
  input.back() = 1;
  RecordReader dirty(input, 0, kStream);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(dirty.Next(), Finding::kRecord);
  EXPECT_EQ(dirty.Next(), Finding::kDamaged);
}

TEST(RecordTest, EveryCutIsSeen) {
  const std::string input = ThreeRecords();
  for (std::size_t size = 0; size < input.size(); ++size) {
    RecordReader reader(std::string_view(input).substr(0, size), 0, kStream);
    std::uint64_t records = 0;
    Finding finding = reader.Next();
    while (finding == Finding::kRecord) {
      ++records;
      finding = reader.Next();
    }
    EXPECT_LT(records, 3u);
    const bool at_boundary = size == reader.offset();
    EXPECT_EQ(finding == Finding::kEnd, at_boundary) << size;
  }
}

TEST(RecordTest, EveryFlippedBitIsSeen) {
  const std::string good = ThreeRecords();
  const std::size_t first_bytes = EncodedSize(5);
  for (std::size_t at = 0; at < kHeaderBytes + 5; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      RecordReader reader(bad, 0, kStream);
      ASSERT_EQ(reader.Next(), Finding::kDamaged) << at << " bit " << bit;
      ASSERT_TRUE(reader.Resync());
      EXPECT_EQ(reader.offset(), first_bytes);
      ASSERT_EQ(reader.Next(), Finding::kRecord);
      EXPECT_EQ(reader.record().ordinal, 11u);
    }
  }
}

TEST(RecordTest, LeftoversOfAnotherStreamAreNoRecords) {
  const std::string input = ThreeRecords(kStream - 1);
  RecordReader reader(input, 0, kStream);
  EXPECT_EQ(reader.Next(), Finding::kDamaged);
  EXPECT_FALSE(reader.Resync());
  EXPECT_EQ(reader.offset(), input.size());
}

TEST(RecordTest, OffsetsCountFromTheBase) {
  const std::string input = ThreeRecords();
  RecordReader reader(input, 4096, kStream);
  EXPECT_EQ(reader.offset(), 4096u);
  ASSERT_EQ(reader.Next(), Finding::kRecord);
  EXPECT_EQ(reader.offset(), 4096 + EncodedSize(5));
}

}  // namespace
}  // namespace bedrock::record
