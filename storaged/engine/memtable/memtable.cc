#include "storaged/engine/memtable/memtable.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <utility>

#include "common/base/check.h"

namespace bedrock::engine {

// In the arena: the node, its links (one a level, lowest first), the key's bytes, the value's.
struct Memtable::Node {
  using Link = std::atomic<Node*>;

  std::uint64_t head;  ///< The key's first 8 bytes as a number: settles most comparisons.
  Trailer trailer;
  const char* bytes;
  std::uint32_t key_bytes;
  std::uint32_t value_bytes;

  InternalKeyView key() const { return {{bytes, key_bytes}, trailer}; }
  std::string_view value() const { return {bytes + key_bytes, value_bytes}; }

  Link* links() { return reinterpret_cast<Link*>(this + 1); }
  const Link* links() const { return reinterpret_cast<const Link*>(this + 1); }
  Node* Next(int level) const { return links()[level].load(std::memory_order_acquire); }
  void SetNext(int level, Node* node) { links()[level].store(node, std::memory_order_release); }
};

Memtable::Memtable() : head_(NewNode({}, {}, kHeightMax)) { bytes_ = 0; }
Memtable::~Memtable() = default;

std::uint64_t Memtable::HeadOf(std::string_view key) {
  unsigned char raw[8] = {};
  if (!key.empty()) std::memcpy(raw, key.data(), std::min<std::size_t>(key.size(), 8));
  std::uint64_t head = 0;
  for (const unsigned char byte : raw) head = head << 8 | byte;
  return head;
}

bool Memtable::IsBefore(const Node& node, std::uint64_t head, InternalKeyView key) {
  if (node.head != head) return node.head < head;
  return node.key() < key;
}

Memtable::Node* Memtable::NewNode(InternalKeyView key, std::string_view value, int height) {
  const std::size_t links_bytes = sizeof(Node::Link) * static_cast<std::size_t>(height);
  const std::size_t key_bytes = key.user_key.size();
  char* memory = arena_.Allocate(sizeof(Node) + links_bytes + key_bytes + value.size());
  char* bytes = memory + sizeof(Node) + links_bytes;
  if (key_bytes > 0) std::memcpy(bytes, key.user_key.data(), key_bytes);
  if (!value.empty()) std::memcpy(bytes + key_bytes, value.data(), value.size());
  Node* node = new (memory)
      Node{HeadOf(key.user_key), key.trailer, bytes, static_cast<std::uint32_t>(key_bytes),
           static_cast<std::uint32_t>(value.size())};
  for (int level = 0; level < height; ++level) {
    new (node->links() + level) Node::Link(nullptr);
  }
  return node;
}

int Memtable::RandomHeight() {
  // xorshift64 (Marsaglia, 2003); a quarter of the nodes of a level reach the next.
  random_state_ ^= random_state_ << 13;
  random_state_ ^= random_state_ >> 7;
  random_state_ ^= random_state_ << 17;
  return std::min(kHeightMax, 1 + std::countr_zero(random_state_ | std::uint64_t{1} << 62) / 2);
}

Memtable::Node* Memtable::FindAtOrAfter(InternalKeyView key, Node** previous) const {
  const std::uint64_t head = HeadOf(key.user_key);
  Node* node = head_;
  Node* known_after = nullptr;  // already compared on the level above
  for (int level = height_.load(std::memory_order_relaxed) - 1;; --level) {
    Node* next = node->Next(level);
    while (next != nullptr && next != known_after && IsBefore(*next, head, key)) {
      node = next;
      next = node->Next(level);
    }
    known_after = next;
    if (previous != nullptr) previous[level] = node;
    if (level == 0) return next;
  }
}

void Memtable::Add(InternalKeyView key, std::string_view value) {
  CHECK(key.user_key.size() <= kKeyBytesMax && value.size() <= kValueBytesMax);
  std::array<Node*, kHeightMax> previous;
  previous.fill(head_);
  const Node* after = FindAtOrAfter(key, previous.data());
  CHECK(after == nullptr || after->key() != key);
  const int height = RandomHeight();
  Node* node = NewNode(key, value, height);
  if (height > height_.load(std::memory_order_relaxed)) {
    // A reader that sees the new height early finds empty links up there, which is fine.
    height_.store(height, std::memory_order_relaxed);
  }
  for (int level = 0; level < height; ++level) {
    const auto slot = static_cast<std::size_t>(level);
    node->links()[level].store(previous[slot]->Next(level), std::memory_order_relaxed);
    previous[slot]->SetNext(level, node);
  }
  bytes_.store(arena_.used_bytes(), std::memory_order_relaxed);
  entries_.store(entries() + 1, std::memory_order_relaxed);
}

std::optional<Memtable::Entry> Memtable::Find(std::string_view user_key, Version at) const {
  const Node* node = FindAtOrAfter(SeekKey(user_key, at), nullptr);
  if (node == nullptr || node->key().user_key != user_key) return std::nullopt;
  return Entry{node->trailer, node->value()};
}

class Memtable::MemtableIterator final : public InternalIterator {
 public:
  explicit MemtableIterator(std::shared_ptr<const Memtable> memtable)
      : memtable_(std::move(memtable)) {}

  bool Valid() const override { return node_ != nullptr; }
  void SeekToFirst() override { node_ = memtable_->head_->Next(0); }
  void Seek(InternalKeyView target) override { node_ = memtable_->FindAtOrAfter(target, nullptr); }
  void Next() override {
    DCHECK(Valid());
    node_ = node_->Next(0);
  }
  InternalKeyView key() const override { return node_->key(); }
  std::string_view value() const override { return node_->value(); }
  Status status() const override { return {}; }

 private:
  std::shared_ptr<const Memtable> memtable_;
  const Node* node_ = nullptr;
};

std::unique_ptr<InternalIterator> Memtable::NewIterator(std::shared_ptr<const Memtable> memtable) {
  return std::make_unique<MemtableIterator>(std::move(memtable));
}

}  // namespace bedrock::engine
