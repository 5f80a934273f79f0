#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/env/random.h"
#include "tests/sim/cluster/cluster_options.h"
#include "tests/sim/cluster/cluster_trace.h"
#include "tests/sim/sim_scheduler.h"

namespace bedrock::sim {

/// By which of its sockets a process gets a frame.
enum class Door : std::uint8_t {
  kListener,  ///< From whoever connected to it.
  kLink,      ///< An answer, over its own link to the sender.
  kHttp,      ///< routerd's second listener: the same frames, served as its HTTP front would.
};

/// A frame on its way.
struct Parcel {
  Address from;
  Address to;
  Door door = Door::kListener;
  std::string sender;  ///< The sender's routing id.
  Bytes frame;
  std::uint64_t hash = 0;  ///< HashFrame of it.
};

/// Whoever gets frames. Outlives the network's use.
class FrameReceiver {
 public:
  virtual ~FrameReceiver() = default;
  virtual void OnParcel(const Parcel& parcel) = 0;
};

/// Carries frames between processes. What raftds say to each other, and storageds that read and
/// give snapshots, may be lost, doubled, late and out of order: their protocols promise to stand
/// that. What goes between a router and another node's raftd or storaged may be all that but
/// doubled: a router takes a refusal for the only answer to what it sent, as over TCP it is. Within
/// a node, between routers, and to and from clients frames keep their order, too, and are lost only
/// where a process ends or a connection breaks: a transaction's step that came late or twice would
/// be another step.
///
/// Links between nodes can be cut one way or both. One thread.
class FrameNetwork {
 public:
  static constexpr std::uint64_t kInFlightMax = 4'000;  ///< In all; more of what may be lost is.
  static constexpr TimeUs kCalmDelayUs = 200;

  /// Everything is borrowed.
  FrameNetwork(const ClusterOptions& options, Random random, SimScheduler& scheduler,
               ClusterTrace& trace);

  void Add(const Address& address, FrameReceiver* receiver) { hosts_[address].receiver = receiver; }
  /// From now on the process takes frames, under this routing id.
  void Attach(const Address& address, const std::string& routing_id);
  /// It has ended. Quietly: with its machine, so that nobody is told.
  enum class Manner : std::uint8_t { kTold, kQuietly };
  void Detach(const Address& address, Manner manner);

  /// False where the sender is told that the frame could not leave: nobody is there.
  bool Send(Parcel parcel);
  /// Whose routing id that is; none of those that are up: node 0.
  Address Find(std::string_view routing_id) const;

  void Cut(NodeId from, NodeId to) { cut_.insert_or_assign({from, to}, true); }
  void Heal(NodeId from, NodeId to) { cut_.insert_or_assign({from, to}, false); }
  bool IsCut(NodeId from, NodeId to) const;
  /// What is under way between two nodes is lost.
  void Reset(NodeId one, NodeId other);
  /// From now on every frame over a link that is not cut arrives, once and soon.
  void Calm() { calm_ = true; }

 private:
  struct Host {
    FrameReceiver* receiver = nullptr;
    bool up = false;
    bool quiet = false;      ///< It is down, and nobody was told.
    std::uint64_t life = 0;  ///< Numbers its starts.
    std::string routing_id;
  };
  struct Road {
    TimeUs last_arrival = 0;  ///< Of those that keep their order.
    std::uint64_t resets = 0;
  };

  static bool Ordered(const Parcel& parcel);
  static bool MayBeDoubled(const Parcel& parcel);
  bool Crosses(const Parcel& parcel) const;
  TimeUs DrawDelay(const Parcel& parcel);
  void Carry(const Parcel& parcel);
  void Arrive(const Parcel& parcel, std::uint64_t life, std::uint64_t resets);
  void Drop(const Parcel& parcel);
  std::uint64_t& ResetsOf(NodeId one, NodeId other);

  const ClusterOptions& options_;
  Random random_;
  SimScheduler& scheduler_;
  ClusterTrace& trace_;
  bool calm_ = false;
  std::uint64_t in_flight_ = 0;
  std::map<Address, Host> hosts_;
  std::map<std::string, Address, std::less<>> by_routing_id_;
  std::map<std::pair<Address, Address>, Road> roads_;
  std::map<std::pair<NodeId, NodeId>, bool> cut_;
  std::map<std::pair<NodeId, NodeId>, std::uint64_t> resets_;
};

}  // namespace bedrock::sim
