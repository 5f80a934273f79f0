#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "proto/raft_messages.h"

namespace bedrock::raft {

/// One atomic, durable promise: in `term`, this node voted for `candidate` (none: for nobody yet)
/// (R2).
struct Vote {
  Term term;
  NodeId candidate;

  friend bool operator==(const Vote&, const Vote&) = default;
};

/// Where a member can be reached: whatever the shell makes of it.
struct MemberAddress {
  NodeId id;
  std::string text;

  friend bool operator==(const MemberAddress&, const MemberAddress&) = default;
};

/// A random number drawn when a node's log is made: a log that was lost and begun anew has another.
using LogNumber = StrongId<struct LogNumberTag>;

/// The one log that takes part under a member's id (R15).
struct MemberLog {
  NodeId id;
  LogNumber log;

  friend bool operator==(const MemberLog&, const MemberLog&) = default;
};

/// Who takes part: a configuration. `outgoing` is empty but in a joint one, where both sets decide
/// (thesis 4.3). All lists are sorted. Without voters it is that of a node that waits to be taken
/// in. membership.h changes it and writes it down.
struct Membership {
  std::vector<NodeId> voters;
  std::vector<NodeId> outgoing;   ///< The voters before, while joint; some may be learners now.
  std::vector<NodeId> learners;   ///< Replicated to; decide nothing.
  std::vector<NodeId> promoting;  ///< The learners that become voters once they have caught up.
  std::vector<NodeId> retiring;   ///< The learners that were voters and are on their way out.
  std::vector<NodeId> removed;    ///< Were members once: their ids are not used again (R15).
  std::vector<MemberAddress> addresses;  ///< Of members, by id.
  std::vector<MemberLog> logs;           ///< Of members whose log is known, by id.

  friend bool operator==(const Membership&, const Membership&) = default;
};

/// A configuration and the entry that holds it; 0: none does.
struct MembershipChange {
  LogIndex index;
  Membership membership;

  friend bool operator==(const MembershipChange&, const MembershipChange&) = default;
};

/// Entries from `first` on have `term`, up to the next run.
struct TermRun {
  LogIndex first;
  Term term;

  friend bool operator==(const TermRun&, const TermRun&) = default;
};

/// A range of log indexes whose entries can't be trusted, both ends included.
struct IndexRange {
  LogIndex first;
  LogIndex last;

  friend bool operator==(const IndexRange&, const IndexRange&) = default;
};

/// What recovery found (raftd/log/README.md). What is worse than these does not start at all.
struct Health {
  /// Bad bytes beyond what was proved durable were cut off. Normal after a crash; the node is a
  /// full member.
  bool torn_tail = false;
  /// Entries in this range may be wrong or missing though later ones are whole: the node votes with
  /// its true last entry, refuses appends as if its log ended before the range, so that a leader
  /// refills it, and neither campaigns nor serves the range until then.
  std::optional<IndexRange> damaged;
  /// Entries up to here were durable once and are gone: neither vote nor campaign until a leader
  /// has matched the log up to here, or added an entry of a later term. None: nothing is missing.
  LogIndex lost_up_to;
  Term lost_term;  ///< No entry that is lost was newer.

  friend bool operator==(const Health&, const Health&) = default;
};

/// The state of a node's log and promises, as its disk has them. A new node's is all zero with
/// `membership` set.
struct Recovered {
  Vote vote;
  /// The entry before the first one held: (0, 0) while nothing was compacted.
  LogIndex prev_index;
  Term prev_term;
  LogIndex last_index;             ///< prev_index where the log is empty.
  std::vector<TermRun> terms;      ///< Of entries prev_index+1 .. last_index; ascending.
  std::uint64_t last_time_ms = 0;  ///< The newest entry's stamp.
  LogIndex commit_hint;            ///< A lower bound of the commit index; 0: unknown.
  Membership membership;      ///< In effect before the entries held, but for `membership_changes`.
  LogIndex membership_index;  ///< Of the entry that held it; 0: none did.
  std::vector<MembershipChange> membership_changes;  ///< Those of the entries held; ascending.
  Health health;
  /// An earlier life of this node may have promised a leader not to vote for anyone else for this
  /// many ticks (R56); 0: none did.
  std::uint64_t promised_ticks = 0;
};

/// Numbers writes; strictly ascending, from 1.
using WriteSeq = StrongId<struct WriteSeqTag>;

/// The log begins anew behind entry `index` of `term`: what stood in it goes, whatever it was.
struct LogReset {
  LogIndex index;
  Term term;
  MembershipChange membership;  ///< In effect there; its index is at most `index`.
  /// As Health has it: what was lost before stays lost over a restart. 0: nothing is.
  LogIndex lost_up_to;
  Term lost_term;  ///< No entry that is lost was newer.

  friend bool operator==(const LogReset&, const LogReset&) = default;
};

/// What the core wants on disk, all or nothing and strictly in order: the vote, then the reset,
/// then the cut, then the entries.
struct Write {
  WriteSeq seq;
  std::optional<Vote> vote;
  /// A snapshot took the log's place (R62, R63).
  std::optional<LogReset> reset_to = {};
  /// Entries from here on go, in memory and on disk, before `entries` are added (R21).
  std::optional<LogIndex> cut_from;
  std::vector<Entry> entries;
  LogIndex commit_hint;  ///< Worth remembering, not worth a sync of its own.
};

}  // namespace bedrock::raft
