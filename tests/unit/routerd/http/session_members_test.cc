// The membership over HTTP: what is asked of the core, and what its word means as a reply.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "tests/unit/routerd/http/session_fixture.h"

namespace bedrock::router {
namespace {

using proto::ChangeMembers;
using proto::ErrorCode;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Json = nlohmann::json;
using Asked = FakeGateway::Asked;
using Kind = ChangeMembers::Kind;

class SessionMembersTest : public SessionTest {
 protected:
  const ChangeMembers& Wish() { return std::get<ChangeMembers>(gateway_.asked.at(0).wish); }
  static Completion Committed(const Asked& asked) {
    return FakeGateway::Committed(asked, Version(40));
  }
};

TEST_F(SessionMembersTest, AnAddedMemberIsCreatedAndShownWithAllItsEndpoints) {
  const std::string reply =
      Exchange(Request("POST /v1/cluster/members?timeout=2s", "",
                       R"({"id":"n4","raft":"tcp://10.0.0.4:9000","http":"10.0.0.4:80"})"),
               Committed);
  EXPECT_EQ(Wish().kind, Kind::kAdd);
  EXPECT_EQ(Wish().node, NodeId(4));
  EXPECT_TRUE(Wish().promote);
  EXPECT_EQ(gateway_.asked[0].deadline_ms, clock_.now_ms + 2000);
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 201 Created\r\n"));
  EXPECT_THAT(reply, HasSubstr("Location: /v1/cluster/members/n4\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Version: 40\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Served-By: n2\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Leader: n2\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Request-Id: n1-boot-1\r\n"));
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"id":"n4","role":"learner","promote":true,
      "raft":"tcp://10.0.0.4:9000","storage":"tcp://10.0.0.4:10500",
      "client":"tcp://10.0.0.4:7000","http":"10.0.0.4:80"})"));
}

TEST_F(SessionMembersTest, AMemberMayStayALearner) {
  Exchange(Request("POST /v1/cluster/members", "",
                   R"({"id":4,"raft":"tcp://10.0.0.4:9000","promote":false})"),
           Committed);
  EXPECT_FALSE(Wish().promote);
}

TEST_F(SessionMembersTest, MembersArePromotedDemotedAndRemoved) {
  const std::string promoted = Exchange(Request("POST /v1/cluster/members/n4/promote"), Committed);
  EXPECT_EQ(Wish().kind, Kind::kPromote);
  EXPECT_EQ(Wish().node, NodeId(4));
  EXPECT_THAT(promoted, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(BodyOf(promoted), Json::parse(R"({"id":"n4","role":"voter"})"));
  const std::string demoted =
      Exchange(Request("POST /v1/cluster/members/4/demote", "", "{}"), Committed);
  EXPECT_EQ(Wish().kind, Kind::kDemote);
  EXPECT_EQ(BodyOf(demoted), Json::parse(R"({"id":"n4","role":"learner"})"));
  const std::string removed = Exchange(Request("DELETE /v1/cluster/members/n4"), Committed);
  EXPECT_EQ(Wish().kind, Kind::kRemove);
  EXPECT_THAT(removed, StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(removed, HasSubstr("X-Bedrock-Version: 40\r\n"));
}

TEST_F(SessionMembersTest, LeadershipIsMovedAndWhoLeadsIsNamed) {
  const std::string reply =
      Exchange(Request("POST /v1/cluster/leader", "", R"({"to":"n3"})"), [](const Asked& asked) {
        Completion done;
        done.ticket = asked.ticket;
        done.is_write = true;
        done.leader = NodeId(3);
        done.served_by = NodeId(1);
        done.term = Term(8);
        return done;
      });
  EXPECT_EQ(std::get<proto::TransferLeadership>(gateway_.asked.at(0).wish).to, NodeId(3));
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(reply, HasSubstr("X-Bedrock-Leader: n3\r\n"));
  EXPECT_THAT(reply, Not(HasSubstr("X-Bedrock-Version")));
  EXPECT_EQ(BodyOf(reply), Json::parse(R"({"leader":"n3","term":8})"));
}

TEST_F(SessionMembersTest, RepliesMayBeMessagePack) {
  const std::string reply = Exchange(
      Request("POST /v1/cluster/members/n4/promote", "Accept: application/msgpack\r\n"), Committed);
  EXPECT_THAT(reply, HasSubstr("Content-Type: application/msgpack\r\n"));
  const Json body = Json::from_msgpack(reply.substr(reply.find("\r\n\r\n") + 4));
  EXPECT_EQ(body, Json::parse(R"({"id":"n4","role":"voter"})"));
}

TEST_F(SessionMembersTest, RefusalsHaveTheirStatusAndOutcome) {
  struct Case {
    ErrorCode code;
    const char* status;
    const char* name;
  };
  for (const Case& c : {Case{ErrorCode::kUnsafeMembershipChange, "409", "unsafe_membership_change"},
                        Case{ErrorCode::kMemberExists, "409", "member_exists"},
                        Case{ErrorCode::kMemberNotFound, "404", "member_not_found"},
                        Case{ErrorCode::kNoLeader, "503", "no_leader"},
                        Case{ErrorCode::kDeadlineExceeded, "504", "deadline_exceeded"}}) {
    const std::string reply =
        Exchange(Request("DELETE /v1/cluster/members/n4"),
                 [&c](const Asked& asked) { return FakeGateway::Failed(asked, c.code); });
    EXPECT_THAT(reply, StartsWith(std::string("HTTP/1.1 ") + c.status)) << c.name;
    EXPECT_EQ(BodyOf(reply)["code"], c.name);
    EXPECT_EQ(BodyOf(reply)["outcome"], "none");
  }
}

TEST_F(SessionMembersTest, WhatIsWrongIsNotAskedFor) {
  for (const std::string& request :
       {Request("POST /v1/cluster/members", "", R"({"id":"n4"})"),
        Request("POST /v1/cluster/members", "", R"({"id":"n4","raft":"a:9000","x":1})"),
        Request("POST /v1/cluster/members"), Request("POST /v1/cluster/leader", "", "{}"),
        Request("POST /v1/cluster/members/n4/promote", "", R"({"force":true})"),
        Request("DELETE /v1/cluster/members/x"), Request("DELETE /v1/cluster/members/n0"),
        Request("DELETE /v1/cluster/members/n%zz"),
        Request("DELETE /v1/cluster/members/n4?force=true"),
        Request("DELETE /v1/cluster/members/n4", "If-Match: \"5\"\r\n"),
        Request("POST /v1/cluster/members/n4/demote", "Idempotency-Key: once\r\n")}) {
    EXPECT_EQ(CodeOf(Ask(request)), "invalid_argument") << request;
  }
  EXPECT_TRUE(gateway_.asked.empty());
}

TEST_F(SessionMembersTest, OtherMethodsAreRefusedWithThoseThatWork) {
  for (const auto& [line, allow] : {std::pair("GET /v1/cluster/members", "POST"),
                                    std::pair("GET /v1/cluster/members/n4", "DELETE"),
                                    std::pair("PUT /v1/cluster/members/n4/promote", "POST"),
                                    std::pair("GET /v1/cluster/members/n4/demote", "POST"),
                                    std::pair("DELETE /v1/cluster/leader", "POST")}) {
    const std::string reply = Ask(Request(line));
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 405")) << line;
    EXPECT_THAT(reply, HasSubstr(std::string("Allow: ") + allow + "\r\n")) << line;
  }
  EXPECT_EQ(CodeOf(Ask(Request("POST /v1/cluster/members/n4/forget"))), "route_not_found");
}

}  // namespace
}  // namespace bedrock::router
