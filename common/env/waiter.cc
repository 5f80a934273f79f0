#include "common/env/waiter.h"

#include <chrono>

namespace bedrock {

void Waiter::Notify() {
  {
    const MutexLock lock(mutex_);
    ++notifications_;
  }
  changed_.notify_all();
}

bool Waiter::Wait(const std::function<bool()>& done, std::uint64_t timeout_us) {
  if (!executor_.RunsByItself()) {
    while (!done()) {
      if (!executor_.RunOne()) return false;
    }
    return true;
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(timeout_us);
  while (true) {
    std::uint64_t seen = 0;
    {
      const MutexLock lock(mutex_);
      seen = notifications_;  // before asking: what comes after it is not slept through
    }
    if (done()) return true;
    MutexLock lock(mutex_);
    while (notifications_ == seen) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      lock.WaitUntil(changed_, deadline);
    }
  }
}

void Waiter::Pause(std::uint64_t us) {
  if (!executor_.RunsByItself()) {
    (void)executor_.RunOne();
    return;
  }
  (void)Wait([] { return false; }, us);
}

}  // namespace bedrock
