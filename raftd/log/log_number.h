#pragma once

#include <string>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "common/env/file_system.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

// The file `number`: which log this is, for as long as it lives (R15).
//
//   0  8 magic           12 4 format      24 8 node
//   8  4 crc of 12..39   16 8 cluster     32 8 number

/// Whose number it is.
struct LogOwner {
  std::string directory;  ///< As in LogOptions.
  ClusterId cluster;
  NodeId node;
};

/// The number of the log in the folder; where it has none yet it gets `fresh`, durably. corruption
/// where the file can't be read as it was written, or is another cluster's or node's. REQUIRES: the
/// log is open, so that nobody else is at it; fresh is not 0.
Result<LogNumber> TakeLogNumber(FileSystem& file_system, const LogOwner& owner, LogNumber fresh);

}  // namespace bedrock::raft
