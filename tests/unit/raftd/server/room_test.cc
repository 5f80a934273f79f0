// Room that runs out, in the log or in storaged (R75): reads and deletes go on, also where nobody
// has any.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "proto/command.h"
#include "tests/unit/raftd/server/driver_cluster.h"

namespace bedrock::raft {
namespace {

using proto::ErrorCode;

class RoomTest : public DriverCluster {
 protected:
  static std::string Encoded(proto::Operation::Kind kind, std::string_view value) {
    proto::Command command;
    command.session = SessionId(1);
    command.sequence = 1;
    command.operations.push_back({.kind = kind, .key = "key", .value = value});
    return proto::EncodeCommand(command);
  }
  static std::string Put(std::size_t bytes = 100) {
    return Encoded(proto::Operation::Kind::kPut, std::string(bytes, 'v'));
  }
  static std::string Delete() { return Encoded(proto::Operation::Kind::kDelete, ""); }

  /// What becomes of a command at whoever leads: kOk where its storaged answers.
  ErrorCode Outcome(const std::string& command) {
    const int leader = Leader();
    if (leader == 0) return ErrorCode::kNoLeader;
    TakeAnswers();
    ++request_;
    Ask(leader, {Propose(request_, command)});
    for (int i = 0; i < 30; ++i) {
      for (const proto::Packet& packet : TakeAnswers()) {
        const auto* refused = std::get_if<proto::ProposeRefused>(&packet.message);
        if (refused != nullptr && packet.request == RequestId(request_)) return refused->error.code;
      }
      const auto& replies = storage(leader).replies;
      if (!replies.empty() && replies.back().request == RequestId(request_)) return ErrorCode::kOk;
      Run(50);
    }
    return ErrorCode::kDeadlineExceeded;
  }
  /// Whether the node gives a read index.
  bool Reads(int node) {
    TakeAnswers();
    ++request_;
    Ask(node,
        {{.request = RequestId(request_), .timeout_ms = 0, .message = proto::ReadIndexQuery()}});
    Run(100);
    for (const proto::Packet& packet : TakeAnswers()) {
      const auto* answer = std::get_if<proto::ReadIndexAnswer>(&packet.message);
      if (answer != nullptr && packet.request == RequestId(request_)) return answer->error.ok();
    }
    return false;
  }
  void FillStorages() {
    for (int node = 1; node <= 3; ++node) storage(node).health = ErrorCode::kStorageFull;
    Run(300);
  }
  void ExpectReadsAndDeletesOnly() {
    EXPECT_EQ(Outcome(Put()), ErrorCode::kStorageFull);
    const std::size_t before = Commands(1).size();
    EXPECT_EQ(Outcome(Delete()), ErrorCode::kOk);
    Run(300);
    for (int node = 1; node <= 3; ++node) {
      EXPECT_EQ(driver(node).storage_health(), ErrorCode::kStorageFull) << "n" << node;
      EXPECT_EQ(Commands(node).size(), before + 1) << "n" << node << " applies it";
      EXPECT_TRUE(Reads(node)) << "n" << node;
    }
  }

