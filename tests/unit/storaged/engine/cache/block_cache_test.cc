#include "storaged/engine/cache/block_cache.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

BlockAddress Address(std::uint64_t file, std::uint64_t offset = 0) {
  return {FileNumber(file), offset};
}

BlockMemory::Owner Text(std::string_view text) {
  auto memory = BlockMemory::Allocate(text.size());
  std::memcpy(memory->data(), text.data(), text.size());
  return memory;
}

std::string_view Content(const BlockPin& pin) { return {pin.data(), pin.bytes()}; }

TEST(BlockCacheTest, FindsWhatWasInserted) {
  BlockCache cache(1 << 20);
  EXPECT_FALSE(cache.Find(Address(1)));
  EXPECT_EQ(Content(cache.Insert(Address(1), Text("one"))), "one");
  cache.Insert(Address(1, 4096), Text("two"));
  EXPECT_EQ(Content(cache.Find(Address(1))), "one");
  EXPECT_EQ(Content(cache.Find(Address(1, 4096))), "two");
  EXPECT_FALSE(cache.Find(Address(4096, 1)));
  EXPECT_EQ(cache.hits(), 2u);
  EXPECT_EQ(cache.misses(), 2u);
}

TEST(BlockCacheTest, StaysWithinItsBound) {
  constexpr std::size_t kBytes = 100'000;
  BlockCache cache(kBytes, 1000);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    cache.Insert(Address(i), BlockMemory::Allocate(500 + i));
    ASSERT_LE(cache.bytes(), kBytes);
  }
  EXPECT_GT(cache.bytes(), kBytes * 9 / 10);
  const auto too_large =
      cache.Insert(Address(5000), BlockMemory::Allocate(cache.share_bytes_max()));
  EXPECT_TRUE(too_large) << "handed out nevertheless";
  EXPECT_FALSE(cache.Find(Address(5000)));
}

