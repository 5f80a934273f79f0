#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bedrock::record {

// clang-format off
// The one framing that the engine's WAL and MANIFEST and the Raft log share.
//
//   offset  size
//   0       4     crc_header    CRC-32C of bytes 4..39
//   4       4     crc_payload   CRC-32C of the payload
//   8       4     length        of the payload, in bytes, without the padding
//   12      2     magic         0xB10C
//   14      1     type          the owner's record type, never 0
//   15      1     flags         the owner's
//   16      8     stream        number of the file this record was written for: rejects what a
//                               recycled file still holds of its earlier life
//   24      8     ordinal       WAL, MANIFEST: counts records, contiguous across files
//                               Raft log: log index
//   32      8     aux           WAL, MANIFEST: offset up to which this file was durable when the
//                               record was written
//                               Raft log: term
//   40      …     payload, then zeroes up to a multiple of 8
//
// All numbers little-endian. Records start at multiples of 8, so `length` never straddles a sector.
// clang-format on

inline constexpr std::size_t kHeaderBytes = 40;
inline constexpr std::size_t kAlignment = 8;
inline constexpr std::uint16_t kMagic = 0xB10C;
/// No record is larger: what claims to be is damaged. A commit of the embedded library with the
/// largest value there may be (128 MiB), or some of a batch, fits.
inline constexpr std::size_t kPayloadBytesMax = std::size_t{192} << 20;

struct Record {
  std::uint8_t type = 0;
  std::uint8_t flags = 0;
  std::uint64_t stream = 0;
  std::uint64_t ordinal = 0;
  std::uint64_t aux = 0;
  std::string_view payload;  ///< Borrowed: from the caller when written, from the input when read.
};

/// What a record with this much payload takes in the file.
constexpr std::size_t EncodedSize(std::size_t payload_bytes) {
  return (kHeaderBytes + payload_bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Stores the encoded record, EncodedSize(record.payload.size()) bytes, at `out`. REQUIRES: type !=
/// 0, payload at most kPayloadBytesMax.
void EncodeRecord(char* out, const Record& record);
/// Appends the encoded record to `out`. REQUIRES: type != 0, payload at most kPayloadBytesMax,
/// out.size() a multiple of kAlignment.
void AppendRecord(std::string& out, const Record& record);

}  // namespace bedrock::record
