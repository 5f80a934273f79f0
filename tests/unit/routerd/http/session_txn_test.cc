#include <gmock/gmock.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/routerd/http/session_fixture.h"

// Transactions over HTTP.

namespace bedrock::router {
namespace {

using proto::ErrorCode;
using proto::Operation;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Json = nlohmann::json;
using Action = proto::ClientTransaction::Action;
using Kind = Operation::Kind;

using SessionTxnTest = SessionCommandTest;

// ---- POST /v1/txn ----

TEST_F(SessionTxnTest, ATransactionIsOneCommandAndItsResults) {
  const std::string reply =
      Exchange(Request("POST /v1/txn?timeout=2s", "Idempotency-Key: once\r\n",
                       R"({"if":[{"key":"a","version":5}],"then":[{"put":{"key":"a","value":"1"}},
                  {"get":{"key":"b"}}],"else":[{"get":{"key":"a"}}]})"),
               [](const auto& asked) {
                 Completion done = Committed9(asked);
                 done.result.results.resize(2);
                 return done;
               });
  EXPECT_EQ(gateway_.asked[0].idempotency_key, "once");
  EXPECT_EQ(gateway_.asked[0].deadline_ms, clock_.now_ms + 2000);
  const proto::Command command = CommandOf();
  EXPECT_EQ(command.conditions.size(), 1U);
  EXPECT_EQ(command.operations.size(), 2U);
  ASSERT_TRUE(command.otherwise.has_value());
  EXPECT_EQ(command.otherwise->size(), 1U);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 9\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Served-By: n2\r\n"));
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"succeeded":true,"version":9,
                                           "results":[{},{"key":"b","version":0}]})"));
}

TEST_F(SessionTxnTest, WithoutAnElseAFailedConditionStillIsAnAnswer) {
  const std::string reply = Exchange(
      Request("POST /v1/txn", "",
              R"({"if":[{"key":"a","version":5}],"then":[{"put":{"key":"a","value":"1"}}]})"),
      [](const auto& asked) {
        Completion done = Committed9(asked);
        done.result.ran_otherwise = true;
        return done;
      });
  ASSERT_TRUE(CommandOf().otherwise.has_value());
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"succeeded":false,"version":9,"results":[]})"));
}

TEST_F(SessionTxnTest, ReadsOnlyAreAtTheVersionThatWasRead) {
  const std::string reply = Exchange(
      Request("POST /v1/txn", "", R"({"then":[{"get":{"key":"a"}}]})"), [](const auto& asked) {
        return FakeGateway::Read(asked, {{.found = true, .value = "v", .version = Version(7)}});
      });
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 100\r\n"));
  EXPECT_EQ(BodyOf(reply)["version"], 100);
}

TEST_F(SessionTxnTest, MessagePackInAndOut) {
  std::string body;
  Json::to_msgpack({{"then", {{{"get", {{"key", Json::binary({0xFF})}}}}}}}, body);
  const std::string reply = Exchange(
      Request("POST /v1/txn",
              "Content-Type: application/msgpack\r\nAccept: application/msgpack\r\n", body),
      [](const auto& asked) { return FakeGateway::Read(asked, {{}}); });
  EXPECT_EQ(CommandOf().operations[0].key, "\xFF");
  EXPECT_THAT(reply, HasSubstr("Content-Type: application/msgpack\r\n"));
  const Json json = Json::from_msgpack(reply.substr(reply.find("\r\n\r\n") + 4));
  EXPECT_EQ(json["results"][0]["key"], Json::binary({0xFF}));
}

TEST_F(SessionTxnTest, ABadTransactionIsRefusedWithItsPlaceAndNothingIsAsked) {
  const std::string reply =
      Ask(Request("POST /v1/txn", "", R"({"then":[{"put":{"key":"a","value":7}}]})") +
          Request("GET /livez"));
  EXPECT_TRUE(gateway_.asked.empty());
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(reply, HasSubstr("then[0].put.value: must be a string"));
  EXPECT_THAT(reply, HasSubstr("\"outcome\":\"none\""));
  EXPECT_THAT(reply, EndsWith("ok\n")) << "the connection lives on";
}

TEST_F(SessionTxnTest, ABodyOverTheLimitIsRefusedByItsLength) {
  const std::string reply =
      Ask("POST /v1/txn HTTP/1.1\r\nHost: h\r\nContent-Length: 16777217\r\n\r\n");
  EXPECT_EQ(CodeOf(reply), "request_too_large");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(reply, testing::AllOf(HasSubstr("\"limit\":16777216"), HasSubstr("\"actual\":")));
  HttpSession chunked(context_, 6);
  chunked.Receive(
      "POST /v1/txn HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1000001\r\n");
  EXPECT_THAT(chunked.output(), HasSubstr("request_too_large"));
}

