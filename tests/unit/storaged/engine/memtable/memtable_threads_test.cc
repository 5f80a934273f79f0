// One writer, several readers: what was published before a reader began is there and in order,
// whatever the writer does to the nodes meanwhile. Run under TSan as well.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "common/env/random.h"
#include "storaged/engine/memtable/memtable.h"

namespace bedrock::engine {
namespace {

constexpr std::uint64_t kEntries = 20'000;

/// The key of version n, the same in all threads.
using KeyOf = std::function<std::string(std::uint64_t n)>;

/// Walks what is at or below `seen`, and counts it; each entry must be its version's, in order.
template <bool forward>
std::uint64_t CountUpTo(const Memtable& memtable, const KeyOf& key_of, std::uint64_t seen) {
  Memtable::Cursor cursor(memtable);
  std::uint64_t count = 0;
  InternalKey last;
  bool first = true;
  for (forward ? cursor.SeekToFirst() : cursor.SeekToLast(); cursor.Valid();
       forward ? cursor.Next() : cursor.Prev()) {
    const InternalKeyView key = cursor.key();
    if (!first) {
      EXPECT_TRUE(forward ? last.view() < key : key < last.view());
    }
    first = false;
    last = {std::string(key.user_key), key.trailer};
    if (key.version().value() > seen) continue;
    EXPECT_EQ(key.user_key, key_of(key.version().value()));
    EXPECT_EQ(cursor.value(), std::to_string(key.version().value()));
    ++count;
  }
  return count;
}

void Read(const Memtable& memtable, const KeyOf& key_of,
          const std::atomic<std::uint64_t>& published, std::uint64_t seed) {
  Random random(seed);
  std::uint64_t seen = 0;
  for (int round = 0; seen < kEntries; ++round) {
    seen = published.load(std::memory_order_acquire);
    if (seen == 0) continue;
    for (int i = 0; i < 50; ++i) {
      const std::uint64_t n = random.Between(1, seen);
      const std::string key = key_of(n);
      const auto got = memtable.Find(key, Version(n));
      ASSERT_TRUE(got.has_value());
      ASSERT_EQ(got->value, std::to_string(n));
      Memtable::Cursor cursor(memtable);
      cursor.Seek(SeekKey(key, Version(n)));
      ASSERT_TRUE(cursor.Valid());
      ASSERT_EQ(cursor.key().user_key, key);
      ASSERT_EQ(cursor.key().version().value(), n);
      cursor.SeekForPrev(SeekKey(key, Version(n - 1)));
      ASSERT_TRUE(cursor.Valid());
      ASSERT_EQ(cursor.key().user_key, key);
      ASSERT_EQ(cursor.key().version().value(), n);
      ASSERT_GE(memtable.CoveringTombstone(key, Version(n)).value(), n / 100 * 100);
    }
    if (round % 16 == 0) {
      ASSERT_EQ(CountUpTo<true>(memtable, key_of, seen), seen);
      ASSERT_EQ(CountUpTo<false>(memtable, key_of, seen), seen);
      ASSERT_GE(memtable.Tombstones()->Covering("", Version(seen)).value(), seen / 100 * 100);
      ASSERT_GE(memtable.entries(), seen);
    }
  }
}

void RunThreads(const KeyOf& key_of) {
  Memtable memtable;
  std::atomic<std::uint64_t> published{0};
  std::vector<std::thread> readers;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    readers.emplace_back([&, seed] { Read(memtable, key_of, published, seed); });
  }
  for (std::uint64_t n = 1; n <= kEntries; ++n) {
    const std::string key = key_of(n);
    // As a batch may: its last word counts.
    if (n % 7 == 0) memtable.Add({key, Trailer(Version(n), EntryKind::kDelete)}, "");
    memtable.Add({key, Trailer(Version(n), EntryKind::kPut)}, std::to_string(n));
    if (n % 100 == 0) memtable.AddRangeTombstone("", "", Version(n));
    published.store(n, std::memory_order_release);
  }
  for (std::thread& reader : readers) reader.join();
}

TEST(MemtableThreadsTest, ReadersSeeWhatWasPublishedOfScatteredKeys) {
  RunThreads([](std::uint64_t n) {
    std::string digits = std::to_string(n * 7919 % 100'003);
    return std::string(16 - digits.size(), '0') + digits;
  });
}

TEST(MemtableThreadsTest, ReadersSeeWhatWasPublishedOfDenseBytes) {
  RunThreads([](std::uint64_t n) {
    const std::uint64_t mixed = n * 40'503 % 65'536;
    return std::string{static_cast<char>(mixed >> 8), static_cast<char>(mixed & 0xff)};
  });
}

TEST(MemtableThreadsTest, ReadersSeeWhatWasPublishedOfFewKeysWithManyVersions) {
  RunThreads([](std::uint64_t n) { return std::string(n * 7 % 29, 'a'); });
}

}  // namespace
}  // namespace bedrock::engine
