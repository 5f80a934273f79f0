#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/thread_annotations.h"
#include "storaged/engine/engine.h"
#include "storaged/engine/manifest/table_set.h"
#include "storaged/engine/memtable/memtable.h"
#include "storaged/engine/read/read_state.h"

namespace bedrock::engine {

/// A frozen memtable that waits for its flush.
struct FrozenMemtable {
  std::shared_ptr<const Memtable> memtable;
  AppliedMark mark;  ///< Everything up to here is in it or older.
  std::string client_state;
};

/// The memtables and the tables that reads see, swapped as one: an entry is in one of them at any
/// moment.
///
///   active ──Freeze──► frozen, oldest first ──ReplaceFlushed──► gone; its table is among the
///   tables
///
/// Threads: active and Freeze by the owner of the engine; what is said to be, by any. Reads go
/// through the cell and take no lock.
class LiveState {
 public:
  /// Freed memtables leave up to `memtable_bytes` to the next ones.
  LiveState(std::shared_ptr<const TableSet> tables, std::size_t memtable_bytes, AppliedMark durable,
            std::string client_state);

  // ---- The owner
  Memtable& active() { return *active_; }
  const Memtable& active() const { return *active_; }
  /// `mark` is what was applied so far.
  void Freeze(AppliedMark mark, std::string client_state) EXCLUDES(mutex_);

  // ---- The background
  /// The oldest that nobody has taken yet; whoever takes it flushes it.
  std::optional<FrozenMemtable> TakeFrozen() EXCLUDES(mutex_);
  /// Whether it is the turn of the memtable with this mark to be replaced.
  bool IsOldest(AppliedMark mark) const EXCLUDES(mutex_);
  /// The oldest frozen memtable is in `tables`, and so is its mark durable.
  void ReplaceFlushed(std::shared_ptr<const TableSet> tables) EXCLUDES(mutex_);
  void ReplaceTables(std::shared_ptr<const TableSet> tables) EXCLUDES(mutex_);

  // ---- Any thread
  const ReadStateCell& cell() const { return cell_; }
  AppliedMark durable() const EXCLUDES(mutex_);
  std::string client_state() const EXCLUDES(mutex_);
  /// The active one, too.
  std::size_t memtables() const { return memtables_.load(std::memory_order_relaxed); }
  std::size_t frozen_bytes() const { return frozen_bytes_.load(std::memory_order_relaxed); }
  bool has_frozen() const { return memtables() > 1; }

 private:
  const std::shared_ptr<BlockPool> memory_;
  std::shared_ptr<Memtable> active_;  ///< The owner's; readers reach it through the cell.
  std::atomic<std::size_t> memtables_{1};
  std::atomic<std::size_t> frozen_bytes_{0};

  mutable Mutex mutex_;
  std::deque<FrozenMemtable> frozen_ GUARDED_BY(mutex_);
  std::size_t frozen_taken_ GUARDED_BY(mutex_) = 0;  ///< So many in front.
  AppliedMark durable_ GUARDED_BY(mutex_);
  std::string client_state_ GUARDED_BY(mutex_);
  ReadStateCell cell_;  ///< Replaced under mutex_.
};

}  // namespace bedrock::engine