std::string ChunkedTxn(std::size_t bytes) {
  std::ostringstream head;
  head << "POST /v1/txn HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
       << std::hex << bytes << "\r\n";
  return head.str() + std::string(bytes, ' ');
}

TEST_F(SessionTxnTest, LargeBodiesOfAllConnectionsTogetherAreBounded) {
  context_.body_bytes_max = 300'000;
  {
    HttpSession other(context_, 6);
    other.Receive(ChunkedTxn(250'000));
    EXPECT_EQ(context_.body_bytes, 250'000U);
    EXPECT_EQ(other.output(), "");
    const std::string by_length =
        Ask("POST /v1/txn HTTP/1.1\r\nHost: h\r\nContent-Length: 70000\r\n\r\n");
    EXPECT_THAT(by_length, StartsWith("HTTP/1.1 429"));
    EXPECT_THAT(by_length, HasSubstr("\"outcome\":\"none\""));
    HttpSession third(context_, 7);
    third.Receive(ChunkedTxn(70'000));
    EXPECT_THAT(third.output(), StartsWith("HTTP/1.1 429"));
    EXPECT_TRUE(third.finished());
    HttpSession small(context_, 8);
    small.Receive(Request("POST /v1/txn", "", "{}"));
    EXPECT_EQ(gateway_.asked.size(), 1U) << "who sends little is not kept out";
  }
  EXPECT_EQ(context_.body_bytes, 0U);
}

TEST_F(SessionTxnTest, ABodyIsCountedUntilItsRequestIsUnderWay) {
  const std::string txn = "{}" + std::string(100'000, ' ');
  session_.Receive(Request("GET /v1/kv/a") + Request("POST /v1/txn", "", txn));
  EXPECT_EQ(context_.body_bytes, txn.size()) << "it waits for the read before it";
  Complete(FakeGateway::Absent(gateway_.asked.at(0)));
  EXPECT_EQ(gateway_.asked.size(), 2U);
  EXPECT_EQ(context_.body_bytes, 0U);
}

TEST_F(SessionTxnTest, PipelinedScansRunOneAfterTheOther) {
  session_.Receive(Request("GET /v1/kv") + Request("GET /v1/kv"));
  ASSERT_EQ(gateway_.asked.size(), 1U);
  Complete(FakeGateway::Read(gateway_.asked[0], {Page({})}));
  EXPECT_EQ(gateway_.asked.size(), 2U);
}

TEST_F(SessionTxnTest, ErrorsOfTheCoreKeepWhatTheyTell) {
  const std::string reply =
      Exchange(Request("POST /v1/txn", "", R"({"then":[{"add":{"key":"n","delta":1}}]})"),
               [](const auto& asked) {
                 Completion done = FakeGateway::Failed(asked, ErrorCode::kInvalidArgument);
                 done.error.key = "n";
                 done.version = Version(12);
                 return done;
               });
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(BodyOf(reply)["key"], "n");
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 12\r\n"));
  EXPECT_THAT(Exchange(Request("POST /v1/txn", "Idempotency-Key: k\r\n", "{}"),
                       [](const auto& asked) {
                         return FakeGateway::Failed(asked, ErrorCode::kIdempotencyKeyReused);
                       }),
              StartsWith("HTTP/1.1 422"));
}

TEST_F(SessionTxnTest, ResultsThatDoNotFitAreAnErrorAndNotHalfAnAnswer) {
  const std::string reply = Exchange(
      Request("POST /v1/txn", "", R"({"then":[{"get":{"key":"a"}}]})"), [](const auto& asked) {
        return FakeGateway::Read(asked, {{}, {}});
      });
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 500"));
}

TEST_F(SessionTxnTest, PlainWritesPassTheirIdempotencyKey) {
  Exchange(Request("PUT /v1/kv/k", "Idempotency-Key: a-1\r\n", "v"), Committed9);
  EXPECT_EQ(gateway_.asked[0].idempotency_key, "a-1");
  Exchange(Request("DELETE /v1/kv/k", "Idempotency-Key: a-2\r\n"), Committed9);
  EXPECT_EQ(gateway_.asked[0].idempotency_key, "a-2");
  EXPECT_FALSE(CommandOf().otherwise.has_value());
  EXPECT_EQ(CodeOf(Ask(Request("PUT /v1/kv/k", "Idempotency-Key: a b\r\n", "v"))),
            "invalid_argument");
}

TEST_F(SessionTxnTest, TwoIdempotencyKeysAreNone) {
  EXPECT_EQ(
      CodeOf(Ask(Request("PUT /v1/kv/k", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "v"))),
      "invalid_argument");
}

// ---- reads at versions ----

TEST_F(SessionTxnTest, AGetMayNameAVersionAndABoundOnStaleness) {
  Exchange(Request("GET /v1/kv/k?at=7&consistency=stale&max_staleness=2s"), FakeGateway::Absent);
  EXPECT_EQ(gateway_.asked[0].at, Version(7));
  EXPECT_EQ(gateway_.asked[0].max_staleness_ms, 2000U);
  EXPECT_THAT(Exchange(Request("GET /v1/kv/k?at=7"),
                       [](const auto& asked) {
                         return FakeGateway::Failed(asked, ErrorCode::kVersionCompacted);
                       }),
              StartsWith("HTTP/1.1 410 Gone\r\n"));
}

// ---- interactive transactions ----

TEST_F(SessionTxnTest, ATransactionBeginsWithAnIdAndAVersion) {
  const std::string reply =
      Exchange(Request("POST /v1/transactions", "", R"({"mode":"pessimistic","timeout":"1m"})"),
               [](const auto& asked) {
                 Completion done = FakeGateway::Absent(asked);
                 done.transaction = "n1-ab-7";
                 return done;
               });
  EXPECT_EQ(gateway_.asked[0].step.action, Action::kBegin);
  EXPECT_EQ(gateway_.asked[0].step.options.mode, proto::TransactionMode::kPessimistic);
  EXPECT_EQ(gateway_.asked[0].step.options.timeout_ms, 60'000U);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 201 Created\r\n"));
  EXPECT_THAT(reply, HasSubstr("Location: /v1/transactions/n1-ab-7\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 100\r\n"));
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"id":"n1-ab-7","read_version":100})"));
}

TEST_F(SessionTxnTest, AGetInsideIsAStep) {
  const std::string reply = Exchange(
      Request("GET /v1/transactions/n1-ab-7/kv/a%2Fb?for_update=true"), [](const auto& asked) {
        return FakeGateway::Read(asked, {{.found = true, .value = "v", .version = Version(5)}});
      });
  EXPECT_EQ(gateway_.asked[0].step.action, Action::kExecute);
  EXPECT_EQ(gateway_.asked[0].step.id, "n1-ab-7");
  EXPECT_TRUE(gateway_.asked[0].step.for_update);
  EXPECT_EQ(StepOf().operations, std::vector<Operation>{Do(Kind::kGet, "a/b")});
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("ETag: \"5\"\r\n"));
  EXPECT_THAT(reply, EndsWith("\r\n\r\nv"));
}

TEST_F(SessionTxnTest, AnOwnWriteHasNoVersionYet) {
  const std::string reply = Exchange(Request("GET /v1/transactions/t/kv/a"), [](const auto& asked) {
    return FakeGateway::Read(asked, {{.found = true, .value = "v"}});
  });
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(reply, Not(HasSubstr("ETag")));
}

TEST_F(SessionTxnTest, AnAbsentKeyInsideIs404) {
  const std::string reply = Exchange(Request("GET /v1/transactions/t/kv/a"), [](const auto& asked) {
    return FakeGateway::Read(asked, {{}});
  });
  EXPECT_EQ(CodeOf(reply), "key_not_found");
}

TEST_F(SessionTxnTest, WritesInsideAreBuffered) {
  const auto stepped = [](const auto& asked) { return FakeGateway::Read(asked, {}); };
  std::string reply = Exchange(Request("PUT /v1/transactions/t/kv/a", "", "v"), stepped);
  EXPECT_EQ(StepOf().operations, std::vector<Operation>{Do(Kind::kPut, "a", "v")});
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 204"));
  EXPECT_THAT(reply, Not(HasSubstr("ETag")));
  reply = Exchange(Request("DELETE /v1/transactions/t/kv/a"), stepped);
  EXPECT_EQ(StepOf().operations, std::vector<Operation>{Do(Kind::kDelete, "a")});
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 204"));
}

TEST_F(SessionTxnTest, ScansAndRangeDeletesInsideAreSteps) {
  std::string reply = Exchange(
      Request("GET /v1/transactions/t/kv?prefix=a&limit=1&for_update=true"), [](const auto& asked) {
        return FakeGateway::Read(asked, {Page({{"a", "1", Version()}}, "a2")});
      });
  EXPECT_EQ(StepOf().operations[0].kind, Kind::kScan);
  EXPECT_TRUE(gateway_.asked[0].step.for_update);
  const std::string token = BodyOf(reply)["next"];
  Exchange(Request("GET /v1/transactions/t/kv?prefix=a&page=" + token),
           [](const auto& asked) { return FakeGateway::Read(asked, {Page({})}); });
  EXPECT_EQ(StepOf().operations[0].key, "a2");
  EXPECT_EQ(CodeOf(Ask(Request("GET /v1/kv?prefix=a&page=" + token))), "invalid_argument");

  reply = Exchange(Request("DELETE /v1/transactions/t/kv?prefix=a"), [](const auto& asked) {
    proto::OperationResult deleted;
    deleted.count = 3;
    return FakeGateway::Read(asked, {deleted});
  });
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"version":100,"deleted":3})"));
}

TEST_F(SessionTxnTest, AStreamInsideIsOneStepAPage) {
  session_.Receive(Request("GET /v1/transactions/t/kv", "Accept: application/x-ndjson\r\n"));
  Complete(FakeGateway::Read(gateway_.asked.at(0), {Page({{"a", "1", Version(5)}}, "b")}));
  ASSERT_EQ(gateway_.asked.size(), 2U);
  EXPECT_EQ(gateway_.asked[1].step.id, "t");
  EXPECT_EQ(StepOf(1).operations[0].key, "b");
}

TEST_F(SessionTxnTest, CommitTellsItsVersionAndRollbackNothing) {
  std::string reply = Exchange(Request("POST /v1/transactions/t/commit"), Committed9);
  EXPECT_EQ(gateway_.asked[0].step.action, Action::kCommit);
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 9\r\n"));
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"version":9})"));
  reply = Exchange(Request("POST /v1/transactions/t/rollback", "", "{}"), FakeGateway::Absent);
  EXPECT_EQ(gateway_.asked[0].step.action, Action::kRollback);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 204"));
  EXPECT_EQ(CodeOf(Ask(Request("POST /v1/transactions/t/commit", "", R"({"now":true})"))),
            "invalid_argument");
}

