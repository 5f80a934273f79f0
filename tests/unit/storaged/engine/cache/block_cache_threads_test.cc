#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "common/env/random.h"
#include "storaged/engine/cache/block_cache.h"

namespace bedrock::engine {
namespace {

/// A block that tells its address at its beginning and its end.
BlockMemory::Owner BlockFor(std::uint64_t id, std::size_t bytes) {
  auto memory = BlockMemory::Allocate(bytes);
  std::memset(memory->data(), static_cast<int>(id & 0xff), bytes);
  std::memcpy(memory->data(), &id, sizeof(id));
  std::memcpy(memory->data() + bytes - sizeof(id), &id, sizeof(id));
  return memory;
}

bool IsBlockFor(const BlockPin& pin, std::uint64_t id) {
  return std::memcmp(pin.data(), &id, sizeof(id)) == 0 &&
         std::memcmp(pin.data() + pin.bytes() - sizeof(id), &id, sizeof(id)) == 0;
}

BlockAddress AddressOf(std::uint64_t id) { return {FileNumber(1 + id % 7), id * 4096}; }

/// Reads and inserts blocks at random, holding some for a while. Gives how many were wrong.
std::uint64_t Churn(BlockCache& cache, std::uint64_t seed, std::uint64_t ids, int steps) {
  Random random(seed);
  std::vector<std::pair<std::uint64_t, BlockPin>> held(8);
  std::uint64_t wrong = 0;
  for (int i = 0; i < steps; ++i) {
    // Every third is of a few hot ones.
    const std::uint64_t id = random.Below(random.Chance(1, 3) ? 5 : ids);
    BlockPin pin = cache.Find(AddressOf(id));
    if (!pin) pin = cache.Insert(AddressOf(id), BlockFor(id, 64 + id % 200));
    if (!IsBlockFor(pin, id)) ++wrong;
    auto& [held_id, held_pin] = held[random.Below(held.size())];
    if (held_pin && !IsBlockFor(held_pin, held_id)) ++wrong;
    if (random.Chance(1, 2)) {
      held_id = id;
      held_pin = std::move(pin);
    }
    if (cache.bytes() > cache.bytes_max()) ++wrong;
  }
  return wrong;
}

TEST(BlockCacheThreadsTest, NobodyEverGetsAWrongBlock) {
  for (const std::size_t bytes_max : {2'000U, 20'000U, 1U << 20}) {
    BlockCache cache(bytes_max, 256);
    std::atomic<std::uint64_t> wrong{0};
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] { wrong += Churn(cache, t, 300, 20'000); });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong.load(), 0u);
    EXPECT_LE(cache.bytes(), bytes_max);
  }
}

TEST(BlockCacheThreadsTest, PinsLetGoWhileTheCacheEnds) {
  for (int round = 0; round < 200; ++round) {
    auto cache = std::make_unique<BlockCache>(1 << 16, 256);
    std::vector<BlockPin> pins;
    for (std::uint64_t id = 0; id < 40; ++id) {
      pins.push_back(cache->Insert(AddressOf(id), BlockFor(id, 100)));
    }
    std::thread reader([&pins] {
      for (std::uint64_t id = 0; id < 40; ++id) {
        EXPECT_TRUE(IsBlockFor(pins[id], id));
        pins[id].Reset();
      }
    });
    cache.reset();
    reader.join();
  }
}

}  // namespace
}  // namespace bedrock::engine
