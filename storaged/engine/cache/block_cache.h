#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "common/base/ids.h"
#include "common/base/striped_counter.h"
#include "storaged/engine/cache/block_arena.h"

namespace bedrock::engine {

/// Where a block stands: file numbers are never reused, so an address means one block for ever.
struct BlockAddress {
  FileNumber file;
  std::uint64_t offset = 0;

  friend bool operator==(const BlockAddress&, const BlockAddress&) = default;
};

namespace cache_internal {
struct Table;
}  // namespace cache_internal

/// The memory of one block: this header and bytes() bytes behind it, in one allocation. Whoever
/// allocates it fills it; once a cache has it, it does not change any more.
class alignas(16) BlockMemory {
 public:
  struct Free {
    void operator()(BlockMemory* memory) const;
  };
  using Owner = std::unique_ptr<BlockMemory, Free>;

  /// `bytes` without any content, from the arena where one is given and has them. REQUIRES: bytes <
  /// 2^32 - 64.
  static Owner Allocate(std::size_t bytes, BlockArena* arena = nullptr);

  BlockMemory(const BlockMemory&) = delete;
  BlockMemory& operator=(const BlockMemory&) = delete;

  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
  std::size_t bytes() const { return bytes_; }
  /// What a cache counts for it.
  std::size_t charge() const {
    const std::size_t all = bytes_ + sizeof(BlockMemory);
    return arena_ == nullptr ? all : BlockArena::ChunkBytes(all);
  }

 private:
  friend class BlockCache;
  friend class BlockPin;
  friend struct cache_internal::Table;

  BlockMemory(std::size_t bytes, BlockArena* arena, std::uint32_t span)
      : bytes_(static_cast<std::uint32_t>(bytes)), span_(span), arena_(arena) {}
  ~BlockMemory() = default;

  /// Gives back a reference that the cache counts; frees the memory where none counts.
  static void Unpin(BlockMemory* memory);

  BlockAddress address_;
  std::uint32_t bytes_;
  std::uint32_t span_;                          ///< Of arena_.
  BlockArena* arena_;                           ///< Null: it comes from malloc.
  std::atomic<std::uint64_t>* slot_ = nullptr;  ///< Counts references; null: it has one owner.
  cache_internal::Table* table_ = nullptr;      ///< Of slot_.
};

/// Holds a block: one that is cached, or one that only this pin owns. Empty after a move. May
/// outlive the cache. May be used from any thread, by one at a time.
class BlockPin {
 public:
  BlockPin() = default;
  explicit BlockPin(BlockMemory::Owner owned) : memory_(owned.release()) {}
  BlockPin(BlockPin&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)) {}
  BlockPin& operator=(BlockPin&& other) noexcept {
    if (this != &other) {
      Reset();
      memory_ = std::exchange(other.memory_, nullptr);
    }
    return *this;
  }
  BlockPin(const BlockPin&) = delete;
  BlockPin& operator=(const BlockPin&) = delete;
  ~BlockPin() { Reset(); }

  explicit operator bool() const { return memory_ != nullptr; }
  /// REQUIRES: it holds one.
  const char* data() const { return memory_->data(); }
  std::size_t bytes() const { return memory_->bytes(); }

  void Reset() {
    if (memory_ != nullptr) BlockMemory::Unpin(std::exchange(memory_, nullptr));
  }

  /// Gives up what it holds, as one word: for PinnedValue. Unpin takes it, once.
  void* Release() { return std::exchange(memory_, nullptr); }
  static void Unpin(void* released) {
    if (released != nullptr) BlockMemory::Unpin(static_cast<BlockMemory*>(released));
  }

 private:
  friend class BlockCache;
  explicit BlockPin(BlockMemory* memory) : memory_(memory) {}

  BlockMemory* memory_ = nullptr;
};

