#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bedrock {

/// Changes that are committed together, at one version, or not at all. In the order they were
/// added: a later one wins over an earlier one of the same key. Keys and values are copied in. A
/// value; one thread at a time.
///
/// Whether sizes are within their bounds, and the whole within 192 MiB, is checked when it is
/// written.
class WriteBatch {
 public:
  void Put(std::string_view key, std::string_view value);
  void Delete(std::string_view key);
  /// All keys in [begin, end). An empty `end` is unbounded. Nothing where end <= begin.
  void DeleteRange(std::string_view begin, std::string_view end);
  /// Empties it and keeps its memory.
  void Clear();

  std::size_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  /// What it holds, keys, values and a few bytes for each change.
  std::size_t bytes() const { return encoded_.size(); }

  // The encoding, which is also what the write-ahead log holds: changes one after another, each
  //   1        kind: 1 put, 2 delete, 3 delete range
  //   varint   length of the key (the range's begin), then its bytes
  //   varint   length of the value (the range's end; nothing in a delete), then its bytes
  std::string_view encoded() const { return encoded_; }

 private:
  std::string encoded_;
  std::size_t count_ = 0;
};

}  // namespace bedrock
