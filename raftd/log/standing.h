#pragma once

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "raftd/core/types.h"
#include "raftd/log/recovery.h"
#include "raftd/log/segment_format.h"

namespace bedrock::raft {

/// What a log goes on from beside its entries: what its segments say, held against what its vote
/// file knows. A value.
struct Standing {
  Vote vote;
  LogIndex commit_hint;
  LogIndex mark;           ///< Entries up to here were dropped, or may be.
  Term mark_term;          ///< 0 where the log does not tell it.
  LogIndex mark_recorded;  ///< So far a file says so.
  LogIndex lost_up_to;     ///< Entries up to here are gone; 0: none are (R73).
  Term lost_term;          ///< None of those was newer.
};

/// One slot of the vote file can't be read: it may have been the newer one.
using SlotLost = TypedBool<struct SlotLostTag>;

/// Gives the verdicts of README.md that need the vote file. `known`: its newest readable slot.
/// Pure.
///
/// corruption, which tells no path: segments are missing, or the newest vote can't be told.
Result<Standing> StandingOf(const RecoveredSegments& found, const VoteSlot& known,
                            SlotLost slot_lost);

}  // namespace bedrock::raft
