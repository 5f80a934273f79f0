#include "tests/sim/log_model.h"

#include <algorithm>

#include "common/codec/coding.h"
#include "raftd/core/membership.h"
#include "tests/sim/sim_trace.h"

namespace bedrock::sim {

std::uint64_t ProposalOf(const raft::Entry& entry) {
  if (entry.kind != raft::EntryKind::kCommand || entry.payload.size() < 8) return 0;
  return LoadFixed<std::uint64_t>(entry.payload.data());
}

EntryMark MarkOf(const raft::Entry& entry, raft::WriteSeq seq) {
  const bool joint = entry.kind == raft::EntryKind::kMembership &&
                     raft::IsJoint(raft::DecodeCheckedMembership(entry.payload.view()));
  return {entry.term, HashEntry(entry), joint, ProposalOf(entry), entry.time_ms, seq};
}

void LogModel::Apply(const raft::Write& write, const std::vector<EntryMark>& committed) {
  if (write.vote.has_value()) {
    vote = *write.vote;
    vote_seq = write.seq;
  }
  if (write.reset_to.has_value()) {
    Lose(write.reset_to->index);
    const raft::LogReset& reset = *write.reset_to;
    if (reset.lost_up_to > lost_up_to) LoseUpTo(reset.lost_up_to, reset.lost_term);
    damaged.reset();
    base = write.reset_to->index;
    marks.assign(committed.begin(), committed.begin() + static_cast<std::ptrdiff_t>(base.value()));
    for (EntryMark& mark : marks) mark.seq = write.seq;
    memberships = {write.reset_to->membership};
  }
  if (write.cut_from.has_value()) {
    if (damaged && *write.cut_from <= damaged->last) Lose(LogIndex());
    CutFrom(*write.cut_from);
  }
  for (const raft::Entry& entry : write.entries) Append(entry, write.seq);
  Mend();
}

void LogModel::Append(const raft::Entry& entry, raft::WriteSeq seq) {
  marks.push_back(MarkOf(entry, seq));
  const bool known = entry.index <= memberships.front().index;
  if (entry.kind != raft::EntryKind::kMembership || known) return;
  memberships.push_back({entry.index, raft::DecodeCheckedMembership(entry.payload.view())});
}

void LogModel::CutFrom(LogIndex from) {
  marks.resize(std::min<std::size_t>(marks.size(), from.value() - 1));
  while (memberships.size() > 1 && memberships.back().index > last()) memberships.pop_back();
  if (!damaged) return;
  damaged->last = std::min(damaged->last, from.Prev());
  if (damaged->first > damaged->last) damaged.reset();
}

/// A damaged log is about to be cut, so that from here on it has lost what it held.
void LogModel::Lose(LogIndex above) {
  if (damaged && last() > std::max(above, lost_up_to)) LoseUpTo(last(), *TermAt(last()));
}

void LogModel::LoseUpTo(LogIndex up_to, Term newest) {
  lost_term = lost_up_to ? std::max(lost_term, newest) : newest;
  lost_up_to = up_to;
}

/// It is as long as it was, or newer.
void LogModel::Mend() {
  if (!lost_up_to) return;
  if (last() < lost_up_to && *TermAt(last()) <= lost_term) return;
  lost_up_to = {};
}

const EntryMark* LogModel::At(LogIndex index) const {
  if (!index || index > last()) return nullptr;
  return &marks[index.value() - 1];
}

std::optional<Term> LogModel::TermAt(LogIndex index) const {
  if (!index) return Term();
  const EntryMark* mark = At(index);
  return mark == nullptr ? std::nullopt : std::optional(mark->term);
}

}  // namespace bedrock::sim
