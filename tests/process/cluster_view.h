#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "tests/process/http_client.h"
#include "tests/process/test_cluster.h"
#include "tests/process/write_load.h"

namespace bedrock::test {

using Json = nlohmann::json;

inline constexpr int kWaitSeconds = 60;

/// Whether `done` comes true within a minute.
inline bool WaitUntil(const std::function<bool()>& done) {
  const std::int64_t deadline = NowMs() + std::int64_t{kWaitSeconds} * 1000;
  while (NowMs() < deadline) {
    if (done()) return true;
    PauseMs(20);
  }
  return done();
}

/// Whether the load has `count` more acknowledgements within a minute.
inline bool WaitForProgress(const WriteLoad& load, std::uint64_t count) {
  const std::uint64_t goal = load.acknowledged() + count;
  return WaitUntil([&] { return load.acknowledged() >= goal; });
}

/// Whether `holds` stays true for five times the longest election timeout: what a cluster would do
/// about its leader it does in less.
inline bool HoldsForFiveElections(const std::function<bool()>& holds) {
  for (const std::int64_t end = NowMs() + 5'000; NowMs() < end; PauseMs(50)) {
    if (!holds()) return false;
  }
  return true;
}

/// One node's view of its cluster; null where the node does not answer.
inline Json ClusterAt(const TestCluster& cluster, int node) {
  HttpClient http;
  const HttpResponse response =
      http.Send({.url = cluster.Url(node) + "/v1/cluster", .timeout_ms = 5'000});
  return response.status == 200 ? Json::parse(response.body) : Json();
}

struct Leadership {
  int leader = 0;
  std::uint64_t term = 0;
  friend bool operator==(const Leadership&, const Leadership&) = default;
};

/// As `node` sees it; 0 where it knows of no leader.
inline Leadership LeadershipAt(const TestCluster& cluster, int node) {
  const Json view = ClusterAt(cluster, node);
  if (!view.is_object() || !view["leader"].is_string()) return {};
  return {.leader = std::stoi(view["leader"].get<std::string>().substr(1)),
          .term = view["term"].get<std::uint64_t>()};
}

/// Waits until `member`'s raftd holds all that was committed when this was called, as the leader
/// that `witness` knows says.
inline bool WaitUntilCaughtUp(const TestCluster& cluster, int witness, int member) {
  std::uint64_t goal = 0;
  return WaitUntil([&] {
    const Json view = ClusterAt(cluster, witness);
    if (!view.is_object() || !view["leader"].is_string()) return false;
    if (goal == 0) goal = view["commit_index"].get<std::uint64_t>();
    for (const Json& row : view["members"]) {
      if (row["id"] != "n" + std::to_string(member)) continue;
      return row["state"] != "unreachable" && row["match_index"].get<std::uint64_t>() >= goal;
    }
    return false;
  });
}

/// What `member`'s raftd is, as `witness` knows: "leader", "follower", "candidate", "unreachable".
inline std::string StateOf(const TestCluster& cluster, int witness, int member) {
  const Json view = ClusterAt(cluster, witness);
  if (!view.is_object()) return "";
  for (const Json& row : view["members"]) {
    if (row["id"] == "n" + std::to_string(member)) return row["state"];
  }
  return "";
}

/// The nodes' routers but one's; 0: all.
inline std::vector<std::string> UrlsBut(const TestCluster& cluster, int without) {
  std::vector<std::string> urls;
  for (int node = 1; node <= cluster.nodes(); ++node) {
    if (node != without) urls.push_back(cluster.Url(node));
  }
  return urls;
}

/// Starts the nodes and then the load; gives who leads once writes go through, nobody where they do
/// not.
inline Leadership StartUnderLoad(TestCluster& cluster, WriteLoad& load) {
  cluster.StartAll();
  load.Start();
  return WaitForProgress(load, 500) ? LeadershipAt(cluster, 1) : Leadership();
}

/// WriteLoad::VerifyThrough every node, all at once.
inline void VerifyEverywhere(const TestCluster& cluster, const WriteLoad& load) {
  std::vector<std::thread> readers;
  for (const std::string& url : UrlsBut(cluster, 0)) {
    readers.emplace_back([&load, url] { load.VerifyThrough(url); });
  }
  for (std::thread& reader : readers) reader.join();
}

/// Whether a raftd has said "role=…" since its log was `from` bytes long.
inline bool SaidSince(const TestCluster& cluster, int node, std::size_t from,
                      const std::string& words) {
  return cluster.ReadLog(node, Program::kRaftd).find(words, from) != std::string::npos;
}

}  // namespace bedrock::test
