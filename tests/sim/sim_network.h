#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/base/ids.h"
#include "proto/raft_messages.h"
#include "tests/sim/sim_options.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/sim/sim_trace.h"

namespace bedrock::sim {

/// Carries messages between nodes 1..n with delay (so out of order), loss, duplication, and links
/// that are cut one way or both. One thread.
class SimNetwork {
 public:
  using MessagePtr = std::shared_ptr<const raft::Message>;
  using Deliver = std::function<void(NodeId from, NodeId to, const MessagePtr& message)>;

  static constexpr std::uint64_t kInFlightMax = 2'000;  ///< A link; more is dropped.
  static constexpr TimeUs kCalmDelayUs = 200;

  /// Everything is borrowed.
  SimNetwork(const SimOptions& options, Random random, SimScheduler& scheduler, SimTrace& trace,
             Deliver deliver);

  void Send(NodeId from, NodeId to, raft::Message message);

  /// Stops what is sent from `from` to `to`, what is under way included.
  void Cut(NodeId from, NodeId to);
  void Heal(NodeId from, NodeId to);
  bool IsCut(NodeId from, NodeId to) const { return link(from, to).cut; }
  /// From now on every message of a link that is not cut arrives, once and soon.
  void Calm() { calm_ = true; }

 private:
  struct Link {
    bool cut = false;
    std::uint64_t in_flight = 0;
  };

  Link& link(NodeId from, NodeId to) { return links_.at(Place(from, to)); }
  const Link& link(NodeId from, NodeId to) const { return links_.at(Place(from, to)); }
  std::size_t Place(NodeId from, NodeId to) const {
    return (from.value() - 1) * options_.nodes + (to.value() - 1);
  }
  void Carry(NodeId from, NodeId to, const MessagePtr& message);

  const SimOptions& options_;
  Random random_;
  SimScheduler& scheduler_;
  SimTrace& trace_;
  const Deliver deliver_;
  bool calm_ = false;
  std::vector<Link> links_;
};

}  // namespace bedrock::sim
