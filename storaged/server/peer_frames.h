#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "proto/codec.h"
#include "proto/frame.h"

namespace bedrock::storage {

/// Gathers a turn's messages into one frame a peer; a frame that is full goes out at once.
///
/// Loop thread only.
class PeerFrames {
 public:
  using SendFrame = std::function<void(const std::string& to, std::string frame)>;

  /// All frames carry `header`.
  PeerFrames(const proto::FrameHeader& header, SendFrame send);

  void Add(const std::string& to, RequestId request, const proto::Message& message);
  /// Sends what was gathered, and forgets the peers.
  void Flush();

 private:
  proto::FrameHeader header_;
  SendFrame send_;
  std::map<std::string, proto::FrameWriter, std::less<>> frames_;  // by routing id
};

}  // namespace bedrock::storage
