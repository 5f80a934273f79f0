#include "storaged/engine/read/key_compare.h"

#include <gtest/gtest.h>

#include <string>

#include "common/env/random.h"

namespace bedrock::engine {
namespace {

TEST(KeyCompareTest, SaysWhatTheViewsSay) {
  Random random(1);
  const auto random_key = [&] {
    std::string key(random.Below(20), 'p');
    for (std::size_t i = key.size() - std::min<std::size_t>(key.size(), random.Below(4));
         i < key.size(); ++i) {
      key[i] = "\0p\x7f\x80\xff"[random.Below(5)];
    }
    return key;
  };
  for (int round = 0; round < 200'000; ++round) {
    const std::string a = random_key();
    const std::string b = random_key();
    const std::uint64_t head_a = KeyHead(a);
    const std::uint64_t head_b = KeyHead(b);
    ASSERT_EQ(SameKey(a, b), a == b);
    ASSERT_TRUE(head_a >= head_b || a < b);
    ASSERT_TRUE(a >= b || head_a <= head_b);
    if (head_a == head_b) {
      const int order = CompareBehindHead(a, b);
      ASSERT_EQ(order < 0, a < b);
      ASSERT_EQ(order > 0, a > b);
    }
    const InternalKeyView key_a{a, Trailer(Version(random.Below(3)), EntryKind::kPut)};
    const InternalKeyView key_b{b, Trailer(Version(random.Below(3)), EntryKind::kPut)};
    ASSERT_EQ(IsBefore(key_a, head_a, key_b, head_b), key_a < key_b);
  }
}

}  // namespace
}  // namespace bedrock::engine
