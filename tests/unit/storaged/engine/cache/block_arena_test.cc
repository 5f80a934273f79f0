#include "storaged/engine/cache/block_arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "common/env/random.h"
#include "storaged/engine/cache/block_cache.h"

namespace bedrock::engine {
namespace {

struct Held {
  BlockArena::Chunk chunk;
  std::size_t bytes;
  char mark;
};

bool IsMarked(const Held& held) {
  const auto* const text = static_cast<const char*>(held.chunk.memory);
  return std::string_view(text, held.bytes).find_first_not_of(held.mark) == std::string_view::npos;
}

TEST(BlockArenaTest, ChunksAreApart) {
  // Each chunk is filled with a mark of its own; one that overlaps another loses it.
  BlockArena* const arena = BlockArena::Create(std::size_t{16} << 20);
  Random random(1);
  std::vector<Held> held;
  for (int i = 0; i < 20'000; ++i) {
    if (!held.empty() && random.Chance(1, 2)) {
      std::swap(held[random.Below(held.size())], held.back());
      ASSERT_TRUE(IsMarked(held.back()));
      arena->Free(held.back().chunk);
      held.pop_back();
    } else {
      const std::size_t bytes = 1 + random.Below(random.Chance(1, 5) ? 32'768 : 5000);
      const BlockArena::Chunk chunk = arena->Allocate(bytes);
      ASSERT_NE(chunk.memory, nullptr);
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(chunk.memory) % 256, 0u);
      held.push_back({chunk, bytes, static_cast<char>(i)});
      std::memset(chunk.memory, held.back().mark, bytes);
    }
  }
  for (const Held& one : held) {
    ASSERT_TRUE(IsMarked(one));
    arena->Free(one.chunk);
  }
  arena->LetGo();
}

TEST(BlockArenaTest, EmptySpansServeOtherSizes) {
  BlockArena* const arena = BlockArena::Create(std::size_t{2} << 20);
  for (const std::size_t bytes : {4300U, 300U, 32'768U, 9000U}) {
    std::vector<BlockArena::Chunk> chunks;
    while (true) {
      const BlockArena::Chunk chunk = arena->Allocate(bytes);
      if (chunk.memory == nullptr) break;
      chunks.push_back(chunk);
    }
    EXPECT_GE(chunks.size() * BlockArena::ChunkBytes(bytes), (std::size_t{2} << 20) * 9 / 10)
        << "all of the memory, for each size in turn";
    for (const BlockArena::Chunk& chunk : chunks) arena->Free(chunk);
  }
  EXPECT_EQ(arena->bytes(), std::size_t{2} << 20);
  arena->LetGo();
}

TEST(BlockArenaTest, SizesAreRoundedUpABit) {
  EXPECT_EQ(BlockArena::ChunkBytes(1), 256u);
  EXPECT_EQ(BlockArena::ChunkBytes(4096), 4096u);
  EXPECT_EQ(BlockArena::ChunkBytes(4097), 4352u);
  EXPECT_EQ(BlockArena::ChunkBytes(8193), 9216u);
  EXPECT_EQ(BlockArena::ChunkBytes(32'768), 32'768u);
  EXPECT_EQ(BlockArena::ChunkBytes(32'769), 0u);
}

TEST(BlockArenaTest, ALargeCacheCountsWhatItsBlocksTake) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  BlockPin outlives;
  {
    BlockCache cache(kBytes);
    Random random(2);
    for (std::uint64_t i = 0; i < 30'000; ++i) {
      // Sizes drift, so that spans change what they are for.
      BlockMemory::Owner block = cache.Allocate(1000 + i / 10 + random.Below(1000));
      std::memcpy(block->data(), &i, sizeof(i));
      ASSERT_GE(block->charge(), block->bytes());
      ASSERT_LE(block->charge(), block->bytes() + 512);
      outlives = cache.Insert({FileNumber(1), i * 4096}, std::move(block));
      ASSERT_EQ(std::memcmp(outlives.data(), &i, sizeof(i)), 0);
      ASSERT_LE(cache.bytes(), kBytes);
    }
    EXPECT_GT(cache.bytes(), kBytes * 9 / 10);
  }
  const std::uint64_t last = 29'999;
  EXPECT_EQ(std::memcmp(outlives.data(), &last, sizeof(last)), 0);
}

TEST(BlockArenaTest, ThreadsShareIt) {
  BlockArena* const arena = BlockArena::Create(std::size_t{8} << 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([arena, t] {
      Random random(static_cast<std::uint64_t>(t));
      std::vector<Held> held;
      for (int i = 0; i < 3000; ++i) {
        const std::size_t bytes = 1 + random.Below(3000);
        held.push_back({arena->Allocate(bytes), bytes, static_cast<char>(t + 3 * i)});
        ASSERT_NE(held.back().chunk.memory, nullptr);
        std::memset(held.back().chunk.memory, held.back().mark, bytes);
        if (held.size() < 100) continue;
        ASSERT_TRUE(IsMarked(held.front()));
        arena->Free(held.front().chunk);
        held.erase(held.begin());
      }
      for (const Held& one : held) arena->Free(one.chunk);
    });
  }
  for (std::thread& thread : threads) thread.join();
  arena->LetGo();
}

}  // namespace
}  // namespace bedrock::engine
