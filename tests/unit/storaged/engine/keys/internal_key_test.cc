#include "storaged/engine/keys/internal_key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

TEST(InternalKeyTest, OrdersByKeyAndThenNewestFirst) {
  const std::vector<InternalKeyView> sorted = {
      {"", Trailer(Version(1), EntryKind::kPut)},
      {"a", Trailer::SeekTo(kVersionMax)},
      {"a", Trailer(kVersionMax, EntryKind::kDelete)},
      {"a", Trailer::SeekTo(Version(7))},
      {"a", Trailer(Version(7), EntryKind::kPut)},
      {"a", Trailer(Version(6), EntryKind::kDelete)},
      {"a", Trailer(Version(0), EntryKind::kPut)},
      {"a", Trailer::Last()},
      {std::string_view("a\0", 2), Trailer(Version(9), EntryKind::kPut)},
      {"aa", Trailer(Version(1), EntryKind::kPut)},
      {"\x7f", Trailer(Version(1), EntryKind::kPut)},
      {"\x80", Trailer(Version(1), EntryKind::kPut)},
      {"\xff", Trailer(Version(1), EntryKind::kPut)},
  };
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (std::size_t j = 0; j < sorted.size(); ++j) {
      EXPECT_EQ(sorted[i] < sorted[j], i < j) << i << " " << j;
      EXPECT_EQ(sorted[i] == sorted[j], i == j) << i << " " << j;
    }
  }
}

TEST(InternalKeyTest, TrailersKeepVersionAndKind) {
  const Trailer trailer(kVersionMax, EntryKind::kDelete);
  EXPECT_EQ(Trailer::FromPacked(trailer.packed()).version(), kVersionMax);
  EXPECT_EQ(trailer.kind(), EntryKind::kDelete);
}

TEST(InternalKeyTest, SeekingFarAheadIsSeekingTheHighestVersion) {
  EXPECT_EQ(SeekKey("k", Version(UINT64_MAX)), SeekKey("k", kVersionMax));
}

TEST(InternalKeyTest, SeparatorsPartAndAreNeverLonger) {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string a;
    std::string b;
    const std::string shared(random.Below(4), 'm');
    for (std::string* key : {&a, &b}) {
      *key = shared;
      for (std::uint64_t n = random.Below(4); n > 0; --n) {
        *key += static_cast<char>(random.Chance(1, 4) ? 255 : 'a' + random.Below(4));
      }
    }
    if (a == b) continue;
    if (b < a) std::swap(a, b);
    const std::string separator = ShortestSeparator(a, b);
    ASSERT_LE(a, separator);
    ASSERT_LT(separator, b);
    ASSERT_LE(separator.size(), a.size());
  }
  EXPECT_EQ(ShortestSeparator("abcdef", "abxyz"), "abx");
  EXPECT_EQ(ShortestSeparator("abcdef", "abe"), "abd");
}

}  // namespace
}  // namespace bedrock::engine
