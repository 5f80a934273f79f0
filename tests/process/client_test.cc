// The ZeroMQ clients against real processes.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bedrock/client.h"
#include "tests/process/http_client.h"
#include "tests/process/test_cluster.h"

namespace bedrock::test {
namespace {

constexpr std::uint64_t kPatienceMs = 60'000;

std::unique_ptr<Client> ConnectTo(const TestCluster& cluster, const std::vector<int>& nodes) {
  ClientOptions options{.deadline_ms = kPatienceMs};
  options.endpoints.clear();
  for (const int node : nodes) options.endpoints.push_back(cluster.ClientEndpoint(node));
  return Client::Connect(options).value();
}

TEST(ClientProcessTest, EveryNodeTakesRequestsAndAgreesWithHttp) {
  TestCluster cluster;
  cluster.StartAll();
  HttpClient http;
  for (int node = 1; node <= 3; ++node) {
    const auto client = ConnectTo(cluster, {node});
    const std::string key = "from-n" + std::to_string(node);
    const Result<Version> put = client->Put(key, "value");
    ASSERT_TRUE(put.ok()) << put.status().ToString();
    for (int reader = 1; reader <= 3; ++reader) {
      const auto found = ConnectTo(cluster, {reader})->GetVersioned(key);
      ASSERT_TRUE(found.ok()) << found.status().ToString();
      EXPECT_EQ(found->value, "value");
      EXPECT_EQ(found->version, *put);
    }
    const HttpResponse get = http.Send({.url = cluster.Url(node) + "/v1/kv/" + key});
    EXPECT_EQ(get.status, 200);
    EXPECT_EQ(get.headers.at("etag"), "\"" + std::to_string(put->value()) + "\"");
    EXPECT_TRUE(client->Delete(key, {.condition = WriteCondition::IfVersion(*put)}).ok());
    std::string value;
    EXPECT_TRUE(client->Get(key, &value).IsNotFound());
  }
}

TEST(ClientProcessTest, AStaleReadOfAtLeastOnesOwnVersionSeesOnesOwnWriteOnAnyNode) {
  TestCluster cluster;
  cluster.StartAll();
  const auto writer = ConnectTo(cluster, {1});
  for (int round = 0; round < 20; ++round) {
    const Version version = writer->Put("k", std::to_string(round)).value();
    for (int node = 1; node <= 3; ++node) {
      const auto found =
          ConnectTo(cluster, {node})
              ->GetVersioned("k", {.consistency = ClientReadOptions::Consistency::kStale,
                                   .min_version = version});
      ASSERT_TRUE(found.ok()) << found.status().ToString();
      EXPECT_EQ(found->value, std::to_string(round));
    }
  }
}

// Each write names the version that the one before gave. A retry that was applied twice, or an
// acknowledged write that was lost, makes the next one conflict.
TEST(ClientProcessTest, RetriesWhileLeadersAreKilledNeverApplyTwiceAndLoseNothing) {
  TestCluster cluster;
  cluster.StartAll();
  constexpr int kWriters = 4;
  std::atomic<bool> stop = false;
  std::atomic<int> written = 0;
  std::vector<std::thread> writers;
  std::vector<std::string> failures(kWriters);
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      const auto client =
          ConnectTo(cluster, {1 + writer % 3, 1 + (writer + 1) % 3, 1 + (writer + 2) % 3});
      const std::string key = "chain" + std::to_string(writer);
      Version last;
      while (!stop) {
        const Result<Version> put =
            client->Put(key, "value", {.condition = WriteCondition::IfVersion(last)});
        if (!put.ok()) {
          failures[static_cast<std::size_t>(writer)] = put.status().ToString();
          return;
        }
        last = *put;
        ++written;
      }
      const Result<VersionedValue> found = client->GetVersioned(key);
      if (!found.ok() || found->version != last) {
        failures[static_cast<std::size_t>(writer)] = "the last write is not there";
      }
    });
  }
  const auto wait_for_progress = [&] {
    const int goal = written + 20;
    for (int i = 0; i < 3000 && written < goal; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return written >= goal;
  };
  const std::vector<std::vector<Program>> victims = {
      {Program::kStoraged, Program::kRaftd, Program::kRouterd},
      {Program::kRaftd},
      {Program::kStoraged},
      {Program::kRouterd}};
  for (const std::vector<Program>& programs : victims) {
    EXPECT_TRUE(wait_for_progress());
    const int leader = cluster.WaitForLeader();
    EXPECT_NE(leader, 0);
    if (leader == 0) break;
    for (const Program program : programs) cluster.Kill(leader, program);
    EXPECT_TRUE(wait_for_progress());
    cluster.StartAll();
  }
  EXPECT_TRUE(wait_for_progress());
  stop = true;
  for (std::thread& thread : writers) thread.join();
  for (const std::string& failure : failures) EXPECT_EQ(failure, "");
}

TEST(ClientProcessTest, ThePythonExampleOfTheProtocolPageWorksAsItStands) {
  TestCluster cluster;
  cluster.StartAll();
  std::string command = BEDROCK_PYTHON_EXAMPLE_COMMAND;
  for (int node = 1; node <= 3; ++node) command += " " + cluster.ClientEndpoint(node);
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace
}  // namespace bedrock::test
