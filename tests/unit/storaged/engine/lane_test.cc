#include "storaged/engine/lane.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "common/env/manual_executor.h"
#include "common/env/thread_executor.h"

namespace bedrock::engine {
namespace {

using Priority = Executor::Priority;

class LaneTest : public testing::Test {
 protected:
  std::unique_ptr<Lane> Make(Lane::Step step) {
    return std::make_unique<Lane>(executor_, Priority::kLow, gate_, std::move(step));
  }

  ManualExecutor executor_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
};

TEST_F(LaneTest, RunsOnceForManyWakes) {
  int steps = 0;
  const auto lane = Make([&] {
    ++steps;
    return Lane::Idle();
  });
  lane->Wake();
  lane->Wake();
  EXPECT_EQ(executor_.waiting(), 1u);
  executor_.RunAll();
  EXPECT_EQ(steps, 1);
}

TEST_F(LaneTest, GoesOnStepByStepUntilItIsIdle) {
  int steps = 0;
  const auto lane = Make([&] { return ++steps < 5 ? Lane::Again() : Lane::Idle(); });
  lane->Wake();
  executor_.RunOne();
  EXPECT_EQ(steps, 1) << "others get their turn in between";
  executor_.RunAll();
  EXPECT_EQ(steps, 5);
}

TEST_F(LaneTest, AWakeDuringAStepIsFollowedByAnother) {
  int steps = 0;
  std::unique_ptr<Lane> lane;
  lane = Make([&] {
    if (++steps == 1) lane->Wake();
    return Lane::Idle();
  });
  lane->Wake();
  executor_.RunAll();
  EXPECT_EQ(steps, 2);
}

TEST_F(LaneTest, PausesForTheTimeThatAStepSays) {
  int steps = 0;
  const auto lane = Make([&] { return ++steps == 1 ? Lane::Later(100) : Lane::Idle(); });
  lane->Wake();
  executor_.RunAll();
  executor_.AdvanceMs(99);
  executor_.RunAll();
  EXPECT_EQ(steps, 1);
  executor_.AdvanceMs(1);
  executor_.RunAll();
  EXPECT_EQ(steps, 2);
}

TEST_F(LaneTest, APauseNeverPilesUpTimers) {
  int steps = 0;
  const auto lane = Make([&] {
    ++steps;
    return Lane::Later(100);
  });
  for (int i = 0; i < 10; ++i) {
    lane->Wake();
    executor_.RunAll();
  }
  EXPECT_EQ(steps, 10);
  executor_.AdvanceMs(100);
  executor_.RunAll();
  EXPECT_EQ(steps, 11);
}

TEST_F(LaneTest, NothingRunsOnceTheGateIsClosed) {
  int steps = 0;
  auto lane = Make([&] {
    ++steps;
    return Lane::Later(1);
  });
  lane->Wake();
  executor_.RunAll();
  lane->Wake();
  gate_->Close();
  lane.reset();
  executor_.AdvanceMs(10);
  executor_.RunAll();
  EXPECT_EQ(steps, 1);
}

TEST(LaneThreadsTest, StepsNeverOverlapAndNoWakeIsLost) {
  ThreadExecutor executor(4);
  const auto gate = std::make_shared<Gate>();
  std::atomic<int> asked{0};
  std::atomic<int> seen{0};
  std::atomic<bool> inside{false};
  std::atomic<bool> overlapped{false};
  Lane lane(executor, Priority::kHigh, gate, [&] {
    if (inside.exchange(true)) overlapped = true;
    seen.store(asked.load());
    inside = false;
    return Lane::Idle();
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) {
        ++asked;
        lane.Wake();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  while (seen != asked) std::this_thread::yield();
  gate->Close();
  EXPECT_FALSE(overlapped);
}

}  // namespace
}  // namespace bedrock::engine
