#include "raftd/server/driver.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "proto/codec.h"
#include "raftd/core/membership.h"
#include "raftd/core/quorum.h"

namespace bedrock::raft {

namespace {

constexpr std::string_view kSoftware = "0.1.0";
/// How long the log rests before its last batch is proved.
constexpr std::uint64_t kIdleMs = 10;
/// A turn syncs at most this often before inputs get a chance again.
constexpr int kRoundsPerTurnMax = 8;

template <typename T, typename Variant>
struct IsAlternative;
template <typename T, typename... Alternatives>
struct IsAlternative<T, std::variant<Alternatives...>>
    : std::disjunction<std::is_same<T, Alternatives>...> {};

/// The Raft message in a protocol message; none where it is of another kind.
std::optional<Message> ToRaft(proto::Message& message) {
  return std::visit(
      [](auto& alternative) -> std::optional<Message> {
        using T = std::decay_t<decltype(alternative)>;
        if constexpr (IsAlternative<T, Message>::value) return Message(std::move(alternative));
        return std::nullopt;
      },
      message);
}

/// One that raftds send each other.
bool IsPeerMessage(const proto::Message& message) {
  return std::visit(
      [](const auto& alternative) {
        using T = std::decay_t<decltype(alternative)>;
        return IsAlternative<T, Message>::value || std::is_same_v<T, LogClaim> ||
               std::is_same_v<T, LogVerdict> || std::is_same_v<T, StateChecks> ||
               std::is_same_v<T, StateVerdict>;
      },
      message);
}

proto::Message ToProto(Message&& message) {
  return std::visit([](auto&& m) { return proto::Message(std::forward<decltype(m)>(m)); },
                    std::move(message));
}

proto::Role ToProto(Role role) {
  switch (role) {
    case Role::kFollower:
      return proto::Role::kFollower;
    case Role::kPreCandidate:
    case Role::kCandidate:
      return proto::Role::kCandidate;
    case Role::kLeader:
      return proto::Role::kLeader;
  }
  return proto::Role::kFollower;
}

std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kFollower:
      return "follower";
    case Role::kPreCandidate:
      return "pre_candidate";
    case Role::kCandidate:
      return "candidate";
    case Role::kLeader:
      return "leader";
  }
  return "unknown";
}

}  // namespace

Driver::Driver(const DriverOptions& options, const Recovered& recovered)
    : options_(options),
      clock_(*options.clock),
      log_(*options.log),
      core_(options.node->node, options.core_limits, recovered, options.seed),
      frames_(
          proto::FrameHeader{
              .cluster = options.node->cluster, .node = options.node->node, .boot = options.boot},
          *options.transport,
          {.on_peer_reset = [this](NodeId peer) { core_.LinkReset(peer); },
           .on_storage_lost = [this] { apply_.SendFailed(clock_.MonotonicMs()); }}),
      peers_(*options.node, *options.transport, frames_),
      admission_({.node = options.node->node,
                  .log = options.log_number,
                  .is_new = recovered.vote == Vote() && !recovered.last_index,
                  .founder = options.founder},
                 core_, peers_),
      desk_(options.desk, core_, frames_),
      transfers_(core_, frames_),
      members_(core_, frames_),
      snapshots_(core_, peers_, frames_),
      divergence_(options.checks, core_, peers_, frames_),
      apply_(options.apply, options.clock->MonotonicMs()),
      disk_(options.election_ms_min) {
  log_.Start({.on_durable = [this](WriteSeq seq) { OnDurable(seq); },
              .on_idle_done =
                  [this] {
                    const std::uint64_t started_ms = *std::exchange(idle_started_ms_, {});
                    written_at_ms_ = clock_.MonotonicMs();
                    disk_.Probed(written_at_ms_ - started_ms);
                  },
              .on_room = [this](Room room) { OnRoom(room); },
              .on_failed = [this](const Status& status) { OnFailed(status); }});
  if (options_.scrub_ms > 0) scrub_at_ms_ = clock_.MonotonicMs() + options_.scrub_ms;
}

// ---- Input ----