TEST(BlockCacheTest, GivesWayToWhatIsSetAside) {
  constexpr std::size_t kBytes = 100'000;
  BlockCache cache(kBytes, 1000);
  auto fill = [&, next = std::uint64_t{0}]() mutable {
    for (int i = 0; i < 500; ++i) cache.Insert(Address(next++), BlockMemory::Allocate(1000));
  };
  fill();
  ASSERT_GT(cache.bytes(), kBytes * 9 / 10);
  cache.SetAside(60'000);
  EXPECT_FALSE(cache.HasRoomFor(1000));
  fill();
  EXPECT_LE(cache.bytes(), 40'000u);
  EXPECT_GT(cache.bytes(), 30'000u);
  cache.SetAside(10 * kBytes);  // an eighth stays
  fill();
  EXPECT_LE(cache.bytes(), kBytes / 8);
  EXPECT_GT(cache.bytes(), kBytes / 16);
  cache.SetAside(0);
  EXPECT_TRUE(cache.HasRoomFor(1000));
  fill();
  EXPECT_GT(cache.bytes(), kBytes * 9 / 10);
}

TEST(BlockCacheTest, WhatIsUsedStays) {
  BlockCache cache(100'000, 1000);
  cache.Insert(Address(0), BlockMemory::Allocate(1000));
  for (std::uint64_t i = 1; i < 1000; ++i) {
    cache.Insert(Address(i), BlockMemory::Allocate(1000));
    ASSERT_TRUE(cache.Find(Address(0))) << i;
  }
  EXPECT_FALSE(cache.Find(Address(1)));
}

/// A reader who asks the cache first and takes its advice, or keeps everything.
struct CacheReader {
  explicit CacheReader(bool advised) : takes_advice(advised) {}

  void Read(std::uint64_t block) {
    if (cache.Find(Address(block))) {
      ++hits;
      return;
    }
    ++misses;
    if (takes_advice && !cache.HasRoomFor(kBlockBytes) && !cache.IsWorthRoom(Address(block)))
      return;
    cache.Insert(Address(block), BlockMemory::Allocate(kBlockBytes));
    ++inserted;
  }
  /// As many blocks fit as the cache holds, about.
  static constexpr std::uint64_t kFit = 1000;
  static constexpr std::size_t kBlockBytes = 1000;

  const bool takes_advice;
  BlockCache cache{kFit * (kBlockBytes + sizeof(BlockMemory)), kBlockBytes};
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t inserted = 0;
};

TEST(BlockCacheTest, FewBlocksOfLargeDataAreWorthTheirRoomAndAsManyAreFound) {
  Random random(1);
  CacheReader advised(true);
  CacheReader greedy(false);
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t block = random.Below(3 * CacheReader::kFit);
    advised.Read(block);
    greedy.Read(block);
  }
  EXPECT_LT(advised.inserted, advised.misses / 4);
  EXPECT_GT(advised.hits, greedy.hits * 95 / 100);
}

TEST(BlockCacheTest, SkewedReadsFindAtLeastAsMuch) {
  Random random(2);
  CacheReader advised(true);
  CacheReader greedy(false);
  for (int i = 0; i < 300'000; ++i) {
    // The farther a block, the rarer: about as 1/n.
    std::uint64_t below = 16 * CacheReader::kFit;
    for (int halved = 0; halved < 10 && random.Chance(1, 2); ++halved) below /= 2;
    const std::uint64_t block = random.Below(below);
    advised.Read(block);
    greedy.Read(block);
  }
  EXPECT_GT(advised.hits, greedy.hits);
}

TEST(BlockCacheTest, OtherBlocksThatAreReadFromNowOnSoonHaveTheRoom) {
  Random random(3);
  CacheReader reader(true);
  for (std::uint64_t first : {std::uint64_t{0}, std::uint64_t{10'000}, std::uint64_t{20'000}}) {
    for (std::uint64_t i = 0; i < 20 * CacheReader::kFit; ++i) {
      reader.Read(first + random.Below(CacheReader::kFit * 3 / 4));
    }
    const std::uint64_t misses = reader.misses;
    for (std::uint64_t i = 0; i < CacheReader::kFit; ++i) {
      reader.Read(first + random.Below(CacheReader::kFit * 3 / 4));
    }
    EXPECT_LT(reader.misses - misses, CacheReader::kFit / 10) << "from " << first << " on";
  }
}

TEST(BlockCacheTest, PinnedBlocksAreNeverEvicted) {
  BlockCache cache(20'000, 1000);
  std::vector<BlockPin> held;
  for (std::uint64_t i = 0; i < 100; ++i) {
    held.push_back(
        cache.Insert(Address(i), Text(std::string(1000, static_cast<char>('a' + i % 26)))));
    ASSERT_LE(cache.bytes(), 20'000u);
  }
  for (std::uint64_t i = 0; i < 100; ++i) {
    ASSERT_EQ(Content(held[i]), std::string(1000, static_cast<char>('a' + i % 26)));
  }
  EXPECT_TRUE(cache.Find(Address(0))) << "the first ones keep their place";
  EXPECT_FALSE(cache.Find(Address(99))) << "the last ones found none";
  held.clear();
  for (std::uint64_t i = 200; i < 300; ++i) cache.Insert(Address(i), BlockMemory::Allocate(1000));
  EXPECT_FALSE(cache.Find(Address(0))) << "let go, they make room";
}

TEST(BlockCacheTest, HoldsNothingWithoutRoom) {
  BlockCache cache(0);
  const BlockPin pin = cache.Insert(Address(1), Text("one"));
  EXPECT_EQ(Content(pin), "one");
  EXPECT_FALSE(cache.Find(Address(1)));
  EXPECT_FALSE(cache.IsWorthRoom(Address(1)));
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(BlockCacheTest, PinsOutliveTheCache) {
  BlockPin cached;
  BlockPin second;
  BlockPin own;
  void* released = nullptr;
  {
    BlockCache cache(1 << 20);
    cached = cache.Insert(Address(1), Text("one"));
    second = cache.Find(Address(1));
    cache.Insert(Address(2), Text("unpinned"));
    released = cache.Insert(Address(3), Text("three")).Release();
    own = BlockPin(Text("own"));
  }
  EXPECT_EQ(Content(cached), "one");
  cached.Reset();
  EXPECT_EQ(Content(second), "one");
  EXPECT_EQ(Content(own), "own");
  BlockPin::Unpin(released);
  second = std::move(own);
  EXPECT_EQ(Content(second), "own");
}

TEST(BlockCacheTest, ForgetsBlocksButNeverMixesThemUp) {
  // The model is the map of what was inserted: a cache may lose, and may not change.
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const std::size_t bytes_max = random.Below(40'000);
    BlockCache cache(bytes_max, 64 + random.Below(1000));
    std::map<std::uint64_t, std::string> inserted;
    std::map<std::uint64_t, BlockPin> held;
    std::uint64_t found = 0;
    for (int i = 0; i < 5000; ++i) {
      const std::uint64_t id = random.Below(200);
      BlockPin pin = cache.Find(Address(id % 3, id));
      if (pin) {
        ++found;
        ASSERT_EQ(Content(pin), inserted[id]);
      } else {
        inserted[id] =
            std::string(random.Below(random.Chance(1, 10) ? 10'000 : 300), 'x') + std::to_string(i);
        pin = cache.Insert(Address(id % 3, id), Text(inserted[id]));
        ASSERT_EQ(Content(pin), inserted[id]);
      }
      ASSERT_LE(cache.bytes(), bytes_max);
      if (random.Chance(1, 10)) held[random.Below(20)] = std::move(pin);
    }
    EXPECT_EQ(cache.hits(), found);
    EXPECT_EQ(cache.hits() + cache.misses(), 5000u);
  }
}

TEST(BlockCacheTest, SmallBlocksStayInSpiteOfFewSlots) {
  // Blocks of a tenth of what the slots were counted for: there is room for bytes, not for slots.
  BlockCache cache(1 << 20, 4096);
  for (std::uint64_t i = 0; i < 2000; ++i) cache.Insert(Address(1, i), BlockMemory::Allocate(100));
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) found += cache.Find(Address(1, i)) ? 1 : 0;
  EXPECT_GT(found, 400u);
}

}  // namespace
}  // namespace bedrock::engine
