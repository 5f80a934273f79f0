#pragma once

#include "bedrock/options.h"
#include "bedrock/result.h"
#include "bedrock/version.h"
#include "storaged/engine/read/read_state.h"

namespace bedrock::engine {

/// Whether anything in `range` was put or deleted above version `since`, by key or by range. Looks
/// only at sources that have versions above it, and there at no more than has to be walked over; of
/// what compactions took away it knows nothing. corruption as for reads.
Result<bool> ChangedSince(const ReadState& state, Range range, Version since);

}  // namespace bedrock::engine
