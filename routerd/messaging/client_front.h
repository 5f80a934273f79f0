#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/env/clock.h"
#include "proto/frame.h"
#include "proto/peer_frames.h"
#include "routerd/core/base/slot_table.h"
#include "routerd/core/base/types.h"
#include "routerd/core/gateway.h"

namespace bedrock::router {

struct ClientFrontOptions {
  NodeId node;
  ClusterId cluster;
  BootId boot;
  std::string software;
};

/// The ZeroMQ front: frames of clients in, frames to clients out; the sockets are the shell's.
/// Serves ClientGet, ClientQuery, ClientWrite, ClientTransaction, ChangeMembers, TransferLeadership
/// and RaftStatusQuery (with what the router knows of the cluster), refuses the rest. Other routers
/// are its clients, too: they pass on steps of transactions that this one holds. A client that is
/// gone loses its replies; its writes end as they end.
///
/// Loop thread only. Borrows the gateway and the clock.
class ClientFront {
 public:
  /// Requests of all clients together; beyond it they are answered with overloaded.
  static constexpr std::size_t kPendingMax = 32'768;
  static constexpr std::uint64_t kTimeoutMsDefault = 5'000;  ///< For a request that states none.
  static constexpr std::uint64_t kTimeoutMsMax = 60'000;

  using SendFrame = proto::PeerFrames::SendFrame;

  ClientFront(const ClientFrontOptions& options, Gateway& gateway, Clock& clock, SendFrame send);

  /// A frame of the client with routing id `from`.
  void OnFrame(std::string_view from, const Bytes& frame);
  /// A completion of a kMessaging ticket.
  void Complete(Completion completion);
  /// Sends what the turn has gathered, one frame a client.
  void Flush();
  /// From now on every new request is refused with shutting_down.
  void Shutdown() { shutting_down_ = true; }

  std::size_t pending() const { return pending_.size(); }

 private:
  enum class Kind : std::uint8_t { kGet, kQuery, kWrite, kTransaction, kMembers, kTransfer };
  struct Pending {
    std::string client;
    RequestId request;
    Kind kind = Kind::kGet;
  };
  /// A packet and where it came from.
  struct Arrival {
    const std::string& client;
    const proto::Packet& packet;
    NodeId router;  ///< None: from a client.
    std::size_t frame_bytes = 0;
  };

  void OnPacket(const Arrival& arrival);
  void Get(const Arrival& arrival, const proto::ClientGet& get);
  void Query(const Arrival& arrival, const proto::ClientQuery& query);
  void Write(const Arrival& arrival, const proto::ClientWrite& write);
  void Transact(const Arrival& arrival, const proto::ClientTransaction& step);
  void ChangeMembers(const Arrival& arrival, const proto::ChangeMembers& change);
  void Transfer(const Arrival& arrival, const proto::TransferLeadership& transfer);
  Ticket Expect(const Arrival& arrival, Kind kind);
  /// Bytes of a frame for longer than the frame is read.
  static Bytes Keep(const Bytes& part, const Arrival& arrival);
  /// kOk, or why no request is taken now.
  proto::Error Admit() const;
  std::uint64_t DeadlineOf(const proto::Packet& packet) const;
  proto::RaftStatus Status() const;
  void ReplyGet(const Pending& whom, Completion completion);
  void Reply(const std::string& to, RequestId request, const proto::Message& message);

  const ClientFrontOptions options_;
  Gateway& gateway_;
  Clock& clock_;
  SlotTable<Pending> pending_;
  proto::PeerFrames frames_;
  bool shutting_down_ = false;
};

}  // namespace bedrock::router
