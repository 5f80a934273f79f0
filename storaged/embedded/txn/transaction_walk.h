#pragma once

#include <memory>
#include <string>

#include "bedrock/iterator.h"
#include "bedrock/options.h"
#include "storaged/embedded/txn/own_writes.h"
#include "storaged/embedded/txn/read_set.h"

namespace bedrock::embedded {

/// What an iterator of a transaction walks over.
struct TransactionWalkParts {
  std::unique_ptr<Iterator> base;           ///< The committed state, within the bounds.
  std::shared_ptr<const OwnWrites> writes;  ///< As they are now.
  /// Takes what is read, from `at`; null: nobody wants to know.
  std::shared_ptr<ReadSet> reads;
  Snapshot at;
  Range bounds;  ///< Copied.
};

/// The committed state with a transaction's own writes over it. Whatever it walks over is in the
/// read set from then on, the gaps between keys too: what appears in them later is a conflict.
/// version() of an own write is 0: it has none yet.
std::unique_ptr<Iterator> NewTransactionIterator(TransactionWalkParts parts);

}  // namespace bedrock::embedded
