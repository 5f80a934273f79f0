#include "proto/codec.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <msgpack.hpp>
#include <sstream>

#include "common/env/random.h"
#include "proto/command.h"
#include "tests/unit/proto/arbitrary_messages.h"

namespace bedrock::proto {
namespace {

constexpr std::size_t kHeaderBytesMax = 64;

std::string Encode(const Frame& frame) {
  FrameWriter writer(frame.header);
  for (const Packet& packet : frame.packets) {
    writer.Add(packet.request, packet.timeout_ms, packet.message);
  }
  return writer.Finish();
}

Result<Frame> Decode(std::string_view bytes) { return DecodeFrame(Bytes::Copy(bytes)); }

Frame ArbitraryFrame(std::uint64_t seed, std::size_t packets) {
  Random random(seed);
  ArbitraryMessages arbitrary(random);
  Frame frame;
  frame.header = arbitrary.Header();
  for (std::size_t i = 0; i < packets; ++i) {
    frame.packets.push_back(arbitrary.APacket(random.Below(ArbitraryMessages::kKinds)));
  }
  return frame;
}

std::string Unhex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

/// "name hex" lines of golden.txt, which the Python example of proto/README.md is held to as well.
std::map<std::string, std::string> Golden() {
  std::ifstream file(BEDROCK_GOLDEN_FILE);
  std::map<std::string, std::string> golden;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name;
    std::string hex;
    words >> name >> hex;
    golden[name] = Unhex(hex);
  }
  return golden;
}

TEST(CodecTest, EveryKindComesBackAsItWas) {
  for (std::size_t which = 0; which < ArbitraryMessages::kKinds; ++which) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      Random random(seed);
      ArbitraryMessages arbitrary(random);
      const Frame frame{arbitrary.Header(), {arbitrary.APacket(which)}};
      ASSERT_EQ(frame.packets[0].message.index(), which + 1);
      const Result<Frame> back = Decode(Encode(frame));
      ASSERT_TRUE(back.ok()) << which << " " << back.status().ToString();
      ASSERT_EQ(*back, frame) << which;
    }
  }
}

TEST(CodecTest, FramesOfManyMessagesKeepTheirOrder) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Frame frame = ArbitraryFrame(seed, seed);
    const Result<Frame> back = Decode(Encode(frame));
    ASSERT_TRUE(back.ok()) << back.status().ToString();
    ASSERT_EQ(*back, frame);
  }
}

TEST(CodecTest, AFrameIsOneMsgpackValue) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const std::string bytes = Encode(ArbitraryFrame(seed, 10));
    const msgpack::object_handle tree = msgpack::unpack(bytes.data(), bytes.size());
    ASSERT_EQ(tree->type, msgpack::type::ARRAY);
    ASSERT_EQ(tree->via.array.size, 6u);
    ASSERT_EQ(tree->via.array.ptr[5].via.array.size, 10u);
  }
}

TEST(CodecTest, EveryTruncationIsRefused) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const std::string bytes = Encode(ArbitraryFrame(seed, 4));
    const std::size_t step = 1 + bytes.size() / 500;
    for (std::size_t size = 0; size < bytes.size(); size += step) {
      ASSERT_TRUE(Decode(std::string_view(bytes).substr(0, size)).status().IsInvalidArgument())
          << size << " of " << bytes.size();
    }
  }
}

TEST(CodecTest, ADamagedFrameIsRefusedOrReadsAsAnotherThatComesBack) {
  std::size_t read = 0;
  std::size_t refused = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Random random(seed);
    const std::string whole = Encode(ArbitraryFrame(seed, 4));
    for (int round = 0; round < 400; ++round) {
      std::string bytes = whole;
      bytes[random.Below(std::min<std::size_t>(bytes.size(), 400))] ^=
          static_cast<char>(1 + random.Below(255));
      Result<Frame> frame = Decode(bytes);
      frame.ok() ? ++read : ++refused;
      if (!frame.ok() || frame->header.protocol != kProtocolVersion) continue;
      std::erase_if(frame->packets, [](const Packet& packet) {
        return std::holds_alternative<UnknownKind>(packet.message);
      });
      ASSERT_EQ(Decode(Encode(*frame)).value(), *frame);
    }
  }
  EXPECT_GT(read, 0u);
  EXPECT_GT(refused, 0u);
}

TEST(CodecTest, EverySingleByteFlipOfAFrameIsSurvived) {
  const std::string whole = Encode(ArbitraryFrame(7, 3));
  for (std::size_t at = 0; at < std::min<std::size_t>(whole.size(), 300); ++at) {
    for (int bits = 1; bits < 256; ++bits) {
      std::string bytes = whole;
      bytes[at] ^= static_cast<char>(bits);
      const Result<Frame> frame = Decode(bytes);
      if (!frame.ok()) {
        ASSERT_TRUE(frame.status().IsInvalidArgument());
      }
    }
  }
}

