// Disks that get full, on real processes: disk_quota_preload.cc makes the calls that need room fail
// as the system does, and this file says how much there is.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

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

TEST(FullDiskProcessTest, WhereEveryDiskIsFullWritesAreRefusedAsThatAndGoOnOnceThereIsRoom) {
  TestCluster cluster(OnSmallDisks());
  cluster.StartAll();
  HttpClient http;
  ASSERT_EQ(Put(http, cluster.Url(1), "kept", "v").status, 204);
  for (int node = 1; node <= 3; ++node) LeaveRoomFor(cluster, node, 0);
  int sent = 0;
  std::vector<int> acknowledged;
  HttpResponse refused;
  ASSERT_TRUE(WaitUntil([&] {
    const HttpResponse put = Put(http, cluster.Url(sent % 3 + 1), "fill/" + std::to_string(sent),
                                 std::string(256 << 10, 'x'));
    if (put.status == 204) acknowledged.push_back(sent);
    if (put.status == 507) refused = put;
    ++sent;
    return refused.status == 507;
  })) << "writes are not refused with 507";
  EXPECT_EQ(Json::parse(refused.body).value("code", ""), "storage_full") << refused.body;
  EXPECT_TRUE(AllRun(cluster)) << "a full disk ends no process";
  // What is there can still be read, as of some time at least.
  EXPECT_EQ(http.Send({.url = cluster.Url(1) + "/v1/kv/kept?consistency=stale"}).body, "v");

  for (int node = 1; node <= 3; ++node) MakeRoom(cluster, node);
  for (int node = 1; node <= 3; ++node) {
    EXPECT_TRUE(cluster.WaitForWrite(node, kWaitSeconds)) << "n" << node << " does not come back";
  }
  EXPECT_TRUE(AllRun(cluster));
  for (const int i : acknowledged) {
    EXPECT_EQ(http.Send({.url = cluster.Url(2) + "/v1/kv/fill/" + std::to_string(i)}).status, 200)
        << "acknowledged write " << i << " is gone";
  }
}

}  // namespace
}  // namespace bedrock::test
