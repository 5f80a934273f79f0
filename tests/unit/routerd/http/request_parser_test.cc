#include "routerd/http/request_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bedrock::router {
namespace {

using Progress = RequestParser::Progress;
using proto::ErrorCode;

struct Parsed {
  Method method = Method::kOther;
  std::string target;
  std::string body;
  bool keep_alive = false;

  friend bool operator==(const Parsed&, const Parsed&) = default;
};
struct Outcome {
  std::vector<Parsed> requests;
  ErrorCode error = ErrorCode::kOk;
};

/// Feeds `stream` in pieces that end at `cuts`.
Outcome ParseInPieces(const std::string& stream, std::vector<std::size_t> cuts,
                      std::uint64_t body_limit = 1 << 20) {
  RequestParser parser;
  Outcome outcome;
  cuts.push_back(stream.size());
  std::string pending;
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    pending.append(stream, from, cut - from);
    from = cut;
    while (true) {
      const auto step = parser.Feed(pending);
      pending.erase(0, step.consumed);
      if (step.progress == Progress::kNeedMore) break;
      if (step.progress == Progress::kError) {
        outcome.error = parser.error().code;
        return outcome;
      }
      if (step.progress == Progress::kHead) {
        parser.LimitBody(body_limit, ErrorCode::kValueTooLarge);
        continue;
      }
      outcome.requests.push_back(
          {parser.head().method, parser.head().target, parser.body(), parser.head().keep_alive});
      parser.Reset();
    }
  }
  return outcome;
}

Outcome ParseWhole(const std::string& stream, std::uint64_t body_limit = 1 << 20) {
  return ParseInPieces(stream, {}, body_limit);
}

const char kStream[] =
    "PUT /v1/kv/a?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
    "PUT /v1/kv/b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;ext=1\r\nworld\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
    "GET /livez HTTP/1.1\r\nhost: h\r\nConnection: close\r\n\r\n";

void ExpectStream(const Outcome& outcome, const std::string& cut) {
  ASSERT_EQ(outcome.error, ErrorCode::kOk) << cut;
  ASSERT_EQ(outcome.requests.size(), 3U) << cut;
  EXPECT_EQ(outcome.requests[0], (Parsed{Method::kPut, "/v1/kv/a?x=1", "hello", true})) << cut;
  EXPECT_EQ(outcome.requests[1], (Parsed{Method::kPut, "/v1/kv/b", "world0123456789", true}))
      << cut;
  EXPECT_EQ(outcome.requests[2], (Parsed{Method::kGet, "/livez", "", false})) << cut;
}

TEST(RequestParserTest, ReadsRequestAfterRequest) { ExpectStream(ParseWhole(kStream), "whole"); }

TEST(RequestParserTest, ReadsTheSameWhereverTheStreamIsCut) {
  const std::string stream = kStream;
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    ExpectStream(ParseInPieces(stream, {cut}), "cut at " + std::to_string(cut));
  }
}

TEST(RequestParserTest, ReadsTheSameByteByByte) {
  const std::string stream = kStream;
  std::vector<std::size_t> cuts;
  for (std::size_t cut = 1; cut < stream.size(); ++cut) cuts.push_back(cut);
  ExpectStream(ParseInPieces(stream, cuts), "byte by byte");
}

TEST(RequestParserTest, KeepsTheFieldsThatAreUsed) {
  RequestParser parser;
  const std::string request =
      "DELETE / HTTP/1.1\r\nHost: h\r\nIf-Match: \"1\"\r\nIf-Match: \"2\"\r\n"
      "if-none-match: *\r\nAccept: a/b\r\nX-Bedrock-Request-Id: r\r\nIdempotency-Key: i\r\n"
      "X-Bedrock-Fence: f=1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc";
  ASSERT_EQ(parser.Feed(request).progress, Progress::kHead);
  const RequestHead& head = parser.head();
  EXPECT_EQ(head.method, Method::kDelete);
  EXPECT_TRUE(head.host);
  EXPECT_EQ(head.if_match, "\"1\", \"2\"");
  EXPECT_EQ(head.if_none_match, "*");
  EXPECT_EQ(head.accept, "a/b");
  EXPECT_EQ(head.request_id, "r");
  EXPECT_TRUE(head.idempotency_key.has_value());
  EXPECT_TRUE(head.fence);
  EXPECT_TRUE(head.expect_continue);
  EXPECT_EQ(head.content_length, 3U);
}

TEST(RequestParserTest, NothingOfOneRequestStaysForTheNext) {
  RequestParser parser;
  const std::string first =
      "GET / HTTP/1.0\r\nIf-Match: *\r\nIdempotency-Key: i\r\nX-Bedrock-Request-Id: r\r\n\r\n";
  ASSERT_EQ(parser.Feed(first).progress, Progress::kHead);
  parser.Reset();
  ASSERT_EQ(parser.Feed("GET / HTTP/1.1\r\n\r\n").progress, Progress::kHead);
  EXPECT_EQ(parser.head().if_match, std::nullopt);
  EXPECT_EQ(parser.head().request_id, "");
  EXPECT_FALSE(parser.head().idempotency_key.has_value());
  EXPECT_EQ(parser.head().minor_version, 1);
  EXPECT_TRUE(parser.head().keep_alive);
}

TEST(RequestParserTest, AnEmptyConditionIsThere) {
  RequestParser parser;
  ASSERT_EQ(parser.Feed("PUT / HTTP/1.1\r\nIf-Match:\r\n\r\n").progress, Progress::kHead);
  EXPECT_EQ(parser.head().if_match, "");
  EXPECT_EQ(parser.head().if_none_match, std::nullopt);
}

