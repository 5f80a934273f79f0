#pragma once

#include <cstdint>
#include <string>

#include "bedrock/result.h"
#include "common/env/file_system.h"

namespace bedrock::raft {

// The file `promise`: for how many milliseconds, at most, this node has ever promised a leader to
// vote for nobody else (Limits::lease_reads). It outlives the option, so that a node that comes
// back with leases turned off, or with shorter timeouts, still waits for what its earlier life may
// have promised (R56). Decimal digits and a newline; replaced as a whole; the number never falls.

/// What an unreadable file is taken for: no promise may be longer.
inline constexpr std::uint64_t kPromiseMsMax = 600'000;

/// Gives what earlier lives may have promised, 0 where they promised nothing, and makes it durable
/// that this life may promise `own_ms`. To be called before this life promises anything. Errors are
/// those of the disk.
Result<std::uint64_t> KeepPromise(FileSystem& file_system, const std::string& path,
                                  std::uint64_t own_ms);

}  // namespace bedrock::raft
