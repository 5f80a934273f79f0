#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/memtable/arena.h"

namespace bedrock::engine {

/// One version of a key in a memtable, in its arena:
///
///     trailer 8 | older 8 | key bytes 4 | value bytes 4 | [jump 8 | position 8] | key | value
///
/// The versions of a key hang together newest first; `older` leads to the next. Entries that were
/// added on top of an older one also have a jump: a pointer further down, placed by skew-binary
/// numbers (Myers, 1983), so that a version is found in logarithmically many steps however often
/// the key was overwritten. `jump` is a shortcut only: whatever is above where it leads is newer.
///
/// Threads: one writer makes and links entries; complete entries are published by release stores
/// (here and in the tree's slots), and never change but for their links.
class ChainEntry {
 public:
  /// A complete entry, not linked to from anywhere yet.
  static ChainEntry* Make(Arena& arena, InternalKeyView key, std::string_view value,
                          ChainEntry* older);

  Trailer trailer() const { return trailer_; }
  std::string_view key() const { return {key_data(), key_bytes()}; }
  std::string_view value() const { return {key_data() + key_bytes(), value_bytes_}; }
  InternalKeyView internal_key() const { return {key(), trailer_}; }
  const char* key_data() const {
    return reinterpret_cast<const char*>(this) + sizeof(ChainEntry) +
           ((sizes_ & kHasJump) != 0 ? sizeof(Jump) : 0);
  }
  std::size_t key_bytes() const { return sizes_ & ~kHasJump; }

  const ChainEntry* older() const { return older_.load(std::memory_order_acquire); }

  /// The newest entry of the chain from `newest` on whose trailer is at most `limit`; null: none.
  static const ChainEntry* NewestAtMost(const ChainEntry* newest, Trailer limit) {
    if (newest->trailer_.packed() <= limit.packed()) return newest;  // nearly always
    return OldestAbove(newest, limit.packed())->older();
  }
  /// The oldest entry of the chain from `newest` on whose trailer is at least `limit`; null: none.
  static const ChainEntry* OldestAtLeast(const ChainEntry* newest, Trailer limit) {
    if (newest->trailer_.packed() < limit.packed()) return nullptr;
    if (limit.packed() == 0) return Oldest(newest);
    return OldestAbove(newest, limit.packed() - 1);
  }
  static const ChainEntry* Oldest(const ChainEntry* newest) {
    if (newest->older() == nullptr) return newest;
    return OldestAbove(newest, 0);
  }

  /// Puts `value` into the chain from `newest` on, at its version's place; where that version is
  /// there already, instead of it. Gives the entry that is the newest afterwards, which is for the
  /// caller to publish where it is another one. `*replaced` says whether the version was there.
  static ChainEntry* Add(Arena& arena, ChainEntry* newest, InternalKeyView key,
                         std::string_view value, bool* replaced);

 private:
  struct Jump {
    std::atomic<ChainEntry*> to;
    std::uint64_t position;  ///< How many entries were below when this one was made.
  };
  static constexpr std::uint32_t kHasJump = std::uint32_t{1} << 31;

  ChainEntry(Trailer trailer, ChainEntry* older, std::uint32_t sizes, std::uint32_t value_bytes)
      : trailer_(trailer), older_(older), sizes_(sizes), value_bytes_(value_bytes) {}

  Jump* jump() { return reinterpret_cast<Jump*>(this + 1); }
  const Jump* jump() const { return reinterpret_cast<const Jump*>(this + 1); }
  bool has_jump() const { return (sizes_ & kHasJump) != 0; }
  std::uint64_t position() const { return has_jump() ? jump()->position : 0; }
  /// Where its jump leads; itself where it has none.
  ChainEntry* JumpTarget() {
    return has_jump() ? jump()->to.load(std::memory_order_relaxed) : this;
  }

  /// The last of the entries from `newest` on that are above `packed`. REQUIRES: `newest` is.
  static const ChainEntry* OldestAbove(const ChainEntry* newest, std::uint64_t packed);

  Trailer trailer_;
  std::atomic<ChainEntry*> older_;
  std::uint32_t sizes_;  ///< The key's bytes, and kHasJump.
  std::uint32_t value_bytes_;
};
static_assert(sizeof(ChainEntry) == 24);

}  // namespace bedrock::engine
