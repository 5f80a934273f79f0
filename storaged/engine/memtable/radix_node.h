#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "common/base/check.h"
#include "storaged/engine/memtable/arena.h"
#include "storaged/engine/memtable/version_chain.h"

// The inner nodes of the memtable's Adaptive Radix Tree (Leis, Kemper and Neumann, 2013), for one
// writer and any number of readers that neither wait nor start over.
//
// Keys below a node share their first depth() bytes and part by the next; a key that ends there is
// the node's terminal. Of a path without branches only the last node stands (path compression), and
// a key that shares no further byte with others is an entry right where it parted from them (lazy
// expansion). A node knows one of the keys below it: its first depth() bytes are what the path
// skipped. As depth and that key hold for good, whatever is put above a node leaves it as it is.
//
// What readers may see at any moment:
// - a child is complete before the slot that leads to it is stored, with release;
// - a node only gains children: the child's slot, then what says that the slot is in use. Node4 and
//   Node15 keep children in the order they came in, and publish by one word the count and the
//   sorted order of all (as the permutations of Mao, Kohler and Morris, Masstree, 2012);
// - a full node is copied into a larger one, which replaces it in its parent's slot. Who still is
//   in the old one sees what was there when it was left, and all later changes further down but for
//   those in nodes that were replaced since: always all that was there when the reader came.

namespace bedrock::engine {

struct RadixNode;

enum class RadixKind : std::uintptr_t { kEntry = 0, kNode4, kNode15, kNode48, kNode256 };

/// What a slot leads to: nothing, the newest entry of a key, or a node.
///
///     hints 16 | address 45 | kind 3
///
/// The hints of an entry are the two bytes of its key behind those that lead to the slot, the first
/// lowest; 0 stands for any byte, and for none. Most keys that differ are told apart by them,
/// without loading the entry.
class RadixChild {
 public:
  constexpr RadixChild() = default;
  /// An entry whose hints are unknown.
  explicit RadixChild(const ChainEntry* entry) : bits_(AddressOf(entry)) {}
  /// An entry in a slot that the first `matched` bytes of `key`, which is its own, lead to.
  RadixChild(const ChainEntry* entry, std::string_view key, std::size_t matched)
      : bits_(AddressOf(entry)) {
    for (std::size_t i = 0; i < kHints && matched + i < key.size(); ++i) {
      bits_ |= std::uintptr_t{static_cast<std::uint8_t>(key[matched + i])} << HintShift(i);
    }
  }
  RadixChild(const RadixNode* node, RadixKind kind)
      : bits_(AddressOf(node) | static_cast<std::uintptr_t>(kind)) {}

  explicit operator bool() const { return bits_ != 0; }
  RadixKind kind() const { return static_cast<RadixKind>(bits_ & kKindMask); }
  bool IsEntry() const { return (bits_ & kKindMask) == 0; }  ///< Or nothing.
  bool IsSmall() const { return kind() == RadixKind::kNode4 || kind() == RadixKind::kNode15; }
  ChainEntry* entry() const { return reinterpret_cast<ChainEntry*>(bits_ & kAddressMask); }
  RadixNode* node() const { return reinterpret_cast<RadixNode*>(bits_ & kAddressMask); }
  const char* address() const { return reinterpret_cast<const char*>(bits_ & kAddressMask); }

  static constexpr std::size_t kHints = 2;
  /// The i-th byte behind those that lead here; 0: unknown, or no such byte.
  std::uint8_t hint(std::size_t i) const {
    return static_cast<std::uint8_t>(bits_ >> HintShift(i));
  }
  /// At which hint `key` parts from the entry's for certain, the first `matched` bytes of both
  /// leading here; kHints: it may be the same key. It has a byte other than the hint there, or
  /// none.
  std::size_t PartsAtHint(std::string_view key, std::size_t matched) const {
    for (std::size_t i = 0; i < kHints && hint(i) != 0; ++i) {
      const bool has_byte = matched + i < key.size();
      if (!has_byte || static_cast<std::uint8_t>(key[matched + i]) != hint(i)) return i;
    }
    return kHints;
  }
  /// The entry in a slot that is `bytes` bytes further down its key.
  RadixChild Below(std::size_t bytes) const {
    RadixChild below;
    below.bits_ = bits_ & kAddressMask;
    if (bytes < kHints) below.bits_ |= bits_ >> kHintsShift >> 8 * bytes << kHintsShift;
    return below;
  }
  /// Another entry of the same key, in the same slot.
  RadixChild WithEntry(const ChainEntry* entry) const {
    RadixChild other;
    other.bits_ = (bits_ & ~kAddressMask) | AddressOf(entry);
    return other;
  }

