#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "common/base/units.h"
#include "proto/client_messages.h"
#include "proto/command.h"
#include "proto/errors.h"
#include "proto/storage_messages.h"
#include "routerd/core/interactive/read_set.h"
#include "routerd/core/interactive/transaction_writes.h"

namespace bedrock::router {

using ReadOnly = TypedBool<struct ReadOnlyTag>;
using ForUpdate = TypedBool<struct ForUpdateTag>;

/// What one kExecute of an interactive transaction needs, and what comes of it. All or nothing: a
/// step that fails leaves no trace in the transaction. The views are of the step's command.
struct StepPlan {
  std::vector<proto::Operation> operations;
  bool needs_query = false;  ///< Something must be read that the transaction has not written.
};

/// A lock that a pessimistic transaction needs for a step.
struct LockWish {
  proto::LockRange what;
  proto::LockMode mode = proto::LockMode::kShared;
};

/// Bounds of a transaction's writes: those of a command.
inline constexpr std::size_t kTransactionWritesMax = proto::kOperationsMax;
inline constexpr std::uint64_t kTransactionWriteBytesMax = 8 * kMiB;

/// kOk and the plan, or why the step can't be: bytes that are no command, more than operations,
/// writes in a read-only transaction, too much written. `plan` borrows `step`.
proto::Error PlanStep(const proto::ClientTransaction& step, const TransactionWrites& writes,
                      ReadOnly read_only, std::size_t value_bytes_max, StepPlan* plan);

/// In the order of the operations; nothing for a get of what the transaction has written.
std::vector<LockWish> LocksOf(const StepPlan& plan, const TransactionWrites& writes,
                              ForUpdate for_update);

/// The step's operations behind those that make up the own writes they read. Borrows both.
struct StepQuery {
  proto::Command command;
  std::size_t own = 0;  ///< Operations in front that are not the step's.
};
StepQuery QueryOf(const StepPlan& plan, const TransactionWrites& writes);

/// Takes the results of the own writes away. False where the answer does not fit the question.
bool TakeResults(const StepPlan& plan, std::size_t own, proto::CommandResult* result);

/// Gives the results of a step that needs no query.
proto::CommandResult ResultsOf(const StepPlan& plan, const TransactionWrites& writes);

/// Adds what the step has written and what it has really read, at `at`: of a scan that a limit
/// ended the part that it gave; that there is more behind it is a hint and not certified. A null
/// `reads` keeps none.
void Absorb(const StepPlan& plan, const proto::CommandResult& result, Version at,
            TransactionWrites* writes, ReadSet* reads);

}  // namespace bedrock::router
