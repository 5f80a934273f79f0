#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bedrock/result.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/net/event_loop.h"
#include "common/net/message_socket.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "routerd/core/types.h"

namespace bedrock::router {

/// Links to every node's raftd and storaged and to the other nodes' routerds, and what this turn
/// has for each. Loop thread only.
class DaemonLinks {
 public:
  struct Endpoint {
    NodeId node;
    Daemon daemon = Daemon::kRaftd;
    std::string address;
  };
  using Handler = std::function<void(NodeId node, Daemon daemon, Bytes frame)>;
  using Unsent = std::function<void(NodeId node, Daemon daemon, RequestId request)>;

  /// The routing id is the same on every link: storaged replies to the id that proposed to raftd.
  static Result<std::unique_ptr<DaemonLinks>> Connect(
      net::EventLoop& loop, net::MessageContext& context, const std::vector<Endpoint>& endpoints,
      const std::string& routing_id, const proto::FrameHeader& header, const Handler& handler);

  /// Puts the message into its daemon's frame.
  void Add(const Send& send);
  /// Sends all frames; calls `unsent` for each message that could not leave. A message for a node
  /// without a link is one of those.
  void Flush(const Unsent& unsent);

 private:
  struct Peer {
    Endpoint endpoint;
    std::unique_ptr<net::Link> link;
    proto::FrameWriter frame;
    std::vector<RequestId> requests;  // in `frame`
  };
  struct Lost {
    NodeId node;
    Daemon daemon;
    RequestId request;
  };

  void SendFrame(Peer& peer);

  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<Lost> lost_;
};

}  // namespace bedrock::router
