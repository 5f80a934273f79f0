#include "proto/codec.h"

#include <array>
#include <utility>

#include "common/base/check.h"
#include "proto/wire.h"

namespace bedrock::proto {
namespace {

constexpr std::size_t kHeaderFields = 6;  // with the array of packets
constexpr std::size_t kPacketFields = 4;
constexpr char kArray32 = '\xdd';  // msgpack's tag
// Of a packet without fields: the least that a claimed packet takes.
constexpr std::size_t kPacketBytesMin = 5;

using TakeFields = void (*)(WireReader& reader, Message& message);

template <typename T>
void TakeFieldsOf(WireReader& reader, Message& message) {
  reader.Take(message.emplace<T>());
}

template <typename>
struct KindTable;
template <typename... T>
struct KindTable<std::variant<UnknownKind, T...>> {
  static constexpr std::array<TakeFields, kKindsMax> Make() {
    static_assert(((kKind<T> != 0 && kKind<T> < kKindsMax) && ...), "every kind has its number");
    std::array<TakeFields, kKindsMax> table = {};
    ((table[kKind<T>] = &TakeFieldsOf<T>), ...);
    return table;
  }
  static constexpr bool Distinct() {
    // By number: comparing the table's pointers is no constant expression under the sanitizers.
    std::array<int, kKindsMax> uses = {};
    ((++uses[kKind<T>]), ...);
    return ((uses[kKind<T>] == 1) && ...);
  }
};
static_assert(KindTable<Message>::Distinct(), "two kinds have one number");
constexpr std::array<TakeFields, kKindsMax> kTakeFields = KindTable<Message>::Make();

void TakePacket(MsgpackReader& in, WireReader& reader, Packet& packet) {
  const std::size_t size = in.ArraySize();
  if (size < kPacketFields) in.Fail("a message with too few elements");
  const std::uint64_t kind = in.Unsigned();
  reader.Take(packet.request);
  reader.Take(packet.timeout_ms);
  if (in.failed()) return;
  if (kind < kKindsMax && kTakeFields[kind] != nullptr) {
    kTakeFields[kind](reader, packet.message);
  } else {
    packet.message = UnknownKind{kind};
    in.Skip(1);
  }
  if (!in.failed()) in.Skip(size - kPacketFields);
}

void TakePackets(MsgpackReader& in, WireReader& reader, std::vector<Packet>& packets) {
  const std::size_t count = in.ArraySize();
  if (count > kFrameMessagesMax) in.Fail("too many messages");
  if (count > in.remaining() / kPacketBytesMin) in.Fail("an array larger than its message");
  if (in.failed()) return;
  packets.reserve(count);
  for (std::size_t i = 0; i < count && !in.failed(); ++i) {
    TakePacket(in, reader, packets.emplace_back());
  }
}

void TakeFrame(MsgpackReader& in, WireReader& reader, Frame& frame) {
  const std::size_t size = in.ArraySize();
  reader.Take(frame.header.protocol);
  if (in.failed() || frame.header.protocol != kProtocolVersion) return;
  if (size < kHeaderFields) in.Fail("a frame with too few elements");
  reader.Take(frame.header.cluster);
  reader.Take(frame.header.group);
  reader.Take(frame.header.node);
  reader.Take(frame.header.boot);
  TakePackets(in, reader, frame.packets);
  if (in.failed()) return;
  in.Skip(size - kHeaderFields);
  if (!in.failed() && !in.at_end()) in.Fail("bytes behind the frame");
}

}  // namespace

FrameWriter::FrameWriter(const FrameHeader& header) : header_(header) { Begin(); }

void FrameWriter::Begin() {
  packet_count_ = 0;
  StringSink sink(buffer_);
  WireWriter writer(sink);
  writer.PutArraySize(kHeaderFields);
  writer.Put(header_.protocol);
  writer.Put(header_.cluster);
  writer.Put(header_.group);
  writer.Put(header_.node);
  writer.Put(header_.boot);
  // The array's size is not known yet: the longest form, array 32, has room for any.
  buffer_.push_back(kArray32);
  count_at_ = buffer_.size();
  buffer_.append(sizeof(std::uint32_t), '\0');
}

void FrameWriter::Add(RequestId request, std::uint32_t timeout_ms, const Message& message) {
  CHECK(packet_count_ < kFrameMessagesMax);
  ++packet_count_;
  StringSink sink(buffer_);
  WireWriter writer(sink);
  writer.PutArraySize(kPacketFields);
  std::visit(
      [&]<typename T>(const T& fields) {
        if constexpr (std::is_same_v<T, UnknownKind>) {
          CHECK_MSG(false, "a message of unknown kind cannot be sent");
        } else {
          writer.Put(kKind<T>);
          writer.Put(request);
          writer.Put(timeout_ms);
          writer.Put(fields);
        }
      },
      message);
}

std::string FrameWriter::Finish() {
  const auto count = static_cast<std::uint32_t>(packet_count_);
  for (std::size_t i = 0; i < sizeof(count); ++i) {  // msgpack is big-endian
    buffer_[count_at_ + i] = static_cast<char>(count >> (24 - 8 * i));
  }
  std::string frame = std::exchange(buffer_, std::string());
  Begin();
  return frame;
}

Result<Frame> DecodeFrame(const Bytes& bytes) {
  if (bytes.size() > kFrameBytesMax) {
    return Status::InvalidArgument("frame: " + std::to_string(bytes.size()) + " bytes, at most " +
                                   std::to_string(kFrameBytesMax) + " are allowed");
  }
  MsgpackReader in(bytes.view());
  WireReader reader(in, bytes, Extra::kIgnored);
  Frame frame;
  TakeFrame(in, reader, frame);
  if (in.failed()) return Status::InvalidArgument("frame: " + in.FailureText());
  return frame;
}

}  // namespace bedrock::proto
