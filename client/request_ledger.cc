#include "client/request_ledger.h"

#include <algorithm>

#include "common/base/check.h"
#include "proto/command.h"

namespace bedrock::client {
namespace {

using proto::ErrorCode;

/// What may go better at another router or a little later, for the same bytes.
bool WorthRepeating(ErrorCode code) {
  // A conflict is a command's recorded answer: repeating it gives the same. A router of another
  // protocol version is passed over, as long as there are others.
  if (code == ErrorCode::kTransactionConflict) return false;
  return proto::IsRetryable(code) || code == ErrorCode::kUnsupportedProtocol;
}

/// Another router may know better, where this one misses something; not where all have the same
/// trouble.
bool TellsAgainstRouter(ErrorCode code) {
  return code != ErrorCode::kOverloaded && code != ErrorCode::kStorageFull;
}

/// The command's own answer, whichever attempt it comes by.
bool IsExecutionResult(ErrorCode code) {
  return code == ErrorCode::kPreconditionFailed || code == ErrorCode::kKeyNotFound;
}

proto::Error CheckRequest(const Request& request) {
  proto::Command command{.session = SessionId(1), .sequence = 1};
  if (const auto* write = std::get_if<WriteRequest>(&request)) {
    command.operations.push_back({write->kind, write->key, write->value});
  } else {
    // The one check of keys is the command's.
    command.operations.push_back(
        {proto::Operation::Kind::kDelete, std::get<ReadRequest>(request).key, {}});
  }
  return proto::CheckCommand(command, proto::kValueBytesMax);
}

Status PreconditionFailed(const proto::Error& error, Version current) {
  proto::Error explained = error;
  if (explained.detail.empty()) {
    explained.detail = current ? "the key's version is " + std::to_string(current.value())
                               : std::string("the key is absent");
  }
  return proto::ToStatus(explained);
}

constexpr std::string_view kOutcomeUnknown =
    "the outcome of the write is unknown: it may have been applied";

}  // namespace

RequestLedger::RequestLedger(const Options& options) : options_(options), random_(options.seed) {
  CHECK(options.routers > 0);
  CHECK(options.session);
}

RequestId RequestLedger::Begin(Request request, std::uint64_t now_ms, std::uint64_t deadline_ms) {
  last_id_ = last_id_.Next();
  const RequestId id = last_id_;
  if (const proto::Error error = CheckRequest(request); !error.ok()) {
    completions_.push_back({id, {.status = proto::ToStatus(error)}});
    return id;
  }
  if (calls_.size() >= kCallsMax) {
    completions_.push_back({id, {.status = Status::Busy("too many calls are waiting")}});
    return id;
  }
  Call& call = calls_[id];
  call.request = std::move(request);
  call.begun_ms = now_ms;
  call.deadline_ms = deadline_ms;
  call.router = preferred_router_;
  if (IsWrite(call) && (!WindowHasRoom() || !waiting_.empty())) {
    call.last_failure = "an older write of this client keeps it waiting";
    waiting_.insert(id);
    Schedule(id, call, deadline_ms);
  } else {
    Start(id, call, now_ms);
  }
  return id;
}

bool RequestLedger::WindowHasRoom() const {
  return sequences_.empty() || last_sequence_ + 1 - sequences_.begin()->first < kSequenceWindowMax;
}

void RequestLedger::Start(RequestId id, Call& call, std::uint64_t now_ms) {
  if (const auto* read = std::get_if<ReadRequest>(&call.request)) {
    call.message = proto::ClientGet{Bytes::Copy(read->key), read->consistency, read->min_version};
  } else {
    auto& write = std::get<WriteRequest>(call.request);
    call.sequence = ++last_sequence_;
    sequences_.emplace(call.sequence, id);
    call.message =
        proto::ClientWrite{Bytes(EncodeWrite(write, call.sequence, sequences_.begin()->first))};
    write.value = std::string();  // from here on it lives in the command
  }
  Attempt(id, call, now_ms);
}

std::string RequestLedger::EncodeWrite(const WriteRequest& write, std::uint64_t sequence,
                                       std::uint64_t low_water) const {
  proto::Command command{.session = options_.session, .sequence = sequence, .low_water = low_water};
  if (write.condition) {
    command.conditions.push_back({*write.condition, write.key, write.condition_version});
  }
  command.operations.push_back({write.kind, write.key, write.value});
  return proto::EncodeCommand(command);
}

void RequestLedger::StartWaiting(std::uint64_t now_ms) {
  while (!waiting_.empty() && WindowHasRoom()) {
    const RequestId id = *waiting_.begin();
    waiting_.erase(waiting_.begin());
    Call& call = calls_.at(id);
    call.last_failure.clear();
    call.router = preferred_router_;
    Start(id, call, now_ms);
  }
}

void RequestLedger::Attempt(RequestId id, Call& call, std::uint64_t now_ms) {
  const std::uint64_t expires_ms = std::min(now_ms + options_.attempt_timeout_ms, call.deadline_ms);
  call.state = State::kInFlight;
  ++call.unresolved;
  const std::uint64_t timeout_ms = expires_ms > now_ms ? expires_ms - now_ms : 1;
  sends_.push_back({call.router, id, static_cast<std::uint32_t>(timeout_ms), call.message});
  Schedule(id, call, expires_ms);
}

void RequestLedger::Fail(RequestId id, Call& call, std::string reason, Retry retry,
                         std::uint64_t now_ms) {
  call.last_failure = std::move(reason);
  ++call.failures;
  call.router = (call.router + 1) % options_.routers;
  if (retry == Retry::kNow) {
    Attempt(id, call, now_ms);
    return;
  }
  call.state = State::kBackingOff;
  Schedule(id, call, std::min(now_ms + BackoffMs(call.failures), call.deadline_ms));
}

std::uint64_t RequestLedger::BackoffMs(unsigned failures) {
  const unsigned doublings = std::min(failures - 1, 16U);
  const std::uint64_t ceiling = std::min(kBackoffMsMin << doublings, kBackoffMsMax);
  return random_.Between(ceiling - ceiling / 2, ceiling);
}

void RequestLedger::OnUnsent(std::size_t router, RequestId id, std::uint64_t now_ms) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  Call& call = found->second;
  if (call.state != State::kInFlight || call.router != router) return;
  --call.unresolved;
  if (preferred_router_ == router) preferred_router_ = (router + 1) % options_.routers;
  // Each of the others once without delay; one of them may be up.
  const bool others_left = call.failures + 1 < options_.routers;
  Fail(id, call, "no connection to a router", others_left ? Retry::kNow : Retry::kLater, now_ms);
}

