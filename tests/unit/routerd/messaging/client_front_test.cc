#include "routerd/messaging/client_front.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/routerd/http/fake_gateway.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;

class ClientFrontTest : public testing::Test {
 protected:
  /// One client's packets in one frame.
  void Send(const std::string& from, const std::vector<proto::Packet>& packets,
            ClusterId cluster = ClusterId(), NodeId node = NodeId()) {
    proto::FrameHeader header;
    header.cluster = cluster;
    header.node = node;
    proto::FrameWriter writer(header);
    for (const auto& packet : packets) {
      writer.Add(packet.request, packet.timeout_ms, packet.message);
    }
    front_.OnFrame(from, Bytes(writer.Finish()));
  }
  /// What the clients got since the last call: every packet, by client.
  std::map<std::string, std::vector<proto::Packet>> Received() {
    front_.Flush();
    std::map<std::string, std::vector<proto::Packet>> received;
    for (auto& [to, bytes] : std::exchange(sent_, {})) {
      const auto frame = proto::DecodeFrame(Bytes(std::move(bytes)));
      EXPECT_TRUE(frame.ok());
      EXPECT_EQ(frame->header.cluster, ClusterId(7));
      EXPECT_EQ(frame->header.node, NodeId(1));
      for (const auto& packet : frame->packets) received[to].push_back(packet);
    }
    return received;
  }
  static proto::Packet Get(RequestId request, const std::string& key,
                           std::uint32_t timeout_ms = 0) {
    proto::ClientGet get;
    get.key = Bytes::Copy(key);
    get.min_version = Version(4);
    get.consistency = proto::Consistency::kStale;
    return {request, timeout_ms, get};
  }
  static proto::Packet Write(RequestId request, const std::string& command) {
    return {request, 100, proto::ClientWrite{Bytes::Copy(command)}};
  }
  template <typename Message>
  static const Message& As(const proto::Packet& packet) {
    return std::get<Message>(packet.message);
  }

  FakeGateway gateway_;
  FakeClock clock_;
  std::vector<std::pair<std::string, std::string>> sent_;
  ClientFront front_{{NodeId(1), ClusterId(7), BootId(9), "0.1.0"},
                     gateway_,
                     clock_,
                     [this](const std::string& to, std::string frame) {
                       sent_.emplace_back(to, std::move(frame));
                     }};
};

TEST_F(ClientFrontTest, AGetIsAskedAndAnswered) {
  Send("client", {Get(RequestId(5), "k", 300)});
  ASSERT_EQ(gateway_.asked.size(), 1U);
  EXPECT_EQ(gateway_.asked[0].key, "k");
  EXPECT_EQ(gateway_.asked[0].consistency, proto::Consistency::kStale);
  EXPECT_EQ(gateway_.asked[0].min_version, Version(4));
  EXPECT_EQ(gateway_.asked[0].deadline_ms, clock_.now_ms + 300);
  front_.Complete(FakeGateway::Found(gateway_.asked[0], "value", Version(6)));
  const auto received = Received();
  const proto::Packet& packet = received.at("client").at(0);
  EXPECT_EQ(packet.request, RequestId(5));
  EXPECT_TRUE(As<proto::ClientGetReply>(packet).error.ok());
  EXPECT_EQ(As<proto::ClientGetReply>(packet).value.view(), "value");
  EXPECT_EQ(As<proto::ClientGetReply>(packet).version, Version(6));
  EXPECT_EQ(As<proto::ClientGetReply>(packet).read_version, Version(106));
  EXPECT_EQ(front_.pending(), 0U);
}

TEST_F(ClientFrontTest, AnAbsentKeyIsKeyNotFound) {
  Send("client", {Get(RequestId(5), "k")});
  front_.Complete(FakeGateway::Absent(gateway_.asked.at(0)));
  const auto received = Received();
  const auto& reply = As<proto::ClientGetReply>(received.at("client").at(0));
  EXPECT_EQ(reply.error.code, ErrorCode::kKeyNotFound);
  EXPECT_EQ(reply.read_version, Version(100));
}

