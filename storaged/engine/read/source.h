#pragma once

#include <span>
#include <string_view>
#include <variant>

#include "bedrock/status.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/memtable/memtable.h"
#include "storaged/engine/read/level_cursor.h"
#include "storaged/engine/read/snapshot_walk.h"

namespace bedrock::engine {

/// A cursor over any source of entries that there is: a memtable, or tables that share no key (one
/// of level 0, a level, inputs of a compaction). A closed choice, so that calls are inlined behind
/// one branch that is nearly always foreseen. A WalkCursor; borrows what it walks.
class Source final {
  // First, for the calls that deduce what it gives.
  template <typename Function>
  decltype(auto) Visit(const Function& function) {
    if (auto* level = std::get_if<LevelCursor>(&cursor_)) return function(*level);
    return function(*std::get_if<Memtable::Cursor>(&cursor_));
  }
  template <typename Function>
  decltype(auto) Visit(const Function& function) const {
    if (const auto* level = std::get_if<LevelCursor>(&cursor_)) return function(*level);
    return function(*std::get_if<Memtable::Cursor>(&cursor_));
  }

 public:
  explicit Source(const Memtable& memtable)
      : cursor_(std::in_place_type<Memtable::Cursor>, memtable) {}
  Source(std::span<const TableSet::Table> tables, TableReadOptions options)
      : cursor_(std::in_place_type<LevelCursor>, tables, options) {}

  bool Valid() const {
    return Visit([](const auto& cursor) { return cursor.Valid(); });
  }
  void SeekToFirst() {
    Visit([](auto& cursor) { cursor.SeekToFirst(); });
  }
  void SeekToLast() {
    Visit([](auto& cursor) { cursor.SeekToLast(); });
  }
  void Seek(InternalKeyView target) {
    Visit([&](auto& cursor) { cursor.Seek(target); });
  }
  void SeekForPrev(InternalKeyView target) {
    Visit([&](auto& cursor) { cursor.SeekForPrev(target); });
  }
  /// As TableCursor's.
  void PrepareSeek(InternalKeyView target) {
    if (auto* level = std::get_if<LevelCursor>(&cursor_)) level->PrepareSeek(target);
  }
  void PrepareSeekMore() {
    if (auto* level = std::get_if<LevelCursor>(&cursor_)) level->PrepareSeekMore();
  }
  void Next() {
    Visit([](auto& cursor) { cursor.Next(); });
  }
  void Prev() {
    Visit([](auto& cursor) { cursor.Prev(); });
  }
  InternalKeyView key() const {
    return Visit([](const auto& cursor) { return cursor.key(); });
  }
  std::string_view value() const {
    return Visit([](const auto& cursor) { return cursor.value(); });
  }
  bool ValueStays() const {
    const auto* level = std::get_if<LevelCursor>(&cursor_);
    return level == nullptr || level->ValueStays();
  }
  Status status() const {
    return Visit([](const auto& cursor) { return Status(cursor.status()); });
  }

 private:
  std::variant<LevelCursor, Memtable::Cursor> cursor_;
};

static_assert(WalkCursor<Source>);

}  // namespace bedrock::engine
