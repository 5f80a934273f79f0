#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/ids.h"
#include "common/env/manual_clock.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "tests/sim/cluster/cluster_world.h"
#include "tests/sim/cluster/nemesis_plan.h"
#include "tests/sim/cluster/sim_raftd.h"
#include "tests/sim/cluster/sim_routerd.h"
#include "tests/sim/cluster/sim_storaged.h"

namespace bedrock::sim {

/// A node: a clock, two disks (one for raftd, one for storaged) and the three processes, each of
/// which may die alone; and a supervisor that starts what has ended. One that does not found the
/// cluster waits, with empty disks, until it is plugged in. One thread.
class SimMachine {
 public:
  SimMachine(NodeId id, const ClusterWorld& world, const Random& random);
  SimMachine(const SimMachine&) = delete;
  SimMachine& operator=(const SimMachine&) = delete;

  // What happens to it. Each is fine at any time.
  void Start();
  void PlugIn();
  /// A process, or all of them (kAllPrograms), end in order, the router first, and start again.
  void RestartInOrder(std::uint64_t program);
  void Kill(Program program, TimeUs down_us);
  void PowerCut(MemoryFileSystem::CrashMode mode, TimeUs down_us);
  /// Dies in the middle of the `calls`-th next call that changes this disk.
  void ArmCrashPoint(std::uint64_t disk, std::uint64_t calls);
  void Pause(Program program, TimeUs us);
  void Stall(std::uint64_t disk, TimeUs us);
  void Fill(std::uint64_t room, TimeUs us);
  void FailSync(std::uint64_t disk);
  /// From now on its raftd may be told that the node was removed.
  void AllowRemoval() { may_be_removed_ = true; }
  /// Its storaged ends, and starts anew on an empty disk.
  void RebuildStorage(TimeUs down_us);
  /// A bit of a file of its storaged turns over, `draw` says which. False: there is none.
  bool LetRot(std::uint64_t draw);
  /// The next value that its storaged archives becomes another one.
  void AlterNext(Alteration where) { to_be_altered_ = where; }
  void JumpWallClock(std::uint64_t ms) { wall_offset_ms_ += ms; }
  /// Ends all faults of its own and starts what is down; nothing of that kind comes again.
  void Calm();
  void StopForEver();
  /// Gone, too; but somebody starts it again with empty disks, under the id that it had.
  void ReturnEmpty();
  /// It is no part any more of what is healed.
  void SendAway() { away_ = true; }

  bool plugged() const { return plugged_; }
  bool away() const { return away_; }
  /// None: nothing is to be altered.
  std::optional<Alteration> to_be_altered() const { return to_be_altered_; }
  /// The entry whose value is another one here, until that is gone; none: 0.
  LogIndex altered_at() const { return altered_at_; }
  /// Its storaged has said that it is quarantined for good, by these data.
  bool quarantined() const { return quarantined_; }
  /// Something on its storaged's disk has rotted, and nobody has looked whether that matters; or is
  /// altered.
  bool storage_rots() const { return disks_[kStorageDisk].rots; }

  NodeId id() const { return id_; }
  SimRaftd& raftd() { return raftd_; }
  const SimRaftd& raftd() const { return raftd_; }
  SimStoraged& storaged() { return storaged_; }
  const SimStoraged& storaged() const { return storaged_; }
  SimRouterd& routerd() { return routerd_; }
  const SimRouterd& routerd() const { return routerd_; }

  // For its processes.
  ManualClock& clock() { return clock_; }
  /// Both clocks to now, by this node's rate.
  void AdvanceClock();
  MemoryFileSystem& disk(std::uint64_t disk) { return *disks_.at(disk).files; }
  /// Its storaged has met damage: somebody rebuilds it, some time later.
  void OnRotFound();
  /// All of its storaged's files were read, and are as they were written.
  void OnFoundWhole();
  void OnAltered(LogIndex index);
  void OnQuarantined() { quarantined_ = true; }
  /// Its storaged's data are others, a snapshot or none.
  void OnDataReplaced() { quarantined_ = false; }
  /// How long a sync takes from now on, with what is left of a stall.
  TimeUs DrawSync(std::uint64_t disk);
  TimeUs StalledFor(std::uint64_t disk) const;
  /// `us` of this node's clock in the simulation's.
  TimeUs FromOwnTime(TimeUs us) const { return us * 1000 / rate_per_mille_; }
  /// After each step of a process: has it to end, or has its disk died?
  void AfterStep(SimProcess& process);
  bool calm() const { return calm_; }

 private:
  struct Disk {
    std::unique_ptr<MemoryFileSystem> files = std::make_unique<MemoryFileSystem>();
    TimeUs stalled_until = 0;
    bool sync_fails = false;  ///< Or has failed, since its process has begun.
    /// Full, or was since its process has begun: what it then did it may still suffer from.
    bool was_full = false;
    bool rots = false;
    bool rot_found = false;
  };

  SimProcess& process(Program program);
  std::optional<std::uint64_t> DiskOf(Program program) const;
  void EndProcess(Program program, MemoryFileSystem::CrashMode mode, ClusterTrace::End why,
                  FrameNetwork::Manner manner);
  void StartOne(Program program);
  void StartLater(Program program, TimeUs delay);
  TimeUs DrawDown();
  bool present() const { return plugged_ && !gone_; }
  void StopNext();
  void OnStopped(Program program);
  void EndRestart(TimeUs delay);

  const NodeId id_;
  const ClusterWorld world_;
  Random random_;
  ManualClock clock_;
  std::uint64_t rate_per_mille_ = 1'000;
  std::uint64_t wall_offset_ms_ = 0;
  std::array<Disk, 2> disks_;
  bool full_ = false;
  bool calm_ = false;
  bool gone_ = false;
  bool plugged_ = true;
  bool away_ = false;
  bool may_be_removed_ = false;
  std::optional<Alteration> to_be_altered_;
  LogIndex altered_at_;
  bool quarantined_ = false;
  std::vector<Program> restarting_;  ///< In order; these end, and then all of them start.
  std::size_t stopping_ = 0;         ///< Which of them is at it.
  SimRaftd raftd_;
  SimStoraged storaged_;
  SimRouterd routerd_;
};

}  // namespace bedrock::sim
