#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storaged/engine/table/table_format.h"

namespace bedrock::engine {

/// Where a range of user keys ends. Borrowed.
struct UpperBound {
  enum class Kind {
    kExcluded,   ///< Before `key`.
    kIncluded,   ///< With `key`.
    kUnbounded,  ///< Nowhere; `key` is empty.
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

/// All keys that a table's entries and range tombstones say anything of.
KeyRange RangeOf(const TableMetadata& table);
/// [begin, end) with an empty end for none.
KeyRange HalfOpen(std::string_view begin, std::string_view end);

/// A set of user keys as disjoint ranges. Immutable once built.
class KeyRanges {
 public:
  KeyRanges() = default;
  /// What any of `ranges` has, in any order.
  explicit KeyRanges(std::vector<KeyRange> ranges);
  static KeyRanges All() { return KeyRanges({HalfOpen("", "")}); }

  bool empty() const { return ranges_.empty(); }
  bool Contains(std::string_view user_key) const;
  /// Whether a key of `range` is in the set.
  bool Overlaps(const KeyRange& range) const;

 private:
  struct Owned {
    std::string begin;
    std::string end;
    UpperBound::Kind kind = UpperBound::Kind::kIncluded;

    UpperBound upper() const { return {end, kind}; }
  };
  /// The first range that does not end before `user_key`.
  std::vector<Owned>::const_iterator FirstReaching(std::string_view user_key) const;

  std::vector<Owned> ranges_;  ///< By key.
};

}  // namespace bedrock::engine
