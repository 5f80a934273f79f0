#include "storaged/core/state_machine.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "storaged/core/client_state.h"
#include "storaged/core/keyspace.h"
#include "storaged/core/membership_record.h"

namespace bedrock::storage {
namespace {

using proto::CommandResult;
using proto::ErrorCode;

engine::AppliedMark MarkOf(const raft::Entry& entry) {
  return {.index = entry.index, .term = entry.term};
}

CommandResult SuccessOf(const raft::Entry& entry) {
  CommandResult result;
  result.version = Version(entry.index.value());
  return result;
}

/// `result` becomes a refusal that says nothing but why.
void Refuse(ErrorCode code, CommandResult& result) {
  CommandResult refusal;
  refusal.code = code;
  refusal.version = result.version;
  result = std::move(refusal);
}

}  // namespace

Result<std::unique_ptr<StateMachine>> StateMachine::Open(engine::Engine& engine) {
  const std::string client_state = engine.client_state();
  if (client_state.empty() && engine.applied().index) {
    return Status::Corruption("state machine: the engine holds data but no session table");
  }
  auto state = DecodeClientState(client_state);
  if (!state.ok()) return state.status().Prefixed("state machine");
  auto idempotency = IdempotencyStore::Open(engine);
  if (!idempotency.ok()) return idempotency.status().Prefixed("state machine");
  auto history = History::Open(engine);
  if (!history.ok()) return history.status().Prefixed("state machine");
  std::unique_ptr<StateMachine> machine(
      new StateMachine(engine, {.sessions = std::move(state->sessions),
                                .chain = std::move(state->chain),
                                .idempotency = std::move(idempotency).value(),
                                .history = std::move(history).value()}));
  machine->EngineProgressed();
  return machine;
}

StateMachine::StateMachine(engine::Engine& engine, Parts parts)
    : engine_(engine),
      sessions_(std::move(parts.sessions)),
      chain_(std::move(parts.chain)),
      idempotency_(std::move(parts.idempotency)),
      history_(std::move(parts.history)),
      certifier_(engine) {}

Result<CommandResult> StateMachine::Apply(const raft::Entry& entry) {
  CHECK(entry.index == applied().Next());
  sessions_.AdvanceTime(entry.time_ms);
  idempotency_.BeginEntry();
  effects_.Clear();
  if (entry.kind == raft::EntryKind::kCommand) return ApplyCommand(entry);
  RETURN_IF_ERROR(Commit(entry, ErrorCode::kOk));
  return SuccessOf(entry);
}

Result<CommandResult> StateMachine::ApplyCommand(const raft::Entry& entry) {
  CommandResult result = SuccessOf(entry);
  const auto command = proto::DecodeCommand(entry.payload.view());
  if (command.status().IsUnavailable()) {
    return command.status().Prefixed("entry " + std::to_string(entry.index.value()));
  }
  // Nobody who keeps the rules proposes what CheckCommand refuses; it must not reach the engine.
  if (!command.ok() ||
      !proto::CheckDecodedCommand(*command, proto::kValueBytesMax, entry.payload.size()).ok()) {
    RETURN_IF_ERROR(ApplyNoCommand(entry, result));
    return result;
  }
  RETURN_IF_ERROR(Execute(*command, entry, result));
  return result;
}

Status StateMachine::ApplyNoCommand(const raft::Entry& entry, CommandResult& result) {
  const auto check = proto::DecodeCheckState(entry.payload.view());
  if (!check.ok()) result.code = ErrorCode::kInvalidArgument;
  RETURN_IF_ERROR(Commit(entry, result.code));
  if (!check.ok()) return Status::Ok();
  // Behind the commit, which is tried again while the engine is busy.
  const auto slice = HashSlice(engine_, *check);
  if (!slice.ok()) slice_fault_ = slice.status();
  chain_.AddCheck(entry.index, *check, slice);
  return Status::Ok();
}

Status StateMachine::Execute(const proto::Command& command, const raft::Entry& entry,
                             CommandResult& result) {
  using Verdict = SessionTable::Verdict;
  auto entered = sessions_.Enter(command.session, command.sequence, command.low_water);
  if (entered.verdict == Verdict::kKnown) {
    result = *std::move(entered.reply);
    return Commit(entry, result.code);
  }
  ASSIGN_OR_RETURN(const bool known, AnswerKnown(command, result));
  if (!known && entered.verdict == Verdict::kNew) RETURN_IF_ERROR(Decide(command, result));
  if (!known && entered.verdict == Verdict::kStale) Refuse(ErrorCode::kStaleSequence, result);
  if (!known && entered.verdict == Verdict::kFull) Refuse(ErrorCode::kOverloaded, result);
  if (entered.verdict != Verdict::kNew) return Commit(entry, result.code);

  KeptReply reply(result);
  if (!sessions_.HasRoomFor(reply) || (!known && !KeepReply(command.idempotency, result))) {
    effects_.Clear();
    Refuse(ErrorCode::kOverloaded, result);
    return Commit(entry, result.code);
  }
  RETURN_IF_ERROR(Commit(entry, result.code));
  sessions_.Record(command.session, command.sequence, command.low_water, std::move(reply));
  return Status::Ok();
}

Result<bool> StateMachine::AnswerKnown(const proto::Command& command, CommandResult& result) {
  if (command.idempotency.key.empty()) return false;
  ASSIGN_OR_RETURN(auto record, idempotency_.Find(command.idempotency.key));
  if (!record) return false;
  if (record->fingerprint == command.idempotency.fingerprint) {
    result = std::move(record->reply);
  } else {
    Refuse(ErrorCode::kIdempotencyKeyReused, result);
  }
  return true;
}

Status StateMachine::Decide(const proto::Command& command, CommandResult& result) {
  if (!command.reads.empty()) RETURN_IF_ERROR(Certify(command, result));
  if (result.code != ErrorCode::kOk) return Status::Ok();
  return Evaluate(ViewAt(newest()), command, result, effects_);
}

Status StateMachine::Certify(const proto::Command& command, CommandResult& result) {
  // All before the first look at the engine, which below the watermark may have forgotten.
  for (const auto& read : command.reads) {
    if (VersionOf(read, command.read_version) >= history_.watermark()) continue;
    result.code = ErrorCode::kVersionCompacted;
    return Status::Ok();
  }
  ASSIGN_OR_RETURN(const auto conflict,
                   certifier_.FindConflict(command.reads, command.read_version));
  if (!conflict) return Status::Ok();
  result.code = ErrorCode::kTransactionConflict;
  result.key = command.reads[*conflict].key;
  return Status::Ok();
}

bool StateMachine::KeepReply(const proto::Idempotency& idempotency, const CommandResult& result) {
  if (idempotency.key.empty()) return true;
  return idempotency_.Add(idempotency.key,
                          {.time_ms = sessions_.clock_ms(),
                           .fingerprint = std::string(idempotency.fingerprint),
                           .reply = result},
                          effects_.writes);
}

Status StateMachine::Commit(const raft::Entry& entry, ErrorCode code) {
  const Version version(entry.index.value());
  const Version watermark = history_.After(effects_.drop_history, version);
  const bool moves = watermark != history_.watermark();
  if (moves) History::Write(watermark, effects_.writes);
  if (entry.kind == raft::EntryKind::kMembership) {
    effects_.writes.Put(kMembershipKey, EncodeMembershipRecord(entry.index, entry.payload.view()));
  }
  RETURN_IF_ERROR(idempotency_.EndEntry(sessions_.clock_ms(), effects_.writes));
  RETURN_IF_ERROR(engine_.Apply(effects_.writes, MarkOf(entry)));
  if (moves) history_.Moved(watermark, entry.index);
  idempotency_.Applied();
  certifier_.Add(effects_.ran, version);
  chain_.Add(entry.index, code, effects_.writes.encoded());
  return Status::Ok();
}

Result<engine::Lookup> StateMachine::Get(std::string_view user_key, Version at) const {
  return engine_.Get(EngineKey(user_key), at);
}

Result<CommandResult> StateMachine::Query(const proto::Command& command, Version at) const {
  CommandResult result;
  Effects effects;
  RETURN_IF_ERROR(Evaluate(ViewAt(at), command, result, effects));
  return result;
}

void StateMachine::StartFlush() { engine_.StartFlush(EncodeClientState(sessions_, chain_)); }

void StateMachine::EngineProgressed() {
  const auto watermark = history_.TakeDurable(engine_.durable_applied().index);
  if (watermark) engine_.SetWatermark(*watermark);
}

}  // namespace bedrock::storage
