#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
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
//   [ format, session, sequence, low_water, [ condition, … ], [ operation, … ],          format 1
//     read_version, [ read, … ], nil or [ operation, … ], fences, nil or idempotency ]   format 2
//
//   condition   = [ kind, key, version, operand ]
//   operation   = [ kind, key, value, delta, scan, version ]
//   scan        = [ items max, bytes max, reverse, form ]
//   read        = [ kind, key, end, at ]
//   idempotency = [ key, fingerprint ]
//
// Elements at the end of an array that are as if absent are not written. Fences have their seat:
// the element is empty until they come, with a later format. A delta is zigzag coded: 0, -1, 1, -2,
// … are 0, 1, 2, 3, …
//
// Every replica must execute a command alike, whatever release it runs, so the rule differs from
// that of frames: a command is never executed in part. `format` is the oldest format that holds all
// the command uses; what is a valid command of a format, and what it does, never changes. A reader
// that does not know the format stops. Within a format, elements beyond those it draws (a format 1
// operation's fourth, for one) must be empty (nil, false, 0, or a bin, str, array or map of no
// elements): then they mean nothing and are ignored; anything else is no command, for every release
// alike.
//
// Format 3 is no command of a client's but a check of the state, which leaders propose:
//
//   [ 3, from, bytes max ]                                                               format 3

inline constexpr std::uint64_t kCommandFormat = 2;  ///< The newest of a command.
inline constexpr std::uint64_t kCheckFormat = 3;    ///< Of CheckState.
inline constexpr std::uint64_t kNewestFormat = kCheckFormat;

inline constexpr std::size_t kKeyBytesMax = 8192;
inline constexpr std::size_t kValueBytesDefault = 1 * kMiB;  ///< Default of --max-value-bytes.
inline constexpr std::size_t kValueBytesMax = 8 * kMiB;
inline constexpr std::size_t kCommandBytesMax = 8 * kMiB + 64 * kKiB;  ///< Encoded.
inline constexpr std::size_t kOperationsMax = 10'000;  ///< Of each branch; conditions, too.
inline constexpr std::size_t kReadsMax = 100'000;      ///< Keys and ranges to certify.
inline constexpr std::size_t kScanItemsMax = 10'000;
inline constexpr std::size_t kScanBytesMax = 8 * kMiB;  ///< Keys and values of one scan.
/// Keys and values in all results of a command, and items of all its scans; what would give more is
/// kTransactionTooLarge. So many items fit a frame beside what else may be in it.
inline constexpr std::size_t kResultBytesMax = 12 * kMiB;
inline constexpr std::size_t kResultItemsMax = 100'000;
inline constexpr std::size_t kIdempotencyKeyBytesMax = 128;
inline constexpr std::size_t kFingerprintBytes = 16;
inline constexpr std::size_t kCheckBytesMax = 4 * kMiB;
inline constexpr std::size_t kCheckFromBytesMax = kKeyBytesMax + 256;

struct Condition {
  enum class Kind : std::uint8_t {
    kVersionEquals = 0,  ///< The key's version is `version`; 0: the key is absent.
    kExists = 1,
    kAbsent = 2,
    kVersionLess = 3,  ///< An absent key's version is 0.
    kVersionGreater = 4,
    kValueEquals = 5,          ///< The key exists and its value is `operand`.
    kUnchangedSince = 6,       ///< Nothing was written to or deleted from the key after `version`.
    kRangeUnchangedSince = 7,  ///< The same for all keys in [key, operand); empty: unbounded.
  };
  Kind kind = Kind::kVersionEquals;
  std::string_view key;
  Version version;
  std::string_view operand;

  friend bool operator==(const Condition&, const Condition&) = default;
};

/// How much of a range a scan gives, and in which shape.
struct Scan {
  enum class Form : std::uint8_t {
    kItems = 0,
    kKeys = 1,   ///< Items without their values.
    kCount = 2,  ///< How many there are, without limits.
  };
  std::uint32_t items_max = 0;  ///< 0: kScanItemsMax, which is also the most.
  std::uint32_t bytes_max = 0;  ///< Of keys and values; the first item comes whatever its size. 0:
                                ///< kScanBytesMax, which is also the most.
  bool reverse = false;         ///< From the range's end.
  Form form = Form::kItems;

  friend bool operator==(const Scan&, const Scan&) = default;
};

