#include "storaged/engine/memtable/radix_tree.h"

#include <algorithm>
#include <compare>
#include <cstring>

#include "common/base/check.h"

namespace bedrock::engine {

namespace {

/// How many bytes `a` and `b` share from the start. REQUIRES: they share the first `from`.
std::size_t SharedBytes(std::string_view a, std::string_view b, std::size_t from) {
  const std::size_t end = std::min(a.size(), b.size());
  if constexpr (std::endian::native == std::endian::little) {
    while (from + sizeof(std::uint64_t) <= end) {
      std::uint64_t x;
      std::uint64_t y;
      std::memcpy(&x, a.data() + from, sizeof(x));
      std::memcpy(&y, b.data() + from, sizeof(y));
      if (x != y) return from + static_cast<std::size_t>(std::countr_zero(x ^ y)) / 8;
      from += sizeof(x);
    }
  }
  while (from < end && a[from] == b[from]) ++from;
  return from;
}

std::uint8_t ByteAt(std::string_view key, std::size_t at) {
  return static_cast<std::uint8_t>(key[at]);
}

}  // namespace

RadixTree::Place RadixTree::Locate(std::string_view key) {
  using Kind = Place::Kind;
  RadixSlot* slot = &root_;
  std::size_t matched = 0;
  RadixChild child = slot->load(std::memory_order_relaxed);
  if (!child) return {Kind::kEmpty, slot, 0};
  while (!child.IsEntry()) {
    Prefetch(child);
    RadixNode* const node = child.node();
    const std::uint64_t state = node->state.load(std::memory_order_relaxed);
    const std::size_t depth = state & RadixNode::kDepthMask;
    if (depth != matched && !node->MatchesPath(key, matched, depth)) {
      return {Kind::kSplit, slot, node->PartsFromPathAt(key, matched, depth), matched};
    }
    if (key.size() == depth) {
      const bool found = static_cast<bool>(node->terminal.load(std::memory_order_relaxed));
      return {found ? Kind::kFound : Kind::kEmpty, &node->terminal, depth};
    }
    RadixSlot* const below = FindSlot(child, state, ByteAt(key, depth));
    if (below == nullptr) return {Kind::kNoChild, slot, depth};
    slot = below;
    child = slot->load(std::memory_order_relaxed);
    matched = depth + 1;
  }
  const std::size_t parts = child.PartsAtHint(key, matched);
  if (parts < RadixChild::kHints) return {Kind::kSplit, slot, matched + parts, matched};
  const std::string_view other = child.entry()->key();
  const std::size_t shared = SharedBytes(key, other, matched);
  const bool same = shared == key.size() && shared == other.size();
  return {same ? Kind::kFound : Kind::kSplit, slot, shared, matched};
}

void RadixTree::Attach(Arena& arena, const Place& place, const ChainEntry* entry) {
  switch (place.kind) {
    case Place::Kind::kFound:
      CHECK(false);
    case Place::Kind::kEmpty:
      place.slot->store(RadixChild(entry), std::memory_order_release);
      return;
    case Place::Kind::kNoChild: {
      RadixChild node = place.slot->load(std::memory_order_relaxed);
      const std::string_view key = entry->key();
      const std::uint8_t byte = ByteAt(key, place.depth);
      const RadixChild child(entry, key, place.depth + 1);
      if (HasRoom(node)) return AddChild(node, byte, child);
      node = GrowNode(arena, node);
      AddChild(node, byte, child);
      place.slot->store(node, std::memory_order_release);
      return;
    }
    case Place::Kind::kSplit:
      return Split(arena, place, entry);
  }
}

void RadixTree::Split(Arena& arena, const Place& place, const ChainEntry* entry) {
  const std::size_t depth = place.depth;
  const RadixChild old = place.slot->load(std::memory_order_relaxed);
  const RadixChild node = NewNode4(arena, depth, entry->key_data());
  const auto put_entry = [&](const ChainEntry* child) {
    const std::string_view key = child->key();
    if (key.size() == depth) {
      node.node()->terminal.store(RadixChild(child), std::memory_order_relaxed);
    } else {
      AddChild(node, ByteAt(key, depth), RadixChild(child, key, depth + 1));
    }
  };
  const std::size_t skipped = depth - place.matched;
  if (!old.IsEntry()) {
    // Its keys all go on behind where it was parted from.
    AddChild(node, ByteAt({old.node()->path, depth + 1}, depth), old);
  } else if (skipped < RadixChild::kHints && old.hint(skipped) != 0) {
    AddChild(node, old.hint(skipped), old.Below(skipped + 1));
  } else {
    put_entry(old.entry());
  }
  put_entry(entry);
  place.slot->store(node, std::memory_order_release);
}

const ChainEntry* RadixTree::Find(std::string_view key) const {
  RadixChild child = root_.load(std::memory_order_acquire);
  if (!child) return nullptr;
  std::size_t matched = 0;
  while (!child.IsEntry()) {
    Prefetch(child);
    const RadixNode* const node = child.node();
    const std::uint64_t state = node->state.load(std::memory_order_acquire);
    const std::size_t depth = state & RadixNode::kDepthMask;
    if (depth != matched && !node->MatchesPath(key, matched, depth)) return nullptr;
    if (key.size() <= depth) {
      // Shorter is possible only where nothing was skipped, and then the loop ended at its end.
      return node->terminal.load(std::memory_order_acquire).entry();
    }
    const RadixSlot* const slot = FindSlot(child, state, ByteAt(key, depth));
    if (slot == nullptr) return nullptr;
    child = slot->load(std::memory_order_acquire);
    matched = depth + 1;
  }
  if (child.PartsAtHint(key, matched) < RadixChild::kHints) return nullptr;
  const ChainEntry* const entry = child.entry();
  const std::size_t rest = key.size() - matched;
  if (entry->key_bytes() != key.size()) return nullptr;
  if (rest > 0 && std::memcmp(key.data() + matched, entry->key_data() + matched, rest) != 0) {
    return nullptr;
  }
  return entry;
}

// ---- RadixWalk

RadixNodeView& RadixWalk::Push(RadixChild node) {
  ++depth_;
  if (depth_ > kNearDepth && far_.size() < depth_ - kNearDepth) {
    far_.resize(depth_ - kNearDepth);
  }
  RadixNodeView& top = Top();
  top = RadixNodeView(node);
  return top;
}

template <RadixWalk::Direction direction>
void RadixWalk::LookAhead() {
  constexpr bool kForward = direction == Direction::kForward;
  if (depth_ == 0 || !Top().IsSmall()) return;
  const RadixNodeView& top = Top();
  const int rank = kForward ? top.rank() + kAhead : top.rank() - kAhead;
  RadixChild ahead;
  if (rank >= 0 && rank < top.Count()) {
    ahead = top.SmallNodeAt(rank);
  } else if (depth_ >= 2 && At(depth_ - 2).IsSmall()) {
    const RadixNodeView& above = At(depth_ - 2);
    const RadixChild beside = above.SmallNodeAt(kForward ? above.rank() + 1 : above.rank() - 1);
    if (!beside) return;
    const RadixNodeView view(beside);
    ahead = view.SmallNodeAt(kForward ? rank - top.Count() : rank + view.Count());
  }
  if (ahead) PrefetchChildren(ahead);
}

template <RadixWalk::Direction direction>
void RadixWalk::Descend(RadixChild child) {
  constexpr bool kForward = direction == Direction::kForward;
  while (!child.IsEntry()) {
    LookAhead<direction>();
    RadixNodeView& view = Push(child);
    child = kForward ? view.First() : view.Last();
  }
  entry_ = child.entry();
}

template <RadixWalk::Direction direction>
void RadixWalk::Step() {
  constexpr bool kForward = direction == Direction::kForward;
  while (depth_ > 0) {
    const RadixChild child = kForward ? Top().Next() : Top().Previous();
    if (!child) {
      --depth_;
      continue;
    }
    if (!child.IsEntry()) return Descend<direction>(child);
    if (Top().IsSmall()) {
      // As LookAhead, for a node of entries and nodes; one of entries alone has none ahead.
      const int rank = Top().rank();
      const RadixChild ahead = Top().SmallNodeAt(kForward ? rank + kAhead : rank - kAhead);
      if (ahead) PrefetchChildren(ahead);
    }
    entry_ = child.entry();
    return;
  }
  entry_ = nullptr;
}

template <RadixWalk::Direction direction>
bool RadixWalk::Seek(std::string_view key) {
  constexpr bool kForward = direction == Direction::kForward;
  Restart();
  RadixChild child = tree_->root_.load(std::memory_order_acquire);
  if (!child) return false;
  // Everything in `child` is behind the key, or before it.
  const auto beside = [&](bool is_behind) {
    if (is_behind == kForward) {
      Descend<direction>(child);
    } else {
      Step<direction>();
    }
    return false;
  };
  std::size_t matched = 0;
  while (!child.IsEntry()) {
    Prefetch(child);
    const RadixNode* const node = child.node();
    const std::size_t depth = node->depth();
    if (depth != matched && !node->MatchesPath(key, matched, depth)) {
      const std::size_t at = node->PartsFromPathAt(key, matched, depth);
      return beside(at == key.size() || ByteAt({node->path, depth}, at) > ByteAt(key, at));
    }
    RadixNodeView& view = Push(child);
    bool exact = true;
    if (key.size() == depth) {
      child = view.Terminal();
      if (child) break;  // it is the key's, and without hints
      // What else the node has is behind the key.
      Step<direction>();
      return false;
    }
    child = kForward ? view.AtOrAbove(ByteAt(key, depth), &exact)
                     : view.AtOrBelow(ByteAt(key, depth), &exact);
    if (!child) {
      --depth_;
      Step<direction>();
      return false;
    }
    if (!exact) return beside(kForward);
    matched = depth + 1;
  }
  if (const std::size_t parts = child.PartsAtHint(key, matched); parts < RadixChild::kHints) {
    const std::size_t at = matched + parts;
    return beside(at == key.size() || child.hint(parts) > ByteAt(key, at));
  }
  const std::string_view other = child.entry()->key();
  const std::size_t shared = SharedBytes(key, other, matched);
  if (shared == key.size() && shared == other.size()) {
    entry_ = child.entry();
    return true;
  }
  return beside(shared == key.size() ||
                (shared < other.size() && ByteAt(other, shared) > ByteAt(key, shared)));
}

void RadixWalk::SeekToFirst() {
  Restart();
  const RadixChild root = tree_->root_.load(std::memory_order_acquire);
  if (root) Descend<Direction::kForward>(root);
}

void RadixWalk::SeekToLast() {
  Restart();
  const RadixChild root = tree_->root_.load(std::memory_order_acquire);
  if (root) Descend<Direction::kBackward>(root);
}

bool RadixWalk::SeekAtOrAfter(std::string_view key) { return Seek<Direction::kForward>(key); }
bool RadixWalk::SeekAtOrBefore(std::string_view key) { return Seek<Direction::kBackward>(key); }

void RadixWalk::Next() {
  DCHECK(entry_ != nullptr);
  Step<Direction::kForward>();
}

void RadixWalk::Previous() {
  DCHECK(entry_ != nullptr);
  Step<Direction::kBackward>();
}

}  // namespace bedrock::engine
