#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "common/codec/coding.h"
#include "storaged/engine/cache/block_cache.h"
#include "storaged/engine/keys/internal_key.h"

namespace bedrock::engine {

// A block of entries, sorted by internal key, as it stands in a table before compression. Slotted:
// entry i is found without decoding those before it. What all entries have in common stands in the
// block once. All numbers little-endian.
//
//   offset  size
//   0       4      entries, n
//   4       4      prefix bytes, p: what all user keys of the block begin with
//   8       1      width of where a key ends, k: 0, 2 or 4
//   9       1      width of where a value ends, e: 0, 2 or 4
//   10      1      width of a version, v: 0 to 7
//   11      1      the kind of all entries, or 255: they differ
//   12      8      base: the lowest version in the block
//   20      4      only where k is 0: size of the rest of each key
//   …       4      only where e is 0: size of each value
//   …       p      the prefix
//   …       n*k    where the rest of key i ends in the key area
//   …       n*e    where value i ends in the value area
//   …       n      kinds, only where they differ
//   …       n*v    versions, less base
//   …       …      key area: the keys without the prefix, one after another
//   …       …      value area, up to the end of the block
//
// Data blocks hold entries. Index blocks hold, for each data block, a separator (an internal key at
// or after the block's last and before the next one's first; its kind counts only for the order)
// and what table_index.h says.
//
// In memory a block has, behind its contents, a head of each key: the first four bytes of its rest
// as a number that sorts like them. A search compares heads, eight at a time, and looks at keys
// only where heads are equal.

/// Puts a block together. One thread. Keeps its memory over Reset.
class BlockBuilder {
 public:
  /// REQUIRES: `key` is above the last one added since Reset.
  void Add(InternalKeyView key, std::string_view value);
  /// Appends the block's bytes; call Reset before the next Add.
  void Finish(std::string& out) const;
  void Reset();

  bool empty() const { return trailers_.empty(); }
  std::size_t entries() const { return trailers_.size(); }
  /// About what Finish() gives, without what the prefix saves.
  std::size_t EstimatedBytes() const {
    return kBytesABlock + keys_.size() + values_.size() + trailers_.size() * kBytesAnEntry;
  }
  /// REQUIRES: !empty().
  InternalKeyView last_key() const { return {KeyAt(entries() - 1), trailers_.back()}; }

 private:
  /// What an entry costs next to its key and value, about.
  static constexpr std::size_t kBytesAnEntry = 4;
  static constexpr std::size_t kBytesABlock = 28;
  struct Layout;

  std::string_view KeyAt(std::size_t i) const;
  Layout Plan() const;
  void PutKeys(const Layout& layout, char* at) const;

  std::string keys_;
  std::string values_;
  std::vector<std::uint32_t> key_ends_;
  std::vector<std::uint32_t> value_ends_;
  std::vector<Trailer> trailers_;
};

/// A block to read, in a BlockMemory: this object, the heads, the contents. Immutable: any thread;
/// lives as long as its memory.
class Block {
 public:
  /// Memory for a block with `contents_bytes` of contents and `entries` entries, the cache's where
  /// one is given: write the former to ContentsOf, then Open it.
  static BlockMemory::Owner Allocate(std::size_t contents_bytes, std::size_t entries,
                                     BlockCache* cache = nullptr);
  static char* ContentsOf(BlockMemory& memory, std::size_t entries);
  /// Checks that every later access stays inside the contents, and makes the heads; corruption
  /// otherwise. Whether the keys are sorted is for Verify. REQUIRES: allocated for `entries` and at
  /// least `contents_bytes`.
  static Status Open(BlockMemory& memory, std::size_t contents_bytes, std::size_t entries);
  /// Allocate, copy and Open for contents that stand elsewhere.
  static Result<BlockMemory::Owner> Parse(std::string_view contents);
  /// The block in memory that Open was fine with.
  static const Block& In(const BlockMemory& memory) { return At(memory.data()); }
  static const Block& In(const BlockPin& pin) { return At(pin.data()); }

  std::size_t size() const { return entries_; }

