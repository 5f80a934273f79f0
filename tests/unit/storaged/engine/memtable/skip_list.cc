#include "tests/unit/storaged/engine/memtable/skip_list.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "common/base/check.h"

namespace bedrock::engine {

namespace {

/// The key's first 8 bytes as a number: settles most comparisons.
std::uint64_t HeadOf(std::string_view key) {
  unsigned char raw[8] = {};
  if (!key.empty()) std::memcpy(raw, key.data(), std::min<std::size_t>(key.size(), 8));
  std::uint64_t head = 0;
  for (const unsigned char byte : raw) head = head << 8 | byte;
  return head;
}

}  // namespace

// In the arena: the node, its links (one a level, lowest first), the key's bytes, the value's.
struct SkipList::Node {
  std::uint64_t head;
  Trailer trailer;
  const char* bytes;
  std::uint32_t key_bytes;
  std::uint32_t value_bytes;

  InternalKeyView key() const { return {{bytes, key_bytes}, trailer}; }
  std::string_view value() const { return {bytes + key_bytes, value_bytes}; }
  Node** links() { return reinterpret_cast<Node**>(this + 1); }
  Node* Next(int level) const { return reinterpret_cast<Node* const*>(this + 1)[level]; }

  bool IsBefore(std::uint64_t other_head, InternalKeyView other) const {
    if (head != other_head) return head < other_head;
    return key() < other;
  }
};

SkipList::SkipList() : head_(NewNode({}, {}, kHeightMax)) {}

SkipList::Node* SkipList::NewNode(InternalKeyView key, std::string_view value, int height) {
  const std::size_t links_bytes = sizeof(Node*) * static_cast<std::size_t>(height);
  const std::size_t key_bytes = key.user_key.size();
  char* memory = arena_.Allocate(sizeof(Node) + links_bytes + key_bytes + value.size());
  char* bytes = memory + sizeof(Node) + links_bytes;
  if (key_bytes > 0) std::memcpy(bytes, key.user_key.data(), key_bytes);
  if (!value.empty()) std::memcpy(bytes + key_bytes, value.data(), value.size());
  Node* node = new (memory)
      Node{HeadOf(key.user_key), key.trailer, bytes, static_cast<std::uint32_t>(key_bytes),
           static_cast<std::uint32_t>(value.size())};
  std::fill_n(node->links(), height, nullptr);
  return node;
}

int SkipList::RandomHeight() {
  // xorshift64 (Marsaglia, 2003); a quarter of the nodes of a level reach the next.
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return std::min(kHeightMax, 1 + std::countr_zero(random_state_ | std::uint64_t{1} << 62) / 2);
}

SkipList::Node* SkipList::FindAtOrAfter(InternalKeyView key, Path* previous) const {
  const std::uint64_t head = HeadOf(key.user_key);
  Node* node = head_;
  Node* known_after = nullptr;  // already compared on the level above
  for (int level = height_ - 1;; --level) {
    Node* next = node->Next(level);
    while (next != nullptr && next != known_after && next->IsBefore(head, key)) {
      node = next;
      next = node->Next(level);
    }
    known_after = next;
    if (previous != nullptr) (*previous)[static_cast<std::size_t>(level)] = node;
    if (level == 0) return next;
  }
}

void SkipList::Add(InternalKeyView key, std::string_view value) {
  Path previous;
  previous.fill(head_);
  const Node* after = FindAtOrAfter(key, &previous);
  CHECK(after == nullptr || after->key() != key);
  const int height = RandomHeight();
  Node* node = NewNode(key, value, height);
  height_ = std::max(height_, height);
  for (int level = 0; level < height; ++level) {
    Node* const before = previous[static_cast<std::size_t>(level)];
    node->links()[level] = before->Next(level);
    before->links()[level] = node;
  }
}

std::optional<SkipList::Entry> SkipList::Find(std::string_view user_key, Version at) const {
  const Node* node = FindAtOrAfter(SeekKey(user_key, at), nullptr);
  if (node == nullptr || node->key().user_key != user_key) return std::nullopt;
  return Entry{node->trailer, node->value()};
}

void SkipList::Cursor::SeekToFirst() { node_ = list_->head_->Next(0); }

void SkipList::Cursor::SeekToLast() {
  const Node* node = list_->head_;
  for (int level = list_->height_ - 1; level >= 0; --level) {
    while (node->Next(level) != nullptr) node = node->Next(level);
  }
  node_ = node == list_->head_ ? nullptr : node;
}

void SkipList::Cursor::Seek(InternalKeyView target) {
  node_ = list_->FindAtOrAfter(target, nullptr);
}

void SkipList::Cursor::SeekForPrev(InternalKeyView target) {
  Path previous;
  previous.fill(list_->head_);
  const Node* node = list_->FindAtOrAfter(target, &previous);
  if (node == nullptr || node->key() != target) node = previous[0];
  node_ = node == list_->head_ ? nullptr : node;
}

void SkipList::Cursor::Next() { node_ = node_->Next(0); }

void SkipList::Cursor::Prev() {
  Path previous;
  previous.fill(list_->head_);
  (void)list_->FindAtOrAfter(node_->key(), &previous);
  node_ = previous[0] == list_->head_ ? nullptr : previous[0];
}

InternalKeyView SkipList::Cursor::key() const { return node_->key(); }
std::string_view SkipList::Cursor::value() const { return node_->value(); }

}  // namespace bedrock::engine
