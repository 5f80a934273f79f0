#pragma once

#include <cstddef>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/write_batch.h"
#include "storaged/engine/change_reader.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/wal/wal_format.h"

namespace bedrock::embedded {

using engine::kKeyBytesMax;
using engine::kValueBytesMax;
/// One commit is one record of the log.
inline constexpr std::size_t kBatchBytesMax = engine::wal::kPayloadBytesMax;

/// One change of one key or range, not encoded. Views are borrowed.
struct Change {
  using Kind = engine::ChangeReader::Kind;

  Kind kind;
  std::string_view key;    ///< Of a range its begin.
  std::string_view value;  ///< Of a range its end; nothing in a delete.

  std::size_t bytes() const { return key.size() + value.size(); }
  void AddTo(WriteBatch& batch) const;
};

/// invalid_argument for an empty key or one of more than kKeyBytesMax.
Status CheckKey(std::string_view key);
/// invalid_argument: a bound of a range is longer than a key may be.
Status CheckBound(std::string_view bound);
Status CheckValue(std::string_view value);
Status CheckChange(const Change& change);
/// All of a batch, and its size. Gives the bytes of its keys and values.
Result<std::size_t> CheckBatch(const WriteBatch& batch);

/// Whether begin <= key < end, where an empty `end` is unbounded.
inline bool IsWithin(std::string_view key, std::string_view begin, std::string_view end) {
  return key >= begin && (end.empty() || key < end);
}
/// Whether two ranges have a key in common. REQUIRES: neither is empty.
inline bool Overlap(std::string_view begin_a, std::string_view end_a, std::string_view begin_b,
                    std::string_view end_b) {
  return (end_b.empty() || begin_a < end_b) && (end_a.empty() || begin_b < end_a);
}
/// Whether there is no key in [begin, end).
inline bool IsEmptyRange(std::string_view begin, std::string_view end) {
  return !end.empty() && end <= begin;
}

}  // namespace bedrock::embedded
