#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "storaged/core/keyspace.h"
#include "storaged/core/state_machine.h"
#include "storaged/engine/engine.h"
#include "tests/unit/storaged/core/entries.h"

namespace bedrock::storage {

/// A state machine on a real engine of small files, on a disk in memory that can crash. Background
/// work runs when the test says so.
class Replica {
 public:
  explicit Replica(std::uint64_t seed) : random_(seed) { Open(); }

  StateMachine& machine() { return *machine_; }
  const StateMachine& machine() const { return *machine_; }
  engine::Engine& engine() { return *engine_; }
  std::uint64_t next_index() const { return machine_->applied().value() + 1; }

  /// Gives way to background work for as long as the engine is busy.
  proto::CommandResult Apply(const raft::Entry& entry) {
    for (;;) {
      auto result = machine_->Apply(entry);
      if (engine_->WantsFlush()) machine_->StartFlush();
      if (result.ok()) return std::move(result).value();
      CHECK_MSG(result.status().IsBusy(), result.status().ToString());
      CHECK_MSG(executor_->RunOne(), "busy for ever");
    }
  }
  /// At the next index.
  proto::CommandResult Apply(const proto::Command& command) {
    return Apply(MakeEntry(next_index(), command));
  }

  /// One step of background work; false: there is none.
  bool RunOne() {
    const bool ran = executor_->RunOne();
    machine_->EngineProgressed();
    return ran;
  }
  void StartFlush() { machine_->StartFlush(); }
  void Flush() {
    executor_->RunAll();  // so that there is room for one more memtable
    machine_->StartFlush();
    executor_->RunAll();
    machine_->EngineProgressed();
  }
  void FlushAndRestart() {
    Flush();
    Crash(MemoryFileSystem::CrashMode::kLoseUnsynced);
  }
  void Crash(MemoryFileSystem::CrashMode mode) {
    const LogIndex durable = engine_->durable_applied().index;
    executor_->Clear();
    machine_.reset();
    engine_.reset();
    file_system_.Crash(random_, mode);
    Open();
    CHECK_MSG(machine_->applied() >= durable, "what was durable is gone");
  }

  /// All that is in the engine at the newest version: "key@version=value" lines.
  std::string Dump() const { return Dump({}); }
  /// Users' keys in [begin, end).
  std::vector<std::string> LiveKeys(std::string_view begin, std::string_view end) const {
    std::vector<std::string> keys;
    const std::string from = EngineKey(begin);
    const std::string to = EngineEnd(end);
    const auto walk = engine_->NewIterator({}, {from, to});
    for (walk->SeekToFirst(); walk->Valid(); walk->Next()) keys.emplace_back(UserKey(walk->key()));
    CHECK(walk->status().ok());
    return keys;
  }
  std::string Dump(Range range) const {
    std::string out;
    const auto walk = engine_->NewIterator({}, range);
    for (walk->SeekToFirst(); walk->Valid(); walk->Next()) {
      out += std::string(walk->key()) + "@" + std::to_string(walk->version().value()) + "=" +
             std::string(walk->value()) + "\n";
    }
    CHECK_MSG(walk->status().ok(), walk->status().ToString());
    return out;
  }

 private:
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
};

}  // namespace bedrock::storage
