#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "proto/codec.h"
#include "proto/frame.h"

namespace bedrock::proto {

/// Gathers a turn's messages into one frame a peer; a frame that is full goes out at once. Keeps
/// the order per peer. One thread.
class PeerFrames {
 public:
  using SendFrame = std::function<void(const std::string& to, std::string frame)>;

  /// All frames carry `header`.
  PeerFrames(const FrameHeader& header, SendFrame send);

  void Add(const std::string& to, RequestId request, const Message& message);
  /// Sends what was gathered, and forgets the peers.
  void Flush();

 private:
  FrameHeader header_;
  SendFrame send_;
  std::map<std::string, FrameWriter, std::less<>> frames_;  // by routing id
};

}  // namespace bedrock::proto