  friend bool operator==(RadixChild, RadixChild) = default;

 private:
  static_assert(sizeof(std::uintptr_t) == 8);
  static constexpr std::uintptr_t kKindMask = 7;
  static constexpr std::size_t kHintsShift = 48;
  static constexpr std::uintptr_t kAddressMask =
      ((std::uintptr_t{1} << kHintsShift) - 1) & ~kKindMask;

  static constexpr std::size_t HintShift(std::size_t i) { return kHintsShift + 8 * i; }
  static std::uintptr_t AddressOf(const void* target) {
    // Holds for all addresses that a process gets on x86-64 and AArch64 without asking for others.
    const auto address = reinterpret_cast<std::uintptr_t>(target);
    DCHECK((address & ~kAddressMask) == 0);
    return address;
  }

  std::uintptr_t bits_ = 0;
};

using RadixSlot = std::atomic<RadixChild>;

/// What all kinds of nodes begin with; never on its own.
struct RadixNode {
  RadixNode(std::size_t path_depth, const char* path_key);

  static constexpr std::uint64_t kDepthMask = (std::uint64_t{1} << 17) - 1;
  static_assert(kKeyBytesMax <= kDepthMask);

  std::size_t depth() const { return state.load(std::memory_order_relaxed) & kDepthMask; }

  /// Whether `key`, whose first `from` bytes are the path's, goes on like the path up to depth().
  bool MatchesPath(std::string_view key, std::size_t from, std::size_t to) const;
  /// Where it parts from it: the first byte that differs, or the key's end. REQUIRES: !MatchesPath.
  std::size_t PartsFromPathAt(std::string_view key, std::size_t from, std::size_t to) const;

  std::uint64_t tail;  ///< The path's last 8 bytes, as a number; the rest is zeroes.
  const char* path;    ///< A key below: its first depth() bytes count.
  RadixSlot terminal{RadixChild()};
  /// The low 17 bits: the depth. Above them, a Node4's count, order and bytes.
  std::atomic<std::uint64_t> state;
};

/// Up to 4 children, in one cache line. The state above the depth: count 3, order 4 x 2, 4 unused,
/// bytes 4 x 8.
struct Node4 : RadixNode {
  static constexpr int kCapacity = 4;

  using RadixNode::RadixNode;

  static int Count(std::uint64_t state) { return static_cast<int>(state >> 17 & 7); }
  static int SlotAt(std::uint64_t state, int rank) {
    return static_cast<int>(state >> (20 + 2 * rank) & 3);
  }
  static std::uint8_t ByteOf(std::uint64_t state, int slot) {
    return static_cast<std::uint8_t>(state >> (32 + 8 * slot));
  }
  /// The slot of `byte`, or -1.
  static int Find(std::uint64_t state, std::uint8_t byte) {
    const auto bytes = static_cast<std::uint32_t>(state >> 32);
    const std::uint32_t same = bytes ^ byte * 0x01010101u;
    // The lowest bit set stands for a zero byte; unused slots are above all in use.
    const std::uint32_t zeroes = (same - 0x01010101u) & ~same & 0x80808080u;
    if (zeroes == 0) return -1;
    const int slot = std::countr_zero(zeroes) / 8;
    return slot < Count(state) ? slot : -1;
  }
  /// How many bytes are below `byte`.
  static int Rank(std::uint64_t state, std::uint8_t byte) {
    int rank = 0;
    const int count = Count(state);
    for (int slot = 0; slot < count; ++slot) rank += ByteOf(state, slot) < byte ? 1 : 0;
    return rank;
  }
  void Add(std::uint8_t byte, RadixChild child);

  std::array<RadixSlot, kCapacity> children{};
};
static_assert(sizeof(Node4) == Arena::kLineBytes);

/// Up to 15 children: a Node16 whose order and count fit one word. `order`: count 4, then 15 slots
/// of 4 bits by rising byte.
struct Node15 : RadixNode {
  static constexpr int kCapacity = 15;

  using RadixNode::RadixNode;

