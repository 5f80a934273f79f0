#pragma once

#include <condition_variable>
#include <mutex>

// Clang's thread-safety analysis (-Wthread-safety) proves that guarded fields are touched only
// under their mutex; under g++ the annotations are empty.
// https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#if defined(__clang__)
#define BEDROCK_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define BEDROCK_THREAD_ATTRIBUTE(x)
#endif

#define CAPABILITY(x) BEDROCK_THREAD_ATTRIBUTE(capability(x))
#define SCOPED_CAPABILITY BEDROCK_THREAD_ATTRIBUTE(scoped_lockable)
#define GUARDED_BY(x) BEDROCK_THREAD_ATTRIBUTE(guarded_by(x))
#define PT_GUARDED_BY(x) BEDROCK_THREAD_ATTRIBUTE(pt_guarded_by(x))
#define REQUIRES(...) BEDROCK_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) BEDROCK_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RELEASE(...) BEDROCK_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define EXCLUDES(...) BEDROCK_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS BEDROCK_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace bedrock {

/// std::mutex that the analysis understands.
class CAPABILITY("mutex") Mutex {
 public:
  void Lock() ACQUIRE() { mutex_.lock(); }
  void Unlock() RELEASE() { mutex_.unlock(); }

 private:
  friend class MutexLock;
  std::mutex mutex_;
};

/// Holds a Mutex for its own lifetime; can wait on a condition meanwhile.
class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : lock_(mutex.mutex_) {}
  ~MutexLock() RELEASE() = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  /// Releases the mutex, sleeps until notified (or for no reason), holds it again.
  void Wait(std::condition_variable& condition) { condition.wait(lock_); }
  /// The same, but no longer than until `deadline`, a time point of std::chrono.
  template <typename TimePoint>
  void WaitUntil(std::condition_variable& condition, const TimePoint& deadline) {
    condition.wait_until(lock_, deadline);
  }

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace bedrock
