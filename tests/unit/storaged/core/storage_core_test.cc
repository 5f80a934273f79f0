#include "storaged/core/storage_core.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/unit/storaged/core/entries.h"
#include "tests/unit/storaged/core/fake_engine.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

constexpr ClusterId kCluster{0xc1};
constexpr NodeId kNode{1};

class StorageCoreTest : public ::testing::Test {
 protected:
  StorageCoreTest()
      : engine_(disk_),
        machine_(StateMachine::Open(engine_).value()),
        core_(engine_, *machine_, {.cluster = kCluster, .node = kNode, .software = "1.2.3"}) {}

  static proto::Frame FrameOf(std::vector<proto::Packet> packets, NodeId node = kNode) {
    proto::Frame frame;
    frame.header.cluster = kCluster;
    frame.header.node = node;
    frame.packets = std::move(packets);
    return frame;
  }
  void Receive(const std::string& from, std::uint64_t request, proto::Message message,
               std::uint32_t timeout_ms = 0) {
    core_.Receive(from, FrameOf({{RequestId(request), timeout_ms, std::move(message)}}), now_ms_);
  }
  static proto::Apply Puts(std::uint64_t first, std::uint64_t last) {
    proto::Apply batch;
    for (std::uint64_t i = first; i <= last; ++i) {
      batch.items.push_back({.entry = MakeEntry(i, PutCommand(7, i, "k" + std::to_string(i),
                                                              "v" + std::to_string(i))),
                             .reply_to = {.router = "router", .request = RequestId(100 + i)}});
    }
    return batch;
  }
  static proto::Get Get(const std::string& key, std::uint64_t min_version = 0) {
    return {.key = Bytes::Copy(key), .min_version = Version(min_version)};
  }
  static proto::Query QueryOf(std::vector<proto::Operation> operations, std::uint64_t at = 0) {
    proto::Command command;
    command.operations = std::move(operations);
    return {.command = Bytes(proto::EncodeCommand(command)), .at = Version(at)};
  }
  static proto::TransactionName LockName(std::uint64_t number) { return {BootId(0xb007), number}; }
  static proto::Lock LockOf(std::uint64_t transaction, std::string_view key) {
    proto::Lock lock;
    lock.transaction = LockName(transaction);
    lock.begun_ms = transaction;
    lock.hold_ms = 10'000;
    lock.term = Term(1);
    lock.mode = proto::LockMode::kExclusive;
    lock.what.key = Bytes::Copy(key);
    return lock;
  }
  std::vector<Outgoing> Run() {
    std::vector<Outgoing> out;
    more_ = core_.Run(now_ms_, out);
    return out;
  }
  // The only message of a turn.
  template <typename T>
  T RunFor(const std::string& to, std::uint64_t request) {
    const auto out = Run();
    EXPECT_EQ(out.size(), 1u);
    if (out.size() != 1) return {};
    EXPECT_EQ(out[0].to, to);
    EXPECT_EQ(out[0].request, RequestId(request));
    const T* message = std::get_if<T>(&out[0].message);
    EXPECT_NE(message, nullptr);
    return message == nullptr ? T{} : *message;
  }
  void ApplyQuietly(std::uint64_t first, std::uint64_t last) {
    Receive("raftd", 0, Puts(first, last));
    Run();
  }

  FakeDisk disk_;
  FakeEngine engine_;
  std::unique_ptr<StateMachine> machine_;
  StorageCore core_;
  std::uint64_t now_ms_ = 1'000'000;
  bool more_ = false;
};

TEST_F(StorageCoreTest, AnswersRoutersAndThenTellsRaftdItsProgress) {
  Receive("raftd", 5, Puts(1, 2));
  const auto out = Run();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].to, "router");
  EXPECT_EQ(out[0].request, RequestId(101));
  EXPECT_EQ(std::get<proto::CommandReply>(out[0].message).result.version, Version(1));
  EXPECT_EQ(out[1].request, RequestId(102));
  EXPECT_EQ(out[2].to, "raftd");
  EXPECT_EQ(out[2].request, RequestId(5));
  EXPECT_EQ(std::get<proto::ApplyProgress>(out[2].message),
            (proto::ApplyProgress{LogIndex(2), LogIndex(0), ErrorCode::kOk}));
}