  static int Count(std::uint64_t order) { return static_cast<int>(order & 15); }
  static int SlotAt(std::uint64_t order, int rank) {
    return static_cast<int>(order >> (4 + 4 * rank) & 15);
  }
  std::uint8_t ByteOf(int slot) const {
    const auto word = static_cast<std::size_t>(slot / 8);
    return static_cast<std::uint8_t>(bytes[word].load(std::memory_order_relaxed) >> slot % 8 * 8);
  }
  int Find(std::uint64_t order_now, std::uint8_t byte) const;
  int Rank(std::uint64_t order_now, std::uint8_t byte) const;
  void Add(std::uint8_t byte, RadixChild child);

  std::atomic<std::uint64_t> order{0};
  std::array<std::atomic<std::uint64_t>, 2> bytes{};
  std::array<RadixSlot, kCapacity> children{};
};
static_assert(sizeof(Node15) <= 3 * Arena::kLineBytes);

/// Which of the 256 bytes have a child: how the large nodes are walked.
class ByteSet {
 public:
  void Add(int byte) {
    auto& word = words_[static_cast<std::size_t>(byte / 64)];
    word.store(word.load(std::memory_order_relaxed) | std::uint64_t{1} << byte % 64,
               std::memory_order_release);
  }
  /// The first member at or above `byte` in [0, 256]; 256: none.
  int AtOrAbove(int byte) const;
  /// The last member at or below `byte` in [-1, 255]; -1: none.
  int AtOrBelow(int byte) const;

 private:
  std::array<std::atomic<std::uint64_t>, 4> words_{};
};

struct Node48 : RadixNode {
  static constexpr int kCapacity = 48;

  using RadixNode::RadixNode;

  /// The slot of `byte`, or -1.
  int Find(std::uint8_t byte) const { return index[byte].load(std::memory_order_acquire) - 1; }
  void Add(std::uint8_t byte, RadixChild child);

  ByteSet present;
  int count = 0;                                       ///< The writer's.
  std::array<std::atomic<std::uint8_t>, 256> index{};  ///< Slot + 1; 0: none.
  std::array<RadixSlot, kCapacity> children{};
};

struct Node256 : RadixNode {
  using RadixNode::RadixNode;

  void Add(std::uint8_t byte, RadixChild child) {
    children[byte].store(child, std::memory_order_release);
    present.Add(byte);
  }

  ByteSet present;
  std::array<RadixSlot, 256> children{};
};
static_assert(sizeof(Node256) <= Arena::kLinesBytesMax);

// ---- What does not depend on the kind

/// The slot of the child at `byte`, null where there is none. `state` is the node's, loaded with
/// acquire.
inline RadixSlot* FindSlot(RadixChild node, std::uint64_t state, std::uint8_t byte);
/// Whether AddChild would find room.
bool HasRoom(RadixChild node);
/// REQUIRES: room, and no child at `byte`.
void AddChild(RadixChild node, std::uint8_t byte, RadixChild child);
/// A copy of `node` of the next larger kind.
RadixChild GrowNode(Arena& arena, RadixChild node);
/// An empty node of the smallest kind.
RadixChild NewNode4(Arena& arena, std::size_t depth, const char* path);

/// Begins to load what is read first of `child`. Inlined by force: g++ 12 takes a function that
/// only prefetches for one without effects, and leaves calls of it out.
[[gnu::always_inline]] inline void Prefetch(RadixChild child) {
  const char* const lines = child.address();
  __builtin_prefetch(lines);
  // An entry's key is behind its head; most of a Node4 is in its only line.
  if (child.kind() != RadixKind::kNode4) __builtin_prefetch(lines + Arena::kLineBytes);
  if (child.kind() == RadixKind::kNode15) __builtin_prefetch(lines + 2 * Arena::kLineBytes);
}
/// Prefetches the children of a small node.
void PrefetchChildren(RadixChild node);

/// A node as a walk sees it, and the place of the walk in it: a child, by its rank or (in the large
/// kinds) its byte, or the terminal, which is before all children. The order of a small node is
/// that of when the view was made.
///
/// All that moves gives the child moved to, or nothing where there is none: then the view is used
/// up, but for another move from an end.
class RadixNodeView {
 public:
  RadixNodeView() = default;
  explicit RadixNodeView(RadixChild node);

