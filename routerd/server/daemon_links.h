#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bedrock/status.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/net/event_loop.h"
#include "common/net/message_socket.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "routerd/core/base/types.h"

namespace bedrock::router {

/// Links to nodes' raftds and storageds and to the other nodes' routerds, and what this turn has
/// for each. Loop thread only. Borrows loop and context.
class DaemonLinks {
 public:
  using Handler = std::function<void(NodeId node, Daemon daemon, Bytes frame)>;
  using Unsent = std::function<void(NodeId node, Daemon daemon, RequestId request)>;

  /// The routing id is the same on every link: storaged replies to the id that proposed to raftd.
  DaemonLinks(net::EventLoop& loop, net::MessageContext& context, std::string routing_id,
              const proto::FrameHeader& header, Handler handler)
      : loop_(loop),
        context_(context),
        routing_id_(std::move(routing_id)),
        header_(header),
        handler_(std::move(handler)) {}

  /// Opens the link to a daemon, or moves it there. On an error it has none.
  Status Open(NodeId node, Daemon daemon, const std::string& address);
  /// What it had for the daemon and has not sent is unsent.
  void Close(NodeId node, Daemon daemon);

  /// Puts the message into its daemon's frame.
  void Add(const Send& send);
  /// Sends all frames; calls `unsent` for each message that could not leave. A message for a node
  /// without a link is one of those.
  void Flush(const Unsent& unsent);

 private:
  struct Peer {
    NodeId node;
    Daemon daemon = Daemon::kRaftd;
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

  net::EventLoop& loop_;
  net::MessageContext& context_;
  const std::string routing_id_;
  const proto::FrameHeader header_;
  const Handler handler_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::vector<Lost> lost_;
};

}  // namespace bedrock::router
