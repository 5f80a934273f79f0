// Disks that get full, on real processes: disk_quota_preload.cc makes the calls that need room fail
// as the system does, and this file says how much there is.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <system_error>

#include "tests/process/cluster_view.h"
#include "tests/process/http_client.h"
#include "tests/process/test_cluster.h"
#include "tests/process/write_load.h"

namespace bedrock::test {
namespace {

namespace fs = std::filesystem;

/// Small files, so that a node needs room often.
ClusterOptions OnSmallDisks() {
  // By its name alone: a space in LD_PRELOAD begins another library.
  const fs::path library = BEDROCK_DISK_QUOTA;
  return {.flags = {{Program::kRaftd, {"--log-segment-bytes", "1MiB"}},
                    {Program::kStoraged, {"--memtable-bytes", "1MiB"}}},
          .environment = {"LD_PRELOAD=" + library.filename().string(),
                          "LD_LIBRARY_PATH=" + library.parent_path().string(),
                          // Of a sanitizer that wants to be the first.
                          "ASAN_OPTIONS=verify_asan_link_order=0"}};
}

/// What the node's files hold now, as disk_quota_preload.cc counts it, or a little less: files come
/// and go meanwhile.
std::uint64_t UsedBy(const TestCluster& cluster, int node) {
  std::uint64_t bytes = 0;
  std::error_code gone;
  for (const std::string folder : {"raft", "storage"}) {
    for (fs::recursive_directory_iterator file(fs::path(cluster.NodeFolder(node)) / folder, gone);
         file != fs::recursive_directory_iterator(); file.increment(gone)) {
      const std::uintmax_t size = file->file_size(gone);
      if (!gone) bytes += size;
    }
  }
  return bytes;
}

/// From now on the node's disk has room for `more` bytes.
void LeaveRoomFor(const TestCluster& cluster, int node, std::uint64_t more) {
  const std::string path = cluster.NodeFolder(node) + "/disk-quota";
  std::ofstream(path + ".new") << UsedBy(cluster, node) + more << "\n";
  fs::rename(path + ".new", path);
}

void MakeRoom(const TestCluster& cluster, int node) {
  fs::remove(cluster.NodeFolder(node) + "/disk-quota");
}

bool AllRun(TestCluster& cluster) {
  for (int node = 1; node <= cluster.nodes(); ++node) {
    for (const Program program : kPrograms) {
      if (!cluster.Running(node, program)) return false;
    }
  }
  return true;
}

HttpResponse Put(HttpClient& http, const std::string& url, const std::string& key,
                 const std::string& value) {
  return http.Send({.method = "PUT", .url = url + "/v1/kv/" + key + "?timeout=3s", .body = value});
}

TEST(FullDiskProcessTest, ALeaderWhoseDiskIsFullHandsLeadershipAwayAndIsWellAgainByItself) {
  TestCluster cluster(OnSmallDisks());
  WriteLoad load(UrlsBut(cluster, 0), 6);
  const int full = StartUnderLoad(cluster, load).leader;
  ASSERT_NE(full, 0);
  const int other = full % 3 + 1;
  // Large values, so that it does not take long until nothing is left.
  HttpClient http;
  LeaveRoomFor(cluster, full, 0);
  int sent = 0;
  ASSERT_TRUE(WaitUntil([&] {
    Put(http, cluster.Url(other), "large/" + std::to_string(++sent % 32),
        std::string(256 << 10, 'x'));
    const Leadership now = LeadershipAt(cluster, other);
    return now.leader != 0 && now.leader != full;
  })) << "n"
      << full << " leads on without room";
  ASSERT_TRUE(WaitForProgress(load, 1000)) << "the others do not go on";
  EXPECT_TRUE(AllRun(cluster)) << "a full disk ends no process";
  EXPECT_EQ(Put(http, cluster.Url(full), "through/its/router", "v").status, 204);
  EXPECT_EQ(http.Send({.url = cluster.Url(full) + "/v1/kv/through/its/router"}).body, "v");

  MakeRoom(cluster, full);
  EXPECT_TRUE(WaitUntilCaughtUp(cluster, other, full))
      << "it does not come back when there is room";
  ASSERT_TRUE(WaitForProgress(load, 500));
  load.Stop();
  EXPECT_TRUE(AllRun(cluster));
  VerifyEverywhere(cluster, load);
}

/// All three disks are full, and writes were refused for it.
class EveryDiskIsFullProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    cluster_.StartAll();
    ASSERT_EQ(Put(http_, cluster_.Url(1), "kept", "v").status, 204);
    for (int node = 1; node <= 3; ++node) LeaveRoomFor(cluster_, node, 0);
    HttpResponse refused;
    int sent = 0;
    ASSERT_TRUE(WaitUntil([&] {
      const HttpResponse put = Put(http_, cluster_.Url(sent % 3 + 1),
                                   "fill/" + std::to_string(sent), std::string(32 << 10, 'x'));
      if (put.status == 204) filled_.insert(sent);
      if (put.status == 507) refused = put;
      ++sent;
      return refused.status == 507;
    })) << "writes are not refused with 507";
    EXPECT_EQ(Json::parse(refused.body).value("code", ""), "storage_full") << refused.body;
    ASSERT_GE(filled_.size(), 10U);
  }
  void TearDown() override { EXPECT_TRUE(AllRun(cluster_)) << "a full disk ends no process"; }

