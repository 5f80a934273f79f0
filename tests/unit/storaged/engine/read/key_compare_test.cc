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
    const KeyWords words_a = KeyWordsOf(a);
    const KeyWords words_b = KeyWordsOf(b);
    const auto below = [](const KeyWords& x, const KeyWords& y) {
      return x.first != y.first ? x.first < y.first : x.second < y.second;
    };
    ASSERT_EQ(SameKey(a, b), a == b);
    ASSERT_TRUE(!below(words_a, words_b) || a < b);
    ASSERT_TRUE(!below(words_b, words_a) || b < a);
    const InternalKeyView key_a{a, Trailer(Version(random.Below(3)), EntryKind::kPut)};
    const InternalKeyView key_b{b, Trailer(Version(random.Below(3)), EntryKind::kPut)};
    ASSERT_EQ(IsBefore(key_a, words_a, key_b, words_b), key_a < key_b);
  }
}

}  // namespace
}  // namespace bedrock::engine
