#include "storaged/engine/table/bloom_filter.h"

#include <gtest/gtest.h>

#include <string>

namespace bedrock::engine {
namespace {

std::string FilterOf(std::uint32_t bits, int keys) {
  BloomFilterBuilder builder(bits);
  for (int i = 0; i < keys; ++i) builder.Add(HashKey("key" + std::to_string(i)));
  return builder.Finish();
}

TEST(BloomFilterTest, NeverMissesAndRarelyLies) {
  constexpr int kKeys = 50'000;
  const std::string bytes = FilterOf(10, kKeys);
  EXPECT_LE(bytes.size(), kKeys * 10 / 8 + 65u);
  const BloomFilter filter(bytes);
  int lies = 0;
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_TRUE(filter.MayContain(HashKey("key" + std::to_string(i))));
    lies += filter.MayContain(HashKey("other" + std::to_string(i))) ? 1 : 0;
  }
  EXPECT_LT(lies, kKeys * 13 / 1000) << "about one in a hundred";
  EXPECT_GT(lies, 0);
}

TEST(BloomFilterTest, HoldsAtEverySizeAndWidth) {
  for (std::uint32_t bits = 1; bits <= 30; ++bits) {
    for (int keys : {1, 2, 51, 52, 1000}) {
      const BloomFilter filter(FilterOf(bits, keys));
      for (int i = 0; i < keys; ++i) {
        ASSERT_TRUE(filter.MayContain(HashKey("key" + std::to_string(i))));
      }
    }
  }
}

TEST(BloomFilterTest, NonsenseLetsEverythingPass) {
  const KeyHash hash = HashKey("k");
  EXPECT_TRUE(BloomFilter().MayContain(hash));
  EXPECT_TRUE(BloomFilter("").MayContain(hash));
  EXPECT_TRUE(BloomFilter(std::string(63, '\0')).MayContain(hash));
  EXPECT_TRUE(BloomFilter(std::string(64, '\0')).MayContain(hash));
  EXPECT_TRUE(BloomFilter(std::string(64, '\0') + '\x08').MayContain(hash));
  EXPECT_FALSE(BloomFilter(std::string(64, '\0') + '\x06').MayContain(hash));
}

}  // namespace
}  // namespace bedrock::engine
