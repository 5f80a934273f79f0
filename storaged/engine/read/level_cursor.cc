#include "storaged/engine/read/level_cursor.h"

#include <algorithm>

namespace bedrock::engine {

namespace {

using Tables = std::span<const TableSet::Table>;

/// The first table that does not end before `user_key`.
std::size_t FirstReaching(Tables tables, std::string_view user_key) {
  const auto found =
      std::partition_point(tables.begin(), tables.end(), [&](const TableSet::Table& table) {
        return !table->metadata().range().end.Reaches(user_key);
      });
  return static_cast<std::size_t>(found - tables.begin());
}

/// How many tables begin at or before `user_key`.
std::size_t CountBeginning(Tables tables, std::string_view user_key) {
  const auto found = std::partition_point(
      tables.begin(), tables.end(),
      [&](const TableSet::Table& table) { return table->metadata().smallest <= user_key; });
  return static_cast<std::size_t>(found - tables.begin());
}

}  // namespace

std::span<const TableSet::Table> TablesIn(Tables tables, std::string_view begin,
                                          std::string_view end) {
  const std::size_t first = FirstReaching(tables, begin);
  std::size_t last = tables.size();
  if (!end.empty()) {
    last = CountBeginning(tables, end);
    if (last > 0 && tables[last - 1]->metadata().smallest == end) --last;
  }
  return first < last ? tables.subspan(first, last - first) : Tables();
}

const TableReader* TableOf(Tables tables, std::string_view user_key) {
  const std::size_t i = FirstReaching(tables, user_key);
  return i < tables.size() && tables[i]->metadata().smallest <= user_key ? tables[i].get()
                                                                         : nullptr;
}

bool LevelCursor::Enter(std::size_t i) {
  if (cursor_.has_value()) {
    if (!cursor_->status().ok()) return false;  // for ever
    if (i == index_ && i < tables_.size()) return true;
  }
  if (i >= tables_.size()) {
    cursor_.reset();
    return false;
  }
  index_ = i;
  cursor_.emplace(*tables_[i], options_);
  return true;
}

void LevelCursor::EnterNext() {
  while (!cursor_->Valid()) {
    if (!Enter(index_ + 1)) return;
    cursor_->SeekToFirst();
  }
}

void LevelCursor::EnterPrevious() {
  while (!cursor_->Valid()) {
    if (!Enter(index_ - 1)) return;  // before the first comes none: the number wraps around
    cursor_->SeekToLast();
  }
}

void LevelCursor::SeekToFirst() {
  if (!Enter(0)) return;
  cursor_->SeekToFirst();
  EnterNext();
}

void LevelCursor::SeekToLast() {
  if (!Enter(tables_.size() - 1)) return;
  cursor_->SeekToLast();
  EnterPrevious();
}

void LevelCursor::PrepareSeek(InternalKeyView target) {
  if (Enter(FirstReaching(tables_, target.user_key))) cursor_->PrepareSeek(target);
}

void LevelCursor::Seek(InternalKeyView target) {
  if (!Enter(FirstReaching(tables_, target.user_key))) return;
  cursor_->Seek(target);
  EnterNext();
}

void LevelCursor::SeekForPrev(InternalKeyView target) {
  if (!Enter(CountBeginning(tables_, target.user_key) - 1)) return;
  cursor_->SeekForPrev(target);
  EnterPrevious();
}

}  // namespace bedrock::engine
