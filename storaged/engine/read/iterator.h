#pragma once

#include <memory>
#include <string_view>

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
/// A walk that is made elsewhere: a layer over another iterator. Its functions mean what those of
/// bedrock::Iterator do.
class CustomWalk {
 public:
  virtual ~CustomWalk() = default;
  virtual bool Valid() const = 0;
  virtual void SeekToFirst() = 0;
  virtual void SeekToLast() = 0;
  virtual void Seek(std::string_view key) = 0;
  virtual void SeekForPrev(std::string_view key) = 0;
  virtual void Next() = 0;
  virtual void Prev() = 0;
  virtual std::string_view key() const = 0;
  virtual std::string_view value() const = 0;
  virtual Version version() const = 0;
  virtual Status status() const = 0;
};
std::unique_ptr<Iterator> NewIterator(std::unique_ptr<CustomWalk> walk);
/// Never valid; `status` says why. It counts as looked at.
std::unique_ptr<Iterator> NewFailedIterator(Status status);

}  // namespace bedrock::engine
