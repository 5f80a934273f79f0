#include "routerd/http/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/routerd/http/fake_gateway.h"

namespace bedrock::router {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

/// A client's socket, driven by hand.
class Client {
 public:
  explicit Client(std::uint16_t port, int family = AF_INET) : fd_(socket(family, SOCK_STREAM, 0)) {
    sockaddr_storage address{};
    socklen_t length = 0;
    if (family == AF_INET) {
      auto* v4 = reinterpret_cast<sockaddr_in*>(&address);
      v4->sin_family = AF_INET;
      v4->sin_port = htons(port);
      v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      length = sizeof(*v4);
    } else {
      auto* v6 = reinterpret_cast<sockaddr_in6*>(&address);
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(port);
      v6->sin6_addr = in6addr_loopback;
      length = sizeof(*v6);
    }
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), length) == 0;
  }
  ~Client() { Close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void Send(const std::string& bytes) {
    ASSERT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void EndOutput() { shutdown(fd_, SHUT_WR); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  /// Takes what is there. False at the end of the stream.
  bool Receive() {
    char bytes[65536];
    const ssize_t got = recv(fd_, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (got > 0) received.append(bytes, static_cast<std::size_t>(got));
    if (got < 0 && errno != EAGAIN) reset = true;
    return !(got == 0 || reset);
  }

  std::string received;
  bool reset = false;

 private:
  int fd_;
  bool connected_ = false;
};

std::string Get(const std::string& target) {
  return "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

class HttpServerTest : public testing::Test {
 protected:
  void Listen(HttpOptions options = {}) {
    if (options.listen.empty()) options.listen = {{"127.0.0.1", 0}};
    options.node = NodeId(1);
    options.cluster = ClusterId(7);
    options.boot = BootId(9);
    auto server = HttpServer::Listen(loop_, clock_, gateway_, options);
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = *std::move(server);
    loop_.AtTurnEnd([this] {
      if (server_) server_->Flush();
    });
  }
  std::uint16_t port() const { return server_->ports().at(0); }

  /// Runs the loop until `done`; only a hang ends it otherwise.
  void RunUntil(const std::function<bool()>& done) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up) << "hangs";
      loop_.RunReady();
    }
  }
  void RunUntilAsked(std::size_t count) {
    RunUntil([&] { return gateway_.asked.size() >= count; });
  }
  void RunUntilReceived(Client& client, const std::string& text) {
    RunUntil([&] {
      client.Receive();
      return client.received.find(text) != std::string::npos;
    });
  }
  void RunUntilClosed(Client& client) {
    RunUntil([&] { return !client.Receive(); });
  }
  /// From outside the loop, as a turn of the real shell does it.
  void Complete(const Completion& completion) {
    loop_.Post([this, completion] { server_->Complete(completion); });
  }

  net::EventLoop loop_;
  FakeClock clock_;
  FakeGateway gateway_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersOverASocketAndKeepsIt) {
  Listen();
  Client client(port());
  client.Send("PUT /put?key=k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nvalue");
  RunUntilAsked(1);
  EXPECT_EQ(gateway_.asked[0].value, "value");
  Complete(FakeGateway::Committed(gateway_.asked[0], Version(3)));
  RunUntilReceived(client, "X-Bedrock-Version: 3");
  client.Send(Get("/get?key=k"));
  RunUntilAsked(2);
  Complete(FakeGateway::Found(gateway_.asked[1], "value", Version(3)));
  RunUntilReceived(client, "\r\n\r\nvalue");
  EXPECT_EQ(server_->connections(), 1U);
}

TEST_F(HttpServerTest, ListensOnIpv4AndIpv6) {
  HttpOptions options;
  options.listen = {{"*", 0}};
  Listen(options);
  Client four(port());
  four.Send(Get("/livez"));
  RunUntilReceived(four, "ok\n");
  if (server_->ports().size() < 2) GTEST_SKIP() << "this machine has no IPv6";
  EXPECT_EQ(server_->ports()[1], port());
  Client six(port(), AF_INET6);
  if (!six.connected()) GTEST_SKIP() << "this machine has no IPv6 loopback";
  six.Send(Get("/livez"));
  RunUntilReceived(six, "ok\n");
}

TEST_F(HttpServerTest, ATakenPortIsAnError) {
  Listen();
  HttpOptions options;
  options.listen = {{"127.0.0.1", port()}};
  const auto second = HttpServer::Listen(loop_, clock_, gateway_, options);
  ASSERT_FALSE(second.ok());
  EXPECT_TRUE(second.status().IsUnavailable());
}

TEST_F(HttpServerTest, ReadsARequestThatComesByteByByte) {
  Listen();
  Client client(port());
  const std::string request =
      "PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n0\r\n\r\n";
  for (const char byte : request) {
    client.Send(std::string(1, byte));
    loop_.RunReady();
  }
  RunUntilAsked(1);
  EXPECT_EQ(gateway_.asked[0].value, "abc");
}

TEST_F(HttpServerTest, SendsAValueLargerThanTheSocketTakesAtOnce) {
  Listen();
  Client client(port());
  client.Send(Get("/v1/kv/k") + Get("/livez"));
  RunUntilAsked(1);
  std::string value(8 * kMiB, 'x');
  value += "end";
  Complete(FakeGateway::Found(gateway_.asked[0], value, Version(1)));
  loop_.RunReady();  // nobody reads: the server must wait, not spin or drop
  RunUntilReceived(client, "ok\n");
  EXPECT_THAT(client.received, HasSubstr("xendHTTP/1.1 200 OK"));
}

TEST_F(HttpServerTest, ARefusedUploadGetsItsReplyAndNotAReset) {
  Listen();
  Client client(port());
  client.Send("PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 16777217\r\n\r\n" +
              std::string(300'000, 'x'));
  RunUntilReceived(client, "value_too_large");
  client.EndOutput();
  RunUntilClosed(client);
  EXPECT_FALSE(client.reset);
  EXPECT_THAT(client.received, StartsWith("HTTP/1.1 413"));
  RunUntil([&] { return server_->connections() == 0; });
}

TEST_F(HttpServerTest, WhoDoesNotCloseAfterTheLastReplyIsClosed) {
  Listen();
  Client client(port());
  client.Send("GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  RunUntilClosed(client);  // our side has ended
  EXPECT_THAT(client.received, EndsWith("ok\n"));
  EXPECT_EQ(server_->connections(), 1U);
  server_->CheckTimeouts(clock_.now_ms + HttpOptions().linger_ms + 1);
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(HttpServerTest, AClientThatEndsItsOutputStillGetsItsReplies) {
  Listen();
  Client client(port());
  client.Send(Get("/v1/kv/k"));
  client.EndOutput();
  RunUntilAsked(1);
  Complete(FakeGateway::Found(gateway_.asked[0], "value", Version(1)));
  RunUntilClosed(client);
  EXPECT_THAT(client.received, EndsWith("value"));
}

TEST_F(HttpServerTest, ACompletionForAConnectionThatIsGoneIsDropped) {
  Listen();
  {
    Client client(port());
    client.Send(Get("/v1/kv/k"));
    RunUntilAsked(1);
  }
  server_->CheckTimeouts(clock_.now_ms);
  Complete(FakeGateway::Found(gateway_.asked[0], "value", Version(1)));
  RunUntil([&] { return server_->connections() == 0; });
}

struct Slow {
  const char* name;
  const char* sent;
  std::uint64_t HttpOptions::*limit;
};

class SlowClientTest : public HttpServerTest, public testing::WithParamInterface<Slow> {};

TEST_P(SlowClientTest, IsClosedAfterItsTimeAndNotBefore) {
  const HttpOptions options;
  Listen();
  Client client(port());
  RunUntil([&] { return server_->connections() == 1; });
  client.Send(Get("/livez") + GetParam().sent);
  RunUntilReceived(client, "ok\n");
  const std::uint64_t limit = options.*GetParam().limit;
  server_->CheckTimeouts(clock_.now_ms + limit);
  EXPECT_EQ(server_->connections(), 1U);
  server_->CheckTimeouts(clock_.now_ms + limit + 1);
  EXPECT_EQ(server_->connections(), 0U);
  RunUntilClosed(client);
}

INSTANTIATE_TEST_SUITE_P(
    Phases, SlowClientTest,
    testing::Values(Slow{"Idle", "", &HttpOptions::idle_ms},
                    Slow{"InItsHead", "GET /livez HTTP/1.1\r\nHo", &HttpOptions::head_ms},
                    Slow{"InItsBody",
                         "PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nval",
                         &HttpOptions::body_ms}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_F(HttpServerTest, TricklingBytesDoesNotStretchTheHeadsTime) {
  Listen();
  Client client(port());
  const std::uint64_t begin = clock_.now_ms;
  const std::string head = "GET /livez HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
  for (const char byte : head) {
    if (server_->connections() == 0 && clock_.now_ms > begin) break;
    client.Send(std::string(1, byte));
    loop_.RunReady();
    clock_.now_ms += 500;
    server_->CheckTimeouts(clock_.now_ms);
  }
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(HttpServerTest, WhoTakesNothingOfItsReplyIsClosed) {
  Listen();
  Client client(port());
  client.Send(Get("/v1/kv/k"));
  RunUntilAsked(1);
  Complete(FakeGateway::Found(gateway_.asked[0], std::string(64 * kMiB, 'x'), Version(1)));
  loop_.RunReady();
  server_->CheckTimeouts(clock_.now_ms + HttpOptions().write_ms);
  EXPECT_EQ(server_->connections(), 1U);
  server_->CheckTimeouts(clock_.now_ms + HttpOptions().write_ms + 1);
  EXPECT_EQ(server_->connections(), 0U);
}

TEST_F(HttpServerTest, ARequestThatTheCoreWorksOnHasNoTimeoutHere) {
  Listen();
  Client client(port());
  client.Send(Get("/v1/kv/k"));
  RunUntilAsked(1);
  server_->CheckTimeouts(clock_.now_ms + 1'000'000);
  EXPECT_EQ(server_->connections(), 1U);
}

TEST_F(HttpServerTest, ConnectionsAreBounded) {
  HttpOptions options;
  options.connections_max = 2;
  Listen(options);
  Client one(port());
  Client two(port());
  RunUntil([&] { return server_->connections() == 2; });
  Client three(port());
  RunUntilClosed(three);
  EXPECT_THAT(three.received, StartsWith("HTTP/1.1 429"));
  EXPECT_THAT(three.received, HasSubstr("X-Bedrock-Request-Id: "));
  EXPECT_THAT(three.received, HasSubstr("Retry-After: 1\r\n"));
  one.Close();
  RunUntil([&] { return server_->connections() == 1; });
  Client four(port());
  four.Send(Get("/livez"));
  RunUntilReceived(four, "ok\n");
}

TEST_F(HttpServerTest, ShutdownFinishesWhatRunsAndClosesWhatIsIdle) {
  Listen();
  Client idle(port());
  Client busy(port());
  busy.Send(Get("/v1/kv/k"));
  RunUntilAsked(1);
  RunUntil([&] { return server_->connections() == 2; });
  const std::uint16_t listened = port();
  loop_.Post([this] { server_->Shutdown(); });
  RunUntilClosed(idle);
  EXPECT_EQ(server_->connections(), 1U) << "an idle client must not hold up the end";
  EXPECT_FALSE(Client(listened).connected());
  Complete(FakeGateway::Found(gateway_.asked[0], "value", Version(1)));
  RunUntilClosed(busy);
  EXPECT_THAT(busy.received, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(busy.received, EndsWith("value"));
}

TEST_F(HttpServerTest, MayBeDestroyedWhileClientsAreConnected) {
  Listen();
  Client client(port());
  client.Send(Get("/v1/kv/k"));
  RunUntilAsked(1);
  server_.reset();
  loop_.RunReady();
  RunUntilClosed(client);
}

}  // namespace
}  // namespace bedrock::router
