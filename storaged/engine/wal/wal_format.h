#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/version.h"
#include "common/base/ids.h"
#include "storaged/engine/wal/wal_record.h"

namespace bedrock::engine::wal {

// The write-ahead log on disk. In one folder, which may hold other files, too:
//
//   NNNNNN.log     a segment. N in decimal, at least six digits: ascending, drawn for every file
//                  once, so that gaps are normal
//   NNNNNN.spare   a file with its room that becomes a segment; removed at open
//
// A segment:
//
//   0      header, below
//   4096   record, record, … (wal_record.h), end to end: COMMITs, and a CLOSE that ends a segment
//          that was filled. Versions are contiguous, within a segment and from one to the next
//   …      zeroes, or in a recycled file what it held before: records of another file number
//
// The header (little-endian) lies in one sector, so a crash leaves the old or the new one, whole:
//
//   0   8  magic "BRKWALOG"         40  8  first version: its first COMMIT's, once it has one
//   8   4  CRC-32C of bytes 12..71  48  8  previous segment's number, 0: none
//   12  4  format version, 2        56  8  where the previous one ends: its CLOSE, or what was
//   16  8  database id                     written in its place, does not count
//   24  8  file number              64  8  durable offset of the previous one at that time
//   32  8  size of the file when it is filled
//
// A segment that was opened again is never written to: the first append after an open begins a new
// one. The log is a chain: each segment names the one before. The newest segment that names N is
// N's successor; others that name N were given up by a recovery.

inline constexpr std::uint64_t kSegmentHeaderBytes = 4096;
inline constexpr std::uint32_t kFormatVersion = 2;
/// What CLOSE takes at most.
inline constexpr std::uint64_t kCloseBytes = RecordBytesMax(0);
inline constexpr std::uint64_t kSegmentBytesMin = 2 * kSegmentHeaderBytes;
/// No segment is larger: what is, isn't ours.
inline constexpr std::uint64_t kSegmentBytesMax = std::uint64_t{1} << 30;
inline constexpr std::string_view kLogSuffix = ".log";
inline constexpr std::string_view kSpareSuffix = ".spare";

struct SegmentHeader {
  std::uint64_t database_id = 0;
  FileNumber number;
  std::uint64_t bytes = 0;
  Version first_version;
  FileNumber previous;
  std::uint64_t previous_end = 0;
  std::uint64_t previous_durable = 0;

  friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

/// kSegmentHeaderBytes.
std::string EncodeSegmentHeader(const SegmentHeader& header);
/// corruption where `page` isn't a whole, valid header of a format this code knows.
Result<SegmentHeader> DecodeSegmentHeader(std::string_view page);

/// "000042.log".
std::string SegmentName(FileNumber number, std::string_view suffix = kLogSuffix);
/// 42 for ("000042.log", ".log"); none unless SegmentName would give exactly this name.
std::optional<FileNumber> ParseSegmentName(std::string_view name,
                                           std::string_view suffix = kLogSuffix);

}  // namespace bedrock::engine::wal
