#pragma once

#include <memory>
#include <set>
#include <vector>

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

}  // namespace bedrock::engine
