#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "tests/unit/storaged/engine/engine_fixture.h"

namespace bedrock::engine {
namespace {

constexpr Version kNewest{std::uint64_t{1} << 50};
constexpr std::uint64_t kCommits = 150;

Model MakeModel(std::uint64_t seed) {
  Random random(seed);
  Model model;
  for (std::uint64_t i = 0; i < kCommits; ++i) model.Append(RandomCommit(random));
  return model;
}

/// Applies the log from where the engine stands, flushing as it asks for it, until the end or until
/// the disk dies. Gives the highest mark that was reported durable. The same seed makes the same
/// calls.
AppliedMark ApplyLog(Engine& engine, const Model& model, ManualWorld& world, std::uint64_t seed) {
  Random random(seed);
  AppliedMark durable = engine.durable_applied();
  while (engine.applied().index < model.last() && !world.disk.crashed()) {
    const LogIndex next = engine.applied().index.Next();
    const Status status = ApplyCommit(engine, model.commit(next), MarkAt(next));
    if (status.ok() && (engine.WantsFlush() || random.Chance(1, 15))) {
      engine.StartFlush(ClientStateAt(next));
    }
    if (next.value() % 10 == 0) engine.SetWatermark(Version(next.value() - 5));
    if (!status.ok() || random.Chance(1, 2)) {
      if (!world.executor.RunOne() && !status.ok()) break;
    }
    durable = engine.durable_applied();
  }
  for (int round = 0; round < 3 && !world.disk.crashed(); ++round) {
    world.executor.RunAll();  // makes room, so that the flush is taken
    engine.StartFlush(ClientStateAt(engine.applied().index));
  }
  if (!world.disk.crashed()) durable = engine.durable_applied();
  return durable;
}

class EngineCrashTest
    : public testing::TestWithParam<std::tuple<MemoryFileSystem::CrashMode, std::uint64_t>> {
 protected:
  /// Whatever the crash left: exactly the state at some mark that is at least `reported`, and
  /// applying the log from there ends where a run without a crash ends.
  static void ExpectExactlyOnce(ManualWorld& world, const Model& model, AppliedMark reported,
                                std::uint64_t seed) {
    const auto engine = world.Open(SmallOptions());
    ASSERT_NE(engine, nullptr);
    const AppliedMark durable = engine->durable_applied();
    ASSERT_GE(durable.index, reported.index);
    ASSERT_EQ(durable, durable.index ? MarkAt(durable.index) : AppliedMark{});
    ASSERT_EQ(engine->client_state(), ClientStateAt(durable.index));
    ASSERT_TRUE(engine->Verify().ok()) << engine->Verify().ToString();
    ExpectEqualAt(*engine, model, kNewest, Version(durable.index.value()));
    ASSERT_EQ(ApplyLog(*engine, model, world, seed).index, model.last());
    ExpectEqualAt(*engine, model, kNewest, Version(kCommits));
    ExpectNoStrayFiles(world, *engine);
  }

  static void ExpectNoStrayFiles(ManualWorld& world, const Engine& engine) {
    const EngineStats stats = engine.Stats();
    std::size_t live = stats.blob_files;
    for (const auto& level : stats.levels) live += level.files;
    const auto names = world.disk.List("/db");
    ASSERT_TRUE(names.ok());
    EXPECT_EQ(names->size(), live + 3) << "tables, blob files, CURRENT, LOCK and one MANIFEST";
  }
};

TEST_P(EngineCrashTest, RecoversExactlyAfterACrashAtEveryChangeOfTheDisk) {
  const auto [mode, seed] = GetParam();
  const Model model = MakeModel(seed);
  std::uint64_t mutations = 0;
  {
    ManualWorld world(seed);
    const auto engine = world.Open(SmallOptions());
    ASSERT_EQ(ApplyLog(*engine, model, world, seed).index, model.last());
    mutations = world.disk.mutations();
    ASSERT_GT(CompactedFiles(engine->Stats()), 0u) << "the scenario has to reach compactions";
  }
  ASSERT_GT(mutations, 100u);
  for (std::uint64_t at = 1; at <= mutations && !HasFatalFailure(); ++at) {
    SCOPED_TRACE("crash at change " + std::to_string(at));
    ManualWorld world(seed);
    world.disk.CrashAtMutation(at);
    AppliedMark reported{};
    {
      auto opened = Engine::Open(world.environment(), SmallOptions());
      if (opened.ok()) reported = ApplyLog(**opened, model, world, seed);
    }
    ASSERT_TRUE(world.disk.crashed());
    world.executor.Clear();
    Random crash(seed * 1000 + at);
    world.disk.Crash(crash, mode);
    // The first recoveries may meet the same fate.
    for (std::uint64_t again = crash.Below(8); again > 0; again /= 2) {
      world.disk.CrashAtMutation(world.disk.mutations() + again);
      { auto recovering = Engine::Open(world.environment(), SmallOptions()); }
      world.executor.Clear();
      world.disk.Crash(crash, mode);
    }
    ExpectExactlyOnce(world, model, reported, seed + at);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Modes, EngineCrashTest,
    testing::Combine(testing::Values(MemoryFileSystem::CrashMode::kProcessOnly,
                                     MemoryFileSystem::CrashMode::kLoseUnsynced,
                                     MemoryFileSystem::CrashMode::kKeepUnsynced,
                                     MemoryFileSystem::CrashMode::kRandom),
                     testing::Values(1, 2, 3)));

}  // namespace
}  // namespace bedrock::engine
