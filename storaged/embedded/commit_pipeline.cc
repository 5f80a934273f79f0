#include "storaged/embedded/commit_pipeline.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace bedrock::embedded {
namespace {

/// What the fast way encodes into is kept from commit to commit, up to this size.
constexpr std::size_t kScratchBytesKept = 1 * kMiB;

using engine::wal::Durability;

}  // namespace

CommitPipeline::CommitPipeline(const Parts& parts, History history)
    : parts_(parts), history_(std::move(history)) {
  group_.reserve(kGroupWritersMax);
}

// ---- Writers

Result<Version> CommitPipeline::CommitOne(const Change& change, Sync sync) {
  if (sync == Sync::kNo) {
    auto committed = TryCommitAlone(
        [&] {
          scratch_.Clear();
          change.AddTo(scratch_);
          return scratch_.encoded();
        },
        change.bytes(), nullptr);
    if (committed.has_value()) return *std::move(committed);
  }
  WriteBatch batch;
  change.AddTo(batch);
  Writer writer{.changes = batch.encoded(), .user_bytes = change.bytes(), .sync = sync};
  return CommitInGroup(writer);
}

Result<Version> CommitPipeline::Commit(const WriteBatch& batch, std::size_t user_bytes, Sync sync,
                                       Certifier* certifier) {
  if (sync == Sync::kNo) {
    auto committed = TryCommitAlone([&] { return batch.encoded(); }, user_bytes, certifier);
    if (committed.has_value()) return *std::move(committed);
  }
  Writer writer{
      .changes = batch.encoded(), .user_bytes = user_bytes, .sync = sync, .certifier = certifier};
  return CommitInGroup(writer);
}

template <typename Encode>
std::optional<Result<Version>> CommitPipeline::TryCommitAlone(const Encode& encode,
                                                              std::size_t user_bytes,
                                                              Certifier* certifier) {
  Status failed;
  {
    const SpinningLock lock(mutex_);
    if (leading_ || closed_ || !failure_.ok()) return std::nullopt;
    if (parts_.engine.writes_slowed()) return std::nullopt;
    const std::string_view changes = encode();
    if (!parts_.engine.Admit(changes).ok()) return std::nullopt;
    if (certifier != nullptr) {
      if (Status certified = Certify(*certifier); !certified.ok())
        return Result<Version>(std::move(certified));
    }
    const Version version = parts_.engine.newest().Next();
    Status appended = parts_.log.Append(version, changes, Durability::kProcess);
    if (!appended.ok()) return Result<Version>(std::move(appended));
    failed = Apply(version, changes);
    if (scratch_.bytes() > kScratchBytesKept) scratch_ = WriteBatch();
    if (failed.ok()) {
      CountCommit(user_bytes);
      FlushIfWanted();
      return Result<Version>(version);
    }
  }
  Fail(failed);
  return Result<Version>(std::move(failed));
}

Result<Version> CommitPipeline::CommitInGroup(Writer& writer) {
  if (Queue(writer) == Writer::Turn::kLeads) Lead(writer);
  if (!writer.status.ok()) return std::move(writer.status);
  return writer.version;
}

CommitPipeline::Writer::Turn CommitPipeline::Queue(Writer& writer) {
  bool tell = false;
  {
    const SpinningLock lock(mutex_);
    if (closed_ || !failure_.ok()) {
      writer.status = WhyClosed();
      return Writer::Turn::kDone;
    }
    if (!leading_) {
      leading_ = true;
      return Writer::Turn::kLeads;
    }
    (queue_last_ == nullptr ? queue_first_ : queue_last_->next) = &writer;
    queue_last_ = &writer;
    ++queued_;
    tell = gathering_;
  }
  if (tell) parts_.waiter.Notify();
  return writer.Sleep();
}

void CommitPipeline::Writer::Wake(Turn to) {
  // Notified under the lock: once it is free the writer may be gone.
  const MutexLock lock(mutex);
  turn = to;
  woken.notify_one();
}

