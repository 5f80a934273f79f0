#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "tests/unit/routerd/http/session_fixture.h"

// Scans, streams and range deletes over HTTP.

namespace bedrock::router {
namespace {

using proto::ErrorCode;
using proto::Operation;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Json = nlohmann::json;
using Kind = Operation::Kind;

using SessionScanTest = SessionCommandTest;

// ---- scans ----

TEST_F(SessionScanTest, AScanIsAQueryOfOnePage) {
  const std::string reply =
      Exchange(Request("GET /v1/kv?prefix=q/&limit=2&consistency=stale&min_version=3"),
               [](const auto& asked) {
                 return FakeGateway::Read(
                     asked, {Page({{"q/1", "v", Version(5)}, {"q/2", "w", Version(6)}}, "q/3")});
               });
  const proto::Command query = CommandOf();
  ASSERT_EQ(query.operations.size(), 1U);
  EXPECT_EQ(query.operations[0].kind, Kind::kScan);
  EXPECT_EQ(query.operations[0].key, "q/");
  EXPECT_EQ(query.operations[0].value, "q0");
  EXPECT_EQ(query.operations[0].scan.items_max, 2U);
  EXPECT_EQ(gateway_.asked[0].consistency, proto::Consistency::kStale);
  EXPECT_EQ(gateway_.asked[0].min_version, Version(3));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 100\r\n"));
  const Json json = BodyOf(reply);
  EXPECT_EQ(json["items"], Json::parse(R"([{"key":"q/1","value":"v","version":5},
                                           {"key":"q/2","value":"w","version":6}])"));
  EXPECT_EQ(json["version"], 100);
  const std::string token = json["next"];

  Exchange(Request("GET /v1/kv?prefix=q/&limit=2&page=" + token),
           [](const auto& asked) { return FakeGateway::Read(asked, {Page({})}); });
  EXPECT_EQ(CommandOf().operations[0].key, "q/3");
  EXPECT_EQ(CommandOf().operations[0].value, "q0");
  EXPECT_EQ(gateway_.asked[0].at, Version(100));
  EXPECT_EQ(CodeOf(Ask(Request("GET /v1/kv?prefix=r/&page=" + token))), "invalid_argument");
}

TEST_F(SessionScanTest, AReverseScanGoesOnBelow) {
  const std::string reply =
      Exchange(Request("GET /v1/kv?start=a&end=z&reverse=true&limit=1"), [](const auto& asked) {
        return FakeGateway::Read(asked, {Page({{"m", "v", Version(5)}}, "m")});
      });
  const std::string token = BodyOf(reply)["next"];
  Exchange(Request("GET /v1/kv?page=" + token),
           [](const auto& asked) { return FakeGateway::Read(asked, {Page({})}); });
  const Operation scan = CommandOf().operations[0];
  EXPECT_EQ(scan.key, "a");
  EXPECT_EQ(scan.value, "m");
  EXPECT_TRUE(scan.scan.reverse);
}

TEST_F(SessionScanTest, TheLastPageHasNoNext) {
  const std::string reply = Exchange(Request("GET /v1/kv"), [](const auto& asked) {
    return FakeGateway::Read(asked, {Page({})});
  });
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"items":[],"version":100,"next":null})"));
}

TEST_F(SessionScanTest, AHeadOfAScanHasItsLengthAndNoBody) {
  const auto page = [](const auto& asked) {
    return FakeGateway::Read(asked, {Page({{"a", "1", Version(5)}})});
  };
  const std::string got = Exchange(Request("GET /v1/kv"), page);
  const std::size_t body = got.size() - (got.find("\r\n\r\n") + 4);
  const std::string head = Exchange(Request("HEAD /v1/kv"), page);
  EXPECT_THAT(head, HasSubstr("Content-Length: " + std::to_string(body) + "\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
}

TEST_F(SessionScanTest, ACountIsANumber) {
  const std::string reply =
      Exchange(Request("GET /v1/kv?prefix=a&count_only=true"), [](const auto& asked) {
        proto::OperationResult count;
        count.count = 12'345;
        return FakeGateway::Read(asked, {count});
      });
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"count":12345,"version":100})"));
}

