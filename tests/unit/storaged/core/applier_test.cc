#include "storaged/core/applier.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/unit/storaged/core/entries.h"
#include "tests/unit/storaged/core/fake_engine.h"

namespace bedrock::storage {
namespace {

using State = Applier::State;

class ApplierTest : public ::testing::Test {
 protected:
  ApplierTest()
      : engine_(disk_),
        machine_(StateMachine::Open(engine_).value()),
        applier_(engine_, *machine_) {}

  // Entries [first, last], each a put of its own whose reply goes to "router".
  static proto::Apply Batch(std::uint64_t first, std::uint64_t last,
                            const std::string& value = "v") {
    proto::Apply batch;
    batch.items.reserve(last - first + 1);
    for (std::uint64_t i = first; i <= last; ++i) {
      batch.items.push_back(
          {.entry = MakeEntry(i, PutCommand(7, i, "k" + std::to_string(i), value)),
           .reply_to = {.router = "router", .request = RequestId(100 + i)}});
    }
    return batch;
  }
  // The requests that were answered.
  std::vector<std::uint64_t> Run(std::uint64_t now_ms = 0) {
    std::vector<Applier::Reply> replies;
    applier_.Run(now_ms, replies);
    std::vector<std::uint64_t> requests;
    requests.reserve(replies.size());
    for (const auto& reply : replies) requests.push_back(reply.to.request.value());
    return requests;
  }
  std::uint64_t applied() const { return machine_->applied().value(); }

