#include "routerd/server/daemon_links.h"

#include <utility>

#include "common/base/status_macros.h"

namespace bedrock::router {

Status DaemonLinks::Open(NodeId node, Daemon daemon, const std::string& address) {
  Close(node, daemon);
  ASSIGN_OR_RETURN(auto link, net::Link::Connect(loop_, context_, address, routing_id_,
                                                 [this, node, daemon](Bytes frame) {
                                                   handler_(node, daemon, std::move(frame));
                                                 }));
  peers_.push_back(
      std::make_unique<Peer>(Peer{node, daemon, std::move(link), proto::FrameWriter(header_), {}}));
  return {};
}

void DaemonLinks::Close(NodeId node, Daemon daemon) {
  std::erase_if(peers_, [&](const std::unique_ptr<Peer>& peer) {
    if (peer->node != node || peer->daemon != daemon) return false;
    for (const RequestId request : peer->requests) lost_.push_back({node, daemon, request});
    return true;
  });
}

void DaemonLinks::Add(const Send& send) {
  for (const auto& peer : peers_) {
    if (peer->node != send.node || peer->daemon != send.daemon) continue;
    peer->frame.Add(send.request, send.timeout_ms, send.message);
    peer->requests.push_back(send.request);
    if (peer->frame.full()) SendFrame(*peer);
    return;
  }
  lost_.push_back({send.node, send.daemon, send.request});
}

void DaemonLinks::SendFrame(Peer& peer) {
  if (!peer.link->Send(peer.frame.Finish())) {
    for (const RequestId request : peer.requests) {
      lost_.push_back({peer.node, peer.daemon, request});
    }
  }
  peer.requests.clear();
}

void DaemonLinks::Flush(const Unsent& unsent) {
  for (const auto& peer : peers_) {
    if (!peer->frame.empty()) SendFrame(*peer);
  }
  const std::vector<Lost> lost = std::exchange(lost_, {});
  for (const Lost& message : lost) unsent(message.node, message.daemon, message.request);
}

}  // namespace bedrock::router