// Ten header elements, then what each hostile case puts where the packets belong.
std::string FrameWith(std::string_view packets) {
  return Unhex("9601cf00000000000000010000cf0000000000000001") + std::string(packets);
}

TEST(CodecTest, HostileSizesAreRefused) {
  ASSERT_TRUE(Decode(FrameWith(Unhex("90"))).ok());
  for (const char* hex : {
           "ddffffffff",                // packets
           "dd00010001",                // one packet too many, and none there
           "91ddffffffff",              // fields of a packet
           "91940110009500ddffffffff",  // inside a vote request
           "9194500000dfffffffff",      // a map for the fields
           "91940c0000ddffffffff",      // fields of an unknown kind
           "9194500000"
           "93c6ffffffff0000",  // a key of 4 GiB
           "91941200009700000000000"
           "0ddffffffff",  // entries
       }) {
    EXPECT_TRUE(Decode(FrameWith(Unhex(hex))).status().IsInvalidArgument()) << hex;
  }
}

TEST(CodecTest, DeepNestingIsPassedOverWithoutRecursion) {
  // An unknown kind whose fields are a million arrays in one another: legal, and skipped.
  std::string deep = Unhex("91940c0000") + std::string(1'000'000, '\x91') + '\x90';
  const Result<Frame> frame = Decode(FrameWith(deep));
  ASSERT_TRUE(frame.ok()) << frame.status().ToString();
  EXPECT_EQ(std::get<UnknownKind>(frame->packets[0].message).kind, 12u);
  deep.pop_back();
  EXPECT_FALSE(Decode(FrameWith(deep)).ok());
}

TEST(CodecTest, TooLargeAFrameIsRefusedUnread) {
  std::string bytes = FrameWith(Unhex("90"));
  bytes.resize(kFrameBytesMax + 1, '\xc0');
  const Status status = Decode(bytes).status();
  EXPECT_TRUE(status.IsInvalidArgument());
  EXPECT_NE(status.message().find("16777217"), std::string_view::npos) << status.ToString();
}

TEST(CodecTest, TooManyEntriesAreRefused) {
  raft::AppendRequest append;
  append.entries.resize(kFrameElementsMax);
  FrameWriter writer({});
  writer.Add(RequestId(1), 0, append);
  // The indexes are implied, so they come back numbered.
  EXPECT_EQ(std::get<raft::AppendRequest>(Decode(writer.Finish())->packets[0].message)
                .entries.back()
                .index,
            LogIndex(kFrameElementsMax));
  writer.Add(RequestId(1), 0, append);
  writer.Add(RequestId(1), 0, raft::AppendRequest{.entries = {raft::Entry{}}});
  EXPECT_TRUE(Decode(writer.Finish()).status().IsInvalidArgument());
}

TEST(CodecTest, AFrameOfTheMostMessagesIsTaken) {
  FrameWriter writer({});
  while (!writer.full()) writer.Add(RequestId(1), 0, ReadIndexQuery{});
  EXPECT_EQ(writer.packet_count(), kFrameMessagesMax);
  EXPECT_EQ(Decode(writer.Finish())->packets.size(), kFrameMessagesMax);
}

TEST(CodecTest, EntryIndexesThatWouldOverflowAreRefused) {
  FrameWriter writer({});
  writer.Add(RequestId(), 0,
             raft::AppendRequest{.prev_index = LogIndex(~0ULL), .entries = {raft::Entry{}}});
  EXPECT_TRUE(Decode(writer.Finish()).status().IsInvalidArgument());
}

TEST(CodecTest, TrailingElementsOfALaterVersionAreIgnored) {
  // HeartbeatReply [term 5, round 6, promise 7] with a map, a string and an extension behind its
  // fields; the packet and the frame have one element more, too.
  const std::string frame = Unhex(
      "9701cf00000000000000010000cf0000000000000001"
      "91951507"
      "00"
      "96"
      "050607"
      "81a16101"
      "a3616263"
      "d40102"
      "c3"
      "c0");
  const Result<Frame> back = Decode(frame);
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(std::get<raft::HeartbeatReply>(back->packets[0].message),
            (raft::HeartbeatReply{Term(5), 6, 7}));
}

// A neighbour of the release before promises nothing.
TEST(CodecTest, FieldsThatCameLaterMayBeMissing) {
  const Result<Frame> back =
      Decode(FrameWith(Unhex("9194150000"
                             "920506")));
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(std::get<raft::HeartbeatReply>(back->packets[0].message),
            (raft::HeartbeatReply{Term(5), 6, 0}));
}

