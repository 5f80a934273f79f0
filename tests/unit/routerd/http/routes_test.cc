#include "routerd/http/routes.h"

#include <gtest/gtest.h>

#include <string>

namespace bedrock::router {
namespace {

using proto::Condition;
using proto::ErrorCode;

constexpr std::uint64_t kValueMax = 1000;

RequestHead Head(Method method, std::string target) {
  RequestHead head;
  head.method = method;
  head.target = std::move(target);
  head.host = true;
  return head;
}
Plan PlanOf(Method method, std::string target) {
  return PlanRequest(Head(method, std::move(target)), kValueMax);
}

TEST(RoutesTest, KnowsEveryRoute) {
  struct Case {
    Method method;
    const char* target;
    Plan::Kind kind;
    Route route;
    const char* key;
  };
  for (const Case& c : {
           Case{Method::kPut, "/put?key=k", Plan::Kind::kPut, Route::kShortForm, "k"},
           Case{Method::kGet, "/get?key=k", Plan::Kind::kRead, Route::kShortForm, "k"},
           Case{Method::kHead, "/get?key=k", Plan::Kind::kRead, Route::kShortForm, "k"},
           Case{Method::kDelete, "/delete?key=k", Plan::Kind::kDelete, Route::kShortForm, "k"},
           Case{Method::kPut, "/v1/kv/k", Plan::Kind::kPut, Route::kKv, "k"},
           Case{Method::kGet, "/v1/kv/k", Plan::Kind::kRead, Route::kKv, "k"},
           Case{Method::kHead, "/v1/kv/k", Plan::Kind::kRead, Route::kKv, "k"},
           Case{Method::kDelete, "/v1/kv/k", Plan::Kind::kDelete, Route::kKv, "k"},
           Case{Method::kGet, "/v1/kv", Plan::Kind::kScan, Route::kRange, ""},
           Case{Method::kHead, "/v1/kv?prefix=a", Plan::Kind::kScan, Route::kRange, ""},
           Case{Method::kDelete, "/v1/kv?prefix=a", Plan::Kind::kDeleteRange, Route::kRange, ""},
           Case{Method::kPost, "/v1/txn", Plan::Kind::kTxn, Route::kTxn, ""},
           Case{Method::kPost, "/v1/transactions", Plan::Kind::kBegin, Route::kTransaction, ""},
           Case{Method::kGet, "/v1/transactions/t-1/kv/a/b", Plan::Kind::kRead, Route::kTransaction,
                "a/b"},
           Case{Method::kPut, "/v1/transactions/t-1/kv/k", Plan::Kind::kPut, Route::kTransaction,
                "k"},
           Case{Method::kDelete, "/v1/transactions/t-1/kv/k", Plan::Kind::kDelete,
                Route::kTransaction, "k"},
           Case{Method::kGet, "/v1/transactions/t-1/kv", Plan::Kind::kScan, Route::kTransaction,
                ""},
           Case{Method::kDelete, "/v1/transactions/t-1/kv?start=a", Plan::Kind::kDeleteRange,
                Route::kTransaction, ""},
           Case{Method::kPost, "/v1/transactions/t-1/commit", Plan::Kind::kCommit,
                Route::kTransaction, ""},
           Case{Method::kPost, "/v1/transactions/t-1/rollback", Plan::Kind::kRollback,
                Route::kTransaction, ""},
           Case{Method::kPost, "/v1/cluster/compact", Plan::Kind::kCompact, Route::kCluster, ""},
           Case{Method::kPost, "/v1/cluster/leader", Plan::Kind::kMoveLeader, Route::kCluster, ""},
           Case{Method::kPost, "/v1/cluster/members", Plan::Kind::kAddMember, Route::kCluster, ""},
           Case{Method::kDelete, "/v1/cluster/members/n4", Plan::Kind::kRemoveMember,
                Route::kCluster, ""},
           Case{Method::kPost, "/v1/cluster/members/n4/promote", Plan::Kind::kPromoteMember,
                Route::kCluster, ""},
           Case{Method::kPost, "/v1/cluster/members/4/demote", Plan::Kind::kDemoteMember,
                Route::kCluster, ""},
           Case{Method::kGet, "/v1/cluster", Plan::Kind::kCluster, Route::kCluster, ""},
           Case{Method::kGet, "/livez", Plan::Kind::kLive, Route::kLive, ""},
           Case{Method::kGet, "/readyz", Plan::Kind::kReady, Route::kReady, ""},
           Case{Method::kGet, "/metrics", Plan::Kind::kMetrics, Route::kMetrics, ""},
           Case{Method::kGet, "/", Plan::Kind::kFront, Route::kFront, ""},
       }) {
    const Plan plan = PlanOf(c.method, c.target);
    EXPECT_TRUE(plan.error.ok()) << c.target << ": " << plan.error.detail;
    EXPECT_EQ(plan.kind, c.kind) << c.target;
    EXPECT_EQ(plan.route, c.route) << c.target;
    EXPECT_EQ(plan.key, c.key) << c.target;
    EXPECT_EQ(plan.timeout_ms, 5000U);
  }
}

TEST(RoutesTest, KeepsAKeysBytes) {
  struct Case {
    const char* target;
    std::string key;
  };
  for (const Case& c :
       {Case{"/v1/kv/a/b", "a/b"}, Case{"/v1/kv/a%2Fb", "a/b"}, Case{"/v1/kv//a//", "/a//"},
        Case{"/v1/kv/../x/./y", "../x/./y"}, Case{"/v1/kv/%252F", "%2F"}, Case{"/v1/kv/a+b", "a+b"},
        Case{"/v1/kv/%00%FF", std::string("\0\xFF", 2)}, Case{"/v1/kv/a%3Fb%23", "a?b#"},
        Case{"/get?key=a+b%2Bc", "a b+c"}, Case{"/get?key=a/b?c", "a/b?c"}}) {
    EXPECT_EQ(PlanOf(Method::kGet, c.target).key, c.key) << c.target;
  }
}

TEST(RoutesTest, TakesParameters) {
  const Plan plan = PlanOf(Method::kGet, "/v1/kv/k?consistency=stale&min_version=7&timeout=250ms");
  EXPECT_EQ(plan.consistency, proto::Consistency::kStale);
  EXPECT_EQ(plan.min_version, Version(7));
  EXPECT_EQ(plan.timeout_ms, 250U);
  EXPECT_EQ(PlanOf(Method::kGet, "/v1/kv/k?timeout=60s").timeout_ms, 60'000U);
  EXPECT_EQ(PlanOf(Method::kGet, "/livez?timeout=1m").timeout_ms, 60'000U);
  EXPECT_EQ(PlanOf(Method::kGet, "/v1/kv/k?timeout=1500").timeout_ms, 1500U);
}

TEST(RoutesTest, RefusesWhatItDoesNotUnderstand) {
  struct Case {
    Method method;
    const char* target;
    ErrorCode code;
  };
  constexpr ErrorCode kBad = ErrorCode::kInvalidArgument;
  for (const Case& c : {
           Case{Method::kGet, "/v1/kv/", kBad},
           Case{Method::kGet, "/get", kBad},
           Case{Method::kGet, "/get?key=", kBad},
           Case{Method::kGet, "/v1/kv/a%", kBad},
           Case{Method::kGet, "/v1/kv/a%zz", kBad},
           Case{Method::kGet, "/get?key=%zz", kBad},
           Case{Method::kGet, "/get?key=a&key=b", kBad},
           Case{Method::kGet, "/get?key=a&colour=red", kBad},
           Case{Method::kGet, "/v1/kv/a?key=b", kBad},
           Case{Method::kGet, "/v1/kv/a?consistency=eventual", kBad},
           Case{Method::kGet, "/v1/kv/a?min_version=x", kBad},
           Case{Method::kGet, "/v1/kv/a?min_version=-1", kBad},
           Case{Method::kGet, "/v1/kv/a?timeout=0", kBad},
           Case{Method::kGet, "/v1/kv/a?timeout=61s", kBad},
           Case{Method::kGet, "/v1/kv/a?timeout=5 s", kBad},
           Case{Method::kGet, "/v1/kv/a?timeout=", kBad},
           Case{Method::kPut, "/v1/kv/a?consistency=stale", kBad},
           Case{Method::kGet, "/v1/cluster?key=a", kBad},
           Case{Method::kGet, "nonsense", kBad},
           Case{Method::kGet, "/v1/kv/a?at=0", kBad},
           Case{Method::kGet, "/v1/kv/a?max_staleness=0", kBad},
           Case{Method::kGet, "/v1/kv/a?for_update=true", kBad},
           Case{Method::kPut, "/v1/kv/a?at=5", kBad},
           Case{Method::kDelete, "/v1/kv", kBad},
           Case{Method::kDelete, "/v1/kv?limit=5", kBad},
           Case{Method::kGet, "/v1/transactions/t/kv/a?at=5", kBad},
           Case{Method::kGet, "/v1/transactions/t/kv/a?for_update=yes", kBad},
           Case{Method::kGet, "/v1/transactions/t/kv/", kBad},
           Case{Method::kGet, "/v1/transactions//kv/a", kBad},
           Case{Method::kGet, "/v1/transactions/t/kv?consistency=stale", kBad},
           Case{Method::kPost, "/v1/txn?key=a", kBad},
           Case{Method::kGet, "/v1/watch", ErrorCode::kRouteNotFound},
           Case{Method::kGet, "/v1/transactions/t", ErrorCode::kRouteNotFound},
           Case{Method::kPost, "/v1/transactions/t/abort", ErrorCode::kRouteNotFound},
           Case{Method::kGet, "/v1/txn", ErrorCode::kMethodNotAllowed},
           Case{Method::kGet, "/v1/transactions", ErrorCode::kMethodNotAllowed},
           Case{Method::kPost, "/v1/kv/a", ErrorCode::kMethodNotAllowed},
           Case{Method::kGet, "/get/", ErrorCode::kRouteNotFound},
           Case{Method::kGet, "*", ErrorCode::kRouteNotFound},
           Case{Method::kOther, "/v1/kv/a", ErrorCode::kMethodNotAllowed},
           Case{Method::kGet, "/put?key=a", ErrorCode::kMethodNotAllowed},
           Case{Method::kDelete, "/livez", ErrorCode::kMethodNotAllowed},
       }) {
    const Plan plan = PlanOf(c.method, c.target);
    EXPECT_EQ(plan.kind, Plan::Kind::kRefuse) << c.target;
    EXPECT_EQ(plan.error.code, c.code) << c.target;
    EXPECT_FALSE(plan.error.detail.empty()) << c.target;
  }
}

TEST(RoutesTest, NamesWhatIsNotSupportedYet) {
  for (const char* target : {"/v1/kv/a?ttl=5s", "/v1/kv/a?lease=1", "/put?key=a&ttl=5s",
                             "/v1/transactions/t/kv/a?lease=1"}) {
    const Plan plan = PlanOf(Method::kPut, target);
    EXPECT_EQ(plan.error.code, ErrorCode::kInvalidArgument);
    EXPECT_NE(plan.error.detail.find("not supported yet"), std::string::npos) << target;
  }
  for (const auto& [method, target] :
       {std::pair(Method::kDelete, "/v1/kv/a"), std::pair(Method::kPost, "/v1/txn"),
        std::pair(Method::kDelete, "/v1/kv?prefix=a")}) {
    RequestHead head = Head(method, target);
    head.fence = true;
    const Plan plan = PlanRequest(head, kValueMax);
    EXPECT_EQ(plan.error.code, ErrorCode::kInvalidArgument);
    EXPECT_NE(plan.error.detail.find("X-Bedrock-Fence"), std::string::npos) << target;
  }
}

TEST(RoutesTest, NamesRoutesThatAreNotSupportedYet) {
  for (const char* target : {"/v1/watch?prefix=a", "/v1/leases/5/keepalive", "/v1/locks/name",
                             "/v1/backup", "/v1/auth/tokens"}) {
    const Plan plan = PlanOf(Method::kGet, target);
    EXPECT_EQ(plan.error.code, ErrorCode::kRouteNotFound);
    EXPECT_NE(plan.error.detail.find("not supported yet"), std::string::npos) << target;
  }
  EXPECT_EQ(PlanOf(Method::kGet, "/v1/watcher").error.detail.find("yet"), std::string::npos);
}

TEST(RoutesTest, EveryWriteTakesAnIdempotencyKey) {
  for (const auto& [method, target] :
       {std::pair(Method::kPut, "/v1/kv/a"), std::pair(Method::kDelete, "/v1/kv/a"),
        std::pair(Method::kPut, "/put?key=a"), std::pair(Method::kDelete, "/delete?key=a"),
        std::pair(Method::kDelete, "/v1/kv?prefix=a"), std::pair(Method::kPost, "/v1/txn")}) {
    RequestHead head = Head(method, target);
    head.idempotency_key = "!once~";
    const Plan plan = PlanRequest(head, kValueMax);
    EXPECT_TRUE(plan.error.ok()) << target << ": " << plan.error.detail;
    EXPECT_EQ(plan.idempotency_key, "!once~") << target;
  }
}

TEST(RoutesTest, RefusesIdempotencyKeysThatAreNone) {
  const std::vector<std::string> bad = {"",     "two words",          "tab\t", "caf\xC3\xA9",
                                        "a, b", std::string(129, 'k')};
  for (const std::string& key : bad) {
    RequestHead head = Head(Method::kPut, "/v1/kv/a");
    head.idempotency_key = key;
    EXPECT_EQ(PlanRequest(head, kValueMax).error.code, ErrorCode::kInvalidArgument) << key;
  }
  RequestHead head = Head(Method::kPut, "/v1/kv/a");
  head.idempotency_key = std::string(128, 'k');
  EXPECT_TRUE(PlanRequest(head, kValueMax).error.ok());
}

TEST(RoutesTest, WhatIsNotLookedAtIsRefusedByItsName) {
  for (const auto& [method, target] :
       {std::pair(Method::kDelete, "/v1/kv?prefix=a"), std::pair(Method::kPost, "/v1/txn"),
        std::pair(Method::kPut, "/v1/transactions/t/kv/a"),
        std::pair(Method::kGet, "/v1/transactions/t/kv/a")}) {
    RequestHead head = Head(method, target);
    head.if_match = "\"5\"";
    const Plan plan = PlanRequest(head, kValueMax);
    EXPECT_EQ(plan.error.code, ErrorCode::kInvalidArgument) << target;
    EXPECT_NE(plan.error.detail.find("If-Match"), std::string::npos) << target;
  }
  for (const char* target : {"/v1/transactions", "/v1/transactions/t/commit",
                             "/v1/transactions/t/rollback", "/v1/cluster/compact"}) {
    RequestHead head = Head(Method::kPost, target);
    head.idempotency_key = "once";
    const Plan plan = PlanRequest(head, kValueMax);
    EXPECT_EQ(plan.error.code, ErrorCode::kInvalidArgument) << target;
    EXPECT_NE(plan.error.detail.find("Idempotency-Key"), std::string::npos) << target;
  }
}

TEST(RoutesTest, ReadsTakeAVersionAndABoundOnStaleness) {
  for (const char* target : {"/v1/kv/a?at=7&consistency=stale&max_staleness=3s",
                             "/get?key=a&at=7&consistency=stale&max_staleness=3s",
                             "/v1/kv?at=7&consistency=stale&max_staleness=3s"}) {
    const Plan plan = PlanOf(Method::kGet, target);
    EXPECT_TRUE(plan.error.ok()) << target << ": " << plan.error.detail;
    EXPECT_EQ(plan.at, Version(7));
    EXPECT_EQ(plan.max_staleness_ms, 3000U);
  }
}

TEST(RoutesTest, AStepNamesItsTransaction) {
  const Plan plan = PlanOf(Method::kGet, "/v1/transactions/n1-00%2D7/kv/a%2Fb?for_update=true");
  EXPECT_EQ(plan.transaction, "n1-00-7");
  EXPECT_EQ(plan.key, "a/b");
  EXPECT_TRUE(plan.for_update);
  EXPECT_TRUE(plan.runs_alone());
  EXPECT_EQ(
      PlanOf(Method::kPost, "/v1/transactions/" + std::string(129, 'i') + "/commit").error.code,
      ErrorCode::kInvalidArgument);
}

TEST(RoutesTest, TellsTheAllowedMethods) {
  EXPECT_EQ(PlanOf(Method::kOther, "/v1/kv/a").allow, "GET, HEAD, PUT, DELETE");
  EXPECT_EQ(PlanOf(Method::kGet, "/put?key=a").allow, "PUT");
  EXPECT_EQ(PlanOf(Method::kPut, "/get?key=a").allow, "GET, HEAD");
  EXPECT_EQ(PlanOf(Method::kGet, "/delete?key=a").allow, "DELETE");
  EXPECT_EQ(PlanOf(Method::kPut, "/metrics").allow, "GET, HEAD");
  EXPECT_EQ(PlanOf(Method::kPut, "/v1/kv").allow, "GET, HEAD, DELETE");
  EXPECT_EQ(PlanOf(Method::kGet, "/v1/txn").allow, "POST");
  EXPECT_EQ(PlanOf(Method::kPost, "/v1/transactions/t/kv/a").allow, "GET, HEAD, PUT, DELETE");
}

TEST(RoutesTest, BoundsTheKey) {
  const Plan longest = PlanOf(Method::kGet, "/v1/kv/" + std::string(8192, 'k'));
  EXPECT_TRUE(longest.error.ok());
  const Plan longer = PlanOf(Method::kGet, "/v1/kv/" + std::string(8193, 'k'));
  EXPECT_EQ(longer.error.code, ErrorCode::kKeyTooLarge);
  EXPECT_EQ(longer.error.limit, 8192U);
  EXPECT_EQ(longer.error.actual, 8193U);
}

TEST(RoutesTest, BoundsAPutsBodyByTheValue) {
  const Plan plan = PlanOf(Method::kPut, "/v1/kv/k");
  EXPECT_EQ(plan.body_limit, kValueMax);
  EXPECT_EQ(plan.body_code, ErrorCode::kValueTooLarge);
}

TEST(RoutesTest, BoundsDocumentsByTheContract) {
  EXPECT_EQ(PlanOf(Method::kPost, "/v1/txn").body_limit, 16 * kMiB);
  EXPECT_EQ(PlanOf(Method::kPost, "/v1/transactions").body_limit, kSmallBodyBytesMax);
  EXPECT_FALSE(PlanOf(Method::kGet, "/v1/kv").takes_body());
}

TEST(RoutesTest, AHostHeaderIsRequiredSinceHttp11) {
  RequestHead head = Head(Method::kGet, "/livez");
  head.host = false;
  EXPECT_EQ(PlanRequest(head, kValueMax).error.code, ErrorCode::kInvalidArgument);
  head.minor_version = 0;
  EXPECT_TRUE(PlanRequest(head, kValueMax).error.ok());
}

/// An empty text: without that header.
Plan Conditional(Method method, const std::string& if_match, const std::string& if_none_match) {
  RequestHead head = Head(method, "/v1/kv/k");
  if (!if_match.empty()) head.if_match = if_match;
  if (!if_none_match.empty()) head.if_none_match = if_none_match;
  return PlanRequest(head, kValueMax);
}

TEST(RoutesTest, HeadersBecomeConditions) {
  struct Case {
    const char* if_match;
    const char* if_none_match;
    std::vector<Condition> conditions;
  };
  const Version never(UINT64_MAX);
  using Kind = Condition::Kind;
  for (const Case& c : {
           Case{"", "", {}},
           Case{"\"5\"", "", {{Kind::kVersionEquals, "k", Version(5), {}}}},
           Case{"*", "", {{Kind::kExists, "k", Version(), {}}}},
           Case{"", "*", {{Kind::kAbsent, "k", Version(), {}}}},
           Case{"W/\"5\"", "", {{Kind::kVersionEquals, "k", never, {}}}},
           Case{"\"abc\"", "", {{Kind::kVersionEquals, "k", never, {}}}},
           Case{"\"0\"", "", {{Kind::kVersionEquals, "k", never, {}}}},
           Case{"\"abc\", W/\"4\", \"5\"", "", {{Kind::kVersionEquals, "k", Version(5), {}}}},
       }) {
    const Plan plan = Conditional(Method::kPut, c.if_match, c.if_none_match);
    EXPECT_TRUE(plan.error.ok()) << plan.error.detail;
    EXPECT_EQ(plan.Conditions(), c.conditions) << c.if_match << c.if_none_match;
  }
}

TEST(RoutesTest, AnEmptyConditionIsRefusedAndNotTakenForNone) {
  for (const Method method : {Method::kPut, Method::kDelete, Method::kGet}) {
    RequestHead head = Head(method, "/v1/kv/k");
    head.if_match = "";
    EXPECT_EQ(PlanRequest(head, kValueMax).error.code, ErrorCode::kInvalidArgument);
    head.if_match.reset();
    head.if_none_match = "";
    EXPECT_EQ(PlanRequest(head, kValueMax).error.code, ErrorCode::kInvalidArgument);
  }
}

TEST(RoutesTest, RefusesConditionsThatAWriteCannotCheck) {
  EXPECT_FALSE(Conditional(Method::kPut, "\"5\", \"6\"", "").error.ok());
  EXPECT_FALSE(Conditional(Method::kPut, "5", "").error.ok());
  EXPECT_FALSE(Conditional(Method::kPut, "", "\"5\"").error.ok());
  EXPECT_FALSE(Conditional(Method::kDelete, "", "*").error.ok());
  EXPECT_TRUE(Conditional(Method::kGet, "\"5\", \"6\"", "\"7\"").error.ok());
}

}  // namespace
}  // namespace bedrock::router
