#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proto/errors.h"
#include "routerd/http/request.h"

namespace bedrock::router {

/// Takes HTTP/1.x requests off a byte stream, one after the other; Beast's parser under the hood,
/// which only request_parser.cc sees. Pieces may end anywhere.
///
/// What it refuses, it refuses before memory is spent: a request line or header over its limit, and
/// a body from the Content-Length, the chunk or the byte on that passes the body limit.
///
/// One thread.
class RequestParser {
 public:
  enum class Progress {
    kNeedMore,  ///< Everything that could be used was; come back with what is left and more.
    kHead,      ///< head() is complete, and nothing of the body was read: set the body's limit.
    kDone,      ///< body() is complete.
    kError,     ///< error() says why; the stream can't be read on.
  };
  struct Step {
    Progress progress;
    std::size_t consumed;  ///< Bytes of the input that are done with.
  };

  RequestParser();
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  /// Reads on in `input`, which begins with what an earlier call did not consume.
  Step Feed(std::string_view input);

  /// Between kHead and the next Feed. A body over the limit ends in kError with `code`.
  void LimitBody(std::uint64_t bytes, proto::ErrorCode code);
  /// The body's bytes are counted and dropped.
  void DiscardBody();

  /// After kDone: ready for the next request.
  void Reset();

  /// Whether any byte of the current request has come.
  bool started() const;
  const RequestHead& head() const { return head_; }
  std::string& body() { return body_; }
  const proto::Error& error() const { return error_; }

 private:
  class Impl;
  friend class Impl;
  Step Fail(proto::ErrorCode code, std::string detail);
  Step Classify(std::string_view input, std::string_view reason, bool header_limit);

  RequestHead head_;
  std::string body_;
  proto::Error error_;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t body_limit_ = 0;
  proto::ErrorCode body_code_ = proto::ErrorCode::kRequestTooLarge;
  bool discard_ = false;
  bool head_told_ = false;
  std::unique_ptr<Impl> impl_;
};

}  // namespace bedrock::router