TEST(CodecTest, TheProgressOfAnEarlierReleaseIsRead) {
  // ApplyProgress [applied 9, durable 5, health 0] as it was before it told of terms and members.
  const Result<Frame> back =
      Decode(FrameWith(Unhex("9194210000"
                             "93090500")));
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(std::get<ApplyProgress>(back->packets[0].message),
            (ApplyProgress{LogIndex(9), LogIndex(5), ErrorCode::kOk}));
}

TEST(CodecTest, TheLargestManifestFitsAFrame) {
  SnapshotManifest manifest;
  SnapshotFile file;
  file.name = "18446744073709551615.sst";
  file.size = file.hashed = file.hash = ~0ULL;
  manifest.files.assign(kSnapshotFilesMax, file);
  FrameWriter writer({});
  writer.Add(RequestId(1), 0, manifest);
  const std::string bytes = writer.Finish();
  EXPECT_LE(bytes.size(), kFrameBytesMax);
  const Result<Frame> back = Decode(bytes);
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(std::get<SnapshotManifest>(back->packets[0].message).files.size(), kSnapshotFilesMax);
}

TEST(CodecTest, TooFewFieldsAreRefused) {
  EXPECT_TRUE(Decode(FrameWith(Unhex("919415000091"
                                     "05")))
                  .status()
                  .IsInvalidArgument());
  EXPECT_TRUE(Decode(FrameWith(Unhex("9193150000"))).status().IsInvalidArgument());
}

TEST(CodecTest, ValuesOutsideAnEnumerationAreRefused) {
  EXPECT_TRUE(Decode(FrameWith(Unhex("9194500000"
                                     "93c4016b"
                                     "0100")))
                  .ok());
  EXPECT_FALSE(Decode(FrameWith(Unhex("9194500000"
                                      "93c4016b"
                                      "0200")))
                   .ok());
}

TEST(CodecTest, NumbersOfOtherTypesAreRefusedAndSignedPositiveOnesTaken) {
  EXPECT_EQ(std::get<raft::HeartbeatReply>(Decode(FrameWith(Unhex("9194150000"
                                                                  "92d005d300000000000000ff")))
                                               ->packets[0]
                                               .message),
            (raft::HeartbeatReply{Term(5), 255}));
  for (const char* term : {"ff", "d0ff", "ca3f800000", "c3", "a135", "c0", "9105", "c1"}) {
    EXPECT_FALSE(Decode(FrameWith(Unhex(std::string("9194150000"
                                                    "92") +
                                        term + "06")))
                     .ok())
        << term;
  }
}

TEST(CodecTest, BytesBehindTheFrameAreRefused) {
  EXPECT_FALSE(Decode(FrameWith(Unhex("90c0"))).ok());
}

TEST(CodecTest, AnotherProtocolVersionDecodesToThatVersionAlone) {
  for (const char* hex : {"9102", "92cd0102a3616263", "9602c0c0c0c0c0"}) {
    const Result<Frame> frame = Decode(Unhex(hex));
    ASSERT_TRUE(frame.ok()) << hex;
    EXPECT_GT(frame->header.protocol, kProtocolVersion);
    EXPECT_TRUE(frame->packets.empty());
  }
}

TEST(CodecTest, AnUnknownErrorCodeCostsOnlyItsOwnRequest) {
  // ReadIndexAnswer with an error of code 200, then a HeartbeatReply.
  const Result<Frame> frame =
      Decode(FrameWith(Unhex("92"
                             "9433000092"
                             "96ccc8a0000000c400"
                             "00"
                             "9415000092"
                             "0506")));
  ASSERT_TRUE(frame.ok()) << frame.status().ToString();
  EXPECT_EQ(std::get<ReadIndexAnswer>(frame->packets[0].message).error.code,
            ErrorCode::kUnrecognized);
  EXPECT_TRUE(std::holds_alternative<raft::HeartbeatReply>(frame->packets[1].message));
}

TEST(CodecTest, PayloadsShareTheFramesBuffer) {
  FrameWriter writer({});
  writer.Add(RequestId(1), 0, Propose{Bytes::Copy("payload")});
  const Bytes bytes(writer.Finish());
  const Result<Frame> frame = DecodeFrame(bytes);
  ASSERT_TRUE(frame.ok());
  const char* payload = std::get<Propose>(frame->packets[0].message).command.data();
  EXPECT_GE(payload, bytes.data());
  EXPECT_LT(payload, bytes.data() + bytes.size());
}

