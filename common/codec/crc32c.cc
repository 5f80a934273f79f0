#include "common/codec/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstddef>
#include <limits>

namespace bedrock {

std::uint32_t ExtendCrc32c(std::uint32_t crc, std::string_view bytes) {
  // ISA-L takes an int for the length, a pointer to mutable bytes that it does not change, and
  // leaves both inversions to the caller.
  constexpr std::size_t kChunk = std::numeric_limits<int>::max();
  std::uint32_t state = ~crc;
  while (!bytes.empty()) {
    const std::size_t n = std::min(bytes.size(), kChunk);
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    state = crc32_iscsi(data, static_cast<int>(n), state);
    bytes.remove_prefix(n);
  }
  return ~state;
}

std::uint32_t Crc32c(std::string_view bytes) { return ExtendCrc32c(0, bytes); }

}  // namespace bedrock