TEST_F(StorageCoreTest, OneProgressAnswersAllBatchesOfATurn) {
  Receive("raftd", 5, Puts(1, 2));
  Receive("raftd", 6, Puts(3, 3));
  const auto out = Run();
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[3].request, RequestId(6));
  EXPECT_EQ(std::get<proto::ApplyProgress>(out[3].message).applied, LogIndex(3));
}

TEST_F(StorageCoreTest, AnEmptyApplyAndAGapAreAnsweredWithProgress) {
  ApplyQuietly(1, 2);
  Receive("raftd", 6, proto::Apply{});
  EXPECT_EQ(RunFor<proto::ApplyProgress>("raftd", 6).applied, LogIndex(2));
  Receive("raftd", 7, Puts(5, 6));
  EXPECT_EQ(RunFor<proto::ApplyProgress>("raftd", 7).applied, LogIndex(2));
}

TEST_F(StorageCoreTest, AQuietTurnSendsNothing) {
  ApplyQuietly(1, 2);
  EXPECT_TRUE(Run().empty());
}

TEST_F(StorageCoreTest, TellsRaftdAfterAFlushUnasked) {
  engine_.wants_flush = true;
  ApplyQuietly(1, 1);
  engine_.FinishFlush();
  core_.EngineProgressed();
  EXPECT_EQ(RunFor<proto::ApplyProgress>("raftd", 0).durable_applied, LogIndex(1));
}

TEST_F(StorageCoreTest, ProgressGoesToTheRaftdThatSpokeLast) {
  ApplyQuietly(1, 1);
  Receive("raftd reborn", 9, proto::Apply{});
  Run();
  core_.EngineProgressed();
  RunFor<proto::ApplyProgress>("raftd reborn", 0);
}

TEST_F(StorageCoreTest, TakesEntriesFromItsOwnNodesRaftdAlone) {
  core_.Receive("other", FrameOf({{RequestId(3), 0, Puts(1, 1)}}, NodeId(2)), now_ms_);
  EXPECT_EQ(RunFor<proto::Refusal>("other", 3).error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine_->applied(), LogIndex(0));
}

TEST_F(StorageCoreTest, ReadsAtTheNewestAppliedVersion) {
  ApplyQuietly(1, 3);
  Receive("router", 8, Get("k2"));
  const auto reply = RunFor<proto::GetReply>("router", 8);
  EXPECT_TRUE(reply.error.ok());
  EXPECT_TRUE(reply.found);
  EXPECT_EQ(reply.value.view(), "v2");
  EXPECT_EQ(reply.version, Version(2));
  EXPECT_EQ(reply.read_version, Version(3));
}

TEST_F(StorageCoreTest, AnAbsentKeyIsNoError) {
  ApplyQuietly(1, 3);
  Receive("router", 8, Get("nothing"));
  const auto reply = RunFor<proto::GetReply>("router", 8);
  EXPECT_TRUE(reply.error.ok());
  EXPECT_FALSE(reply.found);
  EXPECT_EQ(reply.version, Version());
  EXPECT_EQ(reply.read_version, Version(3));
}

TEST_F(StorageCoreTest, ARouterThatIsOnAnotherNodeMayRead) {
  ApplyQuietly(1, 1);
  core_.Receive("router", FrameOf({{RequestId(8), 0, Get("k1")}}, NodeId(3)), now_ms_);
  EXPECT_TRUE(RunFor<proto::GetReply>("router", 8).found);
}

