#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bedrock/status.h"

namespace bedrock::proto {

/// The stable error codes of the HTTP and ZeroMQ interfaces. The numbers are on the wire and in
/// replicated replies: they are never reused.
enum class ErrorCode : std::uint8_t {
  kOk = 0,
  kInvalidArgument = 1,
  kKeyNotFound = 2,
  kRouteNotFound = 3,
  kMethodNotAllowed = 4,
  kTransactionConflict = 5,
  kPreconditionFailed = 6,
  kKeyTooLarge = 7,
  kValueTooLarge = 8,
  kRequestTooLarge = 9,
  kTransactionTooLarge = 10,
  kIdempotencyKeyReused = 11,
  kOverloaded = 12,
  kHeaderTooLarge = 13,
  kTargetTooLong = 14,
  kNoLeader = 15,
  kStorageUnavailable = 16,
  kShuttingDown = 17,
  kTooStale = 18,
  kDeadlineExceeded = 19,
  kStorageFull = 20,
  kVersionCompacted = 21,
  kWrongCluster = 22,         ///< The peer belongs to another cluster.
  kUnsupportedProtocol = 23,  ///< The peer speaks a protocol version this one does not.
  kNotLeader = 24,            ///< Between processes only: routers follow the hint and retry.
  kStaleSequence = 25,        ///< A command below its session's low-water mark: its reply is gone.
  kCorruption = 26,  ///< Stored bytes failed their checks; the detail names file and offset.
  kTransactionNotFound = 27,     ///< No interactive transaction of this id is open.
  kTransactionExpired = 28,      ///< An interactive transaction was idle, or open, for too long.
  kDeadlock = 29,                ///< A pessimistic transaction was chosen as a deadlock's victim.
  kLockTimeout = 30,             ///< A lock was not given in time.
  kMemberExists = 31,            ///< A node of this id is, or was, a member.
  kUnsafeMembershipChange = 32,  ///< It could cost the quorum of live voters.
  kMemberNotFound = 33,          ///< No member has this id.
  kDiverged = 34,  ///< This replica's state differs from the others'; it has to be rebuilt.
  /// Never sent by choice: what a number that this version does not know is read as, so that a
  /// newer peer's new error fails one request and not a whole frame.
  kUnrecognized = 255,
};

/// What a failed write left behind.
enum class Outcome : std::uint8_t {
  kNone = 0,     ///< Nothing happened and nothing will.
  kUnknown = 1,  ///< It may have been or may yet be committed.
};

/// An error as users see it, whatever door they came through.
struct Error {
  ErrorCode code = ErrorCode::kOk;
  std::string detail;  ///< A sentence for people.
  Outcome outcome = Outcome::kNone;
  std::uint64_t limit = 0;   ///< For *_too_large: the bound, in bytes or operations; 0: absent.
  std::uint64_t actual = 0;  ///< What was sent; 0: absent.
  std::string key;           ///< The key it is about; empty: absent.
  std::string blocked_by;  ///< kDeadlock, kLockTimeout: the transaction in the way; empty: absent.
  std::uint64_t blocked_by_ms = 0;  ///< How long that one has been open.

  bool ok() const { return code == ErrorCode::kOk; }
  friend bool operator==(const Error&, const Error&) = default;
};

/// An error about nothing that has a size, a key or a transaction of its own.
Error MakeError(ErrorCode code, std::string_view detail, Outcome outcome = Outcome::kNone);

/// "key_not_found" and so on; "ok" for kOk.
std::string_view ErrorCodeName(ErrorCode code);
/// Whether the same request may succeed later, unchanged.
bool IsRetryable(ErrorCode code);
/// The HTTP status that goes with a code (200 for kOk).
int HttpStatus(ErrorCode code);
/// nullopt for a number outside the list; kUnrecognized is not on it.
std::optional<ErrorCode> ErrorCodeFromNumber(std::uint64_t number);
/// The Status of the C++ interfaces for an error; ok for kOk. The message is "code_name: detail".
Status ToStatus(const Error& error);

}  // namespace bedrock::proto
