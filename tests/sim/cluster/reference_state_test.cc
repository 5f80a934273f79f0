#include "tests/sim/cluster/reference_state.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/write_batch.h"
#include "common/codec/coding.h"

namespace bedrock::sim {
namespace {

using proto::Command;
using proto::Operation;

class ReferenceStateTest : public testing::Test {
 protected:
  static Operation Put(std::string_view key, std::string_view value) {
    return {.kind = Operation::Kind::kPut, .key = key, .value = value};
  }
  static Operation OfKind(Operation::Kind kind, std::string_view key, std::string_view end = {}) {
    return {.kind = kind, .key = key, .value = end};
  }

  /// The next entry, with the changes that a storaged claims to have made.
  std::string Execute(Command command, const WriteBatch& changes) {
    if (!command.session) command.session = SessionId(1);
    if (command.sequence == 0) command.sequence = ++sequence_;
    raft::Entry entry;
    entry.index = LogIndex(state_.newest().value() + 1);
    entry.term = Term(1);
    entry.time_ms = time_ms_;
    entry.payload = Bytes(proto::EncodeCommand(command));
    return state_.Execute(entry, changes.encoded());
  }
  std::string Execute(std::vector<Operation> operations, const WriteBatch& changes) {
    Command command;
    command.operations = std::move(operations);
    return Execute(std::move(command), changes);
  }
  static WriteBatch Writes(std::string_view key, std::string_view value) {
    WriteBatch batch;
    batch.Put("u" + std::string(key), value);
    return batch;
  }

  /// With the reply that is kept under an Idempotency-Key.
  static WriteBatch Kept(std::string_view idempotency_key, WriteBatch batch) {
    batch.Put("si" + std::string(idempotency_key), "reply");
    return batch;
  }
  static WriteBatch Dropped(const std::vector<std::string>& idempotency_keys) {
    WriteBatch batch;
    for (const std::string& key : idempotency_keys) batch.Delete("si" + key);
    return batch;
  }
  static WriteBatch Watermark(std::uint64_t version) {
    WriteBatch batch;
    std::string record;
    PutVarint(record, version);
    batch.Put("sw", record);
    return batch;
  }
  static Command WithKey(std::string_view idempotency_key) {
    Command command;
    command.idempotency.key = idempotency_key;
    command.operations = {Put("a", idempotency_key)};
    return command;
  }

