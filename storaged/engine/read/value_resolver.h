#pragma once

#include <string>
#include <string_view>

#include "bedrock/status.h"

namespace bedrock::engine {

/// Fetches values that lie in files of their own. Any thread.
class ValueResolver {
 public:
  virtual ~ValueResolver() = default;

  /// Puts the value that `reference`, the value of a kBlobPut entry, stands for into `value`.
  virtual Status Read(std::string_view reference, std::string& value) const = 0;
};

}  // namespace bedrock::engine
