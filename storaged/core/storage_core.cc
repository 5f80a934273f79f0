#include "storaged/core/storage_core.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>
#include <variant>

#include "storaged/snapshot/data_folder.h"

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

}  // namespace

StorageCore::StorageCore(engine::Engine& engine, StateMachine& machine, Options options)
    : engine_(engine),
      machine_(machine),
      options_(std::move(options)),
      applier_(engine, machine),
      reads_(machine),
      locks_(engine.applied().term),
      checked_(machine.chain().checked()),
      engine_health_(engine.health()) {}

void StorageCore::Receive(std::string_view from, proto::Frame frame, std::uint64_t now_ms) {
  if (!Admit(from, frame)) return;
  for (auto& packet : frame.packets) {
    std::visit(
        [&](auto& message) {
          using T = std::decay_t<decltype(message)>;
          if constexpr (std::is_same_v<T, proto::Apply>) {
            OnApply(from, frame, packet.request, std::move(message));
          } else if constexpr (std::is_same_v<T, proto::Get>) {
            OnRead(from, packet,
                   {.kind = WaitingRead::Kind::kGet,
                    .subject = std::move(message.key),
                    .min_version = message.min_version,
                    .at = message.at},
                   now_ms);
          } else if constexpr (std::is_same_v<T, proto::Query>) {
            OnRead(from, packet,
                   {.kind = WaitingRead::Kind::kQuery,
                    .subject = std::move(message.command),
                    .min_version = message.min_version,
                    .at = message.at},
                   now_ms);
          } else if constexpr (std::is_same_v<T, proto::Lock>) {
            OnLock(from, frame, packet, message, now_ms);
          } else if constexpr (std::is_same_v<T, proto::Unlock>) {
            locks_.Unlock(message.transaction, now_ms);
          } else if constexpr (std::is_same_v<T, proto::StorageStatusQuery>) {
            Send(from, packet.request, StatusNow());
          } else if constexpr (std::is_same_v<T, proto::UnknownKind>) {
            Refuse(from, packet.request, ErrorCode::kUnsupportedProtocol,
                   "storaged does not know this kind of message");
          } else if constexpr (!std::is_same_v<T, proto::Refusal>) {
            if (options_.other && options_.other(from, frame, packet)) return;
            Refuse(from, packet.request, ErrorCode::kInvalidArgument,
                   "storaged does not serve this kind of message");
          }
        },
        packet.message);
  }
}

void StorageCore::ReceiveMalformed(std::string_view from, std::string_view reason) {
  Refuse(from, RequestId(), ErrorCode::kInvalidArgument, reason);
}

bool StorageCore::Admit(std::string_view from, const proto::Frame& frame) {
  const auto refuse = [&](ErrorCode code, const std::string& detail) {
    // Each request is told; a frame that came without any is told once.
    if (frame.packets.empty()) Refuse(from, RequestId(), code, detail);
    for (const auto& packet : frame.packets) {
      if (!std::holds_alternative<proto::Refusal>(packet.message)) {
        Refuse(from, packet.request, code, detail);
      }
    }
    return false;
  };
  if (frame.header.protocol != proto::kProtocolVersion) {
    return refuse(ErrorCode::kUnsupportedProtocol,
                  "this storaged speaks protocol " + std::to_string(proto::kProtocolVersion) +
                      ", the frame is of " + std::to_string(frame.header.protocol));
  }
  if (frame.header.cluster != options_.cluster) {
    return refuse(ErrorCode::kWrongCluster,
                  "this storaged belongs to cluster " + FormatClusterId(options_.cluster) +
                      ", the sender to " + FormatClusterId(frame.header.cluster));
  }
  if (frame.header.group != GroupId()) {
    return refuse(ErrorCode::kInvalidArgument, "this storaged holds group 0 alone");
  }
  return true;
}

void StorageCore::Refuse(std::string_view from, RequestId request, ErrorCode code,
                         std::string_view detail) {
  Send(from, request, proto::Refusal{MakeError(code, detail)});
}

void StorageCore::OnApply(std::string_view from, const proto::Frame& frame, RequestId request,
                          proto::Apply apply) {
  if (frame.header.node != options_.node) {
    Refuse(from, request, ErrorCode::kInvalidArgument,
           "this is the storaged of " + FormatNodeId(options_.node) +
               " and takes entries from its own raftd alone");
    return;
  }
  if (apply.items.empty()) state_due_ = true;
  raftd_ = from;
  raftd_request_ = request;
  progress_due_ = true;
  if (!held_) applier_.Accept(std::move(apply));
}

