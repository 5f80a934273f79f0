#include "routerd/core/requests/read_ledger.h"

#include <algorithm>
#include <string>
#include <utility>

#include "routerd/core/base/backoff.h"
#include "routerd/core/requests/result_errors.h"

namespace bedrock::router {
namespace {

constexpr std::uint64_t kTickMs = 8;
constexpr std::size_t kTicks = 1024;
constexpr std::uint64_t kBatchTimer = std::uint64_t{1} << 63;  // marks a batch's timer id

using proto::Error;
using proto::ErrorCode;

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

/// The most that an answer to these operations may take.
std::uint64_t ReplyBytesOf(const std::vector<proto::Operation>& operations,
                           std::uint64_t value_bytes_max) {
  std::uint64_t bytes = 0;
  for (const proto::Operation& operation : operations) {
    if (operation.kind == proto::Operation::Kind::kGet) bytes += value_bytes_max;
    if (operation.kind != proto::Operation::Kind::kScan) continue;
    if (operation.scan.form == proto::Scan::Form::kCount) continue;
    bytes += operation.scan.bytes_max != 0 ? operation.scan.bytes_max : proto::kScanBytesMax;
  }
  return std::min<std::uint64_t>(bytes, proto::kResultBytesMax);
}

std::uint64_t ReplyBytesOf(const proto::Command& query, std::uint64_t value_bytes_max) {
  const std::uint64_t bytes = ReplyBytesOf(query.operations, value_bytes_max);
  if (!query.otherwise) return bytes;
  return std::max(bytes, ReplyBytesOf(*query.otherwise, value_bytes_max));
}

Error TooStale() {
  return MakeError(ErrorCode::kTooStale,
                   "this node was last known to be in step longer ago than max_staleness");
}

}  // namespace

ReadLedger::ReadLedger(const CoreOptions& options, NodeTable& nodes)
    : options_(options), nodes_(nodes), wheel_(kTickMs, kTicks) {}

Error ReadLedger::Admit(std::uint64_t bytes) const {
  if (reads_.size() >= options_.reads_in_flight_max) {
    Error error = MakeError(ErrorCode::kOverloaded, "too many reads are in flight on this node");
    error.limit = options_.reads_in_flight_max;
    return error;
  }
  if (query_bytes_ == 0 || query_bytes_ + bytes <= options_.query_bytes_in_flight_max) return {};
  Error error =
      MakeError(ErrorCode::kOverloaded, "too many bytes of queries are in flight on this node");
  error.limit = options_.query_bytes_in_flight_max;
  return error;
}

void ReadLedger::Refuse(const Ticket& ticket, AnswersWrite answers_write, Error error,
                        std::uint64_t now_ms, Effects* effects) {
  Completion completion;
  completion.ticket = ticket;
  completion.error = std::move(error);
  completion.is_write = static_cast<bool>(answers_write);
  completion.leader = nodes_.leader(now_ms).node;
  effects->completions.push_back(std::move(completion));
}

void ReadLedger::Begin(ReadRequest request, std::uint64_t now_ms, Effects* effects) {
  if (Error error = Admit(0); !error.ok()) {
    return Refuse(request.ticket, AnswersWrite::kNo, std::move(error), now_ms, effects);
  }
  Read read;
  read.ticket = request.ticket;
  read.asked = std::move(request.key);
  read.wanted = request.min_version;
  read.at = request.at;
  read.deadline_ms = request.deadline_ms;
  read.indexed = request.at || request.consistency == proto::Consistency::kStale;
  Start(std::move(read), request.max_staleness_ms, now_ms, effects);
}

void ReadLedger::Begin(const QueryRequest& request, AnswersWrite answers_write,
                       std::uint64_t now_ms, Effects* effects) {
  Error error = proto::CheckQuery(request.query, options_.value_bytes_max);
  Read read;
  if (error.ok()) {
    read.asked = Bytes(proto::EncodeCommand(request.query));
    error = Admit(read.asked.size());
  }
  if (!error.ok()) {
    return Refuse(request.ticket, answers_write, std::move(error), now_ms, effects);
  }
  read.ticket = request.ticket;
  read.what = What::kQuery;
  read.answers_write = static_cast<bool>(answers_write);
  read.reply_bytes = read.asked.size() + ReplyBytesOf(request.query, options_.value_bytes_max);
  read.wanted = request.min_version;
  read.at = request.at;
  read.deadline_ms = request.deadline_ms;
  read.indexed = request.at || request.consistency == proto::Consistency::kStale;
  Start(std::move(read), request.max_staleness_ms, now_ms, effects);
}

void ReadLedger::BeginIndex(const Ticket& ticket, std::uint64_t deadline_ms, std::uint64_t now_ms,
                            Effects* effects) {
  if (Error error = Admit(0); !error.ok()) {
    return Refuse(ticket, AnswersWrite::kNo, std::move(error), now_ms, effects);
  }
  Read read;
  read.ticket = ticket;
  read.what = What::kIndex;
  read.deadline_ms = deadline_ms;
  Start(std::move(read), 0, now_ms, effects);
}

bool ReadLedger::Bound(Read* read, std::uint64_t max_staleness_ms, std::uint64_t now_ms) {
  keep_fresh_until_ms_ = now_ms + kBoundedRecentMs;
  const auto& in_step = freshness_.in_step();
  // Both times are cut to milliseconds: with >= it could be up to one longer ago than that.
  if (in_step && in_step->at_ms + max_staleness_ms > now_ms) {
    read->index = in_step->index;
    return true;
  }
  const bool in_vain = query_failures_ > 0 && now_ms < query_failed_ms_ + kFreshenMs;
  if (in_vain || !nodes_.leader(now_ms).node) return false;
  read->bounded = true;
  read->indexed = false;
  read->deadline_ms = std::min(read->deadline_ms, now_ms + kFreshenMs);
  return true;
}

void ReadLedger::Start(Read read, std::uint64_t max_staleness_ms, std::uint64_t now_ms,
                       Effects* effects) {
  if (max_staleness_ms > 0 && read.indexed && !read.at && !Bound(&read, max_staleness_ms, now_ms)) {
    return Refuse(read.ticket, AnswersWrite::kNo, TooStale(), now_ms, effects);
  }
  if (read.what == What::kQuery) {
    ++queries_;
    query_bytes_ += read.asked.size();
  }
  const SlotHandle handle = reads_.Insert(std::move(read));
  Read* stored = reads_.Find(handle);
  if (now_ms >= stored->deadline_ms) return Expire(handle, stored, now_ms, effects);
  if (stored->indexed) return AskInTurn(handle, stored, now_ms, effects);
  waiting_.push_back(handle);
  Wake(handle, stored, stored->deadline_ms);
}

void ReadLedger::AskInTurn(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects) {
  const bool fits = reply_bytes_ + read->reply_bytes <= kReplyBytesInFlightMax;
  if (read->what == What::kQuery && (!fits || !held_.empty())) {
    held_.push_back(handle);
    return Wake(handle, read, read->deadline_ms);
  }
  read->holds_bytes = true;
  reply_bytes_ += read->reply_bytes;
  Ask(handle, read, now_ms, effects);
}

void ReadLedger::AskHeld(std::uint64_t now_ms, Effects* effects) {
  while (!held_.empty()) {
    const SlotHandle handle = held_.front();
    Read* read = reads_.Find(handle);
    if (read != nullptr && now_ms < read->deadline_ms) {
      if (reply_bytes_ + read->reply_bytes > kReplyBytesInFlightMax) return;
      read->holds_bytes = true;
      reply_bytes_ += read->reply_bytes;
      Ask(handle, read, now_ms, effects);
    }
    held_.pop_front();
  }
}

void ReadLedger::Wake(SlotHandle handle, Read* read, std::uint64_t at_ms) {
  read->wake_ms = std::min(at_ms, read->deadline_ms);
  wheel_.Schedule(handle.Pack(), read->wake_ms);
}

void ReadLedger::AskForIndex(std::uint64_t now_ms, Effects* effects) {
  const bool freshen = FreshenDue(now_ms);
  if (waiting_.empty() && !freshen) return;
  if (now_ms < hold_until_ms_ || batches_.size() >= kBatchesMax) return;
  std::erase_if(waiting_, [this](SlotHandle read) { return reads_.Find(read) == nullptr; });
  if (waiting_.empty() && !freshen) return;
  index_asked_ms_ = now_ms;
  Batch batch;
  batch.target = nodes_.Choose(Daemon::kRaftd, now_ms, NodeId());
  batch.asked_ms = now_ms;
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
  const Version index(answer.index.value());
  ++(answer.leased ? indexes_leased_ : indexes_confirmed_);
  freshness_.OnIndex(batch->asked_ms, index);
  const std::vector<SlotHandle> reads = std::move(batch->reads);
  batches_.Erase(name.handle);
  for (const SlotHandle handle : reads) {
    Read* read = reads_.Find(handle);
    if (read == nullptr || now_ms >= read->deadline_ms) continue;  // gone, or its timer is due
    read->indexed = true;
    read->index = index;
    if (read->what != What::kIndex) {
      AskInTurn(handle, read, now_ms, effects);
      continue;
    }
    Completion completion;
    completion.read_version = index;
    Finish(handle, std::move(completion), now_ms, effects);
  }
}

void ReadLedger::FailBatch(SlotHandle handle, const Error& error, std::uint64_t now_ms,
                           Effects* effects) {
  Batch* batch = batches_.Find(handle);
  nodes_.OnFailed(batch->target, Daemon::kRaftd, now_ms);
  const std::vector<SlotHandle> reads = std::move(batch->reads);
  batches_.Erase(handle);
  for (const SlotHandle read : reads) {
    Read* waiting = reads_.Find(read);
    if (waiting == nullptr) continue;
    waiting->failure = error;
    if (waiting->bounded) {
      Expire(read, waiting, now_ms, effects);
    } else {
      waiting_.push_back(read);
    }
  }
  // Every node once at once, then less and less often; a new leader ends the wait.
  ++query_failures_;
  query_failed_ms_ = now_ms;
  const auto members = static_cast<std::uint32_t>(nodes_.size());
  if (query_failures_ >= members) {
    hold_until_ms_ =
        now_ms + Doubling(options_.retry_ms_min, options_.retry_ms_max, query_failures_ - members);
  }
}

void ReadLedger::Ask(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects) {
  const Version least = std::max(read->wanted, read->index);
  read->target = nodes_.Choose(Daemon::kStoraged, now_ms, read->target,
                               least || read->at ? NeedsNews::kYes : NeedsNews::kNo);
  ++read->attempts;
  read->pausing = false;
  const std::uint64_t patience =
      std::min(read->deadline_ms - now_ms,
               Doubling(options_.read_attempt_ms, 4 * options_.read_attempt_ms,
                        (read->attempts - 1) / static_cast<std::uint32_t>(nodes_.size())));
  Send send;
  send.node = read->target;
  send.daemon = Daemon::kStoraged;
  send.request = MakeRequestId({RequestKind::kRead, handle, read->attempts});
  send.timeout_ms = static_cast<std::uint32_t>(patience);
  if (read->what == What::kQuery) {
    send.message = proto::Query{read->asked, least, read->at};
  } else {
    send.message = proto::Get{read->asked, least, read->at};
  }
  effects->sends.push_back(std::move(send));
  Wake(handle, read, now_ms + patience);
}

void ReadLedger::AskAnother(SlotHandle handle, Read* read, Error error, std::uint64_t now_ms,
                            Effects* effects) {
  // A node that has not applied a version that the client named is not ill.
  const bool waits_for_client =
      error.code == ErrorCode::kDeadlineExceeded && std::max(read->wanted, read->at) > read->index;
  if (!waits_for_client) nodes_.OnFailed(read->target, Daemon::kStoraged, now_ms);
  read->failure = std::move(error);
  const std::size_t members = nodes_.size();
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

void ReadLedger::Learn(NodeId from, const Read& read, Version read_version) {
  if (from == options_.self && !read.at) freshness_.OnApplied(read_version);
}

void ReadLedger::OnStorageStatus(NodeId node, const proto::StorageStatus& status) {
  if (node == options_.self) freshness_.OnApplied(Version(status.applied.value()));
}

void ReadLedger::OnReply(NodeId from, const RequestName& name, proto::GetReply reply,
                         std::uint64_t now_ms, Effects* effects) {
  Read* read = reads_.Find(name.handle);
  if (read == nullptr || read->what != What::kGet) return;
  if (!reply.error.ok() && MayWorkElsewhere(reply.error.code)) {
    return OnFailed(from, name, reply.error, now_ms, effects);
  }
  if (reply.error.ok()) Learn(from, *read, reply.read_version);
  // An answer of an earlier attempt is as good: it was read at or after the same index.
  Completion completion;
  completion.error = std::move(reply.error);
  completion.found = reply.found;
  completion.value = std::move(reply.value);
  completion.version = reply.version;
  completion.read_version = reply.read_version;
  completion.served_by = from;
  Finish(name.handle, std::move(completion), now_ms, effects);
}

void ReadLedger::OnReply(NodeId from, const RequestName& name, proto::QueryReply reply,
                         std::uint64_t now_ms, Effects* effects) {
  Read* read = reads_.Find(name.handle);
  if (read == nullptr || read->what != What::kQuery) return;
  if (!reply.error.ok() && MayWorkElsewhere(reply.error.code)) {
    return OnFailed(from, name, reply.error, now_ms, effects);
  }
  Completion completion;
  completion.error = std::move(reply.error);
  if (completion.error.ok()) {
    Learn(from, *read, reply.read_version);
    completion.error = ErrorOf(reply.result, read->asked.view());
  }
  completion.version = reply.read_version;
  completion.read_version = reply.read_version;
  completion.current = reply.result.current;
  completion.served_by = from;
  completion.result = std::move(reply.result);
  Finish(name.handle, std::move(completion), now_ms, effects);
}

void ReadLedger::OnFailed(NodeId from, const RequestName& name, const Error& error,
                          std::uint64_t now_ms, Effects* effects) {
  if (name.kind == RequestKind::kReadIndex) {
    const Batch* batch = batches_.Find(name.handle);
    if (batch != nullptr && batch->target == from) {
      FailBatch(name.handle, error, now_ms, effects);
    }
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
  if (!read->indexed || read->attempts == 0) return;  // its turn has not come
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
    FailBatch(handle, MakeError(ErrorCode::kDeadlineExceeded, "no raftd answered in time"), now_ms,
              effects);
  });
  AskHeld(now_ms, effects);
  AskForIndex(now_ms, effects);
}

void ReadLedger::Expire(SlotHandle handle, Read* read, std::uint64_t now_ms, Effects* effects) {
  Completion completion;
  if (read->bounded) {
    completion.error = TooStale();
  } else if (!read->indexed && !nodes_.leader(now_ms).node) {
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
  const Read* read = reads_.Find(handle);
  completion.ticket = read->ticket;
  completion.is_write = read->answers_write;
  completion.leader = nodes_.leader(now_ms).node;
  if (read->what == What::kQuery) {
    --queries_;
    query_bytes_ -= read->asked.size();
    if (read->holds_bytes) reply_bytes_ -= read->reply_bytes;
  }
  reads_.Erase(handle);
  effects->completions.push_back(std::move(completion));
}

}  // namespace bedrock::router
