#include "storaged/engine/memtable/radix_node.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace bedrock::engine {

namespace {

constexpr std::size_t kTailBytes = sizeof(RadixNode::tail);

/// The 8 bytes before `end`, or as many as there are, as a big-endian number.
std::uint64_t TailBefore(const char* key, std::size_t end) {
  const std::size_t n = std::min(end, kTailBytes);
  std::uint64_t tail = 0;
  for (std::size_t i = end - n; i < end; ++i) {
    tail = tail << 8 | static_cast<std::uint8_t>(key[i]);
  }
  return tail;
}

std::uint64_t LoadBigEndian(const char* bytes) {
  std::uint64_t number;
  std::memcpy(&number, bytes, sizeof(number));
  if constexpr (std::endian::native == std::endian::little) number = __builtin_bswap64(number);
  return number;
}

/// TailBefore, where `end` is in (0, key.size()].
std::uint64_t LoadTail(std::string_view key, std::size_t end) {
  if (end >= kTailBytes) return LoadBigEndian(key.data() + end - kTailBytes);
  if (key.size() >= kTailBytes) return LoadBigEndian(key.data()) >> 8 * (kTailBytes - end);
  return TailBefore(key.data(), end);
}

#ifdef __SSE2__
/// Of 16 bits. std::popcount is a call of a function where the processor isn't known to have it.
int CountBits(unsigned bits) {
  bits -= bits >> 1 & 0x5555;
  bits = (bits & 0x3333) + (bits >> 2 & 0x3333);
  bits = (bits + (bits >> 4)) & 0x0f0f;
  return static_cast<int>((bits + (bits >> 8)) & 0x1f);
}
#endif

template <typename Node>
Node* NewNode(Arena& arena, std::size_t depth, const char* path) {
  constexpr std::size_t kBytes =
      (sizeof(Node) + Arena::kLineBytes - 1) / Arena::kLineBytes * Arena::kLineBytes;
  return new (arena.AllocateLines(kBytes)) Node(depth, path);
}

/// Makes room at `rank` of an order whose ranks have `bits` bits each, and puts `slot` there.
std::uint64_t InsertRank(std::uint64_t ranks, int bits, int rank, int slot) {
  const std::uint64_t below = (std::uint64_t{1} << bits * rank) - 1;
  return (ranks & below) | static_cast<std::uint64_t>(slot) << bits * rank |
         (ranks & ~below) << bits;
}

template <typename To>
To* CopyHeader(Arena& arena, const RadixNode& from) {
  To* const node = NewNode<To>(arena, from.depth(), from.path);
  node->terminal.store(from.terminal.load(std::memory_order_relaxed), std::memory_order_relaxed);
  return node;
}

}  // namespace

RadixNode::RadixNode(std::size_t path_depth, const char* path_key)
    : tail(path_depth >= kTailBytes ? LoadBigEndian(path_key + path_depth - kTailBytes)
                                    : TailBefore(path_key, path_depth)),
      path(path_key),
      state(path_depth) {}

bool RadixNode::MatchesPath(std::string_view key, std::size_t from, std::size_t to) const {
  if (key.size() < to) return false;
  // What is before `from` is equal anyway.
  if (LoadTail(key, to) != tail) return false;
  return to - from <= kTailBytes ||
         std::memcmp(key.data() + from, path + from, to - from - kTailBytes) == 0;
}

std::size_t RadixNode::PartsFromPathAt(std::string_view key, std::size_t from,
                                       std::size_t to) const {
  const std::size_t end = std::min(key.size(), to);
  while (from < end && key[from] == path[from]) ++from;
  return from;
}

void Node4::Add(std::uint8_t byte, RadixChild child) {
  const std::uint64_t now = state.load(std::memory_order_relaxed);
  const int slot = Count(now);
  DCHECK(slot < kCapacity);
  children[static_cast<std::size_t>(slot)].store(child, std::memory_order_relaxed);
  const std::uint64_t ranks = InsertRank(now >> 20 & 0xff, 2, Rank(now, byte), slot) & 0xff;
  const std::uint64_t next = (now & kDepthMask) | static_cast<std::uint64_t>(slot + 1) << 17 |
                             ranks << 20 | now >> 32 << 32 | std::uint64_t{byte} << (32 + 8 * slot);
  state.store(next, std::memory_order_release);
}

int Node15::Rank(std::uint64_t order_now, std::uint8_t byte) const {
#ifdef __SSE2__
  const __m128i all = radix_internal::LoadBytes(bytes);
  const __m128i one = _mm_set1_epi8(static_cast<char>(byte));
  const auto at_least =
      static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_max_epu8(all, one), all)));
  return CountBits(~at_least & ((1u << Count(order_now)) - 1));
