#include "storaged/embedded/txn/lock_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"

namespace bedrock::embedded {
namespace {

using testing::HasSubstr;
using Owner = LockTable::Owner;
using Detect = LockTable::DetectDeadlock;

constexpr LockMode kShared = LockMode::kShared;
constexpr LockMode kExclusive = LockMode::kExclusive;
const LockTable::Patience kPatient{.timeout_us = Waiter::kForever, .detect_deadlock = Detect::kYes};

/// In one thread, where waiting ends at once: timed_out says that it would have waited.
class LockTableTest : public testing::Test {
 protected:
  ~LockTableTest() override {
    for (Owner* owner : {&a_, &b_, &c_}) table_.ReleaseAll(*owner);
    EXPECT_EQ(table_.size(), 0u);
  }
  Status Key(Owner& owner, std::string_view key, LockMode mode) {
    return table_.LockKey(owner, key, mode, kPatient);
  }
  Status Range(Owner& owner, std::string_view begin, std::string_view end, LockMode mode) {
    return table_.LockRange(owner, begin, end, mode, kPatient);
  }

  ManualClock clock_;
  ManualExecutor executor_;
  LockTable table_{executor_, clock_};
  Owner a_{table_};
  Owner b_{table_};
  Owner c_{table_};
};

TEST_F(LockTableTest, SharedGoTogetherAndExclusiveAlone) {
  EXPECT_TRUE(Key(a_, "k", kShared).ok());
  EXPECT_TRUE(Key(b_, "k", kShared).ok());
  EXPECT_TRUE(Key(c_, "k", kExclusive).IsTimedOut());
  EXPECT_TRUE(Key(c_, "other", kExclusive).ok());
  EXPECT_TRUE(Key(a_, "other", kShared).IsTimedOut());
  EXPECT_TRUE(Key(a_, "other", kExclusive).IsTimedOut());
}

TEST_F(LockTableTest, WhatIsHeldIsGivenAgainAtOnce) {
  EXPECT_TRUE(Key(a_, "k", kExclusive).ok());
  EXPECT_TRUE(Key(a_, "k", kExclusive).ok());
  EXPECT_TRUE(Key(a_, "k", kShared).ok());
  EXPECT_TRUE(Key(b_, "k", kShared).IsTimedOut());  // still exclusive
  EXPECT_TRUE(Range(a_, "m", "p", kExclusive).ok());
  EXPECT_TRUE(Key(a_, "n", kExclusive).ok());
  EXPECT_TRUE(Range(a_, "n", "o", kShared).ok());
  EXPECT_EQ(table_.size(), 2u);
}

TEST_F(LockTableTest, AHolderGetsMoreWhereItIsAlone) {
  EXPECT_TRUE(Key(a_, "k", kShared).ok());
  EXPECT_TRUE(Key(a_, "k", kExclusive).ok());
  EXPECT_TRUE(Key(b_, "k", kShared).IsTimedOut());
  EXPECT_TRUE(Key(b_, "other", kShared).ok());
  EXPECT_TRUE(Key(c_, "other", kShared).ok());
  EXPECT_TRUE(Key(b_, "other", kExclusive).IsTimedOut());
}

TEST_F(LockTableTest, ReleaseFreesEverythingAndLeavesNothing) {
  EXPECT_TRUE(Key(a_, "k", kExclusive).ok());
  EXPECT_TRUE(Range(a_, "m", "", kShared).ok());
  EXPECT_TRUE(Key(b_, "k", kShared).IsTimedOut());
  table_.ReleaseAll(a_);
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_TRUE(Key(b_, "k", kExclusive).ok());
  EXPECT_TRUE(Key(b_, "n", kExclusive).ok());
  table_.ReleaseAll(a_);
  table_.ReleaseAll(b_);
  EXPECT_EQ(table_.size(), 0u);
}

TEST_F(LockTableTest, ARangeExcludesTheKeysInItAndNoOthers) {
  EXPECT_TRUE(Range(a_, "d", "g", kShared).ok());
  EXPECT_TRUE(Key(b_, "c", kExclusive).ok());
  EXPECT_TRUE(Key(b_, "g", kExclusive).ok());
  EXPECT_TRUE(Key(b_, "d", kShared).ok());
  EXPECT_TRUE(Key(b_, "e", kExclusive).IsTimedOut());
  EXPECT_TRUE(Key(b_, "f\xff", kExclusive).IsTimedOut());
}

TEST_F(LockTableTest, AKeyExcludesTheRangesAroundIt) {
  EXPECT_TRUE(Key(a_, "e", kExclusive).ok());
  EXPECT_TRUE(Range(b_, "a", "e", kExclusive).ok());
  EXPECT_TRUE(Range(b_, "e", "f", kShared).IsTimedOut());
  EXPECT_TRUE(Range(b_, "a", "", kShared).IsTimedOut());
  EXPECT_TRUE(Range(b_, "f", "", kShared).ok());
}

TEST_F(LockTableTest, RangesExcludeEachOtherWhereTheyOverlap) {
  EXPECT_TRUE(Range(a_, "d", "g", kShared).ok());
  EXPECT_TRUE(Range(b_, "e", "z", kShared).ok());
  EXPECT_TRUE(Range(c_, "f", "h", kExclusive).IsTimedOut());
  EXPECT_TRUE(Range(c_, "a", "d", kExclusive).ok());
  EXPECT_TRUE(Range(c_, "z", "", kExclusive).ok());
  EXPECT_TRUE(Range(a_, "zz", "", kShared).IsTimedOut());
}

TEST_F(LockTableTest, ATimeoutLeavesNothingBehind) {
  EXPECT_TRUE(Key(a_, "k", kShared).ok());
  EXPECT_TRUE(Key(b_, "k", kExclusive).IsTimedOut());
  EXPECT_EQ(table_.waiting(), 0u);
  EXPECT_TRUE(Key(c_, "k", kShared).ok());  // b waits no more
}

TEST_F(LockTableTest, ATimeoutNamesTheKeyTheBlockerAndItsAge) {
  clock_.AdvanceMs(2000);
  Owner young(table_);
  EXPECT_TRUE(Key(young, "k", kExclusive).ok());
  clock_.AdvanceMs(700);
  EXPECT_EQ(Key(a_, "k", kShared).message(),
            "waited 0 ms for the shared lock on key 'k': transaction 4, which began 700 ms ago, "
            "holds it");
  table_.ReleaseAll(young);
}

TEST_F(LockTableTest, AfterCloseEverythingIsAborted) {
  EXPECT_TRUE(Key(a_, "k", kShared).ok());
  table_.Close();
  EXPECT_TRUE(Key(b_, "k", kShared).IsAborted());
  EXPECT_TRUE(Key(a_, "k", kExclusive).IsAborted());
  table_.ReleaseAll(a_);
  EXPECT_EQ(table_.size(), 0u);
}

/// With real threads that wait for each other.
class LockTableThreadsTest : public testing::Test {
 protected:
  ~LockTableThreadsTest() override {
    for (Owner* owner : {&a_, &b_, &c_, &d_}) table_.ReleaseAll(*owner);
    EXPECT_EQ(table_.size(), 0u);
  }
  /// Asks in a thread of its own, and returns when that one waits.
  std::future<Status> Waits(Owner& owner, std::string key, LockMode mode,
                            Detect detect = Detect::kYes) {
    const std::size_t before = table_.waiting();
    auto asked = std::async(std::launch::async, [this, &owner, key = std::move(key), mode, detect] {
      return table_.LockKey(owner, key, mode,
                            {.timeout_us = Waiter::kForever, .detect_deadlock = detect});
    });
    while (table_.waiting() != before + 1) std::this_thread::yield();
    return asked;
  }
  Status Key(Owner& owner, std::string_view key, LockMode mode) {
    return table_.LockKey(owner, key, mode, kPatient);
  }

