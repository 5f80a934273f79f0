#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

namespace bedrock::test {

/// A TCP forwarder on loopback in front of every raftd, so that a test can cut a single direction
/// between two of them: a raftd speaks to a peer over a connection that it made itself (and is
/// answered over the peer's), so what n1 sends to n2 is what its connections to n2's forwarder
/// carry. Who made a connection is told by the routing id ("raftd/n1/…") of its handshake; those of
/// routers are never cut.
///
/// A link that is cut swallows what comes: nothing is refused and nothing is closed, as with
/// packets that get lost. Connections that swallowed anything are closed when the link is mended,
/// since their streams have a hole; both ends connect anew.
///
/// Any thread.
class LinkProxy {
 public:
  LinkProxy();
  ~LinkProxy();
  LinkProxy(const LinkProxy&) = delete;
  LinkProxy& operator=(const LinkProxy&) = delete;

  /// Where others have to connect to in order to reach `endpoint` ("tcp://127.0.0.1:PORT") of
  /// `node`. The same at each call for a node.
  std::string InFrontOf(int node, const std::string& endpoint);

  /// Swallows what `from` sends to `to` from now on.
  void Cut(int from, int to);
  /// Mends every link.
  void Heal();
  /// Bytes that were swallowed on a link so far.
  std::uint64_t swallowed(int from, int to);

 private:
  class Socket;
  struct Connection;
  struct Front;

  void Run();
  /// Takes the steps that the sockets allow; false where the proxy is being closed.
  bool Turn();
  void Pump(Front& front, Connection& connection, short client_events, short server_events);
  bool IsCut(int from, int to) const { return cut_.contains({from, to}); }
  void Wake();

  std::mutex mutex_;
  // Guarded by mutex_. The fronts' sockets are touched by the thread alone, and fronts stay.
  std::map<int, std::unique_ptr<Front>> fronts_;
  std::set<std::pair<int, int>> cut_;
  std::map<std::pair<int, int>, std::uint64_t> swallowed_;
  bool closing_ = false;
  std::unique_ptr<Socket> wake_;
  std::thread thread_;
};

}  // namespace bedrock::test
