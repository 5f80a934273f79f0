// What clusters have to survive, each as a test of its own on real processes: a leader that sleeps,
// networks that are cut one way or in part (full disks: full_disk_test.cc). The simulators try all
// of it at random and a million times; here it is seen whole, from HTTP to the disk.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/process/cluster_view.h"
#include "tests/process/http_client.h"
#include "tests/process/link_proxy.h"
#include "tests/process/test_cluster.h"
#include "tests/process/write_load.h"

namespace bedrock::test {
namespace {

/// A number that one writer raises through some routers while readers ask one router for it: each
/// answer must be at least what was acknowledged before it was asked for. That is linearizability
/// of one key, as far as one writer can tell.
class Register {
 public:
  Register(std::vector<std::string> writer_urls, std::string reader_url)
      : writer_urls_(std::move(writer_urls)), reader_url_(std::move(reader_url)) {
    threads_.emplace_back([this] { Write(); });
    for (int i = 0; i < kReaders; ++i) {
      threads_.emplace_back([this] { Read(); });
    }
  }
  ~Register() { Stop(); }
  Register(const Register&) = delete;
  Register& operator=(const Register&) = delete;

  void Stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  std::uint64_t acknowledged() const { return acknowledged_; }
  std::uint64_t reads() const { return reads_; }
  std::uint64_t stale() const { return stale_; }

 private:
  static constexpr int kReaders = 8;

  void Write() {
    HttpClient http;
    std::size_t router = 0;
    for (std::uint64_t next = 1; !stopping_; ++next) {
      const HttpResponse put = http.Send({.method = "PUT",
                                          .url = writer_urls_[router] + "/v1/kv/register",
                                          .body = std::to_string(next)});
      if (put.status == 204) {
        acknowledged_ = next;
      } else {
        router = (router + 1) % writer_urls_.size();
      }
    }
  }
  void Read() {
    HttpClient http;
    while (!stopping_) {
      const std::uint64_t least = acknowledged_;
      const HttpResponse get = http.Send({.url = reader_url_ + "/v1/kv/register"});
      if (get.status == 0) PauseMs(20);
      if (get.status != 200) continue;
      ++reads_;
      if (std::stoull(get.body) >= least) continue;
      ++stale_;
      ADD_FAILURE() << "a stale read: " << get.body << " after " << least << " was acknowledged";
    }
  }

  std::vector<std::string> writer_urls_;
  std::string reader_url_;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> acknowledged_ = 0;
  std::atomic<std::uint64_t> reads_ = 0;
  std::atomic<std::uint64_t> stale_ = 0;
  std::vector<std::thread> threads_;
};

// ---- A leader that sleeps

/// Puts programs of the leader's node to sleep under load until others have taken over, and wakes
/// them while its router is asked for reads and writes.
void PauseTheLeader(const std::vector<Program>& programs) {
  TestCluster cluster;
  cluster.StartAll();
  const Leadership before = LeadershipAt(cluster, 1);
  const int old = before.leader;
  ASSERT_NE(old, 0);
  const int other = old % 3 + 1;
  Register number(UrlsBut(cluster, old), cluster.Url(old));
  WriteLoad load(UrlsBut(cluster, old), 8);
  WriteLoad old_load({cluster.Url(old)}, 8,
                     "old/");  // what only the old leader's node is asked for
  load.Start();
  old_load.Start();
  ASSERT_TRUE(WaitForProgress(load, 500));
  ASSERT_TRUE(WaitForProgress(old_load, 200));

  for (const Program program : programs) cluster.Pause(old, program);
  ASSERT_TRUE(WaitUntil([&] {
    const Leadership now = LeadershipAt(cluster, other);
    return now.leader != 0 && now.leader != old && now.term > before.term;
  })) << "nobody takes over";
  ASSERT_TRUE(WaitForProgress(load, 500)) << "the cluster stands still without its leader";
  const std::uint64_t raised_to = number.acknowledged();
  ASSERT_TRUE(WaitUntil([&] { return number.acknowledged() > raised_to + 10; }));

  const std::uint64_t reads_before = number.reads();
  const std::size_t log_before = cluster.ReadLog(old, Program::kRaftd).size();
  for (const Program program : programs) cluster.Resume(old, program);
  EXPECT_TRUE(WaitUntil([&] { return SaidSince(cluster, old, log_before, "role=follower"); }))
      << "the old leader does not step down";
  EXPECT_TRUE(WaitUntil([&] { return number.reads() > reads_before + 100; }))
      << "nothing is read through the old leader's node";
  EXPECT_TRUE(WaitForProgress(old_load, 200)) << "nothing is written through it";
  EXPECT_TRUE(WaitForProgress(load, 200));
  load.Stop();
  old_load.Stop();
  number.Stop();
  EXPECT_TRUE(WaitUntilCaughtUp(cluster, other, old));
  VerifyEverywhere(cluster, load);
  VerifyEverywhere(cluster, old_load);
}

TEST(PausedLeaderTest, ARaftdThatSleptServesNothingStaleAndLosesNoWrite) {
  PauseTheLeader({Program::kRaftd});
}

TEST(PausedLeaderTest, ANodeThatSleptServesNothingStaleAndLosesNoWrite) {
  PauseTheLeader({Program::kRaftd, Program::kStoraged, Program::kRouterd});
}

// ---- Networks that are cut

/// A cluster whose raftds speak to each other through forwarders.
class CutLinks {
 public:
  explicit CutLinks(int nodes)
      : cluster_({.nodes = nodes, .raft_address = [this](int node, const std::string& endpoint) {
                    return proxy_.InFrontOf(node, endpoint);
                  }}) {}

