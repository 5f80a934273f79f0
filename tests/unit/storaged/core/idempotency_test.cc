// Commands with a client's Idempotency-Key, and the store of their replies.

#include "storaged/core/idempotency_store.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/env/random.h"
#include "proto/errors.h"
#include "storaged/core/keyspace.h"
#include "tests/unit/storaged/core/machine_fixture.h"

namespace bedrock::storage {
namespace {

using proto::CommandResult;
using proto::Condition;
using proto::ErrorCode;

class IdempotencyTest : public MachineTest {
 protected:
  static constexpr std::uint64_t kFirstMs = 1'700'000'000'000;

  /// A command under an idempotency key, of a session number that was never used.
  CommandResult ApplyKeyed(std::string_view key, char request,
                           std::vector<proto::Operation> operations,
                           std::vector<Condition> conditions = {}) {
    proto::Command command = New();
    const std::string fingerprint = FingerprintOf(request);
    command.idempotency = {key, fingerprint};
    command.operations = std::move(operations);
    command.conditions = std::move(conditions);
    return Apply(command);
  }
  /// An entry whose time is so much later than any before.
  void Pass(std::uint64_t ms) {
    for (; ms > kSessionClockStepMsMax; ms -= kSessionClockStepMsMax)
      PassOnce(kSessionClockStepMsMax);
    PassOnce(ms);
  }
  void PassOnce(std::uint64_t ms) {
    late_ms_ += ms;
    raft::Entry entry = Noop(NextIndex());
    entry.time_ms += late_ms_;
    Apply(entry);
  }
  using MachineTest::Apply;
  CommandResult Apply(const proto::Command& command) {
    raft::Entry entry = MakeEntry(NextIndex(), command);
    entry.time_ms += late_ms_;
    return MachineTest::Apply(entry);
  }
  /// A command under the key, at a time.
  void AddAt(std::string_view key, std::uint64_t ms) {
    proto::Command command = New();
    const std::string fingerprint = FingerprintOf('a');
    command.idempotency = {key, fingerprint};
    raft::Entry entry = MakeEntry(NextIndex(), command);
    entry.time_ms = kFirstMs + ms;
    EXPECT_EQ(MachineTest::Apply(entry).code, ErrorCode::kOk);
  }
  /// Entries up to a time, none of them a command.
  void PassTo(std::uint64_t ms) {
    for (std::uint64_t at = 0; at <= ms; at += kSessionClockStepMsMax / 2) NoopAt(at);
    NoopAt(ms);
  }
  void NoopAt(std::uint64_t ms) {
    raft::Entry entry = Noop(NextIndex());
    entry.time_ms = kFirstMs + ms;
    MachineTest::Apply(entry);
  }
  std::uint64_t records() const { return machine_->idempotency_totals().records; }

