#include "storaged/txn/lock_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace bedrock::txn {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Outcome = LockManager::Acquisition::Outcome;

constexpr LockMode kShared = LockMode::kShared;
constexpr LockMode kExclusive = LockMode::kExclusive;

class LockManagerTest : public testing::Test {
 protected:
  ~LockManagerTest() override {
    for (LockOwner* owner : {&a_, &b_, &c_, &d_}) (void)manager_.Release(*owner);
    EXPECT_EQ(manager_.locked_keys() + manager_.locked_ranges() + manager_.waiting(), 0u);
  }

  LockManager::Acquisition Key(LockOwner& owner, std::string_view key, LockMode mode) {
    return manager_.Acquire(owner, LockSpan::OfKey(key), mode, now_ms_);
  }
  LockManager::Acquisition Range(LockOwner& owner, std::string_view begin, std::string_view end,
                                 LockMode mode) {
    return manager_.Acquire(owner, LockSpan::OfRange(begin, end), mode, now_ms_);
  }
  bool GetsKey(LockOwner& owner, std::string_view key, LockMode mode) {
    return Key(owner, key, mode).outcome == Outcome::kGranted;
  }
  bool GetsRange(LockOwner& owner, std::string_view begin, std::string_view end, LockMode mode) {
    return Range(owner, begin, end, mode).outcome == Outcome::kGranted;
  }
  LockRequestId Waits(LockOwner& owner, std::string_view key, LockMode mode) {
    const auto acquisition = Key(owner, key, mode);
    EXPECT_EQ(acquisition.outcome, Outcome::kWaits);
    EXPECT_TRUE(acquisition.deadlocks.empty());
    return acquisition.request;
  }

  std::uint64_t now_ms_ = 5000;
  LockManager manager_{{.locks_per_owner_max = 4}};
  LockOwner a_{{.order = 1, .began_ms = 1000}};
  LockOwner b_{{.order = 2, .began_ms = 2000}};
  LockOwner c_{{.order = 3, .began_ms = 3000}};
  LockOwner d_{{.order = 4, .began_ms = 4000, .name = "the one of n2"}};
};

TEST_F(LockManagerTest, SharedGoTogetherAndExclusiveAlone) {
  EXPECT_TRUE(GetsKey(a_, "k", kShared));
  EXPECT_TRUE(GetsKey(b_, "k", kShared));
  EXPECT_FALSE(GetsKey(c_, "k", kExclusive));
  EXPECT_TRUE(GetsKey(d_, "other", kExclusive));
}

TEST_F(LockManagerTest, WaitersAreServedInTheirOrder) {
  ASSERT_TRUE(GetsKey(a_, "k", kExclusive));
  const LockRequestId b = Waits(b_, "k", kShared);
  const LockRequestId c = Waits(c_, "k", kShared);
  const LockRequestId d = Waits(d_, "k", kExclusive);
  EXPECT_THAT(manager_.Release(a_), ElementsAre(b, c));
  EXPECT_THAT(manager_.Release(c_), IsEmpty());
  EXPECT_THAT(manager_.Release(b_), ElementsAre(d));
}

TEST_F(LockManagerTest, NobodyOvertakesAWaitingExclusiveOne) {
  ASSERT_TRUE(GetsKey(a_, "k", kShared));
  const LockRequestId b = Waits(b_, "k", kExclusive);
  const LockRequestId c = Waits(c_, "k", kShared);
  EXPECT_THAT(manager_.Release(a_), ElementsAre(b));
  EXPECT_THAT(manager_.Release(b_), ElementsAre(c));
}

TEST_F(LockManagerTest, AnUpgradeGoesBeforeThoseThatWait) {
  ASSERT_TRUE(GetsKey(a_, "k", kShared));
  ASSERT_TRUE(GetsKey(b_, "k", kShared));
  const LockRequestId c = Waits(c_, "k", kExclusive);
  const LockRequestId a = Waits(a_, "k", kExclusive);
  EXPECT_THAT(manager_.Release(b_), ElementsAre(a));
  EXPECT_THAT(manager_.Release(a_), ElementsAre(c));
}

TEST_F(LockManagerTest, AnUpgradeNeverWaitsForItself) {
  ASSERT_TRUE(GetsKey(a_, "k", kShared));
  const LockRequestId b = Waits(b_, "k", kExclusive);
  const LockRequestId c = Waits(c_, "k", kShared);  // behind b
  EXPECT_TRUE(GetsKey(a_, "k", kExclusive));        // in front of both
  EXPECT_THAT(manager_.Release(a_), ElementsAre(b));
  EXPECT_THAT(manager_.Release(b_), ElementsAre(c));
}

TEST_F(LockManagerTest, ARangeAroundWhatIsHeldIsAnUpgrade) {
  ASSERT_TRUE(GetsKey(a_, "k", kShared));
  const LockRequestId b = Waits(b_, "k", kExclusive);
  EXPECT_TRUE(GetsRange(a_, "a", "z", kExclusive));
  EXPECT_THAT(manager_.Release(a_), ElementsAre(b));
}

