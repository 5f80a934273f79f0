#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/memtable/arena.h"

namespace bedrock::engine {

/// What the memtable once was, kept as its model and as what it is measured against: a skip list
/// (Pugh, 1990) in an arena. One thread.
class SkipList {
 public:
  struct Entry {
    Trailer trailer;
    std::string_view value;
  };
  class Cursor;

  SkipList();

  /// REQUIRES: no entry with this key and version is there.
  void Add(InternalKeyView key, std::string_view value);
  std::optional<Entry> Find(std::string_view user_key, Version at) const;

 private:
  struct Node;
  static constexpr int kHeightMax = 16;
  using Path = std::array<Node*, kHeightMax>;

  Node* NewNode(InternalKeyView key, std::string_view value, int height);
  int RandomHeight();
  /// The first node at or after `key`, null at the end; `previous` gets the last one before it on
  /// each level.
  Node* FindAtOrAfter(InternalKeyView key, Path* previous) const;

  Arena arena_;
  Node* const head_;
  int height_ = 1;
  std::uint64_t random_state_ = 0x9E3779B97F4A7C15;
};

class SkipList::Cursor {
 public:
  explicit Cursor(const SkipList& list) : list_(&list) {}

  bool Valid() const { return node_ != nullptr; }
  void SeekToFirst();
  void SeekToLast();
  void Seek(InternalKeyView target);
  void SeekForPrev(InternalKeyView target);
  void Next();
  void Prev();
  InternalKeyView key() const;
  std::string_view value() const;

 private:
  const SkipList* list_;
  const Node* node_ = nullptr;
};

}  // namespace bedrock::engine
