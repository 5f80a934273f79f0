#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "storaged/engine/keys/internal_key.h"

namespace bedrock::engine {

// Comparisons of keys for the merge and the walk, where they are most of the work. They say what
// std::string_view's say; keys of up to 16 bytes are compared without a call.

/// The 8 bytes at `data` as a number that is ordered as they are.
inline std::uint64_t OrderedWord(const char* data) {
  static_assert(std::endian::native == std::endian::little);
  std::uint64_t word = 0;
  std::memcpy(&word, data, sizeof word);
  return __builtin_bswap64(word);
}

/// The first 8 bytes of `key` as a number, zeros where there are fewer. Of two keys the one with
/// the smaller head is smaller; equal heads say nothing.
inline std::uint64_t KeyHead(std::string_view key) {
  if (key.size() >= 8) return OrderedWord(key.data());
  std::uint64_t head = 0;
  for (std::size_t i = 0; i < key.size(); ++i) {
    head |= std::uint64_t{static_cast<unsigned char>(key[i])} << (56 - 8 * i);
  }
  return head;
}

/// Orders two keys whose heads are equal: below, equal to or above 0.
inline int CompareBehindHead(std::string_view a, std::string_view b) {
  if (a.size() >= 16 && b.size() >= 16) {
    const std::uint64_t word_a = OrderedWord(a.data() + 8);
    const std::uint64_t word_b = OrderedWord(b.data() + 8);
    if (word_a != word_b) return word_a < word_b ? -1 : 1;
    if (a.size() == 16 && b.size() == 16) return 0;
  }
  return a.compare(b);
}

inline bool SameKey(std::string_view a, std::string_view b) {
  const std::size_t size = a.size();
  if (size != b.size()) return false;
  if (size < 8 || size > 16) return std::memcmp(a.data(), b.data(), size) == 0;
  // Two words that overlap, the last first: neighbours differ at the end.
  std::uint64_t words[4];
  std::memcpy(&words[0], a.data() + size - 8, 8);
  std::memcpy(&words[1], b.data() + size - 8, 8);
  std::memcpy(&words[2], a.data(), 8);
  std::memcpy(&words[3], b.data(), 8);
  return words[0] == words[1] && words[2] == words[3];
}

/// Whether (a, a_head) sorts before (b, b_head) as internal keys. REQUIRES: the heads are theirs.
inline bool IsBefore(const InternalKeyView& a, std::uint64_t a_head, const InternalKeyView& b,
                     std::uint64_t b_head) {
  if (a_head != b_head) return a_head < b_head;
  const int order = CompareBehindHead(a.user_key, b.user_key);
  return order != 0 ? order < 0 : a.trailer.packed() > b.trailer.packed();
}

}  // namespace bedrock::engine
