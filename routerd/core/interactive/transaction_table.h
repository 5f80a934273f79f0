#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "proto/errors.h"
#include "proto/storage_messages.h"
#include "routerd/core/base/request_ids.h"
#include "routerd/core/base/slot_table.h"
#include "routerd/core/base/timer_wheel.h"
#include "routerd/core/base/types.h"
#include "routerd/core/cluster/node_table.h"
#include "routerd/core/interactive/ended_transactions.h"
#include "routerd/core/interactive/lock_taker.h"
#include "routerd/core/interactive/read_set.h"
#include "routerd/core/interactive/transaction_id.h"
#include "routerd/core/interactive/transaction_step.h"
#include "routerd/core/interactive/transaction_writes.h"
#include "routerd/core/requests/read_ledger.h"
#include "routerd/core/requests/write_ledger.h"

namespace bedrock::router {

/// The interactive transactions that this router holds. Nothing of one is anywhere else but its
/// locks, so that nothing needs to be undone when it ends or its router dies.
///
///              read index                       kCommit
///   beginning ────────────► open ◄──► in a step ────────► committing ──► ended: committed, refused
///                             │           │                   │
///                             │           │                   └─► open again, where the command
///                             was │           │                       never proposed
///                             └───────────┴──► ended: rolled back, out of time, deadlock, shutdown
///
/// Reads of an optimistic or read-only transaction are queries at the read index of its beginning;
/// those of a pessimistic one are made under its locks, at whatever is newest then. Own writes go
/// in front of a query as operations. What was read, at which version, and what was written makes
/// the one command of the commit, which is refused unless all that was read is still so: isolation
/// rests on that alone.
///
/// The steps of one transaction run one after the other in the order of their coming. A commit
/// whose client has run out of patience stays in flight for kCommitPatienceMs, so that its outcome
/// becomes known to whoever asks again.
///
/// Pure; one thread. Borrows all that it is made of. What it asks the ledgers comes back through
/// OnCompletion: completions of tickets of Front::kCore with an id that is not 0.
class TransactionTable {
 public:
  static constexpr std::uint64_t kTimeoutMsDefault = 30'000;
  static constexpr std::uint64_t kTimeoutMsMax = 300'000;
  static constexpr std::uint64_t kIdleTimeoutMsDefault = 10'000;
  static constexpr std::uint64_t kIdleTimeoutMsMax = 60'000;
  static constexpr std::uint64_t kLockTimeoutMsDefault = 1'000;
  static constexpr std::uint64_t kLockTimeoutMsMax = 60'000;
  static constexpr std::size_t kStepsMax = 64;  ///< That wait, of one transaction.
  static constexpr std::uint64_t kCommitPatienceMs = 60'000;

  TransactionTable(const CoreOptions& options, NodeTable& nodes, ReadLedger& reads,
                   WriteLedger& writes);

  void Begin(TransactionStep step, std::uint64_t now_ms, Effects* effects);
  /// A step of the transaction of this number of this router's life.
  void Step(std::uint64_t number, TransactionStep step, std::uint64_t now_ms, Effects* effects);

  void OnCompletion(Completion completion, std::uint64_t now_ms, Effects* effects);
  void OnLockReply(NodeId from, const RequestName& name, proto::LockReply reply,
                   std::uint64_t now_ms, Effects* effects);
  void OnLockFailed(const RequestName& name, const proto::Error& error, std::uint64_t now_ms);

  /// Time-outs, and locks that are to be asked for.
  void Advance(std::uint64_t now_ms, Effects* effects);
  /// Ends every transaction that is not being committed; none begins from here on.
  void Shutdown(std::uint64_t now_ms, Effects* effects);

  std::size_t open() const { return transactions_.size(); }
  std::size_t locks_waited_for() const { return locking_; }
  /// Of those that read at the version of their beginning; none: there are none.
  std::optional<Version> OldestReadVersion();

 private:
  using Action = proto::ClientTransaction::Action;
  enum class Phase : std::uint8_t { kIdle, kIndex, kQuery, kLocks, kCommit };

  struct Transaction {
    Transaction(std::uint64_t its_number, LockTaker its_locks)
        : number(its_number), locks(std::move(its_locks)) {}

