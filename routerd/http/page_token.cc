#include "routerd/http/page_token.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "common/codec/coding.h"
#include "common/codec/crc32c.h"
#include "routerd/http/text.h"

namespace bedrock::router {
namespace {

constexpr std::uint8_t kLayout = 1;
enum Flag : std::uint8_t { kReverse = 1, kKeysOnly = 2, kInTransaction = 4, kAllFlags = 7 };
constexpr std::size_t kCheckBytes = sizeof(std::uint32_t);

std::size_t SharedBytes(std::string_view a, std::string_view b) {
  const auto differ = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<std::size_t>(differ.first - a.begin());
}

std::optional<PageToken> DecodeFields(std::string_view bytes) {
  ByteReader reader(bytes);
  const auto layout = reader.Fixed<std::uint8_t>();
  const auto flags = reader.Fixed<std::uint8_t>();
  const auto version = reader.Varint();
  const auto start = reader.LengthPrefixed();
  const auto shared = reader.Varint();
  const auto others = reader.LengthPrefixed();
  const auto check = reader.Fixed<std::uint32_t>();
  if (!reader.AtEnd() || layout != kLayout || (*flags & ~kAllFlags) != 0 || *version == 0 ||
      *shared > start->size()) {
    return std::nullopt;
  }
  PageToken token;
  token.version = Version(*version);
  token.rest.start = *start;
  token.rest.end = std::string(start->substr(0, static_cast<std::size_t>(*shared)));
  token.rest.end += *others;
  token.reverse = (*flags & kReverse) != 0;
  token.keys_only = (*flags & kKeysOnly) != 0;
  token.in_transaction = (*flags & kInTransaction) != 0;
  token.bounds_check = *check;
  return token;
}

}  // namespace

std::uint32_t BoundsCheck(const KeyRange& range) {
  std::string bounds;
  PutLengthPrefixed(bounds, range.start);
  bounds += range.end;
  return Crc32c(bounds);
}

std::string EncodePageToken(const PageToken& token) {
  std::string bytes;
  PutFixed(bytes, kLayout);
  const int flags = (token.reverse ? kReverse : 0) | (token.keys_only ? kKeysOnly : 0) |
                    (token.in_transaction ? kInTransaction : 0);
  PutFixed(bytes, static_cast<std::uint8_t>(flags));
  PutVarint(bytes, token.version.value());
  PutLengthPrefixed(bytes, token.rest.start);
  // The end of a prefix scan differs in one byte: two long keys would not fit into a target.
  const std::size_t shared = SharedBytes(token.rest.start, token.rest.end);
  PutVarint(bytes, shared);
  PutLengthPrefixed(bytes, std::string_view(token.rest.end).substr(shared));
  PutFixed(bytes, token.bounds_check);
  PutFixed(bytes, Crc32c(bytes));
  return Base64Url(bytes);
}

std::optional<PageToken> DecodePageToken(std::string_view text) {
  const auto bytes = DecodeBase64Url(text);
  if (!bytes || bytes->size() < kCheckBytes) return std::nullopt;
  const std::string_view checked(bytes->data(), bytes->size() - kCheckBytes);
  if (LoadFixed<std::uint32_t>(bytes->data() + checked.size()) != Crc32c(checked)) {
    return std::nullopt;
  }
  auto token = DecodeFields(checked);
  if (!token || !CheckRange(token->rest.start, token->rest.end).ok()) return std::nullopt;
  // One spelling for each: what decodes is what was made.
  if (EncodePageToken(*token) != text) return std::nullopt;
  return token;
}

}  // namespace bedrock::router
