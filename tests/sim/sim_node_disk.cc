// What a simulated node does with its log, as raftd's driver and log writer do, and what becomes of
// it when the disk fails.

#include <algorithm>
#include <string>
#include <utility>

#include "raftd/log/segment_format.h"
#include "tests/sim/sim_node.h"
#include "tests/sim/sim_rot.h"

namespace bedrock::sim {

using Kind = SimTrace::Kind;

namespace {

constexpr TimeUs kIdleUs = 10'000;
/// What a segment holds beside records, at most, and a record beside its payload.
constexpr std::uint64_t kSegmentOverheadBytes = 12 * kKiB;
constexpr std::uint64_t kRecordBytesMax = 64;
constexpr TimeUs kJobUsMax = 3'000;
/// As the driver's.
constexpr TimeUs kFullRetryUs = 100'000;
constexpr std::size_t kScrubBytes = 32 * kKiB;

}  // namespace

/// A leader's empty entries are among the small writes that there is room for.
void SimNode::CheckEntriesWhileFull(const raft::Write& write) {
  if (!told_full_) return;
  const bool leads = raft_->GetView().role == raft::Role::kLeader;
  for (const raft::Entry& entry : write.entries) {
    if (leads && entry.kind == raft::EntryKind::kNoop) continue;
    world_.checkers.Fail("a node without room takes no entries", FormatNodeId(id_));
  }
}

void SimNode::Submit(const raft::Write& write) {
  ++writes_;
  CheckEntriesWhileFull(write);
  Trace(Kind::kWrite, write.seq.value(), write.cut_from.value_or(LogIndex()).value(),
        write.entries.size());
  if (write.reset_to) {
    ++world_.stats.resets;
    scrub_owes_ = {};
  }
  if (write.cut_from) scrub_owes_.last = std::min(scrub_owes_.last, write.cut_from->Prev());
  if (unsynced_since_ == 0) unsynced_since_ = now();
  waiting_.push_back(write);
  if (!stuck_) SubmitWaiting();
  if (raft_ == nullptr || stuck_) return;
  if (!std::exchange(sync_scheduled_, true)) Later(DrawDiskSync(), [this] { Sync(); });
}

/// As the driver's log writer: what finds no room waits for some, and all that comes after it, too;
/// what the log has taken is synced (R75).
void SimNode::SubmitWaiting() {
  stuck_ = false;
  while (!waiting_.empty() && !stuck_) {
    const Status submitted = log_->Submit(waiting_.front());
    stuck_ = submitted.IsNoSpace() && disk_.full();
    if (!stuck_ && !Survives(submitted, "submit")) return;
    if (!stuck_) waiting_.pop_front();
  }
  RunJobs();
  if (!stuck_) return;
  ++world_.stats.stuck_writes;
  CheckReserveUsed(waiting_.front());
  const auto seq = log_->Sync();
  if (!Survives(seq.status(), "sync with a full disk")) return;
  if (*seq > synced_) Synced(*seq);
  TellRoom();
}

/// Small writes still fit, or not even they: the core is told, and the log asked again and again.
void SimNode::TellRoom() {
  told_low_ = low_on_space_ || stuck_;
  told_full_ = stuck_ || (low_on_space_ && !little_is_left_);
  raft_->RoomLow(told_low_);
  raft_->DiskFull(told_full_);
  const auto little = told_low_ ? SimRules::Room::kLittle : SimRules::Room::kEnough;
  rules_->OnRoom(told_full_ ? SimRules::Room::kNone : little);
  if (!stuck_ || std::exchange(room_wanted_, true)) return;
  Later(kFullRetryUs, [this] {
    room_wanted_ = false;
    const std::size_t waited = waiting_.size();
    SubmitWaiting();
    if (raft_ == nullptr) return;
    const bool more = waiting_.size() < waited && !stuck_;
    if (more && !std::exchange(sync_scheduled_, true)) Later(DrawDiskSync(), [this] { Sync(); });
    TellRoom();
    Drain();
  });
}

/// The next segment is there before it is needed, and taken before a full disk stops the log (R75).
void SimNode::CheckReserveUsed(const raft::Write& write) {
  // One that needs a segment of its own size has no reserve.
  std::uint64_t needed = kSegmentOverheadBytes;
  for (const raft::Entry& entry : write.entries) needed += entry.payload.size() + kRecordBytesMax;
  if (needed > world_.options.segment_bytes) return;
  const auto names = disk_.files().List(std::string(kDirectory) + "/log");
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!name.ends_with(raft::kSpareSuffix)) continue;
    const auto bytes = disk_.files().FileSize(std::string(kDirectory) + "/log/" + name);
    if (bytes.ok() && *bytes == world_.options.segment_bytes) {
      world_.checkers.Fail("a log uses its reserve before a full disk stops it", name);
    }
  }
}

