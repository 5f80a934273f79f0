#include "storaged/engine/memtable/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

TEST(ArenaTest, PiecesAreAlignedApartAndCounted) {
  Arena arena;
  Random random(1);
  std::vector<std::pair<char*, std::size_t>> pieces;
  std::size_t sum = 0;
  for (int i = 0; i < 20'000; ++i) {
    const bool lines = random.Chance(1, 3);
    const std::size_t n =
        lines ? Arena::kLineBytes * random.Between(1, Arena::kLinesBytesMax / Arena::kLineBytes)
              : 1 + (random.Chance(1, 500) ? random.Below(3'000'000) : random.Below(200));
    char* piece = lines ? arena.AllocateLines(n) : arena.Allocate(n);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece) % (lines ? Arena::kLineBytes : 8), 0u);
    std::fill_n(piece, n, static_cast<char>(i));
    pieces.emplace_back(piece, n);
    sum += n;
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto [piece, n] = pieces[i];
    ASSERT_EQ(std::count(piece, piece + n, static_cast<char>(i)), static_cast<std::ptrdiff_t>(n));
  }
  EXPECT_GE(arena.used_bytes(), sum);
  EXPECT_LE(arena.used_bytes(), sum + 7 * pieces.size());
}

/// Fills some blocks of huge pages.
void Use(Arena& arena, std::size_t bytes) {
  for (std::size_t used = 0; used < bytes; used += 1000)
    std::fill_n(arena.Allocate(1000), 1000, 'x');
}

TEST(BlockPoolTest, HandsBlocksFromOneArenaToTheNext) {
  const auto pool = std::make_shared<BlockPool>(2);
  EXPECT_EQ(pool->Take().data(), nullptr);
  { Use(*std::make_unique<Arena>(pool), 4 * kHugePageBytes); }
  // No more than it keeps.
  HugePages first = pool->Take();
  HugePages second = pool->Take();
  ASSERT_NE(first.data(), nullptr);
  ASSERT_NE(second.data(), nullptr);
  EXPECT_EQ(pool->Take().data(), nullptr);
  const char* const block = first.data();
  std::vector<HugePages> given;
  given.push_back(std::move(first));
  pool->Give(std::move(given));
  Arena arena(pool);
  char* const piece = arena.Allocate(8);
  EXPECT_EQ(piece, block);
  EXPECT_EQ(pool->Take().data(), nullptr);
}

TEST(BlockPoolTest, SmallArenasLeaveItNothing) {
  const auto pool = std::make_shared<BlockPool>(2);
  { Use(*std::make_unique<Arena>(pool), 100'000); }
  EXPECT_EQ(pool->Take().data(), nullptr);
}

TEST(BlockPoolTest, MayGoBeforeItsArena) {
  auto pool = std::make_shared<BlockPool>(2);
  Arena arena(pool);
  pool.reset();
  Use(arena, 2 * kHugePageBytes);
}

}  // namespace
}  // namespace bedrock::engine
