#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/version.h"
#include "common/base/ids.h"

namespace bedrock::engine::wal {

// clang-format off
// A record of the write-ahead log. Most commits are small, so this is not the framing of
// common/record: what the place of a record says already is checked, not stored. A put of 116 bytes
// takes 128 here and 160 there.
//
//   offset  size
//   0       4     crc       CRC-32C of all that `check` covers, then of the payload
//   4       2     check     the low half of the CRC-32C of: the file's number (8), the offset of
//                           the record in it (8), and bytes 6 up to the payload
//   6       1     type      0xC0 COMMIT, 0xC1 COMMIT in a file that was synced before,
//                           0xC2 CLOSE,  0xC3 CLOSE in a file that was synced before
//   7       1     ordinal   the low byte of the version: the commit's; of CLOSE the last one's
//   8       1-4   length    of the payload, a varint of the least size
//   …       1-5   distance  0xC1 and 0xC3 only: from the durable offset to this record's, a varint
//                           of the least size
//   …             payload
//
// What each is for:
//   - The file's number and the offset, which take no room: what a recycled file still holds of an
//     earlier life, and a record that got to another place, are none.
//   - `check`, so that a damaged length is not believed and a search for records behind damage does
//     not hash the rest of the file at every byte.
//   - The durable offset: up to there the file was synced when the record was written. Damage below
//     it is corruption, not a torn tail. Every record has it, as the first one may be damaged, too;
//     where syncs keep up with commits it takes a byte.
//   - The ordinal, so that a gap is found where a writer made one: versions follow from the first
//     of the file. Records stand end to end, so the disk can make none.
// clang-format on

enum class RecordType : std::uint8_t { kCommit = 0xC0, kClose = 0xC2 };

/// No payload is larger: what claims to be is damaged. A commit with the largest value there may be
/// (128 MiB), or some of a batch, fits.
inline constexpr std::size_t kPayloadBytesMax = std::size_t{192} << 20;
/// What stands before a payload, at least and at most.
inline constexpr std::size_t kRecordHeaderBytesMin = 9;
inline constexpr std::size_t kRecordHeaderBytesMax = 17;

struct WalRecord {
  RecordType type = RecordType::kCommit;
  std::uint8_t ordinal = 0;
  std::uint64_t durable = 0;  ///< Up to here the file was synced; 0: not yet.
  std::string_view payload;   ///< Borrowed: from the caller when written, from the file when read.
};

/// The low byte of a version.
constexpr std::uint8_t OrdinalOf(Version version) {
  return static_cast<std::uint8_t>(version.value());
}

/// At most so much is what EncodeRecord stores.
constexpr std::size_t RecordBytesMax(std::size_t payload_bytes) {
  return kRecordHeaderBytesMax + payload_bytes;
}

/// Stores the record at `out`, which is `offset` in file `number`, and gives its size. REQUIRES:
/// payload at most kPayloadBytesMax, record.durable <= offset, room for RecordBytesMax.
std::size_t EncodeRecord(char* out, FileNumber number, std::uint64_t offset,
                         const WalRecord& record);
void AppendRecord(std::string& out, FileNumber number, std::uint64_t offset,
                  const WalRecord& record);

/// Reads records one after another out of a segment. It says what is there and never judges.
///
/// Borrows the segment, which must outlive it and the payloads it hands out. One thread.
class WalRecordReader {
 public:
  /// `segment` is the whole file; it is read from `offset` on.
  WalRecordReader(std::string_view segment, FileNumber number, std::uint64_t offset)
      : segment_(segment), number_(number), offset_(offset) {}

  /// Takes the record at offset() and moves behind it. False, and stays: none, the end, or damage.
  bool Next();
  /// REQUIRES: the last call of Next or FindProof gave true.
  const WalRecord& record() const { return record_; }
  std::uint64_t offset() const { return offset_; }

  /// From offset() on, byte by byte behind damage: moves behind the next whole record that says the
  /// file was synced beyond `end`. False, and moves to the end: there is none. A payload that holds
  /// a record is found only where it was made for its place in this very file.
  bool FindProof(std::uint64_t end);

 private:
  std::optional<std::uint64_t> Parse(std::uint64_t at);

  std::string_view segment_;
  FileNumber number_;
  std::uint64_t offset_;
  WalRecord record_;
};

}  // namespace bedrock::engine::wal
