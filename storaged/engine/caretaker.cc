#include "storaged/engine/caretaker.h"

#include <utility>

#include "storaged/engine/table/file_names.h"

namespace bedrock::engine {

namespace {

/// The reserve is made once the tables take so many times its size: a small database has none.
constexpr std::uint64_t kReservePart = 8;

std::uint64_t TableBytes(const ManifestState& state) {
  std::uint64_t bytes = 0;
  for (const auto& level : state.levels) {
    for (const TableMetadata& table : level) bytes += table.size;
  }
  return bytes;
}

}  // namespace

Caretaker::Caretaker(JobContext& context)
    : context_(context),
      reserve_(*context.environment.file_system, context.options.directory,
               context.options.reserve_bytes),
      reserve_whole_(reserve_.whole()) {
  const VersionSet::Current now = context_.versions.current();
  to_check_.assign(now.state->quarantined.begin(), now.state->quarantined.end());
  ShowDamage(now);
}

Lane::Next Caretaker::Step() {
  context_.versions.CollectObsolete();
  if (context_.errors.ended()) return Lane::Idle();
  if (const std::uint64_t left_ms = pause_.LeftMs(context_.now_ms(), context_.room)) {
    return Lane::Later(left_ms);
  }
  const VersionSet::Current now = context_.versions.current();
  ShowDamage(now);
  VersionEdit edit;
  edit.quarantined = NewlyDamaged(now);
  if (const auto mended = CheckOneQuarantined(now)) edit.released.push_back(*mended);
  if (!edit.quarantined.empty() || !edit.released.empty()) return CommitQuarantine(std::move(edit));
  if (!to_check_.empty()) return Lane::Again();
  context_.Well(ErrorState::Job::kManifest);
  return KeepReserve();
}

std::vector<FileNumber> Caretaker::NewlyDamaged(const VersionSet::Current& now) {
  std::vector<FileNumber> damaged;
  for (const auto& level : now.tables->levels) {
    for (const auto& table : level) {
      const FileNumber number = table->metadata().number;
      if (table->damaged() && !now.state->quarantined.contains(number)) damaged.push_back(number);
    }
  }
  return damaged;
}

std::optional<FileNumber> Caretaker::CheckOneQuarantined(const VersionSet::Current& now) {
  if (to_check_.empty()) return std::nullopt;
  const FileNumber number = to_check_.back();
  to_check_.pop_back();
  for (const auto& level : now.tables->levels) {
    for (const auto& table : level) {
      if (table->metadata().number == number && !table->damaged() && table->Verify().ok()) {
        return number;
      }
    }
  }
  return std::nullopt;
}

Lane::Next Caretaker::CommitQuarantine(VersionEdit edit) {
  if (!context_.versions.TakeTurn()) {
    to_check_.insert(to_check_.end(), edit.released.begin(), edit.released.end());
    return Lane::Idle();
  }
  // What has gone since it was looked at is not marked any more.
  const VersionSet::Current now = context_.versions.current();
  edit.quarantined = NewlyDamaged(now);
  std::erase_if(edit.released,
                [&](FileNumber number) { return !now.state->quarantined.contains(number); });
  const auto committed = context_.Commit(std::move(edit), [this](const VersionSet::Current& next) {
    context_.live.ReplaceTables(next.tables);
  });
  const Status why = committed.why.Prefixed("quarantine");
  switch (committed.outcome) {
    case VersionSet::Outcome::kDone:
      pause_.Reset();
      ShowDamage(context_.versions.current());
      context_.notify();
      return Lane::Again();
    case VersionSet::Outcome::kNoSpace:
    case VersionSet::Outcome::kRewrite:
      pause_.Begin(context_.now_ms());
      context_.errors.Trouble(ErrorState::Job::kManifest, why);
      context_.notify();
      return Lane::Later(pause_.LeftMs(context_.now_ms(), context_.room));
    case VersionSet::Outcome::kFinal:
      return context_.Fail(why);
  }
  return Lane::Idle();
}

void Caretaker::ShowDamage(const VersionSet::Current& now) {
  std::string names;
  std::size_t files = now.state->quarantined.size();
  for (const FileNumber number : now.state->quarantined) {
    names += (names.empty() ? "damaged: " : ", ") + TableName(number);
  }
  for (const BlobSet::Blob& blob : now.tables->blobs->blobs()) {
    if (!blob->damaged()) continue;
    ++files;
    names += (names.empty() ? "damaged: " : ", ") + BlobName(blob->blob().number);
  }
  context_.errors.Quarantined(files, names);
}

Lane::Next Caretaker::KeepReserve() {
  const bool full =
      context_.errors.FlushHasNoSpace() || context_.errors.HasNoSpace(ErrorState::Job::kCompaction);
  if (full && reserve_.whole() && context_.options.reserve_bytes > 0) {
    reserve_.Release();
    reserve_whole_ = false;
    released_ = true;
    context_.errors.Trouble(ErrorState::Job::kReserve,
                            Status::NoSpace("the disk is full, the reserve was given back"));
    ++context_.room;
    context_.wake_all();
    return Lane::Again();
  }
  if (full || reserve_.whole()) return Lane::Idle();
  if (!released_ && TableBytes(*context_.versions.current().state) <
                        kReservePart * context_.options.reserve_bytes) {
    return Lane::Idle();
  }
  Status grown = reserve_.Grow();
  if (!grown.ok()) {
    pause_.Begin(context_.now_ms());
    if (released_) context_.errors.Trouble(ErrorState::Job::kReserve, grown.Prefixed("reserve"));
    return Lane::Later(pause_.LeftMs(context_.now_ms(), context_.room));
  }
  if (reserve_.whole()) {
    released_ = false;
    reserve_whole_ = true;
    pause_.Reset();
    context_.errors.Well(ErrorState::Job::kReserve);
    context_.notify();
  }
  return Lane::Again();
}

}  // namespace bedrock::engine
