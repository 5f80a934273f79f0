// Who takes part and who leads, changed over HTTP while writers and readers run, and restarts that
// are planned: no request may fail, and whatever was acknowledged is read back afterwards.

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/process/cluster_view.h"
#include "tests/process/node.h"
#include "tests/process/test_cluster.h"
#include "tests/process/write_load.h"

namespace bedrock::test {
namespace {

std::string Name(int node) { return "n" + std::to_string(node); }

/// Readers of one key that somebody counts up: linearizable, so what one has seen never goes back.
class ReadLoad {
 public:
  ReadLoad(std::vector<std::string> urls, std::string key)
      : urls_(std::move(urls)), key_(std::move(key)) {
    for (std::size_t i = 0; i < kReaders; ++i) threads_.emplace_back([this, i] { Run(i); });
  }
  ~ReadLoad() { Stop(); }
  ReadLoad(const ReadLoad&) = delete;
  ReadLoad& operator=(const ReadLoad&) = delete;

  void Stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  std::uint64_t reads() const { return reads_.load(); }
  std::vector<std::string> Failures() const {
    const std::lock_guard lock(mutex_);
    return failures_;
  }

 private:
  static constexpr std::size_t kReaders = 6;

  void Run(std::size_t number) {
    HttpClient http;
    std::uint64_t seen = 0;
    for (std::size_t turn = number; !stopping_; ++turn) {
      const std::string& url = urls_[turn % urls_.size()];
      const HttpResponse response = http.Send({.url = url + "/get?key=" + key_});
      std::uint64_t found = 0;
      if (response.status == 200) found = std::stoull(response.body);
      const bool failed = (response.status != 200 && response.status != 404) || found < seen;
      if (failed) {
        const std::lock_guard lock(mutex_);
        if (failures_.size() < 5) {
          failures_.push_back("GET at " + url + " after " + std::to_string(seen) + ": " +
                              std::to_string(response.status) + " " + response.body +
                              response.error);
        }
        PauseMs(20);
      }
      seen = std::max(seen, found);
      ++reads_;
    }
  }

  const std::vector<std::string> urls_;
  const std::string key_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> reads_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> failures_;  // guarded by mutex_
};

class MembersProcessTest : public testing::Test {
 protected:
  void SetUp() override { cluster_.StartAll(); }

  Node At(int node) const { return Node(cluster_, node); }
  /// A node of those it began with that is neither of these.
  static int OtherThan(int a, int b = 0) {
    int node = 1;
    while (node == a || node == b) ++node;
    return node;
  }
  std::vector<std::string> Urls(const std::vector<int>& nodes) const {
    std::vector<std::string> urls;
    urls.reserve(nodes.size());
    for (const int node : nodes) urls.push_back(cluster_.Url(node));
    return urls;
  }
  Json View(int at) const {
    const HttpResponse response = At(at).Send("GET", "/v1/cluster");
    return response.status == 200 ? Parse(response) : Json();
  }
  /// How a node shows a member; null: not at all.
  Json Member(int at, int node) const {
    const Json view = View(at);
    if (!view.is_object()) return {};
    for (const Json& member : view["members"]) {
      if (member["id"] == Name(node)) return member;
    }
    return {};
  }
  bool WaitForRole(int at, int node, const std::string& role) const {
    return WaitUntil([&] {
      const Json member = Member(at, node);
      return role.empty() ? member.is_null() && View(at).is_object()
                          : member.is_object() && member["role"] == role;
    });
  }
  /// The node follows or leads, and has applied what was committed when this began.
  bool WaitUntilInStep(int node) const {
    std::uint64_t goal = 0;
    return WaitUntil([&] {
      const Json view = View(node);
      if (!view.is_object() || view["leader"].is_null()) return false;
      if (goal == 0) goal = view["commit_index"].get<std::uint64_t>();
      const Json member = Member(node, node);
      if (!member.is_object() || member["storage"] != "up") return false;
      const std::string state = member["state"];
      return (state == "leader" || state == "follower") &&
             member["applied_index"].get<std::uint64_t>() >= goal;
    });
  }
  HttpResponse Add(int at, int node) {
    return At(at).Send("POST", "/v1/cluster/members?timeout=20s", cluster_.MemberBody(node));
  }
  HttpResponse Remove(int at, int node) {
    return At(at).Send("DELETE", "/v1/cluster/members/" + Name(node) + "?timeout=20s");
  }
  HttpResponse Move(int at, int to) {
    return At(at).Send("POST", "/v1/cluster/leader?timeout=20s", R"({"to":")" + Name(to) + "\"}");
  }
  /// A new node that runs, was taken in and votes.
  int Join(int at) {
    const int node = cluster_.AddNode();
    cluster_.StartNode(node);
    const HttpResponse added = Add(at, node);
    EXPECT_EQ(added.status, 201) << added.body << added.error;
    EXPECT_TRUE(WaitForRole(at, node, "voter")) << View(at).dump();
    return node;
  }
  void RestartDaemons(int node) {
    EXPECT_EQ(cluster_.Stop(node, Program::kRaftd), 0);
    EXPECT_EQ(cluster_.Stop(node, Program::kStoraged), 0);
    cluster_.Start(node, Program::kStoraged);
    cluster_.Start(node, Program::kRaftd);
    EXPECT_TRUE(WaitUntilInStep(node)) << View(node).dump();
  }
  /// Writers and readers run while `act` does; none of them may notice.
  void UnderLoad(const std::vector<int>& routers, const std::vector<int>& verify_at,
                 const std::function<void()>& act) {
    const std::string prefix = "load" + std::to_string(++loads_) + "/";
    WriteLoad load(Urls(routers), 12, prefix);
    load.Start();
    ReadLoad reads(Urls(routers), PercentEncode(prefix + "counter/0"));
    ASSERT_TRUE(WaitForProgress(load, 300));
    act();
    ASSERT_TRUE(WaitForProgress(load, 300)) << "the cluster stands still";
    load.Stop();
    reads.Stop();
    EXPECT_EQ(load.failed(), 0U) << load.failures();
    EXPECT_TRUE(reads.Failures().empty()) << reads.Failures().at(0);
    std::cout << load.acknowledged() << " writes and " << reads.reads() << " reads\n";
    for (const int node : verify_at) load.VerifyThrough(cluster_.Url(node));
  }

