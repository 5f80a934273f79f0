#include "raftd/server/outgoing_frames.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "proto/codec.h"

namespace bedrock::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FakeTransport final : public Transport {
 public:
  void SetPeer(NodeId, const std::string&) override {}
  bool SendToPeer(NodeId peer, std::string frame) override {
    return Keep(FormatNodeId(peer), std::move(frame));
  }
  bool SendToStorage(std::string frame) override { return Keep("storage", std::move(frame)); }
  bool SendToCaller(std::string_view to, std::string frame) override {
    return Keep(std::string(to), std::move(frame));
  }

  bool up = true;
  std::vector<std::pair<std::string, std::size_t>> sent;  // to whom, and how many messages
  std::vector<proto::FrameHeader> headers;

 private:
  bool Keep(std::string to, std::string frame) {
    const proto::Frame decoded = *proto::DecodeFrame(Bytes(std::move(frame)));
    sent.emplace_back(std::move(to), decoded.packets.size());
    headers.push_back(decoded.header);
    return up;
  }
};

class OutgoingFramesTest : public ::testing::Test {
 protected:
  FakeTransport transport_;
  std::vector<NodeId> resets_;
  int storage_lost_ = 0;
  OutgoingFrames frames_{{.cluster = ClusterId(5), .node = NodeId(1), .boot = BootId(9)},
                         transport_,
                         {.on_peer_reset = [this](NodeId peer) { resets_.push_back(peer); },
                          .on_storage_lost = [this] { ++storage_lost_; }}};
};

TEST_F(OutgoingFramesTest, ATurnsMessagesForOneReceiverAreOneFrame) {
  frames_.ToPeer(NodeId(2), Heartbeat{});
  frames_.ToPeer(NodeId(2), Heartbeat{});
  frames_.ToStorage(RequestId(1), proto::Apply{});
  frames_.ToCaller("router", RequestId(2), proto::ReadIndexAnswer{});
  frames_.ToCaller("router", RequestId(3), proto::ReadIndexAnswer{});
  EXPECT_THAT(transport_.sent, IsEmpty());
  frames_.Flush();
  EXPECT_THAT(transport_.sent,
              ElementsAre(std::pair("n2", 2U), std::pair("storage", 1U), std::pair("router", 2U)));
  EXPECT_EQ(transport_.headers[0].cluster, ClusterId(5));
  EXPECT_EQ(transport_.headers[0].boot, BootId(9));
  transport_.sent.clear();
  frames_.Flush();
  EXPECT_THAT(transport_.sent, IsEmpty());
}

TEST_F(OutgoingFramesTest, AFullFrameLeavesAtOnce) {
  AppendRequest append;
  append.entries.push_back({.index = LogIndex(1),
                            .term = Term(1),
                            .payload = Bytes(std::string(proto::kFrameBytesTarget, 'x'))});
  frames_.ToPeer(NodeId(2), append);
  EXPECT_THAT(transport_.sent, ElementsAre(std::pair("n2", 1U)));
}

TEST_F(OutgoingFramesTest, ALinkThatBreaksOrComesBackIsToldOnceEach) {
  const auto send = [&](bool up) {
    transport_.up = up;
    frames_.ToPeer(NodeId(2), Heartbeat{});
    frames_.Flush();
    return std::exchange(resets_, {}).size();
  };
  EXPECT_EQ(send(true), 0U);
  EXPECT_EQ(send(false), 1U);
  EXPECT_EQ(send(false), 0U);
  EXPECT_EQ(send(true), 1U);
  EXPECT_EQ(send(true), 0U);
}

TEST_F(OutgoingFramesTest, ADroppedFrameForStorageIsTold) {
  transport_.up = false;
  frames_.ToStorage(RequestId(1), proto::Apply{});
  frames_.Flush();
  EXPECT_EQ(storage_lost_, 1);
}

TEST_F(OutgoingFramesTest, NothingLeavesAfterClose) {
  frames_.ToPeer(NodeId(2), Heartbeat{});
  frames_.ToCaller("router", RequestId(2), proto::ReadIndexAnswer{});
  frames_.Close();
  frames_.Flush();
  EXPECT_THAT(transport_.sent, IsEmpty());
  EXPECT_THAT(resets_, IsEmpty());
}

}  // namespace
}  // namespace bedrock::raft
