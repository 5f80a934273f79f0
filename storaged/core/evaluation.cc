#include "storaged/core/evaluation.h"

#include <algorithm>
#include <vector>

#include "common/base/status_macros.h"
#include "storaged/core/conditions.h"
#include "storaged/core/keyspace.h"
#include "storaged/core/operations.h"

namespace bedrock::storage {
namespace {

using proto::Operation;

/// Operations that need not see one another: in the batch, too, the last of a key wins.
void Append(const std::vector<Operation>& operations, Effects& effects) {
  for (const auto& operation : operations) {
    effects.key.assign(1, kUserPrefix);
    effects.key.append(operation.key);
    if (operation.kind == Operation::Kind::kPut) {
      effects.writes.Put(effects.key, operation.value);
    } else if (operation.kind == Operation::Kind::kDelete) {
      effects.writes.Delete(effects.key);
    }
  }
}

Status Run(const StateView& view, const std::vector<Operation>& operations,
           proto::CommandResult& result, Effects& effects) {
  if (GiveNothing(operations)) {
    Append(operations, effects);
  } else {
    OperationsRun run(view);
    RETURN_IF_ERROR(run.Execute(operations, result));
    if (result.code != proto::ErrorCode::kOk) return Status::Ok();
    effects.writes = run.TakeWrites();
  }
  effects.ran = operations;
  for (const auto& operation : operations) {
    if (operation.kind != Operation::Kind::kDropHistory) continue;
    effects.drop_history = std::max(effects.drop_history, operation.version);
  }
  return Status::Ok();
}

}  // namespace

void Effects::Clear() {
  writes.Clear();
  ran = {};
  drop_history = Version();
}

Status Evaluate(const StateView& view, const proto::Command& command, proto::CommandResult& result,
                Effects& effects) {
  RETURN_IF_ERROR(CheckConditions(view, command.conditions, result));
  if (result.code == proto::ErrorCode::kOk) return Run(view, command.operations, result, effects);
  if (result.code != proto::ErrorCode::kPreconditionFailed || !command.otherwise) {
    return Status::Ok();
  }
  result.code = proto::ErrorCode::kOk;
  result.current = Version();
  RETURN_IF_ERROR(Run(view, *command.otherwise, result, effects));
  result.ran_otherwise = result.code == proto::ErrorCode::kOk;
  return Status::Ok();
}

}  // namespace bedrock::storage
