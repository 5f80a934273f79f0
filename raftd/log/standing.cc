#include "raftd/log/standing.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "raftd/log/vote_file.h"

namespace bedrock::raft {

namespace {

/// The vote file knows of a segment behind those that are there.
bool NewestIsGone(const RecoveredSegments& found, const VoteSlot& known) {
  return known.segment > found.segments.back().number;
}

Status TakeMark(const RecoveredSegments& found, const VoteSlot& known, SlotLost slot_lost,
                Standing& standing) {
  const EntryIndex& index = found.index;
  standing.mark = standing.mark_recorded = std::max(found.mark, known.mark);
  if (index.prev_index() > standing.mark) {
    // The mark may have been in what can't be read. A gap in the numbers is too much, though.
    const bool excused = found.any_damage || found.torn || slot_lost;
    if (!excused || !found.obsolete.empty()) {
      return Status::Corruption("segments before " +
                                SegmentFileName(found.segments.front().number, kSegmentSuffix) +
                                " are missing");
    }
    standing.mark = index.prev_index();
  }
  // The vote file's mark is about the log as it was. Where its end is gone, it may have begun anew
  // behind a snapshot there, or a CUT may be gone with it: then what stands here is what was before
  // that, and need not have been committed.
  if (NewestIsGone(found, known) || found.truncated) {
    standing.mark = standing.mark_recorded = std::max(found.mark, index.prev_index());
  }
  const bool told = standing.mark >= index.prev_index() && standing.mark <= index.last_index();
  standing.mark_term = told ? index.TermAt(standing.mark) : Term(0);
  return Status::Ok();
}

Status TakeVote(const RecoveredSegments& found, const VoteSlot& known, SlotLost slot_lost,
                Standing& standing) {
  const auto vote = NewerVote(found.vote, known.vote);
  // A slot can be torn by a crash; then the log, which is synced first, has the newer vote. Only
  // where the log is damaged as well may a newer vote be gone.
  const bool gone = slot_lost && !found.vote_proved;
  if (!vote || gone || vote->term < found.index.last_term()) {
    return Status::Corruption("the newest vote of this node can't be told");
  }
  standing.vote = *vote;
  return Status::Ok();
}

void TakeLoss(const RecoveredSegments& found, const VoteSlot& known, Standing& standing) {
  const LogIndex last = found.index.last_index();
  const bool newest_is_gone = NewestIsGone(found, known);
  const LogIndex told = std::max(found.commit_hint, standing.mark);
  LogIndex proved = std::max(known.proved_index, told);
  if (newest_is_gone) proved = std::max({proved, known.segment_prev_index.Next(), last.Next()});
  if (found.truncated) proved = std::max({proved, known.mark, last.Next()});
  if (proved <= last) return;
  // Where nothing tells of more than was lost before, neither is it newer. No entry is newer than
  // the term of its node (R3).
  const bool lost_before = known.lost_term && known.proved_index == proved && told <= last &&
                           !found.truncated && !newest_is_gone;
  standing.lost_up_to = std::min(proved, kIndexMax);
  standing.lost_term = lost_before ? known.lost_term : standing.vote.term;
}

}  // namespace

Result<Standing> StandingOf(const RecoveredSegments& found, const VoteSlot& known,
                            SlotLost slot_lost) {
  Standing standing;
  RETURN_IF_ERROR(TakeMark(found, known, slot_lost, standing));
  RETURN_IF_ERROR(TakeVote(found, known, slot_lost, standing));
  standing.commit_hint = found.commit_hint;
  TakeLoss(found, known, standing);
  return standing;
}

}  // namespace bedrock::raft
