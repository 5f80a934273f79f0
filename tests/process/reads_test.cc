// Reads on real processes: confirmed by leases, and stale ones with a bound.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#include "tests/process/node.h"
#include "tests/process/test_cluster.h"
#include "tests/process/waking_leader.h"

namespace bedrock::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

ClusterOptions WithLeases() {
  ClusterOptions options;
  options.flags[Program::kRaftd] = {"--lease-reads"};
  return options;
}

/// bedrock_router_read_indexes_total of what confirmed them: "lease" or "round".
std::uint64_t IndexesBy(Node& node, const std::string& by) {
  const std::string name = "bedrock_router_read_indexes_total{by=\"" + by + "\"} ";
  const std::string text = node.Get("/metrics").body;
  const std::size_t at = text.find(name);
  return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size()));
}

TEST(LeaseProcessTest, LeasesConfirmTheReadsOfEveryNode) {
  TestCluster cluster(WithLeases());
  cluster.StartAll();
  ASSERT_NE(cluster.WaitForLeader(), 0);
  for (int number = 1; number <= cluster.nodes(); ++number) {
    Node writer(cluster, number % cluster.nodes() + 1);
    Node reader(cluster, number);
    const std::uint64_t before = IndexesBy(reader, "lease");
    for (int i = 0; i < 50; ++i) {
      const std::string value = std::to_string(number) + "-" + std::to_string(i);
      ASSERT_EQ(writer.Put("k", value).status, 204);
      ASSERT_EQ(reader.Get("/v1/kv/k").body, value);
    }
    EXPECT_GE(IndexesBy(reader, "lease"), before + 25) << "n" << number;
    std::ifstream promise(cluster.NodeFolder(number) + "/raft/promise");
    std::uint64_t promised_ms = 0;
    EXPECT_TRUE(promise >> promised_ms) << "n" << number;
    EXPECT_GT(promised_ms, 0U);
  }
}

// The lease is over by the clock when it wakes, whatever it believed when it fell asleep (R60).
TEST(LeaseProcessTest, ALeaderThatSleptServesNoReadByItsOldLease) {
  TestCluster cluster(WithLeases());
  cluster.StartAll();
  ExpectNoStaleReadsFromAWakingLeader(cluster);
}

// Off is the default: nobody promises anything, and reads go by rounds.
TEST(LeaseProcessTest, WithoutTheOptionNoReadGoesByALease) {
  TestCluster cluster;
  cluster.StartAll();
  Node node(cluster, 1);
  ASSERT_EQ(node.Put("k", "v").status, 204);
  for (int i = 0; i < 20; ++i) ASSERT_EQ(node.Get("/v1/kv/k").body, "v");
  EXPECT_EQ(IndexesBy(node, "lease"), 0U);
  EXPECT_GT(IndexesBy(node, "round"), 0U);
  EXPECT_FALSE(std::ifstream(cluster.NodeFolder(1) + "/raft/promise").is_open());
}

/// A follower, and the others asleep: its raftd hears nobody.
TEST(StaleProcessTest, ANodeThatHearsNobodyKeepsItsBoundsAndGoesOnWithoutOnes) {
  TestCluster cluster;
  cluster.StartAll();
  const int leader = cluster.WaitForLeader();
  ASSERT_NE(leader, 0);
  const int alone = leader % 3 + 1;
  const int third = 6 - leader - alone;
  Node node(cluster, alone);
  ASSERT_EQ(node.Put("k", "v").status, 204);
  ASSERT_EQ(node.Get("/v1/kv/k").status, 200);
  const std::string bounded = "/v1/kv/k?consistency=stale&max_staleness=1500ms";
  ASSERT_EQ(node.Get(bounded).status, 200);
  cluster.Pause(leader, Program::kRaftd);
  cluster.Pause(third, Program::kRaftd);
  const auto asleep_at = steady_clock::now();
  // Whatever it answers, it was in step less than the bound before: not after the others fell
  // asleep, so not later than the bound after that, by the clock of whoever asks.
  bool refused = false;
  while (!refused && steady_clock::now() < asleep_at + milliseconds(10'000)) {
    const auto asked_at = steady_clock::now();
    const HttpResponse reply = node.Get(bounded);
    refused = reply.status == 503;
    if (refused) {
      EXPECT_EQ(CodeIn(reply), "too_stale");
    } else {
      EXPECT_EQ(reply.status, 200) << reply.body;
      EXPECT_LE(asked_at - asleep_at, milliseconds(1500));
    }
  }
  EXPECT_TRUE(refused);
  EXPECT_EQ(node.Get("/v1/kv/k?consistency=stale").body, "v");
  cluster.Resume(leader, Program::kRaftd);
  cluster.Resume(third, Program::kRaftd);
  ASSERT_TRUE(cluster.WaitForWrite(alone));
  HttpResponse again;
  for (int i = 0; i < 100 && again.status != 200; ++i) {
    again = node.Get(bounded);
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(again.status, 200) << again.body;
}

TEST(StaleProcessTest, WhoIsAskedAfterASleepOfItsOwnDoesNotAnswerFromBeforeIt) {
  TestCluster cluster;
  cluster.StartAll();
  const int leader = cluster.WaitForLeader();
  ASSERT_NE(leader, 0);
  const int sleeper = leader % 3 + 1;
  Node node(cluster, sleeper);
  Node other(cluster, leader);
  ASSERT_EQ(other.Put("k", "old").status, 204);
  const std::string bounded = "/v1/kv/k?consistency=stale&max_staleness=1s";
  ASSERT_EQ(node.Get("/v1/kv/k").body, "old");
  ASSERT_EQ(node.Get(bounded).status, 200);
  // The whole node sleeps, and the others move on.
  for (const Program program : kPrograms) cluster.Pause(sleeper, program);
  ASSERT_EQ(other.Put("k", "new").status, 204);
  std::this_thread::sleep_for(milliseconds(1500));  // beyond the bound
  for (const Program program : {Program::kStoraged, Program::kRouterd}) {
    cluster.Resume(sleeper, program);
  }
  // Its raftd still sleeps: "old" is out of the bound by now.
  const HttpResponse reply = node.Get(bounded);
  EXPECT_TRUE(reply.body == "new" || CodeIn(reply) == "too_stale") << reply.body;
  cluster.Resume(sleeper, Program::kRaftd);
  ASSERT_TRUE(cluster.WaitForWrite(sleeper));
}

}  // namespace
}  // namespace bedrock::test