    const std::uint64_t number;
    SlotHandle handle;
    proto::TransactionOptions options;
    std::uint64_t deadline_ms = 0;
    std::uint64_t idle_from_ms = 0;
    std::uint64_t scheduled_ms = LockTaker::kNever;  // the earliest timer that is set
    Version read_version;
    TransactionWrites writes;
    ReadSet reads;
    LockTaker locks;
    std::uint64_t accounted = 0;  // in bytes_
    std::uint64_t step_bytes = 0;

    Phase phase = Phase::kIdle;
    std::optional<TransactionStep> running;  // none in kCommit: nobody waits any more
    std::deque<TransactionStep> waiting;
    StepPlan plan;            // of `running`, in kQuery and kLocks
    std::size_t own = 0;      // operations of the query in front of the plan's
    std::uint16_t asked = 0;  // counts what the ledgers were asked, to know late completions
    SlotHandle commit;        // in kCommit: in the ledger of writes

    bool takes_locks() const {
      return options.mode == proto::TransactionMode::kPessimistic && !options.read_only;
    }
  };

  Transaction* Find(SlotHandle handle);
  TransactionId IdOf(const Transaction& transaction) const;
  Ticket AskAs(Transaction* transaction);
  void SetPhase(Transaction* transaction, Phase phase);
  void Account(Transaction* transaction);
  void Schedule(Transaction* transaction, std::uint64_t now_ms);
  std::uint64_t WakeOf(const Transaction& transaction) const;

  proto::Error CheckBegin(const proto::TransactionOptions& options) const;
  proto::Error Admit(const Transaction& transaction, const TransactionStep& step) const;

  /// Runs steps until one has to wait for somebody. The transaction may be gone after it.
  void Run(SlotHandle handle, std::uint64_t now_ms, Effects* effects);
  void RunOne(Transaction* transaction, std::uint64_t now_ms, Effects* effects);
  void Execute(Transaction* transaction, std::uint64_t now_ms, Effects* effects);
  void Ask(Transaction* transaction, std::uint64_t now_ms, Effects* effects);
  void AskUnderLocks(Transaction* transaction, std::uint64_t now_ms, Effects* effects);
  void DriveLocks(Transaction* transaction, std::uint64_t now_ms, Effects* effects);
  /// What a step's locks have come to; the transaction may be gone after it.
  void OnLocks(Transaction* transaction, LockTaker::Progress progress, std::uint64_t now_ms,
               Effects* effects);
  /// The step's results are there: takes them in and answers.
  void Conclude(Transaction* transaction, Completion answer, std::uint64_t now_ms,
                Effects* effects);
  void Commit(Transaction* transaction, std::uint64_t now_ms, Effects* effects);
  void OnCommit(Transaction* transaction, const Completion& completion, std::uint64_t now_ms,
                Effects* effects);
  void OnBegun(Transaction* transaction, const Completion& completion, std::uint64_t now_ms,
               Effects* effects);

  /// Ends the running step; `answer` needs no ticket, id and leader.
  void Answer(Transaction* transaction, Completion answer, std::uint64_t now_ms, Effects* effects);
  void Fail(Transaction* transaction, proto::Error error, std::uint64_t now_ms, Effects* effects);
  void Reply(const TransactionStep& step, Completion answer, std::uint64_t now_ms,
             Effects* effects) const;
  /// Gives up its locks, answers every step with what late steps are told, and remembers that.
  void End(Transaction* transaction, EndedTransactions::Ending ending, std::uint64_t now_ms,
           Effects* effects);
  void Erase(Transaction* transaction);

  void OnTimer(Transaction* transaction, std::uint64_t now_ms, Effects* effects);
  void ExpireWaiting(Transaction* transaction, std::uint64_t now_ms, Effects* effects);
  void ExpireCommitStep(Transaction* transaction, std::uint64_t now_ms, Effects* effects);
  void FollowLeader(std::uint64_t now_ms, Effects* effects);

  const CoreOptions& options_;
  NodeTable& nodes_;
  ReadLedger& reads_;
  WriteLedger& writes_;
  SlotTable<std::unique_ptr<Transaction>> transactions_;
  std::unordered_map<std::uint64_t, SlotHandle> by_number_;
  EndedTransactions ended_;
  TimerWheel wheel_;
  std::uint64_t last_number_ = 0;
  std::uint64_t bytes_ = 0;
  std::size_t locking_ = 0;
  LeaderCache::Leader followed_;
  bool shutting_down_ = false;
};

}  // namespace bedrock::router
