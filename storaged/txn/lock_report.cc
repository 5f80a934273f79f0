#include "storaged/txn/lock_report.h"

namespace bedrock::txn {

std::string LockWait::ToString() const {
  std::string text = mode == LockMode::kShared ? "the shared" : "the exclusive";
  text += " lock on " + span.ToString();
  if (blockers.empty()) return text;
  const LockBlocker& first = blockers.front();
  text += ": " + first.name + ", which began " + std::to_string(first.age_ms) + " ms ago, ";
  text += first.waits ? "waits before it for " : "holds ";
  text += first.span.span() == span.span() ? "it" : first.span.ToString();
  if (blockers.size() == kBlockersMax) return text + ", and others";
  if (blockers.size() > 1) text += ", and " + std::to_string(blockers.size() - 1) + " more";
  return text;
}

std::string Deadlock::ToString() const {
  std::string text = "transactions wait for each other: ";
  for (const std::string& name : cycle) text += name + " -> ";
  text += cycle.front();
  return text + "; " + victim + ", the youngest, waited for " + wait.ToString();
}

Status LockTimedOut(const LockWait& wait) {
  return Status::TimedOut("waited " + std::to_string(wait.waited_ms) + " ms for " +
                          wait.ToString());
}

Status DeadlockStatus(const Deadlock& deadlock) { return Status::Deadlock(deadlock.ToString()); }

}  // namespace bedrock::txn
