#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "bedrock/status.h"
#include "storaged/engine/cache/block_cache.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/table/block.h"
#include "storaged/engine/table/read_ahead.h"
#include "storaged/engine/table/table_reader.h"

namespace bedrock::engine {

/// Walks the points of a table in internal key order, all versions and tombstones among them. Holds
/// one block; a step inside it neither allocates nor leaves this header. Borrows the table. One
/// thread at a time.
///
/// Once it has gone over some blocks one after another it reads ahead.
///
/// After an error Valid() is false and status() says why, for ever: a cursor never steps over what
/// it can't read.
class TableCursor final {
 public:
  explicit TableCursor(const TableReader& table, TableReadOptions options = {});

  bool Valid() const { return block_ != nullptr; }
  void SeekToFirst();
  void SeekToLast();
  void Seek(InternalKeyView target);         ///< To the first entry at or after `target`.
  void SeekForPrev(InternalKeyView target);  ///< To the last entry at or before `target`.
  /// Begin to fetch what Seek(target) will look at: one after the other, then Seek, with other work
  /// in between each time, best of all that of other cursors, so that they wait for memory
  /// together. REQUIRES: that Seek comes next.
  void PrepareSeek(InternalKeyView target);
  void PrepareSeekMore();
  /// REQUIRES: Valid().
  void Next() {
    if (++position_ < block_->size()) [[likely]] {
      Load();
    } else {
      EnterNextBlock();
    }
  }
  /// REQUIRES: Valid().
  void Prev() {
    if (position_ > 0) [[likely]] {
      --position_;
      Load();
    } else {
      EnterPreviousBlock();
    }
  }

  // REQUIRES: Valid(). Views live until the cursor moves.
  InternalKeyView key() const { return {{key_buffer(), key_bytes_}, trailer_}; }
  std::string_view value() const { return block_->Value(position_); }
  /// Whether value() stays readable through the next Prev(): its block is not left.
  bool ValueStays() const { return position_ > 0; }
  const Status& status() const { return status_; }

 private:
  static constexpr std::size_t kNotPrepared = static_cast<std::size_t>(-1);

  void Load() {
    key_bytes_ = prefix_bytes_ + block_->CopyKeyRest(position_, key_buffer() + prefix_bytes_);
    trailer_ = block_->TrailerAt(position_);
  }
  char* key_buffer() { return large_key_ != nullptr ? large_key_.get() : small_key_.data(); }
  const char* key_buffer() const {
    return large_key_ != nullptr ? large_key_.get() : small_key_.data();
  }
  void EnterNextBlock();
  void EnterPreviousBlock();
  /// The block next in `direction` is entered: from the third in a row on it is read ahead.
  void CountWalk(ReadAhead::Direction direction);
  /// Holds data block `i`. False: the walk is over, at the end of the table or for an error.
  bool Enter(std::size_t i);
  void Stand(std::size_t position);
  void Fail(const Status& status);

  const TableReader* table_;
  TableReadOptions options_;
  const Block* block_ = nullptr;  ///< Null: not Valid().
  std::size_t position_ = 0;
  std::size_t key_bytes_ = 0;
  std::size_t prefix_bytes_ = 0;
  Trailer trailer_;
  std::size_t prepared_ = kNotPrepared;  ///< The block that PrepareSeek found.
  std::size_t block_index_ = 0;
  std::array<char, 64> small_key_;
  std::unique_ptr<char[]> large_key_;  // NOLINT: the buffer for keys that the small one can't hold
  std::size_t large_key_capacity_ = 0;
  BlockPin pin_;  ///< Empty, or data block block_index_.
  std::unique_ptr<ReadAhead> ahead_;
  /// How many blocks in a row were entered from the one before or behind.
  std::uint32_t walked_blocks_ = 0;
  ReadAhead::Direction walk_ = ReadAhead::Direction::kForward;
  Status status_;
};

}  // namespace bedrock::engine
