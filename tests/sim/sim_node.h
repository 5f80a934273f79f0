#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/base/typed_bool.h"
#include "common/env/manual_clock.h"
#include "common/env/manual_executor.h"
#include "common/env/memory_file_system.h"
#include "common/env/random.h"
#include "raftd/core/raft.h"
#include "raftd/log/raft_log.h"
#include "tests/sim/sim_checkers.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_network.h"
#include "tests/sim/sim_options.h"
#include "tests/sim/sim_rules.h"
#include "tests/sim/sim_scheduler.h"
#include "tests/sim/sim_stats.h"
#include "tests/sim/sim_trace.h"

namespace bedrock::sim {

class SimNode;

/// What all parts of a run share. Borrowed.
struct SimWorld {
  const SimOptions& options;
  SimScheduler& scheduler;
  SimTrace& trace;
  SimCheckers& checkers;
  SimStats& stats;
  /// For the state machines, which fetch snapshots from each other.
  const std::function<SimNode*(NodeId)>& find;
};

/// One raftd and its state machine: the real core and the real log, in a shell that carries out
/// what the core asks as raftd's driver does, but on simulated time, files and links. One thread.
///
/// Writes are submitted, messages of `now` leave, the log syncs some time later, and the core hears
/// of it some time after that; so messages, cuts and crashes fall between any two of these.
class SimNode {
 public:
  enum class Life : std::uint8_t { kUp, kPaused, kDown };
  static constexpr char kDirectory[] = "raft";
  using LoseStateMachine = TypedBool<struct LoseStateMachineTag>;

  SimNode(NodeId id, const SimWorld& world, SimNetwork& network, const Random& random);
  ~SimNode();
  SimNode(const SimNode&) = delete;
  SimNode& operator=(const SimNode&) = delete;

  // What happens to it. Each is fine in every life.
  void Start();
  void Receive(NodeId from, const SimNetwork::MessagePtr& message);
  void Propose(const std::vector<std::uint64_t>& proposals, std::uint64_t payload_bytes);
  void Read(raft::Ticket ticket);
  void Transfer(NodeId to);
  void Reconfigure(const raft::Delta& delta);
  void LinkReset(NodeId member);
  /// Ends the process, and starts it again after `down_us`.
  void Crash(MemoryFileSystem::CrashMode mode, LoseStateMachine lose, TimeUs down_us);
  /// Only the state machine's process ends; it comes back as it was durably.
  void RestartStateMachine();
  /// It comes back with nothing.
  void WipeStateMachine();
  /// Crashes in the middle of the `calls`-th next call that changes the disk.
  void ArmCrashPoint(std::uint64_t calls);
  /// The same, counted from the log's next sync: torn batches come from there.
  void ArmCrashInSync(std::uint64_t calls);
  /// Or the next write.
  void FailNextSync();
  void FillDisk(TimeUs us);
  /// Room runs out: as the driver does, it tells the core while small writes still work (R75).
  void RunLowOnSpace(TimeUs us);
  void StallDisk(TimeUs us);
  /// Something durable of the log rots, where there is something that may. False: there is not.
  bool RotLog();
  /// Ends the process, takes the end of its log, and starts it again after `down_us`.
  bool LoseLogTail(TimeUs down_us);
  void Pause(TimeUs us);
  void SetClock(std::uint64_t rate_per_mille);
  /// Ends all faults of its own and starts it where it is down; nothing of that kind comes again.
  void Calm();
  void StopForEver();
  void RuinAndStopForEver();

  NodeId id() const { return id_; }
  Life life() const { return life_; }
  /// None while it is down.
  std::optional<raft::View> view() const;
  LogIndex applied() const { return machine_.now.applied; }
  LogIndex durable_applied() const { return machine_.durable.applied; }
  /// Its state machine lost everything and has not come back to where it was.
  bool wiped() const { return static_cast<bool>(wiped_at_); }
  /// Of this process's life: another one after each restart.
  std::uint64_t incarnation() const { return incarnation_; }
  /// For ever.
  bool gone() const { return gone_; }
  /// REQUIRES: view().
  const raft::Membership& membership() const { return raft_->membership(); }

 private:
  /// The state machine: a hash chain over what it has applied, and how much of it is durable.
  struct Machine {
    MachineState now;
    MachineState durable;
  };

  /// A snapshot of another node's state machine on its way here.
  struct Fetching {
    NodeId from;
    std::uint64_t incarnation = 0;  ///< The source's.
    MachineState state;
    std::uint64_t pieces_left = 0;
  };

  /// A scrub has to tell of this segment before it has been through twice.
  struct ScrubOwes {
    std::uint64_t segment = 0;  ///< 0: of none.
    LogIndex last;              ///< No entry of it is higher, nor was since one was cut.
    std::uint64_t incarnation = 0;
    int passes = 0;
  };

  /// Where an input comes from. Those of one source keep their order.
  enum class Source : std::uint8_t { kPeers, kClients, kProcess };

  /// Runs an input in this life of the process: later when it is paused, never when it has ended.
  void Run(std::uint64_t incarnation, Source source, const std::function<void()>& input);
  void Resume();
  void Later(TimeUs delay, std::function<void()> input);

