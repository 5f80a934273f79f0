// What a simulated node does with its log, as raftd's driver and log writer do, and what becomes of
// it when the disk fails.

#include <algorithm>
#include <string>
#include <utility>

#include "raftd/log/segment_format.h"
#include "tests/sim/sim_node.h"

namespace bedrock::sim {

using Kind = SimTrace::Kind;

namespace {

constexpr TimeUs kIdleUs = 10'000;
/// What a segment holds beside records, at most, and a record beside its payload.
constexpr std::uint64_t kSegmentOverheadBytes = 12 * kKiB;
constexpr std::uint64_t kRecordBytesMax = 64;
constexpr TimeUs kJobUsMax = 3'000;

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
  const Status submitted = log_->Submit(write);
  if (submitted.IsNoSpace()) CheckReserveUsed(write);
  if (!Survives(submitted, "submit")) return;
  if (write.reset_to) ++world_.stats.resets;
  RunJobs();
  if (unsynced_since_ == 0) unsynced_since_ = now();
  if (!std::exchange(sync_scheduled_, true)) Later(DrawDiskSync(), [this] { Sync(); });
}

/// The next segment is there before it is needed, and taken before a full disk stops the log (R75).
void SimNode::CheckReserveUsed(const raft::Write& write) {
  // One that needs a segment of its own size has no reserve.
  std::uint64_t needed = kSegmentOverheadBytes;
  for (const raft::Entry& entry : write.entries) needed += entry.payload.size() + kRecordBytesMax;
  if (needed > world_.options.segment_bytes) return;
  const auto names = disk_.files().List("raft/log");
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!name.ends_with(raft::kSpareSuffix)) continue;
    const auto bytes = disk_.files().FileSize("raft/log/" + name);
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
  Trace(Kind::kSync, seq->value());
  world_.checkers.OnSynced(id_, *seq);
  TellPressure();
  unsynced_since_ = 0;
  // Reports keep their order, however long each takes.
  const TimeUs delay = disk_.random().Below(world_.options.report_us_max + 1);
  report_at_ = std::max(report_at_, now() + delay);
  Later(report_at_ - now(), [this, seq = *seq] { Report(seq); });
  Later(kIdleUs, [this, writes = writes_] { SyncIdle(writes); });
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
    network_.Send(id_, outgoing.to, std::move(outgoing.message));
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

void SimNode::TellRoom() {
  told_low_ = low_on_space_;
  told_full_ = low_on_space_ && !little_is_left_;
  raft_->RoomLow(told_low_);
  raft_->DiskFull(told_full_);
}

void SimNode::StallDisk(TimeUs us) {
  if (calm_) return;
  ++world_.stats.stalls;
  Trace(Kind::kStall, us);
  disk_.StallUntil(now() + us);
}

}  // namespace bedrock::sim
