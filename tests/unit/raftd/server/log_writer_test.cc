#include "raftd/server/log_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/env/manual_executor.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Notes what is asked of it.
class FakeLog final : public RaftLog {
 public:
  const Recovered& recovered() const override { return recovered_; }
  Status Submit(const Write& write) override {
    calls.push_back("submit " + std::to_string(write.seq.value()));
    if (!submit_status.ok()) return submit_status;
    last_ = write.seq;
    return {};
  }
  Result<WriteSeq> Sync() override {
    calls.emplace_back("sync");
    if (!sync_status.ok()) return sync_status;
    return last_;
  }
  Status SyncIdle() override {
    calls.emplace_back("sync idle");
    return {};
  }
  Result<std::vector<Entry>> Read(LogIndex first, LogIndex, std::size_t) override {
    calls.push_back("read " + std::to_string(first.value()));
    return std::vector<Entry>{{.index = first}};
  }
  Status Compact(LogIndex index) override {
    calls.push_back("compact " + std::to_string(index.value()));
    return {};
  }
  std::uint64_t SizeOnDisk() const override { return 0; }

  Room RoomLeft() override { return room; }
  LogIndex LastBeyond(std::uint64_t bytes_max) const override { return LogIndex(1000 / bytes_max); }
  Result<Scrubbed> Scrub(std::size_t) override {
    calls.emplace_back("scrub");
    if (!scrub_status.ok()) return scrub_status;
    return Scrubbed{.done = true, .damage = {}};
  }

  std::vector<std::string> calls;
  Status submit_status;
  Status sync_status;
  Status scrub_status;
  Room room = Room::kEnough;

 private:
  Recovered recovered_;
  WriteSeq last_;
};

class LogWriterTest : public ::testing::Test {
 protected:
  LogWriter::Callbacks Callbacks() {
    return {.on_durable =
                [this](WriteSeq seq) { told_.push_back("durable " + std::to_string(seq.value())); },
            .on_idle_done = [this] { told_.emplace_back("idle done"); },
            .on_room =
                [this](Room room) {
                  told_.emplace_back(room == Room::kEnough   ? "room"
                                     : room == Room::kLittle ? "little room"
                                                             : "full");
                },
            .on_failed = [this](const Status& status) { told_.push_back(status.ToString()); }};
  }
  std::unique_ptr<LogWriter> Threaded() {
    auto writer = MakeThreadedLogWriter(log_, executor_, [this](std::function<void()> task) {
      posted_.push_back(std::move(task));
    });
    writer->Start(Callbacks());
    return writer;
  }
  void RunPosted() {
    for (; !posted_.empty(); posted_.pop_front()) posted_.front()();
  }

  static Write MakeWrite(std::uint64_t seq) { return {.seq = WriteSeq(seq)}; }

  FakeLog log_;
  ManualExecutor executor_;
  std::deque<std::function<void()>> posted_;
  std::vector<std::string> told_;
};

TEST_F(LogWriterTest, InlineWorksBeforeItReturns) {
  const auto writer = MakeInlineLogWriter(log_);
  writer->Start(Callbacks());
  writer->Submit(MakeWrite(1));
  writer->Submit(MakeWrite(2));
  EXPECT_THAT(told_, IsEmpty());
  writer->Flush();
  writer->SyncIdle();
  EXPECT_THAT(told_, ElementsAre("durable 2", "idle done"));
  EXPECT_THAT(log_.calls, ElementsAre("submit 1", "submit 2", "sync", "sync idle"));
}

TEST_F(LogWriterTest, AFailureIsToldOnceAndNothingFollowsIt) {
  const auto writer = MakeInlineLogWriter(log_);
  writer->Start(Callbacks());
  log_.sync_status = Status::IoError("sync");
  writer->Submit(MakeWrite(1));
  writer->Flush();
  writer->Flush();
  writer->SyncIdle();
  writer->Compact(LogIndex(1));
  writer->Read(LogIndex(1), LogIndex(1), 1, [](std::vector<Entry>) { FAIL(); });
  EXPECT_THAT(told_, ElementsAre("io_error: sync"));
  EXPECT_THAT(log_.calls, ElementsAre("submit 1", "sync"));
}

TEST_F(LogWriterTest, WhatFindsNoRoomWaitsInOrderAndIsWrittenWhenThereIsSome) {
  const auto writer = MakeInlineLogWriter(log_);
  writer->Start(Callbacks());
  writer->Submit(MakeWrite(1));
  log_.submit_status = Status::NoSpace("full");
  writer->Submit(MakeWrite(2));
  writer->Submit(MakeWrite(3));
  writer->Flush();
  writer->Retry();
  EXPECT_THAT(told_, ElementsAre("full", "durable 1"));
  log_.calls.clear();
  log_.submit_status = Status();
  told_.clear();
  writer->Retry();
  EXPECT_THAT(log_.calls, ElementsAre("submit 2", "submit 3", "sync"));
  writer->Submit(MakeWrite(4));
  writer->Flush();
  writer->Retry();
  EXPECT_THAT(told_, ElementsAre("room", "durable 3", "durable 4"));
}

TEST_F(LogWriterTest, ThatRoomRunsOutIsToldWhileWritesStillFit) {
  const auto writer = MakeInlineLogWriter(log_);
  writer->Start(Callbacks());
  log_.room = Room::kLittle;
  writer->Submit(MakeWrite(1));
  writer->Flush();
  writer->Submit(MakeWrite(2));
  writer->Flush();
  EXPECT_THAT(told_, ElementsAre("little room", "durable 1", "durable 2"));
  log_.room = Room::kNone;
  writer->Submit(MakeWrite(3));
  writer->Flush();
  EXPECT_THAT(told_, ElementsAre("little room", "durable 1", "durable 2", "full", "durable 3"));
  log_.room = Room::kEnough;
  told_.clear();
  writer->Retry();
  EXPECT_THAT(told_, ElementsAre("room"));
}

