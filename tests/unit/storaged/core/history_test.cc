#include "storaged/core/history.h"

#include <gtest/gtest.h>

#include <string>

#include "proto/errors.h"
#include "storaged/core/keyspace.h"
#include "tests/unit/storaged/core/machine_fixture.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

class HistoryTest : public MachineTest {};

TEST_F(HistoryTest, BeginsWithAllOfIt) {
  EXPECT_EQ(machine_->history_from(), Version());
  Apply({PutOf("a", "1")});
  Apply({PutOf("a", "2")});
  EXPECT_EQ(machine_->Get("a", Version(1))->value, "1");
  EXPECT_EQ(engine_->watermark(), Version());
}

TEST_F(HistoryTest, ACommandMovesTheWatermarkUpAndNeverDown) {
  for (int i = 0; i < 5; ++i) Apply({PutOf("a", "1")});
  EXPECT_EQ(Apply({DropHistoryOf(4)}).code, ErrorCode::kOk);
  EXPECT_EQ(machine_->history_from(), Version(4));
  Apply({DropHistoryOf(2)});
  EXPECT_EQ(machine_->history_from(), Version(4));
}

TEST_F(HistoryTest, TheWatermarkIsNeverAboveTheCommandsOwnVersion) {
  Apply({DropHistoryOf(1'000)});
  EXPECT_EQ(machine_->history_from(), Version(1));
}

TEST_F(HistoryTest, SeveralMovesOfOneCommandAreTheFarthest) {
  for (int i = 0; i < 5; ++i) Apply({PutOf("a", "1")});
  Apply({DropHistoryOf(4), DropHistoryOf(3)});
  EXPECT_EQ(machine_->history_from(), Version(4));
}

TEST_F(HistoryTest, ARefusedCommandMovesNothing) {
  for (int i = 0; i < 5; ++i) Apply({PutOf("a", "x")});
  Apply({DropHistoryOf(3), AddOf("a", 1)});
  EXPECT_EQ(machine_->history_from(), Version());
}

TEST_F(HistoryTest, SurvivesARestartWithTheData) {
  for (int i = 0; i < 5; ++i) Apply({PutOf("a", "1")});
  Apply({DropHistoryOf(3)});
  FlushAndRestart();
  EXPECT_EQ(machine_->history_from(), Version(3));
  EXPECT_EQ(engine_->watermark(), Version(3));
}

TEST_F(HistoryTest, TheEngineLagsBehindUntilTheMoveIsDurable) {
  for (int i = 0; i < 5; ++i) Apply({PutOf("a", "1")});
  Apply({DropHistoryOf(3)});
  machine_->EngineProgressed();
  EXPECT_EQ(engine_->watermark(), Version());
  Flush();
  EXPECT_EQ(engine_->watermark(), Version(3));
  Apply({DropHistoryOf(5)});
  machine_->EngineProgressed();
  EXPECT_EQ(engine_->watermark(), Version(3));
}

TEST_F(HistoryTest, MovesThatWaitForAFlushAreBounded) {
  for (std::uint64_t i = 0; i < 3 * kWatermarkMovesMax; ++i) Apply({DropHistoryOf(NextIndex())});
  Flush();
  EXPECT_EQ(engine_->watermark(), machine_->history_from());
}

TEST_F(HistoryTest, RefusesToOpenOnADamagedRecord) {
  Apply({DropHistoryOf(1)});
  Flush();
  disk_.content.at(std::string(kWatermarkKey)).rbegin()->second.second.clear();
  FakeEngine damaged(disk_);
  EXPECT_TRUE(StateMachine::Open(damaged).status().IsCorruption());
}

// Only what is durable may be dropped by: after a crash the replay looks back to the watermark as
// it was where the replay starts.
TEST_F(HistoryTest, AMoveThatWaitsIsNotReplacedByALaterOneThatIsNotDurable) {
  History history = *History::Open(*engine_);
  history.Moved(Version(1), LogIndex(10));
  history.Moved(Version(5), LogIndex(20));
  EXPECT_EQ(history.TakeDurable(LogIndex(9)), std::nullopt);
  EXPECT_EQ(history.TakeDurable(LogIndex(19)), Version(1));
  EXPECT_EQ(history.TakeDurable(LogIndex(19)), std::nullopt);
  EXPECT_EQ(history.TakeDurable(LogIndex(20)), Version(5));
}

}  // namespace
}  // namespace bedrock::storage
