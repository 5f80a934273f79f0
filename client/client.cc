#include "bedrock/client.h"

#include <algorithm>
#include <condition_variable>
#include <optional>
#include <unordered_map>
#include <utility>

#include "client/request_ledger.h"
#include "common/base/thread_annotations.h"
#include "common/env/posix_clock.h"
#include "common/env/random.h"
#include "common/env/thread_executor.h"
#include "common/net/event_loop.h"
#include "common/net/message_socket.h"
#include "proto/codec.h"

namespace bedrock {
namespace {

using client::Answer;
using client::Request;
using client::RequestLedger;

constexpr std::size_t kEndpointsMax = 64;
constexpr std::uint64_t kDeadlineMsMax = 300'000;

Status CheckMilliseconds(std::string_view name, std::uint64_t value) {
  if (value >= 1 && value <= kDeadlineMsMax) return {};
  return Status::InvalidArgument(std::string(name) + ": " + std::to_string(value) +
                                 " is not within 1 and " + std::to_string(kDeadlineMsMax));
}

/// A call that a thread waits for. Shared by that thread and the loop's.
class PendingCall {
 public:
  PendingCall(Request request_in, std::uint64_t deadline_ms_in)
      : request(std::move(request_in)), deadline_ms(deadline_ms_in) {}

  Request request;  // the loop's thread takes it
  const std::uint64_t deadline_ms;

  void Finish(Answer answer) {
    {
      const MutexLock lock(mutex_);
      answer_ = std::move(answer);
    }
    finished_.notify_one();
  }
  Answer Wait() {
    MutexLock lock(mutex_);
    while (!answer_) lock.Wait(finished_);
    return *std::move(answer_);
  }

 private:
  Mutex mutex_;
  std::condition_variable finished_;
  std::optional<Answer> answer_ GUARDED_BY(mutex_);
};

}  // namespace

Status ClientOptions::Validate() const {
  if (endpoints.empty() || endpoints.size() > kEndpointsMax) {
    return Status::InvalidArgument("endpoints: " + std::to_string(endpoints.size()) +
                                   " are given, 1 to 64 are wanted");
  }
  for (const std::string& endpoint : endpoints) {
    if (!endpoint.starts_with("tcp://") && !endpoint.starts_with("ipc://")) {
      return Status::InvalidArgument("endpoints: '" + endpoint +
                                     "' is neither tcp://HOST:PORT nor ipc://PATH");
    }
  }
  if (Status status = CheckMilliseconds("deadline_ms", deadline_ms); !status.ok()) return status;
  return CheckMilliseconds("attempt_timeout_ms", attempt_timeout_ms);
}

/// The shell: one thread runs the event loop and owns everything below but what is marked.
class Client::Impl {
 public:
  explicit Impl(const ClientOptions& options)
      : options_(options),
        ledger_({.session = SessionId(NonZeroEntropy()),
                 .routers = options.endpoints.size(),
                 .attempt_timeout_ms = options.attempt_timeout_ms,
                 .seed = SystemEntropy()}) {}

