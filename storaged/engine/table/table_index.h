#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "storaged/engine/cache/block_cache.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/table/table_format.h"

namespace bedrock::engine {

// The index of a table: a block (block.h) with an entry for each data block. Its key is a
// separator, at or after the data block's last key and before the next one's first. Its value is
// two varints: the size of the data block as it is stored, without its trailer, and how many
// entries it has. Data blocks stand one behind another from the table's header on, so sizes tell
// offsets.

/// Appends the value of an index entry.
void PutIndexValue(std::string& out, std::size_t stored_bytes, std::size_t entries);

/// The index in memory, with a head of eight bytes for each separator. Immutable: any thread.
class TableIndex {
 public:
  struct DataBlock {
    BlockHandle handle;
    std::size_t entries = 0;
  };

  /// Of a table without data blocks.
  TableIndex() = default;
  /// corruption: not an index, or its data blocks go beyond offset `end`.
  static Result<TableIndex> Parse(std::string_view contents, std::uint64_t end);

  std::size_t size() const { return entries_.size(); }
  /// REQUIRES: i < size().
  DataBlock At(std::size_t i) const {
    return {{offsets_[i], offsets_[i + 1] - offsets_[i] - kBlockTrailerBytes}, entries_[i]};
  }
  /// The only data block where the first entry at or after `target` may stand: the first one whose
  /// separator is. size(): there is no such entry.
  std::size_t LowerBound(InternalKeyView target) const;
  /// What it takes in memory.
  std::size_t bytes() const;

 private:
  /// A search reads samples, which stay in the nearest cache, and then two lines of heads.
  static constexpr std::size_t kSampled = 16;

  std::size_t LowerBoundOfHead(std::uint64_t head) const;

  BlockMemory::Owner memory_;
  std::vector<std::uint64_t> heads_;    ///< Of the separators without the block's prefix.
  std::vector<std::uint64_t> samples_;  ///< Every kSampled-th head, from the first one on.
  std::vector<std::uint64_t> offsets_;  ///< Of the data blocks, and where the last one ends.
  std::vector<std::uint32_t> entries_;
};

}  // namespace bedrock::engine
