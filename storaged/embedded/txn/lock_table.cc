#include "storaged/embedded/txn/lock_table.h"

#include <string>
#include <utility>

#include "common/base/check.h"
#include "storaged/txn/key_range.h"

namespace bedrock::embedded {
namespace {

using Acquisition = txn::LockManager::Acquisition;

Status Closed() { return Status::Aborted("the database was closed"); }

}  // namespace

Status LockTable::LockKey(Owner& owner, std::string_view key, LockMode mode,
                          const Patience& patience) {
  return Lock(owner, txn::LockSpan::OfKey(key), mode, patience);
}

Status LockTable::LockRange(Owner& owner, std::string_view begin, std::string_view end,
                            LockMode mode, const Patience& patience) {
  CHECK(!txn::IsEmptyRange(begin, end));
  return Lock(owner, txn::LockSpan::OfRange(begin, end), mode, patience);
}

Status LockTable::Lock(Owner& owner, const txn::LockSpan& span, LockMode mode,
                       const Patience& patience) {
  txn::LockRequestId request;
  std::shared_ptr<Wait> wait;
  std::optional<Status> at_once;
  Waits ended;
  {
    const SpinningLock lock(mutex_);
    at_once = Ask(owner, span, mode, patience.detect_deadlock, &request);
    if (!at_once.has_value()) {
      wait = std::make_shared<Wait>(executor_);
      waits_.emplace(request.value(), wait);
    }
    ended.swap(ended_);
  }
  Wake(ended);
  if (at_once.has_value()) return *std::move(at_once);
  if (wait->waiter.Wait([&] { return wait->over.load(std::memory_order_acquire); },
                        patience.timeout_us)) {
    return *std::move(wait->outcome);
  }
  GiveUp(request, *wait);
  return *std::move(wait->outcome);
}

void LockTable::GiveUp(txn::LockRequestId request, const Wait& wait) {
  Waits ended;
  {
    const SpinningLock lock(mutex_);
    if (wait.outcome.has_value()) return;  // just in time
    const auto waited_for = locks_.Describe(request, clock_.MonotonicMs());
    EndWait(request, txn::LockTimedOut(waited_for.value()));
    EndGranted(locks_.Cancel(request));
    ended.swap(ended_);
  }
  Wake(ended);
}

std::optional<Status> LockTable::Ask(Owner& owner, const txn::LockSpan& span, LockMode mode,
                                     DetectDeadlock detect, txn::LockRequestId* request) {
  if (closed_) return Closed();
  const Acquisition acquired =
      locks_.Acquire(owner.locks_, span, mode, clock_.MonotonicMs(), detect);
  EndGranted(acquired.granted);
  std::optional<Status> own;
  for (const txn::Deadlock& deadlock : acquired.deadlocks) {
    if (deadlock.victim_order == owner.id()) {
      own = txn::DeadlockStatus(deadlock);
    } else {
      EndWait(deadlock.request, txn::DeadlockStatus(deadlock));
    }
  }
  switch (acquired.outcome) {
    case Acquisition::Outcome::kGranted:
      return Status::Ok();
    case Acquisition::Outcome::kTooManyLocks:
      return Status::Busy("a transaction may hold " + std::to_string(owner.locks_.locks()) +
                          " locks");
    case Acquisition::Outcome::kDeadlock:
      return own;
    case Acquisition::Outcome::kWaits:
      break;
  }
  *request = acquired.request;
  return std::nullopt;
}

void LockTable::EndWait(txn::LockRequestId request, Status outcome) {
  const auto at = waits_.find(request.value());
  std::shared_ptr<Wait> wait = std::move(at->second);
  waits_.erase(at);
  wait->outcome = std::move(outcome);
  wait->over.store(true, std::memory_order_release);
  ended_.push_back(std::move(wait));
}

void LockTable::EndGranted(const std::vector<txn::LockRequestId>& granted) {
  for (const txn::LockRequestId request : granted) EndWait(request, Status::Ok());
}

void LockTable::Wake(const Waits& ended) {
  for (const auto& wait : ended) wait->waiter.Notify();
}

void LockTable::ReleaseAll(Owner& owner) {
  Waits ended;
  {
    const SpinningLock lock(mutex_);
    EndGranted(locks_.Release(owner.locks_));
    ended.swap(ended_);
  }
  Wake(ended);
}

void LockTable::Close() {
  Waits ended;
  {
    const SpinningLock lock(mutex_);
    closed_ = true;
    std::vector<txn::LockRequestId> requests;
    for (const auto& [number, wait] : waits_) requests.emplace_back(number);
    for (const txn::LockRequestId request : requests) EndWait(request, Closed());
    // What some of them are granted by that, nobody hears of any more.
    for (const txn::LockRequestId request : requests) (void)locks_.Cancel(request);
    ended.swap(ended_);
  }
  Wake(ended);
}

std::size_t LockTable::size() const {
  const SpinningLock lock(mutex_);
  return locks_.locked_keys() + locks_.locked_ranges() + locks_.waiting();
}

std::size_t LockTable::waiting() const {
  const SpinningLock lock(mutex_);
  return locks_.waiting();
}

}  // namespace bedrock::embedded
