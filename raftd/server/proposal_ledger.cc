#include "raftd/server/proposal_ledger.h"

#include <algorithm>
#include <iterator>

#include "common/base/check.h"

namespace bedrock::raft {

void ProposalLedger::Add(LogIndex index, Term term, proto::ReplyTo reply_to) {
  CHECK(room() > 0);
  pending_.emplace(Position{index, term}, std::move(reply_to));
}

proto::ReplyTo ProposalLedger::Find(LogIndex index, Term term) const {
  const auto found = pending_.find({index, term});
  return found == pending_.end() ? proto::ReplyTo{} : found->second;
}

std::vector<proto::ReplyTo> ProposalLedger::Committed(
    LogIndex last, const std::function<std::optional<Term>(LogIndex)>& term_at) {
  std::vector<proto::ReplyTo> lost;
  if (last <= resolved_) return lost;
  const auto drop = [&](auto at) {
    lost.push_back(std::move(at->second));
    return pending_.erase(at);
  };
  auto at = pending_.lower_bound({resolved_.Next(), Term()});
  while (at != pending_.end() && at->first.first <= last) {
    const std::optional<Term> committed = term_at(at->first.first);
    at = committed && *committed != at->first.second ? drop(at) : std::next(at);
  }
  const std::optional<Term> newest = term_at(last);
  while (at != pending_.end() && newest) {
    at = at->first.second < *newest ? drop(at) : std::next(at);
  }
  resolved_ = last;
  return lost;
}

void ProposalLedger::Applied(LogIndex applied) {
  // Only what was resolved: an entry of a lost term below `applied` is still owed its refusal.
  const LogIndex end = std::min(applied, resolved_);
  pending_.erase(pending_.begin(), pending_.lower_bound({end.Next(), Term()}));
}

}  // namespace bedrock::raft
