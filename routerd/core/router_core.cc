#include "routerd/core/router_core.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "common/base/check.h"

namespace bedrock::router {

RouterCore::RouterCore(const CoreOptions& options)
    : options_(options), nodes_(options_), writes_(options_, nodes_), reads_(options_, nodes_) {
  CHECK(options_.session && !options_.members.empty());
  CHECK(options_.commands_in_flight_max <= kSlotsMax && options_.reads_in_flight_max <= kSlotsMax);
}

void RouterCore::Read(ReadRequest request, std::uint64_t now_ms) {
  reads_.Begin(std::move(request), now_ms, &effects_);
}

void RouterCore::Query(QueryRequest request, std::uint64_t now_ms) {
  reads_.Begin(std::move(request), AnswersWrite::kNo, now_ms, &effects_);
}

void RouterCore::Write(WriteRequest request, std::uint64_t now_ms) {
  proto::Command command;
  command.conditions = std::move(request.conditions);
  command.operations = std::move(request.operations);
  command.otherwise = std::move(request.otherwise);
  command.idempotency.key = request.idempotency_key;
  if (!request.idempotency_key.empty() || proto::Writes(command)) {
    return writes_.Begin(request.ticket, std::move(command), request.deadline_ms, now_ms,
                         &effects_);
  }
  // Nothing to write, and nobody who would ask again: no entry of the log.
  QueryRequest query;
  query.ticket = request.ticket;
  query.query = std::move(command);
  query.deadline_ms = request.deadline_ms;
  reads_.Begin(std::move(query), AnswersWrite::kYes, now_ms, &effects_);
}

void RouterCore::Write(const ClientCommand& request, std::uint64_t now_ms) {
  writes_.Begin(request, now_ms, &effects_);
}

void RouterCore::Transact(TransactionStep step, std::uint64_t now_ms) {
  Completion completion;
  completion.ticket = step.ticket;
  completion.transaction = step.step.id;
  completion.error.code = proto::ErrorCode::kTransactionNotFound;
  completion.error.detail = "no such transaction is open";
  completion.leader = nodes_.leader(now_ms).node;
  effects_.completions.push_back(std::move(completion));
}

void RouterCore::CompactHistory(const CompactRequest& request, std::uint64_t now_ms) {
  proto::Command command;
  command.operations.emplace_back();
  command.operations.back().kind = proto::Operation::Kind::kDropHistory;
  command.operations.back().version = request.version;
  writes_.Begin(request.ticket, std::move(command), request.deadline_ms, now_ms, &effects_);
}

CoreGauges RouterCore::Gauges(std::uint64_t now_ms) const {
  CoreGauges gauges;
  gauges.reads_in_flight = reads_.in_flight();
  gauges.queries_in_flight = reads_.queries_in_flight();
  gauges.writes_in_flight = writes_.in_flight();
  gauges.resends = writes_.resends();
  gauges.leader = nodes_.leader(now_ms).node;
  return gauges;
}

void RouterCore::OnPacket(NodeId from, Daemon daemon, proto::Packet packet, std::uint64_t now_ms) {
  nodes_.OnHeard(from, daemon, now_ms);
  const RequestName name = ParseRequestId(packet.request);
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
  } else if (const auto* refusal = std::get_if<proto::Refusal>(&packet.message)) {
    OnRefusal(from, name, refusal->error, now_ms);
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
    case RequestKind::kStatus:
      return;
  }
}

void RouterCore::OnUnsent(NodeId to, Daemon daemon, RequestId request, std::uint64_t now_ms) {
  const RequestName name = ParseRequestId(request);
  if (name.kind == RequestKind::kStatus) return;
  nodes_.OnFailed(to, daemon, now_ms);
  if (name.kind == RequestKind::kWrite) return writes_.OnUnsent(name, now_ms);
  proto::Error error;
  error.code = proto::ErrorCode::kStorageUnavailable;
  error.detail = (daemon == Daemon::kRaftd ? "no connection to raftd of node "
                                           : "no connection to storaged of node ") +
                 FormatNodeId(to);
  reads_.OnFailed(to, name, error, now_ms, &effects_);
}

void RouterCore::AskForStatus() {
  const RequestId id = MakeRequestId({RequestKind::kStatus, {}, 0});
  const auto timeout = static_cast<std::uint32_t>(kStatusIntervalMs);
  for (const MemberSeed& member : options_.members) {
    effects_.sends.push_back({member.id, Daemon::kRaftd, id, timeout, proto::RaftStatusQuery{}});
    effects_.sends.push_back(
        {member.id, Daemon::kStoraged, id, timeout, proto::StorageStatusQuery{}});
  }
}

void RouterCore::Poll(std::uint64_t now_ms, Effects* effects) {
  if (now_ms >= next_status_ms_) {
    next_status_ms_ = now_ms + kStatusIntervalMs;
    AskForStatus();
  }
  writes_.Advance(now_ms, &effects_);
  reads_.Advance(now_ms, &effects_);
  std::move(effects_.sends.begin(), effects_.sends.end(), std::back_inserter(effects->sends));
  std::move(effects_.completions.begin(), effects_.completions.end(),
            std::back_inserter(effects->completions));
  effects_.Clear();
}

}  // namespace bedrock::router
