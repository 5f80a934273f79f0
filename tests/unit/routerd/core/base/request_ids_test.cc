#include "routerd/core/base/request_ids.h"

#include <gtest/gtest.h>

namespace bedrock::router {
namespace {

TEST(RequestIdsTest, ANameSurvivesItsId) {
  const RequestName names[] = {
      {RequestKind::kWrite, {0, 1}, 1},
      {RequestKind::kRead, {65'535, kGenerationMask}, 4095},
      {RequestKind::kReadIndex, {7, 123'456'789}, 0},
      {RequestKind::kStatus, {0, 0}, 0},
  };
  for (const RequestName& name : names) EXPECT_EQ(ParseRequestId(MakeRequestId(name)), name);
}

TEST(RequestIdsTest, IsNeverTheIdOfNoAnswer) {
  EXPECT_TRUE(MakeRequestId({RequestKind::kWrite, {0, 1}, 0}));
}

}  // namespace
}  // namespace bedrock::router
