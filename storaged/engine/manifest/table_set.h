#pragma once

#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "storaged/engine/blob/blob_set.h"
#include "storaged/engine/manifest/version_edit.h"
#include "storaged/engine/table/table_reader.h"

namespace bedrock::engine {

/// The live tables at a moment, opened. Immutable and shared: whoever holds one keeps its files.
struct TableSet {
  using Table = std::shared_ptr<const TableReader>;

  /// Level 0 from oldest to newest; deeper ones by key.
  std::vector<std::vector<Table>> levels = std::vector<std::vector<Table>>(kLevelsMax);
  /// What kBlobPut entries of the tables refer to.
  std::shared_ptr<const BlobSet> blobs = std::make_shared<const BlobSet>();
  /// The highest watermark that any of the tables was made under: reads below it may miss versions.
  Version watermark;
  /// Tables that failed their checks: no compaction reads them, and what they hide below stays.
  std::set<FileNumber> quarantined;
};

/// Walks tables that share no user key and are sorted by it, one after another.
std::unique_ptr<InternalIterator> NewLevelIterator(std::vector<TableSet::Table> tables,
                                                   FillCache fill_cache);

}  // namespace bedrock::engine
