#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "raftd/core/log_view.h"
#include "raftd/core/raft.h"
#include "raftd/core/types.h"

namespace bedrock::sim {

/// What an entry is, without its bytes.
struct EntryMark {
  Term term;
  std::uint64_t hash = 0;
  bool joint = false;          ///< A joint configuration.
  std::uint64_t proposal = 0;  ///< The number at the head of a command's payload; 0 for a no-op.
  std::uint64_t time_ms = 0;
  raft::WriteSeq seq;  ///< The write that wrote it last, in this life of the process.
};

/// The number at the head of a command's payload.
std::uint64_t ProposalOf(const raft::Entry& entry);
EntryMark MarkOf(const raft::Entry& entry, raft::WriteSeq seq);

/// A log and a vote as the writes given so far make them: the simplest thing that could be right.
/// Keeps every entry from index 1 on, whatever the real log has compacted; below a reset, those
/// that the snapshot stands for.
struct LogModel {
  std::vector<EntryMark> marks;
  LogIndex base;  ///< The log can't begin before it: a snapshot took its place.
  std::vector<raft::MembershipChange> memberships = {{}};  ///< The first is the initial one.
  raft::Vote vote;
  raft::WriteSeq vote_seq;
  /// As raft::Health has them, kept as writes mend them.
  std::optional<raft::IndexRange> damaged;
  LogIndex lost_up_to;
  Term lost_term;  ///< No entry that is lost was newer.

  /// `committed`: all entries that ever were, for what a reset stands for.
  void Apply(const raft::Write& write, const std::vector<EntryMark>& committed);
  LogIndex last() const { return LogIndex(marks.size()); }
  void CutFrom(LogIndex from);
  void Append(const raft::Entry& entry, raft::WriteSeq seq);
  const EntryMark* At(LogIndex index) const;
  raft::LogPosition Last() const { return {*TermAt(last()), last()}; }
  /// Term 0 for index 0; none behind the end.
  std::optional<Term> TermAt(LogIndex index) const;
  const raft::Membership& Members() const { return memberships.back().membership; }

 private:
  void Lose(LogIndex above);
  void LoseUpTo(LogIndex up_to, Term newest);
  void Mend();
};

}  // namespace bedrock::sim
