#include "routerd/core/interactive/transaction_step.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "routerd/core/interactive/key_bounds.h"

namespace bedrock::router {
namespace {

using proto::CommandResult;
using proto::Error;
using proto::ErrorCode;
using proto::Operation;
using proto::OperationResult;

constexpr std::size_t kSumBytesMax = 20;  // of a 64-bit number, decimal

bool IsWrite(const Operation& operation) {
  return operation.kind != Operation::Kind::kGet && operation.kind != Operation::Kind::kScan;
}

/// `writes` and what `operations` add to it, at most.
TransactionWrites After(TransactionWrites writes, const std::vector<Operation>& operations) {
  const std::string sum(kSumBytesMax, '0');
  for (const Operation& operation : operations) writes.Apply(operation, sum);
  return writes;
}

Error TooMuch(std::string_view detail, std::uint64_t limit, std::uint64_t actual) {
  Error error = MakeError(ErrorCode::kTransactionTooLarge, detail);
  error.limit = limit;
  error.actual = actual;
  return error;
}

Error CheckWrites(const TransactionWrites& writes, const std::vector<Operation>& operations) {
  std::size_t count = writes.operations();
  std::uint64_t bytes = writes.bytes();
  for (const Operation& operation : operations) {
    if (!IsWrite(operation)) continue;
    ++count;
    bytes += operation.key.size() + operation.value.size() + kSumBytesMax + kBytesOfWrite;
  }
  if (count <= kTransactionWritesMax && bytes <= kTransactionWriteBytesMax) return {};
  // The same keys again take no more: only here is it worth a copy to know.
  const TransactionWrites after = After(writes, operations);
  if (after.operations() > kTransactionWritesMax) {
    return TooMuch("the transaction would write more keys and ranges than a commit can hold",
                   kTransactionWritesMax, after.operations());
  }
  if (after.bytes() <= kTransactionWriteBytesMax) return {};
  return TooMuch("the transaction would write more bytes than a commit can hold",
                 kTransactionWriteBytesMax, after.bytes());
}

/// Own writes as they are in the middle of a step: those before it, and its own up to there.
/// Only what a get needs to know.
bool Knows(const TransactionWrites& before, const TransactionWrites& within, std::string_view key) {
  return within.Find(key).written || before.Find(key).written;
}

/// Writes of the step whose effect is known without reading.
void ApplyKnown(const Operation& operation, TransactionWrites* within) {
  if (operation.kind == Operation::Kind::kPut || operation.kind == Operation::Kind::kDelete) {
    within->Apply(operation, {});
  }
}

bool NeedsQuery(const std::vector<Operation>& operations, const TransactionWrites& writes) {
  TransactionWrites within;
  for (const Operation& operation : operations) {
    switch (operation.kind) {
      case Operation::Kind::kPut:
      case Operation::Kind::kDelete:
        if (operations.size() > 1) ApplyKnown(operation, &within);
        break;
      case Operation::Kind::kGet:
        if (!Knows(writes, within, operation.key)) return true;
        break;
      default:
        return true;
    }
  }
  return false;
}

/// The part of a scan's range that it really looked at: up to where it stopped.
std::pair<std::string_view, std::string_view> Walked(const Operation& scan,
                                                     const OperationResult& result) {
  if (!result.more) return {scan.key, scan.value};
  if (scan.scan.reverse) return {result.next, scan.value};
  return {scan.key, result.next};
}

void AbsorbRange(std::string_view begin, std::string_view end, Version at,
                 const TransactionWrites& writes, ReadSet* reads) {
  if (reads == nullptr || !EndsAfter(end, begin)) return;
  writes.ForEachGap(begin, end, [&](std::string_view from, std::string_view to) {
    reads->AddRange(from, to, at);
  });
}

}  // namespace

Error PlanStep(const proto::ClientTransaction& step, const TransactionWrites& writes,
               ReadOnly read_only, std::size_t value_bytes_max, StepPlan* plan) {
  auto command = proto::DecodeCommand(step.command.view());
  if (!command.ok()) {
    return MakeError(ErrorCode::kInvalidArgument, command.status().message());
  }
  if (!command->conditions.empty() || command->otherwise || command->read_version) {
    return MakeError(ErrorCode::kInvalidArgument,
                     "a step of a transaction has operations and nothing else");
  }
  if (Error error = proto::CheckQuery(*command, value_bytes_max); !error.ok()) return error;
  if (proto::Writes(*command)) {
    if (read_only) return MakeError(ErrorCode::kInvalidArgument, "the transaction is read-only");
    if (Error error = CheckWrites(writes, command->operations); !error.ok()) return error;
  }
  plan->operations = std::move(command->operations);
  plan->needs_query = NeedsQuery(plan->operations, writes);
  return {};
}

std::vector<LockWish> LocksOf(const StepPlan& plan, const TransactionWrites& writes,
                              ForUpdate for_update) {
  std::vector<LockWish> wishes;
  TransactionWrites within;
  for (const Operation& operation : plan.operations) {
    const bool is_range =
        operation.kind == Operation::Kind::kScan || operation.kind == Operation::Kind::kDeleteRange;
    const bool is_get = operation.kind == Operation::Kind::kGet;
    if (is_get && Knows(writes, within, operation.key)) continue;  // locked when it was written
    if (plan.operations.size() > 1) ApplyKnown(operation, &within);
    LockWish wish;
    wish.what.key = Bytes::Copy(operation.key);
    wish.what.is_range = is_range;
    if (is_range) wish.what.end = Bytes::Copy(operation.value);
    const bool exclusive = IsWrite(operation) || for_update;
    wish.mode = exclusive ? proto::LockMode::kExclusive : proto::LockMode::kShared;
    wishes.push_back(std::move(wish));
  }
  return wishes;
}

StepQuery QueryOf(const StepPlan& plan, const TransactionWrites& writes) {
  StepQuery query;
  std::vector<Operation>& operations = query.command.operations;
  bool has_range = false;
  for (const Operation& operation : plan.operations) {
    has_range |=
        operation.kind == Operation::Kind::kScan || operation.kind == Operation::Kind::kDeleteRange;
  }
  for (const Operation& operation : plan.operations) {
    switch (operation.kind) {
      case Operation::Kind::kGet:
      case Operation::Kind::kAdd:
        writes.AppendKey(operation.key, &operations);
        break;
      case Operation::Kind::kScan:
      case Operation::Kind::kDeleteRange:
        writes.AppendRange(operation.key, operation.value, &operations);
        break;
      default:
        break;
    }
  }
  query.own = operations.size();
  operations.insert(operations.end(), plan.operations.begin(), plan.operations.end());
  // Several ranges may name the same writes more than once; in one range they stand once.
  if (has_range && operations.size() > proto::kOperationsMax) {
    operations.clear();
    writes.AppendRange({}, {}, &operations);
    query.own = operations.size();
    operations.insert(operations.end(), plan.operations.begin(), plan.operations.end());
  }
  return query;
}

bool TakeResults(const StepPlan& plan, std::size_t own, CommandResult* result) {
  if (result->code != ErrorCode::kOk) {
    result->failed_operation -= std::min(result->failed_operation, static_cast<std::uint32_t>(own));
    return true;
  }
  if (result->results.size() != own + plan.operations.size()) return false;
  result->results.erase(result->results.begin(),
                        result->results.begin() + static_cast<std::ptrdiff_t>(own));
  return true;
}

CommandResult ResultsOf(const StepPlan& plan, const TransactionWrites& writes) {
  CommandResult result;
  TransactionWrites within;
  for (const Operation& operation : plan.operations) {
    result.results.emplace_back();
    if (operation.kind != Operation::Kind::kGet) {
      if (plan.operations.size() > 1) ApplyKnown(operation, &within);
      continue;
    }
    TransactionWrites::Known known = within.Find(operation.key);
    if (!known.written) known = writes.Find(operation.key);
    if (known.value == nullptr) continue;
    result.results.back().found = true;
    result.results.back().value = *known.value;
  }
  return result;
}

void Absorb(const StepPlan& plan, const CommandResult& result, Version at,
            TransactionWrites* writes, ReadSet* reads) {
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    const Operation& operation = plan.operations[i];
    const OperationResult& gave = result.results[i];
    switch (operation.kind) {
      case Operation::Kind::kGet:
      case Operation::Kind::kAdd:
        if (reads != nullptr && !writes->Find(operation.key).written) {
          reads->AddKey(operation.key, at);
        }
        break;
      case Operation::Kind::kScan: {
        const auto [begin, end] = Walked(operation, gave);
        AbsorbRange(begin, end, at, *writes, reads);
        break;
      }
      case Operation::Kind::kDeleteRange:
        AbsorbRange(operation.key, operation.value, at, *writes, reads);
        break;
      default:
        break;
    }
    writes->Apply(operation, gave.value);
  }
}

}  // namespace bedrock::router
