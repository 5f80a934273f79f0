#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <vector>

#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/posix_clock.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"
#include "common/env/waiter.h"

namespace bedrock {
namespace {

using Priority = Executor::Priority;

TEST(ThreadExecutorTest, RunsWhatIsPosted) {
  ThreadExecutor executor(3);
  std::atomic<int> left = 100;
  std::promise<void> done;
  for (int i = 0; i < 100; ++i) {
    executor.Post(i % 2 == 0 ? Priority::kHigh : Priority::kLow, [&] {
      if (--left == 0) done.set_value();
    });
  }
  done.get_future().wait();
  EXPECT_EQ(left, 0);
}

TEST(ThreadExecutorTest, HighGoesFirstAndEqualsInTheOrderOfPosting) {
  ThreadExecutor executor(1);
  std::promise<void> started;
  std::promise<void> go;
  std::promise<void> done;
  std::vector<int> order;  // touched by the executor's one thread, then after `done`
  executor.Post(Priority::kLow, [&] {
    started.set_value();
    go.get_future().wait();
  });
  started.get_future().wait();
  executor.Post(Priority::kLow, [&] { order.push_back(3); });
  executor.Post(Priority::kLow, [&] {
    order.push_back(4);
    done.set_value();
  });
  executor.Post(Priority::kHigh, [&] { order.push_back(1); });
  executor.Post(Priority::kHigh, [&] { order.push_back(2); });
  go.set_value();
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

TEST(ThreadExecutorTest, AJobMayPost) {
  ThreadExecutor executor(1);
  std::promise<void> done;
  executor.Post(Priority::kLow, [&] { executor.Post(Priority::kLow, [&] { done.set_value(); }); });
  done.get_future().wait();
}

TEST(ThreadExecutorTest, TheDestructorFinishesTheRunningJobAndDropsTheRest) {
  std::atomic<bool> finished = false;
  std::atomic<bool> ran_waiting = false;
  std::promise<void> started;
  auto witness = std::make_shared<int>(0);
  {
    auto executor = std::make_unique<ThreadExecutor>(1);
    std::promise<void> dropped;
    executor->Post(Priority::kHigh, [&] {
      started.set_value();
      dropped.get_future().wait();
      finished = true;
    });
    started.get_future().wait();
    // Destroyed with the waiting jobs only: proves that they went while the first one still ran.
    struct Release {
      explicit Release(std::promise<void>* to_set) : promise(to_set) {}
      std::promise<void>* promise;
      ~Release() { promise->set_value(); }
    };
    auto release = std::make_shared<Release>(&dropped);
    executor->Post(Priority::kLow, [&, kept = std::move(release), witness] { ran_waiting = true; });
    executor.reset();
  }
  EXPECT_TRUE(finished);
  EXPECT_FALSE(ran_waiting);
  EXPECT_EQ(witness.use_count(), 1);
}

TEST(ThreadExecutorTest, DelayedJobsRunInTheOrderOfTheirDelays) {
  ThreadExecutor executor(1);
  std::promise<void> done;
  std::vector<int> order;  // touched by the executor's one thread, then after `done`
  executor.PostAfter(20, Priority::kHigh, [&] {
    order.push_back(2);
    done.set_value();
  });
  executor.PostAfter(1, Priority::kLow, [&] { order.push_back(1); });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(ThreadExecutorTest, TheDestructorDropsDelayedJobs) {
  auto witness = std::make_shared<int>(0);
  {
    ThreadExecutor executor(1);
    executor.PostAfter(3'600'000, Priority::kLow, [witness] {});
  }
  EXPECT_EQ(witness.use_count(), 1);
}

TEST(ManualExecutorTest, DelayedJobsWaitForTheirTime) {
  ManualExecutor executor;
  std::vector<int> order;
  executor.PostAfter(20, Priority::kLow, [&] { order.push_back(2); });
  executor.PostAfter(10, Priority::kLow, [&] { order.push_back(1); });
  EXPECT_FALSE(executor.RunOne());
  executor.AdvanceMs(9);
  EXPECT_FALSE(executor.RunOne());
  executor.AdvanceMs(1);
  EXPECT_EQ(executor.RunAll(), 1u);
  executor.AdvanceMs(100);
  EXPECT_EQ(executor.RunAll(), 1u);
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(WaiterTest, RunsTheJobsItWaitsForWhereNobodyElseDoes) {
  ManualExecutor executor;
  Waiter waiter(executor);
  int ran = 0;
  for (int i = 0; i < 3; ++i) executor.Post(Priority::kLow, [&] { ++ran; });
  EXPECT_TRUE(waiter.Wait([&] { return ran == 2; }, Waiter::kForever));
  EXPECT_EQ(executor.waiting(), 1u);
}

TEST(WaiterTest, GivesUpWhereNoJobIsLeft) {
  ManualExecutor executor;
  Waiter waiter(executor);
  executor.Post(Priority::kLow, [] {});
  EXPECT_FALSE(waiter.Wait([] { return false; }, Waiter::kForever));
  EXPECT_EQ(executor.waiting(), 0u);
}

TEST(WaiterTest, WakesWhenNotified) {
  ThreadExecutor executor(1);
  Waiter waiter(executor);
  std::atomic<int> steps = 0;
  executor.Post(Priority::kLow, [&] {
    for (int i = 0; i < 100; ++i) {
      ++steps;
      waiter.Notify();
    }
  });
  EXPECT_TRUE(waiter.Wait([&] { return steps == 100; }, Waiter::kForever));
}

TEST(WaiterTest, APauseIsOneJobWhereNobodyElseRunsThem) {
  ManualExecutor executor;
  Waiter waiter(executor);
  waiter.Pause(1);
  for (int i = 0; i < 3; ++i) executor.Post(Priority::kLow, [] {});
  waiter.Pause(1);
  EXPECT_EQ(executor.waiting(), 2u);
}

TEST(WaiterTest, EndsByItsTimeout) {
  ThreadExecutor executor(1);
  Waiter waiter(executor);
  EXPECT_FALSE(waiter.Wait([] { return false; }, 1000));
}

TEST(ManualExecutorTest, RunsNothingByItself) {
  ManualExecutor executor;
  int ran = 0;
  executor.Post(Priority::kHigh, [&] { ++ran; });
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(executor.waiting(), 1u);
  EXPECT_TRUE(executor.RunOne());
  EXPECT_EQ(ran, 1);
  EXPECT_FALSE(executor.RunOne());
}

TEST(ManualExecutorTest, WithoutASeedHighGoesFirstThenPostingOrder) {
  ManualExecutor executor;
  std::vector<int> order;
  executor.Post(Priority::kLow, [&] { order.push_back(3); });
  executor.Post(Priority::kHigh, [&] { order.push_back(1); });
  executor.Post(Priority::kLow, [&] { order.push_back(4); });
  executor.Post(Priority::kHigh, [&] { order.push_back(2); });
  EXPECT_EQ(executor.RunAll(), 4u);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4}));
}

std::vector<int> SeededOrder(std::uint64_t seed) {
  ManualExecutor executor{Random(seed)};
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) {
    executor.Post(i < 2 ? Priority::kHigh : Priority::kLow, [&order, i] { order.push_back(i); });
  }
  executor.RunAll();
  return order;
}

TEST(ManualExecutorTest, ASeedFixesTheOrderAndReachesAllOrders) {
  EXPECT_EQ(SeededOrder(7), SeededOrder(7));
  std::set<std::vector<int>> orders;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) orders.insert(SeededOrder(seed));
  EXPECT_EQ(orders.size(), 120u);
}

