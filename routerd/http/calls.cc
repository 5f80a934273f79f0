#include "routerd/http/calls.h"

#include <string>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "routerd/http/member_request.h"
#include "routerd/http/txn_request.h"

namespace bedrock::router {
namespace {

using Kind = proto::Operation::Kind;

/// A key of the user's own that no client is likely to have.
constexpr std::string_view kProbeKey("\0", 1);

std::uint64_t DeadlineOf(const Exchange& exchange, const CallContext& context) {
  return context.now_ms + exchange.plan.timeout_ms;
}

proto::Operation OperationOf(const Plan& plan, std::string_view body) {
  proto::Operation operation;
  operation.key = plan.key;
  switch (plan.kind) {
    case Plan::Kind::kPut:
      operation.kind = Kind::kPut;
      operation.value = body;
      return operation;
    case Plan::Kind::kDelete:
      operation.kind = Kind::kDelete;
      return operation;
    case Plan::Kind::kDeleteRange:
    case Plan::Kind::kScan:
      operation.key = plan.range->rest.start;
      operation.value = plan.range->rest.end;
      operation.kind = plan.kind == Plan::Kind::kScan ? Kind::kScan : Kind::kDeleteRange;
      operation.scan = plan.range->scan;
      return operation;
    default:
      operation.kind = Kind::kGet;
      return operation;
  }
}

void Step(const Exchange& exchange, proto::ClientTransaction step, const CallContext& context) {
  TransactionStep request;
  request.ticket = context.ticket;
  request.step = std::move(step);
  request.deadline_ms = DeadlineOf(exchange, context);
  context.gateway->Transact(std::move(request));
}

void ExecuteInside(const Exchange& exchange, const proto::Operation& operation,
                   const CallContext& context) {
  proto::Command command;
  command.operations.push_back(operation);
  proto::ClientTransaction step;
  step.action = proto::ClientTransaction::Action::kExecute;
  step.id = exchange.plan.transaction;
  step.command = Bytes(proto::EncodeCommand(command));
  step.for_update = exchange.plan.for_update;
  Step(exchange, std::move(step), context);
}

void Read(const Exchange& exchange, const CallContext& context) {
  const Plan& plan = exchange.plan;
  ReadRequest read;
  read.ticket = context.ticket;
  read.key = Bytes::Copy(plan.key);
  read.consistency = plan.consistency;
  read.min_version = plan.min_version;
  read.at = plan.at;
  read.max_staleness_ms = plan.max_staleness_ms;
  read.deadline_ms = DeadlineOf(exchange, context);
  context.gateway->Read(std::move(read));
}

void Write(const Exchange& exchange, std::string_view body, const CallContext& context) {
  WriteRequest write;
  write.ticket = context.ticket;
  write.operations.push_back(OperationOf(exchange.plan, body));
  write.conditions = exchange.plan.Conditions();
  write.idempotency_key = exchange.plan.idempotency_key;
  write.deadline_ms = DeadlineOf(exchange, context);
  context.gateway->Write(std::move(write));
}

std::vector<ResultShape> ShapesOf(const std::vector<proto::Operation>& operations,
                                  const std::vector<bool>& limited) {
  std::vector<ResultShape> shapes;
  shapes.reserve(operations.size());
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const proto::Operation& operation = operations[i];
    ResultShape& shape = shapes.emplace_back();
    shape.kind = operation.kind;
    shape.form = operation.scan.form;
    if (limited[i]) shape.limit = operation.scan.items_max;
    if (operation.kind == Kind::kGet) shape.key = operation.key;
  }
  return shapes;
}

proto::Error Txn(Exchange& exchange, std::string_view body, const CallContext& context) {
  TxnRequest request;
  proto::Error bad = ParseTxn(body, exchange.body_format, context.value_bytes_max, &request);
  if (!bad.ok()) return bad;
  exchange.then = ShapesOf(request.then, request.then_limited);
  exchange.otherwise = ShapesOf(request.otherwise, request.otherwise_limited);
  WriteRequest write;
  write.ticket = context.ticket;
  write.conditions = std::move(request.conditions);
  write.operations = std::move(request.then);
  write.otherwise = std::move(request.otherwise);
  write.idempotency_key = exchange.plan.idempotency_key;
  write.deadline_ms = DeadlineOf(exchange, context);
  context.gateway->Write(std::move(write));
  return {};
}

proto::Error Begin(const Exchange& exchange, std::string_view body, const CallContext& context) {
  proto::ClientTransaction step;
  step.action = proto::ClientTransaction::Action::kBegin;
  proto::Error bad = ParseTransactionOptions(body, exchange.body_format, &step.options);
  if (bad.ok()) Step(exchange, std::move(step), context);
  return bad;
}

proto::Error End(const Exchange& exchange, std::string_view body, const CallContext& context) {
  using Action = proto::ClientTransaction::Action;
  proto::Error bad = ParseNothing(body, exchange.body_format);
  if (!bad.ok()) return bad;
  proto::ClientTransaction step;
  step.action = exchange.plan.kind == Plan::Kind::kCommit ? Action::kCommit : Action::kRollback;
  step.id = exchange.plan.transaction;
  Step(exchange, std::move(step), context);
  return {};
}

proto::Error Compact(const Exchange& exchange, std::string_view body, const CallContext& context) {
  CompactRequest request;
  proto::Error bad = ParseCompact(body, exchange.body_format, &request.version);
  if (!bad.ok()) return bad;
  request.ticket = context.ticket;
  request.deadline_ms = DeadlineOf(exchange, context);
  context.gateway->CompactHistory(request);
  return {};
}

proto::Error ChangeMembers(Exchange& exchange, std::string_view body, const CallContext& context) {
  using Change = proto::ChangeMembers;
  Change change;
  proto::Error bad;
  switch (exchange.plan.kind) {
    case Plan::Kind::kAddMember:
      bad = ParseNewMember(body, exchange.body_format, &change);
      exchange.added = change;
      break;
    case Plan::Kind::kPromoteMember:
    case Plan::Kind::kDemoteMember:
      bad = ParseNothing(body, exchange.body_format);
      change.kind = exchange.plan.kind == Plan::Kind::kPromoteMember ? Change::Kind::kPromote
                                                                     : Change::Kind::kDemote;
      change.node = exchange.plan.member;
      break;
    default:
      change.kind = Change::Kind::kRemove;
      change.node = exchange.plan.member;
      break;
  }
  if (!bad.ok()) return bad;
  MembershipRequest request;
  request.ticket = context.ticket;
  request.wish = std::move(change);
  request.deadline_ms = DeadlineOf(exchange, context);
  context.gateway->ChangeMembership(std::move(request));
  return {};
}

proto::Error MoveLeader(const Exchange& exchange, std::string_view body,
                        const CallContext& context) {
  proto::TransferLeadership transfer;
  proto::Error bad = ParseLeaderMove(body, exchange.body_format, &transfer.to);
  if (!bad.ok()) return bad;
  MembershipRequest request;
  request.ticket = context.ticket;
  request.wish = transfer;
  request.deadline_ms = DeadlineOf(exchange, context);
  context.gateway->ChangeMembership(std::move(request));
  return {};
}

}  // namespace

