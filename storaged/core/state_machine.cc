#include "storaged/core/state_machine.h"

#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "storaged/core/keyspace.h"

namespace bedrock::storage {
namespace {

using proto::CommandResult;
using proto::Condition;
using proto::ErrorCode;

engine::AppliedMark MarkOf(const raft::Entry& entry) {
  return {.index = entry.index, .term = entry.term};
}

CommandResult SuccessOf(const raft::Entry& entry) {
  CommandResult result;
  result.version = Version(entry.index.value());
  return result;
}

bool Holds(const Condition& condition, Version current) {
  switch (condition.kind) {
    case Condition::Kind::kVersionEquals:
      return current == condition.version;
    case Condition::Kind::kExists:
      return static_cast<bool>(current);
    case Condition::Kind::kAbsent:
      return !current;
    default:
      return false;
  }
}

}  // namespace

Result<std::unique_ptr<StateMachine>> StateMachine::Open(engine::Engine& engine) {
  const std::string client_state = engine.client_state();
  if (client_state.empty() && engine.applied().index) {
    return Status::Corruption("state machine: the engine holds data but no session table");
  }
  auto sessions = SessionTable::Decode(client_state);
  if (!sessions.ok()) return sessions.status().Prefixed("state machine");
  return std::unique_ptr<StateMachine>(new StateMachine(engine, std::move(sessions).value()));
}

StateMachine::StateMachine(engine::Engine& engine, SessionTable sessions)
    : engine_(engine), sessions_(std::move(sessions)) {}

Result<CommandResult> StateMachine::Apply(const raft::Entry& entry) {
  CHECK(entry.index == applied().Next());
  sessions_.AdvanceTime(entry.time_ms);
  if (entry.kind == raft::EntryKind::kCommand) return ApplyCommand(entry);
  RETURN_IF_ERROR(Advance(entry));
  return SuccessOf(entry);
}

Result<CommandResult> StateMachine::ApplyCommand(const raft::Entry& entry) {
  CommandResult result = SuccessOf(entry);
  const auto command = proto::DecodeCommand(entry.payload.view());
  if (command.status().IsUnavailable()) {
    return command.status().Prefixed("entry " + std::to_string(entry.index.value()));
  }
  // Nobody who keeps the rules proposes what CheckCommand refuses; it must not reach the engine.
  if (!command.ok() || !proto::CheckCommand(*command, proto::kValueBytesMax).ok()) {
    RETURN_IF_ERROR(Advance(entry));
    result.code = ErrorCode::kInvalidArgument;
    return result;
  }
  const auto entered = sessions_.Enter(command->session, command->sequence, command->low_water);
  switch (entered.verdict) {
    case SessionTable::Verdict::kNew:
      RETURN_IF_ERROR(Execute(*command, entry, result));
      sessions_.Record(command->session, command->sequence, command->low_water, result);
      return result;
    case SessionTable::Verdict::kKnown:
      result = entered.reply;
      break;
    case SessionTable::Verdict::kStale:
      result.code = ErrorCode::kStaleSequence;
      break;
    case SessionTable::Verdict::kFull:
      result.code = ErrorCode::kOverloaded;
      break;
  }
  RETURN_IF_ERROR(Advance(entry));
  return result;
}

Status StateMachine::Execute(const proto::Command& command, const raft::Entry& entry,
                             CommandResult& result) {
  RETURN_IF_ERROR(Check(command.conditions, result));
  if (result.code != ErrorCode::kOk) return Advance(entry);
  return Write(command.operations, entry);
}

Status StateMachine::Check(const std::vector<Condition>& conditions, CommandResult& result) const {
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    ASSIGN_OR_RETURN(const engine::Lookup found, Get(conditions[i].key));
    const Version current = found.found ? found.version : Version();
    if (Holds(conditions[i], current)) continue;
    result.code = ErrorCode::kPreconditionFailed;
    result.current = current;
    result.failed_condition = static_cast<std::uint32_t>(i);
    break;
  }
  return Status::Ok();
}

Status StateMachine::Write(const std::vector<proto::Operation>& operations,
                           const raft::Entry& entry) {
  batch_.Clear();
  for (const auto& operation : operations) {
    batch_key_.assign(1, kUserPrefix);
    batch_key_.append(operation.key);
    if (operation.kind == proto::Operation::Kind::kPut) {
      batch_.Put(batch_key_, operation.value);
    } else {
      batch_.Delete(batch_key_);
    }
  }
  return engine_.Apply(batch_, MarkOf(entry));
}

Status StateMachine::Advance(const raft::Entry& entry) {
  return engine_.Apply(WriteBatch(), MarkOf(entry));
}

Result<engine::Lookup> StateMachine::Get(std::string_view user_key) const {
  return engine_.Get(EngineKey(user_key), Version(applied().value()));
}

void StateMachine::StartFlush() { engine_.StartFlush(sessions_.Encode()); }

}  // namespace bedrock::storage
