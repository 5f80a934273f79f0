#include "routerd/http/etag.h"

#include <gtest/gtest.h>

#include <string>

namespace bedrock::router {
namespace {

TagList Tags(std::vector<EntityTag> tags) { return {false, std::move(tags)}; }

TEST(EtagTest, ParsesWhatRfc9110Allows) {
  EXPECT_EQ(ParseTagList("*"), (TagList{true, {}}));
  EXPECT_EQ(ParseTagList(" * "), (TagList{true, {}}));
  EXPECT_EQ(ParseTagList("\"5\""), Tags({{Version(5), false}}));
  EXPECT_EQ(ParseTagList("W/\"5\""), Tags({{Version(5), true}}));
  EXPECT_EQ(ParseTagList("\"5\", W/\"6\",\"7\""),
            Tags({{Version(5), false}, {Version(6), true}, {Version(7), false}}));
  EXPECT_EQ(ParseTagList(",\"5\" ,, "), Tags({{Version(5), false}}));
  EXPECT_EQ(ParseTagList("\"18446744073709551615\""), Tags({{Version(UINT64_MAX), false}}));
}

TEST(EtagTest, ATagThatIsNoVersionNamesNone) {
  for (const char* text : {"\"\"", "\"abc\"", "\"0\"", "\"05\"", "\"+5\"", "\"-5\"", "\"5x\"",
                           "\"18446744073709551616\"", "\"a,b\""}) {
    EXPECT_EQ(ParseTagList(text), Tags({{Version(), false}})) << text;
  }
}

TEST(EtagTest, RefusesWhatIsNoList) {
  for (const char* text : {"", ",", "5", "\"5", "5\"", "w/\"5\"", "W/5", "\"5\" \"6\"", "*, \"5\"",
                           "\"5\",*", "\"a b\"", "W/ \"5\""}) {
    EXPECT_EQ(ParseTagList(text), std::nullopt) << text;
  }
}

TEST(EtagTest, BoundsTheNumberOfTags) {
  std::string text = "\"1\"";
  for (std::size_t i = 1; i < kTagsMax; ++i) text += ",\"1\"";
  EXPECT_TRUE(ParseTagList(text));
  EXPECT_FALSE(ParseTagList(text + ",\"1\""));
}

TEST(EtagTest, WeakTagsMatchWeaklyOnly) {
  const TagList list = *ParseTagList("W/\"5\", \"6\"");
  EXPECT_TRUE(list.MatchesWeakly(Version(5)));
  EXPECT_FALSE(list.MatchesStrongly(Version(5)));
  EXPECT_TRUE(list.MatchesStrongly(Version(6)));
  EXPECT_FALSE(list.MatchesWeakly(Version(7)));
}

TEST(EtagTest, AnythingMatchesWhatExists) {
  const TagList any = *ParseTagList("*");
  EXPECT_TRUE(any.MatchesStrongly(Version(1)));
  EXPECT_FALSE(any.MatchesStrongly(Version()));
  EXPECT_FALSE(ParseTagList("\"x\"")->MatchesWeakly(Version()));
}

}  // namespace
}  // namespace bedrock::router
