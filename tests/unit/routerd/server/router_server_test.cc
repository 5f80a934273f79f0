#include "routerd/server/router_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/env/posix_clock.h"
#include "proto/codec.h"

namespace bedrock::router {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr ClusterId kCluster{7};

/// Stands for a node's raftd and storaged at once: a leader whose every proposal commits.
class FakeNode {
 public:
  FakeNode(net::EventLoop& loop, net::MessageContext& context, NodeId node, const std::string& raft,
           const std::string& storage)
      : node_(node) {
    auto listen = [&](const std::string& endpoint, bool is_raftd) {
      auto listener = net::Listener::Bind(
          loop, context, {endpoint}, [this, is_raftd](std::string_view from, const Bytes& frame) {
            OnFrame(std::string(from), frame, is_raftd);
          });
      EXPECT_TRUE(listener.ok()) << listener.status().ToString();
      return *std::move(listener);
    };
    raftd_ = listen(raft, true);
    storaged_ = listen(storage, false);
  }

  std::map<std::string, std::string> data;
  std::vector<std::string> routers;  // who proposed
  std::size_t read_index_queries = 0;
  std::size_t status_queries = 0;
  std::vector<proto::MemberStatus> members;  // whom its status lists
  bool answers = true;
  ClusterId cluster = kCluster;

 private:
  void OnFrame(const std::string& from, const Bytes& bytes, bool is_raftd) {
    const auto frame = proto::DecodeFrame(bytes);
    ASSERT_TRUE(frame.ok());
    EXPECT_EQ(frame->header.cluster, kCluster);
    for (const proto::Packet& packet : frame->packets) {
      if (is_raftd) {
        OnRaftd(from, packet);
      } else {
        OnStoraged(from, packet);
      }
    }
  }
  void OnRaftd(const std::string& from, const proto::Packet& packet) {
    if (const auto* propose = std::get_if<proto::Propose>(&packet.message)) {
      routers.push_back(from);
      const auto command = proto::DecodeCommand(propose->command.view());
      ASSERT_TRUE(command.ok());
      const proto::Operation& operation = command->operations.at(0);
      data[std::string(operation.key)] = std::string(operation.value);
      proto::CommandReply reply;
      reply.result.version = Version(++version_);
      Answer(*storaged_, from, packet.request, reply);
    } else if (std::holds_alternative<proto::ReadIndexQuery>(packet.message)) {
      ++read_index_queries;
      proto::ReadIndexAnswer answer;
      answer.index = LogIndex(version_);
      Answer(*raftd_, from, packet.request, answer);
    } else if (std::holds_alternative<proto::RaftStatusQuery>(packet.message)) {
      ++status_queries;
      proto::RaftStatus status;
      status.members = members;
      status.node = node_;
      status.role = proto::Role::kLeader;
      status.leader = node_;
      status.term = Term(1);
      Answer(*raftd_, from, packet.request, status, cluster);
    }
  }
  void OnStoraged(const std::string& from, const proto::Packet& packet) {
    if (const auto* get = std::get_if<proto::Get>(&packet.message)) {
      proto::GetReply reply;
      reply.read_version = Version(version_);
      if (const auto found = data.find(std::string(get->key.view())); found != data.end()) {
        reply.found = true;
        reply.value = Bytes::Copy(found->second);
        reply.version = Version(1);
      }
      Answer(*storaged_, from, packet.request, reply);
    } else if (std::holds_alternative<proto::StorageStatusQuery>(packet.message)) {
      Answer(*storaged_, from, packet.request, proto::StorageStatus());
    }
  }
  void Answer(net::Listener& listener, const std::string& to, RequestId request,
              const proto::Message& message, ClusterId as = kCluster) {
    if (!answers) return;
    proto::FrameHeader header;
    header.cluster = as;
    header.node = node_;
    proto::FrameWriter writer(header);
    writer.Add(request, 0, message);
    static_cast<void>(listener.Send(to, writer.Finish()));
  }

