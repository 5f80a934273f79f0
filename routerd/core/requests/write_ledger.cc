#include "routerd/core/requests/write_ledger.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "routerd/core/base/backoff.h"
#include "routerd/core/requests/fingerprint.h"
#include "routerd/core/requests/result_errors.h"

namespace bedrock::router {
namespace {

constexpr std::uint64_t kTickMs = 8;
constexpr std::size_t kTicks = 1024;
constexpr std::uint32_t kTrackedAttempts = 64;

using proto::Error;
using proto::ErrorCode;
using proto::Outcome;

/// Whether a refusal is about the request itself or the load, so that another attempt now would end
/// the same; else it is about this node's raftd at this moment.
bool IsFinal(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotLeader:
    case ErrorCode::kNoLeader:
    case ErrorCode::kStorageUnavailable:
    case ErrorCode::kShuttingDown:
    case ErrorCode::kWrongCluster:
    case ErrorCode::kUnsupportedProtocol:
      return false;
    default:
      return true;
  }
}

/// Roughly, and without going through the encoding.
std::uint64_t BytesOf(const proto::Command& command) {
  std::uint64_t bytes = 0;
  const auto add = [&bytes](const std::vector<proto::Operation>& operations) {
    for (const auto& operation : operations) bytes += operation.key.size() + operation.value.size();
  };
  add(command.operations);
  if (command.otherwise) add(*command.otherwise);
  for (const auto& condition : command.conditions) {
    bytes += condition.key.size() + condition.operand.size();
  }
  for (const auto& read : command.reads) bytes += read.key.size() + read.end.size();
  return bytes;
}

}  // namespace

WriteLedger::WriteLedger(const CoreOptions& options, NodeTable& nodes)
    : options_(options), nodes_(nodes), wheel_(kTickMs, kTicks) {}

Error WriteLedger::Admit(std::uint64_t bytes) const {
  if (writes_.size() >= options_.commands_in_flight_max) {
    Error error = MakeError(ErrorCode::kOverloaded, "too many writes are in flight on this node");
    error.limit = options_.commands_in_flight_max;
    return error;
  }
  if (writes_.size() > 0 && bytes_ + bytes > options_.command_bytes_in_flight_max) {
    Error error =
        MakeError(ErrorCode::kOverloaded, "too many bytes of writes are in flight on this node");
    error.limit = options_.command_bytes_in_flight_max;
    return error;
  }
  if (window_.span() >= options_.sequence_window_max) {
    return MakeError(ErrorCode::kOverloaded, "an early write of this node is still unanswered");
  }
  return {};
}

void WriteLedger::Refuse(const Ticket& ticket, Error error, std::uint64_t now_ms,
                         Effects* effects) {
  Completion completion;
  completion.ticket = ticket;
  completion.error = std::move(error);
  completion.is_write = true;
  completion.leader = nodes_.leader(now_ms).node;
  effects->completions.push_back(std::move(completion));
}

SlotHandle WriteLedger::Begin(const Ticket& ticket, proto::Command command,
                              std::uint64_t deadline_ms, std::uint64_t now_ms, Effects* effects) {
  command.session = options_.session;
  command.sequence = window_.low_water() + window_.span();  // what Take() will give
  command.low_water = window_.low_water();
  std::string fingerprint;
  if (!command.idempotency.key.empty()) {
    fingerprint = FingerprintOf(command);
    command.idempotency.fingerprint = fingerprint;
  }
  if (Error error = proto::CheckCommand(command, options_.value_bytes_max); !error.ok()) {
    Refuse(ticket, std::move(error), now_ms, effects);
    return {};
  }
  // Admission knows the command's rough size before anything is encoded.
  if (Error error = Admit(BytesOf(command)); !error.ok()) {
    Refuse(ticket, std::move(error), now_ms, effects);
    return {};
  }
  Write write;
  write.ticket = ticket;
  write.sequence = window_.Take();
  write.deadline_ms = deadline_ms;
  write.command = Bytes(proto::EncodeCommand(command));
  return Start(std::move(write), now_ms, effects);
}

