#include "routerd/http/member_request.h"

#include <gtest/gtest.h>

#include <string>

#include <nlohmann/json.hpp>

namespace bedrock::router {
namespace {

using proto::ChangeMembers;
using proto::ErrorCode;

struct Parsed {
  proto::Error error;
  ChangeMembers member;
};

Parsed Parse(const std::string& body, Format format = Format::kJson) {
  Parsed parsed;
  parsed.error = ParseNewMember(body, format, &parsed.member);
  return parsed;
}

TEST(MemberRequestTest, TakesEveryMember) {
  const Parsed parsed = Parse(R"({"id":"n4","raft":"tcp://a:1","storage":"tcp://b:2",
      "client":"tcp://c:3","http":"d:4","promote":false})");
  ASSERT_TRUE(parsed.error.ok()) << parsed.error.detail;
  const ChangeMembers expected{.kind = ChangeMembers::Kind::kAdd,
                               .node = NodeId(4),
                               .promote = false,
                               .raft = "tcp://a:1",
                               .storage = "tcp://b:2",
                               .client = "tcp://c:3",
                               .http = "d:4"};
  EXPECT_EQ(parsed.member, expected);
}

TEST(MemberRequestTest, WhatIsNotGivenFollowsFromRaft) {
  const Parsed usual = Parse(R"({"id":"n4","raft":"tcp://10.0.0.4:9000"})");
  ASSERT_TRUE(usual.error.ok()) << usual.error.detail;
  EXPECT_TRUE(usual.member.promote);
  EXPECT_EQ(usual.member.storage, "tcp://10.0.0.4:10500");
  EXPECT_EQ(usual.member.client, "tcp://10.0.0.4:7000");
  EXPECT_EQ(usual.member.http, "10.0.0.4:8080");
  const Parsed moved = Parse(R"({"id":"n4","raft":"[::1]:9103","http":"[::1]:80"})");
  ASSERT_TRUE(moved.error.ok()) << moved.error.detail;
  EXPECT_EQ(moved.member.raft, "tcp://[::1]:9103");
  EXPECT_EQ(moved.member.storage, "tcp://[::1]:10603");
  EXPECT_EQ(moved.member.client, "tcp://[::1]:7103");
  EXPECT_EQ(moved.member.http, "[::1]:80");
}

TEST(MemberRequestTest, AnIdIsWrittenAsTheClusterPrintsItOrAsANumber) {
  for (const char* id : {R"("n4")", R"("4")", "4"}) {
    const Parsed parsed = Parse(std::string(R"({"raft":"a:9000","id":)") + id + "}");
    EXPECT_TRUE(parsed.error.ok()) << id << ": " << parsed.error.detail;
    EXPECT_EQ(parsed.member.node, NodeId(4)) << id;
  }
  NodeId to;
  EXPECT_TRUE(ParseLeaderMove(R"({"to":"n2"})", Format::kJson, &to).ok());
  EXPECT_EQ(to, NodeId(2));
}

TEST(MemberRequestTest, MessagePackSaysTheSame) {
  const auto json = nlohmann::json::parse(R"({"id":4,"raft":"a:9000"})");
  std::string packed;
  nlohmann::json::to_msgpack(json, packed);
  const Parsed parsed = Parse(packed, Format::kMessagePack);
  EXPECT_TRUE(parsed.error.ok()) << parsed.error.detail;
  EXPECT_EQ(parsed.member, Parse(R"({"id":4,"raft":"a:9000"})").member);
}

TEST(MemberRequestTest, WhatIsWrongIsNamed) {
  struct Case {
    const char* body;
    const char* named;
  };
  for (const Case& c : {Case{"", "JSON"},
                        Case{"[]", "object"},
                        Case{R"({"raft":"a:9000"})", "id"},
                        Case{R"({"id":"n4"})", "raft"},
                        Case{R"({"id":"n0","raft":"a:9000"})", "id"},
                        Case{R"({"id":"four","raft":"a:9000"})", "id"},
                        Case{R"({"id":-4,"raft":"a:9000"})", "id"},
                        Case{R"({"id":null,"raft":"a:9000"})", "id"},
                        Case{R"({"id":1000000000000000000,"raft":"a:9000"})", "id"},
                        Case{R"({"id":"n4","raft":"a"})", "raft"},
                        Case{R"({"id":"n4","raft":"*:9000"})", "raft"},
                        Case{R"({"id":"n4","raft":"ipc://x"})", "raft"},
                        Case{R"({"id":"n4","raft":"tcp://a:0"})", "raft"},
                        Case{R"({"id":"n4","raft":"a,http=b:9000"})", "raft"},
                        Case{R"({"id":"n4","raft":"a b:9000"})", "raft"},
                        Case{R"({"id":"n4","raft":7})", "raft"},
                        Case{R"({"id":"n4","raft":"a:9000","http":"http://a:80"})", "http"},
                        Case{R"({"id":"n4","raft":"a:9000","http":"tcp://a:80"})", "http"},
                        Case{R"({"id":"n4","raft":"a:9000","promote":"no"})", "promote"},
                        Case{R"({"id":"n4","raft":"a:9000","voter":true})", "voter"},
                        Case{R"({"id":"n4","raft":"a:900"})", "client"},
                        Case{R"({"id":"n4","raft":"a:65000"})", "storage"}}) {
    const Parsed parsed = Parse(c.body);
    EXPECT_EQ(parsed.error.code, ErrorCode::kInvalidArgument) << c.body;
    EXPECT_NE(parsed.error.detail.find(c.named), std::string::npos)
        << c.body << ": " << parsed.error.detail;
  }
  const std::string long_host(kMemberAddressBytesMax, 'h');
  EXPECT_FALSE(Parse(R"({"id":"n4","raft":")" + long_host + R"(:9000"})").error.ok());
  NodeId to;
  for (const char* body : {"", "{}", R"({"to":""})", R"({"to":0})", R"({"to":"n2","now":true})"}) {
    EXPECT_EQ(ParseLeaderMove(body, Format::kJson, &to).code, ErrorCode::kInvalidArgument) << body;
  }
}

}  // namespace
}  // namespace bedrock::router
