#include "proto/command.h"

#include <algorithm>
#include <memory>

#include "proto/wire.h"

namespace bedrock::proto {
namespace {

/// Null: there is none. An Error by itself is large, and nearly every command is without.
using Fault = std::unique_ptr<Error>;

Fault Invalid(std::string_view detail) {
  auto fault = std::make_unique<Error>();
  fault->code = ErrorCode::kInvalidArgument;
  fault->detail = detail;
  return fault;
}

Fault TooLarge(ErrorCode code, std::string_view what, std::size_t limit, std::size_t actual) {
  auto fault = std::make_unique<Error>();
  fault->code = code;
  fault->detail = std::string(what) + ": " + std::to_string(actual) + ", at most " +
                  std::to_string(limit) + " are allowed";
  fault->limit = limit;
  fault->actual = actual;
  return fault;
}

Fault CheckKeyBytes(std::string_view key) {
  if (key.size() <= kKeyBytesMax) return nullptr;
  return TooLarge(ErrorCode::kKeyTooLarge, "bytes of a key", kKeyBytesMax, key.size());
}

Fault CheckKey(std::string_view key) {
  if (key.empty()) return Invalid("a key has at least one byte");
  return CheckKeyBytes(key);
}

Fault CheckRange(std::string_view begin, std::string_view end) {
  if (!end.empty() && begin >= end) return Invalid("a range begins before its end");
  if (Fault fault = CheckKeyBytes(begin)) return fault;
  return CheckKeyBytes(end);
}

Fault CheckScan(const Scan& scan) {
  if (scan.items_max > kScanItemsMax) {
    return TooLarge(ErrorCode::kInvalidArgument, "items of a scan", kScanItemsMax, scan.items_max);
  }
  if (scan.bytes_max > kScanBytesMax) {
    return TooLarge(ErrorCode::kInvalidArgument, "bytes of a scan", kScanBytesMax, scan.bytes_max);
  }
  return nullptr;
}

Fault CheckValue(const Operation& operation, std::size_t value_bytes_max) {
  if (operation.value.size() <= value_bytes_max) return nullptr;
  Fault fault = TooLarge(ErrorCode::kValueTooLarge, "bytes of a value", value_bytes_max,
                         operation.value.size());
  fault->key = operation.key;
  return fault;
}

/// What an operation's kind does not use is as it was made, so that nothing is ignored.
bool HasOnlyItsMembers(const Operation& operation) {
  using Kind = Operation::Kind;
  const Kind kind = operation.kind;
  const bool has_value = kind == Kind::kPut || kind == Kind::kScan || kind == Kind::kDeleteRange;
  return (has_value || operation.value.empty()) &&
         (kind != Kind::kDropHistory || operation.key.empty()) &&
         (kind == Kind::kAdd || operation.delta == 0) &&
         (kind == Kind::kScan || operation.scan == Scan()) &&
         (kind == Kind::kDropHistory || !operation.version);
}

Fault CheckOperation(const Operation& operation, std::size_t value_bytes_max) {
  using Kind = Operation::Kind;
  if (operation.kind == Kind::kDelete && !operation.value.empty()) {
    return Invalid("a delete has no value");
  }
  if (!HasOnlyItsMembers(operation)) return Invalid("an operation has what its kind does not use");
  switch (operation.kind) {
    case Kind::kPut:
      if (Fault fault = CheckKey(operation.key)) return fault;
      return CheckValue(operation, value_bytes_max);
    case Kind::kDelete:
    case Kind::kGet:
    case Kind::kAdd:
      return CheckKey(operation.key);
    case Kind::kScan:
      if (Fault fault = CheckScan(operation.scan)) return fault;
      return CheckRange(operation.key, operation.value);
    case Kind::kDeleteRange:
      return CheckRange(operation.key, operation.value);
    case Kind::kDropHistory:
      return nullptr;
  }
  return Invalid("an operation of no kind");
}

Fault CheckCondition(const Condition& condition) {
  using Kind = Condition::Kind;
  if (condition.kind == Kind::kRangeUnchangedSince) {
    return CheckRange(condition.key, condition.operand);
  }
  if (condition.kind != Kind::kValueEquals && !condition.operand.empty()) {
    return Invalid("a condition has an operand that its kind does not use");
  }
  return CheckKey(condition.key);
}

Fault CheckRead(const Read& read) {
  if (read.kind == Read::Kind::kRange) return CheckRange(read.key, read.end);
  if (!read.end.empty()) return Invalid("a read of a key has no end");
  return CheckKey(read.key);
}

Fault CheckIdempotency(const Idempotency& idempotency) {
  if (idempotency == Idempotency()) return nullptr;
  if (idempotency.key.empty()) return Invalid("an idempotency key has at least one byte");
  if (idempotency.key.size() > kIdempotencyKeyBytesMax) {
    return TooLarge(ErrorCode::kInvalidArgument, "bytes of an idempotency key",
                    kIdempotencyKeyBytesMax, idempotency.key.size());
  }
  if (idempotency.fingerprint.size() == kFingerprintBytes) return nullptr;
  return Invalid("an idempotency fingerprint has 16 bytes");
}

Fault CheckOperations(const std::vector<Operation>& operations, std::size_t value_bytes_max) {
  for (const Operation& operation : operations) {
    const std::size_t most = std::min(value_bytes_max, kValueBytesMax);
    if (Fault fault = CheckOperation(operation, most)) return fault;
  }
  return nullptr;
}

Fault CheckCounts(const Command& command) {
  std::size_t count = std::max(command.operations.size(), command.conditions.size());
  if (command.otherwise) count = std::max(count, command.otherwise->size());
  if (count > kOperationsMax) {
    return TooLarge(ErrorCode::kTransactionTooLarge, "operations or conditions of a transaction",
                    kOperationsMax, count);
  }
  if (command.reads.size() <= kReadsMax) return nullptr;
  return TooLarge(ErrorCode::kTransactionTooLarge, "keys and ranges that a transaction read",
                  kReadsMax, command.reads.size());
}

/// All but session, sequence and size.
Fault CheckContent(const Command& command, std::size_t value_bytes_max) {
  if (Fault fault = CheckCounts(command)) return fault;
  for (const Condition& condition : command.conditions) {
    if (Fault fault = CheckCondition(condition)) return fault;
  }
  for (const Read& read : command.reads) {
    if (Fault fault = CheckRead(read)) return fault;
  }
  if (Fault fault = CheckIdempotency(command.idempotency)) return fault;
  if (Fault fault = CheckOperations(command.operations, value_bytes_max)) return fault;
  return command.otherwise ? CheckOperations(*command.otherwise, value_bytes_max) : nullptr;
}

Fault CheckSize(const Command& command) {
  const std::size_t size = EncodedCommandSize(command);
  if (size <= kCommandBytesMax) return nullptr;
  return TooLarge(ErrorCode::kTransactionTooLarge, "bytes of a transaction", kCommandBytesMax,
                  size);
}

bool IsFirstFormat(const Condition& condition) {
  return condition.kind <= Condition::Kind::kAbsent && condition.operand.empty();
}

bool IsFirstFormat(const Operation& operation) {
  return operation.kind <= Operation::Kind::kDelete && operation.delta == 0 &&
         operation.scan == Scan() && !operation.version;
}

/// For what is small: the buffer grows as it is written.
template <typename Value>
std::string Encoded(const Value& value) {
  std::string encoded;
  StringSink sink(encoded);
  WireWriter(sink).Put(value);
  return encoded;
}

bool WritesAny(const std::vector<Operation>& operations) {
  return std::any_of(operations.begin(), operations.end(), [](const Operation& operation) {
    return operation.kind != Operation::Kind::kGet && operation.kind != Operation::Kind::kScan;
  });
}

/// More than a command takes that only moves the watermark.
constexpr std::size_t kWatermarkBytesMax = 128;

bool StoresNone(const std::vector<Operation>& operations) {
  return std::none_of(operations.begin(), operations.end(), [](const Operation& operation) {
    return operation.kind == Operation::Kind::kPut || operation.kind == Operation::Kind::kAdd;
  });
}

bool DropsHistory(const std::vector<Operation>& operations) {
  return std::any_of(operations.begin(), operations.end(), [](const Operation& operation) {
    return operation.kind == Operation::Kind::kDropHistory;
  });
}

Fault CheckIdentity(const Command& command) {
  if (!command.session) return Invalid("a command has a session");
  if (command.sequence == 0) return Invalid("sequence numbers begin at 1");
  if (command.low_water > command.sequence) return Invalid("low_water is above the sequence");
  return nullptr;
}

Error ErrorOf(const Fault& fault) { return fault == nullptr ? Error() : *fault; }

}  // namespace

std::uint64_t FormatOf(const Command& command) {
  if (command.read_version || !command.reads.empty() || command.otherwise ||
      command.idempotency != Idempotency()) {
    return 2;
  }
  const bool first =
      std::all_of(command.conditions.begin(), command.conditions.end(),
                  [](const Condition& condition) { return IsFirstFormat(condition); }) &&
      std::all_of(command.operations.begin(), command.operations.end(),
                  [](const Operation& operation) { return IsFirstFormat(operation); });
  return first ? 1 : 2;
}

Error CheckCommand(const Command& command, std::size_t value_bytes_max) {
  if (const Fault fault = CheckIdentity(command)) return *fault;
  if (const Fault fault = CheckContent(command, value_bytes_max)) return *fault;
  return ErrorOf(CheckSize(command));
}

Error CheckDecodedCommand(const Command& command, std::size_t value_bytes_max,
                          std::size_t encoded_bytes) {
  if (const Fault fault = CheckIdentity(command)) return *fault;
  if (const Fault fault = CheckContent(command, value_bytes_max)) return *fault;
  return encoded_bytes <= kCommandBytesMax ? Error() : ErrorOf(CheckSize(command));
}

Error CheckQuery(const Command& command, std::size_t value_bytes_max) {
  if (!command.reads.empty() || command.idempotency != Idempotency() ||
      DropsHistory(command.operations) || (command.otherwise && DropsHistory(*command.otherwise))) {
    return *Invalid("what only a command has can't be in a query");
  }
  if (const Fault fault = CheckContent(command, value_bytes_max)) return *fault;
  return ErrorOf(CheckSize(command));
}

bool Writes(const Command& command) {
  return WritesAny(command.operations) || (command.otherwise && WritesAny(*command.otherwise));
}

bool FreesRoom(const Command& command) {
  return Writes(command) && command.idempotency.key.empty() && StoresNone(command.operations) &&
         (!command.otherwise || StoresNone(*command.otherwise));
}

bool IsWatermark(std::string_view encoded) {
  if (encoded.size() > kWatermarkBytesMax) return false;
  const auto command = DecodeCommand(encoded);
  return command.ok() && command->operations.size() == 1 && DropsHistory(command->operations) &&
         !command->otherwise && command->idempotency.key.empty();
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
  const std::uint64_t format = head.ArraySize() > 0 ? head.Unsigned() : 0;
  if (format > kNewestFormat && !head.failed()) {
    return Status::Unavailable("command: of a later format than " + std::to_string(kNewestFormat) +
                               ", which this version cannot execute");
  }
  if (format == kCheckFormat) return Status::Corruption("command: a check of the state is none");
  MsgpackReader in(encoded);
  Command command;
  WireReader(in, Bytes(), Extra::kMustBeEmpty, KnowsLater(format > 1)).Take(command);
  if (!in.failed() && !in.at_end()) in.Fail("bytes behind the command");
  if (!in.failed() && format != FormatOf(command)) in.Fail("not the format of what it holds");
  if (in.failed()) return Status::Corruption("command: " + in.FailureText());
  return command;
}

std::string EncodeCheckState(const CheckState& check) { return Encoded(check); }

Result<CheckState> DecodeCheckState(std::string_view encoded) {
  MsgpackReader head(encoded);
  const std::uint64_t format = head.ArraySize() > 0 ? head.Unsigned() : 0;
  if (head.failed() || format != kCheckFormat) return Status::Corruption("check: of no format");
  MsgpackReader in(encoded);
  CheckState check;
  WireReader(in, Bytes(), Extra::kMustBeEmpty).Take(check);
  if (!in.failed() && !in.at_end()) in.Fail("bytes behind the check");
  const bool bounded = check.from.size() <= kCheckFromBytesMax && check.bytes_max > 0 &&
                       check.bytes_max <= kCheckBytesMax;
  if (!in.failed() && !bounded) in.Fail("beyond its bounds");
  if (in.failed()) return Status::Corruption("check: " + in.FailureText());
  return check;
}

std::string EncodeCommandResult(const CommandResult& result) { return Encoded(result); }

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
