#pragma once

#include <functional>
#include <string_view>

#include "common/config/node_config.h"
#include "common/env/file_system.h"

namespace bedrock::process {

/// The part of its life that every daemon shares: starts logging, enters the data directory, writes
/// the pid file, and then does what `serve` does; the pid file goes when that returns.
///
/// Gives serve's exit code, or kExitFailed where it could not be started (the log says why).
/// Blocks; once a process. REQUIRES: `config` is valid.
int RunDaemon(std::string_view program, const config::NodeConfig& config, FileSystem& file_system,
              const std::function<int()>& serve);

}  // namespace bedrock::process
