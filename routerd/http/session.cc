#include "routerd/http/session.h"

#include <algorithm>
#include <utility>

#include "routerd/http/accept.h"
#include "routerd/http/json.h"

namespace bedrock::router {
namespace {

using proto::ErrorCode;

constexpr std::size_t kRequestIdBytesMax = 128;
constexpr std::uint64_t kReadyTimeoutMs = 2'000;
constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kPrometheus = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kFrontPage =
    "Bedrock: a distributed, transactional key-value store.\n"
    "\n"
    "  PUT, GET, HEAD, DELETE /v1/kv/{key}\n"
    "  GET, DELETE /v1/kv?prefix=P   /v1/kv?start=S&end=E\n"
    "  PUT /put?key=K   GET /get?key=K   DELETE /delete?key=K\n"
    "  POST /v1/txn\n"
    "  POST /v1/transactions   /v1/transactions/{id}/commit   /v1/transactions/{id}/rollback\n"
    "  GET, PUT, DELETE /v1/transactions/{id}/kv/{key}   GET, DELETE /v1/transactions/{id}/kv?…\n"
    "  POST /v1/cluster/members   /v1/cluster/members/{id}/promote   "
    "/v1/cluster/members/{id}/demote\n"
    "  DELETE /v1/cluster/members/{id}   POST /v1/cluster/leader   /v1/cluster/compact\n"
    "  GET /v1/cluster   /livez   /readyz   /metrics\n";

bool IsVisibleAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

}  // namespace

HttpSession::HttpSession(SessionContext& context, std::uint32_t number)
    : context_(context), number_(number) {}

HttpSession::~HttpSession() { context_.body_bytes -= counted_body_; }

CallContext HttpSession::CallContextOf(const Exchange& exchange) const {
  CallContext context;
  context.gateway = context_.gateway;
  context.ticket = {Ticket::Front::kHttp,
                    static_cast<std::uint64_t>(number_) << 32 | exchange.number};
  context.now_ms = context_.clock->MonotonicMs();
  context.value_bytes_max = context_.value_bytes_max;
  return context;
}

proto::Error HttpSession::ShuttingDown() const {
  proto::Error error;
  error.code = ErrorCode::kShuttingDown;
  error.detail = "this node's router is shutting down";
  return error;
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

void HttpSession::Resume() {
  PumpStream();
  Pump({});
}

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
    AdmitBody();
    return true;
  }
  if (Paused() || rest->empty()) return false;
  const RequestParser::Step step = parser_.Feed(*rest);
  rest->remove_prefix(step.consumed);
  switch (step.progress) {
    case RequestParser::Progress::kNeedMore:
      if (!AdmitBody()) OnError(TooManyBodies());
      return false;
    case RequestParser::Progress::kHead:
      OnHead();
      // What has no body is complete without another byte.
      if (!reading_ || parser_.head().has_body()) return true;
      [[fallthrough]];
    case RequestParser::Progress::kDone:
      AdmitBody();  // it is here: too late to refuse
      held_ = std::move(reading_);
      reading_.reset();
      return true;
    case RequestParser::Progress::kError:
      OnError(parser_.error());
      return false;
  }
  return false;
}

