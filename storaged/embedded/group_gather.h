#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace bedrock::embedded {

/// How long a leader waits for others before it syncs. Those that a sync has woken come back with
/// their next commits a moment later; the first of them, gone ahead alone, would make all others
/// wait for a sync of its own, and every second group would be of one. So it waits until as many
/// are there as were at work last time, or until nobody comes any more.
///
/// Where one writes alone nobody ever waits. Pure; the pipeline's owner's.
class GroupGather {
 public:
  /// A group of `together` was synced; `behind` others came meanwhile.
  void NoteGroup(std::size_t together, std::size_t behind) { expected_ = together + behind; }
  void NoteSync(std::uint64_t sync_us) {
    sync_us_ = sync_us_ == 0 ? sync_us : (3 * sync_us_ + sync_us) / 4;
  }

  /// With so many, the leader counted, there is nobody to wait for.
  std::size_t expected() const { return expected_; }
  /// When nobody has come for so long, in microseconds, nobody will: 0 means not to wait at all.
  std::uint64_t gap_us() const {
    return sync_us_ < kSyncUsMin ? 0 : std::clamp(sync_us_ / 8, kGapUsMin, kGapUsMax);
  }
  /// All the waiting together; a part of what is to be saved by it.
  std::uint64_t total_us() const { return std::min(sync_us_ / 2, kTotalUsMax); }

 private:
  /// A quicker sync is not worth a thread's sleep.
  static constexpr std::uint64_t kSyncUsMin = 100;
  static constexpr std::uint64_t kGapUsMin = 25;
  static constexpr std::uint64_t kGapUsMax = 250;
  static constexpr std::uint64_t kTotalUsMax = 1000;

  std::size_t expected_ = 1;
  std::uint64_t sync_us_ = 0;  ///< How long one takes, the last ones counting most.
};

}  // namespace bedrock::embedded
