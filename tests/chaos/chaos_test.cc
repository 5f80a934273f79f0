#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/nemesis.h"
#include "tests/chaos/workload.h"
#include "tests/process/test_cluster.h"

namespace bedrock::chaos {
namespace {

constexpr std::uint64_t kClientsEach = 3;
constexpr std::uint64_t kSecondsDefault = 20;

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// BEDROCK_CHAOS_SECONDS and BEDROCK_CHAOS_SEED, as scripts/chaos.sh sets them.
TEST(ChaosTest, NothingIsLostNorDoneTwiceNorSeenHalfDoneWhateverIsKilled) {
  const std::uint64_t seed = FromEnvironment("BEDROCK_CHAOS_SEED", 1);
  const std::uint64_t seconds = FromEnvironment("BEDROCK_CHAOS_SECONDS", kSecondsDefault);
  std::cout << "seed " << seed << ", " << seconds << " s\n";
  test::TestCluster cluster;
  cluster.StartAll();
  if (testing::Test::HasFatalFailure()) return;
  std::vector<std::string> urls;
  for (int node = 1; node <= cluster.nodes(); ++node) urls.push_back(cluster.Url(node));

  std::vector<std::unique_ptr<Workload>> workloads;
  workloads.push_back(NewBank());
  workloads.push_back(NewListAppend());
  workloads.push_back(NewCounters());
  for (const auto& workload : workloads) ASSERT_EQ(workload->Prepare(urls, seed), "");

  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (const auto& workload : workloads) {
    for (std::uint64_t client = 0; client < kClientsEach; ++client) {
      threads.emplace_back([&, client] { workload->Work(urls, client, seed, stop); });
    }
  }
  Nemesis nemesis(cluster, Random(seed).Fork(kClientsEach));
  std::thread disasters([&] { nemesis.Run(stop); });
  std::this_thread::sleep_for(std::chrono::seconds(seconds));
  stop = true;
  disasters.join();
  cluster.StartAll();  // clients that may not give up need it
  for (std::thread& thread : threads) thread.join();

  std::cout << nemesis.Summary() << "\n";
  for (const auto& workload : workloads) {
    EXPECT_EQ(workload->Check(urls, seed), "") << workload->name();
    const Tally& tally = workload->tally();
    std::cout << workload->name() << ": " << tally.done << " done, " << tally.refused
              << " refused, " << tally.unknown << " unknown\n";
    EXPECT_GT(tally.done, 0u) << workload->name() << " did nothing, so nothing was tested";
  }
}

}  // namespace
}  // namespace bedrock::chaos
