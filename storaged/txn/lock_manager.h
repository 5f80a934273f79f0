#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/typed_bool.h"
#include "storaged/txn/lock_report.h"
#include "storaged/txn/lock_span.h"
#include "storaged/txn/span_index.h"

namespace bedrock::txn {

class LockOwner;

/// The table of who has and who wants locks on keys and ranges of keys: shared ones go together, an
/// exclusive one only with those of its own owner. It decides; to wait, to wake and to give up
/// after a while is its user's business. Safety does not depend on it (commits are certified):
/// locks spare work and give order to those who want the same.
///
///   Acquire ──► granted ─────────────────────────────────────────────► Release
///      │                      ▲ told by whatever ended what was in the way
///      └──► waits, has an id ─┤
///                             └─► Cancel (a timeout), or the victim of a Deadlock: no lock
///
/// Order. A request waits for those that hold what excludes it, and for those that wait before it
/// and exclude it: first come, first served (FIFO). One whose owner holds a lock on any part of the
/// span already (shared, and wants exclusive; a key, and wants the range around it) waits for
/// holders only: it goes before those that wait, who would wait for its owner anyway, and so never
/// waits for itself.
///
/// Deadlocks are looked for when somebody begins to wait, for nothing else can close a ring in the
/// graph of who waits for whom; the youngest owner of the ring ceases to wait, and goes on until
/// there is no ring. What the victim holds stays until its user Releases it.
///
/// Cost, with n locks and queues (a queue is all that wait for one key, or for one range), b of
/// them overlapping what a call is about: Acquire O(log n + b), where nobody waits nor any range is
/// locked one look-up; Release of h locks O(h + min(h log n, queues)) and O(log n + b) for the
/// front of each queue it looks at, not for those behind it; Cancel as the release of one lock. A
/// ring is searched only for those who hold something, over what can be reached from there, along a
/// queue each once. Memory: what is held and waited for, nothing else.
///
/// One thread. No clock: callers say what time it is, in milliseconds of any clock that does not go
/// back.
class LockManager {
 public:
  struct Bounds {
    std::size_t locks_per_owner_max = 1'000'000;  ///< Beyond it: kTooManyLocks.
  };
  using DetectDeadlock = TypedBool<struct DetectDeadlockTag>;

  struct Acquisition {
    enum class Outcome : std::uint8_t {
      kGranted,
      kWaits,         ///< Until its id is among those granted, or a victim's.
      kDeadlock,      ///< It was the victim itself: of the last of `deadlocks`.
      kTooManyLocks,  ///< Nothing was done.
    };
    Outcome outcome = Outcome::kGranted;
    LockRequestId request;               ///< Of kWaits.
    std::vector<Deadlock> deadlocks;     ///< Which it closed; their victims wait no more.
    std::vector<LockRequestId> granted;  ///< Others', since victims wait no more; in FIFO order.
  };

  LockManager() : bounds_() {}
  explicit LockManager(const Bounds& bounds) : bounds_(bounds) {}
  ~LockManager();
  LockManager(const LockManager&) = delete;
  LockManager& operator=(const LockManager&) = delete;

  /// Granted at once also where the owner has as much already. REQUIRES: the owner does not wait.
  Acquisition Acquire(LockOwner& owner, const LockSpan& span, LockMode mode, std::uint64_t now_ms,
                      DetectDeadlock detect = DetectDeadlock::kYes);
  /// Gives back all that the owner holds, and ends its wait. Gives those granted now, in the order
  /// they asked.
  std::vector<LockRequestId> Release(LockOwner& owner);
  /// Ends a wait; the owner keeps what it holds. Gives those granted now, that only waited behind
  /// it. Nothing where `request` does not wait.
  std::vector<LockRequestId> Cancel(LockRequestId request);

  /// What a request waits for; nullopt where it does not wait.
  std::optional<LockWait> Describe(LockRequestId request, std::uint64_t now_ms) const;

  std::size_t locked_keys() const { return keys_.size(); }
  std::size_t locked_ranges() const { return ranges_.size(); }
  std::size_t waiting() const { return requests_.size(); }

 private:
  friend class LockOwner;

  /// All holders of a key have the same mode; an exclusive one is alone.
  struct KeyLock {
    LockMode mode = LockMode::kShared;
    LockOwner* first = nullptr;
    std::vector<LockOwner*> others;

    bool HeldBy(const LockOwner& owner) const;
    void Remove(const LockOwner& owner);
  };
  using Keys = std::map<std::string, KeyLock, std::less<>>;

