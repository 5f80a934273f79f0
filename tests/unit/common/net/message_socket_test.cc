#include "common/net/message_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <zmq.hpp>

namespace bedrock::net {
namespace {

using ::testing::ElementsAre;

/// A folder of its own, and the working directory moved there: ipc paths are relative.
class MessageSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/bedrock-net-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    std::filesystem::current_path(directory_);
    std::filesystem::create_directory("run");
  }
  void TearDown() override {
    std::filesystem::current_path("/");
    std::filesystem::remove_all(directory_);
  }

  std::unique_ptr<Listener> Bind(const std::string& endpoint, Listener::Handler handler) {
    auto listener = Listener::Bind(loop_, context_, {endpoint}, std::move(handler));
    EXPECT_TRUE(listener.ok()) << listener.status().ToString();
    return listener.ok() ? std::move(listener).value() : nullptr;
  }
  std::unique_ptr<Link> Connect(const std::string& endpoint, const std::string& id,
                                Link::Handler handler) {
    auto link = Link::Connect(loop_, context_, endpoint, id, std::move(handler));
    EXPECT_TRUE(link.ok()) << link.status().ToString();
    return link.ok() ? std::move(link).value() : nullptr;
  }

  /// Runs the loop until `done`, looking every millisecond. False after half a minute.
  bool RunUntil(const std::function<bool()>& done) {
    bool held = false;
    const TimerId look = loop_.Every(1, [&] {
      held = done();
      if (held) loop_.Stop();
    });
    const TimerId limit = loop_.After(30'000, [&] { loop_.Stop(); });
    loop_.Run();
    loop_.Cancel(look);
    loop_.Cancel(limit);
    return held;
  }

  /// Sends until the link is up and takes it.
  bool SendWhenConnected(Link& link, const std::string& frame) {
    return RunUntil([&] { return link.Send(frame); });
  }

  std::string directory_;
  MessageContext context_;
  EventLoop loop_;
};

/// A free tcp port, as far as anyone can know.
std::string FreeTcpEndpoint() {
  zmq::context_t context{1};
  zmq::socket_t socket(context, zmq::socket_type::router);
  socket.bind("tcp://127.0.0.1:*");
  return socket.get(zmq::sockopt::last_endpoint);
}

class TransportTest : public MessageSocketTest, public ::testing::WithParamInterface<const char*> {
 protected:
  std::string Endpoint() {
    return std::string(GetParam()) == "tcp" ? FreeTcpEndpoint() : "ipc://run/test.sock";
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, TransportTest, ::testing::Values("ipc", "tcp"));

TEST_P(TransportTest, AFrameGoesThereAndBack) {
  const std::string endpoint = Endpoint();
  std::unique_ptr<Listener> listener;
  std::vector<std::string> heard;
  listener = Bind(endpoint, [&](std::string_view from, Bytes frame) {
    heard.push_back(std::string(from) + " " + std::string(frame.view()));
    EXPECT_TRUE(listener->Send(from, "echo " + std::string(frame.view())));
  });
  std::vector<std::string> answers;
  auto link =
      Connect(endpoint, "raftd/n1/7", [&](Bytes frame) { answers.emplace_back(frame.view()); });
  ASSERT_TRUE(SendWhenConnected(*link, "hello"));
  ASSERT_TRUE(RunUntil([&] { return !answers.empty(); }));
  EXPECT_THAT(heard, ElementsAre("raftd/n1/7 hello"));
  EXPECT_THAT(answers, ElementsAre("echo hello"));
}

TEST_P(TransportTest, FramesKeepTheirOrderAndBytesWhateverTheirSize) {
  const std::string endpoint = Endpoint();
  std::vector<Bytes> heard;  // kept beyond the handler: each owns its message
  auto listener = Bind(endpoint, [&](std::string_view, Bytes frame) { heard.push_back(frame); });
  auto link = Connect(endpoint, "a", [](Bytes) {});
  std::vector<std::string> sent;
  for (const std::size_t size : {0UL, 1UL, 30UL, 64UL << 10, (64UL << 10) + 1, 4UL << 20}) {
    sent.emplace_back(size, static_cast<char>('a' + sent.size()));
  }
  ASSERT_TRUE(SendWhenConnected(*link, sent[0]));
  for (std::size_t i = 1; i < sent.size(); ++i) ASSERT_TRUE(link->Send(sent[i]));
  ASSERT_TRUE(RunUntil([&] { return heard.size() == sent.size(); }));
  for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(heard[i].view(), sent[i]) << i;
}

TEST_P(TransportTest, AKeptSmallFrameCostsItsSizeAndNotTheReadThatBroughtIt) {
  if (::mallinfo2().uordblks == 0) GTEST_SKIP() << "this build's allocator does not count";
  constexpr std::size_t kFrames = 200;
  const std::string endpoint = Endpoint();
  std::vector<Bytes> heard;
  auto listener = Bind(endpoint, [&](std::string_view, Bytes frame) { heard.push_back(frame); });
  auto link = Connect(endpoint, "a", [](Bytes) {});
  ASSERT_TRUE(SendWhenConnected(*link, std::string(100, 'a')));
  ASSERT_TRUE(RunUntil([&] { return heard.size() == 1; }));
  const std::size_t before = ::mallinfo2().uordblks;
  for (std::size_t i = 1; i <= kFrames; ++i) {  // one at a time, so that each is a read of its own
    ASSERT_TRUE(link->Send(std::string(100, 'a')));
    ASSERT_TRUE(RunUntil([&] { return heard.size() == i + 1; }));
  }
  EXPECT_LT(::mallinfo2().uordblks, before + kFrames * 2048);
}

/// Two processes' worth of loops, each in a thread of its own, each gathering what it heard and
/// answering at the end of its turn, as the daemons do. A send handles the socket's internal
/// commands and with them swallows the edge of ZMQ_FD: messages wait and no event will ever tell.
///
/// Only the drain after the last send finds them. Tried once with that re-check disabled
/// (SocketInLoop::Send not setting touched_): of 30,000 messages with 16 in flight over ipc, seven
/// were left waiting for the safety check, each of which would have been a hang without it.
class PingPong {
 public:
  PingPong(const std::string& endpoint, int window, int messages)
      : endpoint_(endpoint), window_(window), messages_(messages) {}

