#include "common/codec/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#ifdef __x86_64__
#include <nmmintrin.h>
#endif

namespace bedrock {

namespace {

#ifdef __x86_64__
/// Up to here one instruction for each 8 bytes beats ISA-L, which folds many lanes into one at the
/// end: about what a record of a small write has.
constexpr std::size_t kShortBytesMax = 192;
const bool kHasCrcInstruction = __builtin_cpu_supports("sse4.2") != 0;

__attribute__((target("sse4.2"))) std::uint32_t ExtendShort(std::uint32_t state,
                                                            std::string_view bytes) {
  const char* at = bytes.data();
  std::size_t rest = bytes.size();
  std::uint64_t wide = state;
  for (; rest >= sizeof(std::uint64_t); rest -= sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof(word));
    wide = _mm_crc32_u64(wide, word);
    at += sizeof(word);
  }
  auto narrow = static_cast<std::uint32_t>(wide);
  for (; rest > 0; --rest) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at++));
  return narrow;
}
#endif

}  // namespace

std::uint32_t ExtendCrc32c(std::uint32_t crc, std::string_view bytes) {
  std::uint32_t state = ~crc;
#ifdef __x86_64__
  if (bytes.size() <= kShortBytesMax && kHasCrcInstruction) return ~ExtendShort(state, bytes);
#endif
  // ISA-L takes an int for the length, a pointer to mutable bytes that it does not change, and
  // leaves both inversions to the caller.
  constexpr std::size_t kChunk = std::numeric_limits<int>::max();
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
