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
      frames_(HeaderOf(options), [this](const std::string& to, std::string frame) {
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
  ASSIGN_OR_RETURN(engine_, engine::Engine::Open(environment_, options.engine));
  ASSIGN_OR_RETURN(machine_, StateMachine::Open(*engine_));
  core_ = std::make_unique<StorageCore>(
      *engine_, *machine_,
      StorageCore::Options{
          .cluster = options.cluster, .node = options.node, .software = options.software});
  engine_->OnProgress([this] { loop_.Post([this] { core_->EngineProgressed(); }); });
  ASSIGN_OR_RETURN(
      listener_, net::Listener::Bind(
                     loop_, context, options.listen,
                     [this](std::string_view from, const Bytes& frame) { OnFrame(from, frame); }));
  loop_.AtTurnEnd([this] { OnTurnEnd(); });
  tick_ = loop_.Every(kTickMs, [this] { core_->Tick(); });
  log::Info("serving", {{"applied", engine_->applied().index},
                        {"sessions", machine_->sessions().session_count()}});
  return Status::Ok();
}

void StorageServer::OnFrame(std::string_view from, const Bytes& bytes) {
  auto frame = proto::DecodeFrame(bytes);
  if (frame.ok()) {
    core_->Receive(from, std::move(frame).value(), environment_.clock->MonotonicMs());
    return;
  }
  core_->ReceiveMalformed(from, frame.status().message());
  if (const auto repeats = malformed_limit_.Admit(environment_.clock->MonotonicMs())) {
    log::Warning("frame refused", {{"error", frame.status()}, {"repeats", *repeats}});
  }
}

void StorageServer::OnTurnEnd() {
  if (end_) return;
  outgoing_.clear();
  const bool more = core_->Run(environment_.clock->MonotonicMs(), outgoing_);
  for (const auto& message : outgoing_) {
    frames_.Add(message.to, message.request, message.message);
  }
  frames_.Flush();
  outgoing_.clear();
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

void StorageServer::ArmWakeup() {
  const auto next = core_->NextWakeup();
  if (next == wakeup_at_ms_) return;
  loop_.Cancel(wakeup_);
  wakeup_at_ms_ = next;
  if (!next) return;
  const std::uint64_t now = environment_.clock->MonotonicMs();
  wakeup_ = loop_.After(*next > now ? *next - now : 0, [this] { wakeup_at_ms_.reset(); });
}

void StorageServer::LogChanges() {
  if (const auto health = core_->health(); health != logged_health_) {
    logged_health_ = health;
    if (health == proto::ErrorCode::kOk) {
      log::Info("storage is well again");
    } else {
      log::Error("storage takes no writes",
                 {{"code", proto::ErrorCodeName(health)}, {"detail", core_->health_detail()}});
    }
  }
  const std::uint64_t corrupt = core_->corrupt_reads();
  if (corrupt == logged_corrupt_reads_) return;
  if (!corrupt_reads_limit_.Admit(environment_.clock->MonotonicMs())) return;
  logged_corrupt_reads_ = corrupt;
  log::Error("read met damaged bytes",
             {{"reads_so_far", corrupt}, {"detail", core_->last_corruption()}});
}

void StorageServer::BeginStop() {
  if (stopping_) return;
  stopping_ = true;
  log::Info("stopping", {{"applied", machine_->applied()}});
  core_->BeginStop();
  grace_ = loop_.After(kStopGraceMs, [this] {
    log::Warning(
        "stopped before all was flushed; the raft log has the rest",
        {{"applied", machine_->applied()}, {"durable_applied", engine_->durable_applied().index}});
    Finish(End::kStopped);
  });
}

void StorageServer::EndIfDue() {
  if (core_->engine_state() == EngineState::kFailed) {
    log::Error("engine failed; restart to recover what is durable",
               {{"detail", core_->health_detail()}});
    Finish(End::kEngineFailed);
  } else if (stopping_ && core_->stopped()) {
    Finish(End::kStopped);
  }
}

void StorageServer::Finish(End end) {
  if (end_) return;
  end_ = end;
  loop_.Stop();
}

}  // namespace bedrock::storage
