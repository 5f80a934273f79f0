#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/engine/read/read_state.h"
#include "storaged/engine/table/table_builder.h"
#include "storaged/engine/table/table_reader.h"
#include "tests/unit/storaged/engine/read/history.h"

namespace bedrock::engine {

/// Makes read states out of layers: memtables, tables of level 0, levels of several tables.
class ReadStateMaker {
 public:
  explicit ReadStateMaker(std::size_t cache_bytes = 1 << 20)
      : cache_(std::make_shared<BlockCache>(cache_bytes)) {
    CHECK(disk_.CreateDirectories("/db").ok());
  }

  MemoryFileSystem& disk() { return disk_; }

  static std::shared_ptr<const Memtable> MakeMemtable(const Layer& layer) {
    auto memtable = std::make_shared<Memtable>();
    for (const CursorEntry& entry : layer.points->entries) {
      memtable->Add(entry.key.view(), entry.value);
    }
    for (const RangeTombstone& range : layer.tombstones) {
      memtable->AddRangeTombstone(range.begin, range.end, range.version);
    }
    return memtable;
  }

  /// What of the layer lies in [begin, end); null where nothing does.
  TableSet::Table MakeTable(const Layer& layer, const std::string& begin, const std::string& end) {
    const FragmentedTombstones tombstones = FragmentedTombstones(layer.tombstones).Clip(begin, end);
    std::vector<CursorEntry> entries;
    for (const CursorEntry& entry : layer.points->entries) {
      if (entry.key.user_key >= begin && IsBeforeEnd(entry.key.user_key, end)) {
        entries.push_back(entry);
      }
    }
    if (entries.empty() && tombstones.empty()) return nullptr;
    last_ = last_.Next();
    // Blocks of a few entries.
    auto builder = TableBuilder::Create(disk_, "/db", last_, {.block_bytes = 128});
    CHECK(builder.ok());
    for (const CursorEntry& entry : entries) {
      CHECK((*builder)->Add(entry.key.view(), entry.value).ok());
    }
    (*builder)->AddRangeTombstones(tombstones);
    const auto metadata = (*builder)->Finish();
    CHECK_MSG(metadata.ok(), metadata.status().ToString());
    auto table = TableReader::Open(disk_, "/db", *metadata, cache_);
    CHECK_MSG(table.ok(), table.status().ToString());
    return *table;
  }

  /// Tables that share no key.
  std::vector<TableSet::Table> MakeLevel(const Layer& layer, std::vector<std::string> bounds) {
    std::erase(bounds, "");  // which stands for no bound
    std::sort(bounds.begin(), bounds.end());
    std::vector<TableSet::Table> tables;
    std::string begin;
    bounds.emplace_back();
    for (const std::string& end : bounds) {
      if (!IsBeforeEnd(begin, end)) continue;
      if (auto table = MakeTable(layer, begin, end)) tables.push_back(std::move(table));
      begin = end;
    }
    return tables;
  }

  std::shared_ptr<const ReadState> Make(const Layers& layers, Random& random) {
    ReadState::Memtables memtables;
    auto tables = std::make_shared<TableSet>();
    const std::size_t in_memory = random.Below(layers.size() + 1);
    const std::size_t in_level0 = in_memory + random.Below(layers.size() - in_memory + 1);
    std::size_t level = 1;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (i < in_memory) {
        memtables.push_back(MakeMemtable(layers[i]));
      } else if (i < in_level0) {
        if (auto table = MakeTable(layers[i], "", "")) {
          tables->levels[0].insert(tables->levels[0].begin(), std::move(table));
        }
      } else {
        std::vector<std::string> bounds;
        for (std::size_t n = random.Below(5); n > 0; --n)
          bounds.push_back(RandomHistoryKey(random));
        tables->levels[level++] = MakeLevel(layers[i], std::move(bounds));
      }
    }
    return std::make_shared<const ReadState>(std::move(memtables), std::move(tables));
  }

 private:
  MemoryFileSystem disk_;
  std::shared_ptr<BlockCache> cache_;
  FileNumber last_;
};

}  // namespace bedrock::engine
