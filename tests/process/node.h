#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/process/http_client.h"
#include "tests/process/test_cluster.h"

namespace bedrock::test {

using Json = nlohmann::json;

inline Json Parse(const HttpResponse& response) {
  return Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
}

/// Talks to one node of a cluster.
class Node {
 public:
  Node(const TestCluster& cluster, int node) : url_(cluster.Url(node)) {}

  HttpResponse Send(const std::string& method, const std::string& target,
                    const std::string& body = "",
                    const std::map<std::string, std::string>& headers = {}) {
    return http_.Send({.method = method,
                       .url = url_ + target,
                       .body = body,
                       .headers = headers,
                       .timeout_ms = 70'000});
  }
  HttpResponse Get(const std::string& target) { return Send("GET", target); }
  HttpResponse Put(const std::string& key, const std::string& value) {
    return Send("PUT", "/v1/kv/" + key, value);
  }
  HttpResponse Txn(const Json& txn, const std::map<std::string, std::string>& headers = {}) {
    return Send("POST", "/v1/txn", txn.dump(), headers);
  }
  /// The id of a new transaction.
  std::string Begin(const Json& options = Json::object()) {
    const HttpResponse begun = Send("POST", "/v1/transactions", options.dump());
    EXPECT_EQ(begun.status, 201) << begun.body;
    return Parse(begun).value("id", "");
  }
  HttpResponse Commit(const std::string& id) {
    return Send("POST", "/v1/transactions/" + id + "/commit");
  }

 private:
  std::string url_;
  HttpClient http_;
};

/// Three nodes that serve, and a client of each.
class ThreeNodesTest : public testing::Test {
 protected:
  void SetUp() override { cluster_.StartAll(); }

  TestCluster cluster_;
  Node one_{cluster_, 1};
  Node two_{cluster_, 2};
  Node three_{cluster_, 3};
};

inline std::string KvOf(const std::string& id, const std::string& key) {
  return "/v1/transactions/" + id + "/kv/" + key;
}
inline std::uint64_t VersionIn(const HttpResponse& response) {
  const auto found = response.headers.find("x-bedrock-version");
  return found == response.headers.end() ? 0 : std::stoull(found->second);
}
inline std::string CodeIn(const HttpResponse& response) {
  const Json json = Parse(response);
  return json.is_object() ? json.value("code", "") : "";
}

}  // namespace bedrock::test
