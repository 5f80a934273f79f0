#include "routerd/http/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "tests/unit/routerd/http/session_fixture.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Completion Found5(const FakeGateway::Asked& asked) {
  return FakeGateway::Found(asked, "value", Version(5));
}

TEST_F(SessionTest, PutBecomesAWriteAndItsReply) {
  const std::string reply =
      Exchange(Request("PUT /v1/kv/a%2Fb?timeout=2s", "", "hello"), Committed9);
  const auto& asked = gateway_.asked[0];
  EXPECT_TRUE(asked.is_write);
  EXPECT_EQ(asked.kind, proto::Operation::Kind::kPut);
  EXPECT_EQ(asked.key, "a/b");
  EXPECT_EQ(asked.value, "hello");
  EXPECT_EQ(asked.deadline_ms, clock_.now_ms + 2000);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(reply, HasSubstr("ETag: \"9\"\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 9\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Served-By: n2\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Leader: n2\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Request-Id: n1-boot-1\r\n"));
}

TEST_F(SessionTest, GetServesTheValueAsBytes) {
  const std::string reply =
      Exchange(Request("GET /v1/kv/k?consistency=stale&min_version=3"), Found5);
  EXPECT_EQ(gateway_.asked[0].consistency, proto::Consistency::kStale);
  EXPECT_EQ(gateway_.asked[0].min_version, Version(3));
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Type: application/octet-stream\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(reply, HasSubstr("ETag: \"5\"\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 105\r\n"));
  EXPECT_THAT(reply, testing::EndsWith("\r\n\r\nvalue"));
}

