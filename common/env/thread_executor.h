#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "common/base/thread_annotations.h"
#include "common/env/executor.h"

namespace bedrock {

/// An executor of real threads. Waiting kHigh jobs always start before waiting kLow ones; among
/// equals the order is that of posting, and with one thread they also end in it.
///
/// The destructor lets running jobs finish and drops those that wait, so what jobs refer to has to
/// outlive the executor. Never destroy it from one of its own jobs.
class ThreadExecutor final : public Executor {
 public:
  /// REQUIRES: threads > 0.
  explicit ThreadExecutor(std::size_t threads);
  ~ThreadExecutor() override;
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  void Post(Priority priority, std::function<void()> job) override;
  void PostAfter(std::uint64_t delay_ms, Priority priority, std::function<void()> job) override;
  bool RunsByItself() const override { return true; }
  bool RunOne() override { return false; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Delayed {
    Priority priority;
    std::function<void()> job;
  };

  void Run();
  std::deque<std::function<void()>>& QueueOf(Priority priority) REQUIRES(mutex_) {
    return priority == Priority::kHigh ? high_ : low_;
  }
  /// Puts the jobs whose delay has ended into their queues.
  void TakeDue() REQUIRES(mutex_);
  void WaitForJob(MutexLock& lock) REQUIRES(mutex_);

  Mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> high_ GUARDED_BY(mutex_);
  std::deque<std::function<void()>> low_ GUARDED_BY(mutex_);
  std::multimap<Time, Delayed> delayed_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;  // touched by the constructor and the destructor only
};

}  // namespace bedrock
