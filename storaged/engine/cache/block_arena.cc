#include "storaged/engine/cache/block_arena.h"

#include <bit>
#include <memory>
#include <utility>

#include "common/base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define BEDROCK_POISON_FREED_CHUNKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BEDROCK_POISON_FREED_CHUNKS 1
#endif
#endif
#if defined(BEDROCK_POISON_FREED_CHUNKS)
#include <sanitizer/asan_interface.h>
#endif

namespace bedrock::engine {

namespace {

std::size_t RoundUp(std::size_t bytes, std::size_t step) {
  return (bytes + step - 1) / step * step;
}

/// So that the address sanitizer sees a use after free here as it does after free().
void ForbidUse([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(BEDROCK_POISON_FREED_CHUNKS)
  ASAN_POISON_MEMORY_REGION(memory, bytes);
#endif
}
void AllowUse([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(BEDROCK_POISON_FREED_CHUNKS)
  ASAN_UNPOISON_MEMORY_REGION(memory, bytes);
#endif
}

}  // namespace

struct DeleteArena {
  void operator()(BlockArena* arena) const { delete arena; }  // NOLINT: see the class
};

BlockArena::BlockArena(std::size_t bytes_max)
    : regions_max_(RoundUp(bytes_max, kHugePageBytes) / kHugePageBytes) {
  MutexLock lock(mutex_);
  with_room_.fill(kNone);
}

BlockArena* BlockArena::Create(std::size_t bytes_max) {
  return std::unique_ptr<BlockArena, DeleteArena>(new BlockArena(bytes_max)).release();  // NOLINT
}

std::size_t BlockArena::ChunkBytes(std::size_t bytes) {
  if (bytes > kChunkBytesMax) return 0;
  return RoundUp(bytes, bytes <= kSmallBytes ? kStepBytes : kLargeStepBytes);
}

std::size_t BlockArena::SizeOf(std::size_t chunk_bytes) {
  if (chunk_bytes <= kSmallBytes) return chunk_bytes / kStepBytes;
  return kSmallBytes / kStepBytes + (chunk_bytes - kSmallBytes) / kLargeStepBytes;
}

void BlockArena::Link(std::uint32_t& head, std::uint32_t span) {
  spans_[span].previous = kNone;
  spans_[span].next = head;
  if (head != kNone) spans_[head].previous = span;
  head = span;
}

void BlockArena::Unlink(std::uint32_t& head, std::uint32_t span) {
  const auto [previous, next] = std::pair(spans_[span].previous, spans_[span].next);
  if (next != kNone) spans_[next].previous = previous;
  if (previous != kNone) {
    spans_[previous].next = next;
  } else {
    head = next;
  }
}

std::uint32_t BlockArena::SpanFor(std::size_t chunk_bytes) {
  std::uint32_t& with_room = with_room_[SizeOf(chunk_bytes)];
  if (with_room != kNone) return with_room;
  if (unused_ == kNone) {
    if (regions_.size() >= regions_max_) return kNone;
    const HugePages& region = regions_.emplace_back(kHugePageBytes);
    ForbidUse(region.data(), region.size());
    for (std::size_t offset = 0; offset < region.size(); offset += kSpanBytes) {
      spans_.emplace_back().memory = region.data() + offset;
      Link(unused_, static_cast<std::uint32_t>(spans_.size() - 1));
    }
  }
  const std::uint32_t index = unused_;
  Unlink(unused_, index);
  Span& span = spans_[index];
  span.chunk_bytes = static_cast<std::uint32_t>(chunk_bytes);
  span.chunks = span.free_chunks = static_cast<std::uint32_t>(kSpanBytes / chunk_bytes);
  span.free_bits.fill(0);
  for (std::uint32_t i = 0; i < span.chunks; ++i) {
    span.free_bits[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  Link(with_room, index);
  return index;
}

BlockArena::Chunk BlockArena::Allocate(std::size_t bytes) {
  const std::size_t chunk_bytes = ChunkBytes(bytes);
  if (chunk_bytes == 0) return {};
  MutexLock lock(mutex_);
  const std::uint32_t index = SpanFor(chunk_bytes);
  if (index == kNone) return {};
  Span& span = spans_[index];
  std::size_t word = 0;
  while (span.free_bits[word] == 0) ++word;
  const auto bit = static_cast<std::size_t>(std::countr_zero(span.free_bits[word]));
  span.free_bits[word] &= span.free_bits[word] - 1;
  if (--span.free_chunks == 0) Unlink(with_room_[SizeOf(chunk_bytes)], index);
  ++holders_;
  char* const memory = span.memory + (word * 64 + bit) * chunk_bytes;
  AllowUse(memory, chunk_bytes);
  return {memory, index};
}

void BlockArena::Free(Chunk chunk) {
  bool last = false;
  {
    MutexLock lock(mutex_);
    Span& span = spans_[chunk.span];
    ForbidUse(chunk.memory, span.chunk_bytes);
    const auto offset = static_cast<std::size_t>(static_cast<char*>(chunk.memory) - span.memory);
    const std::size_t i = offset / span.chunk_bytes;
    DCHECK(i < span.chunks && (span.free_bits[i / 64] >> (i % 64) & 1) == 0);
    span.free_bits[i / 64] |= std::uint64_t{1} << (i % 64);
    std::uint32_t& with_room = with_room_[SizeOf(span.chunk_bytes)];
    if (span.free_chunks++ == 0) Link(with_room, chunk.span);
    if (span.free_chunks == span.chunks) {
      Unlink(with_room, chunk.span);
      Link(unused_, chunk.span);
    }
    last = --holders_ == 0;
  }
  if (last) DeleteArena()(this);
}

void BlockArena::LetGo() {
  bool last = false;
  {
    MutexLock lock(mutex_);
    last = --holders_ == 0;
  }
  if (last) DeleteArena()(this);
}

std::size_t BlockArena::bytes() const {
  MutexLock lock(mutex_);
  return regions_.size() * kHugePageBytes;
}

}  // namespace bedrock::engine
