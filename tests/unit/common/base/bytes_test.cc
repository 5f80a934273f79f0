#include "common/base/bytes.h"

#include <gtest/gtest.h>

namespace bedrock {
namespace {

TEST(BytesTest, SliceKeepsTheBufferAlive) {
  Bytes slice;
  {
    const Bytes whole(std::string("a frame with a payload inside"));
    slice = whole.Slice(whole.view().substr(15, 7));
  }
  EXPECT_EQ(slice.view(), "payload");
}

TEST(BytesTest, ComparesContent) {
  EXPECT_EQ(Bytes::Copy("x"), Bytes(std::string("x")));
  EXPECT_FALSE(Bytes::Copy("x") == Bytes::Copy("y"));
  EXPECT_EQ(Bytes(), Bytes::Copy(""));
}

}  // namespace
}  // namespace bedrock
