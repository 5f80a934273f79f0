#pragma once

#include <string>

#include "bedrock/stats.h"

namespace bedrock::engine {

/// The state an engine is in, and why.
struct EngineHealth {
  EngineState state = EngineState::kHealthy;
  std::string detail;  ///< Empty where it is healthy.
};

}  // namespace bedrock::engine
