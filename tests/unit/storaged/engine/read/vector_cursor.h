#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/read/merging_cursor.h"
#include "storaged/engine/read/snapshot_walk.h"

namespace bedrock::engine {

struct CursorEntry {
  InternalKey key;
  std::string value;
};

/// What a VectorCursor walks. Counts what is done to it; may grow while cursors stand in it.
struct CursorEntries {
  std::vector<CursorEntry> entries;  ///< By internal key.
  /// Where to fail: stepping on or seeking to this entry, entries.size() for either end.
  std::size_t error_at = static_cast<std::size_t>(-1);
  std::size_t steps = 0;
  std::size_t seeks = 0;

  void Add(std::string key, Version version, EntryKind kind, std::string value) {
    const InternalKey at{std::move(key), Trailer(version, kind)};
    const auto place = std::partition_point(
        entries.begin(), entries.end(),
        [&](const CursorEntry& entry) { return entry.key.view() < at.view(); });
    entries.insert(place, {at, std::move(value)});
  }
};

/// A WalkCursor over a vector. Key and value are views of buffers that are overwritten as soon as
/// they may be, so that a view which is kept too long shows: the key's by each move, the value's
/// by the first or, where it stays, the second.
class VectorCursor {
 public:
  explicit VectorCursor(std::shared_ptr<CursorEntries> entries) : source_(std::move(entries)) {}

  bool Valid() const { return valid_; }
  void SeekToFirst() { SeekAt(0); }
  void SeekToLast() { SeekAt(source_->entries.size() - 1); }
  void Seek(InternalKeyView target) { SeekAt(FirstFrom(target)); }
  void SeekForPrev(InternalKeyView target) {
    std::size_t at = FirstFrom(target);
    const auto& entries = source_->entries;
    if (at == entries.size() || entries[at].key.view() != target) --at;
    SeekAt(at);
  }
  void Next() { Step(Index() + 1); }
  void Prev() { Step(Index() - 1); }
  InternalKeyView key() const { return {*key_, trailer_}; }
  std::string_view value() const { return *values_[turn_]; }
  bool ValueStays() const { return trailer_.packed() % 3 != 0; }
  Status status() const { return status_; }

 private:
  std::size_t FirstFrom(InternalKeyView target) const {
    const auto& entries = source_->entries;
    const auto place =
        std::partition_point(entries.begin(), entries.end(),
                             [&](const CursorEntry& entry) { return entry.key.view() < target; });
    return static_cast<std::size_t>(place - entries.begin());
  }
  std::size_t Index() const { return FirstFrom(key()); }
  void SeekAt(std::size_t at) {
    ++source_->seeks;
    Stand(at);
  }
  void Step(std::size_t at) {
    CHECK(valid_);
    ++source_->steps;
    Stand(at);
  }
  /// At entry `at`; any number that is none is an end.
  void Stand(std::size_t at) {
    at = std::min(at, source_->entries.size());
    if (at == source_->error_at) status_ = Status::Corruption("bad block");
    valid_ = status_.ok() && at < source_->entries.size();
    std::fill(key_->begin(), key_->end(), '~');
    if (!ValueStays()) std::fill(values_[turn_]->begin(), values_[turn_]->end(), '~');
    turn_ = 1 - turn_;
    std::fill(values_[turn_]->begin(), values_[turn_]->end(), '~');
    if (!valid_) return;
    const CursorEntry& entry = source_->entries[at];
    *key_ = entry.key.user_key;
    trailer_ = entry.key.trailer;
    *values_[turn_] = entry.value;
  }

  std::shared_ptr<CursorEntries> source_;
  std::unique_ptr<std::string> key_ = std::make_unique<std::string>();
  Trailer trailer_;
  std::unique_ptr<std::string> values_[2] = {std::make_unique<std::string>(),
                                             std::make_unique<std::string>()};
  std::size_t turn_ = 0;
  bool valid_ = false;
  Status status_;
};

static_assert(WalkCursor<VectorCursor>);
static_assert(EntryCursor<MergingCursor<VectorCursor>>);

}  // namespace bedrock::engine
