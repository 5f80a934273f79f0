#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proto/errors.h"
#include "routerd/http/routes.h"

namespace bedrock::router {

/// Groups of query parameters that a route takes; `timeout` is one of every route.
enum ParameterGroup : std::uint8_t {
  kNoParameters = 0,
  kKeyParameter = 1,      ///< key
  kReadParameters = 2,    ///< consistency, min_version, at, max_staleness
  kBoundParameters = 4,   ///< prefix, start, end
  kScanParameters = 8,    ///< limit, limit_bytes, reverse, keys_only, count_only, page
  kLockParameters = 16,   ///< for_update
  kLeaseParameters = 32,  ///< ttl, lease: described, and refused by name
};

/// Reads the query of a request into its plan. `groups` are sums of ParameterGroup. Gives what is
/// wrong with it, or kOk. `key` is that of the short forms.
proto::Error ApplyParameters(std::string_view query, std::uint8_t groups, std::string_view accept,
                             Plan* plan, std::optional<std::string>* key);

}  // namespace bedrock::router
