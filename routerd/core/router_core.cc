#include "routerd/core/router_core.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "routerd/core/interactive/transaction_id.h"

namespace bedrock::router {
namespace {

/// The id of the core's own tickets that are not a transaction's (a packed handle is never 0).
constexpr std::uint64_t kHistoryTicket = 0;
constexpr std::uint64_t kHistoryTimeoutMs = 10'000;

proto::Error NotFound(const char* detail) {
  proto::Error error;
  error.code = proto::ErrorCode::kTransactionNotFound;
  error.detail = detail;
  return error;
}

}  // namespace

RouterCore::RouterCore(const CoreOptions& options)
    : options_(options),
      nodes_(options_),
      writes_(options_, nodes_),
      reads_(options_, nodes_),
      transactions_(options_, nodes_, reads_, writes_),
      forwards_(options_, nodes_),
      membership_(options_, nodes_),
      links_(options_.self),
      history_(options_.history_ms) {
  CHECK(options_.session && !options_.members.empty());
  CHECK(options_.commands_in_flight_max <= kSlotsMax && options_.reads_in_flight_max <= kSlotsMax);
}

void RouterCore::Read(ReadRequest request, std::uint64_t now_ms) {
  reads_.Begin(std::move(request), now_ms, &effects_);
}

void RouterCore::Query(const QueryRequest& request, std::uint64_t now_ms) {
  reads_.Begin(request, AnswersWrite::kNo, now_ms, &effects_);
}

void RouterCore::Write(WriteRequest request, std::uint64_t now_ms) {
  proto::Command command;
  command.conditions = std::move(request.conditions);
  command.operations = std::move(request.operations);
  command.otherwise = std::move(request.otherwise);
  command.idempotency.key = request.idempotency_key;
  if (!request.idempotency_key.empty() || proto::Writes(command)) {
    writes_.Begin(request.ticket, std::move(command), request.deadline_ms, now_ms, &effects_);
    return;
  }
  // Nothing to write, and nobody who would ask again: no entry of the log.
  QueryRequest query;
  query.ticket = request.ticket;
  query.query = std::move(command);
  query.deadline_ms = request.deadline_ms;
  reads_.Begin(query, AnswersWrite::kYes, now_ms, &effects_);
}

void RouterCore::Write(const ClientCommand& request, std::uint64_t now_ms) {
  writes_.Begin(request, now_ms, &effects_);
}

void RouterCore::Transact(TransactionStep step, std::uint64_t now_ms) {
  const bool begins = step.step.action == proto::ClientTransaction::Action::kBegin;
  if (begins) return transactions_.Begin(std::move(step), now_ms, &effects_);
  const auto id = ParseTransactionId(step.step.id);
  if (id && id->node == options_.self && id->boot == options_.boot) {
    return transactions_.Step(id->number, std::move(step), now_ms, &effects_);
  }
  const bool is_member = id && nodes_.Contains(id->node);
  if (is_member && id->node != options_.self && !step.passed_on) {
    return forwards_.Begin(std::move(step), id->node, now_ms, &effects_);
  }
  Completion completion;
  completion.ticket = step.ticket;
  completion.is_write = step.step.action == proto::ClientTransaction::Action::kCommit;
  completion.error = id && id->node == options_.self
                         ? NotFound("the router that held the transaction has begun anew since")
                         : NotFound("no transaction has this id");
  // One of an earlier life may have committed.
  if (id && completion.is_write) completion.error.outcome = proto::Outcome::kUnknown;
  completion.transaction = std::move(step.step.id);
  completion.leader = nodes_.leader(now_ms).node;
  effects_.completions.push_back(std::move(completion));
}

void RouterCore::DropHistory(const Ticket& ticket, Version version, std::uint64_t deadline_ms,
                             std::uint64_t now_ms) {
  proto::Command command;
  command.operations.emplace_back();
  command.operations.back().kind = proto::Operation::Kind::kDropHistory;
  command.operations.back().version = version;
  writes_.Begin(ticket, std::move(command), deadline_ms, now_ms, &effects_);
}

void RouterCore::CompactHistory(const CompactRequest& request, std::uint64_t now_ms) {
  DropHistory(request.ticket, request.version, request.deadline_ms, now_ms);
}

void RouterCore::ChangeMembership(MembershipRequest request, std::uint64_t now_ms) {
  membership_.Begin(std::move(request), now_ms, &effects_);
}

void RouterCore::ProposeHistory(std::uint64_t now_ms) {
  if (!history_.IsTime(now_ms) || nodes_.leader(now_ms).node != options_.self) return;
  if (const auto version = history_.Due(transactions_.OldestReadVersion(), now_ms)) {
    DropHistory({Ticket::Front::kCore, kHistoryTicket}, *version, now_ms + kHistoryTimeoutMs,
                now_ms);
  }
}

void RouterCore::Shutdown(std::uint64_t now_ms) { transactions_.Shutdown(now_ms, &effects_); }

CoreGauges RouterCore::Gauges(std::uint64_t now_ms) const {
  CoreGauges gauges;
  gauges.reads_in_flight = reads_.in_flight();
  gauges.queries_in_flight = reads_.queries_in_flight();
  gauges.writes_in_flight = writes_.in_flight();
  gauges.transactions_open = transactions_.open();
  gauges.locks_waited_for = transactions_.locks_waited_for();
  gauges.resends = writes_.resends();
  gauges.indexes_leased = reads_.indexes_leased();
  gauges.indexes_confirmed = reads_.indexes_confirmed();
  gauges.leader = nodes_.leader(now_ms).node;
  if (const proto::StorageStatus* storage = nodes_.OwnStorage()) {
    gauges.checked = storage->checked;
    gauges.check_passes = storage->check_passes;
    gauges.diverged_at = storage->diverged_at;
  }
  return gauges;
}

void RouterCore::OnPacket(NodeId from, Daemon daemon, proto::Packet packet, std::uint64_t now_ms) {
  const RequestName name = ParseRequestId(packet.request);
  if (daemon == Daemon::kRouterd) return OnRouterPacket(from, name, std::move(packet), now_ms);
  nodes_.OnHeard(from, daemon, now_ms);
  const auto is = [&name](RequestKind kind) { return name.kind == kind; };
  if (auto* reply = std::get_if<proto::CommandReply>(&packet.message)) {
    if (is(RequestKind::kWrite)) writes_.OnReply(from, name, std::move(*reply), now_ms, &effects_);
  } else if (auto* got = std::get_if<proto::GetReply>(&packet.message)) {
    if (is(RequestKind::kRead)) reads_.OnReply(from, name, std::move(*got), now_ms, &effects_);
  } else if (auto* evaluated = std::get_if<proto::QueryReply>(&packet.message)) {
    if (is(RequestKind::kRead)) {
      reads_.OnReply(from, name, std::move(*evaluated), now_ms, &effects_);
    }
  } else if (const auto* index = std::get_if<proto::ReadIndexAnswer>(&packet.message)) {
    if (is(RequestKind::kReadIndex)) reads_.OnIndex(from, name, *index, now_ms, &effects_);
  } else if (const auto* refused = std::get_if<proto::ProposeRefused>(&packet.message)) {
    nodes_.OnRefused(from, *refused, now_ms);
    if (is(RequestKind::kWrite)) {
      writes_.OnRefused(from, name, refused->error, now_ms, &effects_);
    }
  } else if (const auto* status = std::get_if<proto::RaftStatus>(&packet.message)) {
    if (status->node == from) nodes_.OnRaftStatus(*status, now_ms);
  } else if (const auto* storage = std::get_if<proto::StorageStatus>(&packet.message)) {
    nodes_.OnStorageStatus(from, *storage, now_ms);
    reads_.OnStorageStatus(from, *storage);
    if (from == options_.self) {
      history_.OnApplied(Version(storage->applied.value()), storage->history_from, now_ms);
    }
  } else if (auto* locked = std::get_if<proto::LockReply>(&packet.message)) {
    if (is(RequestKind::kLock)) {
      transactions_.OnLockReply(from, name, std::move(*locked), now_ms, &effects_);
    }
  } else if (const auto* changed = std::get_if<proto::ChangeMembersReply>(&packet.message)) {
    if (is(RequestKind::kMembership)) {
      membership_.OnReply(from, name, *changed, now_ms, &effects_);
    }
  } else if (const auto* moved = std::get_if<proto::TransferLeadershipReply>(&packet.message)) {
    if (is(RequestKind::kMembership)) membership_.OnReply(from, name, *moved, now_ms, &effects_);
  } else if (const auto* refusal = std::get_if<proto::Refusal>(&packet.message)) {
    OnRefusal(from, name, refusal->error, now_ms);
  }
}

void RouterCore::OnRouterPacket(NodeId from, const RequestName& name, proto::Packet packet,
                                std::uint64_t now_ms) {
  if (name.kind != RequestKind::kForward) return;
  if (auto* reply = std::get_if<proto::ClientTransactionReply>(&packet.message)) {
    forwards_.OnReply(from, name, std::move(*reply), now_ms, &effects_);
  } else if (const auto* refusal = std::get_if<proto::Refusal>(&packet.message)) {
    forwards_.OnRefused(name, refusal->error, now_ms, &effects_);
  }
}

void RouterCore::OnRefusal(NodeId from, const RequestName& name, const proto::Error& error,
                           std::uint64_t now_ms) {
  switch (name.kind) {
    case RequestKind::kWrite:
      return writes_.OnRefused(from, name, error, now_ms, &effects_);
    case RequestKind::kRead:
    case RequestKind::kReadIndex:
      return reads_.OnFailed(from, name, error, now_ms, &effects_);
    case RequestKind::kLock:
      return transactions_.OnLockFailed(name, error, now_ms);
    case RequestKind::kMembership:
      return membership_.OnRefused(from, name, error, now_ms, &effects_);
    case RequestKind::kForward:
    case RequestKind::kStatus:
      return;
  }
}

void RouterCore::OnUnsent(NodeId to, Daemon daemon, RequestId request, std::uint64_t now_ms) {
  const RequestName name = ParseRequestId(request);
  // What expects no answer (Unlock) has the id 0.
  if (name.kind == RequestKind::kStatus || request == RequestId()) return;
  if (name.kind == RequestKind::kForward) return forwards_.OnUnsent(name, now_ms);
  nodes_.OnFailed(to, daemon, now_ms);
  if (name.kind == RequestKind::kWrite) return writes_.OnUnsent(name, now_ms);
  if (name.kind == RequestKind::kMembership) return membership_.OnUnsent(name, now_ms);
  proto::Error error;
  error.code = proto::ErrorCode::kStorageUnavailable;
  error.detail = (daemon == Daemon::kRaftd ? "no connection to raftd of node "
                                           : "no connection to storaged of node ") +
                 FormatNodeId(to);
  if (name.kind == RequestKind::kLock) return transactions_.OnLockFailed(name, error, now_ms);
  reads_.OnFailed(to, name, error, now_ms, &effects_);
}

void RouterCore::FollowMembers(std::uint64_t now_ms) {
  if (linked_generation_ != nodes_.generation()) {
    linked_generation_ = nodes_.generation();
    links_.Follow(nodes_.Members(), now_ms, &effects_);
  }
  links_.Advance(now_ms, &effects_);
}

void RouterCore::AskForStatus() {
  const RequestId id = MakeRequestId({RequestKind::kStatus, {}, 0});
  const auto timeout = static_cast<std::uint32_t>(kStatusIntervalMs);
  for (const MemberSeed& member : nodes_.Members()) {
    effects_.sends.push_back({member.id, Daemon::kRaftd, id, timeout, proto::RaftStatusQuery{}});
    effects_.sends.push_back(
        {member.id, Daemon::kStoraged, id, timeout, proto::StorageStatusQuery{}});
  }
}

void RouterCore::Poll(std::uint64_t now_ms, Effects* effects) {
  FollowMembers(now_ms);
  if (now_ms >= next_status_ms_) {
    next_status_ms_ = now_ms + kStatusIntervalMs;
    AskForStatus();
  }
  ProposeHistory(now_ms);
  writes_.Advance(now_ms, &effects_);
  TakeOwnCompletions(now_ms);  // a commit that is decided is not out of time
  transactions_.Advance(now_ms, &effects_);
  forwards_.Advance(now_ms, &effects_);
  membership_.Advance(now_ms, &effects_);
  reads_.Advance(now_ms, &effects_);
  TakeOwnCompletions(now_ms);
  std::move(effects_.links.begin(), effects_.links.end(), std::back_inserter(effects->links));
  std::move(effects_.sends.begin(), effects_.sends.end(), std::back_inserter(effects->sends));
  std::move(effects_.completions.begin(), effects_.completions.end(),
            std::back_inserter(effects->completions));
  effects_.Clear();
}

void RouterCore::TakeOwnCompletions(std::uint64_t now_ms) {
  const auto is_own = [](const Completion& completion) {
    return completion.ticket.front == Ticket::Front::kCore;
  };
  // What a completion sets off (the next step of its transaction) may complete at once, too.
  for (std::size_t i = 0; i < effects_.completions.size(); ++i) {
    if (!is_own(effects_.completions[i])) continue;
    Completion own = std::move(effects_.completions[i]);
    if (own.ticket.id != kHistoryTicket) {
      transactions_.OnCompletion(std::move(own), now_ms, &effects_);
    } else {
      history_.OnProposed(own.error.ok() ? std::optional<Version>(own.version) : std::nullopt);
    }
  }
  std::erase_if(effects_.completions, is_own);
}

}  // namespace bedrock::router
