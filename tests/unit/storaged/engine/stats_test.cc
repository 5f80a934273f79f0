#include "bedrock/stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>

namespace bedrock {
namespace {

using testing::HasSubstr;

TEST(EngineStatsTest, PrometheusTextHasWhatTheFieldsSay) {
  EngineStats stats;
  stats.state = EngineState::kNoSpace;
  stats.newest = Version(42);
  stats.levels.resize(2);
  stats.levels[1].bytes = 77;
  stats.log_syncs = 3;
  const std::string text = stats.ToPrometheus();
  EXPECT_THAT(text, HasSubstr("\nbedrock_newest_version 42\n"));
  EXPECT_THAT(text, HasSubstr("\nbedrock_level_bytes{level=\"1\"} 77\n"));
  EXPECT_THAT(text, HasSubstr("\n# TYPE bedrock_log_syncs_total counter\n"));
  EXPECT_THAT(text, HasSubstr("\nbedrock_log_syncs_total 3\n"));
  EXPECT_THAT(text, HasSubstr("\nbedrock_state{state=\"no_space\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nbedrock_state{state=\"healthy\"} 0\n"));
}

// The grammar of the text exposition format, and its rule that all samples of a name stand behind
// one TYPE.
TEST(EngineStatsTest, PrometheusTextIsWellFormed) {
  EngineStats stats;
  stats.levels.resize(7);
  std::istringstream lines(stats.ToPrometheus());
  const std::regex comment("# (HELP|TYPE) (bedrock_[a-z0-9_]+) (.+)");
  const std::regex sample(R"((bedrock_[a-z0-9_]+)(\{[a-z]+="[a-z0-9_]+"\})? [0-9]+)");
  std::string line;
  std::string current;
  std::set<std::string> names;
  std::set<std::string> samples;
  while (std::getline(lines, line)) {
    std::smatch match;
    if (std::regex_match(line, match, comment)) {
      current = match[2];
      if (match[1] == "TYPE") {
        EXPECT_TRUE(names.insert(current).second) << line;
        EXPECT_TRUE(match[3] == "gauge" || match[3] == "counter") << line;
        const bool total = current.ends_with("_total");
        EXPECT_EQ(total, match[3] == "counter") << line;
      }
      continue;
    }
    ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
    EXPECT_EQ(match[1], current) << line;
    EXPECT_TRUE(samples.insert(match[1].str() + match[2].str()).second) << line;
  }
  EXPECT_GT(names.size(), 30u);
}

TEST(EngineStatsTest, StatesHaveTheirNames) {
  EXPECT_EQ(EngineStateName(EngineState::kHealthy), "healthy");
  EXPECT_EQ(EngineStateName(EngineState::kDegraded), "degraded");
  EXPECT_EQ(EngineStateName(EngineState::kNoSpace), "no_space");
  EXPECT_EQ(EngineStateName(EngineState::kReadOnly), "read_only");
  EXPECT_EQ(EngineStateName(EngineState::kFailed), "failed");
}

}  // namespace
}  // namespace bedrock
