#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/base/units.h"
#include "common/env/clock.h"
#include "routerd/core/gateway.h"
#include "routerd/http/answers.h"
#include "routerd/http/calls.h"
#include "routerd/http/exchange.h"
#include "routerd/http/metrics.h"
#include "routerd/http/reply.h"
#include "routerd/http/request_parser.h"
#include "routerd/http/routes.h"

namespace bedrock::router {

/// What all sessions of a server share. Borrowed parts outlive them.
struct SessionContext {
  Gateway* gateway = nullptr;
  Clock* clock = nullptr;
  Metrics* metrics = nullptr;
  ClusterId cluster;
  std::uint64_t value_bytes_max = 0;
  std::string request_id_prefix;   ///< Of the ids that the server makes.
  std::uint64_t next_request = 1;  ///< As above.
  std::size_t connections = 0;
  std::string date;            ///< The value of the Date header now.
  bool shutting_down = false;  ///< Whoever comes now is refused.
  std::uint64_t body_bytes_max = 256 * kMiB;
  std::uint64_t body_bytes = 0;  ///< Of request bodies that are being read, of all connections.
};

/// One connection's HTTP/1.x conversation, without the socket: bytes in, bytes out.
///
/// Requests may be pipelined and are answered in their order. Reads of one connection run side by
/// side; a write waits for all before it and all after it wait for the write, as RFC 9112 9.3.2
/// wants it; likewise steps of transactions and scans. At most kPipelineMax run at once, and none
/// is begun, nor a stream's next page asked for, while kOutputPauseBytes wait to be sent: meanwhile
/// input stays where it is.
///
/// Loop thread only.
class HttpSession {
 public:
  static constexpr std::size_t kPipelineMax = 32;
  static constexpr std::size_t kOutputPauseBytes = 1 * kMiB;
  /// A body up to this size is always read, however much the others have sent.
  static constexpr std::uint64_t kFreeBodyBytes = 64 * kKiB;
  /// A refused request's body up to this size is read and dropped, so that the connection lives on.
  static constexpr std::uint64_t kDiscardBytesMax = 64 * kKiB;

  /// What the session waits for: the server has a time-out for each.
  enum class Waiting : std::uint8_t { kRequest, kHead, kBody, kCore };

  /// `number` names the session in tickets.
  HttpSession(SessionContext& context, std::uint32_t number);
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  /// Bytes that arrived. Keeps what it can't use yet.
  void Receive(std::string_view bytes);
  /// A request of this session ended.
  void Complete(std::uint32_t exchange, const Completion& completion);
  /// Goes on with input that waited, once output() was sent.
  void Resume();
  /// The server shuts down: the replies to what runs are the last.
  void Finish();

  /// What is to be sent next; the owner takes from its front.
  std::string& output() { return out_; }
  /// Whether more bytes would be of use now.
  bool wants_input() const { return !closing_ && input_.size() < kInputMax && !Paused(); }
  /// Nothing more will come out: close once output() is sent.
  bool finished() const { return closing_ && exchanges_.empty(); }
  bool idle() const { return exchanges_.empty() && !held_ && !parser_.started(); }
  Waiting waiting() const;
  /// How many requests' heads have come.
  std::uint32_t begun() const { return next_exchange_; }

 private:
  static constexpr std::size_t kInputMax = 2 * kHeaderBytesMax;

  bool Paused() const;
  void Pump(std::string_view bytes);
  /// Uses bytes of `rest`; false: stop for now.
  bool Take(std::string_view* rest);
  void OnHead();
  void OnError(const proto::Error& error);
  /// Counts what has come of the body. False: it is one too many for all connections together.
  bool AdmitBody();
  proto::Error TooManyBodies() const;
  void BeginExchange();
  bool MayStart(const Exchange& exchange) const;
  void Start(Exchange exchange);
  void Execute(Exchange& exchange);
  void AnswerProbe(Exchange& exchange, const Completion& completion);
  void AnswerText(Exchange& exchange, int status, std::string_view type, std::string_view body);
  void AnswerError(Exchange& exchange, const proto::Error& error, const Completion* completion);
  void Send(Exchange& exchange, const Answer& answer);
  /// Appends a reply's header, and its body unless that is streamed.
  void Append(Exchange& exchange, Reply reply);
  void Finish(Exchange& exchange, int status);

  // Streams: the exchange is alone, and so the front.
  void OnPage(Exchange& exchange, const Completion& completion);
  void BeginStream(Exchange& exchange, const Completion& completion);
  void BreakStream(Exchange& exchange, const proto::Error& error);
  /// Goes on with a stream once the client has taken enough of it.
  void PumpStream();

  void Settle();
  std::string& Buffer(Exchange& exchange);
  CallContext CallContextOf(const Exchange& exchange) const;
  proto::Error ShuttingDown() const;

  SessionContext& context_;
  std::uint32_t number_;
  RequestParser parser_;
  std::string input_;  // bytes that wait
  std::string out_;
  std::optional<Exchange> reading_;  // its body comes
  std::optional<Exchange> held_;     // complete, and waits for its turn
  std::deque<Exchange> exchanges_;   // running or answered, in order
  std::uint32_t next_exchange_ = 0;
  std::uint64_t counted_body_ = 0;  // of this session, in context_.body_bytes
  bool continue_owed_ = false;      // "100 Continue" goes out when all before is answered
  bool closing_ = false;
};

}  // namespace bedrock::router
