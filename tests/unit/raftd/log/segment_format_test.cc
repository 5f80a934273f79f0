#include "raftd/log/segment_format.h"

#include <gtest/gtest.h>

#include "common/env/random.h"

namespace bedrock::raft {
namespace {

SegmentHeader SampleHeader() {
  SegmentHeader header;
  header.cluster = ClusterId(0x1122334455667788);
  header.node = NodeId(3);
  header.segment = 42;
  header.bytes = 1 << 20;
  header.prev_index = LogIndex(1000);
  header.prev_term = Term(7);
  header.prev_end = 81920;
  header.prev_seq = 555;
  header.vote = {.term = Term(9), .candidate = NodeId(1)};
  header.commit_hint = LogIndex(990);
  header.mark = LogIndex(500);
  header.chain = 0xDEADBEEF;
  return header;
}

VoteSlot SampleSlot() {
  VoteSlot slot;
  slot.cluster = ClusterId(77);
  slot.node = NodeId(3);
  slot.seq = 12;
  slot.vote = {.term = Term(9), .candidate = NodeId(1)};
  slot.segment = 4;
  slot.segment_prev_index = LogIndex(1000);
  slot.proved_index = LogIndex(1001);
  slot.mark = LogIndex(500);
  slot.lost_term = Term(8);
  return slot;
}

TEST(SegmentFormatTest, AHeaderComesBackAsItWasEncoded) {
  const std::string page = EncodeSegmentHeader(SampleHeader());
  EXPECT_EQ(page.size(), kPageBytes);
  const auto decoded = DecodeSegmentHeader(page);
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_EQ(*decoded, SampleHeader());
}

TEST(SegmentFormatTest, AFlippedHeaderIsRefused) {
  const std::string page = EncodeSegmentHeader(SampleHeader());
  for (std::size_t bit = 0; bit < 136 * 8; ++bit) {
    std::string flipped = page;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_TRUE(DecodeSegmentHeader(flipped).status().IsCorruption()) << "bit " << bit;
  }
}

TEST(SegmentFormatTest, AHeaderCutShortIsRefused) {
  const std::string page = EncodeSegmentHeader(SampleHeader());
  for (const std::size_t size : {0U, 7U, 8U, 135U, 136U, 4095U})
    EXPECT_TRUE(DecodeSegmentHeader(page.substr(0, size)).status().IsCorruption());
}

TEST(SegmentFormatTest, ASlotComesBackAndAFlippedOneDoesNot) {
  const std::string page = EncodeVoteSlot(SampleSlot());
  EXPECT_EQ(page.size(), kPageBytes);
  EXPECT_EQ(DecodeVoteSlot(page), SampleSlot());
  for (std::size_t bit = 0; bit < 88 * 8; ++bit) {
    std::string flipped = page;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(DecodeVoteSlot(flipped)) << "bit " << bit;
  }
  EXPECT_FALSE(DecodeVoteSlot(page.substr(0, 87)));
}

// Releases before wrote none, and zeroes in its place.
TEST(SegmentFormatTest, ALostTermThatIsNotWholeIsNotKnownAndNothingElseIsLost) {
  VoteSlot without = SampleSlot();
  without.lost_term = Term();
  const std::string page = EncodeVoteSlot(SampleSlot());
  for (std::size_t bit = 88 * 8; bit < 100 * 8; ++bit) {
    std::string flipped = page;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(DecodeVoteSlot(flipped), without) << "bit " << bit;
  }
  EXPECT_EQ(DecodeVoteSlot(page.substr(0, 88)), without);
}

TEST(SegmentFormatTest, AnEndContinuesItsChainOnly) {
  const BatchEnd end{.seq = 5, .bytes = 96, .synced = {3, 8192}, .crc = 17};
  const std::string payload = EncodeBatchEnd(end, 1234);
  const auto decoded = DecodeBatchEnd(payload);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->seq, 5U);
  EXPECT_EQ(decoded->bytes, 96U);
  EXPECT_EQ(decoded->synced, (Position{3, 8192}));
  EXPECT_EQ(decoded->crc, 17U);
  EXPECT_EQ(decoded->chain, ChainOf(payload, 1234));
  EXPECT_NE(decoded->chain, ChainOf(payload, 1235));
  EXPECT_FALSE(DecodeBatchEnd(payload.substr(1)));
}

TEST(SegmentFormatTest, FileNamesSortAsTheirNumbersAndParseBack) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t a = random.Next() >> random.Below(64);
    const std::uint64_t b = random.Next() >> random.Below(64);
    const std::string name_a = SegmentFileName(a, kSegmentSuffix);
    EXPECT_EQ(ParseSegmentFileName(name_a, kSegmentSuffix), a);
    EXPECT_EQ(name_a < SegmentFileName(b, kSegmentSuffix), a < b);
  }
}

TEST(SegmentFormatTest, OtherNamesAreNoSegments) {
  for (const char* name : {"", ".seg", "1.seg", "000000000000002A.seg", "000000000000002a.spare",
                           "000000000000002a.seg.tmp", "g00000000000002a.seg", "vote"}) {
    EXPECT_FALSE(ParseSegmentFileName(name, kSegmentSuffix)) << name;
  }
}

}  // namespace
}  // namespace bedrock::raft
