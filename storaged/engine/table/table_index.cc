#include "storaged/engine/table/table_index.h"

#include <algorithm>
#include <utility>

#include "common/base/status_macros.h"
#include "common/codec/coding.h"
#include "storaged/engine/table/block.h"
#include "storaged/engine/table/search.h"

namespace bedrock::engine {

void PutIndexValue(std::string& out, std::size_t stored_bytes, std::size_t entries) {
  PutVarint(out, stored_bytes);
  PutVarint(out, entries);
}

Result<TableIndex> TableIndex::Parse(std::string_view contents, std::uint64_t end) {
  TableIndex index;
  ASSIGN_OR_RETURN(index.memory_, Block::Parse(contents));
  const Block& block = Block::In(*index.memory_);
  const std::size_t n = block.size();
  index.heads_.reserve(n);
  index.offsets_.reserve(n + 1);
  index.entries_.reserve(n);
  std::uint64_t offset = kTableHeaderBytes;
  index.offsets_.push_back(offset);
  for (std::size_t i = 0; i < n; ++i) {
    ByteReader reader(block.Value(i));
    const auto stored_bytes = reader.Varint();
    const auto entries = reader.Varint();
    if (!reader.AtEnd() || *entries == 0 || *entries > UINT32_MAX || offset > end ||
        *stored_bytes > end - offset || kBlockTrailerBytes > end - offset - *stored_bytes) {
      return Status::Corruption("malformed index");
    }
    offset += *stored_bytes + kBlockTrailerBytes;
    index.heads_.push_back(Head64(block.KeyRest(i)));
    index.offsets_.push_back(offset);
    index.entries_.push_back(static_cast<std::uint32_t>(*entries));
  }
  for (std::size_t i = 0; i < n; i += kSampled) index.samples_.push_back(index.heads_[i]);
  return index;
}

std::size_t TableIndex::LowerBoundOfHead(std::uint64_t head) const {
  const std::size_t sample = LowerBound64(samples_.data(), samples_.size(), head);
  if (sample == 0) return 0;
  // Behind the last sample below it, and at the next sample at the latest.
  const std::size_t first = (sample - 1) * kSampled + 1;
  const std::size_t n = std::min(kSampled - 1, size() - first);
  return first + LowerBound64(heads_.data() + first, n, head);
}

std::size_t TableIndex::LowerBound(InternalKeyView target) const {
  if (size() == 0) return 0;
  const Block& block = Block::In(*memory_);
  const std::string_view prefix = block.prefix();
  const int order = target.user_key.substr(0, prefix.size()).compare(prefix);
  if (order < 0) return 0;
  if (order > 0) return size();
  const InternalKeyView rest{target.user_key.substr(prefix.size()), target.trailer};
  const std::uint64_t head = Head64(rest.user_key);
  const std::size_t low = LowerBoundOfHead(head);
  const std::size_t high = UpperBound64(heads_.data(), low, size(), head);
  return block.LowerBoundByKey(low, high, rest);
}

std::size_t TableIndex::bytes() const {
  const std::size_t block = memory_ == nullptr ? 0 : memory_->charge();
  return block + (heads_.capacity() + samples_.capacity()) * sizeof(heads_[0]) +
         offsets_.capacity() * sizeof(offsets_[0]) + entries_.capacity() * sizeof(entries_[0]);
}

}  // namespace bedrock::engine
