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

  /// REQUIRES: packet_count() < kFrameMessagesMax, and `message` is no UnknownKind.
  void Add(RequestId request, std::uint32_t timeout_ms, const Message& message);

  std::size_t packet_count() const { return packet_count_; }
  bool empty() const { return packet_count_ == 0; }
  /// Of the frame so far.
  std::size_t bytes() const { return buffer_.size(); }
  /// Time to Finish() and begin another: a bound on bytes or messages is reached. A message of up
  /// to kFrameBytesMax - kFrameBytesTarget still fits behind a frame that is not full.
  bool full() const {
    return buffer_.size() >= kFrameBytesTarget || packet_count_ >= kFrameMessagesMax;
  }

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
/// enum ranges. Payload, key and value fields of the result share `bytes`. Memory: a small multiple
/// of bytes.size(), whatever counts the bytes claim.
///
/// invalid_argument: not a frame of this protocol. A frame of another protocol version decodes to a
/// header that holds the version alone, with no packets, so that the receiver can name what it
/// refuses. A message of an unknown kind decodes to UnknownKind.
Result<Frame> DecodeFrame(const Bytes& bytes);

}  // namespace bedrock::proto
