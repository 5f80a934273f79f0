#include "routerd/http/answers.h"

#include <utility>

#include "routerd/http/json.h"
#include "routerd/http/page_token.h"
#include "routerd/http/results.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;
using Form = proto::Scan::Form;

constexpr std::string_view kOctets = "application/octet-stream";

Answer DocumentAnswer(const Exchange& exchange, const Completion& completion, std::string body) {
  Answer answer;
  answer.reply.content_type = TypeName(exchange.format);
  answer.body = std::move(body);
  SetOrigin(completion, &answer.reply);
  return answer;
}

Answer EmptyAnswer(const Completion& completion, int status) {
  Answer answer;
  answer.reply.status = status;
  SetOrigin(completion, &answer.reply);
  return answer;
}

/// What a get found.
struct Found {
  bool found = false;
  std::string_view value;
  Version version;
};

Found FoundBy(const Exchange& exchange, const Completion& completion) {
  if (exchange.plan.transaction.empty()) {
    return {completion.found, completion.value.view(), completion.version};
  }
  const proto::OperationResult* result = OnlyResult(completion);
  if (result == nullptr) return {};
  return {result->found, result->value, result->version};
}

Answer AnswerRead(const Exchange& exchange, const Completion& completion) {
  const Plan& plan = exchange.plan;
  const Found found = FoundBy(exchange, completion);
  proto::Error error;
  error.key = plan.key;
  if (!found.found) {
    error.code = ErrorCode::kKeyNotFound;
    error.detail = "no such key";
    return ErrorAnswer(exchange, error, &completion);
  }
  if (plan.if_match && !plan.if_match->MatchesStrongly(found.version)) {
    error.code = ErrorCode::kPreconditionFailed;
    error.detail = "If-Match does not name the key's version";
    return ErrorAnswer(exchange, error, &completion);
  }
  Answer answer = EmptyAnswer(completion, 200);
  if (plan.if_none_match && plan.if_none_match->MatchesWeakly(found.version)) {
    answer.reply.status = 304;
  } else {
    answer.reply.content_type = kOctets;
    answer.reply.body = found.value;
  }
  answer.reply.etag = found.version;
  return answer;
}

Answer AnswerWrite(const Exchange& exchange, const Completion& completion) {
  const bool inside = !exchange.plan.transaction.empty();
  Answer answer = EmptyAnswer(completion, exchange.plan.short_form ? 200 : 204);
  if (exchange.plan.kind == Plan::Kind::kPut && !inside) answer.reply.etag = completion.version;
  return answer;
}

Answer AnswerScan(const Exchange& exchange, const Completion& completion) {
  const proto::OperationResult* page = OnlyResult(completion);
  if (page == nullptr) return ErrorAnswer(exchange, UnfitError(), &completion);
  const ScanPlan& range = *exchange.plan.range;
  const Version version = VersionOf(completion);
  if (range.scan.form == Form::kCount) {
    return DocumentAnswer(exchange, completion, CountBody(page->count, version, exchange.format));
  }
  std::string next;
  if (page->more) {
    ScanPlan rest = range;
    Advance(*page, &rest);
    PageToken token;
    token.version = version;
    token.rest = std::move(rest.rest);
    token.reverse = range.scan.reverse;
    token.keys_only = range.scan.form == Form::kKeys;
    token.in_transaction = !exchange.plan.transaction.empty();
    token.bounds_check = range.bounds_check;
    next = EncodePageToken(token);
  }
  return DocumentAnswer(exchange, completion,
                        ScanBody(*page, range.scan.form, version, next, exchange.format));
}

Answer AnswerDeleteRange(const Exchange& exchange, const Completion& completion) {
  const proto::OperationResult* result = OnlyResult(completion);
  if (result == nullptr) return ErrorAnswer(exchange, UnfitError(), &completion);
  return DocumentAnswer(exchange, completion,
                        DeletedBody(VersionOf(completion), result->count, exchange.format));
}

Answer AnswerTxn(const Exchange& exchange, const Completion& completion) {
  const proto::CommandResult& result = completion.result;
  const auto& shapes = result.ran_otherwise ? exchange.otherwise : exchange.then;
  if (!result.results.empty() && result.results.size() != shapes.size()) {
    return ErrorAnswer(exchange, UnfitError(), &completion);
  }
  return DocumentAnswer(exchange, completion,
                        TxnBody(shapes, result, VersionOf(completion), exchange.format));
}

Answer AnswerBegin(const Exchange& exchange, const Completion& completion) {
  Answer answer =
      DocumentAnswer(exchange, completion,
                     BegunBody(completion.transaction, completion.read_version, exchange.format));
  answer.reply.status = 201;
  answer.location = "/v1/transactions/" + completion.transaction;
  return answer;
}

