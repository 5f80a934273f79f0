#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/typed_bool.h"
#include "common/env/file_system.h"
#include "storaged/engine/cache/block_cache.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/keys/range_tombstones.h"
#include "storaged/engine/table/block.h"
#include "storaged/engine/table/bloom_filter.h"
#include "storaged/engine/table/read_ahead.h"
#include "storaged/engine/table/table_format.h"
#include "storaged/engine/table/table_index.h"

namespace bedrock::engine {

/// Whether blocks that were read stay in the cache; a compaction's would only push others out.
using FillCache = TypedBool<struct FillCacheTag>;
/// Whether a block that comes from the file is checked against its hash.
using VerifyChecksums = TypedBool<struct VerifyChecksumsTag>;

struct TableReadOptions {
  TableReadOptions() = default;
  TableReadOptions(FillCache fill) : fill_cache(fill) {}  // NOLINT: the only one most care about
  TableReadOptions(FillCache fill, VerifyChecksums verify)
      : fill_cache(fill), verify_checksums(verify) {}

  FillCache fill_cache = FillCache::kYes;
  VerifyChecksums verify_checksums = VerifyChecksums::kYes;
};

/// What a lookup found. `value` lies in the block that `pin` holds.
struct FoundEntry {
  bool found = false;
  Trailer trailer;
  std::string_view value;
  BlockPin pin;
};

/// One live table, opened: file, index, filter and range tombstones stay in memory; data blocks
/// come through the cache. Immutable: any thread. Errors name the file and the offset.
class TableReader {
 public:
  /// corruption: the file's size, header or footer is not what `metadata` says: this is not the
  /// table that was written. Damage further inside leaves the reader usable for nothing but makes
  /// only the reads of this table fail, each with corruption.
  static Result<std::shared_ptr<const TableReader>> Open(FileSystem& file_system,
                                                         const std::string& directory,
                                                         const TableMetadata& metadata,
                                                         std::shared_ptr<BlockCache> cache);

  /// The newest point of `user_key` at or below `at`; range tombstones don't count. `hash` is
  /// HashKey(user_key).
  Result<FoundEntry> Find(std::string_view user_key, KeyHash hash, Version at,
                          TableReadOptions options = {}) const {
    return FindIn(Locate(user_key, hash, at), user_key, at, options);
  }
  Result<FoundEntry> Find(std::string_view user_key, Version at) const {
    return Find(user_key, HashKey(user_key), at);
  }
  /// Find in steps, for who has several keys and lets them wait for memory together: Prefetch of
  /// each, Locate of each, PrefetchBlock of each, FindIn of each.
  ///
  /// The data block where Find looks; kNowhere: nothing is found. Begins to fetch where it is in
  /// the cache.
  std::size_t Locate(std::string_view user_key, KeyHash hash, Version at) const;
  /// What Find finds where Locate gave `block`.
  Result<FoundEntry> FindIn(std::size_t block, std::string_view user_key, Version at,
                            TableReadOptions options) const;
  /// Begins to fetch a block that Locate gave, if it is cached.
  void PrefetchBlock(std::size_t block) const;
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  /// False: Find would find nothing, whatever the version. Costs one cache miss.
  bool MayContain(KeyHash hash) const { return filter_.MayContain(hash); }
  /// Begins to fetch what MayContain needs.
  void Prefetch(KeyHash hash) const { filter_.Prefetch(hash); }

  /// The range tombstones of the table. REQUIRES: status().ok().
  const FragmentedTombstones& Tombstones() const { return tombstones_; }

  /// Reads all of the file: content hash, every block, order of the entries, counts.
  Status Verify() const;

  const TableMetadata& metadata() const { return metadata_; }
  /// A read has met corruption, since it was opened.
  bool damaged() const { return damaged_.load(std::memory_order_relaxed); }
  /// corruption where index, filter, range tombstones or properties are damaged: every read of the
  /// table gives this.
  const Status& status() const { return meta_status_; }
  /// What index, filter and range tombstones take in memory.
  std::size_t memory_bytes() const;
  /// About how many bytes of the file hold keys in [begin, end); an empty `end`: no end.
  std::uint64_t ApproximateBytes(std::string_view begin, std::string_view end) const;

 private:
  friend class TableCursor;

  TableReader(std::unique_ptr<File> file, std::string path, const TableMetadata& metadata,
              std::shared_ptr<BlockCache> cache);

  Status CheckIdentity();
  Status LoadMeta();
  /// How a walk that goes block by block wants them read.
  struct WalkRead {
    ReadAhead* ahead = nullptr;  ///< Null: each block by itself.
    ReadAhead::Direction direction = ReadAhead::Direction::kForward;
  };

  /// Reads the block at `handle`, trailer and all, to `out`. One that fails its check is read once
  /// more, from the device: what was wrong may have been its copy in memory.
  Result<SealedBlock> ReadStored(const BlockHandle& handle, CheckHash check, char* out,
                                 WalkRead walk) const;
  /// The contents of the block at `handle`, checked.
  Result<std::string> ReadBlock(const BlockHandle& handle) const;
  /// Data block number `i`, from the cache or the file.
  Result<BlockPin> DataBlock(std::size_t i, TableReadOptions options) const {
    return DataBlock(i, options, {});
  }
  /// A walk's: what is read ahead is kept in the cache only where that throws nothing out.
  Result<BlockPin> DataBlock(std::size_t i, TableReadOptions options, WalkRead walk) const;
  /// Begins to fetch where data block number `i` is in the cache.
  void PrefetchSlot(std::size_t i) const { cache_->PrefetchSlot(AddressOf(i)); }
  BlockAddress AddressOf(std::size_t i) const {
    return {metadata_.number, index_.At(i).handle.offset};
  }
  /// Data block number `i` from the file.
  Result<BlockMemory::Owner> ReadDataBlock(std::size_t i, TableReadOptions options,
                                           WalkRead walk) const;
  Status VerifyContentHash() const;
  Status VerifyEntries() const;
  Status CheckCounts(const TableProperties& seen) const;
  std::uint64_t OffsetOf(std::string_view user_key) const;
  Status InThisFile(const Status& status) const {
    if (status.IsCorruption()) damaged_.store(true, std::memory_order_relaxed);
    return status.Prefixed(path_);
  }

  const std::unique_ptr<const File> file_;
  const std::string path_;
  const TableMetadata metadata_;
  const std::shared_ptr<BlockCache> cache_;
  TableFooter footer_;
  BloomFilter filter_;
  TableIndex index_;
  FragmentedTombstones tombstones_;
  Status meta_status_;
  mutable std::atomic<bool> damaged_{false};
};

}  // namespace bedrock::engine
