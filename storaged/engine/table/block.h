#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "storaged/engine/keys/internal_key.h"

namespace bedrock::engine {

// A block of entries, sorted by internal key, as it stands in memory and, possibly compressed, in a
// table. Slotted: entry i is found without decoding those before it. All numbers little-endian.
//
//   offset  size
//   0       4      entries, n
//   4       4      prefix bytes, p: what all user keys of the block begin with
//   8       1      width of an offset, o: 2 or 4
//   9       1      width of a version, v: 0 to 7
//   10      6      zero
//   16      8      base: the lowest version in the block
//   24      p      the prefix
//   …       n*o    where the rest of key i ends in the key area
//   …       n*o    where value i ends in the value area
//   …       n      kinds
//   …       n*v    versions, less base
//   …       …      key area: the keys without the prefix, one after another
//   …       …      value area, up to the end of the block
//
// Data blocks hold entries. Index blocks hold, for each data block, a separator (an internal key at
// or after the block's last and before the next one's first; its kind counts only for the order)
// and the block's BlockHandle.

/// Puts a block together. One thread.
class BlockBuilder {
 public:
  /// REQUIRES: `key` is above the last one added since Reset.
  void Add(InternalKeyView key, std::string_view value);
  /// The block's bytes; call Reset before the next Add.
  std::string Finish() const;
  void Reset();

  bool empty() const { return trailers_.empty(); }
  std::size_t entries() const { return trailers_.size(); }
  /// About what Finish() gives, without what the prefix saves.
  std::size_t EstimatedBytes() const;
  /// REQUIRES: !empty().
  InternalKeyView last_key() const;

 private:
  std::string_view KeyAt(std::size_t i) const;

  std::string keys_;
  std::string values_;
  std::vector<std::size_t> key_ends_;
  std::vector<std::size_t> value_ends_;
  std::vector<Trailer> trailers_;
};

/// A block to read. Immutable: any thread.
class Block {
 public:
  /// Checks that every later access stays inside `contents`; corruption otherwise. Whether the
  /// keys are sorted is for Verify.
  static Result<std::shared_ptr<const Block>> Parse(std::string contents);

  std::size_t size() const { return entries_; }
  std::size_t bytes() const { return contents_.size() + sizeof(Block); }

  // REQUIRES: i < size(). Views live as long as the block.
  std::string_view prefix() const { return {prefix_, prefix_bytes_}; }
  std::string_view KeySuffix(std::size_t i) const;
  std::string_view Value(std::size_t i) const;
  Trailer TrailerAt(std::size_t i) const;

  /// The first entry at or after `target`; size() where there is none.
  std::size_t LowerBound(InternalKeyView target) const;

 private:
  Block() = default;
  std::size_t EndAt(const char* ends, std::size_t i) const;
  bool EndsAreInOrder(const char* ends, std::size_t area_bytes) const;

  std::string contents_;
  std::size_t entries_ = 0;
  std::size_t prefix_bytes_ = 0;
  std::size_t offset_width_ = 0;
  std::size_t version_width_ = 0;
  std::uint64_t base_version_ = 0;
  const char* prefix_ = nullptr;
  const char* key_ends_ = nullptr;
  const char* value_ends_ = nullptr;
  const char* kinds_ = nullptr;
  const char* versions_ = nullptr;
  const char* keys_ = nullptr;
  const char* values_ = nullptr;
};

/// A position in a block; puts the key together.
class BlockCursor {
 public:
  /// Stands before `position` of `block`, which may be its end.
  void Reset(std::shared_ptr<const Block> block, std::size_t position);
  void Clear() { block_.reset(); }
  bool Valid() const { return block_ != nullptr && position_ < block_->size(); }
  void Next();
  InternalKeyView key() const { return {key_, trailer_}; }
  std::string_view value() const { return block_->Value(position_); }
  std::size_t position() const { return position_; }

 private:
  void Load();

  std::shared_ptr<const Block> block_;
  std::size_t position_ = 0;
  std::string key_;
  Trailer trailer_;
};

}  // namespace bedrock::engine