  NodeId node_;
  std::uint64_t version_ = 10;
  std::unique_ptr<net::Listener> raftd_;
  std::unique_ptr<net::Listener> storaged_;
};

class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~HttpClient() { close(fd_); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  void Send(const std::string& bytes) {
    ASSERT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  /// False at the end of the stream.
  bool Receive() {
    char bytes[65536];
    const ssize_t got = recv(fd_, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got > 0) received.append(bytes, static_cast<std::size_t>(got));
    return got != 0;
  }
  void EndOutput() { shutdown(fd_, SHUT_WR); }
  std::string received;

 private:
  int fd_;
};

/// A new node's folder, and the working directory while it lives: ipc paths are relative.
class WorkingDirectory {
 public:
  WorkingDirectory() : before_(std::filesystem::current_path()) {
    std::string pattern = std::filesystem::temp_directory_path() / "routerd-test-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    std::filesystem::create_directory(directory_ / "run");
    std::filesystem::current_path(directory_);
  }
  ~WorkingDirectory() {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(directory_);
  }
  WorkingDirectory(const WorkingDirectory&) = delete;
  WorkingDirectory& operator=(const WorkingDirectory&) = delete;

 private:
  std::filesystem::path before_;
  std::filesystem::path directory_;
};

class RouterServerTest : public testing::Test {
 protected:
  void Start(std::uint64_t stop_ms = 10'000) {
    ServerOptions options;
    options.node = NodeId(1);
    options.cluster = kCluster;
    options.boot = BootId(0xB007);
    options.session = SessionId(0x5E55);
    config::Member member;
    member.id = NodeId(1);
    options.members = {member};
    if (!other_router.empty()) {
      member.id = NodeId(2);
      member.raft = "ipc://run/raftd2.sock";
      member.storage = "ipc://run/storaged2.sock";
      member.client = other_router;
      options.members.push_back(member);
    }
    options.http = {{"127.0.0.1", 0}};
    options.client_endpoints = {config::kRouterdIpc};
    options.stop_ms = stop_ms;
    auto server = RouterServer::Start(loop_, context_, clock_, options);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
  }
  void RunUntil(const std::function<bool()>& done) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "hangs";
      loop_.RunReady();
    }
  }
  std::uint16_t port() { return server_->http_ports().at(0); }
  std::string Ask(const std::string& request, const std::string& until) {
    HttpClient client(port());
    client.Send(request);
    RunUntil([&] {
      client.Receive();
      return client.received.find(until) != std::string::npos;
    });
    return client.received;
  }
  /// What a client over ZeroMQ gets for this message, which it sends with request 5 and 5 s.
  proto::Packet AskOverZeroMq(const proto::Message& message) {
    std::vector<proto::Packet> received;
    auto link = net::Link::Connect(loop_, context_, config::kRouterdIpc, "client-1",
                                   [&received](const Bytes& bytes) {
                                     const auto frame = proto::DecodeFrame(bytes);
                                     ASSERT_TRUE(frame.ok());
                                     for (const auto& packet : frame->packets) {
                                       received.push_back(packet);
                                     }
                                   });
    if (!link.ok()) {
      ADD_FAILURE() << link.status().ToString();
      return {};
    }
    proto::FrameWriter writer((proto::FrameHeader()));
    writer.Add(RequestId(5), 5000, message);
    const std::string frame = writer.Finish();
    bool sent = false;
    RunUntil([&] {
      sent = sent || (*link)->Send(frame);  // not before the link is up
      return !received.empty();
    });
    return received.empty() ? proto::Packet() : std::move(received.front());
  }

  std::string other_router;  // the client endpoint of a second member
  WorkingDirectory directory_;
  net::EventLoop loop_;
  net::MessageContext context_;
  PosixClock clock_;
  FakeNode node_{loop_, context_, NodeId(1), config::kRaftdIpc, config::kStoragedIpc};
  std::unique_ptr<RouterServer> server_;
};

