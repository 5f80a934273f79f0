#include "storaged/embedded/txn/lock_table.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "common/base/check.h"
#include "storaged/embedded/change.h"

namespace bedrock::embedded {

/// Somebody's wish, on its stack. A key is the range that holds nothing else.
struct LockTable::Request {
  Owner& owner;
  std::string_view begin;
  std::string_view end;
  bool is_key;
  LockMode mode;
  Waiter waiter;
  /// Set once, by whoever ends the wait; guarded by the table's mutex.
  std::optional<Status> outcome = std::nullopt;

  /// Whether it is about keys that `other` is about, too.
  bool Meets(const Request& other) const {
    if (is_key) return other.Holds(begin);
    if (other.is_key) return Holds(other.begin);
    return Overlap(begin, end, other.begin, other.end);
  }
  bool Holds(std::string_view key) const {
    return is_key ? key == begin : IsWithin(key, begin, end);
  }
  bool Meets(const RangeLock& lock) const {
    return is_key ? IsWithin(begin, lock.begin, lock.end)
                  : Overlap(begin, end, lock.begin, lock.end);
  }
};

namespace {

bool Exclude(LockMode a, LockMode b) {
  return a == LockMode::kExclusive || b == LockMode::kExclusive;
}

}  // namespace

std::uint64_t LockTable::NewId() {
  const MutexLock lock(mutex_);
  return ++last_id_;
}

Status LockTable::LockKey(Owner& owner, std::string_view key, LockMode mode,
                          const Patience& patience) {
  Request request{.owner = owner,
                  .begin = key,
                  .end = {},
                  .is_key = true,
                  .mode = mode,
                  .waiter = Waiter(executor_)};
  return Lock(request, patience);
}

Status LockTable::LockRange(Owner& owner, std::string_view begin, std::string_view end,
                            LockMode mode, const Patience& patience) {
  CHECK(!IsEmptyRange(begin, end));
  Request request{.owner = owner,
                  .begin = begin,
                  .end = end,
                  .is_key = false,
                  .mode = mode,
                  .waiter = Waiter(executor_)};
  return Lock(request, patience);
}

Status LockTable::Lock(Request& request, const Patience& patience) {
  {
    const MutexLock lock(mutex_);
    if (closed_) return Status::Aborted("the database was closed");
    if (HasAlready(request)) return {};
    if (request.owner.keys_.size() + request.owner.ranges_ >= kLocksMax)
      return Status::Busy("a transaction may hold " + std::to_string(kLocksMax) + " locks");
    if (Blockers(request, FirstOnly::kYes).empty()) {
      Grant(request);
      return {};
    }
    waiting_.push_back(&request);
    request.owner.waits_for_ = &request;
    if (patience.detect_deadlock) BreakDeadlocks(request);
  }
  const auto is_over = [&] {
    const MutexLock lock(mutex_);
    return request.outcome.has_value();
  };
  (void)request.waiter.Wait(is_over, patience.timeout_us);
  // Whoever ended the wait still held the mutex when it notified: from here on nobody knows the
  // request any more.
  const MutexLock lock(mutex_);
  if (!request.outcome.has_value()) {
    EndWait(request, Status::TimedOut("waited too long for a lock"));
    GrantWaiting();  // what only waited behind this one
  }
  return *std::move(request.outcome);
}

bool LockTable::HasAlready(const Request& request) const {
  const auto enough = [&](const Holder& holder) {
    return holder.owner == &request.owner &&
           (holder.mode == LockMode::kExclusive || request.mode == LockMode::kShared);
  };
  if (request.is_key) {
    const auto key = keys_.find(request.begin);
    if (key != keys_.end() && std::any_of(key->second.begin(), key->second.end(), enough))
      return true;
  }
  if (request.owner.ranges_ == 0) return false;
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const RangeLock& lock) {
    if (!enough(lock.holder)) return false;
    if (request.is_key) return IsWithin(request.begin, lock.begin, lock.end);
    if (request.begin < lock.begin) return false;
    return lock.end.empty() || (!request.end.empty() && request.end <= lock.end);
  });
}

