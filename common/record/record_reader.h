#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/record/record_format.h"

namespace bedrock::record {

/// What stands at a position of a record file.
enum class Finding : std::uint8_t {
  kRecord,   ///< A whole, valid record of this stream.
  kEnd,      ///< The input ends here, exactly.
  kZeroes,   ///< All remaining bytes are zero: never written, or zeroed after a torn tail was cut.
  kDamaged,  ///< Anything else: a torn write, a wrong byte, or a leftover of an earlier stream.
};

/// Reads records one after another out of a file's bytes. It says what it finds and never decides
/// whether damage is a torn tail or corruption: only the owner of the file knows what was
/// acknowledged.
///
/// Borrows the input, which must outlive it and the payloads it hands out. One thread.
class RecordReader {
 public:
  /// `input` is the file from `base_offset` (a multiple of kAlignment) on; only records of `stream`
  /// count.
  RecordReader(std::string_view input, std::uint64_t base_offset, std::uint64_t stream)
      : input_(input), base_offset_(base_offset), stream_(stream) {}

  /// Looks at the current position. On kRecord, record() is set and the position moves behind it;
  /// on anything else the position stays.
  Finding Next();

  /// REQUIRES: the last Next() gave kRecord.
  const Record& record() const { return record_; }
  /// Where the next record would start, as an offset in the file.
  std::uint64_t offset() const { return base_offset_ + position_; }

  /// After kDamaged: moves on to the next position, by steps of kAlignment, at which a whole valid
  /// record of this stream starts. False, and the position is the end, where there is none. A
  /// payload that happens to hold a valid record can be found: callers check the ordinals.
  bool Resync();

 private:
  /// The record at `position`, if a whole valid one of this stream stands there.
  std::optional<Record> Parse(std::size_t position) const;

  std::string_view input_;
  std::uint64_t base_offset_;
  std::uint64_t stream_;
  std::size_t position_ = 0;
  Record record_;
};

}  // namespace bedrock::record
