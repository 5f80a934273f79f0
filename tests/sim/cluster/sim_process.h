#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "common/base/ids.h"
#include "common/env/random.h"
#include "tests/sim/cluster/cluster_world.h"

namespace bedrock::sim {

class SimMachine;

/// A process of a node: it starts, takes one input after the other, ends its turns, is stopped for
/// a while (what comes meanwhile waits), and ends. What it is, its subclass says. One thread.
class SimProcess : public FrameReceiver {
 public:
  enum class Life : std::uint8_t { kDown, kUp, kPaused };

  SimProcess(const Address& address, const ClusterWorld& world, SimMachine& machine, Random random);
  ~SimProcess() override = default;
  SimProcess(const SimProcess&) = delete;
  SimProcess& operator=(const SimProcess&) = delete;

  /// Does nothing where it is up. May end at once, where it can't be opened.
  void Start();
  /// Forgets everything that only the process knew. Whatever it had open is dead already.
  void End(FrameNetwork::Manner manner);
  void Pause(TimeUs us);
  /// It is asked to end in order, which it says by stopped() some time later.
  void BeginStop();

  void OnParcel(const Parcel& parcel) final;

  Life life() const { return life_; }
  bool up() const { return life_ != Life::kDown; }
  /// Numbers its lives.
  std::uint64_t incarnation() const { return incarnation_; }
  /// It has to end, and why.
  bool doomed() const { return !doom_.empty(); }
  const std::string& doom() const { return doom_; }
  /// It has ended what it was doing, and may go.
  bool stopped() const { return stopped_; }
  const Address& address() const { return address_; }

 protected:
  /// Makes what the process is made of. A failure dooms it.
  virtual void Open() = 0;
  /// Drops it.
  virtual void Close() = 0;
  virtual void OnFrame(const Parcel& parcel) = 0;
  /// What came since the last time is dealt with.
  virtual void EndTurn() = 0;
  /// It is to end in order; calls Stopped when it may.
  virtual void OnStop() = 0;

  /// Runs `input` in this life after `delay`: later where it is paused then, never where it ended.
  void Later(TimeUs delay, std::function<void()> input);
  /// The loop is kept waiting: what comes is dealt with afterwards.
  void Block(TimeUs us);
  /// Ends it as soon as what runs has returned.
  void Doom(std::string why) {
    if (doom_.empty()) doom_ = std::move(why);
  }
  /// Ends it, in order, as soon as what runs has returned.
  void Stopped() { stopped_ = true; }
  /// False where nothing says where to.
  bool Reply(std::string_view routing_id, Door door, std::string frame);
  bool Send(const Address& to, Door door, std::string frame);

  TimeUs now() const { return world_.scheduler.now(); }
  std::uint64_t now_ms() const;
  void Trace(ClusterTrace::Kind kind, std::uint64_t a = 0, std::uint64_t b = 0,
             std::uint64_t c = 0) {
    world_.trace.Add(now(), kind, address_, a, b, c);
  }
  /// "raftd/n1/…" of this life.
  const std::string& routing_id() const { return routing_id_; }
  BootId boot() const { return boot_; }

  const Address address_;
  const ClusterWorld world_;
  SimMachine& machine_;
  Random random_;

 private:
  void Run(std::uint64_t incarnation, const std::function<void()>& input);
  void Step(const std::function<void()>& step);
  void ScheduleTurn();
  void Resume(std::uint64_t incarnation, std::uint64_t pause);

  Life life_ = Life::kDown;
  std::uint64_t incarnation_ = 0;
  std::uint64_t pauses_ = 0;
  bool turn_scheduled_ = false;
  std::deque<std::function<void()>> waiting_;  ///< While it is paused.
  BootId boot_;
  std::string routing_id_;
  std::string doom_;
  bool stopped_ = false;
};

}  // namespace bedrock::sim
