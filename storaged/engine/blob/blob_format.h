#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/version.h"
#include "common/base/ids.h"
#include "storaged/engine/table/table_format.h"

namespace bedrock::engine {

// A blob file, NNNNNN.blob: values too large to be copied by every compaction, in a file that is
// written once. All numbers little-endian.
//
//   header   32 bytes
//   record   one or more, in the order of the writer's keys
//   footer   56 bytes
//
// header:  0   8  magic "BRKBLOBS"
//          8   4  format version, 1
//          12  4  zero
//          16  8  file number
//          24  8  Hash64 of bytes 0..23
//
// record:  0   4  size of the value as it is stored, without its trailer
//          4   4  size of the user key
//          8   8  version
//          16  8  Hash64 of bytes 0..15 and the key, seeded with BlockSeed(file number, offset)
//          24  …  the value as a block (table_format.h): contents, compressed or not, compression,
//                 Hash64 seeded with BlockSeed(file number, offset of the contents): a value that
//                 was written or read at a wrong place fails the check
//          …   …  the user key: for tools, and for a rescue without tables
//
// footer:  0   8  file number
//          8   8  records
//          16  8  their bytes: from the header's end to the footer
//          24  8  content hash: Hash64 of all bytes before the footer. The MANIFEST holds it, too
//          32  4  format version
//          36  4  zero
//          40  8  Hash64 of bytes 0..39
//          48  8  magic

inline constexpr std::size_t kBlobHeaderBytes = 32;
inline constexpr std::size_t kBlobRecordHeaderBytes = 24;
inline constexpr std::size_t kBlobFooterBytes = 56;
inline constexpr std::uint32_t kBlobFormatVersion = 1;

/// Where a value stands: what a kBlobPut entry holds in place of it. Encoded as three varints.
struct BlobRef {
  FileNumber file;
  std::uint64_t offset = 0;  ///< Of the contents.
  std::uint64_t size = 0;    ///< As stored, without the trailer.

  std::string Encode() const;
  /// corruption: not a reference. Any bytes may come in.
  static Result<BlobRef> Decode(std::string_view text);
  friend bool operator==(const BlobRef&, const BlobRef&) = default;
};

/// What a record takes in its file: what a table's blob references and BlobFile count.
constexpr std::uint64_t BlobRecordBytes(std::size_t key_bytes, std::uint64_t stored_bytes) {
  return kBlobRecordHeaderBytes + stored_bytes + kBlockTrailerBytes + key_bytes;
}

/// What the MANIFEST knows of a blob file. How much of it is live follows from the tables.
struct BlobFile {
  FileNumber number;
  std::uint64_t size = 0;         ///< Of the file.
  std::uint64_t value_bytes = 0;  ///< Of the values in it, with what stands around each.
  std::uint64_t content_hash = 0;
  friend bool operator==(const BlobFile&, const BlobFile&) = default;
};

struct BlobRecordHeader {
  std::uint32_t stored_bytes = 0;
  std::uint32_t key_bytes = 0;
  Version version;
  std::uint64_t hash = 0;  ///< What the file says; see BlobRecordHash.
};

struct BlobFooter {
  FileNumber number;
  std::uint64_t records = 0;
  std::uint64_t record_bytes = 0;
  std::uint64_t content_hash = 0;

  std::string Encode() const;
  /// corruption: not a footer of this format.
  static Result<BlobFooter> Decode(std::string_view text);
};

std::string EncodeBlobHeader(FileNumber number);
Status CheckBlobHeader(std::string_view text, FileNumber number);

/// Appends the record header for `key`, with its hash. `offset`: of the record.
void AppendBlobRecordHeader(std::string& out, const BlobRecordHeader& header, std::string_view key,
                            FileNumber number, std::uint64_t offset);
/// REQUIRES: kBlobRecordHeaderBytes of text.
BlobRecordHeader DecodeBlobRecordHeader(std::string_view text);
/// The hash that the first 16 bytes of a record header and its key must have.
std::uint64_t BlobRecordHash(std::string_view fields, std::string_view key, FileNumber number,
                             std::uint64_t offset);

}  // namespace bedrock::engine
