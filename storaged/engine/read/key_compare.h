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

/// The first 16 bytes of a key as two numbers, zeros where there are fewer. Of two keys the one
/// with the smaller words is smaller; equal words say nothing.
struct KeyWords {
  std::uint64_t first = 0;
  std::uint64_t second = 0;

  friend bool operator==(const KeyWords&, const KeyWords&) = default;
};

inline KeyWords KeyWordsOf(std::string_view key) {
  const std::size_t size = key.size();
  if (size >= 16) return {OrderedWord(key.data()), OrderedWord(key.data() + 8)};
  if (size > 8) {
    // The last 8 bytes, of which those in the first word are shifted out.
    const std::uint64_t last = OrderedWord(key.data() + size - 8);
    return {OrderedWord(key.data()), last << (8 * (16 - size))};
  }
  if (size == 8) return {OrderedWord(key.data()), 0};
  KeyWords words;
  for (std::size_t i = 0; i < size; ++i) {
    words.first |= std::uint64_t{static_cast<unsigned char>(key[i])} << (56 - 8 * i);
  }
  return words;
}

/// Whether a sorts before b as internal keys. REQUIRES: the words are theirs.
inline bool IsBefore(const InternalKeyView& a, const KeyWords& a_words, const InternalKeyView& b,
                     const KeyWords& b_words) {
  if (a_words.first != b_words.first) return a_words.first < b_words.first;
  if (a_words.second != b_words.second) return a_words.second < b_words.second;
  const std::size_t size = a.user_key.size();
  if (size > 16 || size != b.user_key.size()) {
    const int order = a.user_key.compare(b.user_key);
    if (order != 0) return order < 0;
  }
  return a.trailer.packed() > b.trailer.packed();
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

}  // namespace bedrock::engine