std::vector<LockTable::Owner*> LockTable::Blockers(const Request& request,
                                                   FirstOnly first_only) const {
  std::vector<Owner*> blockers;
  bool wants_more = false;  // has a part of it: goes before those that wait for that part
  const auto look_at = [&](const Holder& holder) {
    if (holder.owner == &request.owner) {
      wants_more = true;
    } else if (Exclude(holder.mode, request.mode)) {
      blockers.push_back(holder.owner);
    }
  };
  const auto enough = [&] { return first_only && !blockers.empty(); };
  auto key = keys_.lower_bound(request.begin);
  for (; key != keys_.end() && request.Holds(key->first) && !enough(); ++key) {
    for (const Holder& holder : key->second) look_at(holder);
  }
  for (auto lock = ranges_.begin(); lock != ranges_.end() && !enough(); ++lock) {
    if (request.Meets(*lock)) look_at(lock->holder);
  }
  if (wants_more || enough()) return blockers;
  for (const Request* earlier : waiting_) {
    if (earlier == &request) break;
    if (earlier->owner.id() != request.owner.id() && Exclude(earlier->mode, request.mode) &&
        request.Meets(*earlier))
      blockers.push_back(&earlier->owner);
  }
  return blockers;
}

void LockTable::Grant(const Request& request) {
  const Holder holder{&request.owner, request.mode};
  if (!request.is_key) {
    ranges_.push_back({std::string(request.begin), std::string(request.end), holder});
    ++request.owner.ranges_;
    return;
  }
  auto key = keys_.find(request.begin);
  if (key == keys_.end()) key = keys_.emplace(request.begin, Holders()).first;
  for (Holder& other : key->second) {
    if (other.owner != &request.owner) continue;
    other.mode = request.mode;
    return;
  }
  key->second.push_back(holder);
  request.owner.keys_.push_back(key->first);
}

void LockTable::EndWait(Request& request, Status why) {
  waiting_.remove(&request);
  request.owner.waits_for_ = nullptr;
  request.outcome = std::move(why);
  request.waiter.Notify();
}

void LockTable::GrantWaiting() {
  // In order: a grant to one may block those behind it, never those before.
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    Request& request = **at++;
    if (!Blockers(request, FirstOnly::kYes).empty()) continue;
    Grant(request);
    EndWait(request, Status::Ok());
  }
}

void LockTable::ReleaseAll(Owner& owner) {
  const MutexLock lock(mutex_);
  for (const std::string& name : owner.keys_) {
    const auto key = keys_.find(name);
    std::erase_if(key->second, [&](const Holder& holder) { return holder.owner == &owner; });
    if (key->second.empty()) keys_.erase(key);
  }
  owner.keys_.clear();
  if (owner.ranges_ > 0)
    ranges_.remove_if([&](const RangeLock& range) { return range.holder.owner == &owner; });
  owner.ranges_ = 0;
  if (!waiting_.empty()) GrantWaiting();
}

void LockTable::Close() {
  const MutexLock lock(mutex_);
  closed_ = true;
  while (!waiting_.empty()) EndWait(*waiting_.front(), Status::Aborted("the database was closed"));
}

std::size_t LockTable::size() const {
  const MutexLock lock(mutex_);
  return keys_.size() + ranges_.size() + waiting_.size();
}

std::size_t LockTable::waiting() const {
  const MutexLock lock(mutex_);
  return waiting_.size();
}

// ---- Deadlocks

void LockTable::BreakDeadlocks(Request& request) {
  while (!request.outcome.has_value()) {
    const std::vector<Owner*> cycle = FindCycle(request.owner);
    if (cycle.empty()) return;
    Owner* const youngest = *std::max_element(cycle.begin(), cycle.end(),
                                              [](Owner* a, Owner* b) { return a->id() < b->id(); });
    std::string path;
    for (const Owner* owner : cycle) path += "transaction " + std::to_string(owner->id()) + " -> ";
    path += "transaction " + std::to_string(cycle.front()->id());
    EndWait(*youngest->waits_for_, Status::Deadlock("transactions wait for each other: " + path));
    // What it held goes when it ends; who only waited behind its request may go on now.
    GrantWaiting();
  }
}

std::vector<LockTable::Owner*> LockTable::FindCycle(Owner& start) const {
  struct Step {
    Owner* owner;
    std::vector<Owner*> next;  ///< Not looked at yet.
  };
  std::vector<Step> path;
  std::set<Owner*> seen;
  const auto enter = [&](Owner* owner) {
    seen.insert(owner);
    path.push_back({owner, owner->waits_for_ == nullptr
                               ? std::vector<Owner*>()
                               : Blockers(*owner->waits_for_, FirstOnly::kNo)});
  };
  enter(&start);
  while (!path.empty()) {
    if (path.back().next.empty()) {
      path.pop_back();
      continue;
    }
    Owner* const next = path.back().next.back();
    path.back().next.pop_back();
    if (next == &start) {
      std::vector<Owner*> cycle;
      for (const Step& step : path) cycle.push_back(step.owner);
      return cycle;
    }
    if (!seen.contains(next)) enter(next);
  }
  return {};
}

}  // namespace bedrock::embedded
