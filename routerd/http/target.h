#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"

namespace bedrock::router {

/// A request target (RFC 9112 3.2) taken apart. Borrows its text.
struct Target {
  std::string_view path;   ///< Still escaped; begins with "/", or is "*".
  std::string_view query;  ///< Without the "?"; still escaped.
};

/// Origin form, absolute form ("http://host/path?query") and "*". nullopt for anything else.
std::optional<Target> SplitTarget(std::string_view target);

struct Parameter {
  std::string name;
  std::string value;

  friend bool operator==(const Parameter&, const Parameter&) = default;
};

inline constexpr std::size_t kParametersMax = 32;

/// The parameters of a query, decoded as forms are, in order. invalid_argument for a bad escape, a
/// name given twice, an empty name, or over kParametersMax of them.
Result<std::vector<Parameter>> ParseQuery(std::string_view query);

}  // namespace bedrock::router
