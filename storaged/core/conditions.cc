#include "storaged/core/conditions.h"

#include <cstddef>
#include <cstdint>

#include "common/base/status_macros.h"
#include "storaged/core/keyspace.h"

namespace bedrock::storage {
namespace {

using proto::Condition;
using Kind = proto::Condition::Kind;

bool AsksForChanges(const Condition& condition) {
  return condition.kind == Kind::kUnchangedSince || condition.kind == Kind::kRangeUnchangedSince;
}

/// Of a condition on what the key holds.
bool Holds(const Condition& condition, const engine::Lookup& found) {
  const Version current = found.found ? found.version : Version();
  switch (condition.kind) {
    case Kind::kVersionEquals:
      return current == condition.version;
    case Kind::kExists:
      return found.found;
    case Kind::kAbsent:
      return !found.found;
    case Kind::kVersionLess:
      return current < condition.version;
    case Kind::kVersionGreater:
      return current > condition.version;
    case Kind::kValueEquals:
      return found.found && found.value == condition.operand;
    case Kind::kUnchangedSince:
      return found.version <= condition.version;
    case Kind::kRangeUnchangedSince:
      break;
  }
  return false;
}

Result<bool> RangeUnchanged(const StateView& view, const Condition& condition) {
  if (view.is_newest()) {
    ASSIGN_OR_RETURN(const bool changed,
                     view.certifier.ChangedIn(condition.key, condition.operand, condition.version));
    return !changed;
  }
  ASSIGN_OR_RETURN(const bool changed, view.engine.ChangedBetween(
                                           {EngineKey(condition.key), EngineEnd(condition.operand)},
                                           condition.version, view.at));
  return !changed;
}

/// Most keys that are asked about have not changed, which is known without reading them.
Result<bool> SurelyUnchanged(const StateView& view, const Condition& condition) {
  if (condition.kind != Kind::kUnchangedSince || !view.is_newest()) return false;
  ASSIGN_OR_RETURN(const bool changed, view.certifier.Changed(condition.key, condition.version));
  return !changed;
}

void Fail(const Condition& condition, const engine::Lookup& found, proto::CommandResult& result) {
  result.code = proto::ErrorCode::kPreconditionFailed;
  if (condition.kind != Kind::kRangeUnchangedSince && found.found) result.current = found.version;
}

/// kOk in `result` where it holds.
Status Check(const StateView& view, const Condition& condition, proto::CommandResult& result) {
  if (AsksForChanges(condition) && condition.version < view.history_from) {
    result.code = proto::ErrorCode::kVersionCompacted;
    return Status::Ok();
  }
  if (condition.kind == Kind::kRangeUnchangedSince) {
    ASSIGN_OR_RETURN(const bool holds, RangeUnchanged(view, condition));
    if (!holds) Fail(condition, {}, result);
    return Status::Ok();
  }
  ASSIGN_OR_RETURN(const bool unchanged, SurelyUnchanged(view, condition));
  if (unchanged) return Status::Ok();
  ASSIGN_OR_RETURN(const engine::Lookup found, view.engine.Get(EngineKey(condition.key), view.at));
  if (!Holds(condition, found)) Fail(condition, found, result);
  return Status::Ok();
}

}  // namespace

Status CheckConditions(const StateView& view, const std::vector<Condition>& conditions,
                       proto::CommandResult& result) {
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    RETURN_IF_ERROR(Check(view, conditions[i], result));
    if (result.code == proto::ErrorCode::kOk) continue;
    result.failed_condition = static_cast<std::uint32_t>(i);
    break;
  }
  return Status::Ok();
}

}  // namespace bedrock::storage
