#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/status.h"
#include "common/base/thread_annotations.h"
#include "common/base/typed_bool.h"
#include "common/env/waiter.h"

namespace bedrock::embedded {

enum class LockMode : std::uint8_t { kShared, kExclusive };

/// Locks on keys and on ranges of keys, for pessimistic transactions: shared ones go together, an
/// exclusive one only with those of its own holder. They spare work and give order to those who
/// want the same; that commits are serializable does not depend on them.
///
/// Requests that exclude each other are granted in the order they were made (FIFO), but for a
/// holder's wish for more (shared to exclusive), which goes before those that wait. Whoever waits
/// is woken by its own outcome alone.
///
/// Cycles of waiting owners are looked for when somebody begins to wait, for nothing else can close
/// one: a walk through the graph of who waits for whom, made of the requests as they are.
///
/// Any thread; an owner is used by one at a time.
class LockTable {
 public:
  /// Who holds locks: a transaction. Younger ones have larger ids.
  class Owner;
  using DetectDeadlock = TypedBool<struct DetectDeadlockTag>;
  struct Request;

  /// No owner has more locks.
  static constexpr std::size_t kLocksMax = 1'000'000;

  explicit LockTable(Executor& executor) : executor_(executor) {}
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  /// How to wait.
  struct Patience {
    std::uint64_t timeout_us;
    DetectDeadlock detect_deadlock;
  };

  /// Gives the lock, waiting for it where needed; at once where the owner has as much already.
  /// timed_out. deadlock: the owner is the youngest of a cycle, which the message names. aborted:
  /// the table was closed. busy: kLocksMax.
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

  /// Keys and ranges that are locked or waited for; 0 when nobody holds anything.
  std::size_t size() const EXCLUDES(mutex_);
  std::size_t waiting() const EXCLUDES(mutex_);

  class Owner {
   public:
    explicit Owner(LockTable& table) : id_(table.NewId()) {}
    std::uint64_t id() const { return id_; }

   private:
    friend class LockTable;
    const std::uint64_t id_;
    // Guarded by the table's mutex.
    std::vector<std::string> keys_;
    std::size_t ranges_ = 0;
    Request* waits_for_ = nullptr;
  };

 private:
  struct Holder {
    Owner* owner;
    LockMode mode;
  };
  struct RangeLock {
    std::string begin;
    std::string end;  ///< Empty: unbounded.
    Holder holder;
  };
  using Holders = std::vector<Holder>;

  std::uint64_t NewId() EXCLUDES(mutex_);
  Status Lock(Request& request, const Patience& patience) EXCLUDES(mutex_);
  bool HasAlready(const Request& request) const REQUIRES(mutex_);
  /// Whom the request has to wait for; stops at the first one with `first_only`.
  using FirstOnly = TypedBool<struct FirstOnlyTag>;
  std::vector<Owner*> Blockers(const Request& request, FirstOnly first_only) const REQUIRES(mutex_);
  void Grant(const Request& request) REQUIRES(mutex_);
  void GrantWaiting() REQUIRES(mutex_);
  /// Ends the youngest of each cycle that `request` closes.
  void BreakDeadlocks(Request& request) REQUIRES(mutex_);
  std::vector<Owner*> FindCycle(Owner& start) const REQUIRES(mutex_);
  void EndWait(Request& request, Status why) REQUIRES(mutex_);

  Executor& executor_;
  mutable Mutex mutex_;
  std::uint64_t last_id_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
  std::map<std::string, Holders, std::less<>> keys_ GUARDED_BY(mutex_);
  std::list<RangeLock> ranges_ GUARDED_BY(mutex_);
  std::list<Request*> waiting_ GUARDED_BY(mutex_);  ///< In the order they came.
};

}  // namespace bedrock::embedded