void WriteLedger::Begin(const ClientCommand& request, std::uint64_t now_ms, Effects* effects) {
  const auto command = proto::DecodeCommand(request.command.view());
  if (!command.ok()) {
    return Refuse(request.ticket,
                  MakeError(ErrorCode::kInvalidArgument, command.status().ToString()), now_ms,
                  effects);
  }
  if (!command->session || command->session == options_.session || command->sequence == 0) {
    return Refuse(request.ticket,
                  MakeError(ErrorCode::kInvalidArgument,
                            "a command needs a session of its client's own and a sequence number"),
                  now_ms, effects);
  }
  Error error = proto::CheckCommand(*command, options_.value_bytes_max);
  if (error.ok()) error = Admit(request.command.size());
  if (!error.ok()) return Refuse(request.ticket, std::move(error), now_ms, effects);
  Write write;
  write.ticket = request.ticket;
  write.deadline_ms = request.deadline_ms;
  write.command = request.command;
  Start(std::move(write), now_ms, effects);
}

SlotHandle WriteLedger::Start(Write write, std::uint64_t now_ms, Effects* effects) {
  bytes_ += write.command.size();
  const SlotHandle handle = writes_.Insert(std::move(write));
  Write* stored = writes_.Find(handle);
  if (now_ms >= stored->deadline_ms) {
    Expire(handle, *stored, now_ms, effects);
  } else {
    Dispatch(handle, stored, now_ms, effects);
  }
  return handle;
}

std::optional<Error> WriteLedger::Withdraw(SlotHandle handle, std::uint64_t now_ms) {
  const Write* write = writes_.Find(handle);
  if (write == nullptr || write->Open()) return std::nullopt;
  Error why = WhyExpired(*write, now_ms);
  Erase(handle, *write);
  return why;
}

void WriteLedger::Erase(SlotHandle handle, const Write& write) {
  bytes_ -= write.command.size();
  if (write.sequence != 0) window_.Finish(write.sequence);
  writes_.Erase(handle);
}

void WriteLedger::Wake(SlotHandle handle, Write* write, std::uint64_t at_ms) {
  write->wake_ms = std::min(at_ms, write->deadline_ms);
  wheel_.Schedule(handle.Pack(), write->wake_ms);
}

void WriteLedger::Retry(SlotHandle handle, Write* write, std::uint64_t now_ms) {
  write->sent = false;
  Wake(handle, write,
       now_ms + Doubling(options_.retry_ms_min, options_.retry_ms_max, write->attempts));
}

void WriteLedger::Dispatch(SlotHandle handle, Write* write, std::uint64_t now_ms,
                           Effects* effects) {
  const LeaderCache::Leader leader = nodes_.leader(now_ms);
  if (!leader.node || now_ms >= write->deadline_ms) {  // FollowLeader or the timer wakes it
    write->sent = false;
    return Wake(handle, write, write->deadline_ms);
  }
  if (write->attempts > 0) ++resends_;
  ++write->attempts;
  write->sent = true;
  write->target = leader;
  if (write->attempts <= kTrackedAttempts) {
    write->open |= std::uint64_t{1} << (write->attempts - 1);
  } else {
    write->open_beyond = true;
  }
  Send send;
  send.node = leader.node;
  send.daemon = Daemon::kRaftd;
  send.request = MakeRequestId({RequestKind::kWrite, handle, write->attempts});
  send.timeout_ms = static_cast<std::uint32_t>(write->deadline_ms - now_ms);
  send.message = proto::Propose{write->command};
  effects->sends.push_back(std::move(send));
  Wake(handle, write,
       now_ms +
           Doubling(options_.write_attempt_ms, 4 * options_.write_attempt_ms, write->attempts - 1));
}

void WriteLedger::Close(Write* write, std::uint32_t attempt) {
  if (attempt == 0 || attempt > kTrackedAttempts) return;
  write->open &= ~(std::uint64_t{1} << (attempt - 1));
}

void WriteLedger::OnReply(NodeId from, const RequestName& name, proto::CommandReply reply,
                          std::uint64_t now_ms, Effects* effects) {
  Write* write = writes_.Find(name.handle);
  if (write == nullptr) return;  // answered before
  Error error = ErrorOf(reply.result, write->command.view());
  if (error.code == ErrorCode::kOverloaded) {
    // As if this attempt's entry were not in the log; another attempt's may still be executed.
    return OnRefused(from, name, error, now_ms, effects);
  }
  Completion completion;
  completion.error = std::move(error);
  completion.version = reply.result.version;
  completion.read_version = reply.result.version;
  completion.current = reply.result.current;
  completion.served_by = from;
  completion.result = std::move(reply.result);
  Finish(name.handle, std::move(completion), now_ms, effects);
}

