// Replicas whose states are compared: drivers with their real cores and logs, storageds that give
// what the test says.

#include "raftd/server/divergence_desk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "proto/codec.h"
#include "proto/command.h"
#include "tests/unit/raftd/server/driver_cluster.h"

namespace bedrock::raft {
namespace {

using proto::ErrorCode;

constexpr std::uint64_t kCheckMs = 100;

class DivergenceTest : public DriverCluster {
 protected:
  /// The indexes and slices of the checks that a storaged applied.
  std::vector<std::string> Slices(int node) {
    std::vector<std::string> slices;
    for (const proto::Apply::Item& item : storage(node).applied) {
      const auto check = proto::DecodeCheckState(item.entry.payload.view());
      if (check.ok()) slices.emplace_back(check->from);
    }
    return slices;
  }
  int RunUntilChecked(Settings settings = {}) {
    settings.check_ms = kCheckMs;
    StartCluster(settings);
    for (int node = 1; node <= settings.nodes; ++node) {
      storage(node).boot = 100 + static_cast<std::uint64_t>(node);
      storage(node).passes_unknown = passes_unknown_;
    }
    leader_ = RunUntilLeader();
    Run(10 * kCheckMs);
    EXPECT_EQ(driver(leader_).GetView().role, Role::kLeader);
    return leader_;
  }
  int AFollower() { return leader_ == 3 ? 2 : 3; }
  void Write() {
    ++request_;
    Ask(Leader(), {Propose(request_, "x" + std::to_string(request_))});
  }
  bool Quarantined(int node) { return storage(node).diverged_at != 0; }
  /// So that the node's storage gives other hashes from the next entry on.
  void Spoil(int node) { storage(node).wrong_from = storage(node).last() + 1; }
  /// It holds and says what the others do.
  void Rebuild(int node) {
    storage(node).wrong_from = UINT64_MAX;
    storage(node).boot += 100;
  }
  bool Differs() { return static_cast<bool>(driver(leader_).divergence().differing()); }
  /// Gives the one that is wrong, which does not lead.
  int RunUntilTwoDifferInTheLastSlice() {
    Settings settings;
    settings.nodes = 2;
    RunUntilChecked(settings);
    const int other = 3 - leader_;
    storage(other).wrong_slice = 3;
    Spoil(other);
    Write();
    Run(6 * kCheckMs);
    EXPECT_TRUE(Differs());
    return other;
  }
  /// One whose next entry goes wrong, after the time to find that out.
  int QuarantineAFollower() {
    RunUntilChecked();
    const int wrong = AFollower();
    Spoil(wrong);
    Write();
    Run(3 * kCheckMs);
    return wrong;
  }

