#include "common/config/node_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace bedrock::config {
namespace {

using ::testing::HasSubstr;

std::string MemberText(int node) {
  const std::string i = std::to_string(node);
  return "n" + i + ",raft=tcp://127.0.0.1:900" + i + ",storage=tcp://127.0.0.1:1050" + i +
         ",client=tcp://127.0.0.1:700" + i + ",http=127.0.0.1:808" + i;
}

NodeConfig ValidConfig() {
  NodeConfig config;
  config.node = NodeId(2);
  config.cluster = ClusterId(7);
  for (const int node : {1, 2, 3}) config.members.push_back(*ParseMember(MemberText(node)));
  return config;
}

TEST(MemberTest, AMemberIsItsIdAndFourEndpoints) {
  const Member member = *ParseMember(MemberText(1));
  EXPECT_EQ(member.id, NodeId(1));
  EXPECT_EQ(member.raft, "tcp://127.0.0.1:9001");
  EXPECT_EQ(member.storage, "tcp://127.0.0.1:10501");
  EXPECT_EQ(member.client, "tcp://127.0.0.1:7001");
  EXPECT_EQ(member.http, "127.0.0.1:8081");
  EXPECT_EQ(FormatMember(member), MemberText(1));
}

TEST(MemberTest, TheOrderOfTheEndpointsDoesNotMatter) {
  EXPECT_EQ(*ParseMember("1,http=h:4,client=tcp://h:3,raft=tcp://h:1,storage=tcp://h:2"),
            *ParseMember("n1,raft=tcp://h:1,storage=tcp://h:2,client=tcp://h:3,http=h:4"));
}

TEST(MemberTest, WhatIsWrongIsNamed) {
  const auto message = [](const std::string& text) {
    return ParseMember(text).status().ToString();
  };
  EXPECT_THAT(message(""), HasSubstr("node id"));
  EXPECT_THAT(message("x,raft=tcp://h:1"), HasSubstr("node id"));
  EXPECT_THAT(message("n1,raft=tcp://h:1,storage=tcp://h:2,client=tcp://h:3"), HasSubstr("http"));
  EXPECT_THAT(message("n1,raft=tcp://h:1,raft=tcp://h:2"), HasSubstr("raft is given twice"));
  EXPECT_THAT(message("n1,raft=h:1"), HasSubstr("raft: not an endpoint"));
  EXPECT_THAT(message("n1,color=red"), HasSubstr("color=red"));
  EXPECT_THAT(message("n1,http=tcp://h:1"), HasSubstr("http: not HOST:PORT"));
}

TEST(NodeConfigTest, AValidConfigurationFindsItsMembers) {
  const NodeConfig config = ValidConfig();
  EXPECT_TRUE(config.Validate().ok());
  EXPECT_EQ(config.self().id, NodeId(2));
  EXPECT_EQ(config.Find(NodeId(3))->http, "127.0.0.1:8083");
  EXPECT_EQ(config.Find(NodeId(4)), nullptr);
}

TEST(NodeConfigTest, WhatCannotWorkIsRefused) {
  NodeConfig config = ValidConfig();
  config.node = NodeId(4);
  EXPECT_THAT(config.Validate().ToString(), HasSubstr("n4"));
  config = ValidConfig();
  config.cluster = ClusterId();
  EXPECT_THAT(config.Validate().ToString(), HasSubstr("--cluster-id"));
  config = ValidConfig();
  config.members.clear();
  EXPECT_THAT(config.Validate().ToString(), HasSubstr("--member"));
  config = ValidConfig();
  config.members[0].id = NodeId(3);
  EXPECT_FALSE(config.Validate().ok());
  config = ValidConfig();
  config.members[0].raft = config.members[1].raft;
  EXPECT_FALSE(config.Validate().ok());
  config = ValidConfig();
  config.log_level = "loud";
  EXPECT_THAT(config.Validate().ToString(), HasSubstr("loud"));
}

TEST(NodeConfigTest, ListeningBeyondThisHostNeedsInsecure) {
  NodeConfig config = ValidConfig();
  EXPECT_TRUE(config.CheckListen({"tcp://127.0.0.1:9000", "ipc://run/x", "127.0.0.1:80"}).ok());
  EXPECT_THAT(config.CheckListen({"tcp://0.0.0.0:9000"}).ToString(), HasSubstr("--insecure"));
  EXPECT_FALSE(config.CheckListen({"10.0.0.1:80"}).ok());
  config.insecure = true;
  EXPECT_TRUE(config.CheckListen({"tcp://0.0.0.0:9000", "10.0.0.1:80"}).ok());
  EXPECT_FALSE(config.CheckListen({"nonsense"}).ok());
}

TEST(NodeConfigTest, TheFlagsFillItWithMembersSorted) {
  NodeConfig config;
  FlagSet flags("program", "");
  AddNodeFlags(flags, config);
  const std::string three = MemberText(3);
  const std::string one = MemberText(1);
  const std::vector<const char*> arguments = {
      "program",     "--node",   "n3",        "--cluster-id", "00ff",  "--member",
      three.c_str(), "--member", one.c_str(), "--data",       "/tmp/x"};
  EXPECT_EQ(flags.Parse(static_cast<int>(arguments.size()), arguments.data()), std::nullopt);
  EXPECT_EQ(config.node, NodeId(3));
  EXPECT_EQ(config.cluster, ClusterId(255));
  ASSERT_EQ(config.members.size(), 2U);
  EXPECT_EQ(config.members[0].id, NodeId(1));
  EXPECT_EQ(config.data_directory, "/tmp/x");
  EXPECT_THAT(flags.EffectiveConfiguration(), HasSubstr("--member=" + one + "\n--member=" + three));
}

}  // namespace
}  // namespace bedrock::config
