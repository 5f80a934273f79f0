#include "routerd/http/request_parser.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include "routerd/http/text.h"

namespace bedrock::router {
namespace {

namespace beast_http = boost::beast::http;
using BeastError = boost::beast::error_code;

constexpr std::size_t kBodyReserveMax = 64 * kKiB;
constexpr std::size_t kLastChunkBytesMin = 5;  // "0\r\n\r\n"

Method MethodOf(beast_http::verb verb) {
  switch (verb) {
    case beast_http::verb::get:
      return Method::kGet;
    case beast_http::verb::head:
      return Method::kHead;
    case beast_http::verb::put:
      return Method::kPut;
    case beast_http::verb::post:
      return Method::kPost;
    case beast_http::verb::delete_:
      return Method::kDelete;
    default:
      return Method::kOther;
  }
}

std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

void Join(std::string* value, std::string_view more) {
  if (!value->empty()) value->append(", ");
  value->append(more);
}

void Join(std::optional<std::string>* value, std::string_view more) {
  if (!value->has_value()) value->emplace();
  Join(&**value, more);
}

}  // namespace

void RequestHead::Clear() {
  method = Method::kOther;
  target.clear();
  minor_version = 1;
  keep_alive = true;
  chunked = false;
  expect_continue = false;
  host = false;
  fence = false;
  content_length.reset();
  if_match.reset();
  if_none_match.reset();
  idempotency_key.reset();
  accept.clear();
  content_type.clear();
  request_id.clear();
}

/// Beast's parser with callbacks that keep only what this server looks at: no list of fields is
/// built, so that a usual request costs no allocation here.
class RequestParser::Impl {
 public:
  class Parser final : public beast_http::basic_parser<true> {
   public:
    explicit Parser(RequestParser& owner) : owner_(owner) {
      eager(false);
      header_limit(static_cast<std::uint32_t>(kHeaderBytesMax));
      // 1.74 takes "no limit" for a limit of nothing; the owner counts for itself.
      body_limit(std::numeric_limits<std::uint64_t>::max());
    }
    bool saw_request_line() const { return saw_request_line_; }

   private:
    void on_request_impl(beast_http::verb verb, boost::beast::string_view,
                         boost::beast::string_view target, int version, BeastError&) override {
      saw_request_line_ = true;
      owner_.head_.method = MethodOf(verb);
      owner_.head_.target.assign(target.data(), target.size());
      owner_.head_.minor_version = version % 10;
      header_bytes_ = target.size();
    }
    void on_response_impl(int, boost::beast::string_view, int, BeastError&) override {}
    void on_field_impl(beast_http::field field, boost::beast::string_view name,
                       boost::beast::string_view value, BeastError& error) override {
      header_bytes_ += name.size() + value.size() + 4;
      if (header_bytes_ > kHeaderBytesMax) {
        error = beast_http::error::header_limit;
        return;
      }
      if (!is_header_done()) Keep(field, View(name), View(value), error);
    }
    void Keep(beast_http::field field, std::string_view name, std::string_view value,
              BeastError& error) {
      RequestHead& head = owner_.head_;
      switch (field) {
        case beast_http::field::host:
          if (head.host) error = beast_http::error::bad_field;  // RFC 9112 3.2
          head.host = true;
          break;
        case beast_http::field::if_match:
          Join(&head.if_match, value);
          break;
        case beast_http::field::if_none_match:
          Join(&head.if_none_match, value);
          break;
        case beast_http::field::accept:
          Join(&head.accept, value);
          break;
        case beast_http::field::content_type:
          Join(&head.content_type, value);
          break;
        case beast_http::field::expect:
          head.expect_continue = EqualsIgnoringCase(value, "100-continue");
          break;
        case beast_http::field::transfer_encoding:
          // Any other coding would leave it open where the body ends.
          if (!EqualsIgnoringCase(value, "chunked") || head.minor_version == 0) {
            error = beast_http::error::bad_transfer_encoding;
          }
          break;
        case beast_http::field::unknown:
          if (EqualsIgnoringCase(name, "X-Bedrock-Request-Id")) {
            head.request_id = value;
          } else if (EqualsIgnoringCase(name, "Idempotency-Key")) {
            Join(&head.idempotency_key, value);
          } else if (EqualsIgnoringCase(name, "X-Bedrock-Fence")) {
            head.fence = true;
          }
          break;
        default:
          break;
      }
    }
    void on_header_impl(BeastError&) override {
      owner_.head_.chunked = chunked();
      owner_.head_.keep_alive = keep_alive();
      if (const auto length = content_length()) owner_.head_.content_length = *length;
    }
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, BeastError&) override {
      if (length && !owner_.discard_) {
        owner_.body_.reserve(static_cast<std::size_t>(
            std::min<std::uint64_t>({*length, owner_.body_limit_, kBodyReserveMax})));
      }
    }
    std::size_t Take(boost::beast::string_view piece, BeastError& error) {
      owner_.body_bytes_ += piece.size();
      if (owner_.body_bytes_ > owner_.body_limit_) {
        error = beast_http::error::body_limit;
        return 0;
      }
      if (!owner_.discard_) owner_.body_.append(piece.data(), piece.size());
      return piece.size();
    }
    std::size_t on_body_impl(boost::beast::string_view piece, BeastError& error) override {
      return Take(piece, error);
    }
    void on_chunk_header_impl(std::uint64_t size, boost::beast::string_view,
                              BeastError& error) override {
      if (size > owner_.body_limit_ - std::min(owner_.body_limit_, owner_.body_bytes_)) {
        owner_.body_bytes_ += std::min(size, std::uint64_t{1} << 62);
        error = beast_http::error::body_limit;
      }
    }
    std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view piece,
                                   BeastError& error) override {
      return Take(piece, error);
    }
    void on_finish_impl(BeastError&) override {}

