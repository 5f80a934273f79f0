#pragma once

#include <string_view>

#include "bedrock/status.h"
#include "storaged/engine/keys/internal_key.h"

namespace bedrock::engine {

/// Walks entries, all versions and tombstones among them, in internal key order. What every source
/// (memtable, table, level, merge of these) gives. Keeps its source alive. One thread at a time.
///
/// After an error Valid() is false and status() says why, for ever: an iterator never steps over
/// what it can't read.
class InternalIterator {
 public:
  virtual ~InternalIterator() = default;

  virtual bool Valid() const = 0;
  virtual void SeekToFirst() = 0;
  /// The first entry at or after `target`.
  virtual void Seek(InternalKeyView target) = 0;
  virtual void Next() = 0;                     ///< REQUIRES: Valid().
  virtual InternalKeyView key() const = 0;     ///< Borrowed until the next call that moves.
  virtual std::string_view value() const = 0;  ///< Borrowed until the next call that moves.
  virtual Status status() const = 0;
};

}  // namespace bedrock::engine
