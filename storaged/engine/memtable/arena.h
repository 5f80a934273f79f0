#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/thread_annotations.h"
#include "common/env/huge_pages.h"

namespace bedrock::engine {

/// Huge pages that arenas have done with, for the next ones: the kernel writes zeroes over new
/// pages, which costs a memtable as much as a third of its inserts do. Any thread.
class BlockPool {
 public:
  /// Keeps `blocks_max` blocks of kHugePageBytes at most.
  explicit BlockPool(std::size_t blocks_max) : blocks_max_(blocks_max) {}

  /// A block that was given back, its bytes as they were left; nothing owned: there is none.
  HugePages Take() EXCLUDES(mutex_);
  void Give(std::vector<HugePages> blocks) EXCLUDES(mutex_);

 private:
  const std::size_t blocks_max_;
  Mutex mutex_;
  std::vector<HugePages> blocks_ GUARDED_BY(mutex_);
};

/// Hands out memory that lives as long as the arena and is freed all at once. One thread allocates;
/// what was handed out may be used from any thread that learned of it in order.
///
/// Blocks grow with the arena: 8 KiB at first, doubling up to 512 KiB, then of 2 MiB each in huge
/// pages. Each is filled from both ends, so that pieces that must not straddle a cache line cost
/// the others no padding:
///
///     Allocate ► …free… ◄ AllocateLines
class Arena {
 public:
  static constexpr std::size_t kLineBytes = 64;  ///< A cache line.

  /// Takes blocks from `pool` and gives them back, where there is one.
  explicit Arena(std::shared_ptr<BlockPool> pool = nullptr) : pool_(std::move(pool)) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `bytes` bytes, aligned to 8. Never null. REQUIRES: bytes > 0.
  char* Allocate(std::size_t bytes) {
    bytes = (bytes + 7) / 8 * 8;
    if (bytes > free_bytes()) return AllocateSlowly(bytes);
    used_bytes_ += bytes;
    char* const piece = front_;
    front_ += bytes;
    return piece;
  }

  /// `bytes` bytes that begin a cache line. Never null. REQUIRES: bytes is a multiple of
  /// kLineBytes, and at most kLinesBytesMax.
  char* AllocateLines(std::size_t bytes);
  static constexpr std::size_t kLinesBytesMax = std::size_t{4} << 10;

  /// What was handed out, in bytes, without the unused middles of blocks.
  std::size_t used_bytes() const { return used_bytes_; }

 private:
  static constexpr std::size_t kBlockBytesMin = std::size_t{8} << 10;
  static constexpr std::size_t kSmallBlockBytesMax = std::size_t{512} << 10;

  std::size_t free_bytes() const { return static_cast<std::size_t>(back_ - front_); }
  char* AllocateSlowly(std::size_t bytes);
  void AddBlock();
  std::size_t next_block_bytes() const {
    return small_block_bytes_ <= kSmallBlockBytesMax ? small_block_bytes_ : kHugePageBytes;
  }

  const std::shared_ptr<BlockPool> pool_;
  std::vector<std::unique_ptr<char[]>> small_blocks_;
  std::vector<HugePages> huge_blocks_;
  std::size_t small_block_bytes_ = kBlockBytesMin;  ///< Of the next; above its maximum: huge.
  char* front_ = nullptr;
  char* back_ = nullptr;  ///< Begins a cache line, unless null.
  std::size_t used_bytes_ = 0;
};

}  // namespace bedrock::engine
