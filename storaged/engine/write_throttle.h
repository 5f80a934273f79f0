#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "common/base/thread_annotations.h"
#include "storaged/engine/backpressure.h"

namespace bedrock::engine {

/// Backpressure between the background, which measures, and writers, who ask. Any thread; asking
/// costs one atomic load while nobody has to wait.
class WriteThrottle {
 public:
  /// Flushes may run side by side: of their time only what was not counted for another counts.
  void Flushed(std::uint64_t bytes, std::uint64_t begun_us, std::uint64_t ended_us) {
    const MutexLock lock(mutex_);
    backpressure_.Flushed(bytes, ended_us - std::max(begun_us, flushed_us_));
    flushed_us_ = ended_us;
  }
  void Compacted(std::uint64_t bytes, std::uint64_t us) {
    const MutexLock lock(mutex_);
    backpressure_.Compacted(bytes, us);
  }
  void Update(const Backpressure::Load& load) {
    const MutexLock lock(mutex_);
    backpressure_.Update(load);
    slow_.store(backpressure_.slow(), std::memory_order_relaxed);
  }

  bool slow() const { return slow_.load(std::memory_order_relaxed); }
  std::uint64_t Take(std::uint64_t bytes, std::uint64_t now_us) {
    const MutexLock lock(mutex_);
    const std::uint64_t delay_us = backpressure_.Take(bytes, now_us);
    if (delay_us > 0) {
      ++delayed_;
      delay_us_ += delay_us;
    }
    return delay_us;
  }

  struct Counts {
    std::uint64_t delayed = 0;
    std::uint64_t delay_us = 0;
  };
  Counts counts() const {
    const MutexLock lock(mutex_);
    return {delayed_, delay_us_};
  }

 private:
  mutable Mutex mutex_;
  Backpressure backpressure_ GUARDED_BY(mutex_);
  std::uint64_t flushed_us_ GUARDED_BY(mutex_) = 0;  ///< When the last flush ended.
  std::uint64_t delayed_ GUARDED_BY(mutex_) = 0;
  std::uint64_t delay_us_ GUARDED_BY(mutex_) = 0;
  std::atomic<bool> slow_{false};
};

}  // namespace bedrock::engine
