#include "storaged/engine/table/table_cursor.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/check.h"

namespace bedrock::engine {

namespace {

/// Short scans end within so many blocks: they read nothing that they do not need.
constexpr std::uint32_t kBlocksBeforeReadAhead = 2;

}  // namespace

TableCursor::TableCursor(const TableReader& table, TableReadOptions options)
    : table_(&table), options_(options), status_(table.status()) {}

void TableCursor::Fail(const Status& status) {
  status_ = status;
  block_ = nullptr;
  pin_.Reset();
}

bool TableCursor::Enter(std::size_t i) {
  if (!status_.ok() || i >= table_->index_.size()) {
    block_ = nullptr;
    return false;
  }
  if (!pin_ || block_index_ != i) {
    const bool read_ahead = walked_blocks_ > kBlocksBeforeReadAhead;
    auto pin = table_->DataBlock(i, options_, {read_ahead ? ahead_.get() : nullptr, walk_});
    if (!pin.ok()) {
      Fail(pin.status());
      return false;
    }
    pin_ = std::move(pin).value();
    block_index_ = i;
  }
  block_ = &Block::In(pin_);
  const std::string_view prefix = block_->prefix();
  const std::size_t needed = block_->key_bytes_max() + Block::kCopyBytes;
  if (needed > std::max(small_key_.size(), large_key_capacity_)) {
    large_key_capacity_ = std::max<std::size_t>(needed, 2 * large_key_capacity_);
    large_key_ = std::make_unique<char[]>(large_key_capacity_);  // NOLINT
  }
  std::memcpy(key_buffer(), prefix.data(), prefix.size());
  prefix_bytes_ = prefix.size();
  return true;
}

void TableCursor::Stand(std::size_t position) {
  position_ = position;
  Load();
}

void TableCursor::SeekToFirst() {
  walked_blocks_ = 0;
  if (Enter(0)) Stand(0);
}

void TableCursor::SeekToLast() {
  walked_blocks_ = 0;
  // Without any block, one below the first is at the end.
  if (Enter(table_->index_.size() - 1)) Stand(block_->size() - 1);
}

void TableCursor::PrepareSeek(InternalKeyView target) {
  prepared_ = table_->index_.LowerBound(target);
  if (prepared_ < table_->index_.size()) table_->PrefetchSlot(prepared_);
}

void TableCursor::PrepareSeekMore() {
  if (prepared_ < table_->index_.size()) table_->PrefetchBlock(prepared_);
}

void TableCursor::Seek(InternalKeyView target) {
  walked_blocks_ = 0;
  const std::size_t prepared = std::exchange(prepared_, kNotPrepared);
  if (!Enter(prepared != kNotPrepared ? prepared : table_->index_.LowerBound(target))) return;
  const std::size_t position = block_->LowerBound(target);
  if (position < block_->size()) {
    Stand(position);
  } else {
    EnterNextBlock();  // the target is between the block's last entry and its separator
  }
}

void TableCursor::SeekForPrev(InternalKeyView target) {
  if (!status_.ok()) return;
  walked_blocks_ = 0;
  const std::size_t i = table_->index_.LowerBound(target);
  if (i == table_->index_.size()) {
    SeekToLast();
    return;
  }
  if (!Enter(i)) return;
  const std::size_t position = block_->LowerBound(target);
  if (position < block_->size()) {
    Stand(position);
    if (key() == target) return;
  }
  position_ = position;
  Prev();
}

void TableCursor::CountWalk(ReadAhead::Direction direction) {
  if (direction != walk_) walked_blocks_ = 0;
  walk_ = direction;
  if (++walked_blocks_ > kBlocksBeforeReadAhead && ahead_ == nullptr) {
    ahead_ = std::make_unique<ReadAhead>(*table_->file_, table_->metadata_.size);
  }
}

void TableCursor::EnterNextBlock() {
  CountWalk(ReadAhead::Direction::kForward);
  if (Enter(block_index_ + 1)) Stand(0);
}

void TableCursor::EnterPreviousBlock() {
  CountWalk(ReadAhead::Direction::kBackward);
  // Before the first block comes none: the number wraps around to one that there is not.
  if (Enter(block_index_ - 1)) Stand(block_->size() - 1);
}

}  // namespace bedrock::engine
