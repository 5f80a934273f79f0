#include "routerd/http/http_server.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "common/base/status_macros.h"
#include "common/logging/log.h"
#include "routerd/http/json.h"
#include "routerd/http/metrics.h"
#include "routerd/http/reply.h"
#include "routerd/http/session.h"

namespace bedrock::router {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using NetError = boost::system::error_code;

constexpr std::size_t kReadBytes = 16 * kKiB;
constexpr std::size_t kKeptOutputBytes = 256 * kKiB;  // a buffer grown beyond it is given back
constexpr std::uint64_t kTickMs = 1000;
constexpr std::uint64_t kAcceptRetryMs = 100;

Status NetStatus(const NetError& error, const std::string& what) {
  return Status::Unavailable(what + ": " + error.message());
}

struct Connection {
  Connection(tcp::socket accepted, SessionContext& context, std::uint32_t number)
      : socket(std::move(accepted)), id(number), session(context, number) {}

  tcp::socket socket;
  const std::uint32_t id;
  HttpSession session;
  std::array<char, kReadBytes> input;
  std::size_t sent = 0;  // of session.output()
  bool reading = false;  // an async_read_some is out
  bool writing = false;  // waits for the socket to take more
  bool dirty = false;    // in the list of this turn
  bool lingering = false;
  bool ended = false;  // the client sends no more
  bool closed = false;
  HttpSession::Waiting phase = HttpSession::Waiting::kRequest;
  std::uint32_t begun = 0;  // requests, when the phase began
  std::uint64_t phase_since_ms = 0;
  std::uint64_t write_since_ms = 0;  // of the last byte that the client took
};
using ConnectionRef = std::shared_ptr<Connection>;

class AsioHttpServer final : public HttpServer {
 public:
  AsioHttpServer(net::EventLoop& loop, Clock& clock, Gateway& gateway, const HttpOptions& options)
      : loop_(loop), clock_(clock), options_(options), alive_(std::make_shared<bool>(true)) {
    context_.gateway = &gateway;
    context_.clock = &clock;
    context_.metrics = &metrics_;
    context_.cluster = options.cluster;
    context_.value_bytes_max = options.value_bytes_max;
    context_.request_id_prefix =
        FormatNodeId(options.node) + "-" + FormatHex(options.boot.value()).substr(0, 8) + "-";
    context_.date = FormatHttpDate(clock.WallMs());
    timer_ = loop_.Every(kTickMs, [this] {
      context_.date = FormatHttpDate(clock_.WallMs());
      CheckTimeouts(clock_.MonotonicMs());
    });
  }

  ~AsioHttpServer() override {
    *alive_ = false;
    loop_.Cancel(timer_);
    NetError ignored;
    for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
    for (auto& [id, connection] : connections_) {
      connection->closed = true;
      connection->socket.close(ignored);
    }
  }

  Status Open() {
    for (const config::HostPort& address : options_.listen) RETURN_IF_ERROR(OpenOne(address));
    for (std::size_t i = 0; i < acceptors_.size(); ++i) Accept(i);
    return {};
  }

  void Complete(const Completion& completion) override {
    const auto found = connections_.find(static_cast<std::uint32_t>(completion.ticket.id >> 32));
    if (found == connections_.end()) return;
    found->second->session.Complete(static_cast<std::uint32_t>(completion.ticket.id), completion);
    Touch(found->second);
  }

  void Flush() override {
    // Taking what was sent may let a session go on, which makes it dirty again.
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
      const ConnectionRef connection = dirty_[i];
      connection->dirty = false;
      if (!connection->closed) Progress(connection);
    }
    dirty_.clear();
  }

  void CheckTimeouts(std::uint64_t now_ms) override {
    expired_.clear();
    for (const auto& [id, connection] : connections_) {
      if (Expired(*connection, now_ms)) expired_.push_back(connection);
    }
    for (const ConnectionRef& connection : expired_) Close(connection);
    expired_.clear();
  }

  void Shutdown() override {
    context_.shutting_down = true;
    NetError ignored;
    for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
    for (auto& [id, connection] : connections_) {
      // Nothing was asked, so no reply can get lost: no need to wait until the client has seen it.
      if (connection->session.idle() && connection->session.output().empty()) {
        expired_.push_back(connection);
        continue;
      }
      connection->session.Finish();
      Touch(connection);
    }
    for (const ConnectionRef& connection : expired_) Close(connection);
    expired_.clear();
  }

  std::size_t connections() const override { return connections_.size(); }

  std::vector<std::uint16_t> ports() const override {
    std::vector<std::uint16_t> ports;
    for (const tcp::acceptor& acceptor : acceptors_) {
      ports.push_back(acceptor.local_endpoint().port());
    }
    return ports;
  }

