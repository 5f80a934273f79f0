#include "routerd/http/session.h"

#include <algorithm>
#include <utility>

#include "routerd/http/text.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;

constexpr std::size_t kRequestIdBytesMax = 128;
constexpr std::uint64_t kReadyTimeoutMs = 2'000;
constexpr std::string_view kOctets = "application/octet-stream";
constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kFrontPage =
    "Bedrock: a distributed, transactional key-value store.\n"
    "\n"
    "  PUT, GET, HEAD, DELETE /v1/kv/{key}\n"
    "  PUT /put?key=K   GET /get?key=K   DELETE /delete?key=K\n"
    "  GET /v1/cluster   /livez   /readyz   /metrics\n";

std::string_view Trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Takes what stands before the next `separator` off the front.
std::string_view TakePart(std::string_view* text, char separator) {
  const std::size_t end = std::min(text->find(separator), text->size());
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return Trim(part);
}

/// A weight (RFC 9110 12.4.2) in thousandths; one that is no weight counts as 1.
int ParseWeight(std::string_view text) {
  if (text.empty() || text.front() != '0') return 1000;
  int weight = 0;
  for (std::size_t i = 2; i < 5; ++i) {
    const bool digit = i < text.size() && text[i] >= '0' && text[i] <= '9';
    weight = weight * 10 + (digit ? text[i] - '0' : 0);
  }
  return weight;
}

/// What a list of media ranges gives to `type`, in thousandths; 0 where it does not name it.
int WeightOf(std::string_view accept, std::string_view type) {
  while (!accept.empty()) {
    std::string_view range = TakePart(&accept, ',');
    if (!EqualsIgnoringCase(TakePart(&range, ';'), type)) continue;
    while (!range.empty()) {
      const std::string_view parameter = TakePart(&range, ';');
      if (EqualsIgnoringCase(parameter.substr(0, 2), "q=")) return ParseWeight(parameter.substr(2));
    }
    return 1000;
  }
  return 0;
}

/// Whether a client that names application/msgpack likes it as well as JSON.
bool AcceptsMessagePack(std::string_view accept) {
  const int weight = WeightOf(accept, "application/msgpack");
  return weight > 0 && weight >= WeightOf(accept, "application/json");
}

bool IsVisibleAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

}  // namespace

HttpSession::HttpSession(SessionContext& context, std::uint32_t number)
    : context_(context), number_(number) {}

Ticket HttpSession::TicketOf(const Exchange& exchange) const {
  return {Ticket::Front::kHttp, static_cast<std::uint64_t>(number_) << 32 | exchange.number};
}

HttpSession::Waiting HttpSession::waiting() const {
  if (!exchanges_.empty() || held_) return Waiting::kCore;
  if (reading_) return Waiting::kBody;
  return parser_.started() || !input_.empty() ? Waiting::kHead : Waiting::kRequest;
}

bool HttpSession::Paused() const {
  return held_ || exchanges_.size() >= kPipelineMax || out_.size() >= kOutputPauseBytes;
}

void HttpSession::Receive(std::string_view bytes) { Pump(bytes); }

void HttpSession::Pump(std::string_view bytes) {
  if (closing_) return;
  if (!input_.empty()) input_.append(bytes);
  std::string_view rest = input_.empty() ? bytes : std::string_view(input_);
  const std::size_t given = rest.size();
  while (!closing_ && Take(&rest)) {
  }
  if (closing_) {
    input_.clear();
  } else if (input_.empty()) {
    input_.assign(rest);
  } else {
    input_.erase(0, given - rest.size());
  }
}

