#include "common/env/thread_executor.h"

#include <utility>

#include "common/base/check.h"

namespace bedrock {

ThreadExecutor::ThreadExecutor(std::size_t threads) {
  CHECK(threads > 0);
  threads_.reserve(threads);
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

ThreadExecutor::~ThreadExecutor() {
  std::deque<std::function<void()>> dropped_high;
  std::deque<std::function<void()>> dropped_low;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    // Destroyed outside the lock: what a job has captured may post again from its destructor.
    dropped_high.swap(high_);
    dropped_low.swap(low_);
  }
  changed_.notify_all();
  dropped_high.clear();
  dropped_low.clear();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadExecutor::Post(Priority priority, std::function<void()> job) {
  CHECK(job != nullptr);
  {
    const MutexLock lock(mutex_);
    if (stopping_) return;
    (priority == Priority::kHigh ? high_ : low_).push_back(std::move(job));
  }
  changed_.notify_one();
}

void ThreadExecutor::Run() {
  while (true) {
    std::function<void()> job;
    {
      MutexLock lock(mutex_);
      while (!stopping_ && high_.empty() && low_.empty()) lock.Wait(changed_);
      if (stopping_) return;
      auto& queue = high_.empty() ? low_ : high_;
      job = std::move(queue.front());
      queue.pop_front();
    }
    job();
  }
}

}  // namespace bedrock
