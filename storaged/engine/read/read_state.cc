#include "storaged/engine/read/read_state.h"

#include <utility>

namespace bedrock::engine {

namespace {

/// Null where there are none. A table that is damaged has none to show: reads get its error where
/// they meet it.
std::shared_ptr<const FragmentedTombstones> TombstonesOf(
    const std::vector<TableSet::Table>& level) {
  std::vector<const FragmentedTombstones*> sets;
  for (const TableSet::Table& table : level) {
    if (table->metadata().range_tombstones > 0 && table->status().ok()) {
      sets.push_back(&table->Tombstones());
    }
  }
  if (sets.empty()) return nullptr;
  return std::make_shared<const FragmentedTombstones>(FragmentedTombstones::Merge(sets));
}

}  // namespace

ReadState::ReadState(Memtables memtables, std::shared_ptr<const TableSet> tables)
    : memtables_(std::move(memtables)), tables_(std::move(tables)) {
  for (std::size_t level = 1; level < tables_->levels.size(); ++level) {
    level_tombstones_[level] = TombstonesOf(tables_->levels[level]);
  }
}

ReadState::ReadState(const ReadState& other, Memtables memtables)
    : memtables_(std::move(memtables)),
      tables_(other.tables_),
      level_tombstones_(other.level_tombstones_) {}

}  // namespace bedrock::engine
