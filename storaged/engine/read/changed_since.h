#pragma once

#include "bedrock/options.h"
#include "bedrock/result.h"
#include "bedrock/version.h"
#include "storaged/engine/read/read_state.h"

namespace bedrock::engine {

/// Versions in (after, until].
struct VersionSpan {
  Version after;
  Version until;

  bool Holds(Version version) const { return version > after && version <= until; }
};

/// Whether anything in `range` was put or deleted at a version of `span`, by key or by range. Looks
/// only at sources that have versions above it, and there at no more than has to be walked over; of
/// what compactions took away it knows nothing. corruption as for reads.
Result<bool> ChangedWithin(const ReadState& state, Range range, VersionSpan span);

}  // namespace bedrock::engine