struct Operation {
  enum class Kind : std::uint8_t {
    kPut = 0,
    kDelete = 1,
    kGet = 2,
    kScan = 3,         ///< The range [key, value), as `scan` says.
    kDeleteRange = 4,  ///< [key, value).
    kAdd = 5,          ///< To the value as a decimal signed 64-bit number; absent is 0.
    /// Versions below `version` that newer ones cover may vanish; reads below it are refused from
    /// here on. One below an earlier one, or above the command's own, counts as that one.
    kDropHistory = 6,
  };
  Kind kind = Kind::kPut;
  std::string_view key;    ///< Ranges: where they begin; may be empty. Empty for kDropHistory.
  std::string_view value;  ///< kPut. Ranges: where they end, open; empty: unbounded.
  std::int64_t delta = 0;  ///< kAdd.
  Scan scan;               ///< kScan.
  Version version;         ///< kDropHistory.

  friend bool operator==(const Operation&, const Operation&) = default;
};

/// Something that was read, which has to be so still when the command is applied.
struct Read {
  enum class Kind : std::uint8_t {
    kKey = 0,
    kRange = 1,  ///< [key, end); an empty end is unbounded.
  };
  Kind kind = Kind::kKey;
  std::string_view key;
  std::string_view end;
  Version at;  ///< The version that was read; 0: the command's read_version.

  friend bool operator==(const Read&, const Read&) = default;
};

/// A client's Idempotency-Key.
struct Idempotency {
  std::string_view key;          ///< 1 to kIdempotencyKeyBytesMax bytes; empty: there is none.
  std::string_view fingerprint;  ///< kFingerprintBytes that tell this request from others.

  friend bool operator==(const Idempotency&, const Idempotency&) = default;
};

/// {session, sequence, low_water} make it safe to send a command again (Raft thesis 6.3): the state
/// machine keeps the reply of every sequence number at or above the session's low-water mark and
/// gives it again instead of executing a second time.
struct Command {
  SessionId session;           ///< Random, drawn by the process that makes the command; never 0.
  std::uint64_t sequence = 0;  ///< From 1, a number per command; a retry repeats it.
  std::uint64_t low_water =
      0;  ///< The sender has, and will not ask again for, every reply below this.
  /// All must hold, or `otherwise` runs; where there is none, nothing is written.
  std::vector<Condition> conditions;
  std::vector<Operation> operations;  ///< Each sees those before it.
  Version read_version;               ///< What `reads` were read at, where they do not say.
  /// Nothing here was changed since it was read, or nothing is written (kTransactionConflict).
  std::vector<Read> reads;
  /// What runs instead where a condition does not hold. None: kPreconditionFailed.
  std::optional<std::vector<Operation>> otherwise;
  Idempotency idempotency;

  friend bool operator==(const Command&, const Command&) = default;
};

/// Makes each replica hash a slice of what it holds: the newest versions of the keys from `from`
/// on, in order, until `bytes_max` of keys and values are reached or all is done. The hash goes
/// into the chain of hashes that each replica keeps of what it executed
/// (storaged/core/state_chain.h), so that what was lost or changed on one of them shows at the
/// entry that holds the check. Where the next slice begins the leader's replica says; going through
/// all of the state is a pass.
///
/// Its entry has no sender who waits for a reply, and changes nothing that a client can see.
struct CheckState {
  std::string_view from;  ///< A key as replicas keep them; empty: a pass begins here.
  std::uint32_t bytes_max = 0;

  friend bool operator==(const CheckState&, const CheckState&) = default;
};

/// An item of a scan.
struct Item {
  std::string key;
  std::string value;  ///< Empty with Scan::Form::kKeys.
  Version version;    ///< 0: written by this very command.

  friend bool operator==(const Item&, const Item&) = default;
};

/// What one operation gave. Members that its kind does not name are as they were made.
struct OperationResult {
  bool found = false;       ///< kGet.
  std::string value;        ///< kGet. kAdd: the new number, decimal.
  Version version;          ///< kGet: the value's; 0: absent, or written by this very command.
  std::vector<Item> items;  ///< kScan: in the order of the walk.
  std::uint64_t count = 0;  ///< kScan: of items, or of keys with kCount. kDeleteRange: of keys.
  /// kScan: a limit ended it before the range's end. Forward the next one begins at `next`; in
  /// reverse it ends there (open).
  bool more = false;
  std::string next;

  friend bool operator==(const OperationResult&, const OperationResult&) = default;
};