TEST_F(ClientFrontTest, AWriteIsPassedOnAsItIs) {
  Send("client", {Write(RequestId(6), "an encoded command")});
  ASSERT_EQ(gateway_.asked.size(), 1U);
  EXPECT_EQ(gateway_.asked[0].value, "an encoded command");
  Completion done = FakeGateway::Failed(gateway_.asked[0], ErrorCode::kPreconditionFailed);
  done.current = Version(3);
  front_.Complete(done);
  const auto received = Received();
  const auto& reply = As<proto::ClientWriteReply>(received.at("client").at(0));
  EXPECT_EQ(reply.error.code, ErrorCode::kPreconditionFailed);
  EXPECT_EQ(reply.current, Version(3));
}

TEST_F(ClientFrontTest, AGetMayNameAVersion) {
  proto::ClientGet get;
  get.key = Bytes::Copy("k");
  get.at = Version(17);
  Send("client", {{RequestId(5), 0, get}});
  EXPECT_EQ(gateway_.asked.at(0).at, Version(17));
}

TEST_F(ClientFrontTest, AWritesWholeResultComesBack) {
  Send("client", {Write(RequestId(6), "an encoded command")});
  Completion done = FakeGateway::Committed(gateway_.asked.at(0), Version(8));
  done.result.version = Version(8);
  done.result.results.emplace_back();
  done.result.results.back().value = "of a get";
  front_.Complete(done);
  const auto received = Received();
  const auto& reply = As<proto::ClientWriteReply>(received.at("client").at(0));
  EXPECT_EQ(reply.version, Version(8));
  EXPECT_EQ(reply.result, done.result);
}

TEST_F(ClientFrontTest, AQueryIsAskedAndAnswered) {
  proto::Command command;
  command.operations.push_back({proto::Operation::Kind::kGet, "a"});
  command.operations.push_back({proto::Operation::Kind::kScan, "p", "q"});
  proto::ClientQuery query;
  query.command = Bytes(proto::EncodeCommand(command));
  query.consistency = proto::Consistency::kStale;
  query.min_version = Version(3);
  query.at = Version(9);
  Send("client", {{RequestId(5), 300, query}});
  ASSERT_EQ(gateway_.asked.size(), 1U);
  const FakeGateway::Asked& asked = gateway_.asked[0];
  EXPECT_EQ(asked.operations.size(), 2U);
  EXPECT_EQ(asked.consistency, proto::Consistency::kStale);
  EXPECT_EQ(asked.min_version, Version(3));
  EXPECT_EQ(asked.at, Version(9));
  EXPECT_EQ(asked.deadline_ms, clock_.now_ms + 300);
  Completion done = FakeGateway::Absent(asked);
  done.result.results.resize(2);
  front_.Complete(done);
  const auto received = Received();
  const auto& reply = As<proto::ClientQueryReply>(received.at("client").at(0));
  EXPECT_TRUE(reply.error.ok());
  EXPECT_EQ(reply.result.results.size(), 2U);
  EXPECT_EQ(reply.read_version, Version(100));
}

