#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storaged/engine/keys/key_range.h"

namespace bedrock::engine {

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