void RequestLedger::OnMessage(std::size_t router, RequestId id, const proto::Message& message,
                              std::uint64_t now_ms) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  Call& call = found->second;
  const auto* read = std::get_if<proto::ClientGetReply>(&message);
  const auto* write = std::get_if<proto::ClientWriteReply>(&message);
  const auto* refusal = std::get_if<proto::Refusal>(&message);
  if (refusal != nullptr && !refusal->error.ok()) {
    OnError(id, call, router, refusal->error, Version(), now_ms);
  } else if (IsWrite(call) && write != nullptr) {
    if (!write->error.ok()) {
      OnError(id, call, router, write->error, write->current, now_ms);
    } else {
      Finish(id, {.version = write->version}, now_ms);
    }
  } else if (!IsWrite(call) && read != nullptr) {
    if (!read->error.ok()) {
      OnError(id, call, router, read->error, Version(), now_ms);
    } else {
      Finish(id,
             {.value = read->value, .version = read->version, .read_version = read->read_version},
             now_ms);
    }
  }
}

void RequestLedger::OnError(RequestId id, Call& call, std::size_t router, const proto::Error& error,
                            Version current, std::uint64_t now_ms) {
  if (error.outcome == proto::Outcome::kNone && call.unresolved > 0) --call.unresolved;
  if (error.code == ErrorCode::kPreconditionFailed) {
    Finish(id, {.status = PreconditionFailed(error, current)}, now_ms);
    return;
  }
  const bool asked_last = call.state == State::kInFlight && call.router == router;
  if (!asked_last && !IsExecutionResult(error.code)) return;
  // Full disks stay full for long: nobody is served by waiting, unless an earlier attempt may have
  // got through.
  const bool full = error.code == ErrorCode::kStorageFull && call.unresolved == 0;
  if (WorthRepeating(error.code) && !full) {
    if (TellsAgainstRouter(error.code) && preferred_router_ == router) {
      preferred_router_ = (router + 1) % options_.routers;
    }
    Fail(id, call, std::string(proto::ToStatus(error).message()), Retry::kLater, now_ms);
    return;
  }
  Status status = proto::ToStatus(error);
  if (IsWrite(call) && call.unresolved > 0) {
    status =
        Status(status.code(), std::string(status.message()) + "; " + std::string(kOutcomeUnknown));
  }
  Finish(id, {.status = std::move(status)}, now_ms);
}

void RequestLedger::OnRouterRefused(std::size_t router, const proto::Error& error,
                                    std::uint64_t now_ms) {
  std::vector<RequestId> concerned;
  for (const auto& [id, call] : calls_) {
    if (call.state == State::kInFlight && call.router == router) concerned.push_back(id);
  }
  std::sort(concerned.begin(), concerned.end());
  for (const RequestId id : concerned) {
    if (const auto found = calls_.find(id); found != calls_.end()) {
      OnError(id, found->second, router, error, Version(), now_ms);
    }
  }
}

void RequestLedger::OnTime(std::uint64_t now_ms) {
  while (!due_.empty() && due_.begin()->first <= now_ms) {
    const RequestId id = due_.begin()->second;
    Call& call = calls_.at(id);
    if (now_ms >= call.deadline_ms) {
      Expire(id, call, now_ms);
    } else if (call.state == State::kInFlight) {
      if (preferred_router_ == call.router) {
        preferred_router_ = (call.router + 1) % options_.routers;
      }
      Fail(id, call, "a router did not answer", Retry::kNow, now_ms);
    } else {
      Attempt(id, call, now_ms);
    }
  }
}

void RequestLedger::Expire(RequestId id, Call& call, std::uint64_t now_ms) {
  std::string message = "no answer within " + std::to_string(call.deadline_ms - call.begun_ms);
  message += " ms";
  if (IsWrite(call)) {
    message += "; ";
    message += call.unresolved > 0 ? kOutcomeUnknown : "the write was not applied";
  }
  if (!call.last_failure.empty()) message += " (last: " + call.last_failure + ")";
  Finish(id, {.status = Status::TimedOut(message)}, now_ms);
}

void RequestLedger::Finish(RequestId id, Answer answer, std::uint64_t now_ms) {
  const auto found = calls_.find(id);
  CHECK(found != calls_.end());
  due_.erase({found->second.due_ms, id});
  sequences_.erase(found->second.sequence);
  waiting_.erase(id);
  calls_.erase(found);
  completions_.push_back({id, std::move(answer)});
  StartWaiting(now_ms);
}

void RequestLedger::Schedule(RequestId id, Call& call, std::uint64_t due_ms) {
  due_.erase({call.due_ms, id});
  call.due_ms = due_ms;
  due_.insert({due_ms, id});
}

std::optional<std::uint64_t> RequestLedger::NextWakeup() const {
  if (due_.empty()) return std::nullopt;
  return due_.begin()->first;
}

}  // namespace bedrock::client
