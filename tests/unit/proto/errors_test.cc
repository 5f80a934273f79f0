#include "proto/errors.h"

#include <gtest/gtest.h>

#include <set>

namespace bedrock::proto {
namespace {

TEST(ErrorsTest, EveryCodeHasItsNumberNameAndStatus) {
  std::set<std::string_view> names;
  for (std::uint64_t number = 0; number <= 33; ++number) {
    const auto code = ErrorCodeFromNumber(number);
    ASSERT_TRUE(code.has_value()) << number;
    EXPECT_EQ(static_cast<std::uint64_t>(*code), number);
    EXPECT_TRUE(names.insert(ErrorCodeName(*code)).second) << ErrorCodeName(*code);
    EXPECT_GE(HttpStatus(*code), number == 0 ? 200 : 400);
    Error error;
    error.code = *code;
    EXPECT_EQ(ToStatus(error).ok(), number == 0);
  }
  EXPECT_FALSE(ErrorCodeFromNumber(35).has_value());
  EXPECT_FALSE(ErrorCodeFromNumber(255).has_value());
  EXPECT_FALSE(ErrorCodeFromNumber(256).has_value());
}

TEST(ErrorsTest, HttpStatusesAreTheContracts) {
  EXPECT_EQ(HttpStatus(ErrorCode::kInvalidArgument), 400);
  EXPECT_EQ(HttpStatus(ErrorCode::kKeyNotFound), 404);
  EXPECT_EQ(HttpStatus(ErrorCode::kRouteNotFound), 404);
  EXPECT_EQ(HttpStatus(ErrorCode::kMethodNotAllowed), 405);
  EXPECT_EQ(HttpStatus(ErrorCode::kTransactionConflict), 409);
  EXPECT_EQ(HttpStatus(ErrorCode::kDeadlock), 409);
  EXPECT_EQ(HttpStatus(ErrorCode::kLockTimeout), 409);
  EXPECT_EQ(HttpStatus(ErrorCode::kMemberExists), 409);
  EXPECT_EQ(HttpStatus(ErrorCode::kUnsafeMembershipChange), 409);
  EXPECT_EQ(HttpStatus(ErrorCode::kMemberNotFound), 404);
  EXPECT_EQ(HttpStatus(ErrorCode::kTransactionNotFound), 404);
  EXPECT_EQ(HttpStatus(ErrorCode::kTransactionExpired), 410);
  EXPECT_EQ(HttpStatus(ErrorCode::kVersionCompacted), 410);
  EXPECT_EQ(HttpStatus(ErrorCode::kPreconditionFailed), 412);
  EXPECT_EQ(HttpStatus(ErrorCode::kKeyTooLarge), 413);
  EXPECT_EQ(HttpStatus(ErrorCode::kValueTooLarge), 413);
  EXPECT_EQ(HttpStatus(ErrorCode::kRequestTooLarge), 413);
  EXPECT_EQ(HttpStatus(ErrorCode::kTransactionTooLarge), 413);
  EXPECT_EQ(HttpStatus(ErrorCode::kTargetTooLong), 414);
  EXPECT_EQ(HttpStatus(ErrorCode::kIdempotencyKeyReused), 422);
  EXPECT_EQ(HttpStatus(ErrorCode::kOverloaded), 429);
  EXPECT_EQ(HttpStatus(ErrorCode::kHeaderTooLarge), 431);
  EXPECT_EQ(HttpStatus(ErrorCode::kNoLeader), 503);
  EXPECT_EQ(HttpStatus(ErrorCode::kStorageUnavailable), 503);
  EXPECT_EQ(HttpStatus(ErrorCode::kShuttingDown), 503);
  EXPECT_EQ(HttpStatus(ErrorCode::kTooStale), 503);
  EXPECT_EQ(HttpStatus(ErrorCode::kDeadlineExceeded), 504);
  EXPECT_EQ(HttpStatus(ErrorCode::kStorageFull), 507);
}

TEST(ErrorsTest, StatusKeepsTheNameAndTheSentence) {
  Error error;
  error.code = ErrorCode::kKeyNotFound;
  EXPECT_TRUE(ToStatus(error).IsNotFound());
  EXPECT_EQ(ToStatus(error).message(), "key_not_found");
  error.code = ErrorCode::kOverloaded;
  error.detail = "4096 writes are waiting";
  EXPECT_TRUE(ToStatus(error).IsBusy());
  EXPECT_EQ(ToStatus(error).message(), "overloaded: 4096 writes are waiting");
}

TEST(ErrorsTest, RefusalsOfTheRequestItselfAreNotRetryable) {
  for (const ErrorCode code :
       {ErrorCode::kInvalidArgument, ErrorCode::kKeyNotFound, ErrorCode::kPreconditionFailed,
        ErrorCode::kValueTooLarge, ErrorCode::kWrongCluster, ErrorCode::kStaleSequence,
        ErrorCode::kCorruption, ErrorCode::kUnrecognized}) {
    EXPECT_FALSE(IsRetryable(code)) << ErrorCodeName(code);
  }
  for (const ErrorCode code :
       {ErrorCode::kOverloaded, ErrorCode::kNoLeader, ErrorCode::kStorageUnavailable,
        ErrorCode::kShuttingDown, ErrorCode::kTooStale, ErrorCode::kDeadlineExceeded,
        ErrorCode::kTransactionConflict, ErrorCode::kStorageFull, ErrorCode::kNotLeader}) {
    EXPECT_TRUE(IsRetryable(code)) << ErrorCodeName(code);
  }
}

}  // namespace
}  // namespace bedrock::proto
