#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/options.h"
#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "common/codec/coding.h"
#include "common/env/file_system.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/keys/key_range.h"
#include "storaged/engine/keys/range_tombstones.h"

namespace bedrock::engine {

// A table, NNNNNN.sst: sorted entries in a file that is written once. All numbers little-endian.
//
//   header      32 bytes
//   data block  none or more, in key order, one right behind another  (block.h)
//   filter      the Bloom filter of all user keys, or nothing  (bloom_filter.h)
//   index       an entry for each data block, nothing without any  (table_index.h)
//   range tombstones  nothing without any  (keys/range_tombstones.h)
//   properties  TableProperties
//   footer      104 bytes
//
// header:  0   8  magic "BRKTABLE"
//          8   4  format version, 2
//          12  4  zero
//          16  8  file number
//          24  8  Hash64 of bytes 0..23
//
// Data blocks, filter, index, range tombstones and properties are each stored as:
//          contents, compressed or not: compressed, 4 bytes size before, then LZ4 block or
//          Zstandard frame 1  compression 8  Hash64 of all before it in this block, seeded with
//          BlockSeed(file number, offset): a
//             block that was written or read at a wrong place fails the check
// A BlockHandle's size counts the contents as stored, without these 9 bytes.
//
// footer:  0   16 filter handle (offset, size; 0, 0 without one)
//          16  16 index handle (0, 0 without one)
//          32  16 range tombstones handle (0, 0 without one)
//          48  16 properties handle
//          64  8  file number
//          72  8  content hash: Hash64 of all bytes before the footer. The MANIFEST holds it, too,
//                 so a table of another database or an earlier life is not taken for this one.
//          80  4  format version
//          84  4  zero
//          88  8  Hash64 of bytes 0..87
//          96  8  magic

inline constexpr std::size_t kTableHeaderBytes = 32;
inline constexpr std::size_t kTableFooterBytes = 104;
inline constexpr std::size_t kBlockTrailerBytes = 9;
inline constexpr std::uint32_t kTableFormatVersion = 2;
/// No block is larger before compression: what claims to be is damaged.
inline constexpr std::size_t kBlockBytesMax = std::size_t{512} << 20;

struct BlockHandle {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;

  friend bool operator==(const BlockHandle&, const BlockHandle&) = default;
};

struct TableFooter {
  BlockHandle filter;
  BlockHandle index;
  BlockHandle range_tombstones;
  BlockHandle properties;
  FileNumber number;
  std::uint64_t content_hash = 0;

  std::string Encode() const;
  /// corruption: not a footer of this format.
  static Result<TableFooter> Decode(std::string_view text);
};

/// What a table says of itself: counted as it is written, kept in it for tools and for a rescue
/// without the MANIFEST, and in the MANIFEST for whoever plans. Stored as fields: a varint tag (1,
/// 2, … in the order of EncodeTo), the value's length and bytes; numbers as varints. Readers skip
/// tags they don't know.
struct TableProperties {
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

  /// Takes in an entry. `largest` is left to the caller, who knows the last one.
  void Count(InternalKeyView key, std::size_t entry_value_bytes);
  /// Counts range tombstones, once, and widens bounds and versions to theirs; entries and `largest`
  /// are complete.
  void CoverTombstones(const FragmentedTombstones& ranges);
  void EncodeTo(std::string& out) const;
  /// corruption: malformed, or numbers and bounds that contradict each other.
  static Result<TableProperties> Decode(std::string_view text);
  friend bool operator==(const TableProperties&, const TableProperties&) = default;
};

/// What the MANIFEST knows of a table.
struct TableMetadata : TableProperties {
  FileNumber number;
  std::uint64_t size = 0;  ///< Of the file.
  std::uint64_t content_hash = 0;

  friend bool operator==(const TableMetadata&, const TableMetadata&) = default;
};

std::string EncodeTableHeader(FileNumber number);
Status CheckTableHeader(std::string_view text, FileNumber number);

/// Makes a block's hash say where it stands.
constexpr std::uint64_t BlockSeed(FileNumber number, std::uint64_t offset) {
  return number.value() * 0x9E3779B97F4A7C15 + offset;
}
/// Whether a block is checked against its hash.
using CheckHash = TypedBool<struct CheckHashTag>;

/// Appends the block as it is stored, trailer and all. Falls back to no compression where that
/// saves less than an eighth. Gives its size without the trailer.
std::size_t SealBlock(std::string_view contents, Compression compression, std::uint64_t seed,
                      std::string& out);

/// Appends only the trailer, to contents that stand at `begin` of `out` as they are to be stored.
void SealInPlace(std::string& out, std::size_t begin, Compression compression, std::uint64_t seed);

/// A stored block that was checked, not yet decompressed. Borrowed.
struct SealedBlock {
  Compression compression = Compression::kNone;
  std::string_view stored;  ///< Without the trailer.
  std::uint64_t offset = 0;

  /// How large the contents are; corruption where that can't be.
  Result<std::size_t> ContentsBytes() const;
  /// REQUIRES: ContentsBytes() gave `bytes`, and there is room for that.
  Status Decompress(char* out, std::size_t bytes) const;
};
/// corruption unless the hash and all else is right.
Result<SealedBlock> CheckSealedBlock(std::string_view stored, FileNumber number,
                                     std::uint64_t offset, CheckHash check_hash);
/// The contents of a stored block; corruption unless every check holds.
Result<std::string> OpenSealedBlock(std::string_view stored, FileNumber number,
                                    std::uint64_t offset);
/// Reads `n` bytes, all of them: corruption where the file ends before.
Result<std::string> ReadExactly(const File& file, std::uint64_t offset, std::size_t n);

}  // namespace bedrock::engine
