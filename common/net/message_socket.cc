#include "common/net/message_socket.h"

#include <cerrno>
#include <optional>
#include <utility>  // before Asio: Boost 1.74 uses std::exchange without it

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <zmq.hpp>

#include "common/base/check.h"
#include "common/base/units.h"

namespace bedrock::net {

namespace {

/// Messages a Drain handles before others get their turn.
constexpr int kMessagesPerDrainMax = 256;
/// Per peer. Not flow control (the kernel's buffers come on top): only the last line against a
/// flood.
constexpr int kHighWaterMark = 10'000;
constexpr int kHeartbeatMs = 500;
constexpr int kHeartbeatTimeoutMs = 3 * kHeartbeatMs;
constexpr int kReconnectMs = 50;
constexpr int kReconnectMsMax = 1000;
constexpr int kConnectTimeoutMs = 1000;
/// Above this, handing the buffer over is cheaper than copying it.
constexpr std::size_t kZeroCopyBytesMin = 64 * kKiB;
constexpr std::size_t kOwnBufferBytesMin = 8 * kKiB;  // libzmq's in_batch_size
constexpr std::string_view kIpcPrefix = "ipc://";

Status FromZmq(std::string_view doing, const std::string& endpoint, const zmq::error_t& error) {
  return Status::Unavailable(std::string(doing) + " " + endpoint + ": " + error.what());
}

void SetCommonOptions(zmq::socket_t& socket) {
  socket.set(zmq::sockopt::linger, 0);
  socket.set(zmq::sockopt::ipv6, true);
  socket.set(zmq::sockopt::sndhwm, kHighWaterMark);
  socket.set(zmq::sockopt::rcvhwm, kHighWaterMark);
  socket.set(zmq::sockopt::maxmsgsize, static_cast<std::int64_t>(kMessageBytesMax));
  socket.set(zmq::sockopt::heartbeat_ivl, kHeartbeatMs);
  socket.set(zmq::sockopt::heartbeat_timeout, kHeartbeatTimeoutMs);
  socket.set(zmq::sockopt::heartbeat_ttl, kHeartbeatTimeoutMs);
}

/// The message owns the text from now on, without a copy where that pays.
zmq::message_t ToMessage(std::string&& text) {
  if (text.size() < kZeroCopyBytesMin) return zmq::message_t(text.data(), text.size());
  auto owner = std::make_unique<std::string>(std::move(text));
  char* data = owner->data();
  const std::size_t size = owner->size();
  // ZeroMQ calls this once, from any of its threads, when the last reference is gone.
  const auto release = [](void*, void* hint) {
    const std::unique_ptr<std::string> reclaimed(static_cast<std::string*>(hint));
  };
  zmq::message_t message(data, size, release, owner.get());
  owner.release();  // NOLINT(bugprone-unused-return-value): the message has it
  return message;
}

/// A small message that ZeroMQ hands over is a piece of the 8 KiB that it read at once, and keeps
/// all of them alive: a log entry of 100 bytes would cost 8 KiB of memory. So it is copied.
Bytes ToBytes(zmq::message_t&& message) {
  if (message.size() < kOwnBufferBytesMin) return Bytes::Copy(message.to_string_view());
  auto owner = std::make_shared<const zmq::message_t>(std::move(message));
  const std::string_view view = owner->to_string_view();
  return {std::move(owner), view};
}

/// ZeroMQ unlinks whatever stands at an ipc path and binds over it, also over a living listener.
/// Only a socket file that nobody answers at is stale.
bool SomebodyListens(EventLoop& loop, const std::string& endpoint) {
  if (!endpoint.starts_with(kIpcPrefix)) return false;
  const std::string path = endpoint.substr(kIpcPrefix.size());
  // Longer paths can't be bound, and Asio's endpoint would throw.
  if (path.size() >= sizeof(sockaddr_un::sun_path)) return false;
  boost::asio::local::stream_protocol::socket probe(loop.context());
  boost::system::error_code error;
  probe.connect(boost::asio::local::stream_protocol::endpoint(path), error);
  return !error;
}

/// One ZeroMQ socket in the loop: drains it to EAGAIN whenever its ZMQ_FD fired or anything was
/// sent. Loop thread only.
class SocketInLoop {
 public:
  SocketInLoop(EventLoop& loop, zmq::socket_t socket)
      : socket_(std::move(socket)),
        descriptor_(loop.context(), socket_.get(zmq::sockopt::fd)),
        alive_(std::make_shared<bool>(true)) {}

