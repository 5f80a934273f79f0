#include "storaged/engine/error_state.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bedrock::engine {
namespace {

using Job = ErrorState::Job;

class ErrorStateTest : public testing::Test {
 protected:
  std::vector<std::string> lines_;
  ErrorState errors_{[this](std::string_view line) { lines_.emplace_back(line); }};
};

TEST_F(ErrorStateTest, BeginsHealthy) {
  EXPECT_EQ(errors_.state(), EngineState::kHealthy);
  EXPECT_EQ(errors_.health().detail, "");
  EXPECT_TRUE(errors_.Refusal().ok());
}

TEST_F(ErrorStateTest, TroubleLastsUntilItsJobIsWell) {
  errors_.Trouble(Job::kFlush, Status::IoError("disk hiccup"));
  EXPECT_EQ(errors_.state(), EngineState::kDegraded);
  EXPECT_NE(errors_.health().detail.find("disk hiccup"), std::string::npos);
  EXPECT_FALSE(errors_.Well(Job::kCompaction));
  EXPECT_EQ(errors_.state(), EngineState::kDegraded);
  EXPECT_TRUE(errors_.Well(Job::kFlush));
  EXPECT_EQ(errors_.state(), EngineState::kHealthy);
  EXPECT_EQ(errors_.health().detail, "");
}

TEST_F(ErrorStateTest, TheWorstIsTheState) {
  errors_.Quarantined(1, "000007.sst");
  EXPECT_EQ(errors_.state(), EngineState::kDegraded);
  errors_.Trouble(Job::kCompaction, Status::NoSpace("full"));
  EXPECT_EQ(errors_.state(), EngineState::kNoSpace);
  errors_.EndWrites(Status::IoError("eight times"));
  EXPECT_EQ(errors_.state(), EngineState::kReadOnly);
  errors_.Fail(Status::IoError("sync MANIFEST"));
  EXPECT_EQ(errors_.state(), EngineState::kFailed);
  EXPECT_NE(errors_.health().detail.find("sync MANIFEST"), std::string::npos);
  errors_.Well(Job::kCompaction);
  EXPECT_EQ(errors_.state(), EngineState::kFailed) << "for ever";
}

TEST_F(ErrorStateTest, AFullDiskIsNotHiddenByAnotherTrouble) {
  errors_.Trouble(Job::kFlush, Status::IoError("odd"));
  errors_.Trouble(Job::kCompaction, Status::NoSpace("full"));
  EXPECT_EQ(errors_.state(), EngineState::kNoSpace);
  EXPECT_NE(errors_.health().detail.find("full"), std::string::npos);
  EXPECT_TRUE(errors_.HasNoSpace(Job::kCompaction));
  EXPECT_FALSE(errors_.HasNoSpace(Job::kFlush));
}

TEST_F(ErrorStateTest, TheFirstFailureIsTheReason) {
  errors_.Fail(Status::IoError("first"));
  errors_.Fail(Status::IoError("second"));
  EXPECT_NE(errors_.health().detail.find("first"), std::string::npos);
  EXPECT_TRUE(errors_.Refusal().IsIOError());
}

TEST_F(ErrorStateTest, EachChangeIsToldOnceAndRepeatsAreNot) {
  errors_.Trouble(Job::kFlush, Status::NoSpace("full"));
  errors_.Trouble(Job::kFlush, Status::NoSpace("full"));
  errors_.Well(Job::kFlush);
  errors_.Well(Job::kFlush);
  ASSERT_EQ(lines_.size(), 2u);
  EXPECT_NE(lines_[0].find("no_space"), std::string::npos);
  EXPECT_NE(lines_[0].find("full"), std::string::npos);
  EXPECT_EQ(lines_[1], "engine is healthy, was no_space");
}

TEST_F(ErrorStateTest, AnotherQuarantinedFileIsNews) {
  errors_.Quarantined(1, "000007.sst");
  errors_.Quarantined(1, "000007.sst");
  errors_.Quarantined(2, "000007.sst, 000009.sst");
  EXPECT_EQ(lines_.size(), 2u);
  errors_.Quarantined(0, "");
  EXPECT_EQ(errors_.state(), EngineState::kHealthy);
}

}  // namespace
}  // namespace bedrock::engine
