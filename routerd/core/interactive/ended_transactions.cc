#include "routerd/core/interactive/ended_transactions.h"

namespace bedrock::router {
namespace {

using Action = proto::ClientTransaction::Action;
using proto::Error;
using proto::ErrorCode;

Error NotFound(std::string detail) {
  Error error;
  error.code = ErrorCode::kTransactionNotFound;
  error.detail = std::move(detail);
  return error;
}

Error ErrorOfLateStep(const EndedTransactions::Ending& ending, Action action) {
  using How = EndedTransactions::How;
  switch (ending.how) {
    case How::kCommitted:
      return action == Action::kCommit ? Error() : NotFound("the transaction has committed");
    case How::kRolledBack:
      return action == Action::kRollback ? Error() : NotFound("the transaction was rolled back");
    case How::kRefused:
      if (action == Action::kCommit) return ending.error;
      if (ending.error.outcome == proto::Outcome::kUnknown) return ending.error;
      // Nothing of it is left, which is what a rollback wants.
      if (action == Action::kRollback) return {};
      return NotFound("the transaction has ended: its commit was refused");
    case How::kAborted:
      if (ending.error.code == ErrorCode::kDeadlock && action == Action::kRollback) return {};
      return ending.error;
  }
  return NotFound("no such transaction");
}

}  // namespace

void EndedTransactions::Add(std::uint64_t number, Ending ending, std::uint64_t now_ms) {
  endings_.emplace(number, std::move(ending));
  by_age_.emplace_back(number, now_ms);
  if (by_age_.size() <= count_max_) return;
  endings_.erase(by_age_.front().first);
  by_age_.pop_front();
}

EndedTransactions::Answer EndedTransactions::AnswerOf(std::uint64_t number, Action action) const {
  const auto found = endings_.find(number);
  Answer answer;
  if (found == endings_.end()) {
    answer.error = NotFound("no transaction of this id is open");
    // It may have committed longer ago than this remembers.
    if (action == Action::kCommit) answer.error.outcome = proto::Outcome::kUnknown;
    return answer;
  }
  answer.error = ErrorOfLateStep(found->second, action);
  if (answer.error.ok()) answer.version = found->second.version;
  return answer;
}

void EndedTransactions::Advance(std::uint64_t now_ms) {
  while (!by_age_.empty() && by_age_.front().second + kKeepMs <= now_ms) {
    endings_.erase(by_age_.front().first);
    by_age_.pop_front();
  }
}

}  // namespace bedrock::router
