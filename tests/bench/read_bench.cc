// What a step, a seek, the making of an iterator and a point read cost, over 1 to 8 tables that
// share the key space at random (16 B keys, 100 B values, all blocks cached).

#include <benchmark/benchmark.h>

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/read/iterator.h"
#include "storaged/engine/read/point_read.h"
#include "storaged/engine/read/read_state.h"
#include "storaged/engine/read/source.h"
#include "storaged/engine/table/table_builder.h"

namespace bedrock::engine {
namespace {

constexpr int kKeys = 400'000;

std::string KeyOf(std::uint64_t number) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llu", static_cast<unsigned long long>(number));
  return text;
}

/// Reads the ends of a value, as whoever uses it would.
void Use(std::string_view value) { benchmark::DoNotOptimize(value.front() + value.back()); }

/// A state of so many tables in level 0.
class Tables {
 public:
  explicit Tables(std::size_t sources) {
    CHECK(disk_.CreateDirectories("/db").ok());
    std::vector<std::unique_ptr<TableBuilder>> builders;
    for (std::size_t i = 0; i < sources; ++i) {
      auto builder = TableBuilder::Create(disk_, "/db", FileNumber(i + 1), {});
      CHECK(builder.ok());
      builders.push_back(std::move(builder).value());
    }
    Random random(1);
    const std::string value(100, 'v');
    for (int i = 0; i < kKeys; ++i) {
      const std::string key = KeyOf(static_cast<std::uint64_t>(i));
      const InternalKeyView entry{key, Trailer(Version(1), EntryKind::kPut)};
      CHECK(builders[random.Below(sources)]->Add(entry, value).ok());
    }
    const auto cache = std::make_shared<BlockCache>(std::size_t{256} << 20);
    auto tables = std::make_shared<TableSet>();
    for (const auto& builder : builders) {
      const auto metadata = builder->Finish();
      CHECK(metadata.ok());
      auto table = TableReader::Open(disk_, "/db", *metadata, cache);
      CHECK(table.ok());
      tables->levels[0].push_back(std::move(table).value());
    }
    state_ = std::make_shared<const ReadState>(ReadState::Memtables{std::make_shared<Memtable>()},
                                               std::move(tables));
    const auto warm = NewIterator();
    for (warm->SeekToFirst(); warm->Valid(); warm->Next()) Use(warm->value());
  }

  static const Tables& Of(std::int64_t sources) {
    static std::map<std::int64_t, std::unique_ptr<Tables>> made;
    auto& tables = made[sources];
    if (tables == nullptr) tables = std::make_unique<Tables>(static_cast<std::size_t>(sources));
    return *tables;
  }

  std::unique_ptr<Iterator> NewIterator() const {
    return engine::NewIterator({.state = state_,
                                .at = Version(1),
                                .bounds = {},
                                .options = {},
                                .resolver = nullptr,
                                .link = link_});
  }
  const std::shared_ptr<const ReadState>& state() const { return state_; }

 private:
  MemoryFileSystem disk_;
  std::shared_ptr<const ReadState> state_;
  std::shared_ptr<ReaderLink> link_ = std::make_shared<ReaderLink>(nullptr);
};

void BM_Next(benchmark::State& state) {
  const auto iterator = Tables::Of(state.range(0)).NewIterator();
  iterator->SeekToFirst();
  for (auto step : state) {
    Use(iterator->value());
    iterator->Next();
    if (!iterator->Valid()) iterator->SeekToFirst();
  }
}

void BM_Prev(benchmark::State& state) {
  const auto iterator = Tables::Of(state.range(0)).NewIterator();
  iterator->SeekToLast();
  for (auto step : state) {
    Use(iterator->value());
    iterator->Prev();
    if (!iterator->Valid()) iterator->SeekToLast();
  }
}

void BM_Seek(benchmark::State& state) {
  const auto iterator = Tables::Of(state.range(0)).NewIterator();
  Random random(2);
  for (auto step : state) {
    iterator->Seek(KeyOf(random.Below(kKeys)));
    Use(iterator->value());
  }
}

void BM_NewIterator(benchmark::State& state) {
  const Tables& tables = Tables::Of(state.range(0));
  for (auto step : state) benchmark::DoNotOptimize(tables.NewIterator().get());
}

/// An iterator for each seek and the ten steps behind it.
void BM_SeekRandom(benchmark::State& state) {
  const Tables& tables = Tables::Of(state.range(0));
  Random random(2);
  for (auto step : state) {
    const auto iterator = tables.NewIterator();
    iterator->Seek(KeyOf(random.Below(kKeys)));
    for (int i = 0; i < 10 && iterator->Valid(); ++i) {
      Use(iterator->value());
      iterator->Next();
    }
  }
}

void BM_Get(benchmark::State& state) {
  const ReadStateCell cell(Tables::Of(state.range(0)).state());
  Random random(3);
  PinnedValue value;
  for (auto step : state) {
    const ReadStateCell::Read read(cell);
    CHECK(ReadPoint({read, Version(1), {}}, KeyOf(random.Below(kKeys)), &value).ok());
    Use(value.value());
  }
}

void BM_MultiGet(benchmark::State& state) {
  const ReadStateCell cell(Tables::Of(state.range(0)).state());
  constexpr std::size_t kBatch = 32;
  Random random(3);
  std::vector<std::string> keys(kBatch);
  for (auto step : state) {
    for (std::string& key : keys) key = KeyOf(random.Below(kKeys));
    const ReadStateCell::Read read(cell);
    benchmark::DoNotOptimize(
        ReadPoints({read, Version(1), {}}, std::vector<std::string_view>(keys.begin(), keys.end()))
            .data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
}

void BM_ReadState(benchmark::State& state) {
  const ReadStateCell cell(Tables::Of(1).state());
  for (auto step : state) benchmark::DoNotOptimize(&*ReadStateCell::Read(cell));
}

BENCHMARK(BM_Next)->Arg(1)->Arg(4)->Arg(8);
BENCHMARK(BM_Prev)->Arg(1)->Arg(4)->Arg(8);
BENCHMARK(BM_Seek)->Arg(1)->Arg(4)->Arg(8);
BENCHMARK(BM_NewIterator)->Arg(1)->Arg(4)->Arg(8);
BENCHMARK(BM_SeekRandom)->Arg(1)->Arg(4)->Arg(8);
BENCHMARK(BM_Get)->Arg(1)->Arg(4)->Arg(8);
BENCHMARK(BM_MultiGet)->Arg(1)->Arg(4)->Arg(8);
BENCHMARK(BM_ReadState);

}  // namespace
}  // namespace bedrock::engine

BENCHMARK_MAIN();
