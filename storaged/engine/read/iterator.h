#pragma once

#include <memory>

#include "bedrock/iterator.h"
#include "bedrock/options.h"
#include "bedrock/status.h"
#include "common/base/ids.h"
#include "storaged/engine/blob/value_resolver.h"
#include "storaged/engine/read/read_state.h"
#include "storaged/engine/read/reader_link.h"
#include "storaged/engine/table/table_reader.h"

namespace bedrock::engine {

/// What an iterator shows. It keeps all of it for as long as it lives.
struct IteratorParameters {
  std::shared_ptr<const ReadState> state;
  Version at;
  Range bounds;  ///< Copied.
  TableReadOptions options;
  std::shared_ptr<const ValueResolver> resolver;  ///< Null: the blob files of `state`.
  std::shared_ptr<ReaderLink> link;
};

/// Keys in the bounds at the version. Touches no table before it is positioned, and none outside of
/// the bounds.
std::unique_ptr<Iterator> NewIterator(const IteratorParameters& parameters);
/// Never valid; `status` says why. It counts as looked at.
std::unique_ptr<Iterator> NewFailedIterator(Status status);

}  // namespace bedrock::engine