TEST(CodecTest, AFinishedWriterBeginsAnewWithTheSameHeader) {
  const FrameHeader header{.cluster = ClusterId(9), .node = NodeId(3), .boot = BootId(4)};
  FrameWriter writer(header);
  writer.Add(RequestId(1), 0, ReadIndexQuery{});
  writer.Finish();
  EXPECT_TRUE(writer.empty());
  writer.Add(RequestId(2), 0, ReadIndexQuery{});
  const Frame frame = Decode(writer.Finish()).value();
  EXPECT_EQ(frame.header, header);
  ASSERT_EQ(frame.packets.size(), 1u);
  EXPECT_EQ(frame.packets[0].request, RequestId(2));
}

// The layout is public: these bytes may gain trailing elements, and never change otherwise.
TEST(CodecTest, FramesLookAsTheyAlwaysDid) {
  FrameWriter writer({.cluster = ClusterId(1), .node = NodeId(2), .boot = BootId(3)});
  writer.Add(RequestId(4), 5, Get{Bytes::Copy("k"), Version(6)});
  Error error;
  error.code = ErrorCode::kNoLeader;
  error.detail = "d";
  writer.Add(RequestId(7), 0, ReadIndexAnswer{error, LogIndex(8)});
  raft::AppendRequest append{.term = Term(1), .prev_index = LogIndex(300)};
  append.entries.push_back(
      {LogIndex(301), Term(1), raft::EntryKind::kCommand, 1000, Bytes::Copy("x")});
  writer.Add(RequestId(), 0, append);
  const std::string frame = writer.Finish();
  EXPECT_EQ(Hex(frame),
            "9601"
            "01"
            "00"
            "02"
            "03"
            "dd00000003"
            "94"
            "40"
            "04"
            "05"
            "92c4016b06"
            "94"
            "33"
            "07"
            "00"
            "92"
            "960fa164000000c400"
            "08"
            "94"
            "12"
            "00"
            "00"
            "97"
            "01cd012c00000000"
            "91"
            "940101cd03e8c40178");
}

TEST(CodecTest, TheExampleClientsFramesAreUnderstood) {
  const std::map<std::string, std::string> golden = Golden();
  const Frame put = Decode(golden.at("put_frame")).value();
  EXPECT_EQ(put.header, FrameHeader{});
  ASSERT_EQ(put.packets.size(), 1u);
  EXPECT_EQ(put.packets[0].request, RequestId(1));
  EXPECT_EQ(put.packets[0].timeout_ms, 2000u);
  const Bytes encoded = std::get<ClientWrite>(put.packets[0].message).command;
  Command command{.session = SessionId(0x1122334455667788), .sequence = 1, .low_water = 1};
  command.operations.push_back({Operation::Kind::kPut, "greeting", "hello"});
  EXPECT_EQ(DecodeCommand(encoded.view()).value(), command);
  EXPECT_EQ(Hex(EncodeCommand(command)), Hex(encoded.view()));

  const Frame remove = Decode(golden.at("delete_frame")).value();
  Command deletion{.session = command.session, .sequence = 2, .low_water = 2};
  deletion.operations.push_back({Operation::Kind::kDelete, "greeting", ""});
  EXPECT_EQ(Hex(std::get<ClientWrite>(remove.packets[0].message).command.view()),
            Hex(EncodeCommand(deletion)));

  const Frame get = Decode(golden.at("get_frame")).value();
  EXPECT_EQ(std::get<ClientGet>(get.packets[0].message),
            (ClientGet{Bytes::Copy("greeting"), Consistency::kLinearizable, Version()}));
}

// What routers answer, for the example's decoding.
TEST(CodecTest, RepliesLookAsTheExampleClientExpectsThem) {
  const std::map<std::string, std::string> golden = Golden();
  FrameWriter writer({.cluster = ClusterId(0xabc), .node = NodeId(1), .boot = BootId(2)});
  writer.Add(RequestId(1), 0, ClientWriteReply{{}, Version(17), Version()});
  EXPECT_EQ(Hex(writer.Finish()), Hex(golden.at("put_reply_frame")));
  writer.Add(RequestId(3), 0, ClientGetReply{{}, Bytes::Copy("hello"), Version(17), Version(18)});
  EXPECT_EQ(Hex(writer.Finish()), Hex(golden.at("get_reply_frame")));
  Error error;
  error.code = ErrorCode::kOverloaded;
  error.detail = "busy";
  writer.Add(RequestId(1), 0, ClientWriteReply{error, Version(), Version()});
  EXPECT_EQ(Hex(writer.Finish()), Hex(golden.at("overloaded_reply_frame")));
}

TEST(CodecTest, AnEmptyFrameIsSmall) { EXPECT_LE(FrameWriter({}).bytes(), kHeaderBytesMax); }

}  // namespace
}  // namespace bedrock::proto
