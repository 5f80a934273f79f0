#pragma once

#include <mutex>

#include "common/base/thread_annotations.h"

namespace bedrock {

/// A mutex for what is held for less than a sleeping thread costs, and wanted all the time: who
/// finds it taken looks again for about a microsecond before it sleeps. std::mutex sleeps at once,
/// and then each handover takes two context switches. For all else: Mutex.
class CAPABILITY("mutex") SpinningMutex {
 public:
  void Lock() ACQUIRE() {
    for (int i = 0; i < kTries; ++i) {
      if (mutex_.try_lock()) return;
      Pause();
    }
    mutex_.lock();
  }
  void Unlock() RELEASE() { mutex_.unlock(); }

 private:
  static constexpr int kTries = 64;

  /// Tells the processor that it waits for another one.
  static void Pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#endif
  }

  std::mutex mutex_;
};

/// Holds a SpinningMutex for its own lifetime.
class SCOPED_CAPABILITY SpinningLock {
 public:
  explicit SpinningLock(SpinningMutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~SpinningLock() RELEASE() { mutex_.Unlock(); }
  SpinningLock(const SpinningLock&) = delete;
  SpinningLock& operator=(const SpinningLock&) = delete;

 private:
  SpinningMutex& mutex_;
};

}  // namespace bedrock
