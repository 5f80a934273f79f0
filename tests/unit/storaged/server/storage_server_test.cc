#include "storaged/server/storage_server.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/env/memory_file_system.h"
#include "common/env/posix_clock.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"
#include "proto/codec.h"
#include "tests/unit/storaged/core/entries.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

constexpr ClusterId kCluster{0xc1};
constexpr NodeId kNode{1};

/// A peer of the server under test, over a real socket in the same loop. Asks again until it is
/// answered, as peers have to.
class Peer {
 public:
  Peer(net::EventLoop& loop, net::MessageContext& context, const std::string& endpoint,
       const std::string& routing_id)
      : loop_(loop) {
    link_ = net::Link::Connect(loop, context, endpoint, routing_id, [this](const Bytes& bytes) {
              const auto frame = proto::DecodeFrame(bytes);
              ASSERT_TRUE(frame.ok()) << frame.status().ToString();
              for (const auto& packet : frame->packets) received.push_back(packet);
              header = frame->header;
            }).value();
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// Sends until a packet with this request comes, and gives its message.
  proto::Message Ask(RequestId request, const proto::Message& message,
                     std::uint32_t timeout_ms = 0) {
    proto::FrameHeader own;
    own.cluster = cluster;
    own.node = node;
    own.boot = BootId(5);
    proto::FrameWriter frame(own);
    frame.Add(request, timeout_ms, message);
    return AskRaw(request, frame.Finish());
  }
  proto::Message AskRaw(RequestId request, const std::string& bytes) {
    received.clear();
    const auto send = [&] { link_->Send(bytes); };
    const auto again = loop_.Every(100, send);
    send();
    const proto::Packet* found = WaitFor(request);
    loop_.Cancel(again);
    return found == nullptr ? proto::Message() : found->message;
  }
  /// The packet of this request, once it is there.
  const proto::Packet* WaitFor(RequestId request) {
    return WaitFor([request](const proto::Packet& packet) { return packet.request == request; });
  }
  /// The first packet since the last Ask that is as wanted, once it is there.
  const proto::Packet* WaitFor(const std::function<bool(const proto::Packet&)>& wanted) {
    const auto find = [&]() -> const proto::Packet* {
      for (const auto& packet : received) {
        if (wanted(packet)) return &packet;
      }
      return nullptr;
    };
    bool late = false;
    const auto look = loop_.Every(1, [&] {
      if (find() != nullptr) loop_.Stop();
    });
    const auto guard = loop_.After(20'000, [&] {
      late = true;
      loop_.Stop();
    });
    if (find() == nullptr) loop_.Run();
    loop_.Cancel(look);
    loop_.Cancel(guard);
    EXPECT_FALSE(late) << "no answer";
    return find();
  }

  ClusterId cluster = kCluster;
  NodeId node = kNode;
  std::vector<proto::Packet> received;
  proto::FrameHeader header;

 private:
  net::EventLoop& loop_;
  std::unique_ptr<net::Link> link_;
};

