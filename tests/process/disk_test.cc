// What raftd does about a disk that was wiped, is new, or rots while it runs.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "tests/process/http_client.h"
#include "tests/process/test_cluster.h"

namespace bedrock::test {
namespace {

namespace fs = std::filesystem;

constexpr int kExitMustNotStart = 78;
constexpr const char* kNoted = "the cluster knows this node's log";

HttpResponse Put(const TestCluster& cluster, int node, const std::string& key,
                 const std::string& value) {
  HttpClient http;
  return http.Send({.method = "PUT", .url = cluster.Url(node) + "/v1/kv/" + key, .body = value});
}

std::string Get(const TestCluster& cluster, int node, const std::string& key) {
  HttpClient http;
  return http.Send({.url = cluster.Url(node) + "/v1/kv/" + key}).body;
}

/// Waits until raftd has logged this; false: not within half a minute.
bool WaitForLog(const TestCluster& cluster, int node, const std::string& text) {
  for (int i = 0; i < 1500; ++i) {
    if (cluster.ReadLog(node, Program::kRaftd).find(text) != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

void WipeNode(TestCluster& cluster, int node) {
  cluster.KillNode(node);
  fs::remove_all(cluster.NodeFolder(node));
}

TEST(DiskTest, AFirstStartLongAfterTheOthersJoinsInAndAWipedDiskIsRefused) {
  TestCluster cluster;
  cluster.StartNode(1);
  cluster.StartNode(2);
  ASSERT_TRUE(cluster.WaitForWrite(1));
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(Put(cluster, 1, "key" + std::to_string(i), "value").status, 204);
  }
  cluster.StartNode(3);
  // Its router serves at once, through the others; its log takes part once the leader has noted it.
  ASSERT_TRUE(WaitForLog(cluster, 3, "this node takes part"));
  ASSERT_TRUE(cluster.WaitForWrite(3));
  EXPECT_EQ(Get(cluster, 3, "key7"), "value");

  ASSERT_TRUE(WaitForLog(cluster, 3, kNoted));
  WipeNode(cluster, 3);
  cluster.StartNode(3);
  ASSERT_EQ(cluster.WaitForExit(3, Program::kRaftd, 30), kExitMustNotStart);
  EXPECT_TRUE(WaitForLog(cluster, 3, "under a new id"));
  // Whatever its supervisor does.
  cluster.Start(3, Program::kRaftd);
  EXPECT_EQ(cluster.WaitForExit(3, Program::kRaftd, 30), kExitMustNotStart);
  ASSERT_TRUE(cluster.WaitForWrite(1));
  EXPECT_EQ(Get(cluster, 2, "key7"), "value");
}

TEST(DiskTest, AWipedLeaderIsRefusedToo) {
  TestCluster cluster;
  cluster.StartAll();
  const int leader = cluster.WaitForLeader();
  ASSERT_NE(leader, 0);
  ASSERT_EQ(Put(cluster, leader, "key", "value").status, 204);
  ASSERT_TRUE(WaitForLog(cluster, leader, kNoted));
  WipeNode(cluster, leader);
  cluster.StartNode(leader);
  EXPECT_EQ(cluster.WaitForExit(leader, Program::kRaftd, 30), kExitMustNotStart);
  const int other = leader == 1 ? 2 : 1;
  ASSERT_TRUE(cluster.WaitForWrite(other));
  EXPECT_EQ(Get(cluster, other, "key"), "value");
}

TEST(DiskTest, RotInAClosedSegmentIsFoundWhileRunningAndRefilledWithoutARestart) {
  ClusterOptions options;
  options.flags[Program::kRaftd] = {"--log-segment-bytes", "64KiB", "--scrub-interval", "1s"};
  TestCluster cluster(options);
  cluster.StartAll();
  const int node = cluster.WaitForLeader() == 1 ? 2 : 1;
  const std::string value(4000, 'v');
  const std::string segment = cluster.NodeFolder(node) + "/raft/log/0000000000000002.seg";
  const std::string next = cluster.NodeFolder(node) + "/raft/log/0000000000000003.seg";
  for (int i = 0; i < 1000 && !fs::exists(next); ++i) {
    ASSERT_EQ(Put(cluster, node, "key" + std::to_string(i), value).status, 204);
  }
  ASSERT_TRUE(fs::exists(segment));
  {
    std::fstream file(segment, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(6'000);  // within the first entry: behind it stands padding, which nobody reads
    file.write("rot", 3);
  }
  ASSERT_TRUE(WaitForLog(cluster, node, "the log is damaged: it is recovered"));
  ASSERT_TRUE(WaitForLog(cluster, node, "recovering the log anew"));
  ASSERT_TRUE(cluster.WaitForWrite(node));
  EXPECT_TRUE(cluster.Running(node, Program::kRaftd));
  EXPECT_EQ(Get(cluster, node, "key3"), value);
  // What was refilled can be read after a restart.
  EXPECT_EQ(cluster.Stop(node, Program::kRaftd), 0);
  cluster.Start(node, Program::kRaftd);
  ASSERT_TRUE(cluster.WaitForWrite(node));
}

}  // namespace
}  // namespace bedrock::test