 private:
  Status OpenOne(const config::HostPort& address) {
    if (address.host == "*") {
      RETURN_IF_ERROR(Bind(tcp::endpoint(tcp::v4(), address.port)));
      const Status v6 = Bind(tcp::endpoint(tcp::v6(), acceptors_.back().local_endpoint().port()));
      if (!v6.ok()) log::Warning("no IPv6 for HTTP", {{"error", v6}});
      return {};
    }
    NetError error;
    tcp::resolver resolver(loop_.context());
    const auto resolved =
        resolver.resolve(address.host, std::to_string(address.port), tcp::resolver::passive, error);
    if (error) return Status::InvalidArgument("resolve " + address.host + ": " + error.message());
    return Bind(resolved.begin()->endpoint());
  }

  Status Bind(const tcp::endpoint& endpoint) {
    const std::string what = "listen for HTTP on " + endpoint.address().to_string() + ":" +
                             std::to_string(endpoint.port());
    NetError error;
    tcp::acceptor acceptor(loop_.context());
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && endpoint.protocol() == tcp::v6()) {
      acceptor.set_option(asio::ip::v6_only(true), error);
    }
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return NetStatus(error, what);
    acceptors_.push_back(std::move(acceptor));
    return {};
  }

  void Accept(std::size_t index) {
    acceptors_[index].async_accept(
        [this, alive = alive_, index](const NetError& error, tcp::socket socket) {
          if (!*alive || error == asio::error::operation_aborted) return;
          if (!error) {
            OnAccepted(std::move(socket));
            return Accept(index);
          }
          // Out of file descriptors, most likely: a pause lets some come free.
          if (const auto repeats = accept_log_.Admit(clock_.MonotonicMs())) {
            log::Warning("accept failed", {{"error", error.message()}, {"repeats", *repeats}});
          }
          loop_.After(kAcceptRetryMs, [this, still = alive, index] {
            if (*still && acceptors_[index].is_open()) Accept(index);
          });
        });
  }

  void OnAccepted(tcp::socket socket) {
    NetError error;
    socket.non_blocking(true, error);
    if (!error) socket.set_option(tcp::no_delay(true), error);
    if (error || context_.shutting_down) return;
    if (connections_.size() >= options_.connections_max) return Reject(std::move(socket));
    metrics_.Connected();
    do {
      ++last_id_;
    } while (last_id_ == 0 || connections_.contains(last_id_));
    auto connection = std::make_shared<Connection>(std::move(socket), context_, last_id_);
    connection->phase_since_ms = clock_.MonotonicMs();
    connections_.emplace(last_id_, connection);
    context_.connections = connections_.size();
    Read(connection);
  }

  void Reject(tcp::socket socket) {
    metrics_.Rejected();
    proto::Error error;
    error.code = proto::ErrorCode::kOverloaded;
    error.detail = "too many connections are open to this node";
    error.limit = options_.connections_max;
    const std::string body = ProblemBody(error, OfWrite::kNo, Format::kJson);
    Reply reply;
    reply.status = proto::HttpStatus(error.code);
    reply.keep_alive = false;
    reply.content_type = "application/problem+json";
    reply.body = body;
    const std::string id = context_.request_id_prefix + std::to_string(context_.next_request++);
    reply.request_id = id;
    reply.date = context_.date;
    reply.retry_after = true;
    std::string out;
    AppendReply(reply, &out);
    NetError ignored;  // its loss costs the client a sentence
    socket.write_some(asio::buffer(out), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
  }

  void Touch(const ConnectionRef& connection) {
    if (connection->dirty) return;
    connection->dirty = true;
    dirty_.push_back(connection);
  }

  void Read(const ConnectionRef& connection) {
    if (connection->reading || connection->ended || connection->closed) return;
    if (!connection->lingering && !connection->session.wants_input()) return;
    connection->reading = true;
    connection->socket.async_read_some(
        asio::buffer(connection->input),
        [this, alive = alive_, connection](const NetError& error, std::size_t bytes) {
          connection->reading = false;
          if (!*alive || connection->closed) return;
          OnRead(connection, error, bytes);
        });
  }

  void OnRead(const ConnectionRef& connection, const NetError& error, std::size_t bytes) {
    if (error == asio::error::eof) {
      connection->ended = true;
      return Touch(connection);
    }
    if (error) return Close(connection);
    if (connection->lingering) return Read(connection);
    connection->session.Receive(std::string_view(connection->input.data(), bytes));
    Touch(connection);
  }

  /// Sends what there is, and does what comes next.
  void Progress(const ConnectionRef& connection) {
    if (!Write(connection)) return;
    HttpSession& session = connection->session;
    const std::uint64_t now = clock_.MonotonicMs();
    if (session.waiting() != connection->phase || session.begun() != connection->begun ||
        connection->phase == HttpSession::Waiting::kCore) {
      connection->phase = session.waiting();
      connection->begun = session.begun();
      connection->phase_since_ms = now;
    }
    const bool all_sent = session.output().empty();
    if (session.finished() && all_sent) return Linger(connection);
    if (connection->ended) {
      // Its requests that came whole are answered; half of one never becomes one.
      if (session.waiting() != HttpSession::Waiting::kCore && all_sent) Close(connection);
      return;
    }
    Read(connection);
  }

  /// False where the connection is closed.
  bool Write(const ConnectionRef& connection) {
    std::string& output = connection->session.output();
    if (connection->writing || output.empty()) return true;
    NetError error;
    if (connection->sent == 0) connection->write_since_ms = clock_.MonotonicMs();
    const std::size_t sent = connection->socket.write_some(
        asio::buffer(output.data() + connection->sent, output.size() - connection->sent), error);
    if (error && error != asio::error::would_block && error != asio::error::try_again) {
      Close(connection);
      return false;
    }
    connection->sent += error ? 0 : sent;
    if (connection->sent < output.size()) {
      WaitForRoom(connection);
      return true;
    }
    connection->sent = 0;
    output.clear();
    if (output.capacity() > kKeptOutputBytes) output.shrink_to_fit();
    if (!connection->session.finished()) {
      connection->session.Resume();
      if (!output.empty()) Touch(connection);
    }
    return true;
  }

  void WaitForRoom(const ConnectionRef& connection) {
    connection->writing = true;
    connection->socket.async_wait(tcp::socket::wait_write,
                                  [this, alive = alive_, connection](const NetError& error) {
                                    connection->writing = false;
                                    if (!*alive || connection->closed) return;
                                    if (error) return Close(connection);
                                    connection->write_since_ms = clock_.MonotonicMs();
                                    Touch(connection);
                                  });
  }

  /// After the last reply: says so, and reads on until the client has seen it. Closing with unread
  /// input would reset the connection, and the reply with it.
  void Linger(const ConnectionRef& connection) {
    if (connection->ended) return Close(connection);
    if (!connection->lingering) {
      connection->lingering = true;
      connection->phase_since_ms = clock_.MonotonicMs();
      NetError error;
      connection->socket.shutdown(tcp::socket::shutdown_send, error);
      if (error) return Close(connection);
    }
    Read(connection);
  }

  bool Expired(const Connection& connection, std::uint64_t now_ms) const {
    const auto over = [now_ms](std::uint64_t since, std::uint64_t limit) {
      return now_ms > since + limit;
    };
    if (connection.lingering) return over(connection.phase_since_ms, options_.linger_ms);
    if (connection.writing) return over(connection.write_since_ms, options_.write_ms);
    switch (connection.phase) {
      case HttpSession::Waiting::kRequest:
        return over(connection.phase_since_ms, options_.idle_ms);
      case HttpSession::Waiting::kHead:
        return over(connection.phase_since_ms, options_.head_ms);
      case HttpSession::Waiting::kBody:
        return over(connection.phase_since_ms, options_.body_ms);
      case HttpSession::Waiting::kCore:
        return false;  // the request's own deadline bounds it
    }
    return false;
  }

  void Close(const ConnectionRef& connection) {
    if (connection->closed) return;
    connection->closed = true;
    NetError ignored;
    connection->socket.close(ignored);
    connections_.erase(connection->id);
    context_.connections = connections_.size();
  }

  net::EventLoop& loop_;
  Clock& clock_;
  const HttpOptions options_;
  Metrics metrics_;
  SessionContext context_;
  std::vector<tcp::acceptor> acceptors_;
  std::unordered_map<std::uint32_t, ConnectionRef> connections_;
  std::vector<ConnectionRef> dirty_;
  std::vector<ConnectionRef> expired_;
  log::RateLimit accept_log_;
  std::uint32_t last_id_ = 0;
  net::TimerId timer_;
  std::shared_ptr<bool> alive_;  // false once handlers that are still queued must not touch this
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::Listen(net::EventLoop& loop, Clock& clock,
                                                       Gateway& gateway,
                                                       const HttpOptions& options) {
  auto server = std::make_unique<AsioHttpServer>(loop, clock, gateway, options);
  RETURN_IF_ERROR(server->Open());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace bedrock::router