void StorageCore::OnRead(std::string_view from, const proto::Packet& packet, WaitingRead read,
                         std::uint64_t now_ms) {
  read.from = from;
  read.request = packet.request;
  read.deadline_ms = ReadService::DeadlineOf(packet.timeout_ms, now_ms);
  reads_.Receive(std::move(read), out_);
}

void StorageCore::OnLock(std::string_view from, const proto::Frame& frame,
                         const proto::Packet& packet, const proto::Lock& lock,
                         std::uint64_t now_ms) {
  locks_.Lock({.from = std::string(from),
               .request = packet.request,
               .node = frame.header.node,
               .lock = lock,
               .wait_ms = packet.timeout_ms},
              now_ms);
}

void StorageCore::EngineProgressed() {
  engine_health_ = engine_.health();
  machine_.EngineProgressed();
  applier_.Unblock();
  progress_due_ = true;
}

bool StorageCore::Run(std::uint64_t now_ms, std::vector<Outgoing>& out) {
  if (retry_at_ms_ && *retry_at_ms_ <= now_ms) applier_.Unblock();
  if (!held_) ApplyPending(now_ms);
  if (progress_due_) ReportProgress();
  AnswerLocks(now_ms);
  reads_.Run(now_ms, out_);
  if (out.empty()) {
    out.swap(out_);
  } else {
    std::move(out_.begin(), out_.end(), std::back_inserter(out));
  }
  out_.clear();
  return HasMore();
}

bool StorageCore::HasMore() const {
  return (applier_.state() == Applier::State::kMore && !held_) || reads_.HasMore() ||
         locks_.has_answers();
}

void StorageCore::ApplyPending(std::uint64_t now_ms) {
  const LogIndex before = machine_.applied();
  const auto state_before = applier_.state();
  replies_.clear();
  applier_.Run(now_ms, replies_);
  NoteCheck();
  if (diverged_at_) replies_.clear();
  for (auto& reply : replies_) {
    Send(reply.to.router, reply.to.request, proto::CommandReply{std::move(reply.result)});
  }
  const auto state = applier_.state();
  retry_at_ms_.reset();
  if (state == Applier::State::kBlocked) retry_at_ms_ = now_ms + kBusyRetryMs;
  if (state != state_before) engine_health_ = engine_.health();
  if (machine_.applied() != before) progress_due_ = true;
  if (state == Applier::State::kHalted && state_before != state) {
    progress_due_ = true;
    if (!stopping_) {
      reads_.Stop(MakeError(ErrorCode::kStorageUnavailable, health_detail()));
      locks_.Stop(MakeError(ErrorCode::kStorageUnavailable, health_detail()));
    }
  }
}

void StorageCore::NoteCheck() {
  const auto& checks = machine_.chain().checks();
  if (checks.empty() || checks.back().index == checked_) return;
  checked_ = checks.back().index;
  state_due_ = progress_due_ = true;
  if (checks.back().kind == raft::StateCheck::Kind::kDamaged) reads_.Note(machine_.slice_fault());
}

void StorageCore::Quarantine(LogIndex index) {
  if (diverged_at_) return;
  diverged_at_ = index;
  state_due_ = progress_due_ = true;
  const proto::Error error = MakeError(ErrorCode::kStorageUnavailable, health_detail());
  reads_.RefuseAll(error);
  locks_.Stop(error);
}

void StorageCore::QuarantineNoted() {
  quarantine_noted_ = true;
  state_due_ = progress_due_ = true;
}

void StorageCore::AnswerLocks(std::uint64_t now_ms) {
  locks_.Advance(engine_.applied().term);
  locks_.Expire(now_ms);
  while (locks_.has_answers() && reads_.MayRead()) {
    LockService::Answer answer = locks_.TakeAnswer();
    proto::LockReply reply;
    reply.read_version = machine_.newest();
    reply.error = std::move(answer.error);
    if (reply.error.ok() && !answer.query.empty()) {
      proto::QueryReply read = reads_.QueryNewest(answer.query.view());
      reply.error = std::move(read.error);
      reply.result = std::move(read.result);
    }
    Send(answer.to, answer.request, std::move(reply));
  }
}