bool HttpSession::Take(std::string_view* rest) {
  if (held_) {
    if (!MayStart(*held_)) return false;
    Exchange exchange = std::move(*held_);
    held_.reset();
    Start(std::move(exchange));
    parser_.Reset();
    return true;
  }
  if (Paused() || rest->empty()) return false;
  const RequestParser::Step step = parser_.Feed(*rest);
  rest->remove_prefix(step.consumed);
  switch (step.progress) {
    case RequestParser::Progress::kNeedMore:
      return false;
    case RequestParser::Progress::kHead:
      OnHead();
      // What has no body is complete without another byte.
      if (!reading_ || parser_.head().has_body()) return true;
      [[fallthrough]];
    case RequestParser::Progress::kDone:
      held_ = std::move(reading_);
      reading_.reset();
      return true;
    case RequestParser::Progress::kError:
      OnError();
      return false;
  }
  return false;
}

void HttpSession::BeginExchange() {
  const RequestHead& head = parser_.head();
  Exchange exchange;
  exchange.number = next_exchange_++;
  exchange.head_only = head.method == Method::kHead;
  exchange.write = head.method == Method::kPut || head.method == Method::kDelete;
  exchange.minor_version = head.minor_version;
  exchange.format = AcceptsMessagePack(head.accept) ? Format::kMessagePack : Format::kJson;
  exchange.begun_us = context_.clock->MonotonicUs();
  if (!head.request_id.empty() && head.request_id.size() <= kRequestIdBytesMax &&
      IsVisibleAscii(head.request_id)) {
    exchange.request_id = head.request_id;
  } else {
    exchange.request_id = context_.request_id_prefix + std::to_string(context_.next_request++);
  }
  reading_ = std::move(exchange);
}

void HttpSession::OnHead() {
  const RequestHead& head = parser_.head();
  BeginExchange();
  Exchange& exchange = *reading_;
  exchange.keep_alive = head.keep_alive && !context_.shutting_down;
  exchange.plan = PlanRequest(head, context_.value_bytes_max);
  Plan& plan = exchange.plan;
  const std::uint64_t length = head.content_length.value_or(0);
  const bool refused = plan.kind == Plan::Kind::kRefuse;
  if (!refused && length > plan.body_limit && plan.kind == Plan::Kind::kPut) {
    plan.error.code = plan.body_code;
    plan.error.detail = "the value is too large";
    plan.error.limit = plan.body_limit;
    plan.error.actual = length;
  }
  if (plan.kind != Plan::Kind::kPut) {  // a body means nothing here
    parser_.LimitBody(kDiscardBytesMax, ErrorCode::kRequestTooLarge);
    parser_.DiscardBody();
  } else {
    parser_.LimitBody(plan.body_limit, plan.body_code);
  }
  if (!head.has_body()) return;
  const bool hopeless = !plan.error.ok() && (head.expect_continue || length > kDiscardBytesMax);
  if (hopeless) {
    // The client waits for our word, or has more to send than is worth reading.
    exchange.keep_alive = false;
    Exchange last = std::move(exchange);
    reading_.reset();
    closing_ = true;
    return Start(std::move(last));
  }
  if (!plan.error.ok()) {
    parser_.LimitBody(kDiscardBytesMax, ErrorCode::kRequestTooLarge);
    parser_.DiscardBody();
  }
  if (head.expect_continue && head.minor_version >= 1) {
    continue_owed_ = true;
    Settle();
  }
}

void HttpSession::OnError() {
  if (!reading_) BeginExchange();
  Exchange exchange = std::move(*reading_);
  reading_.reset();
  exchange.keep_alive = false;
  // The plan goes on telling what was asked; the error tells why it was not done. What was refused
  // before its body came was so for that first reason.
  if (exchange.plan.error.ok()) exchange.plan.error = parser_.error();
  closing_ = true;
  Start(std::move(exchange));
}

bool HttpSession::MayStart(const Exchange& exchange) const {
  if (exchanges_.empty()) return true;
  return !exchange.plan.is_write() && !exchanges_.back().plan.is_write();
}

void HttpSession::Start(Exchange exchange) {
  if (!exchange.keep_alive) closing_ = true;
  exchanges_.push_back(std::move(exchange));
  Execute(exchanges_.back());
  Settle();
}

