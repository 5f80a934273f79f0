#pragma once

#include <condition_variable>
#include <cstddef>

#include "common/base/thread_annotations.h"

namespace bedrock::engine {

/// Lets posted jobs outlive what they work on: each goes through the gate, and once it is closed
/// none gets in. Shared by the jobs and the owner. Any thread.
class Gate {
 public:
  /// False once it is closed; otherwise the caller is inside until Leave().
  bool Enter() {
    MutexLock lock(mutex_);
    if (closed_) return false;
    ++inside_;
    return true;
  }
  void Leave() {
    MutexLock lock(mutex_);
    --inside_;
    empty_.notify_all();
  }
  /// Waits until nobody is inside. Never from inside.
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
    while (inside_ > 0) lock.Wait(empty_);
  }

 private:
  Mutex mutex_;
  std::condition_variable empty_;
  bool closed_ GUARDED_BY(mutex_) = false;
  std::size_t inside_ GUARDED_BY(mutex_) = 0;
};

}  // namespace bedrock::engine
