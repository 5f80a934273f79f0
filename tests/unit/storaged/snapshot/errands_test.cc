#include "storaged/snapshot/errands.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "common/env/manual_executor.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"
#include "common/env/waiter.h"

namespace bedrock::storage {
namespace {

TEST(ErrandsTest, AreDoneAndReturnInOrderWhateverTheExecutorDoes) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    ManualExecutor executor{Random(seed)};
    int woken = 0;
    Errands errands(executor, [&] { ++woken; });
    std::vector<int> done;
    std::vector<int> returned;
    for (int i = 0; i < 10; ++i) {
      errands.Send([&done, &returned, i] {
        done.push_back(i);
        return [&returned, i] { returned.push_back(i); };
      });
    }
    EXPECT_EQ(errands.under_way(), 10u);
    executor.RunAll();
    EXPECT_EQ(woken, 10);
    EXPECT_TRUE(returned.empty());
    errands.Return();
    EXPECT_EQ(errands.under_way(), 0u);
    EXPECT_EQ(done, returned);
    EXPECT_EQ(done.size(), 10u);
    EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  }
}

TEST(ErrandsTest, WhatReturnsMaySendMore) {
  ManualExecutor executor;
  Errands errands(executor, [] {});
  int rounds = 0;
  std::function<Errands::Back()> work = [&] {
    return [&] {
      if (++rounds < 3) errands.Send(work);
    };
  };
  errands.Send(work);
  for (int i = 0; i < 5; ++i) {
    executor.RunAll();
    errands.Return();
  }
  EXPECT_EQ(rounds, 3);
}

TEST(ErrandsTest, TheEndWaitsForWorkThatRunsAndDropsTheRest) {
  ThreadExecutor executor(1);
  Waiter waiter(executor);
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  {
    Errands errands(executor, [] {});
    for (int i = 0; i < 100; ++i) {
      errands.Send([&] {
        ++begun;
        waiter.Notify();
        ++ended;
        return [] { ADD_FAILURE() << "returned to nobody"; };
      });
    }
    ASSERT_TRUE(waiter.Wait([&] { return begun > 0; }, Waiter::kForever));
  }
  EXPECT_EQ(begun, ended);
}

}  // namespace
}  // namespace bedrock::storage
