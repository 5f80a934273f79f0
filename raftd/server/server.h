#pragma once

#include "common/env/file_system.h"
#include "raftd/server/options.h"

namespace bedrock::raft {

/// Runs a raftd in the working directory, which is the node's data directory, until SIGTERM or
/// SIGINT: opens and recovers raft/, listens, connects to peers and the own storaged.
///
/// Gives the process's exit code: 0 after an orderly stop, or one of process.h's. Blocks; once a
/// process.
int RunServer(FileSystem& file_system, const Options& options);

}  // namespace bedrock::raft
