#pragma once

#include <string_view>

#include "bedrock/result.h"
#include "storaged/engine/cache/block_cache.h"
#include "storaged/engine/table/table_reader.h"

namespace bedrock::engine {

/// A value that lies in memory of its own, which `pin` holds.
struct ResolvedValue {
  BlockPin pin;
  std::string_view value;
};

/// Fetches values that lie in files of their own. Any thread.
class ValueResolver {
 public:
  virtual ~ValueResolver() = default;

  /// The value that `reference`, the value of a kBlobPut entry, stands for. corruption where it is
  /// no reference, or leads nowhere.
  virtual Result<ResolvedValue> Read(std::string_view reference, VerifyChecksums verify) const = 0;
};

}  // namespace bedrock::engine
