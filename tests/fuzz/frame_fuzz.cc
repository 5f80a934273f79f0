#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "common/base/check.h"
#include "proto/codec.h"

// Whatever decodes must encode to a frame that decodes to the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bedrock;         // NOLINT: a function of one screen
  using namespace bedrock::proto;  // NOLINT
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  Result<Frame> frame = DecodeFrame(Bytes::Copy(input));
  if (!frame.ok() || frame->header.protocol != kProtocolVersion) return 0;
  std::erase_if(frame->packets, [](const Packet& packet) {
    return std::holds_alternative<UnknownKind>(packet.message);
  });
  FrameWriter writer(frame->header);
  for (const Packet& packet : frame->packets) {
    writer.Add(packet.request, packet.timeout_ms, packet.message);
  }
  const Result<Frame> again = DecodeFrame(Bytes(writer.Finish()));
  CHECK_MSG(again.ok(), again.status().ToString());
  CHECK(*again == *frame);
  return 0;
}
