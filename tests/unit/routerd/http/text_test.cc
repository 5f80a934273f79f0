#include "routerd/http/text.h"

#include <gtest/gtest.h>

namespace bedrock::router {
namespace {

TEST(TextTest, DecodesEscapesOnce) {
  EXPECT_EQ(PercentDecode("a%2Fb", PlusIsSpace::kNo), "a/b");
  EXPECT_EQ(PercentDecode("%252F", PlusIsSpace::kNo), "%2F");
  EXPECT_EQ(PercentDecode("%00%ff", PlusIsSpace::kNo), std::string("\0\xff", 2));
  EXPECT_EQ(PercentDecode("", PlusIsSpace::kNo), "");
}

TEST(TextTest, APlusIsASpaceInFormsOnly) {
  EXPECT_EQ(PercentDecode("a+b%2B", PlusIsSpace::kYes), "a b+");
  EXPECT_EQ(PercentDecode("a+b", PlusIsSpace::kNo), "a+b");
}

TEST(TextTest, RefusesBrokenEscapes) {
  for (const char* text : {"%", "%a", "%g0", "%0g", "abc%", "%%41"}) {
    EXPECT_EQ(PercentDecode(text, PlusIsSpace::kNo), std::nullopt) << text;
  }
}

TEST(TextTest, KnowsUtf8) {
  for (const char* text : {"", "ascii", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
                           "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  for (const char* text :
       {"\x80", "\xC3", "\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xE2\x28\xA1"}) {
    EXPECT_FALSE(IsUtf8(text)) << text;
  }
}

TEST(TextTest, EncodesBase64AsRfc4648Shows) {
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foo"), "Zm9v");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64("\xFF\xFE\xFD"), "//79");
}

TEST(TextTest, ComparesLettersWithoutTheirCase) {
  EXPECT_TRUE(EqualsIgnoringCase("Chunked", "chunKED"));
  EXPECT_FALSE(EqualsIgnoringCase("chunked", "chunke"));
  EXPECT_FALSE(EqualsIgnoringCase("[", "{"));
}

TEST(TextTest, Base64ComesBack) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(DecodeBase64(Base64(bytes)), bytes);
    EXPECT_EQ(DecodeBase64Url(Base64Url(bytes)), bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
  EXPECT_EQ(Base64("\xFB\xFF"), "+/8=");
  EXPECT_EQ(Base64Url("\xFB\xFF"), "-_8");
}

TEST(TextTest, Base64HasOneSpelling) {
  for (const char* text :
       {"=", "YQ", "YQ=", "YQ===", "YR==", "Y===", "YQ==YQ==", "Y Q=", "YQ=\n", "-_8=", "YWJ"}) {
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
  }
  for (const char* text : {"Y", "YR", "YQ==", "+/8", "YWK"}) {
    EXPECT_EQ(DecodeBase64Url(text), std::nullopt) << text;
  }
}

TEST(TextTest, TellsUtf8WhereverItsBytesStand) {
  for (std::size_t before = 0; before < 20; ++before) {
    const std::string ascii(before, 'a');
    EXPECT_TRUE(IsUtf8(ascii + "\xC3\xA9" + ascii));
    EXPECT_FALSE(IsUtf8(ascii + "\xC3" + ascii));
    EXPECT_FALSE(IsUtf8(ascii + "\xFF" + ascii));
  }
}

}  // namespace
}  // namespace bedrock::router
