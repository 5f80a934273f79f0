// A replica whose data were changed behind its back, on real processes: it is found, takes itself
// out of use, and is rebuilt.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/process/cluster_view.h"
#include "tests/process/http_client.h"
#include "tests/process/tampering.h"
#include "tests/process/test_cluster.h"

namespace bedrock::test {
namespace {

namespace fs = std::filesystem;

constexpr int kKeys = 40;

class DivergenceProcessTest : public ::testing::Test {
 protected:
  static ClusterOptions QuickChecks() {
    ClusterOptions options;
    options.flags[Program::kRaftd] = {"--check-interval", "20ms"};
    return options;
  }
  static std::string KeyOf(int i) { return "key" + std::to_string(100 + i); }

  void SetUp() override {
    cluster_.StartAll();
    for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(Put(1, KeyOf(i), "value " + std::to_string(i)));
    for (int node = 1; node <= 3; ++node) ASSERT_TRUE(WaitForAPass(node)) << "n" << node;
  }

  bool Put(int node, const std::string& key, const std::string& value) {
    const HttpResponse put =
        http_.Send({.method = "PUT", .url = cluster_.Url(node) + "/v1/kv/" + key, .body = value});
    return put.status == 204;
  }
  HttpResponse Get(int node, const std::string& key, const std::string& how = "") {
    return http_.Send({.url = cluster_.Url(node) + "/v1/kv/" + key + how});
  }
  /// A number that a node's /metrics shows; -1: it doesn't.
  std::int64_t Metric(int node, const std::string& name) {
    const HttpResponse metrics = http_.Send({.url = cluster_.Url(node) + "/metrics"});
    const std::size_t at = metrics.body.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stoll(metrics.body.substr(at + name.size() + 2));
  }
  std::int64_t Passes(int node) { return Metric(node, "bedrock_state_check_passes_total"); }
  /// Until all of the state as it is now was hashed there.
  bool WaitForAPass(int node) {
    const std::int64_t before = Passes(node);
    if (!Put(1, "pass", "please")) return false;
    // The one that may be under way began before.
    return WaitUntil([&] { return Passes(node) >= before + 2 || (Put(1, "pass", "on"), false); });
  }
  Json RowOf(int witness, int node) {
    const Json view = ClusterAt(cluster_, witness);
    if (!view.is_object()) return {};
    for (const Json& row : view["members"]) {
      if (row["id"] == "n" + std::to_string(node)) return row;
    }
    return {};
  }
  std::string StorageOf(int witness, int node) {
    const Json row = RowOf(witness, node);
    return row.is_object() ? row["storage"].get<std::string>() : "";
  }
  bool WaitUntilDiverged(int witness, int node) {
    return WaitUntil([&] { return StorageOf(witness, node) == "diverged"; });
  }
  /// One key of the node's storaged has another value from here on.
  void Tamper(int node) {
    ASSERT_EQ(cluster_.Stop(node, Program::kStoraged), 0);
    const Status changed =
        ChangeAtRest(cluster_.NodeFolder(node) + "/storage", KeyOf(17), "somebody else's");
    ASSERT_TRUE(changed.ok()) << changed.ToString();
    cluster_.Start(node, Program::kStoraged);
  }
  /// What `cluster.sh rebuild` does.
  void Rebuild(int node) {
    EXPECT_EQ(cluster_.Stop(node, Program::kStoraged), 0);
    const fs::path folder = cluster_.NodeFolder(node);
    fs::create_directory(folder / "aside");
    for (const auto& file : fs::directory_iterator(folder)) {
      const std::string name = file.path().filename();
      const bool data = name == "storage" || name.starts_with("storage.");
      if (data && name != "storage.id") fs::rename(file.path(), folder / "aside" / name);
    }
    cluster_.Start(node, Program::kStoraged);
  }
  void ExpectReadsThrough(int node) {
    for (const std::string how : {"", "?consistency=stale"}) {
      const HttpResponse got = Get(node, KeyOf(17), how);
      EXPECT_EQ(got.status, 200) << how << got.error << got.body;
      EXPECT_EQ(got.body, "value 17") << how;
    }
  }

