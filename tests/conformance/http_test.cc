// The suite against three nodes of real processes.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/checker/serializability.h"
#include "tests/conformance/bank.h"
#include "tests/conformance/http_store.h"
#include "tests/conformance/list_append.h"
#include "tests/conformance/scenarios.h"
#include "tests/process/test_cluster.h"

namespace bedrock::conformance {
namespace {

std::string NameOf(Mode mode) { return mode == Mode::kPessimistic ? "Pessimistic" : "Optimistic"; }

class HttpConformanceTest : public testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    cluster_.StartAll();
    std::vector<std::string> urls;
    for (int node = 1; node <= cluster_.nodes(); ++node) urls.push_back(cluster_.Url(node));
    store_ = std::make_unique<HttpStore>(std::move(urls));
  }

  test::TestCluster cluster_;
  std::unique_ptr<HttpStore> store_;
};

INSTANTIATE_TEST_SUITE_P(Modes, HttpConformanceTest,
                         testing::Values(Mode::kPessimistic, Mode::kOptimistic),
                         [](const auto& test) { return NameOf(test.param); });

// One cluster for all schedules: starting three nodes takes longer than most of them.
TEST_P(HttpConformanceTest, EveryScheduleHolds) {
  for (const Scenario& scenario : AllScenarios()) {
    if (scenario.only.value_or(GetParam()) != GetParam()) continue;
    SCOPED_TRACE(scenario.name);
    store_->Clear();
    const Trace trace = RunSchedule(*store_, GetParam(), scenario.before, scenario.steps);
    EXPECT_FALSE(scenario.wrong(trace)) << trace.story;
    const auto commits = [](const Step& step) { return step.kind == Step::Kind::kCommit; };
    EXPECT_EQ(
        std::any_of(scenario.steps.begin(), scenario.steps.end(), commits),
        std::find(trace.committed.begin(), trace.committed.end(), true) != trace.committed.end())
        << trace.story;
    EXPECT_EQ(std::count(trace.ended.begin(), trace.ended.end(), Outcome::kOther), 0)
        << trace.story;
  }
}

TEST_P(HttpConformanceTest, TheBankKeepsItsMoney) {
  const BankResult result =
      RunBank(*store_, {.modes = {GetParam()}, .threads = 4, .transfers = 100});
  EXPECT_EQ(result.wrong, std::vector<std::string>());
  EXPECT_GT(result.committed, 20u);
  EXPECT_GT(result.sums, 5u);
}

TEST_P(HttpConformanceTest, ListAppendsAreStrictlySerializable) {
  Recorder recorder;
  const ListAppendOptions options{.modes = {GetParam()}};
  std::atomic<std::uint64_t> committed = 0;
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<ListAppendClient>> clients;
  for (std::uint64_t t = 0; t < 4; ++t) {
    clients.push_back(std::make_unique<ListAppendClient>(*store_, options, recorder,
                                                         "client" + std::to_string(t), t));
  }
  for (const auto& client : clients) {
    threads.emplace_back([&committed, c = client.get()] {
      while (c->committed() + c->refused() < 100) c->Step();
      c->Abandon();
      committed += c->committed();
    });
  }
  for (std::thread& thread : threads) thread.join();
  ListAppendClient(*store_, options, recorder, "reader", 99).ReadAll();
  EXPECT_GT(committed, 20u);
  const auto violation = checker::FindViolation(recorder.Take());
  EXPECT_FALSE(violation.has_value()) << violation->kind << "\n" << violation->story;
}

}  // namespace
}  // namespace bedrock::conformance
