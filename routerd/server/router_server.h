#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bedrock/result.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/config/node_config.h"
#include "common/env/clock.h"
#include "common/logging/log.h"
#include "common/net/event_loop.h"
#include "common/net/message_socket.h"
#include "routerd/core/gateway.h"
#include "routerd/core/router_core.h"
#include "routerd/http/http_server.h"
#include "routerd/messaging/client_front.h"
#include "routerd/server/daemon_links.h"

namespace bedrock::router {

struct ServerOptions {
  NodeId node;
  ClusterId cluster;
  BootId boot;        ///< Random, of this start of the process.
  SessionId session;  ///< As above: the router's own, for the commands that it makes.
  /// The flags': this node and whom to begin with; the raftds tell who takes part.
  std::vector<config::Member> members;
  std::vector<config::HostPort> http;
  std::vector<std::string> client_endpoints;
  std::uint64_t value_bytes_max = proto::kValueBytesDefault;
  std::uint64_t connections_max = 4096;
  std::uint64_t history_ms = 600'000;  ///< How long overwritten versions are kept, at least.
  std::uint64_t stop_ms = 10'000;      ///< How long an orderly stop waits for what runs.
  std::string software;
};

/// The shell of routerd: carries out what the core asks, between the fronts and the daemons. This
/// node's own raftd and storaged are reached over ipc in the working directory, the others over
/// tcp.
///
/// Loop thread only. Borrows loop, context and clock.
class RouterServer final : private Gateway {
  /// Only Start can make one.
  class Key {
    friend class RouterServer;
    Key() = default;
  };

 public:
  RouterServer(Key, net::EventLoop& loop, Clock& clock, const ServerOptions& options);
  /// unavailable where an address is taken.
  static Result<std::unique_ptr<RouterServer>> Start(net::EventLoop& loop,
                                                     net::MessageContext& context, Clock& clock,
                                                     const ServerOptions& options);
  ~RouterServer() override;
  RouterServer(const RouterServer&) = delete;
  RouterServer& operator=(const RouterServer&) = delete;

  /// Takes nothing new; once what runs has ended, or stop_ms later, stops the loop.
  void BeginStop();

  /// Ports that HTTP listens on.
  std::vector<std::uint16_t> http_ports() const { return http_->ports(); }

 private:
  Status Open(net::MessageContext& context);

  void Read(ReadRequest request) override;
  void Query(QueryRequest request) override;
  void Write(WriteRequest request) override;
  void Write(const ClientCommand& request) override;
  void Transact(TransactionStep step) override;
  void CompactHistory(const CompactRequest& request) override;
  void ChangeMembership(MembershipRequest request) override;
  ClusterView Cluster() const override;
  CoreGauges Gauges() const override;

  void OnDaemonFrame(NodeId node, Daemon daemon, const Bytes& bytes);
  void LogBadFrame(NodeId node, Daemon daemon, const std::string& reason);
  void OnTurnEnd();
  void ChangeLink(const LinkChange& change);
  void CarryOut();
  void ArmTimer();
  void StopWhenDone();

  net::EventLoop& loop_;
  Clock& clock_;
  const ServerOptions options_;
  RouterCore core_;
  std::unique_ptr<DaemonLinks> links_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<ClientFront> clients_;
  std::unique_ptr<net::Listener> listener_;
  Effects effects_;
  net::TimerId status_timer_;
  net::TimerId poll_timer_;  // none: not armed
  std::optional<std::uint64_t> stop_deadline_ms_;
  NodeId logged_leader_;
  log::RateLimit bad_frame_log_;
  std::shared_ptr<bool> alive_;  // false once the loop's hook must not touch this
};

}  // namespace bedrock::router