std::optional<proto::Frame> Driver::Decode(std::string_view from, const Bytes& bytes) {
  Result<proto::Frame> frame = proto::DecodeFrame(bytes);
  if (!frame.ok()) {
    RefuseFrame(from, RequestId(), proto::ErrorCode::kInvalidArgument,
                std::string(frame.status().message()));
    return std::nullopt;
  }
  const proto::FrameHeader& header = frame->header;
  if (header.protocol != proto::kProtocolVersion) {
    RefuseFrame(from, RequestId(), proto::ErrorCode::kUnsupportedProtocol,
                "this node speaks protocol " + std::to_string(proto::kProtocolVersion) + ", not " +
                    std::to_string(header.protocol));
    return std::nullopt;
  }
  if (header.cluster != options_.node->cluster) {
    RefuseFrame(from, RequestId(), proto::ErrorCode::kWrongCluster,
                "this node belongs to cluster " + FormatClusterId(options_.node->cluster) +
                    ", the sender to " + FormatClusterId(header.cluster));
    return std::nullopt;
  }
  if (header.group) {
    RefuseFrame(from, RequestId(), proto::ErrorCode::kInvalidArgument, "no such group");
    return std::nullopt;
  }
  return std::move(frame).value();
}

void Driver::OnFrame(std::string_view from, const Bytes& bytes) {
  if (halted_) return;
  std::optional<proto::Frame> frame = Decode(from, bytes);
  if (!frame) return;
  const std::string sender(from);
  for (proto::Packet& packet : frame->packets) HandlePacket(frame->header, sender, packet);
}

void Driver::HandlePacket(const proto::FrameHeader& header, const std::string& from,
                          proto::Packet& packet) {
  const std::uint64_t now_ms = clock_.MonotonicMs();
  if (const auto* propose = std::get_if<proto::Propose>(&packet.message)) {
    desk_.Heard(from, now_ms);
    desk_.OnPropose(from, packet.request, packet.timeout_ms, *propose, now_ms);
  } else if (std::holds_alternative<proto::ReadIndexQuery>(packet.message)) {
    desk_.Heard(from, now_ms);
    desk_.OnReadIndexQuery(from, packet.request);
  } else if (std::holds_alternative<proto::RaftStatusQuery>(packet.message)) {
    desk_.Heard(from, now_ms);
    frames_.ToCaller(from, packet.request, MakeStatus());
  } else if (const auto* transfer = std::get_if<proto::TransferLeadership>(&packet.message)) {
    desk_.Heard(from, now_ms);
    transfers_.OnTransfer(from, packet.request, *transfer, now_ms);
  } else if (const auto* change = std::get_if<proto::ChangeMembers>(&packet.message)) {
    desk_.Heard(from, now_ms);
    members_.OnChange(from, packet.request, *change, now_ms);
  } else if (const auto* refusal = std::get_if<proto::Refusal>(&packet.message)) {
    LogRefusal(from, refusal->error);
  } else if (IsPeerMessage(packet.message)) {
    const Peers::Hearing heard = peers_.Hear(header.node, header.boot, from);
    if (heard == Peers::Hearing::kRefused) {
      HandleRefusedPeer(header, from, packet.message);
    } else {
      HandlePeerMessage(header.node, heard, packet.message);
    }
  } else {
    const bool unknown = std::holds_alternative<proto::UnknownKind>(packet.message);
    RefuseFrame(
        from, packet.request,
        unknown ? proto::ErrorCode::kUnsupportedProtocol : proto::ErrorCode::kInvalidArgument,
        unknown ? "raftd does not know this kind of message"
                : "raftd does not serve this kind of message");
  }
}