  RadixChild First() {
    const RadixChild terminal = Terminal();
    return terminal ? terminal : Next();
  }
  RadixChild Last();
  RadixChild Next() {
    ++place_;
    if (IsSmall()) [[likely]]
      return place_ < Count() ? HereInSmall() : RadixChild();
    return HereOrAbove();
  }
  RadixChild Previous() {
    if (place_ < 0) return {};
    --place_;
    if (place_ >= 0 && IsSmall()) [[likely]]
      return HereInSmall();
    return HereOrBelow();
  }
  RadixChild Terminal() {
    place_ = kTerminal;
    return node_.node()->terminal.load(std::memory_order_acquire);
  }
  /// The first child at `byte` or above; `*exact`: at it.
  RadixChild AtOrAbove(std::uint8_t byte, bool* exact);
  /// The last child at `byte` or below, or the terminal; `*exact`: at it.
  RadixChild AtOrBelow(std::uint8_t byte, bool* exact);

  // Of a small node, for looking ahead.
  bool IsSmall() const { return node_.IsSmall(); }
  int Count() const {
    return node_.kind() == RadixKind::kNode4 ? Node4::Count(order_) : Node15::Count(order_);
  }
  int rank() const { return place_; }  ///< Of where the walk is; -1: at the terminal.
  /// The child of this rank where it is a small node, else nothing. Any rank will do.
  RadixChild SmallNodeAt(int rank) const {
    if (rank < 0 || rank >= Count()) return {};
    const RadixChild child = SmallAt(rank);
    return child.IsSmall() ? child : RadixChild();
  }

 private:
  static constexpr int kTerminal = -1;

  RadixChild HereInSmall() const { return SmallAt(place_); }
  RadixChild SmallAt(int rank) const {
    const RadixNode* const base = node_.node();
    const RadixSlot& slot =
        node_.kind() == RadixKind::kNode4
            ? static_cast<const Node4*>(base)
                  ->children[static_cast<std::size_t>(Node4::SlotAt(order_, rank))]
            : static_cast<const Node15*>(base)
                  ->children[static_cast<std::size_t>(Node15::SlotAt(order_, rank))];
    return slot.load(std::memory_order_acquire);
  }
  /// The child at `place_`. REQUIRES: it is one's.
  RadixChild Here() const;
  RadixChild HereOrAbove();
  RadixChild HereOrBelow();

  RadixChild node_;
  std::uint64_t order_ = 0;  ///< Of a Node4: its state.
  int place_ = kTerminal;
};

// ---- Inline parts

#ifdef __SSE2__
namespace radix_internal {
inline __m128i LoadBytes(const std::array<std::atomic<std::uint64_t>, 2>& bytes) {
  return _mm_set_epi64x(static_cast<long long>(bytes[1].load(std::memory_order_relaxed)),
                        static_cast<long long>(bytes[0].load(std::memory_order_relaxed)));
}
}  // namespace radix_internal
#endif

inline int Node15::Find(std::uint64_t order_now, std::uint8_t byte) const {
#ifdef __SSE2__
  const __m128i same =
      _mm_cmpeq_epi8(radix_internal::LoadBytes(bytes), _mm_set1_epi8(static_cast<char>(byte)));
  // Unused slots, which are zero, are above all in use.
  const auto slots = static_cast<unsigned>(_mm_movemask_epi8(same));
  const int slot = std::countr_zero(slots | 1u << 16);
  return slot < Count(order_now) ? slot : -1;
#else
  for (int slot = 0; slot < Count(order_now); ++slot) {
    if (ByteOf(slot) == byte) return slot;
  }
  return -1;
#endif
}

inline RadixSlot* FindSlot(RadixChild child, std::uint64_t state, std::uint8_t byte) {
  switch (child.kind()) {
    case RadixKind::kNode4: {
      const int slot = Node4::Find(state, byte);
      if (slot < 0) return nullptr;
      return &static_cast<Node4*>(child.node())->children[static_cast<std::size_t>(slot)];
    }
    case RadixKind::kNode15: {
      auto* const node = static_cast<Node15*>(child.node());
      const int slot = node->Find(node->order.load(std::memory_order_acquire), byte);
      if (slot < 0) return nullptr;
      return &node->children[static_cast<std::size_t>(slot)];
    }
    case RadixKind::kNode48: {
      auto* const node = static_cast<Node48*>(child.node());
      const int slot = node->Find(byte);
      if (slot < 0) return nullptr;
      return &node->children[static_cast<std::size_t>(slot)];
    }
    case RadixKind::kNode256: {
      RadixSlot* const slot = &static_cast<Node256*>(child.node())->children[byte];
      return slot->load(std::memory_order_relaxed) ? slot : nullptr;
    }
    case RadixKind::kEntry:
      break;
  }
  return nullptr;
}

}  // namespace bedrock::engine