void WriteLedger::OnRefused(NodeId from, const RequestName& name, const Error& error,
                            std::uint64_t now_ms, Effects* effects) {
  Write* write = writes_.Find(name.handle);
  if (write == nullptr) return;
  Close(write, name.attempt);
  if (!write->sent || name.attempt != write->attempts % kAttemptsMax) return;
  write->refusal = error;
  if (IsFinal(error.code) && !write->Open()) {
    Completion completion;
    completion.error = error;
    completion.error.outcome = Outcome::kNone;
    return Finish(name.handle, std::move(completion), now_ms, effects);
  }
  const LeaderCache::Leader leader = nodes_.leader(now_ms);
  if (error.code == ErrorCode::kNotLeader && leader.node && leader.node != from) {
    return Dispatch(name.handle, write, now_ms, effects);
  }
  Retry(name.handle, write, now_ms);
}

void WriteLedger::OnUnsent(const RequestName& name, std::uint64_t now_ms) {
  Write* write = writes_.Find(name.handle);
  if (write == nullptr) return;
  Close(write, name.attempt);
  if (write->sent && name.attempt == write->attempts % kAttemptsMax) {
    write->refusal = Error();
    Retry(name.handle, write, now_ms);
  }
}

void WriteLedger::Advance(std::uint64_t now_ms, Effects* effects) {
  FollowLeader(now_ms, effects);
  wheel_.Advance(now_ms, [&](std::uint64_t packed) {
    const SlotHandle handle = SlotHandle::Unpack(packed);
    Write* write = writes_.Find(handle);
    if (write == nullptr || now_ms < write->wake_ms) return;
    if (now_ms >= write->deadline_ms) return Expire(handle, *write, now_ms, effects);
    Dispatch(handle, write, now_ms, effects);
  });
}

void WriteLedger::FollowLeader(std::uint64_t now_ms, Effects* effects) {
  const LeaderCache::Leader leader = nodes_.leader(now_ms);
  if (leader == followed_) return;
  followed_ = leader;
  if (!leader.node || writes_.size() == 0) return;
  writes_.ForEach([&](SlotHandle handle, Write& write) {
    if (now_ms >= write.deadline_ms) return;  // its timer is due
    if (write.sent && write.target == leader) return;
    Dispatch(handle, &write, now_ms, effects);
  });
}

Error WriteLedger::WhyExpired(const Write& write, std::uint64_t now_ms) const {
  if (write.Open()) {
    return MakeError(ErrorCode::kDeadlineExceeded,
                     "the write was proposed, and no answer came in time", Outcome::kUnknown);
  }
  if (!nodes_.leader(now_ms).node) {
    if (nodes_.DisksAreFull(now_ms)) {
      return MakeError(ErrorCode::kStorageFull, "nobody leads: the nodes' disks are full");
    }
    return MakeError(ErrorCode::kNoLeader, "no leader was found in time");
  }
  if (write.attempts == 0) {
    return MakeError(ErrorCode::kDeadlineExceeded, "the write could not be proposed in time");
  }
  // A leader that takes no connection is one no longer, though nobody has said so yet.
  if (write.refusal.ok()) {
    return MakeError(ErrorCode::kNoLeader, "the last known leader can't be reached");
  }
  const std::string detail = "refused: " + write.refusal.detail;
  switch (write.refusal.code) {
    case ErrorCode::kNotLeader:
    case ErrorCode::kNoLeader:
      return MakeError(ErrorCode::kNoLeader, detail);
    case ErrorCode::kStorageUnavailable:
    case ErrorCode::kShuttingDown:
      return MakeError(write.refusal.code, detail);
    default:
      return MakeError(ErrorCode::kDeadlineExceeded, detail);
  }
}

void WriteLedger::Expire(SlotHandle handle, const Write& write, std::uint64_t now_ms,
                         Effects* effects) {
  Completion completion;
  completion.error = WhyExpired(write, now_ms);
  Finish(handle, std::move(completion), now_ms, effects);
}

void WriteLedger::Finish(SlotHandle handle, Completion completion, std::uint64_t now_ms,
                         Effects* effects) {
  Write* write = writes_.Find(handle);
  completion.ticket = write->ticket;
  completion.is_write = true;
  completion.leader = nodes_.leader(now_ms).node;
  Erase(handle, *write);
  effects->completions.push_back(std::move(completion));
}

}  // namespace bedrock::router
