#include "storaged/engine/memtable/arena.h"

#include <cstdint>
#include <utility>

#include "common/base/check.h"

namespace bedrock::engine {

HugePages BlockPool::Take() {
  const MutexLock lock(mutex_);
  if (blocks_.empty()) return {};
  HugePages block = std::move(blocks_.back());
  blocks_.pop_back();
  return block;
}

void BlockPool::Give(std::vector<HugePages> blocks) {
  const MutexLock lock(mutex_);
  // The rest is unmapped by `blocks`, behind the lock.
  while (!blocks.empty() && blocks_.size() < blocks_max_) {
    blocks_.push_back(std::move(blocks.back()));
    blocks.pop_back();
  }
}

Arena::~Arena() {
  if (pool_ != nullptr) pool_->Give(std::move(huge_blocks_));
}

char* Arena::AllocateLines(std::size_t bytes) {
  DCHECK(bytes % kLineBytes == 0 && bytes > 0 && bytes <= kLinesBytesMax);
  if (bytes > free_bytes()) AddBlock();
  used_bytes_ += bytes;
  back_ -= bytes;
  return back_;
}

char* Arena::AllocateSlowly(std::size_t bytes) {
  CHECK(bytes > 0);
  used_bytes_ += bytes;
  // A large piece gets a block of its own, so that the rest of the current block is not wasted.
  if (bytes > next_block_bytes() / 4) {
    // Not make_unique: it would write zeroes over memory that is filled right after.
    small_blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    return small_blocks_.back().get();
  }
  AddBlock();
  char* const piece = front_;
  front_ += bytes;
  return piece;
}

void Arena::AddBlock() {
  HugePages used = pool_ == nullptr ? HugePages() : pool_->Take();
  const std::size_t bytes = used.data() != nullptr ? kHugePageBytes : next_block_bytes();
  if (bytes == kHugePageBytes) {
    huge_blocks_.push_back(used.data() != nullptr ? std::move(used) : HugePages(bytes));
    front_ = huge_blocks_.back().data();
  } else {
    small_block_bytes_ *= 2;
    small_blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes + kLineBytes));
    char* const start = small_blocks_.back().get();
    const std::size_t past = reinterpret_cast<std::uintptr_t>(start) % kLineBytes;
    front_ = start + (kLineBytes - past);
  }
  back_ = front_ + bytes;
}

}  // namespace bedrock::engine
