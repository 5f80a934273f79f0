// Replicas of one log on real engines over a disk that crashes: whatever each was flushed, crashed
// and replayed, all give the same replies and hold the same content, and those are what a simple
// model of the rules says.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "proto/errors.h"
#include "storaged/core/keyspace.h"
#include "storaged/core/state_machine.h"
#include "storaged/engine/engine.h"
#include "tests/unit/storaged/core/entries.h"

namespace bedrock::storage {
namespace {

using proto::CommandResult;
using proto::Condition;
using proto::ErrorCode;

constexpr std::uint64_t kEntries = 1'500;

// A log with everything in it that a log may hold.
class LogMaker {
 public:
  explicit LogMaker(std::uint64_t seed) : random_(seed) {}

  std::vector<raft::Entry> Make() {
    std::vector<raft::Entry> log;
    for (std::uint64_t index = 1; index <= kEntries; ++index) {
      // Now and then a leader's clock is hours ahead, or the cluster was quiet for some minutes.
      time_ms_ += random_.Below(200);
      if (random_.Chance(1, 100)) time_ms_ += random_.Below(240'000);
      if (random_.Chance(1, 500)) time_ms_ += 21'600'000;
      log.push_back(EntryAt(index));
      log.back().time_ms = time_ms_;
    }
    return log;
  }

 private:
  raft::Entry EntryAt(std::uint64_t index) {
    switch (random_.Below(20)) {
      case 0:
        return Noop(index);
      case 1:
        return MakeEntry(index, "members", raft::EntryKind::kMembership);
      case 2:
        return MakeEntry(index, "bytes that are no command");
      case 3:
      case 4:
      case 5:
        // Sent again, perhaps long after its session has moved on.
        if (!sent_.empty()) {
          const std::size_t back = random_.Below(std::min<std::size_t>(sent_.size(), 200));
          return MakeEntry(index, sent_[sent_.size() - 1 - back]);
        }
        break;
      default:
        break;
    }
    return MakeEntry(index, CommandBytes());
  }

  std::string CommandBytes() {
    const std::uint64_t session = 1 + random_.Below(12);
    auto& next = next_[session];
    auto& low_water = low_water_[session];
    ++next;
    low_water = std::max(low_water, next - std::min(next, random_.Below(12)));
    proto::Command command = MakeCommand(session, next, low_water);
    std::vector<std::string> texts;  // what the command's views borrow
    texts.reserve(16);
    const auto text = [&texts](std::string made) -> std::string_view {
      return texts.emplace_back(std::move(made));
    };
    for (std::uint64_t i = random_.Below(3); i > 0; --i) {
      command.conditions.push_back({static_cast<Condition::Kind>(random_.Below(3)), text(Key()),
                                    Version(random_.Below(kEntries))});
    }
    for (std::uint64_t i = random_.Below(4); i > 0; --i) {
      command.operations.push_back(
          random_.Chance(1, 3) ? DeleteOf(text(Key()))
                               : PutOf(text(Key()), text(std::string(random_.Below(300), 'v') +
                                                         std::to_string(random_.Next()))));
    }
    sent_.push_back(proto::EncodeCommand(command));
    return sent_.back();
  }
  std::string Key() { return "key" + std::to_string(random_.Below(40)); }

  Random random_;
  std::uint64_t time_ms_ = 1'700'000'000'000;
  std::vector<std::string> sent_;
  std::map<std::uint64_t, std::uint64_t> next_, low_water_;
};

// The rules, as plainly as they can be said: nothing is ever cleaned up but by looking at
// everything.
class Model {
 public:
  CommandResult Apply(const raft::Entry& entry) {
    clock_ += std::min<std::uint64_t>(entry.time_ms - time_, kSessionClockStepMsMax);
    time_ = entry.time_ms;
    CommandResult result;
    result.version = Version(entry.index.value());
    if (entry.kind != raft::EntryKind::kCommand) return result;
    const auto command = proto::DecodeCommand(entry.payload.view());
    if (!command.ok()) {
      result.code = ErrorCode::kInvalidArgument;
      return result;
    }
    auto& session = sessions_[command->session.value()];
    if (clock_ - session.active > kSessionIdleMsMax) session = {};
    session.active = clock_;
    session.low_water = std::max(session.low_water, command->low_water);
    if (command->sequence < session.low_water) {
      result.code = ErrorCode::kStaleSequence;
      return result;
    }
    const auto [reply, is_new] = session.replies.try_emplace(command->sequence);
    if (is_new) reply->second = Execute(*command, result);
    return reply->second;
  }

