#include "routerd/core/read_ledger.h"

#include <algorithm>
#include <string>
#include <utility>

#include "routerd/core/backoff.h"

namespace bedrock::router {
namespace {

constexpr std::uint64_t kTickMs = 8;
constexpr std::size_t kTicks = 1024;
constexpr std::uint64_t kBatchTimer = std::uint64_t{1} << 63;  // marks a batch's timer id

using proto::Error;
using proto::ErrorCode;

Error MakeError(ErrorCode code, std::string detail) {
  Error error;
  error.code = code;
  error.detail = std::move(detail);
  return error;
}

/// Whether another node may answer what this one could not.
bool MayWorkElsewhere(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNoLeader:
    case ErrorCode::kNotLeader:
    case ErrorCode::kStorageUnavailable:
    case ErrorCode::kShuttingDown:
    case ErrorCode::kDeadlineExceeded:
    case ErrorCode::kOverloaded:
    case ErrorCode::kCorruption:
    case ErrorCode::kWrongCluster:
    case ErrorCode::kUnsupportedProtocol:
      return true;
    default:
      return false;
  }
}

}  // namespace

ReadLedger::ReadLedger(const CoreOptions& options, NodeTable& nodes)
    : options_(options), nodes_(nodes), wheel_(kTickMs, kTicks) {}

void ReadLedger::Begin(ReadRequest request, std::uint64_t now_ms, Effects* effects) {
  if (reads_.size() >= options_.reads_in_flight_max) {
    Completion completion;
    completion.ticket = request.ticket;
    completion.error =
        MakeError(ErrorCode::kOverloaded, "too many reads are in flight on this node");
    completion.error.limit = options_.reads_in_flight_max;
    completion.leader = nodes_.leader(now_ms).node;
    effects->completions.push_back(std::move(completion));
    return;
  }
  Read read;
  read.ticket = request.ticket;
  read.key = std::move(request.key);
  read.wanted = request.min_version;
  read.deadline_ms = request.deadline_ms;
  read.indexed = request.consistency == proto::Consistency::kStale;
  const SlotHandle handle = reads_.Insert(std::move(read));
  Read* stored = reads_.Find(handle);
  if (now_ms >= stored->deadline_ms) return Expire(handle, stored, now_ms, effects);
  if (stored->indexed) return Ask(handle, stored, now_ms, effects);
  waiting_.push_back(handle);
  Wake(handle, stored, stored->deadline_ms);
}

void ReadLedger::Wake(SlotHandle handle, Read* read, std::uint64_t at_ms) {
  read->wake_ms = std::min(at_ms, read->deadline_ms);
  wheel_.Schedule(handle.Pack(), read->wake_ms);
}

void ReadLedger::Query(std::uint64_t now_ms, Effects* effects) {
  if (waiting_.empty() || now_ms < hold_until_ms_ || batches_.size() >= kBatchesMax) return;
  std::erase_if(waiting_, [this](SlotHandle read) { return reads_.Find(read) == nullptr; });
  if (waiting_.empty()) return;
  Batch batch;
  batch.target = nodes_.Choose(Daemon::kRaftd, now_ms, NodeId());
  batch.reads = std::move(waiting_);
  waiting_.clear();
  const NodeId target = batch.target;
  const SlotHandle handle = batches_.Insert(std::move(batch));
  wheel_.Schedule(handle.Pack() | kBatchTimer, now_ms + options_.index_attempt_ms);
  Send send;
  send.node = target;
  send.daemon = Daemon::kRaftd;
  send.request = MakeRequestId({RequestKind::kReadIndex, handle, 0});
  send.timeout_ms = static_cast<std::uint32_t>(options_.index_attempt_ms);
  send.message = proto::ReadIndexQuery{};
  effects->sends.push_back(std::move(send));
}

void ReadLedger::OnIndex(NodeId from, const RequestName& name, const proto::ReadIndexAnswer& answer,
                         std::uint64_t now_ms, Effects* effects) {
  Batch* batch = batches_.Find(name.handle);
  if (batch == nullptr || batch->target != from) return;
  if (!answer.error.ok()) return OnFailed(from, name, answer.error, now_ms, effects);
  query_failures_ = 0;
  hold_until_ms_ = 0;
  const std::vector<SlotHandle> reads = std::move(batch->reads);
  batches_.Erase(name.handle);
  for (const SlotHandle handle : reads) {
    Read* read = reads_.Find(handle);
    if (read == nullptr || now_ms >= read->deadline_ms) continue;  // gone, or its timer is due
    read->indexed = true;
    read->index = Version(answer.index.value());
    Ask(handle, read, now_ms, effects);
  }
}

void ReadLedger::FailBatch(SlotHandle handle, const Error& error, std::uint64_t now_ms) {
  Batch* batch = batches_.Find(handle);
  nodes_.OnFailed(batch->target, Daemon::kRaftd, now_ms);
  for (const SlotHandle read : batch->reads) {
    if (Read* waiting = reads_.Find(read)) {
      waiting->failure = error;
      waiting_.push_back(read);
    }
  }
  batches_.Erase(handle);
  // Every node once at once, then less and less often; a new leader ends the wait.
  ++query_failures_;
  const auto members = static_cast<std::uint32_t>(options_.members.size());
  if (query_failures_ >= members) {
    hold_until_ms_ =
        now_ms + Doubling(options_.retry_ms_min, options_.retry_ms_max, query_failures_ - members);
  }
}

