#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace bedrock::test {

/// TCP forwarders on loopback, one for each ordered pair of nodes, so that a test can cut a single
/// direction between two raftds: a raftd speaks to a peer over a connection that it made itself
/// (and is answered over the peer's), so what n1 sends to n2 is what passes through the forwarder
/// of (1, 2) away from the side that connected.
///
/// A link that is cut swallows that: nothing is refused and nothing is closed, as with packets that
/// get lost. Connections that swallowed anything are closed when the link is mended, since their
/// streams have a hole; both ends connect anew.
///
/// Any thread.
class LinkProxy {
 public:
  LinkProxy();
  ~LinkProxy();
  LinkProxy(const LinkProxy&) = delete;
  LinkProxy& operator=(const LinkProxy&) = delete;

  /// Where `from` has to connect to in order to reach `endpoint` ("tcp://127.0.0.1:PORT") of `to`.
  /// The same at each call for the same pair.
  std::string Through(int from, int to, const std::string& endpoint);

  /// Swallows what `from` sends to `to` from now on.
  void Cut(int from, int to);
  /// Mends every link.
  void Heal();
  /// Bytes that were swallowed on a link so far.
  std::uint64_t swallowed(int from, int to);

 private:
  class Socket;
  struct Connection;
  struct Link;

  void Run();
  /// Takes the steps that the links' sockets allow; false where the proxy is being closed.
  bool Turn();
  Link& At(int from, int to);
  void Wake();

  std::mutex mutex_;
  /// Nodes are never removed, so links stay where they are. Guarded by mutex_; their sockets are
  /// touched by the thread alone.
  std::map<std::pair<int, int>, std::unique_ptr<Link>> links_;
  bool closing_ = false;
  std::unique_ptr<Socket> wake_;
  std::thread thread_;
};

}  // namespace bedrock::test
