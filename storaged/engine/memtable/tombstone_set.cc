#include "storaged/engine/memtable/tombstone_set.h"

#include <algorithm>
#include <array>
#include <utility>

namespace bedrock::engine {

void TombstoneSet::Add(RangeTombstone tombstone) {
  auto next = std::make_unique<Generation>();
  if (const Generation* now = now_.load(std::memory_order_relaxed)) next->runs = now->runs;
  const auto push = [&](std::size_t added, FragmentedTombstones tombstones) {
    bytes_ += sizeof(FragmentedTombstones) + tombstones.bytes();
    next->runs.push_back(
        {added, std::make_shared<const FragmentedTombstones>(std::move(tombstones))});
  };
  push(1, FragmentedTombstones({std::move(tombstone)}));
  while (next->runs.size() > 1 && next->runs.end()[-2].added <= next->runs.back().added) {
    const Run newer = std::move(next->runs.back());
    next->runs.pop_back();
    const Run older = std::move(next->runs.back());
    next->runs.pop_back();
    const std::array<const FragmentedTombstones*, 2> both{older.tombstones.get(),
                                                          newer.tombstones.get()};
    push(older.added + newer.added, FragmentedTombstones::Merge(both));
  }
  bytes_ += sizeof(Generation) + next->runs.size() * sizeof(Run);
  generations_.push_back(std::move(next));
  now_.store(generations_.back().get(), std::memory_order_release);
}

Version TombstoneSet::CoveringIn(const Generation& generation, std::string_view key, Version at) {
  Version newest;
  for (const Run& run : generation.runs) {
    newest = std::max(newest, run.tombstones->Covering(key, at));
  }
  return newest;
}

std::shared_ptr<const FragmentedTombstones> TombstoneSet::All() const {
  const Generation* const now = now_.load(std::memory_order_acquire);
  if (now == nullptr) return std::make_shared<const FragmentedTombstones>();
  if (now->runs.size() == 1) return now->runs.front().tombstones;
  MutexLock lock(now->mutex);
  if (now->all == nullptr) {
    std::vector<const FragmentedTombstones*> sets;
    for (const Run& run : now->runs) sets.push_back(run.tombstones.get());
    now->all = std::make_shared<const FragmentedTombstones>(FragmentedTombstones::Merge(sets));
  }
  return now->all;
}

}  // namespace bedrock::engine
