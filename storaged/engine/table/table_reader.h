#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/typed_bool.h"
#include "common/env/file_system.h"
#include "storaged/engine/cache/block_cache.h"
#include "storaged/engine/iterator/internal_iterator.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/table/block.h"
#include "storaged/engine/table/table_format.h"

namespace bedrock::engine {

using DataBlockCache = BlockCache<Block>;
/// Whether blocks that a walk reads stay in the cache; a compaction's would only push others out.
using FillCache = TypedBool<struct FillCacheTag>;

/// What a lookup found.
struct FoundEntry {
  bool found = false;
  Trailer trailer;
  std::string value;
};

/// One live table, opened: file, index and filter stay in memory; data blocks come through the
/// cache. Immutable: any thread. Every block that comes from the file is checked against its hash.
/// Errors name the file and the offset.
class TableReader {
 public:
  /// corruption: the file's size, header or footer is not what `metadata` says: this is not the
  /// table that was written. Damage further inside leaves the reader usable for nothing but makes
  /// only the reads of this table fail, each with corruption.
  static Result<std::shared_ptr<const TableReader>> Open(FileSystem& file_system,
                                                         const std::string& directory,
                                                         const TableMetadata& metadata,
                                                         std::shared_ptr<DataBlockCache> cache);

  /// The newest entry of `user_key` at or below `at`.
  Result<FoundEntry> Find(std::string_view user_key, Version at) const;

  static std::unique_ptr<InternalIterator> NewIterator(std::shared_ptr<const TableReader> table,
                                                       FillCache fill_cache);

  /// Reads all of the file: content hash, every block, order of the entries, counts.
  Status Verify() const;

  const TableMetadata& metadata() const { return metadata_; }

 private:
  class TableIterator;

  TableReader(std::unique_ptr<File> file, std::string path, const TableMetadata& metadata,
              std::shared_ptr<DataBlockCache> cache);

  Status CheckIdentity();
  Status LoadMeta();
  /// The contents of the block at `handle`, checked.
  Result<std::string> ReadBlock(const BlockHandle& handle) const;
  /// Data block number `i`.
  Result<std::shared_ptr<const Block>> DataBlock(std::size_t i, FillCache fill_cache) const;
  Status VerifyContentHash() const;
  Status VerifyEntries() const;
  Status InThisFile(const Status& status) const { return status.Prefixed(path_); }

  const std::unique_ptr<const File> file_;
  const std::string path_;
  const TableMetadata metadata_;
  const std::shared_ptr<DataBlockCache> cache_;
  TableFooter footer_;
  TableProperties properties_;
  std::string filter_;
  std::shared_ptr<const Block> index_;
  Status meta_status_;  ///< Why index, filter or properties are missing.
};

}  // namespace bedrock::engine
