#include "storaged/core/state_machine.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "proto/errors.h"
#include "storaged/core/keyspace.h"
#include "tests/unit/storaged/core/entries.h"
#include "tests/unit/storaged/core/fake_engine.h"
#include "tests/unit/storaged/core/machine_fixture.h"

namespace bedrock::storage {
namespace {

using proto::Condition;
using proto::ErrorCode;

using StateMachineTest = MachineTest;

proto::Command ConditionalPut(std::uint64_t sequence, Condition condition, std::string_view key,
                              std::string_view value) {
  proto::Command command = PutCommand(7, sequence, key, value);
  command.conditions.push_back(condition);
  return command;
}

TEST_F(StateMachineTest, APutIsReadAtItsLogIndex) {
  Apply(Noop(1));
  const auto result = Apply(PutCommand(7, 1, "k", "v"));
  EXPECT_EQ(result.code, ErrorCode::kOk);
  EXPECT_EQ(result.version, Version(2));
  const auto found = machine_->Get("k");
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->found);
  EXPECT_EQ(found->value, "v");
  EXPECT_EQ(found->version, Version(2));
}

TEST_F(StateMachineTest, EveryKindOfEntryAdvancesTheAppliedIndex) {
  Apply(Noop(1));
  Apply(MakeEntry(2, "members", raft::EntryKind::kMembership));
  Apply(MakeEntry(3, "no command"));
  Apply(MakeEntry(4, PutCommand(7, 1, "k", "v")));
  Apply(MakeEntry(5, PutCommand(7, 1, "k", "v")));
  EXPECT_EQ(machine_->applied(), LogIndex(5));
}

TEST_F(StateMachineTest, BytesThatAreNoCommandAreInvalidAndWriteNothing) {
  const auto result = Apply(MakeEntry(1, "no command"));
  EXPECT_EQ(result.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine_->sessions().session_count(), 0u);
  EXPECT_EQ(machine_->applied(), LogIndex(1));
}

TEST_F(StateMachineTest, ACommandOutOfBoundsIsInvalidAndLeavesNoTrace) {
  EXPECT_EQ(Apply(PutCommand(0, 1, "k", "v")).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Apply(PutCommand(7, 0, "k", "v")).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(Apply(PutCommand(7, 1, "", "v")).code, ErrorCode::kInvalidArgument);
  const std::string long_key(proto::kKeyBytesMax + 1, 'k');
  EXPECT_EQ(Apply(PutCommand(7, 1, long_key, "v")).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine_->sessions().session_count(), 0u);
  EXPECT_EQ(Apply(PutCommand(7, 1, "k", "v")).code, ErrorCode::kOk);
}

TEST_F(StateMachineTest, ADeleteRemovesTheKey) {
  Apply(PutCommand(7, 1, "k", "v"));
  proto::Command command = MakeCommand(7, 2);
  command.operations.push_back(DeleteOf("k"));
  EXPECT_EQ(Apply(command).code, ErrorCode::kOk);
  EXPECT_EQ(ValueOf("k"), "(absent)");
}

TEST_F(StateMachineTest, TheLastOperationOfAKeyWins) {
  proto::Command command = MakeCommand(7, 1);
  command.operations = {PutOf("a", "1"), DeleteOf("a"), PutOf("a", "2"), PutOf("b", "1"),
                        DeleteOf("b")};
  Apply(command);
  EXPECT_EQ(ValueOf("a"), "2");
  EXPECT_EQ(ValueOf("b"), "(absent)");
}

TEST_F(StateMachineTest, ManyOperationsOfOneCommandAllLand) {
  proto::Command command = MakeCommand(7, 1);
  std::vector<std::string> keys;
  keys.reserve(1'000);
  for (int i = 0; i < 1'000; ++i)
    keys.push_back("key-" + std::string(static_cast<std::size_t>(i % 90), 'x') + std::to_string(i));
  for (const auto& key : keys) command.operations.push_back(PutOf(key, key));
  Apply(command);
  for (const auto& key : keys) ASSERT_EQ(ValueOf(key), key);
}

TEST_F(StateMachineTest, UserKeysStandUnderTheirPrefix) {
  Apply(PutCommand(7, 1, "k", "v"));
  FlushAndRestart();
  ASSERT_EQ(disk_.content.size(), 1u);
  EXPECT_EQ(disk_.content.begin()->first, "uk");
}

TEST_F(StateMachineTest, VersionEqualsComparesTheKeysVersion) {
  Apply(PutCommand(7, 1, "k", "1"));
  const Condition same{Condition::Kind::kVersionEquals, "k", Version(1)};
  EXPECT_EQ(Apply(ConditionalPut(2, same, "k", "2")).code, ErrorCode::kOk);
  const auto refused = Apply(ConditionalPut(3, same, "k", "3"));
  EXPECT_EQ(refused.code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(refused.version, Version(3));
  EXPECT_EQ(refused.current, Version(2));
  EXPECT_EQ(ValueOf("k"), "2");
}

TEST_F(StateMachineTest, VersionZeroMeansAbsentAlsoAfterADelete) {
  const Condition absent{Condition::Kind::kVersionEquals, "k", Version()};
  EXPECT_EQ(Apply(ConditionalPut(1, absent, "k", "1")).code, ErrorCode::kOk);
  EXPECT_EQ(Apply(ConditionalPut(2, absent, "k", "2")).code, ErrorCode::kPreconditionFailed);
  proto::Command command = MakeCommand(7, 3);
  command.operations.push_back(DeleteOf("k"));
  Apply(command);
  EXPECT_EQ(Apply(ConditionalPut(4, absent, "k", "4")).code, ErrorCode::kOk);
}

TEST_F(StateMachineTest, ExistsAndAbsentLookAtTheKey) {
  const Condition exists{Condition::Kind::kExists, "k", Version()};
  const Condition absent{Condition::Kind::kAbsent, "k", Version()};
  const auto missing = Apply(ConditionalPut(1, exists, "k", "1"));
  EXPECT_EQ(missing.code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(missing.current, Version());
  EXPECT_EQ(Apply(ConditionalPut(2, absent, "k", "2")).code, ErrorCode::kOk);
  const auto there = Apply(ConditionalPut(3, absent, "k", "3"));
  EXPECT_EQ(there.code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(there.current, Version(2));
  EXPECT_EQ(Apply(ConditionalPut(4, exists, "k", "4")).code, ErrorCode::kOk);
}

TEST_F(StateMachineTest, NamesTheFirstConditionThatDoesNotHold) {
  Apply(PutCommand(7, 1, "a", "1"));
  proto::Command command = PutCommand(7, 2, "a", "2");
  command.conditions = {{Condition::Kind::kExists, "a", Version()},
                        {Condition::Kind::kExists, "b", Version()},
                        {Condition::Kind::kAbsent, "a", Version()}};
  const auto result = Apply(command);
  EXPECT_EQ(result.code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(result.failed_condition, 1u);
  EXPECT_EQ(ValueOf("a"), "1");
}

TEST_F(StateMachineTest, TheSameCommandAtTwoIndexesIsExecutedOnce) {
  const proto::Command command = PutCommand(7, 1, "k", "v");
  const auto first = Apply(command);
  Apply(PutCommand(8, 1, "k", "other"));
  EXPECT_EQ(Apply(command), first);
  EXPECT_EQ(ValueOf("k"), "other");
}

TEST_F(StateMachineTest, ARefusalIsRepeatedThoughTheConditionWouldHoldNow) {
  const Condition exists{Condition::Kind::kExists, "k", Version()};
  const proto::Command command = ConditionalPut(1, exists, "k", "1");
  const auto refused = Apply(command);
  ASSERT_EQ(refused.code, ErrorCode::kPreconditionFailed);
  Apply(PutCommand(8, 1, "k", "other"));
  EXPECT_EQ(Apply(command), refused);
  EXPECT_EQ(ValueOf("k"), "other");
}

TEST_F(StateMachineTest, ARepeatedCommandIsKnownAfterFlushAndRestart) {
  const proto::Command command = PutCommand(7, 1, "k", "v");
  const auto first = Apply(command);
  Apply(PutCommand(8, 1, "k", "other"));
  FlushAndRestart();
  EXPECT_EQ(machine_->applied(), LogIndex(2));
  EXPECT_EQ(Apply(command), first);
  EXPECT_EQ(ValueOf("k"), "other");
}

TEST_F(StateMachineTest, ARepeatedCommandIsKnownAfterACrashThatLostBoth) {
  const proto::Command command = PutCommand(7, 1, "k", "v");
  const auto entry1 = MakeEntry(1, command);
  const auto entry2 = MakeEntry(2, PutCommand(8, 1, "k", "other"));
  const auto entry3 = MakeEntry(3, command);
  const auto first = Apply(entry1);
  Apply(entry2);
  EXPECT_EQ(Apply(entry3), first);
  Restart();
  ASSERT_EQ(machine_->applied(), LogIndex(0));
  EXPECT_EQ(Apply(entry1), first);
  Apply(entry2);
  EXPECT_EQ(Apply(entry3), first);
  EXPECT_EQ(ValueOf("k"), "other");
}

TEST_F(StateMachineTest, ACommandBelowTheLowWaterMarkIsNeverExecuted) {
  Apply(PutCommand(7, 1, "k", "1"));
  Apply(PutCommand(7, 3, "k", "3", 3));
  const auto late = Apply(PutCommand(7, 2, "k", "2", 1));
  EXPECT_EQ(late.code, ErrorCode::kStaleSequence);
  EXPECT_EQ(Apply(PutCommand(7, 1, "k", "1")).code, ErrorCode::kStaleSequence);
  EXPECT_EQ(ValueOf("k"), "3");
}

TEST_F(StateMachineTest, CommandsOfASessionMayComeInAnyOrder) {
  Apply(PutCommand(7, 3, "k", "3", 1));
  EXPECT_EQ(Apply(PutCommand(7, 2, "k", "2", 1)).code, ErrorCode::kOk);
  EXPECT_EQ(ValueOf("k"), "2");
}

TEST_F(StateMachineTest, ABusyEngineChangesNothingAndTheEntryIsAppliedOnRetry) {
  Apply(PutCommand(7, 1, "k", "1"));
  const auto entry = MakeEntry(2, PutCommand(7, 2, "k", "2", 2));
  engine_->apply_status = Status::Busy("flush");
  EXPECT_TRUE(machine_->Apply(entry).status().IsBusy());
  EXPECT_EQ(machine_->applied(), LogIndex(1));
  EXPECT_EQ(ValueOf("k"), "1");
  engine_->apply_status = Status::Ok();
  const auto result = Apply(entry);
  EXPECT_EQ(result.code, ErrorCode::kOk);
  EXPECT_EQ(result.version, Version(2));
  EXPECT_EQ(ValueOf("k"), "2");
}

TEST_F(StateMachineTest, AFlushBetweenBusyAndRetryLosesNothing) {
  Apply(PutCommand(7, 1, "k", "1"));
  const auto entry = MakeEntry(2, PutCommand(7, 2, "k", "2", 2));
  engine_->apply_status = Status::Busy("flush");
  EXPECT_TRUE(machine_->Apply(entry).status().IsBusy());
  FlushAndRestart();
  ASSERT_EQ(machine_->applied(), LogIndex(1));
  EXPECT_EQ(Apply(entry).code, ErrorCode::kOk);
  EXPECT_EQ(ValueOf("k"), "2");
}

TEST_F(StateMachineTest, AConditionThatCannotBeReadStopsThisReplicaAtTheEntry) {
  Apply(PutCommand(7, 1, "k", "1"));
  engine_->get_status = Status::Corruption("000012.sst: block at 4096");
  const Condition exists{Condition::Kind::kExists, "k", Version()};
  const auto result = machine_->Apply(MakeEntry(2, ConditionalPut(2, exists, "k", "2")));
  EXPECT_TRUE(result.status().IsCorruption());
  EXPECT_EQ(machine_->applied(), LogIndex(1));
  EXPECT_EQ(machine_->sessions().reply_count(), 1u);
}

TEST_F(StateMachineTest, ACommandOfALaterFormatStopsThisReplicaAtTheEntry) {
  std::string encoded = proto::EncodeCommand(PutCommand(7, 1, "k", "1"));
  ASSERT_EQ(encoded[1], 1);
  encoded[1] = static_cast<char>(proto::kNewestFormat + 1);
  EXPECT_TRUE(machine_->Apply(MakeEntry(1, encoded)).status().IsUnavailable());
  EXPECT_EQ(machine_->applied(), LogIndex(0));
}

TEST_F(StateMachineTest, AFullSessionTableRefusesWithoutATrace) {
  for (std::uint64_t i = 1; i <= kRepliesPerSessionMax; ++i) {
    ASSERT_EQ(Apply(PutCommand(7, i, "k", "v")).code, ErrorCode::kOk);
  }
  const proto::Command command = PutCommand(7, kRepliesPerSessionMax + 1, "k", "new");
  EXPECT_EQ(Apply(command).code, ErrorCode::kOverloaded);
  EXPECT_EQ(ValueOf("k"), "v");
  EXPECT_EQ(Apply(PutCommand(7, kRepliesPerSessionMax, "k", "v", 100)).code, ErrorCode::kOk);
  EXPECT_EQ(Apply(command).code, ErrorCode::kOk);
  EXPECT_EQ(Apply(command).version, machine_->Get("k")->version);
}

TEST_F(StateMachineTest, RefusesToOpenOnDamagedSessions) {
  Apply(PutCommand(7, 1, "k", "v"));
  FlushAndRestart();
  disk_.client_state.pop_back();
  FakeEngine damaged(disk_);
  EXPECT_TRUE(StateMachine::Open(damaged).status().IsCorruption());
}

TEST_F(StateMachineTest, RefusesToOpenOnDataWithoutSessions) {
  Apply(PutCommand(7, 1, "k", "v"));
  FlushAndRestart();
  disk_.client_state.clear();
  FakeEngine damaged(disk_);
  EXPECT_TRUE(StateMachine::Open(damaged).status().IsCorruption());
}

}  // namespace
}  // namespace bedrock::storage
