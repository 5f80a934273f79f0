#include "storaged/engine/compaction/key_ranges.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

using Kind = UpperBound::Kind;

TEST(KeyRangesTest, HasTheKeysOfItsRanges) {
  const std::string letters = "abcdefgh";
  Random random(1);
  for (int round = 0; round < 3000; ++round) {
    std::vector<KeyRange> ranges;
    const auto random_range = [&] {
      const std::size_t from = random.Below(letters.size());
      const std::size_t to = random.Between(from, letters.size() - 1);
      const std::string_view end = std::string_view(letters).substr(to, 1);
      const bool excluded = to > from && random.Chance(1, 2);
      return random.Chance(1, 10) ? HalfOpen(std::string_view(letters).substr(from, 1), "")
                                  : KeyRange{std::string_view(letters).substr(from, 1),
                                             {end, excluded ? Kind::kExcluded : Kind::kIncluded}};
    };
    for (std::uint64_t n = random.Below(5); n > 0; --n) ranges.push_back(random_range());
    const KeyRanges set(ranges);
    ASSERT_EQ(set.empty(), ranges.empty());
    const KeyRange asked = random_range();
    bool overlaps = false;
    for (const char letter : letters) {
      const std::string_view key(&letter, 1);
      bool contains = false;
      for (const KeyRange& range : ranges) contains = contains || range.Contains(key);
      ASSERT_EQ(set.Contains(key), contains);
    }
    for (const KeyRange& range : ranges) overlaps = overlaps || range.Overlaps(asked);
    ASSERT_EQ(set.Overlaps(asked), overlaps);
  }
}

TEST(KeyRangesTest, AllHasEveryKey) {
  EXPECT_TRUE(KeyRanges::All().Contains(""));
  EXPECT_TRUE(KeyRanges::All().Contains("\xff\xff"));
  EXPECT_FALSE(KeyRanges().Contains(""));
}

}  // namespace
}  // namespace bedrock::engine
