#include "storaged/engine/cache/block_cache.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <new>

#include "common/base/check.h"
#include "common/env/huge_pages.h"

namespace bedrock::engine {

namespace cache_internal {

// The word of a slot:
//
//   bits 0..31   references. Readers that take a slot for another one count for a moment, too, in
//                any phase, so nobody ever stores the word as a whole.
//   bits 32..33  countdown
//   bits 34..35  phase
//   bit  36      orphan: the cache is gone, the last reader frees the block
//   bits 40..63  tag: the upper bits of the address's hash
inline constexpr std::uint64_t kReferencesMask = 0xffff'ffff;
inline constexpr std::uint64_t kCountdownOne = std::uint64_t{1} << 32;
inline constexpr std::uint64_t kCountdownMask = std::uint64_t{3} << 32;
inline constexpr std::uint64_t kPhaseMask = std::uint64_t{3} << 34;
inline constexpr std::uint64_t kEmpty = 0;
/// One thread fills or empties the slot; only it touches the block's pointer.
inline constexpr std::uint64_t kExclusive = std::uint64_t{1} << 34;
inline constexpr std::uint64_t kVisible = std::uint64_t{2} << 34;
inline constexpr std::uint64_t kOrphan = std::uint64_t{1} << 36;
inline constexpr std::uint64_t kTagMask = ~std::uint64_t{0} << 40;

inline constexpr std::size_t kSlotsABucket = 8;

/// Two cache lines: the words, then what they guard.
struct alignas(128) Bucket {
  std::array<std::atomic<std::uint64_t>, kSlotsABucket> words{};
  /// Atomic for Prefetch alone, which looks at them without holding a word.
  std::array<std::atomic<BlockMemory*>, kSlotsABucket> blocks{};
};

struct Table {
  explicit Table(std::size_t bucket_count) : mask(bucket_count - 1) {
    const std::size_t bytes = bucket_count * sizeof(Bucket);
    if (bytes < kHugePageBytes) {
      small = std::make_unique<Bucket[]>(bucket_count);  // NOLINT: number known at run time only
      buckets = small.get();
    } else {
      large = HugePages(bytes);
      buckets = reinterpret_cast<Bucket*>(large.data());
      std::uninitialized_default_construct_n(buckets, bucket_count);
    }
  }

  /// One of those that keep the table after the cache's end lets go of it.
  static void LetGo(Table* table) {
    if (table->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      std::unique_ptr<Table> last(table);
    }
  }
  /// Takes the block out of a slot that the caller has made exclusive.
  static BlockMemory::Owner TakeOut(Bucket& bucket, std::size_t i) {
    BlockMemory::Owner block(bucket.blocks[i].exchange(nullptr, std::memory_order_relaxed));
    bucket.words[i].fetch_and(kReferencesMask, std::memory_order_release);
    return block;
  }

