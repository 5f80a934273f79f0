#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>

#include "common/base/thread_annotations.h"
#include "common/env/executor.h"

namespace bedrock {

/// Where calls wait for what background jobs or other threads bring about, under real threads and
/// under a simulator alike: with an executor that does not run by itself, waiting is running its
/// jobs. Any thread. The executor is borrowed.
class Waiter {
 public:
  explicit Waiter(Executor& executor) : executor_(executor) {}
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  /// What somebody waits for may have come about.
  void Notify() EXCLUDES(mutex_);

  /// Returns true as soon as done() is true. False after `timeout_us`, or, where the executor does
  /// not run by itself, when no job is left that could help. done() is asked on this thread, with
  /// no lock of the waiter held: first of all, and after each Notify or job.
  bool Wait(const std::function<bool()>& done, std::uint64_t timeout_us) EXCLUDES(mutex_);

  /// Lets `us` microseconds pass; where the executor does not run by itself, lets one job run, as
  /// time is none of the caller's there.
  void Pause(std::uint64_t us) EXCLUDES(mutex_);

  static constexpr std::uint64_t kForever = std::uint64_t{1} << 50;  ///< In microseconds: 35 years.

 private:
  Executor& executor_;
  Mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t notifications_ GUARDED_BY(mutex_) = 0;
};

}  // namespace bedrock
