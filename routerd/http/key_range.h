#pragma once

#include <string>
#include <string_view>

#include "proto/errors.h"

namespace bedrock::router {

/// The keys in [start, end); an empty end is unbounded, an empty start the first key there is.
struct KeyRange {
  std::string start;
  std::string end;

  friend bool operator==(const KeyRange&, const KeyRange&) = default;
};

/// Where the keys that begin with `prefix` end, open; empty: nowhere.
std::string PrefixEnd(std::string_view prefix);

/// kOk, key_too_large, or invalid_argument for a range that holds no key.
proto::Error CheckRange(std::string_view start, std::string_view end);
/// kOk, invalid_argument for an empty key, or key_too_large.
proto::Error CheckKey(std::string_view key);

}  // namespace bedrock::router
