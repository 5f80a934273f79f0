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
  ShowQuarantine(*context_.versions.current().state);
}

Lane::Next Caretaker::Step() {
  context_.versions.CollectObsolete();
  if (context_.errors.ended()) return Lane::Idle();
  if (const std::uint64_t left_ms = pause_.LeftMs(context_.now_ms(), context_.room))
    return Lane::Later(left_ms);
  return NewlyDamaged().empty() ? KeepReserve() : Quarantine();
}

std::set<FileNumber> Caretaker::NewlyDamaged() const {
  const auto now = context_.versions.current();
  std::set<FileNumber> damaged;
  for (const auto& level : now.tables->levels) {
    for (const auto& table : level) {
      const FileNumber number = table->metadata().number;
      if (table->damaged() && !now.state->quarantined.contains(number)) damaged.insert(number);
    }
  }
  return damaged;
}

Lane::Next Caretaker::Quarantine() {
  if (!context_.versions.TakeTurn()) return Lane::Idle();
  // Once more, now that nobody else changes what is live.
  VersionEdit edit;
  for (const FileNumber number : NewlyDamaged()) edit.quarantined.push_back(number);
  VersionSet::Result committed;
  if (!edit.quarantined.empty()) {
    committed = context_.versions.Commit(std::move(edit), [this](const VersionSet::Current& now) {
      context_.live.ReplaceTables(now.tables);
      ShowQuarantine(*now.state);
    });
  }
  context_.versions.GiveTurn();
  context_.wake_all();
  switch (committed.outcome) {
    case VersionSet::Outcome::kDone:
      context_.errors.Well(ErrorState::Job::kManifest);
      pause_.Reset();
      context_.notify();
      return Lane::Again();
    case VersionSet::Outcome::kNoSpace:
    case VersionSet::Outcome::kRewrite:
      pause_.Begin(context_.now_ms());
      context_.errors.Trouble(ErrorState::Job::kManifest, committed.why.Prefixed("quarantine"));
      context_.notify();
      return Lane::Later(pause_.LeftMs(context_.now_ms(), context_.room));
    case VersionSet::Outcome::kFinal:
      context_.errors.Fail(committed.why.Prefixed("quarantine"));
      context_.notify();
      return Lane::Idle();
  }
  return Lane::Idle();
}

void Caretaker::ShowQuarantine(const ManifestState& state) {
  std::string names;
  for (const FileNumber number : state.quarantined) {
    names += (names.empty() ? "damaged and quarantined: " : ", ") + TableName(number);
  }
  context_.errors.Quarantined(state.quarantined.size(), names);
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
