#include "raftd/core/log_view.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/check.h"

namespace bedrock::raft {

LogView::LogView(const Recovered& recovered, const CacheLimits& cache_limits)
    : prev_{recovered.prev_term, recovered.prev_index},
      last_(recovered.last_index),
      runs_(recovered.terms),
      last_time_ms_(recovered.last_time_ms),
      cache_limits_(cache_limits) {
  CHECK(prev_.index <= last_);
  CHECK(runs_.empty() == (prev_.index == last_));
  if (recovered.health.damaged) {
    const LogIndex from = std::max(recovered.health.damaged->first, first_index());
    if (from <= last_) {
      last_ = from.Prev();
      std::erase_if(runs_, [from](const TermRun& run) { return run.first >= from; });
    }
  }
  durable_ = last_;
}

Term LogView::last_term() const { return runs_.empty() ? prev_.term : runs_.back().term; }

std::optional<Term> LogView::TermAt(LogIndex index) const {
  if (index == prev_.index) return prev_.term;
  if (index < prev_.index || index > last_) return std::nullopt;
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), index,
                                      [](LogIndex i, const TermRun& run) { return i < run.first; });
  CHECK(after != runs_.begin());
  return std::prev(after)->term;
}

bool LogView::Holds(const LogPosition& position) const {
  const std::optional<Term> term = TermAt(position.index);
  return term && *term == position.term;
}

std::optional<LogPosition> LogView::LastAtMost(LogIndex bound, Term term) const {
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), term,
                                      [](Term t, const TermRun& run) { return t < run.term; });
  const LogIndex end = after == runs_.end() ? last_ : after->first.Prev();
  const LogIndex index = std::min(bound, end);
  const std::optional<Term> found = TermAt(index);
  if (!found || *found > term) return std::nullopt;
  return LogPosition{*found, index};
}

void LogView::Append(Entry entry, WriteSeq write) {
  CHECK(entry.index == last_.Next());
  CHECK(entry.term >= last_term());
  if (runs_.empty() || runs_.back().term != entry.term) {
    runs_.push_back({entry.index, entry.term});
  }
  last_ = entry.index;
  last_time_ms_ = std::max(last_time_ms_, entry.time_ms);
  end_ += entry.payload.size();
  cache_.push_back({std::move(entry), write, end_});
}

void LogView::CutFrom(LogIndex from) {
  CHECK(prev_.index < from && from <= last_);
  while (!cache_.empty() && cache_.back().entry.index >= from) cache_.pop_back();
  if (cache_.empty()) begin_ = end_ = 0;
  if (!cache_.empty()) end_ = cache_.back().end;
  std::erase_if(runs_, [from](const TermRun& run) { return run.first >= from; });
  last_ = from.Prev();
  durable_ = std::min(durable_, last_);
}

void LogView::Complete(WriteSeq seq) {
  while (durable_ < last_ && At(durable_.Next()).write <= seq) durable_ = durable_.Next();
}

const LogView::Cached& LogView::At(LogIndex index) const {
  CHECK(cache_first() <= index && index <= last_);
  return cache_[index - cache_first()];
}

std::vector<Entry> LogView::Slice(LogIndex first, LogIndex last, std::size_t bytes_max,
                                  std::size_t entries_max) const {
  CHECK(cache_first() <= first && first <= last && last <= last_);
  const Cached& front = At(first);
  const std::uint64_t bound = front.end - front.entry.payload.size() + bytes_max;
  const auto begin = cache_.begin() + static_cast<std::ptrdiff_t>(first - cache_first());
  const std::size_t count_max = std::min<std::size_t>(entries_max, last - first + 1);
  const auto limit = begin + static_cast<std::ptrdiff_t>(count_max);
  auto end = std::upper_bound(begin, limit, bound,
                              [](std::uint64_t b, const Cached& c) { return b < c.end; });
  if (end == begin) ++end;
  std::vector<Entry> entries;
  entries.reserve(static_cast<std::size_t>(end - begin));
  for (auto it = begin; it != end; ++it) entries.push_back(it->entry);
  return entries;
}

std::size_t LogView::BytesAfter(LogIndex index) const {
  if (index >= last_) return 0;
  if (index < cache_first()) return cache_bytes();
  return static_cast<std::size_t>(end_ - At(index).end);
}

void LogView::Evict(LogIndex keep_after) {
  const LogIndex limit = std::min(keep_after, durable_);
  const auto full = [this] {
    return cache_bytes() > cache_limits_.bytes_max || cache_.size() > cache_limits_.entries_max;
  };
  while (full() && cache_.front().entry.index <= limit) PopFront();
}

void LogView::PopFront() {
  begin_ = cache_.front().end;
  cache_.pop_front();
}

void LogView::Compact(LogIndex index) {
  CHECK(index <= durable_);
  if (index <= prev_.index) return;
  prev_ = {*TermAt(index), index};
  const auto after = std::upper_bound(runs_.begin(), runs_.end(), index.Next(),
                                      [](LogIndex i, const TermRun& run) { return i < run.first; });
  if (index == last_) {
    runs_.clear();
  } else {
    runs_.erase(runs_.begin(), std::prev(after));
    runs_.front().first = index.Next();
  }
  while (!cache_.empty() && cache_.front().entry.index <= index) PopFront();
}

void LogView::Reset(const LogPosition& position) {
  prev_ = position;
  last_ = durable_ = position.index;
  runs_.clear();
  cache_.clear();
  begin_ = end_ = 0;
}

}  // namespace bedrock::raft
