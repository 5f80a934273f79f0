#include "tests/bench/bedrock_bench/generators.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace bedrock::bench {
namespace {

using testing::DoubleNear;

class KeyWriterTest : public testing::TestWithParam<KeyFormat> {};
INSTANTIATE_TEST_SUITE_P(Formats, KeyWriterTest,
                         testing::Values(KeyFormat::kText, KeyFormat::kBinary));

TEST_P(KeyWriterTest, OrdersKeysAsTheirIds) {
  KeyWriter keys(GetParam());
  std::string last;
  for (const std::uint64_t id :
       {0ull, 1ull, 9ull, 10ull, 255ull, 256ull, 9'999'999'999'999'999ull}) {
    const std::string key(keys.Key(id));
    EXPECT_EQ(key.size(), kKeyBytes);
    EXPECT_GT(key, last);
    last = key;
  }
}

TEST_P(KeyWriterTest, MissingKeysLieBetweenTheOthers) {
  KeyWriter keys(GetParam());
  for (const std::uint64_t id : {10ull, 256ull, 123'456ull}) {
    const std::string missing(keys.MissingKey(id));
    EXPECT_LT(missing, keys.Key(id));
    // Text keys of one ten share what comes before the missing one's last byte.
    EXPECT_GT(missing, keys.Key(GetParam() == KeyFormat::kText ? id / 10 * 10 - 1 : id - 1));
  }
}

TEST(ValueSourceTest, ValuesRepeatThemselvesOnce) {
  ValueSource values(3);
  const std::string value(values.Next(100));
  EXPECT_EQ(value.substr(0, 50), value.substr(50));
  EXPECT_NE(values.Next(100), value);
}

TEST(ValueSourceTest, NeverRunsOut) {
  ValueSource values(3);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(values.Next(64 << 10).size(), 64u << 10);
}

TEST(ScrambleTest, GivesEachNumberAnIdOfItsOwn) {
  std::set<std::uint64_t> ids;
  for (std::uint64_t i = 0; i < 10'000; ++i) ids.insert(ScrambledId(i));
  EXPECT_EQ(ids.size(), 10'000u);
}

// With exponent 0.99 over 1,000 ranks the harmonic sum is 7.73: the first rank's share is its
// inverse, the second's 2^-0.99 of that.
TEST(ZipfianTest, DrawsTheHottestAsOftenAsTheLawSays) {
  const Zipfian zipfian(1000);
  Random random(11);
  std::map<std::uint64_t, double> shares;
  for (int i = 0; i < 200'000; ++i) shares[zipfian.Next(&random)] += 1 / 200'000.0;
  EXPECT_THAT(shares[0], DoubleNear(0.1294, 0.005));
  EXPECT_THAT(shares[1], DoubleNear(0.0652, 0.005));
  EXPECT_LT(shares.rbegin()->first, 1000u);
}

TEST(ParetoTest, HasTheMeanOfTheDistribution) {
  // sigma / (1 - k) where k < 1.
  const Pareto pareto{.k = 0.2615, .sigma = 25.45};
  Random random(5);
  double sum = 0;
  for (int i = 0; i < 200'000; ++i) sum += static_cast<double>(pareto.Next(&random, 0, 1 << 20));
  EXPECT_THAT(sum / 200'000, DoubleNear(25.45 / (1 - 0.2615), 1));
}

TEST(ParetoTest, StaysWithinItsBounds) {
  const Pareto pareto{.k = 2.517, .sigma = 14.236};
  Random random(5);
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t drawn = pareto.Next(&random, 3, 100);
    EXPECT_GE(drawn, 3u);
    EXPECT_LE(drawn, 100u);
  }
}

TEST(MixGraphKeysTest, HeatsFewRangesAndStaysWithinTheKeys) {
  constexpr std::uint64_t kKeys = 30'000;
  const MixGraphKeys mix(kKeys);
  Random random(5);
  std::vector<double> shares(30);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t id = mix.Next(&random);
    ASSERT_LT(id, kKeys);
    shares[id / 1000] += 1 / 100'000.0;
  }
  // f(1) = 0.7822 of a sum of 0.9885 over the 30 ranges.
  EXPECT_THAT(*std::max_element(shares.begin(), shares.end()), DoubleNear(0.791, 0.01));
}

}  // namespace
}  // namespace bedrock::bench
