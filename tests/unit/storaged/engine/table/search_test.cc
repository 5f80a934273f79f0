#include "storaged/engine/table/search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

TEST(SearchTest, CountsLikeTheStandardLibrary) {
  Random random(8);
  for (int round = 0; round < 2000; ++round) {
    const std::size_t n = random.Below(round % 5 == 0 ? 1000 : 80);
    std::vector<std::int32_t> heads(n);
    for (auto& head : heads) head = static_cast<std::int32_t>(random.Below(100)) - 50;
    if (n > 0 && random.Chance(1, 4)) heads[0] = INT32_MAX;
    if (n > 1 && random.Chance(1, 4)) heads[1] = INT32_MIN;
    std::sort(heads.begin(), heads.end());
    std::vector<std::uint64_t> wide(heads.begin(), heads.end());
    std::sort(wide.begin(), wide.end());
    const std::int32_t head = random.Chance(1, 10) ? INT32_MAX
                              : random.Chance(1, 10)
                                  ? INT32_MIN
                                  : static_cast<std::int32_t>(random.Below(100)) - 50;
    const auto low = static_cast<std::size_t>(std::lower_bound(heads.begin(), heads.end(), head) -
                                              heads.begin());
    const auto high = static_cast<std::size_t>(std::upper_bound(heads.begin(), heads.end(), head) -
                                               heads.begin());
    heads.resize(n + kHeadsPadding, head);
    ASSERT_EQ(LowerBound32(heads.data(), n, head), low);
    ASSERT_EQ(UpperBound32(heads.data(), low, n, head), high);
    const auto wide_head = static_cast<std::uint64_t>(head);
    const auto wide_low = static_cast<std::size_t>(
        std::lower_bound(wide.begin(), wide.end(), wide_head) - wide.begin());
    ASSERT_EQ(LowerBound64(wide.data(), n, wide_head), wide_low);
    ASSERT_EQ(UpperBound64(wide.data(), wide_low, n, wide_head),
              static_cast<std::size_t>(std::upper_bound(wide.begin(), wide.end(), wide_head) -
                                       wide.begin()));
  }
}

TEST(SearchTest, HeadsSortAsKeysDo) {
  Random random(9);
  const auto key = [&] {
    std::string out;
    for (std::size_t n = random.Below(11); n > 0; --n) {
      out += "\0\1\x7f\x80\xff"[random.Below(5)];
    }
    return out;
  };
  for (int round = 0; round < 10'000; ++round) {
    std::string a = key();
    std::string b = key();
    if (a > b) std::swap(a, b);
    ASSERT_LE(Head32(a), Head32(b));
    ASSERT_LE(Head64(a), Head64(b));
    if (a.substr(0, 4) == b.substr(0, 4)) {
      ASSERT_EQ(Head32(a), Head32(b));
    }
  }
}

}  // namespace
}  // namespace bedrock::engine
