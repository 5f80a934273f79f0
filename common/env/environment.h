#pragma once

#include "common/env/clock.h"
#include "common/env/executor.h"
#include "common/env/file_system.h"

namespace bedrock {

/// Everything a component takes from the outside world. Borrowed: the owner (main, or a test) keeps
/// the parts alive longer than what uses them.
struct Environment {
  FileSystem* file_system = nullptr;
  Clock* clock = nullptr;
  Executor* executor = nullptr;
};

}  // namespace bedrock
