#include "raftd/core/read_index.h"

#include <algorithm>
#include <utility>

namespace bedrock::raft {

bool LeaderReads::Add(Reader reader, std::optional<LogIndex> commit) {
  if (open_.size() + waiting_.size() >= pending_max_) return false;
  if (commit) {
    open_.push_back({reader, *commit, sent_ + 1});
  } else {
    waiting_.push_back(reader);
  }
  return true;
}

void LeaderReads::TermCommitted(LogIndex commit) {
  for (const Reader& reader : waiting_) open_.push_back({reader, commit, sent_ + 1});
  waiting_.clear();
}

std::vector<ConfirmedRead> LeaderReads::Confirm(std::uint64_t round) {
  confirmed_ = std::max(confirmed_, std::min(round, sent_));
  std::vector<ConfirmedRead> confirmed;
  while (!open_.empty() && open_.front().round <= confirmed_) {
    confirmed.push_back({open_.front().reader, open_.front().index});
    open_.pop_front();
  }
  return confirmed;
}

std::vector<Reader> LeaderReads::TakeAll() {
  std::vector<Reader> readers;
  readers.reserve(open_.size() + waiting_.size());
  for (const Open& open : open_) readers.push_back(open.reader);
  readers.insert(readers.end(), waiting_.begin(), waiting_.end());
  open_.clear();
  waiting_.clear();
  return readers;
}

bool FollowerReads::Add(Ticket ticket, std::size_t pending_max) {
  if (waiting_.size() + asked_.size() >= pending_max) return false;
  waiting_.push_back(ticket);
  return true;
}

std::optional<std::uint64_t> FollowerReads::Due(std::uint64_t now, std::uint64_t retry_ticks,
                                                Random& random) {
  const bool retry = !asked_.empty() && (retry_now_ || now - asked_at_ >= retry_ticks);
  if (asked_.empty()) {
    if (waiting_.empty()) return std::nullopt;
    asked_ = std::exchange(waiting_, {});
  } else if (!retry) {
    return std::nullopt;
  }
  if (attempts_.size() == kAttemptsMax) attempts_.erase(attempts_.begin());
  attempts_.push_back(random.Next());
  asked_at_ = now;
  retry_now_ = false;
  return attempts_.back();
}

std::vector<Ticket> FollowerReads::Answered(std::uint64_t number) {
  if (std::find(attempts_.begin(), attempts_.end(), number) == attempts_.end()) return {};
  attempts_.clear();
  return std::exchange(asked_, {});
}

std::vector<Ticket> FollowerReads::TakeAll() {
  std::vector<Ticket> all = std::exchange(asked_, {});
  all.insert(all.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  attempts_.clear();
  return all;
}

}  // namespace bedrock::raft