TimeUs SimNode::DrawDiskSync() {
  const TimeUs latency = disk_.random().Below(world_.options.sync_us_max + 1);
  const TimeUs stalled_until = disk_.stalled_until(now());
  return stalled_until == 0 ? latency : stalled_until - now() + latency;
}

void SimNode::Sync() {
  if (disk_.stalled_until(now()) != 0) {
    Later(DrawDiskSync(), [this] { Sync(); });
    return;
  }
  sync_scheduled_ = false;
  if (const std::uint64_t calls = std::exchange(crash_in_sync_, 0)) ArmCrashPoint(calls);
  const auto seq = log_->Sync();
  if (!Survives(seq.status(), "sync")) return;
  RunJobs();
  Synced(*seq);
  if (!stuck_) unsynced_since_ = 0;
  TellRoom();
  Later(kIdleUs, [this, writes = writes_] { SyncIdle(writes); });
  Drain();
}

void SimNode::Synced(raft::WriteSeq seq) {
  synced_ = seq;
  Trace(Kind::kSync, seq.value());
  world_.checkers.OnSynced(id_, seq);
  TellPressure();
  // Reports keep their order, however long each takes.
  const TimeUs delay = disk_.random().Below(world_.options.report_us_max + 1);
  report_at_ = std::max(report_at_, now() + delay);
  Later(report_at_ - now(), [this, seq] { Report(seq); });
}

void SimNode::Report(raft::WriteSeq seq) {
  Trace(Kind::kDurable, seq.value());
  world_.checkers.OnReported(id_, seq);
  raft_->Durable(seq);
  rules_->OnDurable();
  if (std::exchange(told_stalled_, false)) raft_->DiskStalled(false);
  while (!held_.empty() && held_.front().after <= seq) {
    world_.checkers.OnReleased(id_, held_.front());
    raft::Outgoing outgoing = std::move(held_.front().outgoing);
    held_.pop_front();
    Send(std::move(outgoing));
  }
  Drain();
}

void SimNode::SyncIdle(std::uint64_t writes) {
  if (writes == writes_ && Survives(log_->SyncIdle(), "sync when idle")) RunJobs();
}

void SimNode::TellPressure() {
  const std::uint64_t bytes_max = world_.options.log_bytes_max;
  if (bytes_max == 0) return;
  const raft::LogPressure pressure{log_->LastBeyond(bytes_max), log_->LastBeyond(2 * bytes_max)};
  if (pressure == std::exchange(pressure_, pressure)) return;
  raft_->SetLogPressure(pressure);
}

/// The log's background jobs, one at a time, some time later.
void SimNode::RunJobs() {
  if (executor_.waiting() == 0 || std::exchange(jobs_scheduled_, true)) return;
  Later(disk_.random().Below(kJobUsMax + 1), [this] {
    jobs_scheduled_ = false;
    executor_.RunOne();
    if (Survives(Status::Ok(), "run a job")) RunJobs();
  });
}

void SimNode::ArmCrashPoint(std::uint64_t calls) {
  if (life_ == Life::kDown || calm_ || disk_.crashed()) return;
  Trace(Kind::kFault, calls);
  disk_.CrashAfter(calls);
}

void SimNode::ArmCrashInSync(std::uint64_t calls) {
  if (life_ != Life::kDown && !calm_) crash_in_sync_ = calls;
}

void SimNode::FailNextSync() {
  if (life_ == Life::kDown || calm_) return;
  ++world_.stats.failed_syncs;
  Trace(Kind::kFault, 0);
  disk_.FailNext();
}

void SimNode::FillDisk(TimeUs us) {
  if (disk_.full() || calm_) return;
  ++world_.stats.full_disks;
  Trace(Kind::kFull, us);
  disk_.Fill();
  world_.scheduler.After(us, [this] { disk_.MakeRoom(); });
}

void SimNode::RunLowOnSpace(TimeUs us) {
  if (low_on_space_ || calm_) return;
  ++world_.stats.low_spaces;
  low_on_space_ = true;
  little_is_left_ = machine_random_.Chance(1, 2);
  Trace(Kind::kLowSpace, us);
  TellSpace();
  world_.scheduler.After(us, [this] {
    low_on_space_ = false;
    TellSpace();
  });
}

void SimNode::TellSpace() {
  Run(incarnation_, Source::kProcess, [this] {
    TellRoom();
    Drain();
  });
}

void SimNode::StallDisk(TimeUs us) {
  if (calm_) return;
  ++world_.stats.stalls;
  Trace(Kind::kStall, us);
  disk_.StallUntil(now() + us);
}

// ---- Rot and loss

