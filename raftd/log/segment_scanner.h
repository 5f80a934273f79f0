#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "raftd/log/segment_format.h"

namespace bedrock::raft {

/// A whole, checked batch.
struct Batch {
  std::uint64_t start = 0;
  std::uint64_t end = 0;  ///< Where the next one starts: a page.
  BatchEnd tail;
  LogIndex last_index;  ///< The log's last entry after this batch.
  Term last_term;
  /// Bytes in front of it that are no batch: [gap_start, start).
  std::uint64_t gap_start = 0;
};

/// Where the chain of batches stands; each segment continues the one before.
struct Chain {
  std::uint64_t seq = 0;
  std::uint32_t value = 0;
};

/// What a segment's bytes hold. It says what there is; what it means is recovery's business.
struct SegmentScan {
  std::vector<Batch> batches;  ///< Ascending. One with gap_start < start follows bad bytes.
  std::uint64_t end = 0;       ///< Where the last batch ends.
  /// Behind `end` stands a record header of this segment: remains of a batch that isn't whole.
  bool remains = false;
  Chain chain;  ///< After the last batch.
};

/// The batch at `offset`, if a whole one with this stream stands there. Its chain is not looked at.
std::optional<Batch> ParseBatch(std::string_view segment, std::uint64_t offset,
                                std::uint64_t stream);

/// Finds the batches of segment `stream` in the file's bytes. A batch right behind the one before
/// has to continue its chain; after bad bytes any later one that can stand there is taken.
SegmentScan ScanSegment(std::string_view segment, std::uint64_t stream, Chain chain);

}  // namespace bedrock::raft