  TestCluster cluster_;
  int loads_ = 0;
};

TEST_F(MembersProcessTest, ANodeIsAddedUnderLoadAndCounts) {
  int added = 0;
  UnderLoad({1, 2, 3}, {1, 4}, [&] {
    added = Join(2);
    // Every router knows it, and it knows all.
    for (int node = 1; node <= 4; ++node) {
      EXPECT_TRUE(WaitForRole(node, added, "voter")) << View(node).dump();
      EXPECT_EQ(View(node)["members"].size(), 4U);
    }
    EXPECT_TRUE(WaitUntilInStep(added)) << View(added).dump();
  });
  // Three of four are a quorum: without one of the old ones it takes the new one's disk.
  const int gone = OtherThan(cluster_.WaitForLeader());
  cluster_.KillNode(gone);
  EXPECT_TRUE(cluster_.WaitForWrite(added));
  EXPECT_EQ(At(OtherThan(gone)).Send("PUT", "/put?key=k", "v").status, 200);
  EXPECT_EQ(At(added).Send("GET", "/get?key=k").body, "v");
}

TEST_F(MembersProcessTest, AFollowerIsRemovedUnderLoad) {
  const int leader = cluster_.WaitForLeader();
  const int gone = OtherThan(leader);
  const int third = OtherThan(leader, gone);
  UnderLoad({leader, third}, {leader, third}, [&] {
    const HttpResponse removed = Remove(third, gone);
    EXPECT_EQ(removed.status, 204) << removed.body << removed.error;
    EXPECT_TRUE(Member(third, gone).is_null()) << "answered when it is gone";
    EXPECT_TRUE(WaitForRole(leader, gone, ""));
    EXPECT_TRUE(WaitForRole(gone, gone, "")) << "its own router serves on, through the others";
    EXPECT_EQ(At(gone).Send("PUT", "/put?key=from-outside", "v").status, 200);
    cluster_.KillNode(gone);
  });
  EXPECT_EQ(Remove(leader, gone).status, 204) << "it is so";
  EXPECT_EQ(CodeIn(Add(leader, gone)), "member_exists") << "ids are not used again";
}

TEST_F(MembersProcessTest, TheLeaderIsRemovedUnderLoad) {
  const int leader = cluster_.WaitForLeader();
  const int a = OtherThan(leader);
  const int b = OtherThan(leader, a);
  UnderLoad({a, b}, {a, b}, [&] {
    const HttpResponse removed = Remove(a, leader);
    EXPECT_EQ(removed.status, 204) << removed.body << removed.error;
    const int next = cluster_.WaitForLeader(20, leader);
    EXPECT_NE(next, 0);
    EXPECT_TRUE(WaitForRole(b, leader, ""));
    cluster_.KillNode(leader);
  });
  EXPECT_EQ(View(a)["members"].size(), 2U);
}

TEST_F(MembersProcessTest, ANodeIsReplacedUnderLoadThroughItsOwnRouterToo) {
  const int old_one = cluster_.WaitForLeader();
  int new_one = 0;
  UnderLoad({1, 2, 3}, {4}, [&] {
    new_one = Join(OtherThan(old_one));
    // Asked of the router of the very node that goes, which serves on.
    const HttpResponse removed = Remove(old_one, old_one);
    EXPECT_EQ(removed.status, 204) << removed.body << removed.error;
    for (const int node : {1, 2, 3, new_one}) {
      EXPECT_TRUE(WaitForRole(node, old_one, "")) << View(node).dump();
    }
  });
  cluster_.KillNode(old_one);
  // Two of three: the new one counts.
  const int other = OtherThan(old_one);
  cluster_.KillNode(other);
  EXPECT_TRUE(cluster_.WaitForWrite(new_one));
  EXPECT_TRUE(cluster_.WaitForWrite(OtherThan(old_one, other)));
}

TEST_F(MembersProcessTest, ANodeThatJoinedKnowsTheClusterAgainAfterARestartOfAll) {
  const int added = Join(1);
  EXPECT_EQ(At(added).Send("PUT", "/put?key=k", "v").status, 200);
  for (int node = 1; node <= added; ++node) {
    for (const Program program : {Program::kRouterd, Program::kRaftd, Program::kStoraged}) {
      EXPECT_EQ(cluster_.Stop(node, program), 0);
    }
  }
  for (int node = 1; node <= added; ++node) cluster_.StartNode(node);
  for (int node = 1; node <= added; ++node) {
    EXPECT_TRUE(WaitForRole(node, added, "voter")) << View(node).dump();
    EXPECT_TRUE(WaitUntilInStep(node)) << View(node).dump();
  }
  EXPECT_EQ(At(added).Send("GET", "/get?key=k").body, "v");
}

TEST_F(MembersProcessTest, VotersAreDemotedAndPromotedUnderLoad) {
  UnderLoad({1, 2, 3}, {1, 2, 3}, [&] {
    for (int round = 0; round < 2; ++round) {
      const int leader = cluster_.WaitForLeader();
      const int node = round == 0 ? OtherThan(leader) : leader;
      const int at = OtherThan(node);
      const std::string path = "/v1/cluster/members/" + Name(node);
      const HttpResponse demoted = At(at).Send("POST", path + "/demote?timeout=20s");
      EXPECT_EQ(demoted.status, 200) << demoted.body << demoted.error;
      EXPECT_EQ(Parse(demoted)["role"], "learner");
      EXPECT_TRUE(WaitForRole(at, node, "learner"));
      EXPECT_TRUE(WaitUntil([&] { return Member(at, node)["state"] == "learner"; }))
          << View(at).dump();
      EXPECT_EQ(Move(at, node).status, 400) << "a learner can't lead";
      const HttpResponse promoted = At(at).Send("POST", path + "/promote?timeout=20s");
      EXPECT_EQ(promoted.status, 200) << promoted.body << promoted.error;
      EXPECT_EQ(Member(at, node)["role"], "voter");
    }
  });
}

TEST_F(MembersProcessTest, LeadershipMovesUnderLoad) {
  UnderLoad({1, 2, 3}, {2}, [&] {
    for (int round = 0; round < 6; ++round) {
      const int to = round % 3 + 1;
      const int at = (round / 3 + round) % 3 + 1;
      const HttpResponse moved = Move(at, to);
      EXPECT_EQ(moved.status, 200) << moved.body << moved.error;
      EXPECT_EQ(Parse(moved)["leader"], Name(to));
      EXPECT_EQ(moved.headers.at("x-bedrock-leader"), Name(to));
      EXPECT_EQ(View(at)["leader"], Name(to)) << "whoever asks the same router is told so";
      PauseMs(100);
    }
  });
}

TEST_F(MembersProcessTest, WhatCannotBeIsRefusedWithItsCode) {
  const int leader = cluster_.WaitForLeader();
  const int other = OtherThan(leader);
  const int third = OtherThan(leader, other);
  EXPECT_EQ(CodeIn(Add(other, third)), "member_exists");
  EXPECT_EQ(CodeIn(Remove(other, 9)), "member_not_found");
  EXPECT_EQ(CodeIn(Move(other, 9)), "member_not_found");
  EXPECT_EQ(At(other).Send("POST", "/v1/cluster/members/n9/promote").status, 404);
  cluster_.KillNode(third);
  ASSERT_TRUE(WaitUntil([&] { return Member(leader, third)["state"] == "unreachable"; }));
  // Two of three are left, and one of two is no majority of them.
  for (const char* what : {"", "/demote"}) {
    const HttpResponse refused = At(leader).Send(*what == 0 ? "DELETE" : "POST",
                                                 "/v1/cluster/members/" + Name(other) + what);
    EXPECT_EQ(refused.status, 409) << refused.body;
    EXPECT_EQ(CodeIn(refused), "unsafe_membership_change");
    EXPECT_EQ(Parse(refused)["outcome"], "none");
  }
  const HttpResponse moved = Move(leader, third);
  EXPECT_EQ(moved.status, 409) << moved.body;
  // The dead one may go.
  EXPECT_EQ(Remove(leader, third).status, 204);
  EXPECT_TRUE(cluster_.WaitForWrite(other));
}

TEST_F(MembersProcessTest, ALeaderIsRestartedAsPlannedWithoutAFailedRequest) {
  UnderLoad({1, 2, 3}, {1, 2, 3}, [&] {
    for (int round = 0; round < 3; ++round) {
      const int leader = cluster_.WaitForLeader();
      ASSERT_NE(leader, 0);
      RestartDaemons(leader);
    }
  });
}

TEST_F(MembersProcessTest, EveryNodesDaemonsAreRestartedInTurnWithoutAFailedRequest) {
  UnderLoad({1, 2, 3}, {1, 2, 3}, [&] {
    for (int round = 0; round < 2; ++round) {
      for (int node = 1; node <= 3; ++node) RestartDaemons(node);
    }
  });
}

TEST_F(MembersProcessTest, WholeNodesAreRestartedInTurnWithoutAFailedRequestAtTheOthers) {
  for (int node = 1; node <= 3; ++node) {
    const int a = OtherThan(node);
    const int b = OtherThan(node, a);
    UnderLoad({a, b}, {node}, [&] {
      EXPECT_EQ(cluster_.Stop(node, Program::kRouterd), 0);
      EXPECT_EQ(cluster_.Stop(node, Program::kRaftd), 0);
      EXPECT_EQ(cluster_.Stop(node, Program::kStoraged), 0);
      cluster_.StartNode(node);
      EXPECT_TRUE(WaitUntilInStep(node)) << View(node).dump();
    });
  }
}

TEST_F(MembersProcessTest, ARouterThatStopsAnswersWhatItWasAskedAndTurnsAwayTheRest) {
  std::atomic<bool> stopping{false};
  std::atomic<int> served{0};
  std::vector<std::string> wrong;
  std::mutex mutex;
  constexpr int kClients = 8;
  std::vector<std::thread> clients;
  clients.reserve(kClients);
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      HttpClient http;
      while (true) {
        const bool was_stopping = stopping;
        const HttpResponse response =
            http.Send({.method = "PUT",
                       .url = cluster_.Url(1) + "/put?key=r" + std::to_string(i),
                       .body = "v"});
        if (response.status == 200) {
          ++served;
          continue;
        }
        // Refused, closed before a reply began, or told so; and only once it was asked to stop.
        const bool told = response.status == 503 && CodeIn(response) == "shutting_down" &&
                          response.headers.at("connection") == "close";
        if (!(told || response.status == 0) || !(was_stopping || stopping)) {
          const std::lock_guard lock(mutex);
          wrong.push_back(std::to_string(response.status) + " " + response.body + response.error);
        }
        return;
      }
    });
  }
  EXPECT_TRUE(WaitUntil([&] { return served > 200; }));
  stopping = true;
  EXPECT_EQ(cluster_.Stop(1, Program::kRouterd), 0);
  for (std::thread& client : clients) client.join();
  EXPECT_TRUE(wrong.empty()) << wrong.at(0);
  EXPECT_EQ(cluster_.ReadLog(1, Program::kRouterd).find("unfinished"), std::string::npos);
}

}  // namespace
}  // namespace bedrock::test
