#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "proto/raft_messages.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

/// An entry's identity: two logs that hold the same position agree up to it (Log Matching, paper
/// 5.3). Ordered as the vote's up-to-date check orders logs (paper 5.4.1): by term, then index.
struct LogPosition {
  Term term;
  LogIndex index;

  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison's 0 for a pointer
  friend auto operator<=>(const LogPosition&, const LogPosition&) = default;
};

/// The log as the core sees it: the term of every entry, as runs, so that no question of Raft's
/// needs the disk; the newest entries themselves, up to a bound of bytes; and how far it is
/// durable.
///
/// Invariants: prev_index <= durable_index <= last_index; the cache holds a suffix of the log, and
/// every entry that is not durable; terms never decrease.
///
/// Durability: each cached entry remembers the write that wrote it last. The durable index is the
/// last one whose write, and those of all entries below, have completed. So a completed write says
/// nothing of an entry that was cut and written anew since (R32), and a cut lowers the durable
/// index at once (R33).
class LogView {
 public:
  /// Two bounds, since a small entry takes a few hundred bytes beside its payload.
  struct CacheLimits {
    std::size_t bytes_max;  ///< Of payload.
    std::size_t entries_max = std::size_t{1} << 17;
  };

  /// The log ends before `recovered.health.damaged`, where there is damage.
  LogView(const Recovered& recovered, const CacheLimits& cache_limits);

  LogIndex prev_index() const { return prev_.index; }
  LogIndex first_index() const { return prev_.index.Next(); }
  LogIndex last_index() const { return last_; }
  Term last_term() const;
  LogPosition last() const { return {last_term(), last_}; }
  LogIndex durable_index() const { return durable_; }
  /// The highest stamp an entry ever had here.
  std::uint64_t last_time_ms() const { return last_time_ms_; }
  /// The first entry in memory; last_index + 1 where none is.
  LogIndex cache_first() const { return LogIndex(last_.value() + 1 - cache_.size()); }
  std::size_t cache_bytes() const { return static_cast<std::size_t>(end_ - begin_); }

  /// The term of the entry at `index`, the one before the first included; none where the entry is
  /// compacted or absent, which matches nothing (R25).
  std::optional<Term> TermAt(LogIndex index) const;
  bool Holds(const LogPosition& position) const;
  /// The last entry at or below `bound` whose term is at most `term`: the last that can match a log
  /// whose entry at `bound` has `term` (R28). None where that lies in the compacted part.
  std::optional<LogPosition> LastAtMost(LogIndex bound, Term term) const;

  /// Adds an entry that `write` will carry. REQUIRES: entry.index is last_index + 1, its term not
  /// below last_term.
  void Append(Entry entry, WriteSeq write);
  /// Drops the entries from `from` on (R21). REQUIRES: prev_index < from <= last_index.
  void CutFrom(LogIndex from);
  /// Writes up to `seq` are durable.
  void Complete(WriteSeq seq);

  /// Cached entries from `first` on: as many as fit both bounds (payload bytes), at least one.
  /// REQUIRES: cache_first <= first <= last <= last_index.
  std::vector<Entry> Slice(LogIndex first, LogIndex last, std::size_t bytes_max,
                           std::size_t entries_max) const;
  /// Payload bytes of the cached entries after `index`.
  std::size_t BytesAfter(LogIndex index) const;

  /// Drops the oldest entries from memory while there are too many or too many bytes; none above
  /// `keep_after` and none that is not durable.
  void Evict(LogIndex keep_after);
  /// Forgets everything at or below `index`, but for its term. REQUIRES: index <= durable_index.
  void Compact(LogIndex index);
  /// Forgets everything: the log is empty behind `position`.
  void Reset(const LogPosition& position);

 private:
  struct Cached {
    Entry entry;
    WriteSeq write;
    std::uint64_t end;  ///< Payload bytes appended up to here, this entry included.
  };
  const Cached& At(LogIndex index) const;
  void PopFront();

  LogPosition prev_;
  LogIndex last_;
  LogIndex durable_;
  std::vector<TermRun> runs_;
  std::deque<Cached> cache_;
  std::uint64_t begin_ = 0;  ///< `end` of the entry before the cache.
  std::uint64_t end_ = 0;    ///< `end` of the last entry.
  std::uint64_t last_time_ms_;
  CacheLimits cache_limits_;
};

}  // namespace bedrock::raft