TEST(RequestParserTest, EmptyLinesBeforeARequestAreSkippedWhereverTheyAreCut) {
  const std::string stream =
      "\r\nGET /a HTTP/1.1\r\n\r\nPUT /b HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\r\n\r\nGET /c "
      "HTTP/1.1\r\n\r\n\r\n";
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    const Outcome outcome = ParseInPieces(stream, {cut});
    EXPECT_EQ(outcome.error, ErrorCode::kOk) << cut;
    ASSERT_EQ(outcome.requests.size(), 3U) << cut;
    EXPECT_EQ(outcome.requests[1].body, "x") << cut;
    EXPECT_EQ(outcome.requests[2].target, "/c") << cut;
  }
}

TEST(RequestParserTest, EmptyLinesAreNoBeginningOfARequest) {
  RequestParser parser;
  const auto step = parser.Feed("\r\n\r\n");
  EXPECT_EQ(step.progress, Progress::kNeedMore);
  EXPECT_EQ(step.consumed, 4U);
  EXPECT_FALSE(parser.started());
}

TEST(RequestParserTest, RefusesWhatIsNoHttpOrLeavesItsEndInDoubt) {
  for (const char* stream : {
           "nonsense\r\n\r\n",
           "GET /\r\n\r\n",
           "GET / HTTP/2.0\r\n\r\n",
           "GET / HTTP/1.1\r\nbad field\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
           "PUT / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
           "PUT / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
           "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
           "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
           "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
           "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
           "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
           "PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
           "PUT / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
           "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
           "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
       }) {
    EXPECT_EQ(ParseWhole(stream).error, ErrorCode::kInvalidArgument) << stream;
  }
}

TEST(RequestParserTest, AContentLengthOverTheLimitIsRefusedBeforeTheBody) {
  const Outcome outcome = ParseWhole("PUT / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", 10);
  EXPECT_EQ(outcome.error, ErrorCode::kValueTooLarge);
  const Outcome most = ParseWhole("PUT / HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789", 10);
  EXPECT_EQ(most.requests.size(), 1U);
}

TEST(RequestParserTest, AChunkOverTheLimitIsRefusedAtItsHeader) {
  const std::string head = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(ParseWhole(head + "B\r\n", 10).error, ErrorCode::kValueTooLarge);
  EXPECT_EQ(ParseWhole(head + "6\r\n012345\r\n5\r\n", 10).error, ErrorCode::kValueTooLarge);
  EXPECT_EQ(ParseWhole(head + "FFFFFFFFFFFFFFFF\r\n", 10).error, ErrorCode::kValueTooLarge);
  EXPECT_EQ(ParseWhole(head + "6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n", 10).requests.size(), 1U);
}

TEST(RequestParserTest, ATargetOverTheLimitIsRefused) {
  const std::string target(kTargetBytesMax + 1, 'a');
  EXPECT_EQ(ParseWhole("GET /" + target + " HTTP/1.1\r\n\r\n").error, ErrorCode::kTargetTooLong);
  EXPECT_EQ(ParseWhole("GET /" + std::string(kHeaderBytesMax, 'a')).error,
            ErrorCode::kTargetTooLong);
}

TEST(RequestParserTest, AHeaderOverTheLimitIsRefusedHoweverItComes) {
  std::string many = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 2000; ++i) many += "X-Field: 0123456789012345678901234567890123456789\r\n";
  many += "\r\n";
  EXPECT_EQ(ParseWhole(many).error, ErrorCode::kHeaderTooLarge);
  std::vector<std::size_t> cuts;
  for (std::size_t cut = 100; cut < many.size(); cut += 100) cuts.push_back(cut);
  EXPECT_EQ(ParseInPieces(many, cuts).error, ErrorCode::kHeaderTooLarge);
  const std::string one = "GET / HTTP/1.1\r\nX: " + std::string(kHeaderBytesMax, 'x');
  EXPECT_EQ(ParseWhole(one).error, ErrorCode::kHeaderTooLarge);
}

TEST(RequestParserTest, AChunkHeaderWithoutEndIsRefused) {
  const std::string head = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(ParseWhole(head + "1;" + std::string(kHeaderBytesMax, 'e')).error,
            ErrorCode::kInvalidArgument);
}

TEST(RequestParserTest, ATrailerCannotChangeTheRequest) {
  RequestParser parser;
  const std::string request =
      "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1\r\nx\r\n0\r\nIf-Match: *\r\nHost: other\r\n\r\n";
  auto step = parser.Feed(request);
  ASSERT_EQ(step.progress, Progress::kHead);
  parser.LimitBody(10, ErrorCode::kValueTooLarge);
  ASSERT_EQ(parser.Feed(std::string_view(request).substr(step.consumed)).progress, Progress::kDone);
  EXPECT_EQ(parser.head().if_match, std::nullopt);
}

/// A fuzzer's find: Beast asserts (in builds with assertions) that it sees a whole last chunk at
/// once.
TEST(RequestParserTest, ALastChunkMayComeInAnyPieces) {
  for (const std::string body : {"0\r\n\r\n", "2\r\nab\r\n0\r\n\r\n", "0\r\nX: y\r\n\r\n"}) {
    const std::string stream = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + body;
    const Outcome whole = ParseWhole(stream);
    ASSERT_EQ(whole.requests.size(), 1U) << body;
    std::vector<std::size_t> every;
    for (std::size_t cut = 1; cut < stream.size(); ++cut) {
      every.push_back(cut);
      EXPECT_EQ(ParseInPieces(stream, {cut}).requests, whole.requests) << body << " cut at " << cut;
    }
    EXPECT_EQ(ParseInPieces(stream, every).requests, whole.requests) << body;
  }
}

}  // namespace
}  // namespace bedrock::router
