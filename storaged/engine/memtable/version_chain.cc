#include "storaged/engine/memtable/version_chain.h"

#include <cstring>
#include <new>

namespace bedrock::engine {

ChainEntry* ChainEntry::Make(Arena& arena, InternalKeyView key, std::string_view value,
                             ChainEntry* older) {
  static_assert(kKeyBytesMax < kHasJump);
  const std::size_t head_bytes = sizeof(ChainEntry) + (older != nullptr ? sizeof(Jump) : 0);
  char* const memory = arena.Allocate(head_bytes + key.user_key.size() + value.size());
  auto* const entry = new (memory) ChainEntry(
      key.trailer, older,
      static_cast<std::uint32_t>(key.user_key.size()) | (older != nullptr ? kHasJump : 0),
      static_cast<std::uint32_t>(value.size()));
  if (older != nullptr) {
    // Where the two jumps below are of one length, this one spans both and the step to them.
    ChainEntry* const below = older->JumpTarget();
    ChainEntry* const next = below->JumpTarget();
    const bool even = older->position() - below->position() == below->position() - next->position();
    new (entry->jump()) Jump{even ? next : older, older->position() + 1};
  }
  char* const data = memory + head_bytes;
  if (!key.user_key.empty()) std::memcpy(data, key.user_key.data(), key.user_key.size());
  if (!value.empty()) std::memcpy(data + key.user_key.size(), value.data(), value.size());
  return entry;
}

const ChainEntry* ChainEntry::OldestAbove(const ChainEntry* newest, std::uint64_t packed) {
  const ChainEntry* entry = newest;
  while (true) {
    if (entry->has_jump()) {
      const ChainEntry* const target = entry->jump()->to.load(std::memory_order_acquire);
      if (target->trailer_.packed() > packed) {
        entry = target;
        continue;
      }
    }
    const ChainEntry* const older = entry->older();
    if (older == nullptr || older->trailer_.packed() <= packed) return entry;
    entry = older;
  }
}

ChainEntry* ChainEntry::Add(Arena& arena, ChainEntry* newest, InternalKeyView key,
                            std::string_view value, bool* replaced) {
  const Version version = key.version();
  *replaced = version == newest->trailer_.version();
  if (*replaced) {
    // No jump leads to the newest, so letting go of it is all.
    return Make(arena, key, value, newest->older_.load(std::memory_order_relaxed));
  }
  if (version > newest->trailer_.version()) return Make(arena, key, value, newest);

  // Below the newest: no writer of ours does this, so it need not be fast.
  auto* const above = const_cast<ChainEntry*>(
      OldestAbove(newest, version.value() << 8 | 0xff));  // the chain is the writer's to change
  ChainEntry* below = above->older_.load(std::memory_order_relaxed);
  ChainEntry* gone = nullptr;
  if (below != nullptr && below->trailer_.version() == version) {
    *replaced = true;
    gone = below;
    below = gone->older_.load(std::memory_order_relaxed);
  }
  ChainEntry* const entry = Make(arena, key, value, below);
  above->older_.store(entry, std::memory_order_release);
  if (gone == nullptr) return newest;
  // What is added below `gone` later would not be found by way of it.
  for (ChainEntry* i = newest; i != entry; i = i->older_.load(std::memory_order_relaxed)) {
    if (i->has_jump() && i->JumpTarget() == gone) {
      i->jump()->to.store(entry, std::memory_order_release);
    }
  }
  return newest;
}

}  // namespace bedrock::engine