void HttpSession::Execute(Exchange& exchange) {
  const Plan& plan = exchange.plan;
  if (!plan.error.ok()) return AnswerError(exchange, plan.error, nullptr);
  const bool keyed = plan.kind == Plan::Kind::kRead || plan.is_write();
  if (context_.shutting_down && (keyed || plan.kind == Plan::Kind::kReady)) {
    proto::Error error;
    error.code = ErrorCode::kShuttingDown;
    error.detail = "this node's router is shutting down";
    return AnswerError(exchange, error, nullptr);
  }
  const std::uint64_t now = context_.clock->MonotonicMs();
  switch (plan.kind) {
    case Plan::Kind::kRead:
    case Plan::Kind::kReady: {
      const bool probe = plan.kind == Plan::Kind::kReady;
      ReadRequest read;
      read.ticket = TicketOf(exchange);
      read.key = Bytes::Copy(probe ? std::string_view("\0", 1) : std::string_view(plan.key));
      read.consistency = plan.consistency;
      read.min_version = plan.min_version;
      read.deadline_ms =
          now + (probe ? std::min(kReadyTimeoutMs, plan.timeout_ms) : plan.timeout_ms);
      return context_.gateway->Read(std::move(read));
    }
    case Plan::Kind::kPut:
    case Plan::Kind::kDelete: {
      WriteRequest write;
      write.ticket = TicketOf(exchange);
      const bool put = plan.kind == Plan::Kind::kPut;
      write.operations.emplace_back();
      proto::Operation& operation = write.operations.back();
      operation.kind = put ? proto::Operation::Kind::kPut : proto::Operation::Kind::kDelete;
      operation.key = plan.key;
      if (put) operation.value = parser_.body();
      write.conditions = plan.Conditions();
      write.deadline_ms = now + plan.timeout_ms;
      return context_.gateway->Write(std::move(write));
    }
    case Plan::Kind::kCluster: {
      const std::string body =
          ClusterBody(context_.gateway->Cluster(), context_.cluster, exchange.format);
      return AnswerText(
          exchange, 200,
          exchange.format == Format::kJson ? "application/json" : "application/msgpack", body);
    }
    case Plan::Kind::kLive:
      return AnswerText(exchange, 200, kText, "ok\n");
    case Plan::Kind::kMetrics:
      return AnswerText(exchange, 200, kPrometheus,
                        context_.metrics->Render(context_.gateway->Gauges(), context_.connections));
    case Plan::Kind::kFront:
      return AnswerText(exchange, 200, kText, kFrontPage);
    case Plan::Kind::kRefuse:
      return AnswerError(exchange, plan.error, nullptr);
  }
}

void HttpSession::Complete(std::uint32_t number, const Completion& completion) {
  if (exchanges_.empty()) return;
  const std::uint32_t position = number - exchanges_.front().number;
  if (position >= exchanges_.size() || exchanges_[position].done) return;
  Answer(exchanges_[position], completion);
  Settle();
  Pump({});
}

void HttpSession::Answer(Exchange& exchange, const Completion& completion) {
  const bool found_or_not =
      exchange.plan.is_write() && completion.error.code == ErrorCode::kPreconditionFailed;
  if (!completion.error.ok() && !found_or_not) {
    proto::Error error = completion.error;
    if (exchange.plan.kind == Plan::Kind::kReady && proto::HttpStatus(error.code) != 503) {
      error.code = completion.leader ? ErrorCode::kStorageUnavailable : ErrorCode::kNoLeader;
    }
    return AnswerError(exchange, error, &completion);
  }
  if (exchange.plan.kind == Plan::Kind::kReady) return AnswerText(exchange, 200, kText, "ready\n");
  if (exchange.plan.is_write()) return AnswerWrite(exchange, completion);
  AnswerRead(exchange, completion);
}

