#include "common/env/huge_pages.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace bedrock {
namespace {

TEST(HugePagesTest, AreAlignedZeroedAndWhole) {
  for (const std::size_t bytes : {std::size_t{1}, kHugePageBytes, 2 * kHugePageBytes + 1}) {
    const HugePages pages(bytes);
    ASSERT_NE(pages.data(), nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pages.data()) % kHugePageBytes, 0u);
    EXPECT_EQ(pages.size() % kHugePageBytes, 0u);
    EXPECT_GE(pages.size(), bytes);
    EXPECT_LT(pages.size(), bytes + kHugePageBytes);
    EXPECT_EQ(pages.data()[0], 0);
    EXPECT_EQ(pages.data()[pages.size() - 1], 0);
    std::memset(pages.data(), 0x55, pages.size());
  }
}

TEST(HugePagesTest, MoveWithTheirOwner) {
  HugePages a(1);
  char* const data = a.data();
  HugePages b(std::move(a));
  EXPECT_EQ(b.data(), data);
  HugePages c(1);
  c = std::move(b);
  EXPECT_EQ(c.data(), data);
  std::memset(c.data(), 1, c.size());
  const HugePages none;
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_EQ(none.size(), 0u);
}

}  // namespace
}  // namespace bedrock
