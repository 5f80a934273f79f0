#include "bedrock/status.h"

#include "common/base/check.h"

namespace bedrock {

std::string_view StatusCodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "ok";
    case StatusCode::kNotFound:
      return "not_found";
    case StatusCode::kInvalidArgument:
      return "invalid_argument";
    case StatusCode::kConflict:
      return "conflict";
    case StatusCode::kDeadlock:
      return "deadlock";
    case StatusCode::kTimedOut:
      return "timed_out";
    case StatusCode::kBusy:
      return "busy";
    case StatusCode::kNoSpace:
      return "no_space";
    case StatusCode::kAborted:
      return "aborted";
    case StatusCode::kNotLeader:
      return "not_leader";
    case StatusCode::kUnavailable:
      return "unavailable";
    case StatusCode::kCorruption:
      return "corruption";
    case StatusCode::kIoError:
      return "io_error";
  }
  return "unknown";
}

Status::Status(StatusCode code, std::string_view message) {
  CHECK(code != StatusCode::kOk);
  rep_ = std::make_shared<const Rep>(Rep{code, std::string(message)});
}

std::string Status::ToString() const {
  if (ok()) return "ok";
  std::string text(StatusCodeName(code()));
  text += ": ";
  text += message();
  return text;
}

Status Status::Prefixed(std::string_view context) const {
  if (ok()) return {};
  std::string text(context);
  text += ": ";
  text += message();
  return {code(), text};
}

}  // namespace bedrock
