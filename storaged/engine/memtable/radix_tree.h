#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <vector>

#include "storaged/engine/memtable/arena.h"
#include "storaged/engine/memtable/radix_node.h"
#include "storaged/engine/memtable/version_chain.h"

namespace bedrock::engine {

/// User keys, each with the newest entry of its chain, in an Adaptive Radix Tree (radix_node.h).
/// Any bytes are keys, the empty key and keys that begin others among them.
///
/// Threads: Locate, Attach and Replace by one writer at a time; all else by any thread meanwhile,
/// without locks. A reader finds every key whose Attach happened before it began.
class RadixTree {
 public:
  /// Where a key belongs. Good until the tree changes.
  struct Place {
    enum class Kind {
      kFound,    ///< `slot` holds the key's entry.
      kEmpty,    ///< `slot` is for the key and empty.
      kNoChild,  ///< The node in `slot` has no child at the key's byte at `depth`.
      kSplit,    ///< What is in `slot` parts from the key at `depth`.
    };
    Kind kind;
    RadixSlot* slot;
    std::size_t depth;
    std::size_t matched = 0;  ///< kSplit: how many bytes of the key lead to `slot`.
  };

  RadixTree() = default;
  RadixTree(const RadixTree&) = delete;
  RadixTree& operator=(const RadixTree&) = delete;

  Place Locate(std::string_view key);
  /// Adds `entry`, whose key was located at `place` and not found. Nodes come from `arena`.
  void Attach(Arena& arena, const Place& place, const ChainEntry* entry);
  /// Makes `entry` the newest of the key found at `place`.
  static void Replace(const Place& place, const ChainEntry* entry) {
    const RadixChild now = place.slot->load(std::memory_order_relaxed);
    place.slot->store(now.WithEntry(entry), std::memory_order_release);
  }
  static ChainEntry* Found(const Place& place) {
    return place.slot->load(std::memory_order_relaxed).entry();
  }

  /// The newest entry of `key`, null where there is none.
  const ChainEntry* Find(std::string_view key) const;

 private:
  friend class RadixWalk;

  /// Puts a node between `place` and what is there, which parts that from `entry`.
  void Split(Arena& arena, const Place& place, const ChainEntry* entry);

  RadixSlot root_{RadixChild()};
};

/// A walk over the keys of a tree, both ways. Sees at least the keys that were there when it was
/// last sought. One thread at a time; the tree outlives it.
class RadixWalk {
 public:
  explicit RadixWalk(const RadixTree& tree) : tree_(&tree) {}

  /// The newest entry of the current key, as it was when the walk got there; null: past an end.
  const ChainEntry* entry() const { return entry_; }

  void SeekToFirst();
  void SeekToLast();
  /// To `key`, or else the first key behind it. Whether it is `key`.
  bool SeekAtOrAfter(std::string_view key);
  /// To `key`, or else the last key before it. Whether it is `key`.
  bool SeekAtOrBefore(std::string_view key);
  void Next();      ///< REQUIRES: entry() != nullptr.
  void Previous();  ///< REQUIRES: entry() != nullptr.

 private:
  enum class Direction { kForward, kBackward };
  static constexpr std::size_t kNearDepth = 12;
  /// Of how many nodes on a walk begins to load the children: with one a walk that does little with
  /// each entry still waits for most of them.
  static constexpr int kAhead = 4;

  template <Direction direction>
  bool Seek(std::string_view key);
  /// Goes on from the path's last node.
  template <Direction direction>
  void Step();
  /// To the first (last) key of `child`.
  template <Direction direction>
  void Descend(RadixChild child);

  void Restart() {
    depth_ = 0;
    entry_ = nullptr;
  }
  /// Begins to load the children of a node that the walk comes to soon.
  template <Direction direction>
  void LookAhead();
  RadixNodeView& Push(RadixChild node);
  RadixNodeView& Top() { return At(depth_ - 1); }
  RadixNodeView& At(std::size_t depth) {
    return depth < kNearDepth ? near_[depth] : far_[depth - kNearDepth];
  }

  const RadixTree* tree_;
  const ChainEntry* entry_ = nullptr;
  /// The nodes above entry_: the upper ones here, the rest in far_, which keeps its capacity.
  std::size_t depth_ = 0;
  std::array<RadixNodeView, kNearDepth> near_;
  std::vector<RadixNodeView> far_;
};

}  // namespace bedrock::engine
