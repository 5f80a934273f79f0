#pragma once

#include <string>
#include <string_view>

namespace bedrock::txn {

// Ranges of keys are [begin, end); an empty `end` is unbounded.

/// Whether begin <= key < end.
inline bool IsWithin(std::string_view key, std::string_view begin, std::string_view end) {
  return key >= begin && (end.empty() || key < end);
}
/// Whether two ranges have a key in common. REQUIRES: neither is empty.
inline bool Overlap(std::string_view begin_a, std::string_view end_a, std::string_view begin_b,
                    std::string_view end_b) {
  return (end_b.empty() || begin_a < end_b) && (end_a.empty() || begin_b < end_a);
}
/// Whether there is no key in [begin, end).
inline bool IsEmptyRange(std::string_view begin, std::string_view end) {
  return !end.empty() && end <= begin;
}
/// Whether a range that ends at `a` ends before one that ends at `b`.
inline bool EndsBefore(std::string_view a, std::string_view b) {
  return !a.empty() && (b.empty() || a < b);
}

/// A key as messages for people show it: in quotes, what is not printable ASCII as \xhh, cut after
/// 64 bytes.
std::string PrintedKey(std::string_view key);

}  // namespace bedrock::txn
