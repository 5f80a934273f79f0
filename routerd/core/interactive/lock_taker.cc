#include "routerd/core/interactive/lock_taker.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "routerd/core/base/backoff.h"
#include "routerd/core/base/request_ids.h"
#include "routerd/core/requests/result_errors.h"

namespace bedrock::router {
namespace {

using proto::Error;
using proto::ErrorCode;

constexpr std::uint64_t kBytesOfLock = 96;  // of a node of the map, roughly

/// Whether the refusal is about this storaged at this moment, so that asking again makes sense.
bool IsPassing(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotLeader:
    case ErrorCode::kNoLeader:
    case ErrorCode::kStorageUnavailable:
    case ErrorCode::kShuttingDown:
    case ErrorCode::kOverloaded:
    case ErrorCode::kDeadlineExceeded:
      return true;
    default:
      return false;
  }
}

void Explain(const LockWish& wish, std::uint64_t lock_timeout_ms, Error* error) {
  if (error->key.empty()) error->key = std::string(wish.what.key.view());
  if (!error->detail.empty()) return;
  const std::string what = (wish.what.is_range ? "a range from " : "") + QuotedKey(error->key);
  const std::string by = error->blocked_by.empty() ? "" : ": " + error->blocked_by + " holds it";
  if (error->code == ErrorCode::kLockTimeout) {
    error->detail = "the lock on " + what + " was not given within " +
                    std::to_string(lock_timeout_ms) + " ms" + by;
  } else if (error->code == ErrorCode::kDeadlock) {
    error->detail =
        "the transaction and others wait for one another's locks, and it began last; "
        "it waited for " +
        what + by;
  } else if (error->code == ErrorCode::kTransactionTooLarge) {
    error->detail = "the transaction would hold too many locks";
  }
}

}  // namespace

LockTaker::LockTaker(const CoreOptions& options, const proto::TransactionName& name,
                     std::uint64_t begun_wall_ms, std::uint64_t lock_timeout_ms)
    : options_(options),
      name_(name),
      begun_wall_ms_(begun_wall_ms),
      lock_timeout_ms_(lock_timeout_ms) {}

LockTaker::What LockTaker::WhatOf(const proto::LockRange& range) {
  return {std::string(range.key.view()), std::string(range.end.view()), range.is_range};
}

bool LockTaker::Holds(const LockWish& wish) const {
  const auto found = held_.find(WhatOf(wish.what));
  return found != held_.end() &&
         (found->second == proto::LockMode::kExclusive || wish.mode == proto::LockMode::kShared);
}

void LockTaker::Hold(const LockWish& wish) {
  const auto [lock, is_new] = held_.emplace(WhatOf(wish.what), wish.mode);
  if (is_new) bytes_ += kBytesOfLock + wish.what.key.size() + wish.what.end.size();
  if (wish.mode == proto::LockMode::kExclusive) lock->second = wish.mode;
}

void LockTaker::ForgetLocks() {
  held_.clear();
  bytes_ = 0;
}

void LockTaker::Begin(std::vector<LockWish> wishes, Bytes query, Version least,
                      std::uint64_t deadline_ms) {
  CHECK(!asking_ && !wishes.empty());
  asking_ = true;
  wishes_ = std::move(wishes);
  next_ = 0;
  query_ = std::move(query);
  least_ = least;
  deadline_ms_ = deadline_ms;
  sent_ = false;
  wake_ms_ = 0;
  tries_ = 0;
  first_attempt_ = attempt_ + 1;
  failure_ = Error();
}

void LockTaker::SkipHeld() {
  while (next_ < wishes_.size() && Holds(wishes_[next_])) {
    if (!query_.empty() && next_ + 1 == wishes_.size()) return;  // it is read under this one
    ++next_;
  }
}

LockTaker::Progress LockTaker::Finish(Progress::Kind kind) {
  Stop();
  Progress progress;
  progress.kind = kind;
  return progress;
}

