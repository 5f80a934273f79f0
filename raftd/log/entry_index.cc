#include "raftd/log/entry_index.h"

#include <algorithm>
#include <iterator>

#include "common/base/check.h"

namespace bedrock::raft {

Term EntryIndex::TermAt(LogIndex index) const {
  CHECK(index >= prev_index_ && index <= last_index());
  if (index == prev_index_) return prev_term_;
  const auto after =
      std::upper_bound(terms_.begin(), terms_.end(), index,
                       [](LogIndex wanted, const TermRun& run) { return wanted < run.first; });
  return std::prev(after)->term;
}

const Location& EntryIndex::At(LogIndex index) const {
  CHECK(index > prev_index_ && index <= last_index());
  return locations_[index - prev_index_ - 1];
}

void EntryIndex::Append(Term term, const Location& location) {
  CHECK(term >= last_term());
  locations_.push_back(location);
  if (terms_.empty() || terms_.back().term != term) terms_.push_back({last_index(), term});
}

void EntryIndex::Cut(LogIndex from, Term term_before) {
  CHECK(from > LogIndex(0) && from <= last_index().Next());
  if (from <= prev_index_) {
    *this = EntryIndex(from.Prev(), term_before);
    return;
  }
  locations_.resize(from - prev_index_ - 1);
  while (!terms_.empty() && terms_.back().first >= from) terms_.pop_back();
}

LogIndex EntryIndex::LowerTerms(Term term) {
  LogIndex first;
  while (!terms_.empty() && terms_.back().term > term) {
    first = terms_.back().first;
    terms_.pop_back();
  }
  if (last_term() != term || terms_.empty()) terms_.push_back({first, term});
  return first;
}

void EntryIndex::Drop(LogIndex index) {
  const Term term = TermAt(index);
  locations_.erase(locations_.begin(),
                   locations_.begin() + static_cast<std::ptrdiff_t>(index - prev_index_));
  prev_index_ = index;
  prev_term_ = term;
  // The run that reaches beyond `index` stays and begins behind it.
  const auto beyond = std::find_if(terms_.begin(), terms_.end(),
                                   [index](const TermRun& run) { return run.first > index; });
  if (locations_.empty()) {
    terms_.clear();
  } else if (beyond == terms_.begin() ||
             (beyond != terms_.end() && beyond->first == index.Next())) {
    terms_.erase(terms_.begin(), beyond);
  } else {
    terms_.erase(terms_.begin(), std::prev(beyond));
    terms_.front().first = index.Next();
  }
}

LogIndex EntryIndex::LastIn(std::uint64_t segment) const {
  const auto beyond =
      std::partition_point(locations_.begin(), locations_.end(),
                           [segment](const Location& l) { return l.segment <= segment; });
  return prev_index_ + static_cast<std::uint64_t>(beyond - locations_.begin());
}

}  // namespace bedrock::raft
