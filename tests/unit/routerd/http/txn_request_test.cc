#include "routerd/http/txn_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace bedrock::router {
namespace {

using proto::Condition;
using proto::ErrorCode;
using proto::Operation;
using testing::HasSubstr;
using testing::StartsWith;
using Check = Condition::Kind;
using Kind = Operation::Kind;

constexpr std::uint64_t kValueMax = 100;

Condition If(Check kind, std::string_view key, std::uint64_t version,
             std::string_view operand = "") {
  return {kind, key, Version(version), operand};
}
Operation Do(Kind kind, std::string_view key = "", std::string_view value = "") {
  Operation operation;
  operation.kind = kind;
  operation.key = key;
  operation.value = value;
  return operation;
}

TxnRequest Parse(const std::string& json) {
  TxnRequest request;
  const proto::Error bad = ParseTxn(json, Format::kJson, kValueMax, &request);
  EXPECT_TRUE(bad.ok()) << json << ": " << bad.detail;
  return request;
}
proto::Error ErrorIn(const std::string& json) {
  TxnRequest request;
  return ParseTxn(json, Format::kJson, kValueMax, &request);
}

TEST(TxnRequestTest, ReadsEveryConditionOfTheContract) {
  const TxnRequest request = Parse(R"({"if":[
    {"key":"a","version":5}, {"key":"a","version":0}, {"key":"b","exists":false},
    {"key":"b","exists":true}, {"key":"c","value":"x"}, {"key":"d","version_less":9},
    {"key":"d","version_greater":3}, {"key":"e","unchanged_since":40},
    {"prefix":"q/","unchanged_since":41}, {"start":"r","end":"s","unchanged_since":42},
    {"start":"t","unchanged_since":43}]})");
  EXPECT_EQ(request.conditions,
            (std::vector<Condition>{
                If(Check::kVersionEquals, "a", 5), If(Check::kVersionEquals, "a", 0),
                If(Check::kAbsent, "b", 0), If(Check::kExists, "b", 0),
                If(Check::kValueEquals, "c", 0, "x"), If(Check::kVersionLess, "d", 9),
                If(Check::kVersionGreater, "d", 3), If(Check::kUnchangedSince, "e", 40),
                If(Check::kRangeUnchangedSince, "q/", 41, "q0"),
                If(Check::kRangeUnchangedSince, "r", 42, "s"),
                If(Check::kRangeUnchangedSince, "t", 43)}));
}

TEST(TxnRequestTest, TwoTestsOfOneKeyMustBothHold) {
  const TxnRequest request = Parse(R"({"if":[{"key":"a","version_greater":3,"version_less":9}]})");
  EXPECT_EQ(request.conditions.size(), 2U);
}

TEST(TxnRequestTest, ReadsEveryOperationOfTheContract) {
  const TxnRequest request = Parse(R"({"then":[
    {"put":{"key":"a","value":"1"}}, {"delete":{"key":"b"}}, {"get":{"key":"c"}},
    {"scan":{"prefix":"q/","limit":10}}, {"delete_range":{"prefix":"t/"}},
    {"add":{"key":"n","delta":-3}},
    {"scan":{"start":"a","end":"b","reverse":true,"keys_only":true,"limit_bytes":7}},
    {"scan":{"count_only":true}}],
    "else":[{"get":{"key":"a"}}]})");
  Operation first_scan = Do(Kind::kScan, "q/", "q0");
  first_scan.scan = {.items_max = 10, .bytes_max = kScanBytesDefault};
  Operation add = Do(Kind::kAdd, "n");
  add.delta = -3;
  Operation second_scan = Do(Kind::kScan, "a", "b");
  second_scan.scan = {.items_max = kScanLimitDefault,
                      .bytes_max = 7,
                      .reverse = true,
                      .form = proto::Scan::Form::kKeys};
  Operation count = Do(Kind::kScan);
  count.scan = {.form = proto::Scan::Form::kCount};
  EXPECT_EQ(request.then,
            (std::vector<Operation>{Do(Kind::kPut, "a", "1"), Do(Kind::kDelete, "b"),
                                    Do(Kind::kGet, "c"), first_scan,
                                    Do(Kind::kDeleteRange, "t/", "t0"), add, second_scan, count}));
  EXPECT_EQ(request.otherwise, std::vector<Operation>{Do(Kind::kGet, "a")});
  EXPECT_TRUE(request.then_limited[3]);
  EXPECT_FALSE(request.then_limited[6]);
}

TEST(TxnRequestTest, EveryPartIsOptional) {
  const TxnRequest request = Parse("{}");
  EXPECT_TRUE(request.conditions.empty());
  EXPECT_TRUE(request.then.empty());
  EXPECT_TRUE(request.otherwise.empty());
}

