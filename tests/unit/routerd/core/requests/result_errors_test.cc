#include "routerd/core/requests/result_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "routerd/core/requests/fingerprint.h"
#include "tests/unit/routerd/core/transaction_fixture.h"

namespace bedrock::router {
namespace {

using proto::Condition;
using proto::ErrorCode;
using testing::HasSubstr;

proto::Command Transfer() {
  proto::Command command;
  command.session = SessionId(1);
  command.sequence = 1;
  command.conditions = {{Condition::Kind::kExists, "a", Version(), {}},
                        {Condition::Kind::kVersionEquals, "b", Version(5), {}}};
  command.operations = {PutOf("a", "1"), AddOf("n\x01", 3)};
  return command;
}

proto::Error ErrorFor(const proto::CommandResult& result, const proto::Command& command) {
  return ErrorOf(result, proto::EncodeCommand(command));
}

TEST(ResultErrorsTest, ASuccessIsNone) {
  EXPECT_TRUE(ErrorFor(proto::CommandResult(), Transfer()).ok());
}

TEST(ResultErrorsTest, AFailedConditionIsNamedWithWhatItFound) {
  proto::CommandResult result;
  result.code = ErrorCode::kPreconditionFailed;
  result.failed_condition = 1;
  result.current = Version(9);
  const proto::Error error = ErrorFor(result, Transfer());
  EXPECT_EQ(error.code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(error.key, "b");
  EXPECT_EQ(error.detail, "condition 2 did not hold: \"b\" has version 9, not 5");
  result.current = Version();
  EXPECT_THAT(ErrorFor(result, Transfer()).detail, HasSubstr("\"b\" is absent"));
}

TEST(ResultErrorsTest, AnAddThatCannotBeNamesItsPlaceAndKey) {
  proto::CommandResult result;
  result.code = ErrorCode::kInvalidArgument;
  result.failed_operation = 1;
  result.key = "n\x01";
  const proto::Error error = ErrorFor(result, Transfer());
  EXPECT_EQ(error.key, "n\x01");
  EXPECT_THAT(error.detail, HasSubstr("operation 2, an add of \"n\\x01\""));
}

TEST(ResultErrorsTest, AConflictNamesTheKey) {
  proto::CommandResult result;
  result.code = ErrorCode::kTransactionConflict;
  result.key = "a";
  const proto::Error error = ErrorFor(result, Transfer());
  EXPECT_EQ(error.key, "a");
  EXPECT_EQ(error.outcome, proto::Outcome::kNone);
  EXPECT_THAT(error.detail, HasSubstr("\"a\""));
}

TEST(ResultErrorsTest, ALostReplyLeavesTheOutcomeUnknown) {
  proto::CommandResult result;
  result.code = ErrorCode::kStaleSequence;
  EXPECT_EQ(ErrorFor(result, Transfer()).outcome, proto::Outcome::kUnknown);
}

TEST(ResultErrorsTest, EveryCodeHasASentence) {
  for (const ErrorCode code :
       {ErrorCode::kPreconditionFailed, ErrorCode::kTransactionConflict,
        ErrorCode::kVersionCompacted, ErrorCode::kInvalidArgument, ErrorCode::kTransactionTooLarge,
        ErrorCode::kIdempotencyKeyReused, ErrorCode::kStaleSequence, ErrorCode::kOverloaded}) {
    proto::CommandResult result;
    result.code = code;
    result.failed_condition = 99;  // positions that the command has not
    result.failed_operation = 99;
    const proto::Error error = ErrorFor(result, Transfer());
    EXPECT_EQ(error.code, code);
    EXPECT_FALSE(error.detail.empty());
  }
}

TEST(ResultErrorsTest, LongAndBinaryKeysAreShownSafely) {
  EXPECT_EQ(QuotedKey("a\"b\\\n\xFF"), "\"a\\x22b\\x5c\\x0a\\xff\"");
  EXPECT_EQ(QuotedKey(std::string(100, 'k')), "\"" + std::string(64, 'k') + "...\"");
}

TEST(FingerprintTest, IsOfTheRequestAndNotOfItsAttempt) {
  proto::Command command = Transfer();
  const std::string first = FingerprintOf(command);
  EXPECT_EQ(first.size(), proto::kFingerprintBytes);
  command.session = SessionId(2);
  command.sequence = 77;
  command.low_water = 5;
  command.idempotency.key = "the key";
  EXPECT_EQ(FingerprintOf(command), first);
  command.operations[0].value = "2";
  EXPECT_NE(FingerprintOf(command), first);
}

TEST(FingerprintTest, NeverChanges) {
  // Replicated state: a repeat may come through a router of another release.
  std::string hex;
  for (const char byte : FingerprintOf(Transfer())) {
    hex += FormatHex(static_cast<unsigned char>(byte)).substr(14);
  }
  EXPECT_EQ(hex, "a9fd694fe839047757f1d505f4e3d6a2");
}

}  // namespace
}  // namespace bedrock::router
