#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "storaged/engine/iterator/internal_iterator.h"

namespace bedrock::engine {

struct TestEntry {
  InternalKey key;
  std::string value;
};

inline void SortEntries(std::vector<TestEntry>& entries) {
  std::sort(entries.begin(), entries.end(),
            [](const TestEntry& a, const TestEntry& b) { return a.key.view() < b.key.view(); });
}

/// Walks sorted entries; where `error` is set it fails behind the last instead of ending.
class VectorIterator final : public InternalIterator {
 public:
  explicit VectorIterator(std::vector<TestEntry> entries, Status error = {})
      : entries_(std::move(entries)), error_(std::move(error)), at_(entries_.size()) {}

  bool Valid() const override { return at_ < entries_.size(); }
  void SeekToFirst() override { Move(0); }
  void Seek(InternalKeyView target) override {
    std::size_t at = 0;
    while (at < entries_.size() && entries_[at].key.view() < target) ++at;
    Move(at);
  }
  void Next() override { Move(at_ + 1); }
  InternalKeyView key() const override { return entries_[at_].key.view(); }
  std::string_view value() const override { return entries_[at_].value; }
  Status status() const override { return status_; }

 private:
  void Move(std::size_t at) {
    at_ = at;
    if (!Valid()) status_ = error_;
  }

  std::vector<TestEntry> entries_;
  Status error_;
  std::size_t at_;
  Status status_;
};

}  // namespace bedrock::engine
