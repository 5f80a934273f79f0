#include "storaged/core/storage_core.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>
#include <variant>

namespace bedrock::storage {
namespace {

using proto::ErrorCode;

proto::Error MakeError(ErrorCode code, std::string_view detail) {
  proto::Error error;
  error.code = code;
  error.detail = detail;
  return error;
}

proto::Error CheckKey(std::string_view key) {
  if (key.empty()) return MakeError(ErrorCode::kInvalidArgument, "a key has at least one byte");
  if (key.size() <= proto::kKeyBytesMax) return {};
  proto::Error error = MakeError(ErrorCode::kKeyTooLarge, "the key is too large");
  error.limit = proto::kKeyBytesMax;
  error.actual = key.size();
  return error;
}

std::uint64_t DeadlineOf(std::uint32_t timeout_ms, std::uint64_t now_ms) {
  const std::uint64_t wait = timeout_ms == 0 ? kReadWaitMsMax : timeout_ms;
  return now_ms + std::min(wait, kReadWaitMsMax);
}

}  // namespace

StorageCore::StorageCore(engine::Engine& engine, StateMachine& machine, Options options)
    : engine_(engine),
      machine_(machine),
      options_(std::move(options)),
      applier_(engine, machine),
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
            OnGet({.from = std::string(from),
                   .request = packet.request,
                   .key = std::move(message.key),
                   .min_version = message.min_version,
                   .deadline_ms = DeadlineOf(packet.timeout_ms, now_ms)});
          } else if constexpr (std::is_same_v<T, proto::StorageStatusQuery>) {
            Send(from, packet.request, StatusNow());
          } else if constexpr (std::is_same_v<T, proto::UnknownKind>) {
            Refuse(from, packet.request, ErrorCode::kUnsupportedProtocol,
                   "storaged does not know this kind of message");
          } else if constexpr (!std::is_same_v<T, proto::Refusal>) {
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
  raftd_ = from;
  raftd_request_ = request;
  progress_due_ = true;
  applier_.Accept(std::move(apply));
}

void StorageCore::OnGet(WaitingRead read) {
  if (const proto::Error error = CheckKey(read.key.view()); !error.ok()) {
    proto::GetReply reply;
    reply.error = error;
    Send(read.from, read.request, std::move(reply));
  } else if (stopping_) {
    AnswerError(read, ErrorCode::kShuttingDown, "storaged is stopping");
  } else if (arrived_.size() >= kArrivedReadsMax) {
    AnswerError(read, ErrorCode::kOverloaded, "too many reads at once");
  } else {
    arrived_.push_back(std::move(read));
  }
}

void StorageCore::EngineProgressed() {
  engine_health_ = engine_.health();
  applier_.Unblock();
  progress_due_ = true;
}

bool StorageCore::Run(std::uint64_t now_ms, std::vector<Outgoing>& out) {
  if (retry_at_ms_ && *retry_at_ms_ <= now_ms) applier_.Unblock();
  ApplyPending(now_ms);
  if (progress_due_) ReportProgress();
  read_bytes_ = 0;
  AnswerWaitingReads(now_ms);
  AnswerArrivedReads();
  if (out.empty()) {
    out.swap(out_);
  } else {
    std::move(out_.begin(), out_.end(), std::back_inserter(out));
  }
  out_.clear();
  return HasMore();
}

bool StorageCore::HasMore() const {
  return applier_.state() == Applier::State::kMore || !arrived_.empty() ||
         waiting_.HasReady(Version(machine_.applied().value()));
}

void StorageCore::ApplyPending(std::uint64_t now_ms) {
  const LogIndex before = machine_.applied();
  const auto state_before = applier_.state();
  replies_.clear();
  applier_.Run(now_ms, replies_);
  for (auto& reply : replies_) {
    Send(reply.to.router, reply.to.request, proto::CommandReply{reply.result});
  }
  const auto state = applier_.state();
  retry_at_ms_.reset();
  if (state == Applier::State::kBlocked) retry_at_ms_ = now_ms + kBusyRetryMs;
  if (state != state_before) engine_health_ = engine_.health();
  if (machine_.applied() != before) {
    progress_due_ = true;
    engine_.SetWatermark(Version(machine_.applied().value()));
  }
  if (state == Applier::State::kHalted && state_before != state) progress_due_ = true;
}

