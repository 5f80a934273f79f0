#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bedrock/options.h"
#include "common/env/random.h"
#include "tests/torture/model.h"

namespace bedrock::torture {

/// Draws what a client of a database does: which keys, how large values, how batches are made up.
/// The same seed draws the same. Keys are few, so that they are overwritten, deleted and met by
/// ranges often; some are prefixes of others, some hold zero bytes and 0xff.
class Workload {
 public:
  explicit Workload(Random random);

  std::string Key();
  std::string Value();
  /// Bounds of a range; the end is empty (unbounded) now and then, or before the begin.
  std::pair<std::string, std::string> Bounds();
  Change NextChange();
  std::vector<Change> NextBatch();

  /// Options that make small databases meet everything: flushes, many levels, blob files.
  static Options DrawOptions(Random& random);

 private:
  Random random_;
  std::uint64_t keys_;
  unsigned shape_;
  std::uint64_t value_bytes_max_;
  std::uint64_t values_ = 0;  ///< Numbers the values, so that no two are alike.
};

}  // namespace bedrock::torture
