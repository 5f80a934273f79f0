#include "tests/process/waking_leader.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/process/cluster_view.h"
#include "tests/process/http_client.h"
#include "tests/process/node.h"

namespace bedrock::test {
namespace {

constexpr int kReaders = 8;

}  // namespace

void ExpectNoStaleReadsFromAWakingLeader(TestCluster& cluster) {
  for (int round = 0; round < 3; ++round) {
    const int old_leader = cluster.WaitForLeader();
    ASSERT_NE(old_leader, 0);
    Node other(cluster, old_leader % 3 + 1);
    ASSERT_EQ(other.Put("color", "old").status, 204);
    cluster.Pause(old_leader, Program::kRaftd);
    const std::string fresh = "new" + std::to_string(round);
    HttpResponse put;
    for (int attempt = 0; attempt < 20 && put.status != 204; ++attempt) {
      put = other.Put("color", fresh);
    }
    ASSERT_EQ(put.status, 204) << put.body;
    std::vector<std::thread> readers;
    readers.reserve(kReaders);
    for (int i = 0; i < kReaders; ++i) {
      readers.emplace_back([&cluster, old_leader, fresh] {
        Node reader(cluster, old_leader);
        for (int n = 0; n < 20; ++n) {
          const HttpResponse get = reader.Get("/v1/kv/color");
          if (get.status == 200) {
            EXPECT_EQ(get.body, fresh);
          }
        }
      });
    }
    PauseMs(200);  // so that they wait at the sleeping raftd
    cluster.Resume(old_leader, Program::kRaftd);
    for (std::thread& reader : readers) reader.join();
    ASSERT_TRUE(cluster.WaitForWrite(old_leader));
  }
}

}  // namespace bedrock::test
