#include "common/net/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace bedrock::net {
namespace {

using ::testing::ElementsAre;

/// Hands out a number of messages, `batch` at each Drain.
class Source : public Drainable {
 public:
  explicit Source(int messages, int batch = 1) : messages_(messages), batch_(batch) {}
  bool Drain() override {
    ++drains;
    if (messages_ == 0) return false;
    messages_ -= std::min(messages_, batch_);
    return true;
  }
  bool HasUnannounced() override { return std::exchange(unannounced, false); }

  void Add(int messages) { messages_ += messages; }
  int left() const { return messages_; }
  int drains = 0;
  bool unannounced = false;

 private:
  int messages_;
  int batch_;
};

TEST(EventLoopTest, PostedTasksRunInOrder) {
  EventLoop loop;
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) loop.Post([&order, i] { order.push_back(i); });
  loop.RunReady();
  EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
}

TEST(EventLoopTest, TasksPostedByAnotherThreadRunInItsOrderAndWakeTheLoop) {
  EventLoop loop;
  constexpr int kTasks = 10'000;
  std::vector<int> order;
  std::thread poster([&] {
    for (int i = 0; i < kTasks; ++i) loop.Post([&order, i] { order.push_back(i); });
    loop.Post([&loop] { loop.Stop(); });
  });
  loop.Run();
  poster.join();
  ASSERT_EQ(order.size(), kTasks);
  for (int i = 0; i < kTasks; ++i) ASSERT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(EventLoopTest, ATimerRunsOnceAndTimersRunInOrderOfTheirTime) {
  EventLoop loop;
  std::vector<std::string> order;
  loop.After(30, [&] {
    order.push_back("late");
    loop.Stop();
  });
  loop.After(1, [&] { order.push_back("early"); });
  loop.After(1, [&] { order.push_back("early too"); });
  loop.Run();
  EXPECT_THAT(order, ElementsAre("early", "early too", "late"));
}

TEST(EventLoopTest, ARepeatedTimerRunsUntilItCancelsItself) {
  EventLoop loop;
  int runs = 0;
  TimerId timer;
  timer = loop.Every(1, [&] {
    if (++runs == 3) loop.Cancel(timer);
  });
  loop.After(50, [&] { loop.Stop(); });
  loop.Run();
  EXPECT_EQ(runs, 3);
}

TEST(EventLoopTest, ATimerCancelledByOneThatIsDueWithItDoesNotRun) {
  EventLoop loop;
  bool ran = false;
  TimerId second;
  loop.After(0, [&] { loop.Cancel(second); });
  second = loop.After(0, [&] { ran = true; });
  loop.After(5, [&] { loop.Stop(); });
  loop.Run();
  EXPECT_FALSE(ran);
}

TEST(EventLoopTest, ALateRepeatedTimerSkipsTheRoundsItMissed) {
  EventLoop loop;
  int runs = 0;
  loop.Every(1, [&] {
    if (++runs == 1) std::this_thread::sleep_for(std::chrono::milliseconds(50));  // a slow handler
    if (runs == 3) loop.Stop();
  });
  const auto start = std::chrono::steady_clock::now();
  loop.Run();
  // 50 missed rounds did not run one after the other: the next came at the next round number.
  EXPECT_EQ(runs, 3);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(51));
}

TEST(EventLoopTest, HooksRunInOrderAfterEachTurnThatDidSomething) {
  EventLoop loop;
  std::vector<std::string> order;
  loop.AtTurnEnd([&] { order.push_back("first hook"); });
  loop.AtTurnEnd([&] { order.push_back("second hook"); });
  loop.RunReady();
  order.clear();
  loop.Post([&] { order.push_back("task"); });
  loop.RunReady();
  EXPECT_THAT(order, ElementsAre("task", "first hook", "second hook"));
}

TEST(EventLoopTest, WhatAHookBringsInIsDrainedBeforeTheLoopSleepsAndFollowedByHooks) {
  EventLoop loop;
  Source source(0);
  loop.Add(source);
  loop.RunReady();
  int hooks = 0;
  loop.AtTurnEnd([&] {
    if (++hooks == 1) source.Add(3);  // as a send does that swallows the signal of three messages
  });
  loop.Post([] {});
  loop.RunReady();
  EXPECT_EQ(source.left(), 0);
  EXPECT_GE(hooks, 3);
}

TEST(EventLoopTest, AFullSourceLeavesRoomForAnotherAndForHandlers) {
  EventLoop loop;
  Source flood(1'000'000, 1);
  Source other(1);
  int flood_left_when_task_ran = -1;
  loop.Add(flood);
  loop.Add(other);
  loop.Post([&] { flood_left_when_task_ran = flood.left(); });
  loop.Post([&] { loop.Stop(); });
  loop.Run();
  EXPECT_EQ(other.left(), 0);
  EXPECT_GT(flood_left_when_task_ran, 0);
}

TEST(EventLoopTest, AHandlerThatPostsItselfForEverDoesNotStarveSources) {
  EventLoop loop;
  Source source(5);
  loop.Add(source);
  std::function<void()> again = [&] {
    if (source.left() == 0) {
      loop.Stop();
    } else {
      loop.Post(again);
    }
  };
  loop.Post(again);
  loop.Run();
  EXPECT_EQ(source.left(), 0);
}

TEST(EventLoopTest, ARemovedSourceIsNotDrained) {
  EventLoop loop;
  Source first(1);
  Source second(1);
  loop.Add(first);
  loop.Add(second);
  loop.Post([&] { loop.Remove(second); });
  loop.RunReady();
  EXPECT_EQ(first.left(), 0);
  EXPECT_EQ(second.drains, 0);
}

TEST(EventLoopTest, InputThatNothingAnnouncedIsCounted) {
  EventLoop loop;
  Source source(0);
  source.unannounced = true;
  loop.Add(source);
  loop.After(300, [&] { loop.Stop(); });
  loop.Run();
  EXPECT_EQ(loop.missed_events(), 1U);
}

TEST(EventLoopTest, StopBeforeRunEndsTheNextRunOnly) {
  EventLoop loop;
  loop.Stop();
  loop.Run();
  bool ran = false;
  loop.Post([&] {
    ran = true;
    loop.Stop();
  });
  loop.Run();
  EXPECT_TRUE(ran);
}

TEST(EventLoopTest, ASignalRunsTheStopTask) {
  EventLoop loop;
  bool stopped = false;
  loop.OnStopSignal([&] {
    stopped = true;
    loop.Stop();
  });
  loop.Post([] { std::raise(SIGTERM); });
  loop.Run();
  EXPECT_TRUE(stopped);
}

TEST(EventLoopDeathTest, ASecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        EventLoop loop;
        loop.OnStopSignal([] { std::raise(SIGTERM); });
        loop.Post([] { std::raise(SIGTERM); });
        loop.Run();
      },
      ::testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace bedrock::net