Answer AnswerAdded(const Exchange& exchange, const Completion& completion) {
  Answer answer = DocumentAnswer(exchange, completion, AddedBody(exchange.added, exchange.format));
  answer.reply.status = 201;
  answer.location = "/v1/cluster/members/" + FormatNodeId(exchange.added.node);
  return answer;
}

Answer AnswerRole(const Exchange& exchange, const Completion& completion) {
  const bool voter = exchange.plan.kind == Plan::Kind::kPromoteMember;
  return DocumentAnswer(
      exchange, completion,
      RoleBody(exchange.plan.member, voter ? "voter" : "learner", exchange.format));
}

Answer AnswerFailure(const Exchange& exchange, const Completion& completion) {
  const Plan& plan = exchange.plan;
  proto::Error error = completion.error;
  if (error.code == ErrorCode::kPreconditionFailed) {
    error.key = plan.key;
    if (plan.kind == Plan::Kind::kDelete && !completion.current) {
      error.code = ErrorCode::kKeyNotFound;
      error.detail = "no such key";
    } else {
      error.detail = "If-Match or If-None-Match did not hold";
    }
  }
  if (error.key.empty()) error.key = completion.result.key;
  return ErrorAnswer(exchange, error, &completion);
}

}  // namespace

std::string_view TypeName(Format format) {
  return format == Format::kJson ? "application/json" : "application/msgpack";
}

Version VersionOf(const Completion& completion) {
  return completion.is_write && completion.version ? completion.version : completion.read_version;
}

void SetOrigin(const Completion& completion, Reply* reply) {
  reply->version = VersionOf(completion);
  reply->served_by = completion.served_by;
  reply->leader = completion.leader;
}

void Advance(const proto::OperationResult& page, ScanPlan* range) {
  (range->scan.reverse ? range->rest.end : range->rest.start) = page.next;
}

const proto::OperationResult* OnlyResult(const Completion& completion) {
  const auto& results = completion.result.results;
  return results.size() == 1 ? &results.front() : nullptr;
}

proto::Error UnfitError() {
  proto::Error error;
  error.code = ErrorCode::kCorruption;
  error.detail = "the store's reply does not fit the request";
  error.outcome = proto::Outcome::kUnknown;
  return error;
}

Answer ErrorAnswer(const Exchange& exchange, const proto::Error& error,
                   const Completion* completion) {
  Answer answer;
  Reply& reply = answer.reply;
  answer.body = ProblemBody(error, OfWrite(exchange.write), exchange.format);
  reply.status = proto::HttpStatus(error.code);
  reply.content_type = exchange.format == Format::kJson ? "application/problem+json"
                                                        : TypeName(Format::kMessagePack);
  reply.allow = exchange.plan.allow;
  reply.retry_after = reply.status == 429 || reply.status == 503;
  if (completion == nullptr) return answer;
  SetOrigin(*completion, &reply);
  if (error.code == ErrorCode::kPreconditionFailed) {
    reply.etag = completion->is_write ? completion->current : completion->version;
  }
  return answer;
}

Answer AnswerOf(const Exchange& exchange, const Completion& completion) {
  if (!completion.error.ok()) return AnswerFailure(exchange, completion);
  switch (exchange.plan.kind) {
    case Plan::Kind::kRead:
      return AnswerRead(exchange, completion);
    case Plan::Kind::kScan:
      return AnswerScan(exchange, completion);
    case Plan::Kind::kDeleteRange:
      return AnswerDeleteRange(exchange, completion);
    case Plan::Kind::kTxn:
      return AnswerTxn(exchange, completion);
    case Plan::Kind::kBegin:
      return AnswerBegin(exchange, completion);
    case Plan::Kind::kCommit:
    case Plan::Kind::kCompact:
      return DocumentAnswer(exchange, completion,
                            VersionBody(VersionOf(completion), exchange.format));
    case Plan::Kind::kAddMember:
      return AnswerAdded(exchange, completion);
    case Plan::Kind::kPromoteMember:
    case Plan::Kind::kDemoteMember:
      return AnswerRole(exchange, completion);
    case Plan::Kind::kMoveLeader:
      return DocumentAnswer(exchange, completion,
                            LeaderBody(completion.leader, completion.term, exchange.format));
    case Plan::Kind::kRemoveMember:
    case Plan::Kind::kRollback:
      return EmptyAnswer(completion, 204);
    default:
      return AnswerWrite(exchange, completion);
  }
}

}  // namespace bedrock::router
