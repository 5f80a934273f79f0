#include "storaged/txn/key_range.h"

#include <cstddef>

namespace bedrock::txn {

std::string PrintedKey(std::string_view key) {
  constexpr std::size_t kShown = 64;
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "'";
  for (const char c : key.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += "\\x";
      text += kDigits[byte >> 4];
      text += kDigits[byte & 15];
    }
  }
  return text + (key.size() > kShown ? "…'" : "'");
}

}  // namespace bedrock::txn
