#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "common/env/file_system.h"
#include "raftd/core/types.h"
#include "raftd/log/entry_index.h"
#include "raftd/log/segment_format.h"
#include "raftd/log/segment_scanner.h"

namespace bedrock::raft {

/// One segment of a log, as long as it is there. A value.
struct Segment {
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;  ///< The file's size.
  LogIndex prev_index;      ///< As its header says.
  /// Entry prev_index is the one that was there when the segment was begun: nothing has cut it
  /// since, nor may have in bytes that can't be read. Only such a segment may become the first of a
  /// log: what its header says of the entry before it would be wrong if the CUT could not be read.
  bool prev_stands = true;

  /// A CUT that came later took entries from `from` on, or may have.
  void TakeCut(LogIndex from) { prev_stands = prev_stands && prev_index < from; }
};

/// What the segments of a log say, and what has to be done to the files before it may go on.
struct RecoveredSegments {
  std::vector<Segment> segments;  ///< Oldest first, without a gap; the last one is written on.
  /// In front of a gap that compaction explains, or of a reset.
  std::vector<std::uint64_t> obsolete;
  EntryIndex index;
  /// The entries that hold a configuration, and its bytes; ascending.
  std::vector<std::pair<LogIndex, std::string>> memberships;
  /// Of the reset that the log began with, if its MARK is there and can be read; and its index as
  /// the segment's header says.
  std::optional<std::pair<LogIndex, std::string>> reset_membership;
  LogIndex reset_membership_index;
  Vote vote;
  LogIndex commit_hint;
  LogIndex mark;
  Chain chain;
  std::uint64_t tail = 0;    ///< Where the next batch goes in the last segment.
  std::uint64_t proved = 0;  ///< Up to here the last segment is known to have been durable.
  bool torn = false;  ///< Behind `tail` stand remains of batches, which have to be zeroed (R71).
  /// The last segment's file is shorter than it was made, or its first batch, which a reset proved,
  /// can't be read: its end is lost.
  bool truncated = false;
  /// As in Health. `vote_proved`: a vote was read behind all damage, so the damage hides no newer
  /// one.
  std::optional<IndexRange> damaged;
  bool any_damage = false;
  std::set<std::uint64_t> damaged_segments;
  bool vote_proved = true;
};

/// Reads all segments in `directory` in order and applies the verdicts of raftd/log/README.md,
/// except those that need the vote file (standing.h). Changes nothing. `numbers`: of the segments
/// in the folder, ascending, at least one.
///
/// corruption: another cluster's or node's segment, a damaged header, a gap, a log that contradicts
/// itself. io_error is passed on.
Result<RecoveredSegments> RecoverSegments(FileSystem& file_system, const std::string& directory,
                                          const std::vector<std::uint64_t>& numbers,
                                          ClusterId cluster, NodeId node);

}  // namespace bedrock::raft
