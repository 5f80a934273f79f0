#include "tests/sim/cluster/sim_process.h"

#include <utility>

#include "tests/sim/cluster/sim_machine.h"

namespace bedrock::sim {

using Kind = ClusterTrace::Kind;

SimProcess::SimProcess(const Address& address, const ClusterWorld& world, SimMachine& machine,
                       Random random)
    : address_(address), world_(world), machine_(machine), random_(random) {
  world_.network.Add(address_, this);
}

std::uint64_t SimProcess::now_ms() const { return machine_.clock().MonotonicMs(); }

void SimProcess::Start() {
  if (up() || world_.checkers.failed()) return;
  life_ = Life::kUp;
  ++incarnation_;
  boot_ = BootId(random_.Next() | 1);
  routing_id_ = RoutingId(NameOf(address_.program), address_.node, boot_);
  Step([this] { Open(); });
  if (!up() || doomed()) return;
  world_.network.Attach(address_, routing_id_);
  ScheduleTurn();
}

void SimProcess::End(FrameNetwork::Manner manner) {
  world_.network.Detach(address_, manner);
  if (!up()) return;
  life_ = Life::kDown;
  ++incarnation_;
  turn_scheduled_ = false;
  waiting_.clear();
  doom_.clear();
  stopped_ = false;
  Close();
}

void SimProcess::Pause(TimeUs us) {
  if (life_ != Life::kUp) return;
  life_ = Life::kPaused;
  world_.scheduler.After(
      us, [this, incarnation = incarnation_, pause = ++pauses_] { Resume(incarnation, pause); });
}

void SimProcess::BeginStop() {
  Run(incarnation_, [this] { OnStop(); });
}

void SimProcess::Block(TimeUs us) { Pause(us); }

void SimProcess::Resume(std::uint64_t incarnation, std::uint64_t pause) {
  if (incarnation != incarnation_ || pause != pauses_ || life_ != Life::kPaused) return;
  Trace(Kind::kResume);
  life_ = Life::kUp;
  // A burst, in one turn: each may end the process, or keep the loop waiting again.
  while (life_ == Life::kUp && incarnation == incarnation_ && !waiting_.empty()) {
    const auto input = std::move(waiting_.front());
    waiting_.pop_front();
    Run(incarnation, input);
  }
}

void SimProcess::OnParcel(const Parcel& parcel) {
  Run(incarnation_, [this, parcel] { OnFrame(parcel); });
}

void SimProcess::Later(TimeUs delay, std::function<void()> input) {
  world_.scheduler.After(delay, [this, incarnation = incarnation_, input = std::move(input)] {
    Run(incarnation, input);
  });
}

void SimProcess::Run(std::uint64_t incarnation, const std::function<void()>& input) {
  if (incarnation != incarnation_ || !up() || world_.checkers.failed()) return;
  if (life_ == Life::kPaused) {
    waiting_.push_back(input);
    return;
  }
  Step(input);
  if (incarnation == incarnation_ && up()) ScheduleTurn();
}

void SimProcess::Step(const std::function<void()>& step) {
  machine_.AdvanceClock();
  step();
  machine_.AfterStep(*this);
}

void SimProcess::ScheduleTurn() {
  if (std::exchange(turn_scheduled_, true)) return;
  const TimeUs delay = random_.Below(world_.options.turn_us_max + 1);
  world_.scheduler.After(delay, [this, incarnation = incarnation_] {
    if (incarnation != incarnation_) return;
    turn_scheduled_ = false;
    if (!up() || world_.checkers.failed()) return;
    const auto turn = [this] { EndTurn(); };
    if (life_ == Life::kPaused) {
      // What it had read already is dealt with when it goes on.
      waiting_.push_front([this] { ScheduleTurn(); });
      return;
    }
    Step(turn);
  });
}

bool SimProcess::Send(const Address& to, Door door, std::string frame) {
  return world_.network.Send({.from = address_,
                              .to = to,
                              .door = door,
                              .sender = routing_id_,
                              .frame = Bytes(std::move(frame))});
}

bool SimProcess::Reply(std::string_view routing_id, Door door, std::string frame) {
  const Address to = world_.network.Find(routing_id);
  return to.node && Send(to, door, std::move(frame));
}

}  // namespace bedrock::sim
