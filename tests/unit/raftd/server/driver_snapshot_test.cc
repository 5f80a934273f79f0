// Nodes that get snapshots, since the log is kept within its bound.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/units.h"
#include "tests/unit/raftd/server/driver_rig.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;

class SnapshotTest : public MembersTest {
 protected:
  void SetUp() override { StartCluster({.log_bytes_max = 128 * kKiB, .segment_bytes = 64 * kKiB}); }
  /// Commands of 20 KB, which every storage that is up makes durable.
  void WriteSome(int count) {
    for (int i = 0; i < count; ++i) {
      ++request_;
      Ask(Leader(), {ProposeLarge(request_)});
      Run(100);
      for (int node = 1; node <= 4; ++node) {
        if (running(node) && storage(node).up) storage(node).durable = storage(node).last();
      }
    }
    Run(1000);
  }
  /// The node is stopped and misses so much that only a snapshot brings it back.
  void MissTooMuch(int node) {
    StopNode(node);
    WriteSome(30);
  }
  /// The same; it is up again then, with a storaged that gets no snapshot as yet.
  void BeginInstalling(int node) {
    MissTooMuch(node);
    storage(node).hold_snapshots = true;
    StartNode(node);
  }
  void ExpectAgree(int a, int b) {
    Run(3000);
    EXPECT_EQ(Commands(a), Commands(b));
    EXPECT_EQ(driver(a).GetView().commit, driver(b).GetView().commit);
    EXPECT_EQ(driver(a).membership(), driver(b).membership());
  }

  std::uint64_t request_ = 0;
};

TEST_F(SnapshotTest, AFollowerThatWasAwayForTooLongIsBroughtBackByTheLeadersSnapshot) {
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  WriteSome(3);
  MissTooMuch(away);
  ASSERT_GT(driver(leader).GetView().first_index, LogIndex(5)) << "the cap holds for the dead";
  StartNode(away);
  ExpectAgree(leader, away);
  EXPECT_GE(storage(away).snapshots, 1U);
  EXPECT_EQ(storage(away).asked_for.front(), "tcp://h" + std::to_string(leader) + ":2");
  // It goes on from there over a restart.
  const std::uint64_t snapshots = storage(away).snapshots;
  StopNode(away);
  StartNode(away);
  WriteSome(2);
  ExpectAgree(leader, away);
  EXPECT_EQ(storage(away).snapshots, snapshots);
}

TEST_F(SnapshotTest, ANewNodeIsTakenInThoughTheLogDoesNotBeginAtItsBeginningAnyMore) {
  const int leader = RunUntilLeader();
  WriteSome(20);
  ASSERT_GT(driver(leader).GetView().first_index, LogIndex(1));
  StartJoiningNode(4);
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(2000);
  ExpectAgree(leader, 4);
  EXPECT_THAT(Voters(4), ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(storage(4).snapshots, 1U);
  StopNode(4);
  StartNode(4);
  WriteSome(2);
  ExpectAgree(leader, 4);
}

/// Its flags name one that follows; the leader is known by its messages alone.
TEST_F(SnapshotTest, ANewNodeThatDoesNotKnowWhereItsLeaderIsFetchesFromWhomItKnows) {
  const int leader = RunUntilLeader();
  const int follower = Other(leader);
  WriteSome(20);
  StartJoiningNode(4, {follower});
  ASSERT_TRUE(Ask1(leader, Change(Kind::kAdd, 4)).error.ok());
  Run(2000);
  ExpectAgree(leader, 4);
  EXPECT_EQ(storage(4).snapshots, 1U);
  EXPECT_EQ(storage(4).asked_for.front(), "tcp://h" + std::to_string(follower) + ":2");
}

TEST_F(SnapshotTest, WhileItLastsTheStatusShowsWhoInstallsOne) {
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  BeginInstalling(away);
  Run(2000);
  const auto installing = [&](int node) {
    return StatusOf(node).members[static_cast<std::size_t>(away - 1)].installing;
  };
  EXPECT_EQ(installing(leader), driver(leader).GetView().last_index);
  EXPECT_EQ(installing(away), driver(leader).GetView().last_index);
  EXPECT_GE(storage(away).asked_for.size(), 3U) << "again and again";
  storage(away).hold_snapshots = false;
  ExpectAgree(leader, away);
  EXPECT_EQ(installing(leader), LogIndex());
  EXPECT_EQ(installing(away), LogIndex());
}

TEST_F(SnapshotTest, WithoutItsSourceAnotherNodesSnapshotDoes) {
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  BeginInstalling(away);
  Run(1000);
  ASSERT_FALSE(storage(away).asked_for.empty());
  StopNode(leader);
  storage(leader).up = false;
  Run(1000);
  storage(away).hold_snapshots = false;
  Run(5000);
  StartNode(leader);
  storage(leader).up = true;
  RunUntilLeader();
  ExpectAgree(leader, away);
}

TEST_F(SnapshotTest, AStorageThatLostItsFilesIsBroughtBackThoughItsLogIsWhole) {
  const int leader = RunUntilLeader();
  const int victim = Other(leader);
  WriteSome(20);
  ASSERT_GT(driver(victim).GetView().first_index, LogIndex(1));
  storage(victim).applied.clear();
  storage(victim).durable = 0;
  ++storage(victim).boot;
  ExpectAgree(leader, victim);
  EXPECT_EQ(storage(victim).snapshots, 1U);
  EXPECT_EQ(driver(victim).storage_health(), proto::ErrorCode::kOk);
}

TEST_F(SnapshotTest, ACrashBetweenTheSnapshotAndTheLogsResetChangesNothing) {
  const int leader = RunUntilLeader();
  const int away = Other(leader);
  WriteSome(3);
  MissTooMuch(away);
  // As if it had died when its storaged had just become the snapshot.
  storage(away).applied = storage(leader).applied;
  storage(away).durable = storage(away).last();
  ++storage(away).boot;
  StartNode(away);
  ExpectAgree(leader, away);
  EXPECT_EQ(storage(away).snapshots, 0U);
  EXPECT_FALSE(driver(away).GetView().refilling);
}

TEST_F(SnapshotTest, AMemberThatIsAwayHoldsTheLogUpOnlyToTheCap) {
  const int leader = RunUntilLeader();
  const LogIndex held = driver(Other(leader)).GetView().last_index;
  StopNode(Other(leader));
  WriteSome(2);
  EXPECT_LE(driver(leader).GetView().first_index, held.Next()) << "there is room for it";
  WriteSome(30);
  EXPECT_GT(driver(leader).GetView().first_index, held + 10);
}

}  // namespace
}  // namespace bedrock::raft
