#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/errors.h"
#include "proto/storage_messages.h"
#include "storaged/txn/lock_manager.h"

namespace bedrock::storage {

inline constexpr std::size_t kLocksPerTransactionMax = 100'000;
/// Held, waited for, and answers that nobody took yet, of all together.
inline constexpr std::size_t kLocksMax = 1'000'000;
inline constexpr std::size_t kLockOwnersMax = 131'072;    ///< Transactions.
inline constexpr std::size_t kLockBytesMax = 256 * kMiB;  ///< Of their keys and queries.
inline constexpr std::uint64_t kLockHoldMsMax = 60'000;
inline constexpr std::uint64_t kLockWaitMsMax = 60'000;

/// The locks of pessimistic transactions, on the leader's storaged: txn::LockManager with names,
/// deadlines, terms and bounds around it. Locks spare work; they are never replicated nor written,
/// and no result depends on them: commits are certified.
///
///   Lock ──► granted ─────────────────────────► answered; held until Unlock, expiry, a later term
///     │         ▲
///     └─► waits ┴─► its deadline, a deadlock, a later term, another wish: answered with an error
///
/// A transaction waits for one lock at a time. One that asks again for what it waits for keeps its
/// place and its first deadline; the newest request is answered. One that asks for something else
/// has given up the first. Each of its requests lets it keep its locks for another hold time, which
/// does not run while it waits; one that holds nothing and waits for nothing is forgotten.
///
/// Locks are those of one term: with a later one (in a Lock, or in what is applied) all are gone,
/// since another leader may have given others.
///
/// Answers wait to be taken, so that who takes them can read under the lock. Time comes in, in
/// milliseconds of a monotonic clock. One thread.
class LockService {
 public:
  struct Request {
    std::string from;  ///< Routing id of who asked.
    RequestId request;
    NodeId node;  ///< Whose router that is.
    proto::Lock lock;
    std::uint64_t wait_ms = 0;  ///< 0: kLockWaitMsMax, which is also the most.
  };
  /// To a request. Its lock is held where `error` is kOk, and `query` (empty: none) to be answered.
  struct Answer {
    std::string to;
    RequestId request;
    proto::Error error;
    Bytes query;
  };

  explicit LockService(Term term);
  ~LockService();
  LockService(const LockService&) = delete;
  LockService& operator=(const LockService&) = delete;

  void Lock(Request request, std::uint64_t now_ms);
  /// Gives back all that the transaction holds and ends its waiting, which is answered.
  void Unlock(const proto::TransactionName& transaction, std::uint64_t now_ms);
  /// This term is known of: where it is a later one, all locks are gone.
  void Advance(Term term);
  /// Ends waits and holds whose time has come.
  void Expire(std::uint64_t now_ms);
  /// Gives up everything: waits end with `error`, and so does all that comes.
  void Stop(proto::Error error);

  bool has_answers() const { return !answers_.empty(); }
  /// The next answer. REQUIRES: has_answers().
  Answer TakeAnswer();
  /// When to Expire.
  std::optional<std::uint64_t> NextDeadline() const;
  /// Keys and ranges locked or waited for.
  std::size_t size() const;
  std::size_t owners() const { return owners_.size(); }

 private:
  struct Waiting {
    txn::LockRequestId id;
    std::string from;
    RequestId request;
    proto::LockMode mode = proto::LockMode::kShared;
    proto::LockRange what;
    Bytes query;
    std::uint64_t deadline_ms = 0;
  };
  struct Owner {
    explicit Owner(txn::LockOwner::Identity identity) : locks(std::move(identity)) {}
    txn::LockOwner locks;
    std::uint64_t hold_ms = 0;
    std::uint64_t expires_ms = 0;    // while it does not wait
    std::size_t bytes = 0;           // of what it holds
    std::optional<Waiting> waiting;  // answered once it ends
  };
  using Owners = std::map<proto::TransactionName, Owner>;
  using Deadlines = std::set<std::pair<std::uint64_t, proto::TransactionName>>;

  /// Why the request can't be looked at; kOk: it can.
  proto::Error Check(const Request& request) const;
  Owners::iterator OwnerOf(const Request& request, std::uint64_t now_ms);
  std::uint64_t OrderOf(std::uint64_t begun_ms);
  void Acquire(Owners::iterator owner, Request request, std::uint64_t now_ms);
  void BeginWait(Owners::iterator owner, Request request, txn::LockRequestId id,
                 std::uint64_t now_ms);
  /// Takes the wait from its owner, who may be waiting no more.
  Waiting EndWait(Owners::iterator owner, std::uint64_t now_ms);
  /// Ends a wait that nothing has ended yet.
  void GiveUp(Owners::iterator owner, proto::Error error, std::uint64_t now_ms);
  void OnGranted(const std::vector<txn::LockRequestId>& granted, std::uint64_t now_ms);
  void OnDeadlock(const txn::Deadlock& deadlock, std::uint64_t now_ms);
  void Hold(Owner& owner, std::size_t locks_before, const proto::LockRange& what);
  void Keep(Owners::iterator owner, std::uint64_t now_ms);
  void ForgetIfIdle(Owners::iterator owner);
  void Release(Owners::iterator owner, std::uint64_t now_ms);
  void DropAll(const proto::Error& error);
  void Reply(std::string to, RequestId request, proto::Error error, Bytes query = Bytes());

  txn::LockManager manager_;
  Owners owners_;
  std::set<std::uint64_t> orders_;  // of the owners
  std::map<txn::LockRequestId, proto::TransactionName> waiting_;
  Deadlines wait_deadlines_;  // of those who wait
  Deadlines hold_deadlines_;  // of the others
  std::size_t bytes_ = 0;     // of what is held, of waits and of answers
  Term term_;
  std::optional<proto::Error> stopped_;
  std::deque<Answer> answers_;
};

}  // namespace bedrock::storage