  void Serve() {
    MessageContext context;
    std::vector<std::pair<std::string, std::string>> replies;
    auto bound = Listener::Bind(
        server_loop_, context, {endpoint_},
        [&](std::string_view from, Bytes frame) { replies.emplace_back(from, frame.view()); });
    ASSERT_TRUE(bound.ok()) << bound.status().ToString();
    server_loop_.AtTurnEnd([&] {
      // Refused at the end, when the client has all it wanted and is gone. A loss before that shows
      // as an answer that never comes.
      for (auto& [to, frame] : replies) static_cast<void>((*bound)->Send(to, std::move(frame)));
      replies.clear();
    });
    server_loop_.Run();
  }

  void Ask() {
    MessageContext context;
    int to_send = 0;
    std::unique_ptr<Link> link;
    auto connected = Link::Connect(client_loop_, context, endpoint_, "client", [&](Bytes) {
      ++answered_;
      ++to_send;
    });
    ASSERT_TRUE(connected.ok()) << connected.status().ToString();
    link = std::move(connected).value();
    bool up = false;
    const TimerId first = client_loop_.Every(5, [&] {
      if (!up && link->Send("0")) {
        up = true;
        to_send = window_ - 1;
      }
    });
    client_loop_.AtTurnEnd([&] {
      if (answered_ >= messages_) return client_loop_.Stop();
      for (; to_send > 0 && up; --to_send) EXPECT_TRUE(link->Send(std::string(64, 'x')));
    });
    client_loop_.After(50'000, [&] { client_loop_.Stop(); });
    client_loop_.Run();
    client_loop_.Cancel(first);
    server_loop_.Stop();
  }

  int answered() const { return answered_; }
  std::uint64_t missed_events() const {
    return client_loop_.missed_events() + server_loop_.missed_events();
  }

 private:
  std::string endpoint_;
  int window_;
  int messages_;
  int answered_ = 0;
  EventLoop client_loop_;
  EventLoop server_loop_;
};

TEST_P(TransportTest, AnsweringAtTheEndOfTheTurnNeverLeavesAMessageUnseen) {
  for (const int window : {1, 2, 16}) {
    constexpr int kMessages = 30'000;
    PingPong game(Endpoint(), window, kMessages);
    std::thread server([&] { game.Serve(); });
    game.Ask();
    server.join();
    EXPECT_GE(game.answered(), kMessages) << "window " << window;
    EXPECT_EQ(game.missed_events(), 0U) << "window " << window;
  }
}

TEST_P(TransportTest, ADownPeerGetsNothingAndItsSuccessorNothingStale) {
  const std::string endpoint = Endpoint();
  std::vector<std::string> heard;
  const auto hear = [&](std::string_view, Bytes frame) { heard.emplace_back(frame.view()); };
  auto link = Connect(endpoint, "a", [](Bytes) {});
  EXPECT_FALSE(link->Send("before any peer"));

  auto listener = Bind(endpoint, hear);
  ASSERT_TRUE(SendWhenConnected(*link, "first life"));
  ASSERT_TRUE(RunUntil([&] { return heard.size() == 1; }));
  listener.reset();
  ASSERT_TRUE(RunUntil([&] { return !link->Send("to the dead"); }));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(link->Send("to the dead"));

  heard.clear();
  listener = Bind(endpoint, hear);
  ASSERT_TRUE(SendWhenConnected(*link, "second life"));
  ASSERT_TRUE(RunUntil([&] { return !heard.empty(); }));
  EXPECT_THAT(heard, ElementsAre("second life"));
}

TEST_F(MessageSocketTest, SendingToAnUnknownPeerIsRefused) {
  auto listener = Bind("ipc://run/test.sock", [](std::string_view, Bytes) {});
  EXPECT_FALSE(listener->Send("nobody", "hello"));
}

TEST_F(MessageSocketTest, AGonePeerIsRefusedAndTheListenerServesTheOthers) {
  std::vector<std::string> heard;
  auto listener =
      Bind("ipc://run/test.sock", [&](std::string_view from, Bytes) { heard.emplace_back(from); });
  auto gone = Connect("ipc://run/test.sock", "gone", [](Bytes) {});
  int answers = 0;
  auto stays = Connect("ipc://run/test.sock", "stays", [&](Bytes) { ++answers; });
  ASSERT_TRUE(SendWhenConnected(*gone, "x"));
  ASSERT_TRUE(SendWhenConnected(*stays, "x"));
  ASSERT_TRUE(RunUntil([&] { return heard.size() == 2; }));
  gone.reset();
  EXPECT_TRUE(RunUntil([&] { return !listener->Send("gone", "x"); }));
  EXPECT_TRUE(listener->Send("stays", "x"));
  EXPECT_TRUE(RunUntil([&] { return answers == 1; }));
}

TEST_F(MessageSocketTest, ANewcomerWithTheSameRoutingIdTakesOver) {
  std::vector<std::string> heard;
  auto listener = Bind("ipc://run/test.sock",
                       [&](std::string_view, Bytes frame) { heard.emplace_back(frame.view()); });
  auto old_link = Connect("ipc://run/test.sock", "same", [](Bytes) { FAIL(); });
  ASSERT_TRUE(SendWhenConnected(*old_link, "old"));
  ASSERT_TRUE(RunUntil([&] { return heard.size() == 1; }));
  int answers = 0;
  auto new_link = Connect("ipc://run/test.sock", "same", [&](Bytes) { ++answers; });
  ASSERT_TRUE(RunUntil([&] {
    static_cast<void>(new_link->Send("new"));
    return heard.back() == "new";
  }));
  EXPECT_TRUE(listener->Send("same", "answer"));
  EXPECT_TRUE(RunUntil([&] { return answers == 1; }));
}

TEST_F(MessageSocketTest, AnOversizeMessageCostsItsSenderTheConnectionAndNothingElse) {
  std::vector<std::size_t> heard;
  auto listener = Bind("ipc://run/test.sock",
                       [&](std::string_view, Bytes frame) { heard.push_back(frame.size()); });
  auto hostile = Connect("ipc://run/test.sock", "hostile", [](Bytes) {});
  ASSERT_TRUE(SendWhenConnected(*hostile, std::string(kMessageBytesMax + 1, 'x')));
  auto honest = Connect("ipc://run/test.sock", "honest", [](Bytes) {});
  ASSERT_TRUE(SendWhenConnected(*honest, "hello"));
  ASSERT_TRUE(RunUntil([&] { return !heard.empty(); }));
  EXPECT_THAT(heard, ElementsAre(5U));
}

TEST_F(MessageSocketTest, MessagesOfSeveralFramesAreDroppedWhole) {
  std::vector<std::string> heard;
  auto listener = Bind("ipc://run/test.sock",
                       [&](std::string_view, Bytes frame) { heard.emplace_back(frame.view()); });
  zmq::context_t context{1};
  zmq::socket_t raw(context, zmq::socket_type::dealer);
  raw.connect("ipc://run/test.sock");
  raw.send(zmq::str_buffer("part"), zmq::send_flags::sndmore);
  raw.send(zmq::str_buffer("part"), zmq::send_flags::sndmore);
  raw.send(zmq::str_buffer("part"), zmq::send_flags::none);
  raw.send(zmq::str_buffer("whole"), zmq::send_flags::none);
  ASSERT_TRUE(RunUntil([&] { return !heard.empty(); }));
  EXPECT_THAT(heard, ElementsAre("whole"));
}

TEST_F(MessageSocketTest, ATakenEndpointIsUnavailable) {
  const std::string tcp = FreeTcpEndpoint();
  for (const std::string& endpoint : {tcp, std::string("ipc://run/test.sock")}) {
    auto first = Bind(endpoint, [](std::string_view, Bytes) {});
    const auto second = Listener::Bind(loop_, context_, {endpoint}, [](std::string_view, Bytes) {});
    EXPECT_TRUE(second.status().IsUnavailable()) << second.status().ToString();
    EXPECT_THAT(second.status().ToString(), ::testing::HasSubstr(endpoint));
  }
}

TEST_F(MessageSocketTest, ASocketFileThatACrashLeftBehindIsReplaced) {
  {
    zmq::context_t context{1};
    zmq::socket_t raw(context, zmq::socket_type::router);
    raw.bind("ipc://run/test.sock");
    // What is left when the process dies without closing: the file, and nobody behind it.
    std::filesystem::rename("run/test.sock", "run/kept.sock");
  }
  std::filesystem::rename("run/kept.sock", "run/test.sock");
  ASSERT_TRUE(std::filesystem::exists("run/test.sock"));
  int heard = 0;
  auto listener = Bind("ipc://run/test.sock", [&](std::string_view, Bytes) { ++heard; });
  auto link = Connect("ipc://run/test.sock", "a", [](Bytes) {});
  ASSERT_TRUE(SendWhenConnected(*link, "x"));
  EXPECT_TRUE(RunUntil([&] { return heard == 1; }));
}

TEST_F(MessageSocketTest, BadEndpointsAreRefusedWithTheirName) {
  const auto bound = Listener::Bind(loop_, context_, {"ipc://no/such/folder.sock"},
                                    [](std::string_view, Bytes) {});
  EXPECT_TRUE(bound.status().IsUnavailable());
  EXPECT_THAT(bound.status().ToString(), ::testing::HasSubstr("ipc://no/such/folder.sock"));
  const auto linked = Link::Connect(loop_, context_, "nonsense", "a", [](Bytes) {});
  EXPECT_FALSE(linked.ok());
}

}  // namespace
}  // namespace bedrock::net
