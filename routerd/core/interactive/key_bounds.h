#pragma once

#include <string>
#include <string_view>

namespace bedrock::router {

// A range of keys is [begin, end); an empty end is unbounded.

inline bool EndsAfter(std::string_view end, std::string_view key) {
  return end.empty() || end > key;
}

/// Of two ends the one that comes first.
inline std::string_view EarlierEnd(std::string_view a, std::string_view b) {
  if (a.empty()) return b;
  return b.empty() || a < b ? a : b;
}

inline std::string_view LaterEnd(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) return {};
  return a < b ? b : a;
}

/// The first key behind `key`.
inline std::string Successor(std::string_view key) {
  std::string next(key);
  next.push_back('\0');
  return next;
}

}  // namespace bedrock::router