  TestCluster& cluster() { return cluster_; }
  LinkProxy& links() { return proxy_; }

  void CutAllFrom(int node) {
    for (int other = 1; other <= cluster_.nodes(); ++other) {
      if (other != node) proxy_.Cut(node, other);
    }
  }
  void CutAllTo(int node) {
    for (int other = 1; other <= cluster_.nodes(); ++other) {
      if (other != node) proxy_.Cut(other, node);
    }
  }

 private:
  LinkProxy proxy_;
  TestCluster cluster_;
};

/// Cuts a leader off one way under load; the others must elect one of them and go on, in one term,
/// and the old one must follow when it is whole again.
void CutTheLeader(const std::function<void(CutLinks&, int leader)>& cut) {
  CutLinks links(3);
  TestCluster& cluster = links.cluster();
  WriteLoad load(UrlsBut(cluster, 0), 6);
  const Leadership before = StartUnderLoad(cluster, load);
  const int old = before.leader;
  ASSERT_NE(old, 0);
  const int other = old % 3 + 1;
  const std::size_t log_before = cluster.ReadLog(old, Program::kRaftd).size();

  cut(links, old);
  Leadership now;
  ASSERT_TRUE(WaitUntil([&] {
    now = LeadershipAt(cluster, other);
    return now.leader != 0 && now.leader != old && now.term > before.term;
  })) << "a leader that is cut off stays";
  EXPECT_TRUE(WaitUntil([&] { return SaidSince(cluster, old, log_before, "role=follower"); }))
      << "the old leader does not step down";
  ASSERT_TRUE(WaitForProgress(load, 500)) << "writes do not go on";
  // Half deaf, it may try as it likes: nobody is deposed by it.
  now = LeadershipAt(cluster, other);
  EXPECT_TRUE(HoldsForFiveElections([&] { return LeadershipAt(cluster, other) == now; }))
      << "leader n" << now.leader << " of term " << now.term << " does not last";
  ASSERT_TRUE(WaitForProgress(load, 500));

  links.links().Heal();
  EXPECT_TRUE(WaitUntilCaughtUp(cluster, other, old));
  ASSERT_TRUE(WaitForProgress(load, 500));
  load.Stop();
  VerifyEverywhere(cluster, load);
}

TEST(AsymmetricPartitionTest, ALeaderThatHearsNobodyIsReplaced) {
  CutTheLeader([](CutLinks& links, int leader) { links.CutAllTo(leader); });
}

TEST(AsymmetricPartitionTest, ALeaderThatNobodyHearsIsReplaced) {
  CutTheLeader([](CutLinks& links, int leader) { links.CutAllFrom(leader); });
}

TEST(AsymmetricPartitionTest, AFollowerThatHearsNobodyDisturbsNobody) {
  CutLinks links(3);
  TestCluster& cluster = links.cluster();
  cluster.StartAll();
  const Leadership before = LeadershipAt(cluster, 1);
  ASSERT_NE(before.leader, 0);
  const int deaf = before.leader % 3 + 1;
  WriteLoad load(UrlsBut(cluster, deaf), 6);
  load.Start();
  ASSERT_TRUE(WaitForProgress(load, 500));

  const std::size_t log_before = cluster.ReadLog(deaf, Program::kRaftd).size();
  links.CutAllTo(deaf);
  ASSERT_TRUE(WaitUntil([&] { return SaidSince(cluster, deaf, log_before, "role=pre_candidate"); }))
      << "a node that hears nobody does not ask for votes: nothing is tested";
  EXPECT_TRUE(HoldsForFiveElections([&] { return LeadershipAt(cluster, before.leader) == before; }))
      << "the leader was deposed, or its term raised, by a node that only hears nothing";
  EXPECT_FALSE(SaidSince(cluster, deaf, log_before, "role=candidate"));
  ASSERT_TRUE(WaitForProgress(load, 500));

  links.links().Heal();
  EXPECT_TRUE(WaitUntilCaughtUp(cluster, before.leader, deaf));
  EXPECT_EQ(LeadershipAt(cluster, before.leader), before) << "coming back deposes nobody either";
  load.Stop();
  EXPECT_EQ(load.failed(), 0u);
  load.VerifyThrough(cluster.Url(deaf));
}

/// R13: 1, 2 and 3 hear each other, 4 hears 2 alone and 5 hears 3 alone. Whoever leads, one or two
/// of the outer ones hear no leader, and would depose it for ever.
TEST(PartialPartitionTest, FiveNodesInAChainKeepOneLeader) {
  CutLinks links(5);
  TestCluster& cluster = links.cluster();
  cluster.StartAll();
  // Everybody has to be known to the others first: who is new waits to hear a leader.
  for (int node = 2; node <= 5; ++node) ASSERT_TRUE(WaitUntilCaughtUp(cluster, 1, node));
  for (const auto& [a, b] :
       std::vector<std::pair<int, int>>{{4, 1}, {4, 3}, {4, 5}, {5, 1}, {5, 2}}) {
    links.links().Cut(a, b);
    links.links().Cut(b, a);
  }
  // A leader that was left out is replaced, and elections may cross; then one stays.
  Leadership steady;
  ASSERT_TRUE(WaitUntil([&] {
    steady = LeadershipAt(cluster, 1);
    return steady.leader != 0 &&
           HoldsForFiveElections([&] { return LeadershipAt(cluster, 1) == steady; });
  })) << "the leadership keeps changing";
  EXPECT_LE(steady.leader, 3) << "n4 and n5 hear too few to be elected";
  WriteLoad load(UrlsBut(cluster, 0), 6);
  load.Start();
  ASSERT_TRUE(WaitForProgress(load, 500));
  EXPECT_TRUE(HoldsForFiveElections([&] { return LeadershipAt(cluster, 1) == steady; }))
      << "leader n" << steady.leader << " of term " << steady.term << " does not last";
  ASSERT_TRUE(WaitForProgress(load, 500));
  load.Stop();
  EXPECT_EQ(load.failed(), 0u);
  // Somebody hears no leader and does ask for votes: else nothing was tested.
  EXPECT_TRUE(WaitUntil([&] {
    return StateOf(cluster, 1, 4) == "candidate" || StateOf(cluster, 1, 5) == "candidate";
  }));

  links.links().Heal();
  for (const int outer : {4, 5}) {
    EXPECT_TRUE(WaitUntilCaughtUp(cluster, steady.leader, outer)) << outer;
  }
  VerifyEverywhere(cluster, load);
}

}  // namespace
}  // namespace bedrock::test
