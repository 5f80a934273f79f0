#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "common/base/units.h"

namespace bedrock::router {

inline constexpr std::size_t kTargetBytesMax = 32 * kKiB;  ///< A key of 8 KiB, escaped, and a path.
inline constexpr std::size_t kHeaderBytesMax = 64 * kKiB;  ///< Request line and fields.

enum class Method : std::uint8_t { kGet, kHead, kPut, kPost, kDelete, kOther };

/// The head of a request, as far as this server looks at it. Field values that came in several
/// lines are joined by ", ".
struct RequestHead {
  Method method = Method::kOther;
  std::string target;
  int minor_version = 1;  ///< HTTP/1.x
  bool keep_alive = true;
  bool chunked = false;
  bool expect_continue = false;
  bool host = false;
  bool fence = false;  ///< It carries an X-Bedrock-Fence.
  std::optional<std::uint64_t> content_length;
  std::optional<std::string> if_match;  ///< An empty one is there, too, and must not pass for none.
  std::optional<std::string> if_none_match;
  std::optional<std::string> idempotency_key;
  std::string accept;
  std::string content_type;
  std::string request_id;

  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
  /// Empty again, keeping the strings' memory.
  void Clear();
};

}  // namespace bedrock::router