TEST_F(LockManagerTest, ATimeoutLetsThoseBehindItGoOn) {
  ASSERT_TRUE(GetsKey(a_, "k", kShared));
  const LockRequestId b = Waits(b_, "k", kExclusive);
  const LockRequestId c = Waits(c_, "k", kShared);
  EXPECT_THAT(manager_.Cancel(b), ElementsAre(c));
  EXPECT_THAT(manager_.Cancel(b), IsEmpty());  // it does not wait any more
  EXPECT_FALSE(b_.waits());
}

TEST_F(LockManagerTest, AReleaseEndsTheOwnersWaitAsWell) {
  ASSERT_TRUE(GetsKey(a_, "k", kShared));
  (void)Waits(b_, "k", kExclusive);
  const LockRequestId c = Waits(c_, "k", kShared);
  EXPECT_THAT(manager_.Release(b_), ElementsAre(c));
  EXPECT_EQ(manager_.waiting(), 0u);
}

TEST_F(LockManagerTest, RangesExcludeTheKeysInThem) {
  ASSERT_TRUE(GetsRange(a_, "d", "g", kShared));
  EXPECT_TRUE(GetsKey(b_, "g", kExclusive));
  EXPECT_TRUE(GetsKey(b_, "d", kShared));
  const LockRequestId b = Waits(b_, "f", kExclusive);
  EXPECT_FALSE(GetsRange(c_, "g", "", kShared));
  EXPECT_THAT(manager_.Release(a_), ElementsAre(b));
}

TEST_F(LockManagerTest, TheCapIsAnOwners) {
  for (const char* key : {"1", "2", "3"}) ASSERT_TRUE(GetsKey(a_, key, kExclusive));
  ASSERT_TRUE(GetsRange(a_, "a", "b", kShared));
  EXPECT_EQ(a_.locks(), 4u);
  EXPECT_EQ(Key(a_, "4", kShared).outcome, Outcome::kTooManyLocks);
  EXPECT_TRUE(GetsKey(a_, "3", kShared));  // has it
  EXPECT_TRUE(GetsKey(b_, "4", kExclusive));
}

TEST_F(LockManagerTest, TheYoungestOfARingIsItsVictim) {
  ASSERT_TRUE(GetsKey(a_, "1", kExclusive));
  ASSERT_TRUE(GetsKey(b_, "2", kExclusive));
  ASSERT_TRUE(GetsKey(c_, "3", kExclusive));
  const LockRequestId c = Waits(c_, "1", kExclusive);
  const LockRequestId b = Waits(b_, "3", kExclusive);
  const auto a = Key(a_, "2", kExclusive);
  EXPECT_EQ(a.outcome, Outcome::kWaits);
  ASSERT_EQ(a.deadlocks.size(), 1u);
  const Deadlock& deadlock = a.deadlocks.front();
  EXPECT_EQ(deadlock.request, c);
  EXPECT_EQ(deadlock.victim_order, 3u);
  EXPECT_THAT(deadlock.cycle, ElementsAre("transaction 1", "transaction 2", "transaction 3"));
  EXPECT_EQ(deadlock.ToString(),
            "transactions wait for each other: transaction 1 -> transaction 2 -> transaction 3 -> "
            "transaction 1; transaction 3, the youngest, waited for the exclusive lock on key '1': "
            "transaction 1, which began 4000 ms ago, holds it");
  EXPECT_FALSE(c_.waits());
  EXPECT_EQ(c_.locks(), 1u);
  EXPECT_THAT(manager_.Release(c_), ElementsAre(b));
}

TEST_F(LockManagerTest, WhoeverClosesTheRingMayBeItsVictim) {
  ASSERT_TRUE(GetsKey(a_, "k", kShared));
  ASSERT_TRUE(GetsKey(b_, "k", kShared));
  const LockRequestId a = Waits(a_, "k", kExclusive);
  const auto b = Key(b_, "k", kExclusive);
  EXPECT_EQ(b.outcome, Outcome::kDeadlock);
  EXPECT_EQ(b.deadlocks.back().victim_order, 2u);
  EXPECT_FALSE(b_.waits());
  EXPECT_THAT(manager_.Release(b_), ElementsAre(a));
}

TEST_F(LockManagerTest, AVictimThatOnlyStoodInFrontLetsTheAskingOneGoOn) {
  ASSERT_TRUE(GetsKey(b_, "x", kShared));
  ASSERT_TRUE(GetsKey(a_, "y", kExclusive));
  ASSERT_TRUE(GetsKey(c_, "z", kShared));
  const LockRequestId c = Waits(c_, "x", kExclusive);
  const LockRequestId b = Waits(b_, "y", kShared);
  // a waits for c's wish alone, c for b, b for a.
  const auto a = Key(a_, "x", kShared);
  EXPECT_EQ(a.outcome, Outcome::kGranted);
  ASSERT_EQ(a.deadlocks.size(), 1u);
  EXPECT_EQ(a.deadlocks.front().request, c);
  EXPECT_THAT(manager_.Release(a_), ElementsAre(b));
}