TEST_F(ClientFrontTest, AQueryThatIsNoCommandIsRefused) {
  proto::ClientQuery query;
  query.command = Bytes::Copy("garbage");
  Send("client", {{RequestId(5), 0, query}});
  EXPECT_TRUE(gateway_.asked.empty());
  const auto received = Received();
  EXPECT_EQ(As<proto::ClientQueryReply>(received.at("client").at(0)).error.code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(front_.pending(), 0U);
}

TEST_F(ClientFrontTest, AStepOfATransactionIsPassedInAndAnswered) {
  proto::ClientTransaction step;
  step.action = proto::ClientTransaction::Action::kExecute;
  step.id = "n1-00000000000000aa-1";
  step.command = Bytes::Copy("operations");
  step.for_update = true;
  Send("client", {{RequestId(5), 300, step}});
  ASSERT_EQ(gateway_.asked.size(), 1U);
  EXPECT_EQ(gateway_.asked[0].step, step);
  EXPECT_FALSE(gateway_.asked[0].passed_on) << "a client's";
  Completion done = FakeGateway::Absent(gateway_.asked[0]);
  done.transaction = step.id;
  done.version = Version(12);
  done.result.results.resize(1);
  front_.Complete(done);
  const auto received = Received();
  const auto& reply = As<proto::ClientTransactionReply>(received.at("client").at(0));
  EXPECT_EQ(reply.id, step.id);
  EXPECT_EQ(reply.version, Version(12));
  EXPECT_EQ(reply.read_version, Version(100));
  EXPECT_EQ(reply.result.results.size(), 1U);
}

TEST_F(ClientFrontTest, AnotherRoutersStepIsKnownAsPassedOn) {
  Send("routerd/n2/00000000000000bb", {{RequestId(5), 300, proto::ClientTransaction()}},
       ClusterId(7), NodeId(2));
  EXPECT_TRUE(gateway_.asked.at(0).passed_on);
}

TEST_F(ClientFrontTest, ARefusedCommitLeavesItsOutcomeOpen) {
  front_.Shutdown();
  proto::ClientTransaction step;
  step.action = proto::ClientTransaction::Action::kCommit;
  step.id = "n1-00000000000000aa-1";
  Send("client", {{RequestId(5), 300, step}});
  const auto received = Received();
  const auto& reply = As<proto::ClientTransactionReply>(received.at("client").at(0));
  EXPECT_EQ(reply.error.code, ErrorCode::kShuttingDown);
  EXPECT_EQ(reply.error.outcome, proto::Outcome::kUnknown) << "an earlier one may be under way";
}

TEST_F(ClientFrontTest, TimeoutsAreBoundedAndHaveADefault) {
  Send("client", {Get(RequestId(1), "k", 0), Get(RequestId(2), "k", 3'600'000)});
  EXPECT_EQ(gateway_.asked.at(0).deadline_ms, clock_.now_ms + ClientFront::kTimeoutMsDefault);
  EXPECT_EQ(gateway_.asked.at(1).deadline_ms, clock_.now_ms + ClientFront::kTimeoutMsMax);
}

TEST_F(ClientFrontTest, EachClientGetsItsOwnRepliesInOneFrame) {
  Send("a", {Get(RequestId(1), "k1"), Get(RequestId(2), "k2")});
  Send("b", {Get(RequestId(1), "k3")});
  for (const auto& asked : gateway_.asked) {
    front_.Complete(FakeGateway::Found(asked, asked.key, Version(1)));
  }
  front_.Flush();
  EXPECT_EQ(sent_.size(), 2U);
  const auto received = Received();
  EXPECT_EQ(received.at("a").size(), 2U);
  EXPECT_EQ(As<proto::ClientGetReply>(received.at("b").at(0)).value.view(), "k3");
}

TEST_F(ClientFrontTest, BadKeysAreAnsweredAtOnce) {
  Send("client", {Get(RequestId(1), ""), Get(RequestId(2), std::string(8193, 'k'))});
  EXPECT_TRUE(gateway_.asked.empty());
  const auto received = Received();
  const auto& packets = received.at("client");
  EXPECT_EQ(As<proto::ClientGetReply>(packets.at(0)).error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(As<proto::ClientGetReply>(packets.at(1)).error.code, ErrorCode::kKeyTooLarge);
  EXPECT_EQ(As<proto::ClientGetReply>(packets.at(1)).error.limit, 8192U);
}

TEST_F(ClientFrontTest, AnotherClustersFrameIsRefused) {
  Send("client", {Get(RequestId(8), "k")}, ClusterId(8));
  EXPECT_TRUE(gateway_.asked.empty());
  auto received = Received();
  EXPECT_EQ(received.at("client").at(0).request, RequestId(8));
  EXPECT_EQ(As<proto::Refusal>(received.at("client").at(0)).error.code, ErrorCode::kWrongCluster);
  Send("client", {Get(RequestId(9), "k")}, ClusterId(7));
  EXPECT_EQ(gateway_.asked.size(), 1U);
}

TEST_F(ClientFrontTest, WhatItDoesNotServeIsRefused) {
  Send("client", {{RequestId(3), 0, proto::Propose{Bytes::Copy("c")}},
                  {RequestId(4), 0, proto::Get{Bytes::Copy("k"), Version()}}});
  EXPECT_TRUE(gateway_.asked.empty());
  const auto received = Received();
  for (const proto::Packet& packet : received.at("client")) {
    EXPECT_EQ(As<proto::Refusal>(packet).error.code, ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(received.at("client").size(), 2U);
}

TEST_F(ClientFrontTest, ARefusalIsNotAnswered) {
  Send("client", {{RequestId(3), 0, proto::Refusal{}}});
  EXPECT_TRUE(Received().empty());
}

TEST_F(ClientFrontTest, GarbageIsRefusedOnce) {
  front_.OnFrame("client", Bytes::Copy("garbage"));
  const auto received = Received();
  ASSERT_EQ(received.at("client").size(), 1U);
  EXPECT_EQ(As<proto::Refusal>(received.at("client").at(0)).error.code,
            ErrorCode::kInvalidArgument);
}

TEST_F(ClientFrontTest, AStatusQueryTellsWhatTheRouterKnows) {
  gateway_.view.leader = NodeId(2);
  gateway_.view.term = Term(3);
  gateway_.view.commit_index = LogIndex(44);
  MemberView self;
  self.id = NodeId(1);
  self.state = proto::Role::kFollower;
  self.applied_index = LogIndex(43);
  self.storage_up = true;
  MemberView other;
  other.id = NodeId(2);
  other.client = "tcp://h2:7000";
  other.http = "h2:8080";
  gateway_.view.members = {self, other};
  Send("client", {{RequestId(1), 0, proto::RaftStatusQuery{}}});
  const auto received = Received();
  const auto& status = As<proto::RaftStatus>(received.at("client").at(0));
  EXPECT_EQ(status.node, NodeId(1));
  EXPECT_EQ(status.role, proto::Role::kFollower);
  EXPECT_EQ(status.leader, NodeId(2));
  EXPECT_EQ(status.term, Term(3));
  EXPECT_EQ(status.commit, LogIndex(44));
  EXPECT_EQ(status.applied, LogIndex(43));
  EXPECT_EQ(status.storage_health, ErrorCode::kOk);
  ASSERT_EQ(status.members.size(), 2U);
  EXPECT_EQ(status.members[1].client, "tcp://h2:7000");
}

TEST_F(ClientFrontTest, AStatusQueryTellsThatTheOwnReplicaDiverged) {
  MemberView self;
  self.id = NodeId(1);
  self.diverged_at = LogIndex(5);
  gateway_.view.members = {self};
  Send("client", {{RequestId(1), 0, proto::RaftStatusQuery{}}});
  const auto received = Received();
  EXPECT_EQ(As<proto::RaftStatus>(received.at("client").at(0)).storage_health,
            ErrorCode::kDiverged);
}

TEST_F(ClientFrontTest, AChangeOfMembersIsAskedAndAnswered) {
  proto::ChangeMembers change;
  change.kind = proto::ChangeMembers::Kind::kRemove;
  change.node = NodeId(4);
  Send("client", {{RequestId(5), 300, change}});
  ASSERT_EQ(gateway_.asked.size(), 1U);
  EXPECT_EQ(std::get<proto::ChangeMembers>(gateway_.asked[0].wish), change);
  EXPECT_EQ(gateway_.asked[0].deadline_ms, clock_.now_ms + 300);
  Completion done = FakeGateway::Committed(gateway_.asked[0], Version(40));
  front_.Complete(done);
  const auto received = Received();
  const auto& reply = As<proto::ChangeMembersReply>(received.at("client").at(0));
  EXPECT_TRUE(reply.error.ok());
  EXPECT_EQ(reply.index, LogIndex(40));
  EXPECT_EQ(reply.leader, NodeId(2));
  EXPECT_EQ(front_.pending(), 0U);
}

TEST_F(ClientFrontTest, ATransferOfLeadershipIsAskedAndAnswered) {
  Send("client", {{RequestId(5), 300, proto::TransferLeadership{NodeId(3)}}});
  ASSERT_EQ(gateway_.asked.size(), 1U);
  EXPECT_EQ(std::get<proto::TransferLeadership>(gateway_.asked[0].wish).to, NodeId(3));
  Completion done = FakeGateway::Failed(gateway_.asked[0], ErrorCode::kUnsafeMembershipChange);
  done.leader = NodeId(2);
  done.term = Term(6);
  front_.Complete(done);
  const auto received = Received();
  const auto& reply = As<proto::TransferLeadershipReply>(received.at("client").at(0));
  EXPECT_EQ(reply.error.code, ErrorCode::kUnsafeMembershipChange);
  EXPECT_EQ(reply.leader, NodeId(2));
  EXPECT_EQ(reply.term, Term(6));
}

TEST_F(ClientFrontTest, AChangeOfNobodyIsRefused) {
  Send("client",
       {{RequestId(5), 0, proto::ChangeMembers()}, {RequestId(6), 0, proto::TransferLeadership()}});
  EXPECT_TRUE(gateway_.asked.empty());
  const auto received = Received();
  const auto& packets = received.at("client");
  EXPECT_EQ(As<proto::ChangeMembersReply>(packets.at(0)).error.code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(As<proto::TransferLeadershipReply>(packets.at(1)).error.code,
            ErrorCode::kInvalidArgument);
}

TEST_F(ClientFrontTest, PendingRequestsAreBounded) {
  std::vector<proto::Packet> many;
  for (std::uint64_t i = 1; i <= ClientFront::kPendingMax; ++i) {
    many.push_back(Get(RequestId(i), "k"));
  }
  Send("client", many);
  EXPECT_EQ(front_.pending(), ClientFront::kPendingMax);
  Send("client", {Get(RequestId(99'999), "k"), Write(RequestId(99'998), "c")});
  auto received = Received();
  const auto& packets = received.at("client");
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(As<proto::ClientGetReply>(packets[0]).error.code, ErrorCode::kOverloaded);
  EXPECT_EQ(As<proto::ClientWriteReply>(packets[1]).error.code, ErrorCode::kOverloaded);
  front_.Complete(FakeGateway::Absent(gateway_.asked.at(0)));
  Received();
  Send("client", {Get(RequestId(100'000), "k")});
  EXPECT_TRUE(Received().empty());
}

TEST_F(ClientFrontTest, WhileShuttingDownNewRequestsAreRefusedAndOldOnesAnswered) {
  Send("client", {Get(RequestId(1), "k")});
  front_.Shutdown();
  Send("client", {Get(RequestId(2), "k")});
  EXPECT_EQ(gateway_.asked.size(), 1U);
  front_.Complete(FakeGateway::Found(gateway_.asked[0], "v", Version(1)));
  const auto received = Received();
  const auto& packets = received.at("client");
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(As<proto::ClientGetReply>(packets[0]).error.code, ErrorCode::kShuttingDown);
  EXPECT_TRUE(As<proto::ClientGetReply>(packets[1]).error.ok());
}

TEST_F(ClientFrontTest, ACompletionTwiceIsAnsweredOnce) {
  Send("client", {Get(RequestId(1), "k")});
  const Completion done = FakeGateway::Found(gateway_.asked.at(0), "v", Version(1));
  front_.Complete(done);
  front_.Complete(done);
  EXPECT_EQ(Received().at("client").size(), 1U);
}

}  // namespace
}  // namespace bedrock::router
