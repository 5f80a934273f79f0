#pragma once

#include <cstddef>
#include <string>

#include "bedrock/result.h"
#include "common/base/bytes.h"
#include "proto/frame.h"

namespace bedrock::proto {

/// Collects packets for one receiver into one frame. One thread.
class FrameWriter {
 public:
  explicit FrameWriter(const FrameHeader& header);

  void Add(RequestId request, std::uint32_t timeout_ms, const Message& message);

  std::size_t packet_count() const { return packet_count_; }
  bool empty() const { return packet_count_ == 0; }
  /// Of the frame so far.
  std::size_t bytes() const { return buffer_.size(); }

  /// The finished frame; the writer is empty again, with the same header.
  std::string Finish();

 private:
  void Begin();

  FrameHeader header_;
  std::string buffer_;
  std::size_t count_at_ = 0;  // where the number of packets stands in buffer_
  std::size_t packet_count_ = 0;
};

/// Checks everything before it uses it: size, protocol version, arities, types, element counts,
/// nesting, enum ranges. Payload, key and value fields of the result share `bytes`.
///
/// invalid_argument: not a frame of this protocol. A frame of another protocol version decodes to
/// its header with no packets, so that the receiver can name the version it refuses.
Result<Frame> DecodeFrame(const Bytes& bytes);

}  // namespace bedrock::proto
