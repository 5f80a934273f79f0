#include <gtest/gtest.h>

#include <string>

#include "routerd/http/page_token.h"
#include "routerd/http/routes.h"
#include "routerd/http/txn_request.h"

// What the parameters of a scan and of a range delete say.

namespace bedrock::router {
namespace {

using proto::ErrorCode;
using Form = proto::Scan::Form;

Plan PlanOf(Method method, const std::string& query, const std::string& accept = "",
            const std::string& path = "/v1/kv?") {
  RequestHead head;
  head.method = method;
  head.target = path + query;
  head.host = true;
  head.accept = accept;
  return PlanRequest(head, 1000);
}
Plan ScanOf(const std::string& query, const std::string& accept = "") {
  return PlanOf(Method::kGet, query, accept);
}

TEST(ScanParametersTest, RangesAreHalfOpenAndPrefixesEndBehindTheirLastKey) {
  struct Case {
    const char* query;
    KeyRange range;
  };
  for (const Case& c :
       {Case{"", {"", ""}}, Case{"prefix=ab", {"ab", "ac"}}, Case{"prefix=", {"", ""}},
        Case{"prefix=a%FF", {"a\xFF", "b"}}, Case{"prefix=%FF%FF", {"\xFF\xFF", ""}},
        Case{"start=a&end=c", {"a", "c"}}, Case{"start=a", {"a", ""}}, Case{"end=c", {"", "c"}},
        Case{"prefix=a+b", {"a b", "a c"}}}) {
    const Plan plan = ScanOf(c.query);
    ASSERT_TRUE(plan.error.ok()) << c.query << ": " << plan.error.detail;
    EXPECT_EQ(plan.range->rest, c.range) << c.query;
  }
}

TEST(ScanParametersTest, LimitsHaveDefaultsAndBounds) {
  const Plan plain = ScanOf("");
  EXPECT_EQ(plain.range->scan.items_max, 1000U);
  EXPECT_EQ(plain.range->scan.bytes_max, 1 * kMiB);
  const Plan most = ScanOf("limit=10000&limit_bytes=8MiB&reverse=true&keys_only=true");
  ASSERT_TRUE(most.error.ok()) << most.error.detail;
  EXPECT_EQ(most.range->scan.items_max, 10'000U);
  EXPECT_EQ(most.range->scan.bytes_max, 8 * kMiB);
  EXPECT_TRUE(most.range->scan.reverse);
  EXPECT_EQ(most.range->scan.form, Form::kKeys);
}

TEST(ScanParametersTest, ACountHasNoLimits) {
  const Plan plan = ScanOf("prefix=a&count_only=true&limit=5");
  ASSERT_TRUE(plan.error.ok()) << plan.error.detail;
  EXPECT_EQ(plan.range->scan, proto::Scan{.form = Form::kCount});
}

TEST(ScanParametersTest, RefusesWhatMakesNoSense) {
  for (const char* query : {"limit=0",
                            "limit=10001",
                            "limit=-1",
                            "limit=x",
                            "limit_bytes=0",
                            "limit_bytes=8388609",
                            "reverse=1",
                            "reverse",
                            "keys_only=yes",
                            "count_only=",
                            "prefix=a&start=b",
                            "prefix=a&end=b",
                            "end=",
                            "start=b&end=a",
                            "start=a&end=a",
                            "page=abc",
                            "page=",
                            "colour=red",
                            "key=a",
                            "for_update=true"}) {
    const Plan plan = ScanOf(query);
    EXPECT_EQ(plan.kind, Plan::Kind::kRefuse) << query;
    EXPECT_EQ(plan.error.code, ErrorCode::kInvalidArgument) << query;
  }
  const Plan large = ScanOf("prefix=" + std::string(8193, 'k'));
  EXPECT_EQ(large.error.code, ErrorCode::kKeyTooLarge);
  EXPECT_EQ(large.error.limit, 8192U);
  EXPECT_EQ(large.error.actual, 8193U);
}

TEST(ScanParametersTest, ARangeDeleteNamesItsRange) {
  EXPECT_EQ(PlanOf(Method::kDelete, "").error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(PlanOf(Method::kDelete, "start=a&end=").error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(PlanOf(Method::kDelete, "start=a&end=c").range->rest, (KeyRange{"a", "c"}));
  EXPECT_EQ(PlanOf(Method::kDelete, "prefix=").range->rest, KeyRange());
}

PageToken TokenOf(const KeyRange& whole) {
  PageToken token;
  token.version = Version(77);
  token.rest = {"m", whole.end};
  token.bounds_check = BoundsCheck(whole);
  return token;
}

TEST(ScanParametersTest, APageGoesOnWhereTheLastEndedAtItsVersion) {
  const std::string page = "page=" + EncodePageToken(TokenOf({"a", "z"}));
  for (const std::string& query :
       {page, "start=a&end=z&" + page, page + "&limit=5&limit_bytes=10&reverse=false&at=77"}) {
    const Plan plan = ScanOf(query);
    ASSERT_TRUE(plan.error.ok()) << query << ": " << plan.error.detail;
    EXPECT_EQ(plan.range->rest, (KeyRange{"m", "z"}));
    EXPECT_EQ(plan.at, Version(77));
    EXPECT_EQ(plan.range->bounds_check, BoundsCheck({"a", "z"}));
  }
}

TEST(ScanParametersTest, APageOfAnotherScanIsRefused) {
  const std::string page = "&page=" + EncodePageToken(TokenOf({"a", "z"}));
  for (const char* query : {"start=a&end=y", "start=b&end=z", "start=a", "prefix=a", "reverse=true",
                            "keys_only=true", "count_only=true", "at=76"}) {
    EXPECT_EQ(ScanOf(query + page).error.code, ErrorCode::kInvalidArgument) << query;
  }
  EXPECT_EQ(PlanOf(Method::kGet, page, "", "/v1/transactions/t/kv?").error.code,
            ErrorCode::kInvalidArgument)
      << "a plain scan's page inside a transaction";
}

TEST(ScanParametersTest, AReversePageKeepsItsDirection) {
  PageToken token = TokenOf({"a", "z"});
  token.rest = {"a", "m"};
  token.reverse = true;
  token.keys_only = true;
  const Plan plan = ScanOf("page=" + EncodePageToken(token));
  ASSERT_TRUE(plan.error.ok()) << plan.error.detail;
  EXPECT_TRUE(plan.range->scan.reverse);
  EXPECT_EQ(plan.range->scan.form, Form::kKeys);
  EXPECT_FALSE(ScanOf("reverse=false&page=" + EncodePageToken(token)).error.ok());
}

TEST(ScanParametersTest, AStreamReadsInPagesOfItsOwn) {
  const Plan plan = ScanOf("prefix=a", "application/x-ndjson");
  EXPECT_TRUE(plan.streams());
  EXPECT_TRUE(plan.runs_alone());
  EXPECT_EQ(plan.range->items_max, 0U);
  EXPECT_EQ(plan.range->scan.items_max, proto::kScanItemsMax);
  EXPECT_EQ(ScanOf("limit=5", "application/x-ndjson").range->items_max, 5U);
  EXPECT_FALSE(ScanOf("limit_bytes=5", "application/x-ndjson").error.ok());
  EXPECT_FALSE(ScanOf("", "application/x-ndjson;q=0.1, application/json").streams());
  EXPECT_FALSE(ScanOf("count_only=true", "application/x-ndjson").streams());
}

}  // namespace
}  // namespace bedrock::router
