#include "storaged/engine/wal/wal_record.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine::wal {
namespace {

constexpr FileNumber kFile(12);
constexpr std::uint64_t kBegin = 64;  // stands for a segment's header

struct Written {
  RecordType type = RecordType::kCommit;
  std::uint8_t ordinal = 0;
  std::uint64_t durable = 0;
  std::string payload;

  WalRecord AsRecord() const {
    return {.type = type, .ordinal = ordinal, .durable = durable, .payload = payload};
  }
};

std::string Segment(const std::vector<Written>& records) {
  std::string segment(kBegin, '\0');
  for (const Written& record : records)
    AppendRecord(segment, kFile, segment.size(), record.AsRecord());
  return segment;
}

void ExpectEqual(const WalRecord& read, const Written& written) {
  EXPECT_EQ(read.type, written.type);
  EXPECT_EQ(read.ordinal, written.ordinal);
  EXPECT_EQ(read.durable, written.durable);
  EXPECT_EQ(read.payload, written.payload);
}

TEST(WalRecordTest, ASmallPutTakesNineBytesMoreThanItsPayload) {
  std::string out;
  AppendRecord(out, kFile, kBegin, {.payload = std::string(119, 'p')});
  EXPECT_EQ(out.size(), 128u);
  out.clear();
  AppendRecord(out, kFile, kBegin, {.durable = kBegin, .payload = std::string(119, 'p')});
  EXPECT_EQ(out.size(), 129u);
  out.clear();
  AppendRecord(out, kFile, std::uint64_t{1} << 30,
               {.durable = 1, .payload = std::string(kPayloadBytesMax, 'p')});
  EXPECT_EQ(out.size(), RecordBytesMax(kPayloadBytesMax));
}

TEST(WalRecordTest, RandomRecordsAreReadBack) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    std::string segment(kBegin, '\0');
    std::vector<Written> written;
    for (std::uint64_t n = random.Below(20); n > 0; --n) {
      Written record{.type = random.Chance(1, 8) ? RecordType::kClose : RecordType::kCommit,
                     .ordinal = static_cast<std::uint8_t>(random.Below(256)),
                     .durable = random.Chance(1, 2) ? random.Below(segment.size() + 1) : 0,
                     .payload = {}};
      record.payload.resize(random.Chance(1, 10) ? random.Below(70'000) : random.Below(300));
      for (char& byte : record.payload) byte = static_cast<char>(random.Below(256));
      AppendRecord(segment, kFile, segment.size(), record.AsRecord());
      written.push_back(std::move(record));
    }
    const std::size_t end = segment.size();
    if (random.Chance(1, 2)) segment.append(100, '\0');
    WalRecordReader reader(segment, kFile, kBegin);
    for (const Written& record : written) {
      ASSERT_TRUE(reader.Next());
      ExpectEqual(reader.record(), record);
    }
    EXPECT_FALSE(reader.Next());
    EXPECT_EQ(reader.offset(), end);
  }
}

TEST(WalRecordTest, NoBitOfARecordGoesUnchecked) {
  for (const Written& record :
       {Written{.ordinal = 5, .payload = "payload"},
        Written{.ordinal = 5, .durable = kBegin, .payload = "payload"},
        Written{.ordinal = 7, .durable = 1, .payload = std::string(300, 'x')},
        Written{.type = RecordType::kClose, .ordinal = 7, .payload = {}}}) {
    const std::string segment = Segment({record});
    for (std::size_t bit = kBegin * 8; bit < segment.size() * 8; ++bit) {
      std::string damaged = segment;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
      EXPECT_FALSE(WalRecordReader(damaged, kFile, kBegin).Next()) << bit;
    }
    for (std::size_t size = 0; size < segment.size(); ++size)
      EXPECT_FALSE(WalRecordReader(segment.substr(0, size), kFile, kBegin).Next()) << size;
  }
}

TEST(WalRecordTest, ARecordOfAnotherFileOrPlaceIsNone) {
  const std::string segment = Segment({{.ordinal = 1, .payload = "payload"}});
  EXPECT_TRUE(WalRecordReader(segment, kFile, kBegin).Next());
  EXPECT_FALSE(WalRecordReader(segment, FileNumber(13), kBegin).Next());
  const std::string moved = std::string(8, '\0') + segment;
  EXPECT_FALSE(WalRecordReader(moved, kFile, kBegin + 8).Next());
}

TEST(WalRecordTest, ProofsAreFoundBehindDamage) {
  std::string segment = Segment({{.ordinal = 1, .payload = "first"},
                                 {.ordinal = 2, .durable = 30, .payload = "second"},
                                 {.ordinal = 3, .durable = 70, .payload = "third"}});
  WalRecordReader whole(segment, kFile, kBegin);
  EXPECT_TRUE(whole.FindProof(0));
  EXPECT_EQ(whole.record().payload, "second");
  segment[kBegin + 10] ^= 1;
  WalRecordReader reader(segment, kFile, kBegin);
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.FindProof(60));
  EXPECT_EQ(reader.record().payload, "third");
  EXPECT_EQ(reader.offset(), segment.size());
  EXPECT_FALSE(WalRecordReader(segment, kFile, kBegin).FindProof(70));
}

/// A value may hold anything, also what was once a record.
TEST(WalRecordTest, RecordsInPayloadsAreNoProofs) {
  std::string inner;
  AppendRecord(inner, kFile, kBegin, {.ordinal = 9, .durable = 60, .payload = "inner"});
  std::string segment = Segment({{.ordinal = 1, .payload = "x" + inner + inner}});
  segment[kBegin] ^= 1;
  EXPECT_FALSE(WalRecordReader(segment, kFile, kBegin).FindProof(0));
}

/// Searching behind damage stays linear where a payload is nothing but beginnings of large records.
TEST(WalRecordTest, ASearchIsNotHeldUpByWhatLooksLikeRecords) {
  std::string payload;
  while (payload.size() < (8u << 20)) payload += "\xC1\xC1\xFF\xFF\xFF\x01\x10";
  std::string segment = Segment({{.ordinal = 1, .payload = payload}});
  segment[kBegin] ^= 1;
  EXPECT_FALSE(WalRecordReader(segment, kFile, kBegin).FindProof(0));
}

}  // namespace
}  // namespace bedrock::engine::wal