  std::string Dump() const {
    std::string out;
    for (const auto& [key, state] : content_) {
      out += key + "@" + std::to_string(state.first) + "=" + state.second + "\n";
    }
    return out;
  }

 private:
  struct Session {
    std::uint64_t active = 0, low_water = 0;
    std::map<std::uint64_t, CommandResult> replies;
  };

  CommandResult Execute(const proto::Command& command, CommandResult result) {
    for (std::uint32_t i = 0; i < command.conditions.size(); ++i) {
      const auto& condition = command.conditions[i];
      const auto found = content_.find(std::string(condition.key));
      const Version current(found == content_.end() ? 0 : found->second.first);
      const bool exists = found != content_.end();
      const bool holds = condition.kind == Condition::Kind::kExists ? exists
                         : condition.kind == Condition::Kind::kAbsent
                             ? !exists
                             : current == condition.version;
      if (holds) continue;
      result.code = ErrorCode::kPreconditionFailed;
      result.current = current;
      result.failed_condition = i;
      return result;
    }
    for (const auto& operation : command.operations) {
      content_.erase(std::string(operation.key));
      if (operation.kind == proto::Operation::Kind::kDelete) continue;
      content_[std::string(operation.key)] = {result.version.value(), std::string(operation.value)};
    }
    return result;
  }

  std::uint64_t time_ = 0, clock_ = 0;
  std::map<std::uint64_t, Session> sessions_;
  std::map<std::string, std::pair<std::uint64_t, std::string>> content_;  // version, value
};

class Replica {
 public:
  explicit Replica(std::uint64_t seed) : random_(seed) { Open(); }

  // Applies the rest of the log with flushes, background work and crashes in between. Gives the
  // result of each entry; those of a replay have to be the same again.
  std::vector<CommandResult> Run(const std::vector<raft::Entry>& log) {
    std::vector<std::optional<CommandResult>> results(log.size());
    while (machine_->applied().value() < log.size()) {
      const std::size_t at = machine_->applied().value();
      auto result = machine_->Apply(log[at]);
      if (result.ok()) {
        if (results[at]) {
          EXPECT_EQ(*results[at], *result) << "replay of entry " << at + 1;
        }
        results[at] = *result;
      } else {
        EXPECT_TRUE(result.status().IsBusy()) << result.status().ToString();
        if (!result.status().IsBusy()) break;
        EXPECT_TRUE(executor_->RunOne()) << "busy for ever";
      }
      Disturb();
    }
    std::vector<CommandResult> out;
    out.reserve(results.size());
    for (const auto& result : results) out.push_back(result.value_or(CommandResult{}));
    return out;
  }

  void FlushAndRestart() {
    executor_->RunAll();  // so that there is room for one more memtable
    machine_->StartFlush();
    executor_->RunAll();
    Crash(MemoryFileSystem::CrashMode::kLoseUnsynced);
  }
  std::string Dump() const {
    std::string out;
    const auto iterator = engine_->NewIterator({.at = Version(machine_->applied().value())},
                                               {kUserKeysBegin, kUserKeysEnd});
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      out += std::string(iterator->key().substr(1)) + "@" +
             std::to_string(iterator->version().value()) + "=" + std::string(iterator->value()) +
             "\n";
    }
    EXPECT_TRUE(iterator->status().ok()) << iterator->status().ToString();
    return out;
  }
  const StateMachine& machine() const { return *machine_; }
  std::uint64_t crashes() const { return crashes_; }
  std::uint64_t crashes_with_data() const { return crashes_with_data_; }

