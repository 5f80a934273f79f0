#include "storaged/engine/engine_impl.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "storaged/engine/change_reader.h"
#include "storaged/engine/compaction/level_shape.h"

namespace bedrock::engine {

namespace {

/// So much of a memtable is kept for deletes while the disk is full.
constexpr std::size_t kDeletePart = 4;
/// Compactions behind by so many bytes: as far as they may fall.
constexpr std::uint64_t kDebtBytesMax = 32 * kGiB;

EntryKind EntryKindOf(ChangeReader::Kind kind) {
  return kind == ChangeReader::Kind::kPut ? EntryKind::kPut : EntryKind::kDelete;
}

AppliedMark ToMark(const VersionEdit::Applied& applied) { return {applied.index, applied.term}; }

bool DeletesOnly(std::string_view changes) {
  ChangeReader reader(changes);
  while (reader.Next()) {
    if (reader.kind() == ChangeReader::Kind::kPut) return false;
  }
  return true;
}

Status CheckOptions(const EngineOptions& options) {
  if (options.directory.empty() || options.memtables_max < 2 || options.memtable_bytes == 0 ||
      options.block_bytes == 0 || options.table_bytes == 0 || options.level0_files_trigger == 0 ||
      options.level0_files_stop < options.level0_files_trigger || options.level1_bytes == 0 ||
      options.level_multiplier < 2 || options.unflushed_entries_max == 0 ||
      options.flush_jobs_max == 0 || options.flush_jobs_max > kFlushJobsMax ||
      options.compaction_jobs_max == 0) {
    return Status::InvalidArgument("engine options");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Open(const Environment& environment,
                                             const EngineOptions& options) {
  RETURN_IF_ERROR(CheckOptions(options));
  // Slots for small blocks, too: earlier tables and blobs may have them.
  auto cache = std::make_shared<BlockCache>(options.block_cache_bytes,
                                            std::min<std::size_t>(options.block_bytes, 4 * kKiB));
  ASSIGN_OR_RETURN(Recovered recovered,
                   Recover(*environment.file_system, options.directory, cache));
  return std::unique_ptr<Engine>(
      std::make_unique<EngineImpl>(environment, options, std::move(cache), std::move(recovered)));
}

EngineImpl::EngineImpl(const Environment& environment, EngineOptions options,
                       std::shared_ptr<BlockCache> cache, Recovered recovered)
    : environment_(environment),
      options_(std::move(options)),
      cache_(std::move(cache)),
      lock_(std::move(recovered.lock)),
      reader_link_(std::make_shared<ReaderLink>(options_.on_event,
                                                [this] {
                                                  for (const auto& lane : compaction_lanes_)
                                                    lane->Wake();
                                                })),
      applied_(ToMark(recovered.state.applied)),
      frozen_index_(applied_.index()),
      watermark_(recovered.state.watermark.value()),
      errors_(options_.on_event),
      versions_(*environment_.file_system, options_.directory, cache_,
                VersionSet::TablesCount(options_.tables_count_as_cache), recovered),
      live_(versions_.current().tables, options_.memtable_bytes, applied_.Get(),
            versions_.current().state->client_state),
      context_{environment_,
               options_,
               versions_,
               live_,
               errors_,
               *snapshots_,
               throttle_,
               counters_,
               *reader_link_,
               watermark_,
               [this] {
                 UpdateLoad();
                 WakeAll();
               },
               [this] { NotifyProgress(); }},
      compactor_(context_, options_.compaction_jobs_max),
      caretaker_(context_),
      care_lane_(*environment_.executor, Executor::Priority::kLow, gate_,
                 [this] { return caretaker_.Step(); }) {
  for (std::size_t i = 0; i < options_.flush_jobs_max; ++i) {
    const auto name = i == 0 ? ErrorState::Job::kFlush : ErrorState::Job::kSecondFlush;
    flushers_.push_back(std::make_unique<Flusher>(context_, name));
    flush_lanes_.push_back(std::make_unique<Lane>(*environment_.executor, Executor::Priority::kHigh,
                                                  gate_,
                                                  [this, i] { return flushers_[i]->Step(); }));
  }
  for (std::size_t i = 0; i < options_.compaction_jobs_max; ++i) {
    compaction_lanes_.push_back(std::make_unique<Lane>(*environment_.executor,
                                                       Executor::Priority::kLow, gate_,
                                                       [this, i] { return compactor_.Step(i); }));
  }
  if (versions_.manifest_missing()) {
    errors_.Trouble(ErrorState::Job::kFlush, Status::NoSpace("open: no space for a new MANIFEST"));
  }
  UpdateLoad();
  WakeAll();
}

EngineImpl::~EngineImpl() {
  reader_link_->Close();
  gate_->Close();
  compactor_.Abort();
  // What readers no longer hold goes now; the rest when the directory is opened again.
  versions_.CollectObsolete();
}

// ---- The owner's thread

bool EngineImpl::MemtablesFull() const {
  return (live_.active().bytes() >= options_.memtable_bytes &&
          live_.memtables() >= options_.memtables_max) ||
         MemtableBytes() >= options_.memtables_max * options_.memtable_bytes;
}

Status EngineImpl::Admit(std::string_view changes) {
  if (!errors_.ended() && !MemtablesFull() && !level0_full_.load(std::memory_order_relaxed))
      [[likely]] {
    return {};
  }
  return Refuse(changes);
}

Status EngineImpl::Refuse(std::string_view changes) {
  RETURN_IF_ERROR(errors_.Refusal());
  if (!MemtablesFull()) return Status::Busy("flushed tables wait for a compaction");
  if (!errors_.FlushHasNoSpace() && !errors_.HasNoSpace(ErrorState::Job::kReserve)) {
    return Status::Busy("memtables wait for their flush");
  }
  // What was put can't be flushed, but what is deleted makes room, once it is.
  const std::size_t more = options_.memtable_bytes / kDeletePart;
  if (MemtableBytes() < options_.memtables_max * options_.memtable_bytes + more &&
      DeletesOnly(changes)) {
    return {};
  }
  return Status::NoSpace("the disk is full: " + errors_.health().detail);
}

Status Engine::Apply(std::string_view changes, AppliedMark mark) {
  RETURN_IF_ERROR(CheckChanges(changes));
  RETURN_IF_ERROR(Admit(changes));
  return ApplyAdmitted(changes, mark);
}

Status EngineImpl::ApplyAdmitted(std::string_view changes, AppliedMark mark) {
  const Version version(mark.index.value());
  CHECK(mark.index == applied_.index().Next() && version <= kVersionMax);
  Memtable& memtable = live_.active();
  ChangeReader reader(changes);
  while (reader.Next()) {
    if (reader.kind() == ChangeReader::Kind::kDeleteRange) [[unlikely]] {
      ApplyWithRanges(changes, version);
      break;
    }
    memtable.Add({reader.key(), Trailer(version, EntryKindOf(reader.kind()))}, reader.value());
  }
  applied_.Set(mark);
  return {};
}

void EngineImpl::ApplyWithRanges(std::string_view changes, Version version) {
  // A range tombstone hides lower versions only: what came before it in the batch has to be deleted
  // key by key. Each key is looked at once for each time that it is written.
  Memtable& memtable = live_.active();
  std::set<std::string_view> written;
  ChangeReader reader(changes);
  while (reader.Next()) {
    if (reader.kind() != ChangeReader::Kind::kDeleteRange) {
      memtable.Add({reader.key(), Trailer(version, EntryKindOf(reader.kind()))}, reader.value());
      written.insert(reader.key());
      continue;
    }
    const auto first = written.lower_bound(reader.key());
    const auto last = reader.value().empty() ? written.end() : written.lower_bound(reader.value());
    for (auto key = first; key != last; ++key) {
      memtable.Add({*key, Trailer(version, EntryKind::kDelete)}, {});
    }
    written.erase(first, last);
    memtable.AddRangeTombstone(reader.key(), reader.value(), version);
  }
}

std::uint64_t EngineImpl::WriteDelayUs(std::size_t bytes) {
  if (!throttle_.slow()) [[likely]]
    return 0;
  return throttle_.Take(bytes, environment_.clock->MonotonicUs());
}

bool EngineImpl::WantsFlush() const {
  if (live_.memtables() >= options_.memtables_max) return false;
  return live_.active().bytes() >= options_.memtable_bytes ||
         applied_.index() - frozen_index_ >= options_.unflushed_entries_max;
}

void EngineImpl::StartFlush(std::string client_state) {
  const AppliedMark applied = applied_.Get();
  if (applied.index != frozen_index_ && live_.memtables() < options_.memtables_max) {
    frozen_index_ = applied.index;
    live_.Freeze(applied, std::move(client_state));
    UpdateLoad();
    for (const auto& lane : flush_lanes_) lane->Wake();
  }
}

void EngineImpl::RetryNow() {
  // What is still true will be said again by the work that meets it.
  errors_.Well(ErrorState::Job::kFlush);
  errors_.Well(ErrorState::Job::kSecondFlush);
  errors_.Well(ErrorState::Job::kCompaction);
  ++context_.room;
  WakeAll();
}

void EngineImpl::SetWatermark(Version watermark) {
  const std::uint64_t before = watermark_.load(std::memory_order_relaxed);
  // One thread sets it, so that nothing comes in between.
  if (watermark.value() > before) watermark_.store(watermark.value(), std::memory_order_release);
}

void EngineImpl::OnProgress(std::function<void()> callback) {
  const MutexLock lock(progress_mutex_);
  on_progress_ = std::move(callback);
}

// ---- Between the lanes

void EngineImpl::WakeAll() const {
  for (const auto& lane : flush_lanes_) lane->Wake();
  for (const auto& lane : compaction_lanes_) lane->Wake();
  care_lane_.Wake();
}

void EngineImpl::UpdateLoad() {
  const VersionSet::Current now = versions_.current();
  const std::size_t level0_files = now.state->levels[0].size();
  // Where a damaged table is in the way of compactions, files pile up and reads get slower, but a
  // single bad table must not take the writes down.
  const bool blocked = !now.state->quarantined.empty();
  level0_full_.store(level0_files >= options_.level0_files_stop && !blocked,
                     std::memory_order_relaxed);
  throttle_.Update({.memtable_bytes = live_.frozen_bytes(),
                    .memtable_bytes_max = (options_.memtables_max - 1) * options_.memtable_bytes,
                    .level0_files = blocked ? 0 : level0_files,
                    .level0_files_max = options_.level0_files_stop,
                    .debt_bytes = CompactionDebt(now.state->levels, ShapeOptions(options_)),
                    .debt_bytes_max = kDebtBytesMax});
}

void EngineImpl::NotifyProgress() {
  std::function<void()> callback;
  {
    const MutexLock lock(progress_mutex_);
    callback = on_progress_;
  }
  if (callback) callback();
}

}  // namespace bedrock::engine
