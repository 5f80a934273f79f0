#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/codec/coding.h"
#include "common/env/file_system.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/keys/key_range.h"

namespace bedrock::engine {

// A table, NNNNNN.sst: sorted entries in a file that is written once. All numbers little-endian.
//
//   header      32 bytes
//   data block  one or more, in key order            (block.h)
//   filter      the Bloom filter of all user keys, or nothing  (bloom_filter.h)
//   index       a block: a separator and a handle for each data block  (block.h)
//   properties  TableProperties
//   footer      96 bytes
//
// header:  0   8  magic "BRKTABLE"
//          8   4  format version, 1
//          12  4  zero
//          16  8  file number
//          24  8  Hash64 of bytes 0..23
//
// Data blocks, filter, index and properties are each stored as:
//          contents, compressed or not     (compressed: 4 bytes size before compression, then LZ4)
//          1  compression
//          8  Hash64 of all before it in this block, seeded with BlockSeed(file number, offset): a
//             block that was written or read at a wrong place fails the check
// A BlockHandle's size counts the contents as stored, without these 9 bytes.
//
// footer:  0   16 filter handle (offset, size; 0, 0 without one)
//          16  16 index handle
//          32  16 properties handle
//          48  8  file number
//          56  8  content hash: Hash64 of all bytes before the footer. The MANIFEST holds it, too,
//          so
//                 a table of another database or an earlier life is not taken for this one.
//          64  4  format version
//          68  12 zero
//          80  8  Hash64 of bytes 0..79
//          88  8  magic

inline constexpr std::size_t kTableHeaderBytes = 32;
inline constexpr std::size_t kTableFooterBytes = 96;
inline constexpr std::size_t kBlockTrailerBytes = 9;
inline constexpr std::uint32_t kTableFormatVersion = 1;
/// No block is larger before compression: what claims to be is damaged.
inline constexpr std::size_t kBlockBytesMax = std::size_t{512} << 20;

enum class Compression : std::uint8_t { kNone = 0, kLz4 = 1 };

struct BlockHandle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;

  void EncodeTo(std::string& out) const;  ///< Two varints.
  static std::optional<BlockHandle> Decode(std::string_view text);
  friend bool operator==(const BlockHandle&, const BlockHandle&) = default;
};

struct TableFooter {
  BlockHandle filter;
  BlockHandle index;
  BlockHandle properties;
  FileNumber number;
  std::uint64_t content_hash = 0;

  std::string Encode() const;
  /// corruption: not a footer of this format.
  static Result<TableFooter> Decode(std::string_view text);
};

/// What a table says of itself, for tools and for a rescue without the MANIFEST. Stored as fields:
/// a varint tag (1, 2, … in this order), the value's length and bytes; numbers as varints. Readers
/// skip tags they don't know.
struct TableProperties {
  std::uint64_t entries = 0;
  std::uint64_t tombstones = 0;
  Version version_min;
  Version version_max;
  std::uint64_t key_bytes = 0;    ///< User keys, uncompressed.
  std::uint64_t value_bytes = 0;  ///< Uncompressed.
  std::uint64_t data_blocks = 0;
  std::string smallest;  ///< User keys, both bounds closed.
  std::string largest;

  /// Takes in an entry. `largest` is left to the caller, who knows the last one.
  void Count(InternalKeyView key, std::size_t entry_value_bytes);
  std::string Encode() const;
  static Result<TableProperties> Decode(std::string_view text);
  friend bool operator==(const TableProperties&, const TableProperties&) = default;
};

/// What the MANIFEST knows of a table.
struct TableMetadata {
  /// Bytes of values in a blob file that the table's entries refer to.
  struct BlobReference {
    FileNumber file;
    std::uint64_t bytes = 0;
    friend bool operator==(const BlobReference&, const BlobReference&) = default;
  };
  /// Bytes (as raw_bytes counts them) that a compaction of the table by itself frees once no reader
  /// asks below `when`.
  struct Garbage {
    Version when;
    std::uint64_t bytes = 0;
    friend bool operator==(const Garbage&, const Garbage&) = default;
  };
  /// Buckets of a garbage histogram.
  static constexpr std::size_t kGarbageBucketsMax = 8;

  FileNumber number;
  std::uint64_t size = 0;  ///< Of the file.
  std::uint64_t content_hash = 0;
  /// User keys: the bounds of the entries and of the range tombstones. `smallest` is closed,
  /// `largest` as its kind says.
  std::string smallest;
  std::string largest;
  UpperBound::Kind largest_kind = UpperBound::Kind::kIncluded;
  Version version_min;  ///< Of the entries and the range tombstones.
  Version version_max;
  std::uint64_t entries = 0;
  std::uint64_t tombstones = 0;        ///< Among the entries.
  std::uint64_t range_tombstones = 0;  ///< A version of a fragment counts as one.
  std::uint64_t data_blocks = 0;
  std::uint64_t dense_blocks = 0;  ///< Data blocks of which at least half are tombstones.
  std::uint64_t raw_bytes = 0;     ///< Keys and values before compression.
  std::vector<BlobReference> blob_references;  ///< By file, none twice.
  std::vector<Garbage> garbage;                ///< By `when`, ascending.

  KeyRange range() const { return {smallest, {largest, largest_kind}}; }

  friend bool operator==(const TableMetadata&, const TableMetadata&) = default;
};

std::string EncodeTableHeader(FileNumber number);
Status CheckTableHeader(std::string_view text, FileNumber number);

/// Makes a block's hash say where it stands.
constexpr std::uint64_t BlockSeed(FileNumber number, std::uint64_t offset) {
  return number.value() * 0x9E3779B97F4A7C15 + offset;
}
/// The block as it is stored, trailer and all. Falls back to no compression where that saves less
/// than an eighth.
std::string SealBlock(std::string_view contents, Compression compression, FileNumber number,
                      std::uint64_t offset);
/// The contents of a stored block; corruption unless every check holds.
Result<std::string> OpenSealedBlock(std::string_view stored, FileNumber number,
                                    std::uint64_t offset);
/// Reads `n` bytes, all of them: corruption where the file ends before.
Result<std::string> ReadExactly(const File& file, std::uint64_t offset, std::size_t n);

}  // namespace bedrock::engine
