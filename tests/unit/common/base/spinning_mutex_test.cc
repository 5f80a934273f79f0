#include "common/base/spinning_mutex.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>
#include <vector>

namespace bedrock {
namespace {

TEST(SpinningMutexTest, OnlyOneHoldsIt) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 20'000;
  struct Counter {
    SpinningMutex mutex;
    std::uint64_t value GUARDED_BY(mutex) = 0;
  } counter;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&counter] {
      for (int round = 0; round < kRounds; ++round) {
        const SpinningLock lock(counter.mutex);
        ++counter.value;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const SpinningLock lock(counter.mutex);
  EXPECT_EQ(counter.value, std::uint64_t{kThreads} * kRounds);
}

TEST(SpinningMutexTest, WhoeverFindsItHeldForLongSleepsUntilItIsFree) {
  SpinningMutex mutex;
  mutex.Lock();
  bool held = true;
  std::thread other([&] {
    const SpinningLock lock(mutex);
    EXPECT_FALSE(held);
  });
  // Long enough to be beyond the looking, mostly; right either way.
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  held = false;
  mutex.Unlock();
  other.join();
}

}  // namespace
}  // namespace bedrock