TEST_F(SessionScanTest, ARangeDeleteIsAWriteThatCounts) {
  const std::string reply = Exchange(
      Request("DELETE /v1/kv?start=a&end=c", "Idempotency-Key: x\r\n"), [](const auto& asked) {
        Completion done = Committed9(asked);
        done.result.results.resize(1);
        done.result.results[0].count = 4;
        return done;
      });
  EXPECT_EQ(CommandOf().operations, std::vector<Operation>{Do(Kind::kDeleteRange, "a", "c")});
  EXPECT_EQ(gateway_.asked[0].idempotency_key, "x");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"version":9,"deleted":4})"));
}

// ---- streams ----

constexpr const char* kStream = "Accept: application/x-ndjson\r\n";

/// What the chunks of a reply hold; "…cut off" behind it where the last chunk is missing.
std::string Unchunk(std::string_view reply) {
  reply.remove_prefix(reply.find("\r\n\r\n") + 4);
  std::string body;
  while (!reply.empty()) {
    const std::size_t size = std::stoul(std::string(reply), nullptr, 16);
    if (size == 0) return body;
    const std::size_t begin = reply.find("\r\n") + 2;
    body += reply.substr(begin, size);
    reply.remove_prefix(begin + size + 2);
  }
  return body + "…cut off";
}