proto::Error CallCore(Exchange& exchange, std::string_view body, const CallContext& context) {
  const Plan& plan = exchange.plan;
  switch (plan.kind) {
    case Plan::Kind::kTxn:
      return Txn(exchange, body, context);
    case Plan::Kind::kBegin:
      return Begin(exchange, body, context);
    case Plan::Kind::kCommit:
    case Plan::Kind::kRollback:
      return End(exchange, body, context);
    case Plan::Kind::kCompact:
      return Compact(exchange, body, context);
    case Plan::Kind::kAddMember:
    case Plan::Kind::kPromoteMember:
    case Plan::Kind::kDemoteMember:
    case Plan::Kind::kRemoveMember:
      return ChangeMembers(exchange, body, context);
    case Plan::Kind::kMoveLeader:
      return MoveLeader(exchange, body, context);
    default:
      break;
  }
  if (plan.kind == Plan::Kind::kScan) {
    CallForPage(exchange, context);
  } else if (!plan.transaction.empty()) {
    ExecuteInside(exchange, OperationOf(plan, body), context);
  } else if (plan.kind == Plan::Kind::kRead) {
    Read(exchange, context);
  } else {
    Write(exchange, body, context);
  }
  return {};
}

void CallForPage(const Exchange& exchange, const CallContext& context) {
  const Plan& plan = exchange.plan;
  const proto::Operation operation = OperationOf(plan, {});
  if (!plan.transaction.empty()) return ExecuteInside(exchange, operation, context);
  QueryRequest query;
  query.ticket = context.ticket;
  query.query.operations.push_back(operation);
  query.consistency = plan.consistency;
  query.min_version = plan.min_version;
  query.at = exchange.stream.begun ? exchange.stream.version : plan.at;
  query.max_staleness_ms = exchange.stream.begun ? 0 : plan.max_staleness_ms;
  query.deadline_ms = DeadlineOf(exchange, context);
  context.gateway->Query(std::move(query));
}

void CallForProbe(const CallContext& context, std::uint64_t timeout_ms) {
  ReadRequest read;
  read.ticket = context.ticket;
  read.key = Bytes::Copy(kProbeKey);
  read.deadline_ms = context.now_ms + timeout_ms;
  context.gateway->Read(std::move(read));
}

}  // namespace bedrock::router
