#include "routerd/core/interactive/read_set.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::router {
namespace {

std::vector<proto::Read> ReadsOf(const ReadSet& set, Version usual = Version()) {
  std::vector<proto::Read> reads;
  set.AppendTo(usual, &reads);
  return reads;
}

class ReadSetModel : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ReadSetModel, KeepsForEveryKeyTheVersionAtWhichItWasReadFirst) {
  Random random(GetParam());
  ReadSet set;
  std::map<std::string, std::uint64_t> first;  // of the keys a to j
  const auto letter = [&] { return std::string(1, static_cast<char>('a' + random.Below(10))); };
  std::uint64_t version = 1;
  for (int step = 0; step < 40; ++step) {
    version += random.Below(2);  // they never go back
    const std::string key = letter();
    if (random.Chance(1, 2)) {
      set.AddKey(key, Version(version));
      first.emplace(key, version);
      continue;
    }
    const std::string end = random.Chance(1, 4) ? "" : key + letter();
    set.AddRange(key, end, Version(version));
    for (char c = 'a'; c <= 'j'; ++c) {
      const std::string one(1, c);
      if (one >= key && (end.empty() || one < end)) first.emplace(one, version);
    }
  }
  const auto reads = ReadsOf(set);
  EXPECT_EQ(reads.size(), set.size());
  for (char c = 'a'; c <= 'j'; ++c) {
    const std::string key(1, c);
    std::uint64_t oldest = 0;
    for (const proto::Read& read : reads) {
      const bool in = read.kind == proto::Read::Kind::kKey
                          ? read.key == key
                          : read.key <= key && (read.end.empty() || key < read.end);
      if (in && (oldest == 0 || read.at.value() < oldest)) oldest = read.at.value();
    }
    const auto expected = first.find(key);
    EXPECT_EQ(oldest, expected == first.end() ? 0 : expected->second) << key;
  }
  for (const proto::Read& a : reads) {
    for (const proto::Read& b : reads) {
      if (a.kind != proto::Read::Kind::kRange || b.kind != a.kind || !(a.key < b.key)) continue;
      EXPECT_TRUE(!a.end.empty() && a.end <= b.key) << "ranges overlap";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReadSetModel, testing::Range<std::uint64_t>(1, 201));

TEST(ReadSetTest, NeighboursOfOneVersionAreOneRange) {
  ReadSet set;
  set.AddRange("c", "e", Version(5));
  set.AddRange("a", "c", Version(5));
  EXPECT_EQ(set.size(), 1U);
  set.AddRange("e", "f", Version(6));
  EXPECT_EQ(set.size(), 2U);
  EXPECT_TRUE(set.mixed());
  EXPECT_EQ(set.newest(), Version(6));
}

TEST(ReadSetTest, ReadsAtTheUsualVersionLeaveItOut) {
  ReadSet set;
  EXPECT_TRUE(set.empty());
  EXPECT_FALSE(set.mixed());
  set.AddKey("a", Version(5));
  set.AddKey("b", Version(7));
  const auto reads = ReadsOf(set, Version(5));
  EXPECT_EQ(reads[0].at, Version());
  EXPECT_EQ(reads[1].at, Version(7));
}

TEST(ReadSetTest, BytesGrowWithWhatIsKeptOnly) {
  ReadSet set;
  set.AddRange("a", "k", Version(5));
  const std::uint64_t bytes = set.bytes();
  set.AddRange("b", "c", Version(6));
  set.AddKey("d", Version(6));
  EXPECT_EQ(set.bytes(), bytes);
}

}  // namespace
}  // namespace bedrock::router