void Driver::HandlePeerMessage(NodeId peer, Peers::Hearing heard, proto::Message& message) {
  if (const auto* claim = std::get_if<LogClaim>(&message)) {
    admission_.OnClaim(peer, *claim, clock_.MonotonicMs());
  } else if (const auto* verdict = std::get_if<LogVerdict>(&message)) {
    admission_.OnVerdict(peer, *verdict);
  } else if (const auto* checks = std::get_if<StateChecks>(&message)) {
    divergence_.OnChecks(peer, *checks);
  } else if (const auto* judged = std::get_if<StateVerdict>(&message)) {
    divergence_.OnVerdict(peer, *judged);
  } else if (std::optional<Message> raft = ToRaft(message)) {
    if (!admission_.admitted()) {
      admission_.OnEarlyMessage(peer, clock_.MonotonicMs());
      return;
    }
    if (heard == Peers::Hearing::kRestarted) core_.LinkReset(peer);
    core_.Receive(peer, *std::move(raft));
  }
}

void Driver::HandleRefusedPeer(const proto::FrameHeader& header, const std::string& from,
                               const proto::Message& message) {
  if (IsRoutingIdOf(from, "raftd", header.node) && admission_.IsRemovedForGood(header.node)) {
    // It may have been away then. Its claim comes once it hears of nobody any more.
    if (const auto* claim = std::get_if<LogClaim>(&message)) {
      frames_.ToCaller(from, RequestId(), AdmissionDesk::Removed(*claim));
    }
    return;
  }
  if (const auto repeats = refused_limit_.Admit(clock_.MonotonicMs())) {
    log::Warning("ignored a raft message of no member",
                 {{"from", from}, {"node", header.node}, {"repeats", *repeats}});
  }
}

void Driver::OnPeerFrame(NodeId peer, const Bytes& bytes) {
  if (halted_) return;
  Result<proto::Frame> frame = proto::DecodeFrame(bytes);
  if (!frame.ok()) return;
  const proto::FrameHeader& header = frame->header;
  const bool is_peer = header.protocol == proto::kProtocolVersion && header.node == peer &&
                       header.cluster == options_.node->cluster && !header.group;
  for (proto::Packet& packet : frame->packets) {
    if (const auto* refusal = std::get_if<proto::Refusal>(&packet.message)) {
      LogRefusal(FormatNodeId(peer), refusal->error);
    } else if (is_peer) {
      const Peers::Hearing heard = peers_.HearOverLink(peer, header.boot);
      if (heard != Peers::Hearing::kRefused) HandlePeerMessage(peer, heard, packet.message);
    }
  }
}

void Driver::OnStorageFrame(const Bytes& bytes) {
  if (halted_) return;
  Result<proto::Frame> frame = proto::DecodeFrame(bytes);
  if (!frame.ok()) return;
  const bool own =
      frame->header.cluster == options_.node->cluster && frame->header.node == options_.node->node;
  for (const proto::Packet& packet : frame->packets) {
    if (const auto* refusal = std::get_if<proto::Refusal>(&packet.message)) {
      LogRefusal("storaged", refusal->error);
    } else if (const auto* progress = std::get_if<proto::ApplyProgress>(&packet.message)) {
      if (own) HandleProgress(frame->header.boot, *progress);
    } else if (const auto* fetch = std::get_if<proto::FetchProgress>(&packet.message)) {
      if (own) snapshots_.OnProgress(*fetch, clock_.MonotonicMs());
    }
  }
}

void Driver::HandleProgress(BootId boot, const proto::ApplyProgress& progress) {
  admission_.OnStorage(progress.applied);
  if (admission_.refused()) return;
  const std::uint64_t now_ms = clock_.MonotonicMs();
  const View view = core_.GetView();
  const ApplyStream::Effect effect = apply_.OnProgress(boot, progress, now_ms);
  const std::optional<RestoredState> ahead = AheadOfLog(progress, view);
  if (!ahead && progress.applied > view.last_index) {
    if (const auto repeats = storage_limit_.Admit(now_ms)) {
      log::Error(
          "storaged has applied entries that the log lost: waiting for a leader to refill it",
          {{"applied", progress.applied}, {"last_index", view.last_index}, {"repeats", *repeats}});
    }
  }
  if (effect == ApplyStream::Effect::kRestart) {
    log::Info("storaged answers", {{"applied", apply_.applied()},
                                   {"durable_applied", apply_.durable_applied()},
                                   {"boot", boot}});
  }
  if (ahead) {
    log::Info("the log begins anew behind what storaged holds",
              {{"index", ahead->index}, {"term", ahead->term}, {"last_index", view.last_index}});
    apply_.Restart();
    core_.RestoredTo(*ahead);
  }
  // What it has applied and not on disk stood in the log, and in no snapshot.
  if (effect == ApplyStream::Effect::kRestart || ahead) {
    core_.ApplyFrom(apply_.applied(), apply_.durable_applied());
  } else {
    core_.Applied(apply_.applied(), apply_.durable_applied());
  }
  desk_.OnApplied(apply_.applied());
  divergence_.OnProgress(progress);
}

