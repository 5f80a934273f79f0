#include "storaged/engine/table/garbage_histogram.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace bedrock::engine {

void GarbageHistogram::Add(Version when, std::uint64_t bytes) {
  const auto below = [](const TableProperties::Garbage& bucket, Version version) {
    return bucket.when < version;
  };
  const auto at = std::lower_bound(buckets_.begin(), buckets_.end(), when, below);
  if (at != buckets_.end() && at->when == when) {
    at->bytes += bytes;
    return;
  }
  buckets_.insert(at, {when, bytes});
  if (buckets_.size() > kWorkingBuckets) MergeCheapest();
}

void GarbageHistogram::MergeCheapest() {
  std::size_t cheapest = 0;
  double cost_min = -1;
  for (std::size_t i = 0; i + 1 < buckets_.size(); ++i) {
    const auto delay = static_cast<double>(buckets_[i + 1].when.value() - buckets_[i].when.value());
    const double cost = delay * static_cast<double>(buckets_[i].bytes);
    if (cost_min < 0 || cost < cost_min) {
      cheapest = i;
      cost_min = cost;
    }
  }
  buckets_[cheapest + 1].bytes += buckets_[cheapest].bytes;
  buckets_.erase(std::next(buckets_.begin(), static_cast<std::ptrdiff_t>(cheapest)));
}

std::vector<TableProperties::Garbage> GarbageHistogram::Finish() {
  while (buckets_.size() > TableProperties::kGarbageBucketsMax) MergeCheapest();
  return std::move(buckets_);
}

}  // namespace bedrock::engine
