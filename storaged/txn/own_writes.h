#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "bedrock/write_batch.h"

namespace bedrock::txn {

/// What a transaction has written so far: the batch that its commit will be, and an index of it, so
/// that the transaction sees its own writes. Keys are the engine's: whoever puts a prefix in front
/// of users' keys does so here too, and bounds its unbounded ranges. A value; one thread.
class OwnWrites {
 public:
  enum class State { kUntouched, kPut, kDeleted };

  void Put(std::string_view key, std::string_view value);
  void Delete(std::string_view key);
  /// REQUIRES: begin < end, or an empty `end`, which is unbounded.
  void DeleteRange(std::string_view begin, std::string_view end);
  /// Back to when batch().count() was `count`, lower than now.
  void TruncateTo(std::size_t count);

  const WriteBatch& batch() const { return batch_; }
  /// The batch; afterwards nothing is written.
  WriteBatch TakeBatch();

  State StateOf(std::string_view key) const;
  /// REQUIRES: StateOf(key) is kPut. A view until the next change.
  std::string_view ValueOf(std::string_view key) const;

  /// Whether a deleted range covers `key`; keys that were put later are covered no more. Sets
  /// `begin` and `end` to that range's, or to a part of it around the key.
  bool IsInDeletedRange(std::string_view key, std::string_view* begin, std::string_view* end) const;

  /// The keys written, in order, those in deleted ranges only where they were put later.
  struct Written {
    bool deleted = false;
    std::size_t value_at = 0;  ///< In the batch's encoding.
    std::size_t value_size = 0;
  };
  using Index = std::map<std::string, Written, std::less<>>;
  const Index& index() const { return index_; }
  std::string_view value(const Written& written) const {
    return batch_.encoded().substr(written.value_at, written.value_size);
  }

 private:
  void IndexLast(std::string_view key, std::size_t value_size, bool deleted);
  void AddDeletedRange(std::string_view begin, std::string_view end);

  WriteBatch batch_;
  Index index_;
  /// Disjoint, by begin; an empty end, of the last one, is unbounded.
  std::map<std::string, std::string, std::less<>> deleted_ranges_;
};

}  // namespace bedrock::txn
