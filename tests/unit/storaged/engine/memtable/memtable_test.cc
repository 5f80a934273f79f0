#include "storaged/engine/memtable/memtable.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "common/env/random.h"
#include "storaged/engine/memtable/arena.h"

namespace bedrock::engine {
namespace {

TEST(ArenaTest, PiecesAreAlignedApartAndCounted) {
  Arena arena;
  Random random(1);
  std::vector<std::pair<char*, std::size_t>> pieces;
  std::size_t sum = 0;
  for (int i = 0; i < 2000; ++i) {
    const std::size_t n = 1 + (random.Chance(1, 50) ? random.Below(300'000) : random.Below(200));
    char* piece = arena.Allocate(n);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece) % 8, 0u);
    std::fill_n(piece, n, static_cast<char>(i));
    pieces.emplace_back(piece, n);
    sum += n;
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto [piece, n] = pieces[i];
    EXPECT_EQ(std::count(piece, piece + n, static_cast<char>(i)), static_cast<std::ptrdiff_t>(n));
  }
  EXPECT_GE(arena.used_bytes(), sum);
  EXPECT_LE(arena.used_bytes(), sum + 7 * pieces.size());
}

TEST(MemtableTest, AnswersLikeASortedMap) {
  Random random(2);
  const auto memtable = std::make_shared<Memtable>();
  std::map<std::pair<std::string, std::int64_t>, std::pair<EntryKind, std::string>> model;
  for (std::uint64_t version = 1; version <= 3000; ++version) {
    std::string key(random.Below(12), static_cast<char>(random.Chance(1, 2) ? 'a' : 255));
    key += std::to_string(random.Below(40));
    const EntryKind kind = random.Chance(1, 3) ? EntryKind::kDelete : EntryKind::kPut;
    const std::string value(kind == EntryKind::kPut ? random.Below(100) : 0, 'v');
    memtable->Add({key, Trailer(Version(version), kind)}, value);
    model[{key, -static_cast<std::int64_t>(version)}] = {kind, value};
  }
  EXPECT_EQ(memtable->entries(), model.size());
  const auto walk = Memtable::NewIterator(memtable);
  walk->SeekToFirst();
  for (const auto& [key, want] : model) {
    ASSERT_TRUE(walk->Valid());
    ASSERT_EQ(walk->key().user_key, key.first);
    ASSERT_EQ(walk->key().version().value(), static_cast<std::uint64_t>(-key.second));
    ASSERT_EQ(walk->key().kind(), want.first);
    ASSERT_EQ(walk->value(), want.second);
    walk->Next();
  }
  ASSERT_FALSE(walk->Valid());
  for (int i = 0; i < 5000; ++i) {
    std::string key(random.Below(12), static_cast<char>(random.Chance(1, 2) ? 'a' : 255));
    key += std::to_string(random.Below(42));
    const auto at = static_cast<std::int64_t>(random.Below(3100));
    const auto want = model.lower_bound({key, -at});
    const auto got = memtable->Find(key, Version(static_cast<std::uint64_t>(at)));
    const bool there = want != model.end() && want->first.first == key;
    ASSERT_EQ(got.has_value(), there);
    if (there) {
      ASSERT_EQ(got->trailer.version().value(), static_cast<std::uint64_t>(-want->first.second));
      ASSERT_EQ(got->value, want->second.second);
    }
    walk->Seek(SeekKey(key, Version(static_cast<std::uint64_t>(at))));
    ASSERT_EQ(walk->Valid(), want != model.end());
    if (walk->Valid()) {
      ASSERT_EQ(walk->key().user_key, want->first.first);
    }
  }
}

TEST(MemtableTest, CountsItsBytes) {
  Memtable memtable;
  EXPECT_EQ(memtable.bytes(), 0u);
  EXPECT_TRUE(memtable.empty());
  memtable.Add({"key", Trailer(Version(1), EntryKind::kPut)}, std::string(10'000, 'v'));
  EXPECT_GE(memtable.bytes(), 10'000u);
  EXPECT_LE(memtable.bytes(), 12'000u);
}

TEST(MemtableDeathTest, AVersionOfAKeyIsAddedOnce) {
  Memtable memtable;
  memtable.Add({"key", Trailer(Version(1), EntryKind::kPut)}, "a");
  EXPECT_DEATH(memtable.Add({"key", Trailer(Version(1), EntryKind::kPut)}, "b"), "CHECK failed");
}

TEST(MemtableTest, ReadersSeeWhatWasPublishedWhileOneWriterAdds) {
  const auto memtable = std::make_shared<Memtable>();
  std::atomic<std::uint64_t> published{0};
  constexpr std::uint64_t kEntries = 20'000;
  std::thread reader([&] {
    Random random(3);
    std::uint64_t seen = 0;
    while (seen < kEntries) {
      seen = published.load(std::memory_order_acquire);
      if (seen == 0) continue;
      const std::uint64_t n = random.Between(1, seen);
      const auto got = memtable->Find(std::to_string(n * 7919 % 100'003), Version(n));
      ASSERT_TRUE(got.has_value());
      ASSERT_EQ(got->value, std::to_string(n));
    }
    std::uint64_t walked = 0;
    const auto walk = Memtable::NewIterator(memtable);
    for (walk->SeekToFirst(); walk->Valid(); walk->Next()) ++walked;
    ASSERT_EQ(walked, kEntries);
  });
  for (std::uint64_t n = 1; n <= kEntries; ++n) {
    memtable->Add({std::to_string(n * 7919 % 100'003), Trailer(Version(n), EntryKind::kPut)},
                  std::to_string(n));
    published.store(n, std::memory_order_release);
  }
  reader.join();
}

}  // namespace
}  // namespace bedrock::engine
