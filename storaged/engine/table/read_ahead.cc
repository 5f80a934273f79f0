#include "storaged/engine/table/read_ahead.h"

#include <algorithm>
#include <cstring>

namespace bedrock::engine {

Result<std::size_t> ReadAhead::ReadAt(std::uint64_t offset, std::size_t n, char* out,
                                      Direction direction) {
  const bool there = offset >= begin_ && offset < end_ && n <= end_ - offset;
  if (!there && !Fetch(offset, n, direction)) return file_->ReadAt(offset, n, out);
  std::memcpy(out, bytes_.get() + (offset - begin_), n);
  return n;
}

bool ReadAhead::Fetch(std::uint64_t offset, std::size_t n, Direction direction) {
  Forget();
  // Of large blocks a system call each is cheaper than a second copy.
  if (n > kWindowMax / 2 || offset >= file_end_ || n > file_end_ - offset) return false;
  window_ = std::min(2 * window_, kWindowMax);
  const std::size_t wanted = std::max(window_, n);
  std::uint64_t begin = offset;
  std::uint64_t end = offset + n;
  if (direction == Direction::kForward) {
    end = begin + std::min<std::uint64_t>(wanted, file_end_ - begin);
  } else {
    begin = end - std::min<std::uint64_t>(wanted, end);
  }
  const auto bytes = static_cast<std::size_t>(end - begin);
  if (bytes > capacity_) {
    capacity_ = wanted;
    bytes_ = std::make_unique_for_overwrite<char[]>(capacity_);  // NOLINT
  }
  const auto got = file_->ReadAt(begin, bytes, bytes_.get());
  if (!got.ok() || *got != bytes) return false;
  begin_ = begin;
  end_ = end;
  return true;
}

}  // namespace bedrock::engine
