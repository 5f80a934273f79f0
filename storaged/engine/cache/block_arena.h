#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/thread_annotations.h"
#include "common/env/huge_pages.h"

namespace bedrock::engine {

/// Memory for the blocks of a large cache, out of huge pages: with small ones nearly every look at
/// a cached block would miss the TLB, too. Pages are cut into spans of 256 KiB, each for chunks of
/// one size; a span whose chunks are all free may serve another size. Any thread; allocating and
/// freeing take a mutex, which is nothing beside reading a block.
///
/// The one reference counted by hand: it ends when its owner has let go of it and the last chunk is
/// back, because a block may outlive the cache that it was made for.
class BlockArena {
 public:
  struct Chunk {
    void* memory = nullptr;  ///< Null: get it elsewhere. Aligned to 256.
    std::uint32_t span = 0;  ///< For Free.
  };

  /// Has up to about `bytes_max` of memory.
  static BlockArena* Create(std::size_t bytes_max);
  /// The owner is done with it; chunks may still be freed, none allocated.
  void LetGo();

  BlockArena(const BlockArena&) = delete;
  BlockArena& operator=(const BlockArena&) = delete;

  Chunk Allocate(std::size_t bytes);
  void Free(Chunk chunk);

  /// What a chunk for `bytes` takes; 0: too large for one.
  static std::size_t ChunkBytes(std::size_t bytes);
  std::size_t bytes() const;  ///< Taken from the system.

 private:
  static constexpr std::size_t kSpanBytes = std::size_t{256} << 10;
  static constexpr std::size_t kStepBytes = 256;  ///< Between sizes up to kSmallBytes.
  static constexpr std::size_t kSmallBytes = 8192;
  static constexpr std::size_t kLargeStepBytes = 1024;  ///< Between sizes above.
  static constexpr std::size_t kChunkBytesMax = 32768;
  static constexpr std::size_t kSizes =
      kSmallBytes / kStepBytes + (kChunkBytesMax - kSmallBytes) / kLargeStepBytes + 1;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct Span {
    char* memory = nullptr;
    std::uint32_t chunk_bytes = 0;
    std::uint32_t chunks = 0;
    std::uint32_t free_chunks = 0;
    // Among the spans of its size that have free chunks; the first free span.
    std::uint32_t previous = kNone;
    std::uint32_t next = kNone;
    std::array<std::uint64_t, kSpanBytes / kStepBytes / 64> free_bits{};
  };

  friend struct DeleteArena;
  explicit BlockArena(std::size_t bytes_max);
  ~BlockArena() = default;

  static std::size_t SizeOf(std::size_t chunk_bytes);
  std::uint32_t SpanFor(std::size_t chunk_bytes) REQUIRES(mutex_);
  void Link(std::uint32_t& head, std::uint32_t span) REQUIRES(mutex_);
  void Unlink(std::uint32_t& head, std::uint32_t span) REQUIRES(mutex_);

  const std::size_t regions_max_;
  mutable Mutex mutex_;
  std::vector<HugePages> regions_ GUARDED_BY(mutex_);
  std::vector<Span> spans_ GUARDED_BY(mutex_);
  std::array<std::uint32_t, kSizes> with_room_ GUARDED_BY(mutex_);  ///< First span of each size.
  std::uint32_t unused_ GUARDED_BY(mutex_) = kNone;  ///< First span without any chunk.
  std::uint64_t holders_ GUARDED_BY(mutex_) = 1;     ///< The owner and each chunk.
};

}  // namespace bedrock::engine