  TestCluster cluster_{QuickChecks()};
  HttpClient http_;
};

TEST_F(DivergenceProcessTest, AFollowerThatWasChangedIsFoundQuarantinedAndRebuilt) {
  const int leader = cluster_.WaitForLeader();
  ASSERT_NE(leader, 0);
  const int wrong = leader == 3 ? 2 : 3;
  const int witness = 6 - leader - wrong;
  Tamper(wrong);
  ASSERT_TRUE(Put(witness, "more", "work"));
  ASSERT_TRUE(WaitUntilDiverged(witness, wrong));
  EXPECT_GT(RowOf(witness, wrong)["diverged_at"].get<std::uint64_t>(), 0u);
  ASSERT_TRUE(WaitUntil([&] { return Metric(wrong, "bedrock_state_diverged") == 1; }));
  ExpectReadsThrough(wrong);
  ExpectReadsThrough(witness);
  EXPECT_TRUE(Put(wrong, "through", "it"));
  EXPECT_EQ(StorageOf(witness, leader), "up");
  EXPECT_EQ(StorageOf(witness, witness), "up");

  // It knows after a crash of everything there.
  cluster_.KillNode(wrong);
  cluster_.StartNode(wrong);
  ASSERT_TRUE(WaitUntilDiverged(witness, wrong));
  ASSERT_TRUE(WaitUntil([&] { return Put(wrong, "again", "through it"); }));
  ExpectReadsThrough(wrong);

  // It does not lead, though it votes.
  cluster_.KillNode(leader);
  EXPECT_EQ(cluster_.WaitForLeader(20, leader), witness);
  cluster_.StartNode(leader);
  ASSERT_TRUE(cluster_.WaitForWrite(leader));

  Rebuild(wrong);
  ASSERT_TRUE(WaitUntil([&] { return StorageOf(witness, wrong) == "up"; }));
  ASSERT_TRUE(cluster_.WaitForWrite(wrong));
  ExpectReadsThrough(wrong);
  ASSERT_TRUE(WaitForAPass(wrong));
  EXPECT_EQ(StorageOf(witness, wrong), "up");
  EXPECT_EQ(Metric(wrong, "bedrock_state_diverged"), 0);
}

TEST_F(DivergenceProcessTest, ALeaderThatWasChangedGivesWay) {
  const int wrong = cluster_.WaitForLeader();
  ASSERT_NE(wrong, 0);
  const int witness = wrong == 3 ? 2 : 3;
  Tamper(wrong);
  // It may have handed over while its storaged was away; it is found all the same.
  ASSERT_TRUE(WaitUntil([&] {
    Put(witness, "more", "work");
    return StorageOf(witness, wrong) == "diverged";
  }));
  ASSERT_TRUE(WaitUntil([&] {
    const int leader = LeadershipAt(cluster_, witness).leader;
    return leader != 0 && leader != wrong;
  }));
  ExpectReadsThrough(wrong);
  for (int node = 1; node <= 3; ++node) {
    if (node != wrong) {
      EXPECT_EQ(StorageOf(witness, node), "up") << "n" << node;
    }
  }
}

TEST_F(DivergenceProcessTest, ReplicasThatAreRightStayInUse) {
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(Put(1 + i % 3, KeyOf(i % kKeys), "newer"));
  cluster_.KillNode(2);
  ASSERT_TRUE(WaitUntil([&] { return Put(1, "while", "it is away"); }));
  cluster_.StartNode(2);
  ASSERT_TRUE(cluster_.WaitForWrite(2));
  for (int node = 1; node <= 3; ++node) ASSERT_TRUE(WaitForAPass(node)) << "n" << node;
  for (int node = 1; node <= 3; ++node) EXPECT_EQ(StorageOf(1, node), "up") << "n" << node;
  EXPECT_FALSE(ClusterAt(cluster_, 1).contains("replicas_differ_at"));
}

}  // namespace
}  // namespace bedrock::test
