#include "tests/sim/cluster/sim_routerd.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "tests/sim/cluster/sim_machine.h"

namespace bedrock::sim {

namespace {

/// As in routerd's server: what one round of a turn may set off in the next.
constexpr int kRoundsMax = 16;
constexpr std::uint64_t kStopMsMax = 10'000;

Program ProgramOf(router::Daemon daemon) {
  switch (daemon) {
    case router::Daemon::kRaftd:
      return Program::kRaftd;
    case router::Daemon::kStoraged:
      return Program::kStoraged;
    case router::Daemon::kRouterd:
      break;
  }
  return Program::kRouterd;
}

router::Daemon DaemonOf(Program program) {
  if (program == Program::kRaftd) return router::Daemon::kRaftd;
  return program == Program::kStoraged ? router::Daemon::kStoraged : router::Daemon::kRouterd;
}

}  // namespace

SimRouterd::SimRouterd(const Address& address, const ClusterWorld& world, SimMachine& machine,
                       Random random)
    : SimProcess(address, world, machine, random) {}

SimRouterd::~SimRouterd() { SimRouterd::Close(); }

void SimRouterd::Open() {
  const ClusterOptions& options = world_.options;
  router::CoreOptions core;
  core.self = address_.node;
  for (const config::Member& member : SimFlagMembers(options, address_.node)) {
    core.members.push_back({.id = member.id,
                            .raft = member.raft,
                            .storage = member.storage,
                            .client = member.client,
                            .http = member.http});
  }
  core.session = SessionId(random_.Next() | 1);
  core.boot = boot();
  core.wall_offset_ms = machine_.clock().WallMs() - machine_.clock().MonotonicMs();
  core.history_ms = options.history_ms;
  core.commands_in_flight_max = options.commands_in_flight_max;
  core.write_attempt_ms = options.write_attempt_ms;
  core.read_attempt_ms = options.read_attempt_ms;
  core.index_attempt_ms = options.read_attempt_ms;
  core.retry_ms_min = options.retry_ms_min;
  core.retry_ms_max = 16 * options.retry_ms_min;
  core.silence_ms = options.silence_ms;
  core.avoid_ms = options.avoid_ms;
  core_ = std::make_unique<router::RouterCore>(core);
  Gateway& gateway = *this;  // a private base: only here is it given away
  front_ = std::make_unique<router::ClientFront>(
      router::ClientFrontOptions{address_.node, kSimCluster, boot(), "simulated"}, gateway,
      machine_.clock(), [this](const std::string& to, std::string frame) {
        Reply(to, Door::kLink, std::move(frame));
      });
  Trace(ClusterTrace::Kind::kStart);
  ArmTimers();
}

void SimRouterd::Close() {
  front_.reset();
  core_.reset();
  effects_.Clear();
  links_.clear();
  lost_.clear();
  http_calls_.clear();
  status_armed_ = poll_armed_ = false;
  stop_by_ms_.reset();
}

void SimRouterd::Read(router::ReadRequest request) { core_->Read(std::move(request), now_ms()); }
void SimRouterd::Query(router::QueryRequest request) { core_->Query(request, now_ms()); }
void SimRouterd::Write(router::WriteRequest request) { core_->Write(std::move(request), now_ms()); }
void SimRouterd::Write(const router::ClientCommand& request) { core_->Write(request, now_ms()); }
void SimRouterd::Transact(router::TransactionStep step) {
  core_->Transact(std::move(step), now_ms());
}
void SimRouterd::CompactHistory(const router::CompactRequest& request) {
  core_->CompactHistory(request, now_ms());
}
void SimRouterd::ChangeMembership(router::MembershipRequest request) {
  core_->ChangeMembership(std::move(request), now_ms());
}
router::ClusterView SimRouterd::Cluster() const { return core_->View(now_ms()); }
router::CoreGauges SimRouterd::Gauges() const { return core_->Gauges(now_ms()); }

void SimRouterd::OnFrame(const Parcel& parcel) {
  switch (parcel.door) {
    case Door::kListener:
      return front_->OnFrame(parcel.sender, parcel.frame);
    case Door::kLink:
      return OnDaemonFrame(parcel);
    case Door::kHttp:
      return OnHttp(parcel);
  }
}

void SimRouterd::OnDaemonFrame(const Parcel& parcel) {
  auto frame = proto::DecodeFrame(parcel.frame);
  if (!frame.ok() || frame->header.node != parcel.from.node) {
    world_.checkers.Fail("what is sent can be read", FormatAddress(parcel.from));
    return;
  }
  for (proto::Packet& packet : frame->packets) {
    core_->OnPacket(parcel.from.node, DaemonOf(parcel.from.program), std::move(packet), now_ms());
  }
}

void SimRouterd::OnHttp(const Parcel& parcel) {
  auto frame = proto::DecodeFrame(parcel.frame);
  if (!frame.ok()) return;
  for (const proto::Packet& packet : frame->packets) {
    const auto* write = std::get_if<proto::ClientWrite>(&packet.message);
    if (write == nullptr) continue;
    if (stop_by_ms_) {
      proto::FrameWriter writer({.cluster = kSimCluster, .node = address_.node, .boot = boot()});
      writer.Add(packet.request, 0,
                 proto::ClientWriteReply{
                     proto::MakeError(proto::ErrorCode::kShuttingDown, "this router is stopping"),
                     Version(),
                     Version(),
                     {}});
      Reply(parcel.sender, Door::kLink, writer.Finish());
      continue;
    }
    const auto command = proto::DecodeCommand(write->command.view());
    if (!command.ok()) continue;
    http_calls_[++last_http_call_] = {parcel.sender, packet.request};
    const router::Ticket ticket{router::Ticket::Front::kHttp, last_http_call_};
    const std::uint64_t deadline_ms = now_ms() + packet.timeout_ms;
    core_->Write(router::WriteRequest{.ticket = ticket,
                                      .conditions = command->conditions,
                                      .operations = command->operations,
                                      .otherwise = command->otherwise,
                                      .idempotency_key = command->idempotency.key,
                                      .deadline_ms = deadline_ms},
                 now_ms());
  }
}

void SimRouterd::CompleteHttp(router::Completion completion) {
  const auto call = http_calls_.find(completion.ticket.id);
  if (call == http_calls_.end()) {
    world_.checkers.Fail("each request is completed once", FormatAddress(address_));
    return;
  }
  proto::FrameWriter writer({.cluster = kSimCluster, .node = address_.node, .boot = boot()});
  writer.Add(call->second.request, 0,
             proto::ClientWriteReply{std::move(completion.error), completion.version,
                                     completion.current, std::move(completion.result)});
  Reply(call->second.client, Door::kLink, writer.Finish());
  http_calls_.erase(call);
}

void SimRouterd::EndTurn() {
  for (int round = 0; round < kRoundsMax; ++round) {
    effects_.Clear();
    core_->Poll(now_ms(), &effects_);
    if (effects_.empty() && round > 0) break;
    CarryOut();
  }
  front_->Flush();
  if (stop_by_ms_ && (core_->idle() || now_ms() >= *stop_by_ms_)) return Stopped();
  ArmTimers();
}

void SimRouterd::OnStop() {
  stop_by_ms_ = now_ms() + kStopMsMax;
  front_->Shutdown();
  core_->Shutdown(now_ms());
}

void SimRouterd::CarryOut() {
  for (router::Completion& completion : effects_.completions) {
    if (completion.ticket.front == router::Ticket::Front::kHttp) {
      CompleteHttp(std::move(completion));
    } else {
      front_->Complete(std::move(completion));
    }
  }
  const proto::FrameHeader header{.cluster = kSimCluster, .node = address_.node, .boot = boot()};
  for (const router::LinkChange& change : effects_.links) {
    const Address to{change.node, ProgramOf(change.daemon)};
    links_.erase(to);
    if (change.open) links_.emplace(to, Link{proto::FrameWriter(header), {}});
  }
  for (const router::Send& send : effects_.sends) {
    const Address to{send.node, ProgramOf(send.daemon)};
    const auto found = links_.find(to);
    if (found == links_.end()) {
      lost_.emplace_back(to, send.request);
      continue;
    }
    Link& link = found->second;
    link.writer.Add(send.request, send.timeout_ms, send.message);
    link.requests.push_back(send.request);
    if (link.writer.full()) SendFrame(to, link);
  }
  for (auto& [to, link] : links_) {
    if (!link.writer.empty()) SendFrame(to, link);
  }
  for (const auto& [to, request] : std::exchange(lost_, {})) {
    core_->OnUnsent(to.node, DaemonOf(to.program), request, now_ms());
  }
}

void SimRouterd::SendFrame(const Address& to, Link& link) {
  if (!Send(to, Door::kListener, link.writer.Finish())) {
    for (const RequestId request : link.requests) lost_.emplace_back(to, request);
  }
  link.requests.clear();
}

/// Every kStatusIntervalMs there is a turn, and while something is in flight every kPollMs.
void SimRouterd::ArmTimers() {
  if (!std::exchange(status_armed_, true)) {
    Later(machine_.FromOwnTime(router::RouterCore::kStatusIntervalMs * 1'000),
          [this] { status_armed_ = false; });
  }
  if (core_->idle() || std::exchange(poll_armed_, true)) return;
  Later(machine_.FromOwnTime(router::RouterCore::kPollMs * 1'000), [this] { poll_armed_ = false; });
}

}  // namespace bedrock::sim
