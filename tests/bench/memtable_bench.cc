// What an entry costs in the memtable, beside the skip list it replaced: 16-byte decimal keys and
// values of 100 bytes, in one thread. Items are entries; 140,000 of them fill 16 to 20 MiB.

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/env/random.h"
#include "storaged/engine/memtable/memtable.h"
#include "tests/unit/storaged/engine/memtable/skip_list.h"

namespace bedrock::engine {
namespace {

enum class Order { kSequential, kRandom };

/// 16 digits, kept in place: going from key to key costs no cache miss of its own.
using Key = std::array<char, 16>;

std::string_view ViewOf(const Key& key) { return {key.data(), key.size()}; }

Key KeyOf(std::uint64_t n) {
  Key key;
  for (std::size_t i = key.size(); i-- > 0; n /= 10) key[i] = static_cast<char>('0' + n % 10);
  return key;
}

void Shuffle(std::vector<Key>& keys, std::uint64_t seed) {
  Random random(seed);
  for (std::size_t n = keys.size() - 1; n > 0; --n) std::swap(keys[n], keys[random.Below(n + 1)]);
}

/// Of the keys that are scattered: those that are put, or others, right beside them.
enum class Which : std::uint64_t { kPut = 0, kMissing = 1 };

/// In sequence one behind the other; or every seventh, shuffled, which is about how densely 16 MiB
/// of a million random keys lie.
std::vector<Key> Keys(std::uint64_t entries, Order order, Which which) {
  const std::uint64_t step = order == Order::kSequential ? 1 : 7;
  std::vector<Key> keys;
  keys.reserve(entries);
  for (std::uint64_t n = 0; n < entries; ++n) {
    keys.push_back(KeyOf(step * n + static_cast<std::uint64_t>(which)));
  }
  if (order == Order::kRandom) Shuffle(keys, 1);
  return keys;
}

const std::string kValue(100, 'v');

/// Makes tables as the engine does: a memtable gets the memory of the one before.
template <typename Table>
class Maker {
 public:
  std::unique_ptr<Table> Make() {
    if constexpr (std::is_same_v<Table, Memtable>) return std::make_unique<Table>(pool_);
    return std::make_unique<Table>();
  }

 private:
  std::shared_ptr<BlockPool> pool_ = std::make_shared<BlockPool>(64);
};

template <typename Table>
void Fill(Table& table, const std::vector<Key>& keys, std::uint64_t version) {
  for (const Key& key : keys) {
    table.Add({ViewOf(key), Trailer(Version(version++), EntryKind::kPut)}, kValue);
  }
}

template <typename Table, Order order>
void BM_Insert(benchmark::State& state) {
  const auto keys = Keys(static_cast<std::uint64_t>(state.range(0)), order, Which::kPut);
  Maker<Table> maker;
  for (auto _ : state) {
    auto table = maker.Make();
    Fill(*table, keys, 1);
    state.PauseTiming();
    table.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

template <typename Table>
void BM_Overwrite(benchmark::State& state) {
  const auto keys = Keys(static_cast<std::uint64_t>(state.range(0)), Order::kRandom, Which::kPut);
  Maker<Table> maker;
  for (auto _ : state) {
    state.PauseTiming();
    auto table = maker.Make();
    Fill(*table, keys, 1);
    state.ResumeTiming();
    Fill(*table, keys, keys.size() + 1);
    state.PauseTiming();
    table.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

template <typename Table>
void BM_Find(benchmark::State& state, Which which) {
  Table table;
  const auto entries = static_cast<std::uint64_t>(state.range(0));
  Fill(table, Keys(entries, Order::kRandom, Which::kPut), 1);
  auto keys = Keys(entries, Order::kRandom, which);
  Shuffle(keys, 2);
  std::size_t i = 0;
  for (auto _ : state) {
    const auto found = table.Find(ViewOf(keys[i]), kVersionMax);
    CHECK(found.has_value() == (which == Which::kPut));
    if (++i == keys.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}
template <typename Table>
void BM_FindHit(benchmark::State& state) {
  BM_Find<Table>(state, Which::kPut);
}
template <typename Table>
void BM_FindMiss(benchmark::State& state) {
  BM_Find<Table>(state, Which::kMissing);
}

template <typename Table, bool forward, Order order>
void BM_Walk(benchmark::State& state) {
  Table table;
  Fill(table, Keys(static_cast<std::uint64_t>(state.range(0)), order, Which::kPut), 1);
  typename Table::Cursor cursor(table);
  for (auto _ : state) {
    std::int64_t count = 0;
    for (forward ? cursor.SeekToFirst() : cursor.SeekToLast(); cursor.Valid();
         forward ? cursor.Next() : cursor.Prev()) {
      benchmark::DoNotOptimize(cursor.key().user_key.back());
      ++count;
    }
    CHECK(count == state.range(0));
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

template <typename Table>
void BM_Seek(benchmark::State& state) {
  Table table;
  const auto entries = static_cast<std::uint64_t>(state.range(0));
  Fill(table, Keys(entries, Order::kRandom, Which::kPut), 1);
  const auto keys = Keys(entries, Order::kRandom, Which::kMissing);
  typename Table::Cursor cursor(table);
  std::size_t i = 0;
  for (auto _ : state) {
    cursor.Seek(SeekKey(ViewOf(keys[i]), kVersionMax));
    benchmark::DoNotOptimize(cursor.Valid());
    if (++i == keys.size()) i = 0;
  }
  state.SetItemsProcessed(state.iterations());
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Arg(140'000)->Arg(600'000)->Unit(benchmark::kNanosecond);
}

BENCHMARK_TEMPLATE(BM_Insert, SkipList, Order::kRandom)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Insert, Memtable, Order::kRandom)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Insert, SkipList, Order::kSequential)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Insert, Memtable, Order::kSequential)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Overwrite, SkipList)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Overwrite, Memtable)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_FindHit, SkipList)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_FindHit, Memtable)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_FindMiss, SkipList)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_FindMiss, Memtable)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Walk, SkipList, true, Order::kRandom)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Walk, Memtable, true, Order::kRandom)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Walk, Memtable, true, Order::kSequential)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Walk, SkipList, false, Order::kRandom)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Walk, Memtable, false, Order::kRandom)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Seek, SkipList)->Apply(Sizes);
BENCHMARK_TEMPLATE(BM_Seek, Memtable)->Apply(Sizes);

}  // namespace
}  // namespace bedrock::engine

BENCHMARK_MAIN();
