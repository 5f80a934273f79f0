#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "bedrock/result.h"
#include "common/base/ids.h"
#include "common/config/endpoint.h"
#include "common/env/clock.h"
#include "common/net/event_loop.h"
#include "proto/command.h"
#include "routerd/core/gateway.h"

namespace bedrock::router {

struct HttpOptions {
  /// Where to listen; a host of "*" is every interface, IPv4 and IPv6; port 0 is any free one.
  std::vector<config::HostPort> listen;
  NodeId node;
  ClusterId cluster;
  BootId boot;
  std::uint64_t value_bytes_max = proto::kValueBytesDefault;
  std::size_t connections_max = 4096;  ///< Beyond it a connection gets a 429 and is closed.

  // How long a client may take. Looked at once a second.
  std::uint64_t idle_ms = 75'000;   ///< Between two requests.
  std::uint64_t head_ms = 10'000;   ///< From a request's first byte to its header's end.
  std::uint64_t body_ms = 60'000;   ///< For a whole body.
  std::uint64_t write_ms = 60'000;  ///< Without taking a byte of what is sent.
  std::uint64_t linger_ms = 2'000;  ///< To close its side after our last reply.
};

/// The HTTP front: sockets around HttpSessions.
///
/// Asio's sockets, one read and one write a turn and connection: replies gather in their
/// connection's buffer until Flush. Loop thread only. Borrows everything it is given.
class HttpServer {
 public:
  /// unavailable where an address is taken, invalid_argument where one can't be resolved.
  static Result<std::unique_ptr<HttpServer>> Listen(net::EventLoop& loop, Clock& clock,
                                                    Gateway& gateway, const HttpOptions& options);
  virtual ~HttpServer() = default;

  /// Hands a completion of a kHttp ticket to its connection; one of a connection that is gone is
  /// dropped.
  virtual void Complete(const Completion& completion) = 0;
  /// Sends what the turn has gathered. At the end of each turn.
  virtual void Flush() = 0;
  /// Closes what took too long. Called by the server's own timer; tests call it with times of their
  /// own.
  virtual void CheckTimeouts(std::uint64_t now_ms) = 0;
  /// Closes the listening sockets and idle connections; what runs is finished, and refused with
  /// shutting_down is what still comes.
  virtual void Shutdown() = 0;

  virtual std::size_t connections() const = 0;
  /// In the order of the listening sockets.
  virtual std::vector<std::uint16_t> ports() const = 0;
};

}  // namespace bedrock::router