  ReferenceState state_;
  std::uint64_t sequence_ = 0;
  std::uint64_t time_ms_ = 1'000;
};

TEST_F(ReferenceStateTest, WhatACommandSaysIsRight) {
  EXPECT_EQ(Execute({Put("a", "1")}, Writes("a", "1")), "");
  EXPECT_EQ(Execute({OfKind(Operation::Kind::kDelete, "zz")}, {}), "") << "nothing was there";
  EXPECT_EQ(state_.newest(), Version(2));
}

TEST_F(ReferenceStateTest, AnythingElseIsWrong) {
  EXPECT_NE(Execute({Put("a", "1")}, Writes("a", "2")), "");
  EXPECT_NE(Execute({Put("a", "3")}, {}), "") << "it had to write";
  WriteBatch both = Writes("a", "4");
  both.Put("ub", "4");
  EXPECT_NE(Execute({Put("a", "4")}, both), "");
}

TEST_F(ReferenceStateTest, ACommandIsExecutedOnce) {
  Command command;
  command.session = SessionId(5);
  command.sequence = 1;
  command.operations = {Put("a", "1")};
  EXPECT_EQ(Execute(command, Writes("a", "1")), "");
  EXPECT_EQ(Execute(command, {}), "");
  EXPECT_NE(Execute(command, Writes("a", "1")), "");
}

TEST_F(ReferenceStateTest, AnIdempotencyKeyIsExecutedOnceWhateverTheSession) {
  Command command;
  command.idempotency.key = "k";
  command.operations = {Put("a", "1")};
  EXPECT_EQ(Execute(command, Kept("k", Writes("a", "1"))), "");
  command.session = SessionId(9);
  EXPECT_NE(Execute(command, Writes("a", "1")), "");
}

TEST_F(ReferenceStateTest, AReplyIsKeptUnderItsIdempotencyKeyAndNoOther) {
  EXPECT_NE(Execute(WithKey("k"), Writes("a", "k")), "") << "not kept";
  EXPECT_NE(Execute({Put("a", "1")}, Kept("x", Writes("a", "1"))), "") << "there was no key";
}

TEST_F(ReferenceStateTest, RepliesAreDroppedOnceTheyAreOldTheOldestFirstAndFewAtATime) {
  for (const char* key : {"e", "d", "c", "b", "a"}) {
    time_ms_ += 10'000;
    EXPECT_EQ(Execute(WithKey(key), Kept(key, Writes("a", key))), "");
  }
  ReferenceState before = state_;
  EXPECT_NE(Execute({OfKind(Operation::Kind::kDelete, "zz")}, Dropped({"e"})), "") << "too early";
  state_ = before;
  // The clock of the sessions moves by a minute an entry, however far the time is ahead.
  for (int i = 0; i < 9; ++i) {
    time_ms_ += 10'000'000;
    EXPECT_EQ(Execute({OfKind(Operation::Kind::kDelete, "zz")}, {}), "");
  }
  time_ms_ += 10'000'000;
  before = state_;
  EXPECT_NE(Execute({OfKind(Operation::Kind::kDelete, "zz")}, {}), "") << "they are due";
  state_ = before;
  EXPECT_NE(Execute({OfKind(Operation::Kind::kDelete, "zz")}, Dropped({"a", "b", "c", "d"})), "")
      << "not the oldest";
  state_ = before;
  EXPECT_EQ(Execute({OfKind(Operation::Kind::kDelete, "zz")}, Dropped({"e", "d", "c", "b"})), "");
  EXPECT_FALSE(state_.has_forgotten());
  time_ms_ += 10'000'000;
  WriteBatch again = Kept("e", Writes("a", "e"));
  again.Delete("sia");
  EXPECT_EQ(Execute(WithKey("e"), again), "") << "nobody knows any more that it was executed";
  EXPECT_TRUE(state_.has_forgotten());
}

TEST_F(ReferenceStateTest, TheWatermarkOnlyGoesUpAsFarAsItIsAskedTo) {
  EXPECT_EQ(Execute({Put("a", "1")}, Writes("a", "1")), "");
  EXPECT_EQ(Execute({Put("a", "2")}, Writes("a", "2")), "");
  Operation drop{.kind = Operation::Kind::kDropHistory};
  drop.version = Version(2);
  const ReferenceState before = state_;
  EXPECT_NE(Execute({drop}, {}), "") << "it was asked to";
  state_ = before;
  EXPECT_EQ(Execute({drop}, Watermark(2)), "");
  EXPECT_EQ(state_.WatermarkAt(Version(2)), Version());
  EXPECT_EQ(state_.WatermarkAt(Version(3)), Version(2));
  drop.version = Version(1);
  EXPECT_NE(Execute({drop}, Watermark(1)), "");
}

TEST_F(ReferenceStateTest, WhatACommandHasReadIsLookedAtFirst) {
  EXPECT_EQ(Execute({Put("a", "1")}, Writes("a", "1")), "");
  EXPECT_EQ(Execute({Put("a", "2")}, Writes("a", "2")), "");
  Command command;
  command.reads = {{proto::Read::Kind::kKey, "a", {}, Version(1)}};
  proto::Condition absent;
  absent.kind = proto::Condition::Kind::kAbsent;
  absent.key = "a";
  command.conditions = {absent};
  command.operations = {Put("b", "1")};
  EXPECT_EQ(Execute(command, {}), "");
  proto::CommandResult result;
  result.version = Version(3);
  result.code = proto::ErrorCode::kPreconditionFailed;
  ReferenceState other = state_;
  EXPECT_NE(other.CheckReply(result), "");
  result.code = proto::ErrorCode::kTransactionConflict;
  EXPECT_EQ(state_.CheckReply(result), "");
}

TEST_F(ReferenceStateTest, ATransactionMustNotCommitThatHasReadBelowTheWatermark) {
  EXPECT_EQ(Execute({Put("a", "1")}, Writes("a", "1")), "");
  EXPECT_EQ(Execute({Put("b", "1")}, Writes("b", "1")), "");
  Operation drop{.kind = Operation::Kind::kDropHistory};
  drop.version = Version(2);
  EXPECT_EQ(Execute({drop}, Watermark(2)), "");
  Command command;
  command.reads = {{proto::Read::Kind::kKey, "a", {}, Version(1)}};
  command.operations = {Put("c", "1")};
  EXPECT_NE(Execute(command, Writes("c", "1")), "");
}

TEST_F(ReferenceStateTest, ATransactionMustNotCommitOverAChange) {
  EXPECT_EQ(Execute({Put("a", "1")}, Writes("a", "1")), "");
  Command command;
  command.operations = {Put("b", "1")};
  command.reads = {{proto::Read::Kind::kKey, "a", {}, Version(1)}};
  EXPECT_EQ(Execute(command, Writes("b", "1")), "");
  EXPECT_EQ(Execute({Put("a", "2")}, Writes("a", "2")), "");
  EXPECT_EQ(Execute(command, {}), "") << "a conflict";
  EXPECT_NE(Execute(command, Writes("b", "1")), "");
}

TEST_F(ReferenceStateTest, ConditionsChooseTheBranch) {
  Command command;
  proto::Condition absent;
  absent.kind = proto::Condition::Kind::kAbsent;
  absent.key = "a";
  command.conditions = {absent};
  command.operations = {Put("a", "1")};
  command.otherwise = std::vector<Operation>{Put("b", "1")};
  EXPECT_EQ(Execute(command, Writes("a", "1")), "");
  EXPECT_NE(Execute(command, Writes("a", "1")), "");
  EXPECT_EQ(Execute(command, Writes("b", "1")), "");
}

TEST_F(ReferenceStateTest, ReadsAreThoseOfTheirVersion) {
  EXPECT_EQ(Execute({Put("a", "1")}, Writes("a", "1")), "");
  EXPECT_EQ(Execute({Put("a", "2")}, Writes("a", "2")), "");
  proto::Get get;
  get.key = Bytes::Copy("a");
  proto::GetReply reply;
  reply.found = true;
  reply.value = Bytes::Copy("1");
  reply.version = Version(1);
  reply.read_version = Version(1);
  EXPECT_EQ(state_.CheckGet(get, reply), "");
  get.min_version = Version(2);
  EXPECT_NE(state_.CheckGet(get, reply), "") << "too old";
  reply.read_version = Version(2);
  EXPECT_NE(state_.CheckGet(get, reply), "") << "stale";
  reply.value = Bytes::Copy("2");
  reply.version = Version(2);
  EXPECT_EQ(state_.CheckGet(get, reply), "");
  reply.read_version = Version(3);
  EXPECT_NE(state_.CheckGet(get, reply), "") << "nobody has applied that";
}

TEST_F(ReferenceStateTest, QueriesSeeTheirOwnWritesAndLimits) {
  EXPECT_EQ(Execute({Put("a", "1")}, Writes("a", "1")), "");
  EXPECT_EQ(Execute({Put("c", "3")}, Writes("c", "3")), "");
  Command query;
  Operation scan = OfKind(Operation::Kind::kScan, "a", "z");
  scan.scan.items_max = 2;
  query.operations = {Put("b", "2"), scan};
  proto::CommandResult result;
  result.results.resize(2);
  result.results[1].items = {{"a", "1", Version(1)}, {"b", "2", Version()}};
  result.results[1].count = 2;
  result.results[1].more = true;
  result.results[1].next = "c";
  const std::string encoded = proto::EncodeCommand(query);
  EXPECT_EQ(state_.CheckQuery(encoded, result, Version(2)), "");
  result.results[1].items.pop_back();
  EXPECT_NE(state_.CheckQuery(encoded, result, Version(2)), "");
}

TEST_F(ReferenceStateTest, ACommandHasOneAnswer) {
  Command command;
  Operation add{.kind = Operation::Kind::kAdd, .key = "n"};
  add.delta = 5;
  command.operations = {add};
  EXPECT_EQ(Execute(command, Writes("n", "5")), "");
  proto::CommandResult result;
  result.version = Version(1);
  result.results.resize(1);
  result.results[0].value = "5";
  EXPECT_EQ(state_.CheckReply(result), "");
  EXPECT_EQ(state_.CheckReply(result), "");
  result.results[0].value = "6";
  EXPECT_NE(state_.CheckReply(result), "");
}

TEST_F(ReferenceStateTest, ARangeDeleteTakesWhatIsThere) {
  EXPECT_EQ(Execute({Put("a1", "1"), Put("a2", "2"), Put("b", "3")},
                    [] {
                      WriteBatch batch;
                      batch.Put("ua1", "1");
                      batch.Put("ua2", "2");
                      batch.Put("ub", "3");
                      return batch;
                    }()),
            "");
  WriteBatch range;
  range.DeleteRange("ua", "ub");
  EXPECT_EQ(Execute({OfKind(Operation::Kind::kDeleteRange, "a", "b")}, range), "");
  EXPECT_EQ(state_.Content(Version(2)).size(), 1u);
}

TEST_F(ReferenceStateTest, TheSetsNeverHoldMoreThanTheyMay) {
  for (std::uint64_t i = 0; i <= ReferenceState::kSetMembersMax; ++i) {
    const std::string member = "s/" + std::to_string(i);
    const std::string wrong = Execute({Put(member, "x")}, Writes(member, "x"));
    EXPECT_EQ(wrong.empty(), i < ReferenceState::kSetMembersMax) << wrong;
  }
}

}  // namespace
}  // namespace bedrock::sim
