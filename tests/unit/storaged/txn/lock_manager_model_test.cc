#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "storaged/txn/lock_manager.h"

namespace bedrock::txn {
namespace {

using Outcome = LockManager::Acquisition::Outcome;

/// A span as a set of points: each letter is one, and the gap behind it.
using Points = std::uint64_t;
constexpr std::uint64_t kLetters = 8;

struct Span {
  Points points;
  bool is_key;
  std::string begin;
  std::string end;

  LockSpan lock_span() const {
    return is_key ? LockSpan::OfKey(begin) : LockSpan::OfRange(begin, end);
  }
};

Span RandomSpan(Random& random, std::uint64_t range_one_in) {
  const auto letter = [](std::uint64_t i) { return std::string(1, static_cast<char>('a' + i)); };
  const std::uint64_t i = random.Below(kLetters);
  if (!random.Chance(1, range_one_in)) return {Points{1} << (2 * i), true, letter(i), ""};
  const std::uint64_t j = random.Between(i + 1, kLetters);
  const Points points = (Points{1} << (2 * j)) - (Points{1} << (2 * i));
  if (j == kLetters) return {points | Points{1} << (2 * j), false, letter(i), ""};
  return {points, false, letter(i), letter(j)};
}

/// The same rules in the plainest words: lists, and everything is looked at.
class Model {
 public:
  struct Hold {
    int owner;
    Span span;
    LockMode mode;
  };
  struct Wait {
    int owner;
    Span span;
    LockMode mode;
    bool upgrade;
    std::uint64_t number;
  };

  static bool Exclude(LockMode a, LockMode b) {
    return a == LockMode::kExclusive || b == LockMode::kExclusive;
  }
  static bool Before(const Wait& a, const Wait& b) {
    if (a.upgrade != b.upgrade) return a.upgrade;
    return a.number < b.number;
  }

  bool HasAlready(int owner, const Span& span, LockMode mode) const {
    return std::any_of(holds_.begin(), holds_.end(), [&](const Hold& hold) {
      return hold.owner == owner && (hold.span.points & span.points) == span.points &&
             (hold.mode == LockMode::kExclusive || mode == LockMode::kShared);
    });
  }
  bool HoldsPart(int owner, const Span& span) const {
    return std::any_of(holds_.begin(), holds_.end(), [&](const Hold& hold) {
      return hold.owner == owner && (hold.span.points & span.points) != 0;
    });
  }
  std::set<int> Blockers(const Wait& wait) const {
    std::set<int> blockers;
    for (const Hold& hold : holds_) {
      if (hold.owner != wait.owner && (hold.span.points & wait.span.points) != 0 &&
          Exclude(hold.mode, wait.mode))
        blockers.insert(hold.owner);
    }
    if (wait.upgrade) return blockers;
    for (const Wait& other : waits_) {
      if (other.owner != wait.owner && (other.span.points & wait.span.points) != 0 &&
          Exclude(other.mode, wait.mode) && Before(other, wait))
        blockers.insert(other.owner);
    }
    return blockers;
  }
  void Grant(const Wait& wait) {
    for (Hold& hold : holds_) {
      if (hold.owner == wait.owner && hold.span.is_key && wait.span.is_key &&
          hold.span.points == wait.span.points) {
        hold.mode = wait.mode;
        return;
      }
    }
    holds_.push_back({wait.owner, wait.span, wait.mode});
  }
  void Begin(const Wait& wait) { waits_.push_back(wait); }
  void EndWait(std::uint64_t number) {
    std::erase_if(waits_, [&](const Wait& wait) { return wait.number == number; });
  }
  void Drop(int owner) {
    std::erase_if(waits_, [&](const Wait& wait) { return wait.owner == owner; });
    std::erase_if(holds_, [&](const Hold& hold) { return hold.owner == owner; });
  }
  std::vector<LockRequestId> GrantWhoCan() {
    std::vector<Wait> in_order = waits_;
    std::sort(in_order.begin(), in_order.end(), Before);
    std::vector<LockRequestId> granted;
    for (const Wait& wait : in_order) {
      if (!Blockers(wait).empty()) continue;
      EndWait(wait.number);
      Grant(wait);
      granted.emplace_back(wait.number);
    }
    return granted;
  }