 private:
  void Disturb() {
    if (engine_->WantsFlush() || random_.Chance(1, 40)) machine_->StartFlush();
    if (random_.Chance(1, 4)) executor_->RunOne();
    if (random_.Chance(1, 20)) machine_->EngineProgressed();
    if (random_.Chance(1, 60)) {
      Crash(random_.Chance(1, 2) ? MemoryFileSystem::CrashMode::kRandom
                                 : MemoryFileSystem::CrashMode::kProcessOnly);
    }
  }

  void Crash(MemoryFileSystem::CrashMode mode) {
    const LogIndex durable = engine_->durable_applied().index;
    executor_->Clear();
    machine_.reset();
    engine_.reset();
    file_system_.Crash(random_, mode);
    ++crashes_;
    Open();
    if (machine_->applied()) ++crashes_with_data_;
    EXPECT_GE(machine_->applied(), durable) << "what was durable is gone";
  }

  void Open() {
    executor_ = std::make_unique<ManualExecutor>(random_.Fork(random_.Next()));
    engine::EngineOptions options;
    options.directory = "storage";
    options.memtable_bytes = 8 * kKiB;
    options.table_bytes = 8 * kKiB;
    auto engine = engine::Engine::Open(
        {.file_system = &file_system_, .clock = &clock_, .executor = executor_.get()}, options);
    CHECK_MSG(engine.ok(), engine.status().ToString());
    engine_ = std::move(engine).value();
    auto machine = StateMachine::Open(*engine_);
    CHECK_MSG(machine.ok(), machine.status().ToString());
    machine_ = std::move(machine).value();
  }

  Random random_;
  MemoryFileSystem file_system_;
  ManualClock clock_;
  std::unique_ptr<ManualExecutor> executor_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<StateMachine> machine_;
  std::uint64_t crashes_ = 0;
  std::uint64_t crashes_with_data_ = 0;
};

class ReplayTest : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ReplayTest, ReplicasThatCrashAndReplayEndAlikeAndAsTheModelSays) {
  const std::vector<raft::Entry> log = LogMaker(GetParam()).Make();
  Model model;
  std::vector<CommandResult> expected;
  expected.reserve(log.size());
  for (const auto& entry : log) expected.push_back(model.Apply(entry));

  Replica a(2 * GetParam());
  Replica b(2 * GetParam() + 1);
  const auto results_a = a.Run(log);
  const auto results_b = b.Run(log);
  for (std::size_t i = 0; i < log.size(); ++i) {
    ASSERT_EQ(results_a[i], expected[i]) << "entry " << i + 1;
    ASSERT_EQ(results_b[i], expected[i]) << "entry " << i + 1;
  }
  EXPECT_EQ(a.Dump(), model.Dump());
  EXPECT_EQ(b.Dump(), model.Dump());
  EXPECT_EQ(a.machine().sessions(), b.machine().sessions());
  EXPECT_EQ(a.machine().sessions().Encode(), b.machine().sessions().Encode());
  EXPECT_GT(a.crashes_with_data(), 0u);

  a.FlushAndRestart();
  EXPECT_EQ(a.machine().applied(), LogIndex(kEntries));
  EXPECT_EQ(a.Dump(), model.Dump());
  EXPECT_EQ(a.machine().sessions(), b.machine().sessions());
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReplayTest, ::testing::Range<std::uint64_t>(1, 13));

// The logs of these tests must hold what they claim to test.
TEST(ReplayLogTest, HoldsEveryOutcome) {
  std::map<ErrorCode, int> outcomes;
  int repeated = 0;
  for (std::uint64_t seed = 1; seed < 13; ++seed) {
    Model model;
    for (const auto& entry : LogMaker(seed).Make()) {
      const auto result = model.Apply(entry);
      ++outcomes[result.code];
      if (result.version.value() != entry.index.value()) ++repeated;
    }
  }
  EXPECT_GT(outcomes[ErrorCode::kOk], 1'000);
  EXPECT_GT(outcomes[ErrorCode::kPreconditionFailed], 1'000);
  EXPECT_GT(outcomes[ErrorCode::kStaleSequence], 200);
  EXPECT_GT(outcomes[ErrorCode::kInvalidArgument], 200);
  EXPECT_GT(repeated, 100);
}

}  // namespace
}  // namespace bedrock::storage