TEST_F(SessionScanTest, AStreamSendsEveryItemPageByPageAtOneVersion) {
  session_.Receive(Request("GET /v1/kv?prefix=a", kStream));
  ASSERT_EQ(gateway_.asked.size(), 1U);
  Complete(FakeGateway::Read(gateway_.asked[0], {Page({{"a1", "x", Version(5)}}, "a2")}));
  ASSERT_EQ(gateway_.asked.size(), 2U);
  EXPECT_EQ(gateway_.asked[1].at, Version(100));
  EXPECT_EQ(CommandOf(1).operations[0].key, "a2");
  Complete(FakeGateway::Read(gateway_.asked[1], {Page({{"a2", "y", Version(6)}})}));
  const std::string reply = Out();
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Type: application/x-ndjson\r\n"));
  EXPECT_THAT(reply, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 100\r\n"));
  EXPECT_THAT(reply, Not(HasSubstr("Content-Length")));
  EXPECT_EQ(Unchunk(reply),
            "{\"key\":\"a1\",\"value\":\"x\",\"version\":5}\n"
            "{\"key\":\"a2\",\"value\":\"y\",\"version\":6}\n"
            "{\"end\":true,\"version\":100,\"count\":2}\n");
  EXPECT_TRUE(session_.idle());
  EXPECT_THAT(Ask(Request("GET /livez")), EndsWith("ok\n")) << "the connection lives on";
}

TEST_F(SessionScanTest, AStreamsNextPageWaitsUntilTheClientHasTakenThisOne) {
  session_.Receive(Request("GET /v1/kv", kStream));
  const std::string large(HttpSession::kOutputPauseBytes, 'x');
  Complete(FakeGateway::Read(gateway_.asked[0], {Page({{"a", large, Version(5)}}, "b")}));
  EXPECT_EQ(gateway_.asked.size(), 1U);
  session_.Resume();
  EXPECT_EQ(gateway_.asked.size(), 1U) << "nothing was taken yet";
  Out();
  session_.Resume();
  ASSERT_EQ(gateway_.asked.size(), 2U);
  session_.Resume();
  EXPECT_EQ(gateway_.asked.size(), 2U) << "one page at a time";
}

TEST_F(SessionScanTest, AStreamEndsAtItsLimit) {
  session_.Receive(Request("GET /v1/kv?limit=3", kStream));
  EXPECT_EQ(CommandOf().operations[0].scan.items_max, 3U);
  Complete(FakeGateway::Read(gateway_.asked[0],
                             {Page({{"a", "", Version(5)}, {"b", "", Version(5)}}, "c")}));
  ASSERT_EQ(gateway_.asked.size(), 2U);
  EXPECT_EQ(CommandOf(1).operations[0].scan.items_max, 1U);
  Complete(FakeGateway::Read(gateway_.asked[1], {Page({{"c", "", Version(5)}}, "d")}));
  EXPECT_EQ(gateway_.asked.size(), 2U);
  EXPECT_THAT(Unchunk(Out()), EndsWith("{\"end\":true,\"version\":100,\"count\":3}\n"));
}

TEST_F(SessionScanTest, AnErrorInTheMiddleOfAStreamCanNotPassForItsEnd) {
  session_.Receive(Request("GET /v1/kv", kStream) + Request("GET /livez"));
  Complete(FakeGateway::Read(gateway_.asked[0], {Page({{"a", "1", Version(5)}}, "b")}));
  Complete(FakeGateway::Failed(gateway_.asked[1], ErrorCode::kVersionCompacted));
  const std::string reply = Out();
  const std::string body = Unchunk(reply);
  EXPECT_THAT(body, EndsWith("…cut off")) << "the last chunk must not come";
  EXPECT_THAT(body, HasSubstr("{\"error\":{"));
  EXPECT_THAT(body, HasSubstr("version_compacted"));
  EXPECT_THAT(body, Not(HasSubstr("\"end\"")));
  EXPECT_TRUE(session_.finished());
}

TEST_F(SessionScanTest, AnErrorBeforeAStreamsFirstItemIsAnOrdinaryOne) {
  const std::string reply = Exchange(Request("GET /v1/kv", kStream), [](const auto& asked) {
    return FakeGateway::Failed(asked, ErrorCode::kTooStale);
  });
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(CodeOf(reply), "too_stale");
  EXPECT_FALSE(session_.finished());
}

TEST_F(SessionScanTest, WhatIsPipelinedBehindAStreamWaitsForItsEnd) {
  session_.Receive(Request("GET /v1/kv", kStream) + Request("GET /v1/kv/k"));
  ASSERT_EQ(gateway_.asked.size(), 1U);
  Complete(FakeGateway::Read(gateway_.asked[0], {Page({})}));
  EXPECT_EQ(gateway_.asked.size(), 2U);
}

TEST_F(SessionScanTest, ToHttp10AStreamEndsWithItsConnection) {
  session_.Receive(std::string("GET /v1/kv HTTP/1.0\r\nConnection: keep-alive\r\n") + kStream +
                   "\r\n");
  Complete(FakeGateway::Read(gateway_.asked.at(0), {Page({{"a", "1", Version(5)}})}));
  const std::string reply = Out();
  EXPECT_THAT(reply, Not(HasSubstr("chunked")));
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(reply, EndsWith("\"version\":5}\n{\"end\":true,\"version\":100,\"count\":1}\n"));
  EXPECT_TRUE(session_.finished());
}

TEST_F(SessionScanTest, AHeadOfAStreamIsItsHeader) {
  const std::string reply = Exchange(Request("HEAD /v1/kv", kStream), [](const auto& asked) {
    return FakeGateway::Read(asked, {Page({{"a", "1", Version(5)}}, "b")});
  });
  EXPECT_THAT(reply, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(reply, EndsWith("\r\n\r\n"));
  EXPECT_TRUE(session_.idle());
}

TEST_F(SessionScanTest, AShutdownCutsAStreamVisibly) {
  session_.Receive(Request("GET /v1/kv", kStream));
  const std::string large(HttpSession::kOutputPauseBytes, 'x');
  Complete(FakeGateway::Read(gateway_.asked[0], {Page({{"a", large, Version(5)}}, "b")}));
  context_.shutting_down = true;
  session_.Finish();
  std::string reply = Out();
  session_.Resume();
  reply += Out();
  EXPECT_THAT(Unchunk(reply), HasSubstr("shutting_down"));
  EXPECT_THAT(Unchunk(reply), EndsWith("…cut off"));
  EXPECT_TRUE(session_.finished());
}

}  // namespace
}  // namespace bedrock::router
