#include "routerd/server/daemon_links.h"

#include <utility>

#include "common/base/status_macros.h"

namespace bedrock::router {

Result<std::unique_ptr<DaemonLinks>> DaemonLinks::Connect(
    net::EventLoop& loop, net::MessageContext& context, const std::vector<Endpoint>& endpoints,
    const std::string& routing_id, const proto::FrameHeader& header, const Handler& handler) {
  auto links = std::make_unique<DaemonLinks>();
  for (const Endpoint& endpoint : endpoints) {
    ASSIGN_OR_RETURN(auto link, net::Link::Connect(
                                    loop, context, endpoint.address, routing_id,
                                    [handler, node = endpoint.node, daemon = endpoint.daemon](
                                        Bytes frame) { handler(node, daemon, std::move(frame)); }));
    links->peers_.push_back(
        std::make_unique<Peer>(Peer{endpoint, std::move(link), proto::FrameWriter(header), {}}));
  }
  return links;
}

void DaemonLinks::Add(const Send& send) {
  for (const auto& peer : peers_) {
    if (peer->endpoint.node != send.node || peer->endpoint.daemon != send.daemon) continue;
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
      lost_.push_back({peer.endpoint.node, peer.endpoint.daemon, request});
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
