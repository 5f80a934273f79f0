#pragma once

#include <array>
#include <memory>
#include <vector>

#include "storaged/engine/keys/range_tombstones.h"
#include "storaged/engine/manifest/table_set.h"
#include "storaged/engine/memtable/memtable.h"
#include "storaged/engine/read/read_cell.h"

namespace bedrock::engine {

/// What a read looks at: of a key all that a source has is newer than what those behind it have.
/// Immutable but for the growth of the first memtable; any thread.
class ReadState {
 public:
  using Memtables = std::vector<std::shared_ptr<const Memtable>>;

  /// `memtables` newest first.
  ReadState(Memtables memtables, std::shared_ptr<const TableSet> tables);
  /// The same tables under other memtables.
  ReadState(const ReadState& other, Memtables memtables);

  const Memtables& memtables() const { return memtables_; }
  const std::shared_ptr<const TableSet>& tables() const { return tables_; }
  /// Of all tables of a level below 0; null where there are none.
  const std::shared_ptr<const FragmentedTombstones>& level_tombstones(std::size_t level) const {
    return level_tombstones_[level];
  }

 private:
  Memtables memtables_;
  std::shared_ptr<const TableSet> tables_;
  std::array<std::shared_ptr<const FragmentedTombstones>, kLevelsMax> level_tombstones_;
};

using ReadStateCell = ReadCell<ReadState>;

}  // namespace bedrock::engine
