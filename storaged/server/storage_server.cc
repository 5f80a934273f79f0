#include "storaged/server/storage_server.h"

#include <utility>

#include "common/base/status_macros.h"
#include "proto/codec.h"
#include "storaged/server/identity.h"

namespace bedrock::storage {
namespace {

proto::FrameHeader HeaderOf(const ServerOptions& options) {
  proto::FrameHeader header;
  header.cluster = options.cluster;
  header.node = options.node;
  header.boot = options.boot;
  return header;
}

}  // namespace

Result<std::unique_ptr<StorageServer>> StorageServer::Start(net::EventLoop& loop,
                                                            net::MessageContext& context,
                                                            const Environment& environment,
                                                            const ServerOptions& options) {
  std::unique_ptr<StorageServer> server(new StorageServer(loop, environment, options));
  RETURN_IF_ERROR(server->Open(context, options));
  return server;
}

StorageServer::StorageServer(net::EventLoop& loop, const Environment& environment,
                             const ServerOptions& options)
    : loop_(loop),
      environment_(environment),
      header_(HeaderOf(options)),
      frames_(header_, [this](const std::string& to, std::string frame) {
        SendFrame(to, std::move(frame));
      }) {}

StorageServer::~StorageServer() {
  loop_.Cancel(tick_);
  loop_.Cancel(wakeup_);
  loop_.Cancel(grace_);
}

Status StorageServer::Open(net::MessageContext& context, const ServerOptions& options) {
  RETURN_IF_ERROR(ClaimIdentity(*environment_.file_system, options.identity_file, options.cluster,
                                options.node));
  context_ = &context;
  Executor& files =
      options.snapshot_executor != nullptr ? *options.snapshot_executor : *environment_.executor;
  ASSIGN_OR_RETURN(
      node_, StorageNode::Open(environment_, files,
                               {.cluster = options.cluster,
                                .node = options.node,
                                .software = options.software,
                                .engine = options.engine,
                                .snapshot_bytes_per_second = options.snapshot_bytes_per_second,
                                .seed = options.boot.value()},
                               // A turn, at whose end the node runs.
                               [this] { loop_.Post([] {}); }));
  ASSIGN_OR_RETURN(
      listener_, net::Listener::Bind(
                     loop_, context, options.listen,
                     [this](std::string_view from, const Bytes& frame) { OnFrame(from, frame); }));
  loop_.AtTurnEnd([this] { OnTurnEnd(); });
  tick_ = loop_.Every(kTickMs, [this] {
    node_->Tick();
    LetSourceGo();
  });
  log::Info("serving", {{"applied", node_->engine().applied().index},
                        {"sessions", node_->machine().sessions().session_count()}});
  return Status::Ok();
}

void StorageServer::OnFrame(std::string_view from, const Bytes& bytes) {
  auto frame = proto::DecodeFrame(bytes);
  if (frame.ok()) {
    node_->Receive(from, std::move(frame).value(), environment_.clock->MonotonicMs());
    return;
  }
  node_->ReceiveMalformed(from, frame.status().message());
  if (const auto repeats = malformed_limit_.Admit(environment_.clock->MonotonicMs())) {
    log::Warning("frame refused", {{"error", frame.status()}, {"repeats", *repeats}});
  }
}

void StorageServer::OnTurnEnd() {
  if (end_) return;
  const bool more = node_->Run(environment_.clock->MonotonicMs(), out_);
  for (const auto& message : out_.messages) {
    frames_.Add(message.to, message.request, message.message);
  }
  frames_.Flush();
  out_.messages.clear();
  SendToSource();
  LogChanges();
  EndIfDue();
  if (end_) return;
  if (more) loop_.Post([] {});
  ArmWakeup();
}

void StorageServer::SendFrame(const std::string& to, std::string frame) {
  // Who is gone asks again when it is back: there is nothing to be done here.
  if (!listener_->Send(to, std::move(frame))) log::Debug("peer is gone or slow; frame dropped");
}

void StorageServer::SendToSource() {
  if (out_.to_source.empty()) return;
  const auto* source = node_->source();
  if (source != nullptr && source->endpoint != source_endpoint_) {
    source_.reset();
    source_endpoint_ = source->endpoint;
    auto link = net::Link::Connect(loop_, *context_, source_endpoint_,
                                   RoutingId("storaged", header_.node, header_.boot),
                                   [this](const Bytes& bytes) { OnSourceFrame(bytes); });
    if (link.ok()) {
      source_ = std::move(link).value();
    } else {
      log::Warning("no link to a snapshot's source",
                   {{"endpoint", source_endpoint_}, {"error", link.status()}});
      source_endpoint_.clear();
    }
  }
  proto::FrameWriter frame(header_);
  for (const auto& message : out_.to_source) frame.Add(RequestId(1), 0, message);
  out_.to_source.clear();
  // What is lost is asked for again.
  if (source_ != nullptr) source_->Send(frame.Finish());
}

void StorageServer::OnSourceFrame(const Bytes& bytes) {
  auto frame = proto::DecodeFrame(bytes);
  if (frame.ok()) {
    node_->ReceiveFromSource(std::move(frame).value(), environment_.clock->MonotonicMs());
  } else {
    log::Warning("frame of a snapshot's source can't be read", {{"error", frame.status()}});
  }
}

void StorageServer::LetSourceGo() {
  if (node_->source() != nullptr) return;
  source_.reset();
  source_endpoint_.clear();
}

void StorageServer::ArmWakeup() {
  const auto next = node_->NextWakeup();
  if (next == wakeup_at_ms_) return;
  loop_.Cancel(wakeup_);
  wakeup_at_ms_ = next;
  if (!next) return;
  const std::uint64_t now = environment_.clock->MonotonicMs();
  wakeup_ = loop_.After(*next > now ? *next - now : 0, [this] { wakeup_at_ms_.reset(); });
}

void StorageServer::LogChanges() {
  LogSnapshots();
  if (const auto health = node_->core().health(); health != logged_health_) {
    logged_health_ = health;
    if (health == proto::ErrorCode::kOk) {
      log::Info("storage is well again");
    } else if (health == proto::ErrorCode::kDiverged) {
      log::Error("this replica is quarantined: it serves nobody until it is rebuilt",
                 {{"detail", node_->core().health_detail()}});
    } else {
      log::Error("storage takes no writes", {{"code", proto::ErrorCodeName(health)},
                                             {"detail", node_->core().health_detail()}});
    }
  }
  if (const Status& fault = node_->quarantine_fault(); fault.ok() == quarantine_fault_logged_) {
    quarantine_fault_logged_ = !fault.ok();
    if (!fault.ok()) log::Error("the quarantine is not noted on disk", {{"error", fault}});
  }
  const std::uint64_t corrupt = node_->core().corrupt_reads();
  if (corrupt == logged_corrupt_reads_) return;
  if (!corrupt_reads_limit_.Admit(environment_.clock->MonotonicMs())) return;
  logged_corrupt_reads_ = corrupt;
  log::Error("read met damaged bytes",
             {{"reads_so_far", corrupt}, {"detail", node_->core().last_corruption()}});
}

void StorageServer::LogSnapshots() {
  const proto::FetchProgress fetch = node_->fetch().Progress();
  if (fetch.installing != logged_fetch_.installing && fetch.installing) {
    log::Info("fetching a snapshot", {{"index", fetch.installing},
                                      {"from", node_->fetch().source().endpoint},
                                      {"bytes", fetch.bytes_total},
                                      {"bytes_here", fetch.bytes_done}});
  }
  if (fetch.error != logged_fetch_.error && !fetch.error.ok()) {
    log::Warning("snapshot not fetched", {{"code", proto::ErrorCodeName(fetch.error.code)},
                                          {"detail", fetch.error.detail}});
  }
  logged_fetch_ = fetch;
  if (node_->installed() == logged_installed_) return;
  logged_installed_ = node_->installed();
  log::Info("snapshot installed", {{"applied", node_->machine().applied()},
                                   {"sessions", node_->machine().sessions().session_count()}});
}

void StorageServer::BeginStop() {
  if (stopping_) return;
  stopping_ = true;
  log::Info("stopping", {{"applied", node_->machine().applied()}});
  node_->BeginStop();
  grace_ = loop_.After(kStopGraceMs, [this] {
    log::Warning("stopped before all was flushed; the raft log has the rest",
                 {{"applied", node_->machine().applied()},
                  {"durable_applied", node_->engine().durable_applied().index}});
    Finish(End::kStopped);
  });
}

void StorageServer::EndIfDue() {
  if (node_->failed()) {
    log::Error("engine failed; restart to recover what is durable",
               {{"detail", node_->core().health_detail()}});
    Finish(End::kEngineFailed);
  } else if (stopping_ && node_->stopped()) {
    Finish(End::kStopped);
  }
}

void StorageServer::Finish(End end) {
  if (end_) return;
  end_ = end;
  loop_.Stop();
}

}  // namespace bedrock::storage
