#include "raftd/server/outgoing_frames.h"

#include <utility>

namespace bedrock::raft {

OutgoingFrames::OutgoingFrames(const proto::FrameHeader& header, Transport& transport,
                               Callbacks callbacks)
    : header_(header),
      transport_(transport),
      callbacks_(std::move(callbacks)),
      storage_(header),
      callers_(header, [this](const std::string& to, std::string frame) {
        // A caller that is gone asks again when it is back.
        if (!closed_) static_cast<void>(transport_.SendToCaller(to, std::move(frame)));
      }) {}

void OutgoingFrames::ToPeer(NodeId peer, const proto::Message& message) {
  Peer& to = peers_.try_emplace(peer, Peer{.writer = proto::FrameWriter(header_)}).first->second;
  to.writer.Add(RequestId(), 0, message);
  if (to.writer.full()) FinishPeer(peer, to);
}

void OutgoingFrames::ToStorage(RequestId request, const proto::Message& message) {
  storage_.Add(request, 0, message);
  if (storage_.full()) FinishStorage();
}

void OutgoingFrames::ToCaller(const std::string& to, RequestId request,
                              const proto::Message& message) {
  callers_.Add(to, request, message);
}

void OutgoingFrames::FinishPeer(NodeId id, Peer& peer) {
  std::string frame = peer.writer.Finish();
  if (closed_) return;
  const bool up = transport_.SendToPeer(id, std::move(frame));
  if (up != std::exchange(peer.up, up)) peers_reset_.push_back(id);
}

void OutgoingFrames::FinishStorage() {
  std::string frame = storage_.Finish();
  if (closed_) return;
  if (!transport_.SendToStorage(std::move(frame))) storage_lost_ = true;
}

void OutgoingFrames::Flush() {
  for (auto& [id, peer] : peers_) {
    if (!peer.writer.empty()) FinishPeer(id, peer);
  }
  if (!storage_.empty()) FinishStorage();
  callers_.Flush();
  for (const NodeId peer : std::exchange(peers_reset_, {})) callbacks_.on_peer_reset(peer);
  if (std::exchange(storage_lost_, false)) callbacks_.on_storage_lost();
}

}  // namespace bedrock::raft