void HttpSession::BeginExchange() {
  const RequestHead& head = parser_.head();
  Exchange exchange;
  exchange.number = next_exchange_++;
  exchange.head_only = head.method == Method::kHead;
  exchange.write =
      head.method == Method::kPut || head.method == Method::kDelete || head.method == Method::kPost;
  exchange.minor_version = head.minor_version;
  exchange.format = AcceptedFormat(head.accept);
  exchange.body_format = FormatOfContent(head.content_type);
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
  const bool wanted = plan.kind != Plan::Kind::kRefuse && plan.takes_body();
  if (wanted && length > plan.body_limit) {
    plan.error.code = plan.body_code;
    plan.error.detail = plan.body_code == ErrorCode::kValueTooLarge ? "the value is too large"
                                                                    : "the body is too large";
    plan.error.limit = plan.body_limit;
    plan.error.actual = length;
  } else if (wanted && length > kFreeBodyBytes &&
             context_.body_bytes + length > context_.body_bytes_max) {
    plan.error = TooManyBodies();
  }
  if (!wanted) {  // a body means nothing here
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

bool HttpSession::AdmitBody() {
  const std::uint64_t size = parser_.body().size();
  const bool grows = size > counted_body_;
  context_.body_bytes += size - counted_body_;
  counted_body_ = size;
  return !grows || size <= kFreeBodyBytes || context_.body_bytes <= context_.body_bytes_max;
}

proto::Error HttpSession::TooManyBodies() const {
  proto::Error error;
  error.code = ErrorCode::kOverloaded;
  error.detail = "this node is reading too many large requests";
  error.limit = context_.body_bytes_max;
  return error;
}

void HttpSession::OnError(const proto::Error& error) {
  if (!reading_) BeginExchange();
  Exchange exchange = std::move(*reading_);
  reading_.reset();
  exchange.keep_alive = false;
  // The plan goes on telling what was asked; the error tells why it was not done. What was refused
  // before its body came was so for that first reason.
  if (exchange.plan.error.ok()) exchange.plan.error = error;
  closing_ = true;
  Start(std::move(exchange));
}

bool HttpSession::MayStart(const Exchange& exchange) const {
  if (exchanges_.empty()) return true;
  return !exchange.plan.runs_alone() && !exchanges_.back().plan.runs_alone();
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
  if (context_.shutting_down && (plan.needs_core() || plan.kind == Plan::Kind::kReady)) {
    return AnswerError(exchange, ShuttingDown(), nullptr);
  }
  if (plan.needs_core()) {
    const proto::Error bad = CallCore(exchange, parser_.body(), CallContextOf(exchange));
    if (!bad.ok()) AnswerError(exchange, bad, nullptr);
    return;
  }
  switch (plan.kind) {
    case Plan::Kind::kReady:
      return CallForProbe(CallContextOf(exchange), std::min(kReadyTimeoutMs, plan.timeout_ms));
    case Plan::Kind::kCluster: {
      const std::string body =
          ClusterBody(context_.gateway->Cluster(), context_.cluster, exchange.format);
      return AnswerText(exchange, 200, TypeName(exchange.format), body);
    }
    case Plan::Kind::kLive:
      return AnswerText(exchange, 200, kText, "ok\n");
    case Plan::Kind::kMetrics:
      return AnswerText(exchange, 200, kPrometheus,
                        context_.metrics->Render(context_.gateway->Gauges(), context_.connections));
    default:
      return AnswerText(exchange, 200, kText, kFrontPage);
  }
}

void HttpSession::Complete(std::uint32_t number, const Completion& completion) {
  if (exchanges_.empty()) return;
  const std::uint32_t position = number - exchanges_.front().number;
  if (position >= exchanges_.size() || exchanges_[position].done) return;
  Exchange& exchange = exchanges_[position];
  if (exchange.plan.kind == Plan::Kind::kReady) {
    AnswerProbe(exchange, completion);
  } else if (exchange.plan.streams()) {
    OnPage(exchange, completion);
  } else {
    Send(exchange, AnswerOf(exchange, completion));
  }
  Settle();
  Pump({});
}

void HttpSession::AnswerProbe(Exchange& exchange, const Completion& completion) {
  if (completion.error.ok()) {
    const LogIndex diverged_at = context_.gateway->Gauges().diverged_at;
    if (!diverged_at) return AnswerText(exchange, 200, kText, "ready\n");
    // Requests are served all the same, by the others.
    return AnswerText(exchange, 200, kText,
                      "ready, but this node's replica diverged from the others at entry " +
                          std::to_string(diverged_at.value()) + ": rebuild it\n");
  }
  proto::Error error = completion.error;
  if (proto::HttpStatus(error.code) != 503) {
    error.code = completion.leader ? ErrorCode::kStorageUnavailable : ErrorCode::kNoLeader;
  }
  AnswerError(exchange, error, &completion);
}

void HttpSession::AnswerError(Exchange& exchange, const proto::Error& error,
                              const Completion* completion) {
  Send(exchange, ErrorAnswer(exchange, error, completion));
}

void HttpSession::AnswerText(Exchange& exchange, int status, std::string_view type,
                             std::string_view body) {
  Answer answer;
  answer.reply.status = status;
  answer.reply.content_type = type;
  answer.reply.body = body;
  Send(exchange, answer);
}

std::string& HttpSession::Buffer(Exchange& exchange) {
  return &exchange == &exchanges_.front() ? out_ : exchange.reply;
}

void HttpSession::Send(Exchange& exchange, const Answer& answer) {
  Reply reply = answer.reply;
  if (reply.body.empty()) reply.body = answer.body;
  reply.location = answer.location;
  Append(exchange, reply);
  Finish(exchange, reply.status);
}

void HttpSession::Append(Exchange& exchange, Reply reply) {
  if (context_.shutting_down && &exchange == &exchanges_.back()) exchange.keep_alive = false;
  if (!exchange.keep_alive && &exchange == &exchanges_.back()) closing_ = true;
  reply.head_only = exchange.head_only;
  reply.keep_alive = exchange.keep_alive;
  reply.minor_version = exchange.minor_version;
  reply.request_id = exchange.request_id;
  reply.date = context_.date;
  AppendReply(reply, &Buffer(exchange));
}

void HttpSession::Finish(Exchange& exchange, int status) {
  exchange.done = true;
  context_.metrics->Count(exchange.plan.route, status,
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
