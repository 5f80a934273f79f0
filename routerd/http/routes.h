#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "proto/client_messages.h"
#include "proto/command.h"
#include "proto/errors.h"
#include "routerd/http/etag.h"
#include "routerd/http/request.h"

namespace bedrock::router {

/// Which part of the interface a request is about: a label of the metrics.
enum class Route : std::uint8_t {
  kKv,
  kShortForm,
  kCluster,
  kLive,
  kReady,
  kMetrics,
  kFront,
  kNone
};
inline constexpr std::size_t kRoutes = 8;
std::string_view RouteName(Route route);

/// What a request asks for, decided from its head alone, before a byte of its body is read.
struct Plan {
  enum class Kind : std::uint8_t {
    kRefuse,  ///< `error` says why.
    kRead,
    kPut,
    kDelete,
    kCluster,
    kLive,
    kReady,
    kMetrics,
    kFront,
  };
  Kind kind = Kind::kRefuse;
  Route route = Route::kNone;
  bool short_form = false;
  proto::Error error;
  std::string_view allow;  ///< For method_not_allowed; a literal.

  std::string key;
  proto::Consistency consistency = proto::Consistency::kLinearizable;
  Version min_version;
  std::uint64_t timeout_ms = 0;
  std::optional<TagList> if_match;
  std::optional<TagList> if_none_match;

  std::uint64_t body_limit = 0;
  proto::ErrorCode body_code = proto::ErrorCode::kRequestTooLarge;

  bool is_write() const { return kind == Kind::kPut || kind == Kind::kDelete; }
  /// The conditions of a write, in the command's terms. They borrow `key`.
  std::vector<proto::Condition> Conditions() const;
};

inline constexpr std::uint64_t kTimeoutMsDefault = 5'000;
inline constexpr std::uint64_t kTimeoutMsMax = 60'000;

/// `value_bytes_max` bounds a PUT's body.
Plan PlanRequest(const RequestHead& head, std::uint64_t value_bytes_max);

}  // namespace bedrock::router
