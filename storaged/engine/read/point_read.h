#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bedrock/pinned_value.h"
#include "bedrock/result.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "storaged/engine/blob/value_resolver.h"
#include "storaged/engine/keys/internal_key.h"
#include "storaged/engine/read/read_state.h"
#include "storaged/engine/table/table_reader.h"

namespace bedrock::engine {

/// What a read of single keys looks at, and how. Borrowed for the call.
struct PointRead {
  const ReadStateCell::Read& state;
  Version at;
  TableReadOptions options;
  const ValueResolver* resolver = nullptr;  ///< Null: the blob files of `state`.
};

/// What the engine knows of a key at a version.
struct NewestEntry {
  /// Of the newest entry or range tombstone, the latter as a kDelete; Last(): it knows nothing.
  Trailer trailer = Trailer::Last();
  std::string_view value;
  BlockPin pin;  ///< Holds the value; empty: it lies in a memtable of the read state.

  bool known() const { return trailer.packed() != 0; }
  bool found() const { return known() && trailer.kind() != EntryKind::kDelete; }
};

/// The newest entry of `key` at or below read.at. Sources are asked from the newest on, and none
/// behind the one that has an entry, or a range tombstone over the key.
Result<NewestEntry> FindNewest(const PointRead& read, std::string_view key);

/// A copy of the entry's value. REQUIRES: entry.found().
Result<std::string> CopyValue(const PointRead& read, const NewestEntry& entry);

/// The value of `key`, where it lies. not_found: absent.
Status ReadPoint(const PointRead& read, std::string_view key, PinnedValue* value);

/// ReadPoint for each of `keys`, in any order, in the order they are given. Asks each source for
/// all keys that are still looked for before the next one, in key order.
std::vector<Result<PinnedValue>> ReadPoints(const PointRead& read,
                                            std::span<const std::string_view> keys);

}  // namespace bedrock::engine
