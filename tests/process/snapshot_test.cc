// Nodes that come back when the log of the others begins later, on real processes and under full
// write load: each fetches a snapshot from another storaged and is in step again.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/process/cluster_view.h"
#include "tests/process/http_client.h"
#include "tests/process/test_cluster.h"
#include "tests/process/write_load.h"

namespace bedrock::test {
namespace {

namespace fs = std::filesystem;

constexpr int kWriters = 8;

/// Logs that are trimmed after a few hundred kilobytes, and flushes that allow it.
ClusterOptions SmallLogs() {
  ClusterOptions options;
  options.flags[Program::kRaftd] = {"--log-segment-bytes", "64KiB", "--log-bytes-max", "256KiB"};
  options.flags[Program::kStoraged] = {"--memtable-bytes", "64KiB"};
  return options;
}

/// And snapshots that take seconds, so that something can happen meanwhile.
ClusterOptions SlowSnapshots() {
  ClusterOptions options = SmallLogs();
  options.flags[Program::kStoraged].push_back("--snapshot-bytes-per-second");
  options.flags[Program::kStoraged].push_back("1MiB");
  return options;
}

bool HasLogged(const TestCluster& cluster, int node, const std::string& event) {
  return cluster.ReadLog(node, Program::kStoraged).find(event) != std::string::npos;
}
bool IsFetching(const TestCluster& cluster, int node) {
  return HasLogged(cluster, node, "fetching a snapshot");
}
bool HasInstalled(const TestCluster& cluster, int node) {
  return HasLogged(cluster, node, "snapshot installed");
}

/// Large values, so that logs get long.
void Fill(const TestCluster& cluster, int through, const std::string& prefix, int count) {
  HttpClient http;
  for (int i = 0; i < count; ++i) {
    const HttpResponse put =
        http.Send({.method = "PUT",
                   .url = cluster.Url(through) + "/v1/kv/" + prefix + std::to_string(i),
                   .body = std::string(8'000, static_cast<char>('a' + i % 26))});
    ASSERT_EQ(put.status, 204) << put.error << put.body;
  }
}

/// What this node holds itself, without asking the leader.
HttpResponse StaleGet(const TestCluster& cluster, int node, const std::string& key) {
  HttpClient http;
  return http.Send({.url = cluster.Url(node) + "/v1/kv/" + key + "?consistency=stale"});
}

int AFollower(TestCluster& cluster) {
  const int leader = cluster.WaitForLeader();
  EXPECT_NE(leader, 0);
  return leader == 3 ? 2 : 3;
}

TEST(SnapshotTest, ANodeThatWasDownWhileTheLogsWereTrimmedComesBackUnderFullLoad) {
  TestCluster cluster(SmallLogs());
  cluster.StartAll();
  const int down = AFollower(cluster);
  const int up = down == 3 ? 2 : 3;
  Fill(cluster, up, "before", 20);
  cluster.KillNode(down);
  Fill(cluster, up, "while", 300);

  WriteLoad load(UrlsBut(cluster, down), kWriters);
  load.Start();
  ASSERT_TRUE(WaitForProgress(load, 500));
  cluster.StartNode(down);
  ASSERT_TRUE(WaitUntil([&] { return HasInstalled(cluster, down); }));
  ASSERT_TRUE(WaitForProgress(load, 200));
  EXPECT_TRUE(WaitUntilCaughtUp(cluster, up, down));
  load.Stop();
  EXPECT_EQ(load.failed(), 0u);
  load.VerifyThrough(cluster.Url(down));
  EXPECT_EQ(StaleGet(cluster, down, "while7").body, std::string(8'000, 'h'));
  EXPECT_EQ(StaleGet(cluster, down, "before7").body, std::string(8'000, 'h'));

  // It stays what it became, and can lead.
  cluster.KillNode(down);
  cluster.StartNode(down);
  ASSERT_TRUE(cluster.WaitForWrite(down));
  cluster.KillNode(up);
  ASSERT_TRUE(cluster.WaitForWrite(down));
  EXPECT_EQ(StaleGet(cluster, down, "while7").body, std::string(8'000, 'h'));
}

/// What a member is, as the leader that `witness` knows says: "voter", "learner".
std::string RoleOf(const TestCluster& cluster, int witness, int member) {
  const Json view = ClusterAt(cluster, witness);
  if (!view.is_object()) return "";
  for (const Json& row : view["members"]) {
    if (row["id"] == "n" + std::to_string(member)) return row["role"];
  }
  return "";
}

TEST(SnapshotTest, ANewNodeThatJoinsAfterTheLogsWereTrimmedComesBySnapshotUnderFullLoad) {
  TestCluster cluster(SmallLogs());
  cluster.StartAll();
  Fill(cluster, 1, "before", 300);
  WriteLoad load(UrlsBut(cluster, 0), kWriters);
  load.Start();
  ASSERT_TRUE(WaitForProgress(load, 500));
  const int added = cluster.AddNode();
  cluster.StartNode(added);
  HttpClient http;
  const HttpResponse taken_in =
      http.Send({.method = "POST",
                 .url = cluster.Url(2) + "/v1/cluster/members?timeout=20s",
                 .body = cluster.MemberBody(added)});
  ASSERT_EQ(taken_in.status, 201) << taken_in.body << taken_in.error;
  ASSERT_TRUE(WaitUntil([&] { return HasInstalled(cluster, added); }))
      << "its log began at the first entry: the others' were not trimmed";
  ASSERT_TRUE(WaitUntil([&] { return RoleOf(cluster, 1, added) == "voter"; }));
  ASSERT_TRUE(WaitForProgress(load, 300));
  EXPECT_TRUE(WaitUntilCaughtUp(cluster, 1, added));
  load.Stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  load.VerifyThrough(cluster.Url(added));
  EXPECT_EQ(StaleGet(cluster, added, "before7").body, std::string(8'000, 'h'));

  // It stays what it became, and counts: without one of the others three of four need it.
  cluster.KillNode(added);
  cluster.StartNode(added);
  ASSERT_TRUE(cluster.WaitForWrite(added));
  cluster.KillNode(AFollower(cluster));
  ASSERT_TRUE(cluster.WaitForWrite(added));
  EXPECT_EQ(StaleGet(cluster, added, "before7").body, std::string(8'000, 'h'));
}

TEST(SnapshotTest, ANewNodeThatIsKilledWhileItJoinsBySnapshotJoinsAllTheSame) {
  TestCluster cluster(SlowSnapshots());
  cluster.StartAll();
  Fill(cluster, 1, "key", 500);
  const int added = cluster.AddNode();
  cluster.StartNode(added);
  HttpClient http;
  const HttpResponse taken_in =
      http.Send({.method = "POST",
                 .url = cluster.Url(2) + "/v1/cluster/members?timeout=20s",
                 .body = cluster.MemberBody(added)});
  ASSERT_EQ(taken_in.status, 201) << taken_in.body << taken_in.error;
  ASSERT_TRUE(WaitUntil([&] { return IsFetching(cluster, added); }));
  cluster.KillNode(added);
  cluster.StartNode(added);
  ASSERT_TRUE(WaitUntil([&] { return HasInstalled(cluster, added); }));
  ASSERT_TRUE(WaitUntil([&] { return RoleOf(cluster, 1, added) == "voter"; }));
  ASSERT_TRUE(cluster.WaitForWrite(added));
  EXPECT_TRUE(WaitUntilCaughtUp(cluster, 1, added));
  EXPECT_EQ(StaleGet(cluster, added, "key7").body, std::string(8'000, 'h'));
}

TEST(SnapshotTest, AStoragedWhoseFilesAreGoneIsFilledFromAnother) {
  TestCluster cluster(SmallLogs());
  cluster.StartAll();
  const int node = AFollower(cluster);
  const int other = node == 3 ? 2 : 3;
  Fill(cluster, other, "key", 300);
  WriteLoad load(UrlsBut(cluster, node), kWriters);
  load.Start();
  ASSERT_TRUE(WaitForProgress(load, 300));
  EXPECT_EQ(cluster.Stop(node, Program::kStoraged), 0);
  fs::remove_all(cluster.NodeFolder(node) + "/storage");
  cluster.Start(node, Program::kStoraged);
  ASSERT_TRUE(WaitUntil([&] { return HasInstalled(cluster, node); }));
  ASSERT_TRUE(WaitForProgress(load, 200));
  load.Stop();
  load.VerifyThrough(cluster.Url(node));
  ASSERT_TRUE(cluster.WaitForWrite(node));
  EXPECT_EQ(StaleGet(cluster, node, "key7").body, std::string(8'000, 'h'));
}

TEST(SnapshotTest, KillsOfEitherSideWhileItIsFetchedOnlyDelayIt) {
  TestCluster cluster(SlowSnapshots());
  cluster.StartAll();
  const int down = AFollower(cluster);
  const int up = down == 3 ? 2 : 3;
  cluster.KillNode(down);
  Fill(cluster, up, "key", 700);
  cluster.StartNode(down);
  ASSERT_TRUE(WaitUntil([&] { return IsFetching(cluster, down); }));
  cluster.Kill(down, Program::kStoraged);
  cluster.Start(down, Program::kStoraged);
  for (int node = 1; node <= 3; ++node) {
    if (node == down) continue;
    cluster.Kill(node, Program::kStoraged);
    cluster.Start(node, Program::kStoraged);
  }
  ASSERT_TRUE(WaitUntil([&] { return HasInstalled(cluster, down); }));
  ASSERT_TRUE(cluster.WaitForWrite(down));
  EXPECT_TRUE(WaitUntilCaughtUp(cluster, up, down));
  EXPECT_EQ(StaleGet(cluster, down, "key7").body, std::string(8'000, 'h'));
}

}  // namespace
}  // namespace bedrock::test