TEST_F(SessionTest, HeadIsGetWithoutItsBody) {
  const std::string reply = Exchange(Request("HEAD /v1/kv/k"), Found5);
  EXPECT_THAT(reply, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(reply, HasSubstr("ETag: \"5\"\r\n"));
  EXPECT_THAT(reply, testing::EndsWith("\r\n\r\n"));
}

TEST_F(SessionTest, TheShortFormsAnswer200) {
  EXPECT_THAT(Exchange(Request("PUT /put?key=k", "", "v"), Committed9),
              testing::AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                             testing::EndsWith("Content-Length: 0\r\n\r\n")));
  EXPECT_THAT(Exchange(Request("GET /get?key=a+b"), Found5), testing::EndsWith("value"));
  EXPECT_EQ(gateway_.asked[0].key, "a b");
  EXPECT_THAT(Exchange(Request("DELETE /delete?key=k"), Committed9),
              StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(gateway_.asked[0].kind, proto::Operation::Kind::kDelete);
}

TEST_F(SessionTest, AnEmptyValueIsAValue) {
  EXPECT_THAT(Exchange(Request("PUT /v1/kv/k", "Content-Length: 0\r\n"), Committed9),
              StartsWith("HTTP/1.1 204"));
  EXPECT_EQ(gateway_.asked[0].value, "");
}

TEST_F(SessionTest, AnAbsentKeyIs404) {
  const std::string reply = Exchange(Request("GET /v1/kv/k"), FakeGateway::Absent);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 404 Not Found\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Type: application/problem+json\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 100\r\n"));
  EXPECT_EQ(CodeOf(reply), "key_not_found");
}

TEST_F(SessionTest, DeleteAnswers204AlsoWhereTheKeyWasAbsent) {
  const std::string reply = Exchange(Request("DELETE /v1/kv/k"), Committed9);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 204"));
  EXPECT_THAT(reply, Not(HasSubstr("ETag")));
}

Completion ConditionFailed(const FakeGateway::Asked& asked, Version current) {
  Completion done = FakeGateway::Failed(asked, ErrorCode::kPreconditionFailed);
  done.version = Version(20);
  done.current = current;
  return done;
}

TEST_F(SessionTest, AFailedConditionIs412WithTheKeysETag) {
  const std::string reply =
      Exchange(Request("PUT /v1/kv/k", "If-Match: \"5\"\r\n", "v"),
               [](const auto& asked) { return ConditionFailed(asked, Version(6)); });
  EXPECT_EQ(gateway_.asked[0].conditions.size(), 1U);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 412"));
  EXPECT_THAT(reply, HasSubstr("ETag: \"6\"\r\n"));
  EXPECT_EQ(CodeOf(reply), "precondition_failed");
  EXPECT_THAT(reply, HasSubstr("\"outcome\":\"none\""));
}

TEST_F(SessionTest, AFailedConditionOnAnAbsentKeyHasNoETag) {
  const std::string reply =
      Exchange(Request("PUT /v1/kv/k", "If-Match: *\r\n", "v"),
               [](const auto& asked) { return ConditionFailed(asked, Version()); });
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 412"));
  EXPECT_THAT(reply, Not(HasSubstr("ETag")));
}

TEST_F(SessionTest, AConditionalDeleteOfAnAbsentKeyIs404) {
  const std::string reply =
      Exchange(Request("DELETE /v1/kv/k", "If-Match: \"5\"\r\n"),
               [](const auto& asked) { return ConditionFailed(asked, Version()); });
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 404"));
  EXPECT_EQ(CodeOf(reply), "key_not_found");
}

TEST_F(SessionTest, AKnownVersionIsNotSentAgain) {
  const std::string reply =
      Exchange(Request("GET /v1/kv/k", "If-None-Match: \"4\", W/\"5\"\r\n"), Found5);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 304 Not Modified\r\n"));
  EXPECT_THAT(reply, HasSubstr("ETag: \"5\"\r\n"));
  EXPECT_THAT(reply, Not(HasSubstr("value")));
  EXPECT_THAT(Exchange(Request("GET /v1/kv/k", "If-None-Match: \"4\"\r\n"), Found5),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(SessionTest, AReadMayAskForAVersion) {
  EXPECT_THAT(Exchange(Request("GET /v1/kv/k", "If-Match: \"4\"\r\n"), Found5),
              testing::AllOf(StartsWith("HTTP/1.1 412"), HasSubstr("ETag: \"5\"")));
  EXPECT_THAT(Exchange(Request("GET /v1/kv/k", "If-Match: \"5\"\r\n"), Found5),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(SessionTest, ErrorsCarryTheirStatusAndRetryAfter) {
  struct Case {
    ErrorCode code;
    int status;
    bool retry_after;
  };
  for (const Case& c : {Case{ErrorCode::kNoLeader, 503, true},
                        {ErrorCode::kOverloaded, 429, true},
                        {ErrorCode::kDeadlineExceeded, 504, false},
                        {ErrorCode::kStorageFull, 507, false},
                        {ErrorCode::kStorageUnavailable, 503, true}}) {
    const std::string reply = Exchange(Request("PUT /v1/kv/k", "", "v"), [&c](const auto& asked) {
      return FakeGateway::Failed(asked, c.code);
    });
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 " + std::to_string(c.status)));
    EXPECT_EQ(reply.find("Retry-After: ") != std::string::npos, c.retry_after);
    EXPECT_THAT(reply, HasSubstr("\"outcome\""));
  }
}

TEST_F(SessionTest, AnUnknownOutcomeIsTold) {
  const std::string reply = Exchange(Request("PUT /v1/kv/k", "", "v"), [](const auto& asked) {
    Completion done = FakeGateway::Failed(asked, ErrorCode::kDeadlineExceeded);
    done.error.outcome = proto::Outcome::kUnknown;
    return done;
  });
  EXPECT_THAT(reply, HasSubstr("\"outcome\":\"unknown\""));
}

TEST_F(SessionTest, TheClientsRequestIdIsGivenBack) {
  EXPECT_THAT(Ask(Request("GET /livez", "X-Bedrock-Request-Id: mine-7\r\n")),
              HasSubstr("X-Bedrock-Request-Id: mine-7\r\n"));
  EXPECT_THAT(Ask(Request("GET /livez", "X-Bedrock-Request-Id: not mine\r\n")),
              HasSubstr("X-Bedrock-Request-Id: n1-boot-"));
  EXPECT_THAT(Ask(Request("GET /livez", "X-Bedrock-Request-Id: " + std::string(129, 'x') + "\r\n")),
              HasSubstr("X-Bedrock-Request-Id: n1-boot-"));
}

TEST_F(SessionTest, PipelinedReadsRunTogetherAndAreAnsweredInOrder) {
  session_.Receive(Request("GET /v1/kv/a") + Request("GET /livez") + Request("GET /v1/kv/b"));
  ASSERT_EQ(gateway_.asked.size(), 2U);
  Complete(FakeGateway::Found(gateway_.asked[1], "second", Version(2)));
  EXPECT_EQ(Out(), "");
  Complete(FakeGateway::Found(gateway_.asked[0], "first", Version(1)));
  const std::string out = Out();
  const std::size_t first = out.find("first");
  const std::size_t live = out.find("ok\n");
  const std::size_t second = out.find("second");
  ASSERT_NE(second, std::string::npos);
  EXPECT_LT(first, live);
  EXPECT_LT(live, second);
}

TEST_F(SessionTest, APipelinedWriteWaitsForWhatIsBeforeAndHoldsBackWhatIsAfter) {
  session_.Receive(Request("GET /v1/kv/a") + Request("PUT /v1/kv/a", "", "v") +
                   Request("GET /v1/kv/a"));
  ASSERT_EQ(gateway_.asked.size(), 1U);
  Complete(Found5(gateway_.asked[0]));
  ASSERT_EQ(gateway_.asked.size(), 2U);
  EXPECT_TRUE(gateway_.asked[1].is_write);
  EXPECT_EQ(gateway_.asked[1].value, "v");
  Complete(Committed9(gateway_.asked[1]));
  ASSERT_EQ(gateway_.asked.size(), 3U);
  EXPECT_FALSE(gateway_.asked[2].is_write);
}

TEST_F(SessionTest, PipelinesAreBounded) {
  std::string many;
  for (std::size_t i = 0; i < 2 * HttpSession::kPipelineMax; ++i) many += Request("GET /v1/kv/a");
  session_.Receive(many);
  EXPECT_EQ(gateway_.asked.size(), HttpSession::kPipelineMax);
  EXPECT_FALSE(session_.wants_input());
  for (std::size_t i = 0; i < 2 * HttpSession::kPipelineMax; ++i) {
    ASSERT_LT(i, gateway_.asked.size());
    Complete(Found5(gateway_.asked[i]));
  }
  EXPECT_TRUE(session_.wants_input());
  EXPECT_TRUE(session_.idle());
}

TEST_F(SessionTest, NothingIsBegunWhileTheClientDoesNotTakeItsReplies) {
  session_.Receive(Request("GET /v1/kv/a"));
  Complete(FakeGateway::Found(gateway_.asked[0], std::string(HttpSession::kOutputPauseBytes, 'x'),
                              Version(1)));
  session_.Receive(Request("GET /v1/kv/b"));
  EXPECT_EQ(gateway_.asked.size(), 1U);
  EXPECT_FALSE(session_.wants_input());
  Out();
  session_.Resume();
  EXPECT_EQ(gateway_.asked.size(), 2U);
}

TEST_F(SessionTest, TheClientThatAsksIsToldToGoOn) {
  const std::string head =
      "PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
  EXPECT_EQ(Ask(head), "HTTP/1.1 100 Continue\r\n\r\n");
  session_.Receive("hello");
  EXPECT_EQ(gateway_.asked.at(0).value, "hello");
}

TEST_F(SessionTest, GoOnIsSaidOnlyAfterTheRepliesBefore) {
  session_.Receive(Request("GET /v1/kv/a") +
                   "PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                   "Content-Length: 5\r\n\r\n");
  EXPECT_EQ(Out(), "");
  Complete(Found5(gateway_.asked.at(0)));
  EXPECT_THAT(Out(), testing::EndsWith("valueHTTP/1.1 100 Continue\r\n\r\n"));
}

TEST_F(SessionTest, ARefusedRequestIsNotToldToGoOn) {
  const std::string reply = Ask(
      "PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  EXPECT_EQ(CodeOf(reply), "value_too_large");
  EXPECT_THAT(reply, testing::AllOf(HasSubstr("\"limit\":100"), HasSubstr("\"actual\":101")));
  EXPECT_TRUE(session_.finished());
}

TEST_F(SessionTest, AHugeBodyIsRefusedByItsLength) {
  const std::string reply =
      Ask("PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000000\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 413"));
  EXPECT_TRUE(session_.finished());
}

TEST_F(SessionTest, AChunkedBodyIsRefusedWhereItPassesTheLimit) {
  const std::string reply =
      Ask("PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 413"));
  EXPECT_EQ(CodeOf(reply), "value_too_large");
  EXPECT_TRUE(session_.finished());
}

TEST_F(SessionTest, ASmallBodyOfARefusedRequestIsReadAndTheConnectionLivesOn) {
  session_.Receive(Request("PATCH /v1/kv/k", "", "ignored") + Request("GET /livez"));
  const std::string out = Out();
  EXPECT_THAT(out, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(out, HasSubstr("Allow: GET, HEAD, PUT, DELETE\r\n"));
  EXPECT_THAT(out, testing::EndsWith("ok\n"));
  EXPECT_FALSE(session_.finished());
}

TEST_F(SessionTest, ABodyOnAGetIsIgnored) {
  EXPECT_THAT(Exchange(Request("GET /v1/kv/k", "", "ignored"), Found5), testing::EndsWith("value"));
}

TEST_F(SessionTest, MalformedHttpEndsTheConversation) {
  const std::string reply = Ask("BROKEN\r\n\r\n");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(session_.finished());
}

TEST_F(SessionTest, MalformedHttpAfterGoodRequestsIsAnsweredInItsTurn) {
  session_.Receive(Request("GET /v1/kv/a") + "BROKEN\r\n\r\n");
  EXPECT_EQ(Out(), "");
  EXPECT_FALSE(session_.finished());
  Complete(Found5(gateway_.asked.at(0)));
  EXPECT_THAT(Out(), HasSubstr("valueHTTP/1.1 400"));
  EXPECT_TRUE(session_.finished());
}

TEST_F(SessionTest, TooLongTargetsAndHeadersHaveTheirOwnStatus) {
  EXPECT_THAT(Ask("GET /" + std::string(kHeaderBytesMax, 'a')), StartsWith("HTTP/1.1 414"));
  HttpSession other(context_, 6);
  other.Receive("GET / HTTP/1.1\r\nX: " + std::string(kHeaderBytesMax, 'a'));
  EXPECT_THAT(other.output(), StartsWith("HTTP/1.1 431"));
}

TEST_F(SessionTest, TheClientMayEndTheConversation) {
  EXPECT_THAT(Ask(Request("GET /livez", "Connection: close\r\n") + Request("GET /livez")),
              HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(session_.finished());
  EXPECT_EQ(Out(), "") << "nothing after the last";
}

TEST_F(SessionTest, Http10ClosesUnlessAskedToStay) {
  EXPECT_THAT(Ask("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
              HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_FALSE(session_.finished());
  EXPECT_THAT(Ask("GET /livez HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(session_.finished());
}

TEST_F(SessionTest, AnswersTheSameWhereverItsInputIsCut) {
  const std::string stream = Request("PUT /v1/kv/k", "", "hello") +
                             "PUT /v1/kv/c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" +
                             Request("GET /livez");
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    FakeGateway gateway;
    SessionContext context = context_;
    context.gateway = &gateway;
    context.next_request = 1;
    HttpSession session(context, 5);
    std::size_t answered = 0;
    for (const std::string& piece : {stream.substr(0, cut), stream.substr(cut)}) {
      session.Receive(piece);
      for (; answered < gateway.asked.size(); ++answered) {
        const Completion done = Committed9(gateway.asked[answered]);
        session.Complete(static_cast<std::uint32_t>(done.ticket.id), done);
      }
    }
    ASSERT_EQ(gateway.asked.size(), 2U) << cut;
    EXPECT_EQ(gateway.asked[0].value, "hello") << cut;
    EXPECT_EQ(gateway.asked[1].value, "abc") << cut;
    EXPECT_THAT(session.output(), testing::EndsWith("ok\n")) << cut;
    EXPECT_TRUE(session.idle()) << cut;
  }
}

TEST_F(SessionTest, ReadyzAsksForALinearizableReadAndTellsTheReason) {
  EXPECT_THAT(Exchange(Request("GET /readyz"), FakeGateway::Absent), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(gateway_.asked[0].consistency, proto::Consistency::kLinearizable);
  const std::string reply = Exchange(Request("GET /readyz"), [](const auto& asked) {
    return FakeGateway::Failed(asked, ErrorCode::kDeadlineExceeded);
  });
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(CodeOf(reply), "no_leader");
  EXPECT_THAT(reply, HasSubstr("Retry-After: 1\r\n"));
}

TEST_F(SessionTest, ReadyzOfANodeWhoseReplicaDivergedSaysSo) {
  gateway_.gauges.diverged_at = LogIndex(17);
  const std::string reply = Exchange(Request("GET /readyz"), FakeGateway::Absent);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(reply, HasSubstr("diverged from the others at entry 17"));
}

TEST_F(SessionTest, LivezNeverAsksAnyone) {
  EXPECT_THAT(Ask(Request("GET /livez")), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(gateway_.asked.empty());
}

TEST_F(SessionTest, TheClusterIsServedAsJsonOrMessagePack) {
  gateway_.view.leader = NodeId(2);
  const std::string json = Ask(Request("GET /v1/cluster"));
  EXPECT_THAT(json, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(json, HasSubstr("\"leader\":\"n2\""));
  for (const char* accept : {"application/msgpack", "text/html, application/msgpack;q=0.5"}) {
    const std::string packed =
        Ask(Request("GET /v1/cluster", std::string("Accept: ") + accept + "\r\n"));
    EXPECT_THAT(packed, HasSubstr("Content-Type: application/msgpack\r\n"));
    const auto decoded = nlohmann::json::from_msgpack(packed.substr(packed.find("\r\n\r\n") + 4));
    EXPECT_EQ(decoded["leader"], "n2");
  }
  EXPECT_THAT(Ask(Request("GET /v1/cluster", "Accept: application/msgpack;q=0\r\n")),
              HasSubstr("Content-Type: application/json\r\n"));
}

TEST_F(SessionTest, OfJsonAndMessagePackTheClientGetsWhatItLikesBetter) {
  struct Case {
    const char* accept;
    bool packed;
  };
  for (const Case& c :
       {Case{"application/json, application/msgpack;q=0.5", false},
        Case{"application/json;q=0.5, application/msgpack;q=0.501", true},
        Case{"application/msgpack;q=0.25 , Application/JSON; q=0.3", false},
        Case{"application/json, application/msgpack", true},
        Case{"application/msgpack; v=1; Q=0.000, */*", false},
        Case{"application/msgpackish, */*", false}, Case{",;,application/msgpack;q=", true}}) {
    const std::string reply =
        Ask(Request("GET /v1/cluster", std::string("Accept: ") + c.accept + "\r\n"));
    EXPECT_EQ(reply.find("Content-Type: application/msgpack\r\n") != std::string::npos, c.packed)
        << c.accept;
  }
}

TEST_F(SessionTest, EveryRefusedWriteSaysThatNothingHappened) {
  const std::string key(proto::kKeyBytesMax + 1, 'k');
  for (const std::string& line :
       {std::string("PUT /v1/kv/%zz"), std::string("PUT /v1/kv/k?foo=1"), "PUT /v1/kv/" + key,
        std::string("DELETE /v1/kv/k?timeout=0"), std::string("DELETE /delete")}) {
    const std::string reply = Ask(Request(line, "", "v"));
    EXPECT_THAT(reply, HasSubstr("\"outcome\":\"none\"")) << line.substr(0, 40);
  }
  EXPECT_THAT(Ask(Request("GET /v1/kv/%zz")), Not(HasSubstr("outcome")));
  EXPECT_THAT(Ask("PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n"),
              HasSubstr("\"outcome\":\"none\""));
  EXPECT_TRUE(gateway_.asked.empty());
}

TEST_F(SessionTest, ARefusalIsToldForItsFirstReasonHoweverLongItsChunkedBodyIs) {
  const std::string chunk = "11000\r\n" + std::string(0x11000, 'x') + "\r\n0\r\n\r\n";
  const std::string reply = Ask(Request("PUT /v1/kv/" + std::string(proto::kKeyBytesMax + 1, 'k'),
                                        "Transfer-Encoding: chunked\r\n") +
                                chunk);
  EXPECT_EQ(CodeOf(reply), "key_too_large");
  EXPECT_THAT(reply, HasSubstr("Connection: close\r\n"));
}

TEST_F(SessionTest, ErrorsAreServedAsMessagePackToo) {
  const std::string reply = Ask(Request("GET /nowhere", "Accept: application/msgpack\r\n"));
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 404"));
  const auto decoded = nlohmann::json::from_msgpack(reply.substr(reply.find("\r\n\r\n") + 4));
  EXPECT_EQ(decoded["code"], "route_not_found");
}

TEST_F(SessionTest, WhileShuttingDownRunningRequestsFinishAndNewOnesAreRefused) {
  session_.Receive(Request("GET /v1/kv/a"));
  context_.shutting_down = true;
  session_.Finish();
  EXPECT_FALSE(session_.finished());
  Complete(Found5(gateway_.asked.at(0)));
  EXPECT_THAT(Out(), testing::AllOf(HasSubstr("value"), HasSubstr("Connection: close\r\n")));
  EXPECT_TRUE(session_.finished());

  HttpSession late(context_, 6);
  late.Receive(Request("GET /readyz"));
  EXPECT_THAT(late.output(), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(late.output(), HasSubstr("shutting_down"));
}

TEST_F(SessionTest, ALateCompletionOfNothingIsIgnored) {
  Completion done;
  done.ticket.id = (std::uint64_t{5} << 32) | 3;
  session_.Complete(3, done);
  session_.Receive(Request("GET /v1/kv/a"));
  session_.Complete(77, done);
  EXPECT_EQ(Out(), "");
}

TEST_F(SessionTest, TellsWhatItWaitsFor) {
  using Waiting = HttpSession::Waiting;
  EXPECT_EQ(session_.waiting(), Waiting::kRequest);
  session_.Receive("PUT /v1/kv/a HT");
  EXPECT_EQ(session_.waiting(), Waiting::kHead);
  session_.Receive("TP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(session_.waiting(), Waiting::kBody);
  session_.Receive("vv");
  EXPECT_EQ(session_.waiting(), Waiting::kCore);
  Complete(Committed9(gateway_.asked.at(0)));
  EXPECT_EQ(session_.waiting(), Waiting::kRequest);
}

}  // namespace
}  // namespace bedrock::router