  // REQUIRES: i < size(). Views live as long as the block.
  std::string_view prefix() const { return {Part(prefix_), prefix_bytes_}; }
  std::string_view KeyRest(std::size_t i) const { return At(key_column_, Part(keys_), i); }
  std::string_view Value(std::size_t i) const { return At(value_column_, Part(values_), i); }
  Trailer TrailerAt(std::size_t i) const {
    // Version and what follows it; the mask leaves the version.
    const auto number = LoadFixed<std::uint64_t>(Part(versions_) + i * version_width_);
    const std::uint64_t version = base_version_ + (number & ~(~std::uint64_t{0} << version_bits_));
    const std::uint8_t kind =
        kinds_ == 0 ? common_kind_ : static_cast<std::uint8_t>(Part(kinds_)[i]);
    return Trailer::FromPacked(version << 8 | kind);
  }

  /// Puts the rest of key i at `out`, which has room for kCopyBytes more than it takes; gives its
  /// size.
  std::size_t CopyKeyRest(std::size_t i, char* out) const {
    const std::string_view rest = KeyRest(i);
    std::memcpy(out, rest.data(), kCopyBytes);  // readable: there is slack behind the contents
    if (rest.size() > kCopyBytes) [[unlikely]] {
      std::memcpy(out + kCopyBytes, rest.data() + kCopyBytes, rest.size() - kCopyBytes);
    }
    return rest.size();
  }
  static constexpr std::size_t kCopyBytes = 16;
  /// No key of the block is longer.
  std::size_t key_bytes_max() const { return prefix_bytes_ + rest_bytes_max_; }

  /// The first entry at or after `target`; size() where there is none.
  std::size_t LowerBound(InternalKeyView target) const;
  /// The first entry in [low, high) at or after a key whose prefix was taken off; `high` where
  /// there is none. REQUIRES: low <= high <= size().
  std::size_t LowerBoundByKey(std::size_t low, std::size_t high, InternalKeyView rest) const;
  /// Whether entry i is of this user key. REQUIRES: i < size().
  bool HasKey(std::size_t i, std::string_view user_key) const {
    return user_key.size() >= prefix_bytes_ && user_key.substr(0, prefix_bytes_) == prefix() &&
           user_key.substr(prefix_bytes_) == KeyRest(i);
  }
  /// Whether every entry has a kind that this release knows.
  bool KindsAreKnown() const;

 private:
  /// Where the pieces of an area end: numbers of `width` bytes at `ends`, or none, and all have
  /// `each` bytes.
  struct Column {
    const char* ends = nullptr;
    std::uint32_t width = 0;
    std::uint32_t each = 0;

    std::size_t EndAt(std::size_t i) const {
      if (width == 2) return LoadFixed<std::uint16_t>(ends + i * 2);
      if (width == 0) return (i + 1) * each;
      return LoadFixed<std::uint32_t>(ends + i * 4);
    }
    bool IsInOrder(std::size_t entries, std::size_t area_bytes) const;
  };
  struct Reader;

  static const Block& At(const char* data);
  static std::string_view At(const Column& column, const char* area, std::size_t i) {
    if (column.width == 0) return {area + i * column.each, column.each};
    const std::size_t begin = i == 0 ? 0 : column.EndAt(i - 1);
    return {area + begin, column.EndAt(i) - begin};
  }
  static std::size_t ContentsOffset(std::size_t entries);

  Block() = default;
  const char* Part(std::uint32_t offset) const {
    return reinterpret_cast<const char*>(this) + offset;
  }
  const std::int32_t* heads() const { return reinterpret_cast<const std::int32_t*>(this + 1); }
  Status ReadLayout(const char* contents, std::size_t contents_bytes);
  void MakeHeads(std::int32_t* heads);

  // Parts are offsets from this object: with it, a block's header is two cache lines.
  std::uint32_t entries_ = 0;
  std::uint32_t prefix_bytes_ = 0;
  std::uint32_t rest_bytes_max_ = 0;
  std::uint32_t prefix_ = 0;
  std::uint32_t kinds_ = 0;  ///< 0: all are common_kind_.
  std::uint32_t versions_ = 0;
  std::uint32_t keys_ = 0;
  std::uint32_t values_ = 0;
  std::uint64_t base_version_ = 0;
  Column key_column_;
  Column value_column_;
  std::uint8_t version_width_ = 0;
  std::uint8_t version_bits_ = 0;
  std::uint8_t common_kind_ = 0;
};

}  // namespace bedrock::engine
