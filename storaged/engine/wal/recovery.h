#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/version.h"
#include "common/base/ids.h"
#include "common/env/file_system.h"

namespace bedrock::engine::wal {

/// Takes a commit. What it returns but ok ends the recovery with it. The payload is borrowed.
using Replay = std::function<Status(Version version, std::string_view payload)>;

/// A segment that a recovery read.
struct RecoveredSegment {
  FileNumber number;
  Version first;
  Version last;           ///< first.Prev() where it holds no commit that counts.
  std::uint64_t end = 0;  ///< Behind its last commit that counts.
  /// Up to here it was durable, as later records prove; the rest may come from a cache only.
  std::uint64_t proved = 0;
};

/// What the segments in a folder say.
struct Recovered {
  std::vector<RecoveredSegment> segments;  ///< That hold commits above `after`; oldest first.
  std::vector<std::string> obsolete;       ///< Names of files that nobody needs.
  Version last;                            ///< The newest commit; `after` where there is none.
  FileNumber number_max;                   ///< Over all names.
  /// Salvage only: what was given up, for a person to read; empty where nothing was.
  std::string salvaged;
};

struct RecoveryOptions {
  std::string directory;
  std::uint64_t database_id = 0;
  bool salvage = false;
};

/// Reads all commits above `after`, in order, without a gap, and applies the verdicts of
/// storaged/engine/wal/README.md. Changes nothing.
///
/// corruption: damage below what is proved to have been durable, a missing segment, another
/// database's segment; with file and offset. io_error is passed on.
Result<Recovered> RecoverSegments(FileSystem& files, const RecoveryOptions& options, Version after,
                                  const Replay& replay);

}  // namespace bedrock::engine::wal