/// Keeps blocks that were read lately, uncompressed and checked, up to a number of bytes. Any
/// thread; nothing in it ever waits: a hit is a probe of two neighbouring cache lines and one
/// atomic increment, letting go of it one decrement.
///
/// A table of a fixed number of slots, in buckets of eight; a block stands in one of the two
/// buckets its address hashes to. A slot's word has the number of its readers, a countdown that
/// hits wind up, a phase and a part of the address's hash. The CLOCK algorithm (Corbato 1968) makes
/// room: a hand goes over the buckets, winds countdowns down and takes out what nobody reads and is
/// at zero. That readers count in the very word that eviction has to win by compare-and-swap is
/// what RocksDB's HyperClockCache showed to scale.
class BlockCache {
 public:
  /// Holds up to `bytes_max` bytes of blocks, 0: none. `block_bytes` is what a block has, about: it
  /// decides how many slots there are.
  explicit BlockCache(std::size_t bytes_max, std::size_t block_bytes = 4096);
  /// Blocks that are pinned live on until the pins are gone. REQUIRES: no other call is under way.
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  /// Empty where it is not cached.
  BlockPin Find(BlockAddress address);
  /// Begin to fetch into the processor what Find will look at, and the first `bytes` of the block,
  /// if it is cached: first the one, some time later the other. For who has several to find.
  void PrefetchSlot(BlockAddress address) const;
  void PrefetchBlock(BlockAddress address, std::size_t bytes) const;
  /// Memory for a block that is meant to be inserted.
  BlockMemory::Owner Allocate(std::size_t bytes) { return BlockMemory::Allocate(bytes, arena_); }
  /// Keeps `block`, unless it is larger than a share or no room can be made; either way it is
  /// handed back, pinned. Of two threads that insert the same block at once, both may succeed.
  BlockPin Insert(BlockAddress address, BlockMemory::Owner block);

  /// Leaves so much of bytes_max() to what is held elsewhere, but keeps an eighth at least. What
  /// is too much from then on goes as blocks come.
  void SetAside(std::size_t bytes) {
    room_.store(bytes_max_ - std::min(bytes, bytes_max_ - bytes_max_ / 8),
                std::memory_order_relaxed);
  }

  /// Of all cached blocks, pinned ones among them; never above bytes_max().
  std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  std::size_t bytes_max() const { return bytes_max_; }
  /// Whether a block that counts so much would throw nothing out, about.
  bool HasRoomFor(std::size_t charge) const {
    const std::size_t held = bytes();
    const std::size_t room = room_.load(std::memory_order_relaxed);
    return held < room && charge <= room - held;
  }
  /// Whether a block that Find missed should be inserted where it throws others out: it was missed
  /// a short time ago, too, or it is one of few that are taken whatever they are. Most blocks of
  /// data larger than the cache are thrown out before they are read again, and to keep them would
  /// cost more than it brings. Counts as a miss of the block.
  bool IsWorthRoom(BlockAddress address);
  /// What a single block may have to be kept.
  std::size_t share_bytes_max() const { return bytes_max_ / 8; }

  /// Calls of Find that found their block, and that did not. Threads that count at the same moment
  /// may lose some.
  std::uint64_t hits() const;
  std::uint64_t misses() const;
  /// Lookups that a filter kept from coming here at all.
  StripedCounter& filter_skips() { return filter_skips_; }

 private:
  static constexpr std::size_t kCounters = 16;
  struct alignas(64) Counter {
    std::atomic<std::uint64_t> hits{0};
    std::atomic<std::uint64_t> misses{0};
  };

  bool Reserve(std::size_t bytes);
  /// Goes with the hand over one bucket.
  void Sweep();
  bool Place(std::uint64_t hash, BlockMemory* block);

  const std::size_t bytes_max_;
  std::atomic<std::size_t> room_;  ///< bytes_max_ without what is set aside.
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::uint64_t> hand_{0};
  cache_internal::Table* table_ = nullptr;  ///< Owned; freed by the last orphan's pin, see ~.
  BlockArena* arena_ = nullptr;             ///< Ours; null in small caches.
  /// Which blocks were missed lately: by hash, a part of it. Null without slots.
  std::unique_ptr<std::atomic<std::uint32_t>[]> missed_;  // NOLINT: number known at run time only
  std::size_t missed_mask_ = 0;
  std::array<Counter, kCounters> counters_;
  StripedCounter filter_skips_;
};

}  // namespace bedrock::engine
