#pragma once

#include <cstdint>

#include "bedrock/status.h"
#include "common/env/file_system.h"

namespace bedrock::raft {

// What recovery's verdicts ask to be written to the last segment's file, before it is written on.
// Both leave the sync to the caller.

/// Bytes [from, end) become zero, and the file reaches `end`; what is zero is not written.
Status ZeroBytes(File& file, std::uint64_t from, std::uint64_t end);
/// Writes bytes [from, to) as they stand, so that a sync covers them: what was read may have been
/// in the cache only, with a failed sync before (R68).
Status WriteAgain(File& file, std::uint64_t from, std::uint64_t to);

}  // namespace bedrock::raft
