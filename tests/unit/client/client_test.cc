#include "bedrock/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "common/base/thread_annotations.h"
#include "common/net/event_loop.h"
#include "common/net/message_socket.h"
#include "proto/codec.h"
#include "proto/command.h"

namespace bedrock {
namespace {

using proto::ErrorCode;
using ::testing::HasSubstr;

/// The replicated state behind all fake routers: keys, and what each command was answered.
class FakeStore {
 public:
  proto::ClientWriteReply Execute(const Bytes& bytes) {
    const MutexLock lock(mutex_);
    commands_.emplace_back(bytes.view());
    const proto::Command command = proto::DecodeCommand(bytes.view()).value();
    const auto [known, is_new] = replies_.try_emplace({command.session.value(), command.sequence});
    if (is_new) known->second = Apply(command);
    return known->second;
  }
  proto::ClientGetReply Read(const proto::ClientGet& get) {
    const MutexLock lock(mutex_);
    const auto found = values_.find(std::string(get.key.view()));
    if (found == values_.end()) {
      proto::Error error;
      error.code = ErrorCode::kKeyNotFound;
      return {error, {}, {}, version_};
    }
    return {{}, Bytes::Copy(found->second.first), found->second.second, version_};
  }
  /// Every command that arrived, repeats included.
  std::vector<std::string> commands() {
    const MutexLock lock(mutex_);
    return commands_;
  }
  std::uint64_t applied() {
    const MutexLock lock(mutex_);
    return version_.value();
  }

 private:
  proto::ClientWriteReply Apply(const proto::Command& command) REQUIRES(mutex_) {
    for (const proto::Condition& condition : command.conditions) {
      const auto found = values_.find(std::string(condition.key));
      const Version current = found == values_.end() ? Version() : found->second.second;
      const bool holds =
          condition.kind == proto::Condition::Kind::kVersionEquals
              ? current == condition.version
              : (condition.kind == proto::Condition::Kind::kExists) == static_cast<bool>(current);
      if (!holds) {
        proto::Error error;
        error.code = ErrorCode::kPreconditionFailed;
        return {error, {}, current};
      }
    }
    version_ = version_.Next();
    for (const proto::Operation& operation : command.operations) {
      if (operation.kind == proto::Operation::Kind::kPut) {
        values_[std::string(operation.key)] = {std::string(operation.value), version_};
      } else {
        values_.erase(std::string(operation.key));
      }
    }
    return {{}, version_, {}};
  }

  Mutex mutex_;
  Version version_ GUARDED_BY(mutex_);
  std::map<std::string, std::pair<std::string, Version>> values_ GUARDED_BY(mutex_);
  std::map<std::pair<std::uint64_t, std::uint64_t>, proto::ClientWriteReply> replies_
      GUARDED_BY(mutex_);
  std::vector<std::string> commands_ GUARDED_BY(mutex_);
};

/// A router on a real socket, with a thread of its own.
class FakeRouter {
 public:
  /// What becomes of a message: answered as it should be, or as the script says.
  enum class Deed {
    kServe,
    kServeAndLoseTheAnswer,
    kIgnore,
    kRefuseOverloaded,
    kRefuseWrongCluster
  };