  std::unique_ptr<Bucket[]> small;  // NOLINT
  HugePages large;
  Bucket* buckets = nullptr;  ///< In one of these.
  std::size_t mask;
  std::atomic<std::size_t> holders{1};
};

}  // namespace cache_internal

namespace {

using cache_internal::Bucket;
using cache_internal::kCountdownMask;
using cache_internal::kCountdownOne;
using cache_internal::kEmpty;
using cache_internal::kExclusive;
using cache_internal::kOrphan;
using cache_internal::kPhaseMask;
using cache_internal::kReferencesMask;
using cache_internal::kSlotsABucket;
using cache_internal::kTagMask;
using cache_internal::kVisible;
using cache_internal::Table;

/// How many buckets an insertion looks at, at most, to make room. Where that is not enough, it
/// gives up; the hand goes on from there the next time.
constexpr std::size_t kSweepsMax = 1024;
/// From this size on a cache has an arena of huge pages, with some room for what sizes that come
/// and go leave unused.
constexpr std::size_t kArenaCacheBytesMin = std::size_t{32} << 20;

/// One place for the trace of a miss on so many slots, of which half are in use.
constexpr std::size_t kSlotsAMiss = 8;
/// One in so many blocks is taken though it was not missed before: what is in the cache for nothing
/// has to leave it some day, too.
constexpr std::uint64_t kTakenEach = 8;

std::uint64_t HashAddress(BlockAddress address) {
  std::uint64_t mixed = address.file.value() * 0x9E3779B97F4A7C15 ^ address.offset;
  mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93;
  mixed = (mixed ^ mixed >> 29) * 0xD6E8FEB86659FD93;
  return mixed ^ mixed >> 32;
}

bool IsVisible(std::uint64_t word) { return (word & kPhaseMask) == kVisible; }
bool IsIdle(std::uint64_t word) { return IsVisible(word) && (word & kReferencesMask) == 0; }

/// Counts without waiting for anybody; what another thread counts at this moment may be lost.
void Bump(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

/// Makes an idle slot the caller's. False: it changed meanwhile.
bool Win(std::atomic<std::uint64_t>& word, std::uint64_t seen) {
  return word.compare_exchange_strong(seen, (seen & ~kPhaseMask) | kExclusive,
                                      std::memory_order_acquire, std::memory_order_relaxed);
}

}  // namespace

BlockMemory::Owner BlockMemory::Allocate(std::size_t bytes, BlockArena* arena) {
  CHECK(bytes < UINT32_MAX - 64);
  if (arena != nullptr) {
    const BlockArena::Chunk chunk = arena->Allocate(sizeof(BlockMemory) + bytes);
    if (chunk.memory != nullptr) {
      return Owner(new (chunk.memory) BlockMemory(bytes, arena, chunk.span));
    }
  }
  void* raw = std::malloc(sizeof(BlockMemory) + bytes);  // NOLINT: one allocation, see the class
  CHECK(raw != nullptr);
  return Owner(new (raw) BlockMemory(bytes, nullptr, 0));
}

void BlockMemory::Free::operator()(BlockMemory* memory) const {
  BlockArena* const arena = memory->arena_;
  const BlockArena::Chunk chunk{memory, memory->span_};
  memory->~BlockMemory();
  if (arena != nullptr) {
    arena->Free(chunk);
  } else {
    std::free(memory);  // NOLINT
  }
}

void BlockMemory::Unpin(BlockMemory* memory) {
  if (memory->slot_ == nullptr) {
    Free()(memory);
    return;
  }
  // Nothing of the block may be touched behind this, except by the last reader of an orphan.
  Table* const table = memory->table_;
  const std::uint64_t before = memory->slot_->fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kOrphan) != 0 && (before & kReferencesMask) == 1) {
    Free()(memory);
    Table::LetGo(table);
  }
}

BlockCache::BlockCache(std::size_t bytes_max, std::size_t block_bytes)
    : bytes_max_(bytes_max), room_(bytes_max) {
  if (bytes_max == 0) return;
  // Half of the slots stay empty: a bucket pair that is full throws blocks out for its own needs.
  const std::size_t slots = bytes_max / std::max<std::size_t>(block_bytes, 64) * 2;
  const std::size_t buckets = std::max<std::size_t>(slots / kSlotsABucket, 2);
  table_ = std::make_unique<Table>(std::bit_ceil(buckets)).release();
  const std::size_t missed = std::bit_floor(std::max<std::size_t>(slots / kSlotsAMiss, 1));
  missed_ = std::make_unique<std::atomic<std::uint32_t>[]>(missed);  // NOLINT
  missed_mask_ = missed - 1;
  if (bytes_max >= kArenaCacheBytesMin) arena_ = BlockArena::Create(bytes_max + bytes_max / 8);
}