class StorageServerTest : public ::testing::Test {
 protected:
  StorageServerTest()
      : endpoint_("ipc://" + ::testing::TempDir() + "/storaged-" +
                  std::to_string(SystemEntropy() % 1'000'000'000)) {}
  void SetUp() override { Start(); }
  void TearDown() override { Kill(); }

  ServerOptions Options() const {
    ServerOptions options;
    options.cluster = kCluster;
    options.node = kNode;
    options.boot = BootId(77);
    options.listen = {endpoint_};
    options.identity_file = "storage.id";
    options.engine.directory = "storage";
    options.software = "1.2.3";
    return options;
  }
  Environment MakeEnvironment() {
    return {.file_system = &files_, .clock = &clock_, .executor = &executor_};
  }
  void Start() {
    loop_ = std::make_unique<net::EventLoop>();
    context_ = std::make_unique<net::MessageContext>();
    auto server = StorageServer::Start(*loop_, *context_, MakeEnvironment(), Options());
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(server).value();
    raftd_ = std::make_unique<Peer>(*loop_, *context_, endpoint_, "raftd");
    router_ = std::make_unique<Peer>(*loop_, *context_, endpoint_, "router");
  }
  // As kill -9 does: nothing is flushed.
  void Kill() {
    raftd_.reset();
    router_.reset();
    server_.reset();
    context_.reset();
    loop_.reset();
  }
  // Runs the loop until the server ends it.
  std::optional<StorageServer::End> RunToEnd() {
    const auto guard = loop_->After(20'000, [this] { loop_->Stop(); });
    loop_->Run();
    loop_->Cancel(guard);
    return server_->end();
  }
  static proto::Apply Puts(std::uint64_t first, std::uint64_t last,
                           const std::string& value = "v") {
    proto::Apply batch;
    for (std::uint64_t i = first; i <= last; ++i) {
      batch.items.push_back(
          {.entry = MakeEntry(i, PutCommand(7, i, "k" + std::to_string(i), value)),
           .reply_to = {.router = "router", .request = RequestId(100 + i)}});
    }
    return batch;
  }
  proto::ApplyProgress Apply(proto::Apply batch) {
    const auto answer = raftd_->Ask(NextRequest(), std::move(batch));
    const auto* progress = std::get_if<proto::ApplyProgress>(&answer);
    EXPECT_NE(progress, nullptr);
    return progress == nullptr ? proto::ApplyProgress{} : *progress;
  }
  proto::GetReply Get(const std::string& key, std::uint64_t min_version = 0,
                      std::uint32_t timeout_ms = 1'000) {
    const auto answer = router_->Ask(
        NextRequest(), proto::Get{.key = Bytes::Copy(key), .min_version = Version(min_version)},
        timeout_ms);
    const auto* reply = std::get_if<proto::GetReply>(&answer);
    EXPECT_NE(reply, nullptr);
    return reply == nullptr ? proto::GetReply{} : *reply;
  }
  RequestId NextRequest() { return RequestId(++request_); }

  MemoryFileSystem files_;
  PosixClock clock_;
  ThreadExecutor executor_{1};
  std::string endpoint_;
  std::unique_ptr<net::EventLoop> loop_;
  std::unique_ptr<net::MessageContext> context_;
  std::unique_ptr<StorageServer> server_;
  std::unique_ptr<Peer> raftd_;
  std::unique_ptr<Peer> router_;
  std::uint64_t request_ = 1'000'000;
};

TEST_F(StorageServerTest, AppliesAnswersTheRouterAndServesTheValue) {
  Get("k1");  // so that the router is connected
  router_->received.clear();
  EXPECT_EQ(Apply(Puts(1, 3)).applied, LogIndex(3));
  const auto* reply = router_->WaitFor(RequestId(102));
  ASSERT_NE(reply, nullptr);
  EXPECT_EQ(std::get<proto::CommandReply>(reply->message).result.version, Version(2));
  EXPECT_EQ(router_->header.node, kNode);
  EXPECT_EQ(router_->header.cluster, kCluster);
  EXPECT_EQ(router_->header.boot, BootId(77));
  const auto read = Get("k2", 3);
  EXPECT_TRUE(read.found);
  EXPECT_EQ(read.value.view(), "v");
  EXPECT_EQ(read.version, Version(2));
  EXPECT_EQ(read.read_version, Version(3));
}

TEST_F(StorageServerTest, AnOrderlyStopMakesEverythingDurable) {
  EXPECT_EQ(Apply(Puts(1, 3)).durable_applied, LogIndex(0));
  server_->BeginStop();
  EXPECT_EQ(RunToEnd(), StorageServer::End::kStopped);
  Kill();
  Start();
  const auto progress = Apply({});
  EXPECT_EQ(progress.applied, LogIndex(3));
  EXPECT_EQ(progress.durable_applied, LogIndex(3));
  EXPECT_EQ(Get("k3").version, Version(3));
}

TEST_F(StorageServerTest, AfterAKillTheLogIsReplayedFromWhatWasDurable) {
  Apply(Puts(1, 2));
  server_->BeginStop();
  RunToEnd();
  Kill();
  Start();
  EXPECT_EQ(Apply(Puts(3, 4)).applied, LogIndex(4));
  Kill();
  Start();
  EXPECT_EQ(Apply({}).applied, LogIndex(2));
  EXPECT_FALSE(Get("k4").found);
  EXPECT_EQ(Apply(Puts(1, 4)).applied, LogIndex(4));
  EXPECT_EQ(Get("k4").version, Version(4));
}

TEST_F(StorageServerTest, ARepeatedCommandIsKnownAfterAStopAndAStart) {
  const auto command = PutCommand(7, 1, "k", "first");
  proto::Apply batch;
  batch.items.push_back({.entry = MakeEntry(1, command), .reply_to = {}});
  batch.items.push_back({.entry = MakeEntry(2, PutCommand(8, 1, "k", "second")), .reply_to = {}});
  Apply(batch);
  server_->BeginStop();
  RunToEnd();
  Kill();
  Start();
  proto::Apply again;
  again.items.push_back({.entry = MakeEntry(3, command), .reply_to = {}});
  EXPECT_EQ(Apply(again).applied, LogIndex(3));
  EXPECT_EQ(Get("k").value.view(), "second");
}

TEST_F(StorageServerTest, TellsRaftdOfAFlushWithoutBeingAsked) {
  Kill();
  // Four memtables' worth of writes.
  const std::string value(100 * kKiB, 'v');
  loop_ = std::make_unique<net::EventLoop>();
  context_ = std::make_unique<net::MessageContext>();
  auto options = Options();
  options.engine.memtable_bytes = 256 * kKiB;
  server_ = StorageServer::Start(*loop_, *context_, MakeEnvironment(), options).value();
  raftd_ = std::make_unique<Peer>(*loop_, *context_, endpoint_, "raftd");
  Apply(Puts(1, 10, value));
  EXPECT_NE(raftd_->WaitFor([](const proto::Packet& packet) {
    const auto* progress = std::get_if<proto::ApplyProgress>(&packet.message);
    return packet.request == RequestId() && progress != nullptr &&
           progress->durable_applied >= LogIndex(6);
  }),
            nullptr);
}

TEST_F(StorageServerTest, AReadThatWaitsIsAnsweredWhenItsTimeIsUp) {
  const std::uint64_t before = clock_.MonotonicMs();
  EXPECT_EQ(Get("k", 5, 50).error.code, ErrorCode::kDeadlineExceeded);
  EXPECT_GE(clock_.MonotonicMs() - before, 50u);
}

TEST_F(StorageServerTest, ManyLargeValuesTravelInFramesOfBoundedSize) {
  const std::string value(300 * kKiB, 'v');
  for (std::uint64_t i = 1; i <= 20; ++i) Apply(Puts(i, i, value));
  proto::FrameHeader own;
  own.cluster = kCluster;
  own.node = kNode;
  proto::FrameWriter frame(own);
  for (std::uint64_t i = 1; i <= 20; ++i) {
    frame.Add(RequestId(i), 0,
              proto::Get{.key = Bytes::Copy("k" + std::to_string(i)), .min_version = Version()});
  }
  router_->AskRaw(RequestId(20), frame.Finish());
  for (std::uint64_t i = 1; i <= 20; ++i) {
    const auto* packet = router_->WaitFor(RequestId(i));
    ASSERT_NE(packet, nullptr) << i;
    EXPECT_EQ(std::get<proto::GetReply>(packet->message).value.size(), value.size());
  }
}

TEST_F(StorageServerTest, FetchesASnapshotFromAnotherServerAndGoesOnFromThere) {
  constexpr std::uint64_t kLast = 150;
  Apply(Puts(1, kLast, std::string(20 * kKiB, 'v')));
  // Another node's, in the same loop.
  MemoryFileSystem files;
  const NodeId node(2);
  auto options = Options();
  options.node = node;
  options.boot = BootId(78);
  options.listen = {endpoint_ + "-2"};
  const auto other = StorageServer::Start(
                         *loop_, *context_,
                         {.file_system = &files, .clock = &clock_, .executor = &executor_}, options)
                         .value();
  Peer raftd(*loop_, *context_, endpoint_ + "-2", "raftd");
  raftd.node = node;
  const auto progress_of = [](const proto::Message& message) {
    const auto* progress = std::get_if<proto::ApplyProgress>(&message);
    return progress == nullptr ? proto::ApplyProgress() : *progress;
  };
  EXPECT_EQ(progress_of(raftd.Ask(NextRequest(), proto::Apply())).applied, LogIndex(0));
  const auto fetch = raftd.Ask(
      NextRequest(),
      proto::FetchSnapshot{.source = kNode, .endpoint = endpoint_, .at_least = LogIndex(kLast)});
  ASSERT_TRUE(std::holds_alternative<proto::FetchProgress>(fetch));
  const auto* packet = raftd.WaitFor([&](const proto::Packet& received) {
    return progress_of(received.message).applied == LogIndex(kLast);
  });
  ASSERT_NE(packet, nullptr);
  EXPECT_EQ(progress_of(packet->message).durable_applied, LogIndex(kLast));
  EXPECT_EQ(progress_of(packet->message).applied_term, Term(1));

  const auto applied = raftd.Ask(NextRequest(), Puts(kLast + 1, kLast + 1));
  EXPECT_EQ(progress_of(applied).applied, LogIndex(kLast + 1));
  Peer router(*loop_, *context_, endpoint_ + "-2", "router");
  const auto answer = router.Ask(NextRequest(), proto::Get{.key = Bytes::Copy("k7")});
  EXPECT_EQ(std::get<proto::GetReply>(answer).version, Version(7));
  EXPECT_EQ(std::get<proto::GetReply>(answer).value.size(), 20 * kKiB);
}

TEST_F(StorageServerTest, RefusesStrangersAndNoise) {
  router_->cluster = ClusterId(0xc2);
  const auto stranger = router_->Ask(RequestId(4), proto::StorageStatusQuery{});
  EXPECT_EQ(std::get<proto::Refusal>(stranger).error.code, ErrorCode::kWrongCluster);
  const auto noise = router_->AskRaw(RequestId(), "no frame at all");
  EXPECT_EQ(std::get<proto::Refusal>(noise).error.code, ErrorCode::kInvalidArgument);
  router_->cluster = kCluster;
  const auto status = router_->Ask(RequestId(5), proto::StorageStatusQuery{});
  EXPECT_EQ(std::get<proto::StorageStatus>(status).software, "1.2.3");
}

TEST_F(StorageServerTest, EndsWhereTheDiskCannotBeTrustedAnyMore) {
  Apply(Puts(1, 3));
  files_.Inject({.operations = {MemoryFileSystem::Operation::kSyncDirectory},
                 .path_suffix = "",
                 .nth = 1,
                 .forever = MemoryFileSystem::Forever::kYes,
                 .error = StatusCode::kIoError});
  server_->BeginStop();
  EXPECT_EQ(RunToEnd(), StorageServer::End::kEngineFailed);
}

TEST_F(StorageServerTest, AFullDiskIsToldToRaftdAndClears) {
  Kill();
  loop_ = std::make_unique<net::EventLoop>();
  context_ = std::make_unique<net::MessageContext>();
  auto options = Options();
  options.engine.memtable_bytes = 256 * kKiB;
  server_ = StorageServer::Start(*loop_, *context_, MakeEnvironment(), options).value();
  raftd_ = std::make_unique<Peer>(*loop_, *context_, endpoint_, "raftd");
  Apply({});
  files_.SetCapacity(64 * kKiB);
  Apply(Puts(1, 4, std::string(100 * kKiB, 'v')));
  const auto wait_for = [&](ErrorCode health) {
    return raftd_->WaitFor([health](const proto::Packet& packet) {
      const auto* progress = std::get_if<proto::ApplyProgress>(&packet.message);
      return packet.request == RequestId() && progress != nullptr && progress->health == health;
    }) != nullptr;
  };
  EXPECT_TRUE(wait_for(ErrorCode::kStorageFull));
  raftd_->received.clear();
  files_.SetCapacity(MemoryFileSystem::kUnlimited);
  EXPECT_TRUE(wait_for(ErrorCode::kOk));
}

TEST_F(StorageServerTest, DamagedBytesOfATableAreNamedAndNotServed) {
  Apply(Puts(1, 50, std::string(200, 'v')));
  server_->BeginStop();
  RunToEnd();
  Kill();
  std::string table;
  const auto names = files_.List("storage").value();
  for (const auto& name : names) {
    if (name.ends_with(".sst")) table = name;
  }
  ASSERT_NE(table, "");
  ASSERT_TRUE(files_.FlipBit("storage/" + table, 2'400).ok());
  Start();
  const auto read = Get("k1");
  EXPECT_EQ(read.error.code, ErrorCode::kCorruption);
  EXPECT_NE(read.error.detail.find(table), std::string::npos) << read.error.detail;
  EXPECT_FALSE(read.found);
}

TEST_F(StorageServerTest, DoesNotStartOnDamageOrOnSomebodyElsesData) {
  Apply(Puts(1, 3));
  server_->BeginStop();
  RunToEnd();
  Kill();
  net::EventLoop loop;
  net::MessageContext context;
  auto options = Options();
  options.node = NodeId(2);
  EXPECT_TRUE(
      StorageServer::Start(loop, context, MakeEnvironment(), options).status().IsInvalidArgument());
  ASSERT_TRUE(files_.FlipBit("storage/CURRENT", 20).ok());
  EXPECT_TRUE(
      StorageServer::Start(loop, context, MakeEnvironment(), Options()).status().IsCorruption());
}

TEST_F(StorageServerTest, DoesNotStartTwiceOnOneFolderOrEndpoint) {
  auto options = Options();
  options.listen = {endpoint_ + "-other"};
  net::EventLoop loop;
  EXPECT_TRUE(
      StorageServer::Start(loop, *context_, MakeEnvironment(), options).status().IsUnavailable());
  MemoryFileSystem other_files;
  Environment environment = MakeEnvironment();
  environment.file_system = &other_files;
  EXPECT_TRUE(
      StorageServer::Start(loop, *context_, environment, Options()).status().IsUnavailable());
}

}  // namespace
}  // namespace bedrock::storage
