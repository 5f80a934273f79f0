#pragma once

#include <memory>
#include <string_view>

#include "bedrock/iterator.h"
#include "bedrock/options.h"
#include "bedrock/status.h"
#include "storaged/txn/own_writes.h"

namespace bedrock::txn {

/// Is told what a walk has looked at, so that a transaction can be certified against it.
class WalkRecorder {
 public:
  virtual ~WalkRecorder() = default;
  /// The walk knows now what is in [begin, end), keys and gaps alike; an empty `end` is unbounded.
  /// Ranges of one walk often touch. Views for the call. An error ends the walk with it.
  virtual Status Record(std::string_view begin, std::string_view end) = 0;
};

struct MergedWalkParts {
  std::unique_ptr<Iterator> base;           ///< The committed state, within the bounds.
  std::shared_ptr<const OwnWrites> writes;  ///< May not change while the iterator lives.
  std::unique_ptr<WalkRecorder> recorder;   ///< Null: nobody wants to know what was read.
  Range bounds;                             ///< Copied.
};

/// The committed state with a transaction's own writes over it: writes that hide what is under
/// them, deletes that are gaps. version() of an own write is 0: it has none yet. What `base`
/// refuses ends the walk: own writes alone would be a wrong answer. Base, writes and bounds speak
/// of the same keys, whatever prefix those carry.
std::unique_ptr<Iterator> NewMergedIterator(MergedWalkParts parts);

}  // namespace bedrock::txn
