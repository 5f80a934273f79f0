#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "bedrock/status.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/keys/range_tombstones.h"
#include "storaged/engine/memtable/arena.h"
#include "storaged/engine/memtable/radix_tree.h"
#include "storaged/engine/memtable/tombstone_set.h"
#include "storaged/engine/memtable/version_chain.h"

namespace bedrock::engine {

/// The newest entries, sorted, in memory: an Adaptive Radix Tree over user keys (radix_node.h),
/// each with the chain of its versions (version_chain.h), and the range tombstones
/// (tombstone_set.h) beside it. What was added is neither changed nor removed; the memtable dies as
/// a whole once its table is live.
///
/// Threads: Add and AddRangeTombstone by one thread at a time. Everything else by any, also
/// meanwhile, without locks and without starting over. Readers that want whole commits read at
/// versions that were published after all their Adds: those they see completely.
class Memtable {
 public:
  struct Entry {
    Trailer trailer;
    std::string_view value;  ///< Lives as long as the memtable.
  };
  class Cursor;

  /// Its memory comes from `pool` and goes back there, where there is one.
  explicit Memtable(std::shared_ptr<BlockPool> pool = nullptr) : arena_(std::move(pool)) {}
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  /// Copies the entry in; it replaces an earlier one of the same key and version, which no reader
  /// may be looking for yet. Fastest where a key's versions rise. REQUIRES: sizes are within
  /// kKeyBytesMax and kValueBytesMax.
  void Add(InternalKeyView key, std::string_view value);

  /// Deletes what is older than `version` of all keys in [begin, end), an empty `end` meaning that
  /// there is none. Nothing where the range is empty. REQUIRES: `version` is in [1, kVersionMax].
  void AddRangeTombstone(std::string_view begin, std::string_view end, Version version);

  /// The newest entry of `user_key` at or below `at`; a tombstone of the key counts, range
  /// tombstones do not.
  std::optional<Entry> Find(std::string_view user_key, Version at) const;

  /// The newest version at or below `at` of a range tombstone over `user_key`; 0: there is none.
  Version CoveringTombstone(std::string_view user_key, Version at) const {
    return tombstones_.Covering(user_key, at);
  }
  /// All range tombstones up to now. Never null; may outlive the memtable.
  std::shared_ptr<const FragmentedTombstones> Tombstones() const { return tombstones_.All(); }

  /// What is used, in bytes: entries, the tree's nodes and range tombstones, superseded ones among
  /// them.
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  /// Points and range tombstones.
  std::size_t entries() const { return entries_.load(std::memory_order_relaxed); }
  bool empty() const { return entries() == 0; }

 private:
  /// Counts what the last call added.
  void Account(std::size_t added);

  Arena arena_;
  RadixTree tree_;
  TombstoneSet tombstones_;
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> entries_{0};
};

/// Walks the points in internal key order, both ways, each (key, version) once. Sees at least the
/// entries that were there when it was last positioned by a seek. Never fails. Nothing it does
/// allocates, but for the path of keys that branch more than a dozen times.
///
/// One thread at a time. The memtable outlives it; key() and value() live as long as the memtable.
class Memtable::Cursor final {
 public:
  explicit Cursor(const Memtable& memtable) : walk_(memtable.tree_) {}

  bool Valid() const { return entry_ != nullptr; }
  void SeekToFirst();
  void SeekToLast();
  void Seek(InternalKeyView target);         ///< The first entry at or behind `target`.
  void SeekForPrev(InternalKeyView target);  ///< The last entry at or before `target`.
  void Next();                               ///< REQUIRES: Valid().
  void Prev();                               ///< REQUIRES: Valid().
  InternalKeyView key() const { return entry_->internal_key(); }  ///< REQUIRES: Valid().
  std::string_view value() const { return entry_->value(); }      ///< REQUIRES: Valid().
  Status status() const { return {}; }

 private:
  /// The newest (oldest) version of the walk's key, if it is at one.
  void TakeNewest() { entry_ = walk_.entry(); }
  void TakeOldest();

  RadixWalk walk_;
  const ChainEntry* entry_ = nullptr;
};

}  // namespace bedrock::engine
