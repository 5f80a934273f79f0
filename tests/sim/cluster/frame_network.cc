#include "tests/sim/cluster/frame_network.h"

#include <algorithm>
#include <utility>

namespace bedrock::sim {

using Kind = ClusterTrace::Kind;

FrameNetwork::FrameNetwork(const ClusterOptions& options, Random random, SimScheduler& scheduler,
                           ClusterTrace& trace)
    : options_(options), random_(random), scheduler_(scheduler), trace_(trace) {}

void FrameNetwork::Attach(const Address& address, const std::string& routing_id) {
  Host& host = hosts_.at(address);
  host.up = true;
  host.quiet = false;
  ++host.life;
  host.routing_id = routing_id;
  by_routing_id_[routing_id] = address;
}

void FrameNetwork::Detach(const Address& address, Manner manner) {
  Host& host = hosts_.at(address);
  host.quiet = manner == Manner::kQuietly;
  if (!std::exchange(host.up, false)) return;
  by_routing_id_.erase(host.routing_id);
}

Address FrameNetwork::Find(std::string_view routing_id) const {
  const auto found = by_routing_id_.find(routing_id);
  return found == by_routing_id_.end() ? Address{} : found->second;
}

bool FrameNetwork::IsCut(NodeId from, NodeId to) const {
  const auto found = cut_.find({from, to});
  return found != cut_.end() && found->second;
}

std::uint64_t& FrameNetwork::ResetsOf(NodeId one, NodeId other) {
  return resets_[std::minmax(one, other)];
}

void FrameNetwork::Reset(NodeId one, NodeId other) { ++ResetsOf(one, other); }

bool FrameNetwork::Ordered(const Parcel& parcel) {
  if (parcel.from.program == Program::kClient || parcel.to.program == Program::kClient) return true;
  if (parcel.from.node == parcel.to.node) return true;
  return parcel.from.program == Program::kRouterd && parcel.to.program == Program::kRouterd;
}

bool FrameNetwork::MayBeDoubled(const Parcel& parcel) {
  return parcel.from.program == parcel.to.program &&
         (parcel.from.program == Program::kRaftd || parcel.from.program == Program::kStoraged);
}

/// From node to node: over a network that breaks. Clients are near everybody.
bool FrameNetwork::Crosses(const Parcel& parcel) const {
  return parcel.from.program != Program::kClient && parcel.to.program != Program::kClient &&
         parcel.from.node != parcel.to.node;
}

bool FrameNetwork::Send(Parcel parcel) {
  parcel.hash = HashFrame(parcel.frame.view());
  trace_.AddFrame(scheduler_.now(), Kind::kSend, parcel.from, parcel.to, parcel.frame, parcel.hash);
  const bool crosses = Crosses(parcel);
  const bool ordered = Ordered(parcel);
  // Drawn in any case, so that healing does not shift what comes later.
  const bool unlucky = random_.Chance(ordered ? options_.loss / 20 : options_.loss, 1000);
  const bool twice = random_.Chance(options_.duplication, 1000);
  const Host& host = hosts_.at(parcel.to);
  const bool cut = crosses && IsCut(parcel.from.node, parcel.to.node);
  if (!host.up && !host.quiet && !cut) {
    Drop(parcel);
    return false;
  }
  const bool on_the_way = parcel.from.node != parcel.to.node ||
                          parcel.from.program == Program::kClient ||
                          parcel.to.program == Program::kClient;
  const bool lost = unlucky && on_the_way && !calm_;
  if (lost || cut || !host.up || (!ordered && in_flight_ >= kInFlightMax)) {
    Drop(parcel);
    return true;
  }
  Carry(parcel);
  if (twice && MayBeDoubled(parcel) && !calm_) Carry(parcel);
  return true;
}

TimeUs FrameNetwork::DrawDelay(const Parcel& parcel) {
  if (!Crosses(parcel)) {
    const TimeUs delay = 1 + random_.Below(options_.local_delay_us_max + 1);
    return calm_ ? std::min<TimeUs>(delay, kCalmDelayUs) : delay;
  }
  TimeUs delay = options_.delay_us_min + DrawExponential(random_, options_.delay_us_mean);
  const TimeUs late = random_.Below(options_.late_us_max + 1);
  if (random_.Chance(options_.late, 1000)) delay += late;
  return calm_ ? kCalmDelayUs : delay;
}

void FrameNetwork::Carry(const Parcel& parcel) {
  TimeUs arrival = scheduler_.now() + DrawDelay(parcel);
  if (Ordered(parcel)) {
    Road& road = roads_[{parcel.from, parcel.to}];
    arrival = road.last_arrival = std::max(arrival, road.last_arrival);
  }
  ++in_flight_;
  const std::uint64_t resets =
      Crosses(parcel) ? ResetsOf(parcel.from.node, parcel.to.node) : std::uint64_t{0};
  scheduler_.After(arrival - scheduler_.now(), [this, parcel, life = hosts_.at(parcel.to).life,
                                                resets] { Arrive(parcel, life, resets); });
}

void FrameNetwork::Arrive(const Parcel& parcel, std::uint64_t life, std::uint64_t resets) {
  --in_flight_;
  const Host& host = hosts_.at(parcel.to);
  bool lost = !host.up || host.life != life;
  if (Crosses(parcel)) {
    lost = lost || IsCut(parcel.from.node, parcel.to.node) ||
           ResetsOf(parcel.from.node, parcel.to.node) != resets;
  }
  if (lost) return Drop(parcel);
  trace_.AddFrame(scheduler_.now(), Kind::kDeliver, parcel.from, parcel.to, parcel.frame,
                  parcel.hash);
  host.receiver->OnParcel(parcel);
}

void FrameNetwork::Drop(const Parcel& parcel) {
  trace_.AddFrame(scheduler_.now(), Kind::kDrop, parcel.from, parcel.to, parcel.frame, parcel.hash);
}

}  // namespace bedrock::sim
