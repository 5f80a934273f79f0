#include "proto/peer_frames.h"

#include <utility>

namespace bedrock::proto {

PeerFrames::PeerFrames(const FrameHeader& header, SendFrame send)
    : header_(header), send_(std::move(send)) {}

void PeerFrames::Add(const std::string& to, RequestId request, const Message& message) {
  FrameWriter& frame = frames_.try_emplace(to, header_).first->second;
  frame.Add(request, 0, message);
  if (frame.full()) send_(to, frame.Finish());
}

void PeerFrames::Flush() {
  for (auto& [to, frame] : frames_) {
    if (!frame.empty()) send_(to, frame.Finish());
  }
  frames_.clear();
}

}  // namespace bedrock::proto
