#include "tests/sim/cluster/sim_machine.h"

#include <algorithm>
#include <string>
#include <utility>

namespace bedrock::sim {

using CrashMode = MemoryFileSystem::CrashMode;
using Kind = ClusterTrace::Kind;
using End = ClusterTrace::End;
using Manner = FrameNetwork::Manner;

namespace {

constexpr std::uint64_t kWallMsAtStart = 1'700'000'000'000;
constexpr TimeUs kDownUsMean = 50'000;
/// Between the first read of storaged that meets damage and somebody who does something about it.
constexpr TimeUs kRebuildUsMean = 200'000;
constexpr TimeUs kRebuildUsMeanAltered = 500'000;
constexpr std::array<Program, kProgramsOfNode> kPrograms = {Program::kRaftd, Program::kStoraged,
                                                            Program::kRouterd};

/// All files below a folder, by path, with their sizes.
void FindFiles(MemoryFileSystem& files, const std::string& folder,
               std::vector<std::pair<std::string, std::uint64_t>>& found) {
  auto names = files.List(folder.empty() ? "/" : folder);
  if (!names.ok()) return;
  std::sort(names->begin(), names->end());
  for (const std::string& name : *names) {
    const std::string path = JoinPath(folder, name);
    const auto size = files.FileSize(path);
    if (size.ok()) {
      found.emplace_back(path, *size);
    } else {
      FindFiles(files, path, found);
    }
  }
}

}  // namespace

SimMachine::SimMachine(NodeId id, const ClusterWorld& world, const Random& random)
    : id_(id),
      world_(world),
      random_(random.Fork(1)),
      raftd_({id, Program::kRaftd}, world, *this, random.Fork(2)),
      storaged_({id, Program::kStoraged}, world, *this, random.Fork(3)),
      routerd_({id, Program::kRouterd}, world, *this, random.Fork(4)) {
  plugged_ = id.value() <= world.options.nodes;
  const std::uint64_t skew = world.options.clock_skew_per_mille;
  rate_per_mille_ = random_.Between(1000 - skew, 1000 + skew);
  wall_offset_ms_ = kWallMsAtStart + random_.Below(world.options.wall_skew_ms + 1);
}

void SimMachine::AdvanceClock() {
  const TimeUs own = world_.scheduler.now() * rate_per_mille_ / 1000;
  clock_.AdvanceMonotonicUs(own - clock_.MonotonicUs());
  clock_.SetWallMs(wall_offset_ms_ + own / 1000 * (1 + world_.options.wall_rush));
}

SimProcess& SimMachine::process(Program program) {
  switch (program) {
    case Program::kRaftd:
      return raftd_;
    case Program::kStoraged:
      return storaged_;
    case Program::kRouterd:
    case Program::kClient:
      break;
  }
  return routerd_;
}

std::optional<std::uint64_t> SimMachine::DiskOf(Program program) const {
  if (program == Program::kRaftd) return kRaftDisk;
  if (program == Program::kStoraged) return kStorageDisk;
  return std::nullopt;
}

void SimMachine::Start() {
  for (const Program program : kPrograms) StartOne(program);
}

void SimMachine::StartOne(Program program) {
  if (!present() || (program == Program::kRaftd && raftd_.refused())) return;
  if (program == Program::kRouterd && raftd_.forgetful()) return;  // nobody asks it
  process(program).Start();
}

void SimMachine::PlugIn() {
  plugged_ = true;
  Start();
}

void SimMachine::StartLater(Program program, TimeUs delay) {
  world_.scheduler.After(calm_ ? 0 : delay, [this, program] { StartOne(program); });
}

TimeUs SimMachine::DrawDown() { return DrawExponential(random_, kDownUsMean); }

void SimMachine::EndProcess(Program program, CrashMode mode, End why, Manner manner) {
  SimProcess& dies = process(program);
  if (dies.up()) {
    world_.trace.Add(world_.scheduler.now(), Kind::kEnd, dies.address(),
                     static_cast<std::uint64_t>(why));
  }
  // The files die first: what destructors do must not reach them.
  if (const auto number = DiskOf(program)) {
    Disk& disk = disks_.at(*number);
    if (dies.up() || mode != CrashMode::kProcessOnly) disk.files->Crash(random_, mode);
    if (number == kStorageDisk && mode != CrashMode::kProcessOnly) world_.checkers.OnPowerCut(id_);
    disk.sync_fails = false;
    disk.was_full = full_;
  }
  dies.End(manner);
  // Who is killed in the middle of a restart comes back, and the others with it.
  if (why != End::kInOrder && !restarting_.empty()) EndRestart(DrawDown());
}

// ---- Restarts in order, as scripts/cluster.sh does them

void SimMachine::RestartInOrder(std::uint64_t program) {
  if (!present() || calm_ || !restarting_.empty()) return;
  // The router first: what it was asked for is answered while the others still run.
  for (const Program each : {Program::kRouterd, Program::kRaftd, Program::kStoraged}) {
    const bool meant = program >= kAllPrograms || program == static_cast<std::uint64_t>(each);
    if (meant && process(each).up()) restarting_.push_back(each);
  }
  stopping_ = 0;
  StopNext();
}

void SimMachine::StopNext() {
  while (stopping_ < restarting_.size() && !process(restarting_[stopping_]).up()) ++stopping_;
  if (stopping_ < restarting_.size()) return process(restarting_[stopping_]).BeginStop();
  if (!restarting_.empty()) ++world_.stats.restarts;
  EndRestart(0);
}

void SimMachine::OnStopped(Program program) {
  EndProcess(program, CrashMode::kProcessOnly, End::kInOrder, Manner::kTold);
  const bool meant =
      std::find(restarting_.begin(), restarting_.end(), program) != restarting_.end();
  // Else the restart that it was part of was broken off.
  return meant ? StopNext() : StartLater(program, DrawDown());
}

void SimMachine::EndRestart(TimeUs delay) {
  for (const Program each : std::exchange(restarting_, {})) StartLater(each, delay);
}

void SimMachine::Kill(Program program, TimeUs down_us) {
  if (!process(program).up()) return;
  ++world_.stats.kills;
  EndProcess(program, CrashMode::kProcessOnly, End::kKilled, Manner::kTold);
  StartLater(program, down_us);
}

void SimMachine::PowerCut(CrashMode mode, TimeUs down_us) {
  if (!present()) return;
  ++world_.stats.power_cuts;
  for (const Program program : kPrograms) {
    EndProcess(program, mode, End::kPowerCut, Manner::kQuietly);
    StartLater(program, down_us);
  }
}

void SimMachine::AfterStep(SimProcess& done) {
  if (world_.checkers.failed()) return;
  if (disks_[kRaftDisk].files->crashed() || disks_[kStorageDisk].files->crashed()) {
    ++world_.stats.crash_points;
    PowerCut(CrashMode::kRandom, DrawDown());
    return;
  }
  if (done.stopped()) {
    OnStopped(done.address().program);
    return;
  }
  if (!done.doomed()) return;
  if (&done == &raftd_ && raftd_.refused() && may_be_removed_) {
    EndProcess(Program::kRaftd, CrashMode::kProcessOnly, End::kForEver, Manner::kTold);
    return;
  }
  const auto number = DiskOf(done.address().program);
  const Disk* disk = number ? &disks_.at(*number) : nullptr;
  if (disk != nullptr && disk->rots && !altered_at_ && !disk->sync_fails && !disk->was_full &&
      !full_) {
    // It can't serve what it finds: an operator has to see to it.
    if (!disk->rot_found) ++world_.stats.rot_found;
    RebuildStorage(DrawDown());
    return;
  }
  if (disk == nullptr || (!disk->sync_fails && !disk->was_full && !full_)) {
    world_.checkers.Fail("processes live on disks that work",
                         FormatAddress(done.address()) + ": " + done.doom());
    return;
  }
  // It may be started again on a cache that shows what a failed sync never wrote (fsyncgate); or
  // somebody restarts the machine.
  if (random_.Chance(1, 3)) {
    PowerCut(CrashMode::kRandom, DrawDown());
    return;
  }
  const Program program = done.address().program;
  EndProcess(program, CrashMode::kProcessOnly, End::kDisk, Manner::kTold);
  StartLater(program, DrawDown());
}

void SimMachine::ArmCrashPoint(std::uint64_t disk, std::uint64_t calls) {
  MemoryFileSystem& files = *disks_.at(disk).files;
  if (calm_ || !present() || files.crashed()) return;
  files.CrashAtMutation(files.mutations() + calls);
}

void SimMachine::Pause(Program program, TimeUs us) {
  if (calm_ || process(program).life() != SimProcess::Life::kUp) return;
  ++world_.stats.pauses;
  process(program).Pause(us);
}

void SimMachine::Stall(std::uint64_t disk, TimeUs us) {
  if (calm_) return;
  ++world_.stats.stalls;
  disks_.at(disk).stalled_until = world_.scheduler.now() + us;
}

TimeUs SimMachine::StalledFor(std::uint64_t disk) const {
  const TimeUs until = disks_.at(disk).stalled_until;
  return until > world_.scheduler.now() ? until - world_.scheduler.now() : 0;
}

TimeUs SimMachine::DrawSync(std::uint64_t disk) {
  return StalledFor(disk) + random_.Below(world_.options.sync_us_max + 1);
}

void SimMachine::Fill(std::uint64_t room, TimeUs us) {
  if (full_ || calm_ || !present()) return;
  ++world_.stats.full_disks;
  full_ = true;
  for (Disk& disk : disks_) {
    const std::uint64_t free = disk.files->FreeSpace("/").value_or(0);
    disk.files->SetCapacity(MemoryFileSystem::kUnlimited - free + room);
    disk.was_full = true;
  }
  world_.scheduler.After(us, [this] {
    full_ = false;
    for (Disk& disk : disks_) disk.files->SetCapacity(MemoryFileSystem::kUnlimited);
  });
}

void SimMachine::FailSync(std::uint64_t number) {
  Disk& disk = disks_.at(number);
  if (calm_ || !present() || disk.files->crashed()) return;
  ++world_.stats.failed_syncs;
  disk.sync_fails = true;
  disk.files->Inject({.operations = {MemoryFileSystem::Operation::kSync},
                      .path_suffix = "",
                      .nth = 1,
                      .forever = MemoryFileSystem::Forever::kNo,
                      .error = StatusCode::kIoError});
}

void SimMachine::Calm() {
  calm_ = true;
  full_ = false;
  for (Disk& disk : disks_) {
    disk.stalled_until = 0;
    disk.files->SetCapacity(MemoryFileSystem::kUnlimited);
    if (disk.files->crashed()) continue;
    disk.files->ClearFaults();
    disk.files->CrashAtMutation(UINT64_MAX);
  }
  storaged_.DisarmFetchCrash();
  // It is looked for when it starts.
  to_be_altered_.reset();
  if (storage_rots() && !altered_at_) {
    EndProcess(Program::kStoraged, CrashMode::kProcessOnly, End::kKilled, Manner::kTold);
  }
  Start();
}

void SimMachine::StopForEver() {
  if (gone_) return;
  for (const Program program : kPrograms) {
    EndProcess(program, CrashMode::kProcessOnly, End::kForEver, Manner::kTold);
  }
  gone_ = away_ = true;
}

void SimMachine::ReturnEmpty() {
  ++world_.stats.returned;
  for (const Program program : kPrograms) {
    EndProcess(program, CrashMode::kProcessOnly, End::kRebuilt, Manner::kQuietly);
  }
  for (Disk& disk : disks_) disk = Disk();
  altered_at_ = LogIndex();
  OnDataReplaced();
  may_be_removed_ = away_ = true;
  raftd_.OnForgotten();
  world_.checkers.OnWiped(id_);
  StartLater(Program::kStoraged, DrawDown());
  StartLater(Program::kRaftd, DrawDown());
}

// ---- Data that are lost, or rot

void SimMachine::RebuildStorage(TimeUs down_us) {
  ++world_.stats.rebuilt;
  EndProcess(Program::kStoraged, CrashMode::kProcessOnly, End::kRebuilt, Manner::kTold);
  Disk& disk = disks_[kStorageDisk];
  disk.files = std::make_unique<MemoryFileSystem>();
  disk.rots = disk.rot_found = false;
  altered_at_ = LogIndex();
  OnDataReplaced();
  world_.checkers.OnWiped(id_);
  StartLater(Program::kStoraged, down_us);
}

bool SimMachine::LetRot(std::uint64_t draw) {
  MemoryFileSystem& files = *disks_[kStorageDisk].files;
  if (calm_ || !present() || files.crashed()) return false;
  std::vector<std::pair<std::string, std::uint64_t>> found;
  FindFiles(files, "", found);
  std::erase_if(found, [](const auto& file) { return file.second == 0; });
  if (found.empty()) return false;
  const auto& [path, size] = found[draw % found.size()];
  const std::uint64_t bit = HashMix(draw, size) % (8 * size);
  if (!files.FlipBit(path, bit).ok()) return false;
  ++world_.stats.rotten_bits;
  disks_[kStorageDisk].rots = true;
  world_.checkers.OnRot(id_);
  return true;
}

void SimMachine::OnRotFound() {
  Disk& disk = disks_[kStorageDisk];
  if (std::exchange(disk.rot_found, true)) return;
  if (altered_at_) {
    ++world_.stats.alterations_found;
  } else if (!calm_) {
    ++world_.stats.rot_found;
  }
  const TimeUs mean = world_.options.alters != 0 ? kRebuildUsMeanAltered : kRebuildUsMean;
  world_.scheduler.After(calm_ ? 0 : DrawExponential(random_, mean), [this] {
    if (storage_rots() && present()) RebuildStorage(DrawDown());
  });
}

void SimMachine::OnFoundWhole() {
  disks_[kStorageDisk].rots = disks_[kStorageDisk].rot_found = false;
  altered_at_ = LogIndex();
  world_.checkers.OnFoundWhole(id_);
}

void SimMachine::OnAltered(LogIndex index) {
  ++world_.stats.altered;
  to_be_altered_.reset();
  altered_at_ = index;
  disks_[kStorageDisk].rots = true;
  world_.checkers.OnAltered(id_);
}

}  // namespace bedrock::sim
