#include "storaged/embedded/history.h"

#include <algorithm>
#include <limits>

namespace bedrock::embedded {

History::History(std::uint64_t history_ms, std::uint64_t now_ms, Version oldest, Version newest)
    : history_ms_(history_ms),
      spacing_ms_(std::max<std::uint64_t>(history_ms / kSamplesPerHistory, 1)) {
  if (history_ms_ > 0) samples_ = {{now_ms, oldest}, {now_ms, newest}};
}

void History::Sample(std::uint64_t now_ms, Version newest) {
  if (history_ms_ == 0 || now_ms < samples_.back().ms + spacing_ms_) return;
  samples_.push_back({now_ms, newest});
}

Version History::Watermark(std::uint64_t now_ms) {
  if (history_ms_ == 0) return Version(std::numeric_limits<std::uint64_t>::max());
  // The second sample takes over once it is old enough: until then somebody may read what the
  // first one saw. What was the newest at a sample stays so until the next commit, hence the first
  // sample answers for all times up to the second.
  while (samples_.size() > 1 && samples_[1].ms + history_ms_ <= now_ms) samples_.pop_front();
  return samples_.front().newest;
}

}  // namespace bedrock::embedded
