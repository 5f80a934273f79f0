#include "tests/bench/bedrock_bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bedrock::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Result Measured(const std::string& engine, int round, double ops_per_s) {
  Result result;
  result.settings = "equal";
  result.engine = engine;
  result.workload = "readrandom";
  result.round = round;
  result.ops_per_s = ops_per_s;
  result.comparable = true;
  return result;
}

TEST(MediansTest, TakesTheMiddleOfTheRoundsOfEachEngine) {
  const auto medians = Medians({Measured("a", 1, 5), Measured("b", 1, 50), Measured("a", 2, 1),
                                Measured("b", 2, 60), Measured("a", 3, 4)});
  ASSERT_EQ(medians.size(), 2u);
  EXPECT_EQ(medians[0].ops_per_s, 4);
  EXPECT_EQ(medians[1].ops_per_s, 55);
}

TEST(DisagreementsTest, NamesAnEngineThatReadsSomethingElse) {
  Result a = Measured("a", 1, 1);
  Result b = Measured("b", 1, 1);
  EXPECT_THAT(Disagreements({a, b}), IsEmpty());
  b.digest = 9;
  EXPECT_THAT(Disagreements({a, b}), ElementsAre(HasSubstr("b read 0 entries (digest 9), a 0")));
}

TEST(DisagreementsTest, ComparesOnlyWithinARound) {
  Result b = Measured("b", 2, 1);
  b.digest = 9;
  EXPECT_THAT(Disagreements({Measured("a", 1, 1), b}), IsEmpty());
}

TEST(DisagreementsTest, LeavesOutWhatThreadsMakeADifferenceTo) {
  Result b = Measured("b", 1, 1);
  b.digest = 9;
  b.comparable = false;
  EXPECT_THAT(Disagreements({Measured("a", 1, 1), b}), IsEmpty());
}

TEST(MarkdownTablesTest, ComparesWithTheBestOfTheOthers) {
  const auto table = [](double own) {
    return MarkdownTables({Measured("own", 0, own), Measured("a", 0, 1000), Measured("b", 0, 2000)},
                          "equal", "own");
  };
  EXPECT_THAT(table(2600), HasSubstr("| readrandom | 2.6k | 1.0k | 2.0k | **1.30** |"));
  EXPECT_THAT(table(2500), HasSubstr("| 1.25 |"));
  EXPECT_THAT(table(1900), HasSubstr("| 0.95 (behind) |"));
}

TEST(MarkdownTablesTest, ComparesAlsoWithTheBestThatMapsNothing) {
  const std::string table =
      MarkdownTables({Measured("own", 0, 1500), Measured("own_mapped", 0, 2600),
                      Measured("a", 0, 1000), Measured("b", 0, 2000)},
                     "equal", "own", {"own_mapped", "b"});
  EXPECT_THAT(table, HasSubstr("| own to the best other that maps nothing |"));
  EXPECT_THAT(table, HasSubstr("| 0.75 (behind) | **1.30** | **1.50** |"));
}

TEST(MarkdownTablesTest, SaysNothingOfMapsWhereNobodyElseHasAny) {
  EXPECT_THAT(MarkdownTables({Measured("own", 0, 1), Measured("a", 0, 1)}, "equal", "own", {"b"}),
              testing::Not(HasSubstr("maps nothing")));
}

TEST(MarkdownTablesTest, LeavesOutOtherSettings) {
  Result other = Measured("own", 0, 1);
  other.settings = "defaults";
  other.workload = "overwrite";
  EXPECT_THAT(MarkdownTables({other}, "equal", "own"), testing::Not(HasSubstr("overwrite")));
}

}  // namespace
}  // namespace bedrock::bench