TEST(TxnRequestTest, KeysAndValuesMayStandInBase64) {
  const TxnRequest request = Parse(R"({"if":[{"key_base64":"/w==","value_base64":"AAE="}],
    "then":[{"put":{"key_base64":"//4=","value_base64":""}},
            {"scan":{"prefix_base64":"/w=="}}, {"delete_range":{"start_base64":"YQ==","end":"b"}}]})");
  EXPECT_EQ(request.conditions[0].key, "\xFF");
  EXPECT_EQ(request.conditions[0].operand, std::string_view("\0\1", 2));
  EXPECT_EQ(request.then[0].key, "\xFF\xFE");
  EXPECT_EQ(request.then[0].value, "");
  EXPECT_EQ(request.then[1].key, "\xFF");
  EXPECT_EQ(request.then[1].value, "");
  EXPECT_EQ(request.then[2].key, "a");
}

TEST(TxnRequestTest, WhatItReadStaysValidWhereItIsMoved) {
  TxnRequest request = Parse(R"({"then":[{"put":{"key_base64":"a2V5","value":"v"}}]})");
  const TxnRequest moved = std::move(request);
  EXPECT_EQ(moved.then[0].key, "key");
  EXPECT_EQ(moved.then[0].value, "v");
}

TEST(TxnRequestTest, ReadsDeltasUpToTheirBounds) {
  const TxnRequest request = Parse(R"({"then":[{"add":{"key":"n","delta":9223372036854775807}},
                                               {"add":{"key":"n","delta":-9223372036854775808}}]})");
  EXPECT_EQ(request.then[0].delta, INT64_MAX);
  EXPECT_EQ(request.then[1].delta, INT64_MIN);
}

TEST(TxnRequestTest, NamesThePlaceOfWhatIsWrong) {
  struct Case {
    const char* json;
    const char* detail;
  };
  for (const Case& c : {
           Case{R"([])", "the body: must be an object"},
           Case{R"({"when":[]})", "when: is not known here"},
           Case{R"({"then":{}})", "then: must be an array"},
           Case{R"({"if":null})", "if: must be an array"},
           Case{R"({"then":[{"put":{"key":"a","value":"1"}},{"put":{"value":"1"}}]})",
                "then[1].put.key: is required"},
           Case{R"({"then":[{"put":{"key":5,"value":"1"}}]})", "then[0].put.key: must be a string"},
           Case{R"({"then":[{"put":{"key":"","value":"1"}}]})",
                "then[0].put.key: a key of 1 to 8192 bytes is required"},
           Case{R"({"then":[{"put":{"key":"a"}}]})", "then[0].put.value: is required"},
           Case{R"({"then":[{"put":{"key":"a","value":null}}]})",
                "then[0].put.value: must be a string"},
           Case{R"({"then":[{"put":{"key":"a","value":"1","lease":7}}]})",
                "then[0].put.lease: is not supported yet"},
           Case{R"({"then":[{"put":{"key":"a","value":"1","ttl":"5s"}}]})",
                "then[0].put.ttl: is not supported yet"},
           Case{R"({"then":[{"put":{"key":"a","value":"1","colour":7}}]})",
                "then[0].put.colour: is not known here"},
           Case{R"({"then":[{"put":{"key":"a","key_base64":"YQ==","value":"1"}}]})",
                "then[0].put.key_base64: is given beside key"},
           Case{R"({"then":[{"put":{"key":"a","value_base64":"YQ"}}]})",
                "then[0].put.value_base64: is no base64"},
           Case{R"({"else":[{"patch":{"key":"a"}}]})", "else[0].patch: is not known here"},
           Case{R"({"else":[{}]})", "else[0]: names no operation"},
           Case{R"({"else":[7]})", "else[0]: must be an object"},
           Case{R"({"else":[{"get":{"key":"a"},"delete":{"key":"a"}}]})", "else[0]"},
           Case{R"({"then":[{"get":"a"}]})", "then[0].get: must be an object"},
           Case{R"({"then":[{"get":{"key":"a","prefix":"a"}}]})",
                "then[0].get.prefix: is not known here"},
           Case{R"({"then":[{"add":{"key":"a"}}]})", "then[0].add.delta: is required"},
           Case{R"({"then":[{"add":{"key":"a","delta":1.5}}]})", "then[0].add.delta: must be"},
           Case{R"({"then":[{"add":{"key":"a","delta":1.0}}]})", "then[0].add.delta: must be"},
           Case{R"({"then":[{"add":{"key":"a","delta":"1"}}]})", "then[0].add.delta: must be"},
           Case{R"({"then":[{"add":{"key":"a","delta":9223372036854775808}}]})",
                "then[0].add.delta: must be"},
           Case{R"({"then":[{"scan":{"prefix":"a","start":"a"}}]})",
                "then[0].scan.prefix: is given beside"},
           Case{R"({"then":[{"scan":{"start":"b","end":"a"}}]})",
                "then[0].scan: the range must begin"},
           Case{R"({"then":[{"scan":{"end":""}}]})", "then[0].scan.end: is empty"},
           Case{R"({"then":[{"scan":{"limit":0}}]})", "then[0].scan.limit: must be from 1"},
           Case{R"({"then":[{"scan":{"limit":10001}}]})", "then[0].scan.limit: must be from 1"},
           Case{R"({"then":[{"scan":{"limit_bytes":8388609}}]})",
                "then[0].scan.limit_bytes: must be from 1"},
           Case{R"({"then":[{"scan":{"reverse":1}}]})", "then[0].scan.reverse: must be true"},
           Case{R"({"then":[{"delete_range":{}}]})", "then[0].delete_range: prefix, start or end"},
           Case{R"({"then":[{"delete_range":{"prefix":"a","limit":5}}]})",
                "then[0].delete_range.limit: is not known here"},
           Case{R"({"if":[{"key":"a"}]})", "if[0]: says nothing about its key"},
           Case{R"({"if":[{"key":"a","version":-1}]})", "if[0].version: must be a whole number"},
           Case{R"({"if":[{"key":"a","version":"5"}]})", "if[0].version: must be a whole number"},
           Case{R"({"if":[{"key":"a","version":18446744073709551616}]})", "if[0].version: must be"},
           Case{R"({"if":[{"key":"a","exists":1}]})", "if[0].exists: must be true or false"},
           Case{R"({"if":[{"key":"a","prefix":"b","version":1}]})", "if[0].prefix: is not known"},
           Case{R"({"if":[{"unchanged_since":4}]})", "if[0]: names neither a key nor a range"},
           Case{R"({"if":[{"prefix":"a"}]})", "if[0].unchanged_since: is required"},
           Case{R"({"if":[{"prefix":"a","version":4}]})", "if[0].unchanged_since: is required"},
       }) {
    const proto::Error error = ErrorIn(c.json);
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument) << c.json;
    EXPECT_THAT(error.detail, StartsWith(c.detail)) << c.json;
  }
}

