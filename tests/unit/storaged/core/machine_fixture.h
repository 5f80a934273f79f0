#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storaged/core/state_machine.h"
#include "tests/unit/storaged/core/entries.h"
#include "tests/unit/storaged/core/fake_engine.h"

namespace bedrock::storage {

/// A state machine on a fake engine, whose session numbers commands by itself.
class MachineTest : public ::testing::Test {
 protected:
  void SetUp() override { Restart(); }

  /// What was not flushed is gone.
  void Restart() {
    machine_.reset();
    engine_ = std::make_unique<FakeEngine>(disk_);
    auto opened = StateMachine::Open(*engine_);
    ASSERT_TRUE(opened.ok()) << opened.status().ToString();
    machine_ = std::move(opened).value();
  }
  void Flush() {
    machine_->StartFlush();
    engine_->FinishFlushes();
    machine_->EngineProgressed();
  }
  void FlushAndRestart() {
    Flush();
    Restart();
  }

  std::uint64_t NextIndex() const { return machine_->applied().value() + 1; }
  proto::CommandResult Apply(const raft::Entry& entry) {
    auto result = machine_->Apply(entry);
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return result.ok() ? *result : proto::CommandResult{};
  }
  /// At the next index, as it is.
  proto::CommandResult Apply(const proto::Command& command) {
    return Apply(MakeEntry(NextIndex(), command));
  }
  /// A new command of session 1.
  proto::Command New() { return MakeCommand(1, ++sequence_); }
  proto::CommandResult Apply(std::vector<proto::Operation> operations) {
    proto::Command command = New();
    command.operations = std::move(operations);
    return Apply(command);
  }
  /// A command that writes "out" = "written" where it gets that far.
  proto::CommandResult ApplyIf(const proto::Condition& condition) {
    proto::Command command = New();
    command.conditions = {condition};
    command.operations = {PutOf("out", "written")};
    return Apply(command);
  }
  proto::CommandResult ApplyReading(std::vector<proto::Read> reads, std::uint64_t read_version) {
    proto::Command command = New();
    command.reads = std::move(reads);
    command.read_version = Version(read_version);
    command.operations = {PutOf("out", "written")};
    return Apply(command);
  }

  std::string ValueOf(std::string_view key) const {
    const auto found = machine_->Get(key);
    EXPECT_TRUE(found.ok()) << found.status().ToString();
    return found.ok() && found->found ? found->value : "(absent)";
  }
  /// Whether the last command got to write.
  bool HasWritten() const {
    const auto found = machine_->Get("out");
    return found.ok() && found->found && found->version == machine_->newest();
  }

  FakeDisk disk_;
  std::unique_ptr<FakeEngine> engine_;
  std::unique_ptr<StateMachine> machine_;
  std::uint64_t sequence_ = 0;
};

}  // namespace bedrock::storage
