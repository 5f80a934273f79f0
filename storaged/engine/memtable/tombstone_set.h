#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "common/base/ids.h"
#include "common/base/thread_annotations.h"
#include "storaged/engine/keys/range_tombstones.h"

namespace bedrock::engine {

/// The range tombstones of a memtable, as a few immutable runs that are merged when the newer one
/// has got as large as the older (the logarithmic method of Bentley and Saxe, 1980): each tombstone
/// is merged O(log n) times, and a read looks at O(log n) runs.
///
/// Threads: Add by one writer at a time. Covering by any thread meanwhile, without a lock; while
/// there are none it costs one load. All() too, but readers that want the same merge of several
/// runs wait for the first of them to make it.
class TombstoneSet {
 public:
  TombstoneSet() = default;
  TombstoneSet(const TombstoneSet&) = delete;
  TombstoneSet& operator=(const TombstoneSet&) = delete;

  /// REQUIRES: what FragmentedTombstones asks.
  void Add(RangeTombstone tombstone);

  /// The newest version at or below `at` of a tombstone that covers `key`; 0: there is none.
  Version Covering(std::string_view key, Version at) const {
    const Generation* const now = now_.load(std::memory_order_acquire);
    return now == nullptr ? Version() : CoveringIn(*now, key, at);
  }
  /// All of them. Never null; may outlive this.
  std::shared_ptr<const FragmentedTombstones> All() const;

  bool empty() const { return now_.load(std::memory_order_acquire) == nullptr; }
  /// What they take in memory, the superseded among them. The writer's.
  std::size_t bytes() const { return bytes_; }

 private:
  struct Run {
    std::size_t added;  ///< How many tombstones went into it.
    std::shared_ptr<const FragmentedTombstones> tombstones;
  };
  /// The runs at one moment. Readers may hold on to it, so that it stays until the set goes.
  struct Generation {
    std::vector<Run> runs;  ///< The largest, which is the oldest, first.
    mutable Mutex mutex;
    mutable std::shared_ptr<const FragmentedTombstones> all GUARDED_BY(mutex);
  };

  static Version CoveringIn(const Generation& generation, std::string_view key, Version at);

  std::vector<std::unique_ptr<const Generation>> generations_;
  std::atomic<const Generation*> now_{nullptr};
  std::size_t bytes_ = 0;
};

}  // namespace bedrock::engine
