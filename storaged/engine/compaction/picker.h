#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storaged/engine/manifest/table_set.h"

namespace bedrock::engine {

/// Tables to merge into level 1.
struct Compaction {
  std::vector<TableSet::Table> level0;  ///< All of it, oldest first.
  std::vector<TableSet::Table> level1;  ///< Those that share keys with it, by key.
};

/// What to compact next, if anything. A pure function of the tables.
std::optional<Compaction> PickCompaction(const TableSet& tables, std::size_t level0_trigger);

}  // namespace bedrock::engine
