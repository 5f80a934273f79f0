#include "storaged/embedded/txn/read_set.h"

#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/txn/key_range.h"

namespace bedrock::embedded {
namespace {

Status KeyConflict(std::string_view key) {
  return Status::Conflict("key " + txn::PrintedKey(key) + " has changed since it was read");
}

Status RangeConflict(const ReadSet::RangeRead& range) {
  const std::string end = range.end.empty() ? "the end" : txn::PrintedKey(range.end);
  return Status::Conflict("something between " + txn::PrintedKey(range.begin) + " and " + end +
                          " has changed since it was read");
}

Status CheckKey(const engine::Engine& engine, std::string_view key, const ReadSet::KeyRead& read) {
  ASSIGN_OR_RETURN(const Version newest, engine.NewestVersion(key));
  if (read.found != Version()) return newest == read.found ? Status() : KeyConflict(key);
  if (newest <= read.at) return {};
  // Absent then; what came since may have been no more than a delete.
  ASSIGN_OR_RETURN(const engine::Lookup now, engine.Get(key, engine::kVersionMax));
  return now.found ? KeyConflict(key) : Status();
}

Status CheckRange(const engine::Engine& engine, const ReadSet::RangeRead& range) {
  ASSIGN_OR_RETURN(const bool changed,
                   engine.ChangedSince({range.begin, range.end}, range.at.version()));
  return changed ? RangeConflict(range) : Status();
}

}  // namespace

Status ReadSet::Add(std::string_view key, const KeyRead& read) {
  const auto before = keys_.find(key);
  if (before != keys_.end())
    return before->second.found == read.found ? Status() : KeyConflict(key);
  RETURN_IF_ERROR(CheckRoom());
  keys_.emplace(key, read);
  return {};
}

Status ReadSet::AddWalked(std::string_view begin, std::string_view end, const Snapshot& at,
                          RangeRead** grows) {
  RangeRead* const range = *grows;
  const bool touch = range != nullptr && (range->end.empty() || begin <= range->end) &&
                     (end.empty() || range->begin <= end);
  if (touch) {
    if (begin < range->begin) range->begin = begin;
    if (txn::EndsBefore(range->end, end)) range->end = end;
    return {};
  }
  RETURN_IF_ERROR(CheckRoom());
  *grows = &ranges_.emplace_back(
      RangeRead{.begin = std::string(begin), .end = std::string(end), .at = at});
  return {};
}

Status ReadSet::CheckRoom() const {
  if (keys_.size() + ranges_.size() < kReadsMax) return {};
  return Status::Busy("a transaction may read " + std::to_string(kReadsMax) + " keys and ranges");
}

Status ReadSet::Check(const engine::Engine& engine) const {
  for (const auto& [key, read] : keys_) RETURN_IF_ERROR(CheckKey(engine, key, read));
  for (const RangeRead& range : ranges_) RETURN_IF_ERROR(CheckRange(engine, range));
  return {};
}

Status ReadSet::Check(const engine::Engine& engine, const Certifier::Commits& commits) const {
  const auto& [pending, recent] = commits;
  for (const auto& [key, read] : keys_) {
    if (pending.Touch(key)) return KeyConflict(key);
    if (recent.MayHaveChanged(key, read.at)) RETURN_IF_ERROR(CheckKey(engine, key, read));
  }
  for (const RangeRead& range : ranges_) {
    if (pending.TouchRange(range.begin, range.end)) return RangeConflict(range);
    if (recent.MayHaveChangedIn(range.begin, range.end, range.at.version()))
      RETURN_IF_ERROR(CheckRange(engine, range));
  }
  return {};
}

}  // namespace bedrock::embedded