  ManualClock clock_;
  ThreadExecutor executor_{1};
  LockTable table_{executor_, clock_};
  Owner a_{table_};
  Owner b_{table_};
  Owner c_{table_};
  Owner d_{table_};
};

TEST_F(LockTableThreadsTest, WaitersAreServedInTheirOrder) {
  ASSERT_TRUE(Key(a_, "k", kExclusive).ok());
  auto b = Waits(b_, "k", kExclusive);
  auto c = Waits(c_, "k", kShared);
  auto d = Waits(d_, "k", kShared);
  table_.ReleaseAll(a_);
  EXPECT_TRUE(b.get().ok());
  EXPECT_EQ(table_.waiting(), 2u);
  table_.ReleaseAll(b_);
  EXPECT_TRUE(c.get().ok());  // both together
  EXPECT_TRUE(d.get().ok());
}

TEST_F(LockTableThreadsTest, SharedOnesDoNotOvertakeAWaitingExclusiveOne) {
  ASSERT_TRUE(Key(a_, "k", kShared).ok());
  auto b = Waits(b_, "k", kExclusive);
  auto c = Waits(c_, "k", kShared);
  table_.ReleaseAll(a_);
  EXPECT_TRUE(b.get().ok());
  EXPECT_EQ(table_.waiting(), 1u);
  table_.ReleaseAll(b_);
  EXPECT_TRUE(c.get().ok());
}

TEST_F(LockTableThreadsTest, AnUpgradeGoesBeforeThoseThatWait) {
  ASSERT_TRUE(Key(a_, "k", kShared).ok());
  ASSERT_TRUE(Key(b_, "k", kShared).ok());
  auto c = Waits(c_, "k", kExclusive);
  auto a = Waits(a_, "k", kExclusive);
  table_.ReleaseAll(b_);
  EXPECT_TRUE(a.get().ok());
  EXPECT_EQ(table_.waiting(), 1u);
  table_.ReleaseAll(a_);
  EXPECT_TRUE(c.get().ok());
}

TEST_F(LockTableThreadsTest, TwoUpgradesAreADeadlockThatTheYoungerPaysFor) {
  ASSERT_TRUE(Key(a_, "k", kShared).ok());
  ASSERT_TRUE(Key(b_, "k", kShared).ok());
  auto a = Waits(a_, "k", kExclusive);
  const Status b = Key(b_, "k", kExclusive);
  EXPECT_TRUE(b.IsDeadlock());
  table_.ReleaseAll(b_);
  EXPECT_TRUE(a.get().ok());
}

TEST_F(LockTableThreadsTest, TheYoungestOfACycleEndsEvenWhereAnOlderOneClosesIt) {
  ASSERT_TRUE(Key(a_, "1", kExclusive).ok());
  ASSERT_TRUE(Key(b_, "2", kExclusive).ok());
  ASSERT_TRUE(Key(c_, "3", kExclusive).ok());
  auto c = Waits(c_, "1", kExclusive);
  auto b = Waits(b_, "3", kExclusive);
  auto a = std::async(std::launch::async, [&] { return Key(a_, "2", kExclusive); });
  const Status victim = c.get();
  EXPECT_TRUE(victim.IsDeadlock());
  EXPECT_THAT(victim.ToString(),
              HasSubstr("transaction 1 -> transaction 2 -> transaction 3 -> transaction 1"));
  table_.ReleaseAll(c_);
  EXPECT_TRUE(b.get().ok());
  table_.ReleaseAll(b_);
  EXPECT_TRUE(a.get().ok());
}

TEST_F(LockTableThreadsTest, WaitingBehindAWaiterClosesACycleAsWell) {
  ASSERT_TRUE(Key(a_, "x", kShared).ok());
  ASSERT_TRUE(Key(b_, "y", kExclusive).ok());
  auto c = Waits(c_, "x", kExclusive);  // behind a
  auto b = Waits(b_, "x", kShared);     // behind c only
  auto a = std::async(std::launch::async, [&] { return Key(a_, "y", kShared); });
  // a waits for b, b for c, c for a: c is the youngest.
  EXPECT_TRUE(c.get().IsDeadlock());
  EXPECT_TRUE(b.get().ok());
  table_.ReleaseAll(b_);
  EXPECT_TRUE(a.get().ok());
}

TEST_F(LockTableThreadsTest, RangesTakePartInCycles) {
  ASSERT_TRUE(table_.LockRange(a_, "a", "f", kShared, kPatient).ok());
  ASSERT_TRUE(table_.LockRange(b_, "m", "", kShared, kPatient).ok());
  auto a = Waits(a_, "z", kExclusive);
  EXPECT_TRUE(Key(b_, "b", kExclusive).IsDeadlock());
  table_.ReleaseAll(b_);
  EXPECT_TRUE(a.get().ok());
}

TEST_F(LockTableThreadsTest, WithoutDetectionACycleEndsByItsTimeout) {
  ASSERT_TRUE(Key(a_, "1", kExclusive).ok());
  ASSERT_TRUE(Key(b_, "2", kExclusive).ok());
  auto a = Waits(a_, "2", kExclusive, Detect::kNo);
  EXPECT_TRUE(
      table_.LockKey(b_, "1", kExclusive, {.timeout_us = 1000, .detect_deadlock = Detect::kNo})
          .IsTimedOut());
  table_.ReleaseAll(b_);
  EXPECT_TRUE(a.get().ok());
}

TEST_F(LockTableThreadsTest, CloseEndsAllWhoWait) {
  ASSERT_TRUE(Key(a_, "k", kExclusive).ok());
  auto b = Waits(b_, "k", kExclusive);
  auto c = Waits(c_, "k", kShared);
  table_.Close();
  EXPECT_TRUE(b.get().IsAborted());
  EXPECT_TRUE(c.get().IsAborted());
}

// Threads that lock keys and ranges in any order: no two that exclude each other ever hold at once,
// nobody waits for ever, and nothing is left at the end.
TEST_F(LockTableThreadsTest, NeverTwoThatExcludeEachOther) {
  constexpr int kThreads = 8;
  constexpr int kKeys = 6;
  constexpr int kRounds = 300;
  struct Slot {
    std::atomic<int> readers{0};
    std::atomic<int> writers{0};
  };
  Slot slots[kKeys];
  std::atomic<int> deadlocks = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Random random(static_cast<std::uint64_t>(t));
      for (int round = 0; round < kRounds; ++round) {
        Owner owner(table_);
        LockMode held[kKeys] = {};
        bool has[kKeys] = {};
        for (int step = 0; step < 4; ++step) {
          const auto first = static_cast<int>(random.Below(kKeys));
          const LockMode mode = random.Chance(1, 2) ? kExclusive : kShared;
          int last = first;
          Status locked;
          if (random.Chance(1, 4)) {
            last = std::min(first + 1, kKeys - 1);
            locked = table_.LockRange(owner, std::to_string(first), std::to_string(last) + "x",
                                      mode, kPatient);
          } else {
            locked = table_.LockKey(owner, std::to_string(first), mode, kPatient);
          }
          if (!locked.ok()) {
            ASSERT_TRUE(locked.IsDeadlock()) << locked.ToString();
            ++deadlocks;
            break;
          }
          for (int key = first; key <= last; ++key) {
            if (has[key] && (held[key] == kExclusive || mode == kShared)) continue;
            if (has[key]) --slots[key].readers;
            has[key] = true;
            held[key] = mode;
            ++(mode == kExclusive ? slots[key].writers : slots[key].readers);
          }
          for (int key = 0; key < kKeys; ++key) {
            if (!has[key]) continue;
            ASSERT_EQ(slots[key].writers, held[key] == kExclusive ? 1 : 0);
            if (held[key] == kExclusive) {
              ASSERT_EQ(slots[key].readers, 0);
            }
          }
        }
        for (int key = 0; key < kKeys; ++key) {
          if (has[key]) --(held[key] == kExclusive ? slots[key].writers : slots[key].readers);
        }
        table_.ReleaseAll(owner);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(table_.size(), 0u);
}

}  // namespace
}  // namespace bedrock::embedded
