#include "bedrock/status.h"

#include <gtest/gtest.h>

namespace bedrock {
namespace {

TEST(StatusTest, OkIsEmpty) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), StatusCode::kOk);
  EXPECT_EQ(status.ToString(), "ok");
  EXPECT_TRUE(status.Prefixed("context").ok());
}

TEST(StatusTest, ContextGrowsOutward) {
  const Status status = Status::Corruption("bad checksum at offset 4096")
                            .Prefixed("replay wal 12")
                            .Prefixed("open db");
  EXPECT_TRUE(status.IsCorruption());
  EXPECT_EQ(status.ToString(), "corruption: open db: replay wal 12: bad checksum at offset 4096");
}

TEST(StatusTest, EveryCodeHasItsNameAndQuestion) {
  EXPECT_TRUE(Status::NotFound("").IsNotFound());
  EXPECT_TRUE(Status::InvalidArgument("").IsInvalidArgument());
  EXPECT_TRUE(Status::Conflict("").IsConflict());
  EXPECT_TRUE(Status::Deadlock("").IsDeadlock());
  EXPECT_TRUE(Status::TimedOut("").IsTimedOut());
  EXPECT_TRUE(Status::Busy("").IsBusy());
  EXPECT_TRUE(Status::NoSpace("").IsNoSpace());
  EXPECT_TRUE(Status::Aborted("").IsAborted());
  EXPECT_TRUE(Status::NotLeader("").IsNotLeader());
  EXPECT_TRUE(Status::Unavailable("").IsUnavailable());
  EXPECT_TRUE(Status::Corruption("").IsCorruption());
  EXPECT_TRUE(Status::IoError("").IsIOError());
  for (int code = 0; code <= 12; ++code) {
    EXPECT_NE(StatusCodeName(static_cast<StatusCode>(code)), "unknown") << code;
  }
}

TEST(StatusDeathTest, AnErrorWithCodeOkIsABug) {
  EXPECT_DEATH((void)Status(StatusCode::kOk, "fine"), "CHECK failed");
}

}  // namespace
}  // namespace bedrock