  FakeDisk disk_;
  FakeEngine engine_;
  std::unique_ptr<StateMachine> machine_;
  Applier applier_;
};

TEST_F(ApplierTest, AppliesInOrderAndAnswersEach) {
  applier_.Accept(Batch(1, 3));
  EXPECT_EQ(applier_.state(), State::kMore);
  EXPECT_EQ(Run(), (std::vector<std::uint64_t>{101, 102, 103}));
  EXPECT_EQ(applied(), 3u);
  EXPECT_EQ(applier_.state(), State::kIdle);
}

TEST_F(ApplierTest, AnswersNobodyWhereNobodyWaits) {
  proto::Apply batch = Batch(1, 2);
  batch.items[0].reply_to = {};
  applier_.Accept(std::move(batch));
  EXPECT_EQ(Run(), (std::vector<std::uint64_t>{102}));
}

TEST_F(ApplierTest, AnswersCommandsAlone) {
  proto::Apply batch = Batch(1, 2);
  batch.items[0].entry = Noop(1);
  applier_.Accept(std::move(batch));
  EXPECT_EQ(Run(), (std::vector<std::uint64_t>{102}));
  EXPECT_EQ(applied(), 2u);
}

TEST_F(ApplierTest, SkipsWhatIsAppliedOrPendingAlready) {
  applier_.Accept(Batch(1, 2));
  Run();
  applier_.Accept(Batch(1, 4));
  applier_.Accept(Batch(3, 5));
  EXPECT_EQ(applier_.pending(), 3u);
  EXPECT_EQ(Run(), (std::vector<std::uint64_t>{103, 104, 105}));
}

TEST_F(ApplierTest, DropsWhatComesAfterAGap) {
  applier_.Accept(Batch(2, 3));
  EXPECT_EQ(applier_.pending(), 0u);
  proto::Apply batch = Batch(1, 4);
  batch.items.erase(batch.items.begin() + 2);  // 1, 2, 4
  applier_.Accept(std::move(batch));
  Run();
  EXPECT_EQ(applied(), 2u);
}

TEST_F(ApplierTest, KeepsTheRestInOrderWhileTheEngineIsBusy) {
  engine_.apply_status = Status::Busy("two memtables wait");
  applier_.Accept(Batch(1, 3));
  EXPECT_TRUE(Run().empty());
  EXPECT_EQ(applier_.state(), State::kBlocked);
  applier_.Accept(Batch(4, 5));
  engine_.apply_status = Status::Ok();
  EXPECT_TRUE(Run().empty()) << "nothing is tried before the engine has made progress";
  applier_.Unblock();
  EXPECT_EQ(Run(), (std::vector<std::uint64_t>{101, 102, 103, 104, 105}));
}

TEST_F(ApplierTest, AFullDiskIsWaitedFor) {
  engine_.apply_status = Status::NoSpace("disk");
  applier_.Accept(Batch(1, 1));
  Run();
  EXPECT_EQ(applier_.state(), State::kBlocked);
  engine_.apply_status = Status::Ok();
  applier_.Unblock();
  EXPECT_EQ(Run().size(), 1u);
}

TEST_F(ApplierTest, AnyOtherFailureHaltsForGood) {
  applier_.Accept(Batch(1, 1));
  Run();
  engine_.apply_status = Status::IoError("disk");
  applier_.Accept(Batch(2, 3));
  EXPECT_TRUE(Run().empty());
  EXPECT_EQ(applier_.state(), State::kHalted);
  EXPECT_TRUE(applier_.fault().IsIOError());
  engine_.apply_status = Status::Ok();
  applier_.Unblock();
  EXPECT_TRUE(Run().empty());
  EXPECT_EQ(applied(), 1u);
}

TEST_F(ApplierTest, PendingEntriesAreBoundedAndTheRestComesAgain) {
  engine_.apply_status = Status::Busy("flush");
  Run();
  std::uint64_t next = 1;
  for (; next + 999 <= kPendingEntriesMax + 2'000; next += 1'000) {
    applier_.Accept(Batch(next, next + 999));
  }
  EXPECT_EQ(applier_.pending(), kPendingEntriesMax);
  engine_.apply_status = Status::Ok();
  applier_.Unblock();
  while (applier_.state() == State::kMore) Run();
  EXPECT_EQ(applied(), kPendingEntriesMax);
  applier_.Accept(Batch(kPendingEntriesMax + 1, kPendingEntriesMax + 1));
  EXPECT_EQ(Run().size(), 1u);
}

TEST_F(ApplierTest, PendingBytesAreBounded) {
  const std::string value(kMiB, 'v');
  for (std::uint64_t i = 1; i <= 2 * kPendingBytesMax / kMiB; ++i) {
    applier_.Accept(Batch(i, i, value));
  }
  EXPECT_LT(applier_.pending(), kPendingBytesMax / kMiB);
  EXPECT_GE(applier_.pending(), kPendingBytesMax / kMiB - 1);
}

TEST_F(ApplierTest, OneRunDoesABoundedAmountOfWork) {
  applier_.Accept(Batch(1, kEntriesPerRunMax + 1));
  EXPECT_EQ(Run().size(), kEntriesPerRunMax);
  EXPECT_EQ(applier_.state(), State::kMore);
  EXPECT_EQ(Run().size(), 1u);
  applier_.Accept(Batch(kEntriesPerRunMax + 2, kEntriesPerRunMax + 21, std::string(kMiB, 'v')));
  EXPECT_EQ(Run().size(), kBytesPerRunMax / kMiB);
}

TEST_F(ApplierTest, FlushesWhenTheEngineWantsToAlsoInTheMiddleOfARun) {
  engine_.wants_flush = true;
  applier_.Accept(Batch(1, 3));
  Run();
  ASSERT_EQ(engine_.flushes_started(), 1u);
  engine_.FinishFlush();
  EXPECT_EQ(disk_.mark.index, LogIndex(1));
}

TEST_F(ApplierTest, FlushesWhatMakesTheRaftLogLong) {
  const std::string value(kMiB, 'v');
  std::uint64_t i = 1;
  for (; i < kUnflushedBytesMax / kMiB; ++i) {
    applier_.Accept(Batch(i, i, value));
    Run();
  }
  EXPECT_EQ(engine_.flushes_started(), 0u);
  applier_.Accept(Batch(i, i, value));
  Run();
  EXPECT_EQ(engine_.flushes_started(), 1u);
}

TEST_F(ApplierTest, FlushesWhatIsOld) {
  applier_.Accept(Batch(1, 1));
  Run(1'000);
  applier_.Accept(Batch(2, 2));
  Run(kUnflushedMsMax);
  EXPECT_EQ(engine_.flushes_started(), 0u);
  Run(1'000 + kUnflushedMsMax);
  EXPECT_EQ(engine_.flushes_started(), 1u);
  Run(10 * kUnflushedMsMax);
  EXPECT_EQ(engine_.flushes_started(), 1u) << "nothing new was applied";
}

TEST_F(ApplierTest, StartsNoSecondFlushForAgeBeforeTheFirstIsDurable) {
  applier_.Accept(Batch(1, 1));
  Run(0);
  Run(kUnflushedMsMax);
  ASSERT_EQ(engine_.flushes_started(), 1u);
  applier_.Accept(Batch(2, 2));
  Run(2 * kUnflushedMsMax);
  Run(4 * kUnflushedMsMax);
  EXPECT_EQ(engine_.flushes_started(), 1u);
  engine_.FinishFlush();
  Run(4 * kUnflushedMsMax);
  EXPECT_EQ(engine_.flushes_started(), 2u);
}

TEST_F(ApplierTest, StopFlushesWhatIsAppliedAndTakesNoMore) {
  applier_.Accept(Batch(1, 2));
  Run();
  applier_.Accept(Batch(3, 3));
  applier_.Stop();
  applier_.Accept(Batch(3, 3));
  EXPECT_TRUE(Run().empty());
  ASSERT_EQ(engine_.flushes_started(), 1u);
  engine_.FinishFlush();
  EXPECT_EQ(disk_.mark.index, LogIndex(2));
}

TEST_F(ApplierTest, StopStartsNoFlushWhereAllIsDurable) {
  engine_.wants_flush = true;
  applier_.Accept(Batch(1, 1));
  Run();
  ASSERT_EQ(engine_.flushes_started(), 1u);
  engine_.FinishFlush();
  applier_.Stop();
  EXPECT_EQ(engine_.flushes_started(), 1u);
}

TEST_F(ApplierTest, StopAsksAgainForTheFlushThatTheEngineHadNoRoomFor) {
  engine_.flushes_max = 1;
  engine_.wants_flush = true;
  applier_.Accept(Batch(1, 1));
  Run();
  applier_.Accept(Batch(2, 2));
  Run();
  applier_.Stop();
  applier_.Unblock();
  ASSERT_EQ(engine_.flushes_started(), 1u);
  engine_.FinishFlush();
  applier_.Unblock();
  ASSERT_EQ(engine_.flushes_started(), 2u);
  engine_.FinishFlush();
  EXPECT_EQ(disk_.mark.index, LogIndex(2));
}

// Regression: the engine was busy because its memtable was full, and the memtable was not frozen
// because nothing could be applied.
TEST_F(ApplierTest, FreezesAFullMemtableAlsoWhileNothingCanBeApplied) {
  applier_.Accept(Batch(1, 1));
  Run();
  engine_.apply_status = Status::Busy("memtables");
  applier_.Accept(Batch(2, 2));
  Run();
  engine_.wants_flush = true;
  Run();
  EXPECT_EQ(engine_.flushes_started(), 1u);
}

}  // namespace
}  // namespace bedrock::storage
