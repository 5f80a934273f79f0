#include "routerd/http/key_range.h"

#include <cstddef>
#include <utility>

#include "proto/command.h"

namespace bedrock::router {
namespace {

proto::Error TooLarge(std::size_t size) {
  proto::Error error;
  error.code = proto::ErrorCode::kKeyTooLarge;
  error.detail = "the key is too long";
  error.limit = proto::kKeyBytesMax;
  error.actual = size;
  return error;
}

proto::Error Invalid(std::string detail) {
  proto::Error error;
  error.code = proto::ErrorCode::kInvalidArgument;
  error.detail = std::move(detail);
  return error;
}

}  // namespace

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xFF') end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

proto::Error CheckRange(std::string_view start, std::string_view end) {
  for (const std::string_view bound : {start, end}) {
    if (bound.size() > proto::kKeyBytesMax) return TooLarge(bound.size());
  }
  if (!end.empty() && start >= end) return Invalid("the range must begin before it ends");
  return {};
}

proto::Error CheckKey(std::string_view key) {
  if (key.empty()) return Invalid("a key of 1 to 8192 bytes is required");
  if (key.size() > proto::kKeyBytesMax) return TooLarge(key.size());
  return {};
}

}  // namespace bedrock::router