  const Wait* WaitOf(int owner) const {
    for (const Wait& wait : waits_) {
      if (wait.owner == owner) return &wait;
    }
    return nullptr;
  }
  bool IsBlockedBy(int owner, int by) const {
    const Wait* const wait = WaitOf(owner);
    return wait != nullptr && Blockers(*wait).contains(by);
  }
  bool HasCycle(int owners) const {
    // Takes away who waits for nobody that is left, until nothing changes.
    std::set<int> left;
    for (int i = 0; i < owners; ++i) left.insert(i);
    for (bool changed = true; changed;) {
      changed = false;
      for (int i = 0; i < owners; ++i) {
        if (!left.contains(i)) continue;
        const Wait* const wait = WaitOf(i);
        bool stuck = false;
        if (wait != nullptr) {
          for (const int blocker : Blockers(*wait)) stuck |= left.contains(blocker);
        }
        if (!stuck) {
          left.erase(i);
          changed = true;
        }
      }
    }
    return !left.empty();
  }

  const std::vector<Hold>& holds() const { return holds_; }
  const std::vector<Wait>& waits() const { return waits_; }

 private:
  std::vector<Hold> holds_;
  std::vector<Wait> waits_;
};

class Comparison {
 public:
  static constexpr int kOwners = 7;

  explicit Comparison(std::uint64_t seed)
      : random_(seed), range_one_in_(1 + random_.Below(6)), shared_in_ten_(random_.Below(10)) {
    for (int i = 0; i < kOwners; ++i) Renew(i);
  }

  void Run() {
    for (int step = 0; step < 300; ++step) {
      SCOPED_TRACE("step " + std::to_string(step));
      const auto owner = static_cast<int>(random_.Below(kOwners));
      const bool waits = owners_[Index(owner)]->waits();
      if (random_.Chance(1, waits ? 12 : 9)) {
        Release(owner);
      } else if (!waits) {
        Acquire(owner);
      } else if (random_.Chance(1, 15)) {
        Cancel(owner);
      }
      CompareAll();
      if (testing::Test::HasFatalFailure()) return;
    }
    for (int i = 0; i < kOwners; ++i) Release(i);
    ASSERT_EQ(manager_.locked_keys() + manager_.locked_ranges() + manager_.waiting(), 0u);
  }

  int waits() const { return waits_; }
  int deadlocks() const { return deadlocks_; }

 private:
  static std::size_t Index(int owner) { return static_cast<std::size_t>(owner); }
  void Renew(int owner) {
    if (owners_.size() <= Index(owner)) owners_.resize(Index(owner) + 1);
    owners_[Index(owner)] = std::make_unique<LockOwner>(
        LockOwner::Identity{.order = ++orders_, .name = std::to_string(owner)});
  }
  std::uint64_t OrderOf(int owner) const { return owners_[Index(owner)]->order(); }

