#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "storaged/engine/iterator/internal_iterator.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/memtable/arena.h"

namespace bedrock::engine {

/// The newest entries, sorted, in memory: a skip list (Pugh, 1990) in an arena. Entries are never
/// changed or removed; the memtable dies as a whole once its table is live.
///
/// Threads: Add by one thread at a time. Everything else by any, also meanwhile and without a lock:
/// a node is complete before the release store that links it, and readers load links with acquire.
/// Readers that want whole commits read at versions that were published after all their Adds.
class Memtable {
 public:
  struct Entry {
    Trailer trailer;
    std::string_view value;  ///< Lives as long as the memtable.
  };

  Memtable();
  ~Memtable();
  Memtable(const Memtable&) = delete;
  Memtable& operator=(const Memtable&) = delete;

  /// Copies the entry in. REQUIRES: no entry with this key and version is there; sizes are within
  /// kKeyBytesMax and kValueBytesMax.
  void Add(InternalKeyView key, std::string_view value);

  /// The newest entry of `user_key` at or below `at`; a tombstone counts.
  std::optional<Entry> Find(std::string_view user_key, Version at) const;

  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::size_t entries() const { return entries_.load(std::memory_order_relaxed); }
  bool empty() const { return entries() == 0; }

  /// Sees at least the entries that were there when it was last positioned.
  static std::unique_ptr<InternalIterator> NewIterator(std::shared_ptr<const Memtable> memtable);

 private:
  struct Node;
  class MemtableIterator;

  static constexpr int kHeightMax = 16;

  static std::uint64_t HeadOf(std::string_view key);
  /// Whether `node`, not null, sorts before (`head`, `key`).
  static bool IsBefore(const Node& node, std::uint64_t head, InternalKeyView key);

  Node* NewNode(InternalKeyView key, std::string_view value, int height);
  int RandomHeight();
  /// The first node at or after `key`, null at the end. Where `previous` is given, it gets the last
  /// node before `key` on each level.
  Node* FindAtOrAfter(InternalKeyView key, Node** previous) const;

  Arena arena_;
  Node* const head_;
  std::atomic<int> height_{1};
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> entries_{0};
  /// Draws heights; the same in every run, so that a simulation repeats itself.
  std::uint64_t random_state_ = 0x9E3779B97F4A7C15;
};

}  // namespace bedrock::engine
