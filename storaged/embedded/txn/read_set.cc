#include "storaged/embedded/txn/read_set.h"

#include <utility>

#include "common/base/status_macros.h"
#include "storaged/engine/keys/internal_key.h"

namespace bedrock::embedded {
namespace {

/// Keys are any bytes, and messages are for people.
std::string Printed(std::string_view key) {
  constexpr std::size_t kShown = 64;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "'";
  for (const char c : key.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += "\\x";
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
  }
  return text + (key.size() > kShown ? "…'" : "'");
}

Status KeyConflict(std::string_view key) {
  return Status::Conflict("key " + Printed(key) + " has changed since it was read");
}

Status RangeConflict(const ReadSet::RangeRead& range) {
  const std::string end = range.end.empty() ? "the end" : Printed(range.end);
  return Status::Conflict("something between " + Printed(range.begin) + " and " + end +
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

}  // namespace

Status ReadSet::Add(std::string_view key, const KeyRead& read) {
  const auto before = keys_.find(key);
  if (before != keys_.end())
    return before->second.found == read.found ? Status() : KeyConflict(key);
  if (keys_.size() + ranges_.size() >= kReadsMax)
    return Status::Busy("a transaction may read " + std::to_string(kReadsMax) + " keys and ranges");
  keys_.emplace(key, read);
  return {};
}

ReadSet::RangeRead* ReadSet::NewRange(const Snapshot& at) {
  if (keys_.size() + ranges_.size() >= kReadsMax) return nullptr;
  return &ranges_.emplace_back(RangeRead{.begin = {}, .end = {}, .at = at, .empty = true});
}

Status ReadSet::Check(const engine::Engine& engine) const {
  for (const auto& [key, read] : keys_) RETURN_IF_ERROR(CheckKey(engine, key, read));
  for (const RangeRead& range : ranges_) {
    if (range.empty) continue;
    ASSIGN_OR_RETURN(const bool changed,
                     engine.ChangedSince({range.begin, range.end}, range.at.version()));
    if (changed) return RangeConflict(range);
  }
  return {};
}

Status ReadSet::Check(const engine::Engine& engine, const PendingWrites& pending) const {
  for (const auto& [key, read] : keys_) {
    if (pending.Touch(key)) return KeyConflict(key);
  }
  for (const RangeRead& range : ranges_) {
    if (!range.empty && pending.TouchRange(range.begin, range.end)) return RangeConflict(range);
  }
  return Check(engine);
}

}  // namespace bedrock::embedded
