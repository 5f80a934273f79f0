#include "proto/command.h"

#include <algorithm>

#include "proto/wire.h"

namespace bedrock::proto {
namespace {

Error Invalid(std::string_view detail) {
  Error error;
  error.code = ErrorCode::kInvalidArgument;
  error.detail = detail;
  return error;
}

Error TooLarge(ErrorCode code, std::string_view what, std::size_t limit, std::size_t actual) {
  Error error;
  error.code = code;
  error.detail = std::string(what) + ": " + std::to_string(actual) + ", at most " +
                 std::to_string(limit) + " are allowed";
  error.limit = limit;
  error.actual = actual;
  return error;
}

Error CheckKey(std::string_view key) {
  if (key.empty()) return Invalid("a key has at least one byte");
  if (key.size() <= kKeyBytesMax) return {};
  return TooLarge(ErrorCode::kKeyTooLarge, "bytes of a key", kKeyBytesMax, key.size());
}

Error CheckOperation(const Operation& operation, std::size_t value_bytes_max) {
  if (Error error = CheckKey(operation.key); !error.ok()) return error;
  if (operation.kind == Operation::Kind::kDelete && !operation.value.empty()) {
    return Invalid("a delete has no value");
  }
  if (operation.value.size() <= value_bytes_max) return {};
  Error error = TooLarge(ErrorCode::kValueTooLarge, "bytes of a value", value_bytes_max,
                         operation.value.size());
  error.key = operation.key;
  return error;
}

Error CheckIdentity(const Command& command) {
  if (!command.session) return Invalid("a command has a session");
  if (command.sequence == 0) return Invalid("sequence numbers begin at 1");
  if (command.low_water > command.sequence) return Invalid("low_water is above the sequence");
  return {};
}

}  // namespace

Error CheckCommand(const Command& command, std::size_t value_bytes_max) {
  if (Error error = CheckIdentity(command); !error.ok()) return error;
  if (const std::size_t count = std::max(command.operations.size(), command.conditions.size());
      count > kOperationsMax) {
    return TooLarge(ErrorCode::kTransactionTooLarge, "operations or conditions of a transaction",
                    kOperationsMax, count);
  }
  for (const Condition& condition : command.conditions) {
    if (Error error = CheckKey(condition.key); !error.ok()) return error;
  }
  for (const Operation& operation : command.operations) {
    Error error = CheckOperation(operation, std::min(value_bytes_max, kValueBytesMax));
    if (!error.ok()) return error;
  }
  const std::size_t size = EncodedCommandSize(command);
  if (size <= kCommandBytesMax) return {};
  return TooLarge(ErrorCode::kTransactionTooLarge, "bytes of a transaction", kCommandBytesMax,
                  size);
}

std::size_t EncodedCommandSize(const Command& command) {
  CountingSink sink;
  WireWriter(sink).Put(command);
  return sink.size();
}

std::string EncodeCommand(const Command& command) {
  std::string encoded;
  encoded.reserve(EncodedCommandSize(command));
  StringSink sink(encoded);
  WireWriter(sink).Put(command);
  return encoded;
}

Result<Command> DecodeCommand(std::string_view encoded) {
  MsgpackReader head(encoded);
  if (head.ArraySize() > 0 && head.Unsigned() > kCommandFormat && !head.failed()) {
    return Status::Unavailable("command: of a later format than " + std::to_string(kCommandFormat) +
                               ", which this version cannot execute");
  }
  MsgpackReader in(encoded);
  Command command;
  WireReader(in, Bytes(), Extra::kMustBeEmpty).Take(command);
  if (!in.failed() && !in.at_end()) in.Fail("bytes behind the command");
  if (in.failed()) return Status::Corruption("command: " + in.FailureText());
  return command;
}

std::string EncodeCommandResult(const CommandResult& result) {
  std::string encoded;
  StringSink sink(encoded);
  WireWriter(sink).Put(result);
  return encoded;
}

Result<CommandResult> DecodeCommandResult(std::string_view encoded) {
  MsgpackReader in(encoded);
  CommandResult result;
  WireReader(in, Bytes(), Extra::kIgnored).Take(result);
  if (!in.failed() && !in.at_end()) in.Fail("bytes behind the result");
  // A later release's code must not be written back as another one.
  if (result.code == ErrorCode::kUnrecognized) in.Fail("an unknown error code");
  if (in.failed()) return Status::Corruption("command result: " + in.FailureText());
  return result;
}

}  // namespace bedrock::proto