  int leader_ = 0;
  std::uint64_t request_ = 0;
  std::uint64_t passes_unknown_ = 0;
};

TEST_F(DivergenceTest, APassIsDoneOnceAndAnIdleClusterStaysIdle) {
  RunUntilChecked();
  const std::vector<std::string> slices = Slices(leader_);
  ASSERT_GE(slices.size(), 3u);
  EXPECT_EQ(slices.size() % 3, 0u);
  for (std::size_t i = 0; i < slices.size(); ++i) {
    EXPECT_EQ(slices[i], i % 3 == 0 ? "" : "u" + std::to_string(i % 3));
  }
  Run(20 * kCheckMs);
  EXPECT_EQ(Slices(leader_).size(), slices.size());
  EXPECT_EQ(driver(leader_).divergence().agreed(),
            driver(leader_).divergence().state().checks.back().index);
}

TEST_F(DivergenceTest, APassThatGaveNothingToCompareIsNotTheLast) {
  passes_unknown_ = 2;
  RunUntilChecked();
  EXPECT_EQ(Slices(leader_).size(), 9u);
  const StateCheck newest = driver(leader_).divergence().state().checks.back();
  EXPECT_EQ(newest.kind, StateCheck::Kind::kHash);
  Run(20 * kCheckMs);
  EXPECT_EQ(Slices(leader_).size(), 9u);
  EXPECT_EQ(driver(leader_).divergence().agreed(), newest.index);
}

TEST_F(DivergenceTest, AWriteBringsAnotherPassAtItsPace) {
  RunUntilChecked();
  const std::size_t before = Slices(leader_).size();
  Write();
  Run(kCheckMs / 2);
  EXPECT_EQ(Slices(leader_).size(), before + 1);
  Run(kCheckMs);
  EXPECT_EQ(Slices(leader_).size(), before + 2);
  Run(10 * kCheckMs);
  EXPECT_EQ(Slices(leader_).size(), before + 3);
  for (int node = 1; node <= 3; ++node) EXPECT_EQ(Slices(node).size(), before + 3) << node;
}

TEST_F(DivergenceTest, AWriteDuringAPassBringsAnotherSinceItMayBeBehindIt) {
  RunUntilChecked();
  const std::size_t before = Slices(leader_).size();
  Write();
  Run(kCheckMs / 2);
  ASSERT_EQ(Slices(leader_).size(), before + 1);
  Write();
  Run(20 * kCheckMs);
  EXPECT_EQ(Slices(leader_).size(), before + 6);
}

TEST_F(DivergenceTest, AWatermarkBringsNone) {
  RunUntilChecked();
  const std::size_t before = Slices(leader_).size();
  const LogIndex applied = driver(leader_).divergence().state().checks.back().index;
  proto::Command watermark{.session = SessionId(1), .sequence = 1};
  watermark.operations.push_back(
      {.kind = proto::Operation::Kind::kDropHistory, .version = Version(applied.value())});
  Ask(Leader(), {Propose(++request_, proto::EncodeCommand(watermark))});
  Run(20 * kCheckMs);
  EXPECT_EQ(Slices(leader_).size(), before);
}

TEST_F(DivergenceTest, NothingIsCheckedWhereThatIsTurnedOff) {
  StartCluster({});
  leader_ = RunUntilLeader();
  Write();
  Run(5'000);
  EXPECT_TRUE(Slices(leader_).empty());
}

TEST_F(DivergenceTest, AReplicaThatDiffersFromTheMajorityIsQuarantinedAndTheOthersAreNot) {
  RunUntilChecked();
  const int wrong = AFollower();
  Spoil(wrong);
  Write();
  Run(3 * kCheckMs);
  for (int node = 1; node <= 3; ++node) EXPECT_EQ(Quarantined(node), node == wrong) << node;
  EXPECT_EQ(driver(wrong).storage_health(), ErrorCode::kDiverged);
  // It says no more of what it finds, and is told no more of it.
  const std::uint64_t told = storage(wrong).quarantines;
  EXPECT_EQ(told, 1u);
  Write();
  Run(5'000);
  EXPECT_EQ(storage(wrong).quarantines, told);
  EXPECT_EQ(driver(leader_).GetView().role, Role::kLeader);
  EXPECT_FALSE(driver(leader_).divergence().differing());
}

TEST_F(DivergenceTest, AQuarantinedReplicaKeepsItsLogAndVotes) {
  const int wrong = QuarantineAFollower();
  ASSERT_TRUE(Quarantined(wrong));
  // The other two need its vote, in a way: one of them is gone.
  const int gone = leader_;
  StopNode(gone);
  const int next = RunUntilLeader();
  EXPECT_NE(next, wrong);
  Ask(next, {Propose(77, "later")});
  Run(500);
  const std::vector<std::string> commands = Commands(wrong);
  EXPECT_NE(std::find(commands.begin(), commands.end(), "later"), commands.end());
}

TEST_F(DivergenceTest, ALeaderInTheMinorityIsQuarantinedAndHandsOver) {
  const int wrong = RunUntilChecked();
  Spoil(wrong);
  Write();
  Run(3'000);
  EXPECT_TRUE(Quarantined(wrong));
  EXPECT_NE(driver(wrong).GetView().role, Role::kLeader);
  const int next = Leader();
  ASSERT_NE(next, 0);
  EXPECT_NE(next, wrong);
  for (int node = 1; node <= 3; ++node) EXPECT_EQ(Quarantined(node), node == wrong) << node;
}

TEST_F(DivergenceTest, AReplicaThatMetDamageIsQuarantined) {
  RunUntilChecked();
  const int wrong = AFollower();
  storage(wrong).damaged = true;
  Spoil(wrong);
  Write();
  Run(3 * kCheckMs);
  for (int node = 1; node <= 3; ++node) EXPECT_EQ(Quarantined(node), node == wrong) << node;
}

TEST_F(DivergenceTest, WithoutAMajorityNobodyIsQuarantinedAndTheLeaderSaysSo) {
  Settings settings;
  settings.nodes = 2;
  RunUntilChecked(settings);
  const int other = 3 - leader_;
  Spoil(other);
  Write();
  Run(DivergenceDesk::kDifferMs + 10 * kCheckMs);
  EXPECT_FALSE(Quarantined(1));
  EXPECT_FALSE(Quarantined(2));
  EXPECT_TRUE(driver(leader_).divergence().differing());
  Ask(leader_, {{RequestId(9), 0, proto::RaftStatusQuery{}}});
  Settle();
  bool said = false;
  for (const proto::Packet& packet : TakeAnswers()) {
    const auto* status = std::get_if<proto::RaftStatus>(&packet.message);
    said = said || (status != nullptr && status->checks_differ);
  }
  EXPECT_TRUE(said);
  // Once one was rebuilt, it is over.
  Rebuild(other);
  Run(1'000);
  EXPECT_FALSE(driver(leader_).divergence().differing());
}

TEST_F(DivergenceTest, ADifferenceInTheLastSliceOfAPassIsToldAtOnceAndLastsOverThePassesToCome) {
  const int other = RunUntilTwoDifferInTheLastSlice();
  ASSERT_LT(6 * kCheckMs, DivergenceDesk::kDifferMs);
  bool agreed_meanwhile = false;
  for (std::uint64_t i = 0; i < 3 * CheckLedger::kEntriesMax; ++i) {
    ASSERT_TRUE(Differs()) << i;
    const DivergenceDesk& desk = driver(leader_).divergence();
    agreed_meanwhile = agreed_meanwhile || desk.agreed() > desk.differing();
    Run(kCheckMs);
  }
  EXPECT_TRUE(agreed_meanwhile);
  EXPECT_FALSE(Quarantined(leader_));
  EXPECT_FALSE(Quarantined(other));
}

TEST_F(DivergenceTest, ADifferenceIsOverWithinAPassOfARebuildThoughNothingIsWritten) {
  const int other = RunUntilTwoDifferInTheLastSlice();
  Run(30 * kCheckMs);  // more than the other one will take back
  ASSERT_TRUE(Differs());
  Rebuild(other);
  Run(1'000 + 4 * kCheckMs);
  EXPECT_FALSE(Differs());
  const std::size_t checks = Slices(leader_).size();
  Run(20 * kCheckMs);
  EXPECT_EQ(Slices(leader_).size(), checks);
}

TEST_F(DivergenceTest, ADifferenceThatIsRepairedOnlyInPartIsNotOver) {
  const int other = RunUntilTwoDifferInTheLastSlice();
  // It takes back what it said, but its last slice goes wrong anew.
  Spoil(other);
  Run(1'000);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Differs());
    Run(kCheckMs);
  }
}

TEST_F(DivergenceTest, PassesGoOnWhileReplicasDiffer) {
  RunUntilTwoDifferInTheLastSlice();
  const std::size_t before = Slices(leader_).size();
  Run(30 * kCheckMs);
  EXPECT_GE(Slices(leader_).size(), before + 20);
}

TEST_F(DivergenceTest, ANewLeaderFindsOutThatReplicasDiffer) {
  RunUntilTwoDifferInTheLastSlice();
  StopNode(leader_);
  StartNode(leader_);
  EXPECT_FALSE(driver(leader_).divergence().differing());
  leader_ = RunUntilLeader();
  Run(10 * kCheckMs);
  EXPECT_TRUE(Differs());
}

TEST_F(DivergenceTest, ADifferenceOfTwoIsHeldWhileTheThirdIsAway) {
  RunUntilChecked();
  const int wrong = AFollower();
  const int third = 6 - leader_ - wrong;
  Isolate(third);
  storage(wrong).wrong_slice = 3;
  Spoil(wrong);
  Write();
  Run(6 * kCheckMs);
  EXPECT_FALSE(Differs());  // the third may say at any time who is right
  Run(DivergenceDesk::kDifferMs);
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Differs());
    Run(kCheckMs);
  }
  Heal();
  Run(3'000);
  EXPECT_TRUE(Quarantined(wrong));
  EXPECT_FALSE(Differs());
}

TEST_F(DivergenceTest, ADifferenceThatIsNotJudgedYetIsNotSpokenOf) {
  RunUntilChecked();
  const int wrong = AFollower();
  const int third = 6 - leader_ - wrong;
  Isolate(third);
  Spoil(wrong);
  Write();
  Run(3 * kCheckMs);
  EXPECT_FALSE(Quarantined(wrong));
  EXPECT_FALSE(driver(leader_).divergence().differing());
  Run(DivergenceDesk::kDifferMs);
  EXPECT_TRUE(driver(leader_).divergence().differing());
  Heal();
  Run(3'000);
  EXPECT_TRUE(Quarantined(wrong));
  EXPECT_FALSE(driver(leader_).divergence().differing());
}

TEST_F(DivergenceTest, WhatWasLostIsSaidAgainUntilItIsAnswered) {
  RunUntilChecked();
  const int wrong = AFollower();
  storage(wrong).holds_quarantines = true;
  Spoil(wrong);
  Write();
  Run(2 * DivergenceDesk::kRepeatMs);
  EXPECT_FALSE(Quarantined(wrong));
  EXPECT_GE(storage(wrong).quarantines, 2u);
  storage(wrong).holds_quarantines = false;
  Run(2 * DivergenceDesk::kRepeatMs);
  EXPECT_TRUE(Quarantined(wrong));
}

TEST_F(DivergenceTest, ANewLeaderComparesWhatTheLastOneCouldNot) {
  RunUntilChecked();
  const int wrong = AFollower();
  const int old = leader_;
  storage(wrong).holds_quarantines = true;
  Spoil(wrong);
  Write();
  Run(3 * kCheckMs);
  ASSERT_FALSE(Quarantined(wrong));
  // raftd of the wrong node forgets what it was told, too.
  StopNode(wrong);
  StopNode(old);
  StartNode(wrong);
  StartNode(old);
  storage(wrong).holds_quarantines = false;
  RunUntilLeader();
  Run(10 * kCheckMs);
  EXPECT_TRUE(Quarantined(wrong));
}

TEST_F(DivergenceTest, AQuarantinedReplicaThatWasRebuiltIsComparedAgain) {
  const int wrong = QuarantineAFollower();
  ASSERT_TRUE(Quarantined(wrong));
  storage(wrong).wrong_from = UINT64_MAX;
  storage(wrong).diverged_at = 0;
  storage(wrong).boot += 100;
  Run(1'000);
  EXPECT_EQ(driver(wrong).storage_health(), ErrorCode::kOk);
  Write();
  Run(10 * kCheckMs);
  EXPECT_FALSE(Quarantined(wrong));
  Spoil(wrong);
  Write();
  Run(10 * kCheckMs);
  EXPECT_TRUE(Quarantined(wrong));
}

/// A frame of another raftd's, made by hand.
class DivergenceVerdictTest : public DivergenceTest {
 protected:
  void Send(int from, int to, const proto::Message& message) {
    const auto node = static_cast<std::uint64_t>(from);
    proto::FrameWriter writer({.cluster = kCluster, .node = NodeId(node), .boot = BootId(node)});
    writer.Add(RequestId(), 0, message);
    driver(to).OnFrame("raftd/n" + std::to_string(from) + "/" + std::to_string(from),
                       Bytes(writer.Finish()));
    Settle();
    Run(2 * DivergenceDesk::kLookMs);
  }
  StateVerdict Verdict(int about) {
    return {.term = driver(about).GetView().term,
            .kind = StateVerdict::Kind::kDiverged,
            .check = driver(about).divergence().state().checks.back()};
  }
};

TEST_F(DivergenceVerdictTest, TheLeadersVerdictOnWhatWasFoundCounts) {
  RunUntilChecked();
  const int node = AFollower();
  Send(leader_, node, Verdict(node));
  EXPECT_TRUE(Quarantined(node));
}

TEST_F(DivergenceVerdictTest, AVerdictOnSomethingElseHurtsNobody) {
  RunUntilChecked();
  const int node = AFollower();
  StateVerdict verdict = Verdict(node);
  ++verdict.check.hash;
  Send(leader_, node, verdict);
  verdict = Verdict(node);
  verdict.check.index = verdict.check.index.Next();
  Send(leader_, node, verdict);
  verdict.check = {.index = LogIndex(1), .kind = StateCheck::Kind::kUnknown, .hash = 0};
  Send(leader_, node, verdict);
  EXPECT_EQ(storage(node).quarantines, 0u);
}

TEST_F(DivergenceVerdictTest, AVerdictOfAnotherTermOrOfNoLeaderHurtsNobody) {
  RunUntilChecked();
  const int node = AFollower();
  StateVerdict verdict = Verdict(node);
  verdict.term = verdict.term.Prev();
  Send(leader_, node, verdict);
  verdict.term = verdict.term + 5;
  Send(leader_, node, verdict);
  Send(6 - leader_ - node, node, Verdict(node));
  EXPECT_EQ(storage(node).quarantines, 0u);
}

TEST_F(DivergenceVerdictTest, WhatIsSaidInAnotherTermOrByNoMemberIsNotCompared) {
  RunUntilChecked();
  const std::vector<StateCheck> own = driver(leader_).divergence().state().checks;
  StateChecks checks{.term = driver(leader_).GetView().term, .checks = {own.back()}};
  checks.checks[0].hash += 1;
  checks.term = checks.term.Prev();
  for (const int from : {1, 2, 3}) {
    if (from != leader_) Send(from, leader_, checks);
  }
  checks.term = driver(leader_).GetView().term;
  for (const int from : {7, 8}) Send(from, leader_, checks);
  Run(2'000);
  for (int node = 1; node <= 3; ++node) EXPECT_EQ(storage(node).quarantines, 0u) << node;
}

TEST_F(DivergenceVerdictTest, WhatTheOwnStorageHasForgottenIsNotHeldAgainstIt) {
  RunUntilChecked();
  const int node = AFollower();
  storage(node).holds_quarantines = true;
  Send(leader_, node, Verdict(node));
  EXPECT_EQ(storage(node).quarantines, 1u);
  // A rebuilt one knows other checks.
  storage(node).wrong_from = 1;
  storage(node).boot += 100;
  Run(3'000);
  EXPECT_EQ(storage(node).quarantines, 1u);
}

}  // namespace
}  // namespace bedrock::raft