std::optional<RestoredState> Driver::AheadOfLog(const proto::ApplyProgress& progress,
                                                const View& view) const {
  const LogIndex durable = apply_.durable_applied();
  if (durable != progress.durable_applied || !progress.applied_term || durable <= view.commit) {
    return std::nullopt;
  }
  const std::optional<Term> held = core_.TermAt(durable);
  if (durable <= view.last_index && (!held || *held == progress.applied_term)) return std::nullopt;
  RestoredState state{.index = durable, .term = progress.applied_term, .membership = {}};
  if (!progress.membership_index) return state;
  std::optional<Membership> membership = DecodeMembership(progress.membership.view());
  if (!membership || progress.membership_index > durable) {
    log::Error("storaged's record of who takes part can't be read",
               {{"index", progress.membership_index}});
    return std::nullopt;
  }
  state.membership = {progress.membership_index, *std::move(membership)};
  return state;
}

void Driver::RefuseFrame(std::string_view from, RequestId request, proto::ErrorCode code,
                         const std::string& detail) {
  if (const auto repeats = refused_limit_.Admit(clock_.MonotonicMs())) {
    log::Warning("refused a message", {{"from", from},
                                       {"request", request},
                                       {"code", proto::ErrorCodeName(code)},
                                       {"detail", detail},
                                       {"repeats", *repeats}});
  }
  frames_.ToCaller(std::string(from), request,
                   proto::Refusal{proto::Error{.code = code, .detail = detail}});
}

void Driver::LogRefusal(std::string_view who, const proto::Error& error) {
  if (const auto repeats = refusal_limit_.Admit(clock_.MonotonicMs())) {
    log::Error("a peer refuses this node", {{"peer", who},
                                            {"code", proto::ErrorCodeName(error.code)},
                                            {"detail", error.detail},
                                            {"repeats", *repeats}});
  }
}

// ---- Output ----

void Driver::EndTurn() {
  EndWhereRefused();
  if (halted_) return;
  WatchHealth();
  const RouterDesk::Situation situation{.now_ms = clock_.MonotonicMs(),
                                        .wall_ms = clock_.WallMs(),
                                        .storage_health = storage_health()};
  desk_.HandOver(situation);
  divergence_.Step({.now_ms = situation.now_ms,
                    .wall_ms = situation.wall_ms,
                    .storage_health = situation.storage_health,
                    .written = desk_.written()});
  // Reads that a lease may confirm wait for a time that was read after they came (R60).
  if (options_.core_limits.lease_reads) core_.Tick(clock_.MonotonicMs() / options_.tick_ms);
  for (int round = 0; round < kRoundsPerTurnMax && !halted_; ++round) {
    bool worked = PollCore();
    worked = PumpApply() || worked;
    if (halted_) break;
    snapshots_.Step(clock_.MonotonicMs());
    frames_.Flush();
    if (unflushed_) {
      unflushed_ = false;
      log_.Flush();
      worked = true;
    }
    WatchHealth();
    if (!worked) break;
  }
  if (halted_) return;
  transfers_.Settle(clock_.MonotonicMs());
  members_.Settle(clock_.MonotonicMs());
  frames_.Flush();
}

bool Driver::PollCore() {
  bool worked = false;
  while (!halted_) {
    Output output = core_.Poll();
    if (output.empty()) break;
    worked = true;
    if (options_.observe) options_.observe(core_.GetView(), core_.membership(), output);
    CarryOut(std::move(output));
  }
  return worked;
}

