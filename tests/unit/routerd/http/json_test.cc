#include "routerd/http/json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace bedrock::router {
namespace {

using Json = nlohmann::json;

TEST(JsonTest, AProblemTellsEverythingOfTheContract) {
  proto::Error error;
  error.code = proto::ErrorCode::kValueTooLarge;
  error.detail = "too \"large\"";
  error.limit = 10;
  error.actual = 11;
  error.key = "k";
  const Json json = Json::parse(ProblemBody(error, OfWrite::kYes, Format::kJson));
  EXPECT_EQ(json, Json::parse(R"({"type":"urn:bedrock:error:value_too_large",
      "title":"Value too large","status":413,"detail":"too \"large\"","code":"value_too_large",
      "retryable":false,"outcome":"none","limit":10,"actual":11,"key":"k"})"));
}

TEST(JsonTest, OnlyWritesHaveAnOutcome) {
  proto::Error error;
  error.code = proto::ErrorCode::kDeadlineExceeded;
  error.outcome = proto::Outcome::kUnknown;
  const Json write = Json::parse(ProblemBody(error, OfWrite::kYes, Format::kJson));
  EXPECT_EQ(write["outcome"], "unknown");
  EXPECT_EQ(write["retryable"], true);
  const Json read = Json::parse(ProblemBody(error, OfWrite::kNo, Format::kJson));
  EXPECT_FALSE(read.contains("outcome"));
  EXPECT_FALSE(read.contains("limit"));
  EXPECT_FALSE(read.contains("key"));
}

TEST(JsonTest, BytesThatAreNoTextAreSpelledInBase64) {
  proto::Error error;
  error.code = proto::ErrorCode::kKeyNotFound;
  error.key = "\xFF\xFE";
  const Json json = Json::parse(ProblemBody(error, OfWrite::kNo, Format::kJson));
  EXPECT_EQ(json["key_base64"], "//4=");
  EXPECT_FALSE(json.contains("key"));
}

TEST(JsonTest, ADetailThatIsNoTextStillGivesJson) {
  proto::Error error;
  error.code = proto::ErrorCode::kInvalidArgument;
  error.detail = "bad \xFF";
  EXPECT_TRUE(Json::accept(ProblemBody(error, OfWrite::kNo, Format::kJson)));
}

TEST(JsonTest, MessagePackHasBytes) {
  proto::Error error;
  error.code = proto::ErrorCode::kKeyNotFound;
  error.key = "k";
  const Json json = Json::from_msgpack(ProblemBody(error, OfWrite::kNo, Format::kMessagePack));
  EXPECT_EQ(json["code"], "key_not_found");
  EXPECT_TRUE(json["key"].is_binary());
}

TEST(JsonTest, TheClusterHasEveryFieldOfTheContract) {
  ClusterView view;
  view.leader = NodeId(2);
  view.term = Term(7);
  view.commit_index = LogIndex(99);
  MemberView up;
  up.id = NodeId(1);
  up.raft = "tcp://h1:9000";
  up.client = "tcp://h1:7000";
  up.http = "h1:8080";
  up.state = proto::Role::kFollower;
  up.match_index = LogIndex(98);
  up.applied_index = LogIndex(97);
  up.storage_up = true;
  up.software = "0.1.0";
  MemberView down;
  down.id = NodeId(2);
  down.voter = false;
  view.members = {up, down};
  const Json json = Json::parse(ClusterBody(view, ClusterId(0xABC), Format::kJson));
  EXPECT_EQ(json, Json::parse(R"({"cluster_id":"0000000000000abc","leader":"n2","term":7,
    "commit_index":99,"members":[
    {"id":"n1","role":"voter","raft":"tcp://h1:9000","client":"tcp://h1:7000","http":"h1:8080",
     "state":"follower","match_index":98,"applied_index":97,"storage":"up","software":"0.1.0"},
    {"id":"n2","role":"learner","raft":"","client":"","http":"","state":"unreachable",
     "match_index":0,"applied_index":0,"storage":"down","software":""}]})"));
}

TEST(JsonTest, ReplicasThatDifferAreNamed) {
  ClusterView view;
  MemberView member;
  member.id = NodeId(3);
  member.diverged_at = LogIndex(17);
  view.members = {member};
  view.replicas_differ_at = LogIndex(19);
  const Json json = Json::parse(ClusterBody(view, ClusterId(1), Format::kJson));
  EXPECT_EQ(json["members"][0]["storage"], "diverged");
  EXPECT_EQ(json["members"][0]["diverged_at"], 17);
  EXPECT_EQ(json["replicas_differ_at"], 19);
}

TEST(JsonTest, NoLeaderIsNull) {
  const Json json = Json::parse(ClusterBody(ClusterView(), ClusterId(1), Format::kJson));
  EXPECT_TRUE(json["leader"].is_null());
}

}  // namespace
}  // namespace bedrock::router