  std::uint64_t request_ = 0;
};

TEST_F(RoomTest, WhereEveryStorageIsFullALeaderLeadsOnForReadsAndDeletes) {
  StartCluster({});
  RunUntilLeader();
  FillStorages();
  const Term term = driver(Leader()).GetView().term;
  ExpectReadsAndDeletesOnly();
  Run(20'000);
  ASSERT_NE(Leader(), 0);
  EXPECT_EQ(driver(Leader()).GetView().term, term) << "nobody takes it over from the other";
  for (int node = 1; node <= 3; ++node) storage(node).health = ErrorCode::kOk;
  Run(300);
  EXPECT_EQ(Outcome(Put()), ErrorCode::kOk);
}

TEST_F(RoomTest, WhereEveryStorageIsFullALeaderThatIsLostIsReplaced) {
  StartCluster({});
  const int lost = RunUntilLeader();
  FillStorages();
  Isolate(lost);
  Run(8'000);
  int next = 0;
  for (int node = 1; node <= 3; ++node) {
    if (node != lost && driver(node).GetView().role == Role::kLeader) next = node;
  }
  ASSERT_NE(next, 0);
  Heal();
  Run(2'000);
  ExpectReadsAndDeletesOnly();
}

TEST_F(RoomTest, ABatchOfBothIsTakenApart) {
  StartCluster({.nodes = 1});
  RunUntilLeader();
  storage(1).health = ErrorCode::kStorageFull;
  Run(300);
  TakeAnswers();
  Ask(1, {Propose(901, Put()), Propose(902, Delete()), Propose(903, Put()), Propose(904, Delete()),
          Propose(905, "no command")});
  Run(100);
  std::vector<std::uint64_t> refused;
  for (const proto::Packet& packet : TakeAnswers()) {
    const auto* answer = std::get_if<proto::ProposeRefused>(&packet.message);
    if (answer == nullptr) continue;
    EXPECT_EQ(answer->error.code, ErrorCode::kStorageFull);
    EXPECT_EQ(answer->error.outcome, proto::Outcome::kNone);
    refused.push_back(packet.request.value());
  }
  EXPECT_EQ(refused, (std::vector<std::uint64_t>{901, 903, 905}));
  EXPECT_EQ(Commands(1), (std::vector<std::string>{Delete(), Delete()}));
}

TEST_F(RoomTest, AStorageThatIsSilentMattersMoreThanALogWithoutRoom) {
  StartCluster({.segment_bytes = 64 * kKiB});
  const int leader = RunUntilLeader();
  LimitDisk(leader, 1000);
  storage(leader).up = false;
  Run(5'000);
  EXPECT_EQ(driver(leader).storage_health(), ErrorCode::kStorageUnavailable);
  EXPECT_NE(Leader(), leader);
  EXPECT_NE(Leader(), 0);
}

/// With both of the log's writers.
class FullLogTest : public RoomTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    StartCluster(
        {.writer = GetParam() ? Writer::kThread : Writer::kInline, .segment_bytes = 1 * kMiB});
  }
};

TEST_P(FullLogTest, WhatIsLeftOfEveryLogIsForDeletes) {
  RunUntilLeader();
  for (int node = 1; node <= 3; ++node) LimitDisk(node, 1000);
  ErrorCode outcome = ErrorCode::kOk;
  for (int i = 0; i < 300 && outcome != ErrorCode::kStorageFull; ++i) {
    outcome = Outcome(Put(8'000));
    ASSERT_TRUE(outcome == ErrorCode::kOk || outcome == ErrorCode::kStorageFull)
        << proto::ErrorCodeName(outcome);
  }
  ASSERT_EQ(outcome, ErrorCode::kStorageFull);
  Run(3'000);
  const std::size_t before = Commands(1).size();
  EXPECT_EQ(Outcome(Put(10)), ErrorCode::kStorageFull);
  EXPECT_EQ(Outcome(Delete()), ErrorCode::kOk);
  Run(300);
  for (int node = 1; node <= 3; ++node) {
    EXPECT_EQ(Commands(node).size(), before + 1) << "n" << node;
    EXPECT_TRUE(Reads(node)) << "n" << node;
  }
  // It has an end: the rest is for elections.
  int deletes = 0;
  while (deletes < 1'000 && (outcome = Outcome(Delete())) == ErrorCode::kOk) ++deletes;
  EXPECT_GT(deletes, 0);
  EXPECT_TRUE(outcome == ErrorCode::kStorageFull || outcome == ErrorCode::kDeadlineExceeded)
      << proto::ErrorCodeName(outcome);
  for (int node = 1; node <= 3; ++node) EXPECT_TRUE(Reads(node)) << "n" << node;

  for (int node = 1; node <= 3; ++node) LimitDisk(node, {});
  Run(3'000);
  EXPECT_EQ(Outcome(Put(8'000)), ErrorCode::kOk);
  for (int node = 1; node <= 3; ++node) {
    EXPECT_TRUE(fatal(node).ok()) << fatal(node).ToString();
    EXPECT_EQ(driver(node).storage_health(), ErrorCode::kOk);
    EXPECT_EQ(Commands(node), Commands(1));
  }
}

INSTANTIATE_TEST_SUITE_P(Writers, FullLogTest, testing::Bool());

}  // namespace
}  // namespace bedrock::raft