CommitPipeline::Writer::Turn CommitPipeline::Writer::Sleep() {
  MutexLock lock(mutex);
  while (turn == Turn::kWaits) lock.Wait(woken);
  return turn;
}

// ---- The leader

void CommitPipeline::Lead(Writer& self) {
  if (self.sync == Sync::kYes) Gather();
  TakeGroup(self);
  CommitGroup();
  MaintainIfDue();
  EndLead(self);
}

void CommitPipeline::Gather() {
  const auto others = [this] {
    const SpinningLock lock(mutex_);
    gathering_ = true;
    return queued_;
  };
  if (gather_.expected() <= 1 || gather_.gap_us() == 0) return;
  const std::uint64_t end_us = parts_.clock.MonotonicUs() + gather_.total_us();
  for (std::size_t seen = others(); seen + 1 < gather_.expected(); seen = others()) {
    const std::uint64_t now_us = parts_.clock.MonotonicUs();
    if (now_us >= end_us) break;
    const std::uint64_t wait_us = std::min(gather_.gap_us(), end_us - now_us);
    if (!parts_.waiter.Wait([&] { return others() > seen; }, wait_us)) break;
  }
  const SpinningLock lock(mutex_);
  gathering_ = false;
}

void CommitPipeline::TakeGroup(Writer& self) {
  group_.assign(1, &self);
  std::size_t bytes = self.changes.size();
  const SpinningLock lock(mutex_);
  while (queue_first_ != nullptr && group_.size() < kGroupWritersMax) {
    bytes += queue_first_->changes.size();
    if (bytes > kGroupBytesMax) break;
    group_.push_back(std::exchange(queue_first_, queue_first_->next));
    --queued_;
  }
  if (queue_first_ == nullptr) queue_last_ = nullptr;
}

void CommitPipeline::EndLead(Writer& self) {
  // Copied out: the next leader makes a group of its own as soon as it is woken.
  Group done;
  done.swap(group_);
  group_.reserve(kGroupWritersMax);
  Writer* next = nullptr;
  {
    const SpinningLock lock(mutex_);
    next = queue_first_;
    gather_.NoteGroup(done.size(), queued_);
    if (next == nullptr) {
      leading_ = false;
    } else {
      queue_first_ = next->next;
      if (queue_first_ == nullptr) queue_last_ = nullptr;
      --queued_;
    }
  }
  // The next sync begins while those of this group wake up.
  if (next != nullptr) next->Wake(Writer::Turn::kLeads);
  for (Writer* writer : done) {
    if (writer != &self) writer->Wake(Writer::Turn::kDone);
  }
}

void CommitPipeline::CommitGroup() {
  {
    const SpinningLock lock(mutex_);
    if (closed_ || !failure_.ok()) {
      for (Writer* writer : group_) writer->status = WhyClosed();
      return;
    }
  }
  WaitForRoom();
  AppendGroup();
  SyncGroup();
  ApplyGroup();
  pending_.Clear();
  for (Writer* writer : group_) {
    if (writer->task != nullptr) (*writer->task)();
  }
}

void CommitPipeline::WaitForRoom() {
  std::size_t bytes = 0;
  for (const Writer* writer : group_) bytes += writer->changes.size();
  const std::uint64_t delay_us = parts_.engine.WriteDelayUs(bytes);
  if (delay_us == 0) return;
  const std::uint64_t begin_us = parts_.clock.MonotonicUs();
  parts_.waiter.Pause(delay_us);
  delayed_writes_.fetch_add(group_.size(), std::memory_order_relaxed);
  delay_us_.fetch_add(parts_.clock.MonotonicUs() - begin_us, std::memory_order_relaxed);
}

