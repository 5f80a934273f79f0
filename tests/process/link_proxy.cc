#include "tests/process/link_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <list>
#include <string_view>
#include <vector>

#include "common/base/check.h"

namespace bedrock::test {

namespace {

/// Of one direction of one connection; a sender that is faster waits in its socket.
constexpr std::size_t kBufferBytesMax = std::size_t{256} * 1024;
constexpr std::size_t kReadBytesMax = std::size_t{64} * 1024;
constexpr int kBacklog = 64;
/// What a raftd's routing id begins with, and how far into a connection it may stand.
constexpr std::string_view kRaftdId = "raftd/n";
constexpr std::size_t kHandshakeBytesMax = 1024;
constexpr int kNobodyYet = 0;
constexpr int kNoRaftd = -1;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

/// A descriptor that closes itself.
class LinkProxy::Socket {
 public:
  explicit Socket(int fd) : fd_(fd) { CHECK(fd >= 0); }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }

  /// Appends what can be read now. False: the other end is gone.
  bool ReadInto(std::string& buffer) const {
    std::array<char, kReadBytesMax> bytes;
    const ssize_t n = recv(fd_, bytes.data(), bytes.size(), 0);
    if (n > 0) buffer.append(bytes.data(), static_cast<std::size_t>(n));
    return n > 0 || (n < 0 && WouldBlock());
  }
  /// Sends what can be sent now. False: the other end is gone.
  bool WriteFrom(std::string& buffer) const {
    const ssize_t n = send(fd_, buffer.data(), buffer.size(), MSG_NOSIGNAL);
    if (n > 0) buffer.erase(0, static_cast<std::size_t>(n));
    return n >= 0 || WouldBlock();
  }

 private:
  int fd_;
};

struct LinkProxy::Connection {
  Connection(int client_fd, int server_fd) : client(client_fd), server(server_fd) {}

  /// Looks in what the client says first for who it is.
  void Identify(std::string_view bytes) {
    if (from != kNobodyYet) return;
    handshake.append(bytes);
    const std::size_t at = handshake.find(kRaftdId);
    if (at != std::string::npos && handshake.find('/', at + kRaftdId.size()) != std::string::npos) {
      from = std::stoi(handshake.substr(at + kRaftdId.size()));
    } else if (handshake.size() > kHandshakeBytesMax) {
      from = kNoRaftd;
    }
  }

  Socket client;  // who connected here
  Socket server;
  std::string to_server;
  std::string to_client;
  int from = kNobodyYet;
  std::string handshake;  // while `from` is not known
  bool has_hole = false;  // part of what the client sent was swallowed
  bool gone = false;
};

/// What stands in front of one raftd.
struct LinkProxy::Front {
  Front(int node, int target_port)
      : to(node),
        target(target_port),
        listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    CHECK(bind(listener.fd(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(listen(listener.fd(), kBacklog) == 0);
    CHECK(getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port = ntohs(address.sin_port);
  }

  void Accept() {
    const int client = accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0) return;
    const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(server >= 0);
    connections.emplace_back(client, server);
    const sockaddr_in address = Loopback(target);
    // On loopback this is done or refused at once.
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      connections.pop_back();
      return;
    }
    CHECK(fcntl(server, F_SETFL, O_NONBLOCK) == 0);
    const int on = 1;
    for (const int fd : {client, server}) {
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
  }

  int to;
  int target;
  Socket listener;
  int port = 0;
  std::list<Connection> connections;
};

LinkProxy::LinkProxy()
    : wake_(std::make_unique<Socket>(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      thread_([this] { Run(); }) {}

LinkProxy::~LinkProxy() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  Wake();
  thread_.join();
}

void LinkProxy::Wake() {
  const std::uint64_t one = 1;
  static_cast<void>(!write(wake_->fd(), &one, sizeof(one)));
}

std::string LinkProxy::InFrontOf(int node, const std::string& endpoint) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Front>& front = fronts_[node];
  if (front == nullptr) {
    front = std::make_unique<Front>(node, std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
    Wake();
  }
  return "tcp://127.0.0.1:" + std::to_string(front->port);
}

void LinkProxy::Cut(int from, int to) {
  const std::lock_guard lock(mutex_);
  cut_.insert({from, to});
}

void LinkProxy::Heal() {
  {
    const std::lock_guard lock(mutex_);
    cut_.clear();
  }
  Wake();
}

std::uint64_t LinkProxy::swallowed(int from, int to) {
  const std::lock_guard lock(mutex_);
  return swallowed_[{from, to}];
}

void LinkProxy::Run() {
  while (Turn()) {
  }
}

void LinkProxy::Pump(Front& front, Connection& connection, short client_events,
                     short server_events) {
  constexpr short kReadable = POLLIN | POLLHUP | POLLERR;
  bool alive = true;
  if ((client_events & kReadable) != 0) {
    const std::size_t before = connection.to_server.size();
    alive = connection.client.ReadInto(connection.to_server);
    connection.Identify(std::string_view(connection.to_server).substr(before));
  }
  if (!connection.to_server.empty() && IsCut(connection.from, front.to)) {
    swallowed_[{connection.from, front.to}] += connection.to_server.size();
    connection.to_server.clear();
    connection.has_hole = true;
  }
  if ((server_events & kReadable) != 0) {
    alive = connection.server.ReadInto(connection.to_client) && alive;
  }
  if (alive && !connection.to_server.empty()) {
    alive = connection.server.WriteFrom(connection.to_server);
  }
  if (alive && !connection.to_client.empty()) {
    alive = connection.client.WriteFrom(connection.to_client);
  }
  connection.gone = !alive;
}

bool LinkProxy::Turn() {
  std::vector<pollfd> polled = {{.fd = wake_->fd(), .events = POLLIN, .revents = 0}};
  std::vector<Front*> fronts;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return false;
    for (auto& [node, front] : fronts_) fronts.push_back(front.get());
    for (Front* front : fronts) {
      // What has a hole can't be used once the link is whole.
      std::erase_if(front->connections, [&](const Connection& connection) {
        return connection.gone || (connection.has_hole && !IsCut(connection.from, front->to));
      });
      polled.push_back({.fd = front->listener.fd(), .events = POLLIN, .revents = 0});
      for (const Connection& connection : front->connections) {
        const auto events = [](const std::string& in, const std::string& out) {
          return static_cast<short>((in.size() < kBufferBytesMax ? POLLIN : 0) |
                                    (out.empty() ? 0 : POLLOUT));
        };
        polled.push_back({.fd = connection.client.fd(),
                          .events = events(connection.to_server, connection.to_client),
                          .revents = 0});
        polled.push_back({.fd = connection.server.fd(),
                          .events = events(connection.to_client, connection.to_server),
                          .revents = 0});
      }
    }
  }
  // Only this thread opens and closes connections, so the descriptors stay what they are.
  if (poll(polled.data(), polled.size(), -1) < 0) return errno == EINTR;
  std::uint64_t woken = 0;
  static_cast<void>(!read(wake_->fd(), &woken, sizeof(woken)));

  const std::lock_guard lock(mutex_);
  std::size_t at = 1;
  for (Front* front : fronts) {
    const bool knock = polled[at++].revents != 0;
    for (Connection& connection : front->connections) {
      Pump(*front, connection, polled[at].revents, polled[at + 1].revents);
      at += 2;
    }
    if (knock) front->Accept();
  }
  return true;
}

}  // namespace bedrock::test
