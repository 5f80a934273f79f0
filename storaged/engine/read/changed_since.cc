#include "storaged/engine/read/changed_since.h"

#include <algorithm>
#include <span>
#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/keys/key_range.h"
#include "storaged/engine/read/source.h"

namespace bedrock::engine {

namespace {

bool HasTombstoneAbove(const FragmentedTombstones& tombstones, Range range, VersionSpan span) {
  if (tombstones.empty() || tombstones.version_max() <= span.after) return false;
  for (std::size_t i = tombstones.FindFragment(range.begin); i < tombstones.size(); ++i) {
    const FragmentedTombstones::Fragment fragment = tombstones.fragment(i);
    if (!IsBeforeEnd(fragment.begin, range.end)) return false;
    if (std::any_of(fragment.versions.begin(), fragment.versions.end(),
                    [span](Version version) { return span.Holds(version); })) {
      return true;
    }
  }
  return false;
}

Result<bool> HasPointAbove(Source points, Range range, VersionSpan span) {
  for (points.Seek(SeekKey(range.begin, kVersionMax)); points.Valid(); points.Next()) {
    const InternalKeyView key = points.key();
    if (!IsBeforeEnd(key.user_key, range.end)) return false;
    if (span.Holds(key.version())) return true;
  }
  RETURN_IF_ERROR(points.status());
  return false;
}

Result<bool> ChangedIn(const TableSet::Table& table, Range range, VersionSpan span) {
  const TableMetadata& metadata = table->metadata();
  if (metadata.version_max <= span.after ||
      !metadata.range().Overlaps(HalfOpen(range.begin, range.end)))
    return false;
  if (metadata.range_tombstones > 0) {
    RETURN_IF_ERROR(table->status());
    if (HasTombstoneAbove(table->Tombstones(), range, span)) return true;
  }
  return HasPointAbove(Source(std::span(&table, 1), TableReadOptions{}), range, span);
}

}  // namespace

Result<bool> ChangedWithin(const ReadState& state, Range range, VersionSpan span) {
  if (!range.end.empty() && range.end <= range.begin) return false;
  for (const auto& memtable : state.memtables()) {
    if (memtable->empty()) continue;
    if (HasTombstoneAbove(*memtable->Tombstones(), range, span)) return true;
    ASSIGN_OR_RETURN(const bool changed, HasPointAbove(Source(*memtable), range, span));
    if (changed) return true;
  }
  for (const auto& level : state.tables()->levels) {
    for (const auto& table : level) {
      ASSIGN_OR_RETURN(const bool changed, ChangedIn(table, range, span));
      if (changed) return true;
    }
  }
  return false;
}

}  // namespace bedrock::engine
