#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "common/base/units.h"
#include "proto/errors.h"

namespace bedrock::proto {

// The command: the one kind of write there is. A router encodes it once, raftd orders it without
// looking inside, every storaged executes it alike. Decoded views borrow from the encoded bytes.
//
// On the wire and in the log, as a msgpack array (all keys and values are bin):
//
//   [ format, session, sequence, low_water, [ condition, … ], [ operation, … ] ]
//   condition = [ kind, key, version ]
//   operation = [ kind, key, value ]
//
// Read version, read set, else branch, fences and idempotency key follow as elements 6 to 10 when
// they come, in that order.
//
// Every replica must execute a command alike, whatever release it runs, so the rule differs from
// that of frames: a command is never executed in part. `format` is the oldest format that holds all
// the command uses; what is a valid command of a format, and what it does, never changes. A reader
// that does not know the format stops. Within a format it knows, elements beyond those drawn must
// be empty (nil, false, 0, or a bin, str, array or map of no elements): then they mean nothing and
// are ignored; anything else is no command, for every release alike.

inline constexpr std::uint64_t kCommandFormat = 1;

inline constexpr std::size_t kKeyBytesMax = 8192;
inline constexpr std::size_t kValueBytesDefault = 1 * kMiB;  ///< Default of --max-value-bytes.
inline constexpr std::size_t kValueBytesMax = 8 * kMiB;
inline constexpr std::size_t kCommandBytesMax = 8 * kMiB + 64 * kKiB;  ///< Encoded.
inline constexpr std::size_t kOperationsMax = 10'000;

struct Condition {
  enum class Kind : std::uint8_t {
    kVersionEquals = 0,  ///< The key's version is `version`; 0: the key is absent.
    kExists = 1,
    kAbsent = 2,
  };
  Kind kind = Kind::kVersionEquals;
  std::string_view key;
  Version version;

  friend bool operator==(const Condition&, const Condition&) = default;
};

struct Operation {
  enum class Kind : std::uint8_t { kPut = 0, kDelete = 1 };
  Kind kind = Kind::kPut;
  std::string_view key;
  std::string_view value;  ///< Empty for kDelete.

  friend bool operator==(const Operation&, const Operation&) = default;
};

/// {session, sequence, low_water} make it safe to send a command again (Raft thesis 6.3): the state
/// machine keeps the reply of every sequence number at or above the session's low-water mark and
/// gives it again instead of executing a second time.
struct Command {
  SessionId session;           ///< Random, drawn by the process that makes the command; never 0.
  std::uint64_t sequence = 0;  ///< From 1, a number per command; a retry repeats it.
  std::uint64_t low_water =
      0;  ///< The sender has, and will not ask again for, every reply below this.
  std::vector<Condition> conditions;  ///< All must hold, or nothing is written.
  std::vector<Operation> operations;  ///< Each sees those before it.

  friend bool operator==(const Command&, const Command&) = default;
};

/// What executing a command gave. A pure function of the replicated state and the entry.
struct CommandResult {
  /// kOk, kPreconditionFailed, kStaleSequence, or kInvalidArgument for a command that does not
  /// decode. kOverloaded: the session table is full; as if this entry were not in the log, so that
  /// another entry with the same command may still be executed, once.
  ErrorCode code = ErrorCode::kOk;
  Version version;  ///< The entry's own: what was written carries it.
  /// kPreconditionFailed: the version that the failing condition's key has; 0 where it is absent.
  Version current;
  std::uint32_t failed_condition = 0;  ///< kPreconditionFailed: its position in `conditions`.

  friend bool operator==(const CommandResult&, const CommandResult&) = default;
};

/// The one check of a command's size, before it is proposed; what passes here no replica refuses.
/// Bounds: session and sequence not 0, low_water at most sequence, keys 1..kKeyBytesMax bytes,
/// values at most `value_bytes_max` (and kValueBytesMax) and none for a delete, at most
/// kOperationsMax operations and as many conditions, and EncodedCommandSize at most
/// kCommandBytesMax. Gives kOk or the code with limit and actual.
Error CheckCommand(const Command& command, std::size_t value_bytes_max);

std::size_t EncodedCommandSize(const Command& command);
std::string EncodeCommand(const Command& command);
/// Checks the layout, not the bounds (that is CheckCommand's). The result borrows `encoded`.
///
/// corruption: no command, and no release says otherwise. unavailable: a command of a later format
/// than kCommandFormat: a router refuses it as kUnsupportedProtocol, a state machine that meets it
/// in the log must stop applying until it is upgraded, never skip it.
Result<Command> DecodeCommand(std::string_view encoded);

/// What a session table keeps on disk: [ code, version, current, failed condition ].
std::string EncodeCommandResult(const CommandResult& result);
/// corruption where the bytes are no result. Ignores unknown trailing elements.
Result<CommandResult> DecodeCommandResult(std::string_view encoded);

}  // namespace bedrock::proto
