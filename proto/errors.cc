#include "proto/errors.h"

#include <array>
#include <cstddef>

namespace bedrock::proto {
namespace {

using enum StatusCode;

struct Row {
  ErrorCode code;
  std::string_view name;
  int http_status;
  bool retryable;
  StatusCode status;
};

// In the order of the numbers; proto/README.md and the HTTP interface show the same table.
constexpr Row kRows[] = {
    {ErrorCode::kOk, "ok", 200, false, kOk},
    {ErrorCode::kInvalidArgument, "invalid_argument", 400, false, kInvalidArgument},
    {ErrorCode::kKeyNotFound, "key_not_found", 404, false, kNotFound},
    {ErrorCode::kRouteNotFound, "route_not_found", 404, false, kInvalidArgument},
    {ErrorCode::kMethodNotAllowed, "method_not_allowed", 405, false, kInvalidArgument},
    {ErrorCode::kTransactionConflict, "transaction_conflict", 409, true, kConflict},
    {ErrorCode::kPreconditionFailed, "precondition_failed", 412, false, kConflict},
    {ErrorCode::kKeyTooLarge, "key_too_large", 413, false, kInvalidArgument},
    {ErrorCode::kValueTooLarge, "value_too_large", 413, false, kInvalidArgument},
    {ErrorCode::kRequestTooLarge, "request_too_large", 413, false, kInvalidArgument},
    {ErrorCode::kTransactionTooLarge, "transaction_too_large", 413, false, kInvalidArgument},
    {ErrorCode::kIdempotencyKeyReused, "idempotency_key_reused", 422, false, kInvalidArgument},
    {ErrorCode::kOverloaded, "overloaded", 429, true, kBusy},
    {ErrorCode::kHeaderTooLarge, "header_too_large", 431, false, kInvalidArgument},
    {ErrorCode::kTargetTooLong, "target_too_long", 414, false, kInvalidArgument},
    {ErrorCode::kNoLeader, "no_leader", 503, true, kUnavailable},
    {ErrorCode::kStorageUnavailable, "storage_unavailable", 503, true, kUnavailable},
    {ErrorCode::kShuttingDown, "shutting_down", 503, true, kUnavailable},
    {ErrorCode::kTooStale, "too_stale", 503, true, kUnavailable},
    {ErrorCode::kDeadlineExceeded, "deadline_exceeded", 504, true, kTimedOut},
    {ErrorCode::kStorageFull, "storage_full", 507, true, kNoSpace},
    {ErrorCode::kVersionCompacted, "version_compacted", 410, false, kInvalidArgument},
    {ErrorCode::kWrongCluster, "wrong_cluster", 400, false, kInvalidArgument},
    {ErrorCode::kUnsupportedProtocol, "unsupported_protocol", 400, false, kInvalidArgument},
    {ErrorCode::kNotLeader, "not_leader", 503, true, kNotLeader},
    {ErrorCode::kStaleSequence, "stale_sequence", 409, false, kAborted},
    {ErrorCode::kCorruption, "corruption", 500, false, kCorruption},
    {ErrorCode::kTransactionNotFound, "transaction_not_found", 404, false, kNotFound},
    {ErrorCode::kTransactionExpired, "transaction_expired", 410, false, kAborted},
    {ErrorCode::kDeadlock, "deadlock", 409, true, kDeadlock},
    {ErrorCode::kLockTimeout, "lock_timeout", 409, true, kTimedOut},
    {ErrorCode::kMemberExists, "member_exists", 409, false, kConflict},
    {ErrorCode::kUnsafeMembershipChange, "unsafe_membership_change", 409, true, kConflict},
    {ErrorCode::kMemberNotFound, "member_not_found", 404, false, kNotFound},
    {ErrorCode::kDiverged, "diverged", 503, true, kUnavailable},
};
constexpr Row kUnrecognizedRow = {ErrorCode::kUnrecognized, "unrecognized", 500, false, kAborted};

constexpr bool RowsStandAtTheirNumbers() {
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    if (static_cast<std::size_t>(kRows[i].code) != i) return false;
  }
  return true;
}
static_assert(RowsStandAtTheirNumbers());

const Row& RowOf(ErrorCode code) {
  const auto number = static_cast<std::size_t>(code);
  return number < std::size(kRows) ? kRows[number] : kUnrecognizedRow;
}

}  // namespace

Error MakeError(ErrorCode code, std::string_view detail, Outcome outcome) {
  Error error;
  error.code = code;
  error.detail = detail;
  error.outcome = outcome;
  return error;
}

std::string_view ErrorCodeName(ErrorCode code) { return RowOf(code).name; }

bool IsRetryable(ErrorCode code) { return RowOf(code).retryable; }

int HttpStatus(ErrorCode code) { return RowOf(code).http_status; }

std::optional<ErrorCode> ErrorCodeFromNumber(std::uint64_t number) {
  if (number >= std::size(kRows)) return std::nullopt;
  return kRows[number].code;
}

Status ToStatus(const Error& error) {
  if (error.ok()) return {};
  const Row& row = RowOf(error.code);
  std::string message(row.name);
  if (!error.detail.empty()) {
    message += ": ";
    message += error.detail;
  }
  return {row.status, message};
}

}  // namespace bedrock::proto
