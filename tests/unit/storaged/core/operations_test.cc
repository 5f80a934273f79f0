// What the operations of a command give and write.

#include "storaged/core/operations.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "proto/errors.h"
#include "tests/unit/storaged/core/machine_fixture.h"

namespace bedrock::storage {
namespace {

using proto::CommandResult;
using proto::ErrorCode;
using proto::OperationResult;
using Form = proto::Scan::Form;

class OperationsTest : public MachineTest {
 protected:
  void SetUp() override {
    MachineTest::SetUp();
    Apply({PutOf("a", "1"), PutOf("b", "22"), PutOf("c", "333")});  // version 1
    Apply({PutOf("d", "4444")});                                    // version 2
  }
  OperationResult Last(std::vector<proto::Operation> operations) {
    const CommandResult result = Apply(std::move(operations));
    EXPECT_EQ(result.code, ErrorCode::kOk);
    return result.results.empty() ? OperationResult() : result.results.back();
  }
  static std::string KeysOf(const OperationResult& scanned) {
    std::string keys;
    for (const auto& item : scanned.items) keys += item.key;
    return keys;
  }
};

TEST_F(OperationsTest, AGetGivesValueAndVersion) {
  const auto got = Last({GetOf("d")});
  EXPECT_TRUE(got.found);
  EXPECT_EQ(got.value, "4444");
  EXPECT_EQ(got.version, Version(2));
}

TEST_F(OperationsTest, AGetOfAnAbsentKeyGivesVersionZero) {
  EXPECT_EQ(Last({GetOf("nothing")}), OperationResult());
  Apply({DeleteOf("a")});
  EXPECT_EQ(Last({GetOf("a")}), OperationResult());
}

TEST_F(OperationsTest, OperationsSeeThoseBeforeThemAndNoneAfter) {
  const auto result = Apply(
      {GetOf("a"), PutOf("a", "new"), GetOf("a"), DeleteOf("a"), GetOf("a"), PutOf("a", "last")});
  ASSERT_EQ(result.results.size(), 6u);
  EXPECT_EQ(result.results[0].value, "1");
  EXPECT_EQ(result.results[2].value, "new");
  EXPECT_EQ(result.results[2].version, Version());  // it has none before it is committed
  EXPECT_FALSE(result.results[4].found);
  EXPECT_EQ(ValueOf("a"), "last");
}

TEST_F(OperationsTest, ABranchThatOnlyWritesHasNoResults) {
  EXPECT_TRUE(Apply({PutOf("a", "1"), DeleteOf("b"), DropHistoryOf(1)}).results.empty());
  EXPECT_EQ(Apply({PutOf("a", "1"), GetOf("b")}).results.size(), 2u);
}

TEST_F(OperationsTest, AScanGivesItsHalfOpenRangeInOrder) {
  const auto scanned = Last({ScanOf("b", "d")});
  ASSERT_EQ(KeysOf(scanned), "bc");
  EXPECT_EQ(scanned.items[1].value, "333");
  EXPECT_EQ(scanned.items[1].version, Version(1));
  EXPECT_EQ(scanned.count, 2u);
  EXPECT_FALSE(scanned.more);
  EXPECT_EQ(scanned.next, "");
}

TEST_F(OperationsTest, AnEmptyEndIsUnboundedButSeesUsersKeysAlone) {
  proto::Command command = New();
  command.operations = {PutOf("\xff\xff", "last")};
  command.idempotency = {"key", "0123456789abcdef"};
  Apply(command);
  EXPECT_EQ(KeysOf(Last({ScanOf("", "")})), "abcd\xff\xff");
  EXPECT_EQ(Last({ScanOf("", "", {.form = Form::kCount})}).count, 5u);
}

TEST_F(OperationsTest, AScanSeesOwnWritesOverWhatIsThere) {
  const auto scanned = Last({PutOf("b", "own"), DeleteOf("c"), PutOf("bb", "new"), ScanOf("", "")});
  ASSERT_EQ(KeysOf(scanned), "abbbd");
  EXPECT_EQ(scanned.items[1].value, "own");
  EXPECT_EQ(scanned.items[1].version, Version());
  EXPECT_EQ(scanned.items[3].version, Version(2));
}

TEST_F(OperationsTest, AScanStopsAtItsItemsAndSaysWhereTheNextBegins) {
  const auto scanned = Last({ScanOf("a", "", {.items_max = 2})});
  EXPECT_EQ(KeysOf(scanned), "ab");
  EXPECT_TRUE(scanned.more);
  EXPECT_EQ(scanned.next, "c");
}

TEST_F(OperationsTest, AScanThatEndsJustAtItsLimitHasNoMore) {
  const auto scanned = Last({ScanOf("a", "c", {.items_max = 2})});
  EXPECT_EQ(KeysOf(scanned), "ab");
  EXPECT_FALSE(scanned.more);
}

TEST_F(OperationsTest, AReverseScanGoesDownAndSaysWhereTheNextEnds) {
  const auto scanned = Last({ScanOf("", "d", {.items_max = 2, .reverse = true})});
  EXPECT_EQ(KeysOf(scanned), "cb");
  EXPECT_TRUE(scanned.more);
  EXPECT_EQ(scanned.next, "b");
  const auto rest = Last({ScanOf("", scanned.next, {.items_max = 2, .reverse = true})});
  EXPECT_EQ(KeysOf(rest), "a");
  EXPECT_FALSE(rest.more);
}

TEST_F(OperationsTest, AReverseScanSeesOwnWrites) {
  EXPECT_EQ(KeysOf(Last({PutOf("bb", "new"), DeleteOf("d"), ScanOf("b", "", {.reverse = true})})),
            "cbbb");
}

TEST_F(OperationsTest, BytesCountKeysAndValuesAndTheFirstItemAlwaysComes) {
  EXPECT_EQ(KeysOf(Last({ScanOf("", "", {.bytes_max = 1})})), "a");
  EXPECT_EQ(KeysOf(Last({ScanOf("", "", {.bytes_max = 4})})), "a");
  EXPECT_EQ(KeysOf(Last({ScanOf("", "", {.bytes_max = 5})})), "ab");
  EXPECT_EQ(KeysOf(Last({ScanOf("", "", {.bytes_max = 3, .form = Form::kKeys})})), "abc");
}

TEST_F(OperationsTest, KeysComeWithoutValues) {
  const auto scanned = Last({ScanOf("", "", {.form = Form::kKeys})});
  ASSERT_EQ(KeysOf(scanned), "abcd");
  EXPECT_EQ(scanned.items[3].value, "");
  EXPECT_EQ(scanned.items[3].version, Version(2));
}

TEST_F(OperationsTest, ACountHasNoLimitsAndNoItems) {
  const auto counted =
      Last({PutOf("e", ""), DeleteOf("a"),
            ScanOf("", "", {.items_max = 1, .bytes_max = 1, .form = Form::kCount})});
  EXPECT_EQ(counted.count, 4u);
  EXPECT_TRUE(counted.items.empty());
  EXPECT_FALSE(counted.more);
}

TEST_F(OperationsTest, ARangeDeleteGivesTheNumberOfKeysAndTakesThemAway) {
  EXPECT_EQ(Last({PutOf("bb", "own"), DeleteOf("c"), DeleteRangeOf("b", "d")}).count, 2u);
  EXPECT_EQ(KeysOf(Last({ScanOf("", "")})), "ad");
}

TEST_F(OperationsTest, ARangeDeleteHidesWhatWasPutBeforeItAndNotAfter) {
  const auto scanned =
      Last({PutOf("b", "before"), DeleteRangeOf("b", "d"), PutOf("c", "after"), ScanOf("", "")});
  EXPECT_EQ(KeysOf(scanned), "acd");
  EXPECT_EQ(ValueOf("c"), "after");
  EXPECT_EQ(ValueOf("b"), "(absent)");
}

TEST_F(OperationsTest, ARangeDeleteWithoutAnEndLeavesSystemRecordsAlone) {
  proto::Command command = New();
  command.operations = {DeleteRangeOf("", "")};
  command.idempotency = {"key", "0123456789abcdef"};
  const auto first = Apply(command);
  EXPECT_EQ(first.results.at(0).count, 4u);
  Apply({DeleteRangeOf("", "")});
  command.sequence = ++sequence_;
  EXPECT_EQ(Apply(command), first);
}

TEST_F(OperationsTest, AnEmptyRangeDeleteChangesNothing) {
  const auto before = machine_->newest();
  EXPECT_EQ(Last({DeleteRangeOf("x", "z")}).count, 0u);
  EXPECT_EQ(ApplyReading({RangeRead("x", "z")}, before.value()).code, ErrorCode::kOk);
}

TEST_F(OperationsTest, AddTakesAnAbsentKeyAsZero) {
  EXPECT_EQ(Last({AddOf("n", -3)}).value, "-3");
  EXPECT_EQ(ValueOf("n"), "-3");
}

TEST_F(OperationsTest, AddsBuildOnOneAnother) {
  const auto result = Apply({AddOf("b", 20), AddOf("b", -50), GetOf("b")});
  EXPECT_EQ(result.results.at(0).value, "42");
  EXPECT_EQ(result.results.at(1).value, "-8");
  EXPECT_EQ(result.results.at(2).value, "-8");
  EXPECT_EQ(ValueOf("b"), "-8");
}

TEST_F(OperationsTest, AddReachesBothEndsOf64Bits) {
  constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(Last({AddOf("n", kMax)}).value, "9223372036854775807");
  EXPECT_EQ(Last({AddOf("m", kMin)}).value, "-9223372036854775808");
}

TEST_F(OperationsTest, AnAddThatOverflowsWritesNothingOfTheTransaction) {
  Apply({AddOf("n", std::numeric_limits<std::int64_t>::max())});
  const auto result = Apply({PutOf("a", "new"), AddOf("n", 1), PutOf("b", "new")});
  EXPECT_EQ(result.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(result.key, "n");
  EXPECT_EQ(result.failed_operation, 1u);
  EXPECT_TRUE(result.results.empty());
  EXPECT_EQ(ValueOf("a"), "1");
  EXPECT_EQ(ValueOf("b"), "22");
  EXPECT_EQ(ValueOf("n"), "9223372036854775807");
}

TEST_F(OperationsTest, AnAddToWhatIsNoNumberIsRefused) {
  for (const char* text : {"", " 1", "1 ", "+1", "1.0", "x", "-", "9223372036854775808", "0x1"}) {
    Apply({PutOf("n", text)});
    EXPECT_EQ(Apply({AddOf("n", 0)}).code, ErrorCode::kInvalidArgument) << text;
    EXPECT_EQ(ValueOf("n"), text);
  }
}

TEST_F(OperationsTest, ResultsBeyondTheirBytesRefuseAllOfIt) {
  const std::string large(proto::kValueBytesMax, 'v');
  Apply({PutOf("large", large)});
  const auto result = Apply({PutOf("a", "new"), GetOf("large"), GetOf("large")});
  EXPECT_EQ(result.code, ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(result.failed_operation, 2u);
  EXPECT_TRUE(result.results.empty());
  EXPECT_EQ(ValueOf("a"), "1");
}

TEST_F(OperationsTest, ScansCountForTheBytesOfResults) {
  const std::string half(proto::kResultBytesMax / 2, 'v');
  Apply({PutOf("large", half)});
  EXPECT_EQ(Apply({ScanOf("large", "")}).code, ErrorCode::kOk);
  EXPECT_EQ(Apply({ScanOf("large", ""), ScanOf("large", "")}).code,
            ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(Apply({ScanOf("large", "", {.form = Form::kKeys}), ScanOf("large", "")}).code,
            ErrorCode::kOk);
}

TEST_F(OperationsTest, ItemsBeyondTheirNumberRefuseAllOfIt) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < proto::kScanItemsMax; ++i) keys.push_back(std::to_string(i));
  std::vector<proto::Operation> puts;
  for (const auto& key : keys) puts.push_back(PutOf(key, ""));
  Apply(puts);
  const std::vector<proto::Operation> most(proto::kResultItemsMax / proto::kScanItemsMax,
                                           ScanOf("", "", {.form = Form::kKeys}));
  EXPECT_EQ(Apply(most).code, ErrorCode::kOk);
  auto more = most;
  more.push_back(ScanOf("", "", {.items_max = 1}));
  const auto result = Apply(more);
  EXPECT_EQ(result.code, ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(result.failed_operation, most.size());
}

TEST_F(OperationsTest, AScanWithoutLimitsHasTheLargestThereAre) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < proto::kScanItemsMax; ++i) keys.push_back(std::to_string(i));
  std::vector<proto::Operation> puts;
  for (const auto& key : keys) puts.push_back(PutOf(key, ""));
  Apply(puts);
  const auto scanned = Last({ScanOf("", "")});  // those, and a to d
  EXPECT_EQ(scanned.items.size(), proto::kScanItemsMax);
  EXPECT_TRUE(scanned.more);
  EXPECT_EQ(scanned.next, "a");
}

}  // namespace
}  // namespace bedrock::storage