void StorageCore::ReportProgress() {
  progress_due_ = false;
  if (raftd_.empty()) return;
  Send(raftd_, raftd_request_,
       proto::ApplyProgress{.applied = machine_.applied(),
                            .durable_applied = engine_.durable_applied().index,
                            .health = health()});
  raftd_request_ = RequestId();  // it is answered; later ones come unasked
}

void StorageCore::AnswerWaitingReads(std::uint64_t now_ms) {
  const Version applied(machine_.applied().value());
  while (MayRead() && waiting_.HasReady(applied)) Answer(*waiting_.TakeReady(applied));
  while (const auto read = waiting_.TakeExpired(now_ms)) {
    AnswerError(
        *read, ErrorCode::kDeadlineExceeded,
        "version " + std::to_string(read->min_version.value()) + " was not applied here in time");
  }
  if (!stopping_ && applier_.state() != Applier::State::kHalted) return;
  while (const auto read = waiting_.TakeAny()) {
    if (stopping_) {
      AnswerError(*read, ErrorCode::kShuttingDown, "storaged is stopping");
    } else {
      AnswerError(*read, ErrorCode::kStorageUnavailable, health_detail());
    }
  }
}

void StorageCore::AnswerArrivedReads() {
  const Version applied(machine_.applied().value());
  while (MayRead() && !arrived_.empty()) {
    const WaitingRead read = std::move(arrived_.front());
    arrived_.pop_front();
    if (read.min_version <= applied) {
      Answer(read);
    } else if (applier_.state() == Applier::State::kHalted) {
      AnswerError(read, ErrorCode::kStorageUnavailable, health_detail());
    } else if (!waiting_.Add(read)) {
      AnswerError(read, ErrorCode::kOverloaded, "too many reads wait here");
    }
  }
}

void StorageCore::Answer(const WaitingRead& read) {
  proto::GetReply reply;
  reply.read_version = Version(machine_.applied().value());
  auto found = machine_.Get(read.key.view());
  if (!found.ok()) {
    reply.error = ReadError(found.status());
  } else if (found->found) {
    reply.found = true;
    reply.version = found->version;
    read_bytes_ += found->value.size();
    reply.value = Bytes(std::move(found->value));
  }
  Send(read.from, read.request, std::move(reply));
}

void StorageCore::AnswerError(const WaitingRead& read, ErrorCode code, std::string_view detail) {
  proto::GetReply reply;
  reply.error = MakeError(code, detail);
  reply.read_version = Version(machine_.applied().value());
  Send(read.from, read.request, std::move(reply));
}

proto::Error StorageCore::ReadError(const Status& status) {
  if (!status.IsCorruption()) return MakeError(ErrorCode::kStorageUnavailable, status.ToString());
  ++corrupt_reads_;
  last_corruption_ = status.message();
  return MakeError(ErrorCode::kCorruption, status.message());
}

std::optional<std::uint64_t> StorageCore::NextWakeup() const {
  auto next = waiting_.NextDeadline();
  if (retry_at_ms_ && (!next || *retry_at_ms_ < *next)) next = retry_at_ms_;
  return next;
}

void StorageCore::BeginStop() {
  stopping_ = true;
  applier_.Stop();
}

bool StorageCore::stopped() const {
  return stopping_ && engine_.durable_applied().index >= machine_.applied();
}

ErrorCode StorageCore::health() const {
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
  if (corrupt_reads_ != 0) {
    if (!status.detail.empty()) status.detail += "; ";
    status.detail +=
        std::to_string(corrupt_reads_) + " reads met damaged bytes, the last: " + last_corruption_;
  }
  status.software = options_.software;
  return status;
}

void StorageCore::Send(std::string_view to, RequestId request, proto::Message message) {
  out_.push_back({std::string(to), request, std::move(message)});
}

}  // namespace bedrock::storage
