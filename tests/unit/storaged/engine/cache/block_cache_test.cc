#include "storaged/engine/cache/block_cache.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace bedrock::engine {
namespace {

using Cache = BlockCache<std::string>;

BlockAddress Address(std::uint64_t file, std::uint64_t offset = 0) {
  return {FileNumber(file), offset};
}

TEST(BlockCacheTest, FindsWhatWasInserted) {
  Cache cache(1 << 20);
  EXPECT_EQ(cache.Find(Address(1)), nullptr);
  cache.Insert(Address(1), std::make_shared<const std::string>("one"), 3);
  cache.Insert(Address(1, 4096), std::make_shared<const std::string>("two"), 3);
  EXPECT_EQ(*cache.Find(Address(1)), "one");
  EXPECT_EQ(*cache.Find(Address(1, 4096)), "two");
  EXPECT_EQ(cache.Find(Address(4096, 1)), nullptr);
  EXPECT_EQ(cache.bytes(), 6u);
}

TEST(BlockCacheTest, StaysWithinItsBound) {
  Cache cache(16 * 100);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    cache.Insert(Address(i), std::make_shared<const std::string>(std::to_string(i)), 10);
    ASSERT_LE(cache.bytes(), 16u * 100);
  }
  EXPECT_GT(cache.bytes(), 16u * 50);
  cache.Insert(Address(5000), std::make_shared<const std::string>("too large"), 101);
  EXPECT_EQ(cache.Find(Address(5000)), nullptr);
}

TEST(BlockCacheTest, WhatIsUsedStays) {
  Cache cache(16 * 100);
  cache.Insert(Address(0), std::make_shared<const std::string>("hot"), 10);
  for (std::uint64_t i = 1; i < 1000; ++i) {
    cache.Insert(Address(i), std::make_shared<const std::string>("cold"), 10);
    ASSERT_NE(cache.Find(Address(0)), nullptr) << i;
  }
  EXPECT_EQ(cache.Find(Address(1)), nullptr);
}

TEST(BlockCacheTest, AnEvictedBlockLivesAsLongAsItsReaders) {
  Cache cache(16 * 10);
  cache.Insert(Address(0), std::make_shared<const std::string>("held"), 10);
  const auto held = cache.Find(Address(0));
  for (std::uint64_t i = 1; i < 200; ++i) {
    cache.Insert(Address(i), std::make_shared<const std::string>("x"), 10);
  }
  EXPECT_EQ(cache.Find(Address(0)), nullptr);
  EXPECT_EQ(*held, "held");
}

}  // namespace
}  // namespace bedrock::engine
