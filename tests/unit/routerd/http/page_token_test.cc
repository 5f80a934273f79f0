#include "routerd/http/page_token.h"

#include <gtest/gtest.h>

#include <string>

#include "common/env/random.h"
#include "routerd/http/request.h"
#include "routerd/http/text.h"

namespace bedrock::router {
namespace {

PageToken Example() {
  PageToken token;
  token.version = Version(300);
  token.rest = {"user/7", "user0"};
  token.keys_only = true;
  token.bounds_check = 5;
  return token;
}

TEST(PageTokenTest, ComesBackAsItWas) {
  Random random(7);
  for (int i = 0; i < 500; ++i) {
    PageToken token;
    token.version = Version(1 + random.Below(UINT64_MAX - 1));
    for (std::uint64_t n = random.Below(20); n > 0; --n) {
      token.rest.start.push_back(static_cast<char>(random.Below(256)));
    }
    token.rest.end = token.rest.start + static_cast<char>(random.Below(256));
    if (random.Below(4) == 0) token.rest.end.clear();
    token.reverse = random.Below(2) == 0;
    token.keys_only = random.Below(2) == 0;
    token.in_transaction = random.Below(2) == 0;
    token.bounds_check = static_cast<std::uint32_t>(random.Below(UINT32_MAX));
    const std::string text = EncodePageToken(token);
    EXPECT_EQ(DecodePageToken(text), token);
    EXPECT_EQ(text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_"),
              std::string::npos);
  }
}

TEST(PageTokenTest, EveryChangedCharacterIsNoticed) {
  const std::string text = EncodePageToken(Example());
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'A', 'b', '9', '-', '_', '=', '%'}) {
      if (text[i] == c) continue;
      std::string changed = text;
      changed[i] = c;
      EXPECT_EQ(DecodePageToken(changed), std::nullopt) << i;
    }
    EXPECT_EQ(DecodePageToken(text.substr(0, i)), std::nullopt);
  }
  EXPECT_EQ(DecodePageToken(text + "AA"), std::nullopt);
}

TEST(PageTokenTest, OneOfAPrefixOfTheLongestKeysFitsATarget) {
  PageToken token = Example();
  const std::string prefix(8191, '\xFE');
  token.rest = {prefix + "x", PrefixEnd(prefix)};
  EXPECT_LT(EncodePageToken(token).size() + 1000, kTargetBytesMax);
}

TEST(PageTokenTest, TellsBoundsApart) {
  EXPECT_NE(BoundsCheck({"a", "b"}), BoundsCheck({"ab", ""}));
  EXPECT_NE(BoundsCheck({"", "a"}), BoundsCheck({"a", ""}));
  EXPECT_EQ(BoundsCheck({"a", "b"}), BoundsCheck({"a", "b"}));
}

}  // namespace
}  // namespace bedrock::router