/// What executing a command gave. A pure function of the replicated state and the entry.
struct CommandResult {
  /// kOk (also where `otherwise` ran); kPreconditionFailed; kTransactionConflict;
  /// kVersionCompacted: a read or condition is about a version that is not kept any more;
  /// kInvalidArgument for an add that can't be made or a command that does not decode;
  /// kTransactionTooLarge for too large results; kIdempotencyKeyReused; kStaleSequence.
  /// kOverloaded: the session table or the store of idempotency replies is full; as if this entry
  /// were not in the log, so that another entry with the same command may still be executed, once.
  ErrorCode code = ErrorCode::kOk;
  Version version;  ///< The entry's own: what was written carries it.
  /// kPreconditionFailed: the version that the failing condition's key has; 0 where it is absent.
  Version current;
  /// The first condition that did not hold: its position in `conditions`.
  std::uint32_t failed_condition = 0;
  bool ran_otherwise = false;  ///< kOk: a condition failed and `otherwise` ran.
  /// kOk: one an operation of the branch that ran; none at all where that branch only puts, deletes
  /// and drops history, which give nothing.
  std::vector<OperationResult> results;
  /// kTransactionConflict: a key, or where a range begins, that was changed. kInvalidArgument: the
  /// key of the add.
  std::string key;
  std::uint32_t failed_operation = 0;  ///< kInvalidArgument, kTransactionTooLarge: its position.

  friend bool operator==(const CommandResult&, const CommandResult&) = default;
};

/// The one check of a command's size, before it is proposed; what passes here no replica refuses.
/// Bounds: session and sequence not 0, low_water at most sequence, keys 1..kKeyBytesMax bytes (the
/// ends of ranges 0..kKeyBytesMax, and no range without keys), values at most `value_bytes_max`
/// (and kValueBytesMax) and none for a delete, at most kOperationsMax operations a branch and as
/// many conditions, kReadsMax reads, and EncodedCommandSize at most kCommandBytesMax. What an
/// operation, a condition or a read does not use is as it was made. Gives kOk or the code with
/// limit and actual.
Error CheckCommand(const Command& command, std::size_t value_bytes_max);
/// The same of a command that was decoded from so many bytes, which are at least those that
/// EncodeCommand would give: within the bound nothing is measured again.
Error CheckDecodedCommand(const Command& command, std::size_t value_bytes_max,
                          std::size_t encoded_bytes);
/// As CheckCommand without session and sequence, for a command that is evaluated and not proposed
/// (Query): kInvalidArgument where it has reads, an idempotency key or a kDropHistory.
Error CheckQuery(const Command& command, std::size_t value_bytes_max);

/// Whether any operation of either branch writes.
bool Writes(const Command& command);
/// Whether it writes, and whatever it does leaves less to be kept: each operation of either branch
/// that writes deletes or drops history, and no idempotency key is remembered. So it may be applied
/// where there is no room for more.
bool FreesRoom(const Command& command);
/// Whether `encoded` is a command that moves the watermark of history and does nothing else.
/// Decodes it only where it is small enough to be one, so it may be asked of any.
bool IsWatermark(std::string_view encoded);

std::size_t EncodedCommandSize(const Command& command);
/// The format number comes from what the command uses.
std::string EncodeCommand(const Command& command);
/// Checks the layout, not the bounds (that is CheckCommand's). The result borrows `encoded`.
///
/// corruption: no command (a CheckState, for one), and no release says otherwise. unavailable: of a
/// later format than kNewestFormat: a router refuses it as kUnsupportedProtocol, a state machine
/// that meets it in the log must stop applying until it is upgraded, never skip it.
Result<Command> DecodeCommand(std::string_view encoded);

std::string EncodeCheckState(const CheckState& check);
/// corruption: no check, or one beyond its bounds (from 0..kCheckFromBytesMax bytes, bytes_max
/// 1..kCheckBytesMax), which does nothing on any replica. The result borrows `encoded`.
Result<CheckState> DecodeCheckState(std::string_view encoded);

/// What a session table and an idempotency record keep: the fields of CommandResult in their order,
/// those that are as if absent left out at the end.
std::string EncodeCommandResult(const CommandResult& result);
/// corruption where the bytes are no result. Ignores unknown trailing elements.
Result<CommandResult> DecodeCommandResult(std::string_view encoded);

}  // namespace bedrock::proto