void ReadLedger::Ask(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects) {
  const Version least = std::max(read->wanted, read->index);
  read->target = nodes_.Choose(Daemon::kStoraged, now_ms, read->target,
                               least ? NeedsNews::kYes : NeedsNews::kNo);
  ++read->attempts;
  read->pausing = false;
  const std::uint64_t patience = std::min(
      read->deadline_ms - now_ms,
      Doubling(options_.read_attempt_ms, 4 * options_.read_attempt_ms,
               (read->attempts - 1) / static_cast<std::uint32_t>(options_.members.size())));
  Send send;
  send.node = read->target;
  send.daemon = Daemon::kStoraged;
  send.request = MakeRequestId({RequestKind::kRead, handle, read->attempts});
  send.timeout_ms = static_cast<std::uint32_t>(patience);
  send.message = proto::Get{read->key, least};
  effects->sends.push_back(std::move(send));
  Wake(handle, read, now_ms + patience);
}

void ReadLedger::AskAnother(SlotHandle handle, Read* read, Error error, std::uint64_t now_ms,
                            Effects* effects) {
  // A node that has not applied a version that the client named is not ill.
  const bool waits_for_client =
      error.code == ErrorCode::kDeadlineExceeded && read->wanted > read->index;
  if (!waits_for_client) nodes_.OnFailed(read->target, Daemon::kStoraged, now_ms);
  read->failure = std::move(error);
  const std::size_t members = options_.members.size();
  if (read->attempts < members || read->failure.code == ErrorCode::kDeadlineExceeded) {
    return Ask(handle, read, now_ms, effects);
  }
  if (read->failure.code == ErrorCode::kCorruption) {  // here and everywhere else
    Completion completion;
    completion.error = read->failure;
    completion.served_by = read->target;
    return Finish(handle, std::move(completion), now_ms, effects);
  }
  ++read->attempts;  // so that a failure that still comes for the last one is late
  read->pausing = true;
  Wake(handle, read,
       now_ms + Doubling(options_.retry_ms_min, options_.retry_ms_max,
                         read->attempts - static_cast<std::uint32_t>(members)));
}

void ReadLedger::OnReply(NodeId from, const RequestName& name, const proto::GetReply& reply,
                         std::uint64_t now_ms, Effects* effects) {
  Read* read = reads_.Find(name.handle);
  if (read == nullptr) return;
  if (!reply.error.ok() && MayWorkElsewhere(reply.error.code)) {
    return OnFailed(from, name, reply.error, now_ms, effects);
  }
  // An answer of an earlier attempt is as good: it was read at or after the same index.
  Completion completion;
  completion.error = reply.error;
  completion.found = reply.found;
  completion.value = reply.value;
  completion.version = reply.version;
  completion.read_version = reply.read_version;
  completion.served_by = from;
  Finish(name.handle, std::move(completion), now_ms, effects);
}

void ReadLedger::OnFailed(NodeId from, const RequestName& name, const Error& error,
                          std::uint64_t now_ms, Effects* effects) {
  if (name.kind == RequestKind::kReadIndex) {
    const Batch* batch = batches_.Find(name.handle);
    if (batch != nullptr && batch->target == from) FailBatch(name.handle, error, now_ms);
    return;
  }
  Read* read = reads_.Find(name.handle);
  if (read == nullptr || name.attempt != read->attempts % kAttemptsMax) return;
  if (now_ms >= read->deadline_ms) return Expire(name.handle, read, now_ms, effects);
  AskAnother(name.handle, read, error, now_ms, effects);
}

void ReadLedger::OnReadTimer(SlotHandle handle, std::uint64_t now_ms, Effects* effects) {
  Read* read = reads_.Find(handle);
  if (read == nullptr || now_ms < read->wake_ms) return;
  if (now_ms >= read->deadline_ms) return Expire(handle, read, now_ms, effects);
  if (!read->indexed) return;
  if (read->pausing) return Ask(handle, read, now_ms, effects);
  AskAnother(handle, read, MakeError(ErrorCode::kDeadlineExceeded, "no storaged answered in time"),
             now_ms, effects);
}

void ReadLedger::Advance(std::uint64_t now_ms, Effects* effects) {
  if (const auto leader = nodes_.leader(now_ms); leader != known_leader_) {
    known_leader_ = leader;
    if (leader.node) hold_until_ms_ = 0;
  }
  wheel_.Advance(now_ms, [&](std::uint64_t id) {
    const SlotHandle handle = SlotHandle::Unpack(id & ~kBatchTimer);
    if ((id & kBatchTimer) == 0) return OnReadTimer(handle, now_ms, effects);
    if (batches_.Find(handle) == nullptr) return;
    FailBatch(handle, MakeError(ErrorCode::kDeadlineExceeded, "no raftd answered in time"), now_ms);
  });
  Query(now_ms, effects);
}

void ReadLedger::Expire(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects) {
  Completion completion;
  if (!read->indexed && !nodes_.leader(now_ms).node) {
    completion.error = MakeError(ErrorCode::kNoLeader, "no leader was found in time");
  } else if (read->indexed && !read->failure.ok()) {
    completion.error = read->failure;
  } else {
    completion.error = MakeError(ErrorCode::kDeadlineExceeded, "no answer came in time");
  }
  Finish(handle, std::move(completion), now_ms, effects);
}

void ReadLedger::Finish(SlotHandle handle, Completion completion, std::uint64_t now_ms,
                        Effects* effects) {
  completion.ticket = reads_.Find(handle)->ticket;
  completion.leader = nodes_.leader(now_ms).node;
  reads_.Erase(handle);
  effects->completions.push_back(std::move(completion));
}

}  // namespace bedrock::router
