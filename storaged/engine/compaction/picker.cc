#include "storaged/engine/compaction/picker.h"

#include <algorithm>
#include <string_view>

namespace bedrock::engine {

std::optional<Compaction> PickCompaction(const TableSet& tables, std::size_t level0_trigger) {
  const auto& level0 = tables.levels[0];
  if (level0.empty() || level0.size() < level0_trigger) return std::nullopt;
  std::string_view smallest = level0.front()->metadata().smallest;
  std::string_view largest = level0.front()->metadata().largest;
  for (const TableSet::Table& table : level0) {
    smallest = std::min<std::string_view>(smallest, table->metadata().smallest);
    largest = std::max<std::string_view>(largest, table->metadata().largest);
  }
  Compaction compaction{level0, {}};
  for (const TableSet::Table& table : tables.levels[1]) {
    if (table->metadata().largest >= smallest && table->metadata().smallest <= largest) {
      compaction.level1.push_back(table);
    }
  }
  return compaction;
}

}  // namespace bedrock::engine