  /// Linearizably.
  HttpResponse Get(int node, const std::string& key) {
    return http_.Send({.url = cluster_.Url(node) + "/v1/kv/" + key + "?timeout=5s"});
  }
  /// One of the values that fill the disks.
  void ExpectDeletes(int node) {
    const int victim = *filled_.begin();
    const std::string key = "fill/" + std::to_string(victim);
    const HttpResponse deleted = http_.Send(
        {.method = "DELETE", .url = cluster_.Url(node) + "/v1/kv/" + key + "?timeout=5s"});
    EXPECT_EQ(deleted.status, 204) << deleted.body << deleted.error;
    filled_.erase(victim);
    for (int at = 1; at <= 3; ++at) EXPECT_EQ(Get(at, key).status, 404) << "n" << at;
  }
  void ExpectReads() {
    for (int node = 1; node <= 3; ++node) {
      EXPECT_EQ(Get(node, "kept").body, "v") << "n" << node;
      EXPECT_EQ(Get(node, "fill/" + std::to_string(*filled_.rbegin())).status, 200);
    }
  }
  void ExpectWellAgainWithRoom() {
    for (int node = 1; node <= 3; ++node) MakeRoom(cluster_, node);
    for (int node = 1; node <= 3; ++node) {
      EXPECT_TRUE(cluster_.WaitForWrite(node, kWaitSeconds)) << "n" << node << " stays full";
    }
    for (const int i : filled_) {
      EXPECT_EQ(Get(2, "fill/" + std::to_string(i)).status, 200) << "write " << i << " is gone";
    }
  }

  TestCluster cluster_{OnSmallDisks()};
  HttpClient http_;
  std::set<int> filled_;  ///< Acknowledged and there.
};

TEST_F(EveryDiskIsFullProcessTest, ReadsAndDeletesGoOnAndWritesOnceThereIsRoom) {
  ExpectReads();
  for (int node = 1; node <= 3; ++node) {
    ExpectDeletes(node);
    EXPECT_EQ(Put(http_, cluster_.Url(node), "more", "v").status, 507);
  }
  // One leads on all the while: elections would only cost what room is left.
  const Leadership leader = LeadershipAt(cluster_, 1);
  EXPECT_TRUE(HoldsForFiveElections([&] { return LeadershipAt(cluster_, 1) == leader; }));
  ExpectReads();
  ExpectDeletes(1);
  ExpectWellAgainWithRoom();
}

TEST_F(EveryDiskIsFullProcessTest, ALeaderThatIsLostIsReplacedAndReadsAndDeletesGoOn) {
  const int lost = LeadershipAt(cluster_, 1).leader;
  ASSERT_NE(lost, 0);
  const int other = lost % 3 + 1;
  cluster_.KillNode(lost);
  ASSERT_TRUE(WaitUntil([&] { return Get(other, "kept").body == "v"; })) << "nobody leads";
  cluster_.StartNode(lost);
  ASSERT_TRUE(WaitUntil([&] { return Get(lost, "kept").body == "v"; }))
      << "a node does not start on a full disk";
  ExpectReads();
  ExpectDeletes(lost);
  ExpectWellAgainWithRoom();
}

}  // namespace
}  // namespace bedrock::test
