#pragma once

#include <memory>
#include <vector>

#include "storaged/engine/iterator/internal_iterator.h"

namespace bedrock::engine {

/// One walk over all entries of several iterators, in internal key order: a binary heap of the
/// children that have an entry. Internal keys are unique over all sources, so there are no ties. An
/// error of any child ends the walk.
std::unique_ptr<InternalIterator> NewMergingIterator(
    std::vector<std::unique_ptr<InternalIterator>> children);

}  // namespace bedrock::engine