  ~Impl() {
    loop_.Stop();
    thread_.reset();  // waits for the loop to end; what follows is nobody else's any more
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Before any other call.
  Status Start() {
    const std::string routing_id = "client/" + FormatHex(SystemEntropy());
    for (std::size_t router = 0; router < options_.endpoints.size(); ++router) {
      auto link =
          net::Link::Connect(loop_, context_, options_.endpoints[router], routing_id,
                             [this, router](const Bytes& frame) { OnFrame(router, frame); });
      if (!link.ok()) return link.status().Prefixed("connect to " + options_.endpoints[router]);
      links_.push_back(std::move(link).value());
    }
    loop_.AtTurnEnd([this] { EndTurn(); });
    thread_.emplace(1U);
    thread_->Post(Executor::Priority::kHigh, [this] { loop_.Run(); });
    return {};
  }

  /// Any thread; blocks. `deadline_ms` 0: the client's.
  Answer Call(Request request, std::uint64_t deadline_ms) {
    if (deadline_ms == 0) deadline_ms = options_.deadline_ms;
    if (Status status = CheckMilliseconds("deadline_ms", deadline_ms); !status.ok()) {
      return {.status = std::move(status)};
    }
    const auto call =
        std::make_shared<PendingCall>(std::move(request), clock_.MonotonicMs() + deadline_ms);
    loop_.Post([this, call] {
      const RequestId id =
          ledger_.Begin(std::move(call->request), clock_.MonotonicMs(), call->deadline_ms);
      pending_.emplace(id, call);
    });
    return call->Wait();
  }

 private:
  void OnFrame(std::size_t router, const Bytes& bytes) {
    const std::uint64_t now_ms = clock_.MonotonicMs();
    const Result<proto::Frame> frame = proto::DecodeFrame(bytes);
    if (!frame.ok() || frame->header.protocol != proto::kProtocolVersion) {
      proto::Error error;
      error.code = proto::ErrorCode::kUnsupportedProtocol;
      error.detail = frame.ok() ? "the router speaks protocol version " +
                                      std::to_string(frame->header.protocol)
                                : std::string(frame.status().message());
      error.outcome = proto::Outcome::kUnknown;
      ledger_.OnRouterRefused(router, error, now_ms);
      return;
    }
    // Another cluster would execute again what the first one has executed: from the first answer on
    // every frame names the cluster, and others refuse it.
    if (!header_.cluster) header_.cluster = frame->header.cluster;
    for (const proto::Packet& packet : frame->packets) OnPacket(router, packet, now_ms);
  }

  void OnPacket(std::size_t router, const proto::Packet& packet, std::uint64_t now_ms) {
    if (packet.request) {
      ledger_.OnMessage(router, packet.request, packet.message, now_ms);
    } else if (const auto* refusal = std::get_if<proto::Refusal>(&packet.message)) {
      ledger_.OnRouterRefused(router, refusal->error, now_ms);
    }
  }

  void EndTurn() {
    ledger_.OnTime(clock_.MonotonicMs());
    // What cannot be sent goes to another router; the ledger tries each once and then backs off.
    for (auto sends = ledger_.TakeSends(); !sends.empty(); sends = ledger_.TakeSends()) {
      Send(sends);
    }
    for (client::RequestLedger::Completion& completion : ledger_.TakeCompletions()) {
      const auto found = pending_.find(completion.call);
      found->second->Finish(std::move(completion.answer));
      pending_.erase(found);
    }
    ArmTimer();
  }

  void Send(const std::vector<RequestLedger::Transmission>& sends) {
    for (std::size_t router = 0; router < links_.size(); ++router) {
      proto::FrameWriter writer(header_);
      std::vector<RequestId> calls;
      for (const RequestLedger::Transmission& send : sends) {
        if (send.router != router) continue;
        if (writer.full()) SendFrame(router, writer, calls);
        writer.Add(send.call, send.timeout_ms, send.message);
        calls.push_back(send.call);
      }
      if (!writer.empty()) SendFrame(router, writer, calls);
    }
  }

  void SendFrame(std::size_t router, proto::FrameWriter& writer, std::vector<RequestId>& calls) {
    if (!links_[router]->Send(writer.Finish())) {
      const std::uint64_t now_ms = clock_.MonotonicMs();
      for (const RequestId call : calls) ledger_.OnUnsent(router, call, now_ms);
    }
    calls.clear();
  }

  /// One timer, for the earliest time that the ledger waits for. It only wakes the loop.
  void ArmTimer() {
    const std::optional<std::uint64_t> wakeup_ms = ledger_.NextWakeup();
    if (!wakeup_ms || (armed_for_ms_ && *armed_for_ms_ <= *wakeup_ms)) return;
    if (armed_for_ms_) loop_.Cancel(timer_);
    const std::uint64_t now_ms = clock_.MonotonicMs();
    armed_for_ms_ = wakeup_ms;
    timer_ = loop_.After(*wakeup_ms > now_ms ? *wakeup_ms - now_ms : 0,
                         [this] { armed_for_ms_.reset(); });
  }

  const ClientOptions options_;  // any thread
  const PosixClock clock_;       // any thread
  net::MessageContext context_;
  net::EventLoop loop_;  // Post and Stop: any thread
  RequestLedger ledger_;
  proto::FrameHeader header_;
  std::unordered_map<RequestId, std::shared_ptr<PendingCall>> pending_;
  net::TimerId timer_;
  std::optional<std::uint64_t> armed_for_ms_;
  std::vector<std::unique_ptr<net::Link>> links_;
  std::optional<ThreadExecutor> thread_;  // the caller's of Start and the destructor
};

Result<std::unique_ptr<Client>> Client::Connect(const ClientOptions& options) {
  if (Status status = options.Validate(); !status.ok()) return status;
  auto impl = std::make_unique<Impl>(options);
  if (Status status = impl->Start(); !status.ok()) return status;
  return std::make_unique<Client>(std::move(impl));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

namespace {

client::WriteRequest MakeWrite(proto::Operation::Kind kind, std::string_view key,
                               const WriteCondition& condition) {
  using Kind = proto::Condition::Kind;
  client::WriteRequest write{.kind = kind, .key = std::string(key)};
  switch (condition.kind()) {
    case WriteCondition::Kind::kNone:
      break;
    case WriteCondition::Kind::kVersion:
      write.condition = Kind::kVersionEquals;
      write.condition_version = condition.version();
      break;
    case WriteCondition::Kind::kExists:
      write.condition = Kind::kExists;
      break;
    case WriteCondition::Kind::kAbsent:
      write.condition = Kind::kAbsent;
      break;
  }
  return write;
}

Result<Version> ToVersion(const Answer& answer) {
  if (!answer.status.ok()) return answer.status;
  return answer.version;
}

}  // namespace

Result<Version> Client::Put(std::string_view key, std::string_view value,
                            const ClientWriteOptions& options) {
  client::WriteRequest write = MakeWrite(proto::Operation::Kind::kPut, key, options.condition);
  write.value = value;
  return ToVersion(impl_->Call(std::move(write), options.deadline_ms));
}

Result<Version> Client::Delete(std::string_view key, const ClientWriteOptions& options) {
  return ToVersion(impl_->Call(MakeWrite(proto::Operation::Kind::kDelete, key, options.condition),
                               options.deadline_ms));
}

Result<VersionedValue> Client::GetVersioned(std::string_view key,
                                            const ClientReadOptions& options) {
  using Consistency = ClientReadOptions::Consistency;
  const client::ReadRequest read{.key = std::string(key),
                                 .consistency = options.consistency == Consistency::kStale
                                                    ? proto::Consistency::kStale
                                                    : proto::Consistency::kLinearizable,
                                 .min_version = options.min_version};
  const Answer answer = impl_->Call(read, options.deadline_ms);
  if (!answer.status.ok()) return answer.status;
  return VersionedValue{std::string(answer.value.view()), answer.version, answer.read_version};
}

Status Client::Get(std::string_view key, std::string* value, const ClientReadOptions& options) {
  Result<VersionedValue> found = GetVersioned(key, options);
  if (!found.ok()) return found.status();
  *value = std::move(found->value);
  return {};
}

}  // namespace bedrock