#else
  int rank = 0;
  for (int slot = 0; slot < Count(order_now); ++slot) rank += ByteOf(slot) < byte ? 1 : 0;
  return rank;
#endif
}

void Node15::Add(std::uint8_t byte, RadixChild child) {
  const std::uint64_t now = order.load(std::memory_order_relaxed);
  const int slot = Count(now);
  DCHECK(slot < kCapacity);
  children[static_cast<std::size_t>(slot)].store(child, std::memory_order_relaxed);
  const int rank = Rank(now, byte);
  auto& word = bytes[static_cast<std::size_t>(slot / 8)];
  word.store(word.load(std::memory_order_relaxed) | std::uint64_t{byte} << slot % 8 * 8,
             std::memory_order_relaxed);
  order.store(InsertRank(now >> 4, 4, rank, slot) << 4 | static_cast<std::uint64_t>(slot + 1),
              std::memory_order_release);
}

void Node48::Add(std::uint8_t byte, RadixChild child) {
  DCHECK(count < kCapacity);
  children[static_cast<std::size_t>(count)].store(child, std::memory_order_relaxed);
  ++count;
  index[byte].store(static_cast<std::uint8_t>(count), std::memory_order_release);
  present.Add(byte);
}

int ByteSet::AtOrAbove(int byte) const {
  while (byte < 256) {
    const std::uint64_t word =
        words_[static_cast<std::size_t>(byte / 64)].load(std::memory_order_acquire);
    const std::uint64_t rest = word >> byte % 64;
    if (rest != 0) return byte + std::countr_zero(rest);
    byte = (byte / 64 + 1) * 64;
  }
  return 256;
}

int ByteSet::AtOrBelow(int byte) const {
  while (byte >= 0) {
    const std::uint64_t word =
        words_[static_cast<std::size_t>(byte / 64)].load(std::memory_order_acquire);
    const std::uint64_t rest = word << (63 - byte % 64);
    if (rest != 0) return byte - std::countl_zero(rest);
    byte = byte / 64 * 64 - 1;
  }
  return -1;
}

bool HasRoom(RadixChild node) {
  const RadixNode* const base = node.node();
  switch (node.kind()) {
    case RadixKind::kNode4:
      return Node4::Count(base->state.load(std::memory_order_relaxed)) < Node4::kCapacity;
    case RadixKind::kNode15:
      return Node15::Count(static_cast<const Node15*>(base)->order.load(
                 std::memory_order_relaxed)) < Node15::kCapacity;
    case RadixKind::kNode48:
      return static_cast<const Node48*>(base)->count < Node48::kCapacity;
    default:
      return true;
  }
}

void AddChild(RadixChild node, std::uint8_t byte, RadixChild child) {
  RadixNode* const base = node.node();
  switch (node.kind()) {
    case RadixKind::kNode4:
      return static_cast<Node4*>(base)->Add(byte, child);
    case RadixKind::kNode15:
      return static_cast<Node15*>(base)->Add(byte, child);
    case RadixKind::kNode48:
      return static_cast<Node48*>(base)->Add(byte, child);
    case RadixKind::kNode256:
      return static_cast<Node256*>(base)->Add(byte, child);
    case RadixKind::kEntry:
      CHECK(false);
  }
}

RadixChild GrowNode(Arena& arena, RadixChild node) {
  switch (node.kind()) {
    case RadixKind::kNode4: {
      const auto& from = *static_cast<const Node4*>(node.node());
      const std::uint64_t state = from.state.load(std::memory_order_relaxed);
      auto* const to = CopyHeader<Node15>(arena, from);
      for (int slot = 0; slot < Node4::Count(state); ++slot) {
        to->Add(Node4::ByteOf(state, slot),
                from.children[static_cast<std::size_t>(slot)].load(std::memory_order_relaxed));
      }
      return {to, RadixKind::kNode15};
    }
    case RadixKind::kNode15: {
      const auto& from = *static_cast<const Node15*>(node.node());
      auto* const to = CopyHeader<Node48>(arena, from);
      const int count = Node15::Count(from.order.load(std::memory_order_relaxed));
      for (int slot = 0; slot < count; ++slot) {
        to->Add(from.ByteOf(slot),
                from.children[static_cast<std::size_t>(slot)].load(std::memory_order_relaxed));
      }
      return {to, RadixKind::kNode48};
    }
    case RadixKind::kNode48: {
      const auto& from = *static_cast<const Node48*>(node.node());
      auto* const to = CopyHeader<Node256>(arena, from);
      for (int byte = from.present.AtOrAbove(0); byte < 256;
           byte = from.present.AtOrAbove(byte + 1)) {
        const auto slot = static_cast<std::size_t>(from.Find(static_cast<std::uint8_t>(byte)));
        to->Add(static_cast<std::uint8_t>(byte),
                from.children[slot].load(std::memory_order_relaxed));
      }
      return {to, RadixKind::kNode256};
    }
    default:
      CHECK(false);
  }
  return {};
}