TEST_F(SessionTxnTest, ErrorsOfTransactionsTellAllThatHelps) {
  struct Case {
    ErrorCode code;
    int status;
    bool retryable;
  };
  for (const Case& c :
       {Case{ErrorCode::kTransactionNotFound, 404, false},
        Case{ErrorCode::kTransactionExpired, 410, false},
        Case{ErrorCode::kTransactionConflict, 409, true}, Case{ErrorCode::kDeadlock, 409, true},
        Case{ErrorCode::kLockTimeout, 409, true}}) {
    const std::string reply =
        Exchange(Request("POST /v1/transactions/t/commit"), [&c](const auto& asked) {
          Completion done = FakeGateway::Failed(asked, c.code);
          done.error.key = "\xFF";
          done.error.blocked_by = "n2-ab-1";
          done.error.blocked_by_ms = 250;
          return done;
        });
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 " + std::to_string(c.status)));
    const Json json = BodyOf(reply);
    EXPECT_EQ(json["code"], proto::ErrorCodeName(c.code));
    EXPECT_EQ(json["retryable"], c.retryable);
    EXPECT_EQ(json["outcome"], "none");
    EXPECT_EQ(json["key_base64"], "/w==");
    EXPECT_EQ(json["blocked_by"], "n2-ab-1");
    EXPECT_EQ(json["blocked_by_ms"], 250);
  }
}

TEST_F(SessionTxnTest, PipelinedStepsRunOneAfterTheOther) {
  session_.Receive(Request("GET /v1/transactions/t/kv/a") + Request("GET /v1/transactions/t/kv/b"));
  ASSERT_EQ(gateway_.asked.size(), 1U);
  Complete(FakeGateway::Read(gateway_.asked[0], {{}}));
  EXPECT_EQ(gateway_.asked.size(), 2U);
}

TEST_F(SessionTxnTest, CompactionIsAskedForByVersion) {
  const std::string reply =
      Exchange(Request("POST /v1/cluster/compact", "", R"({"version":40})"), Committed9);
  EXPECT_EQ(gateway_.asked[0].kind, Kind::kDropHistory);
  EXPECT_EQ(gateway_.asked[0].at, Version(40));
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"version":9})"));
  EXPECT_EQ(CodeOf(Ask(Request("POST /v1/cluster/compact", "", "{}"))), "invalid_argument");
}

}  // namespace
}  // namespace bedrock::router