void CommitPipeline::AppendGroup() {
  bool certified = false;
  Durability durability = Durability::kProcess;
  for (const Writer* writer : group_) {
    certified |= writer->certifier != nullptr;
    // Only kept until all of the group is there, where a sync follows anyway.
    if (writer->sync == Sync::kYes) durability = Durability::kDisk;
  }
  Version last = parts_.engine.newest();
  for (Writer* writer : group_) {
    if (writer->task != nullptr) continue;
    writer->status = Prepare(*writer);
    if (!writer->status.ok()) continue;
    writer->status = parts_.log.Append(last.Next(), writer->changes, durability);
    if (writer->status.ok()) {
      last = last.Next();
      writer->version = last;
      if (certified) pending_.Add(writer->changes);
    } else if (parts_.log.last_version() != last) {
      // Earlier ones were lost with it; nothing of the group may stand on them.
      const Status why = writer->status;
      UndoBehind(parts_.log.last_version(), why);
      return;
    }
  }
}

/// Gives `why` to all whose commit is not in the log, or behind `last`.
void CommitPipeline::UndoBehind(Version last, const Status& why) {
  for (Writer* writer : group_) {
    const bool stands =
        writer->task != nullptr || (writer->version != Version() && writer->version <= last);
    if (!stands && writer->status.ok()) writer->status = why;
  }
}

void CommitPipeline::SyncGroup() {
  Version last;
  for (const Writer* writer : group_) {
    if (writer->status.ok() && writer->sync == Sync::kYes) last = writer->version;
  }
  if (last == Version()) return;
  // All of the group, as nothing behind what is not durable yet may be shown.
  last = parts_.log.last_version();
  const std::uint64_t begin_us = parts_.clock.MonotonicUs();
  const Status synced = parts_.log.Sync(parts_.log.position());
  gather_.NoteSync(parts_.clock.MonotonicUs() - begin_us);
  if (synced.ok()) return;
  const Version left = parts_.log.last_version();
  // Undone, it is as if it had never been appended. Otherwise nobody knows what the disk holds.
  const bool undone = left < last;
  UndoBehind(undone ? left : parts_.engine.newest(), synced);
  if (!undone) Fail(synced);
}

Status CommitPipeline::Prepare(Writer& writer) {
  RETURN_IF_ERROR(Admit(writer.changes));
  return writer.certifier == nullptr ? Status() : Certify(*writer.certifier);
}

Status CommitPipeline::Certify(Certifier& certifier) {
  BeginRecording();
  return certifier.Certify({.pending = pending_, .recent = *recent_});
}

Status CommitPipeline::Admit(std::string_view changes) {
  Status admitted = parts_.engine.Admit(changes);
  if (!admitted.IsBusy()) return admitted;
  const std::uint64_t begin_us = parts_.clock.MonotonicUs();
  // This is the owner, so nobody else starts the flushes that make room. Asked again only after
  // something moved, or time has passed: each refusal wakes what pauses.
  FlushIfWanted();
  (void)parts_.waiter.Wait(
      [&] {
        if (!maintenance_due_.load()) return false;
        MaintainIfDue();
        FlushIfWanted();
        admitted = parts_.engine.Admit(changes);
        return !admitted.IsBusy();
      },
      kStallUsMax);
  delayed_writes_.fetch_add(1, std::memory_order_relaxed);
  delay_us_.fetch_add(parts_.clock.MonotonicUs() - begin_us, std::memory_order_relaxed);
  return admitted;
}

void CommitPipeline::ApplyGroup() {
  for (Writer* writer : group_) {
    if (!writer->status.ok() || writer->task != nullptr) continue;
    writer->status = Apply(writer->version, writer->changes);
    if (writer->status.ok()) {
      CountCommit(writer->user_bytes);
      FlushIfWanted();
      continue;
    }
    // It is in the log, and all that come after it stand on it.
    const Status why = writer->status;
    for (Writer* other : group_) {
      if (other->status.ok() && other->version > writer->version) other->status = why;
    }
    Fail(why);
    return;
  }
}

Status CommitPipeline::Apply(Version version, std::string_view changes) {
  if (recorded_ < kRecordedMax) Record(version, changes);
  return parts_.engine.ApplyAdmitted(changes, {LogIndex(version.value()), Term()});
}

