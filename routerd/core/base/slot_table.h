#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/check.h"

namespace bedrock::router {

inline constexpr std::size_t kSlotsMax = 1 << 16;
inline constexpr std::uint64_t kGenerationMask = (std::uint64_t{1} << 33) - 1;

/// Names one use of one slot. A slot's generation grows with each use, from 1, so that a stale
/// handle finds nothing (until 2^33 uses of one slot later).
struct SlotHandle {
  std::uint32_t slot = 0;
  std::uint64_t generation = 0;

  /// For containers of plain numbers; 0 is never a handle.
  std::uint64_t Pack() const { return (generation << 16) | slot; }
  static SlotHandle Unpack(std::uint64_t packed) {
    return {static_cast<std::uint32_t>(packed & 0xFFFF), packed >> 16};
  }
  friend bool operator==(const SlotHandle&, const SlotHandle&) = default;
};

/// A table of records that reuses its slots: O(1) to insert, find and erase, no allocation once it
/// has grown. Pointers into it are valid until the next Insert. One thread.
template <typename T>
class SlotTable {
 public:
  /// REQUIRES: size() < kSlotsMax.
  SlotHandle Insert(T value) {
    std::uint32_t slot;
    if (free_.empty()) {
      CHECK(slots_.size() < kSlotsMax);
      slot = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    Slot& entry = slots_[slot];
    entry.generation = (entry.generation + 1) & kGenerationMask;
    if (entry.generation == 0) entry.generation = 1;
    entry.used = true;
    entry.value = std::move(value);
    return {slot, entry.generation};
  }

  /// Null where the handle is stale.
  T* Find(SlotHandle handle) {
    if (handle.slot >= slots_.size()) return nullptr;
    Slot& entry = slots_[handle.slot];
    return entry.used && entry.generation == handle.generation ? &entry.value : nullptr;
  }

  /// REQUIRES: the handle is not stale.
  void Erase(SlotHandle handle) {
    CHECK(Find(handle) != nullptr);
    Slot& entry = slots_[handle.slot];
    entry.used = false;
    entry.value = T();
    free_.push_back(handle.slot);
  }

  /// Calls visit(handle, value) for each record; `visit` may erase none and insert none.
  template <typename Visit>
  void ForEach(Visit&& visit) {
    for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
      Slot& entry = slots_[slot];
      if (entry.used) visit(SlotHandle{slot, entry.generation}, entry.value);
    }
  }

  std::size_t size() const { return slots_.size() - free_.size(); }

 private:
  struct Slot {
    std::uint64_t generation = 0;
    bool used = false;
    T value{};
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace bedrock::router
