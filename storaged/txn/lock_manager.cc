#include "storaged/txn/lock_manager.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/check.h"

namespace bedrock::txn {
namespace {

bool Exclude(LockMode a, LockMode b) {
  return a == LockMode::kExclusive || b == LockMode::kExclusive;
}

/// Whether who has `held` needs nothing more for `wanted`.
bool Suffices(LockMode held, LockMode wanted) {
  return held == LockMode::kExclusive || wanted == LockMode::kShared;
}

std::uint64_t Since(std::uint64_t then_ms, std::uint64_t now_ms) {
  return now_ms > then_ms ? now_ms - then_ms : 0;
}

}  // namespace

LockOwner::~LockOwner() { CHECK(locks() == 0 && !waits()); }

std::string LockOwner::name() const {
  return identity_.name.empty() ? "transaction " + std::to_string(identity_.order) : identity_.name;
}

LockManager::~LockManager() { CHECK(keys_.empty() && ranges_.empty() && requests_.empty()); }

bool LockManager::KeyLock::HeldBy(const LockOwner& owner) const {
  return first == &owner || std::find(others.begin(), others.end(), &owner) != others.end();
}

void LockManager::KeyLock::Remove(const LockOwner& owner) {
  const auto at = first == &owner ? others.end() : std::find(others.begin(), others.end(), &owner);
  if (at != others.end()) {
    *at = others.back();
  } else {
    first = others.empty() ? nullptr : others.back();
  }
  if (!others.empty()) others.pop_back();
}

// ---- Asking

LockManager::Acquisition LockManager::Acquire(LockOwner& owner, const LockSpan& span, LockMode mode,
                                              std::uint64_t now_ms, DetectDeadlock detect) {
  CHECK(!owner.waits());
  if (GrantFree(owner, span, mode)) return {};
  Wish wish{.owner = owner, .span = span, .mode = mode, .upgrade = false, .number = 0};
  if (HasAlready(wish)) return {};
  if (owner.locks() >= bounds_.locks_per_owner_max)
    return {.outcome = Acquisition::Outcome::kTooManyLocks};
  wish.upgrade = HoldsPart(owner, span);
  wish.number = ++last_number_;
  if (!IsBlocked(wish)) {
    Grant(wish);
    return {};
  }
  Acquisition acquisition{.outcome = Acquisition::Outcome::kWaits,
                          .request = BeginWait(wish, now_ms).id()};
  if (detect) BreakDeadlocks(acquisition.request, now_ms, acquisition);
  return acquisition;
}

bool LockManager::GrantFree(LockOwner& owner, const LockSpan& span, LockMode mode) {
  if (!span.is_key() || !range_index_.empty() || !queue_index_.empty()) return false;
  const auto behind = keys_.lower_bound(span.begin());
  if (behind != keys_.end() && behind->first == span.begin()) return false;
  if (owner.locks() >= bounds_.locks_per_owner_max) return false;
  owner.keys_.push_back(
      keys_.emplace_hint(behind, span.begin(), KeyLock{.mode = mode, .first = &owner}));
  return true;
}

bool LockManager::HasAlready(const Wish& wish) const {
  if (wish.span.is_key()) {
    const auto at = keys_.find(wish.span.begin());
    if (at != keys_.end() && Suffices(at->second.mode, wish.mode) && at->second.HeldBy(wish.owner))
      return true;
  }
  if (wish.owner.ranges_.empty()) return false;
  return !range_index_.VisitOverlapping(wish.span, [&](const SpanIndex::Entry& entry) {
    const auto& lock = static_cast<const RangeLock&>(entry);
    return &lock.owner != &wish.owner || !Suffices(lock.mode, wish.mode) ||
           !lock.span().Covers(wish.span);
  });
}

bool LockManager::HoldsPart(const LockOwner& owner, const LockSpan& span) const {
  if (owner.locks() == 0) return false;
  for (auto at = keys_.lower_bound(span.begin()); at != keys_.end() && span.Contains(at->first);
       ++at) {
    if (at->second.HeldBy(owner)) return true;
  }
  if (owner.ranges_.empty()) return false;
  return !range_index_.VisitOverlapping(span, [&](const SpanIndex::Entry& entry) {
    return &static_cast<const RangeLock&>(entry).owner != &owner;
  });
}

template <typename Visit>
void LockManager::VisitBlockers(const Wish& wish, const Visit& visit) const {
  const auto in_the_way = [&](LockOwner& owner, LockMode mode) {
    return &owner != &wish.owner && Exclude(mode, wish.mode);
  };
  for (auto at = keys_.lower_bound(wish.span.begin());
       at != keys_.end() && wish.span.Contains(at->first); ++at) {
    const KeyLock& lock = at->second;
    const auto look_at = [&](LockOwner& owner) {
      return !in_the_way(owner, lock.mode) ||
             visit(Blocking{owner, LockSpan::OfKey(at->first), lock.mode, nullptr});
    };
    if (!look_at(*lock.first)) return;
    for (LockOwner* owner : lock.others) {
      if (!look_at(*owner)) return;
    }
  }
  const bool on = range_index_.VisitOverlapping(wish.span, [&](const SpanIndex::Entry& entry) {
    const auto& lock = static_cast<const RangeLock&>(entry);
    return !in_the_way(lock.owner, lock.mode) ||
           visit(Blocking{lock.owner, lock.span(), lock.mode, nullptr});
  });
  if (!on || wish.upgrade) return;
  (void)queue_index_.VisitOverlapping(wish.span, [&](const SpanIndex::Entry& entry) {
    for (const Request* request : static_cast<const WaitQueue&>(entry).requests) {
      if (!request->wish().GoesBefore(wish)) break;
      if (in_the_way(request->owner, request->mode) &&
          !visit(Blocking{request->owner, request->span(), request->mode, request}))
        return false;
    }
    return true;
  });
}

bool LockManager::IsBlocked(const Wish& wish) const {
  bool blocked = false;
  VisitBlockers(wish, [&](const Blocking& /*blocking*/) {
    blocked = true;
    return false;
  });
  return blocked;
}

// ---- Granting

void LockManager::Grant(const Wish& wish) {
  LockOwner& owner = wish.owner;
  if (!wish.span.is_key()) {
    RangeLock& lock = ranges_.emplace_back(wish.span, wish.number, owner, wish.mode);
    range_index_.Insert(lock);
    owner.ranges_.push_back(std::prev(ranges_.end()));
    return;
  }
  auto at = keys_.lower_bound(wish.span.begin());
  if (at == keys_.end() || at->first != wish.span.begin()) {
    at = keys_.emplace_hint(at, wish.span.begin(), KeyLock{.mode = wish.mode, .first = &owner});
  } else if (at->second.HeldBy(owner)) {
    at->second.mode = wish.mode;  // it wanted more: nobody else is left
    return;
  } else {
    at->second.others.push_back(&owner);
  }
  owner.keys_.push_back(at);
}

LockManager::Request& LockManager::BeginWait(const Wish& wish, std::uint64_t now_ms) {
  WaitQueue& queue = QueueFor(wish.span);
  Request& request = requests_
                         .emplace(wish.number, Request{.owner = wish.owner,
                                                       .queue = queue,
                                                       .mode = wish.mode,
                                                       .upgrade = wish.upgrade,
                                                       .number = wish.number,
                                                       .since_ms = now_ms})
                         .first->second;
  queue.requests.insert(&request);
  wish.owner.waits_for_ = &request;
  return request;
}

LockManager::WaitQueue& LockManager::QueueFor(const LockSpan& span) {
  std::uint64_t found = 0;
  (void)queue_index_.VisitOverlapping(LockSpan::OfKey(span.begin()),
                                      [&](const SpanIndex::Entry& entry) {
                                        if (entry.span() == span) found = entry.number();
                                        return found == 0;
                                      });
  if (found != 0) return queues_.at(found);
  const std::uint64_t number = ++last_number_;
  WaitQueue& queue = queues_.try_emplace(number, span, number).first->second;
  queue_index_.Insert(queue);
  return queue;
}

void LockManager::EndWait(Request& request) {
  request.owner.waits_for_ = nullptr;
  WaitQueue& queue = request.queue;
  queue.requests.erase(&request);
  requests_.erase(request.number);
  if (!queue.requests.empty()) return;
  queue_index_.Erase(queue);
  queues_.erase(queue.number());
}

void LockManager::AddCandidates(const LockSpan& span, Candidates& candidates) const {
  (void)queue_index_.VisitOverlapping(span, [&](const SpanIndex::Entry& entry) {
    AddFront(static_cast<const WaitQueue&>(entry), candidates);
    return true;
  });
}

void LockManager::AddFront(const WaitQueue& queue, Candidates& candidates) {
  // An exclusive one, be it granted now or wait on, is in the way of all behind it but of those
  // that go before everybody.
  bool blocked = false;
  for (Request* request : queue.requests) {
    if (blocked && !request->upgrade) return;
    candidates.push_back(request);
    blocked |= request->mode == LockMode::kExclusive;
  }
}

std::vector<LockRequestId> LockManager::GrantAmong(Candidates candidates) {
  std::sort(candidates.begin(), candidates.end(), InOrder());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  std::vector<LockRequestId> granted;
  // In their order: a grant may block those behind it, never those before it.
  for (Request* request : candidates) {
    if (IsBlocked(request->wish())) continue;
    Grant(request->wish());
    granted.push_back(request->id());
    EndWait(*request);
  }
  return granted;
}

std::vector<LockRequestId> LockManager::Release(LockOwner& owner) {
  std::optional<NamedSpan> wanted;
  if (owner.waits()) {
    wanted = NamedSpan(owner.waits_for_->span());
    EndWait(*owner.waits_for_);
  }
  Candidates candidates;
  // Whichever is less: the queues for each lock, or all.
  const bool take_all = owner.locks() > queues_.size();
  const auto freed = [&](const LockSpan& span) {
    if (!take_all && !queues_.empty()) AddCandidates(span, candidates);
  };
  if (wanted.has_value()) freed(wanted->span());
  for (const Keys::iterator key : owner.keys_) {
    freed(LockSpan::OfKey(key->first));
    key->second.Remove(owner);
    if (key->second.first == nullptr) keys_.erase(key);
  }
  owner.keys_.clear();
  for (const auto& range : owner.ranges_) {
    freed(range->span());
    range_index_.Erase(*range);
    ranges_.erase(range);
  }
  owner.ranges_.clear();
  if (take_all) {
    for (const auto& [number, queue] : queues_) AddFront(queue, candidates);
  }
  if (candidates.empty()) return {};
  return GrantAmong(std::move(candidates));
}

std::vector<LockRequestId> LockManager::Cancel(LockRequestId request) {
  const auto at = requests_.find(request.value());
  if (at == requests_.end()) return {};
  const NamedSpan wanted(at->second.span());
  EndWait(at->second);
  Candidates candidates;
  AddCandidates(wanted.span(), candidates);
  return GrantAmong(std::move(candidates));
}

// ---- Deadlocks

void LockManager::BreakDeadlocks(LockRequestId asking, std::uint64_t now_ms,
                                 Acquisition& acquisition) {
  using Outcome = Acquisition::Outcome;
  while (acquisition.outcome == Outcome::kWaits) {
    const std::vector<LockOwner*> cycle = FindCycle(requests_.at(asking.value()).owner);
    if (cycle.empty()) return;
    const LockOwner& victim = **std::max_element(
        cycle.begin(), cycle.end(), [](auto* a, auto* b) { return a->order() < b->order(); });
    Deadlock deadlock{.victim = victim.name(),
                      .victim_order = victim.order(),
                      .request = victim.waits_for_->id(),
                      .wait = Describe(*victim.waits_for_, now_ms)};
    for (const LockOwner* owner : cycle) deadlock.cycle.push_back(owner->name());
    if (deadlock.request == asking) acquisition.outcome = Outcome::kDeadlock;
    for (const LockRequestId id : Cancel(deadlock.request)) {
      if (id == asking) {
        acquisition.outcome = Outcome::kGranted;
      } else {
        acquisition.granted.push_back(id);
      }
    }
    acquisition.deadlocks.push_back(std::move(deadlock));
  }
  acquisition.request = LockRequestId();
}

std::vector<LockOwner*> LockManager::FindCycle(LockOwner& start) const {
  // Nobody waits for who has nothing, and its request stands behind all others.
  if (start.locks() == 0) return {};
  struct Seen {
    LockOwner* before;
    bool covered = false;  ///< What it waits for is seen already.
  };
  std::unordered_map<const LockOwner*, Seen> seen{{&start, {nullptr}}};
  std::vector<LockOwner*> unseen{&start};
  LockOwner* last = nullptr;
  while (!unseen.empty() && last == nullptr) {
    LockOwner* const owner = unseen.back();
    unseen.pop_back();
    const Request* const request = owner->waits_for_;
    if (request == nullptr || seen.at(owner).covered) continue;
    // Who waits before this one within its span waits for nothing else than it does: it wants it
    // all for itself, and its owner has no part of it.
    const bool covers = request->mode == LockMode::kExclusive && !request->upgrade;
    VisitBlockers(request->wish(), [&](const Blocking& blocking) {
      if (&blocking.owner == &start) {
        last = owner;
        return false;
      }
      const auto [at, is_new] = seen.try_emplace(&blocking.owner, Seen{owner});
      if (is_new) unseen.push_back(&blocking.owner);
      if (covers && blocking.waits != nullptr && request->span().Covers(blocking.span))
        at->second.covered = true;
      return true;
    });
  }
  std::vector<LockOwner*> cycle;
  for (LockOwner* owner = last; owner != nullptr; owner = seen.at(owner).before)
    cycle.push_back(owner);
  std::reverse(cycle.begin(), cycle.end());
  return cycle;
}

// ---- Telling

std::optional<LockWait> LockManager::Describe(LockRequestId request, std::uint64_t now_ms) const {
  const auto at = requests_.find(request.value());
  if (at == requests_.end()) return std::nullopt;
  return Describe(at->second, now_ms);
}

LockWait LockManager::Describe(const Request& request, std::uint64_t now_ms) const {
  LockWait wait{.span = NamedSpan(request.span()),
                .mode = request.mode,
                .waited_ms = Since(request.since_ms, now_ms)};
  VisitBlockers(request.wish(), [&](const Blocking& blocking) {
    const std::uint64_t order = blocking.owner.order();
    const bool told = std::any_of(wait.blockers.begin(), wait.blockers.end(),
                                  [&](const LockBlocker& other) { return other.order == order; });
    if (told) return true;
    wait.blockers.push_back({.name = blocking.owner.name(),
                             .order = order,
                             .age_ms = Since(blocking.owner.identity_.began_ms, now_ms),
                             .span = NamedSpan(blocking.span),
                             .mode = blocking.mode,
                             .waits = blocking.waits != nullptr});
    return wait.blockers.size() < LockWait::kBlockersMax;
  });
  return wait;
}

}  // namespace bedrock::txn