LockTaker::Progress LockTaker::Drive(SlotHandle handle, const LeaderCache::Leader& leader,
                                     std::uint64_t now_ms, Effects* effects) {
  const bool moved = leader.node && leader != at_;
  if (moved) ForgetLocks();
  if (!asking_) {
    if (held_.empty() || now_ms < refresh_ms_) return {};
    refresh_ms_ = now_ms + kRefreshMs;
    const auto& [what, mode] = *held_.begin();
    const auto& [key, end, is_range] = what;
    const LockWish wish{{Bytes::Copy(key), Bytes::Copy(end), is_range}, mode};
    Send(handle, 0, wish, Bytes(), kRefreshMs, effects);
    return {};
  }
  if (moved) {
    at_ = leader;
    next_ = 0;
    sent_ = false;
    wake_ms_ = 0;
    tries_ = 0;
    first_attempt_ = attempt_ + 1;
  }
  if (!sent_) SkipHeld();
  if (next_ == wishes_.size()) return Finish(Progress::Kind::kDone);
  if (now_ms >= deadline_ms_ || now_ms < wake_ms_) return {};
  if (!leader.node) {
    wake_ms_ = now_ms + options_.retry_ms_max;
    return {};
  }
  sent_ = true;
  ++attempt_;
  if (attempt_ % kAttemptsMax == 0) ++attempt_;  // 0 is the refreshing one
  ++tries_;
  const std::uint64_t timeout_ms = std::min(lock_timeout_ms_, deadline_ms_ - now_ms);
  std::uint64_t patience_ms =
      Doubling(options_.write_attempt_ms, 4 * options_.write_attempt_ms, tries_ - 1);
  // Not in the moment in which the wait ends: that would begin another one.
  if (timeout_ms <= patience_ms) patience_ms = timeout_ms + options_.read_attempt_ms;
  wake_ms_ = now_ms + patience_ms;
  refresh_ms_ = now_ms + kRefreshMs;
  const bool is_last = next_ + 1 == wishes_.size();
  Send(handle, attempt_, wishes_[next_], is_last ? query_ : Bytes(), timeout_ms, effects);
  return {};
}

void LockTaker::Send(SlotHandle handle, std::uint32_t attempt, const LockWish& wish,
                     const Bytes& query, std::uint64_t timeout_ms, Effects* effects) const {
  proto::Lock lock;
  lock.transaction = name_;
  lock.begun_ms = begun_wall_ms_;
  lock.hold_ms = kHoldMs;
  lock.term = at_.term;
  lock.mode = wish.mode;
  lock.what = wish.what;
  lock.query = query;
  router::Send send;
  send.node = at_.node;
  send.daemon = Daemon::kStoraged;
  send.request = MakeRequestId({RequestKind::kLock, handle, attempt});
  send.timeout_ms = static_cast<std::uint32_t>(timeout_ms);
  send.message = std::move(lock);
  effects->sends.push_back(std::move(send));
}

bool LockTaker::IsCurrent(std::uint32_t attempt) const {
  if (!asking_ || attempt == 0) return false;
  const std::uint32_t back = (attempt_ - attempt) % kAttemptsMax;
  return attempt_ >= first_attempt_ && back <= attempt_ - first_attempt_;
}

void LockTaker::Pause(std::uint64_t now_ms) {
  sent_ = false;
  wake_ms_ = now_ms + Doubling(options_.retry_ms_min, options_.retry_ms_max, tries_);
}

LockTaker::Progress LockTaker::OnReply(NodeId from, std::uint32_t attempt, proto::LockReply reply,
                                       std::uint64_t now_ms) {
  if (from != at_.node || !IsCurrent(attempt)) return {};
  if (!reply.error.ok()) {
    if (IsPassing(reply.error.code)) {
      OnFailed(attempt, reply.error, now_ms);
      return {};
    }
    Explain(wishes_[next_], lock_timeout_ms_, &reply.error);
    const bool deadlock = reply.error.code == ErrorCode::kDeadlock;
    Progress failed = Finish(deadlock ? Progress::Kind::kDeadlock : Progress::Kind::kStepFailed);
    failed.error = std::move(reply.error);
    failed.served_by = from;
    return failed;
  }
  Hold(wishes_[next_]);
  const bool is_last = next_ + 1 == wishes_.size();
  if (is_last && !query_.empty() && reply.read_version < least_) {
    // The lock is there, but this storaged has not yet applied what was committed before the
    // transaction began.
    Pause(now_ms);
    return {};
  }
  ++next_;
  sent_ = false;
  wake_ms_ = 0;
  tries_ = 0;
  first_attempt_ = attempt_ + 1;
  if (!is_last) return {};
  Progress done = Finish(Progress::Kind::kDone);
  done.result = std::move(reply.result);
  done.read_version = reply.read_version;
  done.served_by = from;
  return done;
}

void LockTaker::OnFailed(std::uint32_t attempt, const Error& error, std::uint64_t now_ms) {
  if (!sent_ || !IsCurrent(attempt) || attempt != attempt_ % kAttemptsMax) return;
  failure_ = error;
  Pause(now_ms);
}

void LockTaker::Stop() {
  asking_ = false;
  wishes_.clear();
  query_ = Bytes();
}

void LockTaker::Unlock(Effects* effects) {
  Stop();
  ForgetLocks();
  if (!at_.node) return;
  router::Send send;
  send.node = at_.node;
  send.daemon = Daemon::kStoraged;
  send.message = proto::Unlock{name_};
  effects->sends.push_back(std::move(send));
}

std::uint64_t LockTaker::wake_ms() const {
  if (asking_) return std::min(deadline_ms_, wake_ms_);
  return held_.empty() ? kNever : refresh_ms_;
}

}  // namespace bedrock::router