TEST_F(LogWriterTest, ALogThatFailedForLackOfRoomHasFailed) {
  const auto writer = MakeInlineLogWriter(log_);
  writer->Start(Callbacks());
  log_.submit_status = log_.sync_status = Status::NoSpace("poisoned");
  writer->Submit(MakeWrite(1));
  writer->Retry();
  EXPECT_THAT(told_, ElementsAre("no_space: poisoned"));
}

TEST_F(LogWriterTest, AScrubThatFailsIsNoFailureOfTheLog) {
  for (const bool threaded : {false, true}) {
    told_.clear();
    log_.scrub_status = Status::IoError("unreadable");
    const auto writer = threaded ? Threaded() : MakeInlineLogWriter(log_);
    if (!threaded) writer->Start(Callbacks());
    std::string result;
    writer->Scrub(1, [&](const Result<Scrubbed>& s) { result = s.status().ToString(); });
    executor_.RunAll();
    RunPosted();
    EXPECT_EQ(result, "io_error: unreadable");
    writer->Submit(MakeWrite(5));
    writer->Flush();
    executor_.RunAll();
    RunPosted();
    EXPECT_THAT(told_, ElementsAre("durable 5"));
  }
}

TEST_F(LogWriterTest, TheSizeIsMeasuredAgainstTheBoundAndTwiceTheBound) {
  for (const bool threaded : {false, true}) {
    const auto writer = threaded ? Threaded() : MakeInlineLogWriter(log_);
    LogPressure told;
    writer->Measure(10, [&](const LogPressure& pressure) { told = pressure; });
    executor_.RunAll();
    RunPosted();
    EXPECT_EQ(told, (LogPressure{.over = LogIndex(100), .far_over = LogIndex(50)}));
  }
}

TEST_F(LogWriterTest, ThreadedWorksOnTheExecutorAndAnswersOnTheDriversThread) {
  const auto writer = Threaded();
  writer->Submit(MakeWrite(1));
  writer->Flush();
  EXPECT_THAT(log_.calls, IsEmpty());
  executor_.RunAll();
  EXPECT_THAT(log_.calls, ElementsAre("submit 1", "sync"));
  EXPECT_THAT(told_, IsEmpty());
  RunPosted();
  EXPECT_THAT(told_, ElementsAre("durable 1"));
}

TEST_F(LogWriterTest, WhatComesDuringASyncIsOneBatch) {
  const auto writer = Threaded();
  for (std::uint64_t seq = 1; seq <= 3; ++seq) {
    writer->Submit(MakeWrite(seq));
    writer->Flush();
  }
  executor_.RunAll();
  EXPECT_THAT(log_.calls, ElementsAre("submit 1", "submit 2", "submit 3", "sync"));
  RunPosted();
  EXPECT_THAT(told_, ElementsAre("durable 3"));
}

TEST_F(LogWriterTest, ThreadedReadsAndCompactionsFollowTheWritesBeforeThem) {
  const auto writer = Threaded();
  std::vector<Entry> read;
  writer->Submit(MakeWrite(1));
  writer->Flush();
  writer->Read(LogIndex(4), LogIndex(4), 1, [&](std::vector<Entry> entries) { read = entries; });
  writer->Compact(LogIndex(4));
  executor_.RunAll();
  EXPECT_THAT(log_.calls, ElementsAre("submit 1", "sync", "read 4", "compact 4"));
  EXPECT_THAT(read, IsEmpty());
  RunPosted();
  ASSERT_EQ(read.size(), 1U);
  EXPECT_EQ(read[0].index, LogIndex(4));
}

// It may have been cut, compacted or replaced by then.
TEST_F(LogWriterTest, AWriteSubmittedAfterAReadIsNotDoneBeforeIt) {
  const auto writer = Threaded();
  writer->Submit(MakeWrite(1));
  writer->Flush();
  writer->Submit(MakeWrite(2));
  writer->Flush();
  writer->Read(LogIndex(4), LogIndex(4), 1, [](const std::vector<Entry>&) {});
  writer->Submit(MakeWrite(3));
  writer->Flush();
  writer->Compact(LogIndex(4));
  writer->Submit(MakeWrite(4));
  writer->Flush();
  executor_.RunAll();
  EXPECT_THAT(log_.calls, ElementsAre("submit 1", "submit 2", "sync", "read 4", "submit 3", "sync",
                                      "compact 4", "submit 4", "sync"));
  RunPosted();
  EXPECT_THAT(told_, ElementsAre("durable 2", "durable 3", "durable 4"));
}

TEST_F(LogWriterTest, AWriteSubmittedBeforeAReadIsDoneBeforeItThoughItsFlushComesLater) {
  const auto writer = Threaded();
  writer->Submit(MakeWrite(1));
  writer->Read(LogIndex(4), LogIndex(4), 1, [](const std::vector<Entry>&) {});
  writer->Flush();
  writer->Flush();
  executor_.RunAll();
  EXPECT_THAT(log_.calls, ElementsAre("submit 1", "read 4", "sync"));
  RunPosted();
  EXPECT_THAT(told_, ElementsAre("durable 1"));
}

TEST_F(LogWriterTest, AThreadedFailureIsTold) {
  const auto writer = Threaded();
  log_.sync_status = Status::IoError("sync");
  writer->Submit(MakeWrite(1));
  writer->Flush();
  executor_.RunAll();
  RunPosted();
  EXPECT_THAT(told_, ElementsAre("io_error: sync"));
}

}  // namespace
}  // namespace bedrock::raft