  void Drain();
  void HearGarbled(NodeId from, const raft::Message& message);
  void Observe(const raft::Output& output);
  void CarryOut(raft::Output output);
  void Send(raft::Outgoing outgoing);
  void Submit(const raft::Write& write);
  void SubmitWaiting();
  void Sync();
  void Synced(raft::WriteSeq seq);
  void Report(raft::WriteSeq seq);
  void SyncIdle(std::uint64_t writes);
  void Apply();
  void ApplyEntry(const raft::Entry& entry);
  void DoFetch(const raft::Fetch& fetch);
  /// Tells the core what the state machine holds, as raftd does when storaged (re)starts.
  void TellMachine();
  void OnWish(const raft::SnapshotWanted& wish);
  void FetchLater();
  void FetchSnapshot();
  void OpenSnapshot();
  void BreakOff();
  void Install();
  bool Reaches(const SimNode& source) const;
  MachineState Checkpoint();
  TimeUs DrawPiece();
  void TellPressure();
  void RunJobs();
  void Tick();
  void CheckStall();
  void TellSpace();
  void TellRoom();
  void Scrub();
  void CheckScrubbed();
  TimeUs TickInterval() const { return world_.options.tick_us * rate_per_mille_ / 1000; }
  raft::Limits DrawLimits();
  /// As the driver does at the end of a turn where leases are on: tells the time once more.
  void TellTime();
  void CheckEntriesWhileFull(const raft::Write& write);
  bool IsSoleVoter() const;
  raft::LogOptions MakeLogOptions() const;
  void TakeUp(std::unique_ptr<raft::RaftLog> log);
  void CheckCommitted(const raft::Recovered& recovered);
  void RefuseToStart(const Status& status);
  Result<std::vector<raft::Entry>> ReadBack(const raft::Recovered& recovered);
  Result<std::vector<raft::Entry>> ReadAll(LogIndex first, LogIndex last);
  /// After each call to the log or its jobs. False, and the process has ended, where it failed.
  bool Survives(const Status& status, std::string_view doing);
  void Die();
  void CheckReserveUsed(const raft::Write& write);
  TimeUs DrawDiskSync();
  TimeUs DrawApply();
  TimeUs DrawDown() { return DrawExponential(disk_.random(), world_.options.down_us_mean); }
  TimeUs now() const { return world_.scheduler.now(); }
  void Trace(SimTrace::Kind kind, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) {
    world_.trace.Add(now(), kind, id_.value(), a, b, c);
  }

  const NodeId id_;
  const SimWorld world_;
  SimNetwork& network_;
  SimDisk disk_;
  Random machine_random_;
  Random core_random_;
  Random garble_random_;

  ManualClock clock_;
  ManualExecutor executor_;
  const Environment environment_;

  Life life_ = Life::kDown;
  std::uint64_t incarnation_ = 0;
  bool calm_ = false;
  bool gone_ = false;
  std::array<std::deque<std::function<void()>>, 3> paused_inputs_;  // by Source

  std::unique_ptr<raft::RaftLog> log_;
  std::unique_ptr<raft::Raft> raft_;
  std::unique_ptr<SimRules> rules_;
  bool lease_reads_ = false;  ///< In this life of the process.
  bool promised_ = false;     ///< In any.
  raft::Role role_ = raft::Role::kFollower;
  LogIndex commit_;
  std::deque<raft::HeldMessage> held_;
  bool sync_scheduled_ = false;
  std::deque<raft::Write> waiting_;  ///< Empty unless the front of it found no room.
  bool stuck_ = false;
  bool room_wanted_ = false;
  raft::WriteSeq synced_;
  std::uint64_t writes_ = 0;
  TimeUs unsynced_since_ = 0;  ///< 0: nothing waits.
  TimeUs report_at_ = 0;
  bool told_stalled_ = false;
  bool jobs_scheduled_ = false;

  Machine machine_;
  std::deque<raft::ApplyRange> to_apply_;
  bool apply_scheduled_ = false;
  LogIndex handed_;
  /// The state machine is a copy of another's, and the core has not heard yet.
  bool installed_ = false;
  LogIndex wiped_at_;  ///< Where it was when it lost everything; 0: it is whole.
  raft::SnapshotWanted wish_;
  std::optional<Fetching> fetching_;
  bool fetch_scheduled_ = false;
  raft::LogPressure pressure_;
  std::map<LogIndex, Term> proposed_;  ///< Waiting for their entry to be applied here.

  std::uint64_t rate_per_mille_ = 1'000;
  std::uint64_t crash_in_sync_ = 0;  ///< 0: none.
  bool low_on_space_ = false;
  bool little_is_left_ = false;  ///< Low on space, but not without any.
  bool told_low_ = false;        ///< The core, in this life of the process.
  bool told_full_ = false;       ///< The same.
  bool vote_slot_lost_ = false;  ///< When the log was opened last.
  bool hurt_before_ = false;     ///< Its log rotted, or lost its end, once.
  ScrubOwes scrub_owes_;
  /// What is left of a log that lost its end tells of so many committed entries, when it starts.
  std::optional<LogIndex> committed_by_rest_;
};

}  // namespace bedrock::sim