RadixChild NewNode4(Arena& arena, std::size_t depth, const char* path) {
  return {NewNode<Node4>(arena, depth, path), RadixKind::kNode4};
}

void PrefetchChildren(RadixChild node) {
  const RadixNode* const base = node.node();
  const RadixSlot* children = nullptr;
  int count = 0;
  if (node.kind() == RadixKind::kNode4) {
    children = static_cast<const Node4*>(base)->children.data();
    count = Node4::Count(base->state.load(std::memory_order_acquire));
  } else {
    const auto& node15 = *static_cast<const Node15*>(base);
    children = node15.children.data();
    count = Node15::Count(node15.order.load(std::memory_order_acquire));
  }
  for (int i = 0; i < count; ++i) Prefetch(children[i].load(std::memory_order_relaxed));
}

// ---- RadixNodeView

RadixNodeView::RadixNodeView(RadixChild node) : node_(node) {
  if (node.kind() == RadixKind::kNode4) {
    order_ = node.node()->state.load(std::memory_order_acquire);
  } else if (node.kind() == RadixKind::kNode15) {
    order_ = static_cast<const Node15*>(node.node())->order.load(std::memory_order_acquire);
  }
}

RadixChild RadixNodeView::Here() const {
  const RadixNode* const base = node_.node();
  switch (node_.kind()) {
    case RadixKind::kNode4:
    case RadixKind::kNode15:
      return HereInSmall();
    case RadixKind::kNode48: {
      const auto& node = *static_cast<const Node48*>(base);
      const auto slot = static_cast<std::size_t>(node.Find(static_cast<std::uint8_t>(place_)));
      return node.children[slot].load(std::memory_order_acquire);
    }
    case RadixKind::kNode256:
      return static_cast<const Node256*>(base)->children[static_cast<std::size_t>(place_)].load(
          std::memory_order_acquire);
    case RadixKind::kEntry:
      break;
  }
  return {};
}

RadixChild RadixNodeView::HereOrAbove() {
  switch (node_.kind()) {
    case RadixKind::kNode48:
      place_ = static_cast<const Node48*>(node_.node())->present.AtOrAbove(place_);
      return place_ < 256 ? Here() : RadixChild();
    case RadixKind::kNode256:
      place_ = static_cast<const Node256*>(node_.node())->present.AtOrAbove(place_);
      return place_ < 256 ? Here() : RadixChild();
    default:
      return place_ < Count() ? Here() : RadixChild();
  }
}

RadixChild RadixNodeView::HereOrBelow() {
  if (node_.kind() == RadixKind::kNode48) {
    place_ = static_cast<const Node48*>(node_.node())->present.AtOrBelow(place_);
  } else if (node_.kind() == RadixKind::kNode256) {
    place_ = static_cast<const Node256*>(node_.node())->present.AtOrBelow(place_);
  }
  return place_ >= 0 ? Here() : Terminal();
}

RadixChild RadixNodeView::Last() {
  const bool small = node_.kind() == RadixKind::kNode4 || node_.kind() == RadixKind::kNode15;
  place_ = small ? Count() - 1 : 255;
  return HereOrBelow();
}

RadixChild RadixNodeView::AtOrAbove(std::uint8_t byte, bool* exact) {
  const RadixNode* const base = node_.node();
  switch (node_.kind()) {
    case RadixKind::kNode4:
      place_ = Node4::Rank(order_, byte);
      *exact = place_ < Count() && Node4::ByteOf(order_, Node4::SlotAt(order_, place_)) == byte;
      return HereOrAbove();
    case RadixKind::kNode15: {
      const auto& node = *static_cast<const Node15*>(base);
      place_ = node.Rank(order_, byte);
      *exact = place_ < Count() && node.ByteOf(Node15::SlotAt(order_, place_)) == byte;
      return HereOrAbove();
    }
    default: {
      place_ = byte;
      const RadixChild child = HereOrAbove();
      *exact = place_ == byte;
      return child;
    }
  }
}

RadixChild RadixNodeView::AtOrBelow(std::uint8_t byte, bool* exact) {
  if (node_.kind() == RadixKind::kNode48 || node_.kind() == RadixKind::kNode256) {
    place_ = byte;
    const RadixChild child = HereOrBelow();
    *exact = place_ == byte;
    return child;
  }
  const RadixChild above = AtOrAbove(byte, exact);
  return *exact ? above : Previous();
}

}  // namespace bedrock::engine
