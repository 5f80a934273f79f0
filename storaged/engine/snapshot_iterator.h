#pragma once

#include <memory>
#include <string>

#include "bedrock/iterator.h"
#include "bedrock/status.h"
#include "storaged/engine/iterator/internal_iterator.h"

namespace bedrock::engine {

/// What a snapshot iterator shows.
struct SnapshotRange {
  Version at;
  std::string begin;  ///< Closed.
  std::string end;    ///< Open; empty: unbounded.
};

/// Of each key in the range the newest version at or below `at`, tombstones left out. `entries`
/// walks all versions and keeps its sources. Steps backwards cost a walk from the beginning.
std::unique_ptr<Iterator> NewSnapshotIterator(std::unique_ptr<InternalIterator> entries,
                                              SnapshotRange range);
/// Never valid; `status` says why.
std::unique_ptr<Iterator> NewFailedIterator(Status status);

}  // namespace bedrock::engine