TEST_F(StorageCoreTest, AReadThatComesWithItsEntriesIsAnsweredInTheSameTurn) {
  Receive("router", 8, Get("k1", 1), 1'000);
  Receive("raftd", 5, Puts(1, 1));
  const auto out = Run();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_TRUE(std::get<proto::GetReply>(out[2].message).found);
}

TEST_F(StorageCoreTest, AReadWaitsForItsVersion) {
  Receive("router", 8, Get("k2", 2), 1'000);
  EXPECT_TRUE(Run().empty());
  EXPECT_EQ(core_.NextWakeup(), now_ms_ + 1'000);
  Receive("raftd", 0, Puts(1, 1));
  EXPECT_EQ(Run().size(), 2u);
  Receive("raftd", 0, Puts(2, 2));
  const auto out = Run();
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(std::get<proto::GetReply>(out[2].message).value.view(), "v2");
  EXPECT_EQ(core_.NextWakeup(), std::nullopt);
}

TEST_F(StorageCoreTest, AReadWhoseTimeIsUpIsToldSo) {
  Receive("router", 8, Get("k2", 2), 1'000);
  Run();
  now_ms_ += 999;
  EXPECT_TRUE(Run().empty());
  now_ms_ += 1;
  EXPECT_EQ(RunFor<proto::GetReply>("router", 8).error.code, ErrorCode::kDeadlineExceeded);
}

TEST_F(StorageCoreTest, NoReadWaitsForEver) {
  Receive("router", 8, Get("k2", 2));
  Receive("router", 9, Get("k2", 2), UINT32_MAX);
  Run();
  now_ms_ += kReadWaitMsMax;
  EXPECT_EQ(Run().size(), 2u);
}

TEST_F(StorageCoreTest, RefusesReadsBeyondThoseThatMayWait) {
  for (std::uint64_t i = 0; i < kWaitingReadsMax; ++i) Receive("router", i, Get("k", 2), 1'000);
  EXPECT_TRUE(Run().empty());
  Receive("router", 7, Get("k", 2), 1'000);
  EXPECT_EQ(RunFor<proto::GetReply>("router", 7).error.code, ErrorCode::kOverloaded);
}

TEST_F(StorageCoreTest, RefusesKeysThatCannotBe) {
  Receive("router", 8, Get(""));
  EXPECT_EQ(RunFor<proto::GetReply>("router", 8).error.code, ErrorCode::kInvalidArgument);
  Receive("router", 9, Get(std::string(proto::kKeyBytesMax + 1, 'k')));
  const auto reply = RunFor<proto::GetReply>("router", 9);
  EXPECT_EQ(reply.error.code, ErrorCode::kKeyTooLarge);
  EXPECT_EQ(reply.error.limit, proto::kKeyBytesMax);
}

TEST_F(StorageCoreTest, OneTurnReadsABoundedAmountAndTheNextGoesOn) {
  proto::Apply batch;
  const std::string value(kMiB, 'v');
  batch.items.push_back({.entry = MakeEntry(1, PutCommand(7, 1, "big", value)), .reply_to = {}});
  Receive("raftd", 0, std::move(batch));
  Run();
  for (std::uint64_t i = 1; i <= 10; ++i) Receive("router", i, Get("big"));
  std::vector<std::uint64_t> answered;
  std::size_t turns = 0;
  do {
    for (const auto& message : Run()) answered.push_back(message.request.value());
    ++turns;
  } while (more_);
  EXPECT_EQ(answered, (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(turns, 3u);
}

TEST_F(StorageCoreTest, DamagedBytesAreNamedCountedAndNotServed) {
  ApplyQuietly(1, 1);
  engine_.get_status = Status::Corruption("000012.sst: block at offset 4096");
  Receive("router", 8, Get("k1"));
  const auto reply = RunFor<proto::GetReply>("router", 8);
  EXPECT_EQ(reply.error.code, ErrorCode::kCorruption);
  EXPECT_NE(reply.error.detail.find("000012.sst: block at offset 4096"), std::string::npos);
  EXPECT_FALSE(reply.found);
  EXPECT_EQ(core_.corrupt_reads(), 1u);
  engine_.get_status = Status::Ok();
  Receive("router", 9, Get("k1"));
  EXPECT_TRUE(RunFor<proto::GetReply>("router", 9).found);
  Receive("router", 10, proto::StorageStatusQuery{});
  const auto status = RunFor<proto::StorageStatus>("router", 10);
  EXPECT_NE(status.detail.find("000012.sst"), std::string::npos);
}

TEST_F(StorageCoreTest, SaysHowItIs) {
  engine_.wants_flush = true;
  ApplyQuietly(1, 1);
  engine_.FinishFlush();
  ApplyQuietly(2, 3);
  Receive("anyone", 4, proto::StorageStatusQuery{});
  const auto status = RunFor<proto::StorageStatus>("anyone", 4);
  EXPECT_EQ(status.applied, LogIndex(3));
  EXPECT_EQ(status.durable_applied, LogIndex(1));
  EXPECT_EQ(status.health, ErrorCode::kOk);
  EXPECT_EQ(status.detail, "");
  EXPECT_EQ(status.software, "1.2.3");
}

TEST_F(StorageCoreTest, AFullDiskIsToldAndItsEndToo) {
  ApplyQuietly(1, 1);
  engine_.reported.state = EngineState::kNoSpace;
  engine_.reported.detail = "no space left on device";
  core_.EngineProgressed();
  EXPECT_EQ(RunFor<proto::ApplyProgress>("raftd", 0).health, ErrorCode::kStorageFull);
  Receive("router", 8, Get("k1"));
  EXPECT_TRUE(RunFor<proto::GetReply>("router", 8).found);
  engine_.reported = {};
  core_.EngineProgressed();
  EXPECT_EQ(RunFor<proto::ApplyProgress>("raftd", 0).health, ErrorCode::kOk);
}

TEST_F(StorageCoreTest, ABusyEngineIsAskedAgainAfterAWhileAndOnProgress) {
  ApplyQuietly(1, 1);
  engine_.apply_status = Status::Busy("flush");
  Receive("raftd", 5, Puts(2, 3));
  EXPECT_EQ(RunFor<proto::ApplyProgress>("raftd", 5).applied, LogIndex(1));
  EXPECT_EQ(core_.NextWakeup(), now_ms_ + kBusyRetryMs);
  engine_.apply_status = Status::Ok();
  EXPECT_TRUE(Run().empty());
  now_ms_ += kBusyRetryMs;
  EXPECT_EQ(Run().size(), 3u);  // two replies and the progress
  EXPECT_EQ(machine_->applied(), LogIndex(3));
  EXPECT_EQ(core_.NextWakeup(), std::nullopt);

  engine_.apply_status = Status::Busy("flush");
  Receive("raftd", 6, Puts(4, 4));
  Run();
  engine_.apply_status = Status::Ok();
  core_.EngineProgressed();
  EXPECT_EQ(Run().size(), 2u);
}

TEST_F(StorageCoreTest, WhatCannotBeAppliedStopsWritesAndNotReads) {
  ApplyQuietly(1, 1);
  Receive("router", 7, Get("k1", 2), 1'000);
  Run();
  engine_.apply_status = Status::IoError("000003.log: write");
  Receive("raftd", 5, Puts(2, 2));
  const auto out = Run();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(std::get<proto::ApplyProgress>(out[0].message).health, ErrorCode::kStorageUnavailable);
  EXPECT_EQ(std::get<proto::GetReply>(out[1].message).error.code, ErrorCode::kStorageUnavailable);
  Receive("router", 8, Get("k1", 2), 1'000);
  EXPECT_EQ(RunFor<proto::GetReply>("router", 8).error.code, ErrorCode::kStorageUnavailable);
  Receive("router", 9, Get("k1", 1));
  EXPECT_TRUE(RunFor<proto::GetReply>("router", 9).found);
  EXPECT_NE(core_.health_detail().find("000003.log"), std::string::npos);
}

// ---- Reads of the past and queries

TEST_F(StorageCoreTest, AGetReadsTheVersionItNames) {
  ApplyQuietly(1, 3);
  Receive("router", 8, proto::Get{.key = Bytes::Copy("k2"), .at = Version(1)});
  auto reply = RunFor<proto::GetReply>("router", 8);
  EXPECT_FALSE(reply.found);
  EXPECT_EQ(reply.read_version, Version(1));
  Receive("router", 9, proto::Get{.key = Bytes::Copy("k2"), .at = Version(2)});
  reply = RunFor<proto::GetReply>("router", 9);
  EXPECT_EQ(reply.value.view(), "v2");
  EXPECT_EQ(reply.read_version, Version(2));
}

TEST_F(StorageCoreTest, AReadAtALaterVersionWaitsForIt) {
  ApplyQuietly(1, 1);
  Receive("router", 8, proto::Get{.key = Bytes::Copy("k2"), .at = Version(2)});
  Receive("router", 9, QueryOf({GetOf("k2")}, 2));
  EXPECT_TRUE(Run().empty());
  Receive("raftd", 0, Puts(2, 3));
  const auto out = Run();
  ASSERT_EQ(out.size(), 5u);
  EXPECT_EQ(std::get<proto::GetReply>(out[3].message).read_version, Version(2));
  EXPECT_EQ(std::get<proto::QueryReply>(out[4].message).read_version, Version(2));
}

TEST_F(StorageCoreTest, AReadAtALaterVersionEndsAtItsDeadline) {
  Receive("router", 9, QueryOf({GetOf("k2")}, 2), 100);
  EXPECT_TRUE(Run().empty());
  EXPECT_EQ(core_.NextWakeup(), now_ms_ + 100);
  now_ms_ += 100;
  EXPECT_EQ(RunFor<proto::QueryReply>("router", 9).error.code, ErrorCode::kDeadlineExceeded);
}

TEST_F(StorageCoreTest, ReadsBelowTheWatermarkAreRefused) {
  ApplyQuietly(1, 3);
  proto::Command drop = MakeCommand(7, 4);
  drop.operations = {DropHistoryOf(3)};
  Receive("raftd", 0, proto::Apply{{{MakeEntry(4, drop), {}}}});
  Run();
  Receive("router", 8, proto::Get{.key = Bytes::Copy("k2"), .at = Version(2)});
  EXPECT_EQ(RunFor<proto::GetReply>("router", 8).error.code, ErrorCode::kVersionCompacted);
  Receive("router", 9, QueryOf({GetOf("k2")}, 2));
  EXPECT_EQ(RunFor<proto::QueryReply>("router", 9).error.code, ErrorCode::kVersionCompacted);
  Receive("router", 10, QueryOf({GetOf("k2")}, 3));
  EXPECT_EQ(RunFor<proto::QueryReply>("router", 10).result.results.at(0).value, "v2");
  Receive("router", 11, proto::StorageStatusQuery{});
  EXPECT_EQ(RunFor<proto::StorageStatus>("router", 11).history_from, Version(3));
}

TEST_F(StorageCoreTest, AQueryGivesAllItsResultsAtOneVersion) {
  ApplyQuietly(1, 3);
  Receive("router", 8, QueryOf({GetOf("k1"), PutOf("k2", "own"), ScanOf("k", "")}));
  const auto reply = RunFor<proto::QueryReply>("router", 8);
  EXPECT_TRUE(reply.error.ok());
  EXPECT_EQ(reply.read_version, Version(3));
  ASSERT_EQ(reply.result.results.size(), 3u);
  EXPECT_EQ(reply.result.results[0].value, "v1");
  EXPECT_EQ(reply.result.results[2].items.at(1).value, "own");
  EXPECT_EQ(machine_->Get("k2")->value, "v2");
}

TEST_F(StorageCoreTest, WhatIsNoQueryIsRefused) {
  Receive("router", 8, proto::Query{.command = Bytes::Copy("no command")});
  EXPECT_EQ(RunFor<proto::QueryReply>("router", 8).error.code, ErrorCode::kInvalidArgument);
  Receive("router", 9, QueryOf({DropHistoryOf(1)}));
  EXPECT_EQ(RunFor<proto::QueryReply>("router", 9).error.code, ErrorCode::kInvalidArgument);
  std::string later = proto::EncodeCommand(proto::Command{});
  later[1] = static_cast<char>(proto::kNewestFormat + 1);
  Receive("router", 10, proto::Query{.command = Bytes(std::move(later))});
  EXPECT_EQ(RunFor<proto::QueryReply>("router", 10).error.code, ErrorCode::kUnsupportedProtocol);
}

TEST_F(StorageCoreTest, AQueryThatMeetsDamagedBytesFailsAlone) {
  ApplyQuietly(1, 3);
  engine_.get_status = Status::Corruption("000012.sst: block at 4096");
  Receive("router", 8, QueryOf({GetOf("k1")}));
  EXPECT_EQ(RunFor<proto::QueryReply>("router", 8).error.code, ErrorCode::kCorruption);
  EXPECT_EQ(core_.corrupt_reads(), 1u);
}

TEST_F(StorageCoreTest, ARunEndsAfterAResultThatIsLargeEnough) {
  proto::Command large = MakeCommand(7, 1);
  const std::string value(proto::kValueBytesMax / 2, 'v');
  large.operations = {PutOf("large", value)};
  Receive("raftd", 0, proto::Apply{{{MakeEntry(1, large), {}}}});
  Run();
  for (std::uint64_t i = 0; i < 3; ++i) Receive("router", i, QueryOf({GetOf("large")}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Run().size(), 1u);
  EXPECT_FALSE(more_);
}

TEST_F(StorageCoreTest, QueriesThatWaitForTheirTurnAreBoundedInBytes) {
  const std::string value(proto::kValueBytesMax, 'v');
  std::size_t refused = 0;
  for (std::uint64_t i = 0; i <= kArrivedReadsBytesMax / value.size(); ++i) {
    Receive("router", i, QueryOf({PutOf("k", value)}));
  }
  for (int i = 0; i < 20; ++i) {
    for (const auto& message : Run()) {
      const auto& reply = std::get<proto::QueryReply>(message.message);
      refused += reply.error.code == ErrorCode::kOverloaded ? 1 : 0;
    }
  }
  EXPECT_GT(refused, 0u);
  EXPECT_LT(refused, 4u);
}

TEST_F(StorageCoreTest, TheEngineDropsHistoryOnlyOnceTheMoveIsDurable) {
  ApplyQuietly(1, 3);
  proto::Command drop = MakeCommand(7, 4);
  drop.operations = {DropHistoryOf(3)};
  Receive("raftd", 0, proto::Apply{{{MakeEntry(4, drop), {}}}});
  Run();
  EXPECT_EQ(engine_.watermark(), Version());
  machine_->StartFlush();
  core_.EngineProgressed();
  EXPECT_EQ(engine_.watermark(), Version());
  engine_.FinishFlush();
  core_.EngineProgressed();
  EXPECT_EQ(engine_.watermark(), Version(3));
}

// ---- Locks

TEST_F(StorageCoreTest, ALockIsAnsweredWithWhatIsReadUnderIt) {
  ApplyQuietly(1, 2);
  proto::Lock lock = LockOf(1, "k1");
  lock.query = QueryOf({GetOf("k1")}).command;
  Receive("router", 8, lock);
  const auto reply = RunFor<proto::LockReply>("router", 8);
  EXPECT_TRUE(reply.error.ok());
  EXPECT_EQ(reply.read_version, Version(2));
  EXPECT_EQ(reply.result.results.at(0).value, "v1");
}

TEST_F(StorageCoreTest, ALockThatWaitedReadsWhatWasCommittedMeanwhile) {
  ApplyQuietly(1, 1);
  Receive("router", 8, LockOf(1, "k2"));
  Run();
  proto::Lock second = LockOf(2, "k2");
  second.query = QueryOf({GetOf("k2")}).command;
  Receive("router", 9, second, 1'000);
  EXPECT_TRUE(Run().empty());
  Receive("raftd", 0, Puts(2, 2));
  Receive("router", 0, proto::Unlock{LockName(1)});
  const auto out = Run();
  ASSERT_EQ(out.size(), 3u);
  const auto& reply = std::get<proto::LockReply>(out[2].message);
  EXPECT_EQ(reply.read_version, Version(2));
  EXPECT_EQ(reply.result.results.at(0).value, "v2");
}

TEST_F(StorageCoreTest, AWaitForALockWakesTheLoopAtItsDeadline) {
  Receive("router", 8, LockOf(1, "k"));
  Run();
  Receive("router", 9, LockOf(2, "k"), 500);
  EXPECT_TRUE(Run().empty());
  EXPECT_EQ(core_.NextWakeup(), now_ms_ + 500);
  now_ms_ += 500;
  const auto reply = RunFor<proto::LockReply>("router", 9);
  EXPECT_EQ(reply.error.code, ErrorCode::kLockTimeout);
  EXPECT_EQ(reply.error.blocked_by, "n1-000000000000b007-1");
}

TEST_F(StorageCoreTest, AnEntryOfALaterTermEndsLocks) {
  Receive("router", 8, LockOf(1, "k"));
  Run();
  Receive("router", 9, LockOf(2, "k"), 500);
  raft::Entry entry = Noop(1);
  entry.term = Term(2);
  Receive("raftd", 0, proto::Apply{{{entry, {}}}});
  const auto out = Run();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(std::get<proto::LockReply>(out[1].message).error.code, ErrorCode::kNotLeader);
  Receive("router", 11, proto::StorageStatusQuery{});
  EXPECT_EQ(RunFor<proto::StorageStatus>("router", 11).locks, 0u);
}

TEST_F(StorageCoreTest, TheStatusCountsLocks) {
  Receive("router", 8, LockOf(1, "a"));
  Receive("router", 9, LockOf(2, "b"));
  Receive("router", 10, LockOf(2, "a"), 500);
  Run();
  Receive("router", 11, proto::StorageStatusQuery{});
  EXPECT_EQ(RunFor<proto::StorageStatus>("router", 11).locks, 3u);
}

TEST_F(StorageCoreTest, StoppingEndsWaitsForLocks) {
  Receive("router", 8, LockOf(1, "a"));
  Run();
  Receive("router", 9, LockOf(2, "a"), 500);
  core_.BeginStop();
  EXPECT_EQ(RunFor<proto::LockReply>("router", 9).error.code, ErrorCode::kShuttingDown);
}

TEST_F(StorageCoreTest, AnotherClusterIsRefusedRequestByRequest) {
  auto frame = FrameOf({{RequestId(3), 0, Puts(1, 1)}, {RequestId(4), 0, Get("k")}});
  frame.header.cluster = ClusterId(0xc2);
  core_.Receive("stranger", frame, now_ms_);
  const auto out = Run();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[1].request, RequestId(4));
  EXPECT_EQ(std::get<proto::Refusal>(out[1].message).error.code, ErrorCode::kWrongCluster);
  EXPECT_EQ(machine_->applied(), LogIndex(0));
}

TEST_F(StorageCoreTest, AnotherProtocolVersionIsRefusedByName) {
  proto::Frame frame;
  frame.header.protocol = 99;
  core_.Receive("future", frame, now_ms_);
  const auto refusal = RunFor<proto::Refusal>("future", 0);
  EXPECT_EQ(refusal.error.code, ErrorCode::kUnsupportedProtocol);
  EXPECT_NE(refusal.error.detail.find("99"), std::string::npos);
}

TEST_F(StorageCoreTest, AnotherGroupIsRefused) {
  auto frame = FrameOf({{RequestId(4), 0, Get("k")}});
  frame.header.group = GroupId(1);
  core_.Receive("router", frame, now_ms_);
  EXPECT_EQ(RunFor<proto::Refusal>("router", 4).error.code, ErrorCode::kInvalidArgument);
}

TEST_F(StorageCoreTest, WhatItDoesNotServeIsRefusedAndARefusalNeverAnswered) {
  Receive("router", 4, proto::ReadIndexQuery{});
  EXPECT_EQ(RunFor<proto::Refusal>("router", 4).error.code, ErrorCode::kInvalidArgument);
  Receive("router", 5, proto::UnknownKind{200});
  EXPECT_EQ(RunFor<proto::Refusal>("router", 5).error.code, ErrorCode::kUnsupportedProtocol);
  Receive("router", 6, proto::Refusal{});
  EXPECT_TRUE(Run().empty());
  core_.ReceiveMalformed("router", "no frame");
  EXPECT_EQ(RunFor<proto::Refusal>("router", 0).error.code, ErrorCode::kInvalidArgument);
}

TEST_F(StorageCoreTest, AStopFlushesRefusesReadsAndEndsWhenAllIsDurable) {
  ApplyQuietly(1, 2);
  Receive("router", 7, Get("k1", 9), 1'000);
  Run();
  core_.BeginStop();
  EXPECT_EQ(RunFor<proto::GetReply>("router", 7).error.code, ErrorCode::kShuttingDown);
  Receive("router", 8, Get("k1"));
  EXPECT_EQ(RunFor<proto::GetReply>("router", 8).error.code, ErrorCode::kShuttingDown);
  Receive("raftd", 9, Puts(3, 3));
  Run();
  EXPECT_FALSE(core_.stopped());
  engine_.FinishFlushes();
  EXPECT_TRUE(core_.stopped());
  EXPECT_EQ(disk_.mark.index, LogIndex(2));
}

TEST_F(StorageCoreTest, AStopWithNothingToFlushEndsAtOnce) {
  core_.BeginStop();
  EXPECT_TRUE(core_.stopped());
  EXPECT_EQ(engine_.flushes_started(), 0u);
}

}  // namespace
}  // namespace bedrock::storage
