#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "bedrock/snapshot.h"
#include "common/base/ids.h"
#include "common/base/thread_annotations.h"

namespace bedrock::engine {

/// Which versions are pinned by snapshots, and since when. Shared by the engine and its snapshots,
/// which may outlive it. Any thread.
///
/// Registering a pin and looking at all of them exclude each other: whoever decides what may vanish
/// (a flush, a compaction) either sees a pin, or decided before it was taken. In the second case
/// its watermark is at most what was newest then, and so at most the pinned version, whose answers
/// it keeps anyway.
class SnapshotRegistry : public std::enable_shared_from_this<SnapshotRegistry> {
 public:
  /// Pins what `newest` gives while the registry is locked.
  template <typename Newest>
  Snapshot Take(std::uint64_t now_ms, Newest newest) {
    MutexLock lock(mutex_);
    return Add(newest(), now_ms);
  }

  /// What a job that begins now has to keep.
  struct Kept {
    Version watermark;
    std::vector<Version> pinned;  ///< Below the watermark, ascending.
  };
  /// `watermark` is asked while the registry is locked; it must not be above what is newest.
  template <typename Watermark>
  Kept Look(Watermark watermark) const {
    MutexLock lock(mutex_);
    const Version now = watermark();
    return {now, PinnedBelow(now)};
  }

  bool IsPinned(Version version) const;

  struct Oldest {
    Version version;
    std::uint64_t since_ms;
  };
  /// The lowest pinned version; nothing: none is.
  std::optional<Oldest> oldest() const;

 private:
  struct Pins {
    std::size_t count = 0;
    std::uint64_t since_ms = 0;
  };
  class Pin;

  Snapshot Add(Version version, std::uint64_t now_ms) REQUIRES(mutex_);
  void Remove(Version version);
  std::vector<Version> PinnedBelow(Version watermark) const REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<Version, Pins> pins_ GUARDED_BY(mutex_);
};

}  // namespace bedrock::engine
