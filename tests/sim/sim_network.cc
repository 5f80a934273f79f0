#include "tests/sim/sim_network.h"

#include <utility>

namespace bedrock::sim {

SimNetwork::SimNetwork(const SimOptions& options, Random random, SimScheduler& scheduler,
                       SimTrace& trace, Deliver deliver)
    : options_(options),
      random_(random),
      scheduler_(scheduler),
      trace_(trace),
      deliver_(std::move(deliver)),
      links_(options.nodes * options.nodes) {}

void SimNetwork::Send(NodeId from, NodeId to, raft::Message message) {
  const auto shared = std::make_shared<const raft::Message>(std::move(message));
  trace_.AddMessage(scheduler_.now(), SimTrace::Kind::kSend, from, to, shared);
  // Drawn in any case, so that healing does not shift what comes later.
  const bool lost = random_.Chance(options_.loss, 1000) && !calm_;
  const bool doubled = random_.Chance(options_.duplication, 1000) && !calm_;
  if (lost || link(from, to).cut) {
    trace_.AddMessage(scheduler_.now(), SimTrace::Kind::kDrop, from, to, shared);
    return;
  }
  Carry(from, to, shared);
  if (doubled) Carry(from, to, shared);
}

void SimNetwork::Carry(NodeId from, NodeId to, const MessagePtr& message) {
  Link& carrier = link(from, to);
  TimeUs delay = options_.delay_us_min + DrawExponential(random_, options_.delay_us_mean);
  const TimeUs late = random_.Below(options_.late_us_max + 1);
  if (random_.Chance(options_.late, 1000)) delay += late;
  if (carrier.in_flight >= kInFlightMax) {
    trace_.AddMessage(scheduler_.now(), SimTrace::Kind::kDrop, from, to, message);
    return;
  }
  ++carrier.in_flight;
  scheduler_.After(calm_ ? kCalmDelayUs : delay, [this, from, to, message] {
    Link& arrived = link(from, to);
    --arrived.in_flight;
    if (arrived.cut) {
      trace_.AddMessage(scheduler_.now(), SimTrace::Kind::kDrop, from, to, message);
    } else {
      deliver_(from, to, message);
    }
  });
}

void SimNetwork::Cut(NodeId from, NodeId to) {
  if (std::exchange(link(from, to).cut, true)) return;
  trace_.Add(scheduler_.now(), SimTrace::Kind::kCut, from.value(), to.value());
}

void SimNetwork::Heal(NodeId from, NodeId to) {
  if (!std::exchange(link(from, to).cut, false)) return;
  trace_.Add(scheduler_.now(), SimTrace::Kind::kHeal, from.value(), to.value());
}

}  // namespace bedrock::sim
