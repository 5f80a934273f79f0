#include "proto/peer_frames.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace bedrock::proto {
namespace {

class PeerFramesTest : public ::testing::Test {
 protected:
  static FrameHeader Header() {
    FrameHeader header;
    header.cluster = ClusterId(0xc1);
    header.node = NodeId(2);
    header.boot = BootId(99);
    return header;
  }
  static GetReply Reply(std::string value) {
    GetReply reply;
    reply.found = true;
    reply.value = Bytes(std::move(value));
    return reply;
  }
  Frame Decoded(std::size_t i) {
    auto frame = DecodeFrame(Bytes::Copy(sent_.at(i).second));
    EXPECT_TRUE(frame.ok()) << frame.status().ToString();
    return frame.ok() ? *frame : Frame{};
  }

  std::vector<std::pair<std::string, std::string>> sent_;  // to whom, what
  PeerFrames frames_{Header(), [this](const std::string& to, std::string frame) {
                       sent_.emplace_back(to, std::move(frame));
                     }};
};

TEST_F(PeerFramesTest, GathersAFrameAPeer) {
  frames_.Add("a", RequestId(1), Reply("1"));
  frames_.Add("b", RequestId(2), Reply("2"));
  frames_.Add("a", RequestId(3), Reply("3"));
  EXPECT_TRUE(sent_.empty());
  frames_.Flush();
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(sent_[0].first, "a");
  const auto frame = Decoded(0);
  EXPECT_EQ(frame.header, Header());
  ASSERT_EQ(frame.packets.size(), 2u);
  EXPECT_EQ(frame.packets[0].request, RequestId(1));
  EXPECT_EQ(frame.packets[1].request, RequestId(3));
  EXPECT_EQ(std::get<GetReply>(frame.packets[1].message).value.view(), "3");
}

TEST_F(PeerFramesTest, FlushesOnce) {
  frames_.Add("a", RequestId(1), Reply("1"));
  frames_.Flush();
  frames_.Flush();
  EXPECT_EQ(sent_.size(), 1u);
}

TEST_F(PeerFramesTest, AFullFrameLeavesAtOnceAndNothingIsLost) {
  constexpr std::uint64_t replies = 40;
  for (std::uint64_t i = 1; i <= replies; ++i) {
    frames_.Add("a", RequestId(i), Reply(std::string(100 * kKiB, 'v')));
  }
  EXPECT_GE(sent_.size(), 3u);
  frames_.Flush();
  std::uint64_t next = 1;
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    EXPECT_LT(sent_[i].second.size(), proto::kFrameBytesTarget + 200 * kKiB);
    for (const auto& packet : Decoded(i).packets) EXPECT_EQ(packet.request, RequestId(next++));
  }
  EXPECT_EQ(next, replies + 1);
}

TEST_F(PeerFramesTest, TheLargestValueFitsBehindAnyFrame) {
  frames_.Add("a", RequestId(1), Reply(std::string(proto::kFrameBytesTarget - kKiB, 'v')));
  ASSERT_TRUE(sent_.empty());
  frames_.Add("a", RequestId(2), Reply(std::string(proto::kValueBytesMax, 'v')));
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_LE(sent_[0].second.size(), proto::kFrameBytesMax);
  EXPECT_EQ(Decoded(0).packets.size(), 2u);
}

}  // namespace
}  // namespace bedrock::proto
