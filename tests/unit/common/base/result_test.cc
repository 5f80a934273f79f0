#include "bedrock/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "common/base/status_macros.h"

namespace bedrock {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return Status::InvalidArgument("odd");
  return n / 2;
}

Result<std::string> Quarter(int n) {
  ASSIGN_OR_RETURN(const int half, Half(n));
  ASSIGN_OR_RETURN(const int quarter, Half(half));
  return std::to_string(quarter);
}

Status CheckHalf(int n) {
  RETURN_IF_ERROR(Half(n).status());
  return {};
}

TEST(ResultTest, ValueOrStatus) {
  EXPECT_EQ(Half(4).value(), 2);
  EXPECT_TRUE(Half(3).status().IsInvalidArgument());
  EXPECT_EQ(Half(3).value_or(-1), -1);
  EXPECT_TRUE(Half(4).status().ok());
}

TEST(ResultTest, ConvertsToItsStatusWhereTheValueIsNotWanted) {
  const Status good = Half(4);
  const Status bad = Half(3);
  EXPECT_TRUE(good.ok());
  EXPECT_TRUE(bad.IsInvalidArgument());
}

TEST(ResultTest, MacrosPassErrorsOn) {
  EXPECT_EQ(Quarter(8).value(), "2");
  EXPECT_FALSE(Quarter(6).ok());
  EXPECT_TRUE(CheckHalf(2).ok());
  EXPECT_FALSE(CheckHalf(1).ok());
}

TEST(ResultTest, HoldsMoveOnlyValues) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, TakingTheValueOfAnErrorEndsTheProcess) {
  EXPECT_DEATH((void)Half(3).value(), "invalid_argument: odd");
}

}  // namespace
}  // namespace bedrock
