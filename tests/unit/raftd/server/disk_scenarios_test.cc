// Disks that lie, lose and get damaged under whole clusters of drivers, cores and real logs, and
// nodes that are restarted in turn: the rows of lists D and E of tests/scenarios.md. What a log
// says about its own damage is tested in raftd/log; here, what a cluster makes of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "common/env/file_system.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "raftd/log/segment_format.h"
#include "raftd/log/segment_scanner.h"
#include "tests/unit/raftd/server/driver_cluster.h"

namespace bedrock::raft {
namespace {

using ::testing::SizeIs;
using CrashMode = MemoryFileSystem::CrashMode;

constexpr int kCommands = 12;
/// Long enough for a cluster to elect and to refill whoever needs it.
constexpr std::uint64_t kAWhileMs = 6'000;

class DiskScenarios : public DriverCluster {
 protected:
  struct Place {
    std::string path;
    Batch batch;
  };

  /// Three nodes that hold kCommands commands, each of them in a batch of its own; proved, unless
  /// the last one is to be in doubt.
  int StartWithCommands(int nodes = 3) {
    StartCluster({.nodes = nodes});
    const int leader = RunUntilLeader();
    for (int i = 1; i <= kCommands; ++i) {
      Ask(leader, {Propose(static_cast<std::uint64_t>(i), "c" + std::to_string(i))});
      Settle();
    }
    return leader;
  }
  /// The same at rest: what the last batch holds is proved as well.
  int StartAndRest(int nodes = 3) {
    const int leader = StartWithCommands(nodes);
    Run(500);
    return leader;
  }

  std::vector<Place> Batches(int node) {
    std::vector<Place> places;
    const std::vector<std::string> names = *disks_[node].List("raft/log");
    for (const std::string& name : names) {
      if (!name.ends_with(kSegmentSuffix)) continue;
      const std::string path = "raft/log/" + name;
      const std::string content = *ReadFile(disks_[node], path, kSegmentBytesMax);
      const SegmentHeader header = *DecodeSegmentHeader(content);
      for (const Batch& batch :
           ScanSegment(content, header.segment, {header.prev_seq, header.chain}).batches) {
        places.push_back({path, batch});
      }
    }
    return places;
  }
  void Damage(int node, const Place& place) {
    // A bit of each byte, but for the padding.
    for (std::uint64_t at = place.batch.start; at < place.batch.start + place.batch.tail.bytes;
         ++at) {
      ASSERT_TRUE(disks_[node].FlipBit(place.path, 8 * at + at % 8).ok());
    }
  }
  /// Damages the batch that brought the entry. REQUIRES: the node is down.
  void DamageEntry(int node, std::uint64_t index) {
    for (const Place& place : Batches(node)) {
      if (place.batch.last_index < LogIndex(index)) continue;
      Damage(node, place);
      return;
    }
    FAIL() << "no such entry";
  }
  /// Where a command stands, as some storaged that has it knows.
  std::uint64_t IndexOf(const std::string& command) {
    for (int node = 1; node <= 3; ++node) {
      for (const proto::Apply::Item& item : storage(node).applied) {
        if (item.entry.payload.view() == command) return item.entry.index.value();
      }
    }
    ADD_FAILURE() << "nobody has " << command;
    return 0;
  }
  std::uint64_t IndexOf(int command) { return IndexOf("c" + std::to_string(command)); }

