#include "storaged/embedded/pending_writes.h"

#include <algorithm>

#include "storaged/embedded/change.h"

namespace bedrock::embedded {

void PendingWrites::Add(std::string_view changes) {
  engine::ChangeReader reader(changes);
  while (reader.Next()) {
    if (reader.kind() == Change::Kind::kDeleteRange) {
      deleted_ranges_.emplace_back(reader.key(), reader.value());
    } else {
      keys_.insert(reader.key());
    }
  }
}

void PendingWrites::Clear() {
  keys_.clear();
  deleted_ranges_.clear();
}

bool PendingWrites::Touch(std::string_view key) const {
  if (keys_.contains(key)) return true;
  return std::any_of(deleted_ranges_.begin(), deleted_ranges_.end(),
                     [&](const auto& range) { return IsWithin(key, range.first, range.second); });
}

bool PendingWrites::TouchRange(std::string_view begin, std::string_view end) const {
  if (IsEmptyRange(begin, end)) return false;
  const auto first = keys_.lower_bound(begin);
  if (first != keys_.end() && IsWithin(*first, begin, end)) return true;
  return std::any_of(deleted_ranges_.begin(), deleted_ranges_.end(), [&](const auto& range) {
    return Overlap(begin, end, range.first, range.second);
  });
}

}  // namespace bedrock::embedded
