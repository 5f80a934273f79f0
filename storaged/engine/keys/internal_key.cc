#include "storaged/engine/keys/internal_key.h"

#include <algorithm>

namespace bedrock::engine {

std::string ShortestSeparator(std::string_view a, std::string_view b) {
  DCHECK(a < b);
  const std::size_t size_min = std::min(a.size(), b.size());
  std::size_t shared = 0;
  while (shared < size_min && a[shared] == b[shared]) ++shared;
  // Where a is a prefix of b there is nothing shorter. Else b has the larger byte here, and cutting
  // b behind it gives a key above a; it is below b unless it is all of b.
  if (shared < size_min && shared + 1 < a.size()) {
    if (shared + 1 < b.size()) return std::string(b.substr(0, shared + 1));
    const auto byte = static_cast<unsigned char>(a[shared]);
    if (byte + 1 < static_cast<unsigned char>(b[shared])) {
      std::string separator(a.substr(0, shared + 1));
      separator.back() = static_cast<char>(byte + 1);
      return separator;
    }
  }
  return std::string(a);
}

}  // namespace bedrock::engine
