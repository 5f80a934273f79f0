#include "storaged/engine/compaction/key_ranges.h"

#include <algorithm>
#include <utility>

namespace bedrock::engine {

KeyRanges::KeyRanges(std::vector<KeyRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const KeyRange& a, const KeyRange& b) { return a.begin < b.begin; });
  for (const KeyRange& range : ranges) {
    if (ranges_.empty() || !ranges_.back().upper().Reaches(range.begin)) {
      ranges_.push_back({std::string(range.begin), std::string(range.end.key), range.end.kind});
    } else if (EndsBefore(ranges_.back().upper(), range.end)) {
      ranges_.back().end = range.end.key;
      ranges_.back().kind = range.end.kind;
    }
  }
}

std::vector<KeyRanges::Owned>::const_iterator KeyRanges::FirstReaching(
    std::string_view user_key) const {
  return std::partition_point(ranges_.begin(), ranges_.end(),
                              [&](const Owned& range) { return !range.upper().Reaches(user_key); });
}

bool KeyRanges::Contains(std::string_view user_key) const {
  const auto range = FirstReaching(user_key);
  return range != ranges_.end() && range->begin <= user_key;
}

bool KeyRanges::Overlaps(const KeyRange& range) const {
  const auto first = FirstReaching(range.begin);
  return first != ranges_.end() && range.end.Reaches(first->begin);
}

}  // namespace bedrock::engine
