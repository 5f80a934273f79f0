#include "common/logging/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace bedrock::log {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

TEST(LogTest, FieldsFollowTheEventAsKeyAndValue) {
  EXPECT_EQ(FormatEvent("became leader", {{"term", Term(3)},
                                          {"node", NodeId(2)},
                                          {"took_ms", 12},
                                          {"again", true},
                                          {"endpoint", "tcp://127.0.0.1:9000"}}),
            "became leader term=3 node=n2 took_ms=12 again=true endpoint=tcp://127.0.0.1:9000");
}

TEST(LogTest, ValuesThatCouldForgeAFieldOrALineAreQuotedAndEscaped) {
  EXPECT_EQ(FormatEvent("refused", {{"key", "a b=c\n2026 \"x\\"}}),
            "refused key=\"a b=c\\x0a2026 \\\"x\\\\\"");
  EXPECT_EQ(FormatEvent("refused", {{"key", ""}}), "refused key=\"\"");
  EXPECT_EQ(FormatEvent("refused", {{"key", "a=b"}}), "refused key=\"a=b\"");
}

TEST(LogTest, AStatusIsAFieldWithItsCodeAndStory) {
  EXPECT_EQ(FormatEvent("failed", {{"error", Status::IoError("sync: disk gone")}}),
            "failed error=\"io_error: sync: disk gone\"");
}

TEST(LogTest, ALineCarriesTimeLevelNodeAndProgram) {
  testing::internal::CaptureStderr();
  InitLogging("raftd", NodeId(1), Level::kInfo);
  Warning("storage is unavailable", {{"since_ms", 250}});
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "
                           "warning n1 raftd storage is unavailable since_ms=250\n"));
}

TEST(LogTest, LinesBelowTheLevelAreDropped) {
  testing::internal::CaptureStderr();
  InitLogging("raftd", NodeId(1), Level::kWarning);
  Info("quiet");
  Error("loud {} %v");
  const std::string written = testing::internal::GetCapturedStderr();
  EXPECT_THAT(written, Not(HasSubstr("quiet")));
  EXPECT_THAT(written, HasSubstr("loud {} %v"));
  EXPECT_FALSE(IsEnabled(Level::kInfo));
  EXPECT_TRUE(IsEnabled(Level::kWarning));
}

TEST(LogTest, LevelsAreParsedByTheirNames) {
  EXPECT_EQ(*ParseLevel("debug"), Level::kDebug);
  EXPECT_EQ(*ParseLevel("error"), Level::kError);
  EXPECT_TRUE(ParseLevel("loud").status().IsInvalidArgument());
}

TEST(RateLimitTest, OneLineAnIntervalPassesAndTellsHowManyDidNot) {
  RateLimit limit(1000);
  EXPECT_EQ(limit.Admit(5), 0U);
  EXPECT_EQ(limit.Admit(5), std::nullopt);
  EXPECT_EQ(limit.Admit(1004), std::nullopt);
  EXPECT_EQ(limit.Admit(1005), 2U);
  EXPECT_EQ(limit.Admit(9000), 0U);
}

}  // namespace
}  // namespace bedrock::log
