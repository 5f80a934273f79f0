#pragma once

#include <cstdint>
#include <string_view>

namespace bedrock::engine {

/// Where a range of user keys ends. Borrowed.
struct UpperBound {
  enum class Kind : std::uint8_t {  // The numbers are on disk.
    kExcluded = 0,                  ///< Before `key`.
    kIncluded = 1,                  ///< With `key`.
    kUnbounded = 2,                 ///< Nowhere; `key` is empty.
  };

  std::string_view key;
  Kind kind = Kind::kIncluded;

  bool Reaches(std::string_view user_key) const {
    if (kind == Kind::kUnbounded) return true;
    const int order = user_key.compare(key);
    return order < 0 || (order == 0 && kind == Kind::kIncluded);
  }
};
/// Whether `a` ends before `b` does.
bool EndsBefore(const UpperBound& a, const UpperBound& b);

/// A range of user keys, borrowed; never empty where it comes from a table.
struct KeyRange {
  std::string_view begin;  ///< Closed.
  UpperBound end;

  bool Contains(std::string_view user_key) const {
    return begin <= user_key && end.Reaches(user_key);
  }
  bool Overlaps(const KeyRange& other) const {
    return end.Reaches(other.begin) && other.end.Reaches(begin);
  }
  /// The least range over both.
  KeyRange Hull(const KeyRange& other) const;
};

/// [begin, end) with an empty end for none.
KeyRange HalfOpen(std::string_view begin, std::string_view end);

}  // namespace bedrock::engine