TEST_F(LockManagerTest, OneWishMayCloseTwoRings) {
  ASSERT_TRUE(GetsKey(a_, "1", kExclusive));
  ASSERT_TRUE(GetsKey(b_, "k", kShared));
  ASSERT_TRUE(GetsKey(c_, "k", kShared));
  const LockRequestId b = Waits(b_, "1", kShared);
  const LockRequestId c = Waits(c_, "1", kShared);
  const auto a = Key(a_, "k", kExclusive);
  EXPECT_EQ(a.outcome, Outcome::kWaits);
  ASSERT_EQ(a.deadlocks.size(), 2u);
  std::vector<LockRequestId> victims = {a.deadlocks[0].request, a.deadlocks[1].request};
  EXPECT_THAT(victims, testing::UnorderedElementsAre(b, c));
}

TEST_F(LockManagerTest, WithoutDetectionARingStays) {
  ASSERT_TRUE(GetsKey(a_, "1", kExclusive));
  ASSERT_TRUE(GetsKey(b_, "2", kExclusive));
  (void)Waits(a_, "2", kExclusive);
  const auto b = manager_.Acquire(b_, LockSpan::OfKey("1"), kExclusive, now_ms_,
                                  LockManager::DetectDeadlock::kNo);
  EXPECT_EQ(b.outcome, Outcome::kWaits);
  EXPECT_TRUE(b.deadlocks.empty());
}

TEST_F(LockManagerTest, TellsWhatARequestWaitsFor) {
  ASSERT_TRUE(GetsRange(d_, "a", "m", kShared));
  const LockRequestId b = Waits(b_, "k", kExclusive);
  now_ms_ = 5400;
  const LockRequestId c = Waits(c_, "k", kShared);
  const LockWait wait = manager_.Describe(b, 6000).value();
  EXPECT_EQ(wait.span.ToString(), "key 'k'");
  EXPECT_EQ(wait.mode, kExclusive);
  EXPECT_EQ(wait.waited_ms, 1000u);
  ASSERT_EQ(wait.blockers.size(), 1u);
  EXPECT_EQ(wait.blockers[0].name, "the one of n2");
  EXPECT_EQ(wait.blockers[0].order, 4u);
  EXPECT_EQ(wait.blockers[0].age_ms, 2000u);
  EXPECT_FALSE(wait.blockers[0].waits);
  EXPECT_EQ(LockTimedOut(wait).ToString(),
            "timed_out: waited 1000 ms for the exclusive lock on key 'k': the one of n2, which "
            "began 2000 ms ago, holds the keys from 'a' to before 'm'");
  EXPECT_EQ(manager_.Describe(c, 6000)->ToString(),
            "the shared lock on key 'k': transaction 2, which began 4000 ms ago, waits before it "
            "for it");
  (void)manager_.Cancel(b);
  EXPECT_FALSE(manager_.Describe(b, 6000).has_value());
}

TEST_F(LockManagerTest, TellsOfAFewBlockersOnly) {
  std::deque<LockOwner> readers;
  for (std::uint64_t i = 0; i < 20; ++i) {
    readers.emplace_back(LockOwner::Identity{.order = 10 + i});
    ASSERT_TRUE(GetsKey(readers.back(), "k", kShared));
  }
  const LockRequestId a = Waits(a_, "k", kExclusive);
  const LockWait wait = manager_.Describe(a, now_ms_).value();
  EXPECT_EQ(wait.blockers.size(), LockWait::kBlockersMax);
  EXPECT_THAT(wait.ToString(), HasSubstr("and others"));
  for (LockOwner& reader : readers) (void)manager_.Release(reader);
}

// A long queue for one key, from which all others can be reached: were each of it looked at again
// from each behind it, or all of it at each release, this would not end within the test's time.
TEST_F(LockManagerTest, ALongQueueIsSearchedInOnePassAndServedFromItsFront) {
  constexpr std::uint64_t kQueue = 30'000;
  std::deque<LockOwner> queue;
  ASSERT_TRUE(GetsKey(a_, "hot", kExclusive));
  for (std::uint64_t i = 0; i < kQueue; ++i) {
    queue.emplace_back(LockOwner::Identity{.order = 10 + i});
    ASSERT_EQ(Key(queue.back(), "hot", kExclusive).outcome, Outcome::kWaits);
  }
  ASSERT_TRUE(GetsKey(c_, "last's", kExclusive));
  ASSERT_TRUE(GetsKey(b_, "b's", kExclusive));
  (void)Waits(c_, "hot", kExclusive);
  (void)Waits(b_, "last's", kShared);  // b holds something: the whole queue is searched
  for (std::uint64_t i = 0; i < 20; ++i) {
    ASSERT_EQ(Key(d_, "b's", kShared).outcome, Outcome::kWaits);
    (void)manager_.Release(d_);
    ASSERT_TRUE(GetsKey(d_, "d's", kShared));
  }
  (void)manager_.Release(a_);
  for (LockOwner& owner : queue) ASSERT_EQ(manager_.Release(owner).size(), 1u);
}

}  // namespace
}  // namespace bedrock::txn