  FakeRouter(std::string endpoint, FakeStore& store)
      : endpoint_(std::move(endpoint)), store_(store) {
    std::promise<Status> bound;
    thread_ = std::thread([this, &bound] { Run(bound); });
    const Status status = bound.get_future().get();
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  ~FakeRouter() {
    loop_.Stop();
    thread_.join();
  }

  /// The fates of the next messages; when they are used up, `otherwise`.
  void Script(std::deque<Deed> deeds, Deed otherwise = Deed::kServe) {
    const MutexLock lock(mutex_);
    script_ = std::move(deeds);
    otherwise_ = otherwise;
  }
  int heard() const { return heard_; }
  /// The cluster that the last frame named.
  std::uint64_t cluster_named() const { return cluster_named_; }
  const std::string& endpoint() const { return endpoint_; }

 private:
  void Run(std::promise<Status>& bound) {
    net::MessageContext context;
    auto listener = net::Listener::Bind(
        loop_, context, {endpoint_},
        [this](std::string_view from, Bytes frame) { OnFrame(std::string(from), frame); });
    bound.set_value(listener.status());
    if (!listener.ok()) return;
    listener_ = listener->get();
    loop_.Run();
  }
  void OnFrame(const std::string& from, const Bytes& bytes) {
    const proto::Frame frame = proto::DecodeFrame(bytes).value();
    cluster_named_ = frame.header.cluster.value();
    proto::FrameWriter writer({.cluster = ClusterId(42), .node = NodeId(1), .boot = BootId(1)});
    for (const proto::Packet& packet : frame.packets) {
      ++heard_;
      if (const auto answer = Answer(packet, NextDeed())) writer.Add(packet.request, 0, *answer);
    }
    if (!writer.empty()) listener_->Send(from, writer.Finish());
  }
  Deed NextDeed() {
    const MutexLock lock(mutex_);
    if (script_.empty()) return otherwise_;
    const Deed deed = script_.front();
    script_.pop_front();
    return deed;
  }
  std::optional<proto::Message> Answer(const proto::Packet& packet, Deed deed) {
    proto::Error error;
    if (deed == Deed::kIgnore) return std::nullopt;
    if (deed == Deed::kRefuseWrongCluster) {
      error.code = ErrorCode::kWrongCluster;
      return proto::Refusal{error};
    }
    const auto* write = std::get_if<proto::ClientWrite>(&packet.message);
    if (deed == Deed::kRefuseOverloaded) {
      error.code = ErrorCode::kOverloaded;
      if (write != nullptr) return proto::ClientWriteReply{error, {}, {}};
      return proto::ClientGetReply{error, {}, {}, {}};
    }
    proto::Message answer;
    if (write != nullptr) {
      answer = store_.Execute(write->command);
    } else {
      answer = store_.Read(std::get<proto::ClientGet>(packet.message));
    }
    if (deed == Deed::kServeAndLoseTheAnswer) return std::nullopt;
    return answer;
  }

  const std::string endpoint_;
  FakeStore& store_;
  net::EventLoop loop_;
  net::Listener* listener_ = nullptr;
  std::atomic<int> heard_ = 0;
  std::atomic<std::uint64_t> cluster_named_ = 0;
  Mutex mutex_;
  std::deque<Deed> script_ GUARDED_BY(mutex_);
  Deed otherwise_ GUARDED_BY(mutex_) = Deed::kServe;
  std::thread thread_;
};

class ClientTest : public ::testing::Test {
 protected:
  using Deed = FakeRouter::Deed;

  ClientTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "bedrock_client_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  ~ClientTest() override { std::filesystem::remove_all(directory_); }

  std::string Endpoint(int number) const {
    return "ipc://" + directory_ + "/router" + std::to_string(number);
  }
  std::unique_ptr<FakeRouter> Router(int number) {
    return std::make_unique<FakeRouter>(Endpoint(number), store_);
  }
  std::unique_ptr<Client> Connect(int routers, std::uint64_t attempt_timeout_ms = 10'000,
                                  std::uint64_t deadline_ms = 60'000) {
    ClientOptions options{.deadline_ms = deadline_ms, .attempt_timeout_ms = attempt_timeout_ms};
    options.endpoints.clear();
    for (int i = 1; i <= routers; ++i) options.endpoints.push_back(Endpoint(i));
    return Client::Connect(options).value();
  }