/// A few bytes of the log or of the vote file change.
bool SimNode::RotLog() {
  if (calm_ || gone_ || disk_.crashed() || disk_.fails()) return false;
  // What is on its way to the disk, or off it, is left alone.
  if (executor_.waiting() > 0) return false;
  Random& random = disk_.random();
  const bool at_rest = life_ != Life::kDown && unsynced_since_ == 0;
  if (random.Chance(1, 6)) {
    if (!RotVoteSlot(disk_.files(), kDirectory, random)) return false;
    Trace(Kind::kRot, 0, 0);
  } else {
    const auto rotted = RotBatch(disk_.files(), kDirectory,
                                 at_rest ? RotIn::kAllSegments : RotIn::kClosedSegments, random);
    if (!rotted) return false;
    Trace(Kind::kRot, rotted->segment, rotted->offset);
    // Each segment is told once.
    if (rotted->surely && rotted->closed && !hurt_before_) {
      scrub_owes_ = {.segment = rotted->segment, .last = rotted->last, .incarnation = incarnation_};
    }
  }
  hurt_before_ = true;
  ++world_.stats.rotted;
  world_.checkers.OnDiskHurt(id_);
  return true;
}

/// The process dies, and the end of its log is gone when it comes back. The state machine may live
/// on, ahead of what is left (R74).
bool SimNode::LoseLogTail(TimeUs down_us) {
  if (calm_ || gone_ || life_ == Life::kDown) return false;
  const bool keeps = machine_random_.Chance(1, 2);
  Crash(keeps ? MemoryFileSystem::CrashMode::kProcessOnly
              : MemoryFileSystem::CrashMode::kLoseUnsynced,
        LoseStateMachine(!keeps), down_us);
  if (!LoseTail(disk_.files(), kDirectory, disk_.random())) return false;
  hurt_before_ = true;
  committed_by_rest_ = CommittedByRecords(disk_.files(), kDirectory);
  ++world_.stats.lost_tails;
  Trace(Kind::kLost);
  world_.checkers.OnDiskHurt(id_);
  return true;
}

/// Its disk has lost what no log can do without, or is another node's: it must not start again.
void SimNode::RuinAndStopForEver() {
  if (life_ != Life::kDown)
    Crash(MemoryFileSystem::CrashMode::kLoseUnsynced, LoseStateMachine::kYes, 0);
  gone_ = true;
  raft::LogOptions options = MakeLogOptions();
  std::string what = "the node that it belongs to";
  if (disk_.random().Chance(1, 6)) {
    options.node = NodeId(world_.options.nodes + 1);
  } else {
    what = RuinLog(disk_.files(), kDirectory, disk_.random());
    if (what.empty()) return;
  }
  const auto log =
      raft::RaftLog::Open(environment_, options, InitialMembership(world_.options, id_));
  executor_.Clear();
  ++world_.stats.ruined_logs;
  if (!log.status().IsCorruption()) {
    world_.checkers.Fail("a log that lacks what it promised by does not start",
                         FormatNodeId(id_) + " lacks " + what + ": " + log.status().ToString());
  }
}

/// A damaged log that can't tell its promises stays away for ever, too.
void SimNode::RefuseToStart(const Status& status) {
  if (!vote_slot_lost_) {
    world_.checkers.Fail("a damaged log refuses to start only where the vote can't be told",
                         FormatNodeId(id_) + ": " + status.ToString());
    return;
  }
  ++world_.stats.refused_logs;
  gone_ = true;
  life_ = Life::kDown;
  ++incarnation_;
  executor_.Clear();
}

void SimNode::Scrub() {
  const auto scrubbed = log_->Scrub(kScrubBytes);
  if (!Survives(scrubbed.status(), "scrub")) return;
  if (scrubbed->damage) {
    scrub_owes_ = {};
    ++world_.stats.scrub_finds;
    Trace(Kind::kScrubbed, scrubbed->damage->segment, scrubbed->damage->offset);
    if (!world_.checkers.IsHurt(id_)) {
      world_.checkers.Fail("a scrub tells of damage where there is some", FormatNodeId(id_));
      return;
    }
    // As the driver: recovery has to look at it, if others can refill what it finds.
    if (scrubbed->damage->recoverable && raft_->membership().voters.size() > 1 &&
        raft_->GetView().leader) {
      Crash(MemoryFileSystem::CrashMode::kProcessOnly, LoseStateMachine::kNo, 0);
      return;
    }
  }
  if (scrubbed->done) CheckScrubbed();
  Later(world_.options.scrub_us, [this] { Scrub(); });
}

/// All closed segments were read. The pass may have been under way when bytes rotted, the next was
/// not.
void SimNode::CheckScrubbed() {
  if (scrub_owes_.segment == 0 || scrub_owes_.incarnation != incarnation_) return;
  if (++scrub_owes_.passes < 2) return;
  const ScrubOwes owed = std::exchange(scrub_owes_, {});
  // Once its entries are compacted the segment is none of the log's, though its file may be there.
  if (raft_->GetView().first_index > owed.last) return;
  world_.checkers.Fail("a scrub finds what has rotted",
                       FormatNodeId(id_) + " segment " + std::to_string(owed.segment));
}

}  // namespace bedrock::sim