TEST(TxnRequestTest, RefusesWhatIsNoJsonOrLeavesItsMeaningOpen) {
  const std::vector<std::string> bad = {"",
                                        "{",
                                        "{\"if\":[],}",
                                        "{} {}",
                                        "{'if':[]}",
                                        "{\"if\":[],\"if\":[]}",
                                        R"({"then":[{"put":{"key":"a","key":"b","value":"1"}}]})",
                                        "{\"then\":[{\"get\":{\"key\":\"\xFF\"}}]}",
                                        R"({"then":[{"get":{"key":"\ud800"}}]})",
                                        R"({"if":[{"key":"a","version":1e999}]})",
                                        R"({"if":[{"key":"a","version":NaN}]})",
                                        R"({"if":[{"key":"a","version":05}]})"};
  for (const std::string& json : bad) {
    const proto::Error error = ErrorIn(json);
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument) << json;
    EXPECT_THAT(error.detail, HasSubstr("the body's JSON")) << json;
  }
}

TEST(TxnRequestTest, DepthMembersAndValuesAreBounded) {
  EXPECT_THAT(ErrorIn(std::string(100'000, '[')).detail, HasSubstr("nested too deeply"));
  std::string wide = "{";
  for (int i = 0; i < 17; ++i) wide += "\"m" + std::to_string(i) + "\":1,";
  wide.back() = '}';
  EXPECT_THAT(ErrorIn(wide).detail, HasSubstr("too many members"));
  std::string many = "{\"then\":[";
  for (std::size_t i = 0; i <= kDocumentValuesMax; ++i) many += "1,";
  many.back() = ']';
  EXPECT_EQ(ErrorIn(many + "}").code, ErrorCode::kTransactionTooLarge);
}

TEST(TxnRequestTest, SizesAreRefusedWithLimitAndActual) {
  proto::Error error = ErrorIn(R"({"then":[{"get":{"key":")" + std::string(8193, 'k') + R"("}}]})");
  EXPECT_EQ(error.code, ErrorCode::kKeyTooLarge);
  EXPECT_EQ(error.limit, 8192U);
  EXPECT_EQ(error.actual, 8193U);
  EXPECT_THAT(error.detail, StartsWith("then[0].get.key: "));
  error = ErrorIn(R"({"then":[{"put":{"key":"k","value":")" + std::string(101, 'v') + R"("}}]})");
  EXPECT_EQ(error.code, ErrorCode::kValueTooLarge);
  EXPECT_EQ(error.limit, 100U);
  EXPECT_EQ(error.actual, 101U);
  std::string many = "{\"then\":[";
  for (int i = 0; i <= 10'000; ++i) many += R"({"get":{"key":"k"}},)";
  many.back() = ']';
  error = ErrorIn(many + "}");
  EXPECT_EQ(error.code, ErrorCode::kTransactionTooLarge);
  EXPECT_EQ(error.limit, 10'000U);
  EXPECT_EQ(error.actual, 10'001U);
}

TEST(TxnRequestTest, MessagePackSaysTheSameWithBytes) {
  using Json = nlohmann::json;
  const auto bytes = [](std::vector<std::uint8_t> given) { return Json::binary(std::move(given)); };
  Json json;
  json["if"] = {{{"key", bytes({0xFF})}, {"version", 5}}};
  json["then"] = {{{"put", {{"key", "text"}, {"value", bytes({0, 1})}}}},
                  {{"add", {{"key", "n"}, {"delta", -3}}}}};
  std::string packed;
  Json::to_msgpack(json, packed);
  TxnRequest request;
  const proto::Error bad = ParseTxn(packed, Format::kMessagePack, kValueMax, &request);
  ASSERT_TRUE(bad.ok()) << bad.detail;
  EXPECT_EQ(request.conditions, std::vector<Condition>{If(Check::kVersionEquals, "\xFF", 5)});
  EXPECT_EQ(request.then[0].key, "text");
  EXPECT_EQ(request.then[0].value, std::string_view("\0\1", 2));
  EXPECT_EQ(request.then[1].delta, -3);
}

TEST(TxnRequestTest, MalformedMessagePackIsRefusedBeforeItsClaimsAreBelieved) {
  const std::vector<std::string> bad = {
      "",
      "\xc1",
      std::string("\x81\xa4then\xdd\xff\xff\xff\xff", 10),  // an array of 2^32-1 elements
      std::string("\x81\xa4then\xc6\xff\xff\xff\xff", 10),  // a bin of as many bytes
      std::string("\x81\xa4then\xd4\x01\x00", 8),           // an extension
      std::string("\x81\x01\x02", 3),                       // a name that is no text
      std::string("\x80\x80", 2)};                          // two documents
  for (const std::string& packed : bad) {
    TxnRequest request;
    const proto::Error error = ParseTxn(packed, Format::kMessagePack, kValueMax, &request);
    EXPECT_EQ(error.code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.detail, HasSubstr("msgpack"));
  }
}

TEST(TransactionOptionsTest, ReadsWhatTheContractDescribes) {
  proto::TransactionOptions options;
  ASSERT_TRUE(ParseTransactionOptions(
                  R"({"mode":"pessimistic","read_only":true,"timeout":"30s","idle_timeout":"10s",
                      "lock_timeout":500})",
                  Format::kJson, &options)
                  .ok());
  EXPECT_EQ(options.mode, proto::TransactionMode::kPessimistic);
  EXPECT_TRUE(options.read_only);
  EXPECT_EQ(options.timeout_ms, 30'000U);
  EXPECT_EQ(options.idle_timeout_ms, 10'000U);
  EXPECT_EQ(options.lock_timeout_ms, 500U);
  for (const char* body : {"", "{}", R"({"mode":"optimistic"})"}) {
    proto::TransactionOptions plain;
    EXPECT_TRUE(ParseTransactionOptions(body, Format::kJson, &plain).ok()) << body;
    EXPECT_EQ(plain, proto::TransactionOptions()) << body;
  }
}

TEST(TransactionOptionsTest, RefusesWhatIsOutOfBounds) {
  for (const char* body :
       {R"({"mode":"serial"})", R"({"mode":1})", R"({"read_only":"yes"})", R"({"timeout":"6m"})",
        R"({"timeout":0})", R"({"idle_timeout":"61s"})", R"({"lock_timeout":"61s"})",
        R"({"lock_timeout":"soon"})", R"({"colour":1})", "[]", "nonsense"}) {
    proto::TransactionOptions options;
    EXPECT_EQ(ParseTransactionOptions(body, Format::kJson, &options).code,
              ErrorCode::kInvalidArgument)
        << body;
  }
}

TEST(SmallBodiesTest, CompactionNamesAVersion) {
  Version version;
  EXPECT_TRUE(ParseCompact(R"({"version":7})", Format::kJson, &version).ok());
  EXPECT_EQ(version, Version(7));
  for (const char* body : {"", "{}", R"({"version":0})", R"({"version":7,"force":true})"}) {
    EXPECT_EQ(ParseCompact(body, Format::kJson, &version).code, ErrorCode::kInvalidArgument);
  }
}

TEST(SmallBodiesTest, ABodyThatSaysNothingSaysNothing) {
  EXPECT_TRUE(ParseNothing("", Format::kJson).ok());
  EXPECT_TRUE(ParseNothing("{}", Format::kJson).ok());
  EXPECT_FALSE(ParseNothing(R"({"force":true})", Format::kJson).ok());
}

}  // namespace
}  // namespace bedrock::router