BlockCache::~BlockCache() {
  if (arena_ != nullptr) arena_->LetGo();
  if (table_ == nullptr) return;
  for (std::size_t b = 0; b <= table_->mask; ++b) {
    Bucket& bucket = table_->buckets[b];
    for (std::size_t i = 0; i < kSlotsABucket; ++i) {
      BlockMemory* const block = bucket.blocks[i].load(std::memory_order_relaxed);
      if (block == nullptr) continue;
      table_->holders.fetch_add(1, std::memory_order_relaxed);
      const std::uint64_t before = bucket.words[i].fetch_or(kOrphan, std::memory_order_acq_rel);
      if ((before & kReferencesMask) != 0) continue;  // the last pin does it
      BlockMemory::Free()(block);
      Table::LetGo(table_);
    }
  }
  Table::LetGo(table_);
}

void BlockCache::PrefetchSlot(BlockAddress address) const {
  if (table_ == nullptr) return;
  const char* const bucket =
      reinterpret_cast<const char*>(&table_->buckets[HashAddress(address) & table_->mask]);
  __builtin_prefetch(bucket);
  __builtin_prefetch(bucket + 64);
}

void BlockCache::PrefetchBlock(BlockAddress address, std::size_t bytes) const {
  if (table_ == nullptr) return;
  const std::uint64_t hash = HashAddress(address);
  const Bucket& bucket = table_->buckets[hash & table_->mask];
  for (std::size_t i = 0; i < kSlotsABucket; ++i) {
    const std::uint64_t seen = bucket.words[i].load(std::memory_order_relaxed);
    if (((seen ^ hash) & kTagMask) != 0 || !IsVisible(seen)) continue;
    // It may be another one, or gone by now: that costs nothing but the fetch.
    const auto* const block =
        reinterpret_cast<const char*>(bucket.blocks[i].load(std::memory_order_relaxed));
    for (std::size_t line = 0; line < sizeof(BlockMemory) + bytes; line += 64) {
      __builtin_prefetch(block + line);
    }
  }
}

BlockPin BlockCache::Find(BlockAddress address) {
  if (table_ == nullptr) return {};
  const std::uint64_t hash = HashAddress(address);
  Counter& counter = counters_[hash >> 36 & (kCounters - 1)];
  const std::size_t home = hash & table_->mask;
  for (const std::size_t at : {home, home ^ 1}) {
    Bucket& bucket = table_->buckets[at];
    for (std::size_t i = 0; i < kSlotsABucket; ++i) {
      std::atomic<std::uint64_t>& word = bucket.words[i];
      const std::uint64_t seen = word.load(std::memory_order_relaxed);
      if (((seen ^ (hash & kTagMask)) & kTagMask) != 0 || !IsVisible(seen)) continue;
      const std::uint64_t held = word.fetch_add(1, std::memory_order_acquire);
      // Held in this phase, it can't be taken out: eviction needs a word without references.
      BlockMemory* const block = bucket.blocks[i].load(std::memory_order_relaxed);
      if (IsVisible(held) && block->address_ == address) {
        if ((held & kCountdownMask) != kCountdownMask) {
          word.fetch_or(kCountdownMask, std::memory_order_relaxed);
        }
        Bump(counter.hits);
        return BlockPin(block);
      }
      word.fetch_sub(1, std::memory_order_release);
    }
  }
  Bump(counter.misses);
  return {};
}

void BlockCache::Sweep() {
  Bucket& bucket = table_->buckets[hand_.fetch_add(1, std::memory_order_relaxed) & table_->mask];
  for (std::size_t i = 0; i < kSlotsABucket; ++i) {
    std::atomic<std::uint64_t>& word = bucket.words[i];
    std::uint64_t seen = word.load(std::memory_order_relaxed);
    if (!IsIdle(seen)) continue;
    if ((seen & kCountdownMask) != 0) {
      // Lost to a reader or another hand: it is not this hand's turn any more.
      word.compare_exchange_strong(seen, seen - kCountdownOne, std::memory_order_relaxed);
      continue;
    }
    if (!Win(word, seen)) continue;
    const BlockMemory::Owner gone = Table::TakeOut(bucket, i);
    bytes_.fetch_sub(gone->charge(), std::memory_order_relaxed);
  }
}

