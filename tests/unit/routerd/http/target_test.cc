#include "routerd/http/target.h"

#include <gtest/gtest.h>

#include <string>

namespace bedrock::router {
namespace {

TEST(TargetTest, TakesTheFormsOfRfc9112) {
  struct Case {
    const char* target;
    const char* path;
    const char* query;
  };
  for (const Case& c :
       {Case{"/", "/", ""}, Case{"/a//b/../c?x=1?y", "/a//b/../c", "x=1?y"}, Case{"/a?", "/a", ""},
        Case{"*", "*", ""}, Case{"http://host:80/a?b", "/a", "b"}, Case{"HTTPS://h", "/", ""},
        Case{"http://h?q=/", "/", "q=/"}}) {
    const auto target = SplitTarget(c.target);
    ASSERT_TRUE(target) << c.target;
    EXPECT_EQ(target->path, c.path);
    EXPECT_EQ(target->query, c.query);
  }
}

TEST(TargetTest, RefusesTheRest) {
  for (const char* target : {"", "a", "host:80", "ftp://h/a", "?q"}) {
    EXPECT_FALSE(SplitTarget(target)) << target;
  }
}

TEST(TargetTest, DecodesParametersAsForms) {
  const auto parameters = ParseQuery("key=a+b%26c&empty=&bare&&x=y=z");
  ASSERT_TRUE(parameters.ok());
  EXPECT_EQ(*parameters,
            (std::vector<Parameter>{{"key", "a b&c"}, {"empty", ""}, {"bare", ""}, {"x", "y=z"}}));
}

TEST(TargetTest, RefusesBadQueries) {
  for (const char* query : {"a=%", "%zz=1", "=1", "a=1&a=2", "a=1&%61=2"}) {
    EXPECT_FALSE(ParseQuery(query).ok()) << query;
  }
}

TEST(TargetTest, BoundsTheNumberOfParameters) {
  std::string query;
  for (std::size_t i = 0; i < kParametersMax; ++i) query += "p" + std::to_string(i) + "=&";
  EXPECT_TRUE(ParseQuery(query).ok());
  EXPECT_FALSE(ParseQuery(query + "more=").ok());
}

}  // namespace
}  // namespace bedrock::router
