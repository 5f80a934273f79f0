#pragma once

#include <vector>

#include "bedrock/status.h"
#include "proto/command.h"
#include "storaged/core/state_view.h"

namespace bedrock::storage {

/// Leaves `result` as it is where all conditions hold. Else the first that does not sets
/// kPreconditionFailed, failed_condition and current; one that asks about changes since a version
/// below the watermark sets kVersionCompacted. Errors are those of the engine's reads.
Status CheckConditions(const StateView& view, const std::vector<proto::Condition>& conditions,
                       proto::CommandResult& result);

}  // namespace bedrock::storage
