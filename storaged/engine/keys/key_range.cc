#include "storaged/engine/keys/key_range.h"

#include <algorithm>

namespace bedrock::engine {

bool EndsBefore(const UpperBound& a, const UpperBound& b) {
  using Kind = UpperBound::Kind;
  if (a.kind == Kind::kUnbounded) return false;
  if (b.kind == Kind::kUnbounded) return true;
  const int order = a.key.compare(b.key);
  return order < 0 || (order == 0 && a.kind == Kind::kExcluded && b.kind == Kind::kIncluded);
}

KeyRange KeyRange::Hull(const KeyRange& other) const {
  return {std::min(begin, other.begin), EndsBefore(end, other.end) ? other.end : end};
}

KeyRange HalfOpen(std::string_view begin, std::string_view end) {
  return {begin, {end, end.empty() ? UpperBound::Kind::kUnbounded : UpperBound::Kind::kExcluded}};
}

}  // namespace bedrock::engine
