#include "routerd/core/interactive/transaction_table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "routerd/core/interactive/transaction_id.h"
#include "routerd/core/requests/result_errors.h"

namespace bedrock::router {
namespace {

constexpr std::uint64_t kTickMs = 8;
constexpr std::size_t kTicks = 1024;
constexpr std::uint64_t kBytesOfStep = 256;
constexpr int kHandleBits = 49;  // of a packed SlotHandle; what counts stands above
constexpr std::uint64_t kHandleMask = (std::uint64_t{1} << kHandleBits) - 1;
constexpr std::uint16_t kAskedMask = (1U << (64 - kHandleBits)) - 1;

using proto::Error;
using proto::ErrorCode;
using proto::Outcome;
using How = EndedTransactions::How;

Error NotInTime() {
  return MakeError(ErrorCode::kDeadlineExceeded, "the step could not be done in time");
}

std::uint64_t BytesOf(const TransactionStep& step) {
  return kBytesOfStep + step.step.command.size();
}

/// Takes the default for 0.
void Settle(std::uint32_t* given_ms, std::uint64_t usual_ms) {
  if (*given_ms == 0) *given_ms = static_cast<std::uint32_t>(usual_ms);
}

Error TooLong(const char* what, std::uint64_t most, std::uint64_t given) {
  Error error = MakeError(ErrorCode::kInvalidArgument,
                          std::string(what) + " is at most " + std::to_string(most) + " ms");
  error.limit = most;
  error.actual = given;
  return error;
}

}  // namespace

TransactionTable::TransactionTable(const CoreOptions& options, NodeTable& nodes, ReadLedger& reads,
                                   WriteLedger& writes)
    : options_(options),
      nodes_(nodes),
      reads_(reads),
      writes_(writes),
      ended_(options.transactions_ended_max),
      wheel_(kTickMs, kTicks) {
  CHECK(options.transactions_open_max <= kSlotsMax);
}

// ---- the record ----

TransactionTable::Transaction* TransactionTable::Find(SlotHandle handle) {
  const auto* found = transactions_.Find(handle);
  return found == nullptr ? nullptr : found->get();
}

TransactionId TransactionTable::IdOf(const Transaction& transaction) const {
  return {options_.self, options_.boot, transaction.number};
}

Ticket TransactionTable::AskAs(Transaction* transaction) {
  transaction->asked = static_cast<std::uint16_t>((transaction->asked + 1) & kAskedMask);
  return {Ticket::Front::kCore,
          (std::uint64_t{transaction->asked} << kHandleBits) | transaction->handle.Pack()};
}

void TransactionTable::SetPhase(Transaction* transaction, Phase phase) {
  locking_ -= transaction->phase == Phase::kLocks ? 1 : 0;
  transaction->phase = phase;
  locking_ += phase == Phase::kLocks ? 1 : 0;
}

void TransactionTable::Account(Transaction* transaction) {
  bytes_ -= transaction->accounted;
  transaction->accounted = transaction->writes.bytes() + transaction->reads.bytes() +
                           transaction->locks.bytes() + transaction->step_bytes;
  bytes_ += transaction->accounted;
}

std::uint64_t TransactionTable::WakeOf(const Transaction& transaction) const {
  std::uint64_t wake = transaction.locks.wake_ms();
  for (const TransactionStep& step : transaction.waiting) wake = std::min(wake, step.deadline_ms);
  if (transaction.phase == Phase::kCommit) {
    return transaction.running ? std::min(wake, transaction.running->deadline_ms) : wake;
  }
  wake = std::min(wake, transaction.deadline_ms);
  if (transaction.phase == Phase::kIdle) {
    wake = std::min(wake, transaction.idle_from_ms + transaction.options.idle_timeout_ms);
  }
  return wake;
}

void TransactionTable::Schedule(Transaction* transaction, std::uint64_t now_ms) {
  const std::uint64_t wake = std::max(WakeOf(*transaction), now_ms + 1);
  if (wake >= transaction->scheduled_ms) return;  // the earlier timer sets the next
  if (wake == LockTaker::kNever) return;
  transaction->scheduled_ms = wake;
  wheel_.Schedule(transaction->handle.Pack(), wake);
}

void TransactionTable::Erase(Transaction* transaction) {
  SetPhase(transaction, Phase::kIdle);
  bytes_ -= transaction->accounted;
  by_number_.erase(transaction->number);
  transactions_.Erase(transaction->handle);
}

std::optional<Version> TransactionTable::OldestReadVersion() {
  std::optional<Version> oldest;
  transactions_.ForEach([&](SlotHandle, const std::unique_ptr<Transaction>& transaction) {
    if (transaction->takes_locks() || !transaction->read_version) return;
    oldest = oldest ? std::min(*oldest, transaction->read_version) : transaction->read_version;
  });
  return oldest;
}

// ---- answers ----

void TransactionTable::Reply(const TransactionStep& step, Completion answer, std::uint64_t now_ms,
                             Effects* effects) const {
  answer.ticket = step.ticket;
  answer.is_write = step.step.action == Action::kCommit;
  if (answer.transaction.empty()) answer.transaction = step.step.id;
  answer.leader = nodes_.leader(now_ms).node;
  effects->completions.push_back(std::move(answer));
}

void TransactionTable::Answer(Transaction* transaction, Completion answer, std::uint64_t now_ms,
                              Effects* effects) {
  CHECK(transaction->running);
  transaction->step_bytes -= BytesOf(*transaction->running);
  Reply(*transaction->running, std::move(answer), now_ms, effects);
  transaction->running.reset();
  transaction->plan = StepPlan();
  SetPhase(transaction, Phase::kIdle);
  transaction->idle_from_ms = now_ms;
  Account(transaction);
}

void TransactionTable::Fail(Transaction* transaction, Error error, std::uint64_t now_ms,
                            Effects* effects) {
  Completion answer;
  answer.error = std::move(error);
  answer.read_version = transaction->read_version;
  Answer(transaction, std::move(answer), now_ms, effects);
}

void TransactionTable::End(Transaction* transaction, EndedTransactions::Ending ending,
                           std::uint64_t now_ms, Effects* effects) {
  transaction->locks.Unlock(effects);
  ended_.Add(transaction->number, std::move(ending), now_ms);
  const auto tell = [&](const TransactionStep& step) {
    auto told = ended_.AnswerOf(transaction->number, step.step.action);
    Completion answer;
    answer.error = std::move(told.error);
    answer.version = told.version;
    Reply(step, std::move(answer), now_ms, effects);
  };
  if (transaction->running) tell(*transaction->running);
  for (const TransactionStep& step : transaction->waiting) tell(step);
  Erase(transaction);
}

// ---- begin ----

Error TransactionTable::CheckBegin(const proto::TransactionOptions& options) const {
  if (shutting_down_) {
    return MakeError(ErrorCode::kShuttingDown, "this node's router is shutting down");
  }
  if (options.timeout_ms > kTimeoutMsMax) {
    return TooLong("timeout", kTimeoutMsMax, options.timeout_ms);
  }
  if (options.idle_timeout_ms > kIdleTimeoutMsMax) {
    return TooLong("idle_timeout", kIdleTimeoutMsMax, options.idle_timeout_ms);
  }
  if (options.lock_timeout_ms > kLockTimeoutMsMax) {
    return TooLong("lock_timeout", kLockTimeoutMsMax, options.lock_timeout_ms);
  }
  if (transactions_.size() < options_.transactions_open_max) return {};
  Error error = MakeError(ErrorCode::kOverloaded, "too many transactions are open on this node");
  error.limit = options_.transactions_open_max;
  return error;
}

void TransactionTable::Begin(TransactionStep step, std::uint64_t now_ms, Effects* effects) {
  proto::TransactionOptions options = step.step.options;
  if (Error error = CheckBegin(options); !error.ok()) {
    Completion answer;
    answer.error = std::move(error);
    return Reply(step, std::move(answer), now_ms, effects);
  }
  Settle(&options.timeout_ms, kTimeoutMsDefault);
  Settle(&options.idle_timeout_ms, kIdleTimeoutMsDefault);
  Settle(&options.lock_timeout_ms, kLockTimeoutMsDefault);
  const std::uint64_t number = ++last_number_;
  auto made = std::make_unique<Transaction>(
      number, LockTaker(options_, {options_.boot, number}, now_ms + options_.wall_offset_ms,
                        options.lock_timeout_ms));
  Transaction* transaction = made.get();
  transaction->handle = transactions_.Insert(std::move(made));
  by_number_.emplace(number, transaction->handle);
  transaction->options = options;
  transaction->deadline_ms = now_ms + options.timeout_ms;
  transaction->step_bytes = BytesOf(step);
  transaction->running = std::move(step);
  SetPhase(transaction, Phase::kIndex);
  Account(transaction);
  reads_.BeginIndex(AskAs(transaction), transaction->running->deadline_ms, now_ms, effects);
  Schedule(transaction, now_ms);
}

void TransactionTable::OnBegun(Transaction* transaction, const Completion& completion,
                               std::uint64_t now_ms, Effects* effects) {
  Completion answer;
  answer.error = completion.error;
  if (!answer.error.ok()) {  // nobody knows its id
    Reply(*transaction->running, std::move(answer), now_ms, effects);
    return Erase(transaction);
  }
  transaction->read_version = completion.read_version;
  answer.served_by = options_.self;
  answer.transaction = FormatTransactionId(IdOf(*transaction));
  answer.read_version = completion.read_version;
  Answer(transaction, std::move(answer), now_ms, effects);
}

// ---- steps ----

Error TransactionTable::Admit(const Transaction& transaction, const TransactionStep& step) const {
  Error error;
  if (transaction.waiting.size() >= kStepsMax) {
    error = MakeError(ErrorCode::kOverloaded, "too many steps of the transaction are waiting");
    error.limit = kStepsMax;
  } else if (step.step.action == Action::kExecute &&
             bytes_ + BytesOf(step) > options_.transaction_bytes_max) {
    error = MakeError(ErrorCode::kOverloaded,
                      "this node's open transactions take all the memory that they may");
    error.limit = options_.transaction_bytes_max;
  }
  return error;
}

void TransactionTable::Step(std::uint64_t number, TransactionStep step, std::uint64_t now_ms,
                            Effects* effects) {
  const auto found = by_number_.find(number);
  Completion answer;
  if (found == by_number_.end()) {
    auto told = ended_.AnswerOf(number, step.step.action);
    answer.error = std::move(told.error);
    answer.version = told.version;
    return Reply(step, std::move(answer), now_ms, effects);
  }
  Transaction* transaction = Find(found->second);
  if (answer.error = Admit(*transaction, step); !answer.error.ok()) {
    // What the commit under way will have done is not known either.
    if (transaction->phase == Phase::kCommit) answer.error.outcome = Outcome::kUnknown;
    return Reply(step, std::move(answer), now_ms, effects);
  }
  transaction->step_bytes += BytesOf(step);
  transaction->waiting.push_back(std::move(step));
  Account(transaction);
  Run(transaction->handle, now_ms, effects);
}

void TransactionTable::Run(SlotHandle handle, std::uint64_t now_ms, Effects* effects) {
  Transaction* transaction = Find(handle);
  while (transaction != nullptr && transaction->phase == Phase::kIdle &&
         !transaction->waiting.empty()) {
    transaction->running = std::move(transaction->waiting.front());
    transaction->waiting.pop_front();
    RunOne(transaction, now_ms, effects);
    transaction = Find(handle);
  }
  if (transaction != nullptr) Schedule(transaction, now_ms);
}

void TransactionTable::RunOne(Transaction* transaction, std::uint64_t now_ms, Effects* effects) {
  if (now_ms >= transaction->running->deadline_ms) {
    return Fail(transaction, NotInTime(), now_ms, effects);
  }
  switch (transaction->running->step.action) {
    case Action::kExecute:
      return Execute(transaction, now_ms, effects);
    case Action::kCommit:
      return Commit(transaction, now_ms, effects);
    case Action::kRollback:
      return End(transaction, {How::kRolledBack, Version(), Error()}, now_ms, effects);
    case Action::kBegin:
      return Fail(transaction,
                  MakeError(ErrorCode::kInvalidArgument, "a beginning names no transaction"),
                  now_ms, effects);
  }
}

void TransactionTable::Execute(Transaction* transaction, std::uint64_t now_ms, Effects* effects) {
  const proto::ClientTransaction& step = transaction->running->step;
  Error error;
  if (transaction->reads.size() > proto::kReadsMax) {
    error = MakeError(ErrorCode::kTransactionTooLarge,
                      "the transaction has read more keys and ranges than a commit can hold");
    error.limit = proto::kReadsMax;
    error.actual = transaction->reads.size();
  } else {
    error = PlanStep(step, transaction->writes, ReadOnly(transaction->options.read_only),
                     options_.value_bytes_max, &transaction->plan);
  }
  if (!error.ok()) return Fail(transaction, std::move(error), now_ms, effects);
  if (transaction->takes_locks()) return AskUnderLocks(transaction, now_ms, effects);
  if (transaction->plan.needs_query) return Ask(transaction, now_ms, effects);
  Completion answer;
  answer.result = ResultsOf(transaction->plan, transaction->writes);
  answer.read_version = transaction->read_version;
  Conclude(transaction, std::move(answer), now_ms, effects);
}

void TransactionTable::Ask(Transaction* transaction, std::uint64_t now_ms, Effects* effects) {
  StepQuery query = QueryOf(transaction->plan, transaction->writes);
  transaction->own = query.own;
  QueryRequest request;
  request.query = std::move(query.command);
  request.consistency = proto::Consistency::kStale;
  request.at = transaction->read_version;
  request.deadline_ms = transaction->running->deadline_ms;
  SetPhase(transaction, Phase::kQuery);
  request.ticket = AskAs(transaction);
  reads_.Begin(request, AnswersWrite::kNo, now_ms, effects);
}

void TransactionTable::AskUnderLocks(Transaction* transaction, std::uint64_t now_ms,
                                     Effects* effects) {
  std::vector<LockWish> wishes = LocksOf(transaction->plan, transaction->writes,
                                         ForUpdate(transaction->running->step.for_update));
  Bytes encoded;
  transaction->own = 0;
  if (transaction->plan.needs_query) {
    const StepQuery query = QueryOf(transaction->plan, transaction->writes);
    transaction->own = query.own;
    if (Error error = proto::CheckQuery(query.command, options_.value_bytes_max); !error.ok()) {
      return Fail(transaction, std::move(error), now_ms, effects);
    }
    encoded = Bytes(proto::EncodeCommand(query.command));
  }
  SetPhase(transaction, Phase::kLocks);
  if (wishes.empty()) {  // gets of own writes
    LockTaker::Progress done;
    done.kind = LockTaker::Progress::Kind::kDone;
    return OnLocks(transaction, std::move(done), now_ms, effects);
  }
  // A storaged that was restarted may be behind what it has answered before, and what is read twice
  // is certified as of the first time.
  const Version least = std::max(transaction->read_version, transaction->reads.newest());
  transaction->locks.Begin(std::move(wishes), std::move(encoded), least,
                           transaction->running->deadline_ms);
  DriveLocks(transaction, now_ms, effects);
}

void TransactionTable::DriveLocks(Transaction* transaction, std::uint64_t now_ms,
                                  Effects* effects) {
  OnLocks(transaction,
          transaction->locks.Drive(transaction->handle, nodes_.leader(now_ms), now_ms, effects),
          now_ms, effects);
}

void TransactionTable::OnLocks(Transaction* transaction, LockTaker::Progress progress,
                               std::uint64_t now_ms, Effects* effects) {
  using Kind = LockTaker::Progress::Kind;
  Account(transaction);
  switch (progress.kind) {
    case Kind::kNothing:
      return;
    case Kind::kStepFailed:
      return Fail(transaction, std::move(progress.error), now_ms, effects);
    case Kind::kDeadlock:
      return End(transaction, {How::kAborted, Version(), std::move(progress.error)}, now_ms,
                 effects);
    case Kind::kDone:
      break;
  }
  Completion answer;
  answer.served_by = progress.served_by;
  if (transaction->plan.needs_query) {
    answer.result = std::move(progress.result);
    answer.read_version = progress.read_version;
    if (!TakeResults(transaction->plan, transaction->own, &answer.result)) {
      return Fail(transaction,
                  MakeError(ErrorCode::kUnsupportedProtocol, "storaged's answer does not fit"),
                  now_ms, effects);
    }
    answer.error = ErrorOf(answer.result, transaction->running->step.command.view());
  } else {
    if (!answer.served_by) answer.served_by = options_.self;  // no storaged had a part in it
    answer.result = ResultsOf(transaction->plan, transaction->writes);
    answer.read_version = std::max(transaction->read_version, transaction->reads.newest());
  }
  Conclude(transaction, std::move(answer), now_ms, effects);
}

void TransactionTable::Conclude(Transaction* transaction, Completion answer, std::uint64_t now_ms,
                                Effects* effects) {
  if (answer.error.ok()) {
    Absorb(transaction->plan, answer.result, answer.read_version, &transaction->writes,
           transaction->options.read_only ? nullptr : &transaction->reads);
  }
  Answer(transaction, std::move(answer), now_ms, effects);
}

void TransactionTable::OnCompletion(Completion completion, std::uint64_t now_ms, Effects* effects) {
  const SlotHandle handle = SlotHandle::Unpack(completion.ticket.id & kHandleMask);
  Transaction* transaction = Find(handle);
  if (transaction == nullptr || transaction->asked != completion.ticket.id >> kHandleBits) return;
  switch (transaction->phase) {
    case Phase::kIndex:
      OnBegun(transaction, completion, now_ms, effects);
      break;
    case Phase::kCommit:
      OnCommit(transaction, completion, now_ms, effects);
      break;
    case Phase::kQuery:
      // The results' positions are those of the query; the client knows the step's.
      if (!TakeResults(transaction->plan, transaction->own, &completion.result)) {
        if (completion.error.ok()) {
          completion.error =
              MakeError(ErrorCode::kUnsupportedProtocol, "storaged's answer does not fit");
        }
      } else if (completion.result.code != ErrorCode::kOk) {
        completion.error = ErrorOf(completion.result, transaction->running->step.command.view());
      }
      Conclude(transaction, std::move(completion), now_ms, effects);
      break;
    case Phase::kIdle:
    case Phase::kLocks:
      break;  // late
  }
  Run(handle, now_ms, effects);
}

void TransactionTable::OnLockReply(NodeId from, const RequestName& name, proto::LockReply reply,
                                   std::uint64_t now_ms, Effects* effects) {
  Transaction* transaction = Find(name.handle);
  if (transaction == nullptr || transaction->phase != Phase::kLocks) return;
  OnLocks(transaction, transaction->locks.OnReply(from, name.attempt, std::move(reply), now_ms),
          now_ms, effects);
  transaction = Find(name.handle);
  if (transaction != nullptr && transaction->phase == Phase::kLocks) {
    DriveLocks(transaction, now_ms, effects);
  }
  Run(name.handle, now_ms, effects);
}

void TransactionTable::OnLockFailed(const RequestName& name, const Error& error,
                                    std::uint64_t now_ms) {
  Transaction* transaction = Find(name.handle);
  if (transaction == nullptr || transaction->phase != Phase::kLocks) return;
  transaction->locks.OnFailed(name.attempt, error, now_ms);
  Schedule(transaction, now_ms);
}

// ---- commit ----

void TransactionTable::Commit(Transaction* transaction, std::uint64_t now_ms, Effects* effects) {
  // Reads at one version are one snapshot, not older than the transaction: nothing to certify.
  const bool snapshot = !transaction->takes_locks() || !transaction->reads.mixed();
  if (transaction->writes.empty() && snapshot) {
    const Version version = std::max(transaction->read_version, transaction->reads.newest());
    return End(transaction, {How::kCommitted, version, Error()}, now_ms, effects);
  }
  proto::Command command;
  command.read_version = transaction->read_version;
  transaction->reads.AppendTo(transaction->read_version, &command.reads);
  transaction->writes.AppendRange({}, {}, &command.operations);
  SetPhase(transaction, Phase::kCommit);
  const Ticket ticket = AskAs(transaction);
  transaction->commit =
      writes_.Begin(ticket, std::move(command), now_ms + kCommitPatienceMs, now_ms, effects);
}

void TransactionTable::OnCommit(Transaction* transaction, const Completion& completion,
                                std::uint64_t now_ms, Effects* effects) {
  const Error& error = completion.error;
  if (error.ok()) {
    return End(transaction, {How::kCommitted, completion.version, Error()}, now_ms, effects);
  }
  // Whatever the state machine decided, or may yet decide, is the end of it.
  const bool decided = completion.result.code != ErrorCode::kOk;
  if (decided || error.outcome == Outcome::kUnknown) {
    return End(transaction, {How::kRefused, Version(), error}, now_ms, effects);
  }
  if (transaction->running) return Fail(transaction, error, now_ms, effects);
  SetPhase(transaction, Phase::kIdle);  // it never was proposed, and nobody waits for it
  transaction->idle_from_ms = now_ms;
}

void TransactionTable::ExpireCommitStep(Transaction* transaction, std::uint64_t now_ms,
                                        Effects* effects) {
  if (auto why = writes_.Withdraw(transaction->commit, now_ms)) {
    return Fail(transaction, *std::move(why), now_ms, effects);
  }
  Completion answer;
  answer.error = MakeError(ErrorCode::kDeadlineExceeded,
                           "the commit was proposed, and no answer came in time: ask again");
  answer.error.outcome = Outcome::kUnknown;
  transaction->step_bytes -= BytesOf(*transaction->running);
  Reply(*transaction->running, std::move(answer), now_ms, effects);
  transaction->running.reset();
  Account(transaction);
}

// ---- time ----

void TransactionTable::ExpireWaiting(Transaction* transaction, std::uint64_t now_ms,
                                     Effects* effects) {
  const bool committing = transaction->phase == Phase::kCommit;
  std::erase_if(transaction->waiting, [&](const TransactionStep& step) {
    if (now_ms < step.deadline_ms) return false;
    Completion answer;
    answer.error = NotInTime();
    // A commit is in flight: what this one would have said is not known either.
    if (committing) answer.error.outcome = Outcome::kUnknown;
    Reply(step, std::move(answer), now_ms, effects);
    transaction->step_bytes -= BytesOf(step);
    return true;
  });
  Account(transaction);
}

void TransactionTable::OnTimer(Transaction* transaction, std::uint64_t now_ms, Effects* effects) {
  ExpireWaiting(transaction, now_ms, effects);
  if (transaction->phase == Phase::kCommit) {
    if (transaction->running && now_ms >= transaction->running->deadline_ms) {
      ExpireCommitStep(transaction, now_ms, effects);
    }
    return;
  }
  if (now_ms >= transaction->deadline_ms) {
    return End(transaction,
               {How::kAborted, Version(),
                MakeError(ErrorCode::kTransactionExpired,
                          "the transaction was open for longer than its timeout of " +
                              std::to_string(transaction->options.timeout_ms) + " ms")},
               now_ms, effects);
  }
  if (transaction->phase == Phase::kIdle &&
      now_ms >= transaction->idle_from_ms + transaction->options.idle_timeout_ms) {
    return End(transaction,
               {How::kAborted, Version(),
                MakeError(ErrorCode::kTransactionExpired,
                          "the transaction was idle for longer than its idle_timeout of " +
                              std::to_string(transaction->options.idle_timeout_ms) + " ms")},
               now_ms, effects);
  }
  if (transaction->phase == Phase::kLocks && now_ms >= transaction->running->deadline_ms) {
    Error error = transaction->locks.failure().ok() ? NotInTime() : transaction->locks.failure();
    if (error.code == ErrorCode::kNotLeader) error.code = ErrorCode::kNoLeader;
    transaction->locks.Stop();
    return Fail(transaction, std::move(error), now_ms, effects);
  }
  DriveLocks(transaction, now_ms, effects);
}

void TransactionTable::FollowLeader(std::uint64_t now_ms, Effects* effects) {
  const LeaderCache::Leader leader = nodes_.leader(now_ms);
  if (leader == followed_) return;
  followed_ = leader;
  if (!leader.node || locking_ == 0) return;
  std::vector<SlotHandle> asking;
  transactions_.ForEach([&](SlotHandle handle, const std::unique_ptr<Transaction>& transaction) {
    if (transaction->phase == Phase::kLocks) asking.push_back(handle);
  });
  for (const SlotHandle handle : asking) {
    DriveLocks(Find(handle), now_ms, effects);
    Run(handle, now_ms, effects);
  }
}

void TransactionTable::Advance(std::uint64_t now_ms, Effects* effects) {
  ended_.Advance(now_ms);
  FollowLeader(now_ms, effects);
  wheel_.Advance(now_ms, [&](std::uint64_t packed) {
    const SlotHandle handle = SlotHandle::Unpack(packed);
    Transaction* transaction = Find(handle);
    if (transaction == nullptr || now_ms < transaction->scheduled_ms) return;
    transaction->scheduled_ms = LockTaker::kNever;
    OnTimer(transaction, now_ms, effects);
    Run(handle, now_ms, effects);
  });
}

void TransactionTable::Shutdown(std::uint64_t now_ms, Effects* effects) {
  shutting_down_ = true;
  std::vector<SlotHandle> ending;
  transactions_.ForEach([&](SlotHandle handle, const std::unique_ptr<Transaction>& transaction) {
    if (transaction->phase != Phase::kCommit) ending.push_back(handle);
  });
  for (const SlotHandle handle : ending) {
    End(Find(handle),
        {How::kAborted, Version(),
         MakeError(ErrorCode::kShuttingDown, "this node's router is shutting down")},
        now_ms, effects);
  }
}

}  // namespace bedrock::router
