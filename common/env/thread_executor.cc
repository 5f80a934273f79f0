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
  std::multimap<Time, Delayed> dropped_delayed;
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    // Destroyed outside the lock: what a job has captured may post again from its destructor.
    dropped_high.swap(high_);
    dropped_low.swap(low_);
    dropped_delayed.swap(delayed_);
  }
  changed_.notify_all();
  dropped_high.clear();
  dropped_low.clear();
  dropped_delayed.clear();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadExecutor::Post(Priority priority, std::function<void()> job) {
  CHECK(job != nullptr);
  {
    const MutexLock lock(mutex_);
    if (stopping_) return;
    QueueOf(priority).push_back(std::move(job));
  }
  changed_.notify_one();
}

void ThreadExecutor::PostAfter(std::uint64_t delay_ms, Priority priority,
                               std::function<void()> job) {
  CHECK(job != nullptr);
  const Time due = std::chrono::steady_clock::now() + std::chrono::milliseconds(delay_ms);
  {
    const MutexLock lock(mutex_);
    if (stopping_) return;
    delayed_.emplace(due, Delayed{priority, std::move(job)});
  }
  // Whoever sleeps until a later one has to sleep less.
  changed_.notify_one();
}

void ThreadExecutor::TakeDue() {
  if (delayed_.empty()) return;
  const Time now = std::chrono::steady_clock::now();
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    Delayed& due = delayed_.begin()->second;
    QueueOf(due.priority).push_back(std::move(due.job));
    delayed_.erase(delayed_.begin());
    changed_.notify_one();
  }
}

void ThreadExecutor::WaitForJob(MutexLock& lock) {
  while (!stopping_) {
    TakeDue();
    if (!high_.empty() || !low_.empty()) return;
    if (delayed_.empty()) {
      lock.Wait(changed_);
    } else {
      const Time due = delayed_.begin()->first;  // a copy: the map changes meanwhile
      lock.WaitUntil(changed_, due);
    }
  }
}

void ThreadExecutor::Run() {
  while (true) {
    std::function<void()> job;
    {
      MutexLock lock(mutex_);
      WaitForJob(lock);
      if (stopping_) return;
      auto& queue = high_.empty() ? low_ : high_;
      job = std::move(queue.front());
      queue.pop_front();
    }
    job();
  }
}

}  // namespace bedrock