void Driver::CarryOut(Output output) {
  if (output.write) Submit(*std::move(output.write));
  if (halted_) return;
  for (Outgoing& outgoing : output.now) {
    peers_.Send(outgoing.to, ToProto(std::move(outgoing.message)));
  }
  for (HeldMessage& held : output.held) {
    CHECK_MSG(held_.empty() || held_.back().after <= held.after, "held messages are in order");
    held_.push_back(std::move(held));
  }
  for (const ReadReady& ready : output.reads_ready) desk_.OnReadReady(ready);
  for (const Ticket ticket : output.reads_failed) desk_.OnReadFailed(ticket);
  for (const Fetch& fetch : output.fetches) {
    log_.Read(fetch.first, fetch.last, fetch.bytes_max,
              [this, follower = fetch.follower](std::vector<Entry> entries) {
                core_.Fetched(follower, std::move(entries));
              });
  }
  if (output.apply) {
    desk_.OnCommitted(output.apply->last);
    apply_.Add(*std::move(output.apply));
  }
  if (output.compact_up_to) log_.Compact(output.compact_up_to);
  if (output.snapshot_wanted) snapshots_.OnWanted(*output.snapshot_wanted);
  if (output.membership_changed) peers_.Follow(core_.membership());
  if (output.status_changed || output.membership_changed) PushStatus();
}

void Driver::Submit(Write write) {
  CHECK_MSG(write.seq > submitted_, "writes are in order");
  submitted_ = write.seq;
  unflushed_ = true;
  idle_synced_ = false;
  written_at_ms_ = clock_.MonotonicMs();
  disk_.Submitted(write.seq, written_at_ms_);
  log_.Submit(std::move(write));
}

void Driver::OnDurable(WriteSeq seq) {
  if (halted_) return;
  CHECK_MSG(seq >= durable_ && seq <= submitted_, "durability only grows, up to what was written");
  if (seq == durable_) return;
  durable_ = seq;
  written_at_ms_ = clock_.MonotonicMs();
  disk_.Durable(seq, written_at_ms_);
  core_.Durable(seq);
  while (!held_.empty() && held_.front().after <= durable_) {
    Outgoing& outgoing = held_.front().outgoing;
    peers_.Send(outgoing.to, ToProto(std::move(outgoing.message)));
    held_.pop_front();
  }
}

void Driver::OnFailed(const Status& status) {
  if (std::exchange(halted_, true)) return;
  frames_.Close();
  log::Error("the log failed: this process ends and recovers at its next start",
             {{"error", status}});
  options_.on_fatal(status);
}

void Driver::EndWhereRefused() {
  if (halted_ || !admission_.refused()) return;
  halted_ = true;
  frames_.Close();
  log::Error("this node must not take part", {{"because", *admission_.refused()}});
  options_.on_refused(*admission_.refused());
}

bool Driver::PumpApply() {
  bool worked = false;
  while (!halted_) {
    std::optional<ApplyStream::Action> action = apply_.Next(clock_.MonotonicMs());
    if (!action) break;
    worked = true;
    if (auto* send = std::get_if<ApplyStream::Send>(&*action)) {
      SendApply(std::move(send->entries));
    } else if (const auto* load = std::get_if<ApplyStream::Load>(&*action)) {
      log_.Read(load->first, load->last, load->bytes_max,
                [this, round = load->round](std::vector<Entry> entries) {
                  apply_.Loaded(round, std::move(entries));
                });
    } else {
      last_request_ = last_request_.Next();
      frames_.ToStorage(last_request_, proto::Apply{});
    }
  }
  return worked;
}

void Driver::SendApply(std::vector<Entry> entries) {
  proto::Apply apply;
  apply.items.reserve(entries.size());
  for (Entry& entry : entries) {
    proto::ReplyTo reply_to = desk_.FindReplyTo(entry.index, entry.term);
    apply.items.push_back({.entry = std::move(entry), .reply_to = std::move(reply_to)});
  }
  last_request_ = last_request_.Next();
  frames_.ToStorage(last_request_, apply);
}

// ---- Upkeep ----