  std::uint64_t late_ms_ = 0;
};

TEST_F(IdempotencyTest, TheSameRequestAgainGetsTheFirstReply) {
  const auto first = ApplyKeyed("key", 'a', {AddOf("n", 1)});
  EXPECT_EQ(ApplyKeyed("key", 'a', {AddOf("n", 1)}), first);
  EXPECT_EQ(first.results.at(0).value, "1");
  EXPECT_EQ(ValueOf("n"), "1");
}

TEST_F(IdempotencyTest, AnotherRequestUnderTheKeyIsRefused) {
  ApplyKeyed("key", 'a', {AddOf("n", 1)});
  const auto refused = ApplyKeyed("key", 'b', {AddOf("n", 10)});
  EXPECT_EQ(refused.code, ErrorCode::kIdempotencyKeyReused);
  EXPECT_TRUE(refused.results.empty());
  EXPECT_EQ(ValueOf("n"), "1");
}

TEST_F(IdempotencyTest, RefusalsAreKeptToo) {
  const auto refused =
      ApplyKeyed("key", 'a', {PutOf("k", "v")}, {{Condition::Kind::kExists, "k", Version()}});
  EXPECT_EQ(refused.code, ErrorCode::kPreconditionFailed);
  MachineTest::Apply({PutOf("k", "other")});
  EXPECT_EQ(ApplyKeyed("key", 'a', {PutOf("k", "v")}, {{Condition::Kind::kExists, "k", Version()}}),
            refused);
  EXPECT_EQ(ValueOf("k"), "other");
}

TEST_F(IdempotencyTest, AFailedAddWritesItsReplyAlone) {
  MachineTest::Apply({PutOf("n", "no number")});
  const auto refused = ApplyKeyed("key", 'a', {PutOf("k", "v"), AddOf("n", 1)});
  EXPECT_EQ(refused.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(ValueOf("k"), "(absent)");
  EXPECT_EQ(records(), 1u);
  MachineTest::Apply({PutOf("n", "1")});
  EXPECT_EQ(ApplyKeyed("key", 'a', {PutOf("k", "v"), AddOf("n", 1)}), refused);
}

TEST_F(IdempotencyTest, AReplySurvivesFlushAndRestart) {
  const auto first = ApplyKeyed("key", 'a', {AddOf("n", 1), GetOf("n")});
  FlushAndRestart();
  EXPECT_EQ(records(), 1u);
  EXPECT_EQ(ApplyKeyed("key", 'a', {AddOf("n", 1), GetOf("n")}), first);
}

TEST_F(IdempotencyTest, TheSessionOfARepeatKnowsItsReplyToo) {
  const auto first = ApplyKeyed("key", 'a', {AddOf("n", 1)});
  proto::Command repeat = MakeCommand(2, 1);
  const std::string fingerprint = FingerprintOf('a');
  repeat.idempotency = {"key", fingerprint};
  repeat.operations = {AddOf("n", 1)};
  EXPECT_EQ(Apply(repeat), first);
  Pass(2 * kIdempotencyKeptMs);
  EXPECT_EQ(records(), 0u);
  // The session was idle for longer than it is kept: it begins anew, and so does the command.
  EXPECT_NE(Apply(repeat), first);
}

TEST_F(IdempotencyTest, AReplyIsKeptForItsTimeAndDroppedAfterIt) {
  const auto first = ApplyKeyed("key", 'a', {AddOf("n", 1)});
  Pass(kIdempotencyKeptMs - 1'000);
  EXPECT_EQ(ApplyKeyed("key", 'a', {AddOf("n", 1)}), first);
  Pass(2'000);
  EXPECT_EQ(records(), 0u);
  EXPECT_EQ(machine_->idempotency_totals().bytes, 0u);
  EXPECT_EQ(ApplyKeyed("key", 'b', {AddOf("n", 1)}).results.at(0).value, "2");
}

TEST_F(IdempotencyTest, ALeaderWhoseClockIsHoursAheadDropsNothing) {
  ApplyKeyed("key", 'a', {AddOf("n", 1)});
  PassOnce(10 * kIdempotencyKeptMs);
  EXPECT_EQ(records(), 1u);
}

TEST_F(IdempotencyTest, NoEntryDropsMoreThanAFew) {
  for (int i = 0; i < 10; ++i) ApplyKeyed("key" + std::to_string(i), 'a', {});
  Pass(kIdempotencyKeptMs - 2'000);
  ASSERT_EQ(records(), 10u);
  PassOnce(10'000);
  EXPECT_EQ(records(), 10u - kIdempotencyDropsPerEntryMax);
  PassOnce(1);
  EXPECT_EQ(records(), 10u - 2 * kIdempotencyDropsPerEntryMax);
  PassOnce(1);
  EXPECT_EQ(records(), 0u);
}

TEST_F(IdempotencyTest, DropsAreDeletesAlone) {
  ApplyKeyed("key", 'a', {});
  Pass(kIdempotencyKeptMs + 1'000);
  Flush();
  EXPECT_EQ(records(), 0u);
  for (const auto& [key, versions] : disk_.content) {
    EXPECT_FALSE(versions.rbegin()->second.first) << key;
  }
}

TEST_F(IdempotencyTest, ABusyEngineChangesNothing) {
  proto::Command command = New();
  const std::string fingerprint = FingerprintOf('a');
  command.idempotency = {"key", fingerprint};
  command.operations = {AddOf("n", 1)};
  const auto entry = MakeEntry(NextIndex(), command);
  engine_->apply_status = Status::Busy("flush");
  EXPECT_TRUE(machine_->Apply(entry).status().IsBusy());
  EXPECT_EQ(records(), 0u);
  engine_->apply_status = Status::Ok();
  EXPECT_EQ(MachineTest::Apply(entry).results.at(0).value, "1");
  EXPECT_EQ(records(), 1u);
}

TEST_F(IdempotencyTest, AtTheBoundOfBytesACommandLeavesNoTrace) {
  // As large a reply as there may be, often.
  const std::string large(proto::kValueBytesMax, 'v');
  MachineTest::Apply({PutOf("large", large)});
  CommandResult result;
  std::uint64_t kept = 0;
  for (; kept < kIdempotencyBytesMax; ++kept) {
    // The session has its replies and needs them no more.
    ++sequence_;
    proto::Command command = MakeCommand(1, sequence_, sequence_);
    const std::string key = "key" + std::to_string(kept);
    const std::string fingerprint = FingerprintOf('a');
    command.idempotency = {key, fingerprint};
    command.operations = {AddOf("n", 1), GetOf("large")};
    result = Apply(command);
    if (result.code != ErrorCode::kOk) break;
  }
  EXPECT_EQ(result.code, ErrorCode::kOverloaded);
  EXPECT_EQ(kept, kIdempotencyBytesMax / (large.size() + 200));
  EXPECT_EQ(records(), kept);
  EXPECT_EQ(ValueOf("n"), std::to_string(kept));
}

TEST_F(IdempotencyTest, AtTheBoundOfTheSessionTablesBytesACommandLeavesNoTrace) {
  const std::string large(proto::kValueBytesMax, 'v');
  MachineTest::Apply({PutOf("large", large)});
  CommandResult result;
  std::uint64_t kept = 0;
  do {
    result = MachineTest::Apply({AddOf("n", 1), GetOf("large")});
    kept += result.code == ErrorCode::kOk ? 1 : 0;
  } while (result.code == ErrorCode::kOk);
  EXPECT_EQ(result.code, ErrorCode::kOverloaded);
  EXPECT_EQ(kept, kReplyBytesMax / (large.size() + 100));
  EXPECT_EQ(ValueOf("n"), std::to_string(kept));
  // A plain write needs no room there, and lets the session forget.
  ++sequence_;
  proto::Command plain = MakeCommand(1, sequence_, sequence_);
  plain.operations = {PutOf("k", "v")};
  EXPECT_EQ(Apply(plain).code, ErrorCode::kOk);
  EXPECT_EQ(machine_->sessions().reply_bytes(), 0u);
  EXPECT_EQ(MachineTest::Apply({AddOf("n", 1), GetOf("large")}).code, ErrorCode::kOk);
}

TEST_F(IdempotencyTest, OfOneMillisecondTheFirstByKeyIsTheOldest) {
  AddAt("b", 0);
  AddAt("a", 0);
  PassTo(kIdempotencyKeptMs + 1);
  EXPECT_EQ(records(), 0u);
}

TEST_F(IdempotencyTest, WhatAnEntryAddsIsTheOldestWhereItDropsAllOthers) {
  AddAt("a", 0);
  PassTo(kIdempotencyKeptMs);
  AddAt("b", kIdempotencyKeptMs + 1);
  EXPECT_EQ(records(), 1u);
  PassTo(2 * kIdempotencyKeptMs + 2);
  EXPECT_EQ(records(), 0u);
}

TEST_F(IdempotencyTest, WhatAnEntryAddsMayComeBeforeWhatItsDropsLeave) {
  for (const char* key : {"1", "2", "3", "4", "5"}) AddAt(key, 0);
  PassTo(kIdempotencyKeptMs);
  AddAt("m", kIdempotencyKeptMs + 1);  // drops all but one
  AddAt("a", kIdempotencyKeptMs + 1);  // drops the last
  EXPECT_EQ(records(), 2u);
  PassTo(2 * kIdempotencyKeptMs + 2);
  EXPECT_EQ(records(), 0u);
}

// Several of one millisecond, in no order of their keys, come and go: none is left behind.
TEST_F(IdempotencyTest, EverythingIsDroppedAtLast) {
  Random random(3);
  for (int round = 0; round < 300; ++round) {
    for (std::uint64_t i = random.Below(4); i > 0; --i) {
      proto::Command command = New();
      const std::string key = std::to_string(random.Next());
      const std::string fingerprint = FingerprintOf('a');
      command.idempotency = {key, fingerprint};
      raft::Entry entry = MakeEntry(NextIndex(), command);
      entry.time_ms = 1'700'000'000'000 + late_ms_;
      MachineTest::Apply(entry);
    }
    if (random.Chance(1, 3)) {
      late_ms_ += random.Below(kSessionClockStepMsMax);
      raft::Entry entry = Noop(NextIndex());
      entry.time_ms = 1'700'000'000'000 + late_ms_;
      MachineTest::Apply(entry);
    }
    if (random.Chance(1, 40)) FlushAndRestart();
  }
  EXPECT_GT(records(), 0u);
  for (int i = 0; i < 400; ++i) {
    late_ms_ += kSessionClockStepMsMax;
    raft::Entry entry = Noop(NextIndex());
    entry.time_ms = 1'700'000'000'000 + late_ms_;
    MachineTest::Apply(entry);
  }
  EXPECT_EQ(records(), 0u);
  EXPECT_EQ(machine_->idempotency_totals().bytes, 0u);
  FlushAndRestart();
  EXPECT_EQ(records(), 0u);
}

TEST_F(IdempotencyTest, RefusesToOpenOnDamagedRecords) {
  ApplyKeyed("key", 'a', {});
  Flush();
  for (auto& [key, versions] : disk_.content) {
    if (key.starts_with(kIdempotencyAgePrefix)) versions.rbegin()->second.second += "x";
  }
  FakeEngine damaged(disk_);
  EXPECT_TRUE(StateMachine::Open(damaged).status().IsCorruption());
}

TEST(IdempotencyRecordTest, ComesBackFromItsEncoding) {
  IdempotencyRecord record;
  record.time_ms = 123;
  record.fingerprint = FingerprintOf('f');
  record.reply.version = Version(7);
  record.reply.results.emplace_back().value = "x";
  const std::string encoded = EncodeIdempotencyRecord(record);
  const auto decoded = DecodeIdempotencyRecord(encoded);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, record);
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_TRUE(DecodeIdempotencyRecord(encoded.substr(0, size)).status().IsCorruption()) << size;
  }
  std::string other = encoded;
  other[0] = 2;
  EXPECT_TRUE(DecodeIdempotencyRecord(other).status().IsCorruption());
}

// The bytes that disks hold.
TEST(IdempotencyRecordTest, LooksAsItIsDrawn) {
  IdempotencyRecord record;
  record.time_ms = 0x0102;
  record.fingerprint = "0123456789abcdef";
  EXPECT_EQ(EncodeIdempotencyRecord(record), std::string("\x01\x02\x01\0\0\0\0\0\0", 9) +
                                                 "0123456789abcdef" +
                                                 proto::EncodeCommandResult({}));
}

}  // namespace
}  // namespace bedrock::storage