void CommitPipeline::BeginRecording() {
  if (!recent_.has_value()) {
    recent_.emplace(parts_.engine.newest());
  } else if (recorded_ == kRecordedMax) {
    recent_->SkipTo(parts_.engine.newest());
  }
  recorded_ = 0;
}

void CommitPipeline::Record(Version version, std::string_view changes) {
  ++recorded_;
  std::size_t told = 0;
  for (engine::ChangeReader reader(changes); reader.Next();) {
    if (++told > kRecordedChangesMax) return recent_->SkipTo(version);
    if (reader.kind() == Change::Kind::kDeleteRange) {
      recent_->AddRange(reader.key(), reader.value(), version);
    } else {
      recent_->AddKey(reader.key(), version);
    }
  }
}

void CommitPipeline::CountCommit(std::size_t user_bytes) {
  // The owner alone counts up: no need to lock the bus.
  commits_.store(commits_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  user_bytes_.store(user_bytes_.load(std::memory_order_relaxed) + user_bytes,
                    std::memory_order_relaxed);
}

// ---- Care

void CommitPipeline::FlushIfWanted() {
  if (!parts_.engine.WantsFlush()) [[likely]]
    return;
  StartFlushAsOwner();
}

void CommitPipeline::StartFlushAsOwner() {
  // First the watermark: what the flush need not write, no compaction has to drop.
  MaintainAsOwner();
  parts_.engine.StartFlush({});
}

Status CommitPipeline::RunAsOwner(const std::function<void()>& task) {
  // Goes the way of a commit, for it has to wait for a leader as one does.
  Writer writer{.changes = {}, .user_bytes = 0, .sync = Sync::kNo, .task = &task};
  return CommitInGroup(writer).status();
}

Status CommitPipeline::StartFlush() {
  return RunAsOwner([this] { StartFlushAsOwner(); });
}

void CommitPipeline::Maintain() {
  maintenance_due_.store(true);
  {
    const SpinningLock lock(mutex_);
    if (!leading_ && !closed_) MaintainIfDue();
  }
  // A leader that waits for room looks after it.
  parts_.waiter.Notify();
}

void CommitPipeline::MaintainIfDue() {
  if (maintenance_due_.load(std::memory_order_relaxed) && maintenance_due_.exchange(false))
    MaintainAsOwner();
}

void CommitPipeline::MaintainAsOwner() {
  const std::uint64_t now_ms = parts_.clock.MonotonicMs();
  history_.Sample(now_ms, parts_.engine.newest());
  parts_.engine.SetWatermark(history_.Watermark(now_ms));
  parts_.log.ReleaseThrough(Version(parts_.engine.durable_applied().index.value()));
}

// ---- The end

Status CommitPipeline::WhyClosed() const {
  return closed_ ? Status::Aborted("the database is closed") : failure_;
}

void CommitPipeline::Fail(const Status& why) {
  {
    const SpinningLock lock(mutex_);
    if (!failure_.ok()) return;
    failure_ = why.Prefixed("the database has to be opened again");
  }
  if (parts_.on_failure != nullptr) parts_.on_failure(why);
}

Status CommitPipeline::failure() const {
  const SpinningLock lock(mutex_);
  return failure_;
}

Status CommitPipeline::Close() {
  const SpinningLock lock(mutex_);
  CHECK(!leading_);
  if (std::exchange(closed_, true)) return {};
  if (!failure_.ok()) return failure_;
  return parts_.log.Sync(parts_.log.position());
}

std::size_t CommitPipeline::waiting() const {
  const SpinningLock lock(mutex_);
  return queued_;
}

CommitPipeline::Counters CommitPipeline::counters() const {
  return {.commits = commits_.load(std::memory_order_relaxed),
          .user_bytes = user_bytes_.load(std::memory_order_relaxed),
          .delayed_writes = delayed_writes_.load(std::memory_order_relaxed),
          .delay_us = delay_us_.load(std::memory_order_relaxed)};
}

}  // namespace bedrock::embedded
