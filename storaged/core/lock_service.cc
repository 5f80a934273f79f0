#include "storaged/core/lock_service.h"

#include <algorithm>

#include "common/base/check.h"
#include "proto/command.h"
#include "storaged/core/outgoing.h"
#include "storaged/txn/key_range.h"

namespace bedrock::storage {
namespace {

using proto::Error;
using proto::ErrorCode;
using Outcome = txn::LockManager::Acquisition::Outcome;

txn::LockSpan SpanOf(const proto::LockRange& what) {
  return what.is_range ? txn::LockSpan::OfRange(what.key.view(), what.end.view())
                       : txn::LockSpan::OfKey(what.key.view());
}

txn::LockMode ModeOf(proto::LockMode mode) {
  return mode == proto::LockMode::kShared ? txn::LockMode::kShared : txn::LockMode::kExclusive;
}

std::size_t SizeOf(const proto::LockRange& what) { return what.key.size() + what.end.size(); }

/// With bytes of its own, that keep no frame.
proto::LockRange CopyOf(const proto::LockRange& what) {
  return {Bytes::Copy(what.key.view()), Bytes::Copy(what.end.view()), what.is_range};
}

Error CheckRange(const proto::LockRange& what) {
  const std::size_t size = std::max(what.key.size(), what.end.size());
  if (size > proto::kKeyBytesMax) {
    Error error = MakeError(ErrorCode::kKeyTooLarge, "the key is too large");
    error.limit = proto::kKeyBytesMax;
    error.actual = size;
    return error;
  }
  if (what.is_range && txn::IsEmptyRange(what.key.view(), what.end.view())) {
    return MakeError(ErrorCode::kInvalidArgument, "a range begins before its end");
  }
  if (!what.is_range && (what.key.empty() || !what.end.empty())) {
    return MakeError(ErrorCode::kInvalidArgument, "a key has at least one byte and no end");
  }
  return {};
}

/// The key it is about and who is in the way; `wait` says the rest.
Error Blocked(ErrorCode code, std::string detail, const txn::LockWait& wait) {
  Error error = MakeError(code, detail);
  error.key = wait.span.begin;
  if (!wait.blockers.empty()) {
    error.blocked_by = wait.blockers.front().name;
    error.blocked_by_ms = wait.blockers.front().age_ms;
  }
  return error;
}

}  // namespace

LockService::LockService(Term term)
    : manager_({.locks_per_owner_max = kLocksPerTransactionMax}), term_(term) {}

LockService::~LockService() { DropAll({}); }

// ---- What comes

void LockService::Lock(Request request, std::uint64_t now_ms) {
  if (request.lock.term > term_) Advance(request.lock.term);
  if (Error error = Check(request); !error.ok()) {
    return Reply(std::move(request.from), request.request, std::move(error));
  }
  const auto owner = OwnerOf(request, now_ms);
  owner->second.hold_ms = std::min(request.lock.hold_ms, kLockHoldMsMax);
  if (auto& waiting = owner->second.waiting) {
    if (waiting->what == request.lock.what && waiting->mode == request.lock.mode) {
      waiting->from = std::move(request.from);
      waiting->request = request.request;
      return;
    }
    GiveUp(owner, MakeError(ErrorCode::kInvalidArgument, "the transaction asked for another lock"),
           now_ms);
  }
  Keep(owner, now_ms);
  Acquire(owner, std::move(request), now_ms);
}

Error LockService::Check(const Request& request) const {
  if (stopped_) return *stopped_;
  if (request.lock.term < term_) {
    return MakeError(ErrorCode::kNotLeader, "locks are of term " + std::to_string(term_.value()) +
                                                " now, this one is of term " +
                                                std::to_string(request.lock.term.value()));
  }
  if (Error error = CheckRange(request.lock.what); !error.ok()) return error;
  const std::size_t bytes = SizeOf(request.lock.what) + request.lock.query.size();
  const bool is_new = !owners_.contains(request.lock.transaction);
  if (size() + answers_.size() >= kLocksMax || bytes_ + bytes > kLockBytesMax ||
      (is_new && owners_.size() >= kLockOwnersMax)) {
    return MakeError(ErrorCode::kOverloaded, "too many locks are held or waited for");
  }
  return {};
}

LockService::Owners::iterator LockService::OwnerOf(const Request& request, std::uint64_t now_ms) {
  const proto::TransactionName& name = request.lock.transaction;
  const auto found = owners_.find(name);
  if (found != owners_.end()) return found;
  const auto made = owners_.try_emplace(
      name, txn::LockOwner::Identity{
                .order = OrderOf(request.lock.begun_ms),
                .began_ms = now_ms,
                .name = FormatTransactionName(request.node, name.router, name.number)});
  return made.first;
}

std::uint64_t LockService::OrderOf(std::uint64_t begun_ms) {
  // Room to tell apart those of the same millisecond, who are in order of their first lock.
  constexpr int kSameMsBits = 20;
  std::uint64_t order = std::min(begun_ms, UINT64_MAX >> (kSameMsBits + 1)) << kSameMsBits;
  while (!orders_.insert(order).second) ++order;
  return order;
}

void LockService::Acquire(Owners::iterator owner, Request request, std::uint64_t now_ms) {
  txn::LockOwner& locks = owner->second.locks;
  const std::size_t before = locks.locks();
  const auto acquired =
      manager_.Acquire(locks, SpanOf(request.lock.what), ModeOf(request.lock.mode), now_ms);
  switch (acquired.outcome) {
    case Outcome::kGranted:
      Hold(owner->second, before, request.lock.what);
      Reply(std::move(request.from), request.request, {}, Bytes::Copy(request.lock.query.view()));
      break;
    case Outcome::kWaits:
      BeginWait(owner, std::move(request), acquired.request, now_ms);
      break;
    case Outcome::kDeadlock: {
      const txn::Deadlock& deadlock = acquired.deadlocks.back();
      Reply(std::move(request.from), request.request,
            Blocked(ErrorCode::kDeadlock, deadlock.ToString(), deadlock.wait));
      break;
    }
    case Outcome::kTooManyLocks: {
      Error error = MakeError(ErrorCode::kTransactionTooLarge, "too many locks of a transaction");
      error.limit = kLocksPerTransactionMax;
      Reply(std::move(request.from), request.request, std::move(error));
      break;
    }
  }
  for (const auto& deadlock : acquired.deadlocks) OnDeadlock(deadlock, now_ms);
  OnGranted(acquired.granted, now_ms);
  ForgetIfIdle(owner);
}

void LockService::Unlock(const proto::TransactionName& transaction, std::uint64_t now_ms) {
  const auto owner = owners_.find(transaction);
  if (owner == owners_.end()) return;
  Release(owner, now_ms);
}

void LockService::Advance(Term term) {
  if (term <= term_) return;
  term_ = term;
  DropAll(MakeError(ErrorCode::kNotLeader, "the locks are gone with their term"));
}

void LockService::Expire(std::uint64_t now_ms) {
  while (!wait_deadlines_.empty() && wait_deadlines_.begin()->first <= now_ms) {
    const auto owner = owners_.find(wait_deadlines_.begin()->second);
    const auto wait = manager_.Describe(owner->second.waiting->id, now_ms);
    CHECK(wait.has_value());
    GiveUp(owner, Blocked(ErrorCode::kLockTimeout, wait->ToString(), *wait), now_ms);
    ForgetIfIdle(owner);
  }
  while (!hold_deadlines_.empty() && hold_deadlines_.begin()->first <= now_ms) {
    Release(owners_.find(hold_deadlines_.begin()->second), now_ms);
  }
}

void LockService::Stop(Error error) {
  stopped_ = std::move(error);
  DropAll(*stopped_);
}

// ---- Waiting

void LockService::BeginWait(Owners::iterator owner, Request request, txn::LockRequestId id,
                            std::uint64_t now_ms) {
  const std::uint64_t wait_ms =
      request.wait_ms == 0 ? kLockWaitMsMax : std::min(request.wait_ms, kLockWaitMsMax);
  hold_deadlines_.erase({owner->second.expires_ms, owner->first});
  bytes_ += SizeOf(request.lock.what) + request.lock.query.size();
  owner->second.waiting = Waiting{.id = id,
                                  .from = std::move(request.from),
                                  .request = request.request,
                                  .mode = request.lock.mode,
                                  .what = CopyOf(request.lock.what),
                                  .query = Bytes::Copy(request.lock.query.view()),
                                  .deadline_ms = now_ms + wait_ms};
  wait_deadlines_.emplace(now_ms + wait_ms, owner->first);
  waiting_.emplace(id, owner->first);
}

LockService::Waiting LockService::EndWait(Owners::iterator owner, std::uint64_t now_ms) {
  Waiting ended = *std::move(owner->second.waiting);
  owner->second.waiting.reset();
  bytes_ -= SizeOf(ended.what) + ended.query.size();
  wait_deadlines_.erase({ended.deadline_ms, owner->first});
  waiting_.erase(ended.id);
  Keep(owner, now_ms);
  return ended;
}

void LockService::GiveUp(Owners::iterator owner, Error error, std::uint64_t now_ms) {
  Waiting ended = EndWait(owner, now_ms);
  const auto granted = manager_.Cancel(ended.id);
  Reply(std::move(ended.from), ended.request, std::move(error));
  OnGranted(granted, now_ms);
}

void LockService::OnGranted(const std::vector<txn::LockRequestId>& granted, std::uint64_t now_ms) {
  for (const auto id : granted) {
    const auto owner = owners_.find(waiting_.at(id));
    Waiting ended = EndWait(owner, now_ms);
    // What it has now is at least this one; an upgrade counts twice, which is no harm.
    Hold(owner->second, 0, ended.what);
    Reply(std::move(ended.from), ended.request, {}, std::move(ended.query));
  }
}

void LockService::OnDeadlock(const txn::Deadlock& deadlock, std::uint64_t now_ms) {
  const auto victim = waiting_.find(deadlock.request);
  if (victim == waiting_.end()) return;  // who asked just now, and never began to wait
  const auto owner = owners_.find(victim->second);
  Waiting ended = EndWait(owner, now_ms);
  Reply(std::move(ended.from), ended.request,
        Blocked(ErrorCode::kDeadlock, deadlock.ToString(), deadlock.wait));
  ForgetIfIdle(owner);
}

// ---- Holding

void LockService::Hold(Owner& owner, std::size_t locks_before, const proto::LockRange& what) {
  if (owner.locks.locks() == locks_before) return;  // it had it already
  owner.bytes += SizeOf(what);
  bytes_ += SizeOf(what);
}

void LockService::Keep(Owners::iterator owner, std::uint64_t now_ms) {
  hold_deadlines_.erase({owner->second.expires_ms, owner->first});
  owner->second.expires_ms = now_ms + owner->second.hold_ms;
  hold_deadlines_.emplace(owner->second.expires_ms, owner->first);
}

void LockService::ForgetIfIdle(Owners::iterator owner) {
  if (owner->second.waiting || owner->second.locks.locks() != 0) return;
  hold_deadlines_.erase({owner->second.expires_ms, owner->first});
  bytes_ -= owner->second.bytes;
  orders_.erase(owner->second.locks.order());
  owners_.erase(owner);
}

void LockService::Release(Owners::iterator owner, std::uint64_t now_ms) {
  if (owner->second.waiting) {
    Waiting ended = EndWait(owner, now_ms);
    Reply(std::move(ended.from), ended.request,
          MakeError(ErrorCode::kTransactionNotFound, "the transaction has ended"));
  }
  const auto granted = manager_.Release(owner->second.locks);
  ForgetIfIdle(owner);
  OnGranted(granted, now_ms);
}

void LockService::DropAll(const Error& error) {
  // Answers on their way are of locks that are gone.
  for (auto& answer : answers_) {
    if (answer.error.ok()) answer.error = error;
  }
  waiting_.clear();
  wait_deadlines_.clear();
  hold_deadlines_.clear();
  orders_.clear();
  for (auto& [name, owner] : owners_) {
    (void)manager_.Release(owner.locks);  // whoever is granted by it is released in its turn
    if (!owner.waiting) continue;
    Reply(std::move(owner.waiting->from), owner.waiting->request, error);
  }
  owners_.clear();
  bytes_ = 0;
  for (const auto& answer : answers_) bytes_ += answer.query.size();
}

// ---- Answers

void LockService::Reply(std::string to, RequestId request, Error error, Bytes query) {
  bytes_ += query.size();
  answers_.push_back({std::move(to), request, std::move(error), std::move(query)});
}

LockService::Answer LockService::TakeAnswer() {
  Answer answer = std::move(answers_.front());
  answers_.pop_front();
  bytes_ -= answer.query.size();
  return answer;
}

std::optional<std::uint64_t> LockService::NextDeadline() const {
  std::optional<std::uint64_t> next;
  if (!wait_deadlines_.empty()) next = wait_deadlines_.begin()->first;
  if (!hold_deadlines_.empty() && (!next || hold_deadlines_.begin()->first < *next)) {
    next = hold_deadlines_.begin()->first;
  }
  return next;
}

std::size_t LockService::size() const {
  return manager_.locked_keys() + manager_.locked_ranges() + manager_.waiting();
}

}  // namespace bedrock::storage
