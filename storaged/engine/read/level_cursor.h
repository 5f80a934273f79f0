#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "bedrock/status.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/manifest/table_set.h"
#include "storaged/engine/table/table_cursor.h"

namespace bedrock::engine {

/// Walks the points of tables that share no user key and are sorted by it, one after another; a
/// single table is the shortest level. A WalkCursor (snapshot_walk.h). Touches a table only when
/// the walk gets there. Borrows the tables. One thread at a time.
class LevelCursor final {
 public:
  LevelCursor(std::span<const TableSet::Table> tables, TableReadOptions options)
      : tables_(tables), options_(options) {}

  bool Valid() const { return cursor_.has_value() && cursor_->Valid(); }
  void SeekToFirst();
  void SeekToLast();
  void Seek(InternalKeyView target);
  void SeekForPrev(InternalKeyView target);
  /// As TableCursor's.
  void PrepareSeek(InternalKeyView target);
  void PrepareSeekMore() {
    if (cursor_.has_value()) cursor_->PrepareSeekMore();
  }
  /// REQUIRES: Valid().
  void Next() {
    cursor_->Next();
    if (!cursor_->Valid()) [[unlikely]]
      EnterNext();
  }
  /// REQUIRES: Valid().
  void Prev() {
    cursor_->Prev();
    if (!cursor_->Valid()) [[unlikely]]
      EnterPrevious();
  }
  InternalKeyView key() const { return cursor_->key(); }
  std::string_view value() const { return cursor_->value(); }
  bool ValueStays() const { return cursor_->ValueStays(); }
  Status status() const { return cursor_.has_value() ? cursor_->status() : Status(); }

 private:
  /// Holds table `i`. False: there is none, or there was an error.
  bool Enter(std::size_t i);
  /// Where the table that was entered has nothing to stand on, goes on to the next that has.
  void EnterNext();
  void EnterPrevious();

  std::span<const TableSet::Table> tables_;
  TableReadOptions options_;
  std::size_t index_ = 0;  ///< Of the table that cursor_ is of.
  std::optional<TableCursor> cursor_;
};

/// Of tables as above those that may have a key in [begin, end); an empty `end`: there is none.
std::span<const TableSet::Table> TablesIn(std::span<const TableSet::Table> tables,
                                          std::string_view begin, std::string_view end);
/// The only one of tables as above that may have `user_key`; null: none may.
const TableReader* TableOf(std::span<const TableSet::Table> tables, std::string_view user_key);

}  // namespace bedrock::engine
