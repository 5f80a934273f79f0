#include "routerd/core/interactive/forward_ledger.h"

#include <algorithm>
#include <string>
#include <utility>

#include "routerd/core/base/backoff.h"

namespace bedrock::router {
namespace {

constexpr std::uint64_t kTickMs = 8;
constexpr std::size_t kTicks = 1024;

using Action = proto::ClientTransaction::Action;
using proto::Error;
using proto::ErrorCode;

/// Whether a commit with this answer was not even proposed, so that its transaction is open still
/// and the same commit, come once more, would be tried anew.
bool LeavesOpen(const Error& error) {
  switch (error.code) {
    case ErrorCode::kOverloaded:
    case ErrorCode::kNoLeader:
    case ErrorCode::kNotLeader:
    case ErrorCode::kStorageUnavailable:
    case ErrorCode::kStorageFull:
    case ErrorCode::kShuttingDown:
    case ErrorCode::kDeadlineExceeded:
      return error.outcome == proto::Outcome::kNone;
    default:
      return false;
  }
}

}  // namespace

ForwardLedger::ForwardLedger(const CoreOptions& options, NodeTable& nodes)
    : options_(options), nodes_(nodes), wheel_(kTickMs, kTicks) {}

void ForwardLedger::Begin(TransactionStep step, NodeId owner, std::uint64_t now_ms,
                          Effects* effects) {
  const std::uint64_t bytes = step.step.command.size();
  if (forwards_.size() >= kForwardsMax || (bytes_ > 0 && bytes_ + bytes > kBytesMax)) {
    Completion completion;
    completion.error = MakeError(ErrorCode::kOverloaded,
                                 "too many steps of other nodes' transactions are in flight");
    return Complete(step, std::move(completion), now_ms, effects);
  }
  bytes_ += bytes;
  Forward forward;
  forward.step = std::move(step);
  forward.owner = owner;
  const SlotHandle handle = forwards_.Insert(std::move(forward));
  Forward* stored = forwards_.Find(handle);
  if (now_ms >= stored->step.deadline_ms) return Expire(handle, *stored, now_ms, effects);
  Send(handle, stored, now_ms, effects);
}

void ForwardLedger::Send(SlotHandle handle, Forward* forward, std::uint64_t now_ms,
                         Effects* effects) {
  ++forward->attempts;
  ++forward->sent;
  router::Send send;
  send.node = forward->owner;
  send.daemon = Daemon::kRouterd;
  send.request = MakeRequestId({RequestKind::kForward, handle, forward->attempts});
  send.timeout_ms = static_cast<std::uint32_t>(forward->step.deadline_ms - now_ms);
  send.message = forward->step.step;
  effects->sends.push_back(std::move(send));
  const bool again = forward->step.step.action != Action::kExecute;
  Wake(handle, forward,
       again ? now_ms + Doubling(options_.write_attempt_ms, 4 * options_.write_attempt_ms,
                                 forward->attempts - 1)
             : forward->step.deadline_ms);
}

void ForwardLedger::Wake(SlotHandle handle, Forward* forward, std::uint64_t at_ms) {
  forward->wake_ms = std::min(at_ms, forward->step.deadline_ms);
  wheel_.Schedule(handle.Pack(), forward->wake_ms);
}

void ForwardLedger::OnReply(NodeId from, const RequestName& name,
                            proto::ClientTransactionReply reply, std::uint64_t now_ms,
                            Effects* effects) {
  Forward* forward = forwards_.Find(name.handle);
  if (forward == nullptr || forward->owner != from) return;
  const bool commits = forward->step.step.action == Action::kCommit;
  if (commits && --forward->sent > 0 && LeavesOpen(reply.error)) return;
  Completion completion;
  completion.error = std::move(reply.error);
  completion.transaction = std::move(reply.id);
  completion.version = reply.version;
  completion.read_version = reply.read_version;
  completion.result = std::move(reply.result);
  completion.served_by = from;
  Finish(name.handle, std::move(completion), now_ms, effects);
}

void ForwardLedger::OnRefused(const RequestName& name, const Error& error, std::uint64_t now_ms,
                              Effects* effects) {
  if (forwards_.Find(name.handle) == nullptr) return;
  Completion completion;
  completion.error = error;
  Finish(name.handle, std::move(completion), now_ms, effects);
}

void ForwardLedger::OnUnsent(const RequestName& name, std::uint64_t now_ms) {
  Forward* forward = forwards_.Find(name.handle);
  if (forward == nullptr || name.attempt != forward->attempts % kAttemptsMax) return;
  --forward->sent;
  Wake(name.handle, forward,
       now_ms + Doubling(options_.retry_ms_min, options_.retry_ms_max, forward->attempts));
}

void ForwardLedger::Advance(std::uint64_t now_ms, Effects* effects) {
  wheel_.Advance(now_ms, [&](std::uint64_t packed) {
    const SlotHandle handle = SlotHandle::Unpack(packed);
    Forward* forward = forwards_.Find(handle);
    if (forward == nullptr || now_ms < forward->wake_ms) return;
    if (now_ms >= forward->step.deadline_ms) return Expire(handle, *forward, now_ms, effects);
    Send(handle, forward, now_ms, effects);
  });
}

void ForwardLedger::Expire(SlotHandle handle, const Forward& forward, std::uint64_t now_ms,
                           Effects* effects) {
  Completion completion;
  const std::string whose =
      "the router of node " + FormatNodeId(forward.owner) + ", which holds the transaction, ";
  if (forward.sent > 0) {
    completion.error = MakeError(ErrorCode::kDeadlineExceeded, whose + "did not answer in time");
    completion.error.outcome = proto::Outcome::kUnknown;
  } else {
    completion.error =
        MakeError(ErrorCode::kDeadlineExceeded, whose + "could not be reached in time");
  }
  Finish(handle, std::move(completion), now_ms, effects);
}

void ForwardLedger::Complete(const TransactionStep& step, Completion completion,
                             std::uint64_t now_ms, Effects* effects) const {
  completion.ticket = step.ticket;
  completion.is_write = step.step.action == Action::kCommit;
  if (completion.transaction.empty()) completion.transaction = step.step.id;
  completion.leader = nodes_.leader(now_ms).node;
  effects->completions.push_back(std::move(completion));
}

void ForwardLedger::Finish(SlotHandle handle, Completion completion, std::uint64_t now_ms,
                           Effects* effects) {
  const TransactionStep step = std::move(forwards_.Find(handle)->step);
  bytes_ -= step.step.command.size();
  forwards_.Erase(handle);
  Complete(step, std::move(completion), now_ms, effects);
}

}  // namespace bedrock::router