void Driver::BeginStop() {
  if (halted_ || core_.GetView().role != Role::kLeader) return;
  stop_by_ms_ = clock_.MonotonicMs() + kStopMsMax;
  const Transferring result = core_.Transfer(NodeId());
  log::Info(result == Transferring::kUnreachable ? "stopping: there is nobody to hand over to"
                                                 : "stopping: handing leadership over",
            {{"to", core_.GetView().handing_over_to}});
}

bool Driver::MayStop() const {
  if (halted_ || !stop_by_ms_ || clock_.MonotonicMs() >= *stop_by_ms_) return true;
  const View view = core_.GetView();
  // It could not hand over, or the other one did not take over.
  if (view.role == Role::kLeader) return !view.handing_over_to;
  return view.leader && desk_.idle();
}

void Driver::Tick() {
  if (halted_) return;
  const std::uint64_t now_ms = clock_.MonotonicMs();
  admission_.Tick(now_ms);
  if (admission_.admitted()) core_.Tick(now_ms / options_.tick_ms);
  StartIdleSync();
  RetryLowLog();
  MeasureLog();
  ScrubLog();
}

void Driver::StartIdleSync() {
  if (idle_started_ms_ || durable_ != submitted_) return;
  const std::uint64_t now_ms = clock_.MonotonicMs();
  const std::uint64_t idle_ms = now_ms - written_at_ms_;
  // A node whose disk was slow leads nobody and may have nothing to write: it has to try the disk.
  const bool retry = disk_.slow() && idle_ms >= options_.election_ms_min;
  if (!retry && (idle_synced_ || idle_ms < kIdleMs)) return;
  idle_synced_ = true;
  idle_started_ms_ = now_ms;
  log_.SyncIdle();
}

void Driver::OnRoom(Room room) {
  const Room before = std::exchange(log_room_, room);
  if (before == Room::kEnough) log::Error("no room for more segments of the log");
  core_.DiskFull(room == Room::kNone);
}

void Driver::RetryLowLog() {
  const std::uint64_t now_ms = clock_.MonotonicMs();
  if (halted_ || log_room_ == Room::kEnough || now_ms - retried_at_ms_ < kFullRetryMs) return;
  retried_at_ms_ = now_ms;
  log_.Retry();
}

void Driver::MeasureLog() {
  const std::uint64_t now_ms = clock_.MonotonicMs();
  if (halted_ || (measured_at_ms_ && now_ms - *measured_at_ms_ < kMeasureMs)) return;
  measured_at_ms_ = now_ms;
  log_.Measure(options_.log_bytes_max,
               [this](const LogPressure& pressure) { core_.SetLogPressure(pressure); });
}

void Driver::ScrubLog() {
  if (halted_ || !scrub_at_ms_ || clock_.MonotonicMs() < *scrub_at_ms_) return;
  scrub_at_ms_.reset();
  log_.Scrub(kScrubBytes, [this](const Result<Scrubbed>& scrubbed) { OnScrubbed(scrubbed); });
}

void Driver::OnScrubbed(const Result<Scrubbed>& scrubbed) {
  const bool done = !scrubbed.ok() || scrubbed->done;
  scrub_at_ms_ = clock_.MonotonicMs() + (done ? options_.scrub_ms : kScrubPaceMs);
  if (!scrubbed.ok()) {
    log::Error("a segment of the log can't be read: replace this node while the others are well",
               {{"error", scrubbed.status()}});
    return;
  }
  if (!scrubbed->damage) return;
  const Scrubbed::Damage& damage = *scrubbed->damage;
  // A restart could not go on past the header, and where there is nobody to refill what it finds,
  // the node had better go on without one.
  const bool refillable =
      damage.recoverable && core_.membership().voters.size() > 1 && core_.GetView().leader;
  log::Error(refillable ? "the log is damaged: it is recovered and refilled by the others"
                        : "the log is damaged: replace this node while the others are well",
             {{"segment", damage.segment}, {"offset", damage.offset}});
  if (refillable) options_.on_damaged();
}

