#include <algorithm>
#include <string>
#include <utility>

#include "routerd/http/json.h"
#include "routerd/http/session.h"

// The part of a conversation that sends a scan's items in lines, a page at a time.

namespace bedrock::router {
namespace {

constexpr std::string_view kLines = "application/x-ndjson";

/// How many more items a stream may give; its page's own limit where it is unbounded.
std::uint64_t ItemsLeft(const Exchange& exchange) {
  const ScanPlan& range = *exchange.plan.range;
  return range.items_max == 0 ? range.scan.items_max : range.items_max - exchange.stream.count;
}

}  // namespace

void HttpSession::OnPage(Exchange& exchange, const Completion& completion) {
  StreamState& stream = exchange.stream;
  const proto::OperationResult* page = completion.error.ok() ? OnlyResult(completion) : nullptr;
  if (page == nullptr) {
    if (!stream.begun && !completion.error.ok()) {
      return Send(exchange, AnswerOf(exchange, completion));
    }
    if (!stream.begun) return AnswerError(exchange, UnfitError(), &completion);
    return BreakStream(exchange, completion.error.ok() ? UnfitError() : completion.error);
  }
  ScanPlan& range = *exchange.plan.range;
  if (!stream.begun) BeginStream(exchange, completion);
  if (exchange.head_only) return Finish(exchange, 200);
  std::string lines;
  for (const proto::Item& item : page->items) AppendItemLine(item, range.scan.form, &lines);
  stream.count += page->items.size();
  const bool more = page->more && ItemsLeft(exchange) > 0;
  if (!more) lines += EndLine(stream.version, stream.count);
  AppendPiece(lines, exchange.minor_version, &out_);
  if (!more) {
    AppendLastPiece(exchange.minor_version, &out_);
    return Finish(exchange, 200);
  }
  Advance(*page, &range);
  range.scan.items_max = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(range.scan.items_max, ItemsLeft(exchange)));
  stream.waiting = true;
  PumpStream();
}

void HttpSession::BeginStream(Exchange& exchange, const Completion& completion) {
  exchange.stream.begun = true;
  exchange.stream.version = VersionOf(completion);
  if (exchange.minor_version == 0) exchange.keep_alive = false;  // its end is the body's
  Reply reply;
  reply.content_type = kLines;
  reply.streamed = true;
  SetOrigin(completion, &reply);
  Append(exchange, reply);
}

void HttpSession::PumpStream() {
  if (exchanges_.empty() || !exchanges_.front().stream.waiting) return;
  if (out_.size() >= kOutputPauseBytes) return;
  Exchange& exchange = exchanges_.front();
  exchange.stream.waiting = false;
  if (context_.shutting_down) {
    BreakStream(exchange, ShuttingDown());
    return Settle();
  }
  CallForPage(exchange, CallContextOf(exchange));
}

void HttpSession::BreakStream(Exchange& exchange, const proto::Error& error) {
  // Whoever only looks at the framing sees it, too: the last chunk never comes.
  std::string problem = ProblemBody(error, OfWrite::kNo, Format::kJson);
  while (!problem.empty() && problem.back() == '\n') problem.pop_back();
  AppendPiece("{\"error\":" + problem + "}\n", exchange.minor_version, &out_);
  exchange.keep_alive = false;
  closing_ = true;
  Finish(exchange, 200);
}

}  // namespace bedrock::router
