#pragma once

#include <cstdint>
#include <vector>

#include "common/base/ids.h"
#include "storaged/engine/table/table_format.h"

namespace bedrock::engine {

/// Sums up which bytes of a table become droppable at which watermark, in few buckets: where there
/// are too many, the two neighbours become one whose bytes are put off the least. So a bucket never
/// promises bytes too early. One thread.
class GarbageHistogram {
 public:
  void Add(Version when, std::uint64_t bytes);
  /// At most TableProperties::kGarbageBucketsMax buckets, by version.
  std::vector<TableProperties::Garbage> Finish();

 private:
  /// More than in the end, so that early entries don't decide where the borders are.
  static constexpr std::size_t kWorkingBuckets = 4 * TableProperties::kGarbageBucketsMax;

  void MergeCheapest();

  std::vector<TableProperties::Garbage> buckets_;
};

}  // namespace bedrock::engine