void HttpSession::AnswerRead(Exchange& exchange, const Completion& completion) {
  const Plan& plan = exchange.plan;
  proto::Error error;
  if (!completion.found) {
    error.code = ErrorCode::kKeyNotFound;
    error.detail = "no such key";
    error.key = plan.key;
    return AnswerError(exchange, error, &completion);
  }
  if (plan.if_match && !plan.if_match->MatchesStrongly(completion.version)) {
    error.code = ErrorCode::kPreconditionFailed;
    error.detail = "If-Match does not name the key's version";
    error.key = plan.key;
    return AnswerError(exchange, error, &completion);
  }
  Reply reply;
  if (plan.if_none_match && plan.if_none_match->MatchesWeakly(completion.version)) {
    reply.status = 304;
  } else {
    reply.content_type = kOctets;
    reply.body = completion.value.view();
  }
  reply.etag = completion.version;
  reply.version = completion.read_version;
  reply.served_by = completion.served_by;
  reply.leader = completion.leader;
  Send(exchange, reply);
}

void HttpSession::AnswerWrite(Exchange& exchange, const Completion& completion) {
  const Plan& plan = exchange.plan;
  if (!completion.error.ok()) {
    proto::Error error = completion.error;
    error.key = plan.key;
    if (plan.kind == Plan::Kind::kDelete && !completion.current) {
      error.code = ErrorCode::kKeyNotFound;
      error.detail = "no such key";
    } else {
      error.detail = "If-Match or If-None-Match did not hold";
    }
    return AnswerError(exchange, error, &completion);
  }
  Reply reply;
  reply.status = plan.short_form ? 200 : 204;
  if (plan.kind == Plan::Kind::kPut) reply.etag = completion.version;
  reply.version = completion.version;
  reply.served_by = completion.served_by;
  reply.leader = completion.leader;
  Send(exchange, reply);
}

void HttpSession::AnswerError(Exchange& exchange, const proto::Error& error,
                              const Completion* completion) {
  const bool json = exchange.format == Format::kJson;
  const std::string body = ProblemBody(error, OfWrite(exchange.write), exchange.format);
  Reply reply;
  reply.status = proto::HttpStatus(error.code);
  reply.content_type = json ? "application/problem+json" : "application/msgpack";
  reply.body = body;
  reply.allow = exchange.plan.allow;
  reply.retry_after = reply.status == 429 || reply.status == 503;
  if (completion != nullptr) {
    reply.leader = completion->leader;
    reply.served_by = completion->served_by;
    reply.version = completion->is_write ? completion->version : completion->read_version;
    if (error.code == ErrorCode::kPreconditionFailed) {
      reply.etag = completion->is_write ? completion->current : completion->version;
    }
  }
  Send(exchange, reply);
}

void HttpSession::AnswerText(Exchange& exchange, int status, std::string_view type,
                             std::string_view body) {
  Reply reply;
  reply.status = status;
  reply.content_type = type;
  reply.body = body;
  Send(exchange, reply);
}

std::string& HttpSession::Buffer(Exchange& exchange) {
  return &exchange == &exchanges_.front() ? out_ : exchange.reply;
}

void HttpSession::Send(Exchange& exchange, Reply reply) {
  if (context_.shutting_down && &exchange == &exchanges_.back()) {
    exchange.keep_alive = false;
    closing_ = true;
  }
  reply.head_only = exchange.head_only;
  reply.keep_alive = exchange.keep_alive;
  reply.minor_version = exchange.minor_version;
  reply.request_id = exchange.request_id;
  reply.date = context_.date;
  AppendReply(reply, &Buffer(exchange));
  exchange.done = true;
  context_.metrics->Count(exchange.plan.route, reply.status,
                          context_.clock->MonotonicUs() - exchange.begun_us);
}

void HttpSession::Settle() {
  while (!exchanges_.empty() && exchanges_.front().done) {
    exchanges_.pop_front();
    if (!exchanges_.empty()) {  // what waited for the one before goes out now
      out_.append(exchanges_.front().reply);
      exchanges_.front().reply.clear();
    }
  }
  if (continue_owed_ && exchanges_.empty() && !closing_) {
    continue_owed_ = false;
    out_.append("HTTP/1.1 100 Continue\r\n\r\n");
  }
}

void HttpSession::Finish() {
  if (idle()) closing_ = true;
}

}  // namespace bedrock::router
