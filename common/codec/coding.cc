#include "common/codec/coding.h"

namespace bedrock {

void PutVarint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void PutLengthPrefixed(std::string& out, std::string_view bytes) {
  PutVarint(out, bytes.size());
  out.append(bytes);
}

std::optional<std::string_view> ByteReader::Take(std::uint64_t n) {
  if (failed_ || n > rest_.size()) {
    failed_ = true;
    return std::nullopt;
  }
  const std::string_view taken = rest_.substr(0, n);
  rest_.remove_prefix(n);
  return taken;
}

std::optional<std::uint64_t> ByteReader::Varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto next = Take(1);
    if (!next) return std::nullopt;
    const auto byte = static_cast<unsigned char>(next->front());
    const std::uint64_t bits = byte & 0x7F;
    if (shift == 63 && bits > 1) break;  // more than 64 bits
    value |= bits << shift;
    if (byte < 0x80) return value;
  }
  failed_ = true;
  return std::nullopt;
}

std::optional<std::string_view> ByteReader::LengthPrefixed() {
  const auto size = Varint();
  if (!size) return std::nullopt;
  return Take(*size);
}

}  // namespace bedrock
