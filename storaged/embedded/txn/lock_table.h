#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bedrock/status.h"
#include "common/base/spinning_mutex.h"
#include "common/base/thread_annotations.h"
#include "common/env/clock.h"
#include "common/env/waiter.h"
#include "storaged/txn/lock_manager.h"

namespace bedrock::embedded {

using txn::LockMode;

/// The locks of a database: txn::LockManager, which says who gets what, for threads that wait.
/// Whoever waits is woken by its own outcome alone.
///
/// Any thread; an owner is used by one at a time. Executor and clock are borrowed.
class LockTable {
 public:
  using DetectDeadlock = txn::LockManager::DetectDeadlock;

  /// Who holds locks: a transaction. Younger ones have larger ids. ReleaseAll it before it goes.
  class Owner {
   public:
    explicit Owner(LockTable& table)
        : locks_({.order = table.last_id_.fetch_add(1, std::memory_order_relaxed) + 1,
                  .began_ms = table.clock_.MonotonicMs()}) {}
    std::uint64_t id() const { return locks_.order(); }

   private:
    friend class LockTable;
    txn::LockOwner locks_;  // guarded by the table's mutex
  };

  LockTable(Executor& executor, const Clock& clock) : executor_(executor), clock_(clock) {}
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  /// How to wait.
  struct Patience {
    std::uint64_t timeout_us;
    DetectDeadlock detect_deadlock;
  };

  /// Gives the lock, waiting for it where needed; at once where the owner has as much already.
  /// timed_out, which names the key and who is in the way, since when. deadlock: the owner is the
  /// youngest of a cycle, which the message names. aborted: the table was closed. busy: too many
  /// locks of one owner.
  Status LockKey(Owner& owner, std::string_view key, LockMode mode, const Patience& patience)
      EXCLUDES(mutex_);
  /// All keys in [begin, end), also those that do not exist; an empty `end` is unbounded.
  /// REQUIRES: the range is not empty.
  Status LockRange(Owner& owner, std::string_view begin, std::string_view end, LockMode mode,
                   const Patience& patience) EXCLUDES(mutex_);
  /// Gives back all locks of the owner.
  void ReleaseAll(Owner& owner) EXCLUDES(mutex_);

  /// Everybody who waits, and will wait, is aborted.
  void Close() EXCLUDES(mutex_);

  /// Keys and ranges that are locked, and requests that wait; 0 when nobody holds anything.
  std::size_t size() const EXCLUDES(mutex_);
  std::size_t waiting() const EXCLUDES(mutex_);

 private:
  /// Somebody who waits. Shared: it is woken when the mutex is free again, and may be gone by then.
  struct Wait {
    explicit Wait(Executor& executor) : waiter(executor) {}
    Waiter waiter;
    /// Set once, by whoever ends the wait, under the table's mutex; then `over` says that it may be
    /// read.
    std::optional<Status> outcome;
    std::atomic<bool> over = false;
  };
  using Waits = std::vector<std::shared_ptr<Wait>>;

  Status Lock(Owner& owner, const txn::LockSpan& span, LockMode mode, const Patience& patience)
      EXCLUDES(mutex_);
  /// Asks, and tells others what comes of it. Nullopt: it is in waits_ now, under `request`.
  std::optional<Status> Ask(Owner& owner, const txn::LockSpan& span, LockMode mode,
                            DetectDeadlock detect, txn::LockRequestId* request) REQUIRES(mutex_);
  /// The patience of who waits has come to its end.
  void GiveUp(txn::LockRequestId request, const Wait& wait) EXCLUDES(mutex_);
  void EndWait(txn::LockRequestId request, Status outcome) REQUIRES(mutex_);
  void EndGranted(const std::vector<txn::LockRequestId>& granted) REQUIRES(mutex_);
  /// Apart from ending them: a thread that is woken while the mutex is held runs into it.
  static void Wake(const Waits& ended);

  Executor& executor_;
  const Clock& clock_;
  std::atomic<std::uint64_t> last_id_ = 0;
  mutable SpinningMutex mutex_;
  bool closed_ GUARDED_BY(mutex_) = false;
  txn::LockManager locks_ GUARDED_BY(mutex_);
  /// By request.
  std::unordered_map<std::uint64_t, std::shared_ptr<Wait>> waits_ GUARDED_BY(mutex_);
  Waits ended_ GUARDED_BY(mutex_);  ///< For whoever has the mutex to be woken after it.
};

}  // namespace bedrock::embedded
