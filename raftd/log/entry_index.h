#pragma once

#include <cstdint>
#include <vector>

#include "common/base/ids.h"
#include "raftd/core/types.h"

namespace bedrock::raft {

/// Where an entry's record stands. 12 bytes: the log keeps one for each entry it holds.
struct Location {
  std::uint32_t segment = 0;  ///< The segment's number.
  std::uint32_t unit = 0;     ///< The record's offset in units of 8 bytes; 0: the entry is missing.
  std::uint32_t length = 0;   ///< Of the record's payload.

  std::uint64_t offset() const { return std::uint64_t{unit} * 8; }
  bool missing() const { return unit == 0; }

  friend bool operator==(const Location&, const Location&) = default;
};

/// The log's entries without their payloads: where each stands, and the terms as runs. A value
/// type; one thread. Memory: 12 bytes an entry and 16 a term run.
class EntryIndex {
 public:
  EntryIndex() = default;
  /// Empty, behind the entry `prev_index` of `prev_term`.
  EntryIndex(LogIndex prev_index, Term prev_term)
      : prev_index_(prev_index), prev_term_(prev_term) {}

  LogIndex prev_index() const { return prev_index_; }
  Term prev_term() const { return prev_term_; }
  LogIndex last_index() const { return prev_index_ + locations_.size(); }
  Term last_term() const { return terms_.empty() ? prev_term_ : terms_.back().term; }
  const std::vector<TermRun>& terms() const { return terms_; }

  /// REQUIRES: prev_index() <= index <= last_index().
  Term TermAt(LogIndex index) const;
  /// REQUIRES: prev_index() < index <= last_index().
  const Location& At(LogIndex index) const;

  /// REQUIRES: term >= last_term().
  void Append(Term term, const Location& location);
  /// Entries from `from` on go. Where `from` is at or below prev_index(), the log is empty behind
  /// `from` - 1, whose term is `term_before`. REQUIRES: 0 < from <= last_index() + 1.
  void Cut(LogIndex from, Term term_before);
  /// No entry has a term above `term` any more. Gives the first entry whose term changed.
  /// REQUIRES: prev_term() <= term < last_term().
  LogIndex LowerTerms(Term term);
  /// Entries up to `index` go. REQUIRES: prev_index() <= index <= last_index().
  void Drop(LogIndex index);
  /// The last entry that stands in `segment` or an older one; prev_index() where none does.
  LogIndex LastIn(std::uint64_t segment) const;

 private:
  LogIndex prev_index_;
  Term prev_term_;
  std::vector<Location> locations_;  // of prev_index_ + 1 and on; their segments ascend
  std::vector<TermRun> terms_;
};

}  // namespace bedrock::raft