TEST(ManualExecutorTest, JobsThatPostForEverAreBounded) {
  ManualExecutor executor;
  std::function<void()> again = [&] { executor.Post(Priority::kLow, again); };
  again();
  EXPECT_EQ(executor.RunAll(10), 10u);
  executor.Clear();
  EXPECT_EQ(executor.waiting(), 0u);
}

TEST(ClockTest, PosixClocksGoOn) {
  PosixClock clock;
  const std::uint64_t us = clock.MonotonicUs();
  EXPECT_GE(clock.MonotonicUs(), us);
  EXPECT_GE(clock.MonotonicMs(), us / 1000);
  EXPECT_GT(clock.WallMs(), 1'600'000'000'000u);  // September 2020
}

TEST(ClockTest, AManualClockMovesOnlyWhenTold) {
  ManualClock clock(5000, 100);
  EXPECT_EQ(clock.MonotonicMs(), 5u);
  clock.AdvanceMs(3);
  EXPECT_EQ(clock.MonotonicUs(), 8000u);
  EXPECT_EQ(clock.WallMs(), 103u);
  clock.SetWallMs(7);
  clock.AdvanceMonotonicUs(1500);
  EXPECT_EQ(clock.MonotonicMs(), 9u);
  EXPECT_EQ(clock.WallMs(), 7u);
}

}  // namespace
}  // namespace bedrock