  void Acquire(int owner) {
    const Span span = RandomSpan(random_, range_one_in_);
    const LockMode mode =
        random_.Below(10) < shared_in_ten_ ? LockMode::kShared : LockMode::kExclusive;
    const auto acquired = manager_.Acquire(*owners_[Index(owner)], span.lock_span(), mode, 0);
    if (model_.HasAlready(owner, span, mode)) {
      ASSERT_EQ(acquired.outcome, Outcome::kGranted);
      return;
    }
    Model::Wait wait{.owner = owner,
                     .span = span,
                     .mode = mode,
                     .upgrade = model_.HoldsPart(owner, span),
                     .number = UINT64_MAX};
    if (model_.Blockers(wait).empty()) {
      ASSERT_EQ(acquired.outcome, Outcome::kGranted);
      ASSERT_TRUE(acquired.deadlocks.empty());
      model_.Grant(wait);
      return;
    }
    ++waits_;
    // Where it does not wait on only its deadlocks may tell its number.
    wait.number = acquired.request.value();
    if (acquired.outcome != Outcome::kWaits) wait.number = UINT64_MAX - 1;
    if (acquired.outcome == Outcome::kDeadlock)
      wait.number = acquired.deadlocks.back().request.value();
    model_.Begin(wait);
    std::vector<LockRequestId> granted;
    for (const Deadlock& deadlock : acquired.deadlocks) {
      ++deadlocks_;
      CheckCycle(owner, deadlock);
      if (testing::Test::HasFatalFailure()) return;
      model_.EndWait(deadlock.request.value());
      for (const LockRequestId id : model_.GrantWhoCan()) granted.push_back(id);
    }
    const bool still_waits = model_.WaitOf(owner) != nullptr;
    ASSERT_EQ(acquired.outcome == Outcome::kWaits, still_waits);
    if (acquired.outcome == Outcome::kGranted) {
      ASSERT_EQ(std::erase(granted, LockRequestId(wait.number)), 1u);
    }
    ASSERT_EQ(acquired.granted, granted);
    ASSERT_FALSE(model_.HasCycle(kOwners));
  }

  void CheckCycle(int asking, const Deadlock& deadlock) {
    ASSERT_FALSE(deadlock.cycle.empty());
    std::uint64_t youngest = 0;
    for (std::size_t i = 0; i < deadlock.cycle.size(); ++i) {
      const int one = std::stoi(deadlock.cycle[i]);
      const int next = std::stoi(deadlock.cycle[(i + 1) % deadlock.cycle.size()]);
      ASSERT_TRUE(model_.IsBlockedBy(one, next)) << one << " by " << next;
      youngest = std::max(youngest, OrderOf(one));
    }
    ASSERT_EQ(deadlock.cycle.front(), std::to_string(asking));
    ASSERT_EQ(deadlock.victim_order, youngest);
    ASSERT_EQ(model_.WaitOf(std::stoi(deadlock.victim))->number, deadlock.request.value());
  }

  void Release(int owner) {
    const auto granted = manager_.Release(*owners_[Index(owner)]);
    model_.Drop(owner);
    ASSERT_EQ(granted, model_.GrantWhoCan());
    Renew(owner);
  }

  void Cancel(int owner) {
    const LockRequestId id(model_.WaitOf(owner)->number);
    const auto granted = manager_.Cancel(id);
    model_.EndWait(id.value());
    ASSERT_EQ(granted, model_.GrantWhoCan());
  }

  void CompareAll() {
    ASSERT_EQ(manager_.waiting(), model_.waits().size());
    std::set<Points> keys;
    std::size_t ranges = 0;
    std::vector<std::size_t> locks(kOwners, 0);
    for (const Model::Hold& hold : model_.holds()) {
      if (hold.span.is_key) keys.insert(hold.span.points);
      if (!hold.span.is_key) ++ranges;
      ++locks[Index(hold.owner)];
    }
    ASSERT_EQ(manager_.locked_keys(), keys.size());
    ASSERT_EQ(manager_.locked_ranges(), ranges);
    for (int i = 0; i < kOwners; ++i) {
      ASSERT_EQ(owners_[Index(i)]->locks(), locks[Index(i)]);
      ASSERT_EQ(owners_[Index(i)]->waits(), model_.WaitOf(i) != nullptr);
    }
    for (const Model::Wait& wait : model_.waits()) {
      const auto told = manager_.Describe(LockRequestId(wait.number), 0);
      ASSERT_TRUE(told.has_value());
      std::set<int> blockers;
      for (const LockBlocker& blocker : told->blockers) blockers.insert(std::stoi(blocker.name));
      ASSERT_EQ(blockers, model_.Blockers(wait));
    }
  }

