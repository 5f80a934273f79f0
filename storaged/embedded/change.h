#pragma once

#include <cstddef>
#include <string_view>

#include "bedrock/result.h"
#include "bedrock/status.h"
#include "bedrock/write_batch.h"
#include "storaged/engine/change_reader.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/wal/wal_format.h"
#include "storaged/txn/key_range.h"

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

using txn::IsEmptyRange;
using txn::IsWithin;
using txn::Overlap;

}  // namespace bedrock::embedded