  struct RangeLock : SpanIndex::Entry {
    RangeLock(const LockSpan& span, std::uint64_t number, LockOwner& by, LockMode with)
        : Entry(span, number), owner(by), mode(with) {}
    LockOwner& owner;
    const LockMode mode;
  };

  struct Wish {
    LockOwner& owner;
    LockSpan span;
    LockMode mode;
    bool upgrade;          ///< Its owner holds a part: waits for holders only.
    std::uint64_t number;  ///< In the order of asking.

    bool GoesBefore(const Wish& other) const {
      return upgrade != other.upgrade ? upgrade : number < other.number;
    }
  };
  struct WaitQueue;
  struct Request {
    LockOwner& owner;
    WaitQueue& queue;
    const LockMode mode;
    const bool upgrade;
    const std::uint64_t number;
    const std::uint64_t since_ms;

    LockRequestId id() const { return LockRequestId(number); }
    LockSpan span() const { return queue.span(); }
    Wish wish() const { return {owner, span(), mode, upgrade, number}; }
  };
  struct InOrder {
    bool operator()(const Request* a, const Request* b) const {
      return a->wish().GoesBefore(b->wish());
    }
  };
  /// All that wait for the same span.
  struct WaitQueue : SpanIndex::Entry {
    using Entry::Entry;
    std::set<Request*, InOrder> requests;
  };
  struct Blocking {
    LockOwner& owner;
    LockSpan span;
    LockMode mode;
    const Request* waits;  ///< Null: it holds.
  };

  bool HasAlready(const Wish& wish) const;
  bool HoldsPart(const LockOwner& owner, const LockSpan& span) const;
  /// visit(Blocking) for everything in the wish's way, until it gives false.
  template <typename Visit>
  void VisitBlockers(const Wish& wish, const Visit& visit) const;
  bool IsBlocked(const Wish& wish) const;

  /// Whether nobody else can have anything to say; it is granted then.
  bool GrantFree(LockOwner& owner, const LockSpan& span, LockMode mode);
  void Grant(const Wish& wish);
  Request& BeginWait(const Wish& wish, std::uint64_t now_ms);
  WaitQueue& QueueFor(const LockSpan& span);
  /// It is no request any more then.
  void EndWait(Request& request);
  /// Of those that wait for something in `span`, all that may have nothing in their way.
  using Candidates = std::vector<Request*>;
  void AddCandidates(const LockSpan& span, Candidates& candidates) const;
  static void AddFront(const WaitQueue& queue, Candidates& candidates);
  std::vector<LockRequestId> GrantAmong(Candidates candidates);

  void BreakDeadlocks(LockRequestId asking, std::uint64_t now_ms, Acquisition& acquisition);
  /// From `start` on, each waits for the next and the last for `start`; empty: there is no ring.
  std::vector<LockOwner*> FindCycle(LockOwner& start) const;
  LockWait Describe(const Request& request, std::uint64_t now_ms) const;

  const Bounds bounds_;
  std::uint64_t last_number_ = 0;
  Keys keys_;
  std::list<RangeLock> ranges_;
  SpanIndex range_index_;
  std::unordered_map<std::uint64_t, Request> requests_;  ///< By number.
  std::unordered_map<std::uint64_t, WaitQueue> queues_;  ///< By their entry's; none is empty.
  SpanIndex queue_index_;
};

/// Who holds locks: a transaction. Waits for one thing at a time. Stays where it is while it holds
/// or waits; Release it before it goes.
class LockOwner {
 public:
  struct Identity {
    /// Younger ones have larger orders; no two the same.
    std::uint64_t order;
    std::uint64_t began_ms = 0;
    std::string name = {};  ///< Empty: "transaction " and the order.
  };

  explicit LockOwner(Identity identity) : identity_(std::move(identity)) {}
  ~LockOwner();
  LockOwner(const LockOwner&) = delete;
  LockOwner& operator=(const LockOwner&) = delete;

  std::uint64_t order() const { return identity_.order; }
  std::string name() const;
  std::size_t locks() const { return keys_.size() + ranges_.size(); }
  bool waits() const { return waits_for_ != nullptr; }

 private:
  friend class LockManager;

  const Identity identity_;
  std::vector<LockManager::Keys::iterator> keys_;
  std::vector<std::list<LockManager::RangeLock>::iterator> ranges_;
  LockManager::Request* waits_for_ = nullptr;
};

}  // namespace bedrock::txn
