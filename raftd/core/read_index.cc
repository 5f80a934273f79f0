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

std::vector<ConfirmedRead> LeaderReads::ConfirmAll() {
  std::vector<ConfirmedRead> confirmed;
  confirmed.reserve(open_.size());
  for (const Open& open : open_) confirmed.push_back({open.reader, open.index});
  open_.clear();
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
  const bool retry = retry_now_ || now - asked_at_ >= retry_ticks;
  if (asked_.empty() ? waiting_.empty() : !retry) return std::nullopt;
  asked_.insert(asked_.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  if (attempts_.size() == kAttemptsMax) attempts_.erase(attempts_.begin());
  attempts_.push_back({random.Next(), asked_.size()});
  asked_at_ = now;
  retry_now_ = false;
  return attempts_.back().number;
}

std::vector<Ticket> FollowerReads::Answered(std::uint64_t number) {
  const auto answered =
      std::find_if(attempts_.begin(), attempts_.end(),
                   [number](const Attempt& attempt) { return attempt.number == number; });
  if (answered == attempts_.end()) return {};
  const std::size_t readers = answered->readers;
  const auto first_left = asked_.begin() + static_cast<std::ptrdiff_t>(readers);
  std::vector<Ticket> tickets(asked_.begin(), first_left);
  asked_.erase(asked_.begin(), first_left);
  std::erase_if(attempts_, [readers](const Attempt& a) { return a.readers <= readers; });
  for (Attempt& attempt : attempts_) attempt.readers -= readers;
  return tickets;
}

std::vector<Ticket> FollowerReads::TakeAll() {
  std::vector<Ticket> all = std::exchange(asked_, {});
  all.insert(all.end(), waiting_.begin(), waiting_.end());
  waiting_.clear();
  attempts_.clear();
  return all;
}

}  // namespace bedrock::raft
