// Conditions, the branch they choose, and what a query of the past makes of them.

#include "storaged/core/conditions.h"

#include <gtest/gtest.h>

#include <string>

#include "proto/errors.h"
#include "tests/unit/storaged/core/machine_fixture.h"

namespace bedrock::storage {
namespace {

using proto::CommandResult;
using proto::Condition;
using proto::ErrorCode;
using Kind = proto::Condition::Kind;

class ConditionsTest : public MachineTest {
 protected:
  void SetUp() override {
    MachineTest::SetUp();
    Apply({PutOf("a", "one"), PutOf("q/1", "x")});  // 1
    Apply({PutOf("b", "two")});                     // 2
    Apply({DeleteOf("b")});                         // 3
  }
  bool Holds(const Condition& condition) {
    const CommandResult result = ApplyIf(condition);
    EXPECT_EQ(HasWritten(), result.code == ErrorCode::kOk);
    if (result.code != ErrorCode::kOk) {
      EXPECT_EQ(result.code, ErrorCode::kPreconditionFailed);
    }
    return result.code == ErrorCode::kOk;
  }
  /// As a query at a version.
  bool HeldAt(const Condition& condition, std::uint64_t at) {
    proto::Command query;
    query.conditions = {condition};
    const auto result = machine_->Query(query, Version(at));
    EXPECT_TRUE(result.ok());
    return result.ok() && result->code == ErrorCode::kOk;
  }
};

TEST_F(ConditionsTest, VersionsCompareAndAbsentKeysHaveVersionZero) {
  EXPECT_TRUE(Holds({Kind::kVersionLess, "a", Version(2)}));
  EXPECT_FALSE(Holds({Kind::kVersionLess, "a", Version(1)}));
  EXPECT_TRUE(Holds({Kind::kVersionGreater, "a", Version(0)}));
  EXPECT_FALSE(Holds({Kind::kVersionGreater, "a", Version(1)}));
  EXPECT_TRUE(Holds({Kind::kVersionLess, "b", Version(1)}));
  EXPECT_FALSE(Holds({Kind::kVersionGreater, "b", Version(0)}));
  EXPECT_FALSE(Holds({Kind::kVersionLess, "never", Version(0)}));
}

TEST_F(ConditionsTest, ValueComparesBytesAndNeverHoldsForAnAbsentKey) {
  EXPECT_TRUE(Holds({Kind::kValueEquals, "a", Version(), "one"}));
  EXPECT_FALSE(Holds({Kind::kValueEquals, "a", Version(), "on"}));
  EXPECT_FALSE(Holds({Kind::kValueEquals, "b", Version(), ""}));
}

TEST_F(ConditionsTest, UnchangedSinceSeesPutsAndDeletes) {
  EXPECT_TRUE(Holds({Kind::kUnchangedSince, "a", Version(1)}));
  EXPECT_FALSE(Holds({Kind::kUnchangedSince, "a", Version(0)}));
  EXPECT_FALSE(Holds({Kind::kUnchangedSince, "b", Version(2)}));
  EXPECT_TRUE(Holds({Kind::kUnchangedSince, "b", Version(3)}));
  EXPECT_TRUE(Holds({Kind::kUnchangedSince, "never", Version(0)}));
}

TEST_F(ConditionsTest, RangeUnchangedSinceSeesAllOfTheRangeAndNoMore) {
  EXPECT_TRUE(Holds({Kind::kRangeUnchangedSince, "q/", Version(1), "q0"}));
  EXPECT_FALSE(Holds({Kind::kRangeUnchangedSince, "q/", Version(0), "q0"}));
  EXPECT_FALSE(Holds({Kind::kRangeUnchangedSince, "b", Version(2), "c"}));
  EXPECT_TRUE(Holds({Kind::kRangeUnchangedSince, "b", Version(3), "c"}));
  EXPECT_TRUE(Holds({Kind::kRangeUnchangedSince, "c", Version(0), "d"}));
  Apply({PutOf("q/2", "phantom")});
  EXPECT_FALSE(Holds({Kind::kRangeUnchangedSince, "q/", Version(1), "q0"}));
  EXPECT_FALSE(Holds({Kind::kRangeUnchangedSince, "q/", Version(1), ""}));
}

TEST_F(ConditionsTest, ARangeDeleteIsAChangeOfItsKeys) {
  Apply({DeleteRangeOf("q/", "q0")});  // 4
  EXPECT_FALSE(Holds({Kind::kUnchangedSince, "q/1", Version(3)}));
  EXPECT_FALSE(Holds({Kind::kRangeUnchangedSince, "q/1", Version(3), "q/2"}));
  EXPECT_TRUE(Holds({Kind::kUnchangedSince, "q/1", Version(4)}));
}

TEST_F(ConditionsTest, AskingForChangesBelowTheWatermarkIsRefused) {
  Apply({DropHistoryOf(2)});
  EXPECT_EQ(ApplyIf({Kind::kUnchangedSince, "a", Version(1)}).code, ErrorCode::kVersionCompacted);
  EXPECT_EQ(ApplyIf({Kind::kRangeUnchangedSince, "a", Version(1), "b"}).code,
            ErrorCode::kVersionCompacted);
  EXPECT_FALSE(HasWritten());
  EXPECT_EQ(ApplyIf({Kind::kUnchangedSince, "a", Version(2)}).code, ErrorCode::kOk);
  EXPECT_EQ(ApplyIf({Kind::kVersionGreater, "a", Version(0)}).code, ErrorCode::kOk);
}

TEST_F(ConditionsTest, AFailureSaysWhichConditionAndWhatTheKeyHas) {
  const auto result = ApplyIf({Kind::kUnchangedSince, "a", Version(0)});
  EXPECT_EQ(result.failed_condition, 0u);
  EXPECT_EQ(result.current, Version(1));
  EXPECT_EQ(ApplyIf({Kind::kUnchangedSince, "b", Version(1)}).current, Version());
}

TEST_F(ConditionsTest, OtherwiseRunsWhereAConditionFails) {
  proto::Command command = New();
  command.conditions = {{Kind::kExists, "a", Version()}, {Kind::kExists, "b", Version()}};
  command.operations = {PutOf("then", "1")};
  command.otherwise = {PutOf("else", "1"), GetOf("a")};
  const auto result = Apply(command);
  EXPECT_EQ(result.code, ErrorCode::kOk);
  EXPECT_TRUE(result.ran_otherwise);
  EXPECT_EQ(result.failed_condition, 1u);
  ASSERT_EQ(result.results.size(), 2u);
  EXPECT_EQ(result.results[1].value, "one");
  EXPECT_EQ(ValueOf("then"), "(absent)");
  EXPECT_EQ(ValueOf("else"), "1");
}

TEST_F(ConditionsTest, OtherwiseDoesNotRunWhereAllHold) {
  proto::Command command = New();
  command.conditions = {{Kind::kExists, "a", Version()}};
  command.operations = {PutOf("then", "1")};
  command.otherwise = {PutOf("else", "1")};
  const auto result = Apply(command);
  EXPECT_FALSE(result.ran_otherwise);
  EXPECT_EQ(ValueOf("then"), "1");
  EXPECT_EQ(ValueOf("else"), "(absent)");
}

TEST_F(ConditionsTest, AnEmptyOtherwiseIsASuccessThatWritesNothing) {
  proto::Command command = New();
  command.conditions = {{Kind::kAbsent, "a", Version()}};
  command.operations = {PutOf("then", "1")};
  command.otherwise.emplace();
  const auto result = Apply(command);
  EXPECT_EQ(result.code, ErrorCode::kOk);
  EXPECT_TRUE(result.ran_otherwise);
  EXPECT_EQ(ValueOf("then"), "(absent)");
}

TEST_F(ConditionsTest, OtherwiseDoesNotExcuseAQuestionBelowTheWatermark) {
  Apply({DropHistoryOf(3)});
  proto::Command command = New();
  command.conditions = {{Kind::kUnchangedSince, "a", Version(1)}};
  command.otherwise = {PutOf("else", "1")};
  EXPECT_EQ(Apply(command).code, ErrorCode::kVersionCompacted);
  EXPECT_EQ(ValueOf("else"), "(absent)");
}

TEST_F(ConditionsTest, AQueryOfThePastSeesThePastAlone) {
  EXPECT_TRUE(HeldAt({Kind::kExists, "b", Version()}, 2));
  EXPECT_FALSE(HeldAt({Kind::kExists, "b", Version()}, 3));
  EXPECT_TRUE(HeldAt({Kind::kUnchangedSince, "b", Version(2)}, 2));
  EXPECT_FALSE(HeldAt({Kind::kUnchangedSince, "b", Version(2)}, 3));
  EXPECT_FALSE(HeldAt({Kind::kUnchangedSince, "b", Version(1)}, 2));
  EXPECT_TRUE(HeldAt({Kind::kRangeUnchangedSince, "b", Version(2), "c"}, 2));
  EXPECT_FALSE(HeldAt({Kind::kRangeUnchangedSince, "b", Version(1), "c"}, 2));
  EXPECT_FALSE(HeldAt({Kind::kRangeUnchangedSince, "b", Version(2), "c"}, 3));
}

TEST_F(ConditionsTest, AQueryWritesNothingAndReadsItsOwnWrites) {
  proto::Command query;
  query.operations = {PutOf("a", "own"), GetOf("a"), GetOf("b"), ScanOf("", "")};
  const auto result = machine_->Query(query, Version(2));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->version, Version());
  EXPECT_EQ(result->results.at(1).value, "own");
  EXPECT_EQ(result->results.at(2).value, "two");
  EXPECT_EQ(result->results.at(3).count, 3u);
  EXPECT_EQ(ValueOf("a"), "one");
  EXPECT_EQ(machine_->applied(), LogIndex(3));
}

}  // namespace
}  // namespace bedrock::storage
