#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/posix_clock.h"
#include "common/env/thread_executor.h"
#include "tests/checker/serializability.h"
#include "tests/conformance/bank.h"
#include "tests/conformance/embedded_store.h"
#include "tests/conformance/list_append.h"
#include "tests/unit/storaged/embedded/database_fixture.h"

namespace bedrock::conformance {
namespace {

using checker::FindViolation;
using embedded::SimulatedMachine;
using CrashMode = MemoryFileSystem::CrashMode;

struct Modes {
  std::string name;
  std::vector<Mode> modes;
};
const std::vector<Modes>& AllModes() {
  static const std::vector<Modes> all = {{"Pessimistic", {Mode::kPessimistic}},
                                         {"Optimistic", {Mode::kOptimistic}},
                                         {"Both", {Mode::kPessimistic, Mode::kOptimistic}}};
  return all;
}

std::string StoryOf(const std::optional<checker::Violation>& violation) {
  return violation.has_value() ? violation->kind + "\n" + violation->story : "none";
}

// ---- With threads

class WorkloadThreadsTest : public testing::TestWithParam<std::size_t> {
 protected:
  const std::vector<Mode>& modes() const { return AllModes()[GetParam()].modes; }

  MemoryFileSystem files_;
  PosixClock clock_;
  ThreadExecutor executor_{1};
  Environment environment_{.file_system = &files_, .clock = &clock_, .executor = &executor_};
};
INSTANTIATE_TEST_SUITE_P(Modes, WorkloadThreadsTest, testing::Range(std::size_t{0}, std::size_t{3}),
                         [](const auto& test) { return AllModes()[test.param].name; });

TEST_P(WorkloadThreadsTest, TheBankKeepsItsMoney) {
  EmbeddedStore store(environment_);
  const BankResult result = RunBank(store, {.modes = modes(), .transfers = 1000});
  EXPECT_EQ(result.wrong, std::vector<std::string>());
  EXPECT_GT(result.committed, 100u);
  EXPECT_GT(result.sums, 10u);
  EXPECT_EQ(store.waiting(), 0u);
}

TEST_P(WorkloadThreadsTest, ListAppendsAreStrictlySerializable) {
  EmbeddedStore store(environment_);
  Recorder recorder;
  const ListAppendOptions options{.modes = modes()};
  std::atomic<std::uint64_t> committed = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      ListAppendClient client(store, options, recorder, "client" + std::to_string(t), t);
      while (client.committed() + client.refused() < 300) client.Step();
      committed += client.committed();
    });
  }
  for (std::thread& thread : threads) thread.join();
  ListAppendClient(store, options, recorder, "reader", 99).ReadAll();
  EXPECT_GT(committed, 100u);
  EXPECT_EQ(store.waiting(), 0u);
  EXPECT_EQ(StoryOf(FindViolation(recorder.Take())), "none");
}

// ---- Interleaved from a seed, in one thread

/// Clients that take their steps in an order drawn from the seed. A wait for a lock is a timeout at
/// once: nobody else could go on.
class Interleaved {
 public:
  explicit Interleaved(std::uint64_t seed, std::optional<Breakage> broken = std::nullopt)
      : seed_(seed), random_(seed), broken_(broken) {
    options_.keys = 2 + random_.Below(5);
    Open();
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      clients_[random_.Below(clients_.size())]->Step();
      if (random_.Chance(1, 4)) (void)machine_.executor.RunOne();
    }
  }

  /// The machine dies, here or at one of its next writes to the disk, in the midst of a commit.
  void RunIntoACrash() {
    if (random_.Chance(3, 4)) {
      machine_.files.CrashAtMutation(machine_.files.mutations() + random_.Between(1, 12));
      for (int i = 0; i < 2000 && !machine_.files.crashed(); ++i) Run(1);
    }
    Close();
    machine_.Crash(seed_ * 31 + machine_.files.mutations(), CrashMode::kRandom);
    Open();
  }

  std::optional<checker::Violation> Check() {
    for (const auto& client : clients_) client->Abandon();
    clients_.front()->ReadAll();
    Close();
    const checker::History history = recorder_.Take();
    for (const checker::Transaction& transaction : history)
      unknown_ += transaction.fate == checker::Transaction::Fate::kUnknown ? 1 : 0;
    return FindViolation(history);
  }
  std::uint64_t committed() const { return committed_; }
  std::uint64_t unknown() const { return unknown_; }

 private:
  void Open() {
    store_ = std::make_unique<EmbeddedStore>(machine_.environment, broken_);
    for (std::uint64_t i = 0; i < 4; ++i)
      clients_.push_back(std::make_unique<ListAppendClient>(
          *store_, options_, recorder_, "client" + std::to_string(++names_), random_.Next()));
  }
  void Close() {
    for (const auto& client : clients_) committed_ += client->committed();
    clients_.clear();
    store_.reset();
  }

  const std::uint64_t seed_;
  Random random_;
  const std::optional<Breakage> broken_;
  ListAppendOptions options_;
  SimulatedMachine machine_;
  Recorder recorder_;
  std::unique_ptr<EmbeddedStore> store_;
  std::vector<std::unique_ptr<ListAppendClient>> clients_;
  std::uint64_t names_ = 0;
  std::uint64_t committed_ = 0;
  std::uint64_t unknown_ = 0;
};

TEST(InterleavedWorkloadTest, ListAppendsAreStrictlySerializable) {
  std::uint64_t committed = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Interleaved interleaved(seed);
    interleaved.Run(600);
    ASSERT_EQ(StoryOf(interleaved.Check()), "none") << "seed " << seed;
    committed += interleaved.committed();
  }
  EXPECT_GT(committed, 1500u);
}

TEST(InterleavedWorkloadTest, AndStayAcrossCrashes) {
  std::uint64_t committed = 0;
  std::uint64_t unknown = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Interleaved interleaved(seed);
    for (int crash = 0; crash < 4; ++crash) {
      interleaved.Run(100);
      interleaved.RunIntoACrash();
    }
    interleaved.Run(100);
    ASSERT_EQ(StoryOf(interleaved.Check()), "none") << "seed " << seed;
    committed += interleaved.committed();
    unknown += interleaved.unknown();
  }
  EXPECT_GT(committed, 1000u);
  EXPECT_GT(unknown, 50u);
}

// The same workload shows stores without certification and locks for what they are.
class BrokenWorkloadTest : public testing::TestWithParam<Breakage> {};
INSTANTIATE_TEST_SUITE_P(Stores, BrokenWorkloadTest,
                         testing::Values(Breakage::kUncheckedSnapshot, Breakage::kUncheckedNewest,
                                         Breakage::kWriteThrough, Breakage::kStale),
                         [](const auto& test) { return NameOf(test.param); });

TEST_P(BrokenWorkloadTest, IsFoundOut) {
  int found = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Interleaved interleaved(seed, GetParam());
    interleaved.Run(200);
    found += interleaved.Check().has_value() ? 1 : 0;
  }
  EXPECT_EQ(found, 20);
}

}  // namespace
}  // namespace bedrock::conformance