    RequestParser& owner_;
    std::size_t header_bytes_ = 0;
    bool saw_request_line_ = false;
  };

  explicit Impl(RequestParser& owner) { parser.emplace(owner); }
  std::optional<Parser> parser;
};

RequestParser::RequestParser() : impl_(std::make_unique<Impl>(*this)) {}
RequestParser::~RequestParser() = default;

bool RequestParser::started() const { return impl_->parser->got_some(); }

void RequestParser::LimitBody(std::uint64_t bytes, proto::ErrorCode code) {
  body_limit_ = bytes;
  body_code_ = code;
}

void RequestParser::DiscardBody() { discard_ = true; }

void RequestParser::Reset() {
  head_.Clear();
  body_.clear();
  if (body_.capacity() > kBodyReserveMax) body_.shrink_to_fit();
  body_bytes_ = 0;
  body_limit_ = 0;
  discard_ = false;
  head_told_ = false;
  impl_->parser.emplace(*this);
}

RequestParser::Step RequestParser::Fail(proto::ErrorCode code, std::string detail) {
  error_ = proto::Error();
  error_.code = code;
  error_.detail = std::move(detail);
  return {Progress::kError, 0};
}

RequestParser::Step RequestParser::Classify(std::string_view input, std::string_view reason,
                                            bool header_limit) {
  if (!header_limit) {
    return Fail(proto::ErrorCode::kInvalidArgument, "malformed HTTP: " + std::string(reason));
  }
  const bool in_line =
      !impl_->parser->saw_request_line() && input.find('\n') == std::string_view::npos;
  Step step = in_line ? Fail(proto::ErrorCode::kTargetTooLong, "the request target is too long")
                      : Fail(proto::ErrorCode::kHeaderTooLarge, "the request header is too large");
  error_.limit = in_line ? kTargetBytesMax : kHeaderBytesMax;
  return step;
}

RequestParser::Step RequestParser::Feed(std::string_view input) {
  Impl::Parser& parser = *impl_->parser;
  std::size_t consumed = 0;
  if (!parser.got_some()) {  // some clients end a body with an empty line (RFC 9112 2.2)
    consumed = std::min(input.find_first_not_of("\r\n"), input.size());
  }
  while (true) {
    if (parser.is_header_done() && !head_told_) {
      head_told_ = true;
      if (head_.target.size() > kTargetBytesMax) {
        Step step = Fail(proto::ErrorCode::kTargetTooLong, "the request target is too long");
        error_.limit = kTargetBytesMax;
        error_.actual = head_.target.size();
        return step;
      }
      return {Progress::kHead, consumed};
    }
    if (parser.is_done()) return {Progress::kDone, consumed};
    // The limit may have been set below the Content-Length only now.
    if (head_told_ && head_.content_length.value_or(0) > body_limit_) {
      Step step = Fail(body_code_, "the request body is too large");
      error_.limit = body_limit_;
      error_.actual = *head_.content_length;
      return step;
    }
    const std::string_view rest = input.substr(consumed);
    if (rest.empty()) return {Progress::kNeedMore, consumed};
    // The last chunk begins with a 0; Beast asserts that it sees this much of it when it is called
    // again in the middle of it.
    if (parser.is_header_done() && parser.chunked() && rest.front() == '0' &&
        rest.size() < kLastChunkBytesMin) {
      return {Progress::kNeedMore, consumed};
    }
    BeastError error;
    const std::size_t used = parser.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    consumed += used;
    if (!error) continue;
    if (error == beast_http::error::need_more) {
      if (rest.size() - used >= kHeaderBytesMax) {  // a chunk header or a trailer without an end
        return Classify(rest, error.message(), !head_told_);
      }
      return {Progress::kNeedMore, consumed};
    }
    if (error == beast_http::error::body_limit) {
      Step step = Fail(body_code_, "the request body is too large");
      error_.limit = body_limit_;
      error_.actual = body_bytes_;
      return step;
    }
    return Classify(rest, error.message(), error == beast_http::error::header_limit);
  }
}

}  // namespace bedrock::router