  std::string directory_;
  FakeStore store_;
};

TEST_F(ClientTest, PutsGetsAndDeletes) {
  const auto router = Router(1);
  const auto client = Connect(1);
  EXPECT_EQ(client->Put("k", "value").value(), Version(1));
  std::string value;
  ASSERT_TRUE(client->Get("k", &value).ok());
  EXPECT_EQ(value, "value");
  const VersionedValue versioned = client->GetVersioned("k").value();
  EXPECT_EQ(versioned.value, "value");
  EXPECT_EQ(versioned.version, Version(1));
  EXPECT_EQ(versioned.read_version, Version(1));
  EXPECT_EQ(client->Delete("k").value(), Version(2));
  EXPECT_TRUE(client->Get("k", &value).IsNotFound());
  EXPECT_EQ(value, "value");
}

TEST_F(ClientTest, CarriesAnyBytesAndLargeValues) {
  const auto router = Router(1);
  const auto client = Connect(1);
  const std::string key("\0\xff k", 4);
  const std::string large(8'000'000, '\x7f');
  ASSERT_TRUE(client->Put(key, large).ok());
  EXPECT_EQ(client->GetVersioned(key)->value, large);
  ASSERT_TRUE(client->Put(key, "").ok());
  EXPECT_EQ(client->GetVersioned(key)->value, "");
}

TEST_F(ClientTest, ALostAnswerIsAskedForAgainWithTheSameCommand) {
  const auto router = Router(1);
  router->Script({Deed::kServeAndLoseTheAnswer});
  const auto client = Connect(1, /*attempt_timeout_ms=*/50);
  EXPECT_EQ(client->Put("k", "value").value(), Version(1));
  const std::vector<std::string> commands = store_.commands();
  ASSERT_GE(commands.size(), 2u);
  for (const std::string& command : commands) EXPECT_EQ(command, commands[0]);
  EXPECT_EQ(store_.applied(), 1u);
}

TEST_F(ClientTest, AnotherRouterGivesTheAnswerThatTheFirstOneLost) {
  const auto first = Router(1);
  const auto client = Connect(2, /*attempt_timeout_ms=*/50);
  ASSERT_TRUE(client->Put("k", "1").ok());  // calls begin at the first from now on
  first->Script({}, Deed::kServeAndLoseTheAnswer);
  const auto second = Router(2);
  EXPECT_EQ(client->Put("k", "2").value(), Version(2));
  EXPECT_EQ(store_.applied(), 2u);
  EXPECT_GE(first->heard(), 2);
  EXPECT_GE(second->heard(), 1);
}

TEST_F(ClientTest, FailsOverWhereARouterIsDown) {
  const auto second = Router(2);
  const auto client = Connect(2);
  EXPECT_TRUE(client->Put("k", "value").ok());
}

TEST_F(ClientTest, GoesOnWhereARouterDies) {
  auto first = Router(1);
  const auto second = Router(2);
  const auto client = Connect(2, /*attempt_timeout_ms=*/100);
  ASSERT_TRUE(client->Put("k", "1").ok());
  first.reset();
  ASSERT_TRUE(client->Put("k", "2").ok());
  EXPECT_EQ(client->GetVersioned("k")->value, "2");
  EXPECT_EQ(store_.applied(), 2u);
}

TEST_F(ClientTest, AnOverloadedClusterIsAskedAgain) {
  const auto router = Router(1);
  router->Script({Deed::kRefuseOverloaded, Deed::kRefuseOverloaded, Deed::kRefuseOverloaded});
  const auto client = Connect(1);
  EXPECT_TRUE(client->Put("k", "value").ok());
  EXPECT_EQ(router->heard(), 4);
}

TEST_F(ClientTest, ADeadlineEndsACallThatNobodyAnswers) {
  const auto router = Router(1);
  const auto client = Connect(1, /*attempt_timeout_ms=*/50);
  ASSERT_TRUE(client->Put("k", "value").ok());
  router->Script({}, Deed::kIgnore);
  const Status put = client->Put("k", "value", {.deadline_ms = 120});
  EXPECT_TRUE(put.IsTimedOut()) << put.ToString();
  EXPECT_THAT(std::string(put.message()), HasSubstr("unknown"));
  std::string value;
  EXPECT_TRUE(client->Get("k", &value, {.deadline_ms = 20}).IsTimedOut());
}

TEST_F(ClientTest, WithoutAnyRouterNothingWasApplied) {
  const auto client = Connect(2, /*attempt_timeout_ms=*/50);
  const Status put = client->Put("k", "value", {.deadline_ms = 40});
  EXPECT_TRUE(put.IsTimedOut()) << put.ToString();
  EXPECT_THAT(std::string(put.message()), HasSubstr("the write was not applied"));
}

TEST_F(ClientTest, ConditionsThatDoNotHoldAreConflicts) {
  const auto router = Router(1);
  const auto client = Connect(1);
  const Version first = client->Put("k", "1", {.condition = WriteCondition::IfAbsent()}).value();
  const Status absent = client->Put("k", "2", {.condition = WriteCondition::IfAbsent()});
  EXPECT_TRUE(absent.IsConflict()) << absent.ToString();
  EXPECT_THAT(std::string(absent.message()), HasSubstr("version is 1"));
  EXPECT_TRUE(client->Put("k", "2", {.condition = WriteCondition::IfVersion(first)}).ok());
  EXPECT_TRUE(
      client->Put("k", "3", {.condition = WriteCondition::IfVersion(first)}).status().IsConflict());
  EXPECT_TRUE(client->Delete("k", {.condition = WriteCondition::IfExists()}).ok());
  EXPECT_TRUE(client->Delete("k", {.condition = WriteCondition::IfExists()}).status().IsConflict());
  EXPECT_TRUE(client->Put("k", "4", {.condition = WriteCondition::IfVersion(Version())}).ok());
}

TEST_F(ClientTest, AWrongClusterIsToldAtOnce) {
  const auto router = Router(1);
  router->Script({}, Deed::kRefuseWrongCluster);
  const auto client = Connect(1);
  const Status status = client->Put("k", "value");
  EXPECT_TRUE(status.IsInvalidArgument());
  EXPECT_THAT(std::string(status.message()), HasSubstr("wrong_cluster"));
}

// A router of another cluster would execute anew what the first one has executed.
TEST_F(ClientTest, NamesTheClusterThatAnsweredFirst) {
  const auto router = Router(1);
  const auto client = Connect(1);
  ASSERT_TRUE(client->Put("k", "1").ok());
  EXPECT_EQ(router->cluster_named(), 0u);
  ASSERT_TRUE(client->Put("k", "2").ok());
  EXPECT_EQ(router->cluster_named(), 42u);
}

TEST_F(ClientTest, ManyThreadsShareIt) {
  const auto first = Router(1);
  const auto second = Router(2);
  first->Script(std::deque<Deed>(20, Deed::kServeAndLoseTheAnswer));
  const auto client = Connect(2, /*attempt_timeout_ms=*/100);
  constexpr int kThreads = 8;
  constexpr int kWrites = 50;
  std::vector<std::thread> threads;
  std::atomic<int> failed = 0;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kWrites; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        if (!client->Put(key, key).ok()) ++failed;
        const auto back = client->GetVersioned(key);
        if (!back.ok() || back->value != key) ++failed;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(store_.applied(), static_cast<std::uint64_t>(kThreads * kWrites));
}

TEST_F(ClientTest, MayBeClosedAtAnyTimeWithoutACallRunning) {
  const auto router = Router(1);
  for (int i = 0; i < 20; ++i) {
    auto unused = Connect(1);
    unused.reset();
    const auto client = Connect(1);
    ASSERT_TRUE(client->Put("k", "v").ok());
  }
}

TEST_F(ClientTest, RefusesOptionsAndKeysOutOfBounds) {
  EXPECT_TRUE(Client::Connect({.endpoints = {}}).status().IsInvalidArgument());
  EXPECT_TRUE(Client::Connect({.endpoints = {"localhost:7000"}}).status().IsInvalidArgument());
  EXPECT_TRUE(Client::Connect({.endpoints = {"tcp://"}}).status().code() != StatusCode::kOk);
  EXPECT_TRUE(Client::Connect({.deadline_ms = 0}).status().IsInvalidArgument());
  EXPECT_TRUE(Client::Connect({.deadline_ms = 300'001}).status().IsInvalidArgument());
  EXPECT_TRUE(Client::Connect({.attempt_timeout_ms = 0}).status().IsInvalidArgument());
  const auto client = Connect(1);
  EXPECT_TRUE(client->Put("", "v").status().IsInvalidArgument());
  EXPECT_TRUE(client->Put(std::string(8193, 'k'), "v").status().IsInvalidArgument());
  EXPECT_TRUE(client->Put("k", "v", {.deadline_ms = 300'001}).status().IsInvalidArgument());
}

}  // namespace
}  // namespace bedrock