  static int After(int node) { return node % 3 + 1; }
  std::vector<std::string> AllCommands() const {
    std::vector<std::string> all;
    for (int i = 1; i <= kCommands; ++i) all.push_back("c" + std::to_string(i));
    return all;
  }
  void StopAll() {
    for (int node = 1; node <= 3; ++node) {
      if (running(node)) StopNode(node);
    }
  }
  /// Everybody is whole, agrees, and takes something new.
  void ExpectWhole() {
    const int leader = RunUntilLeader();
    Run(kAWhileMs);
    Ask(Leader() == 0 ? leader : Leader(), {Propose(999, "new")});
    Run(500);
    std::vector<std::string> expected = AllCommands();
    expected.emplace_back("new");
    const LogIndex last = driver(Leader()).GetView().last_index;
    for (int node = 1; node <= 3; ++node) {
      SCOPED_TRACE("n" + std::to_string(node));
      EXPECT_EQ(Commands(node), expected);
      EXPECT_FALSE(driver(node).GetView().refilling);
      EXPECT_EQ(driver(node).GetView().durable_index, last);
    }
  }
};

// ---- Right of what was proved: a crash's work

TEST_F(DiskScenarios, ATornEndOfOneLogIsCutAndCaughtUp) {
  const int leader = StartWithCommands();
  const int node = After(leader);
  StopNode(node);
  Damage(node, Batches(node).back());
  StartNode(node);
  EXPECT_FALSE(driver(node).GetView().refilling) << "a full member, as after any crash";
  EXPECT_EQ(driver(node).GetView().last_index, LogIndex(IndexOf(kCommands) - 1));
  ExpectWhole();
}

TEST_F(DiskScenarios, ATornEndOfTheLeadersLogCostsNothingThatWasAnswered) {
  const int leader = StartWithCommands();
  StopNode(leader);
  Damage(leader, Batches(leader).back());
  StartNode(leader);
  ExpectWhole();
}

/// Machines die in the middle of any call to their disks, all within moments; of what was not
/// synced anything may be left.
TEST_F(DiskScenarios, APowerCutOfEveryNodeLosesNothingThatWasAnswered) {
  std::size_t survivors = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    TearDownCluster();
    StartCluster({});
    RunUntilLeader();
    for (int node = 1; node <= 3; ++node) {
      disks_[node].CrashAtMutation(disks_[node].mutations() + random.Between(1, 150));
    }
    std::uint64_t request = 0;
    for (int i = 0; i < 100; ++i) {
      const int leader = Leader();
      ++request;
      if (leader != 0) Ask(leader, {Propose(request, "c" + std::to_string(request))});
      Run(kTickMs * random.Between(1, 3));
    }
    // What any storaged has was committed, and may have been answered.
    std::vector<std::string> answered;
    for (int node = 1; node <= 3; ++node) {
      if (Commands(node).size() > answered.size()) answered = Commands(node);
    }
    StopAll();
    for (int node = 1; node <= 3; ++node) {
      disks_[node].Crash(random, CrashMode::kRandom);
      // The state machine dies as well, and comes back without what it has not synced.
      Storage& state = storage(node);
      state.applied.resize(random.Below(state.last() + 1));
      state.durable = state.last();
      ++state.boot;
      StartNode(node);
    }
    RunUntilLeader();
    Run(kAWhileMs);
    for (int node = 1; node <= 3; ++node) {
      const std::vector<std::string> now = Commands(node);
      ASSERT_GE(now.size(), answered.size()) << "n" << node;
      EXPECT_TRUE(std::equal(answered.begin(), answered.end(), now.begin())) << "n" << node;
    }
    survivors += answered.size();
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(survivors, 300U) << "where nothing is answered nothing can be lost";
}

// ---- Left of it: rot

TEST_F(DiskScenarios, DamageInTheMiddleOfAFollowersLogIsRefilledByItsLeader) {
  const int leader = StartAndRest();
  const int node = After(leader);
  StopNode(node);
  DamageEntry(node, IndexOf(5));
  StartNode(node);
  EXPECT_TRUE(driver(node).GetView().refilling);
  EXPECT_LT(driver(node).GetView().last_index, LogIndex(IndexOf(5)))
      << "nothing in the damaged range is acknowledged or served";
  ExpectWhole();
}

TEST_F(DiskScenarios, ALeaderThatFindsDamageAtItsRestartLeadsAgainOnlyWhenItIsWhole) {
  const int leader = StartAndRest();
  StopNode(leader);
  DamageEntry(leader, IndexOf(5));
  StartNode(leader);
  const int next = RunUntilLeader();
  EXPECT_NE(next, leader);
  ExpectWhole();
  // It may lead: with the others gone one by one it is needed.
  StopNode(next);
  RunUntilLeader();
  EXPECT_NE(Leader(), 0);
}

TEST_F(DiskScenarios, TheFirstBatchAndTheLastProvedOneAreRefilledAsWell) {
  for (const int command : {1, kCommands}) {
    TearDownCluster();
    const int leader = StartAndRest();
    const int node = After(leader);
    StopNode(node);
    DamageEntry(node, IndexOf(command));
    StartNode(node);
    EXPECT_TRUE(driver(node).GetView().refilling);
    ExpectWhole();
  }
}

TEST_F(DiskScenarios, TwoOfThreeWithDamageInDifferentPlacesAreRefilledByTheThird) {
  StartAndRest();
  StopAll();
  DamageEntry(1, IndexOf(4));
  DamageEntry(2, IndexOf(8));
  for (int node = 1; node <= 3; ++node) StartNode(node);
  EXPECT_EQ(RunUntilLeader(), 3) << "nobody else may stand";
  ExpectWhole();
}

TEST_F(DiskScenarios, TwoOfThreeWithTheSameDamageAreRefilledByTheThird) {
  StartAndRest();
  StopAll();
  DamageEntry(1, IndexOf(6));
  DamageEntry(2, IndexOf(6));
  for (int node = 1; node <= 3; ++node) StartNode(node);
  EXPECT_EQ(RunUntilLeader(), 3);
  ExpectWhole();
}

TEST_F(DiskScenarios, WhereEveryCopyIsDamagedTheClusterStopsRatherThanForgets) {
  StartAndRest();
  StopAll();
  for (int node = 1; node <= 3; ++node) DamageEntry(node, IndexOf(6));
  const std::vector<std::string> before = Commands(1);
  for (int node = 1; node <= 3; ++node) StartNode(node);
  Run(5 * kAWhileMs);
  EXPECT_EQ(Leader(), 0);
  for (int node = 1; node <= 3; ++node) {
    Ask(node, {Propose(1, "lost?")});
    EXPECT_TRUE(driver(node).GetView().refilling);
  }
  Run(kAWhileMs);
  EXPECT_EQ(Commands(1), before);
}

TEST_F(DiskScenarios, TheOnlyWholeNodeIsWaitedFor) {
  StartAndRest();
  StopAll();
  DamageEntry(1, IndexOf(4));
  DamageEntry(2, IndexOf(8));
  StartNode(1);
  StartNode(2);
  Run(5 * kAWhileMs);
  EXPECT_EQ(Leader(), 0);
  StartNode(3);
  ExpectWhole();
}

/// Nobody says "I never had it" of what it cannot read: votes go by the true end of the log.
TEST_F(DiskScenarios, ADamagedNodeDoesNotVoteAwayWhatItAcknowledged) {
  const int leader = StartAndRest();
  const int holder = After(leader);
  const int without = After(holder);
  Isolate(without);
  Ask(leader, {Propose(50, "held by two")});
  Run(500);
  ASSERT_THAT(Commands(leader), SizeIs(kCommands + 1)) << "committed, and answered";
  StopNode(leader);
  StopNode(holder);
  DamageEntry(holder, IndexOf("held by two"));
  StartNode(holder);
  Heal();
  Run(5 * kAWhileMs);
  EXPECT_EQ(Leader(), 0) << "elected by a vote of one that held more";
  StartNode(leader);
  EXPECT_EQ(RunUntilLeader(), leader);
  Run(kAWhileMs);
  for (int node = 1; node <= 3; ++node) EXPECT_EQ(Commands(node).back(), "held by two");
}

TEST_F(DiskScenarios, ANodeThatLostTheEndOfItsLogDoesNotVoteAwayWhatItAcknowledged) {
  const int leader = StartAndRest();
  const int holder = After(leader);
  const int without = After(holder);
  Isolate(without);
  // Enough for a segment more, which is lost as a whole.
  const std::size_t before = Batches(holder).size();
  const std::string first_path = Batches(holder).back().path;
  for (std::uint64_t i = 0; i < 12; ++i) {
    Ask(leader, {Propose(100 + i, std::string(40'000, 'x'))});
    Run(50);
  }
  Run(500);
  ASSERT_GT(Batches(holder).size(), before);
  const std::string last_path = Batches(holder).back().path;
  ASSERT_NE(last_path, first_path);
  StopNode(leader);
  StopNode(holder);
  ASSERT_TRUE(disks_[holder].Remove(last_path).ok());
  StartNode(holder);
  EXPECT_TRUE(driver(holder).GetView().refilling);
  Heal();
  Run(5 * kAWhileMs);
  EXPECT_EQ(Leader(), 0);
  StartNode(leader);
  EXPECT_EQ(RunUntilLeader(), leader);
  Run(kAWhileMs);
  EXPECT_EQ(Commands(without), Commands(leader));
  EXPECT_EQ(driver(holder).GetView().durable_index, driver(leader).GetView().last_index);
}

// ---- A node alone

TEST_F(DiskScenarios, ALoneNodeGoesOnAfterATornEnd) {
  StartWithCommands(1);
  StopNode(1);
  Damage(1, Batches(1).back());
  // Its last command was not answered, as far as the log can tell.
  storage(1).applied.resize(IndexOf(kCommands) - 1);
  ++storage(1).boot;
  StartNode(1);
  EXPECT_EQ(RunUntilLeader(), 1);
  Ask(1, {Propose(1, "new")});
  Run(100);
  EXPECT_EQ(Commands(1).back(), "new");
  EXPECT_THAT(Commands(1), SizeIs(kCommands));
}

TEST_F(DiskScenarios, ALoneNodeWithDamageDoesNotLead) {
  StartAndRest(1);
  StopNode(1);
  DamageEntry(1, IndexOf(5));
  StartNode(1);
  Run(5 * kAWhileMs);
  EXPECT_EQ(Leader(), 0);
  EXPECT_TRUE(driver(1).GetView().refilling);
}

// ---- Restarts in turn

TEST_F(DiskScenarios, ARollingRestartUnderWritesLosesNothingAndKeepsTheOrder) {
  StartCluster({});
  RunUntilLeader();
  std::uint64_t request = 0;
  const auto write_for = [&](std::uint64_t ms) {
    for (std::uint64_t passed = 0; passed < ms; passed += 50) {
      ++request;
      if (Leader() != 0) Ask(Leader(), {Propose(request, "c" + std::to_string(request))});
      Run(50);
    }
  };
  for (int round = 0; round < 2; ++round) {
    for (int node = 1; node <= 3; ++node) {
      write_for(500);
      driver(node).BeginStop();
      for (int i = 0; i < 100 && !driver(node).MayStop(); ++i) write_for(50);
      ASSERT_TRUE(driver(node).MayStop());
      StopNode(node);
      write_for(2'000);
      EXPECT_NE(Leader(), 0) << "two of three have a leader";
      StartNode(node);
      write_for(1'000);
    }
  }
  Run(kAWhileMs);
  const std::vector<std::string> commands = Commands(1);
  EXPECT_GT(commands.size(), 300U);
  EXPECT_EQ(Commands(2), commands);
  EXPECT_EQ(Commands(3), commands);
  std::vector<std::string> unique = commands;
  std::sort(unique.begin(), unique.end());
  EXPECT_EQ(std::adjacent_find(unique.begin(), unique.end()), unique.end());
}

TEST_F(DiskScenarios, ANodeThatIsKilledAgainAndAgainBeforeItIsCaughtUpGetsThere) {
  const int leader = StartAndRest();
  const int node = After(leader);
  StopNode(node);
  for (std::uint64_t i = 0; i < 40; ++i) {
    Ask(leader, {Propose(100 + i, std::string(20'000, 'x'))});
    Settle();
  }
  Run(100);
  for (int life = 0; life < 10; ++life) {
    StartNode(node);
    Run(20);
    StopNode(node);
  }
  StartNode(node);
  Run(kAWhileMs);
  EXPECT_EQ(driver(node).GetView().durable_index, driver(leader).GetView().last_index);
  EXPECT_EQ(Commands(node), Commands(leader));
  EXPECT_EQ(Leader(), leader) << "its deaths disturb nobody";
}

}  // namespace
}  // namespace bedrock::raft