  Random random_;
  const std::uint64_t range_one_in_;
  const std::uint64_t shared_in_ten_;
  LockManager manager_;
  Model model_;
  std::vector<std::unique_ptr<LockOwner>> owners_;
  std::uint64_t orders_ = 0;
  int waits_ = 0;
  int deadlocks_ = 0;
};

TEST(LockManagerModelTest, AgreesWithAPlainModel) {
  int waits = 0;
  int deadlocks = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Comparison comparison(seed);
    ASSERT_NO_FATAL_FAILURE(comparison.Run());
    waits += comparison.waits();
    deadlocks += comparison.deadlocks();
  }
  // Both happen often, or the test says little.
  EXPECT_GT(waits, 10'000);
  EXPECT_GT(deadlocks, 2'000);
}

/// One transaction of the stress below: locks what it has to in an order of its own, then is done.
struct Worker {
  std::unique_ptr<LockOwner> owner;
  std::vector<Span> wants;
  std::size_t next = 0;
  LockRequestId waits_for;
  bool done = false;
};

// Many transactions that want the same few keys and ranges in any order, each until it has got all
// of its locks: victims give everything back and begin again at their old age. All of them get
// done, however they are scheduled, and the oldest is never a victim.
TEST(LockManagerStressTest, DeadlocksNeverStopEverybody) {
  std::uint64_t victims = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    LockManager manager;
    std::vector<Worker> workers(24);
    for (std::size_t i = 0; i < workers.size(); ++i) {
      workers[i].owner = std::make_unique<LockOwner>(LockOwner::Identity{.order = i + 1});
      for (int n = 0; n < 5; ++n) workers[i].wants.push_back(RandomSpan(random, 4));
    }
    const auto of = [&](LockRequestId id) -> Worker& {
      return *std::find_if(workers.begin(), workers.end(),
                           [&](const Worker& worker) { return worker.waits_for == id; });
    };
    const auto go_on = [&](const std::vector<LockRequestId>& granted) {
      for (const LockRequestId id : granted) {
        Worker& worker = of(id);
        worker.waits_for = LockRequestId();
        ++worker.next;
      }
    };
    const auto begin_again = [&](Worker& worker) {
      ++victims;
      const std::size_t oldest = static_cast<std::size_t>(
          std::find_if(workers.begin(), workers.end(), [](const Worker& w) { return !w.done; }) -
          workers.begin());
      ASSERT_NE(&worker, &workers[oldest]);
      worker.waits_for = LockRequestId();
      worker.next = 0;
      go_on(manager.Release(*worker.owner));
    };
    std::size_t done = 0;
    int steps = 0;
    while (done < workers.size()) {
      ASSERT_LT(++steps, 200'000);
      Worker& worker = workers[random.Below(workers.size())];
      if (worker.done || worker.waits_for != LockRequestId()) continue;
      if (worker.next == worker.wants.size()) {
        worker.done = true;
        ++done;
        go_on(manager.Release(*worker.owner));
        continue;
      }
      const LockMode mode = random.Chance(1, 2) ? LockMode::kShared : LockMode::kExclusive;
      const auto acquired =
          manager.Acquire(*worker.owner, worker.wants[worker.next].lock_span(), mode, 0);
      if (acquired.outcome == Outcome::kGranted) ++worker.next;
      if (acquired.outcome == Outcome::kWaits) worker.waits_for = acquired.request;
      go_on(acquired.granted);
      for (const Deadlock& deadlock : acquired.deadlocks) {
        Worker& victim = workers[deadlock.victim_order - 1];
        ASSERT_NO_FATAL_FAILURE(begin_again(victim));
      }
    }
    ASSERT_EQ(manager.locked_keys() + manager.locked_ranges() + manager.waiting(), 0u);
  }
  EXPECT_GT(victims, 1000u);
}

}  // namespace
}  // namespace bedrock::txn