bool BlockCache::Reserve(std::size_t bytes) {
  std::size_t used = bytes_.load(std::memory_order_relaxed);
  std::size_t sweeps = 0;
  while (true) {
    if (used + bytes <= room_.load(std::memory_order_relaxed)) {
      if (bytes_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed)) return true;
      continue;
    }
    // Four times around, every countdown is at zero: what is left then is being read.
    if (sweeps++ >= std::min(kSweepsMax, 4 * (table_->mask + 1) + 4)) return false;
    Sweep();
    used = bytes_.load(std::memory_order_relaxed);
  }
}

bool BlockCache::Place(std::uint64_t hash, BlockMemory* block) {
  const std::size_t home = hash & table_->mask;
  // First an empty slot, then one whose block nobody reads, least wound up first.
  for (std::uint64_t round = 0; round <= 4; ++round) {
    for (const std::size_t at : {home, home ^ 1}) {
      Bucket& bucket = table_->buckets[at];
      for (std::size_t i = 0; i < kSlotsABucket; ++i) {
        std::atomic<std::uint64_t>& word = bucket.words[i];
        std::uint64_t seen = word.load(std::memory_order_relaxed);
        if (round == 0) {
          if ((seen & kPhaseMask) != kEmpty ||
              !word.compare_exchange_strong(seen, seen | kExclusive, std::memory_order_acquire,
                                            std::memory_order_relaxed)) {
            continue;
          }
        } else {
          if (!IsIdle(seen) || (seen & kCountdownMask) != (round - 1) * kCountdownOne ||
              !Win(word, seen)) {
            continue;
          }
          const BlockMemory::Owner gone(
              bucket.blocks[i].exchange(nullptr, std::memory_order_relaxed));
          bytes_.fetch_sub(gone->charge(), std::memory_order_relaxed);
          word.fetch_and(kReferencesMask | kPhaseMask, std::memory_order_relaxed);
        }
        block->slot_ = &word;
        block->table_ = table_;
        bucket.blocks[i].store(block, std::memory_order_relaxed);
        // One reference is the inserter's; the phase goes from exclusive to visible.
        word.fetch_add((hash & kTagMask) + kCountdownOne + (kVisible - kExclusive) + 1,
                       std::memory_order_release);
        return true;
      }
    }
  }
  return false;
}

bool BlockCache::IsWorthRoom(BlockAddress address) {
  if (table_ == nullptr) return false;
  const std::uint64_t hash = HashAddress(address);
  std::atomic<std::uint32_t>& missed = missed_[hash & missed_mask_];
  const auto tag = static_cast<std::uint32_t>(hash >> 32);
  if (missed.load(std::memory_order_relaxed) == tag) return true;
  missed.store(tag, std::memory_order_relaxed);
  const Counter& counter = counters_[hash >> 36 & (kCounters - 1)];
  return counter.misses.load(std::memory_order_relaxed) % kTakenEach == 0;
}

BlockPin BlockCache::Insert(BlockAddress address, BlockMemory::Owner block) {
  block->address_ = address;
  const std::size_t charge = block->charge();
  if (table_ == nullptr || charge > share_bytes_max() || !Reserve(charge)) {
    return BlockPin(std::move(block));
  }
  BlockMemory* const memory = block.release();
  if (!Place(HashAddress(address), memory)) bytes_.fetch_sub(charge, std::memory_order_relaxed);
  return BlockPin(memory);
}

std::uint64_t BlockCache::hits() const {
  std::uint64_t sum = 0;
  for (const Counter& counter : counters_) sum += counter.hits.load(std::memory_order_relaxed);
  return sum;
}

std::uint64_t BlockCache::misses() const {
  std::uint64_t sum = 0;
  for (const Counter& counter : counters_) sum += counter.misses.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace bedrock::engine