  ~SocketInLoop() {
    *alive_ = false;
    descriptor_.release();  // the fd is ZeroMQ's to close
  }
  SocketInLoop(const SocketInLoop&) = delete;
  SocketInLoop& operator=(const SocketInLoop&) = delete;

  zmq::socket_t& socket() { return socket_; }

  /// Calls `handle` with each whole message's first part; it receives the rest with ReceiveRest.
  template <typename Handle>
  bool Drain(const Handle& handle) {
    if (!touched_) return false;
    for (int handled = 0; handled < kMessagesPerDrainMax; ++handled) {
      zmq::message_t first;
      if (!Receive(first)) {
        touched_ = false;  // every send so far came before this EAGAIN
        Arm();
        return handled > 0;
      }
      handle(std::move(first));
    }
    return true;
  }

  /// The next part where there is one. All parts of a message arrive together.
  bool Receive(zmq::message_t& part) {
    for (;;) {
      if (zmq_msg_recv(part.handle(), socket_.handle(), ZMQ_DONTWAIT) >= 0) return true;
      if (errno == EINTR) continue;
      CHECK_MSG(errno == EAGAIN || errno == ETERM, zmq_strerror(errno));
      return false;
    }
  }

  /// Receives and drops the remaining parts of the current message.
  void DropRest(zmq::message_t& last) {
    while (last.more() && Receive(last)) {
    }
  }

  bool Send(zmq::message_t& part, int flags) {
    touched_ = true;  // a send handles ZeroMQ's internal commands and may swallow ZMQ_FD's signal
    for (;;) {
      if (zmq_msg_send(part.handle(), socket_.handle(), ZMQ_DONTWAIT | flags) >= 0) return true;
      if (errno == EINTR) continue;
      CHECK_MSG(errno == EAGAIN || errno == EHOSTUNREACH || errno == ETERM, zmq_strerror(errno));
      return false;
    }
  }

  bool HasUnannounced() {
    if (touched_ || !armed_) return false;
    // Ready by its descriptor: announced, the handler just has not run yet.
    if (DescriptorIsReadable()) return false;
    if ((socket_.get(zmq::sockopt::events) & ZMQ_POLLIN) == 0) return false;
    touched_ = true;
    return true;
  }

 private:
  /// Asks for the next event. Asio re-registers the descriptor with each wait, so one that is
  /// readable by now fires at once.
  void Arm() {
    if (armed_) return;
    armed_ = true;
    descriptor_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                           [this, alive = alive_](const boost::system::error_code& error) {
                             if (!*alive || error) return;
                             armed_ = false;
                             touched_ = true;
                           });
  }

  bool DescriptorIsReadable() {
    zmq::pollitem_t item{nullptr, descriptor_.native_handle(), ZMQ_POLLIN, 0};
    return zmq_poll(&item, 1, 0) > 0;
  }

  zmq::socket_t socket_;
  boost::asio::posix::stream_descriptor descriptor_;
  std::shared_ptr<bool> alive_;  // false once this is gone; handlers of the descriptor look first
  bool armed_ = false;
  bool touched_ = true;  // may hold input: an event fired, or something was sent
};

class ZmqListener final : public Listener {
 public:
  ZmqListener(EventLoop& loop, zmq::socket_t socket, Handler handler)
      : loop_(loop), socket_(loop, std::move(socket)), handler_(std::move(handler)) {
    loop_.Add(*this);
  }
  ~ZmqListener() override { loop_.Remove(*this); }

