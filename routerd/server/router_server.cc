#include "routerd/server/router_server.h"

#include <utility>
#include <variant>

#include "common/base/status_macros.h"
#include "proto/codec.h"

namespace bedrock::router {
namespace {

/// What one round of a turn may set off in the next; what is left then waits for the next turn.
constexpr int kRoundsMax = 16;

CoreOptions CoreOptionsOf(const ServerOptions& options, const Clock& clock) {
  CoreOptions core;
  core.self = options.node;
  core.session = options.session;
  core.boot = options.boot;
  core.wall_offset_ms = clock.WallMs() - clock.MonotonicMs();
  core.history_ms = options.history_ms;
  core.value_bytes_max = options.value_bytes_max;
  for (const config::Member& member : options.members) {
    core.members.push_back({member.id, member.raft, member.storage, member.client, member.http});
  }
  return core;
}

const char* DaemonName(Daemon daemon) {
  switch (daemon) {
    case Daemon::kRaftd:
      return "raftd";
    case Daemon::kStoraged:
      return "storaged";
    case Daemon::kRouterd:
      return "routerd";
  }
  return "?";
}

}  // namespace

RouterServer::RouterServer(Key, net::EventLoop& loop, Clock& clock, const ServerOptions& options)
    : loop_(loop),
      clock_(clock),
      options_(options),
      core_(CoreOptionsOf(options, clock)),
      alive_(std::make_shared<bool>(true)) {}

RouterServer::~RouterServer() {
  *alive_ = false;
  loop_.Cancel(status_timer_);
  loop_.Cancel(poll_timer_);
}

Result<std::unique_ptr<RouterServer>> RouterServer::Start(net::EventLoop& loop,
                                                          net::MessageContext& context,
                                                          Clock& clock,
                                                          const ServerOptions& options) {
  auto server = std::make_unique<RouterServer>(Key(), loop, clock, options);
  RETURN_IF_ERROR(server->Open(context));
  return server;
}

Status RouterServer::Open(net::MessageContext& context) {
  Gateway& gateway = *this;  // a private base: only here is it given away
  proto::FrameHeader header;
  header.cluster = options_.cluster;
  header.node = options_.node;
  header.boot = options_.boot;
  links_ = std::make_unique<DaemonLinks>(loop_, context,
                                         RoutingId("routerd", options_.node, options_.boot), header,
                                         [this](NodeId node, Daemon daemon, const Bytes& frame) {
                                           OnDaemonFrame(node, daemon, frame);
                                         });
  clients_ = std::make_unique<ClientFront>(
      ClientFrontOptions{options_.node, options_.cluster, options_.boot, options_.software},
      gateway, clock_, [this](const std::string& to, std::string frame) {
        // A client that is gone asks again elsewhere.
        static_cast<void>(listener_->Send(to, std::move(frame)));
      });
  ASSIGN_OR_RETURN(listener_,
                   net::Listener::Bind(loop_, context, options_.client_endpoints,
                                       [this](std::string_view from, const Bytes& frame) {
                                         clients_->OnFrame(from, frame);
                                       }));
  HttpOptions http;
  http.listen = options_.http;
  http.node = options_.node;
  http.cluster = options_.cluster;
  http.boot = options_.boot;
  http.value_bytes_max = options_.value_bytes_max;
  http.connections_max = options_.connections_max;
  ASSIGN_OR_RETURN(http_, HttpServer::Listen(loop_, clock_, gateway, http));
  loop_.AtTurnEnd([this, alive = alive_] {
    if (*alive) OnTurnEnd();
  });
  // The turn itself polls the core.
  status_timer_ = loop_.Every(RouterCore::kStatusIntervalMs, [] {});
  loop_.Post([] {});  // a first turn at once
  return {};
}

void RouterServer::Read(ReadRequest request) {
  core_.Read(std::move(request), clock_.MonotonicMs());
}
void RouterServer::Query(QueryRequest request) { core_.Query(request, clock_.MonotonicMs()); }
void RouterServer::Write(WriteRequest request) {
  core_.Write(std::move(request), clock_.MonotonicMs());
}
void RouterServer::Write(const ClientCommand& request) {
  core_.Write(request, clock_.MonotonicMs());
}
void RouterServer::Transact(TransactionStep step) {
  core_.Transact(std::move(step), clock_.MonotonicMs());
}
void RouterServer::CompactHistory(const CompactRequest& request) {
  core_.CompactHistory(request, clock_.MonotonicMs());
}
void RouterServer::ChangeMembership(MembershipRequest request) {
  core_.ChangeMembership(std::move(request), clock_.MonotonicMs());
}
ClusterView RouterServer::Cluster() const { return core_.View(clock_.MonotonicMs()); }

CoreGauges RouterServer::Gauges() const { return core_.Gauges(clock_.MonotonicMs()); }

void RouterServer::LogBadFrame(NodeId node, Daemon daemon, const std::string& reason) {
  const auto repeats = bad_frame_log_.Admit(clock_.MonotonicMs());
  if (!repeats) return;
  log::Warning(
      "frame ignored",
      {{"from", node}, {"daemon", DaemonName(daemon)}, {"reason", reason}, {"repeats", *repeats}});
}

void RouterServer::OnDaemonFrame(NodeId node, Daemon daemon, const Bytes& bytes) {
  auto frame = proto::DecodeFrame(bytes);
  if (!frame.ok()) return LogBadFrame(node, daemon, frame.status().ToString());
  const proto::FrameHeader& header = frame->header;
  if (header.protocol != proto::kProtocolVersion) {
    return LogBadFrame(node, daemon, "protocol version " + std::to_string(header.protocol));
  }
  if (header.cluster != options_.cluster) {
    return LogBadFrame(node, daemon, "cluster " + FormatClusterId(header.cluster));
  }
  if (header.node != node) {
    return LogBadFrame(node, daemon, "answered as node " + FormatNodeId(header.node));
  }
  const std::uint64_t now = clock_.MonotonicMs();
  for (proto::Packet& packet : frame->packets) {
    if (const auto* refusal = std::get_if<proto::Refusal>(&packet.message)) {
      LogBadFrame(node, daemon, "refused us: " + refusal->error.detail);
    }
    core_.OnPacket(node, daemon, std::move(packet), now);
  }
}

void RouterServer::OnTurnEnd() {
  for (int round = 0; round < kRoundsMax; ++round) {
    effects_.Clear();
    core_.Poll(clock_.MonotonicMs(), &effects_);
    if (effects_.empty() && round > 0) break;
    CarryOut();
  }
  ArmTimer();
  const NodeId leader = core_.leader(clock_.MonotonicMs()).node;
  if (leader != logged_leader_) {
    logged_leader_ = leader;
    log::Info(leader ? "following a leader" : "no leader is known", {{"leader", leader}});
  }
  if (stop_deadline_ms_) StopWhenDone();
}

void RouterServer::ChangeLink(const LinkChange& change) {
  if (!change.open) {
    links_->Close(change.node, change.daemon);
    return log::Info("link closed", {{"to", change.node}, {"daemon", DaemonName(change.daemon)}});
  }
  std::string address = change.address;
  if (change.node == options_.node) {
    address = change.daemon == Daemon::kRaftd ? config::kRaftdIpc : config::kStoragedIpc;
  }
  if (const Status status = links_->Open(change.node, change.daemon, address); !status.ok()) {
    log::Error("no link can be opened",
               {{"to", change.node}, {"address", address}, {"error", status}});
  }
}

void RouterServer::CarryOut() {
  for (const LinkChange& change : effects_.links) ChangeLink(change);
  for (Completion& completion : effects_.completions) {
    if (completion.ticket.front == Ticket::Front::kHttp) {
      http_->Complete(completion);
    } else {
      clients_->Complete(std::move(completion));
    }
  }
  for (const Send& send : effects_.sends) links_->Add(send);
  links_->Flush([this](NodeId node, Daemon daemon, RequestId request) {
    core_.OnUnsent(node, daemon, request, clock_.MonotonicMs());
  });
  http_->Flush();
  clients_->Flush();
}

void RouterServer::ArmTimer() {
  const bool needed = !core_.idle() || stop_deadline_ms_.has_value();
  if (!needed || poll_timer_) return;
  poll_timer_ = loop_.After(RouterCore::kPollMs, [this] { poll_timer_ = net::TimerId(); });
}

void RouterServer::BeginStop() {
  if (stop_deadline_ms_) return;
  log::Info("stopping", {{"reads", core_.reads_in_flight()},
                         {"writes", core_.writes_in_flight()},
                         {"connections", http_->connections()}});
  stop_deadline_ms_ = clock_.MonotonicMs() + options_.stop_ms;
  clients_->Shutdown();
  http_->Shutdown();
  core_.Shutdown(clock_.MonotonicMs());
}

void RouterServer::StopWhenDone() {
  const bool done = core_.idle() && http_->connections() == 0;
  if (!done && clock_.MonotonicMs() < *stop_deadline_ms_) return;
  if (!done) {
    log::Warning("stopped with requests unfinished", {{"reads", core_.reads_in_flight()},
                                                      {"writes", core_.writes_in_flight()},
                                                      {"connections", http_->connections()}});
  }
  loop_.Stop();
}

}  // namespace bedrock::router