constexpr const char* kPut = "PUT /put?key=k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nvalue";
constexpr const char* kGet = "GET /get?key=k HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(RouterServerTest, AWriteGoesOneWayRoundAndAReadSeesIt) {
  Start();
  EXPECT_THAT(Ask(kPut, "\r\n\r\n"),
              testing::AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("X-Bedrock-Version: 11")));
  EXPECT_EQ(node_.data.at("k"), "value");
  EXPECT_EQ(node_.routers.at(0), "routerd/n1/000000000000b007");
  EXPECT_THAT(Ask(kGet, "\r\n\r\nvalue"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(node_.read_index_queries, 1U);
}

TEST_F(RouterServerTest, PipelinedReadsShareAReadIndex) {
  Start();
  Ask(kPut, "\r\n\r\n");
  HttpClient client(port());
  std::string many;
  for (int i = 0; i < 20; ++i) many += kGet;
  client.Send(many);
  RunUntil([&] {
    client.Receive();
    std::size_t values = 0;
    for (std::size_t at = 0; (at = client.received.find("\r\n\r\nvalue", at)) != std::string::npos;
         ++at) {
      ++values;
    }
    return values == 20;
  });
  EXPECT_LE(node_.read_index_queries, 3U) << "20 reads that came together";
}

TEST_F(RouterServerTest, AClientOverZeroMqReachesTheSameCore) {
  Start();
  proto::Command command;
  command.session = SessionId(99);
  command.sequence = 1;
  command.operations.push_back({proto::Operation::Kind::kPut, "k", "from zeromq"});
  const proto::Packet reply =
      AskOverZeroMq(proto::ClientWrite{Bytes(proto::EncodeCommand(command))});
  EXPECT_EQ(reply.request, RequestId(5));
  EXPECT_EQ(std::get<proto::ClientWriteReply>(reply.message).version, Version(11));
  EXPECT_EQ(node_.data.at("k"), "from zeromq");
}

TEST_F(RouterServerTest, AStepOfAnotherRoutersTransactionGoesThereAndBack) {
  other_router = "ipc://run/other_routerd.sock";
  std::vector<proto::Frame> passed_on;
  std::unique_ptr<net::Listener> other;
  auto bound = net::Listener::Bind(loop_, context_, {other_router},
                                   [&](std::string_view from, const Bytes& bytes) {
                                     auto frame = proto::DecodeFrame(bytes);
                                     ASSERT_TRUE(frame.ok());
                                     proto::FrameHeader header;
                                     header.cluster = kCluster;
                                     header.node = NodeId(2);
                                     proto::FrameWriter writer(header);
                                     proto::ClientTransactionReply reply;
                                     reply.version = Version(77);
                                     writer.Add(frame->packets.at(0).request, 0, reply);
                                     static_cast<void>(other->Send(from, writer.Finish()));
                                     passed_on.push_back(*std::move(frame));
                                   });
  ASSERT_TRUE(bound.ok());
  other = *std::move(bound);
  Start();
  proto::ClientTransaction commit;
  commit.action = proto::ClientTransaction::Action::kCommit;
  commit.id = "n2-00000000000000cc-5";
  const proto::Packet reply = AskOverZeroMq(commit);
  EXPECT_EQ(std::get<proto::ClientTransactionReply>(reply.message).version, Version(77));
  ASSERT_GE(passed_on.size(), 1U);
  EXPECT_EQ(passed_on[0].header.node, NodeId(1)) << "so that it is not passed on again";
  EXPECT_EQ(std::get<proto::ClientTransaction>(passed_on[0].packets[0].message).id, commit.id);
  EXPECT_LE(passed_on[0].packets[0].timeout_ms, 5000U);
  EXPECT_GT(passed_on[0].packets[0].timeout_ms, 0U);
}

TEST_F(RouterServerTest, TheClusterShowsTheNode) {
  Start();
  Ask(kPut, "\r\n\r\n");
  const std::string reply = Ask("GET /v1/cluster HTTP/1.1\r\nHost: h\r\n\r\n", "members");
  EXPECT_THAT(reply, HasSubstr("\"leader\":\"n1\""));
  EXPECT_THAT(reply, HasSubstr("\"state\":\"leader\""));
}

TEST_F(RouterServerTest, NodesThatJoinAreLinkedAndThoseThatLeaveAreLetGo) {
  FakeNode other(loop_, context_, NodeId(2), "ipc://run/raftd2.sock", "ipc://run/storaged2.sock");
  Start();
  RunUntil([&] { return node_.status_queries > 1; });
  EXPECT_EQ(other.status_queries, 0U) << "the flags do not name it";
  proto::MemberStatus self;
  self.id = NodeId(1);
  proto::MemberStatus joined;
  joined.id = NodeId(2);
  joined.raft = "ipc://run/raftd2.sock";
  joined.storage = "ipc://run/storaged2.sock";
  joined.http = "h2:8080";
  node_.members = {self, joined};
  RunUntil([&] { return other.status_queries > 1; });
  EXPECT_THAT(Ask("GET /v1/cluster HTTP/1.1\r\nHost: h\r\n\r\n", "members"),
              HasSubstr("\"id\":\"n2\""));
  node_.members = {self};
  RunUntil([&] {
    return Ask("GET /v1/cluster HTTP/1.1\r\nHost: h\r\n\r\n", "members").find("\"n2\"") ==
           std::string::npos;
  });
  const std::size_t asked = other.status_queries;
  const std::size_t rounds = node_.status_queries;
  RunUntil([&] { return node_.status_queries > rounds + 2; });
  EXPECT_LE(other.status_queries, asked + 1) << "one may have been on its way";
}

TEST_F(RouterServerTest, AnotherClustersAnswersAreIgnored) {
  node_.cluster = ClusterId(8);  // its statuses: no leader is ever learned
  Start();
  const std::string reply =
      Ask("PUT /put?key=k&timeout=400ms HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nv",
          "\"outcome\"");
  EXPECT_THAT(reply, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(reply, HasSubstr("\"code\":\"no_leader\""));
  EXPECT_THAT(reply, HasSubstr("\"outcome\":\"none\""));
  EXPECT_TRUE(node_.data.empty());
}

TEST_F(RouterServerTest, AStopFinishesWhatRuns) {
  Start();
  Ask(kPut, "\r\n\r\n");
  node_.answers = false;
  HttpClient client(port());
  client.Send("GET /get?key=k&timeout=500ms HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::size_t queries = node_.read_index_queries;
  RunUntil([&] { return node_.read_index_queries > queries; });
  loop_.Post([this] { server_->BeginStop(); });
  loop_.Every(5, [&client] {  // the client closes its side once the server has closed its own
    if (!client.Receive()) client.EndOutput();
  });
  loop_.Run();  // returns only because the server stops it
  EXPECT_THAT(client.received, HasSubstr("Connection: close"));
  EXPECT_THAT(client.received, HasSubstr("deadline_exceeded"));
}

TEST_F(RouterServerTest, AStopDoesNotWaitForEver) {
  Start(300);
  Ask(kPut, "\r\n\r\n");
  node_.answers = false;
  HttpClient client(port());
  client.Send("GET /get?key=k&timeout=60s HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::size_t queries = node_.read_index_queries;
  RunUntil([&] { return node_.read_index_queries > queries; });
  loop_.Post([this] { server_->BeginStop(); });
  loop_.Run();
  EXPECT_EQ(client.received, "");
}

TEST_F(RouterServerTest, ATakenAddressIsAnError) {
  Start();
  ServerOptions options;
  options.node = NodeId(1);
  options.cluster = kCluster;
  options.session = SessionId(1);
  config::Member member;
  member.id = NodeId(1);
  options.members = {member};
  options.http = {{"127.0.0.1", port()}};
  options.client_endpoints = {"ipc://run/other.sock"};
  EXPECT_FALSE(RouterServer::Start(loop_, context_, clock_, options).ok());
}

}  // namespace
}  // namespace bedrock::router