  bool Drain() override {
    return socket_.Drain([this](zmq::message_t from) { HandleMessage(std::move(from)); });
  }
  bool HasUnannounced() override { return socket_.HasUnannounced(); }

  bool Send(std::string_view to, std::string frame) override {
    zmq::message_t id(to.data(), to.size());
    if (!socket_.Send(id, ZMQ_SNDMORE)) return false;
    zmq::message_t body = ToMessage(std::move(frame));
    return socket_.Send(body, 0);
  }

 private:
  void HandleMessage(zmq::message_t from) {
    zmq::message_t body;
    if (!from.more() || !socket_.Receive(body)) return;
    if (body.more()) {  // not of this protocol, which has one frame a message
      socket_.DropRest(body);
      return;
    }
    handler_(from.to_string_view(), ToBytes(std::move(body)));
  }

  EventLoop& loop_;
  SocketInLoop socket_;
  Handler handler_;
};

class ZmqLink final : public Link {
 public:
  ZmqLink(EventLoop& loop, zmq::socket_t socket, Handler handler)
      : loop_(loop), socket_(loop, std::move(socket)), handler_(std::move(handler)) {
    loop_.Add(*this);
  }
  ~ZmqLink() override { loop_.Remove(*this); }

  bool Drain() override {
    return socket_.Drain([this](zmq::message_t body) {
      if (body.more()) {
        socket_.DropRest(body);
        return;
      }
      handler_(ToBytes(std::move(body)));
    });
  }
  bool HasUnannounced() override { return socket_.HasUnannounced(); }

  bool Send(std::string frame) override {
    zmq::message_t body = ToMessage(std::move(frame));
    return socket_.Send(body, 0);
  }

 private:
  EventLoop& loop_;
  SocketInLoop socket_;
  Handler handler_;
};

}  // namespace

class MessageContext::Impl {
 public:
  zmq::context_t context{1};
};

MessageContext::MessageContext() : impl_(std::make_unique<Impl>()) {}
MessageContext::~MessageContext() = default;

Result<std::unique_ptr<Listener>> Listener::Bind(EventLoop& loop, MessageContext& context,
                                                 const std::vector<std::string>& endpoints,
                                                 Handler handler) {
  std::string current = "socket";
  try {
    zmq::socket_t socket(context.impl_->context, zmq::socket_type::router);
    SetCommonOptions(socket);
    socket.set(zmq::sockopt::router_mandatory, true);
    socket.set(zmq::sockopt::router_handover, true);
    for (const std::string& endpoint : endpoints) {
      current = endpoint;
      if (SomebodyListens(loop, endpoint)) {
        return Status::Unavailable("listen on " + endpoint + ": another process listens there");
      }
      socket.bind(endpoint);
    }
    return std::unique_ptr<Listener>(
        std::make_unique<ZmqListener>(loop, std::move(socket), std::move(handler)));
  } catch (const zmq::error_t& error) {
    return FromZmq("listen on", current, error);
  }
}

Result<std::unique_ptr<Link>> Link::Connect(EventLoop& loop, MessageContext& context,
                                            const std::string& endpoint,
                                            const std::string& routing_id, Handler handler) {
  try {
    zmq::socket_t socket(context.impl_->context, zmq::socket_type::dealer);
    SetCommonOptions(socket);
    socket.set(zmq::sockopt::routing_id, routing_id);
    socket.set(zmq::sockopt::immediate, true);
    socket.set(zmq::sockopt::reconnect_ivl, kReconnectMs);
    // On the same host a try is cheap and a process that comes back is wanted at once.
    if (!endpoint.starts_with(kIpcPrefix)) {
      socket.set(zmq::sockopt::reconnect_ivl_max, kReconnectMsMax);
      socket.set(zmq::sockopt::connect_timeout, kConnectTimeoutMs);
    }
    socket.connect(endpoint);
    return std::unique_ptr<Link>(
        std::make_unique<ZmqLink>(loop, std::move(socket), std::move(handler)));
  } catch (const zmq::error_t& error) {
    return FromZmq("connect to", endpoint, error);
  }
}

}  // namespace bedrock::net
