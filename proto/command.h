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
  /// decode.
  ErrorCode code = ErrorCode::kOk;
  Version version;  ///< The entry's own: what was written carries it.
  /// kPreconditionFailed: the version that the failing condition's key has; 0 where it is absent.
  Version current;
  std::uint32_t failed_condition = 0;  ///< kPreconditionFailed: its position in `conditions`.

  friend bool operator==(const CommandResult&, const CommandResult&) = default;
};

/// The one check of a command's size, before it is proposed; what passes here no replica refuses.
/// Bounds: keys 1..kKeyBytesMax bytes, values at most `value_bytes_max`, at most kOperationsMax
/// operations and as many conditions, and EncodedCommandSize at most kCommandBytesMax. Gives kOk or
/// the code with limit and actual.
Error CheckCommand(const Command& command, std::size_t value_bytes_max);

std::string EncodeCommand(const Command& command);
/// corruption where the bytes are no command. Ignores unknown trailing fields. The result borrows
/// `encoded`.
Result<Command> DecodeCommand(std::string_view encoded);

}  // namespace bedrock::proto
