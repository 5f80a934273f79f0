#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/posix_clock.h"
#include "common/env/thread_executor.h"
#include "tests/conformance/embedded_store.h"
#include "tests/conformance/scenarios.h"

namespace bedrock::conformance {
namespace {

/// A disk in memory, and real time and threads, so that sessions can wait for each other.
struct Machine {
  MemoryFileSystem files;
  PosixClock clock;
  ThreadExecutor executor{1};
  Environment environment{.file_system = &files, .clock = &clock, .executor = &executor};
};

std::string NameOf(Mode mode) { return mode == Mode::kPessimistic ? "Pessimistic" : "Optimistic"; }

struct Case {
  Mode mode;
  const Scenario* scenario;
};

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  for (const Mode mode : {Mode::kPessimistic, Mode::kOptimistic}) {
    for (const Scenario& scenario : AllScenarios()) {
      if (scenario.only.value_or(mode) == mode) cases.push_back({mode, &scenario});
    }
  }
  return cases;
}

class EmbeddedConformanceTest : public testing::TestWithParam<Case> {};

TEST_P(EmbeddedConformanceTest, Holds) {
  const auto [mode, scenario] = GetParam();
  Machine machine;
  EmbeddedStore store(machine.environment);
  const Trace trace = RunSchedule(store, mode, scenario->before, scenario->steps);
  EXPECT_FALSE(scenario->wrong(trace)) << trace.story;
  // Whoever refuses everybody is never wrong.
  const auto commits = [](const Step& step) { return step.kind == Step::Kind::kCommit; };
  EXPECT_EQ(
      std::any_of(scenario->steps.begin(), scenario->steps.end(), commits),
      std::find(trace.committed.begin(), trace.committed.end(), true) != trace.committed.end())
      << trace.story;
  EXPECT_EQ(store.waiting(), 0u);
}

INSTANTIATE_TEST_SUITE_P(All, EmbeddedConformanceTest, testing::ValuesIn(AllCases()),
                         [](const auto& test) {
                           return test.param.scenario->name + NameOf(test.param.mode);
                         });

// Each scenario tells the broken stores it was made for from sound ones, and says of no other one
// that it is broken: what a scenario shows is known.
class ConformanceProofTest : public testing::TestWithParam<std::tuple<Breakage, std::size_t>> {};

TEST_P(ConformanceProofTest, ShowsWhatItShould) {
  const auto [breakage, index] = GetParam();
  const Scenario& scenario = AllScenarios()[index];
  ASSERT_FALSE(scenario.shown_by.empty());
  Machine machine;
  EmbeddedStore store(machine.environment, breakage);
  const Mode mode = scenario.only.value_or(Mode::kPessimistic);
  const Trace trace = RunSchedule(store, mode, scenario.before, scenario.steps);
  EXPECT_EQ(scenario.wrong(trace), scenario.shown_by.contains(breakage)) << trace.story;
}

INSTANTIATE_TEST_SUITE_P(All, ConformanceProofTest,
                         testing::Combine(testing::Values(Breakage::kUncheckedSnapshot,
                                                          Breakage::kUncheckedNewest,
                                                          Breakage::kWriteThrough, Breakage::kStale,
                                                          Breakage::kRefusing),
                                          testing::Range(std::size_t{0}, AllScenarios().size())),
                         [](const auto& test) {
                           return AllScenarios()[std::get<1>(test.param)].name +
                                  NameOf(std::get<0>(test.param));
                         });

}  // namespace
}  // namespace bedrock::conformance
