#include "storaged/engine/memtable/arena.h"

#include "common/base/check.h"

namespace bedrock::engine {

char* Arena::Allocate(std::size_t bytes) {
  CHECK(bytes > 0);
  bytes = (bytes + 7) / 8 * 8;
  used_bytes_ += bytes;
  if (bytes > free_bytes_) {
    // A large piece gets a block of its own, so that the rest of the current block is not wasted.
    const bool large = bytes > kBlockBytes / 4;
    // Not make_unique: it would write zeroes over memory that is filled right after.
    blocks_.emplace_back(std::make_unique_for_overwrite<char[]>(large ? bytes : kBlockBytes));
    if (large) return blocks_.back().get();
    free_ = blocks_.back().get();
    free_bytes_ = kBlockBytes;
  }
  char* piece = free_;
  free_ += bytes;
  free_bytes_ -= bytes;
  return piece;
}

}  // namespace bedrock::engine
