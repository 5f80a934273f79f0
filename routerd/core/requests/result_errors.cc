#include "routerd/core/requests/result_errors.h"

#include <cstddef>
#include <utility>

#include "common/base/ids.h"

namespace bedrock::router {
namespace {

using proto::Command;
using proto::CommandResult;
using proto::Condition;
using proto::Error;
using proto::ErrorCode;
using proto::Operation;

constexpr std::size_t kShownKeyBytes = 64;

const char* NameOf(Operation::Kind kind) {
  switch (kind) {
    case Operation::Kind::kPut:
      return "a put";
    case Operation::Kind::kDelete:
      return "a delete";
    case Operation::Kind::kGet:
      return "a get";
    case Operation::Kind::kScan:
      return "a scan";
    case Operation::Kind::kDeleteRange:
      return "a range delete";
    case Operation::Kind::kAdd:
      return "an add";
    case Operation::Kind::kDropHistory:
      return "a compaction";
  }
  return "an operation";
}

/// What the condition asked for, and what it found where the result says so.
std::string Describe(const Condition& condition, Version current) {
  std::string key = QuotedKey(condition.key);
  const std::string version = std::to_string(condition.version.value());
  const std::string has =
      current ? key + " has version " + std::to_string(current.value()) : key + " is absent";
  switch (condition.kind) {
    case Condition::Kind::kVersionEquals:
      return condition.version ? has + ", not " + version : has + ", and should be absent";
    case Condition::Kind::kExists:
      return key + " does not exist";
    case Condition::Kind::kAbsent:
      return has + ", and should be absent";
    case Condition::Kind::kVersionLess:
      return has + ", which is not less than " + version;
    case Condition::Kind::kVersionGreater:
      return has + ", which is not greater than " + version;
    case Condition::Kind::kValueEquals:
      return current ? key + " has another value" : has;
    case Condition::Kind::kUnchangedSince:
      return key + " was changed after version " + version;
    case Condition::Kind::kRangeUnchangedSince:
      return "a key in the range from " + key + " was changed after version " + version;
  }
  return key;
}

Error PreconditionFailed(const CommandResult& result, const Command& command) {
  Error error;
  error.code = result.code;
  error.detail = "a condition did not hold";
  if (result.failed_condition >= command.conditions.size()) return error;
  const Condition& condition = command.conditions[result.failed_condition];
  error.key = condition.key;
  error.detail = "condition " + std::to_string(result.failed_condition + 1) +
                 " did not hold: " + Describe(condition, result.current);
  return error;
}

/// "operation 3, an add to "n", "; nothing where the position is not one of the command.
std::string TheOperation(const CommandResult& result, const Command& command) {
  const std::vector<Operation>& ran =
      result.ran_otherwise && command.otherwise ? *command.otherwise : command.operations;
  if (result.failed_operation >= ran.size()) return {};
  const Operation& operation = ran[result.failed_operation];
  return "operation " + std::to_string(result.failed_operation + 1) + ", " +
         NameOf(operation.kind) + " of " + QuotedKey(operation.key) + ": ";
}

Error OperationFailed(const CommandResult& result, const Command& command, std::string reason) {
  Error error;
  error.code = result.code;
  error.detail = TheOperation(result, command) + std::move(reason);
  error.key = result.key;
  return error;
}

}  // namespace

std::string QuotedKey(std::string_view key) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char byte : key.substr(0, kShownKeyBytes)) {
    const auto code = static_cast<unsigned char>(byte);
    if (code >= 0x20 && code < 0x7F && byte != '"' && byte != '\\') {
      quoted += byte;
    } else {
      quoted += "\\x";
      quoted += kHex[code >> 4];
      quoted += kHex[code & 15];
    }
  }
  if (key.size() > kShownKeyBytes) quoted += "...";
  return quoted + "\"";
}

Error ErrorOf(const CommandResult& result, std::string_view encoded) {
  if (result.code == ErrorCode::kOk) return {};
  const auto decoded = proto::DecodeCommand(encoded);
  const Command command = decoded.ok() ? *decoded : Command();
  Error error;
  error.code = result.code;
  error.key = result.key;
  switch (result.code) {
    case ErrorCode::kPreconditionFailed:
      return PreconditionFailed(result, command);
    case ErrorCode::kTransactionConflict:
      error.detail = "another transaction has changed " + QuotedKey(result.key) +
                     " since this one read it: begin again";
      return error;
    case ErrorCode::kVersionCompacted:
      error.detail = "a version that the request is about is no longer kept";
      return error;
    case ErrorCode::kInvalidArgument:
      if (result.key.empty()) {
        error.detail = "the state machine can't execute the command";
        return error;
      }
      return OperationFailed(result, command,
                             "the value is no decimal 64-bit number, or the sum is none");
    case ErrorCode::kTransactionTooLarge:
      error = OperationFailed(result, command, "the results of the transaction grow too large");
      error.limit = proto::kResultBytesMax;
      return error;
    case ErrorCode::kIdempotencyKeyReused:
      error.detail = "the Idempotency-Key has been used with a different request";
      return error;
    case ErrorCode::kStaleSequence:
      error.detail = "the reply to this command is no longer kept";
      error.outcome = proto::Outcome::kUnknown;
      return error;
    case ErrorCode::kOverloaded:
      error.detail = "the cluster keeps the replies of too many commands";
      return error;
    default:
      error.detail = "the state machine refused the command";
      return error;
  }
}

}  // namespace bedrock::router