void StorageCore::ReportProgress() {
  progress_due_ = false;
  if (raftd_.empty()) return;
  // Where the membership can't be read, raftd is not told that more is durable: its log goes on
  // from where the members are known.
  reads_.Note(durable_.Follow(engine_));
  proto::ApplyProgress progress{.applied = machine_.applied(),
                                .durable_applied = durable_.mark().index,
                                .health = health(),
                                .applied_term = durable_.mark().term,
                                .membership_index = durable_.membership().index,
                                .membership = durable_.membership().payload,
                                .state = std::nullopt};
  if (std::exchange(state_due_, false)) progress.state = StateNow();
  Send(raftd_, raftd_request_, std::move(progress));
  raftd_request_ = RequestId();  // it is answered; later ones come unasked
}

proto::StateReport StorageCore::StateNow() const {
  const StateChain& chain = machine_.chain();
  return {.checks = chain.checks(),
          .next = Bytes::Copy(chain.next()),
          .passes = chain.passes(),
          .diverged_at = diverged_at_};
}

std::optional<std::uint64_t> StorageCore::NextWakeup() const {
  auto next = reads_.NextDeadline();
  if (const auto lock = locks_.NextDeadline(); lock && (!next || *lock < *next)) next = lock;
  if (retry_at_ms_ && (!next || *retry_at_ms_ < *next)) next = retry_at_ms_;
  return next;
}

void StorageCore::Leave(const proto::Error& error) {
  reads_.End(error, out_);
  locks_.Stop(error);
}

void StorageCore::TellProgressTo(std::string raftd) {
  raftd_ = std::move(raftd);
  state_due_ = progress_due_ = true;
}

void StorageCore::BeginStop() {
  stopping_ = true;
  reads_.Stop(MakeError(ErrorCode::kShuttingDown, "storaged is stopping"));
  locks_.Stop(MakeError(ErrorCode::kShuttingDown, "storaged is stopping"));
  applier_.Stop();
}

bool StorageCore::stopped() const {
  return stopping_ && engine_.durable_applied().index >= machine_.applied();
}

ErrorCode StorageCore::health() const {
  // Whoever asked for it asks again until it will outlast a crash.
  if (diverged_at_) {
    return quarantine_noted_ ? ErrorCode::kDiverged : ErrorCode::kStorageUnavailable;
  }
  if (applier_.state() == Applier::State::kHalted) return ErrorCode::kStorageUnavailable;
  switch (engine_health_.state) {
    case EngineState::kHealthy:
    case EngineState::kDegraded:
      return ErrorCode::kOk;
    case EngineState::kNoSpace:
      return ErrorCode::kStorageFull;
    case EngineState::kReadOnly:
    case EngineState::kFailed:
      break;
  }
  return ErrorCode::kStorageUnavailable;
}

std::string StorageCore::health_detail() const {
  if (diverged_at_) {
    const bool since = diverged_at_ != DataFolder::kQuarantineUnclear;
    return "what this node holds differs from the other replicas" +
           (since ? ", as seen at entry " + std::to_string(diverged_at_.value()) : std::string()) +
           ": it has to be rebuilt from one of them";
  }
  if (applier_.state() == Applier::State::kHalted) {
    return "applying stopped after " + std::to_string(machine_.applied().value()) + ": " +
           applier_.fault().ToString();
  }
  return engine_health_.detail;
}

proto::StorageStatus StorageCore::StatusNow() const {
  proto::StorageStatus status;
  status.applied = machine_.applied();
  status.durable_applied = engine_.durable_applied().index;
  status.health = health();
  status.detail = health_detail();
  if (corrupt_reads() != 0) {
    if (!status.detail.empty()) status.detail += "; ";
    status.detail += std::to_string(corrupt_reads()) +
                     " reads met damaged bytes, the last: " + last_corruption();
  }
  status.software = options_.software;
  status.history_from = machine_.history_from();
  status.locks = locks_.size();
  status.installing = snapshots_.fetch.installing;
  status.installing_bytes_done = snapshots_.fetch.bytes_done;
  status.installing_bytes_total = snapshots_.fetch.bytes_total;
  status.snapshots_kept = snapshots_.kept;
  status.checked = machine_.chain().checked();
  status.check_passes = machine_.chain().passes();
  status.diverged_at = diverged_at_;
  return status;
}

void StorageCore::Send(std::string_view to, RequestId request, proto::Message message) {
  out_.push_back({std::string(to), request, std::move(message)});
}

}  // namespace bedrock::storage