proto::ErrorCode Driver::storage_health() const {
  const View view = core_.GetView();
  if (apply_.applied().Next() < view.first_index) return proto::ErrorCode::kStorageUnavailable;
  // What can't even be read from counts for more than what can't be written to.
  const proto::ErrorCode health = apply_.Health(clock_.MonotonicMs());
  const bool full = health == proto::ErrorCode::kOk && log_room_ != Room::kEnough;
  return full ? proto::ErrorCode::kStorageFull : health;
}

void Driver::WatchHealth() {
  const proto::ErrorCode health = storage_health();
  const bool disk_stalled = disk_.Stalled(clock_.MonotonicMs());
  const bool fit = health == proto::ErrorCode::kOk;
  // A full node serves reads and takes deletes, where nobody else leads (R75).
  const bool full = health == proto::ErrorCode::kStorageFull;
  core_.RoomLow(full);
  if (health != std::exchange(logged_health_, health)) {
    log::Log(fit ? log::Level::kInfo : log::Level::kWarning, "storage health changed",
             {{"health", proto::ErrorCodeName(health)}});
    PushStatus();
  }
  if (fit || full) tried_to_hand_over_ = false;
  const bool stalled = disk_stalled || (!fit && !full && !HandsOver());
  if (stalled == std::exchange(stalled_, stalled)) return;
  if (disk_stalled) log::Warning("the log's disk stalls: this node does not lead");
  if (!stalled) log::Info("log and storage answer: this node may lead");
  core_.DiskStalled(stalled);
}

/// A leader whose storage answers nothing any more hands over while it still can, and steps down
/// where nobody takes over.
bool Driver::HandsOver() {
  if (core_.GetView().role != Role::kLeader) return false;
  if (!std::exchange(tried_to_hand_over_, true)) core_.Transfer(NodeId());
  return static_cast<bool>(core_.GetView().handing_over_to);
}

void Driver::PushStatus() {
  LogChanges();
  desk_.PushStatus(MakeStatus(), clock_.MonotonicMs());
}

void Driver::LogChanges() {
  const View view = core_.GetView();
  const bool changed =
      view.role != logged_role_ || view.term != logged_term_ || view.leader != logged_leader_;
  logged_role_ = view.role;
  logged_term_ = view.term;
  logged_leader_ = view.leader;
  if (!changed) return;
  log::Info("role changed", {{"role", RoleName(view.role)},
                             {"term", view.term},
                             {"leader", view.leader},
                             {"commit", view.commit},
                             {"last_index", view.last_index}});
}

proto::RaftStatus Driver::MakeStatus() const {
  const View view = core_.GetView();
  proto::RaftStatus status{.node = view.id,
                           .role = ToProto(view.role),
                           .leader = view.leader,
                           .term = view.term,
                           .commit = view.commit,
                           .applied = view.applied,
                           .last_index = view.last_index,
                           .storage_health = storage_health(),
                           .software = std::string(kSoftware),
                           .members = {},
                           .checks_agreed = divergence_.agreed(),
                           .checks_differ = divergence_.differing()};
  const Membership& membership = core_.membership();
  for (const config::Member& member : peers_.known()) {
    const NodeId id = member.id;
    proto::MemberStatus& row = status.members.emplace_back();
    row.id = id;
    row.voter = membership.voters.empty() || IsVoter(membership, id);
    row.raft = member.raft;
    row.storage = member.storage;
    row.client = member.client;
    row.http = member.http;
    if (id == view.id) {
      row.role = ToProto(view.role);
      row.match_index = view.role == Role::kLeader ? view.durable_index : LogIndex();
      row.installing = std::max(snapshots_.installing(), view.snapshot_wanted.at_least);
    } else if (id == view.leader) {
      row.role = proto::Role::kLeader;
    }
    for (const MemberProgress& progress : view.members) {
      if (progress.id != id) continue;
      if (progress.recently_active) row.role = proto::Role::kFollower;
      row.match_index = progress.match;
      if (progress.state == ReplicationState::kSnapshot) {
        row.installing = std::max(progress.installing, view.first_index.Prev());
      }
    }
    if (!row.voter && row.role == proto::Role::kFollower) row.role = proto::Role::kLearner;
  }
  return status;
}

}  // namespace bedrock::raft
