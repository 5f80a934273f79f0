#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace bedrock {

/// Why an operation failed. The list is closed: a caller can switch over it and the wire carries
/// these numbers, so a code keeps its number for ever.
enum class StatusCode : std::uint8_t {
  kOk = 0,
  kNotFound = 1,         ///< The key, file or object does not exist.
  kInvalidArgument = 2,  ///< The caller's input breaks a documented rule; repeating it cannot help.
  kConflict = 3,         ///< A condition or a certification did not hold; nothing was written.
  kDeadlock = 4,         ///< Chosen as the victim of a deadlock; begin the transaction again.
  kTimedOut = 5,         ///< A deadline or a lock timeout passed.
  kBusy = 6,             ///< A named bound is reached (queue, window, memory); retry later.
  kNoSpace = 7,          ///< The disk or its reserve is full.
  kAborted = 8,          ///< The transaction or the operation was ended from elsewhere.
  kNotLeader = 9,        ///< This node does not lead; another one does or will.
  kUnavailable = 10,     ///< A part this depends on is down or not ready; retry later.
  kCorruption = 11,      ///< Stored or received bytes fail their checks.
  kIoError = 12,         ///< The operating system reported an error.
};

/// The stable snake_case name of a code, as logs and the protocols spell it.
std::string_view StatusCodeName(StatusCode code);

/// The outcome of an operation: a code and, unless ok, a sentence that says what was being done.
///
/// A value type, cheap to move; ok costs no allocation. Const members may be called from any
/// thread. Context grows outward: the innermost message comes last, "open db: replay wal 12: bad
/// checksum".
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string_view message);

  static Status Ok() { return {}; }
  static Status NotFound(std::string_view message) { return {StatusCode::kNotFound, message}; }
  static Status InvalidArgument(std::string_view m) { return {StatusCode::kInvalidArgument, m}; }
  static Status Conflict(std::string_view message) { return {StatusCode::kConflict, message}; }
  static Status Deadlock(std::string_view message) { return {StatusCode::kDeadlock, message}; }
  static Status TimedOut(std::string_view message) { return {StatusCode::kTimedOut, message}; }
  static Status Busy(std::string_view message) { return {StatusCode::kBusy, message}; }
  static Status NoSpace(std::string_view message) { return {StatusCode::kNoSpace, message}; }
  static Status Aborted(std::string_view message) { return {StatusCode::kAborted, message}; }
  static Status NotLeader(std::string_view message) { return {StatusCode::kNotLeader, message}; }
  static Status Unavailable(std::string_view m) { return {StatusCode::kUnavailable, m}; }
  static Status Corruption(std::string_view message) { return {StatusCode::kCorruption, message}; }
  static Status IoError(std::string_view message) { return {StatusCode::kIoError, message}; }

  bool ok() const { return rep_ == nullptr; }
  StatusCode code() const { return rep_ == nullptr ? StatusCode::kOk : rep_->code; }
  /// The message without the code's name; empty when ok. Lives as long as this status.
  std::string_view message() const {
    return rep_ == nullptr ? std::string_view() : std::string_view(rep_->message);
  }
  /// "ok", or "corruption: open db: …".
  std::string ToString() const;

  /// The same code with "context: " before its message; ok stays ok.
  Status Prefixed(std::string_view context) const;

  bool IsNotFound() const { return code() == StatusCode::kNotFound; }
  bool IsInvalidArgument() const { return code() == StatusCode::kInvalidArgument; }
  bool IsConflict() const { return code() == StatusCode::kConflict; }
  bool IsDeadlock() const { return code() == StatusCode::kDeadlock; }
  bool IsTimedOut() const { return code() == StatusCode::kTimedOut; }
  bool IsBusy() const { return code() == StatusCode::kBusy; }
  bool IsNoSpace() const { return code() == StatusCode::kNoSpace; }
  bool IsAborted() const { return code() == StatusCode::kAborted; }
  bool IsNotLeader() const { return code() == StatusCode::kNotLeader; }
  bool IsUnavailable() const { return code() == StatusCode::kUnavailable; }
  bool IsCorruption() const { return code() == StatusCode::kCorruption; }
  bool IsIOError() const { return code() == StatusCode::kIoError; }

  friend bool operator==(const Status& a, const Status& b) {
    return a.code() == b.code() && a.message() == b.message();
  }

 private:
  struct Rep {
    StatusCode code;
    std::string message;
  };
  std::shared_ptr<const Rep> rep_;  // null means ok; immutable, so copies may be shared
};

}  // namespace bedrock
