#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/bytes.h"
#include "common/base/units.h"
#include "common/net/event_loop.h"

namespace bedrock::net {

/// A peer that sends a larger message is disconnected. The protocol's largest frame and some slack.
inline constexpr std::uint64_t kMessageBytesMax = 16 * kMiB + 64 * kKiB;

/// The ZeroMQ context of a process; outlives its sockets.
class MessageContext {
 public:
  MessageContext();
  ~MessageContext();
  MessageContext(const MessageContext&) = delete;
  MessageContext& operator=(const MessageContext&) = delete;

 private:
  friend class Listener;
  friend class Link;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// A bound ROUTER socket: many peers come to it, each with a routing id of its own.
///
/// Loop thread only; destroyed before its loop and context, and not from within its own handler.
/// Frames may be lost (a peer restarts, a queue is full): whoever needs an answer asks again.
/// Messages of more than one frame are dropped unseen. A newcomer with a known routing id takes
/// over from the one before (ZMQ_ROUTER_HANDOVER).
class Listener : public Drainable {
 public:
  /// `from` is valid during the call; `frame` may be kept.
  using Handler = std::function<void(std::string_view from, Bytes frame)>;

  /// Binds every endpoint ("tcp://127.0.0.1:9000", "ipc://run/raftd.sock"; ipc paths may be
  /// relative to the working directory, and a dead listener's socket file is replaced). unavailable
  /// where one is taken or cannot be bound.
  static Result<std::unique_ptr<Listener>> Bind(EventLoop& loop, MessageContext& context,
                                                const std::vector<std::string>& endpoints,
                                                Handler handler);
  ~Listener() override = default;

  /// Sends one frame to a peer. False: it is gone or its queue is full, and the frame is dropped.
  virtual bool Send(std::string_view to, std::string frame) = 0;
};

/// A DEALER socket connected to one Listener; reconnects by itself.
///
/// Loop thread only; destroyed before its loop and context, and not from within its own handler.
/// Frames are never queued for a peer that is down (ZMQ_IMMEDIATE): they are dropped.
class Link : public Drainable {
 public:
  using Handler = std::function<void(Bytes frame)>;

  /// `routing_id`, 1 to 255 bytes not starting with a zero byte, must be unlike any other's at that
  /// listener, also this process's own of an earlier life: name it by node, role and boot id.
  static Result<std::unique_ptr<Link>> Connect(EventLoop& loop, MessageContext& context,
                                               const std::string& endpoint,
                                               const std::string& routing_id, Handler handler);
  ~Link() override = default;

  /// False: not connected or the queue is full, and the frame is dropped.
  virtual bool Send(std::string frame) = 0;
};

}  // namespace bedrock::net
